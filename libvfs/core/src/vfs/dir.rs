//! Listing, creating and removing directories.

use crate::abi;
use crate::dir::Directory;
use crate::errno::{Errno, Result};
use crate::fd::Descriptor;
use crate::host::Home;
use crate::inode::{Ino, SeenKind};
use crate::memfs::{Memfs, New};
use crate::memory::Region;
use crate::resolve::{Follow, resolve};
use crate::rights::{Filetype, Rights};
use crate::time::Marks;
use crate::witx::Hook;

use super::Vfs;
use super::stat::filetype;

/// Writes dirents one behind the other until the buffer is full.
struct Listing<'h, H> {
    home: &'h mut H,
    left: Region,
}

impl<H: Home> Listing<'_, H> {
    /// Adds an entry, cut where the buffer ends; whether there is room left.
    fn add(&mut self, next: u64, ino: Ino, kind: Filetype, name: &[u8]) -> bool {
        let header = abi::dirent(next, u64::from(ino.number()), name.len() as u32, kind);
        for bytes in [&header, name] {
            let (to, rest) = self.left.split(bytes.len() as u32);
            self.home.write(to, &bytes[..to.len() as usize]);
            self.left = rest;
        }
        !self.left.is_empty()
    }
}

/// Lists `dir` from `cookie` up to `end`: `.` is 0, `..` is 1, entries follow.
fn list<H: Home>(
    fs: &Memfs<'_>,
    ino: Ino,
    dir: &Directory<'_>,
    cookie: u64,
    end: u64,
    to: &mut Listing<'_, H>,
) {
    let dots: [(&[u8], Ino); 2] = [(b".", ino), (b"..", dir.parent)];
    for own in cookie..2 {
        let (name, ino) = dots[own as usize];
        if !to.add(own + 1, ino, Filetype::Directory, name) {
            return;
        }
    }
    for (name, ino, own) in dir.entries_from(cookie).take_while(|e| e.2 < end) {
        if !to.add(own + 1, ino, filetype(fs.kind(ino)), name) {
            return;
        }
    }
}

impl Vfs<'_> {
    /// Lists the directory from `cookie` on.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. `fd` is not open → `BADF`; no directory → `NOTDIR`
    /// 2. it lacks `FD_READDIR`                   → `NOTCAPABLE`
    /// 3. a pointer outside the memory            → `FAULT`
    ///
    /// `bufused` is less than `buf_len` only at the end of the directory; else
    /// the last dirent may be cut anywhere and is asked for again. An entry
    /// that is there during the whole listing is in it exactly once, and one
    /// that came after cookie 0 was asked for is not in it.
    pub fn fd_readdir(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        buf: u32,
        buf_len: u32,
        cookie: u64,
        bufused: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::fd_readdir, Errno::NOTDIR)? {
            return home.fd_readdir(host, buf, buf_len, cookie, bufused);
        }
        let ino = self.base(fd, Rights::FD_READDIR)?;
        home.region(bufused, 4)?;
        let left = home.region(buf, buf_len)?;
        let mut listing = Listing { home, left };
        let directory = self.fs.directory(ino)?;
        let end = match self.fds.get_mut(fd)? {
            Descriptor::Dir(dir) => {
                if cookie == 0 {
                    dir.listed_to = directory.next_cookie();
                }
                dir.listed_to
            }
            Descriptor::File(_) | Descriptor::Host(_) => return Err(Errno::NOTDIR),
        };
        // A removed directory lists nothing, not even its dots.
        if !left.is_empty() && self.fs.inode(ino).nlink() != 0 {
            list(&self.fs, ino, directory, cookie, end, &mut listing);
        }
        let used = buf_len - listing.left.len();
        self.fs.inode_mut(ino).marks.add(Marks::ATIM);
        home.store_u32(bufused, used)
    }

    /// Creates a directory.
    ///
    /// `fd` as [`Vfs::path_open`], lacking `PATH_CREATE_DIRECTORY` →
    /// `NOTCAPABLE`; then the walk, see [`resolve`]; `.`, `..` or anything that
    /// exists → `EXIST`. A slash at the end is welcome. Compare
    /// fs/namei.c:do_mkdirat().
    pub fn path_create_directory(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::path_create_directory, Errno::NOTDIR)? {
            return home.path_create_directory(host, path, path_len);
        }
        let needed = Rights::PATH_CREATE_DIRECTORY;
        let dots = [Errno::EXIST, Errno::EXIST];
        let (parent, ino) = self.entry(home, fd, needed, path, path_len, dots)?;
        if ino.is_some() {
            return Err(Errno::EXIST);
        }
        let name = self.names[0].name();
        self.fs.create(parent, name, New::Directory)?;
        Ok(())
    }

    /// Removes an empty directory.
    ///
    /// `fd` as [`Vfs::path_open`], lacking `PATH_REMOVE_DIRECTORY` →
    /// `NOTCAPABLE`; then the walk, see [`resolve`]; `.` → `INVAL`, `..` →
    /// `NOTEMPTY`; a read-only directory → `ROFS`; nothing there → `NOENT`; then as
    /// [`Memfs::remove_directory`](crate::memfs::Memfs::remove_directory).
    pub fn path_remove_directory(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::path_remove_directory, Errno::NOTDIR)? {
            return home.path_remove_directory(host, path, path_len);
        }
        let needed = Rights::PATH_REMOVE_DIRECTORY;
        let dots = [Errno::INVAL, Errno::NOTEMPTY];
        let (parent, ino) = self.entry(home, fd, needed, path, path_len, dots)?;
        self.fs.writable(parent)?;
        let ino = ino.ok_or(Errno::NOENT)?;
        let name = self.names[0].name();
        self.fs.remove_directory(parent, name, ino)
    }

    /// The directory of the entry that a path ends in, and where that leads, if it is
    /// there; its name is copied. `dots` are what the call answers to `.` and `..`.
    fn entry(
        &mut self,
        home: &impl Home,
        fd: u32,
        needed: Rights,
        path: u32,
        path_len: u32,
        dots: [Errno; 2],
    ) -> Result<(Ino, Option<Ino>)> {
        let dir = self.base(fd, needed)?;
        let path = abi::path(home, path, path_len, &mut self.paths[0])?;
        let found = resolve(&self.fs, dir, path, Follow::Never)?;
        let parent = found.entry(dots[0], dots[1], &mut self.names[0])?;
        Ok((parent, found.ino))
    }

    /// The target of a symlink, cut to the buffer and without a NUL.
    ///
    /// `fd` as [`Vfs::path_open`], lacking `PATH_READLINK` → `NOTCAPABLE`; then
    /// the walk, see [`resolve`]; nothing there → `NOENT`; no symlink →
    /// `INVAL`. Compare fs/stat.c:do_readlinkat().
    #[expect(clippy::too_many_arguments, reason = "the witx has them")]
    pub fn path_readlink(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        path: u32,
        path_len: u32,
        buf: u32,
        buf_len: u32,
        bufused: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::path_readlink, Errno::NOTDIR)? {
            return home.path_readlink(host, path, path_len, buf, buf_len, bufused);
        }
        let ino = self.existing(
            home,
            fd,
            Rights::PATH_READLINK,
            path,
            path_len,
            Follow::Slash,
        )?;
        home.region(bufused, 4)?;
        let to = home.region(buf, buf_len)?;
        let SeenKind::Symlink(target) = self.fs.kind(ino) else {
            return Err(Errno::INVAL);
        };
        let (to, _) = to.split(target.len() as u32);
        home.write(to, &target[..to.len() as usize]);
        // Reading needs no memory: without any, the access goes unnoticed.
        if let Ok(inode) = self.fs.own(ino) {
            inode.marks.add(Marks::ATIM);
        }
        home.store_u32(bufused, to.len())
    }
}
