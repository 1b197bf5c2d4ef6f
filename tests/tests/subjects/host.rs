//! What runs the modules: wasmtime inside this test, or its own command for what
//! this one does not offer. Compiled modules are kept in `target/tests`.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use monaka_tests::toolbox::{Outcome, finish, kept, root};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use crate::drive::Drive;
use crate::left;

/// A runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// The one that `monaka run` has.
    Wasmtime,
    /// The command of the same name, which knows `wasi_unstable` too.
    Command,
}

/// What an instance is given.
pub(crate) struct Setup<'a> {
    /// With the program's own name.
    pub(crate) args: Vec<String>,
    pub(crate) env: &'a [(&'static str, &'static str)],
    pub(crate) stdin: &'a str,
    /// Directories of the host by the names they get.
    pub(crate) mounts: &'a [(&'static str, PathBuf)],
    /// Wasmtime only: what calls the exports.
    pub(crate) drive: Drive,
    /// Wasmtime only: whether to print what it leaves in /work.
    pub(crate) lists: bool,
}

impl Host {
    /// Runs the module at `path` to its end.
    pub(crate) fn run(self, path: &Path, setup: &Setup<'_>) -> Outcome {
        match self {
            Host::Wasmtime => embedded(path, setup),
            Host::Command => command(path, setup),
        }
    }
}

/// More than any program may print.
const OUTPUT: usize = 64 << 20;

fn embedded(path: &Path, setup: &Setup<'_>) -> Outcome {
    let (outcome, took) = Loaded::new(path).run(setup);
    println!("{}: ran {:.3} s", path.display(), took.as_secs_f64());
    outcome
}

/// A compiled module.
pub(crate) struct Loaded {
    module: Module,
    path: PathBuf,
}

impl Loaded {
    pub(crate) fn new(path: &Path) -> Loaded {
        Loaded {
            module: compiled(path),
            path: path.to_path_buf(),
        }
    }

    /// Runs a new instance to its end; answers also how long that took.
    pub(crate) fn run(&self, setup: &Setup<'_>) -> (Outcome, Duration) {
        let [stdout, stderr] = [OUTPUT; 2].map(MemoryOutputPipe::new);
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true)
            .args(&setup.args)
            .envs(setup.env)
            .stdin(MemoryInputPipe::new(setup.stdin.to_owned()))
            .stdout(stdout.clone())
            .stderr(stderr.clone());
        for (guest, host) in setup.mounts {
            wasi.preopened_dir(host, guest, FsPerms::ReadWrite)
                .unwrap_or_else(|e| panic!("{}: {e}", host.display()));
        }
        let engine = self.module.engine();
        let mut store = Store::new(engine, wasi.build_p1());
        let mut linker: Linker<WasiP1Ctx> = Linker::new(engine);
        p1::add_to_linker_sync(&mut linker, |wasi| wasi).expect("define WASI");
        crate::drive::define_glue(&mut linker).expect("define what is not WASI's");
        linker
            .define_unknown_imports_as_traps(&self.module)
            .expect("define the other imports");
        let begun = Instant::now();
        let instance = linker
            .instantiate(&mut store, &self.module)
            .expect("instantiate");
        let result = (setup.drive)(&mut store, &instance, &setup.args[1..]);
        let took = begun.elapsed();
        let left = match setup.lists {
            true => left::listed(&mut store, &instance, "work").expect("list what it left"),
            false => String::new(),
        };
        drop(store);
        let mut out = stdout.contents().to_vec();
        let mut err = stderr.contents().to_vec();
        let code = match result {
            Ok(printed) => {
                out.extend_from_slice(printed.as_bytes());
                Some(0)
            }
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Some(exit.0),
                None => {
                    // The first line: addresses differ between modules.
                    let trap = format!("{}\n", error.root_cause());
                    err.extend_from_slice(trap.as_bytes());
                    None
                }
            },
        };
        out.extend_from_slice(left.as_bytes());
        let shown = format!("{} {}", self.path.display(), setup.args[1..].join(" "));
        (Outcome::new(shown, code, out, err), took)
    }
}

/// Compiles a module, unless that was done before. It is mapped from a file, so that
/// its start is that of a module compiled ahead of time.
fn compiled(path: &Path) -> Module {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(Engine::default);
    let wasm = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut hasher = DefaultHasher::new();
    wasm.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let stem = path.file_stem().expect("a file").to_string_lossy();
    let name = format!("{stem}-{:016x}.cwasm", hasher.finish());
    // What is packed is packed anew each time, elsewhere.
    let place = match path.starts_with(root()) {
        true => kept().join(name),
        false => path.with_file_name(name),
    };
    if !place.exists() {
        let begun = Instant::now();
        let module =
            Module::new(engine, &wasm).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
        let took = begun.elapsed().as_secs_f64();
        println!("{stem}: {} bytes, compiled in {took:.1} s", wasm.len());
        let unfinished = place.with_extension(format!("{}", std::process::id()));
        fs::write(&unfinished, module.serialize().expect("serialise"))
            .and_then(|()| fs::rename(&unfinished, &place))
            .unwrap_or_else(|e| panic!("{}: {e}", place.display()));
    }
    // SAFETY: nothing but the lines above writes there, and a file is complete when
    // it gets its name.
    unsafe { Module::deserialize_file(engine, &place) }
        .unwrap_or_else(|e| panic!("{}: {e:?}\nhint: remove it", place.display()))
}

fn command(path: &Path, setup: &Setup<'_>) -> Outcome {
    let mut wasmtime = Command::new("sh");
    // It is unpacked without the executable bit.
    wasmtime
        .args(["-c", r#"chmod +x "$0" && exec "$0" run "$@""#])
        .arg(root().join(".cache/wasmtime/wasmtime_cli/wasmtime"));
    for (guest, host) in setup.mounts {
        let mut mount = host.as_os_str().to_owned();
        mount.push("::");
        mount.push(guest);
        wasmtime.arg("--dir").arg(mount);
    }
    for (name, value) in setup.env {
        wasmtime.arg("--env").arg(format!("{name}={value}"));
    }
    wasmtime.arg(path).args(&setup.args[1..]);
    finish(&mut wasmtime, setup.stdin)
}
