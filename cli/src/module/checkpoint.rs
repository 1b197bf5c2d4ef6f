//! The checkpoint of `monaka.h`: a call by which a program says from where on later
//! runs shall go on.
//!
//! It is an import, so that whoever runs the program sees the call. Once a program is
//! packed nobody has to: the import becomes a function that does nothing, and the
//! module runs on any host.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use super::analyze::Module;
use super::graft::{appended, complete};
use super::section::{id, join, split, write_leb};
use super::splice::{self, Splice};
use crate::report::Hinted;

/// What it is imported as.
pub(crate) const MODULE: &str = "monaka";
pub(crate) const NAME: &str = "checkpoint";

/// What a program of any language writes to stderr instead, alone or with a newline.
pub(crate) const MARKER: &[u8] = b"monaka:checkpoint";

/// The module with a function that does nothing in place of the import, and what the
/// user should know, a line each.
pub(crate) fn fill(wasm: Vec<u8>) -> Result<(Vec<u8>, Vec<String>)> {
    let module = Module::parse(&wasm)?;
    let mut removed = BTreeSet::new();
    for (function, import) in module.function_imports() {
        if (import.module, import.name) == (MODULE, NAME) {
            let ty = module.function_type(function);
            if !ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty()) {
                return Err(Hinted::new(
                    format!("it imports {MODULE}.{NAME} with parameters or results"),
                    "declare it as monaka.h does: `void monaka_checkpoint(void)`",
                )
                .into());
            }
            removed.insert(function);
        }
    }
    let Some(first) = removed.first() else {
        return Ok((wasm, Vec::new()));
    };
    let ty = module.type_of(*first).context("an import has no type")?;
    let nothing = module.function_count();
    let mut sections = Vec::new();
    for section in complete(split(&wasm)?, &[id::FUNCTION, id::CODE]) {
        sections.push(match section.id {
            id::FUNCTION => {
                let mut raw = Vec::new();
                write_leb(&mut raw, ty.into());
                appended(&section, (0, &[]), (1, &raw))
            }
            // A body of 2 bytes: no locals, end.
            id::CODE => appended(&section, (0, &[]), (1, &[2, 0, 0x0b])),
            _ => section,
        });
    }
    let redirected: BTreeMap<u32, u32> = removed.iter().map(|from| (*from, nothing)).collect();
    let splice = Splice {
        removed,
        redirected,
        kept: BTreeSet::new(),
    };
    let spliced = splice::apply(sections, nothing + 1, &splice)?;
    Ok((join(&spliced.sections), spliced.notes))
}
