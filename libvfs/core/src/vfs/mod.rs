//! The calls of Preview 1 on one descriptor table.
//!
//! Each call is a method of [`Vfs`] of the witx's name, with the integers that
//! the program passed. It decides once, by one `match` on the descriptor, who
//! serves the call: the packed files, or the host with its own descriptor.
//!
//! 1. Out pointers are checked before anything changes.
//! 2. Only the host's calls of [`Access::calls`](crate::access::Access::calls) exist.
//!    What others would be asked for is answered here as for a pipe, see `Vfs::host_fd`.

mod device;
mod dir;
mod hosts;
mod io;
mod open;
mod path;
mod poll;
mod seek;
mod stat;
mod unstable;

use alloc::vec::Vec;

use crate::access::{Calls, Clock, Stream};
use crate::bytes::room;
use crate::device::Device;
use crate::errno::{Errno, Result};
use crate::fd::{Descriptor, Dir, FdTable, File, HostFd};
use crate::host::Home;
use crate::image::Image;
use crate::inode::{Ino, SeenKind};
use crate::memfs::Memfs;
use crate::name::NameBuf;
use crate::resolve::PATH_MAX;
use crate::rights::{Rights, fdflags};

/// Descriptors for which there is room from the start.
const FDS_AHEAD: usize = 8;

/// So many bytes are kept for what the program allocates first.
const ROOM: usize = 1 << 10;

/// A mounted file system and the program's descriptors.
#[derive(Debug)]
pub struct Vfs<'i> {
    fs: Memfs<'i>,
    fds: FdTable<'i>,
    /// The host's calls that there are.
    calls: Calls,
    /// What time the program may wait for.
    clock: Clock,
    /// All directories of the host are the program's.
    host_dirs: bool,
    /// The host's next descriptor that may join the table.
    joining: u32,
    /// Paths are copied here, out of reach of the program; two for the calls
    /// that take two. There is room for the longest, so that removing a file
    /// works when memory is out.
    paths: [Vec<u8>; 2],
    /// Likewise the names that are added or taken away.
    names: [NameBuf; 2],
}

impl<'i> Vfs<'i> {
    /// Mounts an image whose file contents are `data`: descriptors 0 to 2 are
    /// what it says, its preopens follow from 3. Behind them come those of the
    /// host that it names, and with `host_dirs` all.
    ///
    /// Errors as [`Memfs::mount`].
    pub fn mount(image: &Image<'i>, data: &'i [u8], host_dirs: bool) -> Result<Vfs<'i>> {
        let access = image.access();
        let directories = host_dirs || image.host_directories().len() != 0;
        let mut vfs = Vfs {
            fs: Memfs::new(image, data)?,
            fds: FdTable::default(),
            calls: access.calls(directories),
            clock: access.clock,
            host_dirs,
            joining: match directories || access.sockets {
                true => 3,
                false => hosts::JOINED,
            },
            paths: Default::default(),
            names: Default::default(),
        };
        // What each program writes to comes first: so it stands together, in the room ahead
        // of the image, with the blocks that the program allocates first.
        vfs.fds.grow(FDS_AHEAD)?;
        for path in &mut vfs.paths {
            *path = room(PATH_MAX)?;
        }
        for name in &mut vfs.names {
            *name = NameBuf::new()?;
        }
        let programs = room(ROOM)?;
        vfs.fs.build()?;
        drop(programs);
        for (fd, stream) in (0..).zip(&access.streams) {
            let ino = match *stream {
                Stream::Host | Stream::Closed => None,
                Stream::Null => Some(vfs.fs.add_unnamed(Device::Null)?),
                Stream::File(inode) => Ino::new(inode + 1),
            };
            let descriptor = match ino {
                // What a program prints would end in the file that gets the number.
                None if *stream == Stream::Closed => None,
                None => Some(Descriptor::Host(HostFd::new(fd))),
                Some(ino) => {
                    vfs.fs.hold(ino)?;
                    let (rights, flags) = match fd {
                        0 => (Rights::of_file(Rights::FD_READ), 0),
                        _ => (Rights::of_file(Rights::FD_WRITE), fdflags::APPEND as u16),
                    };
                    Some(Descriptor::File(File {
                        ino,
                        offset: 0,
                        flags,
                        rights,
                    }))
                }
            };
            vfs.fds.append(descriptor)?;
        }
        for preopen in image.preopens() {
            let ino = Ino::new(preopen.inode + 1).ok_or(Errno::INVAL)?;
            vfs.fs.hold(ino)?;
            vfs.fds.append(Some(Descriptor::Dir(Dir {
                ino,
                flags: 0,
                rights: Rights::DIRECTORY,
                inheriting: Rights::ALL,
                preopen: Some(preopen.name),
                listed_to: u64::MAX,
            })))?;
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

    /// Carries out the timestamps of `ino` that are due.
    #[inline]
    fn settle(&mut self, home: &mut impl Home, ino: Ino) {
        if !self.fs.inode(ino).marks().is_empty() {
            self.fs.settle(ino, home.now());
        }
    }

    /// Lets go of what a descriptor stood for.
    fn drop_descriptor(&mut self, home: &mut impl Home, descriptor: Descriptor<'i>) -> Result<()> {
        let ino = match descriptor {
            Descriptor::Host(host) if self.fds.holds_host(host.number) => return Ok(()),
            Descriptor::Host(host) => return home.fd_close(host.number),
            Descriptor::File(file) => file.ino,
            Descriptor::Dir(dir) => dir.ino,
        };
        let inode = self.fs.inode_mut(ino);
        if inode.open == 1 && inode.nlink != 0 && !inode.marks.is_empty() {
            self.fs.settle(ino, home.now());
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
                    let kind = self.fs.kind(file.ino);
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
