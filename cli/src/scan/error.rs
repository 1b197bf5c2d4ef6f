//! What can be wrong with a mapping, and the way out.

use std::fmt;
use std::path::PathBuf;

use monaka_vfs_core::image::TreeError;

use crate::shown::Shown;

/// A mistake that has a way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// A mapping's source does not exist.
    NoSource {
        /// The host path.
        host: PathBuf,
        /// What may have been meant.
        meant: Option<String>,
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
    /// A line of a `.monakaignore` that is no pattern.
    Ignore {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// Why not.
        reason: String,
    },
    /// A symbolic link that leads to what it is in, where links are followed.
    Loop {
        /// The link.
        link: PathBuf,
    },
    /// A symbolic link that leads nowhere, where links are followed.
    Dangling {
        /// The link.
        link: PathBuf,
    },
    /// An archive with a member that cannot be packed.
    Member {
        /// The archive.
        archive: String,
        /// The member's name.
        member: Vec<u8>,
        /// Why not.
        problem: Problem,
    },
    /// An archive that unpacks to more than is allowed.
    Bomb {
        /// The archive.
        archive: String,
        /// How many bytes are allowed.
        max: u64,
    },
    /// Something that is no archive of the expected kind.
    NoArchive {
        /// The file.
        archive: String,
        /// What it should be.
        kind: &'static str,
        /// Why it is none.
        reason: String,
    },
    /// An archive that is damaged or cut off.
    Damaged {
        /// The archive.
        archive: String,
        /// The member at which it was noticed.
        member: Option<Vec<u8>>,
        /// What was noticed.
        reason: String,
    },
    /// An image layout from which no image can be taken.
    Layout {
        /// The layout.
        archive: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
}

/// Why a member of an archive cannot be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// `..` in its name.
    Parent,
    /// No name, where it is no directory.
    NoName,
    /// A name below something that is no directory.
    NotADirectory {
        /// The path as the archive has it.
        path: Vec<u8>,
    },
    /// A name below a symbolic link that leads nowhere.
    Nowhere {
        /// The path as the archive has it.
        path: Vec<u8>,
    },
    /// A name below symbolic links that lead in a circle.
    Loop {
        /// The path as the archive has it.
        path: Vec<u8>,
    },
    /// A path that no program could open.
    LongPath,
    /// A hard link to what is not in the archive before it.
    LinkTarget {
        /// The target.
        target: Vec<u8>,
    },
    /// A hard link to a directory.
    LinkToDirectory {
        /// The target.
        target: Vec<u8>,
    },
    /// It is only the end of a file.
    Continued,
    /// It is encrypted.
    Encrypted,
    /// It is compressed in a way that is not understood.
    Method {
        /// The way's name.
        method: String,
    },
    /// The tree does not take it.
    Tree(TreeError),
}

impl From<TreeError> for Problem {
    fn from(error: TreeError) -> Problem {
        Problem::Tree(error)
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Parent => f.write_str("its name has `..` in it"),
            Problem::NoName => f.write_str("it has no name"),
            Problem::NotADirectory { path } => {
                write!(f, "{} does not lead to a directory", Shown(path))
            }
            Problem::Nowhere { path } => {
                write!(f, "{} leads nowhere within the archive", Shown(path))
            }
            Problem::Loop { path } => {
                write!(f, "symbolic links lead in a circle at {}", Shown(path))
            }
            Problem::LongPath => f.write_str("its path is longer than 4095 bytes"),
            Problem::LinkTarget { target } => write!(
                f,
                "it is a hard link to {}, which is not before it in the archive",
                Shown(target)
            ),
            Problem::LinkToDirectory { target } => {
                write!(f, "it is a hard link to the directory {}", Shown(target))
            }
            Problem::Continued => f.write_str("it began in another volume of the archive"),
            Problem::Encrypted => f.write_str("it is encrypted"),
            Problem::Method { method } => write!(f, "it is compressed by method {method}"),
            Problem::Tree(error) => error.fmt(f),
        }
    }
}

impl Problem {
    fn hint(&self) -> &'static str {
        match self {
            Problem::Parent | Problem::NotADirectory { .. } | Problem::Nowhere { .. } => {
                "no member may land outside the archive's own tree; unpack it where that does \
                 no harm, and map what is wanted with --mapdir"
            }
            Problem::Loop { .. } => "leave the links out with --exclude, or pack them as links",
            Problem::LinkTarget { .. } | Problem::LinkToDirectory { .. } => {
                "make the archive anew with the link's target in it"
            }
            Problem::Continued => "join the volumes to one archive first",
            Problem::Encrypted => "unpack it with its password, and map that with --mapdir",
            Problem::Method { .. } => {
                "make the archive anew with deflate, or unpack it and map that with --mapdir"
            }
            Problem::NoName | Problem::LongPath | Problem::Tree(_) => {
                "make the archive anew without it"
            }
        }
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScanError::NoSource { host, .. } => {
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
                Shown(link),
                Shown(target)
            ),
            ScanError::File { file } => {
                write!(f, "guest path {} is a file, not a directory", Shown(file))
            }
            ScanError::Replaced { guest } => write!(
                f,
                "the directory mapped to {} was replaced by what a later mapping holds",
                Shown(guest)
            ),
            ScanError::Changed { path } => {
                write!(f, "file changed while it was packed: {}", path.display())
            }
            ScanError::Ignore { file, line, reason } => {
                write!(f, "{}, line {line}: {reason}", file.display())
            }
            ScanError::Loop { link } => write!(
                f,
                "{}: the symbolic link leads to a directory that it is in",
                link.display()
            ),
            ScanError::Dangling { link } => {
                write!(f, "{}: the symbolic link leads nowhere", link.display())
            }
            ScanError::Member {
                archive,
                member,
                problem,
            } => write!(f, "{archive}: member {}: {problem}", Shown(member)),
            ScanError::Bomb { archive, max } => {
                write!(f, "{archive}: it unpacks to more than {max} bytes")
            }
            ScanError::NoArchive {
                archive,
                kind,
                reason,
            } => write!(f, "{archive}: it is no {kind}: {reason}"),
            ScanError::Damaged {
                archive,
                member: Some(member),
                reason,
            } => write!(
                f,
                "{archive}: damaged at member {}: {reason}",
                Shown(member)
            ),
            ScanError::Damaged {
                archive, reason, ..
            } => write!(f, "{archive}: damaged: {reason}"),
            ScanError::Layout {
                archive, reason, ..
            } => write!(f, "{archive}: {reason}"),
        }
    }
}

impl std::error::Error for ScanError {}

impl ScanError {
    /// The way out.
    pub(crate) fn hint(&self) -> &str {
        match self {
            ScanError::NoSource {
                meant: Some(meant), ..
            } => meant,
            ScanError::NoSource { .. } => {
                "--mapdir takes GUEST::HOST and --dir takes HOST::GUEST; \
                 relative host paths start at the current directory"
            }
            ScanError::SpecialSource { .. } => "copy its contents into a file and map that",
            ScanError::Symlink { .. } => "map to the path that the link leads to",
            ScanError::File { .. } => "map to another guest path, or leave the file out",
            ScanError::Replaced { .. } => "give the mappings in the other order",
            ScanError::Changed { .. } => "pack again when nothing writes to it",
            ScanError::Ignore { .. } => "patterns are written as in .gitignore",
            ScanError::Loop { .. } => {
                "leave it out with --exclude, or pack links as links, without --follow-symlinks"
            }
            ScanError::Dangling { .. } => {
                "remove it, leave it out with --exclude, or pack it without --follow-symlinks"
            }
            ScanError::Member { problem, .. } => problem.hint(),
            ScanError::Bomb { .. } => "if the archive is trusted, allow more with --max-unpacked",
            ScanError::NoArchive { .. } => {
                "--tar takes tar archives (plain, gzip, zstd, xz), --zip zip archives, --oci image \
                 layouts and what `docker save` writes, --image packed modules and bare images"
            }
            ScanError::Damaged { .. } => "fetch or make the archive anew",
            ScanError::Layout { hint, .. } => hint,
        }
    }
}
