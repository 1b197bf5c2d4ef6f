//! Gives a linked program its host back: a pack without host directories has
//! removed the imports of file calls and led the library to itself in their place.
//!
//! The imports are added again, behind those that are there, and one more element
//! segment puts each where the library looks for it. So the library, with nothing
//! mounted, passes every call on to the host, as before any pack.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use monaka_vfs_core::witx;
use wasm_encoder::{ConstExpr, Encode as _};

use super::analyze::Module;
use super::graft::{appended, complete};
use super::link::Library;
use super::section::{Section, debug_assert_valid, id, join, split, write_leb};
use super::splice::{Moved, Remap};

/// What import and element segments say of functions.
const FUNCTION: u8 = 0;

/// The module of a linked program with all of the host's functions that its
/// library knows. `wasm` is one with nothing mounted.
pub(crate) fn unlink(wasm: &[u8]) -> Result<Vec<u8>> {
    let module = Module::parse(wasm)?;
    let memories = module.initial_memories()?;
    let memory = memories.first().context("the module has no memory")?;
    let library = Library::find(&module, memory)?;
    let imported = module.imported_functions;
    let mut imports = Vec::new();
    let mut elements = Vec::new();
    let mut count = 0;
    for (name, ours, slot) in library.cut_off() {
        let ty = module
            .type_of(ours)
            .context("the library lacks a function")?;
        for text in [witx::MODULE, name] {
            write_leb(&mut imports, text.len() as u64);
            imports.extend_from_slice(text.as_bytes());
        }
        imports.push(FUNCTION);
        write_leb(&mut imports, ty.into());
        elements.push(FUNCTION);
        ConstExpr::i32_const(slot as i32).encode(&mut elements);
        elements.push(1);
        write_leb(&mut elements, (imported + count).into());
        count += 1;
    }
    let defined = (0..module.function_count()).map(|function| match function < imported {
        true => Some(function),
        false => Some(function + count),
    });
    let mut remap = Remap::new(defined.collect(), &BTreeMap::new());
    let mut out = Vec::new();
    let mut moved = false;
    for section in complete(split(wasm)?, &[id::IMPORT, id::ELEMENT]) {
        let section = match section.id {
            id::IMPORT => appended(&section, (0, &[]), (count.into(), &imports)),
            id::CODE => {
                let code = remap.code(&section, None)?;
                moved = code.moved;
                Section::new(id::CODE, code.data)
            }
            id::ELEMENT => {
                let section = remap.section(section)?;
                appended(&section, (0, &[]), (count.into(), &elements))
            }
            _ => remap.section(section)?,
        };
        out.push(section);
    }
    let moved = Moved {
        within: moved,
        code: moved,
    };
    let (out, _) = remap.customs(out, moved);
    let wasm = join(&out);
    debug_assert_valid(&wasm, "the unlinked module");
    Ok(wasm)
}
