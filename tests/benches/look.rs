//! Looking at one file of a large module and of a small one: `make bench`.
//!
//! What `ls`, `stat` and `cat` of one file cost must not depend on how much is
//! packed beside it. Both modules hold the same file; one holds 100,000 others,
//! a gigabyte of them. The runs alternate, and medians of the time on processors
//! count, so that a busy machine changes little.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use monaka_tests::toolbox::{Libc, Linked, Opt, Program, mapped, monaka, pack, root};
use monaka_tests::usage::used;
use tempfile::TempDir;

/// How often each command runs.
const RUNS: usize = 31;

/// How much dearer a look into the large module may be.
const LIMIT: f64 = 1.3;

/// The file that is looked at.
const PATH: &str = "/d042/file-0042";

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
    let program = Program::Bench("calls.c").compile(libc, Opt::O2, Linked::Not);
    let small = packed(&program, room.path(), "small", 10);
    let large = packed(&program, room.path(), "large", 100_000);

    println!("looking at one file of 10 and of 100,000 (1 GB)\n");
    println!("| command | small, ms | large, ms | × | small, KB | large, KB | × | |");
    println!("|---|---:|---:|---:|---:|---:|---:|---|");
    let mut passed = true;
    for command in ["ls", "stat", "cat"] {
        let mut times = [Vec::new(), Vec::new()];
        let mut peaks = [Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (nth, module) in [&small, &large].into_iter().enumerate() {
                let usage = used(monaka([command]).arg(module).arg(PATH));
                times[nth].push(usage.cpu.as_secs_f64() * 1e3);
                peaks[nth].push(usage.peak as f64 / 1e3);
            }
        }
        let [one, other] = times.map(median);
        let [less, more] = peaks.map(median);
        let (slower, larger) = (other / one, more / less);
        let passes = slower <= LIMIT && larger <= LIMIT;
        passed &= passes;
        let verdict = if passes { "pass" } else { "FAIL" };
        println!(
            "| {command} | {one:.1} | {other:.1} | {slower:.2} | {less:.0} | {more:.0} | \
             {larger:.2} | {verdict} |"
        );
    }
    match passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A module with so many files of 10 KB.
fn packed(program: &Path, room: &Path, name: &str, files: usize) -> PathBuf {
    let tree = room.join(name);
    let contents = vec![b'x'; 10_000];
    let wanted = room.join(name).join(&PATH[1..]);
    fs::create_dir_all(wanted.parent().expect("a directory")).expect("create a directory");
    fs::write(&wanted, &contents).expect("write");
    for file in 1..files {
        let directory = tree.join(format!("d{:03}", file % 100));
        if file <= 100 {
            fs::create_dir_all(&directory).expect("create a directory");
        }
        fs::write(directory.join(format!("other-{file:06}")), &contents).expect("write");
    }
    let out = room.join(format!("{name}.wasm"));
    pack(program, ["--mapdir".into(), mapped("/", &tree)], &out);
    fs::remove_dir_all(&tree).expect("remove the tree");
    out
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
