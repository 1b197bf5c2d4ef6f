//! `monaka lib`: the library that belongs to this command.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::output::{self, Output};

const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libmonaka_vfs.a"));
const ZSTD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libmonaka_vfs_zstd.a"));
const HEADER: &str = include_str!("../../../libvfs/guest/include/monaka.h");

/// Writes the library that programs are linked with.
///
/// It is the one that this `monaka pack` accepts.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka lib -o libmonaka_vfs.a
  monaka lib --zstd -o libmonaka_vfs_zstd.a
  monaka lib -o lib/libmonaka_vfs.a --header include/monaka.h
  clang --target=wasm32-wasip1 app.c libmonaka_vfs.a -o app.wasm

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.")]
pub(crate) struct Opts {
    /// Where the library goes; `-` is stdout
    #[arg(
        short,
        long,
        value_name = "LIBRARY",
        required_unless_present = "header"
    )]
    output: Option<PathBuf>,
    /// The library that reads compressed files (`monaka pack --compress`); it is
    /// 20 KB larger
    #[arg(long, requires = "output")]
    zstd: bool,
    /// Where the C header goes; `-` is stdout
    #[arg(long, value_name = "HEADER")]
    header: Option<PathBuf>,
}

impl Opts {
    /// Writes what was asked for.
    pub(crate) fn run(self) -> Result<()> {
        if let Some(path) = &self.output {
            let library = if self.zstd { ZSTD } else { LIBRARY };
            let written = Output::check(path).and_then(|()| output::write(path, library));
            written.context("cannot write the library")?;
        }
        if let Some(path) = &self.header {
            output::write(path, HEADER.as_bytes()).context("cannot write the header")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::link::ABI;

    #[test]
    fn the_header_names_the_abi() {
        assert!(super::HEADER.contains(&format!("#define MONAKA_ABI {ABI}\n")));
    }

    #[test]
    fn the_library_is_an_archive() {
        for library in [super::LIBRARY, super::ZSTD] {
            assert!(library.starts_with(b"!<arch>\n"));
        }
    }
}
