//! The inodes and what can be done to them, without paths or descriptors.
//!
//! Each operation checks everything and reserves all memory first; once it
//! changes something it cannot fail. "Removed" below means a directory that
//! was removed while a description held it: it has no entries and takes none.

use alloc::vec::Vec;

use crate::bytes::Bytes;
use crate::data::FileData;
use crate::dir::Directory;
use crate::errno::{Errno, Result};
use crate::image::{self, Image};
use crate::inode::{Ino, Inode, Kind};
use crate::name::Name;
use crate::time::{Marks, Timestamp};

/// What a call creates.
#[derive(Debug)]
pub enum New<'a> {
    /// An empty regular file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symlink to this target.
    Symlink(&'a [u8]),
}

#[derive(Debug)]
enum Slot<'i> {
    Used(Inode<'i>),
    /// Index of the next free slot.
    Free(Option<u32>),
}

/// All inodes of one file system.
#[derive(Debug)]
pub struct Memfs<'i> {
    /// `Ino` n stands in slot n - 1. The root is slot 0 and never freed.
    slots: Vec<Slot<'i>>,
    first_free: Option<u32>,
    /// The image's data, which extents borrow.
    image: &'i [u8],
}

impl<'i> Memfs<'i> {
    /// The root directory.
    pub const ROOT: Ino = Ino::new(1).expect("1 is not 0");

    /// Builds the inodes of an image whose file contents are `data`.
    ///
    /// `NOSPC` when memory is out, `INVAL` when `data` is not as long as the
    /// image says.
    pub fn mount(image: &Image<'i>, data: &'i [u8]) -> Result<Memfs<'i>> {
        if data.len() as u64 != image.data_len() || u32::try_from(data.len()).is_err() {
            return Err(Errno::INVAL);
        }
        let count = image.inodes();
        let mut fs = Memfs {
            slots: Vec::new(),
            first_free: None,
            image: data,
        };
        fs.slots
            .try_reserve_exact(count as usize)
            .map_err(|_| Errno::NOSPC)?;
        for index in 0..count {
            let packed = image.inode(index);
            let kind = match packed.kind {
                image::Kind::Regular { start, size } => {
                    Kind::Regular(FileData::packed(start as u32, size as u32))
                }
                image::Kind::Directory => Kind::Directory(Directory::new(Self::ROOT)),
                image::Kind::Symlink { target } => Kind::Symlink(Bytes::Borrowed(target)),
            };
            let mut inode = Inode::new(kind, packed.meta.mtime);
            inode.executable = packed.meta.executable;
            fs.slots.push(Slot::Used(inode));
        }
        fs.inode_mut(Self::ROOT).nlink = 1;
        for index in 0..count {
            let (Some(dir), image::Kind::Directory) =
                (Ino::new(index + 1), image.inode(index).kind)
            else {
                continue;
            };
            let dirents = image.dirents(index);
            fs.directory_mut(dir)?.reserve(dirents.len() as u32)?;
            for dirent in dirents {
                let child = Ino::new(dirent.inode + 1).ok_or(Errno::INVAL)?;
                fs.insert(dir, Bytes::Borrowed(dirent.name), child)?;
            }
        }
        Ok(fs)
    }

    /// The image's data.
    pub fn image(&self) -> &'i [u8] {
        self.image
    }

    /// The inode of that number, which a dentry or a description holds.
    pub fn inode(&self, ino: Ino) -> &Inode<'i> {
        match &self.slots[ino.slot()] {
            Slot::Used(inode) => inode,
            Slot::Free(_) => unreachable!("an inode in use was freed"),
        }
    }

    /// As [`Memfs::inode`].
    pub fn inode_mut(&mut self, ino: Ino) -> &mut Inode<'i> {
        match &mut self.slots[ino.slot()] {
            Slot::Used(inode) => inode,
            Slot::Free(_) => unreachable!("an inode in use was freed"),
        }
    }

    /// The directory `ino`; `NOTDIR` if it is something else.
    pub fn directory(&self, ino: Ino) -> Result<&Directory<'i>> {
        match &self.inode(ino).kind {
            Kind::Directory(dir) => Ok(dir),
            _ => Err(Errno::NOTDIR),
        }
    }

    fn directory_mut(&mut self, ino: Ino) -> Result<&mut Directory<'i>> {
        match &mut self.inode_mut(ino).kind {
            Kind::Directory(dir) => Ok(dir),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// The contents of the regular file `ino`. `BADF` if it is something else,
    /// which no [`File`](crate::fd::File) stands for.
    pub fn file(&self, ino: Ino) -> Result<&FileData> {
        match &self.inode(ino).kind {
            Kind::Regular(data) => Ok(data),
            _ => Err(Errno::BADF),
        }
    }

    /// As [`Memfs::file`], with the timestamps that a change marks.
    pub fn file_mut(&mut self, ino: Ino) -> Result<(&mut FileData, &mut Marks)> {
        let inode = self.inode_mut(ino);
        match &mut inode.kind {
            Kind::Regular(data) => Ok((data, &mut inode.marks)),
            _ => Err(Errno::BADF),
        }
    }

    /// Whether `ino` is a directory.
    pub fn is_directory(&self, ino: Ino) -> bool {
        matches!(self.inode(ino).kind, Kind::Directory(_))
    }

    /// The inode that `name` leads to in `dir`. `NOTDIR`, `NOENT`.
    pub fn lookup(&self, dir: Ino, name: Name<'_>) -> Result<Ino> {
        self.directory(dir)?.get(name).ok_or(Errno::NOENT)
    }

    /// Creates the entry `name` in `dir` and the inode behind it.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. `dir` is not a directory → `NOTDIR`
    /// 2. `dir` was removed         → `NOENT`
    /// 3. `name` exists             → `EXIST`
    /// 4. memory is out             → `NOSPC`
    ///
    /// The only path on which inodes come into being. Compare fs/namei.c:
    /// do_mknodat().
    pub fn create(
        &mut self,
        dir: Ino,
        name: Name<'_>,
        new: New<'_>,
        now: Timestamp,
    ) -> Result<Ino> {
        let name = self.vacant(dir, name)?;
        let kind = match new {
            New::Regular => Kind::Regular(FileData::default()),
            New::Directory => Kind::Directory(Directory::new(dir)),
            New::Symlink(target) => Kind::Symlink(Bytes::copy(target)?),
        };
        if self.first_free.is_none() {
            self.slots.try_reserve(1).map_err(|_| Errno::NOSPC)?;
        }
        let ino = self.add_inode(Inode::new(kind, now))?;
        self.insert(dir, name, ino)?;
        self.inode_mut(dir).touch(now);
        Ok(ino)
    }

    /// Adds the entry `name` of `dir` as another name of `ino`.
    ///
    /// Checked as [`Memfs::create`], and then: `ino` is a directory → `PERM`.
    /// Compare fs/namei.c:do_linkat().
    pub fn link(&mut self, ino: Ino, dir: Ino, name: Name<'_>, now: Timestamp) -> Result<()> {
        let name = self.vacant(dir, name)?;
        if self.is_directory(ino) {
            return Err(Errno::PERM);
        }
        self.insert(dir, name, ino)?;
        self.inode_mut(dir).touch(now);
        self.inode_mut(ino).ctim = now;
        Ok(())
    }

    /// Removes the entry `name` of `dir`; it must not be a directory.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. `dir` is not a directory     → `NOTDIR`
    /// 2. no entry `name`              → `NOENT`
    /// 3. the entry is a directory     → `ISDIR`
    ///
    /// The inode lives on while a description holds it. Compare fs/namei.c:
    /// do_unlinkat().
    pub fn unlink(&mut self, dir: Ino, name: Name<'_>, now: Timestamp) -> Result<()> {
        let ino = self.lookup(dir, name)?;
        if self.is_directory(ino) {
            return Err(Errno::ISDIR);
        }
        self.directory_mut(dir)?.remove(name);
        self.inode_mut(dir).touch(now);
        self.drop_name(ino, now);
        Ok(())
    }

    /// Removes the entry `name` of `dir`; it must be an empty directory.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. `dir` is not a directory     → `NOTDIR`
    /// 2. no entry `name`              → `NOENT`
    /// 3. the entry is no directory    → `NOTDIR`
    /// 4. the directory is not empty   → `NOTEMPTY`
    ///
    /// Compare fs/namei.c:do_rmdir().
    pub fn remove_directory(&mut self, dir: Ino, name: Name<'_>, now: Timestamp) -> Result<()> {
        let ino = self.lookup(dir, name)?;
        if !self.directory(ino)?.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        let parent = self.directory_mut(dir)?;
        parent.remove(name);
        parent.subdirs -= 1;
        self.inode_mut(dir).touch(now);
        self.drop_name(ino, now);
        Ok(())
    }

    /// Makes the entry `old_name` of `old_dir` the entry `new_name` of
    /// `new_dir`, replacing what is there.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. a parent is not a directory                        → `NOTDIR`
    /// 2. no entry `old_name`                                → `NOENT`
    /// 3. a directory would come to lie in itself            → `INVAL`
    /// 4. `new_dir` was removed                              → `NOENT`
    /// 5. both names lead to one inode                       → nothing to do
    /// 6. what would be replaced holds the entry             → `NOTEMPTY`
    /// 7. a directory would replace something else           → `NOTDIR`
    /// 8. something else would replace a directory           → `ISDIR`
    /// 9. the replaced directory is not empty                → `NOTEMPTY`
    /// 10. memory is out                                     → `NOSPC`
    ///
    /// Compare fs/namei.c:do_renameat2() and vfs_rename().
    pub fn rename(
        &mut self,
        old_dir: Ino,
        old_name: Name<'_>,
        new_dir: Ino,
        new_name: Name<'_>,
        now: Timestamp,
    ) -> Result<()> {
        let source = self.lookup(old_dir, old_name)?;
        let moves_directory = self.is_directory(source);
        if moves_directory && self.is_within(new_dir, source)? {
            return Err(Errno::INVAL);
        }
        let target = self.directory(new_dir)?.get(new_name);
        match target {
            None => {
                let name = self.vacant(new_dir, new_name)?;
                let new_parent = self.directory_mut(new_dir)?;
                // Before the old name goes: removing may give back the room.
                new_parent.insert(name, source);
                if moves_directory {
                    new_parent.subdirs += 1;
                }
                self.directory_mut(old_dir)?.remove(old_name);
            }
            Some(target) if target == source => return Ok(()),
            Some(target) if self.is_within(old_dir, target)? => return Err(Errno::NOTEMPTY),
            Some(target) => {
                match (moves_directory, self.is_directory(target)) {
                    (true, false) => return Err(Errno::NOTDIR),
                    (false, true) => return Err(Errno::ISDIR),
                    (true, true) if !self.directory(target)?.is_empty() => {
                        return Err(Errno::NOTEMPTY);
                    }
                    _ => {}
                }
                self.directory_mut(old_dir)?.remove(old_name);
                self.directory_mut(new_dir)?.replace(new_name, source);
                self.drop_name(target, now);
            }
        }
        if moves_directory {
            self.directory_mut(old_dir)?.subdirs -= 1;
            self.directory_mut(source)?.parent = new_dir;
        }
        self.inode_mut(old_dir).touch(now);
        self.inode_mut(new_dir).touch(now);
        self.inode_mut(source).ctim = now;
        Ok(())
    }

    /// A description takes hold of `ino`.
    pub fn hold(&mut self, ino: Ino) {
        self.inode_mut(ino).open += 1;
    }

    /// A description lets go of `ino`, which is freed if nothing else keeps it.
    pub fn release(&mut self, ino: Ino) {
        let inode = self.inode_mut(ino);
        inode.open -= 1;
        if inode.open == 0
            && let Kind::Regular(data) = &mut inode.kind
        {
            data.trim();
        }
        self.free_if_unused(ino);
    }

    /// All inodes in use.
    pub fn inodes(&self) -> impl Iterator<Item = (Ino, &Inode<'i>)> {
        (1..)
            .zip(&self.slots)
            .filter_map(|(number, slot)| match slot {
                Slot::Used(inode) => Some((Ino::new(number)?, inode)),
                Slot::Free(_) => None,
            })
    }

    /// Checks that `dir` can take `name` and makes room for it; answers the
    /// name as it will be stored.
    fn vacant(&mut self, dir: Ino, name: Name<'_>) -> Result<Bytes<'i>> {
        let removed = self.inode(dir).nlink == 0;
        let directory = self.directory_mut(dir)?;
        if removed {
            return Err(Errno::NOENT);
        }
        if directory.get(name).is_some() {
            return Err(Errno::EXIST);
        }
        directory.reserve(1)?;
        Bytes::copy(name.bytes())
    }

    /// Adds a dentry, for which there is room, and counts it.
    fn insert(&mut self, dir: Ino, name: Bytes<'i>, ino: Ino) -> Result<()> {
        let child = self.inode_mut(ino);
        child.nlink += 1;
        let is_directory = if let Kind::Directory(child) = &mut child.kind {
            child.parent = dir;
            true
        } else {
            false
        };
        let parent = self.directory_mut(dir)?;
        parent.insert(name, ino);
        parent.subdirs += u32::from(is_directory);
        Ok(())
    }

    fn add_inode(&mut self, inode: Inode<'i>) -> Result<Ino> {
        let slot = match self.first_free {
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
        };
        Ino::new(slot + 1).ok_or(Errno::NOSPC)
    }

    fn drop_name(&mut self, ino: Ino, now: Timestamp) {
        let inode = self.inode_mut(ino);
        inode.nlink -= 1;
        inode.ctim = now;
        self.free_if_unused(ino);
    }

    fn free_if_unused(&mut self, ino: Ino) {
        let inode = self.inode(ino);
        if inode.nlink == 0 && inode.open == 0 {
            self.slots[ino.slot()] = Slot::Free(self.first_free);
            self.first_free = Some(ino.slot() as u32);
        }
    }

    /// Whether `dir` is `ancestor` or lies below it.
    fn is_within(&self, mut dir: Ino, ancestor: Ino) -> Result<bool> {
        loop {
            if dir == ancestor {
                return Ok(true);
            }
            if dir == Self::ROOT {
                return Ok(false);
            }
            let parent = self.directory(dir)?.parent;
            // A removed directory's parent may be gone too.
            if self.inode(dir).nlink == 0 {
                return Ok(false);
            }
            dir = parent;
        }
    }
}
