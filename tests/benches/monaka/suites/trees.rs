//! Copying a tree of files and removing the copy.

use std::fs;
use std::path::Path;

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Plot, Row, Series, Table, Verdict};
use crate::samples::Samples;
use crate::workload::{Workload, prose};

/// Files in each tree.
const FILES: [u64; 3] = [100, 1_000, 10_000];

const HOMES: [Home; 7] = [
    Home::Linked,
    Home::Single,
    Home::Multi,
    Home::Compressed,
    Home::Tmpfs,
    Home::Pool,
    Home::Node,
];

/// What is measured: the program's name for it, and ours.
const WORK: [(&str, &str); 2] = [("copy", "copying"), ("remove", "removing the copy")];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let workload = Workload::new(setup, "trees.c", &HOMES, fill);
    let mut samples = Samples::default();
    for _ in setup.rounds() {
        samples.push(workload.round(args));
    }
    let homes = workload.homes();
    Chapter {
        title: "Copying a tree".into(),
        text: "A C program copies a packed tree within the file system, as `cp -r` does, with \
               readdir, open, read, write and close, and removes the copy. The files have 200 \
               to 12,000 bytes, 6 KB on average, 100 in a directory. memcpy is that of the same \
               bytes in as many parts, in the same program, through no cache. Homes whose calls \
               are slow copy fewer."
            .into(),
        tables: WORK
            .map(|(work, what)| table(&samples, &homes, work, what))
            .into(),
        plots: vec![Plot {
            name: "trees".into(),
            title: "copying a tree".into(),
            x: "files".into(),
            y: "ns per file".into(),
            series: curves(&samples, &homes),
        }],
        verdicts: verdicts(&samples),
        samples,
    }
}

fn fill(files: &Path) {
    let bytes = prose(1 << 20);
    for number in FILES {
        for file in 0..number as usize {
            let place = files.join(format!("trees/{number}/d{:02}", file / 100));
            if file % 100 == 0 {
                fs::create_dir_all(&place).expect("create directories");
            }
            let (at, len) = (file * 89, 200 + file * 7919 % 11_800);
            fs::write(place.join(format!("file-{file:05}")), &bytes[at..at + len]).expect("write");
        }
    }
}

fn args(home: Home) -> Vec<String> {
    let most = match home {
        Home::Pool | Home::Compressed | Home::Node => 1_000,
        _ => u64::MAX,
    };
    let sizes = FILES.into_iter().filter(|files| *files <= most);
    sizes.map(|files| files.to_string()).collect()
}

fn table(samples: &Samples, homes: &[Home], work: &str, what: &str) -> Table {
    let mut columns = vec!["memcpy".to_owned()];
    columns.extend(homes.iter().map(|home| home.name().to_owned()));
    let row = |files: u64| {
        // Of what ran beside each home, the one beside the first.
        let memcpy = samples.median(&format!("linked.memcpy.{files}"));
        let mut cells = vec![memcpy.filter(|_| work == "copy")];
        let cell = |home: &Home| samples.median(&format!("{}.{work}.{files}", home.name()));
        cells.extend(homes.iter().map(cell));
        Row::new(format!("{files} files"), cells)
    };
    Table {
        title: format!("{what}, ns per file"),
        columns,
        rows: FILES.map(row).into(),
    }
}

fn curves(samples: &Samples, homes: &[Home]) -> Vec<Series> {
    let curve = |name: &str, what: String| Series {
        name: name.to_owned(),
        points: samples.series(&what, Samples::median),
    };
    let mut curves = vec![curve("memcpy", "linked.memcpy".to_owned())];
    let of = |home: &Home| curve(home.name(), format!("{}.copy", home.name()));
    curves.extend(homes.iter().map(of));
    curves
}

/// A file of a large tree takes what one of a small tree does, but for the caches.
fn verdicts(samples: &Samples) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for home in Home::OURS.map(Home::name) {
        for (work, what) in WORK {
            let [many, few] = [10_000, 100].map(|files| format!("{home}.{work}.{files}"));
            verdicts.push(Verdict::at_most(
                format!("{home}: {what}, a file of 10,000 against one of 100"),
                samples.ratio(&[&many], &[&few]),
                3.0,
            ));
        }
    }
    verdicts
}
