//! Memory that runs out at every point of every operation.
//!
//! Each operation is run again and again with the first, second, third …
//! allocation failing, until it needs no more of them. It must answer an errno
//! or succeed, the file system must be whole, and an operation that failed must
//! have changed nothing a program could see.

use std::collections::BTreeMap;

use monaka_tests::compressed;
use monaka_tests::native::{self, Guest, OUT, ROOT};
use monaka_tests::scarce::{Scarce, refused, starved};
use monaka_vfs_core::image::{Image, NodeId};
use monaka_vfs_core::{Errno, Vfs, for_each_hook};

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// The call under test, what it does, and how. It must allocate nothing of its own
/// accord: what a test helper allocates fails, too.
type Operation = (
    &'static str,
    &'static str,
    fn(&mut Guest, u32) -> Result<(), Errno>,
);

/// Operations on a [`guest`] and its open file.
const OPERATIONS: &[Operation] = &[
    ("fd_advise", "advise", |g, fd| {
        g.vfs.fd_advise(&mut g.home, fd, 0, 0, 0)
    }),
    ("fd_allocate", "allocate", |g, fd| {
        g.vfs.fd_allocate(&mut g.home, fd, 1000, 300_000)
    }),
    ("fd_allocate", "allocate behind a gap", |g, fd| {
        g.vfs.fd_allocate(&mut g.home, fd, 1_000_000, 70_000)
    }),
    ("fd_close", "close", |g, fd| g.close(fd)),
    ("fd_datasync", "datasync", |g, fd| {
        g.vfs.fd_datasync(&mut g.home, fd)
    }),
    ("fd_fdstat_get", "fdstat", |g, fd| {
        g.vfs.fd_fdstat_get(&mut g.home, fd, OUT)
    }),
    ("fd_fdstat_set_flags", "set flags", |g, fd| {
        g.vfs.fd_fdstat_set_flags(&mut g.home, fd, 1)
    }),
    ("fd_fdstat_set_rights", "narrow the rights", |g, fd| {
        g.vfs.fd_fdstat_set_rights(&mut g.home, fd, 2, 0)
    }),
    ("fd_filestat_get", "stat of a descriptor", |g, fd| {
        g.fstat(fd).map(drop)
    }),
    ("fd_filestat_set_size", "truncate", |g, fd| {
        g.set_size(fd, 100_001)
    }),
    ("fd_filestat_set_size", "truncate to nothing", |g, fd| {
        g.set_size(fd, 0)
    }),
    ("fd_filestat_set_size", "grow", |g, fd| {
        g.set_size(fd, 1 << 40)
    }),
    ("fd_filestat_set_times", "set times", |g, fd| {
        g.vfs.fd_filestat_set_times(&mut g.home, fd, 1, 2, 5)
    }),
    ("fd_pread", "pread", |g, fd| {
        let (iovs, count) = iovs(g);
        g.vfs.fd_pread(&mut g.home, fd, iovs, count, 65_000, OUT)
    }),
    ("fd_prestat_get", "prestat", |g, _| {
        g.vfs.fd_prestat_get(&mut g.home, ROOT, OUT)
    }),
    ("fd_prestat_dir_name", "name of a preopen", |g, _| {
        g.vfs.fd_prestat_dir_name(&mut g.home, ROOT, OUT, 1)
    }),
    ("fd_pwrite", "copy up", |g, fd| {
        g.pwrite(fd, b"x", 70_000).map(drop)
    }),
    ("fd_pwrite", "copy up the middle of three", |g, fd| {
        g.pwrite(fd, b"x", 65_536 + 5).map(drop)
    }),
    ("fd_pwrite", "append", |g, fd| {
        g.pwrite(fd, &[7; 5000], 200_000).map(drop)
    }),
    ("fd_pwrite", "write behind a gap", |g, fd| {
        g.pwrite(fd, b"x", 1_000_000).map(drop)
    }),
    ("fd_read", "read", |g, fd| {
        let (iovs, count) = iovs(g);
        g.vfs.fd_read(&mut g.home, fd, iovs, count, OUT)
    }),
    ("fd_read", "read a device", |g, _| {
        let (iovs, count) = iovs(g);
        g.vfs.fd_read(&mut g.home, RANDOM, iovs, count, OUT)
    }),
    ("fd_readdir", "list", |g, _| {
        g.vfs.fd_readdir(&mut g.home, ROOT, 65536, 4096, 0, OUT)
    }),
    ("fd_renumber", "renumber", |g, fd| {
        g.vfs.fd_renumber(&mut g.home, fd, 2)
    }),
    ("fd_seek", "seek", |g, fd| g.seek(fd, 7, 0).map(drop)),
    ("fd_sync", "sync", |g, fd| g.vfs.fd_sync(&mut g.home, fd)),
    ("fd_tell", "tell", |g, fd| {
        g.vfs.fd_tell(&mut g.home, fd, OUT)
    }),
    ("fd_write", "overwrite the start", |g, fd| {
        g.write(fd, b"x").map(drop)
    }),
    ("fd_write", "write to a device", |g, _| {
        g.write(RANDOM, b"x").map(drop)
    }),
    ("path_create_directory", "mkdir", |g, _| g.mkdir("dir/new")),
    (
        "path_create_directory",
        "mkdir at the linear limit",
        |g, _| g.mkdir("eight/new"),
    ),
    ("path_filestat_get", "stat", |g, _| {
        g.stat("dir/link", true).map(drop)
    }),
    ("path_filestat_set_times", "set times of a path", |g, _| {
        let (path, len) = g.path("dir/link");
        g.vfs
            .path_filestat_set_times(&mut g.home, ROOT, 1, path, len, 1, 2, 5)
    }),
    ("path_link", "link", |g, _| g.link("packed", "large/link")),
    ("path_link", "link a device", |g, _| {
        g.link("dev/null", "large/null")
    }),
    ("path_link", "link at the linear limit", |g, _| {
        g.link("packed", "eight/link")
    }),
    ("path_open", "create a file", |g, _| {
        g.open("new", 1).map(drop)
    }),
    ("path_open", "open a file", |g, _| {
        g.open("packed", 0).map(drop)
    }),
    ("path_open", "open through a link", |g, _| {
        g.open("dir/link", 0).map(drop)
    }),
    ("path_open", "open a directory", |g, _| {
        g.open("large", 2).map(drop)
    }),
    ("path_open", "open a device", |g, _| {
        g.open("dev/random", 0).map(drop)
    }),
    ("path_open", "open a stream by its name", |g, _| {
        g.open("dev/stdout", 0).map(drop)
    }),
    (
        "path_open",
        "open more than the table has room for",
        |g, _| (0..20).try_for_each(|_| g.open("packed", 0).map(drop)),
    ),
    ("path_open", "create in a large directory", |g, _| {
        g.open("large/new", 1).map(drop)
    }),
    ("path_open", "create the ninth entry", |g, _| {
        g.open("eight/new", 1).map(drop)
    }),
    ("path_readlink", "read a link", |g, _| {
        let (path, len) = g.path("dir/link");
        g.vfs
            .path_readlink(&mut g.home, ROOT, path, len, 65536, 100, OUT)
    }),
    ("path_remove_directory", "rmdir", |g, _| g.rmdir("none")),
    ("path_rename", "rename", |g, _| {
        g.rename("packed", "large/renamed")
    }),
    ("path_rename", "rename in the same directory", |g, _| {
        g.rename("large/f1", "large/renamed")
    }),
    ("path_rename", "rename over", |g, _| {
        g.rename("packed", "large/f0")
    }),
    ("path_rename", "rename a directory", |g, _| {
        g.rename("dir", "eight/dir")
    }),
    ("path_rename", "rename a directory over one", |g, _| {
        g.rename("dir", "none")
    }),
    ("path_symlink", "symlink", |g, _| {
        g.symlink("a/long/target", "dir/new")
    }),
    ("path_symlink", "symlink with the longest target", |g, _| {
        g.symlink(&[b't'; 4095], "dir/new")
    }),
    ("path_unlink_file", "unlink", |g, _| g.unlink("large/f5")),
    ("path_unlink_file", "unlink by a long path", |g, _| {
        let mut path = [b'/'; 4000];
        path[..5].copy_from_slice(b"large");
        path[3998..].copy_from_slice(b"f5");
        g.unlink(&path)
    }),
    ("poll_oneoff", "poll", |g, fd| {
        for at in [65536, 65536 + 48] {
            g.home.memory[at + 8] = 1;
            g.home.memory[at + 16] = fd as u8;
        }
        g.vfs.poll_oneoff(&mut g.home, 65536, 70_000, 2, OUT)
    }),
    ("sock_accept", "accept on no socket", |g, fd| {
        no_socket(g.vfs.sock_accept(&mut g.home, fd, 0, OUT))
    }),
    ("sock_recv", "receive on no socket", |g, fd| {
        no_socket(g.vfs.sock_recv(&mut g.home, fd, 0, 0, 0, OUT, OUT))
    }),
    ("sock_send", "send on no socket", |g, fd| {
        no_socket(g.vfs.sock_send(&mut g.home, fd, 0, 0, 0, OUT))
    }),
    ("sock_shutdown", "shut no socket down", |g, fd| {
        no_socket(g.vfs.sock_shutdown(&mut g.home, fd, 0))
    }),
];

/// What needs memory; all else must work when there is none left, so that a
/// program can always read, close and make room.
const NEED: &[&str] = &[
    "allocate",
    "allocate behind a gap",
    "append",
    "copy up",
    "copy up the middle of three",
    "create a file",
    "create in a large directory",
    "create the ninth entry",
    "link",
    "link a device",
    "link at the linear limit",
    "mkdir",
    "mkdir at the linear limit",
    "open more than the table has room for",
    "overwrite the start",
    "poll",
    "rename",
    "rename a directory",
    "rename in the same directory",
    "rename over",
    "symlink",
    "symlink with the longest target",
    "write behind a gap",
];

/// Where [`guest`] has a device open.
const RANDOM: u32 = 4;

fn no_socket(outcome: Result<(), Errno>) -> Result<(), Errno> {
    assert_eq!(outcome, Err(Errno::NOTSOCK));
    Ok(())
}

/// Three buffers of 1,000, 0 and 70,000 bytes.
fn iovs(guest: &mut Guest) -> (u32, u32) {
    for (at, word) in (256..)
        .step_by(4)
        .zip([65_536u32, 1000, 0, 0, 100_000, 70_000])
    {
        guest.put(at, &word.to_le_bytes());
    }
    (256, 3)
}

fn guest() -> (Guest, u32) {
    let contents: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
    let mut guest = Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "packed", &contents);
        let dir = tree
            .add_directory(NodeId::ROOT, b"dir", native::meta())
            .unwrap();
        tree.add_symlink(dir, b"link", native::meta(), b"../packed")
            .unwrap();
        native::add_devices(tree);
        for (name, files) in [("eight", 8), ("large", 100)] {
            let large = tree
                .add_directory(NodeId::ROOT, name.as_bytes(), native::meta())
                .unwrap();
            for i in 0..files {
                native::add_file(tree, large, &format!("f{i}"), b"x");
            }
        }
    }));
    guest.mkdir("none").unwrap();
    assert_eq!(guest.open("dev/random", 0), Ok(RANDOM));
    let fd = guest.open("packed", 0).unwrap();
    (guest, fd)
}

/// What a program can see.
fn tree(guest: &mut Guest, dir: &str, out: &mut BTreeMap<String, (u8, u64, Vec<u8>)>) {
    let fd = guest.open(dir, 2).unwrap();
    let entries = guest.readdir(fd, 4096).unwrap();
    guest.close(fd).unwrap();
    for entry in entries {
        let path = format!("{dir}/{}", String::from_utf8(entry.name).unwrap());
        let stat = guest.stat(&path, false).unwrap();
        let contents = match stat.filetype {
            2 => Vec::new(),
            3 => {
                tree(guest, &path, out);
                Vec::new()
            }
            7 => guest.readlink(&path).unwrap(),
            _ => guest.contents(&path).unwrap(),
        };
        out.insert(path, (stat.filetype, stat.nlink, contents));
    }
}

fn seen(guest: &mut Guest) -> BTreeMap<String, (u8, u64, Vec<u8>)> {
    let mut out = BTreeMap::new();
    tree(guest, ".", &mut out);
    out
}

macro_rules! names {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// All calls that carry a descriptor.
        const CALLS: &[&str] = &[$(stringify!($name)),*];
    };
}
for_each_hook!(names);

#[test]
fn every_call_is_among_the_operations() {
    for call in CALLS {
        let tried = OPERATIONS.iter().any(|(tried, ..)| tried == call);
        assert!(tried, "{call} is missing in OPERATIONS");
    }
}

#[test]
fn memory_may_run_out_at_every_point() {
    let before = seen(&mut guest().0);
    let mut need = Vec::new();
    for (_, what, operation) in OPERATIONS {
        for n in 0.. {
            let (mut guest, fd) = guest();
            let outcome = starved(n, || operation(&mut guest, fd));
            let refused = refused();
            guest.vfs.check_invariants();
            let after = seen(&mut guest);
            guest.vfs.check_invariants();
            match outcome {
                // That a packed link was read is noted where there is memory for it.
                Ok(()) if *what == "read a link" => {}
                // Another chunk that was decoded is kept where there is memory.
                Ok(()) if compressed::wanted() => {}
                Ok(()) => assert_eq!(refused, 0, "{what} ignores that memory is out"),
                Err(errno) => {
                    need.push(*what);
                    let full = matches!(errno, Errno::NOSPC | Errno::NOMEM);
                    assert!(full, "{what} with {n} allocations: {errno:?}");
                    if after != before {
                        let changed: Vec<_> = after
                            .iter()
                            .filter(|(path, node)| before.get(*path) != Some(node))
                            .map(|(path, _)| path)
                            .collect();
                        panic!("{what} failed with {n} allocations, but changed {changed:?}");
                    }
                }
            }
            if refused == 0 {
                break;
            }
        }
    }
    need.sort_unstable();
    need.dedup();
    assert_eq!(need, NEED);
}

#[test]
fn renaming_in_a_directory_with_gaps_keeps_its_room() {
    for n in 0..8 {
        let mut guest = Guest::empty();
        for i in 0..9 {
            guest.create(&format!("f{i}"), b"").unwrap();
        }
        for i in 0..8 {
            guest.unlink(&format!("f{i}")).unwrap();
        }
        let outcome = starved(n, || guest.rename("f8", "renamed"));
        guest.vfs.check_invariants();
        let there = if outcome.is_ok() { "renamed" } else { "f8" };
        assert!(guest.stat(there, true).is_ok());
    }
}

/// A write that crosses chunks and buffers, at every point at which memory may
/// run out in it: `fd`'s file is as if the answered length was all that the program
/// asked for.
fn write_runs_out(what: &str, offset: u64, open: fn(&mut Guest, u32) -> u32) {
    const LENS: [u32; 3] = [1000, 150_000, 149_000];
    let mut partial = 0;
    for n in 0.. {
        let (mut guest, packed) = guest();
        let fd = open(&mut guest, packed);
        let size = guest.fstat(fd).unwrap().size;
        let mut expected = guest.pread(fd, 2_000_000, 0).unwrap();
        let mut at = 100_000;
        for (iov, len) in (256..).step_by(8).zip(LENS) {
            guest.put(iov, &u32::to_le_bytes(at));
            guest.put(iov + 4, &len.to_le_bytes());
            guest.home.memory[at as usize..][..len as usize].fill(9);
            at += len;
        }
        let outcome = starved(n, || {
            guest
                .vfs
                .fd_pwrite(&mut guest.home, fd, 256, 3, offset, OUT)
        });
        let refused = refused();
        guest.vfs.check_invariants();
        let len = match outcome {
            Ok(()) => u64::from(guest.u32_at(OUT)),
            Err(errno) => {
                assert_eq!(errno, Errno::NOSPC, "{what} with {n} allocations");
                0
            }
        };
        if len != 0 {
            let end = (offset + len) as usize;
            expected.resize(expected.len().max(end), 0);
            expected[offset as usize..end].fill(9);
        }
        assert_eq!(
            guest.fstat(fd).unwrap().size,
            size.max(expected.len() as u64)
        );
        assert!(
            guest.pread(fd, 2_000_000, 0).unwrap() == expected,
            "{what} with {n} allocations wrote {len} bytes"
        );
        if refused == 0 {
            assert_eq!(len, u64::from(LENS.iter().sum::<u32>()));
            break;
        }
        partial += usize::from(len != 0);
        assert_eq!(guest.pwrite(fd, &[9; 10], offset), Ok(10), "it goes on");
        guest.vfs.check_invariants();
    }
    assert!(partial > 2, "{what} was never cut short");
}

#[test]
fn a_write_that_runs_out_answers_what_was_written() {
    write_runs_out("a new file", 0, |g, _| g.open("new", 1).unwrap());
    write_runs_out("a packed file", 61_000, |_, packed| packed);
    write_runs_out("behind the end", 300_000, |_, packed| packed);
    write_runs_out("between what was written", 50_000, |g, packed| {
        for offset in [10_000, 100_000, 170_000, 300_000] {
            g.pwrite(packed, b"x", offset).unwrap();
        }
        packed
    });
}

#[test]
fn a_mount_that_runs_out_says_so() {
    let tree = native::tree(|tree| {
        for i in 0..20 {
            native::add_file(tree, NodeId::ROOT, &format!("f{i}"), b"x");
        }
        for i in 0..10 {
            let name = format!("/d{i}");
            let dir = tree
                .make_directories(name.as_bytes(), native::meta())
                .unwrap();
            native::add_file(tree, dir, "f", b"x");
            tree.add_preopen(name.as_bytes(), dir).unwrap();
        }
    });
    let packed = native::Packed::new(tree);
    for n in 0.. {
        let mounted = starved(n, || {
            Image::open(packed.tables)
                .map_err(|_| Errno::NOSPC)
                .and_then(|image| Vfs::mount(&image, packed.data, true))
        });
        match mounted {
            Ok(vfs) => {
                vfs.check_invariants();
                assert_eq!(refused(), 0);
                assert!(n > 10, "each directory needs memory");
                break;
            }
            Err(errno) => assert!(matches!(errno, Errno::NOSPC | Errno::NOMEM), "{errno:?}"),
        }
    }
}

/// Operations of a program that the host's descriptors, 3 to 100, have not joined yet.
const ADOPTING: &[Operation] = &[
    ("fd_close", "close", |g, _| g.close(50)),
    ("fd_filestat_get", "stat", |g, _| g.fstat(50).map(drop)),
    ("fd_renumber", "renumber", |g, _| {
        g.vfs.fd_renumber(&mut g.home, ROOT, 50)
    }),
    ("fd_renumber", "renumber the host's", |g, _| {
        g.vfs.fd_renumber(&mut g.home, 50, ROOT)
    }),
    ("fd_write", "write", |g, _| g.write(50, b"x").map(drop)),
    ("path_open", "open ours", |g, _| g.open("f", 0).map(drop)),
    ("path_open", "open the host's", |g, _| {
        g.open_with(50, 0, "f", 0, 0, 0, 0).map(drop)
    }),
    ("poll_oneoff", "poll", |g, _| {
        g.home.memory[65536 + 8] = 1;
        g.home.memory[65536 + 16] = 50;
        g.vfs.poll_oneoff(&mut g.home, 65536, 70_000, 1, OUT)
    }),
    ("sock_accept", "accept", |g, _| {
        g.vfs.sock_accept(&mut g.home, 50, 0, OUT)
    }),
];

#[test]
fn adopting_the_hosts_descriptors_may_run_out() {
    for (_, what, operation) in ADOPTING {
        let mut asked = 0;
        for n in 0.. {
            let mut guest = Guest::mount(
                native::tree(|tree| {
                    native::add_file(tree, NodeId::ROOT, "f", b"x");
                }),
                true,
            );
            guest.home.open = (0..=100).collect();
            // It counts how often it was asked.
            guest.home.host = |home, _, _| {
                home.memory[60] += 1;
                Ok(())
            };
            let outcome = starved(n, || operation(&mut guest, 0));
            let refused = refused();
            guest.vfs.check_invariants();
            if refused == 0 {
                assert_eq!(outcome, Ok(()), "{what}");
                break;
            }
            asked += 1;
            assert_eq!(outcome, Err(Errno::NOMEM), "{what} with {n} allocations");
            assert_eq!(guest.home.memory[60], 0, "{what}: the host was asked");
            assert_eq!(guest.contents("f").unwrap(), b"x");
            assert_eq!(guest.close(100), Ok(()), "{what}: with memory they join");
            guest.vfs.check_invariants();
        }
        assert!(asked > 0, "{what} adopts, which needs memory");
    }
}
