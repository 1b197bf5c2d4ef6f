//! Sends references to functions elsewhere and removes imports.
//!
//! Before, with `removed: {0}` and `redirected: {0 → 2}`:
//!
//! ```wat
//! (import "wasi_snapshot_preview1" "path_open" (func $host …))  ;; 0
//! (import "wasi_snapshot_preview1" "fd_write" (func $write …))  ;; 1
//! (func $ours …)                                                ;; 2
//! (func (call $host) (call $write))                             ;; 3
//! ```
//!
//! after:
//!
//! ```wat
//! (import "wasi_snapshot_preview1" "fd_write" (func $write …))  ;; 0
//! (func $ours …)                                                ;; 1
//! (func (call $ours) (call $write))                             ;; 2
//! ```
//!
//! 1. A function body is copied as bytes; only the immediates of `call`,
//!    `return_call` and `ref.func` change. A new index takes as many bytes as
//!    the old one, so bodies keep their size and debug information stays true.
//! 2. Where an index does not fit into the old one's bytes, bodies move; then
//!    the sections that speak of code positions are dropped, with a note. So is a
//!    source map, whose positions are those of the whole file.
//! 3. Every section that holds no function index is copied as bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{IndirectNameMap, NameMap};
use wasmparser::{
    BinaryReader, BinaryReaderError, BranchHintSectionReader, ElementItems, ElementKind,
    ElementSectionReader, ExportSectionReader, GlobalSectionReader, ImportSectionReader, Name,
    NameSectionReader, TableSectionReader, TypeRef,
};

use super::code::{self, Rewrites};
use super::section::{Section, debug_assert_valid, encoded, id, join, write_leb};

/// What shall change. Function indices are those of the module as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Splice {
    /// Imported functions that disappear.
    pub(crate) removed: BTreeSet<u32>,
    /// References to the key go to the value.
    pub(crate) redirected: BTreeMap<u32, u32>,
    /// Entries of element segments, as (segment, position), that are not
    /// redirected.
    pub(crate) kept: BTreeSet<(u32, u32)>,
}

/// The module after the pass.
pub(crate) struct Spliced<'a> {
    pub(crate) sections: Vec<Section<'a>>,
    /// What the user should know, a line each.
    pub(crate) notes: Vec<String>,
}

/// Applies `splice` to a valid module of `functions` functions.
pub(crate) fn apply<'a>(
    sections: Vec<Section<'a>>,
    functions: u32,
    splice: &Splice,
) -> Result<Spliced<'a>> {
    if splice.removed.is_empty() && splice.redirected.is_empty() {
        return Ok(Spliced {
            sections,
            notes: Vec::new(),
        });
    }
    let mut remap = Remap::of_splice(functions, splice);
    let mut out = Vec::with_capacity(sections.len());
    let mut moved = false;
    for section in sections {
        let rewritten = match section.id {
            id::IMPORT => remap.imports(&section).context("in the import section")?,
            id::CODE => {
                let code = remap.code(&section, None)?;
                moved = code.moved;
                Some(Section::new(id::CODE, code.data))
            }
            _ => Some(remap.section(section)?),
        };
        out.extend(rewritten);
    }
    let moved = Moved {
        within: moved,
        code: moved,
    };
    let (kept, notes) = remap.customs(out, moved);
    if cfg!(any(test, debug_assertions)) {
        debug_assert_valid(&join(&kept), "the spliced module");
    }
    Ok(Spliced {
        sections: kept,
        notes,
    })
}

/// What of the program's code is no longer where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Instructions within their bodies.
    pub(crate) within: bool,
    /// Bodies within the code section.
    pub(crate) code: bool,
}

/// What a custom section speaks of that may have changed.
fn is_untrue(custom: &str, moved: Moved) -> bool {
    match custom {
        // Object-file sections name functions by their index.
        "linking" => true,
        // Positions in the file; the sections before the code change.
        "sourceMappingURL" => true,
        "external_debug_info" => moved.code,
        _ if custom.starts_with("reloc.") || custom.starts_with("metadata.code.") => true,
        _ => custom.starts_with(".debug_") && moved.code,
    }
}

/// The section of hints, of which it is known how it names functions.
const BRANCH_HINTS: &str = "metadata.code.branch_hint";

/// Old function index → new one, for definitions and for references.
pub(crate) struct Remap {
    /// Where the function itself is now; `None` once removed.
    defined: Vec<Option<u32>>,
    /// Where references to it go.
    referred: Vec<Option<u32>>,
    /// Entries of element segments that name the function itself.
    kept: BTreeSet<(u32, u32)>,
    /// Translate as definitions, not as references.
    literally: bool,
    /// Functions that were added, which a name section names too.
    pub(crate) added: BTreeMap<u32, String>,
}

/// A reference to a function that was removed and not redirected.
#[derive(Debug)]
pub(crate) struct Dangling(pub(crate) u32);

impl fmt::Display for Dangling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "function {} is still referred to but has no replacement",
            self.0
        )
    }
}

impl std::error::Error for Dangling {}

impl Reencode for Remap {
    type Error = Dangling;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error<Dangling>> {
        self.reference(function).map_err(reencode::Error::UserError)
    }
}

impl Splice {
    /// Where a function that stays is found after the pass.
    pub(crate) fn index_after(&self, function: u32) -> u32 {
        function - self.removed.range(..function).count() as u32
    }
}

impl Remap {
    /// A mapping in which function `n` of the module is found at `defined[n]`
    /// and references to it go to `redirected[n]`, if that is there.
    pub(crate) fn new(defined: Vec<Option<u32>>, redirected: &BTreeMap<u32, u32>) -> Remap {
        let mut referred = defined.clone();
        for (from, to) in redirected {
            referred[*from as usize] = Some(*to);
        }
        Remap {
            defined,
            referred,
            kept: BTreeSet::new(),
            literally: false,
            added: BTreeMap::new(),
        }
    }

    fn of_splice(functions: u32, splice: &Splice) -> Remap {
        let mut next = 0..;
        let defined: Vec<Option<u32>> = (0..functions)
            .map(|function| match splice.removed.contains(&function) {
                true => None,
                false => next.next(),
            })
            .collect();
        let mut remap = Remap::new(defined, &BTreeMap::new());
        for (from, to) in &splice.redirected {
            remap.referred[*from as usize] = remap.defined[*to as usize];
        }
        remap.kept.clone_from(&splice.kept);
        remap
    }

    fn reference(&self, function: u32) -> Result<u32, Dangling> {
        let map = match self.literally {
            true => &self.defined,
            false => &self.referred,
        };
        let new = map.get(function as usize).copied().flatten();
        new.ok_or(Dangling(function))
    }

    /// A section other than imports and code, its function indices translated.
    pub(crate) fn section<'a>(&mut self, section: Section<'a>) -> Result<Section<'a>> {
        Ok(match section.id {
            id::TABLE => self.tables(&section).context("in the table section")?,
            id::GLOBAL => self.globals(&section).context("in the global section")?,
            id::EXPORT => self.exports(&section).context("in the export section")?,
            id::START => self.start(&section).context("in the start section")?,
            id::ELEMENT => self.elements(&section).context("in the element section")?,
            _ => section,
        })
    }

    /// A code section, its function indices translated; with `memory`, what it
    /// does to the size of memory 0 goes elsewhere as well.
    pub(crate) fn code(
        &self,
        section: &Section<'_>,
        memory: Option<code::Virtual>,
    ) -> Result<code::Code> {
        let rewrites = Rewrites {
            function: |function| self.reference(function),
            memory,
            restored: None,
        };
        code::rewrite(&section.data, &rewrites).context("in the code section")
    }

    /// As [`code`](Remap::code), of code that asked elsewhere for the size of memory 0
    /// and shall ask the memory again.
    pub(crate) fn restored_code(
        &self,
        section: &Section<'_>,
        restored: Option<code::Virtual>,
    ) -> Result<code::Code> {
        let rewrites = Rewrites {
            function: |function| self.reference(function),
            memory: None,
            restored,
        };
        code::rewrite(&section.data, &rewrites).context("in the code section")
    }

    /// An export section in which one function stands for another.
    pub(crate) fn exports_instead<'a>(
        &mut self,
        section: Section<'a>,
        (function, instead): (u32, u32),
    ) -> Result<Section<'a>> {
        let referred = self.referred[function as usize].replace(instead);
        let section = self.section(section);
        self.referred[function as usize] = referred;
        section
    }

    /// The sections without the custom ones that are no longer true; and what
    /// the user should know, a line each.
    pub(crate) fn customs<'a>(
        &self,
        sections: Vec<Section<'a>>,
        moved: Moved,
    ) -> (Vec<Section<'a>>, Vec<String>) {
        let mut notes = Vec::new();
        let mut dropped = Vec::new();
        let mut kept = Vec::with_capacity(sections.len());
        for section in sections {
            let Some((name, payload)) = section.as_custom() else {
                kept.push(section);
                continue;
            };
            if name == "name" {
                match self.names(payload) {
                    Ok(names) => kept.push(Section::custom("name", &names)),
                    Err(_) => {
                        notes.push("dropped the name section: it is malformed".to_string());
                    }
                }
            } else if name == BRANCH_HINTS
                && !moved.within
                && let Ok(hints) = self.branch_hints(payload)
            {
                kept.push(Section::custom(name, &hints));
            } else if is_untrue(name, moved) {
                dropped.push(name.to_string());
            } else {
                kept.push(section);
            }
        }
        if !dropped.is_empty() {
            let dropped = dropped.join(", ");
            notes.push(format!(
                "dropped {dropped}: code is no longer where it says"
            ));
        }
        (kept, notes)
    }

    /// An import section without the functions that are removed; `None` if nothing is left.
    pub(crate) fn imports<'a>(&mut self, section: &Section<'_>) -> Result<Option<Section<'a>>> {
        let mut imports = wasm_encoder::ImportSection::new();
        let mut function = 0;
        for import in ImportSectionReader::new(section.reader())?.into_imports() {
            let import = import?;
            if matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                function += 1;
                if self.definition(function - 1).is_none() {
                    continue;
                }
            }
            self.parse_import(&mut imports, import)?;
        }
        Ok((!imports.is_empty()).then(|| encoded(id::IMPORT, &imports)))
    }

    fn tables<'a>(&mut self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut tables = wasm_encoder::TableSection::new();
        self.parse_table_section(&mut tables, TableSectionReader::new(section.reader())?)?;
        Ok(encoded(id::TABLE, &tables))
    }

    fn globals<'a>(&mut self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut globals = wasm_encoder::GlobalSection::new();
        self.parse_global_section(&mut globals, GlobalSectionReader::new(section.reader())?)?;
        Ok(encoded(id::GLOBAL, &globals))
    }

    fn exports<'a>(&mut self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut exports = wasm_encoder::ExportSection::new();
        self.parse_export_section(&mut exports, ExportSectionReader::new(section.reader())?)?;
        Ok(encoded(id::EXPORT, &exports))
    }

    fn start<'a>(&mut self, section: &Section<'_>) -> Result<Section<'a>> {
        let function = self.reference(section.reader().read_var_u32()?)?;
        let mut data = Vec::new();
        write_leb(&mut data, u64::from(function));
        Ok(Section::new(id::START, data))
    }

    fn elements<'a>(&mut self, section: &Section<'_>) -> Result<Section<'a>> {
        let mut elements = wasm_encoder::ElementSection::new();
        let reader = ElementSectionReader::new(section.reader())?;
        for (segment, element) in (0..).zip(reader) {
            let element = element?;
            let items = self.items(segment, element.items)?;
            match element.kind {
                ElementKind::Active {
                    table_index,
                    offset_expr,
                } => {
                    let offset = self.const_expr(offset_expr)?;
                    elements.active(table_index, &offset, items);
                }
                ElementKind::Passive => {
                    elements.passive(items);
                }
                ElementKind::Declared => {
                    elements.declared(items);
                }
            }
        }
        Ok(encoded(id::ELEMENT, &elements))
    }

    fn items(
        &mut self,
        segment: u32,
        items: ElementItems<'_>,
    ) -> Result<wasm_encoder::Elements<'static>> {
        Ok(match items {
            ElementItems::Functions(functions) => {
                let mut new = Vec::with_capacity(functions.count() as usize);
                for (position, function) in (0..).zip(functions) {
                    self.literally = self.kept.contains(&(segment, position));
                    new.push(self.reference(function?)?);
                }
                self.literally = false;
                wasm_encoder::Elements::Functions(new.into())
            }
            ElementItems::Expressions(ty, expressions) => {
                let mut new = Vec::with_capacity(expressions.count() as usize);
                for (position, expression) in (0..).zip(expressions) {
                    self.literally = self.kept.contains(&(segment, position));
                    new.push(self.const_expr(expression?)?);
                }
                self.literally = false;
                wasm_encoder::Elements::Expressions(self.ref_type(ty)?, new.into())
            }
        })
    }

    fn names(&self, payload: &[u8]) -> Result<Vec<u8>> {
        let mut names = wasm_encoder::NameSection::new();
        // Everything but functions keeps its index, so it is copied as it is.
        let reader = NameSectionReader::new(BinaryReader::new(payload, 0));
        let mut subsections = RawSubsections::new(payload);
        for name in reader {
            let (ty, raw) = subsections.next().context("subsections disagree")??;
            match name? {
                Name::Function(map) => {
                    let mut all: BTreeMap<u32, &str> = self
                        .added
                        .iter()
                        .map(|(index, name)| (*index, name.as_str()))
                        .collect();
                    for naming in map {
                        let naming = naming?;
                        if let Some(index) = self.definition(naming.index) {
                            all.insert(index, naming.name);
                        }
                    }
                    let mut new = NameMap::new();
                    for (index, name) in all {
                        new.append(index, name);
                    }
                    names.functions(&new);
                }
                Name::Local(map) => names.locals(&self.indirect_names(map)?),
                Name::Label(map) => names.labels(&self.indirect_names(map)?),
                _ => names.raw(ty, raw),
            }
        }
        Ok(names.as_custom().data.into_owned())
    }

    /// Hints stand behind a function's index, at positions in its body.
    fn branch_hints(&self, payload: &[u8]) -> Result<Vec<u8>> {
        let mut hints = wasm_encoder::BranchHints::new();
        for function in BranchHintSectionReader::new(BinaryReader::new(payload, 0))? {
            let function = function?;
            let index = self.definition(function.func);
            let index = index.context("a hint for a function that is gone")?;
            let mut of_function = Vec::new();
            for hint in function.hints {
                let hint = hint?;
                of_function.push(wasm_encoder::BranchHint {
                    branch_func_offset: hint.func_offset,
                    branch_hint_value: u32::from(hint.taken),
                });
            }
            hints.function_hints(index, of_function);
        }
        let section = encoded(id::CUSTOM, &hints);
        let (_, payload) = section.as_custom().context("hints are a custom section")?;
        Ok(payload.to_vec())
    }

    /// Where a function itself is now.
    pub(crate) fn definition(&self, function: u32) -> Option<u32> {
        self.defined.get(function as usize).copied().flatten()
    }

    fn indirect_names(&self, map: wasmparser::IndirectNameMap<'_>) -> Result<IndirectNameMap> {
        let mut new = IndirectNameMap::new();
        for function in map {
            let function = function?;
            let mut inner = NameMap::new();
            for naming in function.names {
                let naming = naming?;
                inner.append(naming.index, naming.name);
            }
            if let Some(index) = self.definition(function.index) {
                new.append(index, &inner);
            }
        }
        Ok(new)
    }
}

/// The subsections of a name section, undecoded.
struct RawSubsections<'a> {
    reader: BinaryReader<'a>,
}

impl<'a> RawSubsections<'a> {
    fn new(payload: &'a [u8]) -> RawSubsections<'a> {
        RawSubsections {
            reader: BinaryReader::new(payload, 0),
        }
    }

    fn read(&mut self) -> Result<(u8, &'a [u8]), BinaryReaderError> {
        let ty = self.reader.read_u8()?;
        let len = self.reader.read_var_u32()?;
        Ok((ty, self.reader.read_bytes(len as usize)?))
    }
}

impl<'a> Iterator for RawSubsections<'a> {
    type Item = Result<(u8, &'a [u8]), BinaryReaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.reader.eof()).then(|| self.read())
    }
}

#[cfg(test)]
mod tests;
