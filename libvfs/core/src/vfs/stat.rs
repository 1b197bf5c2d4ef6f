//! Attributes: filestat, size, times, prestat.

use crate::abi::{self, Filestat};
use crate::data::SIZE_MAX;
use crate::errno::{Errno, Result};
use crate::fd::Descriptor;
use crate::host::Home;
use crate::inode::{Ino, SeenKind};
use crate::memfs::Memfs;
use crate::resolve::{Follow, resolve};
use crate::rights::{Filetype, Flags, Rights, SYMLINK_FOLLOW, fstflags};
use crate::time::{Marks, Timestamp};
use crate::witx::Hook;

use super::Vfs;

/// What an inode is, as the witx says it.
pub(super) fn filetype(kind: SeenKind<'_, '_>) -> Filetype {
    match kind {
        SeenKind::Regular(_) => Filetype::Regular,
        SeenKind::Directory(_) => Filetype::Directory,
        SeenKind::Symlink(_) => Filetype::Symlink,
        SeenKind::Device(_) => Filetype::CharacterDevice,
    }
}

/// The attributes of an inode whose timestamps are up to date.
fn filestat(fs: &Memfs<'_>, ino: Ino) -> Filestat {
    let inode = fs.inode(ino);
    let kind = inode.kind();
    let (nlink, size) = match kind {
        SeenKind::Regular(size) => (inode.nlink(), size),
        // As Linux counts: its name, its `.`, and the `..` of each child.
        SeenKind::Directory(_) if inode.nlink() == 0 => (0, 0),
        SeenKind::Directory(dir) => (2 + dir.subdirs, 0),
        SeenKind::Symlink(target) => (inode.nlink(), target.len() as u64),
        SeenKind::Device(_) => (inode.nlink(), 0),
    };
    Filestat {
        ino: u64::from(ino.number()),
        filetype: filetype(kind),
        nlink: u64::from(nlink),
        size,
        atim: inode.atim(),
        mtim: inode.mtim(),
        ctim: inode.ctim(),
    }
}

/// What a call does to the access and the modification time.
struct SetTimes {
    atim: SetTime,
    mtim: SetTime,
}

enum SetTime {
    Keep,
    Now,
    To(Timestamp),
}

impl SetTimes {
    /// Both `X` and `X_NOW`, or an unknown flag → `INVAL`.
    fn new(atim: Timestamp, mtim: Timestamp, flags: u32) -> Result<SetTimes> {
        let mut flags = Flags::new(flags);
        let mut decide = |explicit, now, time| match (flags.take(explicit), flags.take(now)) {
            (false, false) => Ok(SetTime::Keep),
            (false, true) => Ok(SetTime::Now),
            (true, false) => Ok(SetTime::To(time)),
            (true, true) => Err(Errno::INVAL),
        };
        let set = SetTimes {
            atim: decide(fstflags::ATIM, fstflags::ATIM_NOW, atim)?,
            mtim: decide(fstflags::MTIM, fstflags::MTIM_NOW, mtim)?,
        };
        flags.finish()?;
        Ok(set)
    }
}

impl Vfs<'_> {
    /// `ROFS` if the inode is read-only and a time is to be set.
    fn set_times(&mut self, home: &mut impl Home, ino: Ino, set: &SetTimes) -> Result<()> {
        if !matches!((&set.atim, &set.mtim), (SetTime::Keep, SetTime::Keep)) {
            self.fs.writable(ino)?;
        }
        self.fs.own(ino)?;
        let now = home.now();
        self.fs.settle(ino, now);
        let inode = self.fs.inode_mut(ino);
        for (set, time) in [(&set.atim, &mut inode.atim), (&set.mtim, &mut inode.mtim)] {
            match set {
                SetTime::Keep => continue,
                SetTime::Now => *time = now,
                SetTime::To(explicit) => *time = *explicit,
            }
            inode.ctim = now;
        }
        Ok(())
    }

    /// Attributes of what `fd` stands for. `BADF`, `FAULT`; `fd` lacks
    /// `FD_FILESTAT_GET` → `NOTCAPABLE`.
    pub fn fd_filestat_get(&mut self, home: &mut impl Home, fd: u32, stat: u32) -> Result<()> {
        self.expect(home, fd)?;
        let (ino, rights) = match self.fds.get(fd)? {
            Descriptor::Host(host) => return home.fd_filestat_get(host.number, stat),
            Descriptor::File(file) => (file.ino, file.rights),
            Descriptor::Dir(dir) => (dir.ino, dir.rights),
        };
        if !rights.contains(Rights::FD_FILESTAT_GET) {
            return Err(Errno::NOTCAPABLE);
        }
        self.settle(home, ino);
        home.store(stat, &filestat(&self.fs, ino).encode())
    }

    /// Attributes of what a path leads to.
    ///
    /// 1. `fd` is not open → `BADF`; unknown flags → `INVAL`; `fd` is no
    ///    directory → `NOTDIR`; it lacks `PATH_FILESTAT_GET` → `NOTCAPABLE`
    /// 2. the walk fails → see [`resolve`]; nothing there → `NOENT`; a slash
    ///    and no directory → `NOTDIR`
    ///
    /// Compare fs/stat.c:vfs_statx().
    pub fn path_filestat_get(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        flags: u32,
        path: u32,
        path_len: u32,
        stat: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::path_filestat_get, Errno::NOTDIR)? {
            return home.path_filestat_get(host, flags, path, path_len, stat);
        }
        let follow = follow(flags)?;
        let ino = self.existing(home, fd, Rights::PATH_FILESTAT_GET, path, path_len, follow)?;
        self.settle(home, ino);
        home.store(stat, &filestat(&self.fs, ino).encode())
    }

    /// Sets the size: cuts, or appends zeros that take no memory.
    ///
    /// 1. `fd` is not open, or a directory               → `BADF`
    /// 2. it lacks `FD_FILESTAT_SET_SIZE` (not opened for
    ///    writing), the size is 2^63 or more, or it is a
    ///    device                                         → `INVAL`
    ///
    /// Compare fs/open.c:do_ftruncate().
    pub fn fd_filestat_set_size(&mut self, home: &mut impl Home, fd: u32, size: u64) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::fd_filestat_set_size, Errno::INVAL)? {
            return home.fd_filestat_set_size(host, size);
        }
        match self.fds.get(fd)? {
            Descriptor::Host(_) | Descriptor::Dir(_) => Err(Errno::BADF),
            Descriptor::File(file)
                if !file.rights.contains(Rights::FD_FILESTAT_SET_SIZE) || size > SIZE_MAX =>
            {
                Err(Errno::INVAL)
            }
            Descriptor::File(file) => {
                let open = self.fs.file_mut(file.ino).map_err(|_| Errno::INVAL)?;
                open.data.set_size(open.space, size);
                open.marks.add(Marks::MTIM);
                Ok(())
            }
        }
    }

    /// Sets access and modification time. Contradicting or unknown flags →
    /// `INVAL`; `fd` lacks `FD_FILESTAT_SET_TIMES` → `NOTCAPABLE`; a read-only
    /// inode → `ROFS`.
    pub fn fd_filestat_set_times(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        atim: u64,
        mtim: u64,
        flags: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::fd_filestat_set_times, Errno::NOTSUP)? {
            return home.fd_filestat_set_times(host, atim, mtim, flags);
        }
        let (ino, rights) = match self.fds.get(fd)? {
            Descriptor::Host(_) => return Err(Errno::NOTSUP),
            Descriptor::File(file) => (file.ino, file.rights),
            Descriptor::Dir(dir) => (dir.ino, dir.rights),
        };
        let set = SetTimes::new(atim, mtim, flags)?;
        if !rights.contains(Rights::FD_FILESTAT_SET_TIMES) {
            return Err(Errno::NOTCAPABLE);
        }
        self.set_times(home, ino, &set)
    }

    /// As [`Vfs::fd_filestat_set_times`], on what a path leads to; the path is
    /// checked as in [`Vfs::path_filestat_get`].
    #[expect(clippy::too_many_arguments, reason = "the witx has them")]
    pub fn path_filestat_set_times(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        flags: u32,
        path: u32,
        path_len: u32,
        atim: u64,
        mtim: u64,
        fst_flags: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::path_filestat_set_times, Errno::NOTDIR)? {
            return home
                .path_filestat_set_times(host, flags, path, path_len, atim, mtim, fst_flags);
        }
        let follow = follow(flags)?;
        let set = SetTimes::new(atim, mtim, fst_flags)?;
        let needed = Rights::PATH_FILESTAT_SET_TIMES;
        let ino = self.existing(home, fd, needed, path, path_len, follow)?;
        self.set_times(home, ino, &set)
    }

    /// Says that `fd` was there from the start and how long its name is.
    /// Anything else → `BADF`, which ends a program's enumeration.
    pub fn fd_prestat_get(&mut self, home: &mut impl Home, fd: u32, prestat: u32) -> Result<()> {
        let host = self.host_fd(home, fd, Hook::fd_prestat_get, Errno::BADF)?;
        match (self.preopen(fd)?, host) {
            (Some(name), _) => home.store(prestat, &abi::prestat(name.len() as u32)),
            (None, Some(host)) => home.fd_prestat_get(host, prestat),
            (None, None) => Err(Errno::BADF),
        }
    }

    /// The name of a preopened directory, without a NUL. A buffer shorter than
    /// the name → `NAMETOOLONG`; not preopened → `BADF`.
    pub fn fd_prestat_dir_name(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<()> {
        let host = self.host_fd(home, fd, Hook::fd_prestat_dir_name, Errno::BADF)?;
        match (self.preopen(fd)?, host) {
            (Some(name), _) if (path_len as usize) < name.len() => Err(Errno::NAMETOOLONG),
            (Some(name), _) => home.store(path, name),
            (None, Some(host)) => home.fd_prestat_dir_name(host, path, path_len),
            (None, None) => Err(Errno::BADF),
        }
    }

    /// The name under which `fd` was there from the start, where it is not the
    /// host that knows.
    fn preopen(&self, fd: u32) -> Result<Option<&[u8]>> {
        Ok(match self.fds.get(fd)? {
            Descriptor::Dir(dir) => dir.preopen,
            Descriptor::Host(host) => host.preopen,
            Descriptor::File(_) => None,
        })
    }

    /// The inode that a path leads to, for calls that change no directory.
    pub(super) fn existing(
        &mut self,
        home: &impl Home,
        fd: u32,
        needed: Rights,
        path: u32,
        path_len: u32,
        follow: Follow,
    ) -> Result<Ino> {
        let dir = self.base(fd, needed)?;
        let path = abi::path(home, path, path_len, &mut self.paths[0])?;
        resolve(&self.fs, dir, path, follow)?.existing(&self.fs)
    }

    /// The directory that a path call starts from. `BADF`, `NOTDIR`, or
    /// `NOTCAPABLE` when it lacks `needed`.
    pub(super) fn base(&self, fd: u32, needed: Rights) -> Result<Ino> {
        match self.fds.get(fd)? {
            Descriptor::Dir(dir) if dir.rights.contains(needed) => Ok(dir.ino),
            Descriptor::Dir(_) => Err(Errno::NOTCAPABLE),
            Descriptor::File(_) | Descriptor::Host(_) => Err(Errno::NOTDIR),
        }
    }
}

/// `lookupflags` of a call that looks at an inode.
fn follow(lookupflags: u32) -> Result<Follow> {
    let mut flags = Flags::new(lookupflags);
    let follow = flags.take(SYMLINK_FOLLOW);
    flags.finish()?;
    Ok(if follow {
        Follow::Always
    } else {
        Follow::Slash
    })
}
