//! `--mapdir GUEST::HOST`, `--tar GUEST::ARCHIVE` and the like: what is packed,
//! and where to.
//!
//! A guest path holds no `::`, a host path may: `--mapdir` is split at the first
//! and `--dir` at the last one. `--file GUEST=TEXT` is split at the first `=`.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use monaka_vfs_core::image::format::NAME_MAX;

use crate::output::is_dash;
use crate::shown::Shown;

/// A source of files and its place in the packed file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The guest path: absolute, with no `.`, `..` or empty names in it, and with
    /// no trailing slash unless it is the root.
    pub(crate) guest: Vec<u8>,
    /// The guest path was given as a directory's: it ended with a slash or a
    /// dot, so a single file goes into it and not by its name.
    pub(crate) into: bool,
    /// What is packed there.
    pub(crate) from: Origin,
}

/// Where the files of a mapping come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A directory or file of the host.
    Host(PathBuf),
    /// A tar archive, compressed or not; `-` is stdin.
    Tar(PathBuf),
    /// A zip archive; `-` is stdin.
    Zip(PathBuf),
    /// An OCI image layout or what `docker save` wrote; `-` is stdin.
    Oci(PathBuf),
    /// A packed module, or an image in a file.
    Image(PathBuf),
    /// A file's contents.
    Text(Vec<u8>),
}

/// Why an argument is no mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MappingError {
    /// `--mapdir` and the like without `::`.
    NoSeparator {
        /// The argument.
        argument: String,
    },
    /// No host path.
    NoHost,
    /// `--file` without `=`.
    NoText {
        /// The argument.
        argument: String,
    },
    /// `--file` with the guest path of a directory.
    NoName {
        /// The guest path.
        guest: String,
    },
    /// `..` in a guest path.
    Parent {
        /// The guest path.
        guest: String,
    },
    /// A host path that is to be the guest path, too, and has `..` in it.
    NoGuest {
        /// The host path.
        host: String,
    },
    /// A name in a guest path that is longer than any file's.
    LongName {
        /// The name.
        name: String,
    },
    /// A path that is not Unicode, where only Unicode has a meaning to the guest.
    #[cfg_attr(unix, allow(dead_code))]
    NotUnicode {
        /// The argument.
        argument: String,
    },
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MappingError::NoSeparator { argument } => write!(
                f,
                "no `::` between guest and host path; to pack `{argument}` as the root \
                 directory, give `/::{argument}`"
            ),
            MappingError::NoHost => {
                f.write_str("the host path is empty; the current directory is `.`, as in `/::.`")
            }
            MappingError::NoText { argument } => write!(
                f,
                "no `=` between guest path and text; give `/{}=` for an empty file",
                argument.trim_start_matches('/')
            ),
            MappingError::NoName { guest } => write!(
                f,
                "guest path `{guest}` is a directory's; end it with the file's name"
            ),
            MappingError::Parent { guest } => write!(
                f,
                "`..` is not looked up in guest path `{guest}`; give the path without it"
            ),
            MappingError::NoGuest { host } => write!(
                f,
                "`{host}` has `..` in it and is no guest path; give one, as in \
                 `--dir {host}::/GUEST`"
            ),
            MappingError::LongName { name } => write!(
                f,
                "a name in the guest path is longer than {NAME_MAX} bytes: `{name}`"
            ),
            MappingError::NotUnicode { argument } => {
                write!(f, "`{argument}` is not Unicode")
            }
        }
    }
}

impl std::error::Error for MappingError {}

impl Origin {
    /// Whether it is read from stdin.
    pub(crate) fn is_stdin(&self) -> bool {
        match self {
            Origin::Tar(path) | Origin::Zip(path) | Origin::Oci(path) => is_dash(path),
            Origin::Host(_) | Origin::Image(_) | Origin::Text(_) => false,
        }
    }
}

impl Mapping {
    /// Parses `GUEST::HOST`, the argument of `--mapdir`.
    pub(crate) fn from_mapdir(argument: &OsStr) -> Result<Mapping, MappingError> {
        Mapping::of(Origin::Host, argument)
    }

    /// Parses `GUEST::PATH` as a mapping of what stands at that path.
    pub(crate) fn of(
        origin: fn(PathBuf) -> Origin,
        argument: &OsStr,
    ) -> Result<Mapping, MappingError> {
        let bytes = to_bytes(argument)?;
        let Some(at) = bytes.windows(2).position(|pair| pair == b"::") else {
            return Err(MappingError::NoSeparator {
                argument: Shown(&bytes).to_string(),
            });
        };
        Mapping::new(&bytes[..at], &bytes[at + 2..], origin)
    }

    /// Parses `HOST::GUEST`, the argument of `--dir`. `HOST` alone is packed to
    /// the same path.
    pub(crate) fn from_dir(argument: &OsStr) -> Result<Mapping, MappingError> {
        let bytes = to_bytes(argument)?;
        match bytes.windows(2).rposition(|pair| pair == b"::") {
            Some(at) => Mapping::new(&bytes[at + 2..], &bytes[..at], Origin::Host),
            None => Mapping::new(&bytes, &bytes, Origin::Host).map_err(|error| match error {
                MappingError::Parent { guest } => MappingError::NoGuest { host: guest },
                error => error,
            }),
        }
    }

    /// Parses `GUEST=TEXT`, the argument of `--file`.
    pub(crate) fn from_text(argument: &OsStr) -> Result<Mapping, MappingError> {
        let bytes = to_bytes(argument)?;
        let Some(at) = bytes.iter().position(|&byte| byte == b'=') else {
            return Err(MappingError::NoText {
                argument: Shown(&bytes).to_string(),
            });
        };
        let guest = &bytes[..at];
        if is_directory(guest) {
            return Err(MappingError::NoName {
                guest: Shown(guest).to_string(),
            });
        }
        Ok(Mapping {
            guest: normalise(guest)?,
            into: false,
            from: Origin::Text(bytes[at + 1..].to_vec()),
        })
    }

    fn new(
        guest: &[u8],
        path: &[u8],
        origin: fn(PathBuf) -> Origin,
    ) -> Result<Mapping, MappingError> {
        if path.is_empty() {
            return Err(MappingError::NoHost);
        }
        Ok(Mapping {
            guest: normalise(guest)?,
            into: is_directory(guest),
            from: origin(to_path(path)),
        })
    }
}

/// A guest path: absolute, as [`Mapping::guest`] has it.
pub(crate) fn guest_path_bytes(path: &[u8]) -> Result<Vec<u8>, MappingError> {
    normalise(path)
}

/// A guest path as an argument: absolute, as [`Mapping::guest`] has it.
pub(crate) fn guest_path(argument: &OsStr) -> Result<Vec<u8>, MappingError> {
    normalise(&to_bytes(argument)?)
}

/// Whether a guest path is given as a directory's.
fn is_directory(guest: &[u8]) -> bool {
    matches!(guest.rsplit(|&b| b == b'/').next(), Some(b"" | b"."))
}

/// A guest path's one spelling.
fn normalise(guest: &[u8]) -> Result<Vec<u8>, MappingError> {
    let mut path = Vec::new();
    for name in guest.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => continue,
            b".." => {
                return Err(MappingError::Parent {
                    guest: Shown(guest).to_string(),
                });
            }
            _ if name.len() > NAME_MAX => {
                return Err(MappingError::LongName {
                    name: Shown(name).to_string(),
                });
            }
            _ => {
                path.push(b'/');
                path.extend_from_slice(name);
            }
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
    Ok(path)
}

/// The bytes of an argument that names something in a packed tree.
#[cfg(unix)]
pub(crate) fn to_bytes(argument: &OsStr) -> Result<Vec<u8>, MappingError> {
    use std::os::unix::ffi::OsStrExt;
    Ok(argument.as_bytes().to_vec())
}

#[cfg(unix)]
pub(crate) fn to_path(host: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(host))
}

/// The bytes of an argument that names something in a packed tree.
#[cfg(not(unix))]
pub(crate) fn to_bytes(argument: &OsStr) -> Result<Vec<u8>, MappingError> {
    match argument.to_str() {
        Some(argument) => Ok(argument.as_bytes().to_vec()),
        None => Err(MappingError::NotUnicode {
            argument: argument.to_string_lossy().into_owned(),
        }),
    }
}

#[cfg(not(unix))]
pub(crate) fn to_path(host: &[u8]) -> PathBuf {
    // Cut from a `str` at an ASCII character, so it is one itself.
    PathBuf::from(String::from_utf8_lossy(host).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(guest: &str, into: bool, host: &str) -> Result<Mapping, MappingError> {
        Ok(Mapping {
            guest: guest.into(),
            into,
            from: Origin::Host(host.into()),
        })
    }

    #[test]
    fn mapdir_is_guest_then_host() {
        for (argument, guest, into, host) in [
            ("/::./mnt", "/", true, "./mnt"),
            ("::mnt", "/", true, "mnt"),
            (".::mnt", "/", true, "mnt"),
            ("x::mnt", "/x", false, "mnt"),
            ("./x::mnt/", "/x", false, "mnt/"),
            ("//usr///lib/./a::..", "/usr/lib/a", false, ".."),
            ("/etc/::f", "/etc", true, "f"),
            ("/etc/.::f", "/etc", true, "f"),
            ("/a b::c d", "/a b", false, "c d"),
            ("/...::x", "/...", false, "x"),
            ("/a::b::c", "/a", false, "b::c"),
            ("/a:::b", "/a", false, ":b"),
        ] {
            assert_eq!(
                Mapping::from_mapdir(argument.as_ref()),
                mapping(guest, into, host),
                "{argument}"
            );
        }
    }

    #[test]
    fn dir_is_host_then_guest() {
        for (argument, guest, into, host) in [
            ("./mnt::/", "/", true, "./mnt"),
            ("mnt::data", "/data", false, "mnt"),
            ("mnt::", "/", true, "mnt"),
            ("a::b::/c", "/c", false, "a::b"),
            (".", "/", true, "."),
            ("./mnt", "/mnt", false, "./mnt"),
            ("/usr/lib/", "/usr/lib", true, "/usr/lib/"),
            ("../up::/up", "/up", false, "../up"),
        ] {
            assert_eq!(
                Mapping::from_dir(argument.as_ref()),
                mapping(guest, into, host),
                "{argument}"
            );
        }
    }

    #[test]
    fn a_text_may_hold_what_separates() {
        for (argument, guest, text) in [
            ("/etc/motd=hello", "/etc/motd", "hello"),
            ("env=A=1::2\n", "/env", "A=1::2\n"),
            ("/empty=", "/empty", ""),
        ] {
            let expected = Mapping {
                guest: guest.into(),
                into: false,
                from: Origin::Text(text.into()),
            };
            assert_eq!(Mapping::from_text(argument.as_ref()), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_mapping_says_what_to_give() {
        let long = format!("/{}::x", "n".repeat(256));
        let cases: [(_, fn(&OsStr) -> _, _); 12] = [
            ("./mnt", Mapping::from_mapdir, "give `/::./mnt`"),
            ("/::", Mapping::from_mapdir, "the host path is empty"),
            ("::/", Mapping::from_dir, "the host path is empty"),
            ("/a/../b::x", Mapping::from_mapdir, "guest path `/a/../b`"),
            (
                "/a/../b::x",
                Mapping::from_mapdir,
                "give the path without it",
            ),
            ("x::/a/../b", Mapping::from_dir, "give the path without it"),
            ("../x", Mapping::from_dir, "as in `--dir ../x::/GUEST`"),
            (&long, Mapping::from_mapdir, "longer than 255 bytes"),
            ("etc/motd", Mapping::from_text, "give `/etc/motd=`"),
            ("/etc/motd", Mapping::from_text, "give `/etc/motd=`"),
            (
                "/etc/=x",
                Mapping::from_text,
                "guest path `/etc/` is a directory's",
            ),
            ("=x", Mapping::from_text, "end it with the file's name"),
        ];
        for (argument, parse, text) in cases {
            let error = parse(argument.as_ref()).unwrap_err().to_string();
            assert!(error.contains(text), "{argument}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf_8_are_kept() {
        use std::os::unix::ffi::OsStrExt;
        let mapping = Mapping::from_mapdir(OsStr::from_bytes(b"/\xff::\xfe")).unwrap();
        assert_eq!(mapping.guest, b"/\xff");
        let Origin::Host(host) = mapping.from else {
            panic!("{mapping:?}");
        };
        assert_eq!(host.as_os_str().as_bytes(), b"\xfe");
    }
}
