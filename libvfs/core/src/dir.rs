//! A directory: its entries in the order they were added, found by name.
//!
//! 1. Cookies are a counter, not an index: a program may delete entries while
//!    it reads the directory (`rm -r` does), and an entry that stays must be
//!    listed exactly once. So each dentry keeps the cookie it was born with.
//! 2. A removed dentry leaves a gap in `entries`, so that positions in `index`
//!    hold; gaps are closed when they outnumber the dentries. Those at the front
//!    are counted, or a program that always removes the first entry it lists
//!    would step over all it has removed.
//! 3. Small directories are searched in line; the index exists only above
//!    [`LINEAR`] entries.

use alloc::vec::Vec;
use core::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use crate::bytes::Bytes;
use crate::errno::{Errno, Result};
use crate::inode::Ino;
use crate::name::Name;

/// Up to so many entries a look-up compares names one by one.
const LINEAR: usize = 8;

/// The cookie of the first entry; 0 is `.` and 1 is `..`.
pub const FIRST_COOKIE: u64 = 2;

/// One name in a directory.
#[derive(Debug)]
pub struct Dentry<'i> {
    name: Bytes<'i>,
    cookie: u64,
    /// `None` marks a gap.
    ino: Option<Ino>,
}

/// The entries of one directory.
#[derive(Debug)]
pub struct Directory<'i> {
    /// Where `..` leads; the root's leads to the root.
    pub parent: Ino,
    /// How many of the entries are directories; `st_nlink` is this and 2.
    pub subdirs: u32,
    /// Ascending cookies.
    entries: Vec<Dentry<'i>>,
    /// How many of `entries` are gaps before the first that is none.
    front: usize,
    /// Positions in `entries`; empty while the directory is small.
    index: HashTable<u32>,
    live: u32,
    next_cookie: u64,
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

/// The hash of the dentry at `position`, for the index to move it.
fn rehash<'e>(entries: &'e [Dentry<'_>]) -> impl Fn(&u32) -> u64 + 'e {
    |&position| hash(&entries[position as usize].name)
}

impl<'i> Directory<'i> {
    /// An empty directory.
    pub fn new(parent: Ino) -> Directory<'i> {
        Directory {
            parent,
            subdirs: 0,
            entries: Vec::new(),
            front: 0,
            index: HashTable::new(),
            live: 0,
            next_cookie: FIRST_COOKIE,
        }
    }

    /// How many entries there are, `.` and `..` not counted.
    pub fn len(&self) -> u32 {
        self.live
    }

    /// Whether only `.` and `..` are left.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Makes room for `additional` more entries, so that as many [`insert`]s
    /// cannot fail. `NOSPC` when memory is out.
    ///
    /// [`insert`]: Directory::insert
    pub fn reserve(&mut self, additional: u32) -> Result<()> {
        let additional = additional as usize;
        self.entries
            .try_reserve(additional)
            .map_err(|_| Errno::NOSPC)?;
        if !self.index.is_empty() || self.live as usize + additional > LINEAR {
            let missing = if self.index.is_empty() {
                self.live as usize + additional
            } else {
                additional
            };
            self.index
                .try_reserve(missing, rehash(&self.entries))
                .map_err(|_| Errno::NOSPC)?;
        }
        Ok(())
    }

    /// Adds `name`, which must not be there yet, behind all others. Room has
    /// been [reserved](Directory::reserve).
    pub fn insert(&mut self, name: Bytes<'i>, ino: Ino) {
        debug_assert!(self.find(&name).is_none());
        debug_assert!(self.entries.len() < self.entries.capacity());
        self.entries.push(Dentry {
            name,
            cookie: self.next_cookie,
            ino: Some(ino),
        });
        self.next_cookie += 1;
        self.live += 1;
        if !self.index.is_empty() {
            self.index_position(self.entries.len() - 1);
        } else if self.live as usize > LINEAR {
            self.rebuild_index();
        }
    }

    /// The inode that `name` leads to.
    pub fn get(&self, name: Name<'_>) -> Option<Ino> {
        self.entries[self.find(name.bytes())?].ino
    }

    /// Makes an existing `name` lead to `ino`; answers where it led before.
    pub fn replace(&mut self, name: Name<'_>, ino: Ino) -> Option<Ino> {
        let position = self.find(name.bytes())?;
        self.entries[position].ino.replace(ino)
    }

    /// Removes `name`; answers where it led.
    pub fn remove(&mut self, name: Name<'_>) -> Option<Ino> {
        let position = self.find(name.bytes())?;
        if !self.index.is_empty() {
            let entry = self
                .index
                .find_entry(hash(name.bytes()), |&p| p as usize == position);
            if let Ok(entry) = entry {
                entry.remove();
            }
        }
        let dentry = &mut self.entries[position];
        let ino = dentry.ino.take();
        dentry.name = Bytes::Borrowed(&[]);
        self.live -= 1;
        let gaps = self.entries[self.front..].iter();
        self.front += gaps.take_while(|d| d.ino.is_none()).count();
        self.close_gaps();
        ino
    }

    /// The cookie that the next entry will get.
    pub fn next_cookie(&self) -> u64 {
        self.next_cookie
    }

    /// The entries whose cookie is at least `from`: name, inode, own cookie.
    pub fn entries_from(&self, from: u64) -> impl Iterator<Item = (&[u8], Ino, u64)> {
        let entries = &self.entries[self.front..];
        let start = entries.partition_point(|d| d.cookie < from);
        entries[start..]
            .iter()
            .filter_map(|d| Some((&*d.name, d.ino?, d.cookie)))
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        if self.index.is_empty() {
            return self
                .entries
                .iter()
                .position(|d| d.ino.is_some() && *d.name == *name);
        }
        self.index
            .find(hash(name), |&p| *self.entries[p as usize].name == *name)
            .map(|&p| p as usize)
    }

    fn index_position(&mut self, position: usize) {
        let hash = hash(&self.entries[position].name);
        self.index
            .insert_unique(hash, position as u32, rehash(&self.entries));
    }

    /// Enters all live dentries anew; the capacity is already there.
    fn rebuild_index(&mut self) {
        self.index.clear();
        for position in 0..self.entries.len() {
            if self.entries[position].ino.is_some() {
                self.index_position(position);
            }
        }
    }

    fn close_gaps(&mut self) {
        let gaps = self.entries.len() - self.live as usize;
        if gaps <= LINEAR || gaps < self.live as usize {
            return;
        }
        self.entries.retain(|d| d.ino.is_some());
        self.front = 0;
        if self.live as usize > LINEAR {
            self.rebuild_index();
        } else {
            self.index = HashTable::new();
        }
        if self.live == 0 {
            // What a storm of files needed goes back to the allocator.
            self.entries = Vec::new();
        }
    }

    /// Asserts what the module comment promises.
    pub fn check(&self) {
        let live: Vec<&Dentry<'_>> = self.entries.iter().filter(|d| d.ino.is_some()).collect();
        assert_eq!(live.len(), self.live as usize, "live entries are counted");
        let gaps = self.entries.iter().take_while(|d| d.ino.is_none());
        assert_eq!(self.front, gaps.count(), "gaps at the front are counted");
        for pair in self.entries.windows(2) {
            assert!(pair[0].cookie < pair[1].cookie, "cookies ascend");
        }
        assert!(
            self.entries
                .last()
                .is_none_or(|d| d.cookie < self.next_cookie)
        );
        for dentry in &live {
            let name = Name::new(&dentry.name).expect("names are valid");
            assert_eq!(self.get(name), dentry.ino, "every name is found");
        }
        if !self.index.is_empty() {
            assert_eq!(self.index.len(), live.len(), "the index holds all entries");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn ino(n: u32) -> Ino {
        Ino::new(n).unwrap()
    }

    fn filled(n: u32) -> Directory<'static> {
        let mut dir = Directory::new(ino(1));
        for i in 0..n {
            dir.reserve(1).unwrap();
            dir.insert(Bytes::copy(format!("n{i}").as_bytes()).unwrap(), ino(i + 1));
        }
        dir.check();
        dir
    }

    #[test]
    fn entries_are_found_below_and_above_the_linear_limit() {
        let large = if cfg!(miri) { 50 } else { 5000 };
        for n in [0, 1, 7, 8, 9, 10, 100, large] {
            let dir = filled(n);
            for i in 0..n {
                let name = format!("n{i}");
                let found = dir.get(Name::new(name.as_bytes()).unwrap());
                assert_eq!(found, Some(ino(i + 1)));
            }
            assert_eq!(dir.get(Name::new(b"absent").unwrap()), None);
        }
    }

    #[test]
    fn deleting_while_reading_lists_every_remaining_entry_once() {
        let count = if cfg!(miri) { 50 } else { 1000 };
        let mut dir = filled(count);
        let mut seen = Vec::new();
        let mut cookie = 0;
        loop {
            let batch: Vec<_> = dir
                .entries_from(cookie)
                .take(7)
                .map(|(name, ino, c)| (name.to_vec(), ino, c))
                .collect();
            let Some(last) = batch.last() else { break };
            cookie = last.2 + 1;
            for (name, ino, _) in &batch {
                seen.push(*ino);
                assert_eq!(dir.remove(Name::new(name).unwrap()), Some(*ino));
                dir.check();
            }
        }
        assert_eq!(seen, (1..=count).map(ino).collect::<Vec<_>>());
        assert!(dir.is_empty());
    }

    #[test]
    fn a_million_creations_and_removals_need_no_room() {
        let mut dir = filled(3);
        let times = if cfg!(miri) { 2_000 } else { 1_000_000u32 };
        for i in 0..times {
            dir.reserve(1).unwrap();
            let name = i.to_le_bytes().map(|b| b | 0x80);
            dir.insert(Bytes::copy(&name).unwrap(), ino(9));
            dir.remove(Name::new(&name).unwrap()).unwrap();
        }
        assert!(dir.entries.capacity() < 64, "{}", dir.entries.capacity());
        dir.check();
    }
}
