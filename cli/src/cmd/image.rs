//! `monaka image`: an image of its own, in no program.

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::write;

use super::pack::Summary;
use super::sources::Sources;
use crate::module::finish::write_image;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::report::{self, Hinted};

/// Writes an image with no program around it.
///
/// It holds what `monaka pack` would put into a module, from the same sources;
/// `ls`, `cat`, `stat`, `tree` and `du` look into it.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka image --mapdir /::./root -o files.img
  monaka image --mapdir /usr/lib::./lib --no-dev --no-tmp -o - | monaka ls -R -

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written.")]
pub(crate) struct Opts {
    #[command(flatten)]
    sources: Sources,
    /// Where the image goes; `-` is stdout
    #[arg(short, long, value_name = "OUT.IMG")]
    output: PathBuf,
    /// Say nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

impl Opts {
    /// Writes it.
    pub(crate) fn run(self) -> Result<()> {
        let place = output::shown(&self.output, "stdout");
        self.write(&place)
            .with_context(|| format!("cannot write the image {place}"))
    }

    fn write(&self, place: &str) -> Result<()> {
        Output::check(&self.output)?;
        let mut warnings = Vec::new();
        if self.sources.added.of_stdin() > 1 {
            return Err(Hinted::new(
                "several archives cannot all be read from stdin",
                "name a file for all but one of them",
            )
            .into());
        }
        let progress = Progress::new(self.quiet);
        let tree = self.sources.tree(None, progress, &mut warnings)?;
        warnings.extend(self.sources.added.within(&self.output));
        let valid = tree.validate()?;
        let image = write(&valid)?;
        for warning in &warnings {
            report::warning(warning);
        }
        let mut out = BufWriter::with_capacity(1 << 18, Output::create(&self.output, None)?);
        write_image(&mut out, &image, |source, len, out| {
            source.copy_to(len, &[], out)
        })?;
        out.flush()?;
        let out = out.into_inner().map_err(io::IntoInnerError::into_error);
        out?.commit()?;
        if !self.quiet {
            let contents = Summary::of(&image.tables)?;
            let size = report::bytes(image.tables.len() as u64 + image.data_len);
            report::note(&format!("wrote {contents} into {place}: {size}"));
        }
        Ok(())
    }
}
