//! Random operations on a real directory, on the core, on a packed module, and on
//! the blob.
//!
//! The same lists of operations are made
//!
//! 1. of wasmtime's WASI on a real directory: the oracle,
//! 2. of the core, natively,
//! 3. of a packed module in wasmtime,
//! 4. of the blob in wasmtime, the module that is merged into programs,
//!
//! and after each operation all of them must have answered the same errno, bytes,
//! offset and attributes, and their whole trees must be equal. Where wasmtime is
//! known to differ, [`oracle`] makes it equal; where it refuses for another reason
//! than we do, the kernel itself decides, see [`kernel`].
//!
//! A failure prints the operations; make it a named regression below.
//!
//! `MODEL_LISTS` says how many lists (of 50 operations on average), `MODEL_SEED`
//! from where their generator starts, `MODEL_SHRINK` how many shorter lists a failure
//! is tried on. `MODEL_PACKED=0` leaves the third and the fourth out.
#![cfg(target_os = "linux")]

mod generate;
mod kernel;
mod ops;
mod oracle;
mod tree;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use monaka_tests::blob::{self, Blob};
use monaka_tests::calls::Calls;
use monaka_tests::engine::{Exports, Program};
use monaka_tests::native::{self, Guest, Packed, ROOT};
use monaka_tests::toolbox::{self, Libc, Linked, Opt};
use monaka_vfs_core::fd::Descriptor;
use monaka_vfs_core::image::NodeId;
use ops::{DIRECTORY, FILE, Op, Value, apply};
use oracle::Oracle;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tempfile::TempDir;

/// A text that no two parts of are alike, packed as a file of several extents.
static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..200_000u32)
        .map(|at| (at / 7 + at % 251) as u8)
        .collect()
});

/// Everything that is packed has these times.
const PACKED_AT: u64 = 1_000_000_007;

/// Makes what is there at the start, on the host.
fn fill(root: &Path) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(root.join(name), bytes).expect("write");
    let link = |target, name: &str| {
        std::os::unix::fs::symlink(target, root.join(name)).expect("symlink");
    };
    write("a", &LONG);
    std::fs::create_dir(root.join("b")).expect("create a directory");
    write("b/c", &LONG[..13]);
    std::fs::hard_link(root.join("b/c"), root.join("h")).expect("link");
    link("../a", "b/l");
    link("b", "l");
    link("loop", "loop");
    link("../a", "out");
    let time = Timespec {
        tv_sec: (PACKED_AT / 1_000_000_000) as i64,
        tv_nsec: (PACKED_AT % 1_000_000_000) as i64,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    for name in ["a", "b/c", "b/l", "l", "loop", "out", "b", ""] {
        utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).expect("set times");
    }
}

/// The same as an image.
static IMAGE: LazyLock<Packed> = LazyLock::new(|| {
    assert_eq!(native::meta().mtime, PACKED_AT);
    Packed::new(native::tree(|tree| {
        let meta = native::meta;
        native::add_file(tree, NodeId::ROOT, "a", &LONG);
        let b = tree.add_directory(NodeId::ROOT, b"b", meta()).unwrap();
        let c = native::add_file(tree, b, "c", &LONG[..13]);
        tree.add_link(NodeId::ROOT, b"h", c).unwrap();
        tree.add_symlink(b, b"l", meta(), b"../a").unwrap();
        tree.add_symlink(NodeId::ROOT, b"l", meta(), b"b").unwrap();
        tree.add_symlink(NodeId::ROOT, b"loop", meta(), b"loop")
            .unwrap();
        tree.add_symlink(NodeId::ROOT, b"out", meta(), b"../a")
            .unwrap();
    }))
});

/// A directory in memory, if this machine has one: faster, and with the simplest
/// rules for link counts.
fn directory() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .expect("create a directory")
}

/// The file system as programs get it.
struct Compiled {
    packed: Program,
    blob: Blob,
}

impl Compiled {
    fn start(&self) -> wasmtime::Result<Started> {
        let mut merged = self.blob.mount(*IMAGE, false)?;
        merged.home.program().seconds = START;
        Ok(Started {
            packed: self.packed.start(None)?,
            merged,
        })
    }
}

/// An instance of each.
struct Started {
    packed: Guest<Exports>,
    merged: Guest<blob::Exports>,
}

/// When a host without a clock of its own begins.
const START: u64 = 1_700_000_000;

/// Who is compared.
struct Cast {
    unpacked: Program,
    compiled: Option<Compiled>,
    /// Whether the host keeps access times.
    access_times: bool,
}

/// None if there is no compiler, which has been said.
static CAST: LazyLock<Option<Cast>> = LazyLock::new(|| {
    let libc = Libc::ALL.into_iter().find(|libc| libc.is_here())?;
    let linked = toolbox::Program::Calls.compile(libc, Opt::O2, Linked::Last);
    let engine = wasmtime::Engine::default();
    let load = |module: &PathBuf| Program::load(&engine, module).expect("load the module");
    let dir = directory();
    fill(dir.path());
    let compiled = (number("MODEL_PACKED", 1) != 0).then(|| {
        let packed = dir.path().with_extension("wasm");
        // The host has no /dev, and what its streams answer is not compared here.
        let mapping = toolbox::mapped("/", dir.path());
        let bare = ["--no-dev", "--no-tmp"].map(OsString::from);
        let args = ["--mapdir".into(), mapping].into_iter().chain(bare);
        toolbox::pack(&linked, args, &packed);
        let program = load(&packed);
        std::fs::remove_file(packed).expect("remove the packed module");
        Compiled {
            packed: program,
            blob: Blob::load(&engine).expect("load the blob"),
        }
    });
    // A mount with `noatime` would not.
    std::fs::read(dir.path().join("a")).expect("read");
    let read_at = std::fs::metadata(dir.path().join("a")).and_then(|meta| meta.accessed());
    Some(Cast {
        unpacked: load(&linked),
        compiled,
        access_times: read_at
            .expect("stat")
            .elapsed()
            .is_ok_and(|ago| ago.as_secs() < 3600),
    })
});

/// The descriptors that `op` is about, as they are numbered.
fn resolved(op: &Op, native: &Guest) -> Op {
    let mut files = Vec::new();
    let mut directories = Vec::new();
    for (fd, descriptor) in native.vfs.fds().iter() {
        match descriptor {
            Descriptor::File(_) => files.push(fd),
            Descriptor::Dir(_) => directories.push(fd),
            Descriptor::Host(_) => {}
        }
    }
    let one = |open: &[u32], n: u32| match open.len() {
        // Nothing is there to choose from: a number that is not open.
        0 => 900,
        len => open[n as usize % len],
    };
    let mut op = op.clone();
    op.each_fd(&mut |fd| {
        *fd = match *fd {
            n if n >= DIRECTORY => one(&directories, n - DIRECTORY),
            n if n >= FILE => one(&files, n - FILE),
            fd => fd,
        };
    });
    // The trees are walked from the root: its descriptor stays as it is.
    if let Op::Close(ROOT)
    | Op::Renumber(ROOT, _)
    | Op::Renumber(_, ROOT)
    | Op::SetRights(ROOT, ..) = op
    {
        return Op::Prestat(ROOT);
    }
    op
}

/// The same answer without access times.
fn without_access_time(answer: &ops::Answer) -> ops::Answer {
    let mut answer = answer.clone();
    if let Ok(Value::Stat(stat)) = &mut answer {
        stat.atim = None;
    }
    answer
}

/// Applies `ops` to all and compares after each; answers what differs.
fn run(cast: &Cast, ops: &[Op]) -> Result<(), String> {
    let root = directory();
    fill(root.path());
    let mut native = Guest::of(*IMAGE, false);
    native.home.seconds = START;
    let mut oracle = Oracle::new(&cast.unpacked, root);
    let mut compiled = (cast.compiled.as_ref()).map(|modules| modules.start().expect("start"));
    compare_trees(cast, &oracle, &mut native, compiled.as_mut())
        .map_err(|why| format!("at the start: {why}"))?;
    let mut done = Vec::new();
    for op in ops {
        let op = resolved(op, &native);
        done.push(op.clone());
        let outcome = step(cast, &op, &mut oracle, &mut native, compiled.as_mut());
        outcome.map_err(|why| {
            let steps: String = done.iter().map(|op| format!("    Op::{op:?},\n")).collect();
            format!("{why}\nafter\n{steps}")
        })?;
    }
    Ok(())
}

fn step(
    cast: &Cast,
    op: &Op,
    oracle: &mut Oracle,
    native: &mut Guest,
    mut compiled: Option<&mut Started>,
) -> Result<(), String> {
    let expected = oracle.apply(op);
    let ours = apply(native, op);
    native.vfs.check_invariants();
    if let Some(compiled) = &mut compiled {
        same_answer("packed", &mut compiled.packed, op, &ours)?;
        same_answer("merged", &mut compiled.merged, op, &ours)?;
    }
    let comparable = |answer: &ops::Answer| match cast.access_times {
        true => answer.clone(),
        false => without_access_time(answer),
    };
    match (&expected, &ours) {
        (expected, ours) if comparable(expected) == comparable(ours) => {}
        (Err(_), Err(errno)) if oracle.agrees(op, *errno) => {}
        _ => {
            let kernel = expected.is_err().then(|| oracle.kernel(op));
            return Err(format!(
                "{op:?}: native {ours:?}, host {expected:?}, kernel {kernel:?}"
            ));
        }
    }
    compare_trees(cast, oracle, native, compiled).map_err(|why| format!("{op:?}: {why}"))
}

fn same_answer<V: Calls>(
    who: &str,
    guest: &mut Guest<V>,
    op: &Op,
    native: &ops::Answer,
) -> Result<(), String> {
    let answer = apply(guest, op);
    match answer == *native {
        true => Ok(()),
        false => Err(format!("{op:?}: {who} {answer:?}, native {native:?}")),
    }
}

fn same_tree<V: Calls>(who: &str, guest: &mut Guest<V>, native: &tree::Tree) -> Result<(), String> {
    let seen = tree::seen(guest);
    match seen == *native {
        true => Ok(()),
        false => Err(format!(
            "trees, native and {who}\n{}",
            native.difference(&seen)
        )),
    }
}

fn compare_trees(
    cast: &Cast,
    oracle: &Oracle,
    native: &mut Guest,
    compiled: Option<&mut Started>,
) -> Result<(), String> {
    let mut expected = tree::real(oracle.root.path());
    let mut ours = tree::seen(native);
    native.vfs.check_invariants();
    if let Some(compiled) = compiled {
        same_tree("packed", &mut compiled.packed, &ours)?;
        same_tree("merged", &mut compiled.merged, &ours)?;
    }
    if !cast.access_times {
        (expected, ours) = (expected.without_access_times(), ours.without_access_times());
    }
    if ours != expected {
        return Err(format!(
            "trees, native and host\n{}",
            ours.difference(&expected)
        ));
    }
    Ok(())
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={value} is no number")),
        Err(_) => default,
    }
}

#[test]
fn the_file_system_does_what_the_host_does() {
    let Some(cast) = &*CAST else { return };
    let lists = number("MODEL_LISTS", 2000) as u32;
    let seed = number("MODEL_SEED", 1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: lists,
        failure_persistence: None,
        max_shrink_iters: number("MODEL_SHRINK", 5_000) as u32,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&proptest::collection::vec(generate::op(), 1..100), |ops| {
        run(cast, &ops).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, _)) => {
            panic!("{why}\nto see it again: MODEL_SEED={seed} MODEL_LISTS={lists} make model");
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// Operations that once answered otherwise than the host.
#[track_caller]
fn regression(ops: &[Op]) {
    let Some(cast) = &*CAST else { return };
    if let Err(why) = run(cast, ops) {
        panic!("{why}");
    }
}

fn open(path: &str, oflags: u32, rights: u64) -> Op {
    Op::Open {
        dir: ROOT,
        follow: true,
        path: path.into(),
        oflags,
        rights,
        inheriting: native::ALL,
        flags: 0,
    }
}

#[test]
fn renaming_onto_an_ancestor_is_notempty_whatever_is_renamed() {
    let rename = |old: &str, new: &str| Op::Rename(ROOT, old.into(), ROOT, new.into());
    regression(&[rename("b/c", "b")]);
    regression(&[Op::Mkdir(ROOT, "b/a".into()), rename("b/a", "b")]);
}

#[test]
fn creating_a_file_whose_path_ends_in_a_slash_is_isdir() {
    for path in ["a/", "b/a/", "a/a/", "loop/"] {
        regression(&[open(path, 1, native::ALL)]);
    }
}

#[test]
fn creating_a_file_through_a_link_that_ends_in_a_slash_is_isdir() {
    for target in ["a/", "b/", "d/", "missing/"] {
        regression(&[
            Op::Symlink(target.into(), ROOT, "d".into()),
            open("d", 1, native::ALL),
        ]);
    }
}

#[test]
fn creating_a_dot_exclusively_is_exist() {
    regression(&[open("b/./", 1 | 4, native::ALL)]);
}

#[test]
fn allocating_nothing_is_inval_before_anything_else() {
    regression(&[open("a", 0, 1 << 1), Op::Allocate(FILE, 0, 0)]);
}

#[test]
fn reading_at_the_end_is_an_access() {
    regression(&[
        open("b/c", 8, native::ALL),
        Op::SetTimes(FILE, 5, 5, 1 | 4),
        Op::Read(FILE, vec![1]),
        Op::Fstat(FILE),
    ]);
}
