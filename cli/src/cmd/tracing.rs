//! `--trace`: a log of the calls that a program makes.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Contents, Meta, Tree};

use super::faults::Calls;
use crate::host::{Host, Report};
use crate::mapdir::guest_path;
use crate::module::tracing::{To, Tracing};
use crate::report::Hinted;
use crate::scan::Source;
use crate::shown::Shown;

/// What is traced in a module that is packed.
#[derive(clap::Args)]
pub(super) struct Packed {
    /// Have the program log the calls of WASI that it makes, with a summary at the end,
    /// on stderr or in a packed file
    ///
    /// A line for each call, with its arguments, the paths of descriptors, and what it
    /// answered. `monaka run --save-to` gets the file out. The file system is merged
    /// into the program for that, as with --route rewrite; packing again without
    /// --trace takes the tracer out.
    #[arg(
        long,
        value_name = "stderr|/PATH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = Log::parse
    )]
    trace: Option<Log>,
    #[command(flatten)]
    calls: Calls,
}

/// What `--trace` says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Log {
    Nothing,
    To(To),
}

impl Log {
    fn parse(text: &str) -> Result<Log, String> {
        match text {
            "false" => Ok(Log::Nothing),
            "true" | "stderr" => Ok(Log::To(To::Stderr)),
            path if path.starts_with('/') => {
                let path = guest_path(path.as_ref()).map_err(|error| error.to_string())?;
                Ok(Log::To(To::File(path)))
            }
            _ => Err(
                "it is `stderr`, or the path of a packed file, which begins with a slash".into(),
            ),
        }
    }
}

impl Packed {
    /// What the module's tracer does, if it gets one.
    pub(super) fn tracing(&self) -> Option<Tracing> {
        let to = match &self.trace {
            Some(Log::To(to)) => Some(to.clone()),
            None | Some(Log::Nothing) => None,
        };
        if to.is_none() && self.calls.is_empty() {
            return None;
        }
        Some(Tracing {
            log: to.is_some().then(|| self.calls.logged()),
            faults: self.calls.faults(),
            ..Tracing::new(to.unwrap_or(To::Stderr))
        })
    }
}

/// Adds the file that a trace goes to, if it is not there.
pub(super) fn add_file(tree: &mut Tree<Source>, tracing: &Tracing) -> Result<()> {
    let To::File(path) = &tracing.to else {
        return Ok(());
    };
    if let Some(node) = tree.lookup(path) {
        return match tree.contents(node) {
            Contents::Regular { .. } => Ok(()),
            _ => Err(Hinted::new(
                format!("--trace={}: what is packed there is no file", Shown(path)),
                "name a path where nothing is",
            )
            .into()),
        };
    }
    let at = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let directory = tree.make_directories(&path[..at], Meta::default())?;
    let name = &path[at + 1..];
    let empty = Source::Text(Box::default());
    let node = tree.add_file(directory, name, Meta::default(), 0, empty)?;
    tree.set_read_only(node, false);
    Ok(())
}

/// What is traced in a module that is run.
#[derive(clap::Args)]
pub(super) struct Run {
    /// Log the calls of WASI that the program makes, with a summary at the end, on stderr
    /// or in FILE
    ///
    /// The program need not be packed. A line for each call, with its arguments, the
    /// paths of descriptors, and what it answered.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    trace: Option<Option<PathBuf>>,
    #[command(flatten)]
    calls: Calls,
}

impl Run {
    /// What the program's tracer does, if it gets one; has the host take what it says.
    pub(super) fn prepare(&self, host: &mut Host) -> Result<Option<Tracing>> {
        if self.trace.is_none() && self.calls.is_empty() {
            return Ok(None);
        }
        if let Some(place) = &self.trace {
            host.report = Some(match place {
                None => report(|line| io::stderr().write_all(line)),
                Some(path) => {
                    let file = File::create(path)
                        .with_context(|| format!("cannot write {}", path.display()))?;
                    let mut file = io::BufWriter::new(file);
                    // An empty report is the end.
                    report(move |line| match line {
                        [] => file.flush(),
                        line => file.write_all(line),
                    })
                }
            });
        }
        let to = match self.trace {
            Some(_) => To::Monaka,
            // Nothing goes there.
            None => To::Stderr,
        };
        Ok(Some(Tracing {
            log: self.trace.as_ref().map(|_| self.calls.logged()),
            faults: self.calls.faults(),
            entry: host.entry_name().to_string(),
            ..Tracing::new(to)
        }))
    }
}

/// Who takes what a tracer reports.
pub(super) fn report(take: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> Report {
    Arc::new(Mutex::new(take))
}
