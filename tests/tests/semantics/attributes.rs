//! What `fd_filestat_get` answers.

use monaka_tests::native::{ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;

use crate::{CREAT, DIRECTORY, READ, WRITE, packed, with};

/// `fd_filestat_get` works however the descriptor was opened, also when the file or
/// directory has no name any more, which has 0 links then. It needs
/// `FD_FILESTAT_GET`.
#[test]
fn attributes_are_those_of_the_file_not_of_its_name() {
    with(packed(), |g| {
        for rights in [0, READ, WRITE] {
            let fd = g.open_with(ROOT, 1, "file", 0, rights, ALL, 0).unwrap();
            assert_eq!(g.fstat(fd).unwrap().size, 15);
        }
        let file = g.open("file", 0).unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        g.link("file", "other").unwrap();
        assert_eq!(g.fstat(file).unwrap().nlink, 2);
        g.unlink("file").unwrap();
        g.unlink("other").unwrap();
        for name in ["inner", "out", "up"] {
            g.unlink(&format!("dir/{name}")).unwrap();
        }
        g.rmdir("dir").unwrap();
        for (fd, kind, size) in [(file, 4, 15), (dir, 3, 0)] {
            let stat = g.fstat(fd).unwrap();
            assert_eq!((stat.filetype, stat.nlink, stat.size), (kind, 0, size));
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_fdstat_set_rights(home, fd, 0, 0).unwrap();
            let denied = vfs.fd_filestat_get(home, fd, 64);
            assert_eq!(denied, Err(Errno::NOTCAPABLE));
        }
    });
}

/// The device is 1. The inode number is the same through every name, descriptor and
/// listing, stays while the file lives, and may be another's afterwards.
#[test]
fn one_file_has_one_number() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        let ino = g.fstat(fd).unwrap().ino;
        g.vfs.fd_filestat_get(&mut g.home, fd, 64).unwrap();
        assert_eq!(g.u64_at(64), 1, "the device");
        g.link("file", "dir/second").unwrap();
        g.rename("file", "third").unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        let listed = g.readdir(dir, 1000).unwrap();
        let second = listed.iter().find(|e| e.name == b"second").unwrap();
        let stats = [
            g.fstat(fd).unwrap().ino,
            g.stat("dir/second", false).unwrap().ino,
            g.stat("third", true).unwrap().ino,
            second.ino,
        ];
        assert_eq!(stats, [ino; 4]);
        let others = ["dir", "dir/inner", "link", "absolute", "."];
        for path in others {
            assert_ne!(g.stat(path, false).unwrap().ino, ino, "{path}");
        }
        g.unlink("third").unwrap();
        g.unlink("dir/second").unwrap();
        let while_open = g.open("new", CREAT).unwrap();
        assert_ne!(g.fstat(while_open).unwrap().ino, ino);
        g.close(fd).unwrap();
        let new = g.fstat(while_open).unwrap().ino;
        g.unlink("new").unwrap();
        g.close(while_open).unwrap();
        let after = g.open("newer", CREAT).unwrap();
        assert_eq!(g.fstat(after).unwrap().ino, new);
    });
}

/// A directory has 2 links and one for each subdirectory, as on Linux, and size 0.
#[test]
fn a_directory_counts_its_subdirectories() {
    with(Guest::empty(), |g| {
        for (names, expected) in [(0, 2), (1, 3), (2, 4), (50, 52)] {
            for i in 0..names {
                match g.mkdir(&format!("d{i}")) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => panic!("{errno:?}"),
                }
                g.create(&format!("f{i}"), b"").unwrap();
            }
            let stat = g.fstat(ROOT).unwrap();
            assert_eq!((stat.nlink, stat.size), (expected, 0));
        }
        assert_eq!(name(&g.rmdir("d1")), "SUCCESS");
        assert_eq!(g.fstat(ROOT).unwrap().nlink, 51);
    });
}
