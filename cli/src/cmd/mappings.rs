//! `--mapdir` and `--dir`, which may be mixed: later ones win, so their order
//! among each other counts.

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::mapdir::Mapping;

/// All mappings in the order of the command line.
pub(crate) struct Mappings(pub(crate) Vec<Mapping>);

impl FromArgMatches for Mappings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Mappings, clap::Error> {
        let mut found: Vec<(usize, Mapping)> = Vec::new();
        for flag in ["mapdir", "dir"] {
            let indices = matches.indices_of(flag).into_iter().flatten();
            let mappings = matches.get_many(flag).into_iter().flatten().cloned();
            found.extend(indices.zip(mappings));
        }
        found.sort_by_key(|(index, _)| *index);
        let mappings = found.into_iter().map(|(_, mapping)| mapping);
        Ok(Mappings(mappings.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Mappings::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Mappings {
    fn augment_args(command: Command) -> Command {
        let text = OsStringValueParser::new;
        let mapdir = text().try_map(|argument| Mapping::from_mapdir(&argument));
        let dir = text().try_map(|argument| Mapping::from_dir(&argument));
        let arg = |name, parser: ValueParser| {
            Arg::new(name)
                .long(name)
                .action(ArgAction::Append)
                .value_parser(parser)
        };
        command
            .arg(
                arg("mapdir", mapdir.into()).value_name("GUEST::HOST").help(
                    "Pack the host's directory or file HOST as GUEST; may be given many times",
                ),
            )
            .arg(
                arg("dir", dir.into())
                    .value_name("HOST::GUEST")
                    .help("The same in the order that wasmtime has; HOST alone keeps its path"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Mappings::augment_args(command)
    }
}
