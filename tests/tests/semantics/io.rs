//! Reading and writing, and the buffers of both.

use monaka_tests::native::{ALL, BUFFER, Guest, IOVS, OUT, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::errno::Result;

use crate::{APPEND, CREAT, DIRECTORY, READ, WRITE, packed, with};

/// Stores a list of buffers, each an address and a length.
fn list(g: &mut Guest, buffers: &[(u32, u32)]) {
    for (at, (address, len)) in (IOVS..).step_by(8).zip(buffers) {
        g.put(at, &address.to_le_bytes());
        g.put(at + 4, &len.to_le_bytes());
    }
}

/// `fd_read` into the first `count` buffers that were stored.
fn read(g: &mut Guest, fd: u32, count: u32) -> Result<u32> {
    g.vfs.fd_read(&mut g.home, fd, IOVS, count, OUT)?;
    Ok(g.u32_at(OUT))
}

/// `fd_write` of them.
fn write(g: &mut Guest, fd: u32, count: u32) -> Result<u32> {
    g.vfs.fd_write(&mut g.home, fd, IOVS, count, OUT)?;
    Ok(g.u32_at(OUT))
}

/// A call with a list of that many buffers and an offset.
type Transfer = fn(&mut Guest, u32, u32, u64) -> Result<()>;

/// A call with a descriptor alone.
type Sync = fn(&mut Guest, u32) -> Result<()>;

const READS: [Transfer; 2] = [
    |g, fd, count, offset| {
        g.seek(fd, offset.cast_signed(), 0)?;
        read(g, fd, count).map(drop)
    },
    |g, fd, count, offset| {
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_pread(home, fd, IOVS, count, offset, OUT)
    },
];

const WRITES: [Transfer; 2] = [
    |g, fd, count, offset| {
        g.seek(fd, offset.cast_signed(), 0)?;
        write(g, fd, count).map(drop)
    },
    |g, fd, count, offset| {
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_pwrite(home, fd, IOVS, count, offset, OUT)
    },
];

/// Finds the order of checks: each row is wrong in its way and in those of all
/// rows below it.
fn check(g: &mut Guest, wrong: u32, right: u32, directory: u32, transfer: Transfer) {
    const MAX: u64 = i64::MAX as u64;
    let many = 1025;
    let wild = [(BUFFER, 1), (u32::MAX - 3, 4)];
    let large = [(0, 1 << 22); 1024];
    list(g, &wild);
    for fd in [wrong, directory] {
        assert_eq!(transfer(g, fd, many, MAX), Err(Errno::BADF));
    }
    assert_eq!(transfer(g, right, many, MAX), Err(Errno::INVAL));
    assert_eq!(transfer(g, right, 2, MAX), Err(Errno::FAULT));
    list(g, &[(BUFFER, 1); 1024]);
    assert_eq!(transfer(g, right, 1024, MAX - 1024), Ok(()));
    assert_eq!(transfer(g, right, 1024, MAX - 1023), Err(Errno::INVAL));
    list(g, &large);
    assert_eq!(transfer(g, right, 512, 0), Err(Errno::INVAL), "2^31 bytes");
    assert_eq!(transfer(g, right, 0, MAX), Ok(()), "no byte");
}

/// `fd_read` checks, in this order: a directory (Linux: `ISDIR`) or not open for
/// reading → `BADF`; more than 1024 buffers → `INVAL`; a pointer outside the memory
/// → `FAULT`; buffers of together 2^31 bytes or more → `INVAL`; a last byte that
/// would lie past 2^63 - 1 → `INVAL`.
///
/// `fd_pread` checks what `fd_read` does, with the offset it is given, and reads
/// from there. The descriptor's own offset is neither used nor moved.
#[test]
fn reading_checks_in_order() {
    for (index, transfer) in READS.into_iter().enumerate() {
        with(packed(), |g| {
            let write_only = g.open_with(ROOT, 1, "file", 0, WRITE, ALL, 0).unwrap();
            let fd = g.open("file", 0).unwrap();
            let directory = g.open("dir", DIRECTORY).unwrap();
            check(g, write_only, fd, directory, transfer);
            g.seek(fd, 3, 0).unwrap();
            list(g, &[(BUFFER, 4)]);
            transfer(g, fd, 1, 7).unwrap();
            assert_eq!(g.buffer(4), b"cont");
            assert_eq!(g.seek(fd, 0, 1), Ok([11, 3][index]));
            assert_eq!(name(&g.pread(directory, 1, 0)), "BADF");
        });
    }
}

/// `fd_write` checks, in this order: a directory or not open for writing → `BADF`;
/// more than 1024 buffers → `INVAL`; a pointer outside the memory → `FAULT`;
/// buffers of together 2^31 bytes or more → `INVAL`; a last byte that would lie
/// past 2^63 - 1 → `INVAL`; with `APPEND`, the same at the end of the file →
/// `FBIG`.
///
/// `fd_pwrite` checks what `fd_write` does, with the offset it is given, and writes
/// there. The descriptor's own offset is neither used nor moved.
#[test]
fn writing_checks_in_order() {
    for (index, transfer) in WRITES.into_iter().enumerate() {
        with(packed(), |g| {
            let read_only = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
            let fd = g.open("file", 0).unwrap();
            let directory = g.open("dir", DIRECTORY).unwrap();
            check(g, read_only, fd, directory, transfer);
            assert_eq!(name(&g.pwrite(directory, b"x", 0)), "BADF");
            // The check made the file as long as one can be.
            let end = g.open_with(ROOT, 1, "file", 0, ALL, ALL, APPEND).unwrap();
            list(g, &[(BUFFER, 2)]);
            assert_eq!(transfer(g, end, 1, 0), Err(Errno::FBIG));
            g.set_size(fd, 15).unwrap();
            g.seek(fd, 3, 0).unwrap();
            g.put(BUFFER, b"TENT");
            list(g, &[(BUFFER, 4)]);
            transfer(g, fd, 1, 10).unwrap();
            assert_eq!(g.seek(fd, 0, 1), Ok([14, 3][index]));
            assert_eq!(g.contents("file").unwrap(), b"packed conTENTs");
        });
    }
}

/// The buffers are filled one after the other, up to the end of the file, and the
/// offset moves by what was read. At the end, and past it, that is 0 bytes. Holes
/// are zeros.
#[test]
fn reading_fills_buffer_after_buffer() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.put(BUFFER, b"####################");
        list(g, &[(BUFFER + 5, 3), (0, 0), (BUFFER, 3), (BUFFER + 10, 2)]);
        assert_eq!(read(g, fd, 4), Ok(8));
        assert_eq!(g.buffer(14), b"ked##pac## c##");
        assert_eq!(g.seek(fd, 0, 1), Ok(8));
        assert_eq!(read(g, fd, 4), Ok(7), "up to the end");
        assert_eq!(read(g, fd, 4), Ok(0));
        assert_eq!(g.seek(fd, 0, 1), Ok(15));
        g.seek(fd, 1000, 0).unwrap();
        assert_eq!(read(g, fd, 4), Ok(0));
        assert_eq!(g.seek(fd, 0, 1), Ok(1000));
        g.set_size(fd, 1003).unwrap();
        g.put(BUFFER, b"####");
        list(g, &[(BUFFER, 4)]);
        assert_eq!(read(g, fd, 1), Ok(3));
        assert_eq!(g.buffer(4), b"\0\0\0#");
    });
}

/// With no buffer, or empty ones only, everything is checked and 0 bytes are read.
#[test]
fn reading_no_byte_is_checked_all_the_same() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        let write_only = g.open_with(ROOT, 1, "file", 0, WRITE, ALL, 0).unwrap();
        let end = g.home.memory.len() as u32;
        list(g, &[(BUFFER, 0); 1025]);
        for count in [0, 1, 1024] {
            assert_eq!(read(g, fd, count), Ok(0));
            assert_eq!(name(&read(g, write_only, count)), "BADF");
            let read = g.vfs.fd_read(&mut g.home, fd, IOVS, count, end - 3);
            assert_eq!(read, Err(Errno::FAULT));
        }
        assert_eq!(name(&read(g, fd, 1025)), "INVAL");
    });
}

/// A read into its own list of buffers moves no more than was checked.
#[test]
fn a_read_over_its_own_buffer_list_moves_no_more_than_was_checked() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        // The first buffer is the second pair, which so becomes text.
        list(g, &[(IOVS + 8, 8), (BUFFER, 5)]);
        assert_eq!(
            read(g, fd, 2),
            Ok(8),
            "the second is outside the memory now"
        );
        assert_eq!(g.seek(fd, 0, 1), Ok(8));
    });

    // The same, but what is read makes a longer buffer of the second pair.
    with(Guest::empty(), |g| {
        let pair = [BUFFER.to_le_bytes(), 1000u32.to_le_bytes()].concat();
        g.create("pairs", &[pair, vec![7; 2000]].concat()).unwrap();
        let fd = g.open("pairs", 0).unwrap();
        list(g, &[(IOVS + 8, 8), (BUFFER, 5)]);
        g.put(BUFFER, b"##########");
        assert_eq!(read(g, fd, 2), Ok(13));
        assert_eq!(g.buffer(10), b"\x07\x07\x07\x07\x07#####");
    });
}

/// The buffers are written one after the other at the offset, which moves behind
/// them. Past the end a hole stays before them. Writing no byte changes nothing,
/// wherever the offset is.
#[test]
fn writing_takes_buffer_after_buffer() {
    with(Guest::empty(), |g| {
        let fd = g.open("f", CREAT).unwrap();
        g.put(BUFFER, b"abcdef");
        list(g, &[(BUFFER + 3, 3), (0, 0), (BUFFER, 3), (BUFFER, 1)]);
        assert_eq!(write(g, fd, 4), Ok(7));
        assert_eq!(g.seek(fd, 0, 1), Ok(7));
        assert_eq!(g.pread(fd, 9, 0).unwrap(), b"defabca");
        g.seek(fd, 2, 1).unwrap();
        g.put(BUFFER, b"gh");
        list(g, &[(BUFFER, 2)]);
        assert_eq!(write(g, fd, 1), Ok(2));
        assert_eq!(g.pread(fd, 20, 0).unwrap(), b"defabca\0\0gh");
        g.seek(fd, 1000, 0).unwrap();
        let before = g.fstat(fd).unwrap();
        list(g, &[(BUFFER, 0)]);
        for count in [0, 1] {
            assert_eq!(write(g, fd, count), Ok(0));
        }
        assert_eq!(g.fstat(fd).unwrap(), before);
        assert_eq!(g.seek(fd, 0, 1), Ok(1000));
    });
}

#[test]
fn what_reads_writes_or_synchronises_a_file_is_badf_on_a_directory() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "dir", DIRECTORY, 0, ALL, 0).unwrap();
        assert_eq!(name(&g.read(fd, 1)), "BADF");
        assert_eq!(name(&g.pread(fd, 1, 0)), "BADF");
        assert_eq!(name(&g.write(fd, b"x")), "BADF");
        assert_eq!(name(&g.pwrite(fd, b"x", 0)), "BADF");
        assert_eq!(name(&g.seek(fd, 0, 1)), "BADF");
        assert_eq!(g.set_size(fd, 0), Err(Errno::BADF));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_tell(home, fd, 64), Err(Errno::BADF));
        assert_eq!(vfs.fd_advise(home, fd, 0, 0, 4), Err(Errno::BADF));
        assert_eq!(vfs.fd_allocate(home, fd, 0, 0), Err(Errno::BADF));
        assert_eq!(vfs.fd_sync(home, fd), Err(Errno::BADF));
        assert_eq!(vfs.fd_datasync(home, fd), Err(Errno::BADF));
        assert_eq!(vfs.fd_fdstat_set_flags(home, fd, 4), Err(Errno::BADF));
        assert_eq!(vfs.fd_filestat_set_times(home, fd, 1, 2, 1 | 4), Ok(()));
        assert_eq!(g.fstat(fd).unwrap().mtim, 2);
    });
}

/// `fd_advise` checks, in this order: a directory → `BADF`; `FD_ADVISE` is missing
/// → `NOTCAPABLE`; none of the six advices, or a length of 2^63 or more → `INVAL`.
///
/// Advice changes nothing, no time either: the contents are in memory already.
#[test]
fn advice_is_checked_and_changes_nothing() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        let before = g.fstat(fd).unwrap();
        let mut advise = |fd, offset, len, advice| {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_advise(home, fd, offset, len, advice)
        };
        for advice in 0..6 {
            assert_eq!(advise(fd, 0, 0, advice), Ok(()));
            assert_eq!(advise(fd, u64::MAX, (1 << 63) - 1, advice), Ok(()));
            assert_eq!(advise(fd, 0, 1 << 63, advice), Err(Errno::INVAL));
            assert_eq!(advise(dir, 0, 1 << 63, advice), Err(Errno::BADF));
        }
        assert_eq!(advise(fd, 0, 0, 6), Err(Errno::INVAL));
        assert_eq!(advise(dir, 0, 0, 6), Err(Errno::BADF));
        assert_eq!(g.fstat(fd).unwrap(), before);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_rights(home, fd, READ, 0).unwrap();
        assert_eq!(vfs.fd_advise(home, fd, 0, 0, 6), Err(Errno::NOTCAPABLE));
    });
}

/// `fd_sync` is `NOTCAPABLE` on a file that lacks `FD_SYNC`, `BADF` on a directory
/// that does. A file that is open for reading only will do.
///
/// It carries out the marks. The contents are where they belong already.
///
/// `fd_datasync` checks and does what `fd_sync` does, under the right
/// `FD_DATASYNC`.
#[test]
fn synchronising_carries_out_marks() {
    const SYNC: u64 = 1 << 4;
    const DATASYNC: u64 = 1 << 0;
    let calls: [(u64, Sync); 2] = [
        (SYNC, |g, fd| g.vfs.fd_sync(&mut g.home, fd)),
        (DATASYNC, |g, fd| g.vfs.fd_datasync(&mut g.home, fd)),
    ];
    for (right, sync) in calls {
        with(packed(), |g| {
            let fd = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
            g.read(fd, 1).unwrap();
            let clock = g.home.seconds;
            assert_eq!(sync(g, fd), Ok(()));
            assert_eq!(g.home.seconds, clock + 1);
            assert_eq!(sync(g, fd), Ok(()), "nothing is due");
            assert_eq!(g.home.seconds, clock + 1);
            assert_eq!(g.fstat(fd).unwrap().atim, (clock + 1) * 1_000_000_000);
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            let other = SYNC | DATASYNC;
            vfs.fd_fdstat_set_rights(home, fd, other & !right, 0)
                .unwrap();
            assert_eq!(sync(g, fd), Err(Errno::NOTCAPABLE));
        });
    }
}
