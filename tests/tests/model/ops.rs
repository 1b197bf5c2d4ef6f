//! The operations, and how each is made of calls.

use std::collections::BTreeMap;
use std::fmt;

use monaka_tests::calls::Calls;
use monaka_tests::native::{BUFFER, Guest, IOVS, OUT};
use monaka_vfs_core::Errno;

/// A descriptor: below 1000 that number, else one of those that are open, see
/// [`FILE`] and [`DIRECTORY`].
pub(crate) type Fd = u32;

/// `FILE + n` is the n-th open file, counted round and round.
pub(crate) const FILE: Fd = 1000;

/// `DIRECTORY + n` is the n-th open directory, likewise.
pub(crate) const DIRECTORY: Fd = 2000;

/// A path of a call.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<u8>);

impl From<&str> for Path {
    fn from(path: &str) -> Path {
        Path(path.as_bytes().to_vec())
    }
}

impl AsRef<[u8]> for Path {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.escape_ascii();
        match self.0.len() {
            0..200 => write!(f, "\"{shown}\""),
            len => write!(f, "({len} bytes)"),
        }
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Open {
        dir: Fd,
        follow: bool,
        path: Path,
        oflags: u32,
        rights: u64,
        inheriting: u64,
        flags: u32,
    },
    Close(Fd),
    Renumber(Fd, Fd),
    /// Buffers of these lengths.
    Read(Fd, Vec<u32>),
    Pread(Fd, Vec<u32>, u64),
    /// Buffers of these lengths, filled from this byte on.
    Write(Fd, Vec<u32>, u8),
    Pwrite(Fd, Vec<u32>, u8, u64),
    Seek(Fd, i64, u32),
    Tell(Fd),
    SetSize(Fd, u64),
    Allocate(Fd, u64, u64),
    Advise(Fd, u64, u64, u32),
    Sync(Fd),
    Datasync(Fd),
    Fdstat(Fd),
    SetFlags(Fd, u32),
    SetRights(Fd, u64, u64),
    Fstat(Fd),
    SetTimes(Fd, u64, u64, u32),
    /// The whole listing, through a buffer that begins at this length.
    Readdir(Fd, u32),
    Prestat(Fd),
    PrestatName(Fd, u32),
    Mkdir(Fd, Path),
    Rmdir(Fd, Path),
    Unlink(Fd, Path),
    Rename(Fd, Path, Fd, Path),
    Link(Fd, u32, Path, Fd, Path),
    /// The target comes first.
    Symlink(Path, Fd, Path),
    /// Through a buffer of this length.
    Readlink(Fd, Path, u32),
    Stat(Fd, bool, Path),
    PathSetTimes(Fd, bool, Path, u64, u64, u32),
}

impl Op {
    /// Shows each descriptor to `change`.
    pub(crate) fn each_fd(&mut self, change: &mut dyn FnMut(&mut Fd)) {
        match self {
            Op::Open { dir: fd, .. }
            | Op::Close(fd)
            | Op::Read(fd, _)
            | Op::Pread(fd, ..)
            | Op::Write(fd, ..)
            | Op::Pwrite(fd, ..)
            | Op::Seek(fd, ..)
            | Op::Tell(fd)
            | Op::SetSize(fd, _)
            | Op::Allocate(fd, ..)
            | Op::Advise(fd, ..)
            | Op::Sync(fd)
            | Op::Datasync(fd)
            | Op::Fdstat(fd)
            | Op::SetFlags(fd, _)
            | Op::SetRights(fd, ..)
            | Op::Fstat(fd)
            | Op::SetTimes(fd, ..)
            | Op::Readdir(fd, _)
            | Op::Prestat(fd)
            | Op::PrestatName(fd, _)
            | Op::Mkdir(fd, _)
            | Op::Rmdir(fd, _)
            | Op::Unlink(fd, _)
            | Op::Symlink(_, fd, _)
            | Op::Readlink(fd, ..)
            | Op::Stat(fd, ..)
            | Op::PathSetTimes(fd, ..) => change(fd),
            Op::Renumber(first, second)
            | Op::Rename(first, _, second, _)
            | Op::Link(first, _, _, second, _) => {
                change(first);
                change(second);
            }
        }
    }

    /// Shows each path to `change`.
    pub(crate) fn each_path(&mut self, change: &mut dyn FnMut(&mut Path)) {
        match self {
            Op::Open { path, .. }
            | Op::Mkdir(_, path)
            | Op::Rmdir(_, path)
            | Op::Unlink(_, path)
            | Op::Readlink(_, path, _)
            | Op::Stat(_, _, path)
            | Op::PathSetTimes(_, _, path, ..) => change(path),
            Op::Rename(_, first, _, second)
            | Op::Link(_, _, first, _, second)
            | Op::Symlink(first, _, second) => {
                change(first);
                change(second);
            }
            _ => {}
        }
    }
}

/// What a successful operation answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Nothing,
    Number(u64),
    Bytes(Vec<u8>),
    Stat(Stat),
    Fdstat {
        filetype: u8,
        flags: u16,
        rights: u64,
        inheriting: u64,
    },
    /// Types by name.
    Entries(BTreeMap<Vec<u8>, u8>),
}

/// Attributes that hosts agree on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) filetype: u8,
    pub(crate) nlink: u64,
    pub(crate) size: u64,
    pub(crate) atim: Option<u64>,
    pub(crate) mtim: Option<u64>,
}

pub(crate) type Answer = Result<Value, Errno>;

/// A timestamp that an operation or the packed file set; none for one that a
/// clock set, which nobody can foretell.
pub(crate) fn explicit(time: u64) -> Option<u64> {
    (time < 1_400_000_000_000_000_000).then_some(time)
}

impl From<monaka_tests::native::Stat> for Stat {
    fn from(stat: monaka_tests::native::Stat) -> Stat {
        let directory = stat.filetype == 3;
        Stat {
            filetype: stat.filetype,
            nlink: stat.nlink,
            // A directory's size is the host's affair.
            size: if directory { 0 } else { stat.size },
            // Following a symlink reads it, on Linux.
            atim: explicit(stat.atim).filter(|_| stat.filetype != 7),
            mtim: explicit(stat.mtim),
        }
    }
}

/// The bytes that a write from `first` on consists of: none is like its
/// neighbours or like what is 4096 or 65536 bytes away.
fn pattern(first: u8, len: u32) -> Vec<u8> {
    (0..len)
        .map(|at| (u32::from(first) + at % 251 + at / 4096) as u8)
        .collect()
}

/// Writes a list of buffers; answers where it stands, how many there are, and
/// where each is.
fn buffers<V: Calls>(guest: &mut Guest<V>, lens: &[u32]) -> (u32, u32, Vec<u32>) {
    let mut at = BUFFER;
    let mut list = Vec::new();
    let mut starts = Vec::new();
    for len in lens {
        list.extend(at.to_le_bytes());
        list.extend(len.to_le_bytes());
        starts.push(at);
        at += len + 3;
    }
    guest.put(IOVS, &list);
    (IOVS, lens.len() as u32, starts)
}

fn filled<V: Calls>(guest: &mut Guest<V>, lens: &[u32], first: u8) -> (u32, u32) {
    let (list, count, starts) = buffers(guest, lens);
    let bytes = pattern(first, lens.iter().sum());
    let mut bytes = &bytes[..];
    for (start, len) in starts.iter().zip(lens) {
        let (these, rest) = bytes.split_at(*len as usize);
        guest.put(*start, these);
        bytes = rest;
    }
    (list, count)
}

/// What was read into buffers of these lengths.
fn gathered<V: Calls>(guest: &Guest<V>, starts: &[u32], lens: &[u32]) -> Value {
    let mut left = guest.u32_at(OUT);
    let mut bytes = Vec::new();
    for (start, len) in starts.iter().zip(lens) {
        let here = left.min(*len);
        bytes.extend(guest.bytes_at(*start, here));
        left -= here;
    }
    assert_eq!(left, 0, "more was read than there was room for");
    Value::Bytes(bytes)
}

/// The whole listing of `fd`. Its inode numbers must be those that stat answers.
fn listing<V: Calls>(guest: &mut Guest<V>, fd: Fd, len: u32) -> Answer {
    let mut len = len;
    let mut cookie = 0;
    let mut entries = BTreeMap::new();
    loop {
        let (some, ended) = guest.readdir_once(fd, len, cookie)?;
        match some.last() {
            Some(last) => cookie = last.next,
            None if ended => break,
            None => len *= 2,
        }
        for entry in some {
            let stat = match entry.name.as_slice() {
                b".." => None,
                b"." => guest.fstat(fd).ok(),
                name => {
                    let (path, len) = guest.path(name);
                    guest
                        .vfs
                        .path_filestat_get(&mut guest.home, fd, 0, path, len, OUT)
                        .ok()
                        .map(|()| guest.stat_at_out())
                }
            };
            if let Some(stat) = stat {
                let listed = (entry.ino, entry.filetype);
                let name = entry.name.escape_ascii();
                assert_eq!(listed, (stat.ino, stat.filetype), "listed {name}, and stat");
            }
            let name = entry.name.escape_ascii().to_string();
            let twice = entries.insert(entry.name, entry.filetype);
            assert_eq!(twice, None, "{name} is listed twice");
        }
        if ended {
            break;
        }
    }
    Ok(Value::Entries(entries))
}

/// Makes the calls of `op`.
pub(crate) fn apply<V: Calls>(guest: &mut Guest<V>, op: &Op) -> Answer {
    let done = |()| Value::Nothing;
    match op {
        Op::Open {
            dir,
            follow,
            path,
            oflags,
            rights,
            inheriting,
            flags,
        } => guest
            .open_with(
                *dir,
                u32::from(*follow),
                path,
                *oflags,
                *rights,
                *inheriting,
                *flags,
            )
            .map(|fd| Value::Number(fd.into())),
        Op::Close(fd) => guest.close(*fd).map(done),
        Op::Renumber(from, to) => {
            let outcome = guest.vfs.fd_renumber(&mut guest.home, *from, *to);
            outcome.map(done)
        }
        Op::Read(fd, lens) => {
            let (list, count, starts) = buffers(guest, lens);
            guest.vfs.fd_read(&mut guest.home, *fd, list, count, OUT)?;
            Ok(gathered(guest, &starts, lens))
        }
        Op::Pread(fd, lens, offset) => {
            let (list, count, starts) = buffers(guest, lens);
            guest
                .vfs
                .fd_pread(&mut guest.home, *fd, list, count, *offset, OUT)?;
            Ok(gathered(guest, &starts, lens))
        }
        Op::Write(fd, lens, first) => {
            let (list, count) = filled(guest, lens, *first);
            guest.vfs.fd_write(&mut guest.home, *fd, list, count, OUT)?;
            Ok(Value::Number(guest.u32_at(OUT).into()))
        }
        Op::Pwrite(fd, lens, first, offset) => {
            let (list, count) = filled(guest, lens, *first);
            guest
                .vfs
                .fd_pwrite(&mut guest.home, *fd, list, count, *offset, OUT)?;
            Ok(Value::Number(guest.u32_at(OUT).into()))
        }
        Op::Seek(fd, offset, whence) => guest.seek(*fd, *offset, *whence).map(Value::Number),
        Op::Tell(fd) => {
            guest.vfs.fd_tell(&mut guest.home, *fd, OUT)?;
            Ok(Value::Number(guest.u64_at(OUT)))
        }
        Op::SetSize(fd, size) => guest.set_size(*fd, *size).map(done),
        Op::Allocate(fd, offset, len) => {
            let outcome = guest.vfs.fd_allocate(&mut guest.home, *fd, *offset, *len);
            outcome.map(done)
        }
        Op::Advise(fd, offset, len, advice) => guest
            .vfs
            .fd_advise(&mut guest.home, *fd, *offset, *len, *advice)
            .map(done),
        Op::Sync(fd) => guest.vfs.fd_sync(&mut guest.home, *fd).map(done),
        Op::Datasync(fd) => guest.vfs.fd_datasync(&mut guest.home, *fd).map(done),
        Op::Fdstat(fd) => {
            guest.vfs.fd_fdstat_get(&mut guest.home, *fd, OUT)?;
            let first = guest.u32_at(OUT);
            Ok(Value::Fdstat {
                filetype: first as u8,
                flags: (first >> 16) as u16,
                rights: guest.u64_at(OUT + 8),
                inheriting: guest.u64_at(OUT + 16),
            })
        }
        Op::SetFlags(fd, flags) => guest
            .vfs
            .fd_fdstat_set_flags(&mut guest.home, *fd, *flags)
            .map(done),
        Op::SetRights(fd, base, inheriting) => guest
            .vfs
            .fd_fdstat_set_rights(&mut guest.home, *fd, *base, *inheriting)
            .map(done),
        Op::Fstat(fd) => Ok(Value::Stat(guest.fstat(*fd)?.into())),
        Op::SetTimes(fd, atim, mtim, flags) => guest
            .vfs
            .fd_filestat_set_times(&mut guest.home, *fd, *atim, *mtim, *flags)
            .map(done),
        Op::Readdir(fd, len) => listing(guest, *fd, *len),
        Op::Prestat(fd) => {
            guest.vfs.fd_prestat_get(&mut guest.home, *fd, OUT)?;
            // The tag and the length; between them is nothing.
            Ok(Value::Number(guest.u64_at(OUT) & 0xffff_ffff_0000_00ff))
        }
        Op::PrestatName(fd, len) => {
            guest
                .vfs
                .fd_prestat_dir_name(&mut guest.home, *fd, BUFFER, *len)?;
            Ok(Value::Bytes(guest.buffer(1)))
        }
        Op::Mkdir(fd, path) => {
            let (path, len) = guest.path(path);
            let home = &mut guest.home;
            guest
                .vfs
                .path_create_directory(home, *fd, path, len)
                .map(done)
        }
        Op::Rmdir(fd, path) => {
            let (path, len) = guest.path(path);
            let home = &mut guest.home;
            guest
                .vfs
                .path_remove_directory(home, *fd, path, len)
                .map(done)
        }
        Op::Unlink(fd, path) => {
            let (path, len) = guest.path(path);
            let home = &mut guest.home;
            guest.vfs.path_unlink_file(home, *fd, path, len).map(done)
        }
        Op::Rename(old_fd, old, new_fd, new) => {
            let ((old, old_len), (new, new_len)) = (guest.path(old), guest.path2(new));
            let home = &mut guest.home;
            let vfs = &mut guest.vfs;
            vfs.path_rename(home, *old_fd, old, old_len, *new_fd, new, new_len)
                .map(done)
        }
        Op::Link(old_fd, flags, old, new_fd, new) => {
            let ((old, old_len), (new, new_len)) = (guest.path(old), guest.path2(new));
            let home = &mut guest.home;
            let vfs = &mut guest.vfs;
            vfs.path_link(home, *old_fd, *flags, old, old_len, *new_fd, new, new_len)
                .map(done)
        }
        Op::Symlink(target, fd, path) => {
            let ((target, target_len), (path, len)) = (guest.path2(target), guest.path(path));
            let home = &mut guest.home;
            let vfs = &mut guest.vfs;
            vfs.path_symlink(home, target, target_len, *fd, path, len)
                .map(done)
        }
        Op::Readlink(fd, path, room) => {
            let (path, len) = guest.path(path);
            let home = &mut guest.home;
            guest
                .vfs
                .path_readlink(home, *fd, path, len, BUFFER, *room, OUT)?;
            Ok(Value::Bytes(guest.buffer(guest.u32_at(OUT))))
        }
        Op::Stat(fd, follow, path) => {
            let (path, len) = guest.path(path);
            let (home, follow) = (&mut guest.home, u32::from(*follow));
            guest
                .vfs
                .path_filestat_get(home, *fd, follow, path, len, OUT)?;
            Ok(Value::Stat(guest.stat_at_out().into()))
        }
        Op::PathSetTimes(fd, follow, path, atim, mtim, flags) => {
            let (path, len) = guest.path(path);
            let (home, follow) = (&mut guest.home, u32::from(*follow));
            let vfs = &mut guest.vfs;
            vfs.path_filestat_set_times(home, *fd, follow, path, len, *atim, *mtim, *flags)
                .map(done)
        }
    }
}
