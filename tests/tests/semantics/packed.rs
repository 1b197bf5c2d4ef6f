//! Packed files: what they show, and that writing leaves the image alone.

use monaka_tests::native::{self, Guest};
use monaka_vfs_core::image::NodeId;

use crate::{packed, with};

#[test]
fn packed_files_keep_their_mtime_and_are_readable() {
    with(packed(), |g| {
        assert_eq!(g.contents("file").unwrap(), b"packed contents");
        assert_eq!(g.contents("link").unwrap(), b"inner");
        let stat = g.stat("dir/inner", true).unwrap();
        assert_eq!((stat.size, stat.nlink, stat.mtim), (5, 1, 1_000_000_007));
    });
}

#[test]
fn writing_to_a_packed_file_leaves_the_image_alone() {
    let mut g = packed();
    let image = g.vfs.fs().image().to_vec();
    let fd = g.open("file", 0).unwrap();
    g.write(fd, b"PACKED").unwrap();
    assert_eq!(g.contents("file").unwrap(), b"PACKED contents");
    g.set_size(fd, 3).unwrap();
    g.set_size(fd, 6).unwrap();
    assert_eq!(g.contents("file").unwrap(), b"PAC\0\0\0");
    g.unlink("file").unwrap();
    assert_eq!(g.vfs.fs().image(), image);
    g.vfs.check_invariants();
}

#[test]
fn copying_up_takes_one_chunk_not_the_whole_file() {
    let big: Vec<u8> = (0..1_000_000u32).map(|i| i as u8).collect();
    let mut g = Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "big", &big);
    }));
    let fd = g.open("big", 0).unwrap();
    g.pwrite(fd, b"x", 500_000).unwrap();
    let heap: u64 = g
        .vfs
        .fs()
        .inodes()
        .filter_map(|(_, inode)| match &inode.kind {
            monaka_vfs_core::inode::Kind::Regular(data) => Some(data.heap_bytes()),
            _ => None,
        })
        .sum();
    assert_eq!(heap, 65536);
    let mut expected = big;
    expected[500_000] = b'x';
    assert!(g.contents("big").unwrap() == expected);
    g.vfs.check_invariants();
}
