//! What Linux itself answers, where wasmtime and we refuse an operation for
//! different reasons.
//!
//! wasmtime walks some paths on its own and then answers another errno than the
//! kernel, as to two bad paths. So there is a second opinion: the path calls of
//! the kernel, which confines them (`openat2` with `RESOLVE_BENEATH`). It is asked
//! only about what wasmtime has refused.

use std::io;

use monaka_vfs_core::Errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno as HostErrno;

use crate::ops::{Fd, Op, Path};

/// The kernel's reason for refusing `op`; none if it is no path call, or not
/// refused. `directory` answers what a descriptor stands for.
pub(crate) fn refuses<'d>(op: &Op, directory: impl Fn(Fd) -> Option<&'d OwnedFd>) -> Option<Errno> {
    let handle = |fd: &Fd| directory(*fd).map(AsFd::as_fd);
    // Found before any walk begins; taking paths apart would hide it.
    let mut empty = false;
    op.clone().each_path(&mut |path| empty |= path.0.is_empty());
    if empty {
        return Some(Errno::NOENT);
    }
    let outcome = match op {
        Op::Open {
            dir,
            follow,
            path,
            oflags,
            rights,
            ..
        } => {
            let mut flags = if rights & 1 << 6 == 0 {
                OFlags::RDONLY
            } else {
                OFlags::RDWR
            };
            flags.set(OFlags::CREATE, oflags & 1 != 0);
            flags.set(OFlags::DIRECTORY, oflags & 2 != 0);
            flags.set(OFlags::EXCL, oflags & 5 == 5);
            flags.set(OFlags::TRUNC, oflags & 8 != 0);
            flags.set(OFlags::NOFOLLOW, !*follow);
            open(handle(dir)?, path, flags).map(drop)
        }
        Op::Mkdir(dir, path) => parent(handle(dir)?, path)
            .and_then(|(dir, name)| fs::mkdirat(dir, name, Mode::from_raw_mode(0o755))),
        Op::Rmdir(dir, path) => parent(handle(dir)?, path)
            .and_then(|(dir, name)| fs::unlinkat(dir, name, AtFlags::REMOVEDIR)),
        Op::Unlink(dir, path) => parent(handle(dir)?, path)
            .and_then(|(dir, name)| fs::unlinkat(dir, name, AtFlags::empty())),
        Op::Rename(old_dir, old, new_dir, new) => {
            let (old_dir, new_dir) = (handle(old_dir)?, handle(new_dir)?);
            parent(old_dir, old).and_then(|(old_dir, old)| {
                let (new_dir, new) = parent(new_dir, new)?;
                fs::renameat(old_dir, old, new_dir, new)
            })
        }
        Op::Link(old_dir, 0, old, new_dir, new) => {
            let (old_dir, new_dir) = (handle(old_dir)?, handle(new_dir)?);
            open(old_dir, old, OFlags::PATH | OFlags::NOFOLLOW).and_then(|_| {
                let (old_dir, old) = parent(old_dir, old)?;
                let (new_dir, new) = parent(new_dir, new)?;
                fs::linkat(old_dir, old, new_dir, new, AtFlags::empty())
            })
        }
        Op::Symlink(target, dir, path) => parent(handle(dir)?, path)
            .and_then(|(dir, name)| fs::symlinkat(target.as_ref(), dir, name)),
        Op::Readlink(dir, path, _) => {
            open(handle(dir)?, path, OFlags::PATH | OFlags::NOFOLLOW).and_then(|link| {
                // An empty path reads the descriptor, which must be a link's.
                match fs::readlinkat(link, "", Vec::new()) {
                    Ok(_) => Ok(()),
                    Err(HostErrno::NOENT) => Err(HostErrno::INVAL),
                    Err(errno) => Err(errno),
                }
            })
        }
        Op::Stat(dir, follow, path) | Op::PathSetTimes(dir, follow, path, ..) => {
            let mut flags = OFlags::PATH;
            flags.set(OFlags::NOFOLLOW, !*follow);
            open(handle(dir)?, path, flags).map(drop)
        }
        _ => return None,
    };
    outcome.err().map(errno)
}

/// Opens `path` as the kernel does, confined to `dir`.
pub(crate) fn open(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, HostErrno> {
    let mode = if flags.contains(OFlags::CREATE) {
        Mode::from_raw_mode(0o644)
    } else {
        Mode::empty()
    };
    let flags = flags | OFlags::CLOEXEC;
    fs::openat2(dir, path.as_ref(), flags, mode, ResolveFlags::BENEATH)
}

/// The directory that the last component is looked up in, and that component with
/// the slashes behind it.
fn parent<'p>(dir: BorrowedFd<'_>, path: &'p Path) -> Result<(OwnedFd, &'p [u8]), HostErrno> {
    let bytes = path.as_ref();
    let trimmed = bytes.trim_ascii_end();
    let end = trimmed
        .iter()
        .rposition(|&b| b != b'/')
        .map_or(0, |n| n + 1);
    let slash = trimmed[..end].iter().rposition(|&b| b == b'/');
    let (parent, name) = match slash {
        Some(slash) => (Path(bytes[..=slash].to_vec()), &bytes[slash + 1..]),
        None if bytes.first() == Some(&b'/') => (path.clone(), bytes),
        None => (Path::from("."), bytes),
    };
    if name.starts_with(b"..") && name[2..].iter().all(|&b| b == b'/') {
        // The kernel knows it by its shape and would not notice that it leads out.
        open(dir, path, OFlags::PATH)?;
    }
    Ok((open(dir, &parent, OFlags::PATH | OFlags::DIRECTORY)?, name))
}

fn errno(host: HostErrno) -> Errno {
    const NAMES: [(HostErrno, Errno); 14] = [
        (HostErrno::BADF, Errno::BADF),
        (HostErrno::EXIST, Errno::EXIST),
        (HostErrno::INVAL, Errno::INVAL),
        (HostErrno::ISDIR, Errno::ISDIR),
        (HostErrno::LOOP, Errno::LOOP),
        (HostErrno::NAMETOOLONG, Errno::NAMETOOLONG),
        (HostErrno::NOENT, Errno::NOENT),
        (HostErrno::NOTDIR, Errno::NOTDIR),
        (HostErrno::NOTEMPTY, Errno::NOTEMPTY),
        (HostErrno::BUSY, Errno::BUSY),
        (HostErrno::PERM, Errno::PERM),
        (HostErrno::ACCESS, Errno::ACCES),
        (HostErrno::MLINK, Errno::MLINK),
        // How openat2 says that a path leads out.
        (HostErrno::XDEV, Errno::PERM),
    ];
    NAMES
        .iter()
        .find(|(name, _)| *name == host)
        .unwrap_or_else(|| panic!("no name for {}", io::Error::from(host)))
        .1
}
