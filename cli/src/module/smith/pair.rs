//! A module before and after, run side by side.

use std::fmt::Write as _;

use wasmparser::ExternalKind;
use wasmtime::{
    AsContextMut as _, Extern, Func, FuncType, Global, GlobalType, Instance, Module, Mutability,
    Ref, RefType, Store, Table, TableType, Trap, Val, ValType,
};

use super::super::analyze;
use super::super::merge::Layout;
use super::world::{World, engine, linker};

/// How a comparison ended that found no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// At its end.
    Same,
    /// Where the program left its memory.
    Strayed,
}

/// An instance and its surroundings.
struct Run {
    store: Store<World>,
    instance: Option<Instance>,
}

/// The module before and after.
pub(super) struct Pair {
    before: Run,
    after: Run,
    /// What starting them led to.
    started: [String; 2],
    layout: Layout,
    /// Memory 0 by its name, and all exports.
    memory: String,
    exports: Vec<String>,
}

/// What functions are called with: descriptors, small sizes, places in the first page.
const ARGUMENTS: [u32; 20] = [
    0,
    1,
    2,
    3,
    3,
    3,
    4,
    5,
    6,
    8,
    24,
    PATH,
    PATH,
    PATH + 2,
    IOVS,
    IOVS,
    4096,
    8192,
    65535,
    u32::MAX,
];

/// A path, and a list of buffers.
const PATH: u32 = 512;
const IOVS: u32 = 640;

impl Run {
    fn start(wasm: &[u8], world: World) -> Result<(Run, String), String> {
        let module = Module::new(engine(), wasm).map_err(|error| format!("{error:?}"))?;
        let mut store = Store::new(engine(), world);
        let mut linker = linker().map_err(|error| format!("{error:?}"))?;
        define_state(&mut linker, &mut store).map_err(|error| format!("{error:?}"))?;
        let outcome = linker.instantiate(&mut store, &module);
        let mut run = Run {
            store,
            instance: None,
        };
        let told = match outcome {
            Ok(instance) => {
                run.instance = Some(instance);
                "started".into()
            }
            Err(error) => run.failure(&error),
        };
        Ok((run, told))
    }

    fn export(&mut self, name: &str) -> Option<Extern> {
        self.instance?.get_export(&mut self.store, name)
    }

    /// Calls an exported function; answers what it led to, in words.
    fn call(&mut self, function: Func, ty: &FuncType, numbers: &[u32]) -> String {
        let mut params = Vec::new();
        for (param, number) in ty.params().zip(numbers) {
            params.push(match argument(&param, *number) {
                Some(value) => value,
                None => return "not callable".into(),
            });
        }
        let mut results = vec![Val::I32(0); ty.results().len()];
        match function.call(&mut self.store, &params, &mut results) {
            Ok(()) => {
                let shown: Vec<String> = results.iter().map(|value| self.shown(value)).collect();
                format!("({})", shown.join(" "))
            }
            Err(error) => self.failure(&error),
        }
    }

    fn failure(&mut self, error: &wasmtime::Error) -> String {
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return format!("{trap:?}");
        }
        if error.is::<wasmtime::ThrownException>() {
            let thrown = self.store.as_context_mut().take_pending_exception();
            return format!("exception {}", thrown.is_some());
        }
        error.root_cause().to_string()
    }

    fn shown(&self, value: &Val) -> String {
        match value {
            Val::I32(n) => format!("{n}"),
            Val::I64(n) => format!("{n}"),
            Val::F32(bits) => format!("f32 {bits:#x}"),
            Val::F64(bits) => format!("f64 {bits:#x}"),
            Val::V128(bits) => format!("v128 {:#x}", bits.as_u128()),
            Val::FuncRef(Some(function)) => format!("func {}", function.ty(&self.store)),
            other => match other.ref_() {
                Some(reference) if reference.is_null() => "null".into(),
                Some(Ref::Any(Some(any))) => {
                    format!("{:?}", any.ty(&self.store).map(|ty| ty.to_string()))
                }
                _ => "a reference".into(),
            },
        }
    }

    /// What a global or table holds, in words.
    fn state(&mut self, export: Extern) -> String {
        match export {
            Extern::Global(global) => {
                let value = global.get(&mut self.store);
                self.shown(&value)
            }
            Extern::Table(table) => {
                let size = table.size(&self.store);
                let mut shown = format!("{size}:");
                for at in 0..size {
                    let Some(element) = table.get(&mut self.store, at) else {
                        continue;
                    };
                    let element = self.shown(&Val::from(element));
                    let _ = write!(shown, " {element}");
                }
                shown
            }
            _ => String::new(),
        }
    }
}

/// Globals and a table that modules import.
fn define_state(
    linker: &mut wasmtime::Linker<World>,
    store: &mut Store<World>,
) -> wasmtime::Result<()> {
    let constant = GlobalType::new(ValType::I32, Mutability::Const);
    let constant = Global::new(&mut *store, constant, Val::I32(100))?;
    linker.define(&*store, "env", "constant", constant)?;
    let variable = GlobalType::new(ValType::I64, Mutability::Var);
    let variable = Global::new(&mut *store, variable, Val::I64(7))?;
    linker.define(&*store, "env", "variable", variable)?;
    let table = TableType::new(RefType::FUNCREF, 8, Some(20));
    let table = Table::new(&mut *store, table, Ref::Func(None))?;
    linker.define(&*store, "env", "table", table)?;
    Ok(())
}

fn argument(ty: &ValType, number: u32) -> Option<Val> {
    Some(match ty {
        ValType::I32 => Val::I32(number.cast_signed()),
        ValType::I64 => Val::I64(number.into()),
        ValType::F32 => Val::F32((number as f32).to_bits()),
        ValType::F64 => Val::F64(f64::from(number).to_bits()),
        ValType::V128 => Val::V128(u128::from(number).into()),
        ValType::Ref(ty) if ty.is_nullable() => Val::null_ref(ty.heap_type()),
        ValType::Ref(_) => return None,
    })
}

impl Pair {
    /// Starts both.
    pub(super) fn new(
        wasm: &[u8],
        packed: &[u8],
        layout: Layout,
        host_dirs: bool,
    ) -> Result<Pair, String> {
        let module = analyze::Module::parse(wasm).map_err(|refusal| refusal.to_string())?;
        let memory = module
            .exports
            .iter()
            .find(|export| export.kind == ExternalKind::Memory && export.index == 0);
        let memory = memory.ok_or("memory 0 is not exported")?.name.to_string();
        let (mut before, was) = Run::start(wasm, World::new(true, host_dirs, &memory))?;
        let (mut after, is) = Run::start(packed, World::new(false, host_dirs, &memory))?;
        for run in [&mut before, &mut after] {
            run.store.data_mut().memory = run.export(&memory).and_then(Extern::into_memory);
        }
        Ok(Pair {
            before,
            after,
            started: [was, is],
            layout,
            memory,
            exports: module.exports.iter().map(|e| e.name.to_string()).collect(),
        })
    }

    /// Calls every exported function twice, comparing after each.
    pub(super) fn compare(&mut self) -> Result<Ended, String> {
        let [was, is] = self.started.clone();
        if self.has_strayed(&was) {
            return Ok(Ended::Strayed);
        }
        self.same("the start", &was, &is)?;
        if self.before.instance.is_none() {
            return Ok(Ended::Same);
        }
        self.same_state("the start")?;
        self.furnish();
        let exports = self.exports.clone();
        let mut dice = 1u32;
        for round in 0..2 {
            for (at, name) in exports.iter().enumerate() {
                let (Some(Extern::Func(before)), Some(Extern::Func(after))) =
                    (self.before.export(name), self.after.export(name))
                else {
                    continue;
                };
                let ty = before.ty(&self.before.store);
                let numbers: Vec<u32> = (0..ty.params().len())
                    .map(|_| {
                        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        ARGUMENTS[(dice >> 16) as usize % ARGUMENTS.len()]
                    })
                    .collect();
                let what = format!("call {round} of export {at}{numbers:?}");
                let was = self.before.call(before, &ty, &numbers);
                let is = self.after.call(after, &ty, &numbers);
                if self.has_strayed(&was) {
                    return Ok(Ended::Strayed);
                }
                self.same(&what, &was, &is)?;
                self.same_state(&what)?;
            }
        }
        Ok(Ended::Same)
    }

    /// Whether the program left its memory, so that it may find the file system's.
    fn has_strayed(&self, was: &str) -> bool {
        let stray = was == format!("{:?}", Trap::MemoryOutOfBounds)
            || self.before.store.data().host.strayed;
        stray && self.layout == Layout::Single
    }

    fn same(&self, what: &str, was: &str, is: &str) -> Result<(), String> {
        if was != is {
            return Err(format!("{what}: {is}, before it was {was}"));
        }
        let (was, is) = (
            &self.before.store.data().host.calls,
            &self.after.store.data().host.calls,
        );
        if was != is {
            let same = was.iter().zip(is).take_while(|(was, is)| was == is).count();
            let (was, is) = (was.get(same), is.get(same));
            return Err(format!(
                "{what}: the host got {is:?}, before it was {was:?}"
            ));
        }
        Ok(())
    }

    fn same_state(&mut self, what: &str) -> Result<(), String> {
        for at in 0..self.exports.len() {
            let name = &self.exports[at].clone();
            match (self.before.export(name), self.after.export(name)) {
                (Some(Extern::Memory(was)), Some(Extern::Memory(is))) => {
                    let was = was.data(&self.before.store);
                    let is = is.data(&self.after.store);
                    let shared = self.layout == Layout::Single && *name == self.memory;
                    if !shared && was.len() != is.len() {
                        return Err(format!("{what}: memory {at} has another size"));
                    }
                    if is.get(..was.len()) != Some(was) {
                        let at_byte = was.iter().zip(is).take_while(|(was, is)| was == is).count();
                        return Err(format!("{what}: memory {at} differs at {at_byte:#x}"));
                    }
                }
                (Some(Extern::Func(_)), Some(Extern::Func(_))) => {}
                (Some(was), Some(is)) => {
                    let (was, is) = (self.before.state(was), self.after.state(is));
                    if was != is {
                        return Err(format!(
                            "{what}: export {at} holds {is}, before it was {was}"
                        ));
                    }
                }
                _ => return Err(format!("{what}: export {at} is gone")),
            }
        }
        Ok(())
    }

    /// Puts a path and a list of buffers where arguments point to.
    fn furnish(&mut self) {
        let mut iovs = Vec::new();
        for number in [4096u32, 20, 8192, 100] {
            iovs.extend(number.to_le_bytes());
        }
        for run in [&mut self.before, &mut self.after] {
            let Some(Extern::Memory(memory)) = run.export(&self.memory) else {
                continue;
            };
            // A program that has no page has none after, whatever is behind.
            let written = memory.write(&mut run.store, PATH as usize, b"a/dir/../dev/random");
            let written = written.and_then(|()| memory.write(&mut run.store, IOVS as usize, &iovs));
            if written.is_err() {
                return;
            }
        }
    }
}
