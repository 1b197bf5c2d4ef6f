//! What of a module's state lies outside of memories and numbers, and which
//! instructions change it: tables, segments, references in globals.

use std::collections::BTreeSet;

use anyhow::Result;
use wasmparser::{GlobalSectionReader, Operator, RefType, TableSectionReader, TypeRef, ValType};

use crate::module::analyze::Module;
use crate::module::section::{Section, find, id};

/// What the code may change.
#[derive(Default)]
pub(super) struct Survey {
    /// An instruction that changes a table, and the function that it is in.
    pub(super) tables: Option<(&'static str, u32)>,
    /// The `data.drop` and `elem.drop` instructions.
    pub(super) drops: Vec<Drop>,
    /// Data segments that an instruction names have smaller indices.
    pub(super) data: u32,
    /// The globals that may change, those with references apart.
    pub(super) numbers: Vec<u32>,
    pub(super) references: Vec<u32>,
    /// What each table holds.
    pub(super) tables_of: Vec<RefType>,
}

/// An instruction that empties a segment.
pub(super) struct Drop {
    pub(super) segment: Segment,
    /// The function it is in, and where in the module it ends.
    pub(super) function: u32,
    pub(super) end: usize,
}

/// A segment, by its index among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment {
    Data(u32),
    Element(u32),
}

impl Survey {
    /// Looks at a module's globals and into every body.
    pub(super) fn of(module: &Module<'_>, sections: &[Section<'_>]) -> Result<Survey> {
        let mut survey = Survey::default();
        for import in &module.imports {
            match import.ty {
                TypeRef::Func(_) | TypeRef::FuncExact(_) => {}
                TypeRef::Global(_) | TypeRef::Table(_) | TypeRef::Memory(_) | TypeRef::Tag(_) => {
                    return Err(super::not_there(import.module, import.name).into());
                }
            }
        }
        if let Some(globals) = find(sections, id::GLOBAL) {
            let globals = GlobalSectionReader::new(globals.reader())?;
            for (index, global) in (0..).zip(globals) {
                match global?.ty {
                    ty if !ty.mutable => {}
                    ty if matches!(ty.content_type, ValType::Ref(_)) => {
                        survey.references.push(index);
                    }
                    _ => survey.numbers.push(index),
                }
            }
        }
        if let Some(tables) = find(sections, id::TABLE) {
            for table in TableSectionReader::new(tables.reader())? {
                survey.tables_of.push(table?.ty.element_type);
            }
        }
        for function in module.imported_functions..module.function_count() {
            survey.walk(module, function)?;
        }
        Ok(survey)
    }

    fn walk(&mut self, module: &Module<'_>, function: u32) -> Result<()> {
        let Some(body) = module.body(function) else {
            return Ok(());
        };
        let mut ops = body.get_operators_reader()?;
        while !ops.eof() {
            let op = ops.read()?;
            let dropped = match op {
                Operator::MemoryInit { data_index, .. }
                | Operator::ArrayNewData {
                    array_data_index: data_index,
                    ..
                }
                | Operator::ArrayInitData {
                    array_data_index: data_index,
                    ..
                } => {
                    self.data = self.data.max(data_index + 1);
                    continue;
                }
                Operator::DataDrop { data_index } => {
                    self.data = self.data.max(data_index + 1);
                    Segment::Data(data_index)
                }
                Operator::ElemDrop { elem_index } => Segment::Element(elem_index),
                _ => {
                    if let Some(name) = changes_table(&op) {
                        self.tables.get_or_insert((name, function));
                    }
                    continue;
                }
            };
            self.drops.push(Drop {
                segment: dropped,
                function,
                end: ops.original_position(),
            });
        }
        Ok(())
    }

    /// The segments that may be emptied.
    pub(super) fn droppable(&self) -> BTreeSet<Segment> {
        self.drops.iter().map(|drop| drop.segment).collect()
    }

    /// Whether functions can come to stand where they did not at the start.
    pub(super) fn moves_functions(&self) -> bool {
        self.tables.is_some() || !self.references.is_empty()
    }
}

fn changes_table(op: &Operator<'_>) -> Option<&'static str> {
    Some(match op {
        Operator::TableSet { .. } => "table.set",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableCopy { .. } => "table.copy",
        Operator::TableInit { .. } => "table.init",
        _ => return None,
    })
}
