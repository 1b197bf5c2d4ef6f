//! Tables of which only the superblock is checked, for whoever wants to see one
//! file among many.
//!
//! [`Image::open`] reads everything, which for a hundred thousand files is most
//! of what such a look costs. A [`Glance`] checks a record when it is touched, by
//! the same rules. What no single record shows it does not find: that directories
//! form a tree, that names are in order. So a walk of the whole has to
//! [check](Glance::check) the whole first: of tables that lie it might never end.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::error::ImageError;
use super::format::{DIRECTORY, ROOT, Superblock};
use super::reader::Image;
use super::record::{Dirent, Inode};
use super::tree::Limits;

/// An image's tables, hostile but for the superblock.
#[derive(Clone, Copy)]
pub struct Glance<'a> {
    image: Image<'a>,
    superblock: Superblock,
}

impl<'a> Glance<'a> {
    /// Checks the superblock and that inode 0 is a directory. `tables` are the
    /// tables and nothing else; [`tables_len`] says how long they are.
    pub fn open(tables: &'a [u8]) -> Result<Glance<'a>, ImageError> {
        let (image, superblock) = Image::split(tables)?;
        if image.inodes() == 0 || image.check_inode(ROOT)?.kind != DIRECTORY {
            return Err(ImageError::Root);
        }
        Ok(Glance { image, superblock })
    }

    /// Checks all the rest.
    pub fn check(self) -> Result<Image<'a>, ImageError> {
        self.image.check(&self.superblock)?;
        Ok(self.image)
    }

    /// An inode.
    ///
    /// # Panics
    /// If there is no inode of that number. Those that [`dirents`](Glance::dirents)
    /// and [`child`](Glance::child) answer exist.
    pub fn inode(self, inode: u32) -> Result<Inode<'a>, ImageError> {
        self.image.check_inode(inode)?;
        Ok(self.image.inode(inode))
    }

    /// A directory's entries in the order of their names; other inodes have none.
    ///
    /// # Panics
    /// If there is no inode of that number.
    pub fn dirents(
        self,
        directory: u32,
    ) -> Result<impl ExactSizeIterator<Item = Result<Dirent<'a>, ImageError>>, ImageError> {
        let range = self.range(directory)?;
        Ok(range.map(move |dirent| self.image.check_dirent(dirent)))
    }

    /// What a directory has under a name.
    ///
    /// # Panics
    /// If there is no inode of that number.
    pub fn child(self, directory: u32, name: &[u8]) -> Result<Option<u32>, ImageError> {
        let mut range = self.range(directory)?;
        while !range.is_empty() {
            let middle = range.start + (range.end - range.start) / 2;
            let found = self.image.check_dirent(middle)?;
            match found.name.cmp(name) {
                Ordering::Less => range.start = middle + 1,
                Ordering::Equal => return Ok(Some(found.inode)),
                Ordering::Greater => range.end = middle,
            }
        }
        Ok(None)
    }

    /// How many names each inode has, or nothing if they all have one.
    ///
    /// That is so where there are as many dirents as inodes that want one, so
    /// mostly this need not count.
    pub fn link_counts(self) -> Option<Vec<u32>> {
        if self.image.dirents_len() == self.image.inodes() - 1 {
            return None;
        }
        Some(self.image.link_counts())
    }

    /// How many inodes there are; 0 is the root directory.
    pub fn inodes(self) -> u32 {
        self.image.inodes()
    }

    /// The data area's length.
    pub fn data_len(self) -> u64 {
        self.image.data_len()
    }

    /// What the program may add.
    pub fn limits(self) -> Limits {
        self.image.limits()
    }

    /// The dirents of a directory.
    fn range(self, directory: u32) -> Result<Range<u32>, ImageError> {
        let record = self.image.check_inode(directory)?;
        Ok(match record.kind {
            // Checked to exist, so both fit.
            DIRECTORY => record.start as u32..record.start as u32 + record.count,
            _ => 0..0,
        })
    }
}

/// How long the tables are that begin with these bytes, if the superblock can be
/// believed; the bytes may be fewer, as long as they hold a superblock, or more.
pub fn tables_len(bytes: &[u8]) -> Result<u32, ImageError> {
    Ok(Superblock::decode(Image::superblock(bytes)?.0).tables_len)
}
