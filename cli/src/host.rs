//! The host that `monaka run` and `monaka commit` are to a program: wasmtime with
//! WASI Preview 1, and what the command line lets the program have.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use monaka_vfs_core::Errno;
use monaka_vfs_core::merge::{MONAKA, REPORT};
use wasmtime::{
    Caller, Config, Engine, Extern, ExternType, Instance, Linker, Module, Store, Trap, Val,
};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use crate::module::checkpoint;
use crate::output;
use crate::report::{self, Hinted};

/// What a program is given.
#[derive(clap::Args)]
pub(crate) struct Host {
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
    /// Whether what the program prints goes to stderr.
    #[arg(skip)]
    pub(crate) stdout_to_stderr: bool,
    /// Whether nothing comes from stdin.
    #[arg(skip)]
    no_stdin: bool,
    /// Who takes what a tracer reports, if the program has one.
    #[arg(skip)]
    pub(crate) report: Option<Report>,
}

/// Takes what a tracer in the program reports; nothing at all, once it has ended.
pub(crate) type Report = Arc<Mutex<dyn FnMut(&[u8]) -> io::Result<()> + Send>>;

/// As wasmtime has it: what a shell sees of a process that aborted.
const TRAPPED: i32 = 134;

/// How a program ended.
pub(crate) enum Ended {
    /// By itself; its results as text.
    Returned(String),
    /// With a status of its own.
    Exited(i32),
    /// By a trap, or because the host failed.
    Failed(wasmtime::Error),
}

/// A program that has ended.
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    store: Store<WasiP1Ctx>,
    /// Not there if it ended before it was instantiated.
    instance: Option<Instance>,
}

impl Host {
    /// For a program that runs while something is built: with `env`, each of the
    /// form NAME=VALUE, and `args`, nothing on stdin, and all that it prints on stderr.
    pub(crate) fn at_build(env: Vec<String>, args: Vec<String>) -> Host {
        Host {
            dir: Vec::new(),
            env,
            invoke: None,
            args,
            stdout_to_stderr: true,
            no_stdin: true,
            report: None,
        }
    }

    /// Runs the module at `path`, whose bytes are `wasm`, to its end.
    pub(crate) fn run(&self, path: &Path, wasm: &[u8]) -> Result<Ran> {
        let engine = engine()?;
        let module = Module::new(&engine, wasm).map_err(boxed)?;
        let mut store = Store::new(&engine, self.wasi(path)?);
        let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, |wasi| wasi).map_err(boxed)?;
        // Of a program that was not packed: there is nothing to be done at it.
        linker
            .func_wrap(checkpoint::MODULE, checkpoint::NAME, || {})
            .map_err(boxed)?;
        if let Some(report) = &self.report {
            add_report(&mut linker, report.clone()).map_err(boxed)?;
        }
        let entry = self.entry(&module)?;
        check_imports(&mut store, &linker, &module)?;
        let mut instance = None;
        let called = linker.instantiate(&mut store, &module).and_then(|new| {
            instance = Some(new);
            self.call(&mut store, &new, entry)
        });
        if let Some(report) = &self.report {
            // What could not be written before the end.
            tell(report, &[]).context("cannot write what the program was traced to do")?;
        }
        let ended = match called {
            Ok(results) => Ended::Returned(results),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Ended::Exited(exit.0),
                None => Ended::Failed(error),
            },
        };
        Ok(Ran {
            ended,
            store,
            instance,
        })
    }

    fn wasi(&self, path: &Path) -> Result<WasiP1Ctx> {
        let mut wasi = WasiCtxBuilder::new();
        // Nothing else runs here that a blocking read could hold up.
        wasi.inherit_stdout().inherit_stderr();
        wasi.allow_blocking_current_thread(true);
        if !self.no_stdin {
            wasi.inherit_stdin();
        }
        if self.stdout_to_stderr {
            wasi.stdout(io::stderr());
        }
        let name = match output::is_dash(path) {
            true => "-".into(),
            false => path
                .file_name()
                .unwrap_or(path.as_os_str())
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

    /// The name of the export to call.
    pub(crate) fn entry_name(&self) -> &str {
        self.invoke.as_deref().unwrap_or("_start")
    }

    /// Refuses a module that imports what this host does not have, or does not export
    /// what is to be called.
    pub(crate) fn check(&self, wasm: &[u8]) -> Result<()> {
        let engine = engine()?;
        let module = Module::new(&engine, wasm).map_err(boxed)?;
        let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, |wasi| wasi).map_err(boxed)?;
        linker
            .func_wrap(checkpoint::MODULE, checkpoint::NAME, || {})
            .map_err(boxed)?;
        let mut store = Store::new(&engine, WasiCtxBuilder::new().build_p1());
        self.entry(&module)?;
        check_imports(&mut store, &linker, &module)
    }

    /// The export to call.
    fn entry<'s>(&'s self, module: &Module) -> Result<&'s str> {
        let entry = self.entry_name();
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
        instance: &Instance,
        entry: &str,
    ) -> wasmtime::Result<String> {
        if self.invoke.is_some() && entry != "_initialize" {
            initialize(store, instance)?;
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

/// What `monaka` exits with where a program did with `status`.
pub(crate) fn exit_code(status: i32) -> ExitCode {
    match u8::try_from(status) {
        Ok(status) => status.into(),
        // Some systems have more statuses.
        Err(_) => std::process::exit(status),
    }
}

impl Ran {
    /// Tells what the program has not said itself, results and traps; answers what
    /// `monaka` exits with.
    pub(crate) fn report(&mut self, name: &str) -> Result<i32> {
        match &mut self.ended {
            Ended::Returned(printed) => {
                report::print(printed)?;
                Ok(0)
            }
            Ended::Exited(status) => Ok(*status),
            Ended::Failed(error) => {
                let trapped = error.is::<Trap>();
                let what = if trapped { "trapped" } else { "failed" };
                let error = std::mem::replace(error, wasmtime::Error::msg("told"));
                report::error(&boxed(error).context(format!("{name} {what}")));
                Ok(if trapped { TRAPPED } else { 1 })
            }
        }
    }

    /// Whether it ended by a trap, or because the host failed.
    pub(crate) fn trapped(&self) -> bool {
        matches!(self.ended, Ended::Failed(_))
    }

    /// What the program's memory of that name holds from the address in a global
    /// on, or from its start.
    pub(crate) fn memory(&mut self, name: &str, base: Option<&str>) -> Result<&[u8]> {
        let gone = "the program ended before it was there";
        let instance = self.instance.context(gone)?;
        let missing = |name: &str| format!("the module does not export {name}");
        let start = match base {
            None => 0,
            Some(base) => {
                let global = instance.get_global(&mut self.store, base);
                let value = global.with_context(|| missing(base))?.get(&mut self.store);
                value.i32().with_context(|| missing(base))? as u32 as usize
            }
        };
        let memory = instance.get_memory(&mut self.store, name);
        let memory = memory.with_context(|| missing(name))?.data(&self.store);
        let bytes = memory.get(start..);
        bytes.context("the program's file system lies outside of its memory")
    }
}

fn initialize(store: &mut Store<WasiP1Ctx>, instance: &Instance) -> wasmtime::Result<()> {
    match instance.get_func(&mut *store, "_initialize") {
        Some(function) => function.call(store, &[], &mut []),
        None => Ok(()),
    }
}

fn tell(report: &Report, bytes: &[u8]) -> io::Result<()> {
    let mut take = report.lock().unwrap_or_else(PoisonError::into_inner);
    take(bytes)
}

/// What a tracer in the program imports.
fn add_report(linker: &mut Linker<WasiP1Ctx>, report: Report) -> wasmtime::Result<()> {
    let take = move |mut caller: Caller<'_, WasiP1Ctx>, at: u32, len: u32| {
        let memory = caller.get_export("memory").and_then(Extern::into_memory);
        let bytes = memory.and_then(|memory| {
            let bytes = memory.data(&caller).get(at as usize..)?;
            bytes.get(..len as usize)
        });
        let errno = match bytes.map(|bytes| tell(&report, bytes)) {
            Some(Ok(())) => return 0,
            Some(Err(_)) => Errno::IO,
            None => Errno::FAULT,
        };
        u32::from(errno.raw())
    };
    linker.func_wrap(MONAKA, REPORT.name, take)?;
    Ok(())
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
