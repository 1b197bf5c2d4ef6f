//! How much a program may write and create, and what happens when it is too much.

use monaka_tests::native::{self, ALL, Guest, IOVS, OUT, ROOT, Stat, name};
use monaka_tests::scarce::{Held, Scarce, in_pieces, refused, starved};
use monaka_tests::shape::{Shape, allowed};
use monaka_vfs_core::Errno;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::image::{Limits, NodeId};

use crate::{APPEND, CREAT, DIRECTORY, EXCL, TRUNC, with};

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// Makes one call.
type Call = fn(&mut Guest) -> Result<()>;

const CHUNK: usize = 64 << 10;
const BLOCK: u64 = 4096;

/// How long the packed file `large` is.
const LARGE: usize = 3 * CHUNK + 1000;

/// A program with packed files, a directory and two names of a file, that may add so
/// much.
fn limited(bytes: u64, inodes: u32) -> Guest {
    Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "large", &[b'p'; LARGE]);
        let file = native::add_file(tree, NodeId::ROOT, "file", b"packed contents");
        tree.add_link(NodeId::ROOT, b"again", file).unwrap();
        tree.add_directory(NodeId::ROOT, b"dir", native::meta())
            .unwrap();
        tree.set_limits(Limits { bytes, inodes });
    }))
}

/// May write so many bytes.
fn bytes(bytes: u64) -> Guest {
    limited(bytes, u32::MAX)
}

/// May create so many files.
fn inodes(inodes: u32) -> Guest {
    limited(u64::MAX, inodes)
}

/// How many bytes can still be written.
fn left(g: &mut Guest) -> u64 {
    let fd = g.open("probe", CREAT | EXCL).unwrap();
    let mut left = 0;
    while let Ok(len) = g.write(fd, &[1; 1000]) {
        left += u64::from(len);
    }
    g.close(fd).unwrap();
    g.unlink("probe").unwrap();
    left
}

fn allocate(g: &mut Guest, fd: u32, offset: u64, len: u64) -> Result<()> {
    g.vfs.fd_allocate(&mut g.home, fd, offset, len)
}

/// `--max-bytes` bounds the contents that the program has written, those of all files
/// together. What was packed does not count, and neither do holes.
#[test]
fn written_contents_are_bounded() {
    with(bytes(65_536), |g| {
        assert_eq!(left(g), 65_536);
        let fd = g.open("new", CREAT).unwrap();
        assert_eq!(g.set_size(fd, 1 << 40), Ok(()));
        assert_eq!(g.pread(fd, 3, 1 << 39).unwrap(), [0; 3]);
        assert_eq!(g.contents("large").unwrap().len(), LARGE);
        g.create("one", &[1; 30_000]).unwrap();
        g.create("two", &[1; 30_000]).unwrap();
        assert_eq!(left(g), 5_536);
        assert_eq!(g.vfs.fs().used_bytes(), 60_000);
        for i in 0..100 {
            g.create(&format!("empty{i}"), b"").unwrap();
            g.symlink(&[b't'; 4000], &format!("link{i}")).unwrap();
        }
        assert_eq!(left(g), 5_536, "names and targets do not count");
    });
}

/// Writing over what was written needs nothing. Writing over what was packed takes the
/// chunk of 64 KiB that it falls into, once. Writing into a hole takes whole blocks of 4
/// KiB, which end with the file; the gap that a write past the end leaves is such a hole.
#[test]
fn what_a_write_takes() {
    with(bytes(1 << 20), |g| {
        let taken = |g: &mut Guest, fd, offset, len| {
            let before = g.vfs.fs().used_bytes();
            g.pwrite(fd, &vec![7; len], offset).unwrap();
            g.vfs.fs().used_bytes() - before
        };
        let large = g.open("large", 0).unwrap();
        assert_eq!(taken(g, large, 100_000, 5), CHUNK as u64);
        assert_eq!(taken(g, large, 70_000, 20_000), 0, "the same chunk");
        assert_eq!(taken(g, large, 3 * CHUNK as u64, 1), 1000, "the last one");
        assert_eq!(taken(g, large, CHUNK as u64 - 1, 2), CHUNK as u64);

        let fd = g.open("new", CREAT).unwrap();
        assert_eq!(taken(g, fd, 0, 100), 100);
        assert_eq!(taken(g, fd, 100, 5_000), 5_000);
        assert_eq!(taken(g, fd, 50, 5_000), 0);
        assert_eq!(taken(g, fd, 50_100, 10), 50_110 % BLOCK, "behind a gap");
        g.set_size(fd, 1 << 20).unwrap();
        assert_eq!(taken(g, fd, 500_000, 1), BLOCK, "in a hole");
        assert_eq!(taken(g, fd, (1 << 20) - 1, 1), BLOCK);
    });
    with(bytes(0), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(g.write(fd, b"x"), Err(Errno::NOSPC));
        assert_eq!(g.write(fd, b""), Ok(0));
        assert_eq!(g.contents("file").unwrap(), b"packed contents");
    });
    with(bytes(15), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(g.write(fd, b"PACKED"), Ok(6));
        assert_eq!(g.write(fd, b" CONTENTS!"), Ok(9), "over, but not behind");
        assert_eq!(g.contents("again").unwrap(), b"PACKED CONTENTS");
    });
}

/// A write that no longer fits as a whole writes what does, answers its length and is
/// right in all else. It is `NOSPC`, and nothing has happened, when that is no byte.
#[test]
fn a_write_that_does_not_fit_is_cut() {
    with(bytes(100), |g| {
        let fd = g
            .open_with(ROOT, 0, "new", CREAT, ALL, ALL, APPEND)
            .unwrap();
        assert_eq!(g.write(fd, &[1; 60]), Ok(60));
        assert_eq!(g.write(fd, &[2; 60]), Ok(40));
        assert_eq!(g.seek(fd, 0, 1), Ok(100), "the offset moves by that");
        let full = g.fstat(fd).unwrap();
        assert_eq!(full.size, 100);
        g.seek(fd, 7, 0).unwrap();
        assert_eq!(g.write(fd, &[3; 60]), Err(Errno::NOSPC));
        assert_eq!(g.pwrite(fd, &[3; 1], 1 << 40), Err(Errno::NOSPC));
        assert_eq!(g.seek(fd, 0, 1), Ok(7));
        assert_eq!(g.fstat(fd), Ok(full), "no size, no time");
        let written = g.contents("new").unwrap();
        assert_eq!(written, [[1; 60].as_slice(), &[2; 40]].concat());
        assert_eq!(g.write(fd, b""), Ok(0));
    });
}

// At each number of bytes that are left, writes of each shape.
#[test]
fn a_write_is_cut_at_each_place() {
    const LENS: [u32; 3] = [1000, 70_000, 69_000];
    let (step, often) = if cfg!(miri) { (50_021, 1) } else { (5_003, 6) };
    let len = u64::from(LENS.iter().sum::<u32>());
    for (path, offset) in [
        ("new", 0),
        ("large", 61_000),
        ("large", 150_000),
        ("large", 300_000),
        ("holes", 50_000),
        ("gap", 1_000),
    ] {
        let mut cut = 0;
        for max in (0..).step_by(step) {
            let mut g = bytes(max);
            let fd = g.open(path, CREAT).unwrap();
            if path == "holes" {
                g.set_size(fd, 90_000).unwrap();
            }
            let mut expected = g.pread(fd, 1_000_000, 0).unwrap();
            let mut at = 100_000;
            for (iov, len) in (IOVS..).step_by(8).zip(LENS) {
                g.put(iov, &u32::to_le_bytes(at));
                g.put(iov + 4, &len.to_le_bytes());
                g.home.memory[at as usize..][..len as usize].fill(9);
                at += len;
            }
            let outcome = g.vfs.fd_pwrite(&mut g.home, fd, IOVS, 3, offset, OUT);
            g.vfs.check_invariants();
            let written = match outcome {
                Ok(()) => u64::from(g.u32_at(OUT)),
                Err(errno) => {
                    assert_eq!(errno, Errno::NOSPC, "{path} {max}");
                    0
                }
            };
            if written != 0 {
                let (from, to) = (offset as usize, (offset + written) as usize);
                expected.resize(expected.len().max(to), 0);
                expected[from..to].fill(9);
            }
            assert!(
                g.pread(fd, 1_000_000, 0).unwrap() == expected,
                "{path} {max}"
            );
            assert!(g.vfs.fs().used_bytes() <= max);
            assert!(written <= len);
            if written != len {
                let more = g.pwrite(fd, &[9], offset + written);
                assert_eq!(more, Err(Errno::NOSPC), "{path} {max}: not all that fits");
            }
            cut += u32::from(written != 0 && written != len);
            if written == len {
                break;
            }
        }
        assert!(cut >= often, "{path} at {offset} was cut {cut} times");
    }
}

/// What is cut off can be written anew at once, and so can what a file held that goes:
/// with its last name, its last descriptor, by `TRUNC`, or because another is renamed
/// over it.
#[test]
fn what_is_removed_gives_room() {
    let gone: [fn(&mut Guest); 6] = [
        |g| g.unlink("full").unwrap(),
        |g| _ = g.open("full", TRUNC).unwrap(),
        |g| {
            let fd = g.open("full", 0).unwrap();
            g.set_size(fd, 0).unwrap();
        },
        |g| g.rename("file", "full").unwrap(),
        |g| {
            g.link("full", "another").unwrap();
            g.unlink("full").unwrap();
            assert_eq!(left(g), 0);
            g.unlink("another").unwrap();
        },
        |g| {
            let fd = g.open("full", 0).unwrap();
            g.unlink("full").unwrap();
            assert_eq!(left(g), 0);
            g.close(fd).unwrap();
        },
    ];
    for (way, gone) in gone.into_iter().enumerate() {
        with(bytes(70_000), |g| {
            let (fd, full) = (g.open("full", CREAT).unwrap(), [1; 70_000]);
            assert_eq!(g.write(fd, &full), Ok(70_000));
            assert_eq!(g.write(fd, b"x"), Err(Errno::NOSPC));
            g.close(fd).unwrap();
            gone(g);
            assert_eq!(left(g), 70_000, "{way}");
        });
    }
    with(bytes(70_000), |g| {
        g.create("full", &[1; 70_000]).unwrap();
        let fd = g.open("full", 0).unwrap();
        for size in [60_000, 65_536, 1, 200_000, 0] {
            g.set_size(fd, size).unwrap();
            let held = g.vfs.fs().used_bytes();
            assert!(held <= size, "{held} of {size}");
            assert_eq!(left(g), 70_000 - held);
        }
        let large = g.open("large", 0).unwrap();
        g.set_size(large, 0).unwrap();
        assert_eq!(left(g), 70_000, "the packed bytes are no one's");
    });
}

/// `fd_allocate` takes what its range has not yet, and is `NOSPC` if that does not fit.
#[test]
fn allocating_takes_room() {
    with(bytes(20_000), |g| {
        let fd = g.open("new", CREAT).unwrap();
        g.write(fd, &[1; 3_000]).unwrap();
        assert_eq!(allocate(g, fd, 0, 20_001), Err(Errno::NOSPC));
        assert_eq!(g.fstat(fd).unwrap().size, 3_000);
        assert_eq!(left(g), 17_000);
        assert_eq!(allocate(g, fd, 0, 20_000), Ok(()));
        assert_eq!(left(g), 0);
        assert_eq!(g.pwrite(fd, &[2; 18_000], 2_000), Ok(18_000));
        assert_eq!(g.write(fd, &[2; 1]), Ok(1), "its own place");
        assert_eq!(allocate(g, fd, 5, 19_000), Ok(()), "it is there");
    });
}

/// `--max-inodes` bounds the files, directories and symlinks that are there beside as
/// many as were packed. A further name of a file counts like a file, as on tmpfs.
#[test]
fn inodes_and_further_names_are_bounded() {
    let ways: [fn(&mut Guest, &str) -> Result<()>; 4] = [
        |g, path| g.open(path, CREAT).and_then(|fd| g.close(fd)),
        |g, path| g.mkdir(path),
        |g, path| g.symlink("file", path),
        |g, path| g.link("file", path),
    ];
    for (way, create) in ways.into_iter().enumerate() {
        with(inodes(3), |g| {
            for path in ["dir/1", "dir/2", "dir/3"] {
                assert_eq!(create(g, path), Ok(()), "{way} {path}");
            }
            for other in ways {
                assert_eq!(other(g, "dir/4"), Err(Errno::NOSPC), "{way}");
            }
        });
        with(inodes(0), |g| {
            assert_eq!(create(g, "dir/1"), Err(Errno::NOSPC), "{way}");
        });
    }
}

/// One more is `NOSPC` when nothing else is wrong, and then nothing has changed. To
/// open, write and rename what is there needs no room.
#[test]
fn one_inode_more_is_nospc() {
    with(inodes(0), |g| {
        let (root, dir) = (g.fstat(ROOT), g.stat("dir", true));
        let file = g.stat("file", true);
        let table = g.vfs.fds().iter().count();
        assert_eq!(g.open("new", CREAT), Err(Errno::NOSPC));
        assert_eq!(g.mkdir("dir/new"), Err(Errno::NOSPC));
        assert_eq!(g.symlink("x", "new"), Err(Errno::NOSPC));
        assert_eq!(g.link("file", "dir/new"), Err(Errno::NOSPC));
        assert_eq!((g.fstat(ROOT), g.stat("dir", true)), (root, dir));
        assert_eq!(g.stat("file", true), file);
        assert_eq!(g.vfs.fds().iter().count(), table);
        assert_eq!(name(&g.stat("new", false)), "NOENT");

        assert_eq!(g.open("file", CREAT | EXCL), Err(Errno::EXIST));
        assert_eq!(g.mkdir("file"), Err(Errno::EXIST));
        assert_eq!(g.symlink("x", "file"), Err(Errno::EXIST));
        assert_eq!(g.link("large", "file"), Err(Errno::EXIST));
        assert_eq!(g.link("dir", "new"), Err(Errno::PERM));
        assert_eq!(g.open("none/new", CREAT), Err(Errno::NOENT));

        let fd = g.open("file", CREAT).unwrap();
        assert_eq!(g.write(fd, &[1; 100]), Ok(100));
        assert_eq!(g.rename("file", "dir/renamed"), Ok(()));
        assert_eq!(g.rename("dir", "directory"), Ok(()));
    });
}

/// Whatever goes makes room, also what was packed: a name that is removed or renamed
/// over, and what had the last name once it is no longer open.
#[test]
fn removing_makes_room_for_an_inode() {
    // Creates one more, which shows that there was room for one and no more.
    fn one(g: &mut Guest, path: &str) {
        assert_eq!(g.mkdir(path), Ok(()), "{path}");
        assert_eq!(g.mkdir("more"), Err(Errno::NOSPC), "{path}");
    }
    with(inodes(0), |g| {
        g.unlink("again").unwrap();
        one(g, "instead of a further name");
        g.unlink("file").unwrap();
        one(g, "instead of a file");
        g.rmdir("dir").unwrap();
        one(g, "instead of a directory");
        g.rename("instead of a file", "instead of a directory")
            .unwrap();
        one(g, "instead of what was replaced");
        let fd = g.open("large", 0).unwrap();
        g.unlink("large").unwrap();
        assert_eq!(g.mkdir("more"), Err(Errno::NOSPC), "it is open");
        g.close(fd).unwrap();
        one(g, "instead of what was open");
        let fd = g.open("instead of what was open", DIRECTORY).unwrap();
        g.rmdir("instead of what was open").unwrap();
        assert_eq!(g.mkdir("more"), Err(Errno::NOSPC), "it is open");
        g.close(fd).unwrap();
        one(g, "the last");
    });
}

/// When memory runs out in the middle of a write, what was written stays and its
/// length is answered; before the first byte it is `NOSPC`.
#[test]
fn a_write_that_runs_out_of_memory_is_cut() {
    let mut outcomes = Vec::new();
    for n in 0.. {
        let mut g = Guest::empty();
        let fd = g.open("f", CREAT).unwrap();
        g.put(native::BUFFER, &[9; 200_000]);
        let words = [native::BUFFER, 200_000];
        for (at, word) in (IOVS..).step_by(4).zip(words) {
            g.put(at, &word.to_le_bytes());
        }
        let written = starved(n, || g.vfs.fd_write(&mut g.home, fd, IOVS, 1, OUT));
        let len = match written {
            Ok(()) => g.u32_at(OUT),
            Err(errno) => {
                assert_eq!((n, errno), (0, Errno::NOSPC));
                0
            }
        };
        assert_eq!(g.seek(fd, 0, 1), Ok(len.into()));
        assert_eq!(g.contents("f").unwrap(), vec![9; len as usize]);
        g.vfs.check_invariants();
        outcomes.push(len as usize);
        if refused() == 0 {
            break;
        }
    }
    outcomes.dedup();
    assert_eq!(outcomes, [0, CHUNK, 2 * CHUNK, 3 * CHUNK, 200_000]);
}

/// Written contents take their length of memory and no more than a twentieth and 4 KiB
/// beside it, which has room for what is a file's own. What goes gives all of it back.
#[test]
fn what_is_written_takes_its_length() {
    for shape in [Shape::AtOnce, Shape::Pieces(100), Shape::Backwards(100)] {
        let mut g = Guest::empty();
        g.create("first", b"x").unwrap();
        g.unlink("first").unwrap();
        let then = Held::now();
        let fd = shape.write(&mut g, "f", 40_000);
        assert!(Held::since(then).bytes <= allowed(40_000) as isize);
        g.set_size(fd, 0).unwrap();
        g.set_size(fd, 1 << 40).unwrap();
        assert!(Held::since(then).bytes <= allowed(0) as isize, "{shape:?}");
        g.close(fd).unwrap();
        g.unlink("f").unwrap();
        assert_eq!(Held::since(then).bytes, 0, "{shape:?}");
    }
}

/// Memory that is left in pieces is used down to those of 4 KiB; only what is written
/// over packed contents wants the chunk of 64 KiB in one.
#[test]
fn memory_in_pieces_is_used() {
    for (at, piece) in [(0, 100_000), (0, 100), (5000, 100_000), (5000, 100)] {
        let mut g = Guest::empty();
        let fd = g.open("f", CREAT).unwrap();
        g.set_size(fd, at).unwrap();
        let contents: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        for part in contents.chunks(piece) {
            // Storing them is the test's own.
            let (iovs, len) = (IOVS, part.len() as u32);
            g.put(native::BUFFER, part);
            for (at, word) in (iovs..).step_by(4).zip([native::BUFFER, len]) {
                g.put(at, &word.to_le_bytes());
            }
            let end = g.fstat(fd).unwrap().size;
            let written = in_pieces(BLOCK as usize, || {
                g.vfs.fd_pwrite(&mut g.home, fd, iovs, 1, end, OUT)
            });
            assert_eq!((written, g.u32_at(OUT)), (Ok(()), len));
            g.vfs.check_invariants();
        }
        let written = g.pread(fd, 200_000, at).unwrap();
        assert!(written == contents, "{piece} bytes each, from {at} on");
        let none = in_pieces(100, || g.pwrite(fd, &[1; 200], 1 << 20));
        assert_eq!(none, Err(Errno::NOSPC));
    }
    with(bytes(u64::MAX), |g| {
        let fd = g.open("new", CREAT).unwrap();
        let allocated = in_pieces(BLOCK as usize, || allocate(g, fd, 1000, 200_000));
        assert_eq!(allocated, Ok(()));
        let needs_none = starved(0, || allocate(g, fd, 1000, 200_000));
        assert_eq!(needs_none, Ok(()));
        let large = g.open("large", 0).unwrap();
        let copied = in_pieces(BLOCK as usize, || g.pwrite(large, b"x", 5).map(drop));
        assert_eq!(copied, Err(Errno::NOSPC));
        let copied = in_pieces(CHUNK, || g.pwrite(large, b"x", 5).map(drop));
        assert_eq!(copied, Ok(()));
    });
}

/// Whatever else needs memory that is not there is `NOSPC`, for descriptors and
/// `poll_oneoff` `NOMEM`, and nothing has changed.
#[test]
fn a_call_without_memory_changes_nothing() {
    let calls: [(&str, Call, Errno); 6] = [
        ("mkdir", |g| g.mkdir("new"), Errno::NOSPC),
        ("open", |g| g.open("new", CREAT).map(drop), Errno::NOSPC),
        ("symlink", |g| g.symlink("x", "new"), Errno::NOSPC),
        (
            "link",
            |g| g.link("file", "new-and-no-short-name"),
            Errno::NOSPC,
        ),
        ("allocate", |g| allocate(g, 4, 0, 200_000), Errno::NOSPC),
        (
            "poll",
            |g| {
                g.home.memory[65536 + 8] = 1;
                g.home.memory[65536 + 16] = 4;
                g.vfs.poll_oneoff(&mut g.home, 65536, 70_000, 1, OUT)
            },
            Errno::NOMEM,
        ),
    ];
    let stats = |g: &mut Guest| -> [Result<Stat>; 3] {
        [g.fstat(ROOT), g.stat("file", true), g.stat("new", false)]
    };
    for (what, call, errno) in calls {
        let mut g = limited(u64::MAX, u32::MAX);
        assert_eq!(g.open("file", 0), Ok(4));
        let before = stats(&mut g);
        assert_eq!(starved(0, || call(&mut g)), Err(errno), "{what}");
        assert_eq!(stats(&mut g), before, "{what}");
        g.vfs.check_invariants();
        assert_eq!(call(&mut g), Ok(()), "{what}: with memory it goes on");
    }
}

/// To look, read, list, close and remove needs no memory, so that a program can always
/// make room.
#[test]
fn making_room_needs_no_memory() {
    with(limited(u64::MAX, u32::MAX), |g| {
        let fd = g.open("file", 0).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        home.memory[4096..4100].copy_from_slice(b"file");
        home.memory[4100..4103].copy_from_slice(b"dir");
        home.memory[256..264].copy_from_slice(&[0, 0, 1, 0, 9, 0, 0, 0]);
        let outcomes = starved(0, || {
            [
                vfs.path_filestat_get(home, ROOT, 0, 4096, 4, OUT),
                vfs.fd_read(home, fd, IOVS, 1, OUT),
                vfs.fd_readdir(home, ROOT, 70_000, 4096, 0, OUT),
                vfs.fd_filestat_set_size(home, fd, 3),
                vfs.path_unlink_file(home, ROOT, 4096, 4),
                vfs.path_remove_directory(home, ROOT, 4100, 3),
                vfs.fd_close(home, fd),
            ]
        });
        assert_eq!(outcomes, [Ok(()); 7]);
        assert_eq!(refused(), 0);
    });
}
