//! Reports as Markdown: what is printed, and docs/BENCHMARKS.md.

use std::fmt::Write as _;

use crate::report::{Chapter, Limit, Report, Table, Verdict};
use crate::suites;

/// docs/BENCHMARKS.md.
pub(crate) fn report(report: &Report) -> String {
    let mut text = format!(
        "# What monaka costs\n\n\
         Made by `make bench`, {}, of commit {}; do not edit. Medians of {} if nothing\n\
         else is said; in each, everything that is compared ran in turn, in the same order, and\n\
         ratios were taken within a round. `target/bench/results.json` of such a run has every\n\
         sample.\n\n",
        report.date,
        report.commit,
        match report.rounds {
            1 => "one round".to_owned(),
            rounds => format!("{rounds} rounds"),
        }
    );
    text += &homes();
    text += "\n## The machine\n\n| | |\n|---|---|\n";
    for (name, value) in report.machine.facts() {
        line(&mut text, format_args!("| {name} | {value} |"));
    }
    text.push('\n');
    text += &summary(report);
    for each in &report.chapters {
        text.push('\n');
        text += &chapter(each);
        for plot in &each.plots {
            line(
                &mut text,
                format_args!("\n![{}](bench/{}.svg)", plot.title, plot.name),
            );
        }
    }
    text
}

/// A chapter without its plots.
pub(crate) fn chapter(chapter: &Chapter) -> String {
    let mut text = format!("## {}\n\n{}\n", chapter.title, chapter.text.trim());
    for each in &chapter.tables {
        text.push('\n');
        text += &table(each);
    }
    if !chapter.verdicts.is_empty() {
        text.push('\n');
        text += &verdicts(chapter.verdicts.iter());
    }
    text
}

/// How many limits are met, and which are not.
pub(crate) fn summary(report: &Report) -> String {
    let all = report.verdicts().count();
    let failed: Vec<_> = report
        .verdicts()
        .filter(|verdict| !verdict.passes())
        .collect();
    let mut text = format!(
        "## Limits\n\n{} of {all} limits are met.\n",
        all - failed.len()
    );
    if !failed.is_empty() {
        text += "Not these:\n\n";
        text += &verdicts(failed.into_iter());
    }
    text
}

fn homes() -> String {
    let mut text = String::from("Columns are homes of the files:\n\n| | |\n|---|---|\n");
    for home in crate::home::Home::ALL {
        line(
            &mut text,
            format_args!("| {} | {} |", home.name(), home.about()),
        );
    }
    text += "\nEach suite runs alone with `make bench SUITES=\"NAME…\"`:\n\n| | |\n|---|---|\n";
    for suite in suites::ALL {
        line(
            &mut text,
            format_args!("| `{}` | {} |", suite.name, suite.about),
        );
    }
    text
}

fn table(table: &Table) -> String {
    let mut text = format!("| {} |", table.title);
    for column in &table.columns {
        // Writing to a string cannot fail.
        let _ = write!(text, " {column} |");
    }
    text += "\n|---|";
    text += &"---:|".repeat(table.columns.len());
    text.push('\n');
    for row in &table.rows {
        let cells: Vec<_> = row.cells.iter().map(|cell| number(*cell)).collect();
        line(
            &mut text,
            format_args!("| {} | {} |", row.name, cells.join(" | ")),
        );
    }
    text
}

fn verdicts<'v>(verdicts: impl Iterator<Item = &'v Verdict>) -> String {
    let mut text = String::from("| wanted | measured | limit | |\n|---|---:|---:|---|\n");
    for verdict in verdicts {
        let limit = match verdict.limit {
            Limit::AtLeast(limit) => format!("≥ {limit}"),
            Limit::AtMost(limit) => format!("≤ {limit}"),
        };
        let passes = if verdict.passes() { "pass" } else { "**FAIL**" };
        line(
            &mut text,
            format_args!(
                "| {} | {} | {limit} | {passes} |",
                verdict.what,
                number(verdict.value)
            ),
        );
    }
    text
}

/// A number with three digits or more; what was not measured as a dash.
fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value >= 1000.0 => grouped(value),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// A large number with commas between its thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
