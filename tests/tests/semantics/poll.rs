//! Waiting for files.

use monaka_tests::native::{ROOT, name};

use crate::{packed, with};

#[test]
fn packed_files_are_always_ready() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.read(fd, 7).unwrap();
        assert_eq!(g.poll_read(&[fd, fd]).unwrap(), [(0, 8), (0, 8)]);
        assert_eq!(name(&g.poll_read(&[])), "INVAL");
    });
}

#[test]
fn waiting_on_a_bad_descriptor_fails_the_call() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(name(&g.poll_read(&[99])), "BADF");
        assert_eq!(name(&g.poll_read(&[fd, u32::MAX])), "BADF");
        assert_eq!(name(&g.poll_read(&[ROOT, fd])), "BADF", "a directory");
    });
}
