//! Symlinks: followed, dangling, looping, leading out.

use monaka_tests::native::{ALL, Guest, name};
use monaka_vfs_core::Errno;

use crate::{DIRECTORY, packed, with};

#[test]
fn links_cannot_lead_out_of_the_directory_that_a_walk_starts_from() {
    with(packed(), |g| {
        assert_eq!(g.contents("dir/out").unwrap(), b"packed contents");
        assert_eq!(g.contents("absolute").unwrap(), b"inner", "from the root");
        let dir = g.open("dir", DIRECTORY).unwrap();
        for path in ["out", "..", "../file", "./../file", "inner/../../file"] {
            let opened = g.open_with(dir, 1, path, 0, ALL, ALL, 0);
            let expected = if path.starts_with("inner") {
                "NOTDIR"
            } else {
                "PERM"
            };
            assert_eq!(name(&opened), expected, "{path}");
        }
        assert_eq!(name(&g.open("/file", 0)), "PERM");
        assert_eq!(name(&g.open("dir/../../file", 0)), "PERM");
        let opened = g.open_with(dir, 1, "up", 0, ALL, ALL, 0);
        assert_eq!(name(&opened), "PERM", "absolute, but not from the root");
    });
}

#[test]
fn forty_links_are_followed_and_no_more() {
    with(Guest::empty(), |g| {
        g.create("l0", b"end").unwrap();
        for i in 1..=41 {
            g.symlink(&format!("l{}", i - 1), &format!("l{i}")).unwrap();
        }
        assert_eq!(g.contents("l40").unwrap(), b"end");
        assert_eq!(name(&g.open("l41", 0)), "LOOP");
    });
}

#[test]
fn a_symlink_with_an_absolute_target_cannot_be_created() {
    with(packed(), |g| {
        assert_eq!(g.symlink("/", "new"), Err(Errno::PERM));
        assert_eq!(g.symlink("/dir/inner", "nowhere/new"), Err(Errno::PERM));
        assert_eq!(g.symlink("", "new"), Err(Errno::NOENT));
        assert_eq!(g.contents("absolute").unwrap(), b"inner", "a packed one");
    });
}
