//! Why bytes are no image, and why something is no tree.

use alloc::boxed::Box;
use core::fmt;

use super::dump::Escaped;
use super::format::VERSION;
use crate::access::STREAMS;

/// Why bytes are no image: the rule that is broken, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// No memory for checking.
    OutOfMemory,
    /// Fewer bytes than a superblock has.
    Truncated,
    /// The first bytes are not [`MAGIC`](super::format::MAGIC).
    Magic,
    /// Another version of the format than [`VERSION`].
    Version(u32),
    /// The tables' length is not that of the bytes, or not what the counts ask for.
    Length {
        /// What the superblock says.
        stated: u32,
        /// What its counts ask for.
        counted: u64,
    },
    /// A field that has to be 0 is not, or a flag is unknown.
    Reserved {
        /// Where the record begins, or which byte of padding it is.
        offset: u32,
    },
    /// Inode 0 is missing or no directory, or an entry names it.
    Root,
    /// No directory is preopened.
    NoPreopen,
    /// An inode of a kind that does not exist.
    Kind {
        /// The inode.
        inode: u32,
    },
    /// A directory's dirents do not begin where the previous directory's end,
    /// or are more than there are.
    Dirents {
        /// The directory.
        inode: u32,
    },
    /// A dirent behind those of the last directory.
    StrayDirent {
        /// The dirent.
        dirent: u32,
    },
    /// A file's contents lie outside of the data area.
    Contents {
        /// The file.
        inode: u32,
    },
    /// A symbolic link's target lies outside of the names or cannot be one.
    Target {
        /// The link.
        inode: u32,
    },
    /// A device that does not exist.
    Device {
        /// The inode.
        inode: u32,
    },
    /// A dirent's name lies outside of the names or cannot be one.
    Name {
        /// The dirent.
        dirent: u32,
    },
    /// A dirent's name does not sort behind the one before it.
    Order {
        /// The dirent.
        dirent: u32,
    },
    /// A dirent's inode does not exist.
    Missing {
        /// The dirent.
        dirent: u32,
    },
    /// A directory is named twice, or by a directory whose inode is not smaller.
    Parent {
        /// The dirent.
        dirent: u32,
    },
    /// An inode that no dirent names.
    Orphan {
        /// The inode.
        inode: u32,
    },
    /// A preopen's name lies outside of the names or cannot be one.
    PreopenName {
        /// The preopen.
        preopen: u32,
    },
    /// A preopen's inode is no directory.
    PreopenInode {
        /// The preopen.
        preopen: u32,
    },
    /// A name of a directory of the host lies outside of the names or cannot be one.
    HostPreopen {
        /// The directory.
        preopen: u32,
    },
    /// A stream's inode is no file, or one to be written to is read-only.
    Stream {
        /// The stream's descriptor.
        fd: usize,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid image: ")?;
        match *self {
            ImageError::OutOfMemory => f.write_str("no memory to check it with"),
            ImageError::Truncated => f.write_str("shorter than its superblock"),
            ImageError::Magic => f.write_str("does not begin with `monakafs`"),
            ImageError::Version(version) => {
                write!(f, "format version {version}, this monaka reads {VERSION}")
            }
            ImageError::Length { stated, counted } => write!(
                f,
                "tables of {stated} bytes are stated, their counts ask for {counted}, \
                 and as many must be given"
            ),
            ImageError::Reserved { offset } => {
                write!(f, "a reserved field or flag is set at byte {offset}")
            }
            ImageError::Root => f.write_str("inode 0 is not the root directory"),
            ImageError::NoPreopen => f.write_str("no directory is preopened"),
            ImageError::Kind { inode } => write!(f, "inode {inode}: unknown kind"),
            ImageError::Dirents { inode } => write!(f, "inode {inode}: misplaced dirents"),
            ImageError::StrayDirent { dirent } => {
                write!(f, "dirent {dirent}: belongs to no directory")
            }
            ImageError::Contents { inode } => write!(f, "inode {inode}: contents outside the data"),
            ImageError::Target { inode } => write!(f, "inode {inode}: invalid link target"),
            ImageError::Device { inode } => write!(f, "inode {inode}: unknown device"),
            ImageError::Name { dirent } => write!(f, "dirent {dirent}: invalid name"),
            ImageError::Order { dirent } => write!(f, "dirent {dirent}: not in order"),
            ImageError::Missing { dirent } => write!(f, "dirent {dirent}: no such inode"),
            ImageError::Parent { dirent } => {
                write!(
                    f,
                    "dirent {dirent}: a directory's second parent, or a cycle"
                )
            }
            ImageError::Orphan { inode } => write!(f, "inode {inode}: nothing names it"),
            ImageError::PreopenName { preopen } => write!(f, "preopen {preopen}: invalid name"),
            ImageError::PreopenInode { preopen } => write!(f, "preopen {preopen}: no directory"),
            ImageError::HostPreopen { preopen } => {
                write!(f, "host preopen {preopen}: invalid name")
            }
            ImageError::Stream { fd } => write!(f, "{}: no file for it", STREAMS[fd]),
        }
    }
}

impl core::error::Error for ImageError {}

/// Why something cannot be part of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeError {
    /// Not a name that a directory entry can have.
    Name(Box<[u8]>),
    /// Not a target that a symbolic link can have.
    Target {
        /// The link's name.
        name: Box<[u8]>,
        /// The target.
        target: Box<[u8]>,
    },
    /// Only a directory has entries.
    NotADirectory {
        /// The name of the entry, or the path up to what is no directory.
        name: Box<[u8]>,
    },
    /// A directory cannot have a second name.
    DirectoryLink {
        /// The second name.
        name: Box<[u8]>,
    },
    /// More nodes than can be numbered.
    TooMany,
    /// Not a name that a preopened directory can have.
    PreopenName(Box<[u8]>),
    /// A preopen that is not, or no longer, a directory of the tree.
    Preopen(Box<[u8]>),
    /// A program with no preopened directory reaches nothing.
    NoPreopen,
    /// What a stream should be is not, or no longer, a file of the tree.
    Stream {
        /// The stream's descriptor.
        fd: usize,
        /// The file's path.
        path: Box<[u8]>,
    },
    /// What a stream should write to is read-only.
    ReadOnlyStream {
        /// The stream's descriptor.
        fd: usize,
        /// The file's path.
        path: Box<[u8]>,
    },
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreeError::Name(name) => write!(
                f,
                "`{}` cannot name a file (1 to 255 bytes, not `.` or `..`, no `/`, no NUL)",
                Escaped(name)
            ),
            TreeError::Target { name, target } => write!(
                f,
                "symbolic link `{}`: target `{}` is not 1 to 4095 bytes without NUL",
                Escaped(name),
                Escaped(target)
            ),
            TreeError::NotADirectory { name } => {
                write!(f, "`{}` is not a directory", Escaped(name))
            }
            TreeError::DirectoryLink { name } => {
                write!(f, "`{}` would be a hard link to a directory", Escaped(name))
            }
            TreeError::TooMany => f.write_str("more than 4294967295 files"),
            TreeError::PreopenName(name) => write!(
                f,
                "`{}` cannot name a preopened directory (1 to 4095 bytes, no NUL)",
                Escaped(name)
            ),
            TreeError::Preopen(name) => {
                write!(
                    f,
                    "preopened `{}` is not a directory of the tree",
                    Escaped(name)
                )
            }
            TreeError::NoPreopen => f.write_str("no directory is preopened"),
            TreeError::Stream { fd, path } => write!(
                f,
                "{} should be `{}`, which is not a packed file",
                STREAMS[*fd],
                Escaped(path)
            ),
            TreeError::ReadOnlyStream { fd, path } => write!(
                f,
                "{} should go to `{}`, which is read-only",
                STREAMS[*fd],
                Escaped(path)
            ),
        }
    }
}

impl core::error::Error for TreeError {}
