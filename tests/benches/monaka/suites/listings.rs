//! Directories that were packed: finding and listing what is in them.

use std::fs;
use std::path::Path;

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Plot, Row, Series, Table};
use crate::samples::Samples;
use crate::workload::Workload;

/// Of how many entries a directory is, at most.
const MOST: usize = 10_000;

const CALLS: [(&str, &str); 5] = [
    ("lookup", "stat any entry"),
    ("lookup_set", "stat one of 1,000 entries"),
    ("miss", "stat what is not there"),
    ("opendir", "open + close the directory"),
    ("list", "list, per entry"),
];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let workload = Workload::new(setup, "directories.c", &Home::ALL, fill);
    let mut samples = Samples::default();
    for _ in setup.rounds() {
        samples.push(workload.round(args));
    }
    let homes = workload.homes();
    let table = |(call, what): (&str, &str)| {
        let row = |home: &Home| {
            let cell = |size| samples.median(&format!("{}.{call}.{size}", home.name()));
            Row::new(home.name(), sizes().map(cell).collect::<Vec<_>>())
        };
        Table {
            title: format!("{what}, ns; entries of the directory"),
            columns: sizes().map(|size| size.to_string()).collect(),
            rows: homes.iter().map(row).collect(),
        }
    };
    let series = |home: &Home| Series {
        name: home.name().to_owned(),
        points: samples.series(&format!("{}.list", home.name()), Samples::median),
    };
    Chapter {
        title: "Packed directories".into(),
        text: "A C program looks around in directories of empty files that were packed with \
               it, or are the host's: of 1,000 entries at most, as wasmtime reads the \
               directory from its beginning for each part of a listing."
            .into(),
        tables: CALLS.map(table).into(),
        plots: vec![Plot {
            name: "listings".into(),
            title: "list a packed directory, per entry".into(),
            x: "entries of a directory".into(),
            y: "ns".into(),
            series: homes
                .iter()
                .map(series)
                .filter(Series::has_points)
                .collect(),
        }],
        samples,
        ..Chapter::default()
    }
}

fn sizes() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(10), |size| Some(size * 10)).take_while(|size| *size <= MOST)
}

fn args(home: Home) -> Vec<String> {
    // For each part of a listing, wasmtime reads the directory from its beginning.
    let (calls, most) = match home {
        Home::Pool => (100, 1000),
        Home::Tmpfs | Home::Node => (500, 1000),
        Home::WasiVfs => (500, MOST),
        _ => (20_000, MOST),
    };
    vec![calls.to_string(), most.to_string(), "reads".into()]
}

fn fill(files: &Path) {
    for size in sizes() {
        let directory = files.join(format!("d-{size}"));
        fs::create_dir(&directory).expect("create a directory");
        for entry in 0..size {
            fs::write(directory.join(format!("entry-{entry:05x}")), "").expect("write");
        }
    }
}
