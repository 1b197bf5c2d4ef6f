//! Memory that runs out at every point of every operation.
//!
//! Each operation is run again and again with the first, second, third …
//! allocation failing, until it needs no more of them. It must answer an errno
//! or succeed, the file system must be whole, and an operation that failed must
//! have changed nothing a program could see.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use monaka_tests::native::{self, Guest};
use monaka_vfs_core::Errno;
use monaka_vfs_core::image::NodeId;

thread_local! {
    /// How many allocations still succeed; `None` while nothing fails.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

struct Failing;

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// Whether the next allocation may succeed.
fn granted() -> bool {
    LEFT.with(|left| match left.get() {
        None => true,
        Some(0) => false,
        Some(n) => {
            left.set(Some(n - 1));
            true
        }
    })
}

// SAFETY: all blocks are the system allocator's; refusing is always allowed.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !granted() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && !granted() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Runs `body` with the allocation after `n` others and all later ones failing.
fn starved<T>(n: usize, body: impl FnOnce() -> T) -> T {
    LEFT.with(|left| left.set(Some(n)));
    let outcome = body();
    LEFT.with(|left| left.set(None));
    outcome
}

type Operation = (&'static str, fn(&mut Guest, u32) -> Result<(), Errno>);

/// Operations on a [`guest`] and its open file.
const OPERATIONS: &[Operation] = &[
    ("create a file", |g, _| g.open("new", 1).map(drop)),
    ("open a file", |g, _| g.open("packed", 0).map(drop)),
    ("open through a link", |g, _| {
        g.open("dir/link", 0).map(drop)
    }),
    ("create in a large directory", |g, _| {
        g.open("large/new", 1).map(drop)
    }),
    ("create the ninth entry", |g, _| {
        g.open("eight/new", 1).map(drop)
    }),
    ("mkdir", |g, _| g.mkdir("dir/new")),
    ("symlink", |g, _| g.symlink("a/long/target", "dir/new")),
    ("link", |g, _| g.link("packed", "large/link")),
    ("rename", |g, _| g.rename("packed", "large/renamed")),
    ("rename over", |g, _| g.rename("packed", "large/f0")),
    ("rename a directory", |g, _| g.rename("dir", "eight/dir")),
    ("unlink", |g, _| g.unlink("large/f5")),
    ("copy up", |g, fd| g.pwrite(fd, b"x", 70_000).map(drop)),
    ("copy up across chunks", |g, fd| {
        g.pwrite(fd, &[7; 9000], 61_000).map(drop)
    }),
    ("append", |g, fd| {
        g.pwrite(fd, &[7; 5000], 200_000).map(drop)
    }),
    ("write behind a gap", |g, fd| {
        g.pwrite(fd, b"x", 1_000_000).map(drop)
    }),
    ("allocate", |g, fd| {
        g.vfs.fd_allocate(&mut g.home, fd, 1000, 300_000)
    }),
    ("truncate", |g, fd| g.set_size(fd, 100_001)),
    ("truncate to nothing", |g, fd| g.set_size(fd, 0)),
    ("close", |g, fd| g.close(fd)),
    ("readdir", |g, _| {
        g.vfs.fd_readdir(&mut g.home, 3, 65536, 4096, 0, 64)
    }),
    ("poll", |g, fd| {
        g.home.memory[65536 + 8] = 1;
        g.home.memory[65536 + 16] = fd as u8;
        g.vfs.poll_oneoff(&mut g.home, 65536, 70_000, 1, 64)
    }),
];

fn guest() -> (Guest, u32) {
    let contents: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
    let mut guest = Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "packed", &contents);
        let dir = tree
            .add_directory(NodeId::ROOT, b"dir", native::meta())
            .unwrap();
        tree.add_symlink(dir, b"link", native::meta(), b"../packed")
            .unwrap();
        for (name, files) in [("eight", 8), ("large", 100)] {
            let large = tree
                .add_directory(NodeId::ROOT, name.as_bytes(), native::meta())
                .unwrap();
            for i in 0..files {
                native::add_file(tree, large, &format!("f{i}"), b"x");
            }
        }
    }));
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

#[test]
fn memory_may_run_out_at_every_point() {
    let before = seen(&mut guest().0);
    let mut need_none = Vec::new();
    for (what, operation) in OPERATIONS {
        let mut failures = 0;
        for n in 0.. {
            let (mut guest, fd) = guest();
            let outcome = starved(n, || operation(&mut guest, fd));
            guest.vfs.check_invariants();
            let after = seen(&mut guest);
            guest.vfs.check_invariants();
            match outcome {
                // More memory than it wants changes nothing any more.
                Ok(()) if n > 20 => break,
                Ok(()) => {}
                Err(errno) => {
                    failures += 1;
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
        }
        if failures == 0 {
            need_none.push(*what);
        }
    }
    let expected = [
        "open a file",
        "open through a link",
        "unlink",
        "truncate",
        "truncate to nothing",
        "close",
        "readdir",
    ];
    assert_eq!(need_none, expected, "so that one can always make room");
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

#[test]
fn a_write_that_runs_out_answers_what_was_written() {
    let (mut guest, _) = guest();
    let fd = guest.open("new", 1).unwrap();
    // Room for the extent list and the first chunk.
    let written = starved(1, || guest.write(fd, &[9; 300_000])).unwrap();
    assert!(written > 0 && written < 300_000, "{written}");
    assert_eq!(guest.fstat(fd).unwrap().size, u64::from(written));
    assert_eq!(
        guest.pread(fd, 300_000, 0).unwrap(),
        vec![9; written as usize]
    );
    guest.vfs.check_invariants();
    let rest = guest.write(fd, &[9; 10]).unwrap();
    assert_eq!(rest, 10, "with memory again it goes on");
}
