//! Access, modification and change times.

use monaka_tests::native::Guest;
use monaka_vfs_core::Errno;

use crate::{CREAT, with};

#[test]
fn timestamps_are_updated_before_anyone_looks() {
    with(Guest::empty(), |g| {
        g.create("f", b"1").unwrap();
        let born = g.stat("f", true).unwrap();
        let fd = g.open("f", 0).unwrap();
        g.write(fd, b"2").unwrap();
        let written = g.fstat(fd).unwrap();
        assert!(written.mtim > born.mtim && written.ctim > born.ctim);
        assert_eq!(written.atim, born.atim);
        g.seek(fd, 0, 0).unwrap();
        g.read(fd, 1).unwrap();
        let read = g.fstat(fd).unwrap();
        assert!(read.atim > born.atim);
        assert_eq!(read.mtim, written.mtim);
        assert_eq!(g.fstat(fd).unwrap(), read, "looking changes nothing");
    });
}

#[test]
fn closing_settles_the_time_of_the_last_write() {
    with(Guest::empty(), |g| {
        let fd = g.open("f", CREAT).unwrap();
        g.write(fd, b"x").unwrap();
        let before_close = g.home.seconds;
        g.close(fd).unwrap();
        g.home.seconds += 1000;
        let mtim = g.stat("f", true).unwrap().mtim;
        assert_eq!(mtim, (before_close + 1) * 1_000_000_000);
    });
}

#[test]
fn set_times_sets_keeps_and_refuses_contradictions() {
    with(Guest::empty(), |g| {
        g.create("f", b"").unwrap();
        let fd = g.open("f", 0).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_filestat_set_times(home, fd, 11, 22, 1 | 4).unwrap();
        let both = g.fstat(fd).unwrap();
        assert_eq!((both.atim, both.mtim), (11, 22));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_filestat_set_times(home, fd, 0, 0, 8).unwrap();
        let now = g.fstat(fd).unwrap();
        assert_eq!(now.atim, 11);
        assert!(now.mtim > both.mtim && now.ctim >= both.ctim);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        for contradiction in [1 | 2, 4 | 8, 16] {
            let outcome = vfs.fd_filestat_set_times(home, fd, 0, 0, contradiction);
            assert_eq!(outcome, Err(Errno::INVAL));
        }
    });
}
