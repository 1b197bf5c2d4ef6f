//! Names: link, symlink, rename, unlink.

use crate::abi;
use crate::errno::{Errno, Result};
use crate::host::Home;
use crate::inode::Ino;
use crate::memfs::{Memfs, New};
use crate::name::NameBuf;
use crate::resolve::{Follow, has_nul, resolve};
use crate::rights::Rights;
use crate::witx::Hook;

use super::Vfs;

/// Who serves a call with two directories.
enum Pair {
    /// We do.
    Ours,
    /// The host, with its descriptors.
    Host(u32, u32),
}

/// The directory in which a link or symlink is to be created, and `name` gets its name,
/// unless `path` rules it out.
///
/// 1. the walk fails                               → see [`resolve`]
/// 2. `.` or `..`                                  → `EXIST`
/// 3. a slash at the end asks for a directory: what is there is one → `EXIST`,
///    is none → `NOTDIR`; nothing there → `NOENT`
/// 4. it exists                                    → `EXIST`
///
/// Linux answers `EXIST` to a slash behind anything; wasmtime as written here.
fn vacant(fs: &Memfs<'_>, dir: Ino, path: &[u8], name: &mut NameBuf) -> Result<Ino> {
    let found = resolve(fs, dir, path, Follow::Slash)?;
    let parent = found.entry(Errno::EXIST, Errno::EXIST, name)?;
    if found.slash {
        found.existing(fs)?;
    }
    if found.slash || found.ino.is_some() {
        return Err(Errno::EXIST);
    }
    Ok(parent)
}

impl Vfs<'_> {
    /// One of ours and one of the host's → `XDEV`.
    fn pair(&mut self, home: &mut impl Home, call: Hook, first: u32, second: u32) -> Result<Pair> {
        let first = self.host_fd(home, first, call, Errno::NOTDIR)?;
        let second = self.host_fd(home, second, call, Errno::NOTDIR)?;
        match (first, second) {
            (Some(first), Some(second)) => Ok(Pair::Host(first, second)),
            (None, None) => Ok(Pair::Ours),
            _ => Err(Errno::XDEV),
        }
    }

    /// Gives a file another name.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. a descriptor is not open → `BADF`; any flag → `INVAL`: a symlink gets
    ///    the name itself, and wasmtime refuses to follow it; descriptors as
    ///    [`Vfs::path_open`], lacking `PATH_LINK_SOURCE` or `PATH_LINK_TARGET`
    ///    → `NOTCAPABLE`
    /// 2. the old path leads nowhere, see [`resolve`]
    /// 3. the new path is taken, see `vacant`
    /// 4. the old path leads to a directory → `PERM`
    ///
    /// Compare fs/namei.c:do_linkat().
    #[expect(clippy::too_many_arguments, reason = "the witx has them")]
    pub fn path_link(
        &mut self,
        home: &mut impl Home,
        old_fd: u32,
        old_flags: u32,
        old_path: u32,
        old_path_len: u32,
        new_fd: u32,
        new_path: u32,
        new_path_len: u32,
    ) -> Result<()> {
        if let Pair::Host(old, new) = self.pair(home, Hook::path_link, old_fd, new_fd)? {
            return home.path_link(
                old,
                old_flags,
                old_path,
                old_path_len,
                new,
                new_path,
                new_path_len,
            );
        }
        if old_flags != 0 {
            return Err(Errno::INVAL);
        }
        let new_dir = self.base(new_fd, Rights::PATH_LINK_TARGET)?;
        let needed = Rights::PATH_LINK_SOURCE;
        let ino = self.existing(home, old_fd, needed, old_path, old_path_len, Follow::Slash)?;
        let path = abi::path(home, new_path, new_path_len, &mut self.paths[0])?;
        let [name, _] = &mut self.names;
        let parent = vacant(&self.fs, new_dir, path, name)?;
        self.fs.link(ino, parent, name.name())
    }

    /// Creates a symlink to `old_path`, which is not looked up: it need not
    /// exist, and where it leads is confined when it is followed.
    ///
    /// 1. `fd` as [`Vfs::path_open`], lacking `PATH_SYMLINK` → `NOTCAPABLE`
    /// 2. an empty target → `NOENT`, a NUL in it → `INVAL`, too long →
    ///    `NAMETOOLONG`, an absolute one → `PERM` as in wasmtime
    /// 3. the path is taken, see `vacant`
    ///
    /// Compare fs/namei.c:do_symlinkat().
    pub fn path_symlink(
        &mut self,
        home: &mut impl Home,
        old_path: u32,
        old_path_len: u32,
        fd: u32,
        new_path: u32,
        new_path_len: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::path_symlink, Errno::NOTDIR)? {
            return home.path_symlink(old_path, old_path_len, host, new_path, new_path_len);
        }
        let dir = self.base(fd, Rights::PATH_SYMLINK)?;
        let [path_buffer, target_buffer] = &mut self.paths;
        let target = abi::path(home, old_path, old_path_len, target_buffer)?;
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if has_nul(target) {
            return Err(Errno::INVAL);
        }
        if target[0] == b'/' {
            return Err(Errno::PERM);
        }
        let path = abi::path(home, new_path, new_path_len, path_buffer)?;
        let [name, _] = &mut self.names;
        let parent = vacant(&self.fs, dir, path, name)?;
        self.fs.create(parent, name.name(), New::Symlink(target))?;
        Ok(())
    }

    /// Renames, replacing what has the new name.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. descriptors as [`Vfs::path_open`], lacking `PATH_RENAME_SOURCE` or
    ///    `PATH_RENAME_TARGET` → `NOTCAPABLE`
    /// 2. a walk fails, see [`resolve`]; `.` or `..` at an end → `BUSY`
    /// 3. one directory is read-only → `XDEV`; both are → `ROFS`
    /// 4. nothing to rename → `NOENT`
    /// 5. a slash behind either path, but no directory is renamed → `NOTDIR`
    /// 6. as [`Memfs::rename`](crate::memfs::Memfs::rename)
    ///
    /// Compare fs/namei.c:do_renameat2().
    #[expect(clippy::too_many_arguments, reason = "the witx has them")]
    pub fn path_rename(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        old_path: u32,
        old_path_len: u32,
        new_fd: u32,
        new_path: u32,
        new_path_len: u32,
    ) -> Result<()> {
        if let Pair::Host(old, new) = self.pair(home, Hook::path_rename, fd, new_fd)? {
            return home.path_rename(old, old_path, old_path_len, new, new_path, new_path_len);
        }
        let old_dir = self.base(fd, Rights::PATH_RENAME_SOURCE)?;
        let new_dir = self.base(new_fd, Rights::PATH_RENAME_TARGET)?;
        let [old_buffer, new_buffer] = &mut self.paths;
        let old_path = abi::path(home, old_path, old_path_len, old_buffer)?;
        let new_path = abi::path(home, new_path, new_path_len, new_buffer)?;
        let old = resolve(&self.fs, old_dir, old_path, Follow::Never)?;
        let new = resolve(&self.fs, new_dir, new_path, Follow::Never)?;
        let [old_name, new_name] = &mut self.names;
        let old_parent = old.entry(Errno::BUSY, Errno::BUSY, old_name)?;
        let new_parent = new.entry(Errno::BUSY, Errno::BUSY, new_name)?;
        self.fs.both_writable(old_parent, new_parent)?;
        let source = old.ino.ok_or(Errno::NOENT)?;
        if (old.slash || new.slash) && !self.fs.is_directory(source) {
            return Err(Errno::NOTDIR);
        }
        self.fs
            .rename(old_parent, old_name.name(), new_parent, new_name.name())
    }

    /// Removes a name that is not a directory's.
    ///
    /// `fd` as [`Vfs::path_open`], lacking `PATH_UNLINK_FILE` → `NOTCAPABLE`;
    /// then the walk, see [`resolve`]; `.` or `..` → `ISDIR`; a read-only
    /// directory → `ROFS`; a slash at the end and no directory → `NOTDIR`; then as
    /// [`Memfs::unlink`](crate::memfs::Memfs::unlink).
    pub fn path_unlink_file(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::path_unlink_file, Errno::NOTDIR)? {
            return home.path_unlink_file(host, path, path_len);
        }
        let dir = self.base(fd, Rights::PATH_UNLINK_FILE)?;
        let path = abi::path(home, path, path_len, &mut self.paths[0])?;
        let found = resolve(&self.fs, dir, path, Follow::Never)?;
        let [name, _] = &mut self.names;
        let parent = found.entry(Errno::ISDIR, Errno::ISDIR, name)?;
        self.fs.writable(parent)?;
        let ino = found.existing(&self.fs)?;
        self.fs.unlink(parent, name.name(), ino)
    }
}
