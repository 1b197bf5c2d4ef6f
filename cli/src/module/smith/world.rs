//! What surrounds a generated module: a host that answers the same to the same
//! calls and remembers them, and for the module as it was the file system.

use std::sync::LazyLock;

use monaka_vfs_core::access::Access;
use monaka_vfs_core::device::DEVICES;
use monaka_vfs_core::errno::{Errno, Result};
use monaka_vfs_core::host::{Host, answer};
use monaka_vfs_core::image::{Image, Meta, NodeId, Tree, ValidTree, Written, write};
use monaka_vfs_core::memory::{GuestMemory, Region};
use monaka_vfs_core::time::Timestamp;
use monaka_vfs_core::witx;
use monaka_vfs_core::{Vfs, for_each_hook};
use wasmtime::{Caller, Config, Engine, Linker, Memory, OptLevel};

use super::super::analyze::{Module, engine_features};
use super::super::graft::UNSTABLE_MODULES;
use super::super::merge::{Layout, Merged};
use super::super::mount::Mounted;
use crate::module::reach::Reach;

/// Room for the calls of a module, which end where its fuel does.
pub(crate) const STACK: usize = 32 << 20;

/// The engine.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let mut config = Config::new();
        config
            .wasm_features(engine_features(), true)
            .cranelift_opt_level(OptLevel::None)
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true)
            .async_stack_size(STACK * 2)
            .max_wasm_stack(STACK);
        Engine::new(&config).expect("an engine")
    });
    &ENGINE
}

/// What is packed.
pub(crate) struct Files {
    image: Written<'static, &'static [u8]>,
    data: Vec<u8>,
    mounted: Mounted,
    host_dirs: bool,
}

impl Files {
    /// The files, mounted with or without the host's directories.
    pub(crate) fn of(host_dirs: bool) -> &'static Files {
        static FILES: LazyLock<[Files; 2]> =
            LazyLock::new(|| [Files::mount(false), Files::mount(true)]);
        &FILES[usize::from(host_dirs)]
    }

    fn mount(host_dirs: bool) -> Files {
        let tree: &'static ValidTree<_> = Box::leak(Box::new(tree(host_dirs)));
        let image = write(tree).expect("an image");
        let mut data = vec![0; image.data_len as usize];
        for content in &image.contents {
            data[content.offset as usize..][..content.len as usize].copy_from_slice(content.source);
        }
        let wasm = wat::parse_str(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
                (memory 1))"#,
        )
        .expect("a module");
        let module = Module::parse(&wasm).expect("a module");
        // How the blob is mounted depends on no program.
        let any = Merged::new(
            &wasm,
            &module,
            Layout::Single,
            Reach::usual(host_dirs),
            false,
        )
        .expect("merged");
        let mounted = any.mount(&image).expect("mounted");
        Files {
            image,
            data,
            mounted,
            host_dirs,
        }
    }

    /// The module with the files in it.
    pub(crate) fn pack(&self, merged: &Merged<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        merged
            .write(&mut out, &self.mounted, &self.image, |source, _, out| {
                Ok(out.write_all(source)?)
            })
            .expect("written");
        out
    }

    fn vfs(&'static self) -> Vfs<'static> {
        let image = Image::open(&self.image.tables).expect("an image");
        Vfs::mount(&image, &self.data, self.host_dirs).expect("mounted")
    }
}

fn tree(sockets: bool) -> ValidTree<&'static [u8]> {
    let meta = Meta {
        mtime: 1_000_000_007,
        executable: false,
    };
    let mut tree = Tree::<&[u8]>::new(meta);
    let root = NodeId::ROOT;
    let dir = tree.add_directory(root, b"dir", meta).expect("a directory");
    let dev = tree.add_directory(root, b"dev", meta).expect("a directory");
    for (name, device) in DEVICES {
        tree.add_device(dev, name, meta, device).expect("a device");
    }
    for (parent, name, contents) in [
        (root, "a", b"a packed file's contents".as_slice()),
        (dir, "b", &[7; 5000]),
        (dir, "empty", b""),
    ] {
        let len = contents.len() as u64;
        tree.add_file(parent, name.as_bytes(), meta, len, contents)
            .expect("a file");
    }
    tree.add_preopen(b"/", root).expect("a preopen");
    tree.set_access(Access {
        sockets,
        ..Access::default()
    });
    tree.validate().expect("a tree")
}

/// A call that reached the host.
pub(crate) type Call = (&'static str, Vec<u64>);

/// What surrounds an instance.
pub(crate) struct World {
    /// The file system, where it is not merged in.
    vfs: Option<Vfs<'static>>,
    pub(crate) host: Recorder,
    /// Under which name memory 0 is exported.
    name: String,
    /// Memory 0, once there is an instance: a host's function that is called by
    /// the host itself has no caller to ask for it.
    pub(crate) memory: Option<Memory>,
}

/// The host.
#[derive(Default)]
pub(crate) struct Recorder {
    /// All that was called.
    pub(crate) calls: Vec<Call>,
    /// Whether it was asked to write outside of the program's memory.
    pub(crate) strayed: bool,
    host_dirs: bool,
}

impl World {
    /// A host; `natively` with the file system in front of it.
    pub(crate) fn new(natively: bool, host_dirs: bool, memory: &str) -> World {
        World {
            vfs: natively.then(|| Files::of(host_dirs).vfs()),
            host: Recorder {
                host_dirs,
                ..Recorder::default()
            },
            name: memory.to_string(),
            memory: None,
        }
    }
}

impl Recorder {
    fn answer(&mut self, memory: &mut [u8], name: &'static str, args: &[u64]) -> u32 {
        self.calls.push((name, args.to_vec()));
        let count = self.calls.len() as u64;
        let outcome = match (name, args) {
            ("clock_time_get", [.., at]) => {
                let now = 1_600_000_000_000_000_000 + count * 1_000_000_000;
                self.store(memory, *at, &now.to_le_bytes())
            }
            ("random_get", [at, len]) => {
                let random: Vec<u8> = (count..).take(*len as usize).map(|n| n as u8).collect();
                self.store(memory, *at, &random)
            }
            ("fd_fdstat_get", [0..=2, at]) => self.store(memory, *at, &[2; 24]),
            ("fd_read" | "fd_write", [0..=2, .., at]) => {
                self.store(memory, *at, &(count as u32).to_le_bytes())
            }
            ("sched_yield", []) => Ok(()),
            ("fd_close", [0..=2]) => Ok(()),
            _ => Err(Errno::BADF),
        };
        outcome.err().map_or(0, |errno| errno.raw().into())
    }

    fn store(&mut self, memory: &mut [u8], at: u64, bytes: &[u8]) -> Result<()> {
        let at = at as usize;
        match memory.get_mut(at..at + bytes.len()) {
            Some(to) => {
                to.copy_from_slice(bytes);
                Ok(())
            }
            None => {
                self.strayed = true;
                Err(Errno::FAULT)
            }
        }
    }
}

/// A program's memory, and its host: what the blob reaches when it is merged.
struct Program<'p> {
    memory: &'p mut [u8],
    host: &'p mut Recorder,
}

impl GuestMemory for Program<'_> {
    fn size(&self) -> u64 {
        self.memory.len() as u64
    }

    fn read(&self, from: Region, to: &mut [u8]) {
        to.copy_from_slice(&self.memory[from.at() as usize..][..from.len() as usize]);
    }

    fn append(&self, from: Region, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.memory[from.at() as usize..][..from.len() as usize]);
    }

    fn write(&mut self, to: Region, from: &[u8]) {
        self.memory[to.at() as usize..][..to.len() as usize].copy_from_slice(from);
    }

    fn zero(&mut self, to: Region) {
        self.memory[to.at() as usize..][..to.len() as usize].fill(0);
    }
}

impl Program<'_> {
    fn ask(&mut self, name: &'static str, args: &[u64]) -> Result<()> {
        answer(self.host.answer(self.memory, name, args))
    }
}

/// What the host is called with: integers, widened.
fn widened<const N: usize>(args: [u64; N]) -> [u64; N] {
    args
}

macro_rules! program {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        impl Host for Program<'_> {
            fn now(&mut self) -> Timestamp {
                self.lend(|program, at| program.ask("clock_time_get", &[0, 1, at.into()]))
                    .map_or(0, Timestamp::from_le_bytes)
            }

            fn random(&mut self, to: Region) -> Result<()> {
                self.ask("random_get", &[to.at().into(), to.len().into()])
            }

            fn filetype(&mut self, fd: u32) -> Option<u8> {
                let fdstat = self.lend::<24>(|program, at| program.fd_fdstat_get(fd, at));
                Some(fdstat.ok()?[0])
            }

            $(
                fn $name(&mut self, $($arg: $ty),*) -> Result<()> {
                    let name = stringify!($name);
                    let calls = Access::<()>::default().calls(false);
                    let isolated = !self.host.host_dirs && !calls.has_name(name);
                    assert!(!isolated, "{name} reached the host");
                    self.ask(name, &widened([$(u64::from($arg)),*]))
                }
            )*
        }

        /// The calls with descriptors, which the file system answers if it is there.
        fn add_hooks(linker: &mut Linker<World>, module: &str) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(
                    module,
                    stringify!($name),
                    |mut caller: Caller<'_, World>, $($arg: $ty),*| -> u32 {
                        serve(
                            &mut caller,
                            stringify!($name),
                            &[$(u64::from($arg)),*],
                            |vfs, program| vfs.$name(program, $($arg),*),
                        )
                    },
                )?;
            )*
            Ok(())
        }
    };
}
for_each_hook!(program);

fn serve(
    caller: &mut Caller<'_, World>,
    name: &'static str,
    args: &[u64],
    call: impl FnOnce(&mut Vfs<'static>, &mut Program<'_>) -> Result<()>,
) -> u32 {
    let memory = caller.data().memory.or_else(|| {
        let name = caller.data().name.clone();
        caller.get_export(&name)?.into_memory()
    });
    let memory = memory.expect("memory 0 is exported");
    let (memory, world) = memory.data_and_store_mut(caller);
    let host = &mut world.host;
    match &mut world.vfs {
        Some(vfs) => {
            let outcome = call(vfs, &mut Program { memory, host });
            outcome.err().map_or(0, |errno| errno.raw().into())
        }
        None => host.answer(memory, name, args),
    }
}

/// A call without descriptors, which is always the host's.
fn ask(caller: &mut Caller<'_, World>, name: &'static str, args: &[u64]) -> u32 {
    let natively = caller.data_mut().vfs.take();
    let answer = serve(caller, name, args, |_, _| Ok(()));
    caller.data_mut().vfs = natively;
    answer
}

/// WASI and `env`.
pub(crate) fn linker() -> wasmtime::Result<Linker<World>> {
    let mut linker = Linker::new(engine());
    for module in [witx::MODULE].into_iter().chain(UNSTABLE_MODULES) {
        add_hooks(&mut linker, module)?;
        for name in [
            "args_get",
            "args_sizes_get",
            "environ_get",
            "environ_sizes_get",
            "clock_res_get",
        ] {
            linker.func_wrap(
                module,
                name,
                move |mut caller: Caller<'_, World>, a: u32, b: u32| {
                    ask(&mut caller, name, &[a.into(), b.into()])
                },
            )?;
        }
        linker.func_wrap(
            module,
            "random_get",
            |mut caller: Caller<'_, World>, at: u32, len: u32| {
                // Longer than any memory: not worth trying.
                match len >> 24 {
                    0 => ask(&mut caller, "random_get", &[at.into(), len.into()]),
                    _ => {
                        caller.data_mut().host.strayed = true;
                        Errno::FAULT.raw().into()
                    }
                }
            },
        )?;
        linker.func_wrap(
            module,
            "clock_time_get",
            |mut caller: Caller<'_, World>, clock: u32, precision: u64, at: u32| {
                let args = [clock.into(), precision, at.into()];
                ask(&mut caller, "clock_time_get", &args)
            },
        )?;
        linker.func_wrap(module, "sched_yield", |mut caller: Caller<'_, World>| {
            ask(&mut caller, "sched_yield", &[])
        })?;
        linker.func_wrap(
            module,
            "proc_raise",
            |mut caller: Caller<'_, World>, signal: u32| {
                ask(&mut caller, "proc_raise", &[signal.into()])
            },
        )?;
        linker.func_wrap(module, "proc_exit", |code: u32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg(format!("exit {code}")))
        })?;
    }
    linker.func_wrap(
        "env",
        "ask",
        |mut caller: Caller<'_, World>, a: u32, b: u64| -> u32 {
            let calls = &mut caller.data_mut().host.calls;
            calls.push(("ask", vec![a.into(), b]));
            calls.len() as u32
        },
    )?;
    linker.func_wrap("env", "log", |mut caller: Caller<'_, World>, a: f64| {
        let calls = &mut caller.data_mut().host.calls;
        calls.push(("log", vec![a.to_bits()]));
    })?;
    Ok(linker)
}
