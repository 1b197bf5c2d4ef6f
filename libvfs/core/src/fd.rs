//! The one descriptor table: packed files, packed directories and the host's
//! descriptors share its numbers.
//!
//! Preview 1 has no dup, so a table slot owns its file description. A new
//! descriptor gets the lowest free number, as POSIX asks.

use alloc::vec::Vec;

use crate::bytes::Bytes;
use crate::errno::{Errno, Result};
use crate::inode::Ino;
use crate::rights::Rights;

/// The most descriptors a program may have open.
pub const FDS_MAX: usize = 1 << 20;

/// An open regular file.
#[derive(Debug)]
pub struct File {
    /// The inode, which the description holds.
    pub ino: Ino,
    /// Where the next read or write begins.
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
    pub preopen: Option<Bytes<'i>>,
    /// The cookie at which a listing ends: what was added after it began is
    /// not in it, or a program that renames what it lists would never finish.
    pub listed_to: u64,
}

/// What a number stands for.
#[derive(Debug)]
pub enum Descriptor<'i> {
    /// A packed regular file.
    File(File),
    /// A packed directory.
    Dir(Dir<'i>),
    /// The host's descriptor of that number.
    Host(u32),
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
    /// No slot before this one is free.
    lowest_free: usize,
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
        let free = self.next_free();
        if free < self.slots.len() {
            return Ok(());
        }
        if free >= FDS_MAX {
            return Err(Errno::MFILE);
        }
        self.slots.try_reserve(1).map_err(|_| Errno::NOMEM)
    }

    /// Enters `descriptor` under the lowest free number, for which there is
    /// [room](FdTable::reserve).
    pub fn insert(&mut self, descriptor: Descriptor<'i>) -> u32 {
        let free = self.next_free();
        match self.slots.get_mut(free) {
            Some(slot) => *slot = Some(descriptor),
            None => self.slots.push(Some(descriptor)),
        }
        self.lowest_free = free + 1;
        free as u32
    }

    /// Enters `descriptors` behind all numbers that were ever used. `MFILE`,
    /// `NOMEM`, and then none of them.
    pub fn append(
        &mut self,
        descriptors: impl ExactSizeIterator<Item = Descriptor<'i>>,
    ) -> Result<()> {
        if self.slots.len() + descriptors.len() > FDS_MAX {
            return Err(Errno::MFILE);
        }
        self.slots
            .try_reserve(descriptors.len())
            .map_err(|_| Errno::NOMEM)?;
        self.slots.extend(descriptors.map(Some));
        Ok(())
    }

    /// Takes `fd` out. `BADF` if it is not open.
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor<'i>> {
        let slot = self.slots.get_mut(fd as usize).ok_or(Errno::BADF)?;
        let descriptor = slot.take().ok_or(Errno::BADF)?;
        self.lowest_free = self.lowest_free.min(fd as usize);
        Ok(descriptor)
    }

    /// Moves `from` to `to`, both open; answers what stood there.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<Descriptor<'i>> {
        self.get(to)?;
        let descriptor = self.remove(from)?;
        Ok(core::mem::replace(self.get_mut(to)?, descriptor))
    }

    /// The open numbers and what they stand for.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Descriptor<'i>)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(fd, slot)| Some((fd, slot.as_ref()?)))
    }

    fn next_free(&self) -> usize {
        let from = self.lowest_free.min(self.slots.len());
        self.slots[from..]
            .iter()
            .position(Option::is_none)
            .map_or(self.slots.len(), |n| from + n)
    }
}
