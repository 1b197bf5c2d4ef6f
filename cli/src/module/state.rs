//! Whether a packed module begins as mounting its image makes it.
//!
//! The recorded hash vouches for the image alone. What the file system knows of it when
//! the program starts stands in globals and data elsewhere in the module; it is compared
//! with what mounting the same image anew gives. What is compared is what an engine makes
//! of both, so a tool that only wrote the module differently has changed nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use monaka_vfs_core::image::write;
use wasmparser::{
    ConstExpr, DataKind, DataSectionReader, GlobalSectionReader, MemorySectionReader, Operator,
};

use super::analyze::{Module, memory_size};
use super::packed::Packed;
use super::program::Program;
use super::section::{Section, find, id, split};

/// Mounts the image of a packed module anew, for which nothing else of the program runs,
/// and compares; answers what came of it.
pub(crate) fn check(packed: &Packed<'_>, module: &Module<'_>) -> Result<String> {
    if packed.init.is_some() {
        return Ok("not compared: the program has run since the image was mounted".into());
    }
    let valid = packed.tree(|start, _| start)?.validate()?;
    let image = write(&valid)?;
    if image.tables != packed.tables() {
        return Ok("not compared: another version of monaka has written the tables".into());
    }
    let mut original = Vec::new();
    let program = Program::reopen(packed, module, &mut original, false)?;
    let mounted = program.mount(&image)?;
    let (made, _) = program.sections(&mounted, &image)?;
    let fresh = State::of(&made).context("the state cannot be made anew")?;
    State::of(&split(packed.wasm)?)?.compare(&fresh)?;
    Ok("as mounting the image makes it".into())
}

/// What memories and globals hold when a module starts, but for the image.
#[derive(Debug, Default)]
struct State {
    /// The size of each memory, in bytes.
    sizes: Vec<u64>,
    globals: Vec<String>,
    /// By memory and number, those pages that are not all zero.
    pages: BTreeMap<(u32, u64), Vec<u8>>,
    /// Segments that do not say where they go.
    others: Vec<(String, Vec<u8>)>,
}

/// In what pieces memories are compared.
const PIECE: u64 = 4096;

impl State {
    fn of(sections: &[Section<'_>]) -> Result<State> {
        let mut state = State::default();
        if let Some(section) = find(sections, id::MEMORY) {
            for memory in MemorySectionReader::new(section.reader())? {
                state.sizes.push(memory_size(&memory?));
            }
        }
        if let Some(section) = find(sections, id::GLOBAL) {
            for global in GlobalSectionReader::new(section.reader())? {
                state.globals.push(expression(&global?.init_expr)?);
            }
        }
        if let Some(section) = find(sections, id::DATA) {
            state.fill(section)?;
        }
        state
            .pages
            .retain(|_, page| page.iter().any(|byte| *byte != 0));
        Ok(state)
    }

    fn fill(&mut self, section: &Section<'_>) -> Result<()> {
        let reader = DataSectionReader::new(section.reader())?;
        // The last segment is the image.
        let count = reader.count().saturating_sub(1);
        for segment in reader.into_iter().take(count as usize) {
            let segment = segment?;
            let text = match &segment.kind {
                DataKind::Passive => "passive".to_string(),
                DataKind::Active {
                    memory_index,
                    offset_expr,
                } => {
                    if let Some(address) = address(offset_expr) {
                        self.put(*memory_index, address, segment.data)?;
                        continue;
                    }
                    format!("{memory_index}: {}", expression(offset_expr)?)
                }
            };
            self.others.push((text, segment.data.to_vec()));
        }
        Ok(())
    }

    fn put(&mut self, memory: u32, mut address: u64, mut bytes: &[u8]) -> Result<()> {
        let size = self.sizes.get(memory as usize).copied().unwrap_or(0);
        ensure!(
            address.saturating_add(bytes.len() as u64) <= size,
            "a data segment lies outside of memory {memory}"
        );
        while !bytes.is_empty() {
            let at = (address % PIECE) as usize;
            let (here, rest) = bytes.split_at(bytes.len().min(PIECE as usize - at));
            let page = self.pages.entry((memory, address / PIECE));
            let page = page.or_insert_with(|| vec![0; PIECE as usize]);
            page[at..at + here.len()].copy_from_slice(here);
            (address, bytes) = (address + here.len() as u64, rest);
        }
        Ok(())
    }

    /// Refuses a state that is not the `fresh` one, and says what differs.
    fn compare(&self, fresh: &State) -> Result<()> {
        ensure!(
            self.sizes == fresh.sizes,
            "memories begin with {:?} bytes, and mounting the image makes that {:?}",
            self.sizes,
            fresh.sizes
        );
        for (index, (found, made)) in self.globals.iter().zip(&fresh.globals).enumerate() {
            ensure!(
                found == made,
                "global {index} begins as {found}, and mounting the image makes it {made}"
            );
        }
        ensure!(
            self.globals.len() == fresh.globals.len() && self.others == fresh.others,
            "globals or passive data are not those that were packed"
        );
        let zeros = vec![0; PIECE as usize];
        let pages: BTreeSet<_> = self.pages.keys().chain(fresh.pages.keys()).collect();
        for key @ (memory, page) in pages {
            let [found, made] = [self, fresh].map(|state| state.pages.get(key).unwrap_or(&zeros));
            if let Some(at) = (0..found.len()).find(|at| found[*at] != made[*at]) {
                bail!(
                    "byte {:#x} of memory {memory} begins as {}, and mounting the image makes it \
                     {}",
                    page * PIECE + at as u64,
                    found[at],
                    made[at]
                );
            }
        }
        Ok(())
    }
}

/// An address that is written down as a constant.
fn address(offset: &ConstExpr<'_>) -> Option<u64> {
    match offset.get_operators_reader().read().ok()? {
        Operator::I32Const { value } => Some(u64::from(value as u32)),
        Operator::I64Const { value } => Some(value as u64),
        _ => None,
    }
}

/// A constant expression as text, however it is encoded.
fn expression(expression: &ConstExpr<'_>) -> Result<String> {
    let mut text = String::new();
    for operator in expression.get_operators_reader() {
        match operator? {
            Operator::End => {}
            Operator::I32Const { value } => write!(text, "{value} ")?,
            operator => write!(text, "{operator:?} ")?,
        }
    }
    Ok(text.trim_end().to_string())
}
