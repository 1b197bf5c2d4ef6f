//! What the tracer of a module does, as a merged module keeps it.

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Glance, Kind};
use monaka_vfs_core::trace::{self, CLASSES, CallSet, Destination, Fault, Settings};
use wasmparser::BinaryReader;

use super::refusal::Refusal;
use super::section::{Section, write_leb};
use crate::find::{Last, find};
use crate::report::Hinted;
use crate::shown::Shown;

/// The custom section's name.
pub(crate) const SECTION: &str = "monaka.trace";

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// The host's stderr.
    Stderr,
    /// A packed file of that path.
    File(Vec<u8>),
    /// `monaka run`.
    Monaka,
}

/// What a tracer does.
///
/// The custom section `monaka.trace` holds it: the settings of the tracer, the path of
/// the file that it writes to, and the export that it waits for the end of; each behind
/// its length as LEB128.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tracing {
    pub(crate) to: To,
    /// The calls that are logged, if any.
    pub(crate) log: Option<CallSet>,
    /// Whether inodes that calls reach are reported to `monaka run`.
    pub(crate) profile: bool,
    /// Whether all calls go on to the host.
    pub(crate) pass: bool,
    pub(crate) faults: Vec<Fault>,
    /// The export that runs the program.
    pub(crate) entry: String,
}

/// The export that runs a program.
pub(crate) const START: &str = "_start";

impl Tracing {
    /// One that does nothing yet.
    pub(crate) fn new(to: To) -> Tracing {
        Tracing {
            to,
            log: None,
            profile: false,
            pass: false,
            faults: Vec::new(),
            entry: START.into(),
        }
    }

    /// The export that runs the program.
    pub(super) fn entry(&self) -> &str {
        &self.entry
    }

    /// Whether it needs the host that `monaka run` is.
    pub(super) fn reports(&self) -> bool {
        self.to == To::Monaka
    }

    /// Whether it writes to the host's stderr, whatever the program may do there.
    pub(super) fn writes(&self) -> bool {
        self.log.is_some() && self.to == To::Stderr
    }

    /// What the blob is told where `tables` are mounted.
    pub(super) fn settings(&self, tables: &[u8]) -> Result<Settings> {
        let to = match &self.to {
            To::Stderr => Destination::Stderr,
            To::Monaka => Destination::Monaka,
            To::File(path) => file(tables, path).ok_or_else(|| {
                Hinted::new(
                    format!(
                        "{}, which the trace goes to, is no packed file",
                        Shown(path)
                    ),
                    "name the trace's file anew, with --trace=/PATH, or put a file there",
                )
            })?,
        };
        Ok(self.settings_to(to))
    }

    fn settings_to(&self, to: Destination) -> Settings {
        Settings {
            to,
            log: self.log.is_some(),
            calls: self.log.unwrap_or(CallSet::ALL),
            profile: self.profile,
            pass: self.pass,
            faults: self.faults.clone(),
        }
    }

    pub(super) fn section<'a>(&self) -> Section<'a> {
        let to = match self.to {
            To::Stderr => Destination::Stderr,
            To::Monaka => Destination::Monaka,
            To::File(_) => Destination::File(0, 0),
        };
        let path = match &self.to {
            To::File(path) => &path[..],
            To::Stderr | To::Monaka => b"",
        };
        let mut out = Vec::new();
        for part in [&self.settings_to(to).encode(), path, self.entry.as_bytes()] {
            write_leb(&mut out, part.len() as u64);
            out.extend_from_slice(part);
        }
        Section::custom(SECTION, &out)
    }

    /// That of a module, if it is traced.
    pub(crate) fn of(sections: &[Section<'_>]) -> Result<Option<Tracing>, Refusal> {
        let payload = sections
            .iter()
            .find_map(|section| match section.as_custom() {
                Some((SECTION, payload)) => Some(payload),
                _ => None,
            });
        let damaged = || Refusal::DamagedPack(format!("{SECTION} cannot be read"));
        payload
            .map(|payload| Tracing::decode(payload).ok_or_else(damaged))
            .transpose()
    }

    fn decode(payload: &[u8]) -> Option<Tracing> {
        let mut reader = BinaryReader::new(payload, 0);
        let mut part = || {
            let len = reader.read_var_u32().ok()?;
            reader.read_bytes(len as usize).ok()
        };
        let settings = Settings::decode(part()?).ok()?;
        let path = part()?.to_vec();
        Some(Tracing {
            to: match settings.to {
                Destination::Stderr => To::Stderr,
                Destination::Monaka => To::Monaka,
                Destination::File(..) => To::File(path),
            },
            log: settings.log.then_some(settings.calls),
            profile: settings.profile,
            pass: settings.pass,
            faults: settings.faults,
            entry: String::from_utf8(part()?.to_vec()).ok()?,
        })
    }

    /// What it does, in a few words each.
    pub(crate) fn described(&self) -> Vec<String> {
        let to = match &self.to {
            To::Stderr => "stderr".to_string(),
            To::File(path) => Shown(path).to_string(),
            To::Monaka => "`monaka run`".to_string(),
        };
        let log = self.log.map(|calls| match calls {
            CallSet::ALL => format!("all calls, to {to}"),
            calls => format!("{}, to {to}", named(calls)),
        });
        let faults = self.faults.iter().map(described);
        log.into_iter().chain(faults).collect()
    }
}

/// The file that a trace is appended to.
fn file(tables: &[u8], path: &[u8]) -> Option<Destination> {
    let found = find(Glance::open(tables).ok()?, path, Last::Keep).ok()?;
    match found.inode.kind {
        // Numbers of inodes begin with 1 when they are mounted.
        Kind::Regular { size, .. } => Some(Destination::File(found.number + 1, size)),
        _ => None,
    }
}

/// A fault as `--fault` takes it.
fn described(fault: &Fault) -> String {
    let calls = named(fault.calls);
    let pattern = Shown(&fault.pattern);
    let count = match (fault.first, fault.onwards) {
        (1, true) => String::new(),
        (first, true) => format!("@{first}+"),
        (first, false) => format!("@{first}"),
    };
    format!("{calls}:{pattern}:{}{count}", fault.errno.name())
}

/// The name of a set of calls, or the names of all of them.
fn named(calls: CallSet) -> String {
    let classes = CLASSES.iter().map(|(class, _)| *class);
    let names = trace::functions().map(|function| function.name);
    let mut all = ["*"].into_iter().chain(classes).chain(names);
    let one = all.find(|name| CallSet::named(name) == Some(calls));
    one.map_or_else(
        || {
            let names = trace::functions().map(|function| function.name);
            let of = |name: &&str| CallSet::named(name).is_some_and(|one| calls.includes(one));
            names.filter(of).collect::<Vec<_>>().join(",")
        },
        str::to_string,
    )
}

/// A module that something is to be traced in: what it is merged into, and what it
/// was packed with.
pub(crate) fn described_in(wasm: &[u8]) -> Result<Option<Vec<String>>> {
    let sections = super::section::skim(wasm).collect::<Result<Vec<_>>>();
    let tracing = Tracing::of(&sections.context("the module is malformed")?)?;
    Ok(tracing.map(|tracing| tracing.described()))
}
