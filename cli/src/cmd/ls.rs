//! `monaka ls`: the names in a packed tree.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use monaka_vfs_core::image::{Inode, Kind};

use super::inside::Inside;
use crate::entry::{Entry, Links, device_name, mode, size};
use crate::find::{Found, Last, join, rooted};
use crate::output::{self, JsonArray};
use crate::report;
use crate::shown::{Shown, Time};
use crate::stored::{Stored, damaged};
use crate::walk::{Step, walk};

/// Lists what is packed, without running anything.
///
/// A directory is listed by its entries, all else by itself. A symbolic link is
/// not followed, unless a slash stands behind it. Control characters and bytes
/// that are not UTF-8 are shown as escapes, like \n and \377.
#[derive(clap::Args)]
#[command(
    disable_help_flag = true,
    after_long_help = "\
Examples:
  monaka ls out.wasm
  monaka ls -lR out.wasm /usr/lib
  monaka ls -lh files.img /etc/motd
  monaka ls -R0 out.wasm | grep -zc '\\.py$'
  monaka ls -R --json out.wasm | jq -r 'sort_by(-.size)[:10][] | \"\\(.size) \\(.path)\"'

The first column of -l is the type (`-` file, `d` directory, `l` symbolic link,
`c` device) and what a program may do: `r` read, `w` write (not what is
read-only), `x` execute. Then come links, size, time of modification (UTC), name.

Exit status: 0 on success, 1 when a path does not exist or FILE cannot be read,
2 when the command line is wrong."
)]
pub(crate) struct Opts {
    #[command(flatten)]
    inside: Inside,
    /// A line for each name, with type, links, size and time
    #[arg(short, long)]
    long: bool,
    /// All directories below, too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Directories themselves, not their entries
    #[arg(short, long)]
    directory: bool,
    /// With -l, sizes for people: 4.2 MB
    #[arg(short = 'h', long)]
    human_readable: bool,
    /// Whole paths with no escapes, a NUL behind each
    #[arg(short = '0', long, conflicts_with_all = ["long", "json"])]
    null: bool,
    /// A JSON array with an object for each name
    #[arg(long)]
    json: bool,
    /// Taken for habit: names with a dot are always listed, one a line
    #[arg(short, long, short_aliases = ['A', '1'], hide = true)]
    all: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

/// A name and what has it.
struct Row<'a> {
    /// What is printed for it.
    name: Vec<u8>,
    path: Vec<u8>,
    number: u32,
    inode: Inode<'a>,
}

impl Opts {
    /// Lists.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let stored = self.inside.open()?;
        let mut rows = Vec::new();
        let mut directories = Vec::new();
        let status = self.inside.each(|path| {
            let found = stored.find(path, Last::Keep)?;
            if found.inode.kind == Kind::Directory && !self.directory {
                directories.push((path.to_vec(), found));
            } else {
                rows.push(Row {
                    name: path.to_vec(),
                    path: rooted(found.path),
                    number: found.number,
                    inode: found.inode,
                });
            }
            Ok(())
        })?;
        output::to_stdout(|out| {
            let mut listing = Listing {
                opts: &self,
                links: Links::new(&stored),
                begun: false,
                out: match self.json {
                    true => Out::Json(JsonArray::begin(out)?),
                    false => Out::Text(out),
                },
            };
            listing.rows(&rows)?;
            for (path, found) in &directories {
                if self.recursive {
                    listing.below(&stored, path, found)?;
                } else {
                    let title = self.inside.are_many().then_some(&path[..]);
                    listing.directory(&stored, title, found)?;
                }
            }
            listing.end()
        })?;
        Ok(status)
    }
}

struct Listing<'l> {
    opts: &'l Opts,
    links: Links<'l>,
    /// Whether something was printed.
    begun: bool,
    out: Out<'l>,
}

enum Out<'w> {
    Text(&'w mut dyn Write),
    Json(JsonArray<'w>),
}

impl Listing<'_> {
    /// Lists all directories from one on, each with its path as title: the one
    /// that was given, and what lies below it.
    fn below(&mut self, stored: &Stored, given: &[u8], start: &Found<'_>) -> Result<()> {
        let skip = rooted(start.path.clone()).len();
        walk(stored.image()?, start, |step| {
            let Step::Meet(place) = step else {
                return Ok(false);
            };
            if place.inode.kind != Kind::Directory {
                return Ok(false);
            }
            let below = place.path[skip..]
                .strip_prefix(b"/")
                .unwrap_or(&place.path[skip..]);
            let title = match below.is_empty() {
                true => given.to_vec(),
                false => join(given.to_vec(), below),
            };
            let found = Found {
                path: place.path.to_vec(),
                number: place.number,
                inode: place.inode,
            };
            self.directory(stored, Some(&title), &found)?;
            Ok(true)
        })
    }

    /// Lists a directory's entries.
    fn directory(
        &mut self,
        stored: &Stored,
        title: Option<&[u8]>,
        found: &Found<'_>,
    ) -> Result<()> {
        let glance = stored.glance();
        let mut rows = Vec::new();
        for dirent in glance.dirents(found.number).map_err(damaged)? {
            let dirent = dirent.map_err(damaged)?;
            rows.push(Row {
                name: dirent.name.to_vec(),
                path: join(found.path.clone(), dirent.name),
                number: dirent.inode,
                inode: glance.inode(dirent.inode).map_err(damaged)?,
            });
        }
        if let (Out::Text(out), Some(title), false) = (&mut self.out, title, self.opts.null) {
            let gap = if self.begun { "\n" } else { "" };
            writeln!(out, "{gap}{}:", Shown(title))?;
            self.begun = true;
        }
        self.rows(&rows)
    }

    fn rows(&mut self, rows: &[Row<'_>]) -> Result<()> {
        self.begun |= !rows.is_empty();
        match &mut self.out {
            Out::Json(array) => {
                for row in rows {
                    array.push(&Entry::new(&row.path, row.number, &row.inode, &self.links))?;
                }
            }
            Out::Text(out) if self.opts.null => {
                for row in rows {
                    out.write_all(&row.path)?;
                    out.write_all(&[0])?;
                }
            }
            Out::Text(out) if !self.opts.long => {
                for row in rows {
                    writeln!(out, "{}", Shown(&row.name))?;
                }
            }
            Out::Text(out) => long(*out, rows, &self.links, self.opts.human_readable)?,
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        match self.out {
            Out::Json(array) => Ok(array.end()?),
            Out::Text(_) => Ok(()),
        }
    }
}

/// Prints rows with all that is known of them, in columns.
fn long(out: &mut dyn Write, rows: &[Row<'_>], links: &Links<'_>, human: bool) -> Result<()> {
    let links: Vec<String> = rows
        .iter()
        .map(|row| links.of(row.number).to_string())
        .collect();
    let sizes: Vec<String> = rows
        .iter()
        .map(|row| shown_size(&row.inode, human))
        .collect();
    let width = |column: &[String]| column.iter().map(String::len).max().unwrap_or(0);
    let (links_width, sizes_width) = (width(&links), width(&sizes));
    for ((row, links), size) in rows.iter().zip(links).zip(sizes) {
        let (mode, time) = (mode(&row.inode), Time::of(row.inode.meta).short());
        let name = Shown(&row.name);
        write!(
            out,
            "{mode} {links:>links_width$} {size:>sizes_width$} {time} {name}"
        )?;
        match row.inode.kind {
            Kind::Symlink { target } => writeln!(out, " -> {}", Shown(target))?,
            _ => writeln!(out)?,
        }
    }
    Ok(())
}

fn shown_size(inode: &Inode<'_>, human: bool) -> String {
    match inode.kind {
        Kind::Device(device) => device_name(device).into(),
        _ if human => report::bytes(size(inode)),
        _ => size(inode).to_string(),
    }
}
