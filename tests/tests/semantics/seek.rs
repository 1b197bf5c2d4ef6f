//! Offsets.

use monaka_tests::native::{ALL, ROOT, name};
use monaka_vfs_core::Errno;

use crate::{CREAT, DIRECTORY, READ, packed, with};

const SEEK: u64 = 1 << 2;
const TELL: u64 = 1 << 5;

/// `fd_seek` checks, in this order: a directory → `BADF` (Linux seeks); `FD_SEEK`
/// is missing, or for a seek of 0 from the current offset both that and `FD_TELL` →
/// `NOTCAPABLE`; an unknown whence, or a target below 0 or past 2^63 - 1 → `INVAL`.
///
/// `fd_tell` checks, in this order: a directory → `BADF`; both `FD_TELL` and
/// `FD_SEEK` are missing → `NOTCAPABLE`. It answers the offset.
#[test]
fn seeking_checks_in_order() {
    with(packed(), |g| {
        let dir = g.open("dir", DIRECTORY).unwrap();
        assert_eq!(g.seek(dir, 0, 3), Err(Errno::BADF));
        assert_eq!(g.vfs.fd_tell(&mut g.home, dir, 64), Err(Errno::BADF));
        for (rights, seeks, asks, tells) in [
            (SEEK | TELL, true, true, true),
            (SEEK, true, true, true),
            (TELL, false, true, true),
            (READ, false, false, false),
        ] {
            let fd = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
            g.read(fd, 5).unwrap();
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_fdstat_set_rights(home, fd, rights, 0).unwrap();
            let expect = |allowed, answer| {
                if allowed {
                    answer
                } else {
                    Err(Errno::NOTCAPABLE)
                }
            };
            assert_eq!(g.seek(fd, 0, 1), expect(asks, Ok(5)), "{rights:x}");
            assert_eq!(g.seek(fd, 0, 3), expect(seeks, Err(Errno::INVAL)));
            assert_eq!(g.seek(fd, 1, 1), expect(seeks, Ok(6)));
            let told = g.vfs.fd_tell(&mut g.home, fd, 64);
            assert_eq!(
                told.map(|()| g.u64_at(64)),
                expect(tells, Ok(5 + u64::from(seeks)))
            );
        }
        let fd = g.open("file", 0).unwrap();
        g.seek(fd, 4, 0).unwrap();
        for (offset, whence) in [
            (-1, 0),
            (i64::MIN, 0),
            (-5, 1),
            (i64::MIN, 1),
            (-16, 2),
            (i64::MIN, 2),
            (i64::MAX, 1),
            (i64::MAX, 2),
            (0, 3),
            (0, 255),
        ] {
            assert_eq!(g.seek(fd, offset, whence), Err(Errno::INVAL));
            assert_eq!(g.seek(fd, 0, 1), Ok(4), "as it was");
        }
    });
}

/// Every other offset can be had, past the end too, where reads find nothing and a
/// write leaves a hole. A seek alone changes neither size nor times.
#[test]
fn seeking_goes_anywhere_and_changes_nothing() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        let before = g.fstat(fd).unwrap();
        assert_eq!(g.seek(fd, 10, 0), Ok(10));
        assert_eq!(g.seek(fd, -10, 1), Ok(0));
        assert_eq!(g.seek(fd, -15, 2), Ok(0));
        assert_eq!(g.seek(fd, 985, 2), Ok(1000));
        assert_eq!(g.fstat(fd).unwrap(), before);
        assert_eq!(g.read(fd, 10).unwrap(), b"");
        g.write(fd, b"end").unwrap();
        assert_eq!(g.pread(fd, 100, 998).unwrap(), b"\0\0end");
        assert_eq!(g.seek(fd, i64::MAX, 0), Ok(i64::MAX as u64));
    });
}

#[test]
fn offsets_and_sizes_end_at_the_largest_signed_number() {
    with(packed(), |g| {
        let fd = g.open("new", CREAT).unwrap();
        assert_eq!(g.seek(fd, i64::MAX, 0), Ok(i64::MAX as u64));
        assert_eq!(g.seek(fd, 1, 1), Err(Errno::INVAL));
        assert_eq!(name(&g.write(fd, b"x")), "INVAL");
        assert_eq!(name(&g.read(fd, 1)), "INVAL");
        assert_eq!(name(&g.write(fd, b"")), "SUCCESS");
        g.seek(fd, -1, 1).unwrap();
        assert_eq!(
            name(&g.write(fd, b"xy")),
            "INVAL",
            "not even the first byte"
        );
        assert_eq!(g.write(fd, b"x"), Ok(1));
        assert_eq!(g.fstat(fd).unwrap().size, i64::MAX as u64);
    });
}
