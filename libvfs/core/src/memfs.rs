//! The inodes and what can be done to them, without paths or descriptors.
//!
//! Each operation checks everything and reserves all memory first; once it
//! changes something it cannot fail. "Removed" below means a directory that
//! was removed while a description held it: it has no entries and takes none.

use crate::bits::Bits;
use crate::bytes::Bytes;
use crate::data::{Backing, FileData, Space};
use crate::device::Device;
use crate::dir::Directory;
use crate::errno::{Errno, Result};
use crate::image::{self, Image};
use crate::inode::{Ino, Inode, Kind, Leads, Seen, SeenKind};
use crate::inodes::Inodes;
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

/// One file system.
#[derive(Debug)]
pub struct Memfs<'i> {
    inodes: Inodes<'i>,
    /// Inodes and their second and further names: how many there are, and how
    /// many there may be.
    used: u32,
    used_max: u32,
    space: Space,
    /// The directory whose entries changed last, if that is still to be dated.
    undated: Option<Ino>,
    /// What extents borrow.
    backing: Backing<'i>,
}

/// A regular file to be read or changed, and what that takes.
#[derive(Debug)]
pub struct Open<'a, 'i> {
    /// Its contents.
    pub data: &'a mut FileData,
    /// What they borrow.
    pub backing: &'a mut Backing<'i>,
    /// What the files may take of the memory.
    pub space: &'a mut Space,
    /// Its timestamps that are due.
    pub marks: &'a mut Marks,
}

impl<'i> Memfs<'i> {
    /// The root directory.
    pub const ROOT: Ino = Inodes::ROOT;

    /// Builds the directories of an image whose file contents are `data`.
    ///
    /// `NOSPC` when memory is out, `INVAL` when `data` is not as long as the
    /// image says, `NOTSUP` when files are compressed and there is no decoder.
    pub fn mount(image: &Image<'i>, data: &'i [u8]) -> Result<Memfs<'i>> {
        let mut fs = Memfs::new(image, data)?;
        fs.build()?;
        Ok(fs)
    }

    /// A file system that is yet to be [built](Memfs::build). `INVAL` as [`Memfs::mount`].
    pub(crate) fn new(image: &Image<'i>, data: &'i [u8]) -> Result<Memfs<'i>> {
        if data.len() as u64 != image.data_len() || u32::try_from(data.len()).is_err() {
            return Err(Errno::INVAL);
        }
        let limits = image.limits();
        // Each inode but the root has a name.
        let used = image.dirents_len().saturating_add(1);
        Ok(Memfs {
            inodes: Inodes::new(image),
            used,
            used_max: used.saturating_add(limits.inodes),
            space: Space::new(limits.bytes),
            undated: None,
            backing: Backing::new(data),
        })
    }

    /// Builds the directories. Errors as [`Memfs::mount`], and nothing is to be done with
    /// it then.
    pub(crate) fn build(&mut self) -> Result<()> {
        let image = self.tables();
        let count = image.inodes();
        let names_besides = self.used.saturating_sub(count);
        self.inodes.build(names_besides as usize)?;
        let mut named = Bits::new(count as usize).ok_or(Errno::NOSPC)?;
        for index in 0..count {
            let (Some(dir), image::Kind::Directory) =
                (Ino::new(index + 1), image.record(index).kind())
            else {
                continue;
            };
            // A directory stands behind its parent, which has made it.
            self.own(dir)?;
            let mut subdirs = 0;
            for dirent in image.dirents(index) {
                let child = Ino::new(dirent.inode + 1).ok_or(Errno::INVAL)?;
                let kind = image.record(dirent.inode).kind();
                if let image::Kind::Regular {
                    stored: Some(_), ..
                } = kind
                {
                    self.backing.prepare()?;
                }
                match kind {
                    image::Kind::Directory => {
                        self.own(child)?;
                        self.directory_mut(child)?.parent = dir;
                        subdirs += 1;
                    }
                    _ if named.get(dirent.inode) => {
                        self.own(child)?;
                        self.inode_mut(child).nlink += 1;
                    }
                    _ => {}
                }
                named.set(dirent.inode);
            }
            self.directory_mut(dir)?.subdirs = subdirs;
        }
        Ok(())
    }

    /// How many inodes there are, as [`Limits::inodes`](image::Limits::inodes) counts them.
    pub fn used_inodes(&self) -> u32 {
        self.used
    }

    /// The image, as it was packed.
    pub(crate) fn tables(&self) -> Image<'i> {
        self.inodes.image()
    }

    /// Makes a device that no dentry names and the limits do not count. `NOSPC` when
    /// memory is out.
    pub(crate) fn add_unnamed(&mut self, device: Device) -> Result<Ino> {
        self.inodes.reserve()?;
        self.used_max = self.used_max.saturating_add(1);
        self.add_inode(Inode::new(Kind::Device(device), 0))
    }

    /// Bytes that the files' written contents take.
    pub fn used_bytes(&self) -> u64 {
        self.space.used()
    }

    /// The image's data.
    pub fn image(&self) -> &'i [u8] {
        self.backing.data()
    }

    /// The inode of that number, if there is one: a removed one is there while
    /// something holds it. A number that no listing has shown may be one of another.
    pub fn find(&self, number: u32) -> Option<Ino> {
        self.inodes.find(number)
    }

    /// What can be seen of an inode that a dentry or a description holds.
    // Once, and not in every caller: it is large.
    #[inline(never)]
    pub fn inode(&self, ino: Ino) -> Seen<'_, 'i> {
        self.inodes.seen(ino)
    }

    /// What that inode is.
    // Once, and not in every caller: it is large.
    #[inline(never)]
    pub fn kind(&self, ino: Ino) -> SeenKind<'_, 'i> {
        self.inodes.seen(ino).kind()
    }

    /// Where a walk goes on from an inode.
    pub(crate) fn leads(&self, ino: Ino) -> Leads<'_, 'i> {
        match self.inodes.seen(ino) {
            Seen::Packed(record) => match record.target() {
                Some(target) => Leads::Link(target),
                None => Leads::Nowhere,
            },
            Seen::Own(inode) => match &inode.kind {
                Kind::Directory(directory) => Leads::Directory(directory),
                Kind::Symlink(target) => Leads::Link(target),
                Kind::Regular(_) | Kind::Device(_) => Leads::Nowhere,
            },
        }
    }

    /// The inode of that number, which has a [slot](Memfs::own): it is a
    /// directory, a description holds it, or it was never in the image.
    pub fn inode_mut(&mut self, ino: Ino) -> &mut Inode<'i> {
        match self.inodes.owned_mut(ino) {
            Some(inode) => inode,
            None => unreachable!("an inode without a slot is changed"),
        }
    }

    /// The inode of that number, which gets a slot if it has none, so that it can be
    /// changed and held. `NOSPC` when memory is out.
    pub fn own(&mut self, ino: Ino) -> Result<&mut Inode<'i>> {
        self.inodes.own(ino)?;
        Ok(self.inode_mut(ino))
    }

    /// The directory `ino`; `NOTDIR` if it is something else.
    pub fn directory(&self, ino: Ino) -> Result<&Directory<'i>> {
        match self.inodes.owned(ino).map(|inode| &inode.kind) {
            Some(Kind::Directory(dir)) => Ok(dir),
            _ => Err(Errno::NOTDIR),
        }
    }

    // Once, and not in every caller.
    #[inline(never)]
    fn directory_mut(&mut self, ino: Ino) -> Result<&mut Directory<'i>> {
        match self.inodes.owned_mut(ino).map(|inode| &mut inode.kind) {
            Some(Kind::Directory(dir)) => Ok(dir),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// The contents of the regular file `ino`. `BADF` if it is something else,
    /// which no [`File`](crate::fd::File) stands for, or has no [slot](Memfs::own).
    pub fn file(&self, ino: Ino) -> Result<&FileData> {
        match self.inodes.owned(ino).map(|inode| &inode.kind) {
            Some(Kind::Regular(data)) => Ok(data),
            _ => Err(Errno::BADF),
        }
    }

    /// As [`Memfs::file`], with what reading and changing it takes.
    pub fn file_mut(&mut self, ino: Ino) -> Result<Open<'_, 'i>> {
        match self.inodes.owned_mut(ino) {
            Some(Inode {
                kind: Kind::Regular(data),
                marks,
                ..
            }) => Ok(Open {
                data,
                backing: &mut self.backing,
                space: &mut self.space,
                marks,
            }),
            _ => Err(Errno::BADF),
        }
    }

    /// The device that `ino` is, if it is one.
    pub fn device(&self, ino: Ino) -> Option<Device> {
        match self.inode(ino) {
            Seen::Own(inode) => match inode.kind {
                Kind::Device(device) => Some(device),
                _ => None,
            },
            Seen::Packed(record) => record.device(),
        }
    }

    /// `ROFS` if what `ino` holds must not change.
    pub fn writable(&self, ino: Ino) -> Result<()> {
        if self.is_read_only(ino) {
            return Err(Errno::ROFS);
        }
        Ok(())
    }

    /// Carries out the marks of `ino`, which has a [slot](Memfs::own), and since the time
    /// is known now, those of the directory whose entries changed last.
    pub fn settle(&mut self, ino: Ino, now: Timestamp) {
        self.inode_mut(ino).settle(now);
        // It may be gone, and its number another's: to date that is right at any time.
        if let Some(dir) = self.undated.take()
            && let Some(inode) = self.inodes.owned_mut(dir)
        {
            inode.settle(now);
        }
    }

    /// The entries of `dir` have changed.
    fn changed(&mut self, dir: Ino) {
        self.inode_mut(dir).marks.add(Marks::MTIM);
        self.undated = Some(dir);
    }

    /// Whether the directory `dir` was removed.
    fn is_removed(&self, dir: Ino) -> bool {
        self.inodes.owned(dir).is_some_and(|inode| inode.nlink == 0)
    }

    // Once, and not in every caller.
    #[inline(never)]
    fn is_read_only(&self, ino: Ino) -> bool {
        self.inode(ino).read_only()
    }

    /// Whether `ino` is a directory.
    // Once, and not in every caller.
    #[inline(never)]
    pub fn is_directory(&self, ino: Ino) -> bool {
        self.directory(ino).is_ok()
    }

    /// The inode that `name` leads to in `dir`. `NOTDIR`, `NOENT`.
    pub fn lookup(&self, dir: Ino, name: Name<'_>) -> Result<Ino> {
        self.directory(dir)?.get(name).ok_or(Errno::NOENT)
    }

    /// `XDEV` if an entry would move between a directory that must not change
    /// and another, `ROFS` if it would within such.
    pub fn both_writable(&self, one: Ino, other: Ino) -> Result<()> {
        if self.is_read_only(one) != self.is_read_only(other) {
            return Err(Errno::XDEV);
        }
        self.writable(one)
    }

    /// Creates the entry `name` in `dir`, where there is none, and the inode behind it.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. `dir` is not a directory → `NOTDIR`
    /// 2. `dir` was removed         → `NOENT`
    /// 3. `dir` is read-only        → `ROFS`
    /// 4. there are as many inodes as there may be, or memory is out → `NOSPC`
    ///
    /// The only path on which inodes come into being. Compare fs/namei.c:
    /// do_mknodat().
    pub fn create(&mut self, dir: Ino, name: Name<'_>, new: New<'_>) -> Result<Ino> {
        self.vacant(dir, name)?;
        self.countable()?;
        let name = self.room(dir, name)?;
        let kind = match new {
            New::Regular => Kind::Regular(FileData::default()),
            New::Directory => Kind::Directory(Directory::new(dir)),
            New::Symlink(target) => Kind::Symlink(Bytes::copy(target)?),
        };
        self.inodes.reserve()?;
        let mut inode = Inode::new(kind, 0);
        inode.marks = Marks::ALL;
        let ino = self.add_inode(inode)?;
        self.insert(dir, name, ino)?;
        self.changed(dir);
        Ok(ino)
    }

    /// Adds the entry `name` of `dir`, where there is none, as another name of `ino`.
    ///
    /// Checked as [`Memfs::create`], and then: `ino` is read-only, `dir` is not →
    /// `XDEV`; `ino` is a directory → `PERM`.
    /// Compare fs/namei.c:do_linkat().
    pub fn link(&mut self, ino: Ino, dir: Ino, name: Name<'_>) -> Result<()> {
        self.vacant(dir, name)?;
        if self.is_read_only(ino) {
            return Err(Errno::XDEV);
        }
        if self.is_directory(ino) {
            return Err(Errno::PERM);
        }
        self.countable()?;
        self.own(ino)?;
        let name = self.room(dir, name)?;
        self.insert(dir, name, ino)?;
        self.used += 1;
        self.changed(dir);
        self.inode_mut(ino).marks.add(Marks::CTIM);
        Ok(())
    }

    /// Removes the entry `name` of `dir`, which is writable and where it leads to `ino`;
    /// that must not be a directory.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. the entry is a directory     → `ISDIR`
    /// 2. the entry is read-only       → `BUSY`
    ///
    /// The inode lives on while a description holds it. Compare fs/namei.c:
    /// do_unlinkat().
    pub fn unlink(&mut self, dir: Ino, name: Name<'_>, ino: Ino) -> Result<()> {
        debug_assert_eq!(self.lookup(dir, name), Ok(ino));
        if self.is_directory(ino) {
            return Err(Errno::ISDIR);
        }
        self.removable(ino)?;
        self.directory_mut(dir)?.remove(name);
        self.changed(dir);
        self.drop_name(ino);
        Ok(())
    }

    /// Removes the entry `name` of `dir`, which is writable and where it leads to `ino`;
    /// that must be an empty directory.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. the entry is no directory    → `NOTDIR`
    /// 2. the entry is read-only       → `BUSY`
    /// 3. the directory is not empty   → `NOTEMPTY`
    ///
    /// Compare fs/namei.c:do_rmdir().
    pub fn remove_directory(&mut self, dir: Ino, name: Name<'_>, ino: Ino) -> Result<()> {
        debug_assert_eq!(self.lookup(dir, name), Ok(ino));
        let empty = self.directory(ino)?.is_empty();
        self.removable(ino)?;
        if !empty {
            return Err(Errno::NOTEMPTY);
        }
        let parent = self.directory_mut(dir)?;
        parent.remove(name);
        parent.subdirs -= 1;
        self.changed(dir);
        self.drop_name(ino);
        Ok(())
    }

    /// Makes the entry `old_name` of `old_dir` the entry `new_name` of
    /// `new_dir`, replacing what is there.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. a parent is not a directory                        → `NOTDIR`
    /// 2. one parent is read-only → `XDEV`; both are         → `ROFS`
    /// 3. no entry `old_name`                                → `NOENT`
    /// 4. a directory would come to lie in itself            → `INVAL`
    /// 5. `new_dir` was removed                              → `NOENT`
    /// 6. both names lead to one inode                       → nothing to do
    /// 7. what would be replaced holds the entry             → `NOTEMPTY`
    /// 8. a directory would replace something else           → `NOTDIR`
    /// 9. something else would replace a directory           → `ISDIR`
    /// 10. either entry is read-only                         → `BUSY`
    /// 11. the replaced directory is not empty               → `NOTEMPTY`
    /// 12. memory is out                                     → `NOSPC`
    ///
    /// Compare fs/namei.c:do_renameat2() and vfs_rename().
    pub fn rename(
        &mut self,
        old_dir: Ino,
        old_name: Name<'_>,
        new_dir: Ino,
        new_name: Name<'_>,
    ) -> Result<()> {
        self.both_writable(old_dir, new_dir)?;
        let source = self.lookup(old_dir, old_name)?;
        let moves_directory = self.is_directory(source);
        if moves_directory && self.is_within(new_dir, source)? {
            return Err(Errno::INVAL);
        }
        let target = self.directory(new_dir)?.get(new_name);
        match target {
            None => {
                self.vacant(new_dir, new_name)?;
                self.removable(source)?;
                self.own(source)?;
                let name = self.room(new_dir, new_name)?;
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
                    _ => {}
                }
                self.removable(source)?;
                self.removable(target)?;
                if moves_directory && !self.directory(target)?.is_empty() {
                    return Err(Errno::NOTEMPTY);
                }
                self.own(source)?;
                self.directory_mut(new_dir)?.reserve(0)?;
                self.directory_mut(old_dir)?.remove(old_name);
                self.directory_mut(new_dir)?.replace(new_name, source);
                self.drop_name(target);
            }
        }
        if moves_directory {
            self.directory_mut(old_dir)?.subdirs -= 1;
            self.directory_mut(source)?.parent = new_dir;
        }
        self.changed(old_dir);
        self.changed(new_dir);
        self.inode_mut(source).marks.add(Marks::CTIM);
        Ok(())
    }

    /// A description takes hold of `ino`. `NOSPC` when memory is out.
    pub fn hold(&mut self, ino: Ino) -> Result<()> {
        self.own(ino)?.open += 1;
        Ok(())
    }

    /// A description lets go of `ino`, which is freed if nothing else keeps it.
    pub fn release(&mut self, ino: Ino) {
        let inode = self.inode_mut(ino);
        inode.open -= 1;
        if inode.open != 0 {
            return;
        }
        if inode.nlink == 0 {
            return self.free(ino);
        }
        if let Kind::Regular(data) = &mut inode.kind {
            data.trim();
        }
    }

    /// All inodes in use, for those who check them.
    pub fn inodes(&self) -> impl Iterator<Item = (Ino, Seen<'_, 'i>)> {
        self.inodes.iter()
    }

    /// Checks that `dir` can take `name`, which it does not have.
    fn vacant(&self, dir: Ino, name: Name<'_>) -> Result<()> {
        let Some(Inode {
            kind: Kind::Directory(directory),
            nlink,
            read_only,
            ..
        }) = self.inodes.owned(dir)
        else {
            return Err(Errno::NOTDIR);
        };
        debug_assert_eq!(directory.get(name), None);
        match (nlink, read_only) {
            (0, _) => Err(Errno::NOENT),
            (_, true) => Err(Errno::ROFS),
            _ => Ok(()),
        }
    }

    /// Makes room for an entry of `dir`; answers the name as it will be stored.
    /// `NOSPC` when memory is out.
    fn room(&mut self, dir: Ino, name: Name<'_>) -> Result<Bytes<'i>> {
        self.directory_mut(dir)?.reserve(1)?;
        Bytes::copy(name.bytes())
    }

    /// Checks that there may be one more inode or name of one. `NOSPC`.
    fn countable(&self) -> Result<()> {
        if self.used >= self.used_max {
            return Err(Errno::NOSPC);
        }
        Ok(())
    }

    /// Checks that the entry of a writable directory may go: a read-only one was
    /// made so by its own name, like a mount point. `BUSY`.
    fn removable(&self, ino: Ino) -> Result<()> {
        if self.is_read_only(ino) {
            return Err(Errno::BUSY);
        }
        Ok(())
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
        self.used += 1;
        self.inodes.add(inode)
    }

    // Once, and not in every caller.
    #[inline(never)]
    fn drop_name(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.owned_mut(ino) {
            inode.nlink -= 1;
            inode.marks.add(Marks::CTIM);
            match (inode.nlink, inode.open) {
                // The descriptions keep it, and it counts.
                (0, 1..) => return,
                (0, 0) => return self.free(ino),
                _ => {}
            }
        } else {
            // Its only name, and nothing holds it.
            self.inodes.remove_packed(ino);
        }
        self.used -= 1;
    }

    /// Gives back what `ino` takes, which has a slot and neither name nor description.
    fn free(&mut self, ino: Ino) {
        if let Some(Inode {
            kind: Kind::Regular(data),
            ..
        }) = self.inodes.free(ino)
        {
            self.space.give_back(data.heap_bytes());
        }
        self.used -= 1;
    }

    /// Whether `dir` is `ancestor` or lies below it.
    // Once, and not in every caller.
    #[inline(never)]
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
            if self.is_removed(dir) {
                return Ok(false);
            }
            dir = parent;
        }
    }
}
