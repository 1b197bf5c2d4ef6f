//! The calls of Preview 1 on one descriptor table.
//!
//! Each call is a method of [`Vfs`] of the witx's name, with the integers that
//! the program passed. It decides once, by one `match` on the descriptor, who
//! serves the call: the packed files, or the host with its own descriptor.
//!
//! 1. Out pointers are checked before anything changes.
//! 2. Without host directories only stdio is the host's, and only the calls of
//!    [`witx::STDIO`](crate::witx::STDIO) exist; the rest is answered here as
//!    for a stream, see [`Vfs::host_fd`].

mod device;
mod dir;
mod io;
mod open;
mod path;
mod poll;
mod seek;
mod stat;
mod unstable;

use alloc::vec::Vec;

use crate::bytes::Bytes;
use crate::errno::{Errno, Result};
use crate::fd::{Descriptor, Dir, FdTable};
use crate::host::Home;
use crate::image::Image;
use crate::inode::{Ino, SeenKind};
use crate::memfs::Memfs;
use crate::resolve::PATH_MAX;
use crate::rights::Rights;

/// The descriptors that the host opened before the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostDirs {
    /// They are not the program's.
    Denied,
    /// They join the table when a number is needed that it does not hold.
    Waiting,
    /// They are in the table.
    Adopted,
}

/// A mounted file system and the program's descriptors.
#[derive(Debug)]
pub struct Vfs<'i> {
    fs: Memfs<'i>,
    fds: FdTable<'i>,
    host_dirs: HostDirs,
    /// Paths are copied here, out of reach of the program; two for the calls
    /// that take two. There is room for the longest, so that removing a file
    /// works when memory is out.
    paths: [Vec<u8>; 2],
}

impl<'i> Vfs<'i> {
    /// Mounts an image whose file contents are `data`: descriptors 0 to 2 are
    /// the host's, the image's preopens follow from 3. With `host_dirs` those
    /// of the host come behind them.
    ///
    /// Errors as [`Memfs::mount`].
    pub fn mount(image: &Image<'i>, data: &'i [u8], host_dirs: bool) -> Result<Vfs<'i>> {
        let mut vfs = Vfs {
            fs: Memfs::mount(image, data)?,
            fds: FdTable::default(),
            host_dirs: if host_dirs {
                HostDirs::Waiting
            } else {
                HostDirs::Denied
            },
            paths: [Vec::new(), Vec::new()],
        };
        for buffer in &mut vfs.paths {
            buffer
                .try_reserve_exact(PATH_MAX)
                .map_err(|_| Errno::NOMEM)?;
        }
        for fd in 0..3 {
            vfs.fds.reserve()?;
            vfs.fds.insert(Descriptor::Host(fd));
        }
        for preopen in image.preopens() {
            let ino = Ino::new(preopen.inode + 1).ok_or(Errno::INVAL)?;
            vfs.fds.reserve()?;
            vfs.fs.hold(ino);
            vfs.fds.insert(Descriptor::Dir(Dir {
                ino,
                flags: 0,
                rights: Rights::DIRECTORY,
                inheriting: Rights::ALL,
                preopen: Some(Bytes::Borrowed(preopen.name)),
                listed_to: u64::MAX,
            }));
        }
        Ok(vfs)
    }

    /// The file system, for those who look at it from outside.
    pub fn fs(&self) -> &Memfs<'i> {
        &self.fs
    }

    /// The descriptors, likewise.
    pub fn fds(&self) -> &FdTable<'i> {
        &self.fds
    }

    /// The host's number of `fd`, if it is one of the host's, for a call that
    /// stdio does not need.
    ///
    /// `BADF` if `fd` is not open; `errno` if it is the host's but the host's
    /// directories are not the program's: the call does not exist then.
    fn host_fd(&mut self, home: &mut impl Home, fd: u32, errno: Errno) -> Result<Option<u32>> {
        self.expect(home, fd)?;
        match (self.fds.get(fd)?, self.host_dirs) {
            (Descriptor::Host(_), HostDirs::Denied) => Err(errno),
            (Descriptor::Host(host), _) => Ok(Some(*host)),
            _ => Ok(None),
        }
    }

    /// Adopts the host's descriptors if `fd` may be one of them.
    #[inline]
    fn expect(&mut self, home: &mut impl Home, fd: u32) -> Result<()> {
        if self.host_dirs == HostDirs::Waiting && self.fds.get(fd).is_err() {
            self.adopt(home)?;
        }
        Ok(())
    }

    /// Makes room for one more descriptor.
    fn reserve_fd(&mut self, home: &mut impl Home) -> Result<()> {
        if self.host_dirs == HostDirs::Waiting {
            self.adopt(home)?;
        }
        self.fds.reserve()
    }

    #[cold]
    fn adopt(&mut self, home: &mut impl Home) -> Result<()> {
        // Behind the packed ones, even where the program has closed some.
        let end = (3..).find(|&fd| !home.is_open(fd)).unwrap_or(3);
        self.fds
            .append((3..end as usize).map(|fd| Descriptor::Host(fd as u32)))?;
        self.host_dirs = HostDirs::Adopted;
        Ok(())
    }

    /// Carries out the timestamps of `ino` that are due.
    #[inline]
    fn settle(&mut self, home: &mut impl Home, ino: Ino) {
        if !self.fs.inode(ino).marks().is_empty() {
            let now = home.now();
            self.fs.inode_mut(ino).settle(now);
        }
    }

    /// Lets go of what a descriptor stood for.
    fn drop_descriptor(&mut self, home: &mut impl Home, descriptor: Descriptor<'i>) -> Result<()> {
        let ino = match descriptor {
            Descriptor::Host(fd) if self.fds.holds_host(fd) => return Ok(()),
            Descriptor::Host(fd) => return home.fd_close(fd),
            Descriptor::File(file) => file.ino,
            Descriptor::Dir(dir) => dir.ino,
        };
        let inode = self.fs.inode(ino);
        if inode.open() == 1 && inode.nlink() != 0 {
            self.settle(home, ino);
        }
        self.fs.release(ino);
        Ok(())
    }

    /// Asserts that everything is as the modules' comments promise.
    pub fn check_invariants(&self) {
        self.fs.check_invariants();
        self.fds.check();
        for (ino, inode) in self.fs.inodes() {
            let held = self
                .fds
                .iter()
                .filter(|(_, d)| d.ino() == Some(ino))
                .count();
            assert_eq!(inode.open() as usize, held, "descriptions are counted");
        }
        for (fd, descriptor) in self.fds.iter() {
            match descriptor {
                Descriptor::Host(_) => {}
                Descriptor::File(file) => {
                    let kind = self.fs.inode(file.ino).kind();
                    assert!(
                        matches!(kind, SeenKind::Regular(_) | SeenKind::Device(_)),
                        "fd {fd} is a file"
                    );
                    assert!(Rights::FILE.contains(file.rights));
                }
                Descriptor::Dir(dir) => {
                    assert!(self.fs.is_directory(dir.ino), "fd {fd} is a directory");
                    assert!(Rights::DIRECTORY.contains(dir.rights));
                }
            }
        }
    }
}
