//! The one descriptor table: packed files, packed directories and the host's
//! descriptors share its numbers.
//!
//! Preview 1 has no dup, so a table slot owns its file description. A new
//! descriptor gets the lowest free number, as POSIX asks.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::errno::{Errno, Result};
use crate::inode::Ino;
use crate::rights::Rights;

/// The most descriptors a program may have open.
pub const FDS_MAX: usize = 1 << 20;

/// An open regular file or device.
#[derive(Debug)]
pub struct File {
    /// The inode, which the description holds.
    pub ino: Ino,
    /// Where the next read or write begins; means nothing on a device.
    pub offset: u64,
    /// `fdflags`.
    pub flags: u16,
    /// What it may be used for.
    pub rights: Rights,
}

/// An open directory.
#[derive(Debug)]
pub struct Dir<'i> {
    /// The inode, which the description holds.
    pub ino: Ino,
    /// `fdflags`.
    pub flags: u16,
    /// What it may be used for.
    pub rights: Rights,
    /// What files opened through it may be used for.
    pub inheriting: Rights,
    /// The name under which it was there from the start.
    pub preopen: Option<&'i [u8]>,
    /// The cookie at which a listing ends: what was added after it began is
    /// not in it, or a program that renames what it lists would never finish.
    pub listed_to: u64,
}

/// The host's descriptor as a number of the program's stands for it. More than one
/// may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFd<'i> {
    /// The host's number.
    pub number: u32,
    /// The name under which it was there from the start, if that is not the host's.
    pub preopen: Option<&'i [u8]>,
    /// Nothing may be changed through it.
    pub read_only: bool,
}

impl HostFd<'_> {
    /// The host's descriptor of that number, as the host shows it.
    pub fn new(number: u32) -> Self {
        HostFd {
            number,
            preopen: None,
            read_only: false,
        }
    }
}

/// What a number stands for.
#[derive(Debug)]
pub enum Descriptor<'i> {
    /// A packed regular file or device.
    File(File),
    /// A packed directory.
    Dir(Dir<'i>),
    /// The host's.
    Host(HostFd<'i>),
}

impl Descriptor<'_> {
    /// The inode it holds; the host's hold none.
    pub fn ino(&self) -> Option<Ino> {
        match self {
            Descriptor::File(file) => Some(file.ino),
            Descriptor::Dir(dir) => Some(dir.ino),
            Descriptor::Host(_) => None,
        }
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct FdTable<'i> {
    slots: Vec<Option<Descriptor<'i>>>,
    /// The free slots, so that a program with a hundred thousand files open need
    /// not search for the lowest. It has room for every slot: closing cannot fail.
    free: BinaryHeap<Reverse<u32>>,
}

impl<'i> FdTable<'i> {
    /// What `fd` stands for. `BADF` if it is not open.
    #[inline]
    pub fn get(&self, fd: u32) -> Result<&Descriptor<'i>> {
        match self.slots.get(fd as usize) {
            Some(Some(descriptor)) => Ok(descriptor),
            _ => Err(Errno::BADF),
        }
    }

    /// As [`FdTable::get`].
    #[inline]
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor<'i>> {
        match self.slots.get_mut(fd as usize) {
            Some(Some(descriptor)) => Ok(descriptor),
            _ => Err(Errno::BADF),
        }
    }

    /// Makes sure that the next [`insert`](FdTable::insert) succeeds. `MFILE`
    /// at [`FDS_MAX`], `NOMEM` when memory is out.
    pub fn reserve(&mut self) -> Result<()> {
        if self.free.is_empty() {
            self.grow(1)?;
        }
        Ok(())
    }

    /// Makes room for `additional` slots behind all others. `MFILE`, `NOMEM`.
    // Once, and not in every caller: it is large.
    #[inline(never)]
    pub fn grow(&mut self, additional: usize) -> Result<()> {
        let len = self.slots.len() + additional;
        if len > FDS_MAX {
            return Err(Errno::MFILE);
        }
        self.slots
            .try_reserve(additional)
            .and_then(|()| self.free.try_reserve(len - self.free.len()))
            .map_err(|_| Errno::NOMEM)
    }

    /// Enters `descriptor` under the lowest free number, for which there is
    /// [room](FdTable::reserve).
    pub fn insert(&mut self, descriptor: Descriptor<'i>) -> u32 {
        match self.free.pop() {
            Some(Reverse(free)) => {
                self.slots[free as usize] = Some(descriptor);
                free
            }
            None => {
                self.slots.push(Some(descriptor));
                self.slots.len() as u32 - 1
            }
        }
    }

    /// Enters `descriptor` behind all numbers that were ever used; none leaves out the
    /// number, which is not open then and never given out. `MFILE`, `NOMEM`.
    // Once, and not in every caller: it is large.
    #[inline(never)]
    pub fn append(&mut self, descriptor: Option<Descriptor<'i>>) -> Result<()> {
        self.grow(1)?;
        self.slots.push(descriptor);
        Ok(())
    }

    /// Takes `fd` out. `BADF` if it is not open.
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor<'i>> {
        let slot = self.slots.get_mut(fd as usize).ok_or(Errno::BADF)?;
        let descriptor = slot.take().ok_or(Errno::BADF)?;
        debug_assert!(self.free.len() < self.free.capacity());
        self.free.push(Reverse(fd));
        Ok(descriptor)
    }

    /// Moves `from` to `to`, both open; answers what stood there.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<Descriptor<'i>> {
        self.get(to)?;
        let descriptor = self.remove(from)?;
        Ok(core::mem::replace(self.get_mut(to)?, descriptor))
    }

    /// Whether a number stands for the host's descriptor `host`.
    pub fn holds_host(&self, host: u32) -> bool {
        self.iter()
            .any(|(_, d)| matches!(d, Descriptor::Host(fd) if fd.number == host))
    }

    /// The open numbers and what they stand for.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Descriptor<'i>)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(fd, slot)| Some((fd, slot.as_ref()?)))
    }

    /// Asserts that the free slots are known.
    pub fn check(&self) {
        let mut free: Vec<u32> = self.free.iter().map(|Reverse(fd)| *fd).collect();
        free.sort_unstable();
        let is_free = |fd: &u32| free.binary_search(fd).is_ok();
        let empty = (0..).zip(&self.slots).filter(|(_, slot)| slot.is_none());
        // A stream may be left out.
        let empty = empty.map(|(fd, _)| fd).filter(|fd| *fd > 2 || is_free(fd));
        assert!(free.iter().copied().eq(empty), "{free:?}");
        assert!(self.free.capacity() >= self.slots.len(), "closing has room");
    }
}
