//! What an image is made of, and what is told of it: the flags that `pack` and
//! `image` share.

use std::path::{Path, PathBuf};

use anyhow::Result;
use monaka_vfs_core::image::{Tree, ValidTree, write};

use super::pack::{Summary, usage_error};
use super::sources::Sources;
use crate::listing;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::report;
use crate::sbom;
use crate::scan::{LEVEL, Source, compress};

/// Sources, how they are stored, and what is said of them.
#[derive(clap::Args)]
pub(super) struct Recipe {
    /// Read FILE first, which says what flags would
    ///
    /// It holds the flags of `monaka pack` as keys and the sources as [[mount]]
    /// tables, with paths relative to the file; `monaka init` writes one, which
    /// explains them. A flag that is given once overrides its key, sources and flags
    /// that may be given many times add to it; --FLAG=false turns off what a key
    /// turns on. `monaka pack` without APP.WASM reads monaka.toml in the current
    /// directory; `monaka image` passes over the keys that are about a program.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) sources: Sources,
    #[command(flatten)]
    compression: Compression,
    /// List what would be packed, with sizes, and write nothing
    #[arg(long, conflicts_with_all = ["sbom", "verbose"])]
    pub(super) dry_run: bool,
    /// The list of --dry-run as a JSON array with an object for each name
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Also write a list of the packed files with their hashes (SPDX 2.3, JSON)
    ///
    /// Its date is SOURCE_DATE_EPOCH or --mtime, so that it can be reproduced;
    /// without them it is the present.
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// List all that is packed on stderr
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Say nothing but warnings and errors
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// How files are stored.
#[derive(clap::Args)]
pub(super) struct Compression {
    /// Store files zstd-compressed where that pays; they are decompressed as they
    /// are read
    ///
    /// A higher LEVEL, up to 22, packs slower and a little smaller; reading is as
    /// fast. 9 if it is not said; `false` compresses nothing. The library must be the
    /// one of `monaka lib --zstd`, if the program is linked with it.
    #[arg(
        long = "compress",
        id = "compress",
        value_name = "LEVEL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = Effort::parse
    )]
    effort: Option<Effort>,
}

/// What `--compress` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    Nothing,
    Level(i32),
}

impl Effort {
    fn parse(text: &str) -> Result<Effort, &'static str> {
        match text {
            "true" => return Ok(Effort::Level(LEVEL)),
            "false" => return Ok(Effort::Nothing),
            _ => {}
        }
        let level = text.parse().ok();
        let level = level.filter(|level| (1..=22).contains(level));
        level
            .map(Effort::Level)
            .ok_or("a level is a number from 1 to 22; `false` compresses nothing")
    }
}

impl Compression {
    /// How hard to compress, if at all.
    pub(super) fn level(&self) -> Option<i32> {
        self.level_or(None)
    }

    /// The same, and this where it is not said.
    pub(super) fn level_or(&self, unsaid: Option<i32>) -> Option<i32> {
        match self.effort {
            None => unsaid,
            Some(Effort::Nothing) => None,
            Some(Effort::Level(level)) => Some(level),
        }
    }
}

impl Recipe {
    /// How far things are, for who waits for them.
    pub(super) fn progress(&self) -> Progress {
        Progress::new(self.quiet)
    }

    /// Refuses for `command` what cannot be read or written so: `place` is where the
    /// output goes, and a `program` may come from stdin.
    pub(super) fn check(&self, command: &str, place: &Path, program: Option<&Path>) -> Result<()> {
        let of_stdin = usize::from(program.is_some_and(output::is_dash));
        if self.sources.added.of_stdin() + of_stdin > 1 {
            let message = match program {
                Some(_) => "only one of program and archives can be read from stdin",
                None => "only one archive can be read from stdin",
            };
            usage_error(command, message);
        }
        if !self.dry_run {
            Output::check(place)?;
        }
        if let Some(sbom) = &self.sbom {
            if output::is_dash(sbom) && output::is_dash(place) {
                usage_error(command, "only one of output and --sbom can go to stdout");
            }
            Output::check(sbom)?;
        }
        Ok(())
    }

    /// What was packed before, with the sources over it.
    pub(super) fn tree(
        &self,
        packed: Option<Tree<Source>>,
        warnings: &mut Vec<String>,
    ) -> Result<Tree<Source>> {
        self.sources.tree(packed, self.progress(), warnings)
    }

    /// Whether the image of a tree holds compressed files: what was compressed
    /// stays so.
    pub(super) fn compresses(&self, tree: &Tree<Source>) -> bool {
        self.compression.level().is_some() || tree.has_compressed()
    }

    /// Lists what would be packed.
    pub(super) fn show(&self, tree: Tree<Source>, warnings: &[String]) -> Result<()> {
        for warning in warnings {
            report::warning(warning);
        }
        report::print(&match self.json {
            true => listing::json(&tree)?,
            false => listing::sizes(&tree),
        })?;
        let valid = tree.validate()?;
        let contents = Summary::of(&write(&valid)?.tables)?;
        if !self.quiet {
            report::note(&format!("would pack {contents}"));
        }
        Ok(())
    }

    /// The list of files that --sbom asks for, and where it goes. `place` is where
    /// the output goes, `packed` the data area of the image that is there already.
    pub(super) fn list_files(
        &self,
        tree: &Tree<Source>,
        place: &Path,
        packed: &[u8],
    ) -> Result<Option<(&Path, Vec<u8>)>> {
        let Some(path) = &self.sbom else {
            return Ok(None);
        };
        let name = place.file_name().map(|name| name.to_string_lossy());
        let name = name.filter(|name| name != "-").unwrap_or("module".into());
        let (made, bar) = (
            self.sources.added.dates.made()?,
            self.progress().bytes("hashing", None),
        );
        let text = sbom::spdx(tree, &name, made, bar, |source, len, out| {
            source.copy_to(len, packed, out)
        })?;
        Ok(Some((path, text)))
    }

    /// The tree as it is written, compressed if that is wanted.
    pub(super) fn finish(&self, tree: Tree<Source>, packed: &[u8]) -> Result<ValidTree<Source>> {
        if self.verbose {
            report::note(listing::paths(&tree).trim_end());
        }
        let valid = tree.validate()?;
        match self.compression.level() {
            None => Ok(valid),
            Some(level) => Ok(compress(valid, level, packed, self.progress())?.validate()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_number_or_whether() {
        assert_eq!(Effort::parse("true"), Ok(Effort::Level(9)));
        assert_eq!(Effort::parse("22"), Ok(Effort::Level(22)));
        assert_eq!(Effort::parse("false"), Ok(Effort::Nothing));
        for text in ["0", "23", "-1", "", "yes", "9.5"] {
            assert!(Effort::parse(text).is_err(), "{text}");
        }
    }
}
