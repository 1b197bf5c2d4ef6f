//! Opening and creating.

use monaka_tests::native::{self, ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;

use crate::paths::{shapes, state};
use crate::{APPEND, CREAT, DIRECTORY, EXCL, READ, TRUNC, WRITE, packed, with};

/// Opens for reading and writing; the answer's name.
fn answer(g: &mut Guest, lookup: u32, path: &str, oflags: u32) -> &'static str {
    name(&g.open_with(ROOT, lookup, path, oflags, READ | WRITE, ALL, 0))
}

/// An unknown flag, and `CREAT` with `DIRECTORY`, is `INVAL`, before the
/// descriptor is looked at.
#[test]
fn unknown_flags_are_refused_first() {
    with(packed(), |g| {
        for fd in [ROOT, 0, 99] {
            let mut open = |lookup, oflags, fdflags| {
                name(&g.open_with(fd, lookup, "file", oflags, ALL, ALL, fdflags))
            };
            assert_eq!(open(2, 0, 0), "INVAL");
            assert_eq!(open(3, 0, 0), "INVAL");
            assert_eq!(open(0, 16, 0), "INVAL");
            assert_eq!(open(0, 0, 32), "INVAL");
            assert_eq!(open(0, CREAT | DIRECTORY, 0), "INVAL");
            assert_eq!(open(0, CREAT | DIRECTORY | EXCL, 0), "INVAL");
        }
    });
}

/// The descriptor needs `PATH_OPEN`, for `CREAT` also `PATH_CREATE_FILE`
/// and for `TRUNC` also `PATH_FILESTAT_SET_SIZE`, whether or not anything
/// is created or cut.
#[test]
fn creating_and_cutting_need_a_right_even_where_nothing_is_done() {
    const OPEN: u64 = 1 << 13;
    const CREATE: u64 = 1 << 10;
    const SET_SIZE: u64 = 1 << 19;
    for (rights, allowed) in [
        (0, &[][..]),
        (CREATE | SET_SIZE, &[]),
        (OPEN, &[0]),
        (OPEN | CREATE, &[0, CREAT]),
        (OPEN | SET_SIZE, &[0, TRUNC]),
        (OPEN | CREATE | SET_SIZE, &[0, CREAT, TRUNC, CREAT | TRUNC]),
    ] {
        with(packed(), |g| {
            let dir = g.open(".", DIRECTORY).unwrap();
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_fdstat_set_rights(home, dir, rights, ALL & ((1 << 30) - 1))
                .unwrap();
            for oflags in [0, CREAT, TRUNC, CREAT | TRUNC] {
                let opened = g.open_with(dir, 0, "file", oflags, ALL, ALL, 0);
                let expected = if allowed.contains(&oflags) {
                    "SUCCESS"
                } else {
                    "NOTCAPABLE"
                };
                assert_eq!(name(&opened), expected, "{rights:x} {oflags}");
            }
        });
    }
}

/// `DSYNC`, `RSYNC` or `SYNC` is `NOTSUP` if `FD_SYNC` is not among the
/// rights asked for. Otherwise they are kept, as `APPEND` and `NONBLOCK`
/// are, and `fd_fdstat_get` shows them; nothing ever has to be waited for.
#[test]
fn flags_are_kept_and_sync_has_to_be_asked_for() {
    const SYNC: u64 = 1 << 4;
    with(packed(), |g| {
        for flags in [2, 8, 16, 31] {
            let opened = g.open_with(ROOT, 1, "new", CREAT, READ | WRITE, ALL, flags);
            assert_eq!(name(&opened), "NOTSUP", "{flags}");
            assert_eq!(name(&g.stat("new", false)), "NOENT");
        }
        for (path, rights) in [("file", WRITE | SYNC), ("dir", READ | SYNC)] {
            for flags in 0..32u8 {
                let fd = g.open_with(ROOT, 1, path, 0, rights, ALL, flags.into());
                let fd = fd.unwrap();
                g.vfs.fd_fdstat_get(&mut g.home, fd, 64).unwrap();
                assert_eq!(g.bytes_at(66, 2), [flags, 0], "{path}");
                g.close(fd).unwrap();
            }
        }
        let appending = g.open_with(ROOT, 1, "file", 0, WRITE, ALL, APPEND | 4);
        assert_eq!(name(&appending), "SUCCESS", "these need no right");
    });
}

/// The place for the new number must lie in the memory (`FAULT`): else
/// nothing is created.
#[test]
fn nothing_is_created_if_its_number_cannot_be_told() {
    with(packed(), |g| {
        let end = g.home.memory.len() as u32;
        let before = state(g);
        let (path, len) = g.path("new");
        for opened in [end, end - 3, u32::MAX] {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            let outcome = vfs.path_open(home, ROOT, 0, path, len, CREAT, ALL, ALL, 0, opened);
            assert_eq!(outcome, Err(Errno::FAULT));
        }
        assert_eq!(state(g), before);
    });
}

/// `CREAT` and a name with a slash behind it is `ISDIR`, whatever has the
/// name.
#[test]
fn no_directory_is_created_by_opening() {
    with(shapes(), |g| {
        for oflags in [CREAT, CREAT | EXCL, CREAT | TRUNC] {
            for path in [
                "new/",
                "new//",
                "file/",
                "dir/",
                "link/",
                "dangling/",
                "loop/",
            ] {
                assert_eq!(answer(g, 1, path, oflags), "ISDIR", "{path} {oflags}");
                assert_eq!(answer(g, 0, path, oflags), "ISDIR", "{path} {oflags}");
            }
        }
        assert_eq!(g.contents("file").unwrap(), b"contents");
        assert_eq!(g.stat("link", false).unwrap().filetype, 7);
    });
}

#[test]
fn a_slash_in_a_link_counts_as_one_in_the_path() {
    with(shapes(), |g| {
        g.symlink("file/", "to-file").unwrap();
        g.symlink("nowhere/", "to-nowhere").unwrap();
        assert_eq!(answer(g, 1, "to-file", CREAT), "ISDIR", "as on Linux");
        assert_eq!(answer(g, 1, "to-nowhere", CREAT), "ISDIR");
        assert_eq!(answer(g, 1, "to-file", CREAT | EXCL), "EXIST");
        assert_eq!(answer(g, 1, "to-file", 0), "NOTDIR");
        assert_eq!(answer(g, 1, "to-nowhere", 0), "NOENT");
    });
}

/// `CREAT` with `EXCL` and an existing name is `EXIST`: a directory too,
/// and a symlink, wherever it leads. `EXCL` alone means nothing.
#[test]
fn exclusive_means_the_name_itself() {
    with(shapes(), |g| {
        for path in ["file", "dir", "link", "to-dir", "dangling", "loop", "."] {
            for lookup in [0, 1] {
                assert_eq!(answer(g, lookup, path, CREAT | EXCL), "EXIST", "{path}");
                assert_eq!(answer(g, lookup, path, CREAT | EXCL | TRUNC), "EXIST");
            }
        }
        assert_eq!(g.contents("file").unwrap(), b"contents");
        assert_eq!(name(&g.stat("nowhere", false)), "NOENT");
        assert_eq!(answer(g, 1, "new", CREAT | EXCL), "SUCCESS");
        assert_eq!(answer(g, 1, "file", EXCL), "SUCCESS");
        assert_eq!(answer(g, 1, "newer", EXCL), "NOENT");
        assert_eq!(name(&g.open("dir", DIRECTORY | EXCL)), "SUCCESS");
    });
}

/// Without `CREAT`, nothing there is `NOENT`. With it an empty file is
/// created; through a dangling symlink that is followed, too, where its
/// target says.
#[test]
fn a_dangling_symlink_is_created_through() {
    with(shapes(), |g| {
        assert_eq!(answer(g, 1, "new", 0), "NOENT");
        assert_eq!(answer(g, 1, "new", TRUNC), "NOENT");
        assert_eq!(answer(g, 1, "new", CREAT), "SUCCESS");
        assert_eq!(answer(g, 1, "new", CREAT), "SUCCESS", "it is there already");
        let new = g.stat("new", false).unwrap();
        assert_eq!((new.filetype, new.size), (4, 0));

        g.symlink("../nowhere", "dir/far").unwrap();
        assert_eq!(answer(g, 0, "dir/far", CREAT), "LOOP");
        assert_eq!(answer(g, 1, "dir/far", CREAT), "SUCCESS");
        assert_eq!(g.stat("nowhere", false).unwrap().filetype, 4);
        assert_eq!(g.stat("dir/far", false).unwrap().filetype, 7);
    });
}

/// A symlink that is not followed is `LOOP`, and `NOTDIR` with `DIRECTORY`.
///
/// `DIRECTORY`, or a slash behind the name, on what is no directory is
/// `NOTDIR`.
#[test]
fn what_is_no_directory_is_not_opened_as_one() {
    with(shapes(), |g| {
        for path in ["link", "to-dir", "dangling", "loop"] {
            for oflags in [0, TRUNC, CREAT, EXCL] {
                assert_eq!(answer(g, 0, path, oflags), "LOOP", "{path} {oflags}");
            }
            assert_eq!(answer(g, 0, path, DIRECTORY), "NOTDIR", "{path}");
        }
        for path in ["file", "link", "file/", "link/"] {
            for rights in [READ, READ | WRITE] {
                let opened = g.open_with(ROOT, 1, path, DIRECTORY, rights, ALL, 0);
                assert_eq!(name(&opened), "NOTDIR", "{path}");
                let opened = g.open_with(ROOT, 1, path, DIRECTORY | TRUNC, rights, ALL, 0);
                assert_eq!(name(&opened), "NOTDIR", "{path}");
            }
        }
        for path in ["file/", "link/"] {
            for lookup in [0, 1] {
                assert_eq!(answer(g, lookup, path, 0), "NOTDIR", "{path}");
                assert_eq!(answer(g, lookup, path, TRUNC), "NOTDIR", "{path}");
            }
        }
        assert_eq!(g.contents("file").unwrap(), b"contents");
        for path in ["dir", "dir/", "to-dir", "to-dir/", "."] {
            for oflags in [0, DIRECTORY] {
                let opened = g.open_with(ROOT, 1, path, oflags, READ, ALL, 0);
                assert_eq!(name(&opened), "SUCCESS", "{path}");
            }
        }
    });
}

/// A directory is `ISDIR` with `CREAT`, with `TRUNC` and when `FD_WRITE` is
/// asked for.
#[test]
fn a_directory_is_never_opened_for_writing() {
    with(shapes(), |g| {
        for path in ["dir", "dir/.", "to-dir", ".", "dir/.."] {
            for rights in [WRITE, READ | WRITE, ALL] {
                for oflags in [0, DIRECTORY] {
                    let opened = g.open_with(ROOT, 1, path, oflags, rights, ALL, 0);
                    assert_eq!(name(&opened), "ISDIR", "{path} {oflags} {rights:x}");
                }
            }
            for oflags in [CREAT, TRUNC, TRUNC | DIRECTORY, CREAT | TRUNC] {
                let opened = g.open_with(ROOT, 1, path, oflags, READ, ALL, 0);
                assert_eq!(name(&opened), "ISDIR", "{path} {oflags}");
            }
        }
    });
}

/// `TRUNC` empties the file at once, also one that is opened for reading
/// only; descriptors that have it open see it. Its modification and change
/// time are due, even if it was empty.
#[test]
fn truncating_is_done_at_once_and_for_everyone() {
    with(shapes(), |g| {
        let fd = g.open("file", 0).unwrap();
        let old = g.fstat(fd).unwrap();
        let read = g.open_with(ROOT, 1, "file", TRUNC, READ, ALL, 0).unwrap();
        let new = g.fstat(fd).unwrap();
        let now = g.home.seconds * 1_000_000_000;
        assert_eq!((new.size, new.nlink, new.ino), (0, 1, old.ino));
        assert_eq!([new.atim, new.mtim, new.ctim], [old.atim, now, now]);
        assert_eq!(name(&g.write(read, b"x")), "BADF");
        assert_eq!(g.read(fd, 10).unwrap(), b"");

        g.open("link", TRUNC).unwrap();
        assert!(g.fstat(fd).unwrap().mtim > new.mtim, "though it was empty");
    });
}

/// A new file has one link, size 0, and each of its times is due, as are the
/// modification and change time of its directory. Opening what is there
/// changes no time and no link count.
#[test]
fn a_new_file_is_of_now_and_an_old_one_stays_as_it_is() {
    with(shapes(), |g| {
        let old = g.stat("dir", false).unwrap();
        let fd = g.open("dir/new", CREAT).unwrap();
        let new = g.fstat(fd).unwrap();
        let now = g.home.seconds * 1_000_000_000;
        assert_eq!((new.filetype, new.nlink, new.size), (4, 1, 0));
        assert_eq!([new.atim, new.mtim, new.ctim], [now; 3]);
        let dir = g.stat("dir", false).unwrap();
        assert_eq!([dir.atim, dir.mtim, dir.ctim], [old.atim, now, now]);
        assert_eq!(dir.nlink, old.nlink);

        for (path, oflags) in [("dir/new", CREAT), ("dir/entry", 0), ("dir", DIRECTORY)] {
            let before = [g.stat(path, true), g.stat("dir", true)];
            let fd = g.open(path, oflags).unwrap();
            g.close(fd).unwrap();
            assert_eq!([g.stat(path, true), g.stat("dir", true)], before);
        }
    });
}

/// The new descriptor has the lowest free number and an offset of its own,
/// which is 0: two descriptors of one file do not move each other.
#[test]
fn two_descriptors_of_a_file_do_not_move_each_other() {
    with(shapes(), |g| {
        let first = g.open("file", 0).unwrap();
        let second = g.open("link", 0).unwrap();
        assert_eq!([first, second], [4, 5]);
        assert_eq!(g.read(first, 3).unwrap(), b"con");
        assert_eq!(g.seek(second, 0, 1), Ok(0));
        assert_eq!(g.read(second, 100).unwrap(), b"contents");
        assert_eq!(g.seek(first, 0, 1), Ok(3));
        g.close(first).unwrap();
        assert_eq!(g.open("dir", DIRECTORY), Ok(4));
        assert_eq!(g.seek(second, 0, 1), Ok(8));
        assert_eq!(g.fstat(second).unwrap().mtim, native::meta().mtime);
    });
}
