//! Reading and writing.

use crate::abi::Iovs;
use crate::data::SIZE_MAX;
use crate::errno::{Errno, Result};
use crate::extent::Piece;
use crate::fd::{Descriptor, File};
use crate::host::Home;
use crate::inode::SeenKind;
use crate::memfs::{Memfs, Open};
use crate::rights::{Rights, fdflags};
use crate::time::Marks;
use crate::witx::Hook;

use super::{Vfs, device};

/// Copies the file's bytes from `offset` on to the buffers; answers how many.
fn read_at(
    fs: &mut Memfs<'_>,
    home: &mut impl Home,
    file: &File,
    mut iovs: Iovs,
    mut offset: u64,
) -> Result<u32> {
    let Ok(Open {
        data,
        backing,
        marks,
        ..
    }) = fs.file_mut(file.ino)
    else {
        let device = fs.device(file.ino).ok_or(Errno::BADF)?;
        return device::read(device, home, iovs);
    };
    if iovs.left() != 0 {
        marks.add(Marks::ATIM);
    }
    let mut total = 0;
    while let Some(mut to) = iovs.next(home) {
        for piece in data.pieces(backing.data(), offset, u64::from(to.len())) {
            let (head, tail) = match piece {
                Piece::Bytes(bytes) => {
                    let (head, tail) = to.split(bytes.len() as u32);
                    home.write(head, bytes);
                    (head, tail)
                }
                Piece::Frame(part) => {
                    let bytes = match backing.decoded(part) {
                        Ok(bytes) => bytes,
                        // What was read up to there is answered.
                        Err(_) if total != 0 => return Ok(total),
                        Err(errno) => return Err(errno),
                    };
                    let (head, tail) = to.split(bytes.len() as u32);
                    home.write(head, bytes);
                    (head, tail)
                }
                Piece::Hole(len) => {
                    let (head, tail) = to.split(len as u32);
                    home.zero(head);
                    (head, tail)
                }
            };
            to = tail;
            total += head.len();
            offset += u64::from(head.len());
        }
        if !to.is_empty() {
            break;
        }
    }
    Ok(total)
}

/// Copies the buffers to the file from `offset` on; answers how many bytes.
fn write_at(
    fs: &mut Memfs<'_>,
    home: &mut impl Home,
    file: &File,
    mut iovs: Iovs,
    mut offset: u64,
) -> Result<u32> {
    let Ok(Open {
        data,
        backing,
        space,
        marks,
    }) = fs.file_mut(file.ino)
    else {
        let device = fs.device(file.ino).ok_or(Errno::BADF)?;
        return device::write(device, iovs);
    };
    let mut total = 0;
    while let Some(from) = iovs.next(home) {
        match data.write(backing, space, home, from, offset) {
            Ok(len) => {
                total += len;
                offset += u64::from(len);
                if len < from.len() {
                    break;
                }
            }
            // What earlier buffers wrote stays written.
            Err(errno) if total == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    if total != 0 {
        marks.add(Marks::MTIM);
    }
    Ok(total)
}

/// Where a write goes that is asked for at `offset`: with `APPEND` to the end.
#[inline]
fn write_offset(fs: &Memfs<'_>, file: &File, offset: u64) -> Result<u64> {
    if u32::from(file.flags) & fdflags::APPEND == 0 {
        return Ok(offset);
    }
    append_offset(fs, file, offset)
}

// Once, and not in every caller.
#[inline(never)]
fn append_offset(fs: &Memfs<'_>, file: &File, offset: u64) -> Result<u64> {
    match fs.device(file.ino) {
        Some(_) => Ok(offset),
        None => Ok(fs.file(file.ino)?.size()),
    }
}

impl Vfs<'_> {
    /// Reads from the offset on and moves it.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. `fd` is not open, not for reading, or a directory → `BADF`
    /// 2. too many buffers                                  → `INVAL`
    /// 3. a pointer outside the memory                      → `FAULT`
    /// 4. buffers of together 2^31 bytes                    → `INVAL`
    /// 5. the last byte would be past 2^63 - 1              → `INVAL`
    ///
    /// 0 at or past the end. Linux would answer `ISDIR` to a directory; wasmtime
    /// does not. Compare fs/read_write.c:vfs_read().
    pub fn fd_read(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        nread: u32,
    ) -> Result<()> {
        self.expect(home, fd)?;
        match self.fds.get_mut(fd)? {
            Descriptor::Host(_) if !self.calls.has(Hook::fd_read) => Err(Errno::BADF),
            Descriptor::Host(host) => home.fd_read(host.number, iovs, iovs_len, nread),
            Descriptor::Dir(_) => Err(Errno::BADF),
            Descriptor::File(file) => {
                let iovs = readable(home, file, iovs, iovs_len, file.offset, nread)?;
                let len = read_at(&mut self.fs, home, file, iovs, file.offset)?;
                file.offset += u64::from(len);
                home.store_u32(nread, len)
            }
        }
    }

    /// Reads from `offset` on; the descriptor's own stays. Checked as
    /// [`Vfs::fd_read`].
    pub fn fd_pread(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        offset: u64,
        nread: u32,
    ) -> Result<()> {
        if let Ok(Descriptor::File(file)) = self.fds.get(fd) {
            let iovs = readable(home, file, iovs, iovs_len, offset, nread)?;
            let len = read_at(&mut self.fs, home, file, iovs, offset)?;
            home.store_u32(nread, len)
        } else if let Some(host) = self.host_fd(home, fd, Hook::fd_pread, Errno::SPIPE)? {
            home.fd_pread(host, iovs, iovs_len, offset, nread)
        } else {
            Err(Errno::BADF)
        }
    }

    /// Writes at the offset, or at the end with `APPEND`, and moves it.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. `fd` is not open, not for writing, or a directory → `BADF`
    /// 2. too many buffers                                  → `INVAL`
    /// 3. a pointer outside the memory                      → `FAULT`
    /// 4. buffers of together 2^31 bytes                    → `INVAL`
    /// 5. the last byte would be past 2^63 - 1              → `INVAL`;
    ///    only with `APPEND` at the end                     → `FBIG`
    /// 6. memory is out before the first byte               → `NOSPC`
    ///
    /// Compare fs/read_write.c:vfs_write().
    pub fn fd_write(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        nwritten: u32,
    ) -> Result<()> {
        self.expect(home, fd)?;
        match self.fds.get_mut(fd)? {
            Descriptor::Host(_) if !self.calls.has(Hook::fd_write) => Err(Errno::BADF),
            Descriptor::Host(host) if host.read_only => Err(Errno::ROFS),
            Descriptor::Host(host) => home.fd_write(host.number, iovs, iovs_len, nwritten),
            Descriptor::Dir(_) => Err(Errno::BADF),
            Descriptor::File(file) => {
                let iovs = writable(home, file, iovs, iovs_len, file.offset, nwritten)?;
                let offset = write_offset(&self.fs, file, file.offset)?;
                let len = write_at(&mut self.fs, home, file, iovs, offset)?;
                if len != 0 {
                    file.offset = offset + u64::from(len);
                }
                home.store_u32(nwritten, len)
            }
        }
    }

    /// Writes at `offset`, or at the end with `APPEND` (POSIX asks for `offset`
    /// even then; Linux and wasmtime append); the descriptor's own stays.
    /// Checked as [`Vfs::fd_write`].
    pub fn fd_pwrite(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        offset: u64,
        nwritten: u32,
    ) -> Result<()> {
        if let Ok(Descriptor::File(file)) = self.fds.get(fd) {
            let iovs = writable(home, file, iovs, iovs_len, offset, nwritten)?;
            let offset = write_offset(&self.fs, file, offset)?;
            let len = write_at(&mut self.fs, home, file, iovs, offset)?;
            home.store_u32(nwritten, len)
        } else if let Some(host) = self.host_fd(home, fd, Hook::fd_pwrite, Errno::SPIPE)? {
            home.fd_pwrite(host, iovs, iovs_len, offset, nwritten)
        } else {
            Err(Errno::BADF)
        }
    }

    /// Writes to the regular file of that number at `offset`, whatever the program has
    /// open; answers how many bytes. For those who keep a log in the file system.
    ///
    /// No such file → `NOENT`; else as [`Vfs::fd_pwrite`].
    pub fn write_to(
        &mut self,
        home: &mut impl Home,
        number: u32,
        iovs: u32,
        iovs_len: u32,
        offset: u64,
    ) -> Result<u32> {
        let ino = self.fs.find(number).ok_or(Errno::NOENT)?;
        let SeenKind::Regular(_) = self.fs.kind(ino) else {
            return Err(Errno::NOENT);
        };
        self.fs.own(ino)?;
        let file = File {
            ino,
            offset,
            flags: 0,
            rights: Rights::FILE,
        };
        let iovs = buffers(home, iovs, iovs_len, offset, 0)?;
        write_at(&mut self.fs, home, &file, iovs, offset)
    }

    /// Makes sure that `offset..offset + len` exists and has its memory.
    ///
    /// 1. `fd` is not open, or a directory                  → `BADF`
    /// 2. `len` is 0, or it or `offset` is 2^63 or more     → `INVAL`
    /// 3. `fd` is not open for writing                      → `BADF`
    /// 4. `FD_ALLOCATE` was not asked for when opening      → `NOTSUP`
    /// 5. it is a device                                    → `NODEV`
    /// 6. the end would be past 2^63 - 1                    → `FBIG`
    /// 7. memory is out                                     → `NOSPC`
    ///
    /// Compare posix_fallocate().
    pub fn fd_allocate(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::fd_allocate, Errno::SPIPE)? {
            return home.fd_allocate(host, offset, len);
        }
        match self.fds.get(fd)? {
            Descriptor::Host(_) | Descriptor::Dir(_) => Err(Errno::BADF),
            Descriptor::File(_) if len == 0 || len.max(offset) > SIZE_MAX => Err(Errno::INVAL),
            Descriptor::File(file) if !file.rights.contains(Rights::FD_WRITE) => Err(Errno::BADF),
            Descriptor::File(file) if !file.rights.contains(Rights::FD_ALLOCATE) => {
                Err(Errno::NOTSUP)
            }
            Descriptor::File(file) if self.fs.device(file.ino).is_some() => Err(Errno::NODEV),
            Descriptor::File(_) if offset + len > SIZE_MAX => Err(Errno::FBIG),
            Descriptor::File(file) => {
                let Open {
                    data,
                    backing,
                    space,
                    marks,
                } = self.fs.file_mut(file.ino)?;
                data.allocate(backing, space, offset, len)?;
                marks.add(Marks::MTIM);
                Ok(())
            }
        }
    }

    /// Takes note of how the file will be used, which changes nothing here.
    /// Unknown advice or a length of 2^63 or more → `INVAL`, a directory →
    /// `BADF`.
    pub fn fd_advise(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        offset: u64,
        len: u64,
        advice: u32,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::fd_advise, Errno::SPIPE)? {
            return home.fd_advise(host, offset, len, advice);
        }
        match self.fds.get(fd)? {
            Descriptor::Host(_) | Descriptor::Dir(_) => Err(Errno::BADF),
            Descriptor::File(file) if !file.rights.contains(Rights::FD_ADVISE) => {
                Err(Errno::NOTCAPABLE)
            }
            // NORMAL, SEQUENTIAL, RANDOM, WILLNEED, DONTNEED, NOREUSE.
            Descriptor::File(_) if advice > 5 || len > SIZE_MAX => Err(Errno::INVAL),
            Descriptor::File(_) => Ok(()),
        }
    }

    /// Carries out the timestamps that are due; the contents need no
    /// synchronising.
    ///
    /// 1. `fd` is not open       → `BADF`
    /// 2. it lacks `FD_SYNC`     → `NOTCAPABLE`; a directory → `BADF`
    /// 3. it is a device         → `INVAL`
    ///
    /// Linux synchronises any directory, wasmtime none.
    pub fn fd_sync(&mut self, home: &mut impl Home, fd: u32) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::fd_sync, Errno::INVAL)? {
            return home.fd_sync(host);
        }
        self.synchronise(home, fd, Rights::FD_SYNC)
    }

    /// As [`Vfs::fd_sync`], with the right `FD_DATASYNC`.
    pub fn fd_datasync(&mut self, home: &mut impl Home, fd: u32) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::fd_datasync, Errno::INVAL)? {
            return home.fd_datasync(host);
        }
        self.synchronise(home, fd, Rights::FD_DATASYNC)
    }

    fn synchronise(&mut self, home: &mut impl Home, fd: u32, needed: Rights) -> Result<()> {
        let ino = match self.fds.get(fd)? {
            Descriptor::File(file) if !file.rights.contains(needed) => {
                return Err(Errno::NOTCAPABLE);
            }
            Descriptor::File(file) if self.fs.device(file.ino).is_some() => {
                return Err(Errno::INVAL);
            }
            Descriptor::File(file) => file.ino,
            Descriptor::Dir(dir) if dir.rights.contains(needed) => dir.ino,
            Descriptor::Dir(_) | Descriptor::Host(_) => return Err(Errno::BADF),
        };
        self.settle(home, ino);
        Ok(())
    }
}

/// Checks a read at `offset` and its pointers.
#[inline]
fn readable(
    home: &impl Home,
    file: &File,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Result<Iovs> {
    if !file.rights.contains(Rights::FD_READ) {
        return Err(Errno::BADF);
    }
    buffers(home, iovs, iovs_len, offset, nread)
}

/// Checks a write at `offset` and its pointers.
#[inline]
fn writable(
    home: &impl Home,
    file: &File,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Result<Iovs> {
    if !file.rights.contains(Rights::FD_WRITE) {
        return Err(Errno::BADF);
    }
    buffers(home, iovs, iovs_len, offset, nwritten)
}

/// The buffers of a call that moves bytes at `offset` and counts them at `out`.
/// Compare fs/read_write.c:rw_verify_area().
#[inline]
fn buffers(home: &impl Home, iovs: u32, iovs_len: u32, offset: u64, out: u32) -> Result<Iovs> {
    let iovs = Iovs::new(home, iovs, iovs_len)?;
    home.region(out, 4)?;
    if offset > SIZE_MAX - u64::from(iovs.left()) {
        return Err(Errno::INVAL);
    }
    Ok(iovs)
}
