//! What calls cost the file system natively, in instructions of this processor, which
//! callgrind counts: no busy machine changes them.
//!
//! 1. The test runs itself under callgrind, with [`workloads`] as the only test. There
//!    each workload goes through [`monaka_counted`], and nothing else is counted.
//! 2. Paths and buffers stand in the program's memory before: what is counted is the file
//!    system, with the copies that it makes.
//! 3. `tests/golden/instructions.txt` holds the counts as they were accepted last;
//!    `make bless-perf` accepts those of now. Both run `tools/instructions`, which sets a
//!    profile that no environment changes.
//! 4. They are those of one compiler and processor. With others a cost must still not
//!    depend on how many files there are: that takes no accepted number.
//!
//! Not gungraun (iai-callgrind): it compares with the last run on the same machine, and
//! brings a runner that must be installed in the same version.

use std::fs;
use std::process::Command;

use monaka_tests::golden::Golden;
use monaka_tests::native::{self, BUFFER, Guest, IOVS, OUT, Packed, ROOT};
use monaka_vfs_core::Vfs;
use monaka_vfs_core::image::{Image, NodeId};
use tempfile::TempDir;

/// How far a count may be from the accepted one: another libc does not run the same code.
const TOLERANCE: f64 = 0.1;

/// Workloads on few files, and the same on many.
const GROWING: [(&str, &str); 3] = [
    (
        "path_filestat_get, one of 10",
        "path_filestat_get, one of 100,000",
    ),
    (
        "the first open and read, of 15",
        "the first open and read, of 65,535",
    ),
    ("mount, per file of 1,000", "mount, per file of 10,000"),
];

/// How many times as much the latter may cost.
const FLAT: f64 = 1.5;

/// How often a call is made.
const TIMES: u32 = 1000;

/// A call, or a few that belong together.
struct Workload {
    name: &'static str,
    /// How much it does, of what `name` speaks of.
    per: u32,
    /// Sets it up and runs it, counted.
    run: fn(),
}

const fn workload(name: &'static str, per: u32, run: fn()) -> Workload {
    Workload { name, per, run }
}

const WORKLOADS: [Workload; 14] = [
    workload("fd_pread, 1 byte", 10 * TIMES, || pread(1)),
    workload("fd_pread, 4 KiB", 10 * TIMES, || pread(4096)),
    workload("path_filestat_get, 4 components", TIMES, || {
        look_up("one/two/three/file", 1000)
    }),
    workload("path_filestat_get, one of 10", TIMES, || {
        look_up("many/7", 10)
    }),
    workload("path_filestat_get, one of 100,000", TIMES, || {
        look_up("many/77777", 100_000)
    }),
    workload("path_open, 4 components, fd_close", TIMES, open_close),
    workload("create, write 5 bytes, close, unlink", TIMES, create),
    workload("path_rename", 2 * TIMES, rename),
    workload("fd_readdir, per entry", 1000, list),
    workload("fd_write, appending 100 bytes", TIMES, append),
    workload("the first open and read, of 15", 1, || first(15)),
    workload("the first open and read, of 65,535", 1, || first(65_535)),
    workload("mount, per file of 1,000", 1000, || mount(1000)),
    workload("mount, per file of 10,000", 10_000, || mount(10_000)),
];

/// What is counted is what runs in here. Its name is what callgrind is told.
// SAFETY: nobody else defines this name.
#[unsafe(no_mangle)]
#[inline(never)]
fn monaka_counted(work: &mut dyn FnMut()) {
    work();
}

/// Makes a call so often, counted; the first times find nothing prepared and are not.
fn repeated(times: u32, guest: &mut Guest, mut call: impl FnMut(&mut Guest)) {
    for _ in 0..TIMES {
        call(guest);
    }
    monaka_counted(&mut || {
        for _ in 0..times {
            call(guest);
        }
    });
    guest.vfs.check_invariants();
}

/// A packed directory with `many` files in one directory.
fn packed(many: usize) -> Packed {
    Packed::new(native::tree(|tree| {
        let deep = tree.make_directories(b"one/two/three", native::meta());
        native::add_file(tree, deep.expect("a directory"), "file", &[7; 200_000]);
        let wide = tree.add_directory(NodeId::ROOT, b"many", native::meta());
        let wide = wide.expect("a directory");
        for number in 0..many {
            native::add_file(tree, wide, &number.to_string(), b"");
        }
    }))
}

fn guest(many: usize) -> Guest {
    Guest::of(packed(many), false)
}

/// Says that calls read or write `len` bytes at [`BUFFER`].
fn buffer(guest: &mut Guest, len: u32) {
    guest.put(IOVS, &BUFFER.to_le_bytes());
    guest.put(IOVS + 4, &len.to_le_bytes());
}

fn pread(len: u32) {
    let mut guest = guest(10);
    let file = guest.open("one/two/three/file", 0).expect("open");
    buffer(&mut guest, len);
    repeated(10 * TIMES, &mut guest, |Guest { vfs, home }| {
        vfs.fd_pread(home, file, IOVS, 1, 100_000, OUT)
            .expect("read");
    });
}

fn look_up(path: &str, many: usize) {
    let mut guest = guest(many);
    let (path, len) = guest.path(path);
    repeated(TIMES, &mut guest, |Guest { vfs, home }| {
        vfs.path_filestat_get(home, ROOT, 1, path, len, OUT)
            .expect("stat");
    });
}

/// `path_open` with all rights.
fn open(guest: &mut Guest, (path, len): (u32, u32), oflags: u32, fdflags: u32) -> u32 {
    let (vfs, home) = (&mut guest.vfs, &mut guest.home);
    let all = native::ALL;
    vfs.path_open(home, ROOT, 1, path, len, oflags, all, all, fdflags, OUT)
        .expect("open");
    guest.u32_at(OUT)
}

fn open_close() {
    let mut guest = guest(1000);
    let path = guest.path("one/two/three/file");
    repeated(TIMES, &mut guest, |guest| {
        let file = open(guest, path, 0, 0);
        guest.close(file).expect("close");
    });
}

fn create() {
    const CREAT: u32 = 1;
    let mut guest = guest(1000);
    let path = guest.path("many/new");
    buffer(&mut guest, 5);
    repeated(TIMES, &mut guest, |guest| {
        let file = open(guest, path, CREAT, 0);
        let Guest { vfs, home } = guest;
        vfs.fd_write(home, file, IOVS, 1, OUT).expect("write");
        vfs.fd_close(home, file).expect("close");
        vfs.path_unlink_file(home, ROOT, path.0, path.1)
            .expect("unlink");
    });
}

fn rename() {
    let mut guest = guest(1000);
    let (here, len) = guest.path("many/777");
    let (there, more) = guest.path2("one/two/777");
    repeated(TIMES, &mut guest, |Guest { vfs, home }| {
        vfs.path_rename(home, ROOT, here, len, ROOT, there, more)
            .expect("rename");
        vfs.path_rename(home, ROOT, there, more, ROOT, here, len)
            .expect("rename back");
    });
}

fn list() {
    const DIRECTORY: u32 = 2;
    let mut guest = guest(1000);
    let many = guest.open("many", DIRECTORY).expect("open");
    repeated(1, &mut guest, |Guest { vfs, home }| {
        vfs.fd_readdir(home, many, BUFFER, 60_000, 0, OUT)
            .expect("list");
    });
    // The header of each entry has 24 bytes: all of them were there.
    let listed = guest.u32_at(OUT);
    assert!((24 * 1000..60_000).contains(&listed), "{listed} bytes");
}

fn append() {
    const CREAT: u32 = 1;
    const APPEND: u32 = 1;
    let mut guest = guest(10);
    let path = guest.path("log");
    let file = open(&mut guest, path, CREAT, APPEND);
    buffer(&mut guest, 100);
    repeated(TIMES, &mut guest, |Guest { vfs, home }| {
        vfs.fd_write(home, file, IOVS, 1, OUT).expect("append");
    });
}

/// What a program does first, with so many files and as many directories below the root.
fn first(many: usize) {
    let mut guest = Guest::new(native::tree(|tree| {
        for number in 0..many {
            let name = number.to_string();
            let dir = tree.add_directory(NodeId::ROOT, name.as_bytes(), native::meta());
            native::add_file(tree, dir.expect("a directory"), "file", b"contents");
        }
    }));
    let path = guest.path("7/file");
    buffer(&mut guest, 8);
    monaka_counted(&mut || {
        let file = open(&mut guest, path, 0, 0);
        let Guest { vfs, home } = &mut guest;
        vfs.fd_read(home, file, IOVS, 1, OUT).expect("read");
    });
    assert_eq!(guest.buffer(8), b"contents");
}

fn mount(many: usize) {
    let packed = packed(many);
    let mut mounted = None;
    monaka_counted(&mut || {
        let image = Image::open(packed.tables).expect("an image");
        mounted = Some(Vfs::mount(&image, packed.data, false).expect("mount"));
    });
    mounted.expect("mounted").check_invariants();
}

#[test]
#[ignore = "is run under callgrind by the test below"]
fn workloads() {
    for workload in &WORKLOADS {
        (workload.run)();
    }
}

/// The instructions of each workload, in order.
fn counted() -> Vec<u64> {
    let room = TempDir::new().expect("create a directory");
    let out = room.path().join("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .args([
            "--toggle-collect=monaka_counted",
            "--dump-after=monaka_counted",
        ])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().expect("this test's own path"))
        .args(["--exact", "workloads", "--ignored", "--test-threads=1"]);
    let ended = valgrind.output().unwrap_or_else(|error| {
        panic!("cannot run valgrind: {error}\nhint: make setup, or apt-get install valgrind")
    });
    let complained = String::from_utf8_lossy(&ended.stderr);
    let printed = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success(),
        "{valgrind:?}\n{printed}\n{complained}"
    );
    let dumped = fs::read_to_string(&out).expect("what callgrind wrote");
    let counts = dumped
        .lines()
        .filter_map(|line| line.strip_prefix("summary: "));
    let mut counts: Vec<u64> = counts
        .map(|count| count.parse().expect("a count"))
        .collect();
    // What came after the last workload.
    assert_eq!(counts.pop(), Some(0), "{dumped}");
    assert_eq!(counts.len(), WORKLOADS.len(), "a dump for each workload");
    counts
}

#[test]
fn calls_cost_what_was_accepted() {
    let counts = counted();
    let costs = WORKLOADS.iter().zip(&counts);
    let costs = costs.map(|(workload, count)| (workload.name, count / u64::from(workload.per)));
    let mut table = String::from("instructions per call\n");
    for (name, cost) in costs.clone() {
        table += &format!("{name:38}{cost:>8}\n");
    }
    let of = |name: &str| {
        let mut costs = costs.clone();
        let found = costs.find(|(workload, _)| *workload == name);
        found.expect("a workload of that name").1 as f64
    };
    for (few, many) in GROWING {
        assert!(of(many) <= of(few) * FLAT, "it grows: {many}\n{table}");
    }
    println!("{table}");
    Golden::native("instructions.txt").compare(&table, TOLERANCE);
}
