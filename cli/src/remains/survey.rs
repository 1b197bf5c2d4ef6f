//! A blob that holds a program's file system, and the calls that look into it.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use monaka_vfs_core::Errno;
use monaka_vfs_core::merge::{ATTACH, CONFIGURE, HOST, PROGRAM, SETTINGS};
use monaka_vfs_core::rights::Filetype;
use monaka_vfs_core::trace::Settings;
use wasmtime::{
    Caller, Config, Engine, Instance, Linker, Module, OptLevel, RegallocAlgorithm, Store,
    TypedFunc, WasmParams,
};

use crate::module::blob::Variant;
use crate::module::refusal::Refusal;

/// A blob with a file system in its memory.
pub(super) struct Survey {
    store: Store<Scratch>,
    instance: Instance,
}

/// What the blob takes for the program's memory and for its host.
struct Scratch {
    bytes: Vec<u8>,
    /// The blob's own memory.
    memory: Option<wasmtime::Memory>,
    /// The time of day.
    now: u64,
}

/// What there is to be seen of an inode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) ino: u32,
    pub(super) kind: Filetype,
    pub(super) size: u64,
    pub(super) mtim: u64,
    pub(super) ctim: u64,
}

/// An entry of a directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) stat: Stat,
}

// Where what is in the scratch memory; the blob borrows the first page for itself.
const SCRATCH: usize = BUFFER + BUFFER_LEN;
const RESULT: u32 = 0x1000;
const VECTOR: u32 = 0x1100;
const NAME: u32 = 0x2000;
const BUFFER: usize = 1 << 16;
const BUFFER_LEN: usize = 1 << 20;
const PAGE: usize = 1 << 16;

/// Instructions for the whole of a walk: some, and more where there is more to
/// be found.
const FUEL: u64 = 4_000_000_000;
const FUEL_PER_BYTE: u64 = 64;

impl Survey {
    /// A blob of that digest with `memory` as its own; `now` is the time for what
    /// was written and has not got its time yet.
    pub(super) fn new(blob: u64, memory: &[u8], now: u64) -> Result<Survey> {
        let blob = Variant::of(blob).ok_or(Refusal::OtherBlob)?;
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
            .consume_fuel(true);
        let engine = Engine::new(&config).map_err(boxed)?;
        let module = Module::new(&engine, blob.bytes()).map_err(boxed)?;
        let mut linker = Linker::new(&engine);
        add_program(&mut linker).map_err(boxed)?;
        linker
            .define_unknown_imports_as_traps(&module)
            .map_err(boxed)?;
        let scratch = Scratch {
            bytes: vec![0; SCRATCH],
            memory: None,
            now,
        };
        let mut store = Store::new(&engine, scratch);
        let fuel = FUEL + FUEL_PER_BYTE * memory.len() as u64;
        store.set_fuel(fuel).map_err(boxed)?;
        let instance = linker.instantiate(&mut store, &module).map_err(boxed)?;
        let own = instance.get_memory(&mut store, "memory");
        let own = own.context("the blob has no memory")?;
        let missing = memory.len().checked_sub(own.data_size(&store));
        let missing = missing.context("it is smaller than when it began")?;
        own.grow(&mut store, (missing / PAGE) as u64)
            .map_err(boxed)?;
        ensure!(
            own.data_size(&store) == memory.len(),
            "it does not fill its pages"
        );
        // Pages that are zero on both sides are never touched and take no memory.
        let pages = own.data_mut(&mut store).chunks_mut(4096);
        for (to, from) in pages.zip(memory.chunks(4096)) {
            if to != from {
                to.copy_from_slice(from);
            }
        }
        store.data_mut().memory = Some(own);
        let mut survey = Survey { store, instance };
        if blob == Variant::Trace {
            survey.hush(own)?;
        }
        Ok(survey)
    }

    /// Has the tracer be silent: nobody listens any more.
    fn hush(&mut self, own: wasmtime::Memory) -> Result<()> {
        let settings = Settings::NONE.encode();
        let room = self
            .instance
            .get_typed_func::<u32, u32>(&mut self.store, SETTINGS)
            .and_then(|room| room.call(&mut self.store, settings.len() as u32))
            .map_err(boxed)?;
        own.write(&mut self.store, room as usize, &settings)?;
        let errno = self
            .instance
            .get_typed_func::<(), u32>(&mut self.store, CONFIGURE)
            .and_then(|configure| configure.call(&mut self.store, ()))
            .map_err(boxed)?;
        ensure!(room != 0 && errno == 0, "its tracer answers {errno}");
        Ok(())
    }

    /// What there is to be seen of the directory of that number, and its entries.
    pub(super) fn directory(&mut self, ino: u32) -> Result<(Stat, Vec<Entry>)> {
        let fd = self.attach(ino)?;
        self.call("fd_filestat_get", (fd, RESULT))?;
        let own = self.stat()?;
        ensure!(
            own.kind == Filetype::Directory && own.ino == ino,
            "{ino} is no directory"
        );
        let mut entries = Vec::new();
        for name in self.names(fd)? {
            let len = self.put(&name);
            self.call("path_filestat_get", (fd, 0u32, NAME, len, RESULT))?;
            let stat = self.stat()?;
            entries.push(Entry { name, stat });
        }
        self.call("fd_close", (fd,))?;
        Ok((own, entries))
    }

    /// Where a symbolic link leads.
    pub(super) fn target(&mut self, directory: u32, name: &[u8]) -> Result<Vec<u8>> {
        let fd = self.attach(directory)?;
        let len = self.put(name);
        let buffer = (BUFFER as u32, BUFFER_LEN as u32);
        self.call("path_readlink", (fd, NAME, len, buffer.0, buffer.1, RESULT))?;
        let target = self.buffer()?.to_vec();
        self.call("fd_close", (fd,))?;
        Ok(target)
    }

    /// Reads the first `len` bytes of the file of that number, piece by piece, as
    /// long as `each` wants more.
    pub(super) fn read(
        &mut self,
        ino: u32,
        len: u64,
        mut each: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<()> {
        self.refuel(len)?;
        let fd = self.attach(ino)?;
        let mut at = 0;
        while at < len {
            let wanted = (len - at).min(BUFFER_LEN as u64) as u32;
            let mut vector = &mut self.store.data_mut().bytes[VECTOR as usize..][..8];
            vector.write_all(&(BUFFER as u32).to_le_bytes())?;
            vector.write_all(&wanted.to_le_bytes())?;
            self.call("fd_pread", (fd, VECTOR, 1u32, at, RESULT))?;
            let bytes = self.buffer()?;
            ensure!(!bytes.is_empty(), "a file of {len} bytes ends at {at}");
            at += bytes.len() as u64;
            if !each(bytes)? {
                break;
            }
        }
        self.call("fd_close", (fd,))
    }

    /// The names in an open directory, but for the dots.
    fn names(&mut self, fd: u32) -> Result<Vec<Vec<u8>>> {
        /// What stands before a name: next cookie, inode, length, kind.
        const HEADER: usize = 24;
        const NAME_MAX: u32 = 255;
        let mut names = Vec::new();
        let mut cookie = 0u64;
        loop {
            let buffer = (BUFFER as u32, BUFFER_LEN as u32);
            self.call("fd_readdir", (fd, buffer.0, buffer.1, cookie, RESULT))?;
            let mut rest = self.buffer()?;
            let (full, before) = (rest.len() == BUFFER_LEN, cookie);
            while let Some((header, behind)) = rest.split_at_checked(HEADER) {
                let len = u32::from_le_bytes(*header[16..].first_chunk().unwrap_or(&[0; 4]));
                let Some((name, behind)) = behind.split_at_checked(len as usize) else {
                    break;
                };
                ensure!(len <= NAME_MAX, "a name of {len} bytes");
                if !matches!(name, b"." | b"..") {
                    names.push(name.to_vec());
                }
                cookie = u64::from_le_bytes(*header.first_chunk().unwrap_or(&[0; 8]));
                rest = behind;
            }
            if !full {
                ensure!(rest.is_empty(), "a directory's last entry is cut off");
                return Ok(names);
            }
            ensure!(cookie > before, "the list of a directory does not go on");
        }
    }

    /// A new descriptor for the inode of that number.
    fn attach(&mut self, ino: u32) -> Result<u32> {
        let attach = self.function::<_, i32>(ATTACH)?;
        let fd = attach.call(&mut self.store, ino).map_err(boxed)?;
        u32::try_from(fd)
            .map_err(|_| errno(fd.unsigned_abs()))
            .with_context(|| format!("inode {ino}"))
    }

    /// Puts a name where paths are read.
    fn put(&mut self, name: &[u8]) -> u32 {
        self.store.data_mut().bytes[NAME as usize..][..name.len()].copy_from_slice(name);
        name.len() as u32
    }

    /// How much of the buffer the last call has filled, and with what.
    fn buffer(&self) -> Result<&[u8]> {
        let bytes = &self.store.data().bytes;
        let len = u32::from_le_bytes(*bytes[RESULT as usize..].first_chunk().unwrap_or(&[0; 4]));
        ensure!(
            len as usize <= BUFFER_LEN,
            "a call filled more than there is"
        );
        Ok(&bytes[BUFFER..][..len as usize])
    }

    /// The `filestat` that the last call has left.
    fn stat(&self) -> Result<Stat> {
        let bytes = &self.store.data().bytes[RESULT as usize..];
        let long = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap_or(&[0; 8]));
        const KINDS: [Filetype; 4] = [
            Filetype::CharacterDevice,
            Filetype::Directory,
            Filetype::Regular,
            Filetype::Symlink,
        ];
        let kind = KINDS.into_iter().find(|kind| *kind as u8 == bytes[16]);
        Ok(Stat {
            ino: u32::try_from(long(8))?,
            kind: kind.context("there is something of an unknown kind")?,
            size: long(32),
            mtim: long(48),
            ctim: long(56),
        })
    }

    /// Adds instructions for `len` bytes.
    fn refuel(&mut self, len: u64) -> Result<()> {
        let left = self.store.get_fuel().map_err(boxed)?;
        let fuel = left.saturating_add(len.saturating_mul(FUEL_PER_BYTE));
        self.store.set_fuel(fuel).map_err(boxed)
    }

    /// Calls a function of the witx.
    fn call<P: WasmParams>(&mut self, name: &str, args: P) -> Result<()> {
        let function = self.function::<P, u32>(name)?;
        match function.call(&mut self.store, args).map_err(boxed)? {
            0 => Ok(()),
            raw => Err(errno(raw)).with_context(|| name.to_string()),
        }
    }

    fn function<P: WasmParams, R: wasmtime::WasmResults>(
        &mut self,
        name: &str,
    ) -> Result<TypedFunc<P, R>> {
        let function = self.instance.get_typed_func(&mut self.store, name);
        function.map_err(boxed)
    }
}

fn errno(raw: u32) -> anyhow::Error {
    match Errno::from_raw(raw) {
        Some(errno) => anyhow::anyhow!("{errno:?}"),
        None => anyhow::anyhow!("errno {raw}"),
    }
}

/// The functions that are instructions in a merged program, and the host's two
/// that a look may call. All else traps.
fn add_program(linker: &mut Linker<Scratch>) -> wasmtime::Result<()> {
    type From<'a> = Caller<'a, Scratch>;
    linker.func_wrap(
        PROGRAM,
        "copy_in",
        |mut caller: From<'_>, to: u32, from: u32, len: u32| {
            let (ours, scratch) = both(&mut caller)?;
            part(ours, to, len)?.copy_from_slice(part(scratch, from, len)?);
            wasmtime::Result::Ok(())
        },
    )?;
    linker.func_wrap(
        PROGRAM,
        "copy_out",
        |mut caller: From<'_>, to: u32, from: u32, len: u32| {
            let (ours, scratch) = both(&mut caller)?;
            part(scratch, to, len)?.copy_from_slice(part(ours, from, len)?);
            wasmtime::Result::Ok(())
        },
    )?;
    linker.func_wrap(
        PROGRAM,
        "fill",
        |mut caller: From<'_>, at: u32, byte: u32, len: u32| {
            part(&mut caller.data_mut().bytes, at, len)?.fill(byte as u8);
            wasmtime::Result::Ok(())
        },
    )?;
    linker.func_wrap(PROGRAM, "load_u32", |mut caller: From<'_>, at: u32| {
        let mut word = [0; 4];
        word.copy_from_slice(part(&mut caller.data_mut().bytes, at, 4)?);
        wasmtime::Result::Ok(u32::from_le_bytes(word))
    })?;
    linker.func_wrap(
        PROGRAM,
        "store_u32",
        |mut caller: From<'_>, at: u32, value: u32| {
            let to = part(&mut caller.data_mut().bytes, at, 4)?;
            to.copy_from_slice(&value.to_le_bytes());
            wasmtime::Result::Ok(())
        },
    )?;
    linker.func_wrap(
        PROGRAM,
        "store_u64",
        |mut caller: From<'_>, at: u32, value: u64| {
            let to = part(&mut caller.data_mut().bytes, at, 8)?;
            to.copy_from_slice(&value.to_le_bytes());
            wasmtime::Result::Ok(())
        },
    )?;
    linker.func_wrap(PROGRAM, "pages", || (SCRATCH / PAGE) as u32)?;
    linker.func_wrap(
        HOST,
        "clock_time_get",
        |mut caller: From<'_>, _: u32, _: u64, at: u32| {
            let now = caller.data().now.to_le_bytes();
            part(&mut caller.data_mut().bytes, at, 8)?.copy_from_slice(&now);
            wasmtime::Result::Ok(0u32)
        },
    )?;
    linker.func_wrap(HOST, "fd_fdstat_get", |_: u32, _: u32| {
        u32::from(Errno::BADF.raw())
    })?;
    Ok(())
}

/// The blob's memory and the scratch.
fn both<'a>(caller: &'a mut Caller<'_, Scratch>) -> wasmtime::Result<(&'a mut [u8], &'a mut [u8])> {
    let memory = caller.data().memory;
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("the blob ran too early"))?;
    let (ours, scratch) = memory.data_and_store_mut(caller);
    Ok((ours, &mut scratch.bytes))
}

/// A stretch of a memory; a damaged file system may mean any.
fn part(memory: &mut [u8], at: u32, len: u32) -> wasmtime::Result<&mut [u8]> {
    let bytes = memory.get_mut(at as usize..);
    let bytes = bytes.and_then(|bytes| bytes.get_mut(..len as usize));
    bytes.ok_or_else(|| wasmtime::Error::msg("it reaches outside of its memory"))
}

fn boxed(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into())
}
