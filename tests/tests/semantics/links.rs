//! Hard links and link counts.

use monaka_tests::native::{Guest, ROOT};
use monaka_vfs_core::Errno;

use crate::{packed, with};

#[test]
fn directories_count_their_subdirectories_as_links() {
    with(Guest::empty(), |g| {
        assert_eq!(g.stat(".", true).unwrap().nlink, 2);
        g.mkdir("a").unwrap();
        g.mkdir("b").unwrap();
        assert_eq!(g.stat(".", true).unwrap().nlink, 4);
        g.rename("b", "a/b").unwrap();
        assert_eq!(g.stat(".", true).unwrap().nlink, 3);
        assert_eq!(g.stat("a", true).unwrap().nlink, 3);
        g.rmdir("a/b").unwrap();
        assert_eq!(g.stat("a", true).unwrap().nlink, 2);
    });
}

#[test]
fn a_slash_behind_a_new_link_asks_for_a_directory() {
    with(packed(), |g| {
        g.symlink("dir", "to-dir").unwrap();
        g.symlink("nowhere", "dangling").unwrap();
        for (path, expected) in [
            ("file/", Errno::NOTDIR),
            ("link/", Errno::NOTDIR),
            ("dir/", Errno::EXIST),
            ("to-dir/", Errno::EXIST),
            ("dangling/", Errno::NOENT),
            ("new/", Errno::NOENT),
            ("file", Errno::EXIST),
            ("link", Errno::EXIST),
            ("dangling", Errno::EXIST),
            (".", Errno::EXIST),
        ] {
            assert_eq!(g.symlink("x", path), Err(expected), "symlink {path}");
            assert_eq!(g.link("dir/inner", path), Err(expected), "link {path}");
        }
    });
}

#[test]
fn a_hard_link_to_a_symlink_is_to_the_symlink_itself() {
    with(packed(), |g| {
        g.link("link", "second").unwrap();
        assert_eq!(g.readlink("second").unwrap(), b"dir/inner");
        assert_eq!(g.stat("link", false).unwrap().nlink, 2);
        assert_eq!(g.stat("dir/inner", false).unwrap().nlink, 1);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        for flags in [1, 2] {
            let linked = vfs.path_link(home, ROOT, flags, 4096, 0, ROOT, 4096, 0);
            assert_eq!(linked, Err(Errno::INVAL), "flags {flags}");
        }
    });
}
