//! How fast packed files are, and packing: `make bench`.
//!
//! A C program measures itself, linked, rewritten in both layouts, and on a preopened
//! directory in memory; packing is measured against `cp`, `tar` and the engine's own
//! compile, and by the time that it has of processors. All that is compared runs in
//! turn, several times over; medians and ratios count, for a ratio taken within one
//! run survives a busy machine.

mod calls;
mod packing;

use std::collections::BTreeMap;
use std::process::ExitCode;

use calls::{Calls, Home};
use monaka_tests::toolbox::Libc;
use packing::Packing;

/// How often everything is measured.
const ROUNDS: usize = 5;

const MIB: usize = 1 << 20;

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
    let calls = Calls::new(libc);
    let packing = Packing::new(libc);
    let mut samples = Samples::default();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        let mut numbers = calls.round();
        numbers.append(&mut packing.round());
        samples.0.push(numbers);
    }
    println!(
        "calls, {} wasi-libc, nanoseconds, medians of {ROUNDS} runs\n",
        libc.name()
    );
    print_calls(&samples);
    println!("\npacking, milliseconds\n");
    print_packing(&samples);
    println!();
    let verdicts = verdicts(&samples);
    print_verdicts(&verdicts);
    if verdicts.iter().all(Verdict::passes) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Named measurements, one of each name per round.
#[derive(Default)]
struct Samples(Vec<BTreeMap<String, f64>>);

impl Samples {
    fn median_of(&self, value: impl Fn(&BTreeMap<String, f64>) -> f64) -> f64 {
        let mut values: Vec<_> = self.0.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    fn median(&self, name: &str) -> f64 {
        self.median_of(|round| round[name])
    }

    /// The median of the ratios within each round.
    fn ratio(&self, numerator: &[&str], denominator: &[&str]) -> f64 {
        let sum = |round: &BTreeMap<String, f64>, names: &[&str]| {
            names.iter().map(|name| round[*name]).sum::<f64>()
        };
        self.median_of(|round| sum(round, numerator) / sum(round, denominator))
    }
}

fn print_calls(samples: &Samples) {
    println!("| per call | linked | single | multi | tmpfs through a preopen |");
    println!("|---|---:|---:|---:|---:|");
    for (name, what) in [
        ("copy_out", "memory.copy of 1 MiB, for reading"),
        ("read", "read 1 MiB in a row, 100 MB file"),
        ("copy_in", "memory.copy of 1 MiB, for writing"),
        ("write", "write 1 MiB, new file"),
        ("overwrite", "write 1 MiB, existing file"),
        ("pread", "pread 1 byte"),
        ("open", "open + close, three levels deep"),
        ("stat", "stat, three levels deep"),
    ] {
        let cells = Home::ALL
            .map(|home| format!("{:.0}", samples.median(&format!("{}.{name}", home.name()))));
        println!("| {what} | {} |", cells.join(" | "));
    }
}

fn print_packing(samples: &Samples) {
    println!("| what | ms |\n|---|---:|");
    for (name, what) in [
        ("pack_big", "monaka pack, 100 MB in a file"),
        ("cp", "cp of the file"),
        ("compile", "wasmtime's compile of the module"),
        ("pack_many", "monaka pack, 10,000 files"),
        ("tar", "tar c of the files"),
    ] {
        println!("| {what} | {:.0} |", samples.median(name));
    }
}

/// A number and what is wanted of it.
struct Verdict {
    what: String,
    value: f64,
    wanted: Wanted,
}

enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Verdict {
    fn passes(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(limit) => self.value >= limit,
            Wanted::AtMost(limit) => self.value <= limit,
        }
    }
}

fn verdicts(samples: &Samples) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut verdict = |what: String, value, wanted| {
        verdicts.push(Verdict {
            what,
            value,
            wanted,
        });
    };
    for home in Home::PACKED.map(Home::name) {
        let [read, copy_out, write, copy_in, pread, open] =
            ["read", "copy_out", "write", "copy_in", "pread", "open"]
                .map(|call| format!("{home}.{call}"));
        verdict(
            format!("{home}: reading at … of memory.copy"),
            samples.ratio(&[&copy_out], &[&read]),
            Wanted::AtLeast(0.9),
        );
        verdict(
            format!("{home}: writing at … of memory.copy"),
            samples.ratio(&[&copy_in], &[&write]),
            Wanted::AtLeast(0.6),
        );
        verdict(
            format!("{home}: pread of 1 byte, ns"),
            samples.median(&pread),
            Wanted::AtMost(if home == "linked" { 40.0 } else { 50.0 }),
        );
        verdict(
            format!("{home}: open + close, ns"),
            samples.median(&open),
            Wanted::AtMost(300.0),
        );
    }
    verdict(
        "packing 100 MB against cp + compile".to_owned(),
        samples.ratio(&["pack_big"], &["cp", "compile"]),
        Wanted::AtMost(3.0),
    );
    verdict(
        "packing 10,000 files against tar".to_owned(),
        samples.ratio(&["pack_many"], &["tar"]),
        Wanted::AtMost(5.0),
    );
    for layout in [Home::Single, Home::Multi].map(Home::name) {
        verdict(
            format!("{layout}: KiB added to a program"),
            samples.median(&format!("{layout}.added")) / 1024.0,
            Wanted::AtMost(96.0),
        );
        verdict(
            format!("{layout}: 50 MB into yosys, seconds on processors"),
            samples.median(&format!("{layout}.large_cpu")),
            Wanted::AtMost(2.0),
        );
        verdict(
            format!("{layout}: its peak memory against the output"),
            samples.median(&format!("{layout}.large_peak")),
            Wanted::AtMost(3.0),
        );
    }
    verdicts
}

fn print_verdicts(verdicts: &[Verdict]) {
    println!("| wanted | measured | limit | |\n|---|---:|---:|---|");
    for verdict in verdicts {
        let limit = match verdict.wanted {
            Wanted::AtLeast(limit) => format!("≥ {limit}"),
            Wanted::AtMost(limit) => format!("≤ {limit}"),
        };
        let passes = if verdict.passes() { "pass" } else { "FAIL" };
        println!(
            "| {} | {:.2} | {limit} | {passes} |",
            verdict.what, verdict.value
        );
    }
}

/// Bytes that look random, the same each time (xorshift64).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
