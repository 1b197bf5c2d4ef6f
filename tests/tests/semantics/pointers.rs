//! Arguments: descriptors, pointers, flags, and what is answered.

use monaka_tests::native::{ALL, BUFFER, Guest, IOVS, OUT, ROOT, name};
use monaka_vfs_core::Errno;

use crate::calls::CALLS;
use crate::{CREAT, DIRECTORY, packed, with};

/// A number that is not open is `BADF` in every call, whether it was closed or
/// never given out.
#[test]
fn a_number_that_is_not_open_is_badf_in_every_call() {
    with(packed(), |g| {
        let closed = g.open("file", 0).unwrap();
        g.close(closed).unwrap();
        for fd in [closed, 99, 1 << 20, 1 << 31, u32::MAX] {
            for call in CALLS {
                assert_eq!((call.make)(g, fd), Err(Errno::BADF), "{} {fd}", call.name);
            }
        }
    });
}

/// A pointer outside the memory is `FAULT`. All pointers are checked before
/// anything changes, so nothing has happened then. (wasmtime ends the program.)
#[test]
fn a_bad_pointer_is_fault_and_changes_nothing() {
    with(packed(), |g| {
        let end = g.home.memory.len() as u32;
        let fd = g.open("file", 0).unwrap();
        let before = g.fstat(fd).unwrap();
        g.put(IOVS, &[BUFFER.to_le_bytes(), 3u32.to_le_bytes()].concat());
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, end - 4, 1, 64), Err(Errno::FAULT));
        assert_eq!(vfs.fd_read(home, fd, 256, 1, end), Err(Errno::FAULT));
        assert_eq!(vfs.fd_pread(home, fd, 256, 1, 0, end), Err(Errno::FAULT));
        assert_eq!(vfs.fd_write(home, fd, u32::MAX, 1, 64), Err(Errno::FAULT));
        assert_eq!(
            vfs.fd_pwrite(home, fd, 256, 1, 0, end - 3),
            Err(Errno::FAULT)
        );
        let path = vfs.path_unlink_file(home, ROOT, end - 2, 4);
        assert_eq!(path, Err(Errno::FAULT));
        let open = vfs.path_open(home, ROOT, 0, 4096, 4, 1, ALL, ALL, 0, end);
        assert_eq!(open, Err(Errno::FAULT));
        assert_eq!(vfs.fd_readdir(home, ROOT, end, 1, 0, 64), Err(Errno::FAULT));
        assert_eq!(vfs.fd_readdir(home, ROOT, 64, 1, 0, end), Err(Errno::FAULT));
        assert_eq!(vfs.fd_filestat_get(home, fd, end - 63), Err(Errno::FAULT));
        assert_eq!(vfs.fd_fdstat_get(home, fd, end - 23), Err(Errno::FAULT));
        assert_eq!(vfs.fd_prestat_get(home, ROOT, end - 7), Err(Errno::FAULT));
        let dir_name = vfs.fd_prestat_dir_name(home, ROOT, end, 1);
        assert_eq!(dir_name, Err(Errno::FAULT));
        assert_eq!(vfs.fd_seek(home, fd, 5, 0, end - 7), Err(Errno::FAULT));
        assert_eq!(vfs.fd_tell(home, fd, end - 7), Err(Errno::FAULT));
        for bad in [[end - 47, 64, 64], [64, end - 31, 64], [64, 64, end - 3]] {
            let [subscriptions, events, nevents] = bad;
            let polled = vfs.poll_oneoff(home, subscriptions, events, 1, nevents);
            assert_eq!(polled, Err(Errno::FAULT));
        }
        assert_eq!(g.fstat(fd).unwrap(), before);
        assert_eq!(g.seek(fd, 0, 1), Ok(0));
    });
}

#[test]
fn a_listing_that_cannot_be_counted_is_not_written() {
    with(packed(), |g| {
        let end = g.home.memory.len() as u32;
        let before = g.fstat(ROOT).unwrap();
        g.put(BUFFER, b"####");
        let listed = g.vfs.fd_readdir(&mut g.home, ROOT, BUFFER, 100, 0, end - 3);
        assert_eq!(listed, Err(Errno::FAULT));
        assert_eq!(g.buffer(4), b"####");
        assert_eq!(g.fstat(ROOT).unwrap(), before);
    });
}

#[test]
fn the_second_of_two_buffers_is_checked_before_the_first_is_used() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        let pairs = [BUFFER, 3, u32::MAX - 8, 4];
        for (at, word) in (IOVS..).step_by(4).zip(pairs) {
            g.put(at, &word.to_le_bytes());
        }
        g.put(BUFFER, b"###");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, IOVS, 2, OUT), Err(Errno::FAULT));
        assert_eq!(vfs.fd_write(home, fd, IOVS, 2, OUT), Err(Errno::FAULT));
        assert_eq!(g.buffer(3), b"###");
        assert_eq!(g.contents("file").unwrap(), b"packed contents");
        assert_eq!(g.seek(fd, 0, 1), Ok(0));
    });
}

/// A pointer to nothing, of a length of 0, is not looked at.
#[test]
fn a_wild_pointer_to_nothing_is_not_looked_at() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.home.memory[256..264].copy_from_slice(&[0xf0, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, 256, 1, 64), Ok(()));
        assert_eq!(vfs.fd_write(home, fd, 256, 1, 64), Ok(()));
        assert_eq!(vfs.fd_read(home, fd, u32::MAX, 0, 64), Ok(()));
        assert_eq!(vfs.fd_readdir(home, ROOT, u32::MAX, 0, 0, 64), Ok(()));
        let path = vfs.path_unlink_file(home, ROOT, u32::MAX, 0);
        assert_eq!(path, Err(Errno::NOENT));
    });
}

/// Addresses need not be aligned.
#[test]
fn addresses_need_not_be_aligned() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        let iov = [(BUFFER + 1).to_le_bytes(), 6u32.to_le_bytes()].concat();
        g.put(IOVS + 3, &iov);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, IOVS + 3, 1, OUT + 1), Ok(()));
        assert_eq!(g.u32_at(OUT + 1), 6);
        assert_eq!(g.bytes_at(BUFFER + 1, 6), b"packed");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_filestat_get(home, fd, OUT + 5), Ok(()));
        assert_eq!(g.u64_at(OUT + 5 + 32), 15, "the size");
        g.vfs.fd_tell(&mut g.home, fd, OUT + 7).unwrap();
        assert_eq!(g.u64_at(OUT + 7), 6);
    });
}

/// A flag, a whence or an advice that the witx does not know is `INVAL`. (wasmtime
/// ends the program.)
#[test]
fn what_the_witx_does_not_know_is_inval() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        for unknown in [1 << 5, 1 << 16, 1 << 31] {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            let answers = [
                vfs.fd_advise(home, fd, 0, 0, unknown),
                vfs.fd_fdstat_set_flags(home, fd, unknown),
                vfs.fd_filestat_set_times(home, fd, 1, 1, unknown),
                vfs.fd_seek(home, fd, 0, unknown, OUT),
                vfs.path_filestat_get(home, ROOT, unknown, 4096, 4, OUT),
                vfs.path_filestat_set_times(home, ROOT, unknown, 4096, 4, 1, 1, 1),
                vfs.path_filestat_set_times(home, ROOT, 0, 4096, 4, 1, 1, unknown),
                vfs.path_link(home, ROOT, unknown, 4096, 4, ROOT, 4096, 4),
                vfs.path_open(home, ROOT, unknown, 4096, 4, 0, ALL, ALL, 0, OUT),
                vfs.path_open(home, ROOT, 0, 4096, 4, unknown, ALL, ALL, 0, OUT),
                vfs.path_open(home, ROOT, 0, 4096, 4, 0, ALL, ALL, unknown, OUT),
            ];
            assert_eq!(answers, [Err(Errno::INVAL); 11], "{unknown:x}");
        }
        assert_eq!(g.seek(fd, 0, 3), Err(Errno::INVAL));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_advise(home, fd, 0, 0, 6), Err(Errno::INVAL));
        assert_eq!(g.stat("file", true).unwrap().mtim, 1_000_000_007);
    });
}

/// An offset, a size or a length of 2^63 or more is `INVAL`, as on Linux, where it
/// is a negative number. Only the offset of `fd_advise` may be anything.
#[test]
fn numbers_that_are_negative_on_linux_are_inval() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        for large in [1 << 63, u64::MAX] {
            assert_eq!(name(&g.pread(fd, 1, large)), "INVAL");
            assert_eq!(name(&g.pread(fd, 0, large)), "INVAL", "even for no byte");
            assert_eq!(name(&g.pwrite(fd, b"x", large)), "INVAL");
            assert_eq!(name(&g.pwrite(fd, b"", large)), "INVAL");
            assert_eq!(g.set_size(fd, large), Err(Errno::INVAL));
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            assert_eq!(vfs.fd_allocate(home, fd, large, 1), Err(Errno::INVAL));
            assert_eq!(vfs.fd_allocate(home, fd, 0, large), Err(Errno::INVAL));
            assert_eq!(vfs.fd_advise(home, fd, 0, large, 0), Err(Errno::INVAL));
            assert_eq!(vfs.fd_advise(home, fd, large, 1, 0), Ok(()));
        }
        assert_eq!(g.contents("file").unwrap(), b"packed contents");
    });
}

/// A call that fails leaves the program's memory as it was.
#[test]
fn a_call_that_fails_leaves_the_memory_as_it_was() {
    with(packed(), |g| {
        let read_only = g.open_with(ROOT, 0, "file", 0, 2, ALL, 0).unwrap();
        let write_only = g.open_with(ROOT, 0, "file", 0, 64, ALL, 0).unwrap();
        let directory = g.open("dir", DIRECTORY).unwrap();
        let mut failed = 0;
        for call in CALLS {
            for fd in [99, read_only, write_only, directory] {
                // The first writes what the arguments lead to.
                let first = (call.make)(g, fd);
                let before = g.home.memory.clone();
                let second = (call.make)(g, fd);
                if first.is_err() && second.is_err() {
                    assert!(g.home.memory == before, "{} {fd}", call.name);
                    failed += 1;
                }
            }
        }
        assert!(failed > 70, "{failed} calls failed");
    });
}

/// Bytes of an answer that mean nothing are 0.
#[test]
fn padding_is_zero() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        let ones = |g: &mut Guest| _ = g.put(OUT, &[0xff; 64]);
        ones(g);
        g.vfs.fd_fdstat_get(&mut g.home, fd, OUT).unwrap();
        assert_eq!(g.bytes_at(OUT + 1, 1), [0]);
        assert_eq!(g.bytes_at(OUT + 4, 4), [0; 4]);
        ones(g);
        g.vfs.fd_filestat_get(&mut g.home, fd, OUT).unwrap();
        assert_eq!(g.bytes_at(OUT + 17, 7), [0; 7]);
        ones(g);
        g.vfs.fd_prestat_get(&mut g.home, ROOT, OUT).unwrap();
        assert_eq!(g.bytes_at(OUT, 4), [0; 4], "the kind is in the first byte");
        g.put(BUFFER, &[0xff; 512]);
        g.readdir_once(ROOT, 512, 0).unwrap();
        assert_eq!(g.bytes_at(BUFFER + 21, 3), [0; 3]);
        g.put(BUFFER, &[0xff; 512]);
        g.poll_read(&[fd]).unwrap();
        let event = BUFFER + 48;
        assert_eq!(g.bytes_at(event + 11, 5), [0; 5]);
        assert_eq!(g.bytes_at(event + 24, 8), [0; 8], "flags and padding");
    });
}

#[test]
fn a_call_that_creates_and_cannot_answer_creates_nothing() {
    with(packed(), |g| {
        let end = g.home.memory.len() as u32;
        g.put(4096, b"new");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        let opened = vfs.path_open(home, ROOT, 0, 4096, 3, CREAT, ALL, ALL, 0, end - 3);
        assert_eq!(opened, Err(Errno::FAULT));
        assert_eq!(name(&g.stat("new", false)), "NOENT");
    });
}
