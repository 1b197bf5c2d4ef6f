//! The descriptor table: numbers, closing, renumbering.

use monaka_tests::native::name;
use monaka_vfs_core::Errno;

use crate::{packed, with};

#[test]
fn a_new_descriptor_has_the_lowest_free_number() {
    with(packed(), |g| {
        let fds: Vec<u32> = (0..5).map(|_| g.open("file", 0).unwrap()).collect();
        assert_eq!(fds, [4, 5, 6, 7, 8]);
        g.close(7).unwrap();
        g.close(5).unwrap();
        assert_eq!(g.open("file", 0), Ok(5));
        assert_eq!(g.open("file", 0), Ok(7));
        assert_eq!(g.open("file", 0), Ok(9));
        assert_eq!(g.close(5), Ok(()));
        assert_eq!(g.close(5), Err(Errno::BADF));
        assert_eq!(name(&g.read(1000, 1)), "BADF");
    });
}

#[test]
fn renumber_moves_a_description_with_its_offset() {
    with(packed(), |g| {
        let from = g.open("file", 0).unwrap();
        let to = g.open("dir/inner", 0).unwrap();
        g.read(from, 7).unwrap();
        g.vfs.fd_renumber(&mut g.home, from, to).unwrap();
        assert_eq!(g.read(to, 100).unwrap(), b"contents");
        assert_eq!(name(&g.read(from, 1)), "BADF");
        assert_eq!(g.vfs.fd_renumber(&mut g.home, to, to), Ok(()));
        assert_eq!(
            g.vfs.fd_renumber(&mut g.home, to, 99),
            Err(Errno::BADF),
            "onto a number that is not open"
        );
        assert_eq!(g.vfs.fd_renumber(&mut g.home, 99, to), Err(Errno::BADF));
    });
}
