//! A module as its raw sections: the form in which the passes hand it on.
//!
//! What a pass does not change it copies as bytes, so a section that this
//! program has never heard of survives.

use std::borrow::Cow;

use anyhow::{Context as _, Result};
use wasm_encoder::Encode;
use wasmparser::{BinaryReader, BinaryReaderError, Parser};

/// Begins every core module.
pub(crate) const PREAMBLE: [u8; 8] = *b"\0asm\x01\0\0\0";

/// Section ids that the passes touch.
pub(crate) mod id {
    pub(crate) const CUSTOM: u8 = 0;
    pub(crate) const TYPE: u8 = 1;
    pub(crate) const IMPORT: u8 = 2;
    pub(crate) const FUNCTION: u8 = 3;
    pub(crate) const TABLE: u8 = 4;
    pub(crate) const MEMORY: u8 = 5;
    pub(crate) const GLOBAL: u8 = 6;
    pub(crate) const EXPORT: u8 = 7;
    pub(crate) const START: u8 = 8;
    pub(crate) const ELEMENT: u8 = 9;
    pub(crate) const CODE: u8 = 10;
    pub(crate) const DATA: u8 = 11;
    pub(crate) const DATA_COUNT: u8 = 12;
    pub(crate) const TAG: u8 = 13;

    /// The place of a section that is not custom among all, which is not quite
    /// the order of the ids.
    pub(crate) fn rank(id: u8) -> usize {
        const ORDER: [u8; 13] = [
            TYPE, IMPORT, FUNCTION, TABLE, MEMORY, TAG, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT,
            CODE, DATA,
        ];
        let at = ORDER.iter().position(|known| *known == id);
        at.unwrap_or(ORDER.len())
    }
}

/// One section: its id and what stands behind the size field.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) id: u8,
    pub(crate) data: Cow<'a, [u8]>,
}

impl<'a> Section<'a> {
    /// A section whose contents were made here.
    pub(crate) fn new(id: u8, data: Vec<u8>) -> Section<'a> {
        Section {
            id,
            data: Cow::Owned(data),
        }
    }

    /// The same section, borrowed.
    pub(crate) fn borrowed(&self) -> Section<'_> {
        Section {
            id: self.id,
            data: Cow::Borrowed(&self.data),
        }
    }

    /// A custom section of the given name and payload.
    pub(crate) fn custom(name: &str, payload: &[u8]) -> Section<'a> {
        let mut data = Vec::with_capacity(name.len() + payload.len() + 5);
        write_leb(&mut data, name.len() as u64);
        data.extend_from_slice(name.as_bytes());
        data.extend_from_slice(payload);
        Section::new(id::CUSTOM, data)
    }

    /// A custom section's name and payload; `None` for every other section.
    pub(crate) fn as_custom(&self) -> Option<(&str, &[u8])> {
        if self.id != id::CUSTOM {
            return None;
        }
        let mut reader = BinaryReader::new(&self.data, 0);
        let name = reader.read_unlimited_string().ok()?;
        Some((name, &self.data[reader.original_position()..]))
    }

    /// Whether this is the custom section `name`.
    pub(crate) fn is_custom(&self, name: &str) -> bool {
        self.as_custom().is_some_and(|(found, _)| found == name)
    }

    /// The contents as a reader whose positions count from the section's start.
    pub(crate) fn reader(&self) -> BinaryReader<'_> {
        BinaryReader::new(&self.data, 0)
    }
}

/// Takes a core module apart.
pub(crate) fn split(wasm: &[u8]) -> Result<Vec<Section<'_>>> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.context("the module is malformed")?;
        if let Some((id, range)) = payload.as_section() {
            sections.push(Section {
                id,
                data: Cow::Borrowed(&wasm[range]),
            });
        }
    }
    Ok(sections)
}

/// A core module's sections one after the other. What stands in them is not
/// touched, so that they cost the same whatever their size.
pub(crate) fn skim(wasm: &[u8]) -> impl Iterator<Item = Result<Section<'_>>> {
    let mut reader = BinaryReader::new(wasm, 0);
    let mut preamble = true;
    std::iter::from_fn(move || {
        let mut next = || {
            if std::mem::take(&mut preamble) {
                reader.read_bytes(PREAMBLE.len())?;
            }
            if reader.eof() {
                return Ok(None);
            }
            let id = reader.read_u8()?;
            let len = reader.read_var_u32()?;
            let data = Cow::Borrowed(reader.read_bytes(len as usize)?);
            Ok(Some(Section { id, data }))
        };
        let result: std::result::Result<_, BinaryReaderError> = next();
        match result.context("the module is malformed") {
            Ok(section) => section.map(Ok),
            Err(error) => {
                // Nothing can be found behind it.
                reader = BinaryReader::new(&[], 0);
                Some(Err(error))
            }
        }
    })
}

/// Puts a module together.
pub(crate) fn join(sections: &[Section<'_>]) -> Vec<u8> {
    let size = sections
        .iter()
        .map(|section| section.data.len() + 6)
        .sum::<usize>();
    let mut wasm = Vec::with_capacity(PREAMBLE.len() + size);
    wasm.extend_from_slice(&PREAMBLE);
    for section in sections {
        wasm.push(section.id);
        write_leb(&mut wasm, section.data.len() as u64);
        wasm.extend_from_slice(&section.data);
    }
    wasm
}

/// The section `id` (not a custom one), if the module has it.
pub(crate) fn find<'s, 'a>(sections: &'s [Section<'a>], id: u8) -> Option<&'s Section<'a>> {
    sections.iter().find(|section| section.id == id)
}

/// Appends `value` as an unsigned LEB128 of the fewest bytes.
pub(crate) fn write_leb(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A section as wasm-encoder builds it.
pub(crate) fn encoded<'a>(id: u8, section: &impl Encode) -> Section<'a> {
    // What a section encodes begins with its size, which `join` writes itself.
    let mut sized = Vec::new();
    section.encode(&mut sized);
    let width = leb_width(&sized);
    sized.drain(..width);
    Section::new(id, sized)
}

/// How many bytes the LEB128 at the start of `bytes` takes.
pub(crate) fn leb_width(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1
}

/// Debug builds and tests refuse to hand on a module that is not valid.
pub(crate) fn debug_assert_valid(wasm: &[u8], what: &str) {
    if cfg!(any(test, debug_assertions))
        && let Err(error) =
            wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
                .validate_all(wasm)
    {
        panic!("{what} is not valid: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_and_joining_keeps_every_section() {
        let wasm = wat::parse_str(
            r#"(module (@custom "before" (before first) "\01\02") (func (export "f")) (memory 1) (data (i32.const 0) "x"))"#,
        )
        .unwrap();
        let sections = split(&wasm).unwrap();
        assert_eq!(join(&sections), wasm);
        assert_eq!(sections[0].as_custom(), Some(("before", &[1, 2][..])));
    }

    #[test]
    fn leb_is_minimal() {
        let encode = |value| {
            let mut out = Vec::new();
            write_leb(&mut out, value);
            out
        };
        assert_eq!(encode(0), [0]);
        assert_eq!(encode(127), [127]);
        assert_eq!(encode(128), [0x80, 1]);
        assert_eq!(encode(u64::from(u32::MAX)), [0xff, 0xff, 0xff, 0xff, 0x0f]);
    }
}
