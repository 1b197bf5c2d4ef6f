//! `--mapdir`, `--tar` and the other sources, which may be mixed: later ones win,
//! so their order among each other counts.

use std::ffi::OsStr;

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::mapdir::{Mapping, MappingError, Origin};

/// All mappings in the order of the command line.
pub(crate) struct Mappings(pub(crate) Vec<Mapping>);

/// A flag that names a source.
struct Flag {
    name: &'static str,
    value: &'static str,
    help: &'static str,
    parse: fn(&OsStr) -> Result<Mapping, MappingError>,
}

const FLAGS: [Flag; 7] = [
    Flag {
        name: "mapdir",
        value: "GUEST::HOST",
        help: "Pack the host's directory or file HOST as GUEST; may be given many times",
        parse: Mapping::from_mapdir,
    },
    Flag {
        name: "dir",
        value: "HOST::GUEST",
        help: "The same in the order that wasmtime has; HOST alone keeps its path",
        parse: Mapping::from_dir,
    },
    Flag {
        name: "tar",
        value: "GUEST::ARCHIVE",
        help: "Pack what is in a tar archive: plain, gzip, zstd or xz; `-` is stdin",
        parse: |text| Mapping::of(Origin::Tar, text),
    },
    Flag {
        name: "zip",
        value: "GUEST::ARCHIVE",
        help: "Pack what is in a zip archive; `-` is stdin",
        parse: |text| Mapping::of(Origin::Zip, text),
    },
    Flag {
        name: "oci",
        value: "GUEST::LAYOUT",
        help: "Pack the files of a container image: an OCI image layout (a directory or a tar \
               archive of it), or what `docker save` wrote; `-` is stdin",
        parse: |text| Mapping::of(Origin::Oci, text),
    },
    Flag {
        name: "image",
        value: "GUEST::FILE",
        help: "Pack what is packed in another module, or in an image file",
        parse: |text| Mapping::of(Origin::Image, text),
    },
    Flag {
        name: "file",
        value: "GUEST=TEXT",
        help: "Pack a file that holds TEXT, as it is",
        parse: Mapping::from_text,
    },
];

/// A source in a spec file: the key that says where it is, beside [`GUEST`].
pub(crate) struct Mount {
    pub(crate) key: &'static str,
    /// The flag of the same source.
    pub(crate) flag: &'static str,
    /// What stands between guest path and source in the flag's value.
    pub(crate) separator: &'static str,
    /// Whether it is the path of something on the host.
    pub(crate) is_path: bool,
}

impl Mount {
    const fn path(key: &'static str, flag: &'static str) -> Mount {
        Mount {
            key,
            flag,
            separator: "::",
            is_path: true,
        }
    }
}

/// The key of a mount's guest path.
pub(crate) const GUEST: &str = "guest";

/// What a mount of a spec file can be.
pub(crate) static MOUNTS: [Mount; 6] = [
    Mount::path("host", "mapdir"),
    Mount::path("tar", "tar"),
    Mount::path("zip", "zip"),
    Mount::path("oci", "oci"),
    Mount::path("image", "image"),
    Mount {
        key: "text",
        flag: "file",
        separator: "=",
        is_path: false,
    },
];

/// The kind of mount that is meant by its key or by a flag.
pub(crate) fn mount_of(name: &str) -> Option<&'static Mount> {
    // The same in another order.
    let name = if name == "dir" { "mapdir" } else { name };
    MOUNTS
        .iter()
        .find(|mount| mount.key == name || mount.flag == name)
}

/// The names of the flags that are sources.
pub(crate) fn flags() -> impl Iterator<Item = &'static str> {
    FLAGS.into_iter().map(|flag| flag.name)
}

impl FromArgMatches for Mappings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Mappings, clap::Error> {
        let mut found: Vec<(usize, Mapping)> = Vec::new();
        for Flag { name, .. } in FLAGS {
            let indices = matches.indices_of(name).into_iter().flatten();
            let mappings = matches.get_many(name).into_iter().flatten().cloned();
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
        FLAGS.into_iter().fold(command, |command, flag| {
            let parser = OsStringValueParser::new().try_map(move |text| (flag.parse)(&text));
            command.arg(
                Arg::new(flag.name)
                    .long(flag.name)
                    .action(ArgAction::Append)
                    .value_parser(ValueParser::new(parser))
                    .value_name(flag.value)
                    .help(flag.help),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Mappings::augment_args(command)
    }
}
