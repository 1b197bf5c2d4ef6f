//! What stands in the tables, one record at a time, decoded when it is asked for.
//!
//! That a piece of the names is there, or a device known, was checked before, by
//! [`Image::open`](super::Image::open): nothing here can fail.

use core::fmt;

use super::format::{
    COMPRESSED, DEVICE, DIRECTORY, DirentRecord, EXECUTABLE, InodeRecord, READ_ONLY, REGULAR,
    SYMLINK,
};
use super::node::Meta;
use crate::device::Device;

/// An inode of an [`Image`](super::Image).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode<'a> {
    /// Its meta data.
    pub meta: Meta,
    /// Whether it must not change, nor a directory's entries.
    pub read_only: bool,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory; [`Image::dirents`](super::Image::dirents) has its entries.
    Directory,
    /// A regular file.
    Regular {
        /// Where its contents begin in the data area.
        start: u64,
        /// Its length in bytes.
        size: u64,
        /// How many bytes of the data area that takes where it is compressed.
        stored: Option<u32>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: &'a [u8],
    },
    /// A device.
    Device(Device),
}

/// An inode as it stands in an [`Image`](super::Image).
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub(super) bytes: &'a [u8; InodeRecord::SIZE],
    pub(super) names: &'a [u8],
}

impl<'a> Record<'a> {
    #[inline]
    fn decoded(self) -> InodeRecord {
        InodeRecord::decode(self.bytes)
    }

    /// All of it.
    pub fn inode(self) -> Inode<'a> {
        Inode {
            meta: Meta {
                mtime: self.mtime(),
                executable: self.executable(),
            },
            read_only: self.read_only(),
            kind: self.kind(),
        }
    }

    /// As [`Meta::mtime`].
    #[inline]
    pub fn mtime(self) -> u64 {
        self.decoded().mtime
    }

    /// As [`Meta::executable`].
    #[inline]
    pub fn executable(self) -> bool {
        self.decoded().flags & EXECUTABLE != 0
    }

    /// As [`Inode::read_only`].
    #[inline]
    pub fn read_only(self) -> bool {
        self.decoded().flags & READ_ONLY != 0
    }

    /// The device that it is, if it is one.
    #[inline]
    pub fn device(self) -> Option<Device> {
        match self.kind() {
            Kind::Device(device) => Some(device),
            _ => None,
        }
    }

    /// Where a symbolic link leads; `None` if it is something else.
    #[inline]
    pub fn target(self) -> Option<&'a [u8]> {
        let record = self.decoded();
        match record.kind {
            SYMLINK => Some(checked(self.names, record.start, record.count)),
            _ => None,
        }
    }

    /// What it is.
    // Once, and not in every caller: it is large.
    #[inline(never)]
    pub fn kind(self) -> Kind<'a> {
        let record = self.decoded();
        match record.kind {
            DIRECTORY => Kind::Directory,
            // Checked to be one.
            DEVICE => Kind::Device(Device::from_number(record.start).unwrap_or(Device::Null)),
            REGULAR => Kind::Regular {
                start: record.start,
                size: record.size,
                stored: (record.flags & COMPRESSED != 0).then_some(record.count),
            },
            _ => Kind::Symlink {
                target: checked(self.names, record.start, record.count),
            },
        }
    }
}

/// A directory's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirent<'a> {
    /// The entry's name.
    pub name: &'a [u8],
    /// The inode that it names.
    pub inode: u32,
}

/// The entries of a directory, one after the other or by position.
#[derive(Clone)]
pub struct Dirents<'a> {
    pub(super) records: &'a [[u8; DirentRecord::SIZE]],
    pub(super) names: &'a [u8],
}

/// A directory that is open when the program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preopen<'a> {
    /// The name that the program is told.
    pub name: &'a [u8],
    /// The directory's inode.
    pub inode: u32,
}

impl fmt::Debug for Dirents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Dirents<'a> {
    /// The one at a position.
    ///
    /// # Panics
    /// If there are not as many.
    #[inline]
    pub fn get(&self, position: usize) -> Dirent<'a> {
        self.dirent(&self.records[position])
    }

    /// The entry of that name: its position and its inode.
    pub fn lookup(&self, name: &[u8]) -> Option<(usize, u32)> {
        let mut records = self.records.iter().map(DirentRecord::decode).enumerate();
        let (position, record) = records.find(|(_, record)| {
            // Most differ in that already.
            usize::from(record.name_len) == name.len()
                && checked(self.names, record.name.into(), record.name_len.into()) == name
        })?;
        Some((position, record.inode))
    }

    fn dirent(&self, record: &[u8; DirentRecord::SIZE]) -> Dirent<'a> {
        let record = DirentRecord::decode(record);
        Dirent {
            name: checked(self.names, record.name.into(), record.name_len.into()),
            inode: record.inode,
        }
    }
}

impl<'a> Iterator for Dirents<'a> {
    type Item = Dirent<'a>;

    fn next(&mut self) -> Option<Dirent<'a>> {
        let (first, rest) = self.records.split_first()?;
        self.records = rest;
        Some(self.dirent(first))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.records.len(), Some(self.records.len()))
    }
}

impl ExactSizeIterator for Dirents<'_> {}

/// A piece of the names.
pub(super) fn piece(names: &[u8], start: u64, len: u32) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    names.get(start..)?.get(..len as usize)
}

/// A piece of the names that [`Image::open`](super::Image::open) has found to be there.
pub(super) fn checked(names: &[u8], start: u64, len: u32) -> &[u8] {
    let bytes = piece(names, start, len);
    debug_assert!(bytes.is_some());
    // Not unwrapped: the program would have to carry the panic, for nothing.
    bytes.unwrap_or_default()
}
