//! Hard links and link counts; new directories.

use monaka_tests::native::{self, Guest, ROOT, name};
use monaka_vfs_core::Errno;

use crate::paths::{shapes, state};
use crate::with;

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

/// Creates an empty directory. The descriptor needs
/// `PATH_CREATE_DIRECTORY`.
///
/// Whatever has the name already is `EXIST`: also a file with a slash
/// behind it, and a symlink, wherever it leads. `.` and `..` always are.
///
/// A new name may have slashes behind it.
///
/// The new directory has two links and size 0, and each of its times is due.
/// The parent has one link more; its modification and change time are due,
/// its access time stays.
#[test]
fn a_new_directory_is_empty_and_of_now() {
    with(shapes(), |g| {
        let before = state(g);
        for path in [
            "file",
            "file/",
            "dir",
            "dir/",
            "link",
            "link/",
            "to-dir",
            "to-dir/",
            "dangling",
            "dangling/",
            "loop",
            "loop/",
            ".",
            "./",
            "dir/.",
            "dir/..",
        ] {
            assert_eq!(g.mkdir(path), Err(Errno::EXIST), "{path}");
        }
        assert_eq!(state(g), before);

        let old = g.stat("dir", false).unwrap();
        g.mkdir("dir/new").unwrap();
        let new = g.stat("dir/new", false).unwrap();
        let now = g.home.seconds * 1_000_000_000;
        assert_eq!((new.filetype, new.nlink, new.size), (3, 2, 0));
        assert_eq!([new.atim, new.mtim, new.ctim], [now; 3]);
        let dir = g.stat("dir", false).unwrap();
        assert_eq!([dir.atim, dir.mtim, dir.ctim], [old.atim, now, now]);
        assert_eq!(dir.nlink, old.nlink + 1);
        for path in ["newer/", "newest//", "to-dir/new/last/"] {
            g.mkdir(path).unwrap();
            assert_eq!(g.stat(path, false).unwrap().nlink, 2, "{path}");
        }
        assert_eq!(g.stat("dir/new", false).unwrap().nlink, 3);
    });
}

/// Gives a file another name. The old directory needs `PATH_LINK_SOURCE`,
/// the new one `PATH_LINK_TARGET`.
///
/// All names are one file: one inode number, contents, times and link
/// count, and a descriptor opened by one name sees what is written by
/// another. The last name that goes takes it along.
#[test]
fn all_names_are_one_file() {
    with(shapes(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.link("file", "dir/second").unwrap();
        g.link("dir/second", "third").unwrap();
        let first = g.stat("file", false).unwrap();
        assert_eq!(first.nlink, 3);
        for path in ["dir/second", "third"] {
            assert_eq!(g.stat(path, false).unwrap(), first, "{path}");
        }
        let other = g.open("third", 0).unwrap();
        g.write(other, b"CON").unwrap();
        assert_eq!(g.read(fd, 100).unwrap(), b"CONtents");
        g.unlink("file").unwrap();
        assert_eq!(g.fstat(fd).unwrap().nlink, 2);
        assert_eq!(g.contents("dir/second").unwrap(), b"CONtents");
        g.close(fd).unwrap();
        g.close(other).unwrap();
        let inodes = g.vfs.fs().inodes().count();
        g.unlink("third").unwrap();
        assert_eq!(g.vfs.fs().inodes().count(), inodes);
        g.unlink("dir/second").unwrap();
        assert_eq!(g.vfs.fs().inodes().count(), inodes - 1);
    });
}

/// Any lookup flag is `INVAL`, also `SYMLINK_FOLLOW`, as in wasmtime: a
/// symlink at the end of the old path gets the other name itself, wherever
/// it leads.
#[test]
fn a_hard_link_to_a_symlink_is_to_the_symlink_itself() {
    with(shapes(), |g| {
        for link in ["link", "to-dir", "dangling", "loop"] {
            let target = g.readlink(link).unwrap();
            g.link(link, "second").unwrap();
            assert_eq!(g.readlink("second").unwrap(), target);
            assert_eq!(g.stat(link, false).unwrap().nlink, 2);
            g.unlink("second").unwrap();
        }
        assert_eq!(g.stat("file", false).unwrap().nlink, 1);
        for flags in [1, 2, 3, u32::MAX] {
            for path in ["link", "file", "new", ""] {
                let ((old, old_len), (new, new_len)) = (g.path(path), g.path2("t"));
                let (vfs, home) = (&mut g.vfs, &mut g.home);
                let linked = vfs.path_link(home, ROOT, flags, old, old_len, ROOT, new, new_len);
                assert_eq!(linked, Err(Errno::INVAL), "{path} {flags}");
            }
        }
    });
}

/// The old path is walked first. Nothing there is `NOENT`, and a slash
/// behind what is no directory `NOTDIR`.
///
/// What has the new name already is `EXIST`, as are `.` and `..`. A slash
/// behind it asks for a directory: where one is, `EXIST`; where something
/// else is, `NOTDIR`; otherwise `NOENT`.
///
/// A directory keeps its one name: `PERM`, when the new name is free.
#[test]
fn a_new_name_has_to_be_free_and_the_old_one_a_files() {
    with(shapes(), |g| {
        let before = state(g);
        for (old, new, expected) in [
            ("new", "no/x", Errno::NOENT),
            ("no/x", "file/x", Errno::NOENT),
            ("file/x", "no/x", Errno::NOTDIR),
            ("file/", "no/x", Errno::NOTDIR),
            ("link/", "t", Errno::NOTDIR),
            ("dangling/", "t", Errno::NOENT),
            ("loop/", "t", Errno::LOOP),
            ("file", "no/x", Errno::NOENT),
            ("file", "file", Errno::EXIST),
            ("file", "dir", Errno::EXIST),
            ("file", "dangling", Errno::EXIST),
            ("file", ".", Errno::EXIST),
            ("file", "dir/..", Errno::EXIST),
            ("file", "dir/", Errno::EXIST),
            ("file", "to-dir/", Errno::EXIST),
            ("file", "link/", Errno::NOTDIR),
            ("file", "file/", Errno::NOTDIR),
            ("file", "new/", Errno::NOENT),
            ("file", "dangling/", Errno::NOENT),
            ("dir", "file", Errno::EXIST),
            ("dir", "new/", Errno::NOENT),
            ("dir", "t", Errno::PERM),
            ("dir/", "t", Errno::PERM),
            ("to-dir/", "t", Errno::PERM),
            (".", "t", Errno::PERM),
            ("dir/..", "t", Errno::PERM),
        ] {
            assert_eq!(g.link(old, new), Err(expected), "{old} {new}");
        }
        assert_eq!(state(g), before);
        assert_eq!(name(&g.link("to-dir", "t")), "SUCCESS");
    });
}

/// The file has one link more and its change time is due, as are the
/// modification and change time of the directory that has the new name.
/// Everything else stays as it is.
#[test]
fn linking_is_of_now_for_the_file_and_the_new_directory() {
    let packed = native::meta().mtime;
    with(shapes(), |g| {
        g.link("dir/entry", "empty/new").unwrap();
        let file = g.stat("dir/entry", false).unwrap();
        let now = g.home.seconds * 1_000_000_000;
        assert_eq!([file.atim, file.mtim, file.ctim], [packed, packed, now]);
        assert_eq!(file.nlink, 2);
        let new = g.stat("empty", false).unwrap();
        assert_eq!([new.atim, new.mtim, new.ctim], [packed, now, now]);
        assert_eq!(new.nlink, 2);
        let old = g.stat("dir", false).unwrap();
        assert_eq!([old.atim, old.mtim, old.ctim], [packed; 3]);
    });
}
