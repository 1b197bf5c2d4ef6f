//! Pointers into the program's memory.

use monaka_tests::native::{ALL, ROOT};
use monaka_vfs_core::Errno;

use crate::{packed, with};

#[test]
fn a_bad_pointer_is_fault_and_changes_nothing() {
    with(packed(), |g| {
        let end = g.home.memory.len() as u32;
        let fd = g.open("file", 0).unwrap();
        let before = g.fstat(fd).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, end - 4, 1, 64), Err(Errno::FAULT));
        assert_eq!(vfs.fd_read(home, fd, 256, 1, end), Err(Errno::FAULT));
        assert_eq!(vfs.fd_write(home, fd, u32::MAX, 1, 64), Err(Errno::FAULT));
        let path = vfs.path_unlink_file(home, ROOT, end - 2, 4);
        assert_eq!(path, Err(Errno::FAULT));
        let open = vfs.path_open(home, ROOT, 0, 4096, 4, 1, ALL, ALL, 0, end);
        assert_eq!(open, Err(Errno::FAULT));
        assert_eq!(vfs.fd_readdir(home, ROOT, end, 1, 0, 64), Err(Errno::FAULT));
        assert_eq!(vfs.fd_filestat_get(home, fd, end - 63), Err(Errno::FAULT));
        assert_eq!(g.fstat(fd).unwrap(), before);
        assert_eq!(g.seek(fd, 0, 1), Ok(0));
    });
}

#[test]
fn a_wild_pointer_to_nothing_is_not_looked_at() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.home.memory[256..264].copy_from_slice(&[0xf0, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, 256, 1, 64), Ok(()));
        assert_eq!(vfs.fd_write(home, fd, 256, 1, 64), Ok(()));
        assert_eq!(vfs.fd_read(home, fd, u32::MAX, 0, 64), Ok(()));
        let path = vfs.path_unlink_file(home, ROOT, u32::MAX, 0);
        assert_eq!(path, Err(Errno::NOENT));
    });
}
