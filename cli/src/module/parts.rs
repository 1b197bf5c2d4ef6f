//! What a packed module's bytes and its memory are for.

use anyhow::{Context as _, Result};
use serde::Serialize;
use wasmparser::{BinaryReader, DataSectionReader};

use super::analyze::{Module, page_size};
use super::merge::Layout;
use super::packed::Packed;
use super::section::{Section, id, skim};
use super::undo::{self, Undo};

/// The bytes of a packed module, each counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Parts {
    /// The program's functions; the library's too where it is linked in.
    pub(crate) code: u64,
    /// The functions that were merged in.
    pub(crate) file_system_code: u64,
    /// The program's data segments; the library's too where it is linked in.
    pub(crate) data: u64,
    /// The state of the file system that was merged in.
    pub(crate) file_system_state: u64,
    pub(crate) image_tables: u64,
    pub(crate) image_data: u64,
    /// The names of functions.
    pub(crate) names: u64,
    /// DWARF and source maps.
    pub(crate) debug: u64,
    /// Types, imports, tables, exports and the like.
    pub(crate) other: u64,
}

impl Parts {
    /// Counts a module's bytes.
    pub(crate) fn of(packed: &Packed<'_>) -> Result<Parts> {
        let mut parts = Parts {
            image_tables: packed.record.tables_len.into(),
            image_data: packed.record.data_len,
            ..Parts::default()
        };
        for section in skim(packed.wasm) {
            let section = section?;
            let len = section.data.len() as u64;
            match section.id {
                id::CODE => parts.add_code(&section, packed)?,
                id::DATA => parts.add_data(&section, packed)?,
                _ => match section.as_custom() {
                    Some(("name", _)) => parts.names += len,
                    Some((name, _)) if is_debug(name) => parts.debug += len,
                    _ => {}
                },
            }
        }
        parts.other = packed.wasm.len() as u64 - parts.sum();
        Ok(parts)
    }

    fn add_code(&mut self, section: &Section<'_>, packed: &Packed<'_>) -> Result<()> {
        // `grow` stands before the program's functions, all others of ours behind.
        let program = packed.merged.map(|merged| {
            let first = u32::from(merged.layout == Layout::Single);
            first..first.saturating_add(merged.functions)
        });
        let mut bodies = section.reader();
        for index in 0..bodies.read_var_u32()? {
            let start = bodies.original_position();
            let len = bodies.read_var_u32()?;
            bodies.read_bytes(len as usize)?;
            let len = (bodies.original_position() - start) as u64;
            match &program {
                Some(program) if !program.contains(&index) => self.file_system_code += len,
                _ => self.code += len,
            }
        }
        Ok(())
    }

    fn add_data(&mut self, section: &Section<'_>, packed: &Packed<'_>) -> Result<()> {
        let segments = DataSectionReader::new(BinaryReader::new(&section.data, 0))?;
        let image = segments.count().saturating_sub(1);
        for (index, segment) in (0..image).zip(segments) {
            let len = segment?.range.len() as u64;
            match packed.merged {
                Some(merged) if index >= merged.segments => self.file_system_state += len,
                _ => self.data += len,
            }
        }
        Ok(())
    }

    fn sum(&self) -> u64 {
        self.named(false).iter().map(|(_, bytes)| bytes).sum()
    }

    /// Each part with what it is called.
    pub(crate) fn named(&self, merged: bool) -> [(&'static str, u64); 9] {
        let with_library = |alone, with| if merged { alone } else { with };
        [
            (with_library("code", "code with the library's"), self.code),
            ("file system code", self.file_system_code),
            (with_library("data", "data with the library's"), self.data),
            ("file system state", self.file_system_state),
            ("image tables", self.image_tables),
            ("image data", self.image_data),
            ("names", self.names),
            ("debug", self.debug),
            ("other", self.other),
        ]
    }
}

fn is_debug(name: &str) -> bool {
    name.starts_with(".debug") || matches!(name, "sourceMappingURL" | "external_debug_info")
}

/// A memory when the program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    pub(crate) bytes: u64,
    pub(crate) maximum: Option<u64>,
    /// How much of it the program brings.
    pub(crate) program: u64,
    /// How much of it is kept free for the program to grow.
    pub(crate) headroom: u64,
    pub(crate) image: u64,
    /// The file system's own, its heap and what is free in it.
    pub(crate) file_system: u64,
}

/// The memories of a packed module.
pub(crate) fn memories(module: &Module<'_>, packed: &Packed<'_>) -> Result<Vec<Memory>> {
    let undo = match packed.merged {
        Some(_) => None,
        None => Some(undo_of(packed)?),
    };
    let ours = packed.merged.map_or(0, |merged| merged.memory as usize);
    let base = packed
        .merged
        .map(|merged| merged.base(module))
        .transpose()?;
    let memories = module.memories.iter().enumerate();
    let memory = |(index, ty): (usize, &wasmparser::MemoryType)| {
        let page = page_size(ty);
        let bytes = ty.initial.saturating_mul(page);
        let own = match (packed.merged, &undo) {
            _ if index != ours => ty.initial,
            (Some(merged), _) if merged.layout == Layout::Multi => 0,
            (Some(merged), _) => merged.minimum,
            (None, Some(undo)) => undo.memories.get(index).map_or(0, |old| old.minimum),
            (None, None) => 0,
        };
        let program = own.saturating_mul(page).min(bytes);
        let image = if index == ours {
            packed.record.len()
        } else {
            0
        };
        let headroom = match base {
            Some(base) if index == ours => base.min(bytes).saturating_sub(program),
            _ => 0,
        };
        Memory {
            bytes,
            maximum: ty.maximum.map(|pages| pages.saturating_mul(page)),
            program,
            headroom,
            image,
            file_system: (bytes - program - headroom).saturating_sub(image),
        }
    };
    Ok(memories.map(memory).collect())
}

fn undo_of(packed: &Packed<'_>) -> Result<Undo> {
    for section in skim(packed.wasm) {
        if let Some((undo::SECTION, payload)) = section?.as_custom() {
            return Ok(Undo::decode(payload)?);
        }
    }
    None.with_context(|| format!("{} is missing", undo::SECTION))
}
