//! How soon an instance of a module that was compiled beforehand reads its first byte,
//! and ends.
//!
//! 1. Compiled modules are mapped from files, as `wasmtime run --allow-precompiled` does:
//!    what stands in memory at the start is then mapped from there as well, where
//!    wasmtime can do that (`monaka inspect` says whether).
//! 2. The clock runs from the instantiation on: what the embedder has to do before, such
//!    as opening the host's directories, belongs to none of them.
//! 3. The first byte is read when the program writes the first one to stdout: it is taken
//!    for one that says what it has read, like `benches/programs/start.c`.
//! 4. Faults are those of the thread, minor ones: pages that were touched the first time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wasmtime::{Caller, Engine, InstancePre, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// What a program is given.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Without the program's name.
    pub args: Vec<String>,
    /// Directories of the host, by the names that they get.
    pub directories: Vec<(String, PathBuf)>,
}

/// How long it took from the instantiation on, and the pages that were touched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// Until the instance was there.
    pub instance: Duration,
    /// Until something was written to stdout; to the end where nothing was.
    pub first: Duration,
    /// Until `_start` returned.
    pub end: Duration,
    /// Minor page faults up to there.
    pub faults: u64,
}

/// A module that was compiled.
#[allow(missing_debug_implementations)]
pub struct Compiled {
    pre: InstancePre<Instance>,
    /// What compiling took.
    pub compile: Duration,
    /// The compiled module's bytes.
    pub size: u64,
}

struct Instance {
    wasi: WasiP1Ctx,
    first: Option<Instant>,
}

impl Compiled {
    /// Compiles the module at `path` and writes the result beside it.
    pub fn new(engine: &Engine, path: &Path) -> wasmtime::Result<Compiled> {
        let wasm = fs::read(path)?;
        let begun = Instant::now();
        let bytes = engine.precompile_module(&wasm)?;
        let compile = begun.elapsed();
        let place = path.with_extension("cwasm");
        fs::write(&place, &bytes)?;
        // SAFETY: it was written by the lines above, and nobody else writes there.
        let module = unsafe { Module::deserialize_file(engine, &place) }?;
        // What is mapped stays, whatever becomes of the name.
        fs::remove_file(&place)?;
        let mut linker = Linker::new(engine);
        p1::add_to_linker_sync(&mut linker, |instance: &mut Instance| &mut instance.wasi)?;
        linker.allow_shadowing(true);
        linker.func_wrap("wasi_snapshot_preview1", "fd_write", write)?;
        Ok(Compiled {
            pre: linker.instantiate_pre(&module)?,
            compile,
            size: bytes.len() as u64,
        })
    }

    /// Runs a fresh instance to its end; anything but success is an error.
    pub fn start(&self, given: &Given) -> wasmtime::Result<Start> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true)
            .arg("program")
            .args(&given.args);
        for (guest, host) in &given.directories {
            wasi.preopened_dir(host, guest, FsPerms::ReadWrite)?;
        }
        let instance = Instance {
            wasi: wasi.build_p1(),
            first: None,
        };
        let mut store = Store::new(self.pre.module().engine(), instance);
        let faults = faults();
        let begun = Instant::now();
        let instance = self.pre.instantiate(&mut store)?;
        let instantiated = begun.elapsed();
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        let result = start.call(&mut store, ());
        let end = begun.elapsed();
        let faults = self::faults() - faults;
        match result {
            Err(error) if !matches!(error.downcast_ref(), Some(I32Exit(0))) => return Err(error),
            _ => {}
        }
        let first = store.data().first.map(|first| first - begun);
        Ok(Start {
            instance: instantiated,
            first: first.unwrap_or(end),
            end,
            faults,
        })
    }
}

/// Runs all of them `rounds` times in turn; answers the median of each number, for each.
pub fn in_turn(these: &[(&Compiled, &Given)], rounds: usize) -> wasmtime::Result<Vec<Start>> {
    let mut all = vec![Vec::with_capacity(rounds); these.len()];
    // The first one finds nothing mapped.
    for round in 0..=rounds {
        for (starts, (compiled, given)) in all.iter_mut().zip(these) {
            let start = compiled.start(given)?;
            if round != 0 {
                starts.push(start);
            }
        }
    }
    Ok(all.iter().map(|starts| medians(starts)).collect())
}

fn medians(starts: &[Start]) -> Start {
    fn median<T: Ord + Copy>(starts: &[Start], of: impl Fn(&Start) -> T) -> T {
        let mut all: Vec<T> = starts.iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2]
    }
    Start {
        instance: median(starts, |start| start.instance),
        first: median(starts, |start| start.first),
        end: median(starts, |start| start.end),
        faults: median(starts, |start| start.faults),
    }
}

/// `fd_write` on descriptors that are streams, to nowhere; others are refused, since a
/// program that starts and ends writes none.
fn write(
    mut caller: Caller<'_, Instance>,
    fd: u32,
    iovs: u32,
    count: u32,
    written: u32,
) -> wasmtime::Result<u32> {
    const BADF: u32 = 8;
    if !(1..=2).contains(&fd) {
        return Ok(BADF);
    }
    let now = Instant::now();
    if fd == 1 {
        caller.data_mut().first.get_or_insert(now);
    }
    let memory = caller.get_export("memory").and_then(|it| it.into_memory());
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("the program exports no memory"))?;
    let mut len = 0;
    for iov in 0..count {
        let mut buffer = [0; 4];
        memory.read(&caller, (iovs + iov * 8 + 4) as usize, &mut buffer)?;
        len += u32::from_le_bytes(buffer);
    }
    memory.write(&mut caller, written as usize, &len.to_le_bytes())?;
    Ok(0)
}

/// The minor page faults of this thread.
fn faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").expect("a thread's numbers");
    // Behind the name, which may hold anything: state is the third field, minflt the tenth.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let field = fields.split(' ').nth(7).expect("a tenth field");
    field.parse().expect("a number")
}
