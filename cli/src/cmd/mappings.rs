//! `--mapdir` and `--dir`, which may be mixed: later ones win, so their order
//! among each other counts.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::mapdir::{Mapping, MappingError};

/// All mappings in the order of the command line.
pub(crate) struct Mappings(pub(crate) Vec<Mapping>);

type Parse = fn(&std::ffi::OsStr) -> Result<Mapping, MappingError>;

const FLAGS: [(&str, Parse); 2] = [("mapdir", Mapping::from_mapdir), ("dir", Mapping::from_dir)];

impl FromArgMatches for Mappings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Mappings, clap::Error> {
        let mut found = Vec::new();
        for (flag, parse) in FLAGS {
            let indices = matches.indices_of(flag).into_iter().flatten();
            let values = matches.get_many::<OsString>(flag).into_iter().flatten();
            for (index, value) in indices.zip(values) {
                let mapping = parse(value).map_err(|error| {
                    let value = value.display();
                    clap::Error::raw(
                        ErrorKind::ValueValidation,
                        format!("invalid value '{value}' for '--{flag}': {error}\n"),
                    )
                })?;
                found.push((index, mapping));
            }
        }
        found.sort_by_key(|(index, _)| *index);
        Ok(Mappings(
            found.into_iter().map(|(_, mapping)| mapping).collect(),
        ))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Mappings::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Mappings {
    fn augment_args(command: Command) -> Command {
        let arg = |name| {
            Arg::new(name)
                .long(name)
                .action(ArgAction::Append)
                .value_parser(value_parser!(OsString))
        };
        command
            .arg(
                arg("mapdir").value_name("GUEST::HOST").help(
                    "Pack the host's directory or file HOST as GUEST; may be given many times",
                ),
            )
            .arg(
                arg("dir")
                    .value_name("HOST::GUEST")
                    .help("The same in the order that wasmtime has; HOST alone keeps its path"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Mappings::augment_args(command)
    }
}
