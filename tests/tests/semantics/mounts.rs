//! Mounts and preopened directories: one file system.

use monaka_tests::native::{self, ALL, Guest, name};
use monaka_vfs_core::image::NodeId;

use crate::{CREAT, with};

/// `/data` is descriptor 3, `/opt/lib` 4 and `/` 5.
fn mounted() -> Guest {
    let mut tree = native::tree(|_| {});
    tree.clear_preopens();
    let data = tree
        .add_directory(NodeId::ROOT, b"data", native::meta())
        .unwrap();
    let opt = tree
        .add_directory(NodeId::ROOT, b"opt", native::meta())
        .unwrap();
    let lib = tree.add_directory(opt, b"lib", native::meta()).unwrap();
    native::add_file(&mut tree, lib, "file", b"library");
    tree.add_preopen(b"/data", data).unwrap();
    tree.add_preopen(b"/opt/lib", lib).unwrap();
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    Guest::new(tree)
}

/// A mount is an ordinary directory, and a file is the same through every
/// descriptor that leads to it: what is done through one preopened
/// directory is seen through the others, and renaming and linking between
/// them works.
#[test]
fn a_file_is_the_same_through_every_preopen() {
    with(mounted(), |g| {
        let through_lib = g.open_with(4, 0, "file", 0, ALL, ALL, 0).unwrap();
        let through_root = g.open_with(5, 0, "opt/lib/file", 0, ALL, ALL, 0).unwrap();
        assert_eq!(g.fstat(through_lib), g.fstat(through_root));
        g.write(through_lib, b"LIB").unwrap();
        assert_eq!(g.read(through_root, 100).unwrap(), b"LIBrary");

        let ((old, old_len), (new, new_len)) = (g.path("file"), g.path2("moved"));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.path_link(home, 4, 0, old, old_len, 3, new, new_len)
            .unwrap();
        assert_eq!(g.fstat(through_lib).unwrap().nlink, 2);
        let ((old, old_len), (new, new_len)) = (g.path("file"), g.path2("data/over"));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.path_rename(home, 4, old, old_len, 5, new, new_len)
            .unwrap();
        let gone = g.open_with(5, 0, "opt/lib/file", 0, ALL, ALL, 0);
        assert_eq!(name(&gone), "NOENT");
        let over = g.open_with(3, 0, "over", 0, ALL, ALL, 0).unwrap();
        assert_eq!(g.read(over, 100).unwrap(), b"LIBrary");

        g.open_with(5, 0, "data/new", CREAT, ALL, ALL, 0).unwrap();
        let listed = g.readdir(3, 4096).unwrap();
        let names: Vec<&[u8]> = listed.iter().map(|entry| &entry.name[..]).collect();
        let expected: [&[u8]; 3] = [b"moved", b"over", b"new"];
        assert_eq!(names, expected);
        let out = g.open_with(4, 0, "../../data/new", 0, ALL, ALL, 0);
        assert_eq!(name(&out), "PERM", "but each is the end of its walks");
    });
}

/// The root shows every mount in its listing, and so does each directory
/// above a mount, whether or not that directory was mapped itself.
#[test]
fn the_root_shows_every_mount() {
    with(mounted(), |g| {
        for (fd, expected) in [(5, &["data", "opt"][..]), (4, &["file"]), (3, &[])] {
            let listed = g.readdir(fd, 4096).unwrap();
            let names: Vec<_> = listed
                .iter()
                .map(|entry| String::from_utf8(entry.name.clone()).unwrap())
                .collect();
            assert_eq!(names, expected);
        }
        let opt = g.open_with(5, 0, "opt", 2, 2, ALL, 0).unwrap();
        let listed = g.readdir(opt, 4096).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].name, b"lib");
        assert_eq!(listed[0].ino, g.fstat(4).unwrap().ino);
    });
}
