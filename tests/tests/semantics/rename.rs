//! Renaming.

use monaka_tests::native::{self, Guest, name};
use monaka_vfs_core::Errno;

use crate::paths::{CALLS, shapes, state};
use crate::{DIRECTORY, with};

fn now(g: &Guest) -> u64 {
    g.home.seconds * 1_000_000_000
}

/// Gives a file, a directory or a symlink the new name instead of the old
/// one. The old directory needs `PATH_RENAME_SOURCE`, the new one
/// `PATH_RENAME_TARGET`.
#[test]
fn the_new_name_takes_the_place_of_the_old_one() {
    with(shapes(), |g| {
        for (old, new) in [("file", "dir/f"), ("dir", "empty/d"), ("link", "l")] {
            let before = g.stat(old, false).unwrap();
            g.rename(old, new).unwrap();
            let after = g.stat(new, false).unwrap();
            assert_eq!((after.ino, after.filetype), (before.ino, before.filetype));
            assert_eq!(name(&g.stat(old, false)), "NOENT");
        }
        assert_eq!(g.contents("empty/d/f").unwrap(), b"contents");
        assert_eq!(g.readlink("l").unwrap(), b"file");
    });
}

/// Both paths are walked, the old one first; then `.` or `..` at the end of
/// one is `BUSY`, and nothing of the old name `NOENT`.
#[test]
fn the_ends_of_both_paths_are_names() {
    with(shapes(), |g| {
        for dots in [".", "dir/.", "dir/..", "./", "to-dir/.."] {
            assert_eq!(g.rename(dots, "t"), Err(Errno::BUSY), "{dots}");
            assert_eq!(g.rename("file", dots), Err(Errno::BUSY), "{dots}");
            assert_eq!(g.rename("new", dots), Err(Errno::BUSY), "{dots}");
        }
        for (old, new, expected) in [
            ("new", "t", Errno::NOENT),
            ("new/", "t", Errno::NOENT),
            ("new", "dir", Errno::NOENT),
            ("new", "file/", Errno::NOENT),
            ("no/x", "file/x", Errno::NOENT),
            ("file/x", "no/x", Errno::NOTDIR),
            ("file", "no/x", Errno::NOENT),
            ("new", "file/x", Errno::NOTDIR),
            ("..", "no/x", Errno::PERM),
            ("file", "../x", Errno::PERM),
        ] {
            assert_eq!(g.rename(old, new), Err(expected), "{old} {new}");
        }
    });
}

/// A slash behind either path is right for a directory and `NOTDIR` for
/// everything else.
#[test]
fn a_slash_is_for_directories() {
    with(shapes(), |g| {
        for (old, new) in [
            ("file/", "t"),
            ("file", "t/"),
            ("file", "dir/"),
            ("file", "dangling/"),
            ("link/", "t"),
            ("to-dir/", "t"),
            ("to-dir", "t/"),
            ("to-dir", "dir/"),
            ("dir", "file/"),
            ("dir/", "to-dir/"),
        ] {
            assert_eq!(g.rename(old, new), Err(Errno::NOTDIR), "{old} {new}");
        }
        g.rename("dir", "t/").unwrap();
        g.rename("t/", "u").unwrap();
        g.rename("u//", "empty//").unwrap();
        assert_eq!(name(&g.stat("empty/entry", false)), "SUCCESS");
    });
}

/// A directory cannot come to lie in itself, at any depth: `INVAL`.
#[test]
fn a_directory_cannot_come_to_lie_in_itself() {
    with(shapes(), |g| {
        g.mkdir("dir/deep").unwrap();
        g.symlink("dir/deep", "to-deep").unwrap();
        for new in ["dir/x", "dir/deep/x", "dir/deep", "dir/entry", "to-deep/x"] {
            assert_eq!(g.rename("dir", new), Err(Errno::INVAL), "{new}");
        }
        let deep = g.open("dir/deep", DIRECTORY).unwrap();
        let into = CALLS.iter().find(|call| call.name == "dir to").unwrap();
        assert_eq!(into.on(g, deep, "x"), Err(Errno::INVAL));
        assert_eq!(g.rename("empty", "dir/deep/x"), Ok(()));
    });
}

/// If both names lead to one file, as links or because they are one name,
/// nothing happens: both stay, and no time changes.
#[test]
fn renaming_onto_the_same_file_does_nothing() {
    with(shapes(), |g| {
        g.link("file", "dir/hard").unwrap();
        g.link("link", "soft").unwrap();
        let before = state(g);
        for (old, new) in [
            ("file", "file"),
            ("file", "dir/hard"),
            ("dir/hard", "./file"),
            ("dir", "dir"),
            ("dir", "./dir/"),
            ("dir/", "to-dir/../dir"),
            ("link", "soft"),
            ("dangling", "dangling"),
        ] {
            assert_eq!(g.rename(old, new), Ok(()), "{old} {new}");
        }
        assert_eq!(state(g), before);
        assert_eq!(g.rename("file", "file/"), Err(Errno::NOTDIR));
        assert_eq!(g.rename("link", "file"), Ok(()), "they are two files");
        assert_eq!(name(&g.stat("link", false)), "NOENT");
    });
}

/// What the new name leads to must not hold the old one, at any depth:
/// `NOTEMPTY`.
#[test]
fn nothing_replaces_a_directory_that_holds_it() {
    with(shapes(), |g| {
        g.mkdir("dir/deep").unwrap();
        g.create("dir/deep/file", b"").unwrap();
        g.mkdir("dir/deep/dir").unwrap();
        for old in ["dir/entry", "dir/deep", "dir/deep/file", "dir/deep/dir"] {
            assert_eq!(g.rename(old, "dir"), Err(Errno::NOTEMPTY), "{old}");
        }
        let old = "dir/deep/file";
        assert_eq!(g.rename(old, "dir/deep"), Err(Errno::NOTEMPTY));
    });
}

/// A directory over something else is `NOTDIR`, something else over a
/// directory `ISDIR`, a directory over one with entries `NOTEMPTY`.
/// Anything else of the new name is replaced: a file or symlink by a file
/// or symlink, an empty directory by a directory.
#[test]
fn what_is_replaced_is_of_the_same_kind() {
    let succeeds = |old: &str, new: &str| {
        with(shapes(), |g| {
            g.create("other", b"other").unwrap();
            let renamed = g.stat(old, false).unwrap();
            g.rename(old, new).unwrap();
            assert_eq!(name(&g.stat(old, false)), "NOENT");
            let new = g.stat(new, false).unwrap();
            assert_eq!((new.ino, new.nlink), (renamed.ino, renamed.nlink));
        });
    };
    for (old, new) in [
        ("file", "other"),
        ("file", "link"),
        ("file", "to-dir"),
        ("file", "dangling"),
        ("file", "dir/entry"),
        ("link", "file"),
        ("link", "loop"),
        ("loop", "dir/entry"),
        ("dir", "empty"),
    ] {
        succeeds(old, new);
    }
    with(shapes(), |g| {
        g.mkdir("full").unwrap();
        g.mkdir("full/of").unwrap();
        let before = state(g);
        for (old, new, expected) in [
            ("dir", "file", Errno::NOTDIR),
            ("dir", "link", Errno::NOTDIR),
            ("dir", "to-dir", Errno::NOTDIR),
            ("empty", "dangling", Errno::NOTDIR),
            ("file", "dir", Errno::ISDIR),
            ("file", "empty", Errno::ISDIR),
            ("to-dir", "dir", Errno::ISDIR),
            ("dangling", "empty", Errno::ISDIR),
            ("empty", "dir", Errno::NOTEMPTY),
            ("dir", "full", Errno::NOTEMPTY),
        ] {
            assert_eq!(g.rename(old, new), Err(expected), "{old} {new}");
        }
        assert_eq!(state(g), before);
    });
}

/// Symlinks at the end are not followed: they are renamed and replaced
/// themselves.
#[test]
fn a_symlink_is_renamed_and_replaced_itself() {
    with(shapes(), |g| {
        g.rename("to-dir", "dangling").unwrap();
        assert_eq!(g.readlink("dangling").unwrap(), b"dir");
        assert_eq!(name(&g.stat("nowhere", false)), "NOENT");
        g.rename("dir/entry", "link").unwrap();
        assert_eq!(g.stat("link", false).unwrap().filetype, 4);
        assert_eq!(g.contents("file").unwrap(), b"contents");
        g.rename("link", "loop").unwrap();
        assert_eq!(g.contents("loop").unwrap(), b"");
    });
}

/// Descriptors stay with what they were opened on: the renamed file is open
/// under its new name, the replaced one without a name until it is closed.
#[test]
fn descriptors_stay_with_what_was_renamed_and_what_was_replaced() {
    with(shapes(), |g| {
        g.create("other", b"other").unwrap();
        let renamed = g.open("file", 0).unwrap();
        let replaced = g.open("other", 0).unwrap();
        g.rename("file", "other").unwrap();
        g.pwrite(renamed, b"CON", 0).unwrap();
        assert_eq!(g.contents("other").unwrap(), b"CONtents");
        assert_eq!(g.fstat(renamed).unwrap().nlink, 1);
        assert_eq!(g.fstat(replaced).unwrap().nlink, 0);
        g.pwrite(replaced, b"!", 5).unwrap();
        assert_eq!(g.read(replaced, 10).unwrap(), b"other!");
        g.close(replaced).unwrap();

        let dir = g.open("dir", DIRECTORY).unwrap();
        let empty = g.open("empty", DIRECTORY).unwrap();
        g.rename("dir", "empty").unwrap();
        assert_eq!(g.readdir(dir, 4096).unwrap()[0].name, b"entry");
        assert_eq!(g.readdir(empty, 4096).unwrap(), []);
        assert_eq!(g.fstat(empty).unwrap().nlink, 0);
        assert_eq!(
            g.fstat(dir).unwrap().ino,
            g.stat("empty", true).unwrap().ino
        );
    });
}

/// The modification and change time of both directories are due, and so is
/// the change time of what was renamed and of what was replaced, which has
/// one link less. Between two directories a directory takes the link, which
/// is its `..`, along.
#[test]
fn renaming_is_of_now_for_both_directories_and_both_files() {
    let packed = native::meta().mtime;
    with(shapes(), |g| {
        g.rename("file", "dir/entry").unwrap();
        let dirs = [".", "dir"].map(|dir| g.stat(dir, false).unwrap());
        for stat in dirs {
            assert_eq!([stat.atim, stat.mtim, stat.ctim], [packed, now(g), now(g)]);
        }
        let file = g.stat("dir/entry", false).unwrap();
        assert_eq!([file.atim, file.mtim, file.ctim], [packed, packed, now(g)]);
    });
    with(shapes(), |g| {
        g.link("dir/entry", "kept").unwrap();
        let entry = g.open("dir/entry", 0).unwrap();
        g.rename("file", "dir/entry").unwrap();
        let replaced = g.fstat(entry).unwrap();
        assert_eq!((replaced.nlink, replaced.ctim), (1, now(g)));
        assert_eq!(replaced.mtim, packed);
    });
    with(shapes(), |g| {
        let links = |g: &mut Guest, path: &str| g.stat(path, false).unwrap().nlink;
        g.mkdir("dir/deep").unwrap();
        assert_eq!(
            [links(g, "."), links(g, "dir"), links(g, "empty")],
            [4, 3, 2]
        );
        let up = g.open("dir/deep", DIRECTORY).unwrap();
        g.rename("dir/deep", "empty/deep").unwrap();
        assert_eq!(
            [links(g, "."), links(g, "dir"), links(g, "empty")],
            [4, 2, 3]
        );
        let (entries, _) = g.readdir_once(up, 4096, 0).unwrap();
        assert_eq!(entries[1].name, b"..");
        assert_eq!(entries[1].ino, g.stat("empty", false).unwrap().ino);
        assert_eq!(g.stat("empty/deep/..", true), g.stat("empty", true));
        g.mkdir("dir/deep").unwrap();
        g.rename("dir/deep", "empty/deep").unwrap();
        assert_eq!(
            [links(g, "."), links(g, "dir"), links(g, "empty")],
            [4, 2, 3]
        );
        g.rename("empty/deep", "empty/other").unwrap();
        assert_eq!(
            [links(g, "."), links(g, "dir"), links(g, "empty")],
            [4, 2, 3]
        );
        assert_eq!(links(g, "empty/other"), 2);
        assert_eq!(g.stat(".", true), g.stat("dir/..", true));
        g.close(up).unwrap();
    });
}
