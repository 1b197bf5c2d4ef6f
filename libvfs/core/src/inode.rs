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
pub struct Seen<'f, 'i> {
    /// As [`Inode::atim`].
    pub atim: Timestamp,
    /// As [`Inode::mtim`].
    pub mtim: Timestamp,
    /// As [`Inode::ctim`].
    pub ctim: Timestamp,
    /// As [`Inode::nlink`].
    pub nlink: u32,
    /// As [`Inode::open`].
    pub open: u32,
    /// As [`Inode::marks`].
    pub marks: Marks,
    /// As [`Inode::executable`].
    pub executable: bool,
    /// As [`Inode::read_only`].
    pub read_only: bool,
    /// What it is.
    pub kind: SeenKind<'f, 'i>,
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

impl<'i> Seen<'_, 'i> {
    /// An inode of the image that nothing has changed, which is no directory.
    pub(crate) fn image(packed: &image::Inode<'i>) -> Seen<'i, 'i> {
        let mtime = packed.meta.mtime;
        Seen {
            atim: mtime,
            mtim: mtime,
            ctim: mtime,
            nlink: 1,
            open: 0,
            marks: Marks::default(),
            executable: packed.meta.executable,
            read_only: packed.read_only,
            kind: match packed.kind {
                image::Kind::Regular { size, .. } => SeenKind::Regular(size),
                image::Kind::Symlink { target } => SeenKind::Symlink(target),
                image::Kind::Device(device) => SeenKind::Device(device),
                image::Kind::Directory => unreachable!("directories have slots"),
            },
        }
    }
}

impl<'i> Inode<'i> {
    /// An inode that nothing names or holds yet.
    pub fn new(kind: Kind<'i>, now: Timestamp) -> Inode<'i> {
        Inode {
            atim: now,
            mtim: now,
            ctim: now,
            nlink: 0,
            open: 0,
            marks: Marks::default(),
            executable: false,
            read_only: false,
            kind,
        }
    }

    /// What can be seen of it.
    pub(crate) fn seen(&self) -> Seen<'_, 'i> {
        Seen {
            atim: self.atim,
            mtim: self.mtim,
            ctim: self.ctim,
            nlink: self.nlink,
            open: self.open,
            marks: self.marks,
            executable: self.executable,
            read_only: self.read_only,
            kind: match &self.kind {
                Kind::Regular(data) => SeenKind::Regular(data.size()),
                Kind::Directory(dir) => SeenKind::Directory(dir),
                Kind::Symlink(target) => SeenKind::Symlink(target),
                Kind::Device(device) => SeenKind::Device(*device),
            },
        }
    }

    /// Contents and inode changed now.
    pub fn touch(&mut self, now: Timestamp) {
        self.mtim = now;
        self.ctim = now;
        self.marks.remove(Marks::MTIM);
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
            self.ctim = now;
        }
        self.marks = Marks::default();
    }
}
