//! Access, modification and change times.

use monaka_tests::native::{self, Guest, ROOT};
use monaka_vfs_core::Errno;

use crate::{CREAT, DIRECTORY, TRUNC, packed, with};

/// Which times of `fd` the call changes: some of `amc`.
fn changed<T>(g: &mut Guest, fd: u32, call: impl FnOnce(&mut Guest) -> T) -> String {
    let before = g.fstat(fd).unwrap();
    call(g);
    let after = g.fstat(fd).unwrap();
    let times = [
        ('a', before.atim != after.atim),
        ('m', before.mtim != after.mtim),
        ('c', before.ctim != after.ctim),
    ];
    times.iter().filter(|t| t.1).map(|t| t.0).collect()
}

/// Access, modification and change time of what was packed are the modification
/// time it was packed with.
#[test]
fn packed_files_have_the_time_they_were_packed_with() {
    with(packed(), |g| {
        for path in ["file", "dir", "dir/inner", "link", "."] {
            let stat = g.stat(path, false).unwrap();
            let times = [stat.atim, stat.mtim, stat.ctim];
            assert_eq!(times, [native::meta().mtime; 3], "{path}");
        }
    });
}

/// Reading and writing *mark* times for update. A mark is carried out, with the
/// time of that moment, when the file is looked at (`fd_filestat_get`,
/// `path_filestat_get`), when its times are set, when it is synchronised, and when
/// the last descriptor of it is closed. POSIX allows this (Base Definitions 4.12),
/// and so no write asks the host's clock.
#[test]
fn marks_are_carried_out_before_anyone_looks() {
    with(Guest::empty(), |g| {
        let fd = g.open("f", CREAT).unwrap();
        let looks: [fn(&mut Guest, u32); 6] = [
            |g, fd| _ = g.fstat(fd).unwrap(),
            |g, _| _ = g.stat("f", true).unwrap(),
            |g, fd| g.vfs.fd_sync(&mut g.home, fd).unwrap(),
            |g, fd| g.vfs.fd_datasync(&mut g.home, fd).unwrap(),
            |g, fd| {
                let (vfs, home) = (&mut g.vfs, &mut g.home);
                vfs.fd_filestat_set_times(home, fd, 0, 0, 0).unwrap();
            },
            |g, fd| g.close(fd).unwrap(),
        ];
        for (index, look) in looks.into_iter().enumerate() {
            let clock = g.home.seconds;
            g.write(fd, b"x").unwrap();
            assert_eq!(g.home.seconds, clock, "a write does not ask the clock");
            g.home.seconds += 1000;
            look(g, fd);
            let looked = g.home.seconds;
            g.home.seconds += 1000;
            let mtim = g.stat("f", true).unwrap().mtim;
            assert_eq!(mtim, looked * 1_000_000_000, "look {index}");
            assert!(looked > clock + 1000);
        }
    });
}

/// Creating, linking, renaming and removing mark as well, both what is named and the
/// directory: none of them asks the clock.
///
/// Whenever marks are carried out, those of the directory are whose entries changed
/// last: closing a new file dates the directory, too.
#[test]
fn entries_change_without_a_look_at_the_clock() {
    with(Guest::empty(), |g| {
        let clock = g.home.seconds;
        g.mkdir("dir").unwrap();
        g.symlink("dir", "link").unwrap();
        let fd = g.open("dir/new", CREAT).unwrap();
        g.write(fd, b"x").unwrap();
        g.open("dir/new", TRUNC).unwrap();
        g.link("dir/new", "dir/linked").unwrap();
        g.rename("dir/linked", "dir/renamed").unwrap();
        g.unlink("dir/renamed").unwrap();
        g.mkdir("dir/sub").unwrap();
        g.rmdir("dir/sub").unwrap();
        assert_eq!(g.home.seconds, clock);
    });
    with(Guest::empty(), |g| {
        g.mkdir("dir").unwrap();
        let fd = g.open("dir/new", CREAT).unwrap();
        g.close(fd).unwrap();
        let closed = g.home.seconds * 1_000_000_000;
        for path in ["dir/new", "dir"] {
            let stat = g.stat(path, false).unwrap();
            assert_eq!([stat.atim, stat.mtim, stat.ctim], [closed; 3], "{path}");
        }
        assert!(g.stat(".", false).unwrap().mtim > closed, "not the last");
    });
}

#[test]
fn closing_one_of_two_descriptors_carries_nothing_out() {
    with(Guest::empty(), |g| {
        let one = g.open("f", CREAT).unwrap();
        let two = g.open("f", 0).unwrap();
        g.write(one, b"x").unwrap();
        let clock = g.home.seconds;
        g.close(one).unwrap();
        assert_eq!(g.home.seconds, clock);
        g.close(two).unwrap();
        assert_eq!(g.home.seconds, clock + 1);
    });
}

/// A read that asks for a byte or more marks the access time, at the end of the
/// file too; a listing marks that of its directory. There is no `relatime`.
#[test]
fn reading_moves_the_access_time() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(changed(g, fd, |g| g.read(fd, 1)), "a");
        assert_eq!(changed(g, fd, |g| g.read(fd, 1)), "a", "no relatime");
        assert_eq!(changed(g, fd, |g| g.pread(fd, 1, 0)), "a");
        assert_eq!(changed(g, fd, |g| g.pread(fd, 1, 100)), "a", "past the end");
        assert_eq!(changed(g, fd, |g| g.seek(fd, 0, 2)), "");
        let dir = g.open("dir", DIRECTORY).unwrap();
        assert_eq!(changed(g, dir, |g| g.readdir(dir, 1000)), "a");
        assert_eq!(changed(g, dir, |g| g.contents("dir/inner")), "");
        assert_eq!(changed(g, dir, |g| g.stat("dir/inner", true)), "");
    });
}

/// A write of a byte or more, `fd_filestat_set_size` and `fd_allocate` mark
/// modification and change time, even if the size stays. Reading or writing no byte
/// marks nothing.
#[test]
fn writing_moves_modification_and_change_time() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(changed(g, fd, |g| g.write(fd, b"x")), "mc");
        assert_eq!(changed(g, fd, |g| g.pwrite(fd, b"x", 0)), "mc");
        assert_eq!(changed(g, fd, |g| g.set_size(fd, 15)), "mc", "as it was");
        assert_eq!(changed(g, fd, |g| g.set_size(fd, 99)), "mc");
        for range in [1, 200] {
            let allocate = |g: &mut Guest| g.vfs.fd_allocate(&mut g.home, fd, 0, range);
            assert_eq!(changed(g, fd, allocate), "mc");
        }
        for nothing in [Guest::<_>::write, |g: &mut Guest, fd, _: &[u8]| {
            g.pwrite(fd, b"", 1000)
        }] {
            assert_eq!(changed(g, fd, |g| nothing(g, fd, b"")), "");
        }
        assert_eq!(changed(g, fd, |g| g.pread(fd, 0, 0)), "");
        assert_eq!(
            changed(g, fd, |g| g.pwrite(fd, b"x", 1 << 63)),
            "",
            "refused"
        );
    });
}

/// Setting times updates the change time, at once. (wasmtime never moves it.)
///
/// Each of the two times becomes the given one, any number of nanoseconds of 64
/// bits, or the present one, or stays. With no flag at all nothing changes.
#[test]
fn setting_times_sets_those_that_are_named() {
    const NOW: u64 = u64::MAX - 1;
    const KEPT: u64 = u64::MAX;
    with(Guest::empty(), |g| {
        let fd = g.open("f", CREAT).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_filestat_set_times(home, fd, 11, 22, 1 | 4).unwrap();
        for (flags, atim, mtim) in [
            (0, KEPT, KEPT),
            (1, 5, KEPT),
            (2, NOW, KEPT),
            (4, KEPT, u64::MAX - 7),
            (8, KEPT, NOW),
            (1 | 4, 5, u64::MAX - 7),
            (1 | 8, 5, NOW),
            (2 | 4, NOW, u64::MAX - 7),
            (2 | 8, NOW, NOW),
        ] {
            let before = g.fstat(fd).unwrap();
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_filestat_set_times(home, fd, 5, u64::MAX - 7, flags)
                .unwrap();
            let now = g.home.seconds * 1_000_000_000;
            let after = g.fstat(fd).unwrap();
            let expect = |given, kept| match given {
                NOW => now,
                KEPT => kept,
                given => given,
            };
            assert_eq!(after.atim, expect(atim, before.atim), "{flags}");
            assert_eq!(after.mtim, expect(mtim, before.mtim), "{flags}");
            let ctim = if flags == 0 { before.ctim } else { now };
            assert_eq!(after.ctim, ctim, "{flags}");
        }
    });
}

/// `fd_filestat_set_times` checks, in this order: an unknown flag, or both the
/// given time and the present one for either → `INVAL`; `FD_FILESTAT_SET_TIMES` is
/// missing → `NOTCAPABLE`. A directory is welcome, and so is a file that is open
/// for reading only.
#[test]
fn setting_times_refuses_contradictions() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "file", 0, 2, u64::MAX, 0).unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        for fd in [fd, dir] {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            for contradiction in [1 | 2, 4 | 8, 15, 16, 1 | 1 << 31] {
                let outcome = vfs.fd_filestat_set_times(home, fd, 0, 0, contradiction);
                assert_eq!(outcome, Err(Errno::INVAL));
            }
            vfs.fd_filestat_set_times(home, fd, 3, 4, 5).unwrap();
            assert_eq!(g.fstat(fd).unwrap().mtim, 4, "open for reading only");
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_fdstat_set_rights(home, fd, 1 << 21, 0).unwrap();
            let outcome = vfs.fd_filestat_set_times(home, fd, 0, 0, 1 | 2);
            assert_eq!(outcome, Err(Errno::INVAL), "before the right");
            let outcome = vfs.fd_filestat_set_times(home, fd, 0, 0, 0);
            assert_eq!(outcome, Err(Errno::NOTCAPABLE));
        }
    });
}

/// Marks are carried out first, so an earlier write does not undo later what is set
/// here.
#[test]
fn a_mark_does_not_undo_what_is_set() {
    with(Guest::empty(), |g| {
        let fd = g.open("f", CREAT).unwrap();
        g.write(fd, b"x").unwrap();
        g.pread(fd, 1, 0).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_filestat_set_times(home, fd, 11, 22, 1 | 4).unwrap();
        g.close(fd).unwrap();
        let stat = g.stat("f", true).unwrap();
        assert_eq!((stat.atim, stat.mtim), (11, 22));
    });
}
