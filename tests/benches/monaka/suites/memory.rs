//! What files take of the memory, as the engine sees it grow.

use std::path::Path;

use monaka_tests::engine::Program;
use monaka_tests::homes;
use monaka_tests::shape::{Shape, allowed};
use tempfile::TempDir;
use wasmtime::Engine;

use crate::Setup;
use crate::report::{Chapter, Plot, Row, Series, Table, Verdict};
use crate::samples::{Round, Samples};

const SIZES: [usize; 12] = [
    1,
    5,
    100,
    1000,
    4096,
    5000,
    16_384,
    40_000,
    65_536,
    1 << 20,
    10 << 20,
    100 << 20,
];

/// How files are written: the name in samples, and ours.
const SHAPES: [(&str, &str, Shape); 4] = [
    ("once", "at once", Shape::AtOnce),
    ("append100", "in pieces of 100 bytes", Shape::Pieces(100)),
    ("append4096", "in pieces of 4 KiB", Shape::Pieces(4096)),
    (
        "backwards",
        "4 KiB at a time, from the end",
        Shape::Backwards(4096),
    ),
];

/// So many bytes of files at least are written for a number: a memory grows by pages.
const ENOUGH: usize = 16 << 20;

/// How many files that is at most, and then so few that pages do not count much.
const MOST: usize = 20_000;

/// How many times files are created and removed.
const CYCLES: usize = 1_000_000;

pub(crate) fn run(setup: &Setup) -> Chapter {
    let room = TempDir::new().expect("create a directory");
    let root = room.path().join("root");
    std::fs::create_dir(&root).expect("create a directory");
    let engine = Engine::default();
    let homes = homes::pack(setup.libc, &root, &[], room.path());
    let mut round = Round::new();
    for (home, module) in &homes {
        eprintln!("  {home}");
        measure(&engine, home, module, &mut round);
    }
    // What is exact is the same in each round.
    let mut samples = Samples::default();
    samples.push(round);
    let homes = homes.map(|(home, _)| home);
    Chapter {
        title: "Memory of written files".into(),
        text: "Linear memory, by as much as it grows while files are written: contents, \
               inode, name, the allocator's own, and what it cannot use. At least 16 MiB are \
               written, or 20,000 files, and the growth is divided by their number; the limit \
               for a file of n bytes is 1.05 n + 4 KiB, while it is still open. Sizes are \
               exact, so one round is measured."
            .into(),
        tables: SHAPES
            .iter()
            .map(|(shape, what, _)| Table {
                title: format!("bytes of memory for a file of so many, written {what}"),
                columns: homes.iter().map(|home| (*home).to_owned()).collect(),
                rows: SIZES
                    .iter()
                    .map(|n| {
                        let cell = |home| samples.median(&format!("{home}.{shape}.{n}"));
                        Row::new(n.to_string(), homes.map(cell))
                    })
                    .collect(),
            })
            .collect(),
        plots: vec![Plot {
            name: "memory".into(),
            title: "memory that a written file takes, single".into(),
            x: "bytes of the file".into(),
            y: "bytes of memory per byte".into(),
            series: SHAPES
                .iter()
                .map(|(shape, what, _)| {
                    let taken = samples.series(&format!("single.{shape}"), Samples::median);
                    let points = taken.into_iter().map(|(n, taken)| (n, taken / n));
                    Series {
                        name: (*what).to_owned(),
                        points: points.collect(),
                    }
                })
                .collect(),
        }],
        verdicts: homes
            .iter()
            .flat_map(|home| verdicts(&samples, home))
            .collect(),
        samples,
    }
}

fn measure(engine: &Engine, home: &str, module: &Path, round: &mut Round) {
    let program = Program::load(engine, module).expect("load");
    for (name, _, shape) in SHAPES {
        for n in SIZES {
            let mut g = program.start(None).expect("start");
            let bare = g.home.footprint();
            let files = ENOUGH.div_ceil(n).min(MOST);
            for file in 0..files {
                shape.write(&mut g, &format!("file-{file:06}"), n);
            }
            let taken = (g.home.footprint() - bare) as f64 / files as f64;
            round.insert(format!("{home}.{name}.{n}"), taken);
        }
    }
    let mut g = program.start(None).expect("start");
    let mut cycle = || {
        g.create("new", b"hello").expect("create");
        g.unlink("new").expect("unlink");
        g.home.footprint()
    };
    let before = cycle();
    let after = (1..CYCLES).map(|_| cycle()).last();
    let grown = after.expect("many cycles") - before;
    round.insert(format!("{home}.cycles"), grown as f64);
}

fn verdicts(samples: &Samples, home: &str) -> Vec<Verdict> {
    let mut most: Option<f64> = None;
    for (shape, ..) in SHAPES {
        for (n, taken) in samples.series(&format!("{home}.{shape}"), Samples::median) {
            let share = taken / allowed(n as usize) as f64;
            most = Some(most.unwrap_or(0.0).max(share));
        }
    }
    vec![
        Verdict::at_most(
            format!("{home}: memory of a file of n bytes, of 1.05 n + 4 KiB"),
            most,
            1.0,
        ),
        Verdict::at_most(
            format!("{home}: bytes by which 1,000,000 cycles of create and unlink grow it"),
            samples.median(&format!("{home}.cycles")),
            0.0,
        ),
    ]
}
