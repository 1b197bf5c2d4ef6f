//! A copy of a module whose state can be read when it has run, and whose call stack
//! can be taken down.
//!
//! Nothing that is added moves an index: exports, globals, a memory and types stand
//! behind those of the program. At each call that is on the stack:
//!
//! ```wat
//! call $f
//! global.get $unwinding
//! if (param …) (result …)      ;; what the call answered, and the operands below
//!   …                          ;; operands and locals into the memory `stack`
//!   return                     ;; of zeros
//! end
//! ```
//!
//! Operands that stand below the block that a call is in are out of reach there, so they
//! are put into locals as well where the block opens.
//!
//! So once `$unwinding` is set, where the innermost call is one of the host's, each
//! function leaves its frame and returns, the innermost first. Nothing of the program
//! runs in between, and its memories and globals stay as they were at the checkpoint.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{ConstExpr, Encode as _, Instruction, MemArg};
use wasmparser::{ExternalKind, ValType};

use super::stack::{Arm, Block, Frame, Site};
use super::survey::{Segment, Survey};
use crate::module::analyze::Module;
use crate::module::graft::{appended, complete};
use crate::module::section::{Section, id, join, leb_width, split, write_leb};

/// Bytes of a value in the memory `stack`.
pub(super) const SLOT: usize = 16;

/// The names of what a copy exports beside the program's own.
pub(super) mod name {
    use super::Segment;

    pub(crate) const START: &str = "monaka:start";
    pub(crate) const UNWINDING: &str = "monaka:unwinding";
    pub(crate) const TOP: &str = "monaka:top";
    pub(crate) const STACK: &str = "monaka:stack";

    pub(crate) fn memory(index: u32) -> String {
        format!("monaka:memory {index}")
    }

    pub(crate) fn global(index: u32) -> String {
        format!("monaka:global {index}")
    }

    pub(crate) fn table(index: u32) -> String {
        format!("monaka:table {index}")
    }

    pub(crate) fn function(index: u32) -> String {
        format!("monaka:function {index}")
    }

    pub(crate) fn dropped(segment: Segment) -> String {
        match segment {
            Segment::Data(index) => format!("monaka:dropped data {index}"),
            Segment::Element(index) => format!("monaka:dropped element {index}"),
        }
    }
}

/// A module that can be observed.
pub(super) struct Observed {
    pub(super) wasm: Vec<u8>,
    /// Where pieces of code begin in it, ascending, and where they do in the module.
    pieces: Vec<(usize, usize)>,
}

impl Observed {
    /// A frame of the copy as one of the module.
    pub(super) fn origin(&self, frame: Frame) -> Option<Frame> {
        let next = self.pieces.partition_point(|(new, _)| *new <= frame.offset);
        let (new, old) = self.pieces.get(next.checked_sub(1)?)?;
        Some(Frame {
            offset: old + (frame.offset - new),
            ..frame
        })
    }
}

/// Makes a copy of a module. `frames` are its stack, and `sites` the calls that those
/// are in.
pub(super) fn observed(
    wasm: &[u8],
    module: &Module<'_>,
    survey: &Survey,
    sites: &BTreeMap<Frame, Site>,
    frames: &[Frame],
) -> Result<Observed> {
    let mut copy = Copy {
        wasm,
        module,
        types: Types::new(module),
        exports: Vec::new(),
        globals: Vec::new(),
        edits: BTreeMap::new(),
        stack: module.memories.len() as u32,
    };
    copy.export_state(survey)?;
    copy.watch_drops(survey)?;
    copy.spill(sites)?;
    let slots: usize = frames
        .iter()
        .filter_map(|frame| sites.get(frame))
        .map(|site| 1 + site.locals.len() + site.operands.len())
        .sum();
    let pages = (slots * SLOT).div_ceil(1 << 16);
    copy.finish(sites, pages as u64)
}

/// Function types that are added behind those of a module.
pub(super) struct Types {
    first: u32,
    raw: Vec<u8>,
    known: BTreeMap<Vec<u8>, u32>,
}

impl Types {
    pub(super) fn new(module: &Module<'_>) -> Types {
        Types {
            first: module.type_count(),
            raw: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    /// The index of a function's type.
    pub(super) fn index(&mut self, params: &[ValType], results: &[ValType]) -> Result<u32> {
        let mut raw = vec![0x60];
        for types in [params, results] {
            write_leb(&mut raw, types.len() as u64);
            for ty in types {
                RoundtripReencoder.val_type(*ty)?.encode(&mut raw);
            }
        }
        let next = self.first + self.known.len() as u32;
        if let Some(known) = self.known.get(&raw) {
            return Ok(*known);
        }
        self.raw.extend_from_slice(&raw);
        self.known.insert(raw, next);
        Ok(next)
    }

    /// A type section with them.
    pub(super) fn section<'a>(&self, section: &Section<'_>) -> Section<'a> {
        appended(section, (0, &[]), (self.known.len() as u64, &self.raw))
    }
}

/// What is put into a function's body.
#[derive(Default)]
struct Edit {
    /// Further locals.
    locals: Vec<ValType>,
    /// The locals of a call's own, one of each type that is needed.
    scratch: Vec<(ValType, u32)>,
    /// The locals with what is on the stack where a block opens.
    kept: BTreeMap<usize, Vec<u32>>,
    /// Bytes, and where in the module they are put.
    inserted: BTreeMap<(usize, Side), Vec<u8>>,
}

/// Whether bytes belong to the instruction before their place or to that behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Before,
    Behind,
}

impl Edit {
    /// A new local of a function that has `own`.
    fn local(&mut self, own: usize, ty: ValType) -> u32 {
        self.locals.push(ty);
        (own + self.locals.len() - 1) as u32
    }

    fn scratch(&mut self, own: usize, ty: ValType) -> u32 {
        if let Some((_, local)) = self.scratch.iter().find(|(known, _)| *known == ty) {
            return *local;
        }
        let local = self.local(own, ty);
        self.scratch.push((ty, local));
        local
    }

    /// The locals with the operands that stand below block `next` in `block`. They are
    /// set where the block opens: inside it nothing reaches them.
    fn kept(&mut self, site: &Site, block: &Block, next: &Block) -> &[u32] {
        let own = site.locals.len();
        let count = next.height - block.height;
        if count == 0 {
            return &[];
        }
        let at = next.opener.start;
        if !self.kept.contains_key(&at) {
            let mut types = site.operands[block.height..next.height].to_vec();
            types.extend(&next.params);
            if next.arm != Arm::Whole {
                types.push(ValType::I32);
            }
            let locals: Vec<u32> = types.iter().map(|ty| self.local(own, *ty)).collect();
            let code = self.inserted.entry((at, Side::Behind)).or_default();
            for local in locals.iter().rev() {
                Instruction::LocalSet(*local).encode(code);
            }
            for local in &locals {
                Instruction::LocalGet(*local).encode(code);
            }
            self.kept.insert(at, locals);
        }
        &self.kept[&at][..count]
    }
}

struct Copy<'m> {
    wasm: &'m [u8],
    module: &'m Module<'m>,
    types: Types,
    exports: Vec<(String, ExternalKind, u32)>,
    /// The initial values of the globals that are added, all of them i32.
    globals: Vec<i32>,
    edits: BTreeMap<u32, Edit>,
    /// The memory that takes the stack.
    stack: u32,
}

/// The value of a type that all its bits are zero.
pub(super) fn zero(ty: ValType) -> Result<Instruction<'static>> {
    Ok(match ty {
        ValType::I32 => Instruction::I32Const(0),
        ValType::I64 => Instruction::I64Const(0),
        ValType::F32 => Instruction::F32Const(0f32.into()),
        ValType::F64 => Instruction::F64Const(0f64.into()),
        ValType::V128 => Instruction::V128Const(0),
        ValType::Ref(ty) => Instruction::RefNull(RoundtripReencoder.heap_type(ty.heap_type())?),
    })
}

impl Copy<'_> {
    /// Adds a global that can change.
    fn global(&mut self, name: String) -> u32 {
        let index = self.module.global_count() + self.globals.len() as u32;
        self.globals.push(0);
        self.exports.push((name, ExternalKind::Global, index));
        index
    }

    fn export_state(&mut self, survey: &Survey) -> Result<()> {
        for index in 0..self.module.memories.len() as u32 {
            let export = (name::memory(index), ExternalKind::Memory, index);
            self.exports.push(export);
        }
        for index in survey.numbers.iter().chain(&survey.references) {
            let export = (name::global(*index), ExternalKind::Global, *index);
            self.exports.push(export);
        }
        if survey.moves_functions() {
            for index in 0..survey.tables_of.len() as u32 {
                let export = (name::table(index), ExternalKind::Table, index);
                self.exports.push(export);
            }
            for index in 0..self.module.function_count() {
                let export = (name::function(index), ExternalKind::Func, index);
                self.exports.push(export);
            }
        }
        Ok(())
    }

    /// Has a global set behind each instruction that empties a segment.
    fn watch_drops(&mut self, survey: &Survey) -> Result<()> {
        let mut globals = BTreeMap::new();
        for segment in survey.droppable() {
            globals.insert(segment, self.global(name::dropped(segment)));
        }
        for drop in &survey.drops {
            let edit = self.edits.entry(drop.function).or_default();
            let to = edit.inserted.entry((drop.end, Side::Before)).or_default();
            Instruction::I32Const(1).encode(to);
            Instruction::GlobalSet(globals[&drop.segment]).encode(to);
        }
        Ok(())
    }

    /// Has the calls' frames left behind when the stack is taken down.
    fn spill(&mut self, sites: &BTreeMap<Frame, Site>) -> Result<()> {
        if sites.is_empty() {
            return Ok(());
        }
        let unwinding = self.global(name::UNWINDING.into());
        let top = self.global(name::TOP.into());
        for (number, site) in sites.values().enumerate() {
            self.spill_site(number, site, unwinding, top)
                .with_context(|| format!("in function {}", site.function))?;
        }
        Ok(())
    }

    fn spill_site(&mut self, number: usize, site: &Site, unwinding: u32, top: u32) -> Result<()> {
        let innermost = site.blocks.last().map_or(0, |block| block.height);
        let through: Vec<ValType> = [&site.operands[innermost..], &site.results].concat();
        let ty = self.types.index(&through, &through)?;
        let own = self.module.function_type(site.function);
        let own = own.context("a function has no type")?.results();
        let edit = self.edits.entry(site.function).or_default();
        let mut below = Vec::with_capacity(innermost);
        for pair in site.blocks.windows(2) {
            below.extend_from_slice(edit.kept(site, &pair[0], &pair[1]));
        }
        let own_locals = site.locals.len();
        let mut code = Vec::new();
        Instruction::GlobalGet(unwinding).encode(&mut code);
        Instruction::If(wasm_encoder::BlockType::FunctionType(ty)).encode(&mut code);
        for _ in &site.results {
            Instruction::Drop.encode(&mut code);
        }
        let memory = self.stack;
        let store = |slot: usize, local: u32, ty: ValType, code: &mut Vec<u8>| {
            let place = MemArg {
                offset: (slot * SLOT) as u64,
                align: 0,
                memory_index: memory,
            };
            Instruction::GlobalGet(top).encode(code);
            Instruction::LocalGet(local).encode(code);
            match ty {
                ValType::I32 => Instruction::I32Store(place).encode(code),
                ValType::I64 => Instruction::I64Store(place).encode(code),
                ValType::F32 => Instruction::F32Store(place).encode(code),
                ValType::F64 => Instruction::F64Store(place).encode(code),
                ValType::V128 => Instruction::V128Store(place).encode(code),
                ValType::Ref(_) => {
                    // Whether it is there at all.
                    Instruction::RefIsNull.encode(code);
                    Instruction::I32Eqz.encode(code);
                    Instruction::I32Store(place).encode(code);
                }
            }
        };
        let first = 1 + site.locals.len();
        for (at, ty) in site.operands.iter().enumerate().rev() {
            let local = match below.get(at) {
                Some(local) => *local,
                None => {
                    let local = edit.scratch(own_locals, *ty);
                    Instruction::LocalSet(local).encode(&mut code);
                    local
                }
            };
            store(first + at, local, *ty, &mut code);
        }
        for (at, ty) in site.locals.iter().enumerate() {
            store(1 + at, at as u32, *ty, &mut code);
        }
        let i32 = edit.scratch(own_locals, ValType::I32);
        Instruction::I32Const(number as i32).encode(&mut code);
        Instruction::LocalSet(i32).encode(&mut code);
        store(0, i32, ValType::I32, &mut code);
        Instruction::GlobalGet(top).encode(&mut code);
        Instruction::I32Const(((first + site.operands.len()) * SLOT) as i32).encode(&mut code);
        Instruction::I32Add.encode(&mut code);
        Instruction::GlobalSet(top).encode(&mut code);
        for ty in own {
            zero(*ty)?.encode(&mut code);
        }
        Instruction::Return.encode(&mut code);
        Instruction::End.encode(&mut code);
        edit.inserted.insert((site.call.end, Side::Before), code);
        Ok(())
    }

    fn finish(mut self, sites: &BTreeMap<Frame, Site>, pages: u64) -> Result<Observed> {
        let sections = complete(
            split(self.wasm)?,
            &[id::TYPE, id::GLOBAL, id::EXPORT, id::CODE],
        );
        let mut out = Vec::with_capacity(sections.len());
        let mut pieces = Vec::new();
        // Known before the exports are written, which stand in front.
        for section in &sections {
            if section.id == id::START {
                let function = section.reader().read_var_u32()?;
                let export = (name::START.to_string(), ExternalKind::Func, function);
                self.exports.push(export);
            }
        }
        if !sites.is_empty() {
            let export = (name::STACK.to_string(), ExternalKind::Memory, self.stack);
            self.exports.push(export);
        }
        for section in &sections {
            out.push(match section.id {
                id::START => continue,
                // Names serve a trap's message, all else would only be copied.
                id::CUSTOM if !section.is_custom("name") => continue,
                id::TYPE => self.types.section(section),
                id::MEMORY if !sites.is_empty() => {
                    let mut memory = vec![0];
                    write_leb(&mut memory, pages);
                    appended(section, (0, &[]), (1, &memory))
                }
                id::GLOBAL => self.globals(section),
                id::EXPORT => self.export_section(section),
                id::CODE => self.code(section, &mut pieces)?,
                _ => section.borrowed(),
            });
        }
        let wasm = join(&out);
        // Where the code section's contents begin.
        let mut start = crate::module::section::PREAMBLE.len();
        for section in &out {
            let mut size = Vec::new();
            write_leb(&mut size, section.data.len() as u64);
            start += 1 + size.len();
            if section.id == id::CODE {
                break;
            }
            start += section.data.len();
        }
        for (new, _) in &mut pieces {
            *new += start;
        }
        Ok(Observed { wasm, pieces })
    }

    fn globals<'a>(&self, section: &Section<'_>) -> Section<'a> {
        let mut raw = Vec::new();
        for value in &self.globals {
            // i32, mutable.
            raw.extend([0x7f, 1]);
            ConstExpr::i32_const(*value).encode(&mut raw);
        }
        appended(section, (0, &[]), (self.globals.len() as u64, &raw))
    }

    fn export_section<'a>(&self, section: &Section<'_>) -> Section<'a> {
        let mut raw = Vec::new();
        for (name, kind, index) in &self.exports {
            write_leb(&mut raw, name.len() as u64);
            raw.extend_from_slice(name.as_bytes());
            raw.push(match kind {
                ExternalKind::Table => 1,
                ExternalKind::Memory => 2,
                ExternalKind::Global => 3,
                _ => 0,
            });
            write_leb(&mut raw, (*index).into());
        }
        appended(section, (0, &[]), (self.exports.len() as u64, &raw))
    }

    /// The code section with what is put into bodies. `pieces` are told where code
    /// begins now, counted from the section's start, and where it did.
    fn code<'a>(
        &self,
        section: &Section<'_>,
        pieces: &mut Vec<(usize, usize)>,
    ) -> Result<Section<'a>> {
        let mut out = Vec::with_capacity(section.data.len() + (1 << 12));
        out.extend_from_slice(&section.data[..leb_width(&section.data)]);
        for function in self.module.imported_functions..self.module.function_count() {
            let body = self.module.body(function).context("a body is missing")?;
            let range = body.range();
            let Some(edit) = self.edits.get(&function) else {
                write_leb(&mut out, range.len() as u64);
                pieces.push((out.len(), range.start));
                out.extend_from_slice(&self.wasm[range]);
                continue;
            };
            let mut new = Vec::with_capacity(range.len() + (1 << 10));
            let groups = body.get_locals_reader()?.get_count();
            let header = leb_width(&self.wasm[range.clone()]);
            write_leb(&mut new, groups as u64 + edit.locals.len() as u64);
            let ops = body.get_operators_reader()?.original_position();
            new.extend_from_slice(&self.wasm[range.start + header..ops]);
            for ty in &edit.locals {
                new.push(1);
                RoundtripReencoder.val_type(*ty)?.encode(&mut new);
            }
            let mut copied = ops;
            let mut shifts = Vec::new();
            for ((at, _), bytes) in &edit.inserted {
                shifts.push((copied, new.len()));
                new.extend_from_slice(&self.wasm[copied..*at]);
                new.extend_from_slice(bytes);
                copied = *at;
            }
            shifts.push((copied, new.len()));
            new.extend_from_slice(&self.wasm[copied..range.end]);
            write_leb(&mut out, new.len() as u64);
            pieces.extend(shifts.iter().map(|(old, new)| (out.len() + new, *old)));
            out.extend_from_slice(&new);
        }
        Ok(Section::new(id::CODE, out))
    }
}
