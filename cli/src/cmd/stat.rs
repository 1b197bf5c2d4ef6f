//! `monaka stat`: all that is known of packed files.

use std::process::ExitCode;

use anyhow::Result;
use monaka_vfs_core::image::Kind;

use super::inside::Inside;
use crate::entry::{Entry, Links, device_name, kind_name};
use crate::find::{Last, rooted};
use crate::output::{self, JsonArray};
use crate::shown::{Shown, Time};

/// Says what is known of packed files and directories.
///
/// A symbolic link is not followed, unless a slash stands behind it. Nothing is
/// run, and only what is asked for is read.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka stat out.wasm /etc/motd
  monaka stat --json files.img /etc /etc/motd | jq '.[].mtime'

Exit status: 0 on success, 1 when a path does not exist or FILE cannot be read,
2 when the command line is wrong.")]
pub(crate) struct Opts {
    #[command(flatten)]
    inside: Inside,
    /// A JSON array with an object for each path
    #[arg(long)]
    json: bool,
}

impl Opts {
    /// Prints it.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let stored = self.inside.open()?;
        let links = Links::new(&stored);
        let mut status = ExitCode::SUCCESS;
        output::to_stdout(|out| {
            if self.json {
                let mut array = JsonArray::begin(out)?;
                status = self.inside.each(|path| {
                    let found = stored.find(path, Last::Keep)?;
                    let (path, inode) = (rooted(found.path), &found.inode);
                    Ok(array.push(&Entry::new(&path, found.number, inode, &links))?)
                })?;
                return Ok(array.end()?);
            }
            let mut gap = "";
            status = self.inside.each(|path| {
                let found = stored.find(path, Last::Keep)?;
                let inode = &found.inode;
                writeln!(out, "{gap}path      {}", Shown(&rooted(found.path)))?;
                gap = "\n";
                write!(out, "kind      {}", kind_name(inode.kind))?;
                for (set, word) in [
                    (inode.meta.executable, ", executable"),
                    (inode.read_only, ", read-only"),
                ] {
                    write!(out, "{}", if set { word } else { "" })?;
                }
                writeln!(out)?;
                match inode.kind {
                    Kind::Symlink { target } => writeln!(out, "target    {}", Shown(target))?,
                    Kind::Device(device) => writeln!(out, "device    {}", device_name(device))?,
                    Kind::Regular { size, stored, .. } => {
                        write!(out, "size      {size} bytes")?;
                        match stored {
                            Some(stored) => writeln!(out, ", compressed to {stored}")?,
                            None => writeln!(out)?,
                        }
                    }
                    Kind::Directory => {}
                }
                writeln!(out, "modified  {} UTC", Time::of(inode.meta).long())?;
                let (number, links) = (found.number, links.of(found.number));
                Ok(writeln!(out, "inode     {number}, links {links}")?)
            })?;
            Ok(())
        })?;
        Ok(status)
    }
}
