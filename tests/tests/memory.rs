//! What files take of a program's memory, and what happens when it is full, in each
//! home of the file system.
//!
//! The engine says how large the linear memories are, so what is measured is what a
//! host sees: the allocator's blocks, its own records and what it cannot use.
//! `allocation.rs` counts the same natively, to the byte.

use std::sync::LazyLock;

use monaka_tests::engine::{Exports, Program};
use monaka_tests::homes;
use monaka_tests::native::Guest;
use monaka_tests::shape::{SHAPES, Shape, allowed};
use monaka_tests::toolbox::{self, Libc};
use monaka_vfs_core::Errno;
use tempfile::TempDir;
use wasmtime::Engine;

/// How much of a growth may be memory that is free again: the allocator takes up to two
/// pages of 64 KiB at a time, and writing leaves places in which the next chunk has no
/// room.
const SLACK: usize = 4 << 16;

const MIB: usize = 1 << 20;

/// The flag of `path_open`.
const CREAT: u32 = 1;

/// The homes, compiled once. Empty without a compiler for C.
static HOMES: LazyLock<Vec<(&'static str, Program)>> = LazyLock::new(|| {
    let Some(libc) = Libc::ALL.into_iter().find(|libc| libc.is_here()) else {
        toolbox::skip("no compiler for C");
        return Vec::new();
    };
    let room = TempDir::new().expect("create a directory");
    let root = room.path().join("root");
    std::fs::create_dir(&root).expect("create a directory");
    let engine = Engine::default();
    let homes = homes::pack(libc, &root, &[], room.path());
    let load = |(name, module): (_, std::path::PathBuf)| {
        (name, Program::load(&engine, &module).expect("load"))
    };
    homes.into_iter().map(load).collect()
});

/// A program that may have `arena` bytes beside those that it starts with.
fn within(program: &Program, arena: usize) -> Guest<Exports> {
    let bare = program.start(None).expect("start").home.footprint();
    program.start_within(bare + arena, None).expect("start")
}

/// Numbers that look random, the same each time (xorshift64).
struct Random(u64);

impl Random {
    fn new() -> Random {
        Random(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

#[test]
fn a_file_costs_little_more_than_it_is_long() {
    for (home, program) in &*HOMES {
        for n in [1, 100, 4095, 4096, 5000, 40_000, 65_536, MIB, 50 * MIB] {
            for shape in SHAPES {
                // Where calls are many, `allocation.rs` is enough.
                if matches!(shape, Shape::Pieces(1)) && n > 100 {
                    continue;
                }
                // Small files together are large enough for a memory that grows by pages.
                let files = MIB.div_ceil(n).min(2000);
                let mut g = program.start(None).expect("start");
                let bare = g.home.footprint();
                let fds: Vec<u32> = (0..files)
                    .map(|file| shape.write(&mut g, &format!("file-{file:04}"), n))
                    .collect();
                let taken = g.home.footprint() - bare;
                assert!(
                    taken <= files * allowed(n) + SLACK,
                    "{home}: {files} files of {n} bytes, {shape:?}: {taken}"
                );
                for (file, fd) in fds.into_iter().enumerate() {
                    g.close(fd).expect("close");
                    g.unlink(&format!("file-{file:04}")).expect("unlink");
                }
                for file in 0..files {
                    let fd = shape.write(&mut g, &format!("again-{file:04}"), n);
                    g.close(fd).expect("close");
                }
                // Where the first page went may differ, and no more.
                let grown = g.home.footprint() - bare - taken;
                assert!(
                    grown <= 2 << 16,
                    "{home}: again {files} files of {n} bytes, {shape:?}: {grown}"
                );
            }
        }
    }
}

/// What a program does again and again, leaving nothing behind.
type Cycle = fn(&mut Guest<Exports>);

/// Each, and how often it is tried.
const CYCLES: [(&str, usize, Cycle); 6] = [
    ("create, write, unlink", 1_000_000, |g| {
        let fd = g.open("new", CREAT).expect("create");
        g.write(fd, b"hello").expect("write");
        g.close(fd).expect("close");
        g.unlink("new").expect("unlink");
    }),
    ("create and unlink 100 KB", 50_000, |g| {
        g.create("new", &[1; 100_000]).expect("create");
        g.unlink("new").expect("unlink");
    }),
    ("mkdir, rmdir", 200_000, |g| {
        g.mkdir("new").expect("mkdir");
        g.rmdir("new").expect("rmdir");
    }),
    ("rename over", 200_000, |g| {
        g.create("new", &[1; 3000]).expect("create");
        g.rename("new", "kept").expect("rename");
    }),
    ("unlink while open", 200_000, |g| {
        let fd = g.open("new", CREAT).expect("create");
        g.unlink("new").expect("unlink");
        g.write(fd, &[1; 3000]).expect("write");
        g.close(fd).expect("close");
    }),
    ("append, truncate", 200_000, |g| {
        let fd = g.open("kept", 0).expect("open");
        g.pwrite(fd, &[1; 3000], 3000).expect("write");
        g.set_size(fd, 3000).expect("truncate");
        g.close(fd).expect("close");
    }),
];

#[test]
fn a_million_cycles_do_not_grow_it() {
    for (home, program) in &*HOMES {
        for (what, times, cycle) in CYCLES {
            let mut g = program.start(None).expect("start");
            g.create("kept", &[1; 3000]).expect("create");
            for _ in 0..1000 {
                cycle(&mut g);
            }
            let before = g.home.footprint();
            for _ in 0..times {
                cycle(&mut g);
            }
            let after = g.home.footprint();
            assert_eq!(after, before, "{home}: {what}, {times} times");
        }
    }
}

/// Writes files whose lengths `next` says until one no longer fits, and answers their
/// names' numbers and lengths; the last one is as long as there was room.
fn fill(
    g: &mut Guest<Exports>,
    numbers: std::ops::RangeFrom<usize>,
    mut next: impl FnMut() -> usize,
) -> Vec<(usize, usize)> {
    let mut files = Vec::new();
    for number in numbers {
        let fd = match g.open(&format!("f{number}"), CREAT) {
            Ok(fd) => fd,
            Err(errno) => {
                assert_eq!(errno, Errno::NOSPC);
                return files;
            }
        };
        let len = next();
        let written = match g.write(fd, &vec![number as u8; len]) {
            Ok(written) => written as usize,
            Err(errno) => {
                assert_eq!(errno, Errno::NOSPC);
                0
            }
        };
        g.close(fd).expect("close");
        files.push((number, written));
        if written < len {
            return files;
        }
    }
    unreachable!("numbers do not end")
}

/// Removes a file that [`fill`] has written, and is as it was written.
#[track_caller]
fn remove(g: &mut Guest<Exports>, (number, len): (usize, usize)) {
    let name = format!("f{number}");
    let contents = g.contents(&name).expect("read");
    assert!(contents == vec![number as u8; len], "{name}: damaged");
    g.unlink(&name).expect("unlink");
}

/// All that `files` hold.
fn held(files: &[(usize, usize)]) -> usize {
    files.iter().map(|(_, len)| len).sum()
}

#[test]
fn files_of_random_sizes_do_not_break_memory_into_pieces() {
    const ARENA: usize = 64 * MIB;
    const ROUNDS: usize = 100;
    let even: fn(&mut Random) -> usize = |random| 1 + random.below(MIB);
    // As many of a kilobyte as of a megabyte.
    let small: fn(&mut Random) -> usize = |random| {
        let most = 1 << random.below(21);
        1 + random.below(most)
    };
    for (home, program) in &*HOMES {
        for (sizes, len) in [("even", even), ("mostly small", small)] {
            let mut g = within(program, ARENA);
            let mut random = Random::new();
            let mut files: Vec<(usize, usize)> = Vec::new();
            for round in 0..ROUNDS {
                let first = files.iter().map(|(number, _)| number + 1).max();
                let more = fill(&mut g, first.unwrap_or(0).., || len(&mut random));
                files.extend(more);
                assert!(
                    held(&files) >= ARENA * 95 / 100,
                    "{home}, {sizes}: round {round}: {}",
                    held(&files)
                );
                // Down to half, and in each other round by a tenth only.
                let left = ARENA / 10 * if round % 2 == 0 { 9 } else { 5 };
                while held(&files) > left {
                    let file = files.swap_remove(random.below(files.len()));
                    remove(&mut g, file);
                }
            }
        }
    }
}

#[test]
fn memory_that_is_free_in_small_pieces_is_used() {
    const ARENA: usize = 16 * MIB;
    for (home, program) in &*HOMES {
        let mut g = within(program, ARENA);
        let small = fill(&mut g, 0.., || 4096);
        let mut free = 0;
        for &file in small.iter().step_by(2) {
            remove(&mut g, file);
            free += file.1;
        }
        // No two pieces lie beside each other.
        let large = fill(&mut g, small.len().., || 100_000);
        assert!(
            held(&large) >= free * 9 / 10,
            "{home}: {} of {free}",
            held(&large)
        );
        for file in large {
            remove(&mut g, file);
        }
        for &file in small.iter().skip(1).step_by(2) {
            remove(&mut g, file);
        }
    }
}

#[test]
#[ignore = "4 GiB of memory, and half a minute: make subjects"]
fn all_that_32_bits_reach_can_be_filled_and_filled_again() {
    for (home, program) in &*HOMES {
        let mut g = program.start(None).expect("start");
        let mut files = fill(&mut g, 0.., || 3 * MIB);
        assert!(held(&files) > 4000 * MIB, "{home}: {}", held(&files));
        // What is left is no room for this.
        let more = fill(&mut g, files.len().., || MIB);
        assert!(held(&more) < MIB, "{home}");
        files.extend(more);
        // Every second goes and comes again.
        let mut kept = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            match index % 2 {
                0 => remove(&mut g, file),
                _ => kept.push(file),
            }
        }
        let again = fill(&mut g, 10_000.., || 2 * MIB);
        kept.extend(again);
        assert!(held(&kept) > 4000 * MIB, "{home}: {}", held(&kept));
        for file in kept {
            remove(&mut g, file);
        }
        g.create("small", b"hello").expect("create");
        assert_eq!(g.contents("small").expect("read"), b"hello");
    }
}
