//! Holes, allocating and setting the size.

use monaka_tests::native::Guest;

use crate::{CREAT, with};

#[test]
fn a_hole_takes_no_memory_and_reads_as_zeros() {
    with(Guest::empty(), |g| {
        let fd = g.open("sparse", CREAT).unwrap();
        g.pwrite(fd, b"end", 1 << 40).unwrap();
        assert_eq!(g.fstat(fd).unwrap().size, (1 << 40) + 3);
        assert_eq!(g.pread(fd, 4, (1 << 40) - 1).unwrap(), b"\0end");
        assert_eq!(g.pread(fd, 3, 12345).unwrap(), [0; 3]);
    });
}
