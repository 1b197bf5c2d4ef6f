//! A packed module as it is run when its files are to be taken out afterwards: two
//! more exports lead to the memory that the file system is in.
//!
//! A program that is linked with the library is taken back to what it was, and
//! the file system is merged into it instead, with the same image. So whatever the
//! route, what a program leaves is the blob's state.

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::write;
use wasmparser::ExternalKind;

use super::analyze::Module;
use super::graft::complete;
use super::merge::{Layout, MergeRecord, Merged};
use super::packed::Packed;
use super::section::{Section, id, join, leb_width, split, write_leb};
use super::unlink::unlink;
use crate::report::Hinted;

/// A packed module that shows its file system.
pub(crate) struct Exposed {
    pub(crate) wasm: Vec<u8>,
    /// The export of the memory that the file system is in.
    pub(crate) memory: String,
    /// The export of the global that says where in it, if it is not all of it.
    pub(crate) base: Option<String>,
    /// Which blob serves it.
    pub(crate) blob: u64,
}

impl Exposed {
    /// Makes one of a packed module, which was parsed as `module`.
    pub(crate) fn new(packed: &Packed<'_>, module: &Module<'_>) -> Result<Exposed> {
        match packed.merged {
            Some(record) => expose(packed.wasm, module, &record),
            // Its files are in the library's memory, which nothing else can read.
            None if packed.init.is_some() => Err(Hinted::new(
                "it is initialised, and linked with libmonaka_vfs.a, which shows its files to \
                 nobody else",
                "pack the original again with --route rewrite",
            )
            .into()),
            None => {
                let wasm = merged(packed, module)?;
                let record = MergeRecord::of(&split(&wasm)?)?;
                let record = record.context("the merged module has no record")?;
                expose(&wasm, &Module::parse(&wasm)?, &record)
            }
        }
    }
}

/// A linked program with the file system merged into it instead.
fn merged(packed: &Packed<'_>, module: &Module<'_>) -> Result<Vec<u8>> {
    let original = unlink(&packed.original(module)?)?;
    let program = Module::parse(&original)?;
    let reach = packed.reach()?;
    let tree = packed.tree(|start, _| start)?;
    let compressed = tree.has_compressed();
    let program = Merged::new(&original, &program, Layout::Single, reach, compressed)?;
    let valid = tree.validate()?;
    let image = write(&valid)?;
    let mounted = program.mount(&image)?;
    let mut wasm = Vec::with_capacity(packed.wasm.len());
    program.write(&mut wasm, &mounted, &image, |start, len, out| {
        Ok(out.write_all(packed.contents(*start, len)?)?)
    })?;
    Ok(wasm)
}

fn expose(wasm: &[u8], module: &Module<'_>, record: &MergeRecord) -> Result<Exposed> {
    let taken = |name: &str| module.exports.iter().any(|export| export.name == name);
    let unused = |mut name: String| {
        while taken(&name) {
            name.push('\'');
        }
        name
    };
    let memory = unused("monaka:memory".into());
    let base = (record.layout == Layout::Single).then(|| unused("monaka:base".into()));
    let mut sections = complete(split(wasm)?, &[id::EXPORT]);
    for section in &mut sections {
        if section.id == id::EXPORT {
            let mut added = vec![(&memory[..], ExternalKind::Memory, record.memory)];
            added.extend(
                base.as_deref()
                    .map(|base| (base, ExternalKind::Global, record.globals)),
            );
            *section = with_exports(section, module.exports.len(), &added);
        }
    }
    Ok(Exposed {
        wasm: join(&sections),
        memory,
        base,
        blob: record.blob,
    })
}

/// An export section of `count` exports with more behind them.
fn with_exports<'a>(
    section: &Section<'_>,
    count: usize,
    added: &[(&str, ExternalKind, u32)],
) -> Section<'a> {
    let mut data = Vec::with_capacity(section.data.len() + 64);
    write_leb(&mut data, (count + added.len()) as u64);
    data.extend_from_slice(&section.data[leb_width(&section.data)..]);
    for (name, kind, index) in added {
        write_leb(&mut data, name.len() as u64);
        data.extend_from_slice(name.as_bytes());
        data.push(match kind {
            ExternalKind::Global => 3,
            _ => 2,
        });
        write_leb(&mut data, (*index).into());
    }
    Section::new(id::EXPORT, data)
}
