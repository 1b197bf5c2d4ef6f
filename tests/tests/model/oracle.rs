//! The oracle: wasmtime's WASI on a real directory.
//!
//! Everything in which it is known to differ from what docs/SEMANTICS.md says is
//! made equal here and nowhere else, each time with the name of the difference.

use std::collections::BTreeMap;

use monaka_tests::engine::{Exports, Program};
use monaka_tests::native::{Guest, ROOT};
use monaka_vfs_core::Errno;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;

use crate::kernel;
use crate::ops::{Answer, Fd, Op, Value, apply};

/// Bits of the witx's rights.
mod right {
    pub(super) const FD_DATASYNC: u64 = 1;
    pub(super) const FD_READ: u64 = 1 << 1;
    pub(super) const FD_SEEK: u64 = 1 << 2;
    pub(super) const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    pub(super) const FD_SYNC: u64 = 1 << 4;
    pub(super) const FD_TELL: u64 = 1 << 5;
    pub(super) const FD_WRITE: u64 = 1 << 6;
    pub(super) const FD_ADVISE: u64 = 1 << 7;
    pub(super) const FD_ALLOCATE: u64 = 1 << 8;
    pub(super) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub(super) const PATH_CREATE_FILE: u64 = 1 << 10;
    pub(super) const PATH_LINK_SOURCE: u64 = 1 << 11;
    pub(super) const PATH_LINK_TARGET: u64 = 1 << 12;
    pub(super) const PATH_OPEN: u64 = 1 << 13;
    pub(super) const FD_READDIR: u64 = 1 << 14;
    pub(super) const PATH_READLINK: u64 = 1 << 15;
    pub(super) const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub(super) const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub(super) const PATH_FILESTAT_GET: u64 = 1 << 18;
    pub(super) const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    pub(super) const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    pub(super) const FD_FILESTAT_GET: u64 = 1 << 21;
    pub(super) const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub(super) const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub(super) const PATH_SYMLINK: u64 = 1 << 24;
    pub(super) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub(super) const PATH_UNLINK_FILE: u64 = 1 << 26;
    pub(super) const POLL_FD_READWRITE: u64 = 1 << 27;
    pub(super) const ALL: u64 = (1 << 30) - 1;

    /// What a file that was opened for everything may be used for.
    pub(super) const FILE: u64 = FD_DATASYNC
        | FD_READ
        | FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_WRITE
        | FD_ADVISE
        | FD_ALLOCATE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;

    /// What a directory may be used for.
    pub(super) const DIRECTORY: u64 = FD_DATASYNC
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_ADVISE
        | FD_READDIR
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | POLL_FD_READWRITE;
}

/// `oflags` and `fdflags` of the witx.
const CREAT: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCL: u32 = 4;
const TRUNC: u32 = 8;
const SYNCED: u32 = 2 | 8 | 16;

/// A descriptor that nobody has.
const CLOSED: Fd = 1 << 20;

/// What we know of a descriptor beside what wasmtime does.
#[derive(Debug)]
struct Slot {
    /// wasmtime's number.
    host: Fd,
    directory: bool,
    flags: u32,
    rights: u64,
    inheriting: u64,
    /// The same for the kernel.
    handle: OwnedFd,
}

/// A real directory.
pub(crate) struct Oracle {
    guest: Guest<Exports>,
    slots: BTreeMap<Fd, Slot>,
    pub(crate) root: TempDir,
}

impl Oracle {
    pub(crate) fn new(program: &Program, root: TempDir) -> Oracle {
        let handle = rustix::fs::open(root.path(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .expect("open the directory");
        let preopen = Slot {
            host: ROOT,
            directory: true,
            flags: 0,
            rights: right::DIRECTORY,
            inheriting: right::ALL,
            handle,
        };
        Oracle {
            guest: program.start(Some(root.path())).expect("start the program"),
            slots: BTreeMap::from([(ROOT, preopen)]),
            root,
        }
    }

    /// Whether `errno` is a good answer to `op` too, which wasmtime has refused
    /// with another.
    pub(crate) fn agrees(&self, op: &Op, errno: Errno) -> bool {
        // Nobody passes a NUL to a kernel. And a name that is too long is found by
        // our walk, by Linux not before it looks the name up.
        let (mut nul, mut long) = (false, false);
        op.clone().each_path(&mut |path| {
            nul |= path.0.contains(&0);
            long |= path.0.split(|&b| b == b'/').any(|name| name.len() > 255);
        });
        // Linux takes absolute targets of symlinks, which we look at first.
        let absolute = matches!(op, Op::Symlink(target, ..) if target.0.starts_with(b"/"));
        match errno {
            Errno::PERM if absolute => true,
            Errno::INVAL if nul => true,
            Errno::NAMETOOLONG if long => true,
            errno => self.kernel(op) == Some(errno),
        }
    }

    /// What the kernel refuses `op` with.
    pub(crate) fn kernel(&self, op: &Op) -> Option<Errno> {
        kernel::refuses(&sound(op), |fd| Some(&self.slots.get(&fd)?.handle))
    }

    /// What `op` must answer.
    pub(crate) fn apply(&mut self, op: &Op) -> Answer {
        if let Some(errno) = self.refuses(op) {
            return Err(errno);
        }
        let mut hosts = sound(op);
        // wasmtime traps on numbers that the witx does not know, whatever the
        // descriptor.
        if let Op::Seek(fd, _, 3..) | Op::Advise(fd, _, _, 6..) = *op {
            let host = self.slots.get(&fd).map_or(CLOSED, |slot| slot.host);
            return apply(&mut self.guest, &Op::Tell(host)).and(Err(Errno::INVAL));
        }
        hosts.each_fd(&mut |fd| *fd = self.slots.get(fd).map_or(CLOSED, |slot| slot.host));
        match (op, &mut hosts) {
            (Op::Open { .. }, _) => self.open(op, hosts),
            (Op::Close(fd), _) => {
                let closed = apply(&mut self.guest, &hosts)?;
                self.slots.remove(fd);
                Ok(closed)
            }
            (Op::Renumber(from, to), _) => {
                let moved = apply(&mut self.guest, &hosts)?;
                if from != to
                    && let (Some(mut slot), Some(replaced)) =
                        (self.slots.remove(from), self.slots.remove(to))
                {
                    slot.host = replaced.host;
                    self.slots.insert(*to, slot);
                }
                Ok(moved)
            }
            // To move nothing wasmtime seeks where it appends, and a host in memory
            // takes it for an access; other file systems and POSIX do not.
            (Op::Read(fd, lens) | Op::Write(fd, lens, _) | Op::Pwrite(fd, lens, ..), _)
                if self.slots.contains_key(fd) && lens.iter().all(|&len| len == 0) =>
            {
                Ok(match op {
                    Op::Read(..) => Value::Bytes(Vec::new()),
                    _ => Value::Number(0),
                })
            }
            // wasmtime moves the first buffer that is not empty; a POSIX host all.
            (_, Op::Read(_, lens) | Op::Write(_, lens, _) | Op::Pwrite(_, lens, ..)) => {
                *lens = vec![lens.iter().sum()];
                apply(&mut self.guest, &hosts)
            }
            (_, Op::Pread(fd, lens, offset)) => {
                let (fd, len, offset) = (*fd, lens.iter().sum(), *offset);
                self.pread(fd, len, offset)
            }
            (Op::Allocate(fd, offset, len), _) => self.allocate(*fd, *offset, *len),
            (Op::SetRights(fd, base, inheriting), _) => self.narrow(*fd, *base, *inheriting),
            (Op::SetFlags(fd, flags), Op::SetFlags(_, passed)) => {
                // SYNC flags: wasmtime refuses them, here they are kept and shown.
                *passed &= !SYNCED;
                let set = apply(&mut self.guest, &hosts)?;
                if let Some(slot) = self.slots.get_mut(fd) {
                    slot.flags = *flags;
                }
                Ok(set)
            }
            (Op::Fdstat(fd), _) => self.fdstat(*fd, &hosts),
            // A directory is synchronised, as on Linux; wasmtime: BADF.
            (Op::Sync(fd) | Op::Datasync(fd), _)
                if self.slots.get(fd).is_some_and(|slot| slot.directory) =>
            {
                Ok(Value::Nothing)
            }
            // wasmtime opens directories such that the kernel refuses to set their
            // times (O_PATH, BADF); by path it can.
            (Op::SetTimes(fd, ..), &mut Op::SetTimes(host, atim, mtim, flags))
                if self.slots.get(fd).is_some_and(|slot| slot.directory) =>
            {
                let here = ".".into();
                let by_path = Op::PathSetTimes(host, true, here, atim, mtim, flags);
                apply(&mut self.guest, &by_path)
            }
            (Op::Readdir(..), Op::Readdir(host, _)) => {
                // A removed directory lists nothing; wasmtime lists its dots.
                match apply(&mut self.guest, &Op::Fstat(*host))? {
                    Value::Stat(stat) if stat.filetype == 3 && stat.nlink == 0 => {
                        Ok(Value::Entries(BTreeMap::new()))
                    }
                    _ => apply(&mut self.guest, &hosts).map(returned),
                }
            }
            // A slash behind the directory to remove: wasmtime answers INVAL.
            (_, Op::Rmdir(_, path)) => {
                let end = path.0.iter().rposition(|&b| b != b'/');
                path.0.truncate(end.map_or(path.0.len(), |last| last + 1));
                apply(&mut self.guest, &hosts)
            }
            // To set nothing Linux does not even look for the file.
            (_, Op::PathSetTimes(fd, follow, path, _, _, 0)) => {
                let follow = *follow || path.0.ends_with(b"/") || path.0.ends_with(b"/.");
                let look = Op::Stat(*fd, follow, path.clone());
                apply(&mut self.guest, &look).map(|_| Value::Nothing)
            }
            // A slash behind a symlink, or `/.`: Linux follows it, wasmtime drops them.
            (_, Op::Stat(_, follow, path) | Op::PathSetTimes(_, follow, path, ..)) => {
                *follow |= path.0.ends_with(b"/") || path.0.ends_with(b"/.");
                apply(&mut self.guest, &hosts)
            }
            _ => apply(&mut self.guest, &hosts).map(returned),
        }
    }

    /// Why the descriptors of `op` do not allow it. wasmtime has no rights but
    /// reading and writing, which it finds out from the kernel.
    fn refuses(&self, op: &Op) -> Option<Errno> {
        // Of two descriptors a closed one is found first; wasmtime does that.
        let mut closed = false;
        op.clone()
            .each_fd(&mut |fd| closed |= !self.slots.contains_key(fd));
        match *op {
            // wasmtime looks at flags first.
            Op::SetTimes(..) | Op::PathSetTimes(..) if closed => return Some(Errno::BADF),
            Op::Open { oflags, .. } if oflags & CREAT != 0 && oflags & DIRECTORY != 0 => {
                return Some(Errno::INVAL);
            }
            _ if closed => return None,
            Op::Link(_, flags, ..) if flags != 0 => return Some(Errno::INVAL),
            _ => {}
        }
        let slot = |fd: &Fd| &self.slots[fd];
        let lacks = |fd: &Fd, needed: u64| slot(fd).rights & needed != needed;
        // A path that starts from a file is NOTDIR, as on Linux; wasmtime: BADF.
        let from = |fd: &Fd, needed: u64| match slot(fd).directory {
            false => Some(Errno::NOTDIR),
            true => lacks(fd, needed).then_some(Errno::NOTCAPABLE),
        };
        let file = |fd: &Fd, needed: u64, errno: Errno| match slot(fd).directory {
            true => Some(Errno::BADF),
            false => lacks(fd, needed).then_some(errno),
        };
        let either = |fd: &Fd, needed| lacks(fd, needed).then_some(Errno::NOTCAPABLE);
        let synced = |fd: &Fd, needed| match slot(fd).directory {
            true => lacks(fd, needed).then_some(Errno::BADF),
            false => either(fd, needed),
        };
        let refused = match op {
            Op::Close(_) | Op::Renumber(..) | Op::Fdstat(_) | Op::SetRights(..) => None,
            Op::Read(fd, _) | Op::Pread(fd, ..) => file(fd, right::FD_READ, Errno::BADF),
            Op::Write(fd, ..) | Op::Pwrite(fd, ..) => file(fd, right::FD_WRITE, Errno::BADF),
            Op::Seek(fd, 0, 1) if !lacks(fd, right::FD_TELL) => file(fd, 0, Errno::BADF),
            Op::Seek(fd, ..) => file(fd, right::FD_SEEK, Errno::NOTCAPABLE),
            Op::Tell(fd) if !lacks(fd, right::FD_SEEK) => file(fd, 0, Errno::BADF),
            Op::Tell(fd) => file(fd, right::FD_TELL, Errno::NOTCAPABLE),
            Op::SetSize(fd, _) => file(fd, right::FD_FILESTAT_SET_SIZE, Errno::INVAL),
            Op::Allocate(fd, ..) => file(fd, 0, Errno::BADF),
            Op::Advise(fd, ..) => file(fd, right::FD_ADVISE, Errno::NOTCAPABLE),
            Op::Sync(fd) => synced(fd, right::FD_SYNC),
            Op::Datasync(fd) => synced(fd, right::FD_DATASYNC),
            Op::SetFlags(fd, _) => file(fd, right::FD_FDSTAT_SET_FLAGS, Errno::NOTCAPABLE),
            Op::Fstat(fd) => either(fd, right::FD_FILESTAT_GET),
            Op::SetTimes(_, _, _, flags) if contradict(*flags) => Some(Errno::INVAL),
            Op::SetTimes(fd, ..) => either(fd, right::FD_FILESTAT_SET_TIMES),
            Op::Readdir(fd, _) => from(fd, right::FD_READDIR),
            Op::Prestat(fd) => (*fd != ROOT).then_some(Errno::BADF),
            // Not preopened: BADF, as fd_prestat_get says; wasmtime: NOTDIR.
            Op::PrestatName(fd, _) => (*fd != ROOT).then_some(Errno::BADF),
            Op::Open {
                dir,
                oflags,
                rights,
                flags,
                ..
            } => {
                let mut needed = right::PATH_OPEN;
                if oflags & CREAT != 0 {
                    needed |= right::PATH_CREATE_FILE;
                }
                if oflags & TRUNC != 0 {
                    needed |= right::PATH_FILESTAT_SET_SIZE;
                }
                // SYNC flags: for those who asked for the right.
                let synced = flags & SYNCED != 0 && rights & right::FD_SYNC == 0;
                from(dir, needed).or(synced.then_some(Errno::NOTSUP))
            }
            Op::Mkdir(fd, _) => from(fd, right::PATH_CREATE_DIRECTORY),
            Op::Rmdir(fd, _) => from(fd, right::PATH_REMOVE_DIRECTORY),
            Op::Unlink(fd, _) => from(fd, right::PATH_UNLINK_FILE),
            Op::Rename(old, _, new, _) => {
                from(old, right::PATH_RENAME_SOURCE).or(from(new, right::PATH_RENAME_TARGET))
            }
            Op::Link(old, _, _, new, _) => {
                from(new, right::PATH_LINK_TARGET).or(from(old, right::PATH_LINK_SOURCE))
            }
            Op::Symlink(_, fd, _) => from(fd, right::PATH_SYMLINK),
            Op::Readlink(fd, ..) => from(fd, right::PATH_READLINK),
            Op::Stat(fd, ..) => from(fd, right::PATH_FILESTAT_GET),
            Op::PathSetTimes(_, _, _, _, _, flags) if contradict(*flags) => Some(Errno::INVAL),
            Op::PathSetTimes(fd, ..) => from(fd, right::PATH_FILESTAT_SET_TIMES),
        };
        // wasmtime takes a path apart before the kernel sees how long it is.
        let mut too_long = false;
        op.clone()
            .each_path(&mut |path| too_long |= path.0.len() > 4095);
        refused.or(too_long.then_some(Errno::NAMETOOLONG))
    }

    fn open(&mut self, op: &Op, mut hosts: Op) -> Answer {
        let (
            Op::Open { dir, .. },
            Op::Open {
                oflags,
                rights,
                inheriting,
                flags,
                ..
            },
        ) = (op, &mut hosts)
        else {
            unreachable!("only path_open opens");
        };
        // Rights that the witx does not know: wasmtime traps, here they are dropped.
        *rights &= right::ALL;
        *inheriting &= right::ALL;
        // SYNC flags: wasmtime refuses them, here they are kept and shown.
        *flags &= !SYNCED;
        // EXCL without CREAT means nothing on Linux; with DIRECTORY wasmtime
        // refuses it.
        if *oflags & CREAT == 0 {
            *oflags &= !EXCL;
        }
        let Value::Number(host) = apply(&mut self.guest, &hosts)? else {
            unreachable!("path_open answers a number");
        };
        let Op::Open {
            follow,
            path,
            rights,
            flags,
            ..
        } = &sound(op)
        else {
            unreachable!("only path_open opens");
        };
        let directory = match apply(&mut self.guest, &Op::Fstat(host as Fd)) {
            Ok(Value::Stat(stat)) => stat.filetype == 3,
            other => panic!("stat of what was just opened: {other:?}"),
        };
        let base = &self.slots[dir];
        let mut again = OFlags::PATH;
        again.set(OFlags::NOFOLLOW, !*follow);
        let handle = kernel::open(base.handle.as_fd(), path, again)
            .expect("the kernel opens what wasmtime has opened");
        let mut mine = base.inheriting;
        if directory {
            mine &= right::DIRECTORY;
            if rights & right::FD_SYNC == 0 {
                mine &= !(right::FD_SYNC | right::FD_DATASYNC);
            }
        } else {
            mine &= right::FILE;
            // Only these have to be asked for; what is opened for nothing is read.
            let write = rights & right::FD_WRITE != 0;
            if rights & right::FD_READ == 0 && write {
                mine &= !right::FD_READ;
            }
            if rights & right::FD_ALLOCATE == 0 {
                mine &= !right::FD_ALLOCATE;
            }
            if !write {
                mine &= !(right::FD_WRITE | right::FD_ALLOCATE | right::FD_FILESTAT_SET_SIZE);
            }
        }
        let slot = Slot {
            host: host as Fd,
            directory,
            flags: *flags,
            rights: mine,
            inheriting: if directory { base.inheriting } else { 0 },
            handle,
        };
        // The lowest free number; wasmtime takes the highest that was closed.
        let fd = (ROOT..).find(|fd| !self.slots.contains_key(fd));
        let fd = fd.expect("a number is free");
        self.slots.insert(fd, slot);
        Ok(Value::Number(fd.into()))
    }

    /// wasmtime reads 64 KiB at a time, and answers INTR to reading nothing.
    fn pread(&mut self, host: Fd, len: u32, offset: u64) -> Answer {
        let mut all = Vec::new();
        while (all.len() as u32) < len || host == CLOSED {
            let some = vec![len - all.len() as u32];
            let from = offset + all.len() as u64;
            match apply(&mut self.guest, &Op::Pread(host, some, from))? {
                Value::Bytes(bytes) if bytes.is_empty() => break,
                Value::Bytes(bytes) => all.extend(bytes),
                other => panic!("fd_pread answered {other:?}"),
            }
        }
        Ok(Value::Bytes(all))
    }

    /// `fd_allocate`: NOTSUP in wasmtime; here what posix_fallocate does.
    fn allocate(&mut self, fd: Fd, offset: u64, len: u64) -> Answer {
        let Some(slot) = self.slots.get(&fd) else {
            return apply(&mut self.guest, &Op::Allocate(CLOSED, offset, len));
        };
        let (host, rights) = (slot.host, slot.rights);
        if len == 0 {
            return Err(Errno::INVAL);
        }
        if rights & right::FD_WRITE == 0 {
            return Err(Errno::BADF);
        }
        if rights & right::FD_ALLOCATE == 0 {
            return Err(Errno::NOTSUP);
        }
        match apply(&mut self.guest, &Op::Fstat(host))? {
            Value::Stat(stat) => {
                let size = stat.size.max(offset + len);
                apply(&mut self.guest, &Op::SetSize(host, size))
            }
            other => panic!("fd_filestat_get answered {other:?}"),
        }
    }

    /// `fd_fdstat_set_rights`: NOTSUP in wasmtime.
    fn narrow(&mut self, fd: Fd, base: u64, inheriting: u64) -> Answer {
        let Some(slot) = self.slots.get_mut(&fd) else {
            return apply(&mut self.guest, &Op::Fstat(CLOSED));
        };
        let (base, inheriting) = (base & right::ALL, inheriting & right::ALL);
        if base & !slot.rights != 0 || inheriting & !slot.inheriting != 0 {
            return Err(Errno::NOTCAPABLE);
        }
        (slot.rights, slot.inheriting) = (base, inheriting);
        Ok(Value::Nothing)
    }

    /// The type is wasmtime's, and so is APPEND; rights it makes up.
    fn fdstat(&mut self, fd: Fd, hosts: &Op) -> Answer {
        match (apply(&mut self.guest, hosts)?, self.slots.get(&fd)) {
            (
                Value::Fdstat {
                    filetype, flags, ..
                },
                Some(slot),
            ) => {
                let kept = if slot.directory { 0 } else { slot.flags & 1 };
                assert_eq!(u32::from(flags) & 1, kept, "APPEND is kept");
                Ok(Value::Fdstat {
                    filetype,
                    flags: slot.flags as u16,
                    rights: slot.rights,
                    inheriting: slot.inheriting,
                })
            }
            (other, _) => panic!("fd_fdstat_get answered {other:?}"),
        }
    }
}

/// Whether a time is to be set twice, or a flag is unknown.
fn contradict(flags: u32) -> bool {
    flags & 3 == 3 || flags & 12 == 12 || flags > 15
}

/// Names that are not UTF-8 wasmtime refuses; for it they are spelled so that it
/// does not, in as many bytes.
const STRANGE: u8 = 0xff;
const SPELLED: u8 = 0x7f;

fn sound(op: &Op) -> Op {
    let mut op = op.clone();
    op.each_path(&mut |path| {
        path.0
            .iter_mut()
            .filter(|b| **b == STRANGE)
            .for_each(|b| *b = SPELLED)
    });
    op
}

/// The bytes as they were before [`sound`].
pub(crate) fn strange(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes
        .iter_mut()
        .filter(|b| **b == SPELLED)
        .for_each(|b| *b = STRANGE);
    bytes
}

/// What wasmtime answered, names as they were before [`sound`].
fn returned(value: Value) -> Value {
    match value {
        Value::Bytes(target) => Value::Bytes(strange(target)),
        Value::Entries(entries) => Value::Entries(
            entries
                .into_iter()
                .map(|(name, filetype)| (strange(name), filetype))
                .collect(),
        ),
        other => other,
    }
}
