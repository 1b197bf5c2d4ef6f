//! A directory: its entries in the order they were added, found by name.
//!
//! 1. A packed directory lists its entries from the image until one is added or
//!    replaced; then they are copied up. Removing one must not need memory, so
//!    there is a bit for each that says so.
//! 2. Cookies are a counter, not an index: a program may delete entries while
//!    it reads the directory (`rm -r` does), and an entry that stays must be
//!    listed exactly once. So each dentry keeps the cookie it was born with.
//! 3. A removed dentry leaves a gap, so that positions in `index` hold; gaps are
//!    closed when they outnumber the dentries. Those at the front are counted,
//!    or a program that always removes the first entry it lists would step over
//!    all it has removed.
//! 4. Small directories are searched in line; the index exists only above
//!    `LINEAR` entries.

use alloc::vec::Vec;
use core::hash::Hasher;

use rustc_hash::FxHasher;

use crate::bits::Bits;
use crate::bytes::Bytes;
use crate::errno::{Errno, Result};
use crate::image::Dirents;
use crate::index::Index;
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
    entries: Entries<'i>,
    /// How many positions of `entries` are gaps before the first that is none.
    front: usize,
    /// Positions in `entries`; empty while the directory is small.
    index: Index,
    live: u32,
    next_cookie: u64,
}

/// Dentries and the gaps between them, by position.
#[derive(Debug)]
enum Entries<'i> {
    /// As they stand in the image; the cookies are their positions.
    Packed {
        dirents: Dirents<'i>,
        /// Which are gaps.
        removed: Bits,
    },
    /// Ascending cookies.
    Own(Vec<Dentry<'i>>),
}

impl<'i> Entries<'i> {
    /// How many positions there are.
    fn len(&self) -> usize {
        match self {
            Entries::Packed { dirents, .. } => dirents.len(),
            Entries::Own(dentries) => dentries.len(),
        }
    }

    /// The name at a position; a gap's means nothing.
    fn name(&self, position: usize) -> &[u8] {
        match self {
            Entries::Packed { dirents, .. } => dirents.get(position).name,
            Entries::Own(dentries) => &dentries[position].name,
        }
    }

    /// Where the dentry at a position leads; `None` for a gap.
    fn ino(&self, position: usize) -> Option<Ino> {
        match self {
            Entries::Packed { removed, .. } if removed.get(position as u32) => None,
            Entries::Packed { dirents, .. } => Ino::new(dirents.get(position).inode + 1),
            Entries::Own(dentries) => dentries[position].ino,
        }
    }

    /// Where `name`, from `front` on, stands and leads: of what is no gap.
    fn find(&self, front: usize, name: &[u8]) -> Option<(usize, Ino)> {
        match self {
            Entries::Packed { dirents, removed } => {
                let (position, inode) = dirents.lookup(name)?;
                let ino = Ino::new(inode + 1).filter(|_| !removed.get(position as u32));
                Some((position, ino?))
            }
            Entries::Own(dentries) => (front..)
                .zip(&dentries[front..])
                .filter(|(_, dentry)| *dentry.name == *name)
                .find_map(|(position, dentry)| Some((position, dentry.ino?))),
        }
    }

    /// The cookie at a position.
    fn cookie(&self, position: usize) -> u64 {
        match self {
            Entries::Packed { .. } => FIRST_COOKIE + position as u64,
            Entries::Own(dentries) => dentries[position].cookie,
        }
    }

    /// The first position whose cookie is at least `cookie`.
    fn position(&self, cookie: u64) -> usize {
        match self {
            Entries::Packed { dirents, .. } => {
                let position = cookie.saturating_sub(FIRST_COOKIE);
                position.min(dirents.len() as u64) as usize
            }
            Entries::Own(dentries) => dentries.partition_point(|d| d.cookie < cookie),
        }
    }

    /// Makes a gap.
    fn remove(&mut self, position: usize) {
        match self {
            Entries::Packed { removed, .. } => removed.set(position as u32),
            Entries::Own(dentries) => {
                dentries[position].ino = None;
                dentries[position].name = Bytes::Borrowed(&[]);
            }
        }
    }

    /// The dentries, copied up at their positions, with room for `additional`
    /// more. `NOSPC` when memory is out.
    fn own(&mut self, additional: usize) -> Result<&mut Vec<Dentry<'i>>> {
        if let Entries::Packed { dirents, removed } = self {
            let mut dentries = Vec::new();
            dentries
                .try_reserve(dirents.len() + additional)
                .map_err(|_| Errno::NOSPC)?;
            for (position, dirent) in (0..).zip(dirents.clone()) {
                let gone = removed.get(position);
                dentries.push(Dentry {
                    name: Bytes::Borrowed(if gone { &[] } else { dirent.name }),
                    cookie: FIRST_COOKIE + u64::from(position),
                    ino: Ino::new(dirent.inode + 1).filter(|_| !gone),
                });
            }
            *self = Entries::Own(dentries);
        }
        match self {
            Entries::Own(dentries) => {
                dentries.try_reserve(additional).map_err(|_| Errno::NOSPC)?;
                Ok(dentries)
            }
            Entries::Packed { .. } => unreachable!("they were copied up"),
        }
    }
}

fn hash(name: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish() as u32
}

impl<'i> Directory<'i> {
    /// An empty directory.
    pub fn new(parent: Ino) -> Directory<'i> {
        Directory {
            parent,
            subdirs: 0,
            entries: Entries::Own(Vec::new()),
            front: 0,
            index: Index::default(),
            live: 0,
            next_cookie: FIRST_COOKIE,
        }
    }

    /// A directory of the image. `NOSPC` when memory is out.
    pub fn packed(parent: Ino, dirents: Dirents<'i>) -> Result<Directory<'i>> {
        let len = dirents.len();
        let removed = Bits::new(len).ok_or(Errno::NOSPC)?;
        let mut directory = Directory {
            entries: Entries::Packed { dirents, removed },
            live: len as u32,
            next_cookie: FIRST_COOKIE + len as u64,
            ..Directory::new(parent)
        };
        if len > LINEAR {
            directory.index.reserve(len)?;
            directory.rebuild_index();
        }
        Ok(directory)
    }

    /// How many entries there are, `.` and `..` not counted.
    pub fn len(&self) -> u32 {
        self.live
    }

    /// Whether only `.` and `..` are left.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Makes room for `additional` more entries, so that as many [`insert`]s and
    /// any [`replace`] cannot fail. `NOSPC` when memory is out.
    ///
    /// [`insert`]: Directory::insert
    /// [`replace`]: Directory::replace
    pub fn reserve(&mut self, additional: u32) -> Result<()> {
        let additional = additional as usize;
        self.entries.own(additional)?;
        if !self.index.is_empty() || self.live as usize + additional > LINEAR {
            let missing = if self.index.is_empty() {
                self.live as usize + additional
            } else {
                additional
            };
            self.index.reserve(missing)?;
        }
        Ok(())
    }

    /// Adds `name`, which must not be there yet, behind all others. Room has
    /// been [reserved](Directory::reserve).
    pub fn insert(&mut self, name: Bytes<'i>, ino: Ino) {
        debug_assert!(self.find(&name).is_none());
        let Entries::Own(dentries) = &mut self.entries else {
            unreachable!("there is room only among own entries");
        };
        debug_assert!(dentries.len() < dentries.capacity());
        dentries.push(Dentry {
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
        Some(self.find(name.bytes())?.1)
    }

    /// Makes an existing `name` lead to `ino`; answers where it led before. Room
    /// has been [reserved](Directory::reserve).
    pub fn replace(&mut self, name: Name<'_>, ino: Ino) -> Option<Ino> {
        let (position, _) = self.find(name.bytes())?;
        let Entries::Own(dentries) = &mut self.entries else {
            unreachable!("only own entries can be replaced");
        };
        dentries[position].ino.replace(ino)
    }

    /// Removes `name`; answers where it led.
    pub fn remove(&mut self, name: Name<'_>) -> Option<Ino> {
        let (position, ino) = self.find(name.bytes())?;
        if !self.index.is_empty() {
            self.index.remove(hash(name.bytes()), position as u32);
        }
        self.entries.remove(position);
        self.live -= 1;
        while self.front < self.entries.len() && self.entries.ino(self.front).is_none() {
            self.front += 1;
        }
        self.close_gaps();
        Some(ino)
    }

    /// The cookie that the next entry will get.
    pub fn next_cookie(&self) -> u64 {
        self.next_cookie
    }

    /// The entries whose cookie is at least `from`: name, inode, own cookie.
    pub fn entries_from(&self, from: u64) -> impl Iterator<Item = (&[u8], Ino, u64)> {
        let start = self.entries.position(from).max(self.front);
        (start..self.entries.len()).filter_map(|position| {
            let ino = self.entries.ino(position)?;
            Some((
                self.entries.name(position),
                ino,
                self.entries.cookie(position),
            ))
        })
    }

    /// Where `name` stands and leads.
    fn find(&self, name: &[u8]) -> Option<(usize, Ino)> {
        if self.index.is_empty() {
            return self.entries.find(self.front, name);
        }
        let is = |position| self.entries.name(position as usize) == name;
        let position = self.index.find(hash(name), is)? as usize;
        Some((position, self.entries.ino(position)?))
    }

    fn index_position(&mut self, position: usize) {
        let hash = hash(self.entries.name(position));
        self.index.insert(hash, position as u32);
    }

    /// Enters all live dentries anew; the capacity is already there.
    fn rebuild_index(&mut self) {
        self.index.clear();
        for position in 0..self.entries.len() {
            if self.entries.ino(position).is_some() {
                self.index_position(position);
            }
        }
    }

    fn close_gaps(&mut self) {
        let gaps = self.entries.len() - self.live as usize;
        if gaps <= LINEAR || gaps < self.live as usize {
            return;
        }
        match &mut self.entries {
            // What a storm of files needed goes back to the allocator.
            entries if self.live == 0 => *entries = Entries::Own(Vec::new()),
            Entries::Own(dentries) => dentries.retain(|d| d.ino.is_some()),
            // The image takes no less room for it.
            Entries::Packed { .. } => return,
        }
        self.front = 0;
        if self.live as usize > LINEAR {
            self.rebuild_index();
        } else {
            self.index = Index::default();
        }
    }

    /// Asserts what the module comment promises.
    pub fn check(&self) {
        let positions = 0..self.entries.len();
        let inos: Vec<Option<Ino>> = positions.map(|p| self.entries.ino(p)).collect();
        let live = inos.iter().flatten().count();
        assert_eq!(live, self.live as usize, "live entries are counted");
        let gaps = inos.iter().take_while(|ino| ino.is_none());
        assert_eq!(self.front, gaps.count(), "gaps at the front are counted");
        let mut cookies = (0..inos.len()).map(|p| self.entries.cookie(p));
        assert!(
            cookies.clone().is_sorted_by(|one, next| one < next),
            "cookies ascend"
        );
        assert!(
            cookies
                .next_back()
                .is_none_or(|last| last < self.next_cookie)
        );
        for (position, ino) in inos.iter().enumerate().filter(|(_, ino)| ino.is_some()) {
            let name = Name::new(self.entries.name(position)).expect("names are valid");
            assert_eq!(self.get(name), *ino, "every name is found");
            assert_eq!(
                self.entries.position(self.entries.cookie(position)),
                position
            );
        }
        if !self.index.is_empty() {
            assert_eq!(self.index.len(), live, "the index holds all entries");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Image, Meta, NodeId, Tree, write};
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

    /// Runs `test` on a packed directory of `n` files.
    fn with_packed(n: u32, test: impl FnOnce(Directory<'_>)) {
        let mut tree = Tree::new(Meta::default());
        for i in 0..n {
            let name = format!("n{i:04}");
            let added = tree.add_file(NodeId::ROOT, name.as_bytes(), Meta::default(), 0, ());
            added.unwrap();
        }
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        let valid = tree.validate().unwrap();
        let tables = write(&valid).unwrap().tables;
        let image = Image::open(&tables).unwrap();
        let directory = Directory::packed(ino(1), image.dirents(0)).unwrap();
        directory.check();
        test(directory);
    }

    #[test]
    fn a_packed_directory_is_changed_like_any_other() {
        for n in [1, 8, 9, 100] {
            with_packed(n, |mut dir| {
                assert_eq!(dir.len(), n);
                let name = |i: u32| format!("n{i:04}").into_bytes();
                let (first, last) = (name(0), name(n - 1));
                let [first, last] = [&first, &last].map(|name| Name::new(name).unwrap());
                let last_cookie = dir.entries_from(0).last().unwrap().2;
                dir.reserve(1).unwrap();
                dir.check();
                assert_eq!(dir.replace(last, ino(7000)), Some(ino(n + 1)));
                assert_eq!(dir.entries_from(0).last().unwrap().2, last_cookie);
                dir.insert(Bytes::Borrowed(b"new"), ino(8000));
                dir.check();
                let new = dir.entries_from(last_cookie + 1).next().unwrap();
                assert_eq!((new.0, new.1), (&b"new"[..], ino(8000)));
                if n > 1 {
                    assert_eq!(dir.remove(first), Some(ino(2)));
                    assert_eq!(dir.get(first), None);
                }
                assert_eq!(dir.remove(last), Some(ino(7000)));
                dir.check();
                assert_eq!(dir.len(), (n + 1).saturating_sub(2).max(1));
            });
        }
    }

    #[test]
    fn a_packed_directory_is_emptied_while_it_is_read() {
        // Each removal is checked, and each check looks at all that is left.
        let many = if cfg!(miri) { 40 } else { 300 };
        for n in [7, 9, many] {
            with_packed(n, |mut dir| {
                let mut cookie = 0;
                let mut seen = 0;
                loop {
                    let next = dir.entries_from(cookie).next();
                    let Some((name, own)) = next.map(|(name, _, own)| (name.to_vec(), own)) else {
                        break;
                    };
                    cookie = own + 1;
                    dir.remove(Name::new(&name).unwrap()).unwrap();
                    dir.check();
                    seen += 1;
                    if seen == n / 2 {
                        // What was removed stays so where the rest is copied up.
                        dir.reserve(0).unwrap();
                        dir.check();
                    }
                }
                assert_eq!(seen, n);
                assert!(dir.is_empty());
            });
        }
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
        let Entries::Own(dentries) = &dir.entries else {
            panic!("nothing is packed");
        };
        assert!(dentries.capacity() < 64, "{}", dentries.capacity());
        dir.check();
    }
}
