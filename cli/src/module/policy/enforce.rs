//! Puts shims into a module in place of imports, and takes them out again.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use monaka_vfs_core::merge::HOST_FUNCTIONS;
use monaka_vfs_core::witx::{self, HOST_ONLY};
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{ConstExpr, Encode as _, ValType};
use wasmparser::{
    CodeSectionReader, FromReader, FunctionSectionReader, GlobalSectionReader, Operator,
    SectionLimited,
};

use super::record::{Record, SECTION, Shim};
use super::shims::{self, Place};
use super::{Policy, Random};
use crate::module::analyze::{Module, func_type};
use crate::module::graft::{UNSTABLE_MODULES, appended, complete, is_wasi};
use crate::module::packed::init_of;
use crate::module::refusal::Refusal;
use crate::module::section::{
    Section, debug_assert_valid, encoded, id, join, leb_width, split, write_leb,
};
use crate::module::splice::{Moved, Remap};

/// A module after a pass.
pub(crate) struct Enforced<'a> {
    pub(crate) sections: Vec<Section<'a>>,
    /// How many shims were put in or taken out.
    pub(crate) shims: u32,
    /// What the user should know, a line each.
    pub(crate) notes: Vec<String>,
}

/// A program under a policy, whatever it was under before; and what the user should know.
/// Nothing of another pack may be in it.
pub(crate) fn police<'a>(wasm: &'a [u8], policy: &Policy) -> Result<(Cow<'a, [u8]>, Vec<String>)> {
    let record = Record::of_module(wasm)?;
    if record
        .as_ref()
        .map_or_else(Policy::default, |record| record.policy.clone())
        == *policy
    {
        return Ok((wasm.into(), Vec::new()));
    }
    let mut notes = Vec::new();
    let mut free = Cow::Borrowed(wasm);
    if let Some(record) = &record {
        let module = Module::parse(wasm)?;
        let restored = restore(split(wasm)?, &module, record, 0)?;
        notes.extend(restored.notes);
        free = join(&restored.sections).into();
    }
    let module = Module::parse(&free)?;
    let count = module.function_count() - module.imported_functions;
    let global = record.and_then(|record| record.global);
    let enforced = enforce(split(&free)?, &module, policy, (0, count), global)?;
    notes.extend(enforced.notes);
    Ok((join(&enforced.sections).into(), notes))
}

/// Puts a policy's shims into a module that has none, behind the program's own functions:
/// those from `own.0` on among the defined ones, `own.1` of them. `global` is the one that
/// an earlier policy has left. `module` was parsed of a module with the same functions.
pub(crate) fn enforce<'a>(
    sections: Vec<Section<'a>>,
    module: &Module<'_>,
    policy: &Policy,
    own: (u32, u32),
    global: Option<u32>,
) -> Result<Enforced<'a>> {
    module.check_imports(&UNSTABLE_MODULES)?;
    check_room(policy)?;
    let mut plan = Plan::new(module, policy, own, global);
    let mut sections = complete(
        sections,
        &[id::TYPE, id::IMPORT, id::FUNCTION, id::GLOBAL, id::CODE],
    );
    sections.retain(|section| !section.is_custom(SECTION));
    let mut moved = Moved {
        within: false,
        code: false,
    };
    let mut out = Vec::with_capacity(sections.len() + 1);
    for section in sections {
        out.push(match section.id {
            id::TYPE => {
                let (count, raw) = plan.types()?;
                appended(&section, (0, &[]), (count, &raw))
            }
            id::IMPORT => plan.imports(&section)?,
            id::FUNCTION => {
                let mut types = Vec::new();
                for shim in &plan.shims {
                    write_leb(&mut types, shim.ty.into());
                }
                let reader = FunctionSectionReader::new(section.reader())?;
                inserted(&section, reader, plan.at, plan.shims.len(), &types)?
            }
            id::GLOBAL => {
                let section = plan.remap.section(section)?;
                plan.globals(section, policy)?
            }
            id::CODE => {
                let code = plan.remap.code(&section, None)?;
                let program = Section::new(id::CODE, code.data);
                let bodies = plan.bodies(module, policy);
                let reader = CodeSectionReader::new(program.reader())?;
                let is_last = reader.count() == plan.at;
                let all = inserted(&program, reader, plan.at, plan.shims.len(), &bodies)?;
                moved = Moved {
                    within: code.moved,
                    code: code.moved
                        || !is_last
                        || leb_width(&all.data) != leb_width(&section.data),
                };
                all
            }
            _ => plan.remap.section(section)?,
        });
    }
    let (mut out, notes) = plan.remap.customs(out, moved);
    let record = Record {
        policy: policy.clone(),
        global: plan.global,
        shims: plan
            .shims
            .iter()
            .zip(own.1..)
            .map(|(shim, ordinal)| Shim {
                call: shim.call,
                ordinal,
                imported: shim.imported,
            })
            .collect(),
    };
    if *policy != Policy::default() || record.global.is_some() {
        out.push(record.section());
    }
    if cfg!(any(test, debug_assertions)) {
        debug_assert_valid(&join(&out), "the module under its policy");
    }
    Ok(Enforced {
        sections: out,
        shims: plan.shims.len() as u32,
        notes,
    })
}

/// Refuses more baked bytes than a function has room for.
fn check_room(policy: &Policy) -> Result<(), Refusal> {
    let env = policy.environment();
    let args = &policy.args;
    let names = match &env.host {
        super::HostEnv::Only(names) => names.iter().map(Vec::len).sum(),
        _ => 0,
    };
    let texts = args
        .name
        .iter()
        .chain(&args.fixed)
        .chain(&args.default)
        .chain(env.baked());
    let bytes = names + texts.map(|text| text.len() + 1).sum::<usize>();
    match bytes > BAKED_MAX {
        true => Err(Refusal::BakedTooLong(bytes)),
        false => Ok(()),
    }
}

/// The most bytes of variables and arguments together. Their instructions take several times
/// as many, and a function must not have more than 7 MB of them.
const BAKED_MAX: usize = 1 << 20;

/// A shim that is about to be made.
struct Planned {
    call: &'static witx::Function,
    ty: u32,
    imported: bool,
    /// The host's functions that it calls.
    hosts: Vec<u32>,
}

/// What goes where.
struct Plan<'m> {
    shims: Vec<Planned>,
    /// Where they stand among the defined functions.
    at: u32,
    remap: Remap,
    /// Signatures that the module lacks.
    types: Vec<&'static witx::Function>,
    /// Imports that it lacks, with their types.
    added: Vec<(&'m str, u32)>,
    global: Option<u32>,
    /// How many globals there are before.
    globals: u32,
}

impl<'m> Plan<'m> {
    fn new(module: &Module<'_>, policy: &Policy, own: (u32, u32), global: Option<u32>) -> Plan<'m> {
        let mut imported: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (function, import) in module.function_imports() {
            if is_wasi(import) {
                imported.entry(import.name).or_default().push(function);
            }
        }
        let for_blob = |name: &str| HOST_FUNCTIONS.iter().any(|call| call.name == name);
        let groups = shims::replaced(policy);
        let groups = groups.iter().filter(|(calls, _)| {
            let mut calls = calls.iter();
            calls.any(|call| imported.contains_key(call) || for_blob(call))
        });

        let mut types = Vec::new();
        let mut type_of = |call: &'static witx::Function| {
            let known = imported
                .get(call.name)
                .and_then(|all| module.type_of(all[0]));
            known
                .or_else(|| module.type_like(&func_type(call)))
                .unwrap_or_else(|| {
                    types.push(call);
                    module.type_count() + types.len() as u32 - 1
                })
        };
        // Which imports stay, as the host's; those that are missing come behind them.
        let kept: BTreeSet<&str> = groups
            .clone()
            .flat_map(|(_, hosts)| hosts.iter().copied())
            .collect();
        let calls: Vec<&str> = groups
            .clone()
            .flat_map(|(calls, _)| calls.iter().copied())
            .collect();
        let mut next = 0..;
        let mut take = || next.next().unwrap_or(u32::MAX);
        let mut hosts: BTreeMap<&str, u32> = BTreeMap::new();
        let mut defined = Vec::new();
        for (_, import) in module.function_imports() {
            let name = import.name;
            let replaced = is_wasi(import) && calls.contains(&name);
            let stays = !replaced || (kept.contains(name) && !hosts.contains_key(name));
            let index = stays.then(&mut take);
            if let (true, Some(index)) = (replaced, index) {
                hosts.insert(name, index);
            }
            defined.push(index);
        }
        let mut added = Vec::new();
        for name in kept {
            if !hosts.contains_key(name)
                && let Some(call) = call_named(name)
            {
                added.push((call.name, type_of(call)));
                hosts.insert(name, take());
            }
        }
        let at = own.0 + own.1;
        let mut shims = Vec::new();
        let mut redirected = BTreeMap::new();
        let mut names = BTreeMap::new();
        for ordinal in 0..=module.function_count() - module.imported_functions {
            if ordinal == at {
                for (calls, needed) in groups.clone() {
                    for call in calls.iter().filter_map(|name| call_named(name)) {
                        let index = take();
                        let imports = imported.get(call.name).map_or(&[][..], |all| all);
                        redirected.extend(imports.iter().map(|import| (*import, index)));
                        names.insert(index, format!("monaka::policy::{}", call.name));
                        shims.push(Planned {
                            call,
                            ty: type_of(call),
                            imported: !imports.is_empty(),
                            hosts: needed.iter().map(|name| hosts[name]).collect(),
                        });
                    }
                }
            }
            if ordinal < module.function_count() - module.imported_functions {
                defined.push(Some(take()));
            }
        }
        let mut remap = Remap::new(defined, &redirected);
        remap.added = names;
        let global = match policy.random {
            Random::Seed(_) => global.or(Some(module.global_count())),
            _ => global,
        };
        Plan {
            shims,
            at,
            remap,
            types,
            added,
            global,
            globals: module.global_count(),
        }
    }

    fn types(&self) -> Result<(u64, Vec<u8>)> {
        let mut types = wasm_encoder::TypeSection::new();
        for call in &self.types {
            let ty = RoundtripReencoder.func_type(func_type(call))?;
            types.ty().func_type(&ty);
        }
        let mut raw = encoded(id::TYPE, &types).data.into_owned();
        raw.drain(..leb_width(&raw));
        Ok((self.types.len() as u64, raw))
    }

    fn imports<'a>(&mut self, section: &Section<'_>) -> Result<Section<'a>> {
        let kept = self
            .remap
            .imports(section)
            .context("in the import section")?;
        let kept = kept.unwrap_or_else(|| Section::new(id::IMPORT, vec![0]));
        let mut imports = wasm_encoder::ImportSection::new();
        for (name, ty) in &self.added {
            imports.import(witx::MODULE, name, wasm_encoder::EntityType::Function(*ty));
        }
        let raw = encoded(id::IMPORT, &imports).data;
        Ok(appended(
            &kept,
            (0, &[]),
            (self.added.len() as u64, &raw[1..]),
        ))
    }

    /// The globals with the seed in the policy's.
    fn globals<'a>(&self, section: Section<'a>, policy: &Policy) -> Result<Section<'a>> {
        let (Random::Seed(seed), Some(state)) = (policy.random, self.global) else {
            return Ok(section);
        };
        let seed = ConstExpr::i64_const(seed.cast_signed());
        let ty = wasm_encoder::GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        let mut globals = wasm_encoder::GlobalSection::new();
        let reader = GlobalSectionReader::new(section.reader())?;
        let imported = self.globals - reader.count();
        let mut found = false;
        for (index, global) in (imported..).zip(reader) {
            let global = global?;
            let own = RoundtripReencoder.global_type(global.ty)?;
            if index == state {
                if own != ty {
                    return Err(damaged("its global is no state of random bytes"));
                }
                globals.global(ty, &seed);
                found = true;
            } else {
                globals.global(own, &ConstExpr::raw(init_of(&global)));
            }
        }
        if !found {
            if state != self.globals {
                return Err(damaged("it speaks of a global that is not there"));
            }
            globals.global(ty, &seed);
        }
        Ok(encoded(id::GLOBAL, &globals))
    }

    /// The shims' bodies, raw.
    fn bodies(&self, module: &Module<'_>, policy: &Policy) -> Vec<u8> {
        let place = Place {
            policy,
            page: module
                .memories
                .first()
                .and_then(|memory| memory.page_size_log2)
                .unwrap_or(16),
            state: self.global.unwrap_or(0),
        };
        let mut raw = Vec::new();
        for shim in &self.shims {
            place.shim(shim.call.name, &shim.hosts).encode(&mut raw);
        }
        raw
    }
}

/// Takes the shims out of a module that `record` is of, and gives the program its imports
/// back. The program's own functions are those from `first` on among the defined ones.
pub(crate) fn restore<'a>(
    mut sections: Vec<Section<'a>>,
    module: &Module<'_>,
    record: &Record,
    first: u32,
) -> Result<Enforced<'a>> {
    let imported = module.imported_functions;
    let mut gone: BTreeMap<u32, &Shim> = BTreeMap::new();
    for shim in &record.shims {
        let index = shim.index(module, first)?;
        gone.insert(index, shim);
    }
    let called = called_from_elsewhere(module, &gone)?;
    let is_wanted = |index: u32, shim: &Shim| shim.imported || called.contains(&index);

    // An import that the shim calls itself is there still.
    let there: BTreeMap<&str, u32> = {
        let imports = module.function_imports();
        let ours = imports.filter(|(_, import)| is_wasi(import));
        ours.map(|(function, import)| (import.name, function))
            .collect()
    };
    let mut next = 0..;
    let mut take = || next.next().unwrap_or(u32::MAX);
    let unwanted: BTreeSet<u32> = gone
        .iter()
        .filter(|(index, shim)| !is_wanted(**index, shim))
        .filter_map(|(_, shim)| there.get(shim.call.name).copied())
        .collect();
    let mut defined: Vec<Option<u32>> = (0..imported)
        .map(|function| (!unwanted.contains(&function)).then(&mut take))
        .collect();
    let mut added = wasm_encoder::ImportSection::new();
    let mut redirected = BTreeMap::new();
    for (index, shim) in gone.iter().filter(|(index, shim)| is_wanted(**index, shim)) {
        let back = match there.get(shim.call.name) {
            Some(import) => defined[*import as usize],
            None => {
                let ty = module.type_of(*index).unwrap_or_default();
                let ty = wasm_encoder::EntityType::Function(ty);
                added.import(witx::MODULE, shim.call.name, ty);
                Some(take())
            }
        };
        redirected.extend(back.map(|back| (*index, back)));
    }
    for function in imported..module.function_count() {
        defined.push((!gone.contains_key(&function)).then(&mut take));
    }
    let mut remap = Remap::new(defined, &redirected);
    // Nothing else refers to those that nobody wants, but their bodies are still looked at.
    let bodies: BTreeSet<u32> = gone.keys().map(|index| index - imported).collect();
    sections.retain(|section| !section.is_custom(SECTION));
    let sections = complete(sections, &[id::IMPORT]);
    let mut out = Vec::with_capacity(sections.len());
    let mut moved = Moved {
        within: false,
        code: false,
    };
    for section in sections {
        out.push(match section.id {
            id::IMPORT => {
                let kept = remap.imports(&section)?;
                let kept = kept.unwrap_or_else(|| Section::new(id::IMPORT, vec![0]));
                let raw = encoded(id::IMPORT, &added).data;
                appended(
                    &kept,
                    (0, &[]),
                    (added.len().into(), &raw[leb_width(&raw)..]),
                )
            }
            id::FUNCTION => {
                let reader = FunctionSectionReader::new(section.reader())?;
                without(&section, reader, &bodies)?
            }
            id::CODE => {
                let reader = CodeSectionReader::new(section.reader())?;
                let last = reader.count() - bodies.len() as u32;
                let kept = without(&section, reader, &bodies)?;
                let code = remap.code(&kept, None)?;
                moved = Moved {
                    within: code.moved,
                    code: code.moved
                        || bodies.first().is_some_and(|first| *first < last)
                        || leb_width(&code.data) != leb_width(&section.data),
                };
                Section::new(id::CODE, code.data)
            }
            _ => remap.section(section)?,
        });
    }
    let (out, notes) = remap.customs(out, moved);
    if cfg!(any(test, debug_assertions)) {
        debug_assert_valid(&join(&out), "the module with its imports again");
    }
    Ok(Enforced {
        sections: out,
        shims: gone.len() as u32,
        notes,
    })
}

/// Which shims are called by functions that are none.
fn called_from_elsewhere(
    module: &Module<'_>,
    shims: &BTreeMap<u32, &Shim>,
) -> Result<BTreeSet<u32>> {
    let mut called = BTreeSet::new();
    if shims.values().all(|shim| shim.imported) {
        return Ok(called);
    }
    for function in module.imported_functions..module.function_count() {
        let Some(body) = module
            .body(function)
            .filter(|_| !shims.contains_key(&function))
        else {
            continue;
        };
        let mut ops = body.get_operators_reader()?;
        while !ops.eof() {
            if let Operator::Call { function_index } = ops.read()?
                && shims.contains_key(&function_index)
            {
                called.insert(function_index);
            }
        }
    }
    Ok(called)
}

fn call_named(name: &str) -> Option<&'static witx::Function> {
    HOST_ONLY.iter().find(|call| call.name == name)
}

fn damaged(what: &str) -> anyhow::Error {
    Refusal::DamagedPack(format!("{SECTION}: {what}")).into()
}

/// Where each entry of a section begins, and the last ends.
fn starts<'s, T: FromReader<'s>>(
    section: &Section<'_>,
    entries: SectionLimited<'s, T>,
) -> Result<Vec<usize>> {
    let mut starts = Vec::with_capacity(entries.count() as usize + 1);
    for entry in entries.into_iter_with_offsets() {
        starts.push(entry?.0);
    }
    starts.push(section.data.len());
    Ok(starts)
}

/// A section with `count` more entries in front of the one at `at`.
fn inserted<'a, 's, T: FromReader<'s>>(
    section: &Section<'_>,
    entries: SectionLimited<'s, T>,
    at: u32,
    count: usize,
    raw: &[u8],
) -> Result<Section<'a>> {
    let mut data = Vec::with_capacity(section.data.len() + raw.len() + 5);
    write_leb(&mut data, u64::from(entries.count()) + count as u64);
    let starts = starts(section, entries)?;
    let split = *starts
        .get(at as usize)
        .context("the module lacks functions")?;
    data.extend_from_slice(&section.data[leb_width(&section.data)..split]);
    data.extend_from_slice(raw);
    data.extend_from_slice(&section.data[split..]);
    Ok(Section::new(section.id, data))
}

/// A section without the entries at `gone`.
fn without<'a, 's, T: FromReader<'s>>(
    section: &Section<'_>,
    entries: SectionLimited<'s, T>,
    gone: &BTreeSet<u32>,
) -> Result<Section<'a>> {
    let mut data = Vec::with_capacity(section.data.len());
    write_leb(&mut data, u64::from(entries.count()) - gone.len() as u64);
    let starts = starts(section, entries)?;
    for (index, entry) in (0..).zip(starts.windows(2)) {
        if !gone.contains(&index) {
            data.extend_from_slice(&section.data[entry[0]..entry[1]]);
        }
    }
    Ok(Section::new(section.id, data))
}
