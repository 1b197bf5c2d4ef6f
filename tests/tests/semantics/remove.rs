//! Removing, also what is open, and what is left of it.

use monaka_tests::native::{self, ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;

use crate::paths::shapes;
use crate::{CREAT, DIRECTORY, READ, with};

/// Removes an empty directory. The descriptor needs
/// `PATH_REMOVE_DIRECTORY`.
///
/// A path that ends in `.` is `INVAL`, one that ends in `..` `NOTEMPTY`.
///
/// Nothing there is `NOENT`, what is no directory `NOTDIR`, a directory
/// with entries `NOTEMPTY`. A symlink to a directory is none, whether or
/// not a slash is behind it.
#[test]
fn only_an_empty_directory_is_removed() {
    with(shapes(), |g| {
        for (path, expected) in [
            (".", Errno::INVAL),
            ("./", Errno::INVAL),
            ("empty/.", Errno::INVAL),
            ("to-dir/.", Errno::INVAL),
            ("empty/..", Errno::NOTEMPTY),
            ("dir/../", Errno::NOTEMPTY),
            ("new", Errno::NOENT),
            ("new/", Errno::NOENT),
            ("file", Errno::NOTDIR),
            ("file/", Errno::NOTDIR),
            ("link", Errno::NOTDIR),
            ("to-dir", Errno::NOTDIR),
            ("to-dir/", Errno::NOTDIR),
            ("dangling", Errno::NOTDIR),
            ("dangling/", Errno::NOTDIR),
            ("loop/", Errno::NOTDIR),
            ("dir", Errno::NOTEMPTY),
            ("dir/", Errno::NOTEMPTY),
        ] {
            assert_eq!(g.rmdir(path), Err(expected), "{path}");
        }
        g.rmdir("empty").unwrap();
        assert_eq!(name(&g.stat("empty", false)), "NOENT");
        g.unlink("dir/entry").unwrap();
        g.rmdir("to-dir/../dir").unwrap();
    });
}

/// A slash behind a directory's name changes nothing.
///
/// The parent has one link less, and its modification and change time are
/// due; its access time stays.
#[test]
fn the_parent_notices_that_a_directory_goes() {
    with(shapes(), |g| {
        let old = g.stat(".", false).unwrap();
        g.rmdir("empty//").unwrap();
        let new = g.stat(".", false).unwrap();
        let now = g.home.seconds * 1_000_000_000;
        assert_eq!([new.atim, new.mtim, new.ctim], [old.atim, now, now]);
        assert_eq!(new.nlink, old.nlink - 1);
    });
}

/// A directory that is open or preopened goes as well. Its descriptors stay
/// open: it has no links and no entries, a listing shows not even `.` and
/// `..`, and `fd_filestat_get`, `fd_filestat_set_times` and `fd_close` work
/// as before.
#[test]
fn a_removed_directory_works_until_it_is_closed() {
    let mut tree = native::tree(|_| {});
    let root = monaka_vfs_core::image::NodeId::ROOT;
    let mount = tree.add_directory(root, b"mount", native::meta()).unwrap();
    tree.add_preopen(b"/mount", mount).unwrap();
    with(Guest::new(tree), |g| {
        let preopened = ROOT + 1;
        let opened = g.open("mount", DIRECTORY).unwrap();
        let inodes = g.vfs.fs().inodes().count();
        g.rmdir("mount").unwrap();
        let removed = g.fstat(opened).unwrap();
        assert_eq!(removed.ctim, g.home.seconds * 1_000_000_000);
        for fd in [preopened, opened] {
            assert_eq!(g.readdir_once(fd, 4096, 0).unwrap(), (vec![], true));
            let stat = g.fstat(fd).unwrap();
            assert_eq!((stat.filetype, stat.nlink), (3, 0));
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_filestat_set_times(home, fd, 1, 2, 1 | 4).unwrap();
            let stat = g.fstat(fd).unwrap();
            assert_eq!((stat.atim, stat.mtim), (1, 2));
            let created = g.open_with(fd, 0, "x", CREAT, ALL, ALL, 0);
            assert_eq!(name(&created), "NOENT");
        }
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_prestat_get(home, preopened, 64).unwrap();
        g.mkdir("mount").unwrap();
        let again = g.stat("mount", false).unwrap().ino;
        assert_ne!(again, g.fstat(opened).unwrap().ino, "the name is free");
        g.rmdir("mount").unwrap();
        g.vfs.check_invariants();
        g.close(preopened).unwrap();
        g.close(opened).unwrap();
        assert_eq!(g.vfs.fs().inodes().count(), inodes - 1);
    });
}

/// Removes a name that is not a directory's. The descriptor needs
/// `PATH_UNLINK_FILE`.
///
/// Nothing there is `NOENT`; a directory, with a slash behind it or not, is
/// `ISDIR`, and `.` and `..` are such.
///
/// A slash behind what is no directory is `NOTDIR`. A symlink is removed
/// itself, wherever it leads, and never followed: behind it a slash is
/// `NOTDIR` too.
#[test]
fn unlinking_takes_one_name() {
    with(shapes(), |g| {
        for (path, expected) in [
            ("new", Errno::NOENT),
            ("new/", Errno::NOENT),
            ("dir", Errno::ISDIR),
            ("dir/", Errno::ISDIR),
            ("empty", Errno::ISDIR),
            ("empty//", Errno::ISDIR),
            (".", Errno::ISDIR),
            ("./", Errno::ISDIR),
            ("dir/.", Errno::ISDIR),
            ("dir/..", Errno::ISDIR),
            ("to-dir/..", Errno::ISDIR),
            ("file/", Errno::NOTDIR),
            ("link/", Errno::NOTDIR),
            ("to-dir/", Errno::NOTDIR),
            ("dangling/", Errno::NOTDIR),
            ("loop/", Errno::NOTDIR),
        ] {
            assert_eq!(g.unlink(path), Err(expected), "{path}");
        }
        for path in ["link", "to-dir", "dangling", "loop"] {
            g.unlink(path).unwrap();
            assert_eq!(name(&g.stat(path, false)), "NOENT", "{path}");
        }
        assert_eq!(g.contents("file").unwrap(), b"contents");
        assert_eq!(name(&g.stat("dir/entry", false)), "SUCCESS");
        g.unlink("file").unwrap();
        g.unlink("dir/entry").unwrap();
        assert_eq!(name(&g.open("file", 0)), "NOENT");
    });
}

/// The file has one link less, and its change time is due; so are the
/// modification and change time of the directory that had the name.
#[test]
fn unlinking_is_of_now_for_the_file_and_its_directory() {
    let packed = native::meta().mtime;
    with(shapes(), |g| {
        g.link("dir/entry", "other").unwrap();
        g.unlink("dir/entry").unwrap();
        let file = g.stat("other", false).unwrap();
        let now = g.home.seconds * 1_000_000_000;
        assert_eq!([file.atim, file.mtim, file.ctim], [packed, packed, now]);
        assert_eq!(file.nlink, 1);
        let dir = g.stat("dir", false).unwrap();
        assert_eq!([dir.atim, dir.mtim, dir.ctim], [packed, now, now]);
        assert_eq!(dir.nlink, 2);
    });
}

/// A file that is open lives without a name until its last close: it is
/// read, written, resized and looked at as before, with a link count of 0.
/// The name is free at once, and a new file of that name is another one.
#[test]
fn an_unlinked_file_lives_until_its_last_close() {
    with(shapes(), |g| {
        let inodes = g.vfs.fs().inodes().count();
        let first = g.open("file", 0).unwrap();
        let second = g.open_with(ROOT, 0, "file", 0, READ, ALL, 0).unwrap();
        let ino = g.fstat(first).unwrap().ino;
        g.unlink("file").unwrap();
        assert_eq!(name(&g.open("file", 0)), "NOENT");
        g.create("file", b"new").unwrap();
        assert_ne!(g.stat("file", true).unwrap().ino, ino);

        let stat = g.fstat(first).unwrap();
        assert_eq!((stat.ino, stat.nlink, stat.size), (ino, 0, 8));
        g.write(first, b"CON").unwrap();
        g.close(first).unwrap();
        g.vfs.check_invariants();
        assert_eq!(g.read(second, 100).unwrap(), b"CONtents");
        let fd = g.open("file", 0).unwrap();
        assert_eq!(g.read(fd, 100).unwrap(), b"new");
        g.set_size(fd, 0).unwrap();
        g.unlink("file").unwrap();
        g.set_size(fd, 5).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_filestat_set_times(home, fd, 1, 2, 1 | 4).unwrap();
        let stat = g.fstat(fd).unwrap();
        assert_eq!((stat.nlink, stat.size, stat.mtim), (0, 5, 2));
        g.close(fd).unwrap();
        g.close(second).unwrap();
        assert_eq!(g.vfs.fs().inodes().count(), inodes - 1);
    });
}

#[test]
fn creating_and_removing_needs_no_more_inodes() {
    with(Guest::empty(), |g| {
        let before = g.vfs.fs().inodes().count();
        let mut largest = 0;
        for _ in 0..if cfg!(miri) { 100 } else { 100_000 } {
            let fd = g.open("f", CREAT).unwrap();
            largest = largest.max(g.fstat(fd).unwrap().ino);
            g.close(fd).unwrap();
            g.unlink("f").unwrap();
        }
        assert_eq!(g.vfs.fs().inodes().count(), before);
        assert!(largest < 4, "inode numbers are reused: {largest}");
    });
}
