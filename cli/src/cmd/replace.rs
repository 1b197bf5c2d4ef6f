//! `monaka replace`: other contents for files of a packed module.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use monaka_vfs_core::image::{Kind, Meta};

use super::change::{Change, Edit};
use super::recipe::Compression;
use crate::dates::Dates;
use crate::find::Last;
use crate::mapdir::{guest_path, to_bytes, to_path};
use crate::report::Hinted;
use crate::scan::host_file;
use crate::shown::Shown;

/// Gives files of a packed module other contents.
///
/// As `cp` onto a file that is there: contents and time are those of HOSTFILE,
/// while the executable bit, all hard links and read-only places stay. Symbolic
/// links are followed. What is not there yet is for `monaka add`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka replace out.wasm /etc/motd=./motd -o new.wasm
  monaka replace out.wasm /bin/tool=./tool /etc/tool.conf=./conf --in-place

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written.")]
pub(crate) struct Opts {
    #[command(flatten)]
    change: Change,
    /// A packed file, and the file of the host that it becomes
    #[arg(value_name = "PATH=HOSTFILE", required = true, value_parser = OsStringValueParser::new().try_map(|pair| Replacement::parse(&pair)))]
    pairs: Vec<Replacement>,
    #[command(flatten)]
    compression: Compression,
}

/// A packed file and what it becomes.
#[derive(Clone)]
struct Replacement {
    guest: Vec<u8>,
    host: PathBuf,
}

impl Replacement {
    fn parse(pair: &OsStr) -> Result<Replacement, String> {
        let bytes = to_bytes(pair).map_err(|error| error.to_string())?;
        let at = bytes.iter().position(|byte| *byte == b'=');
        let at = at.filter(|at| *at + 1 < bytes.len());
        let at = at.ok_or("give it as PATH=HOSTFILE, like /etc/motd=./motd")?;
        let guest = to_path(&bytes[..at]);
        Ok(Replacement {
            guest: guest_path(guest.as_os_str()).map_err(|error| error.to_string())?,
            host: to_path(&bytes[at + 1..]),
        })
    }

    fn apply(&self, edit: &mut Edit<'_>) -> Result<()> {
        let found = edit.find(&self.guest, Last::Follow)?;
        let shown = Shown(&self.guest);
        let Kind::Regular { .. } = found.inode.kind else {
            return Err(Hinted::new(
                format!("{shown} is not a regular file"),
                "remove it with `monaka rm`, and add something else with `monaka add`",
            )
            .into());
        };
        let node = edit.tree.lookup(&found.path);
        let node = node.with_context(|| format!("{shown} is gone"))?;
        let (source, len, Meta { mtime, .. }) = host_file(&self.host)?;
        let meta = edit.tree.meta(node);
        edit.tree.set_contents(node, len, source);
        edit.tree.set_meta(node, Meta { mtime, ..meta });
        Ok(())
    }
}

impl Opts {
    /// Replaces.
    pub(crate) fn run(self) -> Result<()> {
        self.change
            .run("replace", self.compression.level(), |edit| {
                for pair in &self.pairs {
                    pair.apply(edit)?;
                }
                Dates::default().apply(&mut edit.tree, &[])
            })
    }
}
