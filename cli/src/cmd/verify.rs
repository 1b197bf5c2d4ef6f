//! `monaka verify`: whether what is packed is what was packed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use monaka_vfs_core::image::{Image, Kind, write};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::pack::{Summary, usage_error};
use crate::compare::{Comparison, Difference, Side};
use crate::find::Last;
use crate::module::analyze::Module;
use crate::module::merge::Merged;
use crate::module::packed::{ImageRecord, Packed};
use crate::module::refusal::Refusal;
use crate::module::state;
use crate::output;
use crate::progress::Progress;
use crate::report::{self, Hinted};
use crate::scan::Choice;
use crate::shown::{Shown, hex};
use crate::stored::{DAMAGED, Stored};
use crate::walk::{Step, walk};

/// Checks a packed module or an image file, without running the program.
///
/// `image`: the tables are checked as a whole. `files`: every compressed file is
/// decoded. In a module, `sha256`: tables and contents must have the hash that
/// `pack` has recorded; `module`: it must be valid, and what `pack` needs to change
/// it must be there; `state`: memories and globals must begin as mounting the image
/// anew makes them, for which nothing runs but the file system (in a linked program
/// also its allocator). In an image file, which has no hash, `layout`: tables and
/// padding must be as monaka writes them. What the program itself does, and whether
/// someone else has packed it, no check can say.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka verify out.wasm
  monaka verify out.wasm --against ./root --exclude .git
  monaka verify --quiet files.img && cp files.img /srv
  monaka verify --json out.wasm | jq .sound

Exit status: 0 when all is well, 1 when something is damaged or different, or FILE
cannot be read, 2 when the command line is wrong.")]
pub(crate) struct Opts {
    /// A packed module or an image file; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Also compare what is packed with this directory, as `monaka diff` does
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Compare times of modification, too
    #[arg(long, requires = "against")]
    mtime: bool,
    /// A JSON object that says of each check how it went
    #[arg(long)]
    json: bool,
    /// Say only what is wrong
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    #[command(flatten)]
    choice: Choice,
}

/// How a check went.
#[derive(Serialize)]
struct Check {
    name: &'static str,
    sound: bool,
    /// What was found.
    detail: String,
}

/// All that was found.
#[derive(Serialize)]
struct Findings {
    file: String,
    sound: bool,
    checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Vec<Difference>>,
}

impl Opts {
    /// Checks.
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.against.is_none() && self.choice.is_made() {
            usage_error(
                "verify",
                "what of a directory is compared can be chosen only with --against DIR",
            );
        }
        let progress = Progress::new(self.quiet);
        let stored = Stored::open(&self.input)?;
        let file = stored.name.clone();
        let mut checks = Vec::new();
        // Without sound tables nothing else can be looked at.
        if check(&mut checks, "image", image(&stored)) {
            check(&mut checks, "files", files(&stored));
            match stored.record() {
                Some(record) => {
                    let sha256 = digest(&stored, record, progress);
                    check(&mut checks, "sha256", sha256);
                    // What is not valid is not looked into further.
                    if check(&mut checks, "module", module(stored.file())) {
                        check(&mut checks, "state", state(stored.file()));
                    }
                }
                None => {
                    check(&mut checks, "layout", layout(&stored));
                }
            }
        }
        let is_sound = checks.iter().all(|check| check.sound);
        let differences = match &self.against {
            Some(directory) if is_sound => {
                let host = Side::directory(directory, &self.choice, progress)?;
                Some(self.compare(&host, &Side::packed(stored)?)?)
            }
            _ => None,
        };
        let findings = Findings {
            file,
            sound: is_sound && differences.as_ref().is_none_or(Vec::is_empty),
            checks,
            differences,
        };
        self.tell(&findings)?;
        Ok(match findings.sound {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    fn compare(&self, old: &Side, new: &Side) -> Result<Vec<Difference>> {
        let comparison = Comparison {
            old,
            new,
            mtime: self.mtime,
        };
        let mut differences = Vec::new();
        comparison.run(b"/", |difference| {
            differences.push(difference);
            Ok(true)
        })?;
        Ok(differences)
    }

    fn tell(&self, findings: &Findings) -> Result<()> {
        if self.json {
            return Ok(report::print(
                &(serde_json::to_string_pretty(findings)? + "\n"),
            )?);
        }
        output::to_stdout(|out| {
            for check in findings.checks.iter().filter(|check| check.sound) {
                if !self.quiet {
                    writeln!(out, "{:<8} {}", check.name, check.detail)?;
                }
            }
            let Some((directory, differences)) =
                self.against.as_ref().zip(findings.differences.as_ref())
            else {
                return Ok(());
            };
            let directory = directory.display();
            match differences.len() {
                0 if self.quiet => {}
                0 => writeln!(out, "{:<8} the same as in {directory}", "against")?,
                _ => {
                    for difference in differences {
                        writeln!(out, "{}", difference.line)?;
                    }
                }
            }
            Ok(())
        })?;
        for check in findings.checks.iter().filter(|check| !check.sound) {
            let message = format!("{}: {}: {}", findings.file, check.name, check.detail);
            report::error(&Hinted::new(message, DAMAGED).into());
        }
        if let Some((directory, differences)) =
            self.against.as_ref().zip(findings.differences.as_ref())
            && !differences.is_empty()
        {
            let count = report::count(differences.len(), "difference", "differences");
            let (file, directory) = (&findings.file, directory.display());
            let message = format!("{file} is not what is in {directory}: {count}");
            let hint = "`A` is in the packed tree alone, `D` in the directory alone";
            report::error(&Hinted::new(message, hint).into());
        }
        Ok(())
    }
}

/// Writes down how a check went; answers whether well.
fn check(checks: &mut Vec<Check>, name: &'static str, found: Result<String>) -> bool {
    let sound = found.is_ok();
    let detail = found.unwrap_or_else(|error| format!("{error:#}"));
    checks.push(Check {
        name,
        sound,
        detail,
    });
    sound
}

/// The tables, as a whole.
fn image(stored: &Stored) -> Result<String> {
    let image = stored.glance().check()?;
    let contents = Summary::of(&stored.whole()[..image.tables_len() as usize])?;
    Ok(contents.to_string())
}

/// Every compressed file is decoded; all others lie within the data, or the tables
/// would not be sound.
fn files(stored: &Stored) -> Result<String> {
    let root = stored.find(b"/", Last::Keep)?;
    let mut decoded = 0;
    walk(stored.image()?, &root, |step| {
        if let Step::Meet(place) = &step
            && let Kind::Regular {
                stored: Some(_), ..
            } = place.inode.kind
        {
            let mut contents = stored.contents(&place.inode)?;
            let copied = std::io::copy(&mut contents, &mut std::io::sink());
            copied.with_context(|| format!("{}", Shown(place.path)))?;
            decoded += 1;
        }
        Ok(true)
    })?;
    Ok(match decoded {
        0 => "none is compressed".into(),
        _ => report::count(
            decoded,
            "compressed name decodes",
            "compressed names decode",
        ),
    })
}

/// The hash that `pack` has recorded.
fn digest(stored: &Stored, record: &ImageRecord, progress: Progress) -> Result<String> {
    let whole = stored.whole();
    let mut bar = progress.bytes("hashing", Some(whole.len() as u64));
    let mut digest = Sha256::new();
    for piece in whole.chunks(1 << 20) {
        digest.update(piece);
        bar.add(piece.len() as u64);
    }
    let (found, recorded) = (hex(&digest.finalize()), hex(&record.digest));
    ensure!(
        found == recorded,
        "tables and contents hash to {found}, not to {recorded}, which was recorded"
    );
    Ok(format!("{found}, as recorded"))
}

/// The module around the image, and what `pack` needs to change it.
fn module(wasm: &[u8]) -> Result<String> {
    let module = Module::parse(wasm)?;
    module.check_valid()?;
    let Some(packed) = Packed::open(wasm, &module)? else {
        bail!("nothing is packed into it");
    };
    let Some(record) = packed.merged else {
        let original = packed.original(&module)?;
        Module::parse(&original)?.check_valid()?;
        return Ok("valid, linked".into());
    };
    let functions = module.function_count() - module.imported_functions;
    ensure!(
        (record.memory as usize) < module.memories.len()
            && record.globals <= module.global_count()
            && record.functions <= functions,
        "monaka.merge speaks of what is not there"
    );
    match Merged::reopen(&packed, record, false) {
        Ok(_) => Ok("valid, rewritten".into()),
        Err(error) => match error.downcast::<Refusal>()? {
            Refusal::OtherBlob => Ok("valid, rewritten by another monaka than this, which \
                                      cannot change it"
                .into()),
            refusal => Err(refusal.into()),
        },
    }
}

/// Whether the module begins as its image makes it.
fn state(wasm: &[u8]) -> Result<String> {
    let module = Module::parse(wasm)?;
    let packed = Packed::expect(wasm, &module)?;
    match state::check(&packed, &module) {
        Ok(found) => Ok(found),
        Err(error) => match error.downcast::<Refusal>()? {
            Refusal::OtherBlob => Ok("not compared: another monaka than this has packed it".into()),
            refusal => Err(refusal.into()),
        },
    }
}

/// Whether an image file is, byte for byte, what monaka writes for its tree.
fn layout(stored: &Stored) -> Result<String> {
    let image: Image<'_> = stored.image()?;
    let valid = image.to_tree(|start, _| start).validate()?;
    let written = write(&valid)?;
    ensure!(
        stored.whole().starts_with(&written.tables) && written.data_len == image.data_len(),
        "the tables are valid, but not as monaka writes them"
    );
    let data = stored.data();
    let mut end = 0;
    for content in &written.contents {
        let start = content.offset as usize;
        let gap = &data[end..start];
        ensure!(
            gap.iter().all(|byte| *byte == 0),
            "bytes between files, from {end} on, are not zero"
        );
        end = start + content.len as usize;
    }
    Ok("as monaka writes it; no hash is recorded in an image file".into())
}
