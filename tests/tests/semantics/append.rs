//! Appending, and the other `fdflags`.

use monaka_tests::native::{ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;

use crate::{APPEND, DIRECTORY, READ, packed, with};

fn flags(g: &mut Guest, fd: u32) -> u8 {
    g.vfs.fd_fdstat_get(&mut g.home, fd, 64).unwrap();
    g.bytes_at(66, 1)[0]
}

/// With `APPEND` a write goes to the end of the file, wherever that is by then, and
/// the offset with it; one of no byte leaves the offset.
#[test]
fn appending_goes_to_the_end_wherever_that_is() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "file", 0, ALL, ALL, APPEND).unwrap();
        let other = g.open("file", 0).unwrap();
        assert_eq!(g.seek(fd, 0, 1), Ok(0), "not at the end yet");
        g.write(fd, b"!").unwrap();
        assert_eq!(g.seek(fd, 0, 1), Ok(16));
        g.pwrite(other, b"other", 16).unwrap();
        g.seek(fd, 3, 0).unwrap();
        assert_eq!(g.write(fd, b""), Ok(0));
        assert_eq!(g.seek(fd, 0, 1), Ok(3));
        assert_eq!(g.read(fd, 3).unwrap(), b"ked");
        g.write(fd, b".").unwrap();
        assert_eq!(g.seek(fd, 0, 1), Ok(22));
        g.set_size(other, 2).unwrap();
        g.write(fd, b"#").unwrap();
        assert_eq!(g.seek(fd, 0, 1), Ok(3));
        assert_eq!(g.contents("file").unwrap(), b"pa#");
    });
}

/// With `APPEND` it writes at the end, whatever the offset, as on Linux, wasmtime
/// and node. (POSIX wants it at the offset.)
#[test]
fn appending_writes_at_the_end_wherever_pwrite_is_told() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "file", 0, ALL, ALL, APPEND).unwrap();
        g.write(fd, b"!").unwrap();
        g.pwrite(fd, b"?", 0).unwrap();
        g.pwrite(fd, b".", 1 << 40).unwrap();
        assert_eq!(g.pread(fd, 100, 0).unwrap(), b"packed contents!?.");
        assert_eq!(g.seek(fd, 0, 1), Ok(16), "pwrite leaves the offset");
    });
}

/// `fd_fdstat_set_flags` checks, in this order: a directory → `BADF`, as in
/// wasmtime (Linux sets them); an unknown flag → `INVAL`; `FD_FDSTAT_SET_FLAGS` is
/// missing → `NOTCAPABLE`.
#[test]
fn flags_are_set_on_files_only() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        for some in [0, APPEND, 4, 32] {
            let set = g.vfs.fd_fdstat_set_flags(&mut g.home, dir, some);
            assert_eq!(set, Err(Errno::BADF));
        }
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_flags(home, fd, APPEND).unwrap();
        vfs.fd_fdstat_set_rights(home, fd, READ, 0).unwrap();
        assert_eq!(vfs.fd_fdstat_set_flags(home, fd, 32), Err(Errno::INVAL));
        let denied = vfs.fd_fdstat_set_flags(home, fd, 0);
        assert_eq!(denied, Err(Errno::NOTCAPABLE));
        assert_eq!(flags(g, fd), 1, "as it was");
    });
}

/// All flags are replaced. `APPEND` counts from the next write on; `DSYNC`,
/// `NONBLOCK`, `RSYNC` and `SYNC` are kept and shown, and nothing ever has to be
/// waited for. (wasmtime answers `INVAL` to the three that synchronise.)
#[test]
fn all_flags_are_replaced() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        for some in (0..32).chain([0]) {
            g.vfs
                .fd_fdstat_set_flags(&mut g.home, fd, u32::from(some))
                .unwrap();
            assert_eq!(flags(g, fd), some);
            let size = g.fstat(fd).unwrap().size;
            g.pwrite(fd, b"x", 3).unwrap();
            let grown = g.fstat(fd).unwrap().size - size;
            assert_eq!(grown, u64::from(some & 1), "flags {some}");
        }
    });
}

/// `fd_fdstat_get` answers type, flags, rights and inheriting rights of any
/// descriptor and needs no right. A file has nothing to pass on: its inheriting
/// rights are none.
#[test]
fn what_a_descriptor_may_do_is_answered_to_all() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "file", 0, READ, ALL, APPEND).unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        for (fd, kind, flags) in [(fd, 4, 1), (dir, 3, 0), (ROOT, 3, 0)] {
            for _ in 0..2 {
                g.vfs.fd_fdstat_get(&mut g.home, fd, 64).unwrap();
                assert_eq!(g.bytes_at(64, 4), [kind, 0, flags, 0]);
                assert_eq!(g.u64_at(80) == 0, kind == 4, "inheriting");
                let (vfs, home) = (&mut g.vfs, &mut g.home);
                vfs.fd_fdstat_set_rights(home, fd, 0, 0).ok();
                vfs.fd_fdstat_get(home, fd, 64).unwrap();
                assert_eq!(g.u64_at(72), 0, "none is left, and none is needed");
                if kind == 3 {
                    break;
                }
            }
        }
        assert_eq!(name(&g.read(fd, 1)), "BADF");
    });
}
