//! Packed files: what they show, and that writing leaves the image alone.

use monaka_tests::native::{self, Guest};
use monaka_vfs_core::data::FileData;
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

/// The packed image is never written to. The first write to a packed file copies up
/// the 64 KiB chunk that it falls into, and no more.
#[test]
#[cfg_attr(miri, ignore = "interpreting a megabyte takes minutes")]
fn writing_copies_up_one_chunk_and_leaves_the_image_alone() {
    let big: Vec<u8> = (0..1_000_000u32).map(|i| i as u8).collect();
    let mut g = Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "big", &big);
    }));
    let image = g.vfs.fs().image().to_vec();
    let fd = g.open("big", 0).unwrap();
    for (offset, chunks) in [(500_000, 1), (500_001, 1), (0, 2)] {
        g.pwrite(fd, b"x", offset).unwrap();
        let fs = g.vfs.fs();
        let files = fs.inodes().filter_map(|(ino, _)| fs.file(ino).ok());
        let heap: u64 = files.map(FileData::heap_bytes).sum();
        assert_eq!(heap, chunks * 65536);
    }
    let mut expected = big;
    expected[500_000..500_002].fill(b'x');
    expected[0] = b'x';
    assert!(g.contents("big").unwrap() == expected);
    assert_eq!(g.vfs.fs().image(), image);
    g.vfs.check_invariants();
}

#[test]
fn cutting_and_unlinking_leave_the_image_alone() {
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
