//! `monaka tree`: a packed tree as a picture.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use monaka_vfs_core::image::Kind;

use super::inside::Inside;
use crate::entry::{Entry, Links, size};
use crate::find::Last;
use crate::output;
use crate::report;
use crate::shown::Shown;
use crate::walk::{Place, Step, walk};

/// Draws a packed tree.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka tree out.wasm
  monaka tree -L 2 -s out.wasm /usr/lib
  monaka tree --json files.img | jq '.[0].children[].name'

Exit status: 0 on success, 1 when a path does not exist or FILE cannot be read,
2 when the command line is wrong.")]
pub(crate) struct Opts {
    #[command(flatten)]
    inside: Inside,
    /// Only directories
    #[arg(short, long)]
    directories: bool,
    /// No more levels than this
    #[arg(short = 'L', long, value_name = "LEVELS", value_parser = clap::value_parser!(u32).range(1..))]
    level: Option<u32>,
    /// The size of each file, too
    #[arg(short, long)]
    size: bool,
    /// JSON: an array with an object for each path, with `children`
    #[arg(long)]
    json: bool,
    /// Taken for habit: names with a dot are always shown
    #[arg(short, long, hide = true)]
    all: bool,
}

impl Opts {
    /// Draws.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let stored = self.inside.open()?;
        let image = stored.image()?;
        let links = Links::new(&stored);
        let mut status = ExitCode::SUCCESS;
        output::to_stdout(|out| {
            let mut counts = Counts::default();
            let mut begun = false;
            if self.json {
                write!(out, "[")?;
            }
            status = self.inside.each(|path| {
                let found = stored.find(path, Last::Keep)?;
                let mut first = !begun;
                begun = true;
                walk(image, &found, |step| {
                    let place = match step {
                        Step::Meet(place) => place,
                        Step::Leave(_) if self.json => {
                            first = false;
                            write!(out, "]}}")?;
                            return Ok(false);
                        }
                        Step::Leave(_) => return Ok(false),
                    };
                    let is_directory = place.inode.kind == Kind::Directory;
                    if self.directories && !is_directory && !place.last.is_empty() {
                        return Ok(false);
                    }
                    counts.add(&place);
                    let enter = is_directory
                        && self
                            .level
                            .is_none_or(|level| place.last.len() < level as usize);
                    if self.json {
                        write!(out, "{}", if first { "\n" } else { ",\n" })?;
                        first = enter;
                        let entry = Entry::new(place.path, place.number, &place.inode, &links);
                        let entry = serde_json::to_string(&entry)?;
                        let open = entry.strip_suffix('}').unwrap_or(&entry);
                        write!(out, "{open}{}", if enter { ",\"children\":[" } else { "}" })?;
                    } else {
                        self.line(out, &place)?;
                    }
                    Ok(enter)
                })
            })?;
            match self.json {
                true => writeln!(out, "\n]")?,
                false if begun => writeln!(out, "\n{counts}")?,
                false => {}
            }
            Ok(())
        })?;
        Ok(status)
    }

    fn line(&self, out: &mut dyn Write, place: &Place<'_, '_>) -> Result<()> {
        if let Some((own, above)) = place.last.split_last() {
            for last in above {
                write!(out, "{}", if *last { "    " } else { "│   " })?;
            }
            write!(out, "{}", if *own { "└── " } else { "├── " })?;
        }
        write!(out, "{}", Shown(place.name))?;
        match place.inode.kind {
            Kind::Symlink { target } => write!(out, " -> {}", Shown(target))?,
            Kind::Regular { .. } if self.size => {
                write!(out, " ({})", report::bytes(size(&place.inode)))?;
            }
            _ => {}
        }
        Ok(writeln!(out)?)
    }
}

/// What was drawn below the given paths.
#[derive(Default)]
struct Counts {
    directories: usize,
    others: usize,
}

impl Counts {
    fn add(&mut self, place: &Place<'_, '_>) {
        match place.inode.kind {
            Kind::Directory if place.last.is_empty() => {}
            Kind::Directory => self.directories += 1,
            _ => self.others += 1,
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let directories = report::count(self.directories, "directory", "directories");
        write!(
            f,
            "{directories}, {}",
            report::count(self.others, "file", "files")
        )
    }
}
