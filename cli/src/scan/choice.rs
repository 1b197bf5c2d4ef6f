//! Which of the files that a source has are packed.
//!
//! Patterns are those of `.gitignore`, relative to the directory or archive that
//! is mapped: one without a slash matches in every directory below, one with a
//! slash from the top, and what matches a directory holds for all below it.
//! What a mapping names itself is packed whatever the patterns say.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::ScanError;
use super::host::to_path;

/// The flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Choice {
    /// Pack only files that match GLOB, as in .gitignore; may be given many
    /// times
    ///
    /// Patterns are relative to what is mapped: `*.py` matches in every
    /// directory, `/lib` only at the top, `lib/**/*.so` anywhere below it. A
    /// directory that matches is packed with all below it.
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    include: Vec<Glob>,
    /// Leave out files and directories that match GLOB; may be given many times
    ///
    /// The last pattern that matches decides, and one that begins with `!` takes
    /// files back in. A file .monakaignore in a mapped directory does the same
    /// for what is below it; it is not packed itself.
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    exclude: Vec<Glob>,
    /// Pack what symbolic links lead to instead of the links
    #[arg(long)]
    pub(super) follow_symlinks: bool,
    /// Leave out larger files, with a warning: 4096, 512K, 64M, 1G
    #[arg(long, value_name = "SIZE", value_parser = crate::furnish::size, allow_negative_numbers = true)]
    max_file_size: Option<u64>,
    /// Refuse a compressed archive that unpacks to more than this [default: 2G]
    #[arg(long, value_name = "SIZE", value_parser = crate::furnish::size, allow_negative_numbers = true)]
    max_unpacked: Option<u64>,
}

/// As much as an image can hold.
const MAX_UNPACKED: u64 = 2 << 30;

impl Choice {
    /// Whether any flag was given.
    pub(crate) fn is_made(&self) -> bool {
        let numbers = [self.max_file_size, self.max_unpacked];
        self.follow_symlinks
            || !self.include.is_empty()
            || !self.exclude.is_empty()
            || numbers.iter().any(Option::is_some)
    }

    /// How much an archive may unpack to.
    pub(super) fn max_unpacked(&self) -> u64 {
        self.max_unpacked.unwrap_or(MAX_UNPACKED)
    }

    /// Whether a file is larger than wanted; if so, what to say of it.
    pub(super) fn is_too_large(&self, len: u64) -> Option<String> {
        let max = self.max_file_size.filter(|max| len > *max)?;
        Some(format!(
            "left out, as it has {len} bytes and --max-file-size is {max}"
        ))
    }

    /// What is said about a source's top directory: nothing yet.
    pub(super) fn top(&self) -> Verdict {
        match self.include.is_empty() {
            true => Verdict::Packed,
            false => Verdict::Searched,
        }
    }

    /// Decides about an entry of a directory, by its path below the top.
    pub(super) fn judge(
        &self,
        path: &[u8],
        is_directory: bool,
        parent: Verdict,
        ignores: &Ignores,
    ) -> Verdict {
        let path = to_path(path);
        // All are asked, so that those that never match can be told.
        let excluded = self.exclude.iter().fold(None, |before, glob| {
            glob.matched(&path, is_directory).or(before)
        });
        let excluded = excluded.or_else(|| ignores.matched(&path, is_directory));
        let included = self.include.iter().fold(None, |before, glob| {
            glob.matched(&path, is_directory).or(before)
        });
        match (excluded, included, parent) {
            (Some(true), ..) => Verdict::LeftOut,
            (_, Some(true), _) | (_, None, Verdict::Packed) => Verdict::Packed,
            _ if is_directory => Verdict::Searched,
            _ => Verdict::LeftOut,
        }
    }

    /// A line for each pattern that has matched nothing.
    pub(super) fn idle(&self) -> Vec<String> {
        let globs = (self.include.iter().map(|glob| ("include", glob)))
            .chain(self.exclude.iter().map(|glob| ("exclude", glob)));
        globs
            .filter(|(_, glob)| !glob.hit.load(Ordering::Relaxed))
            .map(|(flag, glob)| format!("--{flag} {}: nothing matches", glob.text))
            .collect()
    }
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is packed; if it is a directory with all below that is not left out.
    Packed,
    /// A directory that is packed only if something below it is.
    Searched,
    /// It is not, nor anything below it.
    LeftOut,
}

/// A pattern from the command line.
#[derive(Clone, Debug)]
struct Glob {
    text: String,
    matcher: Gitignore,
    /// Whether it has matched anything; clones of an argument share it.
    hit: Arc<AtomicBool>,
}

impl Glob {
    fn parse(text: &str) -> Result<Glob, String> {
        let mut builder = GitignoreBuilder::new("");
        let matcher = builder
            .add_line(None, text)
            .and_then(|builder| builder.build())
            .map_err(|error| error.to_string())?;
        if matcher.is_empty() {
            return Err("it is empty or a comment; write a leading `#` as `\\#`".into());
        }
        Ok(Glob {
            text: text.into(),
            matcher,
            hit: Arc::default(),
        })
    }

    /// Whether it matches (`Some(true)`), or takes back what others match.
    fn matched(&self, path: &Path, is_directory: bool) -> Option<bool> {
        let matched = said(self.matcher.matched(path, is_directory))?;
        self.hit.store(true, Ordering::Relaxed);
        Some(matched)
    }
}

fn said<T>(matched: Match<T>) -> Option<bool> {
    match matched {
        Match::None => None,
        Match::Ignore(_) => Some(true),
        Match::Whitelist(_) => Some(false),
    }
}

/// The `.monakaignore` files of a directory and those above it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ignores(Option<Arc<Ignore>>);

#[derive(Debug)]
struct Ignore {
    matcher: Gitignore,
    above: Ignores,
}

impl Ignores {
    /// The name of such a file.
    pub(super) const NAME: &[u8] = b".monakaignore";

    /// Those of a directory that has one itself: `text` stands in `file`, and
    /// `directory` is the path below the top.
    pub(super) fn with(
        &self,
        file: &Path,
        text: &str,
        directory: &[u8],
    ) -> Result<Ignores, ScanError> {
        let mut builder = GitignoreBuilder::new(to_path(directory));
        for (line, pattern) in (1..).zip(text.lines()) {
            builder
                .add_line(None, pattern)
                .map_err(|error| ScanError::Ignore {
                    file: file.into(),
                    line,
                    reason: error.to_string(),
                })?;
        }
        let matcher = builder.build().map_err(|error| ScanError::Ignore {
            file: file.into(),
            line: 0,
            reason: error.to_string(),
        })?;
        let above = self.clone();
        Ok(Ignores(Some(Arc::new(Ignore { matcher, above }))))
    }

    /// What the nearest file says that says anything.
    fn matched(&self, path: &Path, is_directory: bool) -> Option<bool> {
        let ignore = self.0.as_ref()?;
        said(ignore.matcher.matched(path, is_directory))
            .or_else(|| ignore.above.matched(path, is_directory))
    }
}
