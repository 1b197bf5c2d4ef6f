//! What looks, lists, reads and opens takes no memory at all: an allocator that
//! refuses the first request is never asked. What is written takes little more than it
//! is long, and what is removed gives all of that back: the allocator counts. `memory.rs`
//! asks the same of compiled modules.

use monaka_tests::native::{self, Guest, OUT, ROOT};
use monaka_tests::scarce::{Held, Scarce, refused, starved};
use monaka_tests::shape::{SHAPES, Shape, allowed};
use monaka_vfs_core::Errno;
use monaka_vfs_core::image::NodeId;

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// Depth of the tree, in directories.
const DEPTH: usize = 64;

/// 64 directories `d` in each other; beside each of them a link `l` to it. In the
/// root, links `n0` to `n31` that lead through each other, the last to the root
/// again; in `wide` 1,000 files.
fn guest() -> Guest {
    let mut guest = Guest::new(native::tree(|tree| {
        let mut at = NodeId::ROOT;
        for _ in 0..DEPTH {
            tree.add_symlink(at, b"l", native::meta(), b"./d").unwrap();
            at = tree.add_directory(at, b"d", native::meta()).unwrap();
        }
        native::add_file(tree, at, "file", &[7; 200_000]);
        for i in 0..32 {
            let target = if i == 31 {
                ".".to_owned()
            } else {
                format!("n{}/.", i + 1)
            };
            let name = format!("n{i}");
            tree.add_symlink(
                NodeId::ROOT,
                name.as_bytes(),
                native::meta(),
                target.as_bytes(),
            )
            .unwrap();
        }
        let wide = tree.make_directories(b"wide", native::meta()).unwrap();
        for i in 0..1000 {
            native::add_file(tree, wide, &format!("entry-{i}"), b"x");
        }
    }));
    guest.put(256, &65_536u32.to_le_bytes());
    guest.put(260, &1000u32.to_le_bytes());
    guest
}

/// The file's path, with as many links as a walk follows on the way.
fn deep() -> String {
    let steps = (0..DEPTH).map(|i| if i % 2 == 0 { "l/" } else { "d/" });
    steps.collect::<String>() + "file"
}

/// Runs `body` and fails if it asks for memory.
#[track_caller]
fn free_of_charge(what: &str, body: impl FnOnce() -> Result<(), Errno>) {
    let outcome = starved(0, body);
    assert_eq!(outcome, Ok(()), "{what} without memory");
    assert_eq!(refused(), 0, "{what} asked for memory");
}

#[test]
fn looking_up_64_components_through_links_takes_no_memory() {
    let mut g = guest();
    for path in [deep(), format!("n0/{}", "d/".repeat(DEPTH) + "file")] {
        let (path, len) = g.path(&path);
        free_of_charge("a look-up", || {
            g.vfs
                .path_filestat_get(&mut g.home, ROOT, 1, path, len, OUT)
        });
        assert_eq!(g.stat_at_out().size, 200_000);
    }
    let (path, len) = g.path(&(deep() + "/more"));
    let missing = starved(0, || {
        g.vfs
            .path_filestat_get(&mut g.home, ROOT, 1, path, len, OUT)
    });
    assert_eq!((missing, refused()), (Err(Errno::NOTDIR), 0));
}

#[test]
fn listing_1000_entries_takes_no_memory() {
    let mut g = guest();
    let dir = g.open("wide", 2).unwrap();
    let mut cookie = 0u64;
    let mut entries = 0;
    free_of_charge("a listing", || {
        loop {
            g.vfs
                .fd_readdir(&mut g.home, dir, 65_536, 4096, cookie, OUT)?;
            let used = g.u32_at(OUT);
            let (mut at, end) = (65_536, 65_536 + used);
            while at + 24 <= end {
                let next = at + 24 + g.u32_at(at + 16);
                if next > end {
                    break;
                }
                cookie = g.u64_at(at);
                entries += 1;
                at = next;
            }
            if used < 4096 {
                return Ok(());
            }
        }
    });
    assert_eq!(entries, 1002, "with `.` and `..`");
}

#[test]
fn opening_reading_and_closing_take_no_memory() {
    let mut g = guest();
    // The descriptor table grows once.
    let fd = g.open("wide", 2).unwrap();
    g.close(fd).unwrap();
    let (path, len) = g.path(&deep());
    for _ in 0..3 {
        let mut fd = 0;
        free_of_charge("open", || {
            g.vfs
                .path_open(&mut g.home, ROOT, 1, path, len, 0, 2, 0, 0, OUT)?;
            fd = g.u32_at(OUT);
            Ok(())
        });
        free_of_charge("fstat", || g.fstat(fd).map(drop));
        free_of_charge("read", || g.vfs.fd_read(&mut g.home, fd, 256, 1, OUT));
        free_of_charge("pread", || {
            g.vfs.fd_pread(&mut g.home, fd, 256, 1, 65_000, OUT)
        });
        free_of_charge("seek", || g.seek(fd, 5, 0).map(drop));
        free_of_charge("close", || g.close(fd));
    }
}

#[test]
fn writing_again_within_a_chunk_takes_no_memory() {
    let mut g = guest();
    let fd = g.open(&deep(), 0).unwrap();
    g.pwrite(fd, b"copied up", 70_000).unwrap();
    free_of_charge("a write to a chunk that was copied up", || {
        g.pwrite(fd, &[1; 50_000], 66_000).map(drop)
    });
    let new = g.open("new", 1).unwrap();
    g.write(new, &[1; 5000]).unwrap();
    free_of_charge("an overwrite", || g.pwrite(new, &[2; 5000], 0).map(drop));
    free_of_charge("shrinking", || g.set_size(new, 4000));
    free_of_charge("growing into what is left", || {
        g.pwrite(new, &[3; 1000], 4000).map(drop)
    });
    g.vfs.check_invariants();
}

/// What an allocator may keep beside each block.
const BESIDE: isize = 16;

/// What is held beside what was held then, in bytes.
fn cost(then: Held) -> isize {
    let held = Held::since(then);
    held.bytes + held.blocks * BESIDE
}

#[test]
fn a_file_costs_little_more_than_it_is_long() {
    let mut failed = Vec::new();
    for n in [1, 100, 4095, 4096, 5000, 40_000, 65_536, 1 << 20, 50 << 20] {
        for shape in SHAPES {
            if matches!(shape, Shape::Pieces(1..=100) | Shape::Backwards(100)) && n > 1 << 20 {
                continue;
            }
            let mut g = Guest::empty();
            // What the root and the table of descriptors keep once they had something.
            let fd = shape.write(&mut g, "first", 1);
            g.close(fd).unwrap();
            g.unlink("first").unwrap();
            let then = Held::now();
            let fd = shape.write(&mut g, "file", n);
            let open = cost(then);
            g.close(fd).unwrap();
            let closed = cost(then);
            if open.max(closed) > allowed(n) as isize {
                failed.push(format!(
                    "{n} bytes, {shape:?}: {open} open, {closed} closed"
                ));
            }
            g.unlink("file").unwrap();
            assert_eq!(cost(then), 0, "{n} bytes, {shape:?}: removed");
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_small_file_costs_few_hundred_bytes() {
    const FILES: isize = 1000;
    let mut g = Guest::empty();
    let then = Held::now();
    for i in 0..FILES {
        g.create(&format!("file-{i:04}"), b"hello").unwrap();
    }
    // Inode, name, place in the index, contents; and what is reserved for more of them.
    let each = cost(then) / FILES;
    assert!(each < 400, "{each} bytes each");
}

/// What a program does again and again, leaving nothing behind.
type Cycle = fn(&mut Guest);

const CYCLES: &[(&str, Cycle)] = &[
    ("create, write, unlink", |g| {
        g.create("new", &[1; 5000]).unwrap();
        g.unlink("new").unwrap();
    }),
    ("mkdir, rmdir", |g| {
        g.mkdir("new").unwrap();
        g.create("new/file", b"x").unwrap();
        g.unlink("new/file").unwrap();
        g.rmdir("new").unwrap();
    }),
    ("rename over", |g| {
        g.create("new", &[1; 5000]).unwrap();
        g.rename("new", "kept").unwrap();
    }),
    ("unlink while open", |g| {
        let fd = g.open("new", 1).unwrap();
        g.unlink("new").unwrap();
        g.write(fd, &[1; 5000]).unwrap();
        g.close(fd).unwrap();
    }),
    ("append, truncate", |g| {
        let fd = g.open("kept", 0).unwrap();
        g.pwrite(fd, &[1; 5000], 5000).unwrap();
        g.pwrite(fd, &[1; 100], 65_500).unwrap();
        g.set_size(fd, 5000).unwrap();
        g.close(fd).unwrap();
    }),
    ("link, symlink, unlink", |g| {
        g.link("kept", "new").unwrap();
        g.symlink("a target that is not short", "link").unwrap();
        g.unlink("link").unwrap();
        g.unlink("new").unwrap();
    }),
    ("grow and shrink a hole", |g| {
        let fd = g.open("kept", 0).unwrap();
        g.set_size(fd, 1 << 40).unwrap();
        g.pwrite(fd, b"x", 1 << 39).unwrap();
        g.set_size(fd, 5000).unwrap();
        g.close(fd).unwrap();
    }),
];

#[test]
fn what_is_done_again_and_again_does_not_grow() {
    for (what, cycle) in CYCLES {
        let mut g = Guest::empty();
        g.create("kept", &[1; 5000]).unwrap();
        for _ in 0..100 {
            cycle(&mut g);
        }
        let then = Held::now();
        for _ in 0..10_000 {
            cycle(&mut g);
        }
        let grown = Held::since(then);
        assert_eq!((grown.blocks, grown.bytes), (0, 0), "{what}");
        g.vfs.check_invariants();
    }
}
