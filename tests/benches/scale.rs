//! A gigabyte in 100,000 files beside 100 KB in 10: `make bench`.
//!
//! Packing them is measured against `tar c` of the same tree; what `ls`, `stat` and
//! `cat` of one file cost, and a compiled module's start up to its first read, must not
//! depend on how much is packed beside that file. Runs alternate, and medians of the
//! time on processors count, so that a busy machine changes little.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Libc, Linked, Opt, Program, mapped, monaka, root};
use monaka_tests::usage::{Usage, used};
use tempfile::TempDir;

/// How often each command runs.
const RUNS: usize = 31;

/// How often the trees are packed.
const PACKS: usize = 3;

/// How much dearer a look into the large module, or its start, may be.
const LIMIT: f64 = 1.3;

/// The file that is looked at.
const PATH: &str = "/d042/file-0042";

/// The length of each file.
const LEN: u64 = 10_000;

/// The length of a file's name, on average.
const NAME: u64 = 12;

fn main() -> ExitCode {
    // `cargo test --all-targets` comes here, too, and measures nothing.
    if std::env::args().all(|arg| arg != "--bench") {
        return ExitCode::SUCCESS;
    }
    let libcs = [Libc::Yowasp, Libc::Old, Libc::Zig];
    let Some(libc) = libcs.into_iter().find(|libc| libc.is_here()) else {
        return ExitCode::FAILURE;
    };
    let work = root().join("target/bench");
    fs::create_dir_all(&work).expect("create target/bench");
    let room = TempDir::new_in(work).expect("create a directory");
    let program = Program::Example("cat").compile(libc, Opt::O2, Linked::Not);
    let trees = [("small", 10), ("large", 100_000)];
    for (name, files) in trees {
        plant(&room.path().join(name), files);
    }
    let mut passed = true;

    println!("packing 10 and 100,000 files (1 GB)\n");
    println!("| what | | at most | |");
    println!("|---|---:|---:|---|");
    let mut verdict = |what: &str, value: f64, most: f64| {
        let passes = value <= most;
        passed &= passes;
        let verdict = if passes { "pass" } else { "FAIL" };
        println!("| {what} | {value:.2} | {most} | {verdict} |");
    };
    let module = |name: &str| room.path().join(format!("{name}.wasm"));
    let (mut ratios, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..PACKS {
        for (name, _) in trees {
            let tree = room.path().join(name);
            let usage = packed(&program, &tree, &module(name));
            if name == "large" {
                let archive = room.path().join("archive");
                let mut tar = Command::new("tar");
                let tar = used(tar.arg("cf").arg(&archive).arg("-C").arg(&tree).arg("."));
                fs::remove_file(archive).expect("remove the archive");
                ratios.push(usage.cpu.as_secs_f64() / tar.cpu.as_secs_f64());
                peaks.push(usage.peak as f64 / size(&module(name)));
            }
        }
    }
    let [small, large] = ["small", "large"].map(|name| size(&module(name)));
    let files = 100_000.0 - 10.0;
    let beside = (large - small) / files - LEN as f64;
    verdict("time of `tar c`", median(ratios), 3.0);
    verdict("peak memory, of the module", median(peaks), 1.5);
    verdict(
        "bytes per file beside contents and name",
        beside - NAME as f64,
        64.0,
    );
    verdict(
        "the same, with the names, in % of the contents",
        beside / LEN as f64 * 100.0,
        1.0,
    );

    println!("\none file of 10 and of 100,000\n");
    println!("| | small, ms | large, ms | × | small, KB | large, KB | × | |");
    println!("|---|---:|---:|---:|---:|---:|---:|---|");
    let looks = ["ls", "stat", "cat"].map(|command| {
        let look = |module: &Path| {
            let mut look = monaka([command]);
            look.arg(module).arg(PATH);
            look
        };
        (command, [look(&module("small")), look(&module("large"))])
    });
    for (command, commands) in looks {
        passed &= compare(command, commands);
    }
    if Runtime::Wasmtime.is_here() {
        let commands = ["small", "large"].map(|name| {
            let compiled = room.path().join(format!("{name}.cwasm"));
            let mut compile = Runtime::Wasmtime.executable();
            used(
                compile
                    .arg("compile")
                    .arg(module(name))
                    .arg("-o")
                    .arg(&compiled),
            );
            let mut run = Runtime::Wasmtime.executable();
            run.args(["run", "--allow-precompiled"]);
            run.arg(compiled).arg(PATH);
            run
        });
        passed &= compare("start, up to the first read", commands);
    }
    match passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Measures two commands in turn and prints a row; whether the second is about as
/// cheap as the first.
fn compare(what: &str, mut commands: [Command; 2]) -> bool {
    let mut times = [Vec::new(), Vec::new()];
    let mut peaks = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for (nth, command) in commands.iter_mut().enumerate() {
            let usage = used(command);
            times[nth].push(usage.cpu.as_secs_f64() * 1e3);
            peaks[nth].push(usage.peak as f64 / 1e3);
        }
    }
    let [one, other] = times.map(median);
    let [less, more] = peaks.map(median);
    let (slower, larger) = (other / one, more / less);
    // Of a mapped file, the kernel counts what it keeps in one piece around a page
    // that is touched, megabytes that nothing was read into.
    let passes = slower <= LIMIT && (larger <= LIMIT || more - less <= 8e3);
    let verdict = if passes { "pass" } else { "FAIL" };
    println!(
        "| {what} | {one:.1} | {other:.1} | {slower:.2} | {less:.0} | {more:.0} | \
         {larger:.2} | {verdict} |"
    );
    passes
}

/// Fills `tree` with so many files, [`PATH`] among them.
fn plant(tree: &Path, files: usize) {
    let contents = vec![b'x'; LEN as usize];
    let wanted = tree.join(&PATH[1..]);
    fs::create_dir_all(wanted.parent().expect("a directory")).expect("create a directory");
    fs::write(&wanted, &contents).expect("write");
    for file in 1..files {
        let directory = tree.join(format!("d{:03}", file % 100));
        if file <= 100 {
            fs::create_dir_all(&directory).expect("create a directory");
        }
        fs::write(directory.join(format!("other-{file:06}")), &contents).expect("write");
    }
}

/// Packs `tree`; answers what that took.
fn packed(program: &Path, tree: &Path, out: &Path) -> Usage {
    let mut pack = monaka(["pack".as_ref(), program.as_os_str()]);
    pack.arg("--mapdir").arg(mapped("/", tree));
    used(pack.arg("-q").arg("-o").arg(out))
}

fn size(path: &Path) -> f64 {
    fs::metadata(path).expect("a module").len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
