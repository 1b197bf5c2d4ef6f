//! `monaka diff`: what two trees differ in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::inspect;
use crate::compare::{Comparison, Side};
use crate::find::{Last, rooted};
use crate::mapdir::guest_path;
use crate::module::analyze::Module;
use crate::module::packed::Packed;
use crate::output::{self, JsonArray};
use crate::progress::Progress;
use crate::report::{self, Hinted};
use crate::scan::Choice;
use crate::shown::Shown;

/// Says what two packed modules, image files or directories differ in.
///
/// A line for each path: `A` was added, `D` removed, `M` is in both, but with
/// another type, contents, executable bit or target. Which names are hard links
/// is not compared. A directory is read as `pack` would read it, and nobody
/// misses devices in it, nor the /dev and /tmp that `pack` adds.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka diff old.wasm new.wasm
  monaka diff app.wasm ./root --exclude .git
  monaka diff old.wasm new.wasm /usr/lib --mtime
  monaka diff old.wasm new.wasm --settings
  monaka diff --json old.img new.wasm | jq -r '.[] | select(.change == \"added\").path'

Exit status: 0 when they are the same, 1 when they differ, 2 on an error or when
the command line is wrong.")]
pub(crate) struct Opts {
    /// A packed module, an image file or a directory; `-` is a file from stdin
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// What it is compared with
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Compare only what is at and below this path
    #[arg(value_name = "PATH")]
    path: Option<OsString>,
    /// Compare times of modification, too
    #[arg(long)]
    mtime: bool,
    /// Compare what two packed modules may do, too: mounts, limits and policy
    ///
    /// A line for each that differs: `S`, its name as `monaka inspect` has it, and
    /// what it is in both.
    #[arg(long)]
    settings: bool,
    /// A JSON array with an object for each difference
    #[arg(long)]
    json: bool,
    /// Print nothing, and stop at the first difference
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    #[command(flatten)]
    choice: Choice,
}

/// What `diff` answers when it cannot compare.
const TROUBLE: u8 = 2;

impl Opts {
    /// Compares.
    pub(crate) fn run(self) -> Result<ExitCode> {
        Ok(match self.differ() {
            Ok(false) => ExitCode::SUCCESS,
            Ok(true) => ExitCode::FAILURE,
            Err(error) => {
                report::error(&error);
                ExitCode::from(TROUBLE)
            }
        })
    }

    fn differ(&self) -> Result<bool> {
        let progress = Progress::new(self.quiet);
        if output::is_dash(&self.old) && output::is_dash(&self.new) {
            return Err(Hinted::new(
                "only one of the two can be read from stdin",
                "name a file for the other",
            )
            .into());
        }
        let old = Side::open(&self.old, &self.choice, progress)?;
        let new = Side::open(&self.new, &self.choice, progress)?;
        let path = match &self.path {
            Some(path) => self.meant(&old, &new, guest_path(path)?)?,
            None => b"/".to_vec(),
        };
        let comparison = Comparison {
            old: &old,
            new: &new,
            mtime: self.mtime,
        };
        let settings = match self.settings {
            true => changed(&self.old, &old, &self.new, &new)?,
            false => Vec::new(),
        };
        let mut found = !settings.is_empty();
        if self.quiet && found {
            return Ok(true);
        }
        if self.quiet {
            comparison.run(&path, |_| {
                found = true;
                Ok(false)
            })?;
            return Ok(found);
        }
        output::to_stdout(|out| {
            if self.json {
                let mut array = JsonArray::begin(out)?;
                for setting in &settings {
                    array.push(setting)?;
                }
                comparison.run(&path, |difference| {
                    found = true;
                    array.push(&difference)?;
                    Ok(true)
                })?;
                return Ok(array.end()?);
            }
            for Setting { setting, old, new } in &settings {
                writeln!(out, "S {setting}: {old} → {new}")?;
            }
            comparison.run(&path, |difference| {
                found = true;
                writeln!(out, "{}", difference.line)?;
                Ok(true)
            })
        })?;
        Ok(found)
    }

    /// The path, which must lead somewhere in one of them.
    fn meant(&self, old: &Side, new: &Side, path: Vec<u8>) -> Result<Vec<u8>> {
        for side in [old, new] {
            if side.tree.lookup(&path).is_some() {
                return Ok(path);
            }
        }
        for side in [new, old] {
            // Through links, or else with a word about what was meant.
            if let Some(stored) = side.stored() {
                return Ok(rooted(stored.find(&path, Last::Keep)?.path));
            }
        }
        Err(Hinted::new(
            format!("no {} in either directory", Shown(&path)),
            "leave PATH out to compare all",
        )
        .into())
    }
}

/// A setting that is not the same in both modules.
#[derive(serde::Serialize)]
struct Setting {
    setting: &'static str,
    old: String,
    new: String,
}

/// The settings that two modules differ in. What is no packed module has none: an error.
fn changed(old_path: &Path, old: &Side, new_path: &Path, new: &Side) -> Result<Vec<Setting>> {
    let old = settings(old_path, old)?;
    let new = settings(new_path, new)?;
    let pairs = old.into_iter().zip(new);
    let pairs = pairs.filter(|((_, old), (_, new))| old != new);
    Ok(pairs
        .map(|((setting, old), (_, new))| Setting { setting, old, new })
        .collect())
}

fn settings(path: &Path, side: &Side) -> Result<Vec<(&'static str, String)>> {
    let module = side.stored().filter(|stored| stored.record().is_some());
    let Some(stored) = module else {
        let name = output::shown(path, "what comes from stdin");
        return Err(Hinted::new(
            format!("{name} is no packed module, so it has no settings"),
            "leave --settings out to compare files",
        )
        .into());
    };
    let module = Module::parse(stored.file())?;
    let packed = Packed::open(stored.file(), &module)?;
    inspect::settings(&packed.context("its record is gone")?)
}
