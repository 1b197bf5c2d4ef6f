//! `monaka add`: more files into a packed module.

use anyhow::Result;

use super::change::Change;
use super::pack::usage_error;
use super::recipe::Compression;
use super::sources::Added;

/// Adds files to a packed module, over what is there.
///
/// It takes the sources of `pack`. Route, memory, limits, read-only places, /dev
/// and /tmp stay as they were packed: the result is that of packing the program
/// afresh with the larger tree. (`monaka pack` on a packed module changes those.)
/// --mtime and SOURCE_DATE_EPOCH hold for all files, as in `pack`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka add out.wasm --mapdir /etc/app.conf::./my.conf -o new.wasm
  monaka add out.wasm --mapdir /data::./data --exclude '*.tmp' --in-place
  monaka add out.wasm --file /etc/version=1.2 --tar /usr/lib::lib.tar.zst -i

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written.")]
pub(crate) struct Opts {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    added: Added,
    #[command(flatten)]
    compression: Compression,
}

impl Opts {
    /// Adds.
    pub(crate) fn run(self) -> Result<()> {
        if self.added.is_nothing() {
            usage_error("add", "say what to add, as in --mapdir GUEST::HOST");
        }
        if self.added.of_stdin() + usize::from(self.change.is_of_stdin()) > 1 {
            usage_error(
                "add",
                "only one of module and archives can be read from stdin",
            );
        }
        self.change.run("add", self.compression.level(), |edit| {
            let progress = edit.progress;
            (self.added).add(&mut edit.tree, progress, &mut edit.warnings)
        })
    }
}
