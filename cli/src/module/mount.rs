//! Mounting an image in a program by running the library inside it.
//!
//! The module is compiled, its library is asked to take room for an image and
//! to mount the image's tables, and wizer turns the resulting state into data.
//! Nothing else of the program runs: no start function, no constructor.
//!
//! 1. The module that runs is a copy whose only exports are the library's two
//!    functions and whose data is put into memory here, so the snapshot is all
//!    of the initial state and none of the old segments.
//! 2. File contents are not needed: their room stays zero, which wizer skips.
//!    After the mount the tables are zeroed as well; the image is appended as
//!    data when the module is written.

use std::fmt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use anyhow::{Context as _, Result};
use monaka_vfs_core::Errno;
use monaka_vfs_core::image::ALIGN;
use monaka_vfs_core::link::Request;
use wasm_encoder::{ExportKind, ExportSection};
use wasmparser::ValType;
use wasmtime::{
    Config, Engine, Func, Instance, Memory, OptLevel, RegallocAlgorithm, Store, Trap, Val,
};
use wasmtime_wizer::{InstanceState, SnapshotVal, Wizer};

use super::packed::first_segments;
use super::section::{Section, encoded, id, join, write_leb};
use super::undo::{Run, changes};

/// Why a mount failed.
#[derive(Debug)]
pub(crate) enum MountError {
    /// The program's memory has no room for the image. All in bytes.
    TooLarge {
        needed: u64,
        size: u64,
        maximum: u64,
    },
    /// The program's own code called the host.
    Called(String),
    /// The library's `mount` answered this.
    Errno(u32),
    /// The library's `reserve` answered an address that cannot be.
    Room(u32),
    /// The library trapped.
    Trapped(Trap),
}

impl MountError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            MountError::TooLarge { maximum, .. } if *maximum < 1 << 32 => {
                "link with a larger `-Wl,--max-memory=BYTES`, or pack fewer files".into()
            }
            MountError::TooLarge { .. } => "an image can take 2 GiB of a 32-bit memory: pack fewer files".into(),
            MountError::Called(_) => {
                "an allocator that calls the host cannot be used at pack time: link with the libc's own malloc".into()
            }
            MountError::Trapped(Trap::OutOfFuel) => {
                "the program's allocator does not come to an end: link with the libc's own malloc".into()
            }
            MountError::Trapped(_) => {
                "if an optimiser (wasm-opt) ran over the module, pack first and optimise the result"
                    .into()
            }
            MountError::Errno(errno) if *errno == u32::from(Errno::BUSY.raw()) => {
                "it was packed before and has lost its custom sections since: pack the original again".into()
            }
            MountError::Errno(_) | MountError::Room(_) => {
                "relink it with the library of this command: `monaka lib -o libmonaka_vfs.a`".into()
            }
        }
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountError::TooLarge {
                needed,
                size,
                maximum,
            } => write!(
                f,
                "the file system is too large for the program's memory: it needs {needed} bytes; \
                 the memory has {size} and can grow to {maximum}"
            ),
            MountError::Called(import) => {
                write!(
                    f,
                    "the program's allocator calls {import} while the image is mounted"
                )
            }
            MountError::Errno(errno) => {
                let name = Errno::from_raw(*errno).map_or("an unknown errno", Errno::name);
                write!(
                    f,
                    "the library refused to mount the image: {name} ({errno})"
                )
            }
            MountError::Trapped(trap) => {
                write!(f, "the library trapped while it mounted the image: {trap}")
            }
            MountError::Room(address) => {
                write!(
                    f,
                    "the library took room at {address:#x}, which is not within the memory or not aligned"
                )
            }
        }
    }
}

impl std::error::Error for MountError {}

/// What shall be mounted where.
pub(crate) struct Mount<'m> {
    /// The module, with [`reserve`](Mount::reserve) and [`mount`](Mount::mount)
    /// counted in it.
    pub(crate) sections: &'m [Section<'m>],
    pub(crate) reserve: u32,
    pub(crate) mount: u32,
    /// Where both expect their request.
    pub(crate) at: u32,
    /// The memories' initial state; all behind is zero.
    pub(crate) memories: &'m [Vec<u8>],
    /// So many data segments keep their index, as code names them.
    pub(crate) segments: u32,
    /// The image.
    pub(crate) tables: &'m [u8],
    pub(crate) data_len: u64,
    pub(crate) flags: u32,
    /// What a tracer is told, once the image is mounted.
    pub(crate) tracer: Option<Configure>,
}

/// Settings of a tracer, and the two functions that take them.
pub(crate) struct Configure {
    pub(crate) settings: u32,
    pub(crate) configure: u32,
    pub(crate) bytes: Vec<u8>,
}

/// A mounted image.
pub(crate) struct Mounted {
    /// Where the image must stand when the program starts.
    pub(crate) address: u32,
    /// The snapshot: the module with the state after the mount as its initial
    /// state, without exports.
    pub(crate) wasm: Vec<u8>,
    /// What the mount changed in each memory, within its old size.
    pub(crate) changes: Vec<Vec<Run>>,
}

/// How many instructions library and allocator may take: many times what mounting a
/// hundred thousand files does, but who looks at a stranger's module shall not wait
/// forever.
const FUEL: u64 = 20_000_000_000;

const RESERVE: &str = "reserve";
const MOUNT: &str = "mount";
const SETTINGS: &str = "settings";
const CONFIGURE: &str = "configure";

impl Mount<'_> {
    /// Mounts the image.
    pub(crate) fn run(&self) -> Result<Mounted> {
        let wasm = self.prepared()?;
        let wizer = Wizer::new();
        let (cx, instrumented) = wizer.instrument(&wasm).map_err(boxed)?;
        let engine = engine()?;
        let module = wasmtime::Module::new(&engine, &instrumented)
            .map_err(boxed)
            .context("the module cannot be compiled")?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(FUEL).map_err(boxed)?;
        let imports = module.imports().map(|import| {
            let name = format!("{}.{}", import.module(), import.name());
            let ty = import.ty();
            let ty = ty
                .func()
                .with_context(|| format!("{name} is not a function"))?
                .clone();
            let called = move |_: wasmtime::Caller<'_, ()>, _: &[Val], _: &mut [Val]| {
                Err(wasmtime::Error::from(MountError::Called(name.clone())))
            };
            Ok(Func::new(&mut store, ty, called).into())
        });
        let imports = imports.collect::<Result<Vec<_>>>()?;
        let instance = Instance::new(&mut store, &module, &imports).map_err(boxed)?;
        let mut state = State { store, instance };
        for (index, bytes) in self.memories.iter().enumerate() {
            let memory = state.memory(&memory_name(index))?;
            copy(bytes, memory.data_mut(&mut state.store));
        }
        let sizes = state.sizes(self.memories.len())?;
        let address = self.call(&mut state)?;
        if let Some(tracer) = &self.tracer {
            configure(&mut state, &tracer.bytes)?;
        }
        let mut changed = Vec::with_capacity(sizes.len());
        for (index, (old, size)) in self.memories.iter().zip(sizes).enumerate() {
            let memory = state.memory(&memory_name(index))?;
            changed.push(changes(old, &memory.data(&state.store)[..size]));
        }
        let wasm = ready(wizer.snapshot(&cx, &mut state)).map_err(boxed)?;
        Ok(Mounted {
            address,
            wasm,
            changes: changed,
        })
    }

    /// Calls the library; answers the image's address.
    fn call(&self, state: &mut State) -> Result<u32> {
        let State { store, instance } = state;
        let reserve = instance
            .get_typed_func::<u32, u32>(&mut *store, RESERVE)
            .map_err(boxed)?;
        let mount = instance
            .get_typed_func::<u32, u32>(&mut *store, MOUNT)
            .map_err(boxed)?;
        let tables_len = u32::try_from(self.tables.len())?;
        let mut request = Request {
            flags: self.flags,
            tables_len,
            data_len: self.data_len,
            ..Request::default()
        };
        state.put(self.at, &request.encode())?;
        let address = reserve.call(&mut state.store, self.at).map_err(called)?;
        request.image = address;
        let needed = u64::from(tables_len) + self.data_len;
        let memory = state.memory(&memory_name(0))?;
        let size = memory.data_size(&state.store) as u64;
        if address == 0 {
            let ty = memory.ty(&state.store);
            let page = ty.page_size();
            let maximum = ty.maximum().map_or(1 << 32, |pages| pages * page);
            return Err(MountError::TooLarge {
                needed,
                size,
                maximum,
            }
            .into());
        }
        let end = u64::from(address) + needed;
        if end > size || !(address as usize).is_multiple_of(ALIGN) {
            return Err(MountError::Room(address).into());
        }
        let room = address as usize..end as usize;
        memory.data_mut(&mut state.store)[room.clone()][..self.tables.len()]
            .copy_from_slice(self.tables);
        state.put(self.at, &request.encode())?;
        match mount.call(&mut state.store, self.at).map_err(called)? {
            0 => {}
            errno => return Err(MountError::Errno(errno).into()),
        }
        // Nothing was written behind them.
        zero(&mut memory.data_mut(&mut state.store)[room][..self.tables.len()]);
        state.put(self.at, &Request::default().encode())?;
        Ok(address)
    }

    /// The module that runs: exports and data replaced, start function dropped.
    fn prepared(&self) -> Result<Vec<u8>> {
        let mut exports = ExportSection::new();
        exports.export(RESERVE, ExportKind::Func, self.reserve);
        exports.export(MOUNT, ExportKind::Func, self.mount);
        if let Some(tracer) = &self.tracer {
            exports.export(SETTINGS, ExportKind::Func, tracer.settings);
            exports.export(CONFIGURE, ExportKind::Func, tracer.configure);
        }
        let mut exports = Some(encoded(id::EXPORT, &exports));
        let behind_exports = [id::START, id::ELEMENT, id::DATA_COUNT, id::CODE, id::DATA];
        let mut count = Vec::new();
        write_leb(&mut count, u64::from(self.segments));
        let mut out = Vec::with_capacity(self.sections.len() + 1);
        for section in self.sections {
            if section.id == id::EXPORT || behind_exports.contains(&section.id) {
                out.extend(exports.take());
            }
            match section.id {
                id::EXPORT | id::START => {}
                // Names serve a trap's message, all else would only be copied.
                id::CUSTOM if !section.is_custom("name") => {}
                id::DATA_COUNT => out.push(Section::new(id::DATA_COUNT, count.clone())),
                id::DATA => {
                    let mut data = count.clone();
                    data.extend_from_slice(first_segments(&section.data, self.segments)?);
                    out.push(Section::new(id::DATA, data));
                }
                _ => out.push(section.borrowed()),
            }
        }
        Ok(join(&out))
    }
}

/// Gives a tracer its settings.
fn configure(state: &mut State, bytes: &[u8]) -> Result<()> {
    let State { store, instance } = &mut *state;
    let settings = instance
        .get_typed_func::<u32, u32>(&mut *store, SETTINGS)
        .map_err(boxed)?;
    let configure = instance
        .get_typed_func::<(), u32>(&mut *store, CONFIGURE)
        .map_err(boxed)?;
    let room = settings
        .call(&mut *store, bytes.len() as u32)
        .map_err(called)?;
    if room == 0 {
        return Err(MountError::Errno(Errno::NOMEM.raw().into()).into());
    }
    state.put(room, bytes)?;
    match configure.call(&mut state.store, ()).map_err(called)? {
        0 => Ok(()),
        errno => Err(MountError::Errno(errno).into()),
    }
}

/// An engine for code that runs once: whatever compiles fastest.
fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
        .generate_address_map(false)
        .consume_fuel(true)
        .memory_init_cow(false)
        .wasm_wide_arithmetic(true)
        .wasm_custom_page_sizes(true);
    Engine::new(&config)
        .map_err(boxed)
        .context("the engine cannot be set up")
}

/// The instance whose state wizer reads.
struct State {
    store: Store<()>,
    instance: Instance,
}

impl State {
    fn memory(&mut self, name: &str) -> Result<Memory> {
        let memory = self.instance.get_memory(&mut self.store, name);
        memory.with_context(|| format!("the instrumented module has no {name}"))
    }

    /// Writes to memory 0.
    fn put(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let memory = self.memory(&memory_name(0))?;
        memory
            .write(&mut self.store, at as usize, bytes)
            .context("the library's root record is at the end of the memory")
    }

    fn sizes(&mut self, memories: usize) -> Result<Vec<usize>> {
        (0..memories)
            .map(|index| Ok(self.memory(&memory_name(index))?.data_size(&self.store)))
            .collect()
    }
}

impl InstanceState for State {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name);
        match global.map(|global| global.get(&mut self.store)) {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(value)) => SnapshotVal::F32(value),
            Some(Val::F64(value)) => SnapshotVal::F64(value),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            other => unreachable!("wizer exported {name} as a number, found {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name);
        let memory = memory.unwrap_or_else(|| unreachable!("wizer exported {name}"));
        contents(memory.data(&self.store));
    }
}

/// The name under which wizer exports a memory.
fn memory_name(index: usize) -> String {
    format!("__wizer_memory_{index}")
}

/// An error of the engine, or the one of ours that it carries.
fn boxed(error: wasmtime::Error) -> anyhow::Error {
    match error.downcast::<MountError>() {
        Ok(error) => error.into(),
        Err(error) => anyhow::Error::from_boxed(error.into()),
    }
}

/// An error of a call of the library.
fn called(error: wasmtime::Error) -> anyhow::Error {
    match error.downcast_ref::<Trap>() {
        Some(trap) => MountError::Trapped(*trap).into(),
        None => boxed(error),
    }
}

/// The result of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

const PAGE: usize = 4096;

/// Copies page by page what differs: pages that stay zero are never touched,
/// so they take no memory.
fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to[..from.len()].chunks_mut(PAGE).zip(from.chunks(PAGE)) {
        if to != from {
            to.copy_from_slice(from);
        }
    }
}

/// Zeroes what is not zero already, for the same reason.
fn zero(bytes: &mut [u8]) {
    for page in bytes.chunks_mut(PAGE) {
        if page.iter().any(|byte| *byte != 0) {
            page.fill(0);
        }
    }
}
