//! What file calls of Rust's std cost, in a program that nobody linked with anything.

use std::fs;
use std::path::Path;
use std::process::Command;

use monaka_tests::toolbox::{finish, kept, root};

use crate::Setup;
use crate::home::Home;
use crate::report::Chapter;
use crate::samples::Samples;
use crate::workload::{Workload, prose};

/// How often a call is made in a pass, where calls take nanoseconds.
const REPEAT: f64 = 10_000.0;

const HOMES: [Home; 6] = [
    Home::Single,
    Home::Multi,
    Home::Compressed,
    Home::Tmpfs,
    Home::Pool,
    Home::Node,
];

const CALLS: [(&str, &str); 12] = [
    ("metadata", "`fs::metadata`, three levels deep"),
    ("open", "`File::open` + drop, three levels deep"),
    ("read_file", "`fs::read`, 6 bytes"),
    ("read_4k", "`read_exact`, 4 KiB"),
    ("lines", "a line of a `BufReader`"),
    ("write_file", "`fs::write`, 5 bytes into a new file"),
    ("read_dir", "an entry of `fs::read_dir`, of 1,000"),
    ("rename", "`fs::rename`"),
    ("remove", "`fs::remove_file`"),
    ("write_line", "a line to a `BufWriter`"),
    ("write_4k", "`write_all`, 4 KiB"),
    ("memcpy", "memcpy, 4 KiB"),
];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let module = kept().join("rust-bench.wasm");
    let mut build = Command::new(root().join("tools/build-subject"));
    finish(build.arg("rust-bench").arg(&module), "").expect_success();
    let workload = Workload::finished(&module, &HOMES, fill);
    let mut samples = Samples::default();
    for _ in setup.rounds() {
        samples.push(workload.round(|home| home.args(REPEAT)));
    }
    Chapter {
        title: "Calls of Rust's std".into(),
        text: "A Rust program, packed as cargo built it. Its directories have 1,000 entries, \
               fewer where calls are slow. There are no limits here: they are for the calls alone, \
               which the C programs make from linked and from rewritten modules, and std adds \
               work of its own, such as a copy of each path."
            .into(),
        tables: vec![workload.table("nanoseconds per call", &CALLS, &samples)],
        samples,
        ..Chapter::default()
    }
}

fn fill(files: &Path) {
    fs::create_dir_all(files.join("one/two/three")).expect("create directories");
    fs::write(files.join("one/two/three/file"), "found\n").expect("write");
    fs::write(files.join("big"), prose(4 << 20)).expect("write");
    let lines: String = (0..1000).map(|n| format!("line {n} of a text\n")).collect();
    fs::write(files.join("lines"), lines).expect("write");
}
