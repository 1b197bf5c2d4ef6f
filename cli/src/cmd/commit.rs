//! `monaka commit`: runs a packed program and packs what it leaves.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::write;

use super::pack::{Summary, emit};
use super::preinit::refuse_initialised;
use super::recipe::Compression;
use crate::host::{Host, exit_code};
use crate::module::analyze::Module;
use crate::module::packed::Packed;
use crate::module::program::Program;
use crate::module::recognise::recognise;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::remains::{Finished, Left};
use crate::report::{self, Hinted};
use crate::scan::LEVEL;

/// Runs a packed program and packs the files that it leaves.
///
/// The result is the same program with the same limits, preopened directories and
/// read-only places, as if it had been packed with the files as they are when it
/// ends. Limits count anew from there. What was compressed stays so; where any file is,
/// what is new or changed is compressed, too, unless --compress=false is given.
/// OUT.WASM may be the packed module itself.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka commit app.wasm -o app.wasm -- add milk 2 litres
  monaka commit base.wasm -o ready.wasm --env STAGE=setup -- install
  monaka commit sqlite.wasm -o filled.wasm < fill.sql

Exit status: the program's own, 134 when it traps; nothing is written unless it
is 0, or --any-status is given. 1 on an error, 2 when the command line is wrong.")]
pub(crate) struct Opts {
    /// The packed module; `-` reads it from stdin
    #[arg(value_name = "PACKED.WASM")]
    input: PathBuf,
    /// Where the module goes that holds what the program left; `-` is stdout, and
    /// what the program prints goes to stderr then
    #[arg(short, long, value_name = "OUT.WASM")]
    output: PathBuf,
    /// Pack the files also when the program ends with another status than 0, but
    /// not when it traps
    #[arg(long)]
    any_status: bool,
    #[command(flatten)]
    compression: Compression,
    /// Say nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    host: Host,
}

impl Opts {
    /// Runs and packs; answers the program's exit status.
    pub(crate) fn run(mut self) -> Result<ExitCode> {
        let name = output::shown(&self.input, "the module from stdin");
        self.host.stdout_to_stderr = output::is_dash(&self.output);
        self.commit(&name)
            .with_context(|| format!("cannot commit {name}"))
    }

    fn commit(&self, name: &str) -> Result<ExitCode> {
        Output::check(&self.output)?;
        let wasm = output::read(&self.input)?;
        recognise(&wasm)?;
        let module = Module::parse(&wasm)?;
        let packed = Packed::expect(&wasm, &module)?;
        refuse_initialised(&packed)?;
        let mut finished = Finished::run(&self.host, &self.input, &packed, &module)?;
        let status = finished.report(name)?;
        let kept = match status {
            0 => true,
            _ => self.any_status && !finished.trapped(),
        };
        if !kept {
            let way_out = match finished.trapped() {
                true => "`monaka run --save-to DIR` writes the files also of a program that traps",
                false => "--any-status writes it all the same",
            };
            let message = format!(
                "{} was not written, as the program ended with status {status}",
                output::shown(&self.output, "the module")
            );
            report::error(&Hinted::new(message, way_out).into());
            return Ok(exit_code(status));
        }
        let remains = finished.remains(&packed)?;
        let mut warnings = Vec::new();
        let progress = Progress::new(self.quiet);
        let mut valid = remains.tree(&mut warnings)?.validate()?;
        let before = Summary::of(packed.tables())?.compressed;
        let level = (self.compression).level_or((before.files > 0).then_some(LEVEL));
        if let Some(level) = level {
            let all = self.compression.level().is_some();
            valid = remains.compress(valid, level, all, progress)?.validate()?;
        }
        let compressed = level.is_some() || valid.tree().has_compressed();
        let image = write(&valid)?;
        let mut original = Vec::new();
        let program = Program::reopen(&packed, &module, &mut original, compressed)?;
        let mounted = program.mount(&image)?;
        for warning in warnings.iter().chain(program.notes()) {
            report::warning(warning);
        }
        let mut out = Output::create(&self.output, Some(&self.input))?;
        let place = output::shown(&self.output, "stdout");
        let copy = |left: &Left, len, out: &mut dyn Write| remains.copy(left, len, out);
        let to = (&mut out, place.clone());
        let written = emit(&program, &mounted, &image, to, progress, copy)?;
        out.commit()?;
        if !self.quiet {
            let (contents, size) = (Summary::of(&image.tables)?, report::bytes(written));
            report::note(&format!("committed {contents} into {place}: {size}"));
        }
        Ok(exit_code(status))
    }
}
