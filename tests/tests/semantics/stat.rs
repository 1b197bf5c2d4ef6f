//! Attributes of what a path leads to: looking at them and setting times.

use monaka_tests::native::{self, Guest, ROOT, Stat, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::errno::Result;

use crate::paths::{shapes, state};
use crate::with;

const ATIM: u32 = 1;
const ATIM_NOW: u32 = 2;
const MTIM: u32 = 4;
const MTIM_NOW: u32 = 8;

fn stat(g: &mut Guest, lookup: u32, path: &str) -> Result<Stat> {
    let (path, len) = g.path(path);
    g.vfs
        .path_filestat_get(&mut g.home, ROOT, lookup, path, len, 64)?;
    Ok(g.stat_at_out())
}

fn set(g: &mut Guest, lookup: u32, path: &str, [atim, mtim]: [u64; 2], flags: u32) -> Result<()> {
    let (path, len) = g.path(path);
    g.vfs
        .path_filestat_set_times(&mut g.home, ROOT, lookup, path, len, atim, mtim, flags)
}

/// Answers the attributes of what the path leads to. The descriptor needs
/// `PATH_FILESTAT_GET`.
///
/// Without `SYMLINK_FOLLOW` a symlink at the end is looked at itself; its
/// size is the length of its target. Any other lookup flag is `INVAL`.
#[test]
fn a_path_is_looked_at_with_or_without_the_last_symlink() {
    with(shapes(), |g| {
        for (path, followed, itself) in [
            ("file", (4, 8), (4, 8)),
            ("dir", (3, 0), (3, 0)),
            (".", (3, 0), (3, 0)),
            ("link", (4, 8), (7, 4)),
            ("to-dir", (3, 0), (7, 3)),
            ("to-dir/entry", (4, 0), (4, 0)),
        ] {
            for (lookup, expected) in [(1, followed), (0, itself)] {
                let stat = stat(g, lookup, path).unwrap();
                assert_eq!((stat.filetype, stat.size), expected, "{path} {lookup}");
            }
        }
        assert_eq!(stat(g, 0, "dangling").unwrap().size, 7);
        assert_eq!(stat(g, 1, "dangling"), Err(Errno::NOENT));
        assert_eq!(stat(g, 0, "loop").unwrap().size, 4);
        assert_eq!(stat(g, 1, "loop"), Err(Errno::LOOP));
        for lookup in [2, 3, u32::MAX] {
            for path in ["file", "new", ""] {
                assert_eq!(stat(g, lookup, path), Err(Errno::INVAL));
            }
        }
    });
}

/// The device is 1 for everything. The inode number is the one that
/// `fd_readdir` and `fd_filestat_get` show, the same for all names of a
/// file, and it stays while a name or a descriptor keeps the file.
#[test]
fn inode_numbers_agree_and_stay() {
    with(shapes(), |g| {
        for entry in g.readdir(ROOT, 4096).unwrap() {
            let stat = g.stat(&entry.name, false).unwrap();
            assert_eq!((stat.ino, stat.filetype), (entry.ino, entry.filetype));
            assert_eq!(g.u64_at(64), 1, "the device");
        }
        let ino = stat(g, 0, "file").unwrap().ino;
        let fd = g.open("file", 0).unwrap();
        assert_eq!(g.fstat(fd).unwrap().ino, ino);
        assert_eq!(g.u64_at(64), 1);
        g.link("file", "other").unwrap();
        g.rename("file", "dir/moved").unwrap();
        for path in ["other", "dir/moved"] {
            assert_eq!(stat(g, 0, path).unwrap().ino, ino, "{path}");
        }
        g.unlink("other").unwrap();
        g.unlink("dir/moved").unwrap();
        for i in 0..10 {
            g.create(&format!("new{i}"), b"").unwrap();
            let new = g.stat(&format!("new{i}"), false).unwrap();
            assert_ne!(new.ino, ino, "it is still open");
        }
        assert_eq!(g.fstat(fd).unwrap().ino, ino);
    });
}

/// Reading, writing and resizing leave their times due; they are updated
/// before they are answered. Looking itself changes none.
#[test]
fn looking_updates_what_is_due_and_nothing_else() {
    with(shapes(), |g| {
        let fd = g.open("file", 0).unwrap();
        let old = stat(g, 1, "link").unwrap();
        g.home.seconds += 1000;
        assert_eq!(stat(g, 1, "link").unwrap(), old, "nothing was due");
        g.read(fd, 1).unwrap();
        let read = stat(g, 1, "link").unwrap();
        assert!(read.atim > old.atim);
        assert_eq!((read.mtim, read.ctim), (old.mtim, old.ctim));
        g.write(fd, b"x").unwrap();
        let written = stat(g, 1, "file").unwrap();
        assert!(written.mtim > read.atim && written.ctim == written.mtim);
        assert_eq!(written.atim, read.atim);
        g.set_size(fd, 20).unwrap();
        let resized = stat(g, 1, "file").unwrap();
        assert!(resized.mtim > written.mtim && resized.ctim > written.ctim);
        assert_eq!(stat(g, 1, "file").unwrap(), resized);
        assert_eq!(g.fstat(fd).unwrap(), resized);
    });
}

/// The path is walked before the place of the answer is looked at: 64 bytes
/// that must lie in the memory (`FAULT`).
#[test]
fn attributes_are_not_written_outside_the_memory() {
    with(shapes(), |g| {
        let end = g.home.memory.len() as u32;
        for (path, expected) in [("file", "FAULT"), ("new", "NOENT"), ("file/", "NOTDIR")] {
            for at in [end, end - 63, u32::MAX] {
                let (path, len) = g.path(path);
                let (vfs, home) = (&mut g.vfs, &mut g.home);
                let looked = vfs.path_filestat_get(home, ROOT, 0, path, len, at);
                assert_eq!(name(&looked), expected);
            }
        }
        let (path, len) = g.path("file");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(
            vfs.path_filestat_get(home, ROOT, 0, path, len, end - 64),
            Ok(())
        );
    });
}

/// Sets the access and the modification time of what the path leads to, in
/// nanoseconds since 1970, of which any 64 bits will do. The descriptor
/// needs `PATH_FILESTAT_SET_TIMES`.
///
/// The change time is now when a time was set. Without any flag the path is
/// walked and no time changes.
#[test]
fn times_are_set_to_the_nanosecond() {
    with(shapes(), |g| {
        for path in ["file", "dir", ".", "dir/entry"] {
            for times in [
                [1_234_567_890_123_456_789, 1],
                [0, 0],
                [u64::MAX, 1 << 63],
                [1, 999_999_999],
            ] {
                set(g, 1, path, times, ATIM | MTIM).unwrap();
                let now = g.home.seconds * 1_000_000_000;
                let stat = stat(g, 1, path).unwrap();
                assert_eq!([stat.atim, stat.mtim], times, "{path}");
                assert_eq!(stat.ctim, now);
            }
        }
        let before = state(g);
        set(g, 1, "file", [5, 5], 0).unwrap();
        set(g, 1, "dir", [5, 5], 0).unwrap();
        assert_eq!(set(g, 1, "new", [5, 5], 0), Err(Errno::NOENT));
        assert_eq!(set(g, 1, "file/", [5, 5], 0), Err(Errno::NOTDIR));
        assert_eq!(state(g), before);
    });
}

/// `ATIM` takes the time given, `ATIM_NOW` the clock's, neither keeps what
/// is there; `MTIM` and `MTIM_NOW` likewise. Both of a pair is `INVAL`, and
/// so is an unknown flag, whatever the path.
#[test]
fn each_time_is_given_or_now_or_kept() {
    for flags in 0..32 {
        with(shapes(), |g| {
            let both = |pair| flags & pair == pair;
            if both(ATIM | ATIM_NOW) || both(MTIM | MTIM_NOW) || flags & 16 != 0 {
                let before = state(g);
                for path in ["file", "new", "", "/"] {
                    let outcome = set(g, 1, path, [11, 22], flags);
                    assert_eq!(outcome, Err(Errno::INVAL), "{flags} {path}");
                }
                assert_eq!(state(g), before);
                return;
            }
            set(g, 1, "file", [11, 22], flags).unwrap();
            let now = g.home.seconds * 1_000_000_000;
            let expected = |given, clock, time| match (flags & given, flags & clock) {
                (0, 0) => native::meta().mtime,
                (0, _) => now,
                _ => time,
            };
            let stat = stat(g, 1, "file").unwrap();
            assert_eq!(stat.atim, expected(ATIM, ATIM_NOW, 11), "{flags}");
            assert_eq!(stat.mtim, expected(MTIM, MTIM_NOW, 22), "{flags}");
        });
    }
}

/// Without `SYMLINK_FOLLOW` the times of a symlink itself are set; other
/// lookup flags are `INVAL`.
#[test]
fn a_symlink_has_times_of_its_own() {
    with(shapes(), |g| {
        set(g, 0, "link", [1, 2], ATIM | MTIM).unwrap();
        set(g, 1, "link", [3, 4], ATIM | MTIM).unwrap();
        set(g, 0, "dangling", [5, 6], ATIM | MTIM).unwrap();
        assert_eq!(set(g, 1, "dangling", [5, 6], ATIM), Err(Errno::NOENT));
        set(g, 0, "to-dir/", [7, 8], ATIM | MTIM).unwrap();
        for (path, expected) in [
            ("link", [1, 2]),
            ("file", [3, 4]),
            ("dangling", [5, 6]),
            ("dir", [7, 8]),
        ] {
            let stat = stat(g, 0, path).unwrap();
            assert_eq!([stat.atim, stat.mtim], expected, "{path}");
        }
        for lookup in [2, 3, u32::MAX] {
            assert_eq!(set(g, lookup, "file", [0, 0], 0), Err(Errno::INVAL));
        }
    });
}

/// Times that were due are updated first, so nothing that was done to the
/// file before can overtake the times set.
#[test]
fn nothing_done_before_overtakes_the_times_set() {
    with(shapes(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.write(fd, b"x").unwrap();
        g.read(fd, 1).unwrap();
        set(g, 1, "file", [0, 22], MTIM).unwrap();
        let now = g.home.seconds * 1_000_000_000;
        let kept = stat(g, 1, "file").unwrap();
        assert_eq!([kept.atim, kept.mtim, kept.ctim], [now, 22, now]);
        g.close(fd).unwrap();
        assert_eq!(stat(g, 1, "file").unwrap(), kept);
    });
}
