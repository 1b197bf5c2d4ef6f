//! All inodes by number: the image's, and those that are not its own any more.
//!
//! Files, links and devices stay in the image until something holds or changes
//! them: only then do they get a slot, which is memory and may be refused.
//! Looking at them and removing them needs none. Directories have slots from
//! the start, and so has what more than one name leads to, whose names are counted.

use alloc::vec::Vec;

use crate::bytes::Bytes;
use crate::data::FileData;
use crate::dir::Directory;
use crate::errno::{Errno, Result};
use crate::image::{self, Image};
use crate::inode::{Ino, Inode, Kind, Seen};

/// At least so many files get a slot before the slots move.
const SLOTS_AHEAD: usize = 8;

#[derive(Debug)]
enum Slot<'i> {
    Used(Inode<'i>),
    /// Index of the next free slot.
    Free(Option<u32>),
}

/// Where an inode of the image is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u32);

impl Place {
    /// In the image: nothing has changed or held it yet. All zeros, which a
    /// packed module need not store.
    const IMAGE: Place = Place(0);
    /// Removed.
    const GONE: Place = Place(u32::MAX);

    fn of_slot(slot: u32) -> Place {
        Place(slot + 1)
    }

    fn slot(self) -> usize {
        self.0 as usize - 1
    }
}

/// The inodes of one file system.
#[derive(Debug)]
pub(crate) struct Inodes<'i> {
    image: Image<'i>,
    /// The image's inodes: `Ino` n is place n - 1. The root is the first.
    places: Vec<Place>,
    /// Inodes that have left the image or were never in it. The latter have the
    /// numbers behind the image's, by their slots.
    slots: Vec<Slot<'i>>,
    first_free: Option<u32>,
}

impl<'i> Inodes<'i> {
    /// As [`Memfs::ROOT`](crate::memfs::Memfs::ROOT).
    pub(crate) const ROOT: Ino = Ino::new(1).expect("1 is not 0");

    /// The image's, yet to be [built](Inodes::build).
    pub(crate) fn new(image: &Image<'i>) -> Inodes<'i> {
        Inodes {
            image: *image,
            places: Vec::new(),
            slots: Vec::new(),
            first_free: None,
        }
    }

    /// Gives each inode its place, and the root its slot; `names` says how many names
    /// there are besides one for each. `NOSPC` when memory is out.
    pub(crate) fn build(&mut self, names: usize) -> Result<()> {
        let image = self.image;
        let count = image.inodes();
        // What is looked at first stands together: the root's entries, its slot, the free
        // slots, and the places of what is in the root. There are slots for all that gets
        // one when it is mounted, and half as many more, or they would soon move.
        let root = self.packed(Self::ROOT)?;
        let is_directory = |index: &u32| image.record(*index).kind() == image::Kind::Directory;
        let slots = (0..count).filter(is_directory).count() + names;
        self.slots
            .try_reserve_exact(slots + slots / 2 + SLOTS_AHEAD)
            .map_err(|_| Errno::NOSPC)?;
        self.places
            .try_reserve_exact(count as usize)
            .map_err(|_| Errno::NOSPC)?;
        self.places.resize(count as usize, Place::IMAGE);
        self.places[Self::ROOT.index()] = Place::of_slot(self.fill(root));
        Ok(())
    }

    /// The image, as it was packed.
    pub(crate) fn image(&self) -> Image<'i> {
        self.image
    }

    /// As [`Memfs::find`](crate::memfs::Memfs::find).
    pub(crate) fn find(&self, number: u32) -> Option<Ino> {
        let ino = Ino::new(number)?;
        let there = match self.places.get(ino.index()) {
            Some(place) => *place != Place::GONE,
            None => {
                let slot = self.slots.get(ino.index() - self.places.len());
                matches!(slot, Some(Slot::Used(_)))
            }
        };
        there.then_some(ino)
    }

    /// The slot of an inode that is in none no longer.
    #[inline]
    fn slot(&self, ino: Ino) -> Option<usize> {
        match self.places.get(ino.index()) {
            None => Some(ino.index() - self.places.len()),
            Some(&Place::IMAGE) => None,
            Some(place) => Some(place.slot()),
        }
    }

    /// The inode, if it has a slot.
    #[inline]
    pub(crate) fn owned(&self, ino: Ino) -> Option<&Inode<'i>> {
        match &self.slots[self.slot(ino)?] {
            Slot::Used(inode) => Some(inode),
            Slot::Free(_) => unreachable!("an inode in use was freed"),
        }
    }

    /// As [`Inodes::owned`]; none if it was freed.
    #[inline]
    pub(crate) fn owned_mut(&mut self, ino: Ino) -> Option<&mut Inode<'i>> {
        let slot = self.slot(ino)?;
        match &mut self.slots[slot] {
            Slot::Used(inode) => Some(inode),
            Slot::Free(_) => None,
        }
    }

    /// What can be seen of the inode.
    #[inline]
    pub(crate) fn seen(&self, ino: Ino) -> Seen<'_, 'i> {
        match self.owned(ino) {
            None => Seen::Packed(self.image.record(ino.index() as u32)),
            Some(inode) => Seen::Own(inode),
        }
    }

    /// Gives the inode a slot if it has none. `NOSPC` when memory is out.
    #[inline]
    pub(crate) fn own(&mut self, ino: Ino) -> Result<()> {
        if self.slot(ino).is_none() {
            self.copy_up(ino)?;
        }
        Ok(())
    }

    fn copy_up(&mut self, ino: Ino) -> Result<()> {
        self.reserve()?;
        let inode = self.packed(ino)?;
        self.places[ino.index()] = Place::of_slot(self.fill(inode));
        Ok(())
    }

    /// An inode of the image, as it was packed. `NOSPC` when memory is out.
    #[inline(never)]
    fn packed(&self, ino: Ino) -> Result<Inode<'i>> {
        let index = ino.index() as u32;
        let packed = self.image.inode(index);
        let kind = match packed.kind {
            image::Kind::Regular {
                start,
                size,
                stored,
            } => Kind::Regular(match stored {
                None => FileData::packed(start as u32, size as u32),
                Some(_) => FileData::compressed(start as u32, size as u32)?,
            }),
            image::Kind::Directory => {
                Kind::Directory(Directory::packed(Self::ROOT, self.image.dirents(index))?)
            }
            image::Kind::Symlink { target } => Kind::Symlink(Bytes::Borrowed(target)),
            image::Kind::Device(device) => Kind::Device(device),
        };
        let mut inode = Inode::new(kind, packed.meta.mtime);
        inode.nlink = 1;
        inode.executable = packed.meta.executable;
        inode.read_only = packed.read_only;
        Ok(inode)
    }

    /// Makes room for one more slot. `NOSPC`.
    pub(crate) fn reserve(&mut self) -> Result<()> {
        if self.first_free.is_none() {
            self.slots.try_reserve(1).map_err(|_| Errno::NOSPC)?;
        }
        Ok(())
    }

    /// Adds an inode that was never in the image, for which there is
    /// [room](Inodes::reserve). `NOSPC` when no number is left.
    pub(crate) fn add(&mut self, inode: Inode<'i>) -> Result<Ino> {
        let slot = self.fill(inode);
        Ino::new(self.places.len() as u32 + slot + 1).ok_or(Errno::NOSPC)
    }

    /// Puts `inode` into a slot, for which there is room.
    // Once, and not in every caller.
    #[inline(never)]
    fn fill(&mut self, inode: Inode<'i>) -> u32 {
        match self.first_free {
            Some(slot) => {
                if let Slot::Free(next) = self.slots[slot as usize] {
                    self.first_free = next;
                }
                self.slots[slot as usize] = Slot::Used(inode);
                slot
            }
            None => {
                self.slots.push(Slot::Used(inode));
                self.slots.len() as u32 - 1
            }
        }
    }

    /// Takes an inode out that has a slot.
    pub(crate) fn free(&mut self, ino: Ino) -> Option<Inode<'i>> {
        let slot = self.slot(ino)?;
        let freed = core::mem::replace(&mut self.slots[slot], Slot::Free(self.first_free));
        self.first_free = Some(slot as u32);
        if let Some(place) = self.places.get_mut(ino.index()) {
            *place = Place::GONE;
        }
        match freed {
            Slot::Used(inode) => Some(inode),
            Slot::Free(_) => None,
        }
    }

    /// Takes an inode out that is in the image still.
    pub(crate) fn remove_packed(&mut self, ino: Ino) {
        self.places[ino.index()] = Place::GONE;
    }

    /// All that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ino, Seen<'_, 'i>)> {
        let of_image = |slot: usize| self.places.contains(&Place::of_slot(slot as u32));
        let image = self.places.iter().enumerate();
        let image = image.filter(|(_, place)| **place != Place::GONE);
        let own = self.slots.iter().enumerate();
        let own =
            own.filter(move |(slot, inode)| matches!(inode, Slot::Used(_)) && !of_image(*slot));
        let numbers = image.map(|(index, _)| index);
        let numbers = numbers.chain(own.map(|(slot, _)| self.places.len() + slot));
        numbers
            .filter_map(|index| Ino::new(index as u32 + 1))
            .map(|ino| (ino, self.seen(ino)))
    }
}
