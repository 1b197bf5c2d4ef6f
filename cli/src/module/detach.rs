//! Takes the blob out of a program again, so that another can be merged in.
//!
//! | of a merged module | becomes |
//! |---|---|
//! | the blob's functions that answered imports | those imports, behind the others |
//! | all other functions of the blob, its data and memory | nothing |
//! | asking a global for the memory's size, calling `grow` | `memory.size`, `memory.grow` |
//!
//! What the merge added of types and globals stays, since nobody uses it: so no other
//! index changes. [`GraftRecord`] says which function stood for which import.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Context as _, Result};
use monaka_vfs_core::merge::{MONAKA, REPORT};
use monaka_vfs_core::trace;
use monaka_vfs_core::witx;
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasmparser::{BinaryReader, Import, MemorySectionReader, Operator};

use super::analyze::Module;
use super::code::Virtual;
use super::graft::{UNSTABLE_MODULES, appended, complete};
use super::merge::{self, Layout, MergeRecord, program_memory};
use super::packed::{self, Packed, first_segments};
use super::refusal::Refusal;
use super::section::{Section, debug_assert_valid, encoded, id, join, split, write_leb};
use super::splice::{Moved, Remap};
use super::tracing;

/// The custom section's name.
pub(crate) const SECTION: &str = "monaka.graft";

/// The custom section `monaka.graft`: which functions of the blob stand for imports.
/// All integers LEB128: how many, for each the fields of [`Hooked`] in order; then 0, or 1
/// and the two of `entry`; then how many of `added`, and those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GraftRecord {
    pub(crate) hooks: Vec<Hooked>,
    /// A function that is exported instead of the program's, counted as in
    /// [`Hooked::function`], and the program's, counted from its first.
    pub(crate) entry: Option<(u32, u32)>,
    /// The calls that were imported for the blob alone.
    pub(crate) added: Vec<u32>,
}

/// An import that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hooked {
    /// Its module, by its place among [`MODULES`].
    module: u32,
    /// Its name, by its place among the calls.
    call: u32,
    /// Its type.
    ty: u32,
    /// The function that stands for it, counted from the first behind the program's.
    function: u32,
}

/// The import modules of WASI of all ages.
const MODULES: [&str; 3] = [witx::MODULE, UNSTABLE_MODULES[0], UNSTABLE_MODULES[1]];

/// The place of a name among the calls.
pub(crate) fn number(name: &str) -> Option<u32> {
    let at = trace::functions().position(|known| known.name == name);
    at.map(|at| at as u32)
}

impl Hooked {
    pub(crate) fn new(import: &Import<'_>, ty: u32, function: u32) -> Result<Hooked> {
        let module = MODULES.iter().position(|known| *known == import.module);
        let call = number(import.name);
        Ok(Hooked {
            module: module.context("an import of no WASI is answered")? as u32,
            call: call.context("an import of no WASI is answered")?,
            ty,
            function,
        })
    }
}

impl GraftRecord {
    pub(crate) fn section<'a>(&self) -> Section<'a> {
        let mut out = Vec::new();
        write_leb(&mut out, self.hooks.len() as u64);
        for hooked in &self.hooks {
            for field in [hooked.module, hooked.call, hooked.ty, hooked.function] {
                write_leb(&mut out, field.into());
            }
        }
        write_leb(&mut out, u64::from(self.entry.is_some()));
        for field in self.entry.into_iter().flat_map(<[u32; 2]>::from) {
            write_leb(&mut out, field.into());
        }
        write_leb(&mut out, self.added.len() as u64);
        for call in &self.added {
            write_leb(&mut out, (*call).into());
        }
        Section::custom(SECTION, &out)
    }

    fn decode(payload: &[u8]) -> Option<GraftRecord> {
        let mut reader = BinaryReader::new(payload, 0);
        let mut record = GraftRecord::default();
        for _ in 0..reader.read_var_u32().ok()? {
            let mut next = || reader.read_var_u32().ok();
            record.hooks.push(Hooked {
                module: next()?,
                call: next()?,
                ty: next()?,
                function: next()?,
            });
        }
        let mut next = || reader.read_var_u32().ok();
        record.entry = match next()? {
            0 => None,
            _ => Some((next()?, next()?)),
        };
        for _ in 0..next()? {
            record.added.push(next()?);
        }
        Some(record)
    }

    fn of(sections: &[Section<'_>]) -> Result<GraftRecord, Refusal> {
        let payload = sections
            .iter()
            .find_map(|section| match section.as_custom() {
                Some((SECTION, payload)) => Some(payload),
                _ => None,
            });
        payload
            .and_then(GraftRecord::decode)
            .ok_or_else(|| damaged("cannot be read"))
    }
}

fn damaged(what: &str) -> Refusal {
    Refusal::DamagedPack(format!("{SECTION} {what}"))
}

/// The program of a merged module, without the file system. `module` is what `packed`
/// was parsed as.
pub(crate) fn detach(
    packed: &Packed<'_>,
    module: &Module<'_>,
    record: &MergeRecord,
) -> Result<Vec<u8>> {
    let sections = split(packed.wasm)?;
    let graft = GraftRecord::of(&sections)?;
    let first = u32::from(record.layout == Layout::Single);
    let imported = module.imported_functions;
    let count = graft.hooks.len() as u32;
    let own = imported + first..(imported + first).saturating_add(record.functions);
    let functions = module.function_count();
    if own.end > functions {
        return Err(damaged("speaks of another program").into());
    }
    let unused = unused(module, &graft, own.clone())?;
    let gone = unused.len() as u32;
    let mut next = 0..;
    let defined = (0..functions).map(|function| match function {
        import if import < imported => match unused.contains(&import) {
            true => None,
            false => next.next(),
        },
        function if own.contains(&function) => Some(function - first - gone + count),
        _ => None,
    });
    let defined = defined.collect();
    let mut redirected = BTreeMap::new();
    let mut imports = Vec::new();
    for (index, hooked) in (imported - gone..).zip(&graft.hooks) {
        let name = trace::functions().nth(hooked.call as usize);
        let (Some(from), Some(name)) = (MODULES.get(hooked.module as usize), name) else {
            return Err(damaged("names no call").into());
        };
        for text in [from, name.name] {
            write_leb(&mut imports, text.len() as u64);
            imports.extend_from_slice(text.as_bytes());
        }
        imports.push(FUNCTION);
        write_leb(&mut imports, hooked.ty.into());
        redirected.insert(own.end.saturating_add(hooked.function), index);
    }
    if let Some((wrapper, function)) = graft.entry {
        let function = (imported - gone + count).saturating_add(function);
        redirected.insert(own.end.saturating_add(wrapper), function);
    }
    if redirected.keys().any(|function| *function >= functions) {
        return Err(damaged("names functions that are not there").into());
    }
    let mut remap = Remap::new(defined, &redirected);
    let restored = (record.layout == Layout::Single).then(|| Virtual {
        pages: record.globals + 1,
        grow: imported,
    });

    let mut out = Vec::with_capacity(sections.len());
    let mut moved = false;
    for section in complete(sections, &[id::IMPORT]) {
        if OURS.iter().any(|ours| section.is_custom(ours)) {
            continue;
        }
        out.push(match section.id {
            id::IMPORT => {
                let none = Section::new(id::IMPORT, vec![0]);
                let kept = remap.imports(&section)?.unwrap_or(none);
                appended(&kept, (0, &[]), (count.into(), &imports))
            }
            id::FUNCTION => own_functions(&section, first, record.functions)?,
            id::MEMORY => match record.layout {
                Layout::Single => program_memory(&section, record)?,
                Layout::Multi => without_last(&section)?,
            },
            id::CODE => {
                let own = own_bodies(&section, first, record.functions)?;
                let code = remap.restored_code(&own, restored)?;
                moved = code.moved;
                Section::new(id::CODE, code.data)
            }
            id::DATA_COUNT => {
                let mut segments = Vec::new();
                write_leb(&mut segments, record.segments.into());
                Section::new(id::DATA_COUNT, segments)
            }
            id::DATA => {
                let mut data = Vec::new();
                write_leb(&mut data, record.segments.into());
                data.extend_from_slice(first_segments(&section.data, record.segments)?);
                Section::new(id::DATA, data)
            }
            _ => remap.section(section)?,
        });
    }
    let (out, _) = remap.customs(
        out,
        Moved {
            within: moved,
            code: true,
        },
    );
    let wasm = join(&out);
    debug_assert_valid(&wasm, "the module without its file system");
    Ok(wasm)
}

/// The imports that the blob alone has used.
fn unused(module: &Module<'_>, graft: &GraftRecord, own: Range<u32>) -> Result<BTreeSet<u32>> {
    let of_blob = |import: &Import<'_>| {
        (import.module, import.name) == (MONAKA, REPORT.name)
            || import.module == witx::MODULE
                && number(import.name).is_some_and(|call| graft.added.contains(&call))
    };
    let imports = module.function_imports();
    let mut unused: BTreeSet<u32> = imports
        .filter(|(function, import)| of_blob(import) && !module.named.contains(function))
        .map(|(function, _)| function)
        .collect();
    for function in own {
        let body = module.body(function).context("a function has no body")?;
        let mut ops = body.get_operators_reader()?;
        while !ops.eof() {
            if let Operator::Call { function_index }
            | Operator::ReturnCall { function_index }
            | Operator::RefFunc { function_index } = ops.read()?
            {
                unused.remove(&function_index);
            }
        }
    }
    Ok(unused)
}

/// What import sections say of functions.
const FUNCTION: u8 = 0;

/// The custom sections that speak of the blob.
const OURS: [&str; 4] = [SECTION, merge::SECTION, packed::SECTION, tracing::SECTION];

/// The types of the program's functions.
fn own_functions<'a>(section: &Section<'_>, first: u32, count: u32) -> Result<Section<'a>> {
    let mut reader = section.reader();
    reader.read_var_u32()?;
    let mut data = Vec::new();
    write_leb(&mut data, count.into());
    for index in 0..first + count {
        let ty = reader.read_var_u32()?;
        if index >= first {
            write_leb(&mut data, ty.into());
        }
    }
    Ok(Section::new(id::FUNCTION, data))
}

/// The bodies of the program's functions.
fn own_bodies<'a>(section: &Section<'_>, first: u32, count: u32) -> Result<Section<'a>> {
    let mut reader = section.reader();
    reader.read_var_u32()?;
    let mut start = reader.original_position();
    for index in 0..first + count {
        if index == first {
            start = reader.original_position();
        }
        let len = reader.read_var_u32()?;
        reader.read_bytes(len as usize)?;
    }
    let end = reader.original_position();
    let mut data = Vec::with_capacity(end - start + 5);
    write_leb(&mut data, count.into());
    data.extend_from_slice(&section.data[start..end]);
    Ok(Section::new(id::CODE, data))
}

/// A memory section without the blob's, which is the last.
fn without_last<'a>(section: &Section<'_>) -> Result<Section<'a>> {
    let mut memories = wasm_encoder::MemorySection::new();
    let reader = MemorySectionReader::new(section.reader())?;
    let own = reader.count().saturating_sub(1) as usize;
    for memory in reader.into_iter().take(own) {
        memories.memory(RoundtripReencoder.memory_type(memory?)?);
    }
    Ok(encoded(id::MEMORY, &memories))
}
