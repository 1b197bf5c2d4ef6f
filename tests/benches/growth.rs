//! What calls cost as things grow: the second table of `make bench`.
//!
//! A packed C program measures itself at sizes from small to large. What counts is
//! the ratio of a cost to the least at any smaller size: it may grow by what caches
//! do, for a random entry of 100,000 is in none, and not by what the size does, which
//! would be hundreds of times. The least of some rounds is taken: whatever else the
//! machine does only adds.

use std::collections::BTreeMap;
use std::process::ExitCode;

use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, mapped, monaka, pack};
use tempfile::TempDir;

/// How often everything is measured.
const ROUNDS: usize = 3;

/// What is measured: the program's name for it, ours, of which sizes, and how much
/// the cost may grow; none where growing is known, see docs/DESIGN.md.
const CURVES: &[(&str, &str, &str, Option<f64>)] = &[
    ("create", "create an entry", "entries", Some(10.0)),
    ("lookup", "look an entry up", "entries", Some(16.0)),
    ("miss", "look up what is not there", "entries", Some(8.0)),
    ("opendir", "open the directory", "entries", Some(3.0)),
    ("list", "list, per entry", "entries", Some(3.0)),
    (
        "drain",
        "remove the entry that is listed first",
        "entries",
        Some(6.0),
    ),
    ("depth", "look up, per component", "components", Some(3.0)),
    ("append1", "append 1 byte", "appends", Some(4.0)),
    ("append100", "append 100 bytes", "appends", Some(8.0)),
    ("pread", "pread 100 bytes", "KiB", Some(8.0)),
    ("scatter", "write 1 byte into a hole", "writes", None),
    ("open", "open + close", "open files", Some(4.0)),
    (
        "reopen",
        "open + close below the open files",
        "open files",
        Some(4.0),
    ),
];

fn main() -> ExitCode {
    // `cargo test --all-targets` comes here, too, and measures nothing.
    if std::env::args().all(|arg| arg != "--bench") {
        return ExitCode::SUCCESS;
    }
    let Some(libc) = [Libc::Yowasp, Libc::Old, Libc::Zig]
        .into_iter()
        .find(|libc| libc.is_here())
    else {
        return ExitCode::FAILURE;
    };
    let room = TempDir::new().expect("create a directory");
    let empty = room.path().join("root");
    std::fs::create_dir(&empty).expect("create a directory");
    let packed = room.path().join("growth.wasm");
    let linked = Program::Bench("growth.c").compile(libc, Opt::O2, Linked::Last);
    pack(&linked, ["--mapdir".into(), mapped("/", &empty)], &packed);

    let mut curves: BTreeMap<String, BTreeMap<u64, f64>> = BTreeMap::new();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        let outcome = finish(monaka(["run"]).arg(&packed), "").expect_success();
        for line in outcome.stdout.lines() {
            let fields: Vec<_> = line.split(' ').collect();
            let [name, size, cost] = fields[..] else {
                panic!("{line}: not NAME SIZE NANOSECONDS");
            };
            let cost = cost.parse().expect("nanoseconds");
            let size = size.parse().expect("a size");
            let curve = curves.entry(name.to_owned()).or_default();
            let least = curve.entry(size).or_insert(cost);
            *least = least.min(cost);
        }
    }
    let mut passes = true;
    println!("cost against size, packed, nanoseconds, the least of {ROUNDS} runs\n");
    println!("| what | of | cost at each size | grows | limit | |\n|---|---|---|---:|---:|---|");
    for (name, what, unit, limit) in CURVES {
        let curve = &curves[*name];
        let cells: Vec<_> = curve
            .iter()
            .map(|(size, cost)| format!("{size}: {cost:.0}"))
            .collect();
        let growth = growth(curve.values());
        let (limit, verdict) = match limit {
            Some(limit) if growth <= *limit => (format!("≤ {limit}×"), "pass"),
            Some(limit) => (format!("≤ {limit}×"), "FAIL"),
            None => ("–".to_owned(), ""),
        };
        println!(
            "| {what} | {unit} | {} | {growth:.1}× | {limit} | {verdict} |",
            cells.join(", ")
        );
        passes &= verdict != "FAIL";
    }
    if passes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The most that a cost exceeds one at a smaller size; sizes ascend.
fn growth<'c>(costs: impl Iterator<Item = &'c f64>) -> f64 {
    let mut least = f64::INFINITY;
    costs.fold(0.0, |most, cost| {
        least = least.min(*cost);
        f64::max(most, cost / least)
    })
}
