//! The descriptor table: numbers, closing, renumbering.

use monaka_tests::native::{self, ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::fd::FDS_MAX;

use crate::{APPEND, CREAT, DIRECTORY, READ, packed, with};

/// 0, 1 and 2 are the host's stdin, stdout and stderr, preopened directories follow
/// from 3, and a new descriptor gets the lowest number that is free, whatever it
/// stood for before.
#[test]
fn a_new_descriptor_has_the_lowest_free_number() {
    with(packed(), |g| {
        let fds: Vec<u32> = (0..5).map(|_| g.open("file", 0).unwrap()).collect();
        assert_eq!(fds, [4, 5, 6, 7, 8]);
        g.close(7).unwrap();
        g.close(5).unwrap();
        assert_eq!(g.open("file", 0), Ok(5));
        assert_eq!(g.open("file", 0), Ok(7));
        assert_eq!(g.open("file", 0), Ok(9));
        let dir = g.open("dir", DIRECTORY).unwrap();
        for fd in [6, ROOT, 0] {
            g.close(fd).unwrap();
            assert_eq!(g.open_with(dir, 0, "inner", 0, READ, ALL, 0), Ok(fd));
        }
    });
}

/// Each descriptor that is opened has an offset, flags and rights of its own; only
/// the file is shared. Preview 1 has no `dup`.
#[test]
fn descriptors_share_the_file_alone() {
    with(packed(), |g| {
        let one = g.open_with(ROOT, 1, "file", 0, ALL, ALL, APPEND).unwrap();
        let two = g.open("file", 0).unwrap();
        g.read(one, 7).unwrap();
        assert_eq!(g.seek(two, 0, 1), Ok(0));
        g.write(two, b"P").unwrap();
        assert_eq!(g.pread(one, 2, 0).unwrap(), b"Pa");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_rights(home, one, READ, 0).unwrap();
        assert_eq!(name(&g.write(two, b"A")), "SUCCESS");
        assert_eq!(g.contents("file").unwrap(), b"PAcked contents");
    });
}

/// At most 2^20 descriptors are open. One more is `MFILE`, and works once another
/// is closed.
#[test]
fn a_million_descriptors_and_no_more() {
    let mut g = Guest::new(native::tree(|_| {}));
    g.create("f", b"x").unwrap();
    for expected in 4..FDS_MAX as u32 {
        assert_eq!(g.open("f", 0), Ok(expected));
    }
    assert_eq!(g.open("f", 0), Err(Errno::MFILE));
    assert_eq!(g.open("new", CREAT), Err(Errno::MFILE));
    assert_eq!(name(&g.stat("new", true)), "NOENT", "nothing is created");
    assert_eq!(g.read((1 << 20) - 1, 9).unwrap(), b"x");
    g.close(500_000).unwrap();
    assert_eq!(g.open("f", 0), Ok(500_000));
    assert_eq!(g.open("f", 0), Err(Errno::MFILE));
    g.vfs.check_invariants();
}

/// `fd_close` frees the number. Closing it again is `BADF`.
#[test]
fn a_closed_descriptor_is_gone() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(g.close(fd), Ok(()));
        assert_eq!(g.close(fd), Err(Errno::BADF));
        assert_eq!(name(&g.read(fd, 1)), "BADF");
        assert_eq!(g.open("file", 0), Ok(fd));
    });
}

/// The last descriptor of a file carries out the marks, and takes the file with it
/// if no name is left.
#[test]
fn the_last_close_takes_an_unnamed_file_along() {
    with(packed(), |g| {
        let before = g.vfs.fs().inodes().count();
        let one = g.open("file", 0).unwrap();
        let two = g.open("file", 0).unwrap();
        g.unlink("file").unwrap();
        g.close(one).unwrap();
        assert_eq!(g.read(two, 6).unwrap(), b"packed");
        assert_eq!(g.vfs.fs().inodes().count(), before);
        g.close(two).unwrap();
        assert_eq!(g.vfs.fs().inodes().count(), before - 1);

        let fd = g.open("dir/inner", 0).unwrap();
        g.write(fd, b"x").unwrap();
        let before = g.home.seconds;
        g.close(fd).unwrap();
        g.home.seconds += 1000;
        let mtim = g.stat("dir/inner", true).unwrap().mtim;
        assert_eq!(mtim, (before + 1) * 1_000_000_000);
    });
}

/// A preopened directory can be closed as well; what was opened through it stays
/// open.
#[test]
fn a_preopened_directory_can_be_closed() {
    with(packed(), |g| {
        let file = g.open("file", 0).unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        g.close(ROOT).unwrap();
        assert_eq!(name(&g.open("file", 0)), "BADF");
        assert_eq!(g.read(file, 6).unwrap(), b"packed");
        assert_eq!(g.open_with(dir, 0, "inner", 0, READ, ALL, 0), Ok(ROOT));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_prestat_get(home, ROOT, 64), Err(Errno::BADF));
    });
}

/// Either number is not open → `BADF`: unlike `dup2`, and like wasmtime,
/// `fd_renumber` never opens a number. Onto itself it does nothing.
#[test]
fn renumbering_needs_two_open_numbers() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.read(fd, 7).unwrap();
        for (from, to) in [(fd, 99), (99, fd), (99, 99), (fd, u32::MAX), (u32::MAX, fd)] {
            let renumbered = g.vfs.fd_renumber(&mut g.home, from, to);
            assert_eq!(renumbered, Err(Errno::BADF), "{from} {to}");
        }
        assert_eq!(g.vfs.fd_renumber(&mut g.home, fd, fd), Ok(()));
        assert_eq!(g.read(fd, 100).unwrap(), b"contents");
    });
}

/// Offset, flags, rights and the name of a preopened directory move along. The old
/// number is free, and what stood at the new one is closed, silently.
#[test]
fn renumber_moves_a_description() {
    with(packed(), |g| {
        let from = g.open_with(ROOT, 1, "file", 0, READ, ALL, APPEND).unwrap();
        let to = g.open("dir/inner", 0).unwrap();
        g.unlink("dir/inner").unwrap();
        g.read(from, 7).unwrap();
        let inodes = g.vfs.fs().inodes().count();
        g.vfs.fd_fdstat_get(&mut g.home, from, 64).unwrap();
        let before = g.bytes_at(64, 24);
        g.vfs.fd_renumber(&mut g.home, from, to).unwrap();
        g.vfs.fd_fdstat_get(&mut g.home, to, 64).unwrap();
        assert_eq!(g.bytes_at(64, 24), before);
        assert_eq!(g.read(to, 100).unwrap(), b"contents");
        assert_eq!(name(&g.read(from, 1)), "BADF");
        assert_eq!(g.vfs.fs().inodes().count(), inodes - 1, "closed");
        assert_eq!(g.open("file", 0), Ok(from));

        let dir = g.open("dir", DIRECTORY).unwrap();
        g.vfs.fd_renumber(&mut g.home, ROOT, dir).unwrap();
        assert_eq!(g.vfs.fd_prestat_get(&mut g.home, dir, 64), Ok(()));
        assert_eq!(g.open_with(dir, 0, "file", 0, READ, ALL, 0), Ok(ROOT));
    });
}

#[test]
fn whoever_takes_files_out_opens_them_by_number() {
    with(packed(), |g| {
        let numbers: Vec<u32> = ["file", "dir", "dir/inner", "link"]
            .map(|path| g.stat(path, false).unwrap().ino as u32)
            .into();
        let new = g.open("new", CREAT).unwrap();
        assert_eq!(g.write(new, b"new"), Ok(3));
        let new = g.fstat(new).unwrap().ino as u32;
        // Also when the program has closed all that it had open.
        for fd in 3..8 {
            let _ = g.close(fd);
        }
        let attached = |g: &mut Guest, number| {
            let fd = g.vfs.attach(number)?;
            assert_eq!(g.fstat(fd).unwrap().ino, u64::from(number));
            g.vfs.check_invariants();
            Ok(fd)
        };
        for (number, contents) in [
            (numbers[0], &b"packed contents"[..]),
            (numbers[2], b"inner"),
            (new, b"new"),
        ] {
            let fd = attached(g, number).unwrap();
            assert_eq!(g.read(fd, 100).unwrap(), contents);
            assert_eq!(g.write(fd, b"x"), Err(Errno::BADF));
        }
        let dir = attached(g, numbers[1]).unwrap();
        let names = g
            .readdir(dir, 4096)
            .unwrap()
            .into_iter()
            .map(|entry| entry.name);
        assert!(names.into_iter().any(|name| name == b"inner"));
        assert_eq!(attached(g, numbers[3]), Err(Errno::INVAL), "a link");
        for number in [0, 1000, u32::MAX] {
            assert_eq!(attached(g, number), Err(Errno::NOENT), "{number}");
        }
    });
}
