//! Appending.

use monaka_tests::native::{ALL, ROOT};

use crate::{APPEND, packed, with};

#[test]
fn appending_writes_at_the_end_wherever_pwrite_is_told() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "file", 0, ALL, ALL, APPEND).unwrap();
        g.write(fd, b"!").unwrap();
        g.pwrite(fd, b"?", 0).unwrap();
        g.pwrite(fd, b".", 1 << 40).unwrap();
        assert_eq!(g.pread(fd, 100, 0).unwrap(), b"packed contents!?.");
        assert_eq!(g.seek(fd, 0, 1), Ok(16), "pwrite leaves the offset");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_flags(home, fd, 0).unwrap();
        g.pwrite(fd, b"P", 0).unwrap();
        assert_eq!(g.pread(fd, 6, 0).unwrap(), b"Packed");
    });
}
