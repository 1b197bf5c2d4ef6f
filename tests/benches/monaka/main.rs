//! What monaka costs, in one run: `make bench`.
//!
//! A **suite** ([`suites`]) measures one thing and answers a [`Chapter`]: tables, plots
//! and verdicts, numbers all of them, and nothing printed. What is done with chapters
//! stands here and in [`report`]: tables and verdicts to stdout, everything with each
//! sample to `target/bench/results.json`, and, where all suites ran, docs/BENCHMARKS.md
//! with plots below docs/bench.
//!
//! A suite that compares homes of the file system ([`home`]) builds a
//! [`Workload`](workload::Workload) of a C or Rust program that measures itself and
//! prints lines of `NAME NANOSECONDS`, runs it in each home in every round, always in
//! the same order, and keeps what was printed as [`Samples`](samples::Samples), under
//! `HOME.NAME`. Medians over the rounds count, and medians of ratios taken within a
//! round, for those survive a machine that is busy with something else.
//!
//! To add a suite: a file in `suites/` with a function `(&Setup) -> Chapter`, and a line
//! in [`suites::ALL`].
//!
//! `ROUNDS` in the environment says how often everything is measured.

mod home;
mod machine;
mod markdown;
mod peers;
mod plot;
mod report;
mod samples;
mod suites;
mod usage;
mod workload;

use std::process::ExitCode;
use std::time::Instant;

use monaka_tests::toolbox::Libc;
use report::{Chapter, Report};

/// How often everything is measured where nothing else is said.
const ROUNDS: usize = 5;

/// What all suites are given.
struct Setup {
    /// The libc of the programs in C.
    libc: Libc,
    /// How often everything is to be measured.
    rounds: usize,
}

impl Setup {
    /// The rounds, counted from 1, each told on stderr.
    fn rounds(&self) -> impl Iterator<Item = usize> {
        let rounds = self.rounds;
        (1..=rounds).inspect(move |round| eprintln!("  round {round} of {rounds}"))
    }
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if usage::is_asked(&args) {
        return ExitCode::SUCCESS;
    }
    // `cargo test --all-targets` comes here, too, and measures nothing.
    if args.iter().all(|arg| arg != "--bench") {
        return ExitCode::SUCCESS;
    }
    match bench(args.into_iter().filter(|arg| arg != "--bench").collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the suites of these names, or all; whether all verdicts pass.
fn bench(wanted: Vec<String>) -> Result<bool, String> {
    let names: Vec<_> = suites::ALL.iter().map(|suite| suite.name).collect();
    if let Some(name) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        let names = names.join(", ");
        return Err(format!(
            "no suite is called '{name}'\n  hint: there are {names}"
        ));
    }
    let libcs = [Libc::Yowasp, Libc::Old, Libc::Zig];
    let libc = libcs.into_iter().find(|libc| libc.is_here());
    let setup = Setup {
        libc: libc.ok_or("no libc is here\n  hint: make setup")?,
        rounds: rounds()?,
    };
    let mut report = Report::new(&setup);
    for suite in suites::ALL {
        if !wanted.is_empty() && wanted.iter().all(|name| name != suite.name) {
            continue;
        }
        eprintln!("{}: {}", suite.name, suite.about);
        let start = Instant::now();
        let chapter: Chapter = (suite.run)(&setup);
        eprintln!("{} took {:.0} s", suite.name, start.elapsed().as_secs_f64());
        println!("{}", markdown::chapter(&chapter));
        report.chapters.push(chapter);
        // Of a run that fails later, so much is kept.
        report.save();
    }
    if wanted.is_empty() {
        report.publish();
    }
    println!("{}", markdown::summary(&report));
    Ok(report.verdicts().all(|verdict| verdict.passes()))
}

fn rounds() -> Result<usize, String> {
    match std::env::var("ROUNDS") {
        Err(_) => Ok(ROUNDS),
        Ok(text) => match text.parse() {
            Ok(rounds) if rounds > 0 => Ok(rounds),
            _ => Err(format!("ROUNDS={text} is not a number of rounds")),
        },
    }
}
