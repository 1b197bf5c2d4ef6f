//! SQLite's own speedtest.

use monaka_tests::toolbox::Program;

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Row, Table, Verdict};
use crate::samples::{Round, Samples};
use crate::workload::Workload;

const HOMES: [Home; 5] = [
    Home::Linked,
    Home::Single,
    Home::Multi,
    Home::Tmpfs,
    Home::Node,
];

/// What is run: the name in samples, ours, and its arguments.
const SETS: [(&str, &str, &[&str]); 3] = [
    (
        "main",
        "the main set",
        &["--testset", "main", "--size", "25"],
    ),
    (
        "small-cache",
        "the same with a cache of 10 pages",
        &["--testset", "main", "--size", "25", "--cachesize", "10"],
    ),
    ("orm", "the orm set", &["--testset", "orm", "--size", "25"]),
];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let program = Program::Using(".cache/debian/speedtest1.c", "sqlite-rtree");
    let workload = Workload::of_program(program, setup, &HOMES, |_| {}).reading(totals);
    let mut samples = Samples::default();
    for _ in setup.rounds() {
        let mut round = Round::new();
        for (set, _, args) in SETS {
            let places: [(&str, &[&str]); 2] = [
                ("file", &["--journal", "delete", "/speed.db"]),
                ("memory", &["--memdb", "/speed.db"]),
            ];
            for (place, more) in places {
                let told: Vec<String> = args.iter().chain(more).map(|arg| (*arg).into()).collect();
                for (name, value) in workload.round(|_| told.clone()) {
                    round.insert(format!("{name}.{place}.{set}"), value);
                }
            }
        }
        samples.push(round);
    }
    let homes = workload.homes();
    let mut columns = vec![":memory:".to_owned()];
    columns.extend(homes.iter().map(|home| home.name().to_owned()));
    let row = |(set, what, _): (&str, &str, &[&str])| {
        let mut cells = vec![samples.median(&format!("linked.total.memory.{set}"))];
        let cell = |home: &Home| samples.median(&format!("{}.total.file.{set}", home.name()));
        cells.extend(homes.iter().map(cell));
        Row::new(what, cells)
    };
    let mut verdicts = Vec::new();
    for home in Home::OURS.map(Home::name) {
        let [file, memory] = ["file", "memory"].map(|place| format!("{home}.total.{place}.main"));
        verdicts.push(Verdict::at_most(
            format!("{home}: the main set, of its time in `:memory:`"),
            samples.ratio(&[&file], &[&memory]),
            1.3,
        ));
        verdicts.push(Verdict::at_least(
            format!("{home}: the main set, times as fast as on tmpfs"),
            samples.ratio(&["tmpfs.total.file.main"], &[&file]),
            1.0,
        ));
    }
    Chapter {
        title: "SQLite".into(),
        text: "SQLite's speedtest1 at size 25 on a database in a file, with a rollback journal. \
               `:memory:` is the same program with SQLite's own memory in place of files, which \
               is the limit: the rest is SQLite itself."
            .into(),
        tables: vec![Table {
            title: "seconds".into(),
            columns,
            rows: SETS.map(row).into(),
        }],
        verdicts,
        samples,
        ..Chapter::default()
    }
}

/// Of the lines `NAME....  SECONDSs` the one of the total.
fn totals(printed: &str) -> Vec<(String, f64)> {
    let total = printed.lines().find_map(|line| {
        let (_, seconds) = line.trim().strip_prefix("TOTAL.")?.rsplit_once(' ')?;
        seconds.strip_suffix('s')?.parse().ok()
    });
    let total = total.unwrap_or_else(|| panic!("no line with a total:\n{printed}"));
    vec![("total".to_owned(), total)]
}
