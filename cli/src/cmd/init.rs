//! `monaka init`: a spec file to begin with.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::spec;
use crate::output;
use crate::report::{self, Hinted};

/// Every key, with what it does; those that are not needed are commented out.
const TEMPLATE: &str = include_str!("init.toml");

/// Writes a monaka.toml with every key explained.
///
/// `monaka pack` without a program does what monaka.toml in the current directory
/// says: a build that is written down once and repeated from then on.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka init
  monaka init -o release.toml && monaka pack --config release.toml
  monaka init -o - | less

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.")]
pub(crate) struct Opts {
    /// Where the file goes; `-` is stdout [default: monaka.toml]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(short, long)]
    force: bool,
    /// Say nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

impl Opts {
    /// Writes it.
    pub(crate) fn run(self) -> Result<()> {
        let place = self.output.as_deref().unwrap_or(Path::new(spec::NAME));
        if output::is_dash(place) {
            return Ok(report::print(TEMPLATE)?);
        }
        if place.exists() && !self.force {
            return Err(Hinted::new(
                format!("{} is there already", place.display()),
                "write over it with --force, or name another place with -o",
            )
            .into());
        }
        output::write(place, TEMPLATE.as_bytes())?;
        if !self.quiet {
            let name = place.display();
            report::note(&format!("wrote {name}: change it, then run `monaka pack`"));
        }
        Ok(())
    }
}
