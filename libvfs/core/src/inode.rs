//! One file, directory or symlink, apart from its names.

use core::num::NonZeroU32;

use crate::bytes::Bytes;
use crate::data::FileData;
use crate::device::Device;
use crate::dir::Directory;
use crate::image;
use crate::time::{Marks, Timestamp};

/// An inode's number: stable while the inode lives, reused afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(NonZeroU32);

impl Ino {
    /// The number as `st_ino`; 0 is none.
    pub const fn new(number: u32) -> Option<Ino> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Ino(number)),
            None => None,
        }
    }

    /// `st_ino`.
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// Position among all numbers.
    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What an inode is.
#[derive(Debug)]
pub enum Kind<'i> {
    /// A regular file.
    Regular(FileData),
    /// A directory.
    Directory(Directory<'i>),
    /// A symbolic link and its target.
    Symlink(Bytes<'i>),
    /// A device.
    Device(Device),
}

/// An inode. It lives while a dentry names it or a description holds it.
#[derive(Debug)]
pub struct Inode<'i> {
    /// Last access.
    pub atim: Timestamp,
    /// Last change of the contents.
    pub mtim: Timestamp,
    /// Last change of the inode.
    pub ctim: Timestamp,
    /// How many dentries name it; the root counts as named once.
    pub nlink: u32,
    /// How many file descriptions hold it.
    pub open: u32,
    /// Timestamps that are due.
    pub marks: Marks,
    /// The executable bit. Preview 1 cannot show it; it is kept for those who
    /// take the file system out again.
    pub executable: bool,
    /// It never changes, and where it is a directory neither do its entries.
    pub read_only: bool,
    /// What it is.
    pub kind: Kind<'i>,
}

/// What can be seen of an inode, wherever it stands.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'f, 'i> {
    /// In the image: nothing has changed it, and it is no directory.
    Packed(image::Record<'i>),
    /// In a slot.
    Own(&'f Inode<'i>),
}

/// What an inode is, as far as can be seen.
#[derive(Clone, Copy, Debug)]
pub enum SeenKind<'f, 'i> {
    /// A regular file and its size in bytes.
    Regular(u64),
    /// A directory.
    Directory(&'f Directory<'i>),
    /// A symbolic link and its target.
    Symlink(&'f [u8]),
    /// A device.
    Device(Device),
}

/// Where a walk goes on from an inode.
#[derive(Clone, Copy, Debug)]
pub enum Leads<'f, 'i> {
    /// To what this target leads to.
    Link(&'f [u8]),
    /// To its entries.
    Directory(&'f Directory<'i>),
    /// It ends here.
    Nowhere,
}

impl<'f, 'i: 'f> Seen<'f, 'i> {
    /// As [`Inode::atim`].
    pub fn atim(self) -> Timestamp {
        match self {
            Seen::Packed(record) => record.mtime(),
            Seen::Own(inode) => inode.atim,
        }
    }

    /// As [`Inode::mtim`].
    pub fn mtim(self) -> Timestamp {
        match self {
            Seen::Packed(record) => record.mtime(),
            Seen::Own(inode) => inode.mtim,
        }
    }

    /// As [`Inode::ctim`].
    pub fn ctim(self) -> Timestamp {
        match self {
            Seen::Packed(record) => record.mtime(),
            Seen::Own(inode) => inode.ctim,
        }
    }

    /// As [`Inode::nlink`].
    pub fn nlink(self) -> u32 {
        match self {
            Seen::Packed(_) => 1,
            Seen::Own(inode) => inode.nlink,
        }
    }

    /// As [`Inode::open`].
    pub fn open(self) -> u32 {
        match self {
            Seen::Packed(_) => 0,
            Seen::Own(inode) => inode.open,
        }
    }

    /// As [`Inode::marks`].
    pub fn marks(self) -> Marks {
        match self {
            Seen::Packed(_) => Marks::default(),
            Seen::Own(inode) => inode.marks,
        }
    }

    /// As [`Inode::executable`].
    pub fn executable(self) -> bool {
        match self {
            Seen::Packed(record) => record.executable(),
            Seen::Own(inode) => inode.executable,
        }
    }

    /// As [`Inode::read_only`].
    pub fn read_only(self) -> bool {
        match self {
            Seen::Packed(record) => record.read_only(),
            Seen::Own(inode) => inode.read_only,
        }
    }

    /// What it is.
    #[inline]
    pub fn kind(self) -> SeenKind<'f, 'i> {
        match self {
            Seen::Packed(record) => match record.kind() {
                image::Kind::Regular { size, .. } => SeenKind::Regular(size),
                image::Kind::Symlink { target } => SeenKind::Symlink(target),
                image::Kind::Device(device) => SeenKind::Device(device),
                image::Kind::Directory => unreachable!("directories have slots"),
            },
            Seen::Own(inode) => match &inode.kind {
                Kind::Regular(data) => SeenKind::Regular(data.size()),
                Kind::Directory(dir) => SeenKind::Directory(dir),
                Kind::Symlink(target) => SeenKind::Symlink(target),
                Kind::Device(device) => SeenKind::Device(*device),
            },
        }
    }
}

impl<'i> Inode<'i> {
    /// An inode of that age that nothing names or holds yet.
    pub fn new(kind: Kind<'i>, time: Timestamp) -> Inode<'i> {
        Inode {
            atim: time,
            mtim: time,
            ctim: time,
            nlink: 0,
            open: 0,
            marks: Marks::default(),
            executable: false,
            read_only: false,
            kind,
        }
    }

    /// Carries out the marks.
    pub fn settle(&mut self, now: Timestamp) {
        if self.read_only {
            self.marks = Marks::default();
            return;
        }
        if self.marks.has(Marks::ATIM) {
            self.atim = now;
        }
        if self.marks.has(Marks::MTIM) {
            self.mtim = now;
        }
        if self.marks.has(Marks::CTIM) {
            self.ctim = now;
        }
        self.marks = Marks::default();
    }
}
