//! The state of a program that has run, as the initial state of a module: memories,
//! globals, tables, and which segments are gone.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context as _, Result};
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{ConstExpr, Encode as _};
use wasmparser::{
    DataSectionReader, ElementSectionReader, GlobalSectionReader, MemorySectionReader, RefType,
    TableSectionReader, ValType,
};
use wasmtime::Val;

use super::guest::{Entry, Ran};
use super::observe::{name, zero};
use super::resume::constant;
use super::survey::{Segment, Survey};
use crate::module::analyze::{Module, page_size};
use crate::module::finish::MAX_SEGMENTS;
use crate::module::graft::appended;
use crate::module::merge::{Layout, MergeRecord, PAGE, segment_header};
use crate::module::packed::{ImageRecord, Packed, init_of};
use crate::module::section::{Section, encoded, id, write_leb};
use crate::report::Hinted;

/// Gaps of zeros shorter than this do not end a data segment.
const GAP: usize = 64;

/// What a program's state makes of a packed module.
pub(super) struct State<'p> {
    packed: &'p Packed<'p>,
    module: &'p Module<'p>,
    /// Sizes in pages.
    memories: Vec<u64>,
    tables: Vec<TableState>,
    globals: BTreeMap<u32, Init>,
    /// Segments that are empty from now on.
    dropped: Vec<Segment>,
    data: Vec<u8>,
    segments: u64,
    record: ImageRecord,
    merged: Option<MergeRecord>,
}

/// What a global holds.
enum Init {
    /// An expression, without its end.
    Expression(Vec<u8>),
    /// No reference.
    Null,
}

/// A table that was changed.
#[derive(Default)]
struct TableState {
    size: Option<u64>,
    /// What stands elsewhere than it did: slots and functions, or none.
    changed: Vec<(u64, Option<u32>)>,
}

impl<'p> State<'p> {
    /// Reads the state of a program that has run.
    pub(super) fn read(
        packed: &'p Packed<'p>,
        module: &'p Module<'p>,
        survey: &Survey,
        ran: &mut Ran,
    ) -> Result<State<'p>> {
        let mut state = State {
            packed,
            module,
            memories: Vec::new(),
            tables: Vec::new(),
            globals: BTreeMap::new(),
            dropped: Vec::new(),
            data: Vec::new(),
            segments: 0,
            record: packed.record,
            merged: packed.merged,
        };
        for (index, ty) in (0..).zip(&module.memories) {
            let size = ran.memory(index)?.len() as u64;
            state.memories.push(size / page_size(ty));
        }
        state.read_globals(survey, ran)?;
        state.read_tables(survey, ran)?;
        for segment in survey.droppable() {
            if let Val::I32(1) = ran.global(&name::dropped(segment))? {
                state.dropped.push(segment);
            }
        }
        state.read_place(ran)?;
        state.read_memories(survey, ran)?;
        Ok(state)
    }

    fn read_globals(&mut self, survey: &Survey, ran: &mut Ran) -> Result<()> {
        for index in &survey.numbers {
            let (ty, bits) = match ran.global(&name::global(*index))? {
                Val::I32(value) => (ValType::I32, value as u32 as u128),
                Val::I64(value) => (ValType::I64, value as u64 as u128),
                Val::F32(bits) => (ValType::F32, bits.into()),
                Val::F64(bits) => (ValType::F64, bits.into()),
                Val::V128(value) => (ValType::V128, value.as_u128()),
                other => anyhow::bail!("global {index} holds {other:?}"),
            };
            let mut init = Vec::new();
            constant(ty, bits)?.encode(&mut init);
            self.globals.insert(*index, Init::Expression(init));
        }
        let known = Known::of(survey, self.module, ran);
        for index in &survey.references {
            let value = ran.global(&name::global(*index))?;
            let init = match ran.entry(&value) {
                Entry::Null => Some(Init::Null),
                entry => known.function(entry).map(|function| {
                    let mut init = Vec::new();
                    wasm_encoder::Instruction::RefFunc(function).encode(&mut init);
                    Init::Expression(init)
                }),
            };
            let init = init.ok_or_else(|| {
                Hinted::new(
                    format!(
                        "when it is initialised the program holds an object of the host or the \
                         heap in global {index}, which cannot be kept in a module"
                    ),
                    "have the program let go of it before its checkpoint",
                )
            })?;
            self.globals.insert(*index, init);
        }
        Ok(())
    }

    fn read_tables(&mut self, survey: &Survey, ran: &mut Ran) -> Result<()> {
        if !survey.moves_functions() {
            return Ok(());
        }
        let known = Known::of(survey, self.module, ran);
        for index in 0..survey.tables_of.len() as u32 {
            let (before, now) = ran.table(index)?;
            let mut table = TableState::default();
            if before.len() != now.len() {
                table.size = Some(now.len() as u64);
            }
            for (at, entry) in (0..).zip(&now) {
                if before.get(at as usize).unwrap_or(&Entry::Null) == entry
                    && *entry != Entry::Other
                {
                    continue;
                }
                let function = known.function(*entry);
                let plain = survey.tables_of.get(index as usize) == Some(&RefType::FUNCREF);
                if !plain || function.is_none() && *entry != Entry::Null {
                    return Err(self.refused_table(index, survey));
                }
                table.changed.push((at, function));
            }
            self.tables.push(table);
        }
        Ok(())
    }

    fn refused_table(&self, index: u32, survey: &Survey) -> anyhow::Error {
        let by = survey
            .tables
            .map_or_else(String::new, |(instruction, function)| {
                format!(
                    " (by {instruction}, as in function {})",
                    self.module.function_name(function)
                )
            });
        Hinted::new(
            format!(
                "the initialiser has put an object of the host or the heap into table {index}{by}, \
                 which cannot be kept in a module"
            ),
            "have the program fill its tables after its checkpoint",
        )
        .into()
    }

    /// Where the file system is now: in one memory with the program it makes room for
    /// that when it grows.
    fn read_place(&mut self, ran: &mut Ran) -> Result<()> {
        let Some(merged) = self.merged.as_mut() else {
            return Ok(());
        };
        if merged.layout != Layout::Single {
            return Ok(());
        }
        let mut word = |index: u32| match ran.global(&name::global(index))? {
            Val::I32(value) => Ok(u64::from(value as u32)),
            other => anyhow::bail!("global {index} holds {other:?}"),
        };
        let (base, pages) = (word(merged.globals)?, word(merged.globals + 1)?);
        let moved = base.checked_sub(merged.base(self.module)?);
        let moved = moved.context("the file system has moved down")?;
        self.record.address += moved;
        merged.minimum = pages;
        Ok(())
    }

    fn read_memories(&mut self, survey: &Survey, ran: &mut Ran) -> Result<()> {
        let room = MAX_SEGMENTS - 1 - survey.data as usize;
        let mut gap = GAP;
        let mut runs;
        loop {
            runs = Vec::new();
            for index in 0..self.memories.len() as u32 {
                let ours = self.packed.merged.map_or(0, |merged| merged.memory);
                // The image has a segment of its own.
                let image = match index == ours {
                    true => {
                        let start = self.record.address as usize;
                        start..start + self.record.len() as usize
                    }
                    false => 0..0,
                };
                let memory = ran.memory(index)?;
                runs.push([
                    stretches(memory, 0..image.start.min(memory.len()), gap),
                    stretches(memory, image.end..memory.len(), gap),
                ]);
            }
            if runs.iter().flatten().map(Vec::len).sum::<usize>() <= room {
                break;
            }
            gap *= 4;
        }
        let base = match self.packed.merged {
            // What is below is the program's.
            Some(merged) if merged.layout == Layout::Single => {
                let offset = self.packed.record.address - merged.minimum * PAGE;
                Some(self.record.address - offset)
            }
            _ => None,
        };
        let mut own = u64::from(survey.data);
        for (index, runs) in (0..).zip(&runs) {
            for run in runs.iter().flatten() {
                let memory = ran.memory(index)?;
                let (address, bytes) = (run.start as u64, &memory[run.clone()]);
                self.header(index, address, bytes.len() as u64)?;
                self.data.extend_from_slice(bytes);
                self.segments += 1;
                let ours = self
                    .packed
                    .merged
                    .is_some_and(|merged| merged.memory == index);
                own += u64::from(!ours || base.is_some_and(|base| address < base));
            }
        }
        if let Some(merged) = &mut self.merged {
            merged.segments = u32::try_from(own)?;
        }
        Ok(())
    }

    /// An active segment up to its first byte.
    fn header(&mut self, memory: u32, address: u64, len: u64) -> Result<()> {
        let ty = self.module.memories.get(memory as usize);
        if !ty.context("a memory is missing")?.memory64 {
            segment_header(&mut self.data, memory, address, len);
            return Ok(());
        }
        self.data.push(2);
        write_leb(&mut self.data, memory.into());
        ConstExpr::i64_const(address as i64).encode(&mut self.data);
        write_leb(&mut self.data, len);
        Ok(())
    }

    /// The record of the image, which may have moved.
    pub(super) fn record(&self) -> &ImageRecord {
        &self.record
    }

    /// The record of the merge.
    pub(super) fn merged(&self) -> Option<&MergeRecord> {
        self.merged.as_ref()
    }

    /// The memory section with the sizes of now.
    pub(super) fn memory_section<'a>(&self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut memories = wasm_encoder::MemorySection::new();
        let reader = MemorySectionReader::new(section.reader())?;
        for (memory, pages) in reader.into_iter().zip(&self.memories) {
            let mut memory = wasm_encoder::MemoryType::from(memory?);
            memory.minimum = *pages;
            memories.memory(memory);
        }
        Ok(encoded(id::MEMORY, &memories))
    }

    /// The global section with the values of now.
    pub(super) fn global_section<'a>(&self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut globals = wasm_encoder::GlobalSection::new();
        for (index, global) in (0..).zip(GlobalSectionReader::new(section.reader())?) {
            let global = global?;
            let init = match self.globals.get(&index) {
                None => init_of(&global),
                Some(Init::Expression(init)) => init.clone(),
                Some(Init::Null) => {
                    let mut init = Vec::new();
                    zero(global.ty.content_type)?.encode(&mut init);
                    init
                }
            };
            let ty = RoundtripReencoder.global_type(global.ty)?;
            globals.global(ty, &ConstExpr::raw(init));
        }
        Ok(encoded(id::GLOBAL, &globals))
    }

    /// The table section with the sizes of now.
    pub(super) fn table_section<'a>(&self, section: &'a Section<'_>) -> Result<Section<'a>> {
        if self.tables.iter().all(|table| table.size.is_none()) {
            return Ok(section.borrowed());
        }
        let mut tables = wasm_encoder::TableSection::new();
        let reader = TableSectionReader::new(section.reader())?;
        for (index, table) in reader.into_iter().enumerate() {
            let table = table?;
            let mut ty = RoundtripReencoder.table_type(table.ty)?;
            if let Some(size) = self.tables.get(index).and_then(|table| table.size) {
                ty.minimum = size;
            }
            match table.init {
                wasmparser::TableInit::RefNull => tables.table(ty),
                wasmparser::TableInit::Expr(init) => {
                    tables.table_with_init(ty, &RoundtripReencoder.const_expr(init)?)
                }
            };
        }
        Ok(encoded(id::TABLE, &tables))
    }

    /// The element section: what was dropped is empty, and what stands in tables that
    /// did not at the start is put there.
    pub(super) fn element_section<'a>(&self, section: &'a Section<'_>) -> Result<Section<'a>> {
        let is_dropped = |index| self.dropped.contains(&Segment::Element(index));
        let mut elements = wasm_encoder::ElementSection::new();
        let reader = ElementSectionReader::new(section.reader())?;
        let count = reader.count();
        if !(0..count).any(is_dropped) && self.tables.iter().all(|t| t.changed.is_empty()) {
            return Ok(section.borrowed());
        }
        for (index, element) in (0..).zip(reader) {
            let mut element = element?;
            if is_dropped(index) && matches!(element.kind, wasmparser::ElementKind::Passive) {
                // Its functions stay declared, which `ref.func` wants.
                element.kind = wasmparser::ElementKind::Declared;
            }
            RoundtripReencoder.parse_element(&mut elements, element)?;
        }
        let (mut raw, mut added) = (Vec::new(), 0);
        for (index, table) in (0..).zip(&self.tables) {
            for (at, function) in &table.changed {
                // Active, in a table that is named, of expressions.
                raw.push(6);
                write_leb(&mut raw, index);
                ConstExpr::i32_const(*at as u32 as i32).encode(&mut raw);
                // Of type funcref, one.
                raw.extend([0x70, 1]);
                match function {
                    Some(function) => ConstExpr::ref_func(*function).encode(&mut raw),
                    None => {
                        ConstExpr::ref_null(wasm_encoder::HeapType::FUNC).encode(&mut raw);
                    }
                }
                added += 1;
            }
        }
        Ok(appended(
            &encoded(id::ELEMENT, &elements),
            (0, &[]),
            (added, &raw),
        ))
    }

    /// How many data segments there are.
    pub(super) fn data_count(&self, survey: &Survey) -> u64 {
        u64::from(survey.data) + self.segments + 1
    }

    /// The data section: the segments that code names at their indices, the memories,
    /// and the image.
    pub(super) fn data_section<'a>(
        &self,
        section: &Section<'_>,
        survey: &Survey,
    ) -> Result<Section<'a>> {
        let mut out = Vec::with_capacity(self.data.len() + self.packed.image.len() + 64);
        write_leb(&mut out, self.data_count(survey));
        let reader = DataSectionReader::new(section.reader())?;
        for (index, segment) in (0..survey.data).zip(reader) {
            let segment = segment?;
            let is_passive = matches!(segment.kind, wasmparser::DataKind::Passive);
            let kept = is_passive && !self.dropped.contains(&Segment::Data(index));
            // Passive.
            out.push(1);
            // Active ones are empty once they have been put into their memory.
            let bytes = if kept { segment.data } else { &[] };
            write_leb(&mut out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(&self.data);
        let memory = self.packed.merged.map_or(0, |merged| merged.memory);
        segment_header(&mut out, memory, self.record.address, self.record.len());
        out.extend_from_slice(self.packed.image);
        Ok(Section::new(id::DATA, out))
    }
}

/// The functions of a module by what they are at run time.
struct Known(BTreeMap<Entry, u32>);

impl Known {
    fn of(survey: &Survey, module: &Module<'_>, ran: &mut Ran) -> Known {
        let functions = match survey.moves_functions() {
            true => 0..module.function_count(),
            false => 0..0,
        };
        Known(
            functions
                .filter_map(|index| Some((ran.function(index)?, index)))
                .collect(),
        )
    }

    fn function(&self, entry: Entry) -> Option<u32> {
        self.0.get(&entry).copied()
    }
}

/// The stretches of a part of a memory that are not zero.
fn stretches(memory: &[u8], part: Range<usize>, gap: usize) -> Vec<Range<usize>> {
    const BLOCK: usize = 4096;
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut start = part.start;
    while start < part.end {
        let end = (start + BLOCK).min(part.end);
        let block = &memory[start..end];
        if block.iter().any(|byte| *byte != 0) {
            for (at, _) in (start..).zip(block).filter(|(_, byte)| **byte != 0) {
                match found.last_mut() {
                    Some(last) if at - last.end < gap => last.end = at + 1,
                    _ => found.push(at..at + 1),
                }
            }
        }
        start = end;
    }
    found
}
