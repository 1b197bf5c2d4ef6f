//! The library inside a program: finding its records, and sending what still
//! goes around it to it. See [`monaka_vfs_core::link`] for the contract.

use std::collections::BTreeMap;

use memchr::memmem;
use monaka_vfs_core::access::Calls;
use monaka_vfs_core::link::{ABI, MAGIC, RECORD_SIZE, REQUEST_OFFSET, ROOT, ROOT_ZSTD, Record};
use monaka_vfs_core::witx;
use wasmparser::{FuncType, ValType};

use super::analyze::{Code, Module, Slot};
use super::refusal::Refusal;
use super::splice::Splice;

/// What the records say, checked against the module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Library {
    /// The function that takes room for an image.
    pub(crate) reserve: u32,
    /// The function that mounts one.
    pub(crate) mount: u32,
    /// Where both expect their request.
    pub(crate) request: u32,
    /// Whether it reads compressed files.
    pub(crate) zstd: bool,
    /// By index in [`witx::HOOKS`].
    hooks: BTreeMap<usize, Hook>,
}

#[derive(Debug, PartialEq, Eq)]
struct Hook {
    /// The library's function.
    ours: u32,
    /// The entry of an element segment through which the library reaches the
    /// host; `None` when an earlier pack has removed the import.
    host: Option<Slot>,
    /// The table slot of that entry.
    slot: u32,
}

impl Module<'_> {
    /// Whether the library is inside.
    pub(crate) fn is_linked(&self) -> bool {
        self.check_state().is_ok()
            && self
                .initial_memories()
                .is_ok_and(|memories| Library::find(self, &memories[0]).is_ok())
    }
}

impl Library {
    /// Finds the library in a module whose memory 0 starts as `memory`.
    pub(crate) fn find(module: &Module<'_>, memory: &[u8]) -> Result<Library, Refusal> {
        let records = records(memory);
        if let Some(other) = records.iter().find(|record| record.abi != ABI) {
            return Err(Refusal::OtherAbi(other.abi));
        }
        let is_root = |record: &&Record| matches!(record.id, ROOT | ROOT_ZSTD);
        let mut roots = records.iter().filter(is_root);
        let Some(root) = roots.next() else {
            return Err(Refusal::NotLinked);
        };
        if roots.next().is_some() {
            return Err(Refusal::Library("it is linked in twice".into()));
        }
        let mut hooks = BTreeMap::new();
        for record in records.iter().filter(|record| !is_root(record)) {
            let id = record.id as usize;
            let Some(function) = witx::HOOKS.get(id) else {
                return Err(Refusal::Library(format!(
                    "a record of the unknown call {id}"
                )));
            };
            if hooks.insert(id, hook(module, record, function)?).is_some() {
                return Err(Refusal::Library(format!(
                    "two records of {}",
                    function.name
                )));
            }
        }
        Ok(Library {
            reserve: root_function(module, root.functions[0], "reserve")?,
            mount: root_function(module, root.functions[1], "mount")?,
            request: root.address + REQUEST_OFFSET,
            zstd: root.id == ROOT_ZSTD,
            hooks,
        })
    }

    /// The calls whose host an earlier pack has removed: name, the library's function,
    /// and the table slot by which it reached the host.
    pub(crate) fn cut_off(&self) -> impl Iterator<Item = (&'static str, u32, u32)> {
        let cut_off = self.hooks.iter().filter(|(_, hook)| hook.host.is_none());
        cut_off.map(|(id, hook)| (witx::HOOKS[*id].name, hook.ours, hook.slot))
    }

    /// What must change so that every descriptor call goes through the library
    /// and no import of one is left that is not among `calls`.
    pub(crate) fn splice(
        &self,
        module: &Module<'_>,
        code: &Code,
        calls: Calls,
    ) -> Result<Splice, Refusal> {
        let mut splice = Splice::default();
        let mut missing = Vec::new();
        for (function, import) in module.function_imports() {
            if import.module != witx::MODULE {
                continue;
            }
            let Some(id) = witx::HOOKS.iter().position(|hook| hook.name == import.name) else {
                continue;
            };
            let name = witx::HOOKS[id].name;
            let removed = !calls.has_name(name);
            if removed {
                splice.removed.insert(function);
            }
            match self.hooks.get(&id) {
                Some(hook) => {
                    splice.redirected.insert(function, hook.ours);
                    if let Some(host) = &hook.host
                        && host.function == function
                        && !removed
                    {
                        splice.kept.insert(host.entry);
                    }
                }
                None if code.direct.contains(&function) || module.named.contains(&function) => {
                    missing.push(name);
                }
                None => {}
            }
        }
        match missing.is_empty() {
            true => Ok(splice),
            false => Err(Refusal::HooksNotLinked(missing)),
        }
    }
}

/// All records of `memory`, whatever they say.
fn records(memory: &[u8]) -> Vec<Record> {
    let found = memmem::find_iter(memory, &MAGIC);
    found
        .filter_map(|at| {
            // A record's last zeros may be left out of the data.
            let mut bytes = [0; RECORD_SIZE];
            let known = &memory[at..memory.len().min(at + RECORD_SIZE)];
            bytes[..known.len()].copy_from_slice(known);
            Record::parse(&bytes, u32::try_from(at).ok()?)
        })
        .collect()
}

fn hook(module: &Module<'_>, record: &Record, function: &witx::Function) -> Result<Hook, Refusal> {
    let name = function.name;
    let ours = slot(module, record.functions[0], name)?;
    let host = slot(module, record.functions[1], name)?;
    if module.function_type(ours.function) != module.function_type(host.function) {
        return Err(Refusal::Library(format!(
            "its {name} has another type than the host's"
        )));
    }
    if host.function == ours.function {
        return Ok(Hook {
            ours: ours.function,
            host: None,
            slot: record.functions[1],
        });
    }
    let is_import = module.function_imports().any(|(index, import)| {
        index == host.function && import.module == witx::MODULE && import.name == name
    });
    if !is_import {
        return Err(Refusal::Library(format!(
            "its record of {name} does not lead to the host"
        )));
    }
    Ok(Hook {
        ours: ours.function,
        host: Some(host),
        slot: record.functions[1],
    })
}

fn slot(module: &Module<'_>, slot: u32, what: &str) -> Result<Slot, Refusal> {
    let found = module.slots.get(&slot).copied();
    found.ok_or_else(|| Refusal::Library(format!("{what} names the empty table slot {slot}")))
}

fn root_function(module: &Module<'_>, at: u32, what: &str) -> Result<u32, Refusal> {
    let function = slot(module, at, what)?.function;
    let expected = FuncType::new([ValType::I32], [ValType::I32]);
    match module.function_type(function) {
        Some(found) if *found == expected => Ok(function),
        _ => Err(Refusal::Library(format!(
            "its {what} has an unexpected type"
        ))),
    }
}
