//! What can be wrong with a mapping, and the way out.

use std::fmt;
use std::path::PathBuf;

use monaka_vfs_core::image::Escaped;

/// A mistake that has a way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// A mapping's source does not exist.
    NoSource {
        /// The host path.
        host: PathBuf,
    },
    /// A mapping's source is neither a file nor a directory.
    SpecialSource {
        /// The host path.
        host: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A mapping's guest path leads over a symbolic link.
    Symlink {
        /// The link's guest path.
        link: Vec<u8>,
        /// Where it leads.
        target: Vec<u8>,
    },
    /// A mapping's guest path leads over a file.
    File {
        /// The file's guest path.
        file: Vec<u8>,
    },
    /// A later mapping put something else in the place of a mapped directory.
    Replaced {
        /// The directory's guest path.
        guest: Vec<u8>,
    },
    /// A file is not what it was when it was found.
    Changed {
        /// The host path.
        path: PathBuf,
    },
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScanError::NoSource { host } => {
                write!(f, "{}: no such file or directory", host.display())
            }
            ScanError::SpecialSource { host, kind } => write!(
                f,
                "{}: a {kind} cannot be packed, only files and directories",
                host.display()
            ),
            ScanError::Symlink { link, target } => write!(
                f,
                "guest path {} is a symbolic link to {}",
                Escaped(link),
                Escaped(target)
            ),
            ScanError::File { file } => {
                write!(f, "guest path {} is a file, not a directory", Escaped(file))
            }
            ScanError::Replaced { guest } => write!(
                f,
                "the directory mapped to {} was replaced by what a later mapping holds",
                Escaped(guest)
            ),
            ScanError::Changed { path } => {
                write!(f, "file changed while it was packed: {}", path.display())
            }
        }
    }
}

impl std::error::Error for ScanError {}

impl ScanError {
    /// The way out.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            ScanError::NoSource { .. } => {
                "--mapdir takes GUEST::HOST and --dir takes HOST::GUEST; \
                 relative host paths start at the current directory"
            }
            ScanError::SpecialSource { .. } => "copy its contents into a file and map that",
            ScanError::Symlink { .. } => "map to the path that the link leads to",
            ScanError::File { .. } => "map to another guest path, or leave the file out",
            ScanError::Replaced { .. } => "give the mappings in the other order",
            ScanError::Changed { .. } => "pack again when nothing writes to it",
        }
    }
}
