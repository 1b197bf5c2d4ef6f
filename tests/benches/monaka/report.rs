//! What was measured: chapters, one of each suite, of tables, plots and verdicts.

use std::fs;
use std::path::Path;

use monaka_tests::toolbox::root;
use serde::Serialize;

use crate::machine::Machine;
use crate::samples::Samples;
use crate::{Setup, markdown, plot};

/// A run of the harness.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The commit that was measured, with `+ changes` where the tree had some.
    pub(crate) commit: String,
    pub(crate) date: String,
    pub(crate) rounds: usize,
    pub(crate) libc: &'static str,
    pub(crate) machine: Machine,
    pub(crate) chapters: Vec<Chapter>,
}

/// What a suite measured.
#[derive(Default, Serialize)]
pub(crate) struct Chapter {
    pub(crate) title: String,
    /// What was measured and how, in Markdown.
    pub(crate) text: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) plots: Vec<Plot>,
    pub(crate) verdicts: Vec<Verdict>,
    /// Everything that was measured, round by round.
    pub(crate) samples: Samples,
}

/// Numbers by row and column.
#[derive(Serialize)]
pub(crate) struct Table {
    /// What is in it and in which unit.
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// A row of a table, with a cell for each of its columns; empty where nothing was, or
/// can be, measured.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) cells: Vec<Option<f64>>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, cells: impl Into<Vec<Option<f64>>>) -> Row {
        Row {
            name: name.into(),
            cells: cells.into(),
        }
    }
}

/// How numbers depend on another; both axes are logarithmic.
#[derive(Serialize)]
pub(crate) struct Plot {
    /// The name of its file, without extension.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) series: Vec<Series>,
}

/// A line of a plot, by ascending x.
#[derive(Serialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A number and what is wanted of it.
#[derive(Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    /// None if it could not be measured, which never passes.
    pub(crate) value: Option<f64>,
    pub(crate) limit: Limit,
}

/// What a number may be.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Series {
    pub(crate) fn has_points(&self) -> bool {
        !self.points.is_empty()
    }
}

impl Verdict {
    pub(crate) fn at_least(what: impl Into<String>, value: Option<f64>, limit: f64) -> Verdict {
        Verdict {
            what: what.into(),
            value,
            limit: Limit::AtLeast(limit),
        }
    }

    pub(crate) fn at_most(what: impl Into<String>, value: Option<f64>, limit: f64) -> Verdict {
        Verdict {
            what: what.into(),
            value,
            limit: Limit::AtMost(limit),
        }
    }

    pub(crate) fn passes(&self) -> bool {
        self.value.is_some_and(|value| match self.limit {
            Limit::AtLeast(limit) => value >= limit,
            Limit::AtMost(limit) => value <= limit,
        })
    }
}

impl Report {
    /// A report without chapters, about this machine as it is now.
    pub(crate) fn new(setup: &Setup) -> Report {
        Report {
            commit: crate::machine::commit(),
            date: crate::machine::date(),
            rounds: setup.rounds,
            libc: setup.libc.name(),
            machine: Machine::new(setup.libc),
            chapters: Vec::new(),
        }
    }

    pub(crate) fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.chapters.iter().flat_map(|chapter| &chapter.verdicts)
    }

    /// Writes `target/bench`: results.json, and the plots.
    pub(crate) fn save(&self) {
        let place = root().join("target/bench");
        fs::create_dir_all(&place).expect("create target/bench");
        let text = serde_json::to_string_pretty(self).expect("numbers and names");
        write(&place.join("results.json"), &text);
        self.draw(&place);
    }

    /// Writes docs/BENCHMARKS.md and its plots, and removes those of no chapter.
    pub(crate) fn publish(&self) {
        let docs = root().join("docs");
        let _ = fs::remove_dir_all(docs.join("bench"));
        self.draw(&docs.join("bench"));
        write(&docs.join("BENCHMARKS.md"), &markdown::report(self));
    }

    fn draw(&self, place: &Path) {
        fs::create_dir_all(place).expect("create a directory for plots");
        for plot in self.chapters.iter().flat_map(|chapter| &chapter.plots) {
            let file = place.join(&plot.name).with_extension("svg");
            write(&file, &plot::svg(plot));
        }
    }
}

/// Writes a file at once or not at all.
fn write(path: &Path, text: &str) {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
