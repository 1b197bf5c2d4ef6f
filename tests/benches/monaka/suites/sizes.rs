//! What packing takes, and what it makes, by how much is packed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use monaka_tests::toolbox::{Linked, Opt, Program, finish, mapped, monaka};

use serde_json::Value;
use tempfile::TempDir;

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Plot, Row, Series, Table, Verdict};
use crate::samples::{Round, Samples};
use crate::usage::used;
use crate::workload::{noise, on_disk};

/// Megabytes that are packed, in files of one each.
const MEGABYTES: [u64; 4] = [1, 10, 100, 500];

/// Files of 100 bytes that are packed.
const FILES: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];

/// How often everything is packed, at most.
const ROUNDS: usize = 3;

/// What of a module is told by `monaka inspect --json`, and ours for it.
const PARTS: [(&str, &str); 8] = [
    ("code", "the program's code"),
    ("file_system_code", "the file system's code"),
    ("data", "the program's data"),
    (
        "file_system_state",
        "the file system's data: what is mounted",
    ),
    ("image_tables", "the image's tables"),
    ("image_data", "contents of files"),
    ("names", "names of functions"),
    ("other", "types, imports, what `monaka` notes, …"),
];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let compile = |linked| Program::Bench("start.c").compile(setup.libc, Opt::O2, linked);
    let [plain, linked] = [Linked::Not, Linked::Last].map(compile);
    let modules = Home::OURS.map(|home| match home {
        Home::Linked => (home, linked.clone()),
        _ => (home, plain.clone()),
    });
    let trees: Vec<(String, TempDir)> = (MEGABYTES.iter())
        .map(|mb| (format!("size.{mb}"), plant(*mb, 1 << 20)))
        .chain((FILES.iter()).map(|files| (format!("files.{files}"), plant(*files, 100))))
        .collect();
    let mut samples = Samples::default();
    // They take long, and what counts is time on processors.
    for _ in setup.rounds().take(ROUNDS) {
        let mut round = Round::new();
        for (tree, files) in &trees {
            measure(&modules, files.path(), tree, &mut round);
        }
        samples.push(round);
    }
    Chapter {
        title: "What is packed, and what it takes".into(),
        text: "Files of 1 MB of bytes that do not compress, or of 100 bytes, packed into a small \
               program in C. Packing is the command's time on processors and its peak of memory; \
               the program's memory is what it starts with, all memories together, most of \
               which no page is behind before it is read."
            .into(),
        tables: vec![
            packing(&samples),
            starts(&samples),
            parts(
                &samples,
                "size.10",
                "bytes of a module with 10 files, 10 MB",
            ),
            parts(
                &samples,
                "files.10000",
                "bytes of a module with 10,000 files, 1 MB",
            ),
        ],
        plots: vec![
            plot(&samples, "size", "MB packed"),
            plot(&samples, "files", "files packed"),
        ],
        verdicts: verdicts(&samples),
        samples,
    }
}

/// A directory of so many files of `len` bytes.
pub(super) fn plant(files: u64, len: usize) -> TempDir {
    let place = on_disk();
    let bytes = noise(len + 997);
    for file in 0..files {
        let directory = place.path().join(format!("d{:03}", file % 100));
        if file < 100 {
            fs::create_dir(&directory).expect("create a directory");
        }
        let at = (file % 997) as usize;
        fs::write(directory.join(format!("{file:06}")), &bytes[at..at + len]).expect("write");
    }
    place
}

/// Packs `files` into each module: `HOME.WHAT.TREE`.
fn measure(modules: &[(Home, PathBuf)], files: &Path, tree: &str, round: &mut Round) {
    for (home, module) in modules {
        let home = home.name();
        let room = on_disk();
        let out = room.path().join("packed.wasm");
        let mut pack = monaka(["pack".as_ref(), module.as_os_str()]);
        pack.arg("--mapdir").arg(mapped("/", files));
        if home != Home::Linked.name() {
            pack.args(["--memory", home]);
        }
        let usage = used(pack.arg("-q").arg("-o").arg(&out));
        let mut put = |what: &str, value: f64| {
            round.insert(format!("{home}.{what}.{tree}"), value);
        };
        put("cpu", usage.cpu.as_secs_f64() * 1e3);
        put("peak", usage.peak as f64 / 1e6);
        let facts = facts(&out);
        put("module", facts["module_bytes"].as_f64().expect("a number"));
        let memories = facts["memories"].as_array().expect("a list");
        let bytes = memories
            .iter()
            .filter_map(|memory| memory["bytes"].as_f64());
        put("memory", bytes.sum::<f64>() / 1e6);
        for (part, _) in PARTS {
            put(part, facts["parts"][part].as_f64().expect("a number"));
        }
    }
}

/// What `monaka inspect` says of a module.
fn facts(module: &Path) -> Value {
    let mut inspect: Command = monaka(["inspect", "--json"]);
    let printed = finish(inspect.arg(module), "").expect_success().stdout;
    serde_json::from_str(&printed).expect("JSON")
}

/// The trees: ours for them, and their names in samples.
fn trees() -> Vec<(String, String)> {
    let sizes = MEGABYTES.map(|mb| (format!("{mb} MB"), format!("size.{mb}")));
    let counts = FILES.map(|files| (format!("{files} files"), format!("files.{files}")));
    sizes.into_iter().chain(counts).collect()
}

fn packing(samples: &Samples) -> Table {
    let row = |(what, tree): (String, String)| {
        let of = |what: &str, home: Home| samples.median(&format!("{}.{what}.{tree}", home.name()));
        let times = Home::OURS.map(|home| of("cpu", home));
        let peaks = Home::OURS.map(|home| of("peak", home));
        Row::new(what, [times, peaks].concat())
    };
    let names = |unit: &str| Home::OURS.map(|home| format!("{}, {unit}", home.name()));
    Table {
        title: "packing".into(),
        columns: [names("ms"), names("MB")].concat(),
        rows: trees().into_iter().map(row).collect(),
    }
}

fn starts(samples: &Samples) -> Table {
    let row = |(what, tree): (String, String)| {
        let memory = |home: Home| samples.median(&format!("{}.memory.{tree}", home.name()));
        Row::new(what, Home::OURS.map(memory))
    };
    Table {
        title: "the program's memory at its start, MB".into(),
        columns: Home::OURS.map(|home| home.name().to_owned()).into(),
        rows: trees().into_iter().map(row).collect(),
    }
}

fn parts(samples: &Samples, tree: &str, title: &str) -> Table {
    let row = |(part, what): (&str, &str)| {
        let bytes = |home: Home| samples.median(&format!("{}.{part}.{tree}", home.name()));
        Row::new(what, Home::OURS.map(bytes))
    };
    let mut rows = Vec::from(PARTS.map(row));
    rows.push(row(("module", "all of it")));
    Table {
        title: title.into(),
        columns: Home::OURS.map(|home| home.name().to_owned()).into(),
        rows,
    }
}

fn plot(samples: &Samples, prefix: &str, x: &str) -> Plot {
    let curve = |what: &str, name: &str, home: Home| Series {
        name: format!("{name}, {}", home.name()),
        points: samples.series(&format!("{}.{what}.{prefix}", home.name()), Samples::median),
    };
    let times = Home::OURS.map(|home| curve("cpu", "ms", home));
    let peaks = Home::OURS.map(|home| curve("peak", "peak memory, MB", home));
    Plot {
        name: format!("sizes-{prefix}"),
        title: "packing: time on processors and memory".into(),
        x: x.into(),
        y: "ms, MB".into(),
        series: times.into_iter().chain(peaks).collect(),
    }
}

/// What packing takes is linear at most in what is packed, and memory does not depend on
/// how large files are.
fn verdicts(samples: &Samples) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for home in Home::OURS.map(Home::name) {
        let name = |what: &str, tree: &str| format!("{home}.{what}.{tree}");
        let times = |what: &str, many: &str, few: &str| {
            samples.ratio(&[&name(what, many)], &[&name(what, few)])
        };
        verdicts.extend([
            Verdict::at_most(
                format!("{home}: packing 500 MB, times as long as 100 MB"),
                times("cpu", "size.500", "size.100"),
                6.0,
            ),
            Verdict::at_most(
                format!("{home}: memory for packing 500 MB, of that for 1 MB"),
                times("peak", "size.500", "size.1"),
                1.5,
            ),
            Verdict::at_most(
                format!("{home}: packing 100,000 files, times as long as 10,000"),
                times("cpu", "files.100000", "files.10000"),
                12.0,
            ),
        ]);
    }
    verdicts
}
