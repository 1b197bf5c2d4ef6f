//! `monaka run`: runs a module on the embedded wasmtime.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use wasmtime::{Config, Engine, ExternType, Instance, Linker, Module, Store, Trap, Val};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use crate::module::recognise::recognise;
use crate::output;
use crate::report::{self, Hinted};

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

Exit status: the program's own; 134 when it traps; 1 on an error, 2 when the
command line is wrong.")]
pub(crate) struct Opts {
    /// The module; `-` reads it from stdin
    #[arg(value_name = "MODULE.WASM")]
    input: PathBuf,
    /// Open a directory of the host for the program, as GUEST if that is given
    #[arg(long, value_name = "HOST[::GUEST]")]
    dir: Vec<String>,
    /// Set an environment variable; NAME alone passes on the host's
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Call this export (after `_initialize`, if there is one) instead of
    /// `_start`, and print its results
    #[arg(long, value_name = "EXPORT")]
    invoke: Option<String>,
    /// The program's arguments
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// As wasmtime has it: what a shell sees of a process that aborted.
const TRAPPED: u8 = 134;

impl Opts {
    /// Runs the module; answers its exit status.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let name = output::shown(&self.input, "the module from stdin");
        let cannot = || format!("cannot run {name}");
        let wasm = output::read(&self.input).with_context(cannot)?;
        recognise(&wasm).with_context(cannot)?;
        let engine = engine().with_context(cannot)?;
        let module = Module::new(&engine, &wasm)
            .map_err(boxed)
            .with_context(cannot)?;
        drop(wasm);
        let mut store = Store::new(&engine, self.wasi().with_context(cannot)?);
        let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, |wasi| wasi)
            .map_err(boxed)
            .with_context(cannot)?;
        let entry = self.entry(&module).with_context(cannot)?;
        check_imports(&mut store, &linker, &module).with_context(cannot)?;
        match self.call(&mut store, &linker, &module, entry) {
            Ok(printed) => {
                report::print(&printed)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => std::process::exit(exit.0),
                None => {
                    let trapped = error.is::<Trap>();
                    let what = if trapped { "trapped" } else { "failed" };
                    report::error(&boxed(error).context(format!("{name} {what}")));
                    Ok(ExitCode::from(if trapped { TRAPPED } else { 1 }))
                }
            },
        }
    }

    fn wasi(&self) -> Result<WasiP1Ctx> {
        let mut wasi = WasiCtxBuilder::new();
        // Nothing else runs here that a blocking read could hold up.
        wasi.inherit_stdio().allow_blocking_current_thread(true);
        let name = match output::is_dash(&self.input) {
            true => "-".into(),
            false => self
                .input
                .file_name()
                .unwrap_or(self.input.as_os_str())
                .to_string_lossy(),
        };
        wasi.arg(name).args(&self.args);
        for variable in &self.env {
            match variable.split_once('=') {
                Some((name, value)) => {
                    wasi.env(name, value);
                }
                None => {
                    let value = std::env::var(variable).map_err(|error| {
                        Hinted::new(
                            format!("--env {variable}: {error}"),
                            format!("give a value: --env {variable}=…"),
                        )
                    })?;
                    wasi.env(variable, value);
                }
            }
        }
        for dir in &self.dir {
            let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
            wasi.preopened_dir(Path::new(host), guest, FsPerms::ReadWrite)
                .map_err(boxed)
                .with_context(|| format!("cannot open the directory {host}"))?;
        }
        Ok(wasi.build_p1())
    }

    /// The export to call.
    fn entry<'s>(&'s self, module: &Module) -> Result<&'s str> {
        let entry = self.invoke.as_deref().unwrap_or("_start");
        let callable: Vec<&str> = module
            .exports()
            .filter(|export| export.ty().func().is_some_and(|ty| ty.params().len() == 0))
            .map(|export| export.name())
            .collect();
        match module.get_export(entry) {
            Some(ExternType::Func(ty)) if ty.params().len() == 0 => return Ok(entry),
            Some(ExternType::Func(_)) => bail!("its export {entry} takes arguments"),
            Some(_) => bail!("its export {entry} is not a function"),
            None => {}
        }
        let hint = match callable.is_empty() {
            true => "it exports no function that can be called without arguments".into(),
            false => format!(
                "call one of its functions with --invoke: {}",
                callable.join(", ")
            ),
        };
        Err(Hinted::new(format!("it does not export {entry}"), hint).into())
    }

    /// Calls the export; answers its results as text.
    fn call(
        &self,
        store: &mut Store<WasiP1Ctx>,
        linker: &Linker<WasiP1Ctx>,
        module: &Module,
        entry: &str,
    ) -> wasmtime::Result<String> {
        let instance = linker.instantiate(&mut *store, module)?;
        if self.invoke.is_some() && entry != "_initialize" {
            initialize(store, &instance)?;
        }
        let Some(function) = instance.get_func(&mut *store, entry) else {
            unreachable!("{entry} was found among the exports");
        };
        let mut results = vec![Val::I32(0); function.ty(&*store).results().len()];
        function.call(&mut *store, &[], &mut results)?;
        let mut printed = String::new();
        for value in results {
            // Writing to a string cannot fail.
            let _ = match value {
                Val::I32(value) => writeln!(printed, "{value}"),
                Val::I64(value) => writeln!(printed, "{value}"),
                Val::F32(bits) => writeln!(printed, "{}", f32::from_bits(bits)),
                Val::F64(bits) => writeln!(printed, "{}", f64::from_bits(bits)),
                other => writeln!(printed, "{other:?}"),
            };
        }
        Ok(printed)
    }
}

fn initialize(store: &mut Store<WasiP1Ctx>, instance: &Instance) -> wasmtime::Result<()> {
    match instance.get_func(&mut *store, "_initialize") {
        Some(function) => function.call(store, &[], &mut []),
        None => Ok(()),
    }
}

/// Names the first import that is not WASI's.
fn check_imports(
    store: &mut Store<WasiP1Ctx>,
    linker: &Linker<WasiP1Ctx>,
    module: &Module,
) -> Result<()> {
    for import in module.imports() {
        if linker.get_by_import(&mut *store, &import).is_none() {
            let name = format!("{}.{}", import.module(), import.name());
            return Err(Hinted::new(
                format!("it imports {name}, which `monaka run` does not have"),
                "`monaka run` offers WASI Preview 1 alone: run it in the host that it was made for",
            )
            .into());
        }
    }
    Ok(())
}

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_wide_arithmetic(true)
        .wasm_custom_page_sizes(true);
    Engine::new(&config)
        .map_err(boxed)
        .context("the engine cannot be set up")
}

fn boxed(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into())
}
