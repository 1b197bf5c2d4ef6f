//! `monaka doctor`: what a file is, whether it can be packed, and what will not work.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::module::checkup::{Checkup, Patient};
use crate::output;
use crate::report;

/// Says what a module is and what packing it will do, without running it.
///
/// It tries the pack out in memory: by which route, what is lost on the way, which
/// runtimes run the result, and what will not work and why.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka doctor app.wasm
  monaka doctor app.wasm --json | jq -r .route
  monaka doctor - < app.wasm && echo it can be packed

Exit status: 0 if it can be packed, 1 if not or on an error, 2 when the command
line is wrong.")]
pub(crate) struct Opts {
    /// The module; `-` reads it from stdin
    #[arg(value_name = "APP.WASM")]
    input: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Opts {
    /// Looks and prints.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let name = output::shown(&self.input, "the file on stdin");
        let wasm = output::read(&self.input).with_context(|| format!("cannot read {name}"))?;
        let checkup = Checkup::of(&wasm);
        report::print(&match self.json {
            true => serde_json::to_string_pretty(&checkup)? + "\n",
            false => text(&name, &checkup),
        })?;
        Ok(match checkup.obstacle {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        })
    }
}

fn text(name: &str, checkup: &Checkup) -> String {
    let mut text = match &checkup.obstacle {
        None => format!("{name} can be packed\n"),
        Some(obstacle) => format!(
            "{name} cannot be packed: {}\nhint: {}\n",
            obstacle.reason, obstacle.hint
        ),
    };
    let mut line = |label: &str, value: &str| text += &wrapped(label, value);
    line(
        "what",
        &format!("{}, {}", checkup.what, report::bytes(checkup.bytes)),
    );
    if let Some(patient) = &checkup.module {
        describe(patient, &mut line);
    }
    text
}

fn describe(patient: &Patient, line: &mut impl FnMut(&str, &str)) {
    let origin = &patient.origin;
    let made_by = match (origin.toolchain, origin.sign) {
        (Some(toolchain), Some(sign)) => format!("{toolchain} (told by {sign})"),
        _ => "unknown: producers section and names are missing".into(),
    };
    line("made by", &made_by);
    if !origin.tools.is_empty() {
        line("tools", &origin.tools.join(", "));
    }
    line("libc", origin.libc.unwrap_or("unknown"));
    line("entry", &patient.entry);
    for (subject, names) in &patient.imports {
        line(
            "imports",
            &format!("{subject} ({}): {}", names.len(), names.join(", ")),
        );
    }
    if patient.imports.is_empty() {
        line("imports", "nothing");
    }
    for memory in &patient.memories {
        let most = match memory.maximum {
            Some(maximum) if maximum == memory.initial => ", and never more".into(),
            Some(maximum) => format!(", {} at most", report::bytes(maximum)),
            None => String::new(),
        };
        line(
            "memory",
            &format!("{} at the start{most}", report::bytes(memory.initial)),
        );
    }
    line(
        "features",
        match patient.features.is_empty() {
            true => "none beyond the first version of WebAssembly",
            false => &patient.features,
        },
    );
    let size = patient.sizes.named();
    let size = size.iter().filter(|(_, bytes)| *bytes > 0);
    let size: Vec<String> = size
        .map(|(what, len)| format!("{what} {}", report::bytes(*len)))
        .collect();
    line("size", &size.join(", "));
    if let Some(outcome) = &patient.outcome {
        line("route", &outcome.way);
        line(
            "compress",
            match (outcome.compress, outcome.route) {
                (true, _) => "yes, it reads compressed files",
                (false, "linked") => {
                    "no, its library has no decoder: relink it with that of `monaka lib --zstd`, \
                     or pack the original with --route rewrite"
                }
                (false, _) => "no, it was packed without --compress: pack the original again",
            },
        );
        line(
            "room",
            &format!(
                "{} for what is packed and written",
                report::bytes(outcome.room)
            ),
        );
        line("runs on", &outcome.runs_on);
        if let Some(multi) = &outcome.runs_on_multi {
            line("", &format!("with --memory multi: {multi}"));
        }
    }
    for note in &patient.notes {
        line("note", note);
    }
}

/// A label and its text, which goes on below itself.
fn wrapped(label: &str, text: &str) -> String {
    const INDENT: usize = 12;
    const WIDTH: usize = 100;
    let mut out = format!("{label:INDENT$}");
    let mut column = INDENT;
    for (index, word) in text.split(' ').enumerate() {
        let len = word.chars().count();
        if index > 0 && column + 1 + len > WIDTH {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{:INDENT$}", "");
            column = INDENT;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += len;
    }
    out.trim_end().to_string() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_below_themselves() {
        assert_eq!(wrapped("what", "a module"), "what        a module\n");
        let long = format!("{} {}", "x".repeat(80), "y".repeat(8));
        let expected = format!(
            "what        {}\n            {}\n",
            "x".repeat(80),
            "y".repeat(8)
        );
        assert_eq!(wrapped("what", &long), expected);
    }
}
