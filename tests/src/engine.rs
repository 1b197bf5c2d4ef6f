//! A module that exports its file calls (`tests/programs/calls.c`), run in
//! wasmtime: unpacked on a directory of the host, or packed on none.

use std::path::Path;

use monaka_vfs_core::errno::Result;
use monaka_vfs_core::for_each_hook;
use monaka_vfs_core::host::answer;
use wasmtime::{Engine, InstancePre, Linker, Module, ResourceLimiter, Store, TypedFunc};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::calls::{Calls, Memory};
use crate::native::Guest;
use crate::toolbox::symbol;

/// What an instance stands on: its host, and how much memory it has.
#[allow(missing_debug_implementations)]
pub struct State {
    wasi: WasiP1Ctx,
    memory: Footprint,
}

/// Bytes of all linear memories together: how many there are, and may be.
struct Footprint {
    bytes: usize,
    most: usize,
}

impl ResourceLimiter for Footprint {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes - current + desired;
        let granted = bytes <= self.most && maximum.is_none_or(|maximum| desired <= maximum);
        if granted {
            self.bytes = bytes;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// A compiled module.
#[allow(missing_debug_implementations)]
pub struct Program(InstancePre<State>);

impl Program {
    /// Compiles the module at `path`.
    pub fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Program> {
        let module = Module::from_file(engine, path)?;
        let mut linker = Linker::new(engine);
        p1::add_to_linker_sync(&mut linker, |state: &mut State| &mut state.wasi)?;
        Ok(Program(linker.instantiate_pre(&module)?))
    }

    /// A fresh instance, with `root` opened for it as `/`.
    pub fn start(&self, root: Option<&Path>) -> wasmtime::Result<Guest<Exports>> {
        self.start_within(usize::MAX, root)
    }

    /// As [`Program::start`], with linear memories that grow to `most` bytes together.
    pub fn start_within(
        &self,
        most: usize,
        root: Option<&Path>,
    ) -> wasmtime::Result<Guest<Exports>> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true);
        if let Some(root) = root {
            wasi.preopened_dir(root, "/", FsPerms::ReadWrite)?;
        }
        let state = State {
            wasi: wasi.build_p1(),
            memory: Footprint { bytes: 0, most },
        };
        let mut store = Store::new(self.0.module().engine(), state);
        store.limiter(|state| &mut state.memory);
        // An engine without a meter refuses, and needs none.
        let _ = store.set_fuel(u64::MAX);
        let instance = self.0.instantiate(&mut store)?;
        if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut store, "_initialize") {
            initialize.call(&mut store, ())?;
        }
        let memory = instance
            .get_memory(&mut store, "memory")
            .expect("C programs export their memory");
        Ok(Guest {
            vfs: Exports::of(&instance, &mut store)?,
            home: Instance { store, memory },
        })
    }
}

/// An instance's memory, and what its functions need to run.
#[allow(missing_debug_implementations)]
pub struct Instance {
    store: Store<State>,
    memory: wasmtime::Memory,
}

impl Instance {
    /// What is left of the fuel; the engine has a meter.
    pub fn fuel(&self) -> u64 {
        self.store.get_fuel().expect("an engine with a meter")
    }

    /// Bytes of all its linear memories.
    pub fn footprint(&self) -> usize {
        self.store.data().memory.bytes
    }
}

impl Memory for Instance {
    fn load(&self, at: u32, to: &mut [u8]) {
        to.copy_from_slice(&self.memory.data(&self.store)[at as usize..][..to.len()]);
    }

    fn store(&mut self, at: u32, bytes: &[u8]) {
        self.memory.data_mut(&mut self.store)[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }
}

macro_rules! exports {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// The calls that an instance exports.
        #[allow(missing_debug_implementations)]
        pub struct Exports {
            $($name: TypedFunc<($($ty,)*), u32>,)*
        }

        impl Exports {
            fn of(
                instance: &wasmtime::Instance,
                store: &mut Store<State>,
            ) -> wasmtime::Result<Exports> {
                Ok(Exports {
                    $($name: instance.get_typed_func(&mut *store, &symbol(stringify!($name)))?,)*
                })
            }
        }

        impl Calls for Exports {
            type Home = Instance;

            $(
                fn $name(&mut self, home: &mut Instance, $($arg: $ty),*) -> Result<()> {
                    match self.$name.call(&mut home.store, ($($arg,)*)) {
                        Ok(errno) => answer(errno),
                        Err(trap) => panic!("{}: {trap:?}", stringify!($name)),
                    }
                }
            )*
        }
    };
}
for_each_hook!(exports);
