//! Removing what is open, and what is left of it.

use monaka_tests::native::{Guest, name};

use crate::{CREAT, packed, with};

#[test]
fn an_unlinked_file_lives_until_its_last_close() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.unlink("file").unwrap();
        assert_eq!(name(&g.open("file", 0)), "NOENT");
        assert_eq!(g.fstat(fd).unwrap().nlink, 0);
        g.write(fd, b"still").unwrap();
        assert_eq!(g.pread(fd, 100, 0).unwrap(), b"stilld contents");
        g.vfs.check_invariants();
        g.close(fd).unwrap();
    });
}

#[test]
fn creating_and_removing_needs_no_more_inodes() {
    with(Guest::empty(), |g| {
        let before = g.vfs.fs().inodes().count();
        let mut largest = 0;
        for _ in 0..if cfg!(miri) { 100 } else { 100_000 } {
            let fd = g.open("f", CREAT).unwrap();
            largest = largest.max(g.fstat(fd).unwrap().ino);
            g.close(fd).unwrap();
            g.unlink("f").unwrap();
        }
        assert_eq!(g.vfs.fs().inodes().count(), before);
        assert!(largest < 4, "inode numbers are reused: {largest}");
    });
}
