//! The program as it runs at pack time, and the host that it finds there: arguments
//! and variables as the command line gives them, nothing on stdin, no random bytes.
//!
//! What it prints is shown on stderr. What a later run would find unchanged, and wrong,
//! is refused or told; see [`Guest`].

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use wasmtime::{
    Caller, Config, Engine, Extern, ExternType, Func, Instance, Linker, Module, OptLevel,
    RegallocAlgorithm, Store, Trap, Val, WasmBacktrace,
};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use super::observe::name;
use super::stack::Frame;
use super::{How, Plan, not_there};
use crate::module::checkpoint;
use crate::report::Hinted;

/// What is done when the program comes to its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// Nothing.
    Pass,
    /// It ends there.
    Stop,
    /// Its stack is taken down.
    Unwind,
}

/// What the host's functions know.
struct Guest {
    wasi: WasiP1Ctx,
    checkpoint: Checkpoint,
    /// Its stack at the checkpoint, the innermost frame first.
    frames: Option<Vec<Frame>>,
    began: Instant,
    quiet: bool,
    clock: bool,
}

/// A program that has come to its end, or to its checkpoint.
pub(super) struct Ran {
    store: Store<Guest>,
    pub(super) instance: Instance,
    /// Its tables before anything ran.
    tables: Vec<Vec<Entry>>,
    pub(super) frames: Vec<Frame>,
    /// Whether it has read the clock.
    pub(super) clock: bool,
}

/// What stands in a table or a global: null, or something that is only equal to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    Null,
    Function(usize),
    /// Something of the host's or of the heap.
    Other,
}

/// The error with which the program ends at its checkpoint.
#[derive(Debug)]
struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the checkpoint")
    }
}

impl std::error::Error for Stopped {}

/// Deep enough for interpreters that nest.
const STACK: usize = 16 << 20;

/// The program's side of [`STACK`] and room for the host's.
pub(super) const THREAD: usize = STACK + (16 << 20);

/// Runs a module, as [`observed`](super::observe::observed) makes them, to its end or its
/// checkpoint. A second run is `quiet`: the first has shown what it prints.
pub(super) fn run(
    wasm: &[u8],
    tables: u32,
    plan: &Plan<'_>,
    checkpoint: Checkpoint,
    quiet: bool,
) -> Result<Ran> {
    let engine = engine(plan)?;
    let module = Module::new(&engine, wasm)
        .map_err(boxed)
        .context("the module cannot be compiled")?;
    let guest = Guest {
        wasi: wasi(plan),
        checkpoint,
        frames: None,
        began: Instant::now(),
        quiet,
        clock: false,
    };
    let mut store = Store::new(&engine, guest);
    let linker = linker(&mut store, &module, plan).map_err(boxed)?;
    let _timer = plan.timeout.map(|timeout| {
        store.set_epoch_deadline(1);
        Timer::start(engine.clone(), timeout)
    });
    let instance = linker.instantiate(&mut store, &module).map_err(boxed)?;
    let mut ran = Ran {
        store,
        instance,
        tables: Vec::new(),
        frames: Vec::new(),
        clock: false,
    };
    ran.tables = ran.tables_now(tables)?;
    ran.call(plan, &module)?;
    ran.frames = ran.store.data_mut().frames.take().unwrap_or_default();
    ran.clock = ran.store.data().clock;
    Ok(ran)
}

fn engine(plan: &Plan<'_>) -> Result<Engine> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
        .memory_init_cow(false)
        .max_wasm_stack(STACK)
        .async_stack_size(STACK + (1 << 20))
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        .epoch_interruption(plan.timeout.is_some())
        .wasm_wide_arithmetic(true)
        .wasm_custom_page_sizes(true);
    Engine::new(&config)
        .map_err(boxed)
        .context("the engine cannot be set up")
}

/// How deep a program's stack may be at its checkpoint.
const FRAMES: usize = 50_000;

fn wasi(plan: &Plan<'_>) -> WasiP1Ctx {
    let mut wasi = WasiCtxBuilder::new();
    wasi.allow_blocking_current_thread(true)
        .arg(plan.program)
        .args(plan.args)
        .envs(plan.env);
    wasi.build_p1()
}

/// Stops a program that takes too long; not before it is dropped.
struct Timer {
    done: std::sync::mpsc::Sender<()>,
}

impl Timer {
    fn start(engine: Engine, timeout: Duration) -> Timer {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if wait.recv_timeout(timeout) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        Timer { done }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // The thread may have ended with the time.
        let _ = self.done.send(());
    }
}

const WASI: &str = "wasi_snapshot_preview1";
const BADF: i32 = 8;
const INVAL: i32 = 28;
const FAULT: i32 = 21;

fn linker(
    store: &mut Store<Guest>,
    module: &Module,
    plan: &Plan<'_>,
) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(store.engine());
    p1::add_to_linker_sync(&mut linker, |guest: &mut Guest| &mut guest.wasi)?;
    linker.allow_shadowing(true);
    linker.func_wrap(WASI, "fd_write", write)?;
    linker.func_wrap(WASI, "fd_read", read)?;
    linker.func_wrap(WASI, "clock_time_get", clock)?;
    if !plan.random {
        linker.func_wrap(
            WASI,
            "random_get",
            |_: i32, _: i32| -> wasmtime::Result<i32> {
                Err(Hinted::new(
                    "the program asks for random bytes while it is initialised, and each run would \
                 have the same",
                    "have it ask after its checkpoint; CPython does with `--init-env \
                 PYTHONHASHSEED=0`. Where the same bytes do no harm: --init-allow random",
                )
                .into())
            },
        )?;
    }
    linker.func_wrap(
        checkpoint::MODULE,
        checkpoint::NAME,
        |mut caller: Caller<'_, Guest>| reached(&mut caller),
    )?;
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        if linker.get_by_import(&mut *store, &import).is_some() {
            continue;
        }
        let ExternType::Func(ty) = import.ty() else {
            return Err(not_there(from, name).into());
        };
        let (from, name) = (from.to_string(), name.to_string());
        let missing = (from.clone(), name.clone());
        linker.func_new(&from, &name, ty, move |_, _, _| {
            Err(not_there(&missing.0, &missing.1).into())
        })?;
    }
    Ok(linker)
}

/// `fd_write`: what is written is shown; the marker on stderr is a checkpoint.
fn write(
    mut caller: Caller<'_, Guest>,
    fd: i32,
    iovs: i32,
    count: i32,
    written: i32,
) -> wasmtime::Result<i32> {
    if !matches!(fd, 1 | 2) {
        return Ok(BADF);
    }
    let Some(bytes) = gathered(&mut caller, iovs as u32, count as u32) else {
        return Ok(FAULT);
    };
    if !put(
        &mut caller,
        written as u32,
        &(bytes.len() as u32).to_le_bytes(),
    ) {
        return Ok(FAULT);
    }
    let marker = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if fd == 2 && marker == checkpoint::MARKER && caller.data().checkpoint != Checkpoint::Pass {
        reached(&mut caller)?;
    } else if !caller.data().quiet {
        // There is nobody to be told that nobody listens.
        let _ = std::io::stderr().write_all(&bytes);
    }
    Ok(0)
}

/// `fd_read`, of stdin alone.
fn read(fd: i32, _: i32, _: i32, _: i32) -> wasmtime::Result<i32> {
    if fd != 0 {
        return Ok(BADF);
    }
    Err(Hinted::new(
        "the program reads stdin while it is initialised",
        "have it read stdin after its checkpoint, and what it needs before from a packed file",
    )
    .into())
}

/// `clock_time_get`: the time of day, or that since the start.
fn clock(mut caller: Caller<'_, Guest>, clock: i32, _: i64, to: i32) -> i32 {
    let now = match clock {
        0 => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
        1 => caller.data().began.elapsed(),
        _ => return INVAL,
    };
    caller.data_mut().clock = true;
    let nanoseconds = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    match put(&mut caller, to as u32, &nanoseconds.to_le_bytes()) {
        true => 0,
        false => FAULT,
    }
}

/// The program is at its checkpoint.
fn reached(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<()> {
    let checkpoint = caller.data().checkpoint;
    if checkpoint == Checkpoint::Pass {
        return Ok(());
    }
    let trace = WasmBacktrace::force_capture(&*caller);
    let frames = trace.frames().iter().map(|frame| {
        let offset = frame.module_offset();
        Some(Frame {
            function: frame.func_index(),
            offset: offset?,
        })
    });
    let frames: Option<Vec<Frame>> = frames.collect();
    let frames = frames.filter(|frames| frames.len() < FRAMES);
    let Some(frames) = frames else {
        return Err(Hinted::new(
            format!("the program's stack is deeper than {FRAMES} calls at its checkpoint"),
            "call the checkpoint from where fewer functions are under way",
        )
        .into());
    };
    if caller.data_mut().frames.replace(frames).is_some() {
        return Err(super::not_the_same().into());
    }
    if checkpoint == Checkpoint::Stop {
        return Err(Stopped.into());
    }
    let global = caller.get_export(name::UNWINDING);
    let global = global.and_then(Extern::into_global);
    let global = global.ok_or_else(|| wasmtime::Error::msg("the copy cannot be unwound"))?;
    global.set(&mut *caller, Val::I32(1))
}

/// The bytes that a list of buffers names.
fn gathered(caller: &mut Caller<'_, Guest>, iovs: u32, count: u32) -> Option<Vec<u8>> {
    let memory = caller.get_export(&name::memory(0))?.into_memory()?;
    let memory = memory.data(&*caller);
    let mut bytes = Vec::new();
    for at in 0..count as usize {
        let iov = memory.get(iovs as usize + 8 * at..)?.first_chunk::<8>()?;
        let word = |at: usize| u32::from_le_bytes([iov[at], iov[at + 1], iov[at + 2], iov[at + 3]]);
        let (start, len) = (word(0) as usize, word(4) as usize);
        bytes.extend_from_slice(memory.get(start..start.checked_add(len)?)?);
    }
    Some(bytes)
}

/// Writes to the program's memory, if that is long enough.
fn put(caller: &mut Caller<'_, Guest>, at: u32, bytes: &[u8]) -> bool {
    let memory = caller.get_export(&name::memory(0));
    let memory = memory.and_then(Extern::into_memory);
    memory.is_some_and(|memory| memory.write(&mut *caller, at as usize, bytes).is_ok())
}

impl Ran {
    /// Calls what the plan says.
    fn call(&mut self, plan: &Plan<'_>, module: &Module) -> Result<()> {
        let mut calls = vec![];
        if module.get_export(name::START).is_some() {
            calls.push(name::START);
        }
        match plan.how {
            How::Run => calls.push("_start"),
            How::Function(name) => {
                if module.get_export("_initialize").is_some() && name != "_initialize" {
                    calls.push("_initialize");
                }
                calls.push(name);
            }
        }
        for call in calls {
            let function = self.instance.get_func(&mut self.store, call);
            let function = function.with_context(|| format!("it does not export {call}"))?;
            let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
            let Err(error) = function.call(&mut self.store, &[], &mut results) else {
                continue;
            };
            if error.is::<Stopped>() {
                if call == name::START {
                    return Err(Hinted::new(
                        "the checkpoint is in the module's start function",
                        "call it from main, or from what `_start` calls",
                    )
                    .into());
                }
                return Ok(());
            }
            return Err(ended(error, plan));
        }
        match (plan.how, &self.store.data().frames) {
            (How::Run, None) => Err(Hinted::new(
                "the program has ended and not come to its checkpoint",
                "have it call `monaka_checkpoint()` of monaka.h, or write `monaka:checkpoint` to \
                 stderr, where later runs shall begin",
            )
            .into()),
            _ => Ok(()),
        }
    }

    /// The program's memory of that index.
    pub(super) fn memory(&mut self, index: u32) -> Result<&[u8]> {
        let memory = self
            .instance
            .get_memory(&mut self.store, &name::memory(index));
        Ok(memory
            .context("a memory is not exported")?
            .data(&self.store))
    }

    /// The memory into which the stack was put.
    pub(super) fn stack(&mut self) -> Result<&[u8]> {
        let memory = self.instance.get_memory(&mut self.store, name::STACK);
        Ok(memory
            .context("the stack is not exported")?
            .data(&self.store))
    }

    /// What a global holds.
    pub(super) fn global(&mut self, name: &str) -> Result<Val> {
        let global = self.instance.get_global(&mut self.store, name);
        let global = global.with_context(|| format!("{name} is not exported"))?;
        Ok(global.get(&mut self.store))
    }

    /// What stands in a table when the module starts, and now.
    pub(super) fn table(&mut self, index: u32) -> Result<(Vec<Entry>, Vec<Entry>)> {
        let now = self.table_now(index)?;
        let before = self.tables.get_mut(index as usize).map(std::mem::take);
        Ok((before.unwrap_or_default(), now.unwrap_or_default()))
    }

    fn tables_now(&mut self, tables: u32) -> Result<Vec<Vec<Entry>>> {
        (0..tables)
            .map(|index| Ok(self.table_now(index)?.unwrap_or_default()))
            .collect()
    }

    fn table_now(&mut self, index: u32) -> Result<Option<Vec<Entry>>> {
        let Some(table) = self
            .instance
            .get_table(&mut self.store, &name::table(index))
        else {
            return Ok(None);
        };
        let mut entries = Vec::new();
        for at in 0..table.size(&self.store) {
            let entry = table.get(&mut self.store, at);
            let entry = Val::from(entry.context("a table has shrunk")?);
            entries.push(self.entry(&entry));
        }
        Ok(Some(entries))
    }

    /// A reference as something that can be compared.
    pub(super) fn entry(&mut self, value: &Val) -> Entry {
        match value {
            Val::FuncRef(Some(function)) => Entry::Function(self.identity(*function)),
            Val::FuncRef(None)
            | Val::ExternRef(None)
            | Val::AnyRef(None)
            | Val::ExnRef(None)
            | Val::ContRef(None) => Entry::Null,
            _ => Entry::Other,
        }
    }

    /// What tells one of the module's functions from all others.
    pub(super) fn function(&mut self, index: u32) -> Option<Entry> {
        let function = self
            .instance
            .get_func(&mut self.store, &name::function(index))?;
        Some(Entry::Function(self.identity(function)))
    }

    fn identity(&mut self, function: Func) -> usize {
        function.to_raw(&mut self.store) as usize
    }
}

/// Why a program did not come to where it should.
fn ended(error: wasmtime::Error, plan: &Plan<'_>) -> anyhow::Error {
    let place = match plan.how {
        How::Run => "before its checkpoint",
        How::Function(_) => "while it was initialised",
    };
    if error.is::<Hinted>() {
        return match error.downcast::<Hinted>() {
            Ok(hinted) => hinted.into(),
            Err(error) => boxed(error),
        };
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Hinted::new(
            format!("the program has ended with status {} {place}", exit.0),
            "what it printed stands above; give it what it needs with --init-arg and --init-env",
        )
        .into();
    }
    if let (Some(Trap::Interrupt), Some(timeout)) = (error.downcast_ref::<Trap>(), plan.timeout) {
        return Hinted::new(
            format!("the program ran for {} s {place}", timeout.as_secs_f64()),
            "give it more time with --init-timeout; it may also wait for what is not there at \
             pack time",
        )
        .into();
    }
    Hinted::new(
        format!("the program has failed {place}: {:#}", boxed(error)),
        "see whether it fails without being initialised, too; what it finds in its environment \
         is what --init-arg and --init-env give",
    )
    .into()
}

fn boxed(error: wasmtime::Error) -> anyhow::Error {
    match error.downcast::<Hinted>() {
        Ok(hinted) => hinted.into(),
        Err(error) => anyhow::Error::from_boxed(error.into()),
    }
}
