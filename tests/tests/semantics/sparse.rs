//! Holes, allocating and setting the size.

use monaka_tests::native::{ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::data::FileData;

use crate::{CREAT, DIRECTORY, READ, packed, with};

/// The bytes that all files have in memory of their own.
fn heap(g: &Guest) -> u64 {
    let fs = g.vfs.fs();
    let files = fs.inodes().filter_map(|(ino, _)| fs.file(ino).ok());
    files.map(FileData::heap_bytes).sum()
}

#[test]
fn a_hole_takes_no_memory_and_reads_as_zeros() {
    with(Guest::empty(), |g| {
        let fd = g.open("sparse", CREAT).unwrap();
        g.pwrite(fd, b"end", 1 << 40).unwrap();
        assert_eq!(g.fstat(fd).unwrap().size, (1 << 40) + 3);
        assert_eq!(g.pread(fd, 4, (1 << 40) - 1).unwrap(), b"\0end");
        assert_eq!(g.pread(fd, 3, 12345).unwrap(), [0; 3]);
        assert!(heap(g) <= 65536);
    });
}

/// `fd_allocate` checks, in this order: a directory → `BADF`; a length of 0, or
/// offset or length too large → `INVAL`; not open for writing → `BADF`;
/// `FD_ALLOCATE` is missing → `NOTSUP`; an end past 2^63 - 1 → `FBIG`; memory is
/// out → `NOSPC`.
#[test]
fn allocating_checks_in_order() {
    const MAX: u64 = i64::MAX as u64;
    with(packed(), |g| {
        let dir = g.open("dir", DIRECTORY).unwrap();
        let read_only = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
        let without = g.open_with(ROOT, 1, "file", 0, 1 << 6, ALL, 0).unwrap();
        let fd = g.open("file", 0).unwrap();
        // Each is wrong in its way and in those of all below it.
        for (fd, offset, len, expected) in [
            (dir, 0, 0, Errno::BADF),
            (read_only, MAX, 0, Errno::INVAL),
            (read_only, 1 << 63, 1, Errno::INVAL),
            (read_only, 0, 1 << 63, Errno::INVAL),
            (read_only, MAX, MAX, Errno::BADF),
            (without, MAX, MAX, Errno::NOTSUP),
            (fd, MAX, 1, Errno::FBIG),
            (fd, 1, MAX, Errno::FBIG),
            (fd, 0, MAX, Errno::NOSPC),
        ] {
            let allocated = g.vfs.fd_allocate(&mut g.home, fd, offset, len);
            assert_eq!(allocated, Err(expected), "{fd} {offset} {len}");
        }
        assert_eq!(g.contents("file").unwrap(), b"packed contents");
    });
}

/// The range then has its memory, and the file is at least `offset + len` bytes
/// long. What was there reads as before and what is new as zeros; the file's offset
/// stays.
///
/// After `NOSPC` the file reads as before, though some holes may have got their
/// memory.
#[test]
fn allocated_ranges_have_their_memory() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.seek(fd, 7, 0).unwrap();
        let allocate = |g: &mut Guest, offset, len| {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_allocate(home, fd, offset, len)
        };
        assert_eq!(allocate(g, 4, 4), Ok(()));
        assert_eq!(g.fstat(fd).unwrap().size, 15, "it was long enough");
        assert_eq!(allocate(g, 100_000, 200_000), Ok(()));
        assert!(heap(g) >= 200_000);
        let contents = g.contents("file").unwrap();
        assert_eq!(contents[..15], *b"packed contents");
        assert!(contents.len() == 300_000 && contents[15..].iter().all(|&b| b == 0));
        assert_eq!(g.seek(fd, 0, 1), Ok(7));
        let before = heap(g);
        assert_eq!(allocate(g, 0, 1 << 62), Err(Errno::NOSPC));
        assert!(g.contents("file").unwrap() == contents);
        assert!(heap(g) >= before);
    });
}

/// `fd_filestat_set_size` checks, in this order: a directory → `BADF`; not open for
/// writing, or a size of 2^63 or more → `INVAL`.
#[test]
fn setting_the_size_checks_in_order() {
    with(packed(), |g| {
        let dir = g.open("dir", DIRECTORY).unwrap();
        let read_only = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
        let fd = g.open("file", 0).unwrap();
        for (fd, size, expected) in [
            (dir, 0, Err(Errno::BADF)),
            (dir, 1 << 63, Err(Errno::BADF)),
            (read_only, 0, Err(Errno::INVAL)),
            (read_only, 1 << 63, Err(Errno::INVAL)),
            (fd, 1 << 63, Err(Errno::INVAL)),
            (fd, (1 << 63) - 1, Ok(())),
        ] {
            assert_eq!(g.set_size(fd, size), expected, "{fd} {size}");
        }
    });
}

/// What is appended is a hole: it reads as zeros and takes no memory, so any size
/// can be had. What is cut off gives its memory back and is zeros when the file
/// grows again. Offsets stay, past the end too.
#[test]
fn what_is_cut_off_does_not_come_back() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.seek(fd, 12, 0).unwrap();
        g.write(fd, &[7; 200_000]).unwrap();
        let before = heap(g);
        g.set_size(fd, 3).unwrap();
        assert!(heap(g) + 200_000 <= before + 65536);
        assert_eq!(g.seek(fd, 0, 1), Ok(200_012), "past the end");
        assert_eq!(g.read(fd, 1).unwrap(), b"");
        let cut = heap(g);
        g.set_size(fd, 1 << 50).unwrap();
        assert_eq!(heap(g), cut);
        assert_eq!(g.pread(fd, 6, 0).unwrap(), b"pac\0\0\0");
        assert_eq!(g.pread(fd, 2, 200_000).unwrap(), [0; 2]);
        assert_eq!(g.fstat(fd).unwrap().size, 1 << 50);
        g.set_size(fd, 0).unwrap();
        assert_eq!(name(&g.write(fd, b"x")), "SUCCESS", "at the old offset");
        assert_eq!(g.fstat(fd).unwrap().size, 200_013);
    });
}
