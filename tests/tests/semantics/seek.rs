//! Offsets.

use monaka_tests::native::name;
use monaka_vfs_core::Errno;

use crate::{packed, with};

#[test]
fn offsets_and_sizes_end_at_the_largest_signed_number() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(g.seek(fd, i64::MAX, 0), Ok(i64::MAX as u64));
        assert_eq!(g.seek(fd, 1, 1), Err(Errno::INVAL));
        assert_eq!(g.seek(fd, -1, 0), Err(Errno::INVAL));
        assert_eq!(name(&g.write(fd, b"x")), "INVAL");
        assert_eq!(name(&g.read(fd, 1)), "INVAL");
        assert_eq!(name(&g.write(fd, b"")), "SUCCESS");
        assert_eq!(g.set_size(fd, 1 << 63), Err(Errno::INVAL));
        assert_eq!(name(&g.pwrite(fd, b"x", u64::MAX)), "INVAL");
        assert_eq!(name(&g.pread(fd, 1, 1 << 63)), "INVAL");
    });
}
