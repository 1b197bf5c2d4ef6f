//! A gigabyte in 100,000 files beside 100 KB in 10.
//!
//! Packing them is measured against `tar c` of the same tree; what `ls`, `stat` and
//! `cat` of one file cost, and a compiled module's start up to its first read, must not
//! depend on how much is packed beside that file. Runs alternate, and medians of the
//! time on processors count, so that a busy machine changes little.

use std::fs;
use std::path::Path;
use std::process::Command;

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Linked, Opt, Program, mapped, monaka};
use tempfile::TempDir;

use crate::Setup;
use crate::report::{Chapter, Row, Table, Verdict};
use crate::samples::{Round, Samples};
use crate::usage::{Usage, used};
use crate::workload::{compile, in_memory, on_disk};

/// How often each look runs in a round, as it takes milliseconds and a round seconds.
const LOOKS: usize = 7;

/// How much dearer a look into the large module, or its start, may be.
const LIMIT: f64 = 1.3;

/// The file that is looked at.
const PATH: &str = "/d042/file-0042";

/// The length of each file.
const LEN: u64 = 10_000;

/// The length of a file's name, on average.
const NAME: u64 = 12;

const TREES: [(&str, usize); 2] = [("small", 10), ("large", 100_000)];

/// What is done with one file, and how it is told.
const ACTIONS: [(&str, &str); 4] = [
    ("ls", "`monaka ls`"),
    ("stat", "`monaka stat`"),
    ("cat", "`monaka cat`"),
    ("start", "start, up to the first read"),
];

pub(crate) fn run(setup: &Setup) -> Chapter {
    // A disk may take minutes to remove 100,000 files.
    let (trees, room) = (in_memory(2 << 30), on_disk());
    let program = Program::Example("cat").compile(setup.libc, Opt::O2, Linked::Not);
    for (name, files) in TREES {
        eprintln!("  writing {files} files");
        plant(&trees.path().join(name), files);
    }
    let mut packing = Samples::default();
    let mut samples = Samples::default();
    for round in setup.rounds() {
        // Once would do for what is compared; twice shows what noise there is.
        if round <= 3 {
            eprintln!("    packing");
            packing.push(packed(&trees, &room, &program));
        }
        if round == 1 {
            for (name, _) in TREES {
                let module = room.path().join(format!("{name}.wasm"));
                compile(&module, &module.with_extension("cwasm"));
            }
        }
        eprintln!("    looking");
        for _ in 0..LOOKS {
            samples.push(looks(&room));
        }
    }
    let looks = ACTIONS.map(|(action, what)| {
        let numbers = ["ms", "kb"]
            .map(|unit| TREES.map(|(tree, _)| samples.median(&format!("{tree}.{action}.{unit}"))));
        Row::new(what, numbers.concat())
    });
    let mut verdicts = vec![
        Verdict::at_most(
            "packing 100,000 files (1 GB): time on processors, times `tar c`",
            packing.ratio(&["large.cpu"], &["tar.cpu"]),
            3.0,
        ),
        Verdict::at_most(
            "the same: peak memory, of the module",
            packing.ratio(&["large.peak"], &["large.size"]),
            1.5,
        ),
    ];
    verdicts.extend(sizes(&packing));
    verdicts.extend(ACTIONS.map(|(action, what)| slower(&samples, action, what)));
    verdicts.extend(ACTIONS.map(|(action, what)| larger(&samples, action, what)));
    samples.append(packing);
    Chapter {
        title: "Many files".into(),
        text: "A tree of 100 KB in 10 files and one of 1 GB in 100,000, packed; then one file \
               of each. 8 MB more memory count as none: of a mapped file the kernel counts \
               what it keeps in one piece around a page that is touched."
            .into(),
        tables: vec![Table {
            title: "one file".into(),
            columns: ["of 10, ms", "of 100,000, ms", "of 10, KB", "of 100,000, KB"]
                .map(str::to_owned)
                .into(),
            rows: looks.into(),
        }],
        verdicts,
        samples,
        ..Chapter::default()
    }
}

/// What a file costs beside its contents.
fn sizes(packing: &Samples) -> [Verdict; 2] {
    let [small, large] = TREES.map(|(tree, _)| packing.median(&format!("{tree}.size")));
    let files = (TREES[1].1 - TREES[0].1) as f64;
    let beside = small
        .zip(large)
        .map(|(small, large)| (large - small) / files - LEN as f64);
    [
        Verdict::at_most(
            "bytes per file beside contents and name",
            beside.map(|bytes| bytes - NAME as f64),
            64.0,
        ),
        Verdict::at_most(
            "the same with the names, in % of the contents",
            beside.map(|bytes| bytes / LEN as f64 * 100.0),
            1.0,
        ),
    ]
}

fn slower(samples: &Samples, action: &str, what: &str) -> Verdict {
    let [small, large] = TREES.map(|(tree, _)| format!("{tree}.{action}.ms"));
    Verdict::at_most(
        format!("{what}: time with 100,000 files, times with 10"),
        samples.ratio(&[&large], &[&small]),
        LIMIT,
    )
}

fn larger(samples: &Samples, action: &str, what: &str) -> Verdict {
    let [small, large] = TREES.map(|(tree, _)| samples.median(&format!("{tree}.{action}.kb")));
    let times = |(small, large): (f64, f64)| match large - small <= 8e3 {
        true => 1.0,
        false => large / small,
    };
    Verdict::at_most(
        format!("{what}: memory with 100,000 files, times with 10"),
        small.zip(large).map(times),
        LIMIT,
    )
}

/// Packs both trees into a room, and has tar do the same with the large one.
fn packed(trees: &TempDir, room: &TempDir, program: &Path) -> Round {
    let mut numbers = Round::new();
    let mut note = |name: &str, usage: Usage| {
        numbers.insert(format!("{name}.cpu"), usage.cpu.as_secs_f64());
        numbers.insert(format!("{name}.peak"), usage.peak as f64);
    };
    for (name, _) in TREES {
        let mut pack = monaka(["pack".as_ref(), program.as_os_str()]);
        pack.arg("--mapdir")
            .arg(mapped("/", &trees.path().join(name)));
        pack.arg("-q")
            .arg("-o")
            .arg(room.path().join(format!("{name}.wasm")));
        note(name, used(&pack));
    }
    let archive = room.path().join("archive");
    let mut tar = Command::new("tar");
    tar.arg("cf").arg(&archive).arg("-C");
    note("tar", used(tar.arg(trees.path().join("large")).arg(".")));
    fs::remove_file(archive).expect("remove the archive");
    for (name, _) in TREES {
        let module = fs::metadata(room.path().join(format!("{name}.wasm")));
        let size = module.expect("a module").len();
        numbers.insert(format!("{name}.size"), size as f64);
    }
    numbers
}

/// What each look takes, small and large in turn.
fn looks(room: &TempDir) -> Round {
    let mut numbers = Round::new();
    for (action, _) in ACTIONS {
        for (tree, _) in TREES {
            let module = room.path().join(format!("{tree}.wasm"));
            let mut look = match action {
                "start" if !Runtime::Wasmtime.is_here() => continue,
                "start" => {
                    let mut run = Runtime::Wasmtime.executable();
                    run.args(["run", "--allow-precompiled"]);
                    run.arg(module.with_extension("cwasm"));
                    run
                }
                _ => {
                    let mut look = monaka([action]);
                    look.arg(module);
                    look
                }
            };
            let usage = used(look.arg(PATH));
            let time = usage.cpu.as_secs_f64() * 1e3;
            numbers.insert(format!("{tree}.{action}.ms"), time);
            numbers.insert(format!("{tree}.{action}.kb"), usage.peak as f64 / 1e3);
        }
    }
    numbers
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
