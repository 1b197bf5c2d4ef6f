//! A program that measures itself, in every home of its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Linked, Opt, Program, finish, mapped, monaka, root, wasi_vfs};
use tempfile::TempDir;
use wasmtime::{Engine, InstancePre, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use crate::Setup;
use crate::home::Home;
use crate::peers;
use crate::report::{Row, Table};
use crate::samples::{Round, Samples};

/// A program with its files, in each home that is here: compiled before anything is
/// measured, and run from this process, one home after the other.
pub(crate) struct Workload {
    homes: Vec<(Home, Prepared)>,
    files: PathBuf,
    /// How numbers are found in what was printed.
    read: fn(&str) -> Vec<(String, f64)>,
    _room: TempDir,
}

/// What is left to do is to run it.
enum Prepared {
    Engine(InstancePre<WasiP1Ctx>),
    Node(PathBuf),
}

impl Workload {
    /// `tests/benches/programs/NAME` with the files that `fill` puts into a directory.
    pub(crate) fn new(
        setup: &Setup,
        name: &'static str,
        homes: &[Home],
        fill: impl FnOnce(&Path),
    ) -> Workload {
        Workload::of_program(Program::Bench(name), setup, homes, fill)
    }

    /// The same of any program.
    pub(crate) fn of_program(
        program: Program,
        setup: &Setup,
        homes: &[Home],
        fill: impl FnOnce(&Path),
    ) -> Workload {
        let compile = |linked| program.compile(setup.libc, Opt::O2, linked);
        let plain = compile(Linked::Not);
        Workload::of(homes, fill, |home| match home {
            Home::Linked => Some(compile(Linked::Last)),
            Home::WasiVfs => wasi_vfs(setup.libc).map(|_| compile(Linked::WasiVfs)),
            _ => Some(plain.clone()),
        })
    }

    /// A finished module with such files, in homes that need no linking.
    pub(crate) fn finished(module: &Path, homes: &[Home], fill: impl FnOnce(&Path)) -> Workload {
        Workload::of(homes, fill, |home| match home {
            Home::Linked | Home::WasiVfs => None,
            _ => Some(module.to_owned()),
        })
    }

    fn of(
        homes: &[Home],
        fill: impl FnOnce(&Path),
        module: impl Fn(Home) -> Option<PathBuf>,
    ) -> Workload {
        let room = in_memory(1 << 30);
        let files = room.path().join("files");
        fs::create_dir(&files).expect("create a directory");
        fill(&files);
        let prepare = |home: &Home| {
            eprintln!("  preparing {}", home.name());
            let module = module(*home)?;
            let packed = room.path().join("packed.wasm");
            let prepared = match home {
                Home::Tmpfs | Home::Pool => compiled(&module),
                Home::Node if Runtime::NewerNode.is_here() => Prepared::Node(module),
                Home::Node => return None,
                Home::WasiVfs if !Runtime::Wasmtime.is_here() => return None,
                Home::WasiVfs => {
                    peers::pack_with_wasi_vfs(&module, &files, &packed);
                    compiled(&packed)
                }
                Home::Linked | Home::Single | Home::Multi | Home::Compressed => {
                    pack(*home, &module, &files, &packed);
                    compiled(&packed)
                }
            };
            Some((*home, prepared))
        };
        Workload {
            homes: homes.iter().filter_map(prepare).collect(),
            files,
            read: numbers,
            _room: room,
        }
    }

    /// The same of a program that does not print lines of `NAME NANOSECONDS`.
    pub(crate) fn reading(mut self, read: fn(&str) -> Vec<(String, f64)>) -> Workload {
        self.read = read;
        self
    }

    /// The homes that are here.
    pub(crate) fn homes(&self) -> Vec<Home> {
        self.homes.iter().map(|(home, _)| *home).collect()
    }

    /// What calls take in the homes that are here: `HOME.NAME` for each name of `calls`,
    /// which say what they are.
    pub(crate) fn table(&self, title: &str, calls: &[(&str, &str)], samples: &Samples) -> Table {
        let row = |(call, what): &(&str, &str)| {
            let cell = |(home, _): &(Home, _)| samples.median(&format!("{}.{call}", home.name()));
            Row::new(*what, self.homes.iter().map(cell).collect::<Vec<_>>())
        };
        let name = |home: Home| home.name().to_owned();
        Table {
            title: title.into(),
            columns: self.homes().into_iter().map(name).collect(),
            rows: calls.iter().map(row).collect(),
        }
    }

    /// Measures each home once: `HOME.NAME`.
    pub(crate) fn round(&self, args: impl Fn(Home) -> Vec<String>) -> Round {
        let mut round = BTreeMap::new();
        for (home, prepared) in &self.homes {
            let args = args(*home);
            let start = Instant::now();
            let printed = match prepared {
                Prepared::Node(module) => {
                    let outcome = finish(&mut peers::node(module, &self.files, &args), "");
                    (outcome.code == Some(0))
                        .then_some(outcome.stdout)
                        .ok_or(outcome.stderr)
                }
                Prepared::Engine(program) => {
                    let files = home.is_host().then_some(self.files.as_path());
                    run(program, &args, files, *home != Home::Pool)
                        .map_err(|error| format!("{error:?}"))
                }
            };
            let printed = match printed {
                Ok(printed) => printed,
                // Their cells stay empty; what others cannot do is no reason to end.
                Err(error) if home.is_peer() => {
                    eprintln!("    {} failed: {error}", home.name());
                    continue;
                }
                Err(error) => panic!("{}: {error}", home.name()),
            };
            let took = start.elapsed().as_secs_f64();
            eprintln!("    {}: {took:.1} s", home.name());
            for (name, value) in (self.read)(&printed) {
                round.insert(format!("{}.{name}", home.name()), value);
            }
        }
        round
    }
}

fn pack(home: Home, module: &Path, files: &Path, out: &Path) {
    let mut pack: Command = monaka(["pack".as_ref(), module.as_os_str()]);
    pack.arg("--mapdir")
        .arg(mapped("/", files))
        .arg("-o")
        .arg(out);
    match home {
        Home::Single => pack.args(["--memory", "single"]),
        Home::Multi => pack.args(["--memory", "multi"]),
        Home::Compressed => pack.args(["--memory", "multi", "--compress"]),
        _ => &mut pack,
    };
    finish(&mut pack, "").expect_success();
}

fn compiled(module: &Path) -> Prepared {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let prepare = || {
        let engine = ENGINE.get_or_init(Engine::default);
        let mut linker = Linker::new(engine);
        p1::add_to_linker_sync(&mut linker, |wasi| wasi)?;
        linker.instantiate_pre(&Module::from_file(engine, module)?)
    };
    let prepared = prepare().unwrap_or_else(|error| panic!("{}: {error:?}", module.display()));
    Prepared::Engine(prepared)
}

/// What a fresh instance prints, which has `files` opened as `/` where that is said.
fn run(
    program: &InstancePre<WasiP1Ctx>,
    args: &[String],
    files: Option<&Path>,
    in_place: bool,
) -> wasmtime::Result<String> {
    let stdout = MemoryOutputPipe::new(1 << 20);
    let mut wasi = WasiCtxBuilder::new();
    wasi.allow_blocking_current_thread(in_place);
    wasi.inherit_stderr().stdout(stdout.clone());
    wasi.arg("bench").args(args);
    if let Some(files) = files {
        wasi.preopened_dir(files, "/", FsPerms::ReadWrite)?;
    }
    let mut store = Store::new(program.module().engine(), wasi.build_p1());
    let instance = program.instantiate(&mut store)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    match start.call(&mut store, ()) {
        Err(error)
            if error
                .downcast_ref::<I32Exit>()
                .is_none_or(|exit| exit.0 != 0) =>
        {
            Err(error)
        }
        _ => Ok(String::from_utf8(stdout.contents().into())?),
    }
}

/// The lines `NAME VALUE` that a program printed.
pub(crate) fn numbers(printed: &str) -> Vec<(String, f64)> {
    let line = |line: &str| {
        let pair = line.split_once(' ');
        let number = pair.and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        number.unwrap_or_else(|| panic!("{line}: not NAME VALUE"))
    };
    printed.lines().map(line).collect()
}

/// A directory in memory where there is one with room for so many bytes, so that the
/// host's side of a comparison does not wait for a disk.
pub(crate) fn in_memory(bytes: u64) -> TempDir {
    let shm = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(shm).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    let place = match room >= bytes {
        true => TempDir::new_in(shm),
        false => TempDir::new(),
    };
    place.expect("create a directory")
}

/// Compiles a module for wasmtime's command.
pub(crate) fn compile(module: &Path, out: &Path) {
    let mut compile = Runtime::Wasmtime.executable();
    compile.arg("compile").arg(module).arg("-o").arg(out);
    finish(&mut compile, "").expect_success();
}

/// A directory on disk, for what is large and not measured by its calls.
pub(crate) fn on_disk() -> TempDir {
    let work = root().join("target/bench");
    fs::create_dir_all(&work).expect("create target/bench");
    TempDir::new_in(work).expect("create a directory")
}

/// Bytes that look random, the same each time (xorshift64).
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut words = words();
    while bytes.len() < len {
        bytes.extend_from_slice(&words().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Bytes that compress about as well as text does: words of a small language.
pub(crate) fn prose(len: usize) -> Vec<u8> {
    let mut words = words();
    let language: Vec<_> = (0..1024)
        .map(|_| {
            let word = words();
            let letters = word.to_le_bytes().map(|byte| b'a' + byte % 26);
            letters[..2 + (word >> 32) as usize % 7].to_vec()
        })
        .collect();
    let mut bytes = Vec::with_capacity(len + 9);
    while bytes.len() < len {
        bytes.extend_from_slice(&language[words() as usize % language.len()]);
        bytes.push(b' ');
    }
    bytes.truncate(len);
    bytes
}

fn words() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
