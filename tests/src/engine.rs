//! A module that exports its file calls (`tests/programs/calls.c`), run in
//! wasmtime: unpacked on a directory of the host, or packed on none.

use std::path::Path;

use monaka_vfs_core::errno::Result;
use monaka_vfs_core::for_each_hook;
use monaka_vfs_core::host::answer;
use wasmtime::{Engine, InstancePre, Linker, Module, Store, TypedFunc};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::calls::{Calls, Memory};
use crate::native::Guest;
use crate::toolbox::symbol;

/// A compiled module.
#[allow(missing_debug_implementations)]
pub struct Program(InstancePre<WasiP1Ctx>);

impl Program {
    /// Compiles the module at `path`.
    pub fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Program> {
        let module = Module::from_file(engine, path)?;
        let mut linker = Linker::new(engine);
        p1::add_to_linker_sync(&mut linker, |wasi| wasi)?;
        Ok(Program(linker.instantiate_pre(&module)?))
    }

    /// A fresh instance, with `root` opened for it as `/`.
    pub fn start(&self, root: Option<&Path>) -> wasmtime::Result<Guest<Exports>> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true);
        if let Some(root) = root {
            wasi.preopened_dir(root, "/", FsPerms::ReadWrite)?;
        }
        let mut store = Store::new(self.0.module().engine(), wasi.build_p1());
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
    store: Store<WasiP1Ctx>,
    memory: wasmtime::Memory,
}

impl Instance {
    /// What is left of the fuel; the engine has a meter.
    pub fn fuel(&self) -> u64 {
        self.store.get_fuel().expect("an engine with a meter")
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
                store: &mut Store<WasiP1Ctx>,
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
