//! `monaka cat`: the contents of packed files.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::Kind;

use super::inside::each;
use crate::entry::device_name;
use crate::find::Last;
use crate::output;
use crate::report::Hinted;
use crate::shown::Shown;
use crate::stored::Stored;

/// Writes the contents of packed files to stdout, one after the other.
///
/// Nothing is run, and only what is asked for is read. Symbolic links are
/// followed as a program inside would follow them.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka cat out.wasm /etc/motd
  monaka cat files.img /usr/share/dict/words | head
  monaka cat - /etc/motd < out.wasm

Exit status: 0 on success, 1 when a path is no file or FILE cannot be read,
2 when the command line is wrong. The other files are written all the same.")]
pub(crate) struct Opts {
    /// A packed module or an image file; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Files in the packed tree
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<OsString>,
}

impl Opts {
    /// Writes them.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let stored = Stored::open(&self.input)?;
        let mut status = ExitCode::SUCCESS;
        output::to_stdout(|out| {
            status = each(&self.paths, |path| {
                let found = stored.find(path, Last::Follow)?;
                let (name, file) = (Shown(path), &stored.name);
                let (what, hint) = match found.inode.kind {
                    Kind::Regular { .. } => {
                        let mut contents = stored.contents(&found.inode)?;
                        let copied = output::copy(&mut contents, out);
                        return copied.with_context(|| format!("cannot read {name} in {file}"));
                    }
                    Kind::Device(device) => (
                        format!("a device ({})", device_name(device)),
                        "what it gives is known only to the running program".to_string(),
                    ),
                    _ => (
                        "a directory".to_string(),
                        format!("`monaka ls {file} {name}` lists it"),
                    ),
                };
                Err(Hinted::new(format!("{name} in {file} is {what}"), hint).into())
            })?;
            Ok(())
        })?;
        Ok(status)
    }
}
