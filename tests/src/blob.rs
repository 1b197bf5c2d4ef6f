//! The blob (`monaka_vfs.wasm`) in wasmtime, not yet merged into anything: the
//! program's memory and its host, which it imports, are those of [`Native`].

use monaka_vfs_core::errno::{Errno, Result};
use monaka_vfs_core::for_each_hook;
use monaka_vfs_core::host::{Host, answer};
use monaka_vfs_core::image::ALIGN;
use monaka_vfs_core::link::{MOUNT_HOST_DIRS, Request};
use monaka_vfs_core::memory::GuestMemory;
use monaka_vfs_core::merge::{HOST, MOUNT, PROGRAM, REQUEST, RESERVE, UNSTABLE_PREFIX};
use wasmtime::{
    Caller, Engine, Instance, InstancePre, Linker, Module, Store, StoreLimits, StoreLimitsBuilder,
    TypedFunc, WasmParams,
};

use crate::calls::{Calls, Memory};
use crate::native::{Guest, Native, Packed, SIZE};
use crate::toolbox;

/// What the blob's imports reach.
#[allow(missing_debug_implementations)]
pub struct State {
    program: Native,
    /// The blob's own.
    memory: Option<wasmtime::Memory>,
    limits: StoreLimits,
}

/// What an instance imports and needs to run: the program around the blob.
#[allow(missing_debug_implementations)]
pub struct Surroundings(Store<State>);

impl Surroundings {
    /// The program's memory and its host.
    pub fn program(&mut self) -> &mut Native {
        &mut self.0.data_mut().program
    }
}

impl Memory for Surroundings {
    fn load(&self, at: u32, to: &mut [u8]) {
        self.0.data().program.load(at, to);
    }

    fn store(&mut self, at: u32, bytes: &[u8]) {
        Memory::store(self.program(), at, bytes);
    }
}

/// The blob's memory and the program's.
fn both<'a>(caller: &'a mut Caller<'_, State>) -> (&'a mut [u8], &'a mut Vec<u8>) {
    let memory = caller.data().memory.expect("the blob has a memory");
    let (ours, state) = memory.data_and_store_mut(caller);
    (ours, &mut state.program.memory)
}

fn number(outcome: Result<()>) -> u32 {
    outcome.err().map_or(0, |errno| u32::from(errno.raw()))
}

/// The functions that will be instructions. Addresses that were not checked
/// panic here.
fn add_program(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        PROGRAM,
        "copy_in",
        |mut caller: Caller<'_, State>, to: u32, from: u32, len: u32| {
            let (ours, program) = both(&mut caller);
            ours[to as usize..][..len as usize]
                .copy_from_slice(&program[from as usize..][..len as usize]);
        },
    )?;
    linker.func_wrap(
        PROGRAM,
        "copy_out",
        |mut caller: Caller<'_, State>, to: u32, from: u32, len: u32| {
            let (ours, program) = both(&mut caller);
            program[to as usize..][..len as usize]
                .copy_from_slice(&ours[from as usize..][..len as usize]);
        },
    )?;
    linker.func_wrap(
        PROGRAM,
        "fill",
        |mut caller: Caller<'_, State>, at: u32, byte: u32, len: u32| {
            both(&mut caller).1[at as usize..][..len as usize].fill(byte as u8);
        },
    )?;
    linker.func_wrap(PROGRAM, "load_u32", |caller: Caller<'_, State>, at: u32| {
        let mut bytes = [0; 4];
        caller.data().program.load(at, &mut bytes);
        u32::from_le_bytes(bytes)
    })?;
    linker.func_wrap(
        PROGRAM,
        "store_u32",
        |mut caller: Caller<'_, State>, at: u32, value: u32| {
            Memory::store(&mut caller.data_mut().program, at, &value.to_le_bytes());
        },
    )?;
    linker.func_wrap(
        PROGRAM,
        "store_u64",
        |mut caller: Caller<'_, State>, at: u32, value: u64| {
            Memory::store(&mut caller.data_mut().program, at, &value.to_le_bytes());
        },
    )?;
    linker.func_wrap(PROGRAM, "pages", |caller: Caller<'_, State>| {
        (caller.data().program.size() >> 16) as u32
    })?;
    Ok(())
}

macro_rules! host {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        fn add_host(linker: &mut Linker<State>) -> wasmtime::Result<()> {
            linker.func_wrap(
                HOST,
                "clock_time_get",
                |mut caller: Caller<'_, State>, _: u32, _: u64, at: u32| {
                    let program = &mut caller.data_mut().program;
                    let now = program.now();
                    number(GuestMemory::store_u64(program, at, now))
                },
            )?;
            linker.func_wrap(
                HOST,
                "random_get",
                |mut caller: Caller<'_, State>, at: u32, len: u32| {
                    let program = &mut caller.data_mut().program;
                    number(program.region(at, len).and_then(|to| program.random(to)))
                },
            )?;
            $(
                linker.func_wrap(
                    HOST,
                    stringify!($name),
                    |mut caller: Caller<'_, State>, $($arg: $ty),*| {
                        let program = &mut caller.data_mut().program;
                        number(Host::$name(program, $($arg),*))
                    },
                )?;
            )*
            Ok(())
        }

        /// The exports of an instance.
        #[allow(missing_debug_implementations)]
        pub struct Exports {
            instance: Instance,
            $($name: TypedFunc<($($ty,)*), u32>,)*
        }

        impl Exports {
            fn of(instance: Instance, store: &mut Store<State>) -> wasmtime::Result<Exports> {
                Ok(Exports {
                    instance,
                    $($name: instance.get_typed_func(&mut *store, stringify!($name))?,)*
                })
            }
        }

        impl Calls for Exports {
            type Home = Surroundings;

            $(
                fn $name(&mut self, home: &mut Surroundings, $($arg: $ty),*) -> Result<()> {
                    match self.$name.call(&mut home.0, ($($arg,)*)) {
                        Ok(errno) => answer(errno),
                        Err(trap) => panic!("{}: {trap:?}", stringify!($name)),
                    }
                }
            )*
        }
    };
}
for_each_hook!(host);

/// The compiled blob.
#[allow(missing_debug_implementations)]
pub struct Blob(InstancePre<State>);

impl Blob {
    /// Compiles what `tools/build-lib` makes.
    pub fn load(engine: &Engine) -> wasmtime::Result<Blob> {
        let module = Module::from_file(engine, toolbox::blob())?;
        let mut linker = Linker::new(engine);
        add_program(&mut linker)?;
        add_host(&mut linker)?;
        // The layout with one memory, which is not this one.
        linker.define_unknown_imports_as_traps(&module)?;
        Ok(Blob(linker.instantiate_pre(&module)?))
    }

    /// A fresh instance whose memory grows to `most` bytes; nothing is mounted.
    pub fn start(&self, most: usize) -> wasmtime::Result<Guest<Exports>> {
        let state = State {
            program: Native::new(SIZE),
            memory: None,
            limits: StoreLimitsBuilder::new().memory_size(most).build(),
        };
        let mut store = Store::new(self.0.module().engine(), state);
        store.limiter(|state| &mut state.limits);
        let instance = self.0.instantiate(&mut store)?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        Ok(Guest {
            vfs: Exports::of(instance, &mut store)?,
            home: Surroundings(store),
        })
    }

    /// A fresh instance with this image mounted, as `pack` mounts it.
    pub fn mount(&self, packed: Packed, host_dirs: bool) -> wasmtime::Result<Guest<Exports>> {
        let mut guest = self.start(usize::MAX)?;
        let mounted = guest.mount_now(packed, host_dirs)?;
        mounted.expect("the image mounts");
        Ok(guest)
    }
}

impl Guest<Exports> {
    /// Mounts `packed`. `NOMEM` where there is no room for it.
    pub fn mount_now(&mut self, packed: Packed, host_dirs: bool) -> wasmtime::Result<Result<()>> {
        let (instance, store) = (self.vfs.instance, &mut self.home.0);
        let memory = store.data().memory.expect("the blob has a memory");
        let at =
            (instance.get_typed_func::<(), u32>(&mut *store, REQUEST)?).call(&mut *store, ())?;
        let mut request = Request {
            flags: if host_dirs { MOUNT_HOST_DIRS } else { 0 },
            tables_len: packed.tables.len() as u32,
            data_len: packed.data.len() as u64,
            ..Request::default()
        };
        memory.write(&mut *store, at as usize, &request.encode())?;
        request.image = self.call(RESERVE, at)?;
        if request.image == 0 {
            return Ok(Err(Errno::NOMEM));
        }
        assert!((request.image as usize).is_multiple_of(ALIGN));
        let store = &mut self.home.0;
        let image = request.image as usize;
        memory.write(&mut *store, at as usize, &request.encode())?;
        memory.write(&mut *store, image, packed.tables)?;
        let outcome = answer(self.call(MOUNT, at)?);
        // Contents come behind the snapshot, when all is mounted.
        memory.write(&mut self.home.0, image + packed.tables.len(), packed.data)?;
        Ok(outcome)
    }

    /// Calls an export of `pack`.
    fn call(&mut self, export: &str, arg: u32) -> wasmtime::Result<u32> {
        let store = &mut self.home.0;
        let function = self.vfs.instance.get_typed_func(&mut *store, export)?;
        function.call(store, arg)
    }

    /// Calls a function that was another in `wasi_unstable`.
    pub fn unstable<P: WasmParams>(&mut self, name: &str, args: P) -> wasmtime::Result<u32> {
        let (store, name) = (&mut self.home.0, format!("{UNSTABLE_PREFIX}{name}"));
        let function = self
            .vfs
            .instance
            .get_typed_func::<P, u32>(&mut *store, &name)?;
        function.call(store, args)
    }
}
