//! `monaka image`: an image of its own, in no program.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::write;

use super::pack::Summary;
use super::recipe::Recipe;
use super::spec;
use crate::module::finish::write_image;
use crate::output::{self, Output};
use crate::report;

/// Writes an image with no program around it.
///
/// It holds what `monaka pack` would put into a module, from the same sources and
/// the same monaka.toml; `ls`, `cat`, `stat`, `tree`, `du` and others look into it,
/// and `monaka pack --image GUEST::FILE` packs it.
#[derive(clap::Args)]
#[command(mut_args = spec::switch, after_long_help = "\
Examples:
  monaka image --mapdir /::./root -o files.img
  monaka image --mapdir /::./root --compress=19 --sbom files.spdx.json -o files.img
  monaka image --config monaka.toml -o files.img
  monaka image --mapdir /::./root --exclude .git --dry-run --json | jq length
  monaka image --mapdir /usr/lib::./lib --no-dev --no-tmp -o - | monaka ls -R -

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written.")]
pub(crate) struct Opts {
    #[command(flatten)]
    recipe: Recipe,
    /// Where the image goes; `-` is stdout
    #[arg(
        short,
        long,
        value_name = "OUT.IMG",
        required_unless_present = "dry_run"
    )]
    output: Option<PathBuf>,
}

impl Opts {
    /// Writes it.
    pub(crate) fn run(self) -> Result<()> {
        // Without an output nothing is written.
        let place = self.output.as_deref().unwrap_or(Path::new("-"));
        let shown = output::shown(place, "stdout");
        self.write(place, &shown)
            .with_context(|| format!("cannot write the image {shown}"))
    }

    fn write(&self, place: &Path, shown: &str) -> Result<()> {
        let recipe = &self.recipe;
        recipe.check("image", place, None)?;
        let mut warnings = Vec::new();
        let tree = recipe.tree(None, &mut warnings)?;
        if recipe.dry_run {
            return recipe.show(tree, &warnings);
        }
        warnings.extend(recipe.sources.added.within(place));
        let sbom = recipe.list_files(&tree, place, &[])?;
        let valid = recipe.finish(tree, &[])?;
        let image = write(&valid)?;
        for warning in &warnings {
            report::warning(warning);
        }
        let mut out = BufWriter::with_capacity(1 << 18, Output::create(place, None)?);
        write_image(&mut out, &image, |source, len, out| {
            source.copy_to(len, &[], out)
        })?;
        out.flush()?;
        let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        if let Some((path, text)) = sbom {
            output::write(path, &text)?;
        }
        out.commit()?;
        if !recipe.quiet {
            let contents = Summary::of(&image.tables)?;
            let size = report::bytes(image.tables.len() as u64 + image.data_len);
            report::note(&format!("wrote {contents} into {shown}: {size}"));
        }
        Ok(())
    }
}
