//! Which of the program's and the blob's parts go where in the merged module,
//! and the sections that follow from it; [`merge`](super::merge) shows the order.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use monaka_vfs_core::Errno;
use monaka_vfs_core::access::Calls;
use monaka_vfs_core::merge::{FINISH, GROW, MONAKA, REPORT, UNSTABLE_PREFIX};
use monaka_vfs_core::witx;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{CodeSection, ConstExpr, Function, Instruction};
use wasmparser::{ExternalKind, GlobalSectionReader, ImportSectionReader, TypeRef};

use super::analyze::{Module, page_size};
use super::blob::Blob;
use super::code::Virtual;
use super::detach::{GraftRecord, Hooked, number};
use super::finish;
use super::lower::{self, Import, Place, Targets};
use super::merge::{Layout, MergeRecord, PAGE, PAGES_MAX};
use super::policy;
use super::refusal::Refusal;
use super::section::{Section, encoded, find, id, leb_width, write_leb};
use super::splice::{Moved, Remap};
use super::tracing::Tracing;

/// What goes where.
pub(crate) struct Graft<'m, 'b> {
    blob: &'m Blob<'b>,
    imports: Vec<Import<'m>>,
    targets: Targets,
    remap: Remap,
    /// The program's imports: dropped or under which module's name they stay.
    kept: Vec<Option<Keep>>,
    /// The host's functions that are imported anew: module, name and blob type.
    added: Vec<(&'static str, &'m str, u32)>,
    /// The blob's functions that are reached, in order.
    reached: Vec<u32>,
    /// Blob types of the host's functions that are not there.
    stubs: Vec<u32>,
    /// The program's view of its memory.
    size: Option<Virtual>,
    /// What is needed to take all of it out again.
    record: GraftRecord,
    /// A function that is exported in the place of the program's, and ends the trace.
    entry: Option<Entry>,
}

/// The program's function that is called to run it, in another that calls it.
struct Entry {
    /// The program's, in the module as it was.
    function: u32,
    /// The other, in the module as it becomes, and its type.
    wrapper: u32,
    ty: u32,
    params: u32,
    /// The blob's function that ends the trace.
    finish: u32,
}

/// How an import of the program stays.
#[derive(Clone, Copy)]
enum Keep {
    AsItIs,
    /// A call without descriptors of an older WASI, which is the same.
    OfPreview1,
}

impl<'m, 'b> Graft<'m, 'b> {
    /// Decides it. Nothing of the program is looked at but its imports, counts and `shims`,
    /// which answer the file system in the host's place, too.
    pub(crate) fn plan(
        module: &Module<'_>,
        blob: &'m Blob<'b>,
        record: &MergeRecord,
        shims: &policy::Record,
        calls: Calls,
        tracing: Option<&Tracing>,
    ) -> Result<Graft<'m, 'b>> {
        // Who goes to which of the blob's exports.
        let mut kept = Vec::new();
        let mut hooks = BTreeMap::new();
        for (function, import) in module.function_imports() {
            let unstable = UNSTABLE_MODULES.contains(&import.module);
            if is_hook(import) || is_plain(import) && blob.has(import.name) {
                let shim = format!("{UNSTABLE_PREFIX}{}", import.name);
                let export = match unstable && blob.has(&shim) {
                    true => blob.export(&shim)?,
                    false => blob.export(import.name)?,
                };
                hooks.insert(function, export);
                kept.push(None);
            } else if unstable {
                kept.push(Some(Keep::OfPreview1));
            } else {
                kept.push(Some(Keep::AsItIs));
            }
        }
        let imports = lower::imports(&blob.module)?;
        let single = record.layout == Layout::Single;
        let grow = blob.export(GROW)?;
        let entry = tracing.and_then(|tracing| entry(module, tracing.entry()));
        let finish = entry.map(|_| blob.export(FINISH)).transpose()?;
        let roots = hooks.values().copied().chain(single.then_some(grow));
        let roots = roots.chain(finish);
        let reached = lower::reachable(&blob.module, roots)?;

        // The module's function indices, in their order.
        let mut functions = BTreeMap::new();
        let mut hosts: BTreeMap<&str, u32> = BTreeMap::new();
        let mut next = 0..;
        let mut take = || next.next().unwrap_or(u32::MAX);
        let mut defined: Vec<Option<u32>> = Vec::new();
        for ((_, import), keep) in module.function_imports().zip(&kept) {
            let index = keep.is_some().then(&mut take);
            if let Some(index) = index
                && is_wasi(import)
            {
                hosts.insert(import.name, index);
            }
            defined.push(index);
        }
        let mut added = Vec::new();
        let mut missing = Vec::new();
        let mut shimmed = Vec::new();
        for (function, import) in (0..).zip(&imports) {
            let Import::Host(name) = *import else {
                continue;
            };
            if !reached.contains(&function) {
                continue;
            }
            let is_hook = witx::HOOKS.iter().any(|hook| hook.name == name);
            let allowed = match name == REPORT.name {
                true => tracing.is_some_and(Tracing::reports),
                false => {
                    !is_hook
                        || calls.has_name(name)
                        || name == "fd_write" && tracing.is_some_and(Tracing::writes)
                }
            };
            let from = match name == REPORT.name {
                true => MONAKA,
                false => witx::MODULE,
            };
            if !allowed {
                missing.push(function);
            } else if let Some(shim) = shims.function(name, module, 0)? {
                shimmed.push((function, shim));
            } else if let Some(index) = hosts.get(name) {
                functions.insert(function, *index);
            } else {
                added.push((from, name, blob.type_of(function)?));
                functions.insert(function, take());
            }
        }
        let size = single.then(|| Virtual {
            pages: record.globals + 1,
            grow: take(),
        });
        for _ in module.imported_functions..module.function_count() {
            defined.push(Some(take()));
        }
        for (function, shim) in shimmed {
            functions.extend(defined[shim as usize].map(|index| (function, index)));
        }
        let bodies = reached
            .iter()
            .copied()
            .filter(|f| *f as usize >= imports.len());
        let reached: Vec<u32> = bodies.collect();
        for function in &reached {
            functions.insert(*function, take());
        }
        let mut stubs = Vec::new();
        for function in &missing {
            stubs.push(blob.type_of(*function)?);
            functions.insert(*function, take());
        }
        let entry = match (entry, finish) {
            (Some((function, ty, params)), Some(finish)) => Some(Entry {
                function,
                wrapper: take(),
                ty,
                params,
                finish: functions[&finish],
            }),
            _ => None,
        };

        let redirected: BTreeMap<u32, u32> = hooks
            .into_iter()
            .map(|(function, export)| (function, functions[&export]))
            .collect();
        let imports_kept = kept.iter().flatten().count() + added.len();
        let own = module.function_count() - module.imported_functions;
        let first = imports_kept as u32 + u32::from(single) + own;
        let ordinal = |index: u32| index.checked_sub(first).context("the blob stands in front");
        let mut graft = GraftRecord {
            added: added
                .iter()
                .filter_map(|(_, name, _)| number(name))
                .collect(),
            ..GraftRecord::default()
        };
        for (function, import) in module.function_imports() {
            if let Some(to) = redirected.get(&function) {
                let ty = module.type_of(function).context("an import of no type")?;
                graft.hooks.push(Hooked::new(import, ty, ordinal(*to)?)?);
            }
        }
        if let Some(entry) = &entry {
            let own = entry.function - module.imported_functions;
            graft.entry = Some((ordinal(entry.wrapper)?, own));
        }
        let targets = Targets {
            functions,
            types: module.type_count(),
            globals: record.globals + if single { 2 } else { 0 },
            place: match record.layout {
                Layout::Single => Place::Single {
                    base: record.globals,
                    pages: record.globals + 1,
                    limit: record.maximum.unwrap_or(PAGES_MAX).min(PAGES_MAX) as u32,
                },
                Layout::Multi => Place::Multi {
                    memory: record.memory,
                },
            },
        };
        let mut remap = Remap::new(defined, &redirected);
        remap.added = names(blob, &targets, &reached, size);
        let stubs_named = missing
            .iter()
            .filter_map(|function| match imports[*function as usize] {
                Import::Host(name) => Some((targets.functions[function], name)),
                _ => None,
            });
        let named = stubs_named.map(|(index, name)| (index, format!("monaka::no.{name}")));
        remap.added.extend(named);
        Ok(Graft {
            blob,
            imports,
            targets,
            remap,
            kept,
            added,
            reached,
            stubs,
            size,
            record: graft,
            entry,
        })
    }

    /// The merged module's sections; and what the user should know.
    pub(crate) fn sections<'a>(
        mut self,
        sections: Vec<Section<'a>>,
    ) -> Result<(Vec<Section<'a>>, Vec<String>)> {
        const ADDED_TO: [u8; 6] = [
            id::TYPE,
            id::IMPORT,
            id::FUNCTION,
            id::GLOBAL,
            id::CODE,
            id::DATA,
        ];
        let sections = complete(sections, &ADDED_TO);
        let mut out = Vec::with_capacity(sections.len());
        let mut moved = Moved {
            within: false,
            code: false,
        };
        for section in sections {
            out.push(match section.id {
                id::TYPE => self.types(&section)?,
                id::IMPORT => self
                    .import_section(&section)
                    .context("in the import section")?,
                id::FUNCTION => self.functions(&section)?,
                id::MEMORY => self.memories(&section)?,
                id::GLOBAL => {
                    let globals = self.remap.section(section)?;
                    self.globals(&globals)?
                }
                id::CODE => {
                    let (code, has_moved) = self.code(&section)?;
                    moved = has_moved;
                    code
                }
                id::EXPORT if let Some(entry) = &self.entry => {
                    let instead = (entry.function, entry.wrapper);
                    self.remap.exports_instead(section, instead)?
                }
                _ => self.remap.section(section)?,
            });
        }
        out.push(self.record.section());
        let (mut sections, notes) = self.remap.customs(out, moved);
        let producers = sections
            .iter()
            .position(|section| section.is_custom("producers"));
        let named = finish::producers(producers.and_then(|at| Some(sections[at].as_custom()?.1)));
        match producers {
            Some(at) => sections[at] = named,
            None => sections.push(named),
        }
        Ok((sections, notes))
    }

    fn types<'a>(&self, section: &Section<'_>) -> Result<Section<'a>> {
        let ours = find(&self.blob.sections, id::TYPE).context("the blob has no types")?;
        let (count, raw) = counted(&ours.data);
        Ok(appended(section, (0, &[]), (count, raw)))
    }

    fn import_section<'a>(&mut self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut imports = wasm_encoder::ImportSection::new();
        let mut kept = self.kept.iter();
        for import in ImportSectionReader::new(section.reader())?.into_imports() {
            let mut import = import?;
            if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import.ty {
                match kept.next().copied().flatten() {
                    None => continue,
                    Some(Keep::AsItIs) => {}
                    Some(Keep::OfPreview1) => import.module = witx::MODULE,
                }
            }
            self.remap.parse_import(&mut imports, import)?;
        }
        for (module, name, ty) in &self.added {
            let ty = wasm_encoder::EntityType::Function(self.targets.types + ty);
            imports.import(module, name, ty);
        }
        Ok(encoded(id::IMPORT, &imports))
    }

    fn functions<'a>(&self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut before = Vec::new();
        if self.size.is_some() {
            let grow = self.blob.type_of(self.blob.export(GROW)?)?;
            write_leb(&mut before, u64::from(self.targets.types + grow));
        }
        let mut behind = Vec::new();
        for function in &self.reached {
            let ty = self.blob.type_of(*function)?;
            write_leb(&mut behind, u64::from(self.targets.types + ty));
        }
        for ty in &self.stubs {
            write_leb(&mut behind, u64::from(self.targets.types + ty));
        }
        if let Some(entry) = &self.entry {
            write_leb(&mut behind, entry.ty.into());
        }
        let count = self.reached.len() + self.stubs.len() + usize::from(self.entry.is_some());
        Ok(appended(
            section,
            (u64::from(self.size.is_some()), &before),
            (count as u64, &behind),
        ))
    }

    fn memories<'a>(&self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut memory = Vec::new();
        if let Place::Multi { .. } = self.targets.place {
            // The size is the snapshot's.
            memory = vec![0, 0];
        }
        Ok(appended(
            section,
            (0, &[]),
            (u64::from(!memory.is_empty()), &memory),
        ))
    }

    /// Ours at the end, whose values the snapshot will bring.
    fn globals<'a>(&self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut globals = wasm_encoder::GlobalSection::new();
        let place = |mutable| wasm_encoder::GlobalType {
            val_type: wasm_encoder::ValType::I32,
            mutable,
            shared: false,
        };
        if self.size.is_some() {
            globals.global(place(true), &ConstExpr::i32_const(0));
            globals.global(place(true), &ConstExpr::i32_const(0));
        }
        if let Some(ours) = find(&self.blob.sections, id::GLOBAL) {
            let mut reencoder = RoundtripReencoder;
            reencoder
                .parse_global_section(&mut globals, GlobalSectionReader::new(ours.reader())?)?;
        }
        let globals = encoded(id::GLOBAL, &globals);
        Ok(appended(section, (0, &[]), counted(&globals.data)))
    }

    fn code<'a>(&self, section: &Section<'_>) -> Result<(Section<'a>, Moved)> {
        let program = self.remap.code(section, self.size)?;
        let mut before = CodeSection::new();
        if self.size.is_some() {
            let mut grow = Function::new([]);
            grow.instruction(&Instruction::LocalGet(0));
            let ours = self.blob.export(GROW)?;
            grow.instruction(&Instruction::Call(self.targets.functions[&ours]));
            grow.instruction(&Instruction::End);
            before.function(&grow);
        }
        let mut behind = CodeSection::new();
        for function in &self.reached {
            let body = self
                .blob
                .module
                .body(*function)
                .context("the blob lacks a body")?;
            let params = self.blob.module.function_type(*function);
            let params = params
                .context("the blob has a function of no type")?
                .params();
            let lowered = self.targets.lower(body, params.len() as u32, &self.imports);
            behind
                .function(&lowered.with_context(|| format!("in the blob's function {function}"))?);
        }
        for _ in &self.stubs {
            // Never reached: the file system makes no other calls than those.
            let mut stub = Function::new([]);
            stub.instruction(&Instruction::I32Const(Errno::NOSYS.raw().into()));
            stub.instruction(&Instruction::End);
            behind.function(&stub);
        }
        if let Some(entry) = &self.entry {
            let mut wrapper = Function::new([]);
            for param in 0..entry.params {
                wrapper.instruction(&Instruction::LocalGet(param));
            }
            let own = self.remap.definition(entry.function);
            wrapper.instruction(&Instruction::Call(own.context("the entry is gone")?));
            wrapper.instruction(&Instruction::Call(entry.finish));
            wrapper.instruction(&Instruction::End);
            behind.function(&wrapper);
        }
        let (before, behind) = (encoded(id::CODE, &before), encoded(id::CODE, &behind));
        let program_section = Section::new(id::CODE, program.data);
        let code = appended(
            &program_section,
            counted(&before.data),
            counted(&behind.data),
        );
        // `grow` stands in front of the program's, and the count may take more bytes.
        let moved = Moved {
            within: program.moved,
            code: program.moved
                || self.size.is_some()
                || leb_width(&code.data) != leb_width(&section.data),
        };
        Ok((code, moved))
    }
}

/// The function that is exported as `name`, if it is the module's own, with its type
/// and how many parameters it has.
fn entry(module: &Module<'_>, name: &str) -> Option<(u32, u32, u32)> {
    let mut exports = module.exports.iter();
    let function = exports
        .find(|export| export.name == name && export.kind == ExternalKind::Func)?
        .index;
    let params = module.function_type(function)?.params().len() as u32;
    let own = function >= module.imported_functions;
    own.then_some((function, module.type_of(function)?, params))
}

/// What a name section calls the functions that are added.
fn names(
    blob: &Blob<'_>,
    targets: &Targets,
    reached: &[u32],
    size: Option<Virtual>,
) -> BTreeMap<u32, String> {
    let exports: BTreeMap<u32, &str> = blob
        .module
        .exports
        .iter()
        .filter(|export| export.kind == ExternalKind::Func)
        .map(|export| (export.index, export.name))
        .collect();
    let named = reached.iter().map(|function| {
        let name = match exports.get(function) {
            Some(name) => format!("monaka::{name}"),
            None => format!("monaka::{function}"),
        };
        (targets.functions[function], name)
    });
    named
        .chain(size.map(|size| (size.grow, "monaka::memory.grow".to_string())))
        .collect()
}

/// The older WASIs, which share names and most layouts with Preview 1.
pub(crate) const UNSTABLE_MODULES: [&str; 2] = ["wasi_unstable", "wasi_snapshot_preview0"];

/// The count that a section begins with, and its entries.
fn counted(data: &[u8]) -> (u64, &[u8]) {
    let width = leb_width(data);
    let count = (0..).zip(&data[..width]).fold(0, |count, (at, byte)| {
        count | u64::from(byte & 0x7f) << (7 * at)
    });
    (count, &data[width..])
}

/// A section with more entries in front of and behind its own.
pub(crate) fn appended<'a>(
    section: &Section<'_>,
    before: (u64, &[u8]),
    behind: (u64, &[u8]),
) -> Section<'a> {
    let (count, own) = counted(&section.data);
    let mut data = Vec::with_capacity(own.len() + before.1.len() + behind.1.len() + 5);
    write_leb(&mut data, count + before.0 + behind.0);
    for entries in [before.1, own, behind.1] {
        data.extend_from_slice(entries);
    }
    Section::new(section.id, data)
}

/// The sections with an empty one in place of each that is needed and not there.
pub(crate) fn complete<'a>(mut sections: Vec<Section<'a>>, needed: &[u8]) -> Vec<Section<'a>> {
    for &needed in needed {
        if find(&sections, needed).is_some() {
            continue;
        }
        let behind = sections.iter().rposition(|section| {
            section.id != id::CUSTOM && id::rank(section.id) < id::rank(needed)
        });
        sections.insert(behind.map_or(0, |at| at + 1), Section::new(needed, vec![0]));
    }
    sections
}

impl Module<'_> {
    /// Whether it makes any call of WASI.
    pub(crate) fn calls_wasi(&self) -> bool {
        self.function_imports().any(|(_, import)| is_wasi(import))
    }

    /// Refuses a module that nothing can be merged into.
    pub(crate) fn check_mergeable(&self) -> Result<(), Refusal> {
        self.check_memory()?;
        if page_size(&self.memories[0]) != PAGE {
            return Err(Refusal::PageSize(page_size(&self.memories[0])));
        }
        self.check_imports(&UNSTABLE_MODULES)?;
        if !self.function_imports().any(|(_, import)| is_hook(import)) {
            return Err(Refusal::NoFileCalls);
        }
        self.check_segments()?;
        self.check_valid()
    }

    /// Refuses a module whose calls cannot be traced.
    pub(crate) fn check_traceable(&self) -> Result<(), Refusal> {
        match self.check_mergeable() {
            Err(Refusal::NoFileCalls) if self.calls_wasi() => {
                self.check_segments()?;
                self.check_valid()
            }
            checked => checked,
        }
    }
}

/// Whether an import is of a WASI of any age.
pub(crate) fn is_wasi(import: &wasmparser::Import<'_>) -> bool {
    import.module == witx::MODULE || UNSTABLE_MODULES.contains(&import.module)
}

/// Whether an import is one of WASI's calls that carry no descriptor.
fn is_plain(import: &wasmparser::Import<'_>) -> bool {
    is_wasi(import)
        && witx::HOST_ONLY
            .iter()
            .any(|plain| plain.name == import.name)
}

/// Whether the file system answers an import.
pub(crate) fn is_hook(import: &wasmparser::Import<'_>) -> bool {
    is_wasi(import) && witx::HOOKS.iter().any(|hook| hook.name == import.name)
}

#[cfg(test)]
mod tests;
