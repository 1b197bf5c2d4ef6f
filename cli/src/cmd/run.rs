//! `monaka run`: runs a module on the embedded wasmtime.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::tracing;
use crate::furnish;
use crate::host::{Host, exit_code};
use crate::module::analyze::Module;
use crate::module::packed::Packed;
use crate::module::recognise::recognise;
use crate::module::traced::traced;
use crate::output;
use crate::remains::Finished;
use crate::unpack::Place;

/// Runs a WASI Preview 1 module.
///
/// stdin, stdout and stderr are passed on; host directories only where `--dir`
/// says so. Packed modules need none.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka run out.wasm -- first second
  monaka run app.wasm --dir ./root::/ --env LANG=C -- first second
  monaka run reactor.wasm --invoke answer
  monaka run out.wasm --save-to ./after -- first second
  monaka run out.wasm --save-to - --changed -- first second | tar tv
  monaka run app.wasm --dir ./root::/ --trace -- first second
  monaka run out.wasm --trace=calls.log --trace-calls open,stat -- first second
  monaka run out.wasm --fault 'write:/db/*:NOSPC@3' -- first second

Exit status: the program's own; 134 when it traps; 1 on an error, 2 when the
command line is wrong.")]
pub(crate) struct Opts {
    /// The module; `-` reads it from stdin
    #[arg(value_name = "MODULE.WASM")]
    input: PathBuf,
    /// Write the files of a packed program, as it left them, into a new or empty
    /// directory, or into a tar archive
    ///
    /// They are written however the program ends. A path that ends in .tar is an
    /// archive, and so is `-`, which is stdout; what the program prints goes to
    /// stderr then. Devices, and a /dev and /tmp that nobody touched, are left out.
    #[arg(long, value_name = "DIR|X.TAR")]
    save_to: Option<PathBuf>,
    /// Write only files that are new, or not as they were packed
    #[arg(long, requires = "save_to")]
    changed: bool,
    #[command(flatten)]
    tracing: tracing::Run,
    #[command(flatten)]
    host: Host,
}

impl Opts {
    /// Runs the module; answers its exit status.
    pub(crate) fn run(mut self) -> Result<ExitCode> {
        let name = output::shown(&self.input, "the module from stdin");
        let cannot = || format!("cannot run {name}");
        let place = self.save_to.take();
        let place = place.map(|path| Place::of(&path)).transpose();
        let place = place.with_context(cannot)?;
        if let Some(place) = &place {
            place.check().with_context(cannot)?;
        }
        let read = output::read(&self.input).with_context(cannot)?;
        recognise(&read).with_context(cannot)?;
        let wasm = match self.tracing.prepare(&mut self.host).with_context(cannot)? {
            None => Cow::Borrowed(&read[..]),
            Some(tracing) => {
                self.host.check(&read).with_context(cannot)?;
                traced(&read, tracing)
                    .context("its calls cannot be traced")
                    .with_context(cannot)?
            }
        };
        let Some(place) = place else {
            let mut ran = self.host.run(&self.input, &wasm).with_context(cannot)?;
            drop(wasm);
            drop(read);
            return Ok(exit_code(ran.report(&name)?));
        };
        self.host.stdout_to_stderr =
            matches!(&place, Place::Archive(path) if output::is_dash(path));
        let module = Module::parse(&wasm).with_context(cannot)?;
        let packed = Packed::expect(&wasm, &module).with_context(cannot)?;
        let mut finished =
            Finished::run(&self.host, &self.input, &packed, &module).with_context(cannot)?;
        let status = finished.report(&name)?;
        self.save(finished, &packed, &place)
            .with_context(|| format!("cannot save the files to {}", place.shown()))?;
        Ok(exit_code(status))
    }

    /// Writes what the program has left.
    fn save(&self, finished: Finished, packed: &Packed<'_>, place: &Place) -> Result<()> {
        let remains = finished.remains(packed)?;
        let mut tree = remains.tree(&mut Vec::new())?;
        furnish::strip(&mut tree);
        if self.changed {
            remains.only_changed(&mut tree)?;
        }
        place.write(&tree, |left, len, out| remains.copy_plain(left, len, out))?;
        Ok(())
    }
}
