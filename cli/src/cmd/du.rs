//! `monaka du`: where the bytes are.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use monaka_vfs_core::image::{Image, Kind};
use serde::Serialize;

use super::inside::Inside;
use super::treemap;
use crate::find::{Found, Last};
use crate::output::{self, JsonArray};
use crate::report;
use crate::shown::{JsonPath, Shown};
use crate::stored::stored_len;
use crate::walk::{Place, Step, walk};

/// Says how many bytes of the image the contents of files take.
///
/// A line for each directory, with all that is below it. What has several names
/// counts where it is met first.
#[derive(clap::Args)]
#[command(
    disable_help_flag = true,
    after_long_help = "\
Examples:
  monaka du -h out.wasm
  monaka du -sh out.wasm /usr/lib /usr/share
  monaka du -a out.wasm | sort -n | tail
  monaka du out.wasm --html bytes.html && xdg-open bytes.html

The page that --html writes is a map of the tree, each file as large as its
contents; it needs no network and nothing beside it.

Exit status: 0 on success, 1 when a path does not exist or FILE cannot be read,
2 when the command line is wrong."
)]
pub(crate) struct Opts {
    #[command(flatten)]
    inside: Inside,
    /// A line for each file, too
    #[arg(short, long)]
    all: bool,
    /// Only the sum for each PATH
    #[arg(short, long, conflicts_with_all = ["all", "depth"])]
    summarize: bool,
    /// No lines more than this many levels below PATH
    #[arg(short, long, value_name = "LEVELS")]
    depth: Option<usize>,
    /// Sizes for people: 4.2 MB
    #[arg(short = 'h', long)]
    human_readable: bool,
    /// A JSON array with an object for each line
    #[arg(long, conflicts_with = "human_readable")]
    json: bool,
    /// Write a page that shows it instead, as a map to click through
    #[arg(
        long,
        value_name = "OUT.HTML",
        conflicts_with_all = ["all", "summarize", "depth", "human_readable", "json"]
    )]
    html: Option<PathBuf>,
    /// Print help
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

/// A line in JSON.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    path: JsonPath,
    bytes: u64,
}

impl Opts {
    /// Counts and prints.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let stored = self.inside.open()?;
        let image = stored.image()?;
        let mut seen = Seen::new(image);
        if let Some(page) = &self.html {
            let found = self.inside.only(&stored)?;
            treemap::write(page, &stored, image, &found, &mut seen)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut status = ExitCode::SUCCESS;
        output::to_stdout(|out| {
            if self.json {
                let mut array = JsonArray::begin(out)?;
                status = self.inside.each(|path| {
                    let found = stored.find(path, Last::Keep)?;
                    self.count(image, &found, &mut seen, |path, bytes| {
                        let path = JsonPath::new(path);
                        Ok(array.push(&Line { path, bytes })?)
                    })
                })?;
                return Ok(array.end()?);
            }
            status = self.inside.each(|path| {
                let found = stored.find(path, Last::Keep)?;
                self.count(image, &found, &mut seen, |path, bytes| {
                    let path = Shown(path);
                    match self.human_readable {
                        true => writeln!(out, "{}\t{path}", report::bytes(bytes))?,
                        false => writeln!(out, "{bytes}\t{path}")?,
                    }
                    Ok(())
                })
            })?;
            Ok(())
        })?;
        Ok(status)
    }

    /// Counts all that is below a place, and says what is to be printed.
    fn count(
        &self,
        image: Image<'_>,
        start: &Found<'_>,
        seen: &mut Seen,
        mut print: impl FnMut(&[u8], u64) -> Result<()>,
    ) -> Result<()> {
        let depth = if self.summarize { Some(0) } else { self.depth };
        let is_shown = |place: &Place<'_, '_>| depth.is_none_or(|depth| place.last.len() <= depth);
        // The sums of the directories that the walk is in.
        let mut sums = vec![0];
        walk(image, start, |step| {
            let (place, bytes) = match step {
                Step::Meet(place) if place.inode.kind == Kind::Directory => {
                    sums.push(0);
                    return Ok(true);
                }
                Step::Meet(place) => {
                    let bytes = seen.bytes_of(&place);
                    (place, bytes)
                }
                Step::Leave(place) => (place, sums.pop().unwrap_or(0)),
            };
            if let Some(sum) = sums.last_mut() {
                *sum += bytes;
            }
            let is_line = self.all || place.inode.kind == Kind::Directory || place.last.is_empty();
            if is_line && is_shown(&place) {
                print(place.path, bytes)?;
            }
            Ok(false)
        })
    }
}

/// The inodes that were counted.
pub(super) struct Seen(Vec<bool>);

impl Seen {
    fn new(image: Image<'_>) -> Seen {
        Seen(vec![false; image.inodes() as usize])
    }

    /// What the contents of a file take, the first time that it is met.
    pub(super) fn bytes_of(&mut self, place: &Place<'_, '_>) -> u64 {
        match std::mem::replace(&mut self.0[place.number as usize], true) {
            true => 0,
            false => stored_len(&place.inode),
        }
    }
}
