//! How fast packed files are, and packing: `make bench`.
//!
//! A C program measures itself, packed and on a preopened directory in memory;
//! packing is measured against `cp`, `tar` and the engine's own compile. All
//! that is compared runs in turn, several times over; medians and ratios count,
//! for a ratio taken within one run survives a busy machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, mapped, monaka, pack, root};
use tempfile::TempDir;

/// How often everything is measured.
const ROUNDS: usize = 5;

const MIB: usize = 1 << 20;

fn main() -> ExitCode {
    // `cargo test --all-targets` comes here, too, and measures nothing.
    if std::env::args().all(|arg| arg != "--bench") {
        return ExitCode::SUCCESS;
    }
    let Some(libc) = [Libc::Yowasp, Libc::Old, Libc::Zig]
        .into_iter()
        .find(|libc| libc.is_here())
    else {
        return ExitCode::FAILURE;
    };
    let calls = Calls::new(libc);
    let packing = Packing::new(libc);
    let mut packed = Samples::default();
    let mut tmpfs = Samples::default();
    let mut times = Samples::default();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        packed.add(calls.packed());
        tmpfs.add(calls.on_host());
        times.add(packing.round());
    }
    println!(
        "calls, {} wasi-libc, nanoseconds, medians of {ROUNDS} runs\n",
        libc.name()
    );
    print_calls(&packed, &tmpfs);
    println!("\npacking, milliseconds\n");
    print_packing(&times);
    println!();
    let verdicts = verdicts(&packed, &times);
    print_verdicts(&verdicts);
    if verdicts.iter().all(Verdict::passes) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Named measurements, one of each name per round.
#[derive(Default)]
struct Samples(Vec<BTreeMap<String, f64>>);

impl Samples {
    fn add(&mut self, round: BTreeMap<String, f64>) {
        self.0.push(round);
    }

    fn median_of(&self, value: impl Fn(&BTreeMap<String, f64>) -> f64) -> f64 {
        let mut values: Vec<_> = self.0.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    fn median(&self, name: &str) -> f64 {
        self.median_of(|round| round[name])
    }

    /// The median of the ratios within each round.
    fn ratio(&self, numerator: &[&str], denominator: &[&str]) -> f64 {
        let sum = |round: &BTreeMap<String, f64>, names: &[&str]| {
            names.iter().map(|name| round[*name]).sum::<f64>()
        };
        self.median_of(|round| sum(round, numerator) / sum(round, denominator))
    }
}

/// `tests/benches/programs/calls.c`, packed and not.
struct Calls {
    plain: PathBuf,
    packed: PathBuf,
    directory: PathBuf,
    _room: TempDir,
}

impl Calls {
    fn new(libc: Libc) -> Calls {
        let room = in_memory();
        let directory = room.path().join("root");
        fs::create_dir_all(directory.join("one/two/three")).expect("create directories");
        fs::write(directory.join("one/two/three/file"), "found\n").expect("write");
        fs::write(directory.join("big"), noise(100 * MIB)).expect("write");
        let packed = room.path().join("packed.wasm");
        let program = Program::Bench("calls.c");
        let linked = program.compile(libc, Opt::O2, Linked::Last);
        pack(
            &linked,
            ["--mapdir".into(), mapped("/", &directory)],
            &packed,
        );
        Calls {
            plain: program.compile(libc, Opt::O2, Linked::Not),
            packed,
            directory,
            _room: room,
        }
    }

    fn packed(&self) -> BTreeMap<String, f64> {
        measured(monaka(["run"]).arg(&self.packed).args(["--", "300000"]))
    }

    fn on_host(&self) -> BTreeMap<String, f64> {
        let mut preopen = self.directory.clone().into_os_string();
        preopen.push("::/");
        measured(
            monaka(["run"])
                .arg(&self.plain)
                .arg("--dir")
                .arg(preopen)
                .args(["--", "10000"]),
        )
    }
}

/// What `calls` printed.
fn measured(command: &mut Command) -> BTreeMap<String, f64> {
    let outcome = finish(command, "").expect_success();
    let lines = outcome.stdout.lines().map(|line| {
        let (name, value) = line.split_once(' ').expect("NAME VALUE");
        (name.to_owned(), value.parse().expect("a number"))
    });
    lines.collect()
}

/// Packing 100 MB in one file and 22 MB in 10,000.
struct Packing {
    linked: PathBuf,
    room: TempDir,
}

impl Packing {
    fn new(libc: Libc) -> Packing {
        let work = root().join("target/bench");
        fs::create_dir_all(&work).expect("create target/bench");
        let room = TempDir::new_in(work).expect("create a directory");
        let bytes = noise(100 * MIB);
        fs::create_dir(room.path().join("big")).expect("create a directory");
        fs::write(room.path().join("big/file"), &bytes).expect("write");
        for directory in 0..100 {
            let path = room.path().join(format!("many/{directory:02}"));
            fs::create_dir_all(&path).expect("create a directory");
            for file in 0..100 {
                let at = (directory * 100 + file) * 4096;
                let contents = &bytes[at..at + 200 + (file * 41) % 4000];
                fs::write(path.join(format!("file-{file:02}")), contents).expect("write");
            }
        }
        let linked = Program::Bench("calls.c").compile(libc, Opt::O2, Linked::Last);
        Packing { linked, room }
    }

    fn round(&self) -> BTreeMap<String, f64> {
        let at = |name: &str| self.room.path().join(name);
        let out = at("out");
        let mut times = BTreeMap::new();
        let mut time = |name: &str, command: &mut Command| {
            let start = Instant::now();
            finish(command, "").expect_success();
            times.insert(name.to_owned(), start.elapsed().as_secs_f64() * 1e3);
            let _ = fs::remove_file(&out);
        };
        time("pack_big", self.pack("big").arg("-o").arg(&out));
        time("cp", Command::new("cp").arg(at("big/file")).arg(&out));
        time(
            "compile",
            monaka(["run"]).arg(&self.linked).args(["--", "0"]),
        );
        time("pack_many", self.pack("many").arg("-o").arg(&out));
        time(
            "tar",
            Command::new("tar")
                .arg("cf")
                .arg(&out)
                .arg("-C")
                .arg(at("many"))
                .arg("."),
        );
        times
    }

    fn pack(&self, directory: &str) -> Command {
        let mut command = monaka([
            "pack".as_ref(),
            self.linked.as_os_str(),
            "--mapdir".as_ref(),
        ]);
        command.arg(mapped("/", &self.room.path().join(directory)));
        command
    }
}

fn print_calls(packed: &Samples, tmpfs: &Samples) {
    println!("| per call | packed | tmpfs through a preopen | ratio |");
    println!("|---|---:|---:|---:|");
    for (name, what) in [
        ("copy_out", "memory.copy of 1 MiB, for reading"),
        ("read", "read 1 MiB in a row, 100 MB file"),
        ("copy_in", "memory.copy of 1 MiB, for writing"),
        ("write", "write 1 MiB, new file"),
        ("overwrite", "write 1 MiB, existing file"),
        ("pread", "pread 1 byte"),
        ("open", "open + close, three levels deep"),
        ("stat", "stat, three levels deep"),
    ] {
        let (ours, theirs) = (packed.median(name), tmpfs.median(name));
        println!(
            "| {what} | {ours:.0} | {theirs:.0} | {:.1}× |",
            theirs / ours
        );
    }
}

fn print_packing(times: &Samples) {
    println!("| what | ms |\n|---|---:|");
    for (name, what) in [
        ("pack_big", "monaka pack, 100 MB in a file"),
        ("cp", "cp of the file"),
        ("compile", "wasmtime's compile of the module"),
        ("pack_many", "monaka pack, 10,000 files"),
        ("tar", "tar c of the files"),
    ] {
        println!("| {what} | {:.0} |", times.median(name));
    }
}

/// A number and what is wanted of it.
struct Verdict {
    what: &'static str,
    value: f64,
    wanted: Wanted,
}

enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Verdict {
    fn passes(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(limit) => self.value >= limit,
            Wanted::AtMost(limit) => self.value <= limit,
        }
    }
}

fn verdicts(packed: &Samples, times: &Samples) -> Vec<Verdict> {
    let verdict = |what, value, wanted| Verdict {
        what,
        value,
        wanted,
    };
    vec![
        verdict(
            "reading at … of memory.copy",
            packed.ratio(&["copy_out"], &["read"]),
            Wanted::AtLeast(0.9),
        ),
        verdict(
            "writing at … of memory.copy",
            packed.ratio(&["copy_in"], &["write"]),
            Wanted::AtLeast(0.6),
        ),
        verdict(
            "pread of 1 byte, ns",
            packed.median("pread"),
            Wanted::AtMost(40.0),
        ),
        verdict(
            "open + close, ns",
            packed.median("open"),
            Wanted::AtMost(300.0),
        ),
        verdict(
            "packing 100 MB against cp + compile",
            times.ratio(&["pack_big"], &["cp", "compile"]),
            Wanted::AtMost(3.0),
        ),
        verdict(
            "packing 10,000 files against tar",
            times.ratio(&["pack_many"], &["tar"]),
            Wanted::AtMost(5.0),
        ),
    ]
}

fn print_verdicts(verdicts: &[Verdict]) {
    println!("| wanted | measured | limit | |\n|---|---:|---:|---|");
    for verdict in verdicts {
        let limit = match verdict.wanted {
            Wanted::AtLeast(limit) => format!("≥ {limit}"),
            Wanted::AtMost(limit) => format!("≤ {limit}"),
        };
        let passes = if verdict.passes() { "pass" } else { "FAIL" };
        println!(
            "| {} | {:.2} | {limit} | {passes} |",
            verdict.what, verdict.value
        );
    }
}

/// A directory in memory where there is one, so that the host's side of the
/// comparison does not wait for a disk.
fn in_memory() -> TempDir {
    let shm = Path::new("/dev/shm");
    TempDir::new_in(shm)
        .or_else(|_| TempDir::new())
        .expect("create a directory")
}

/// Bytes that look random, the same each time (xorshift64).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
