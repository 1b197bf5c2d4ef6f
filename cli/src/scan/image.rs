//! Images that are packed already: in a module, or in a file of their own.
//!
//! Contents stay in that file, compressed if they are; nothing in it is run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::format::MAGIC;
use monaka_vfs_core::image::{Image, tables_len};

use super::Source;
use super::archive::Reading;
use super::part::Part;
use super::staged::Staged;
use crate::module::analyze::Module;
use crate::module::packed::Packed;

/// Answers the tree of the image at `path`.
pub(super) fn read(path: &Path, reading: &Reading<'_>) -> Result<Staged> {
    let cannot = || format!("cannot read {}", reading.archive);
    let part = Part::open(path)?;
    let bytes = fs::read(path).with_context(cannot)?;
    let (start, tables) = tables(&bytes, reading).with_context(cannot)?;
    let image = Image::open(tables).map_err(|error| reading.no_archive(KIND, error))?;
    let data = part.part((start + tables.len()) as u64, image.data_len());
    let data = data.ok_or_else(|| reading.no_archive(KIND, "its contents are cut off"))?;
    let tree = image.to_tree(|start, len| {
        let contents = data.part(start, len);
        Source::Part(contents.expect("an image's extents lie in its data area"))
    });
    reading.member(b"", Staged::of(tree))
}

const KIND: &str = "packed module or image";

/// Where the tables begin, and their bytes.
fn tables<'b>(bytes: &'b [u8], reading: &Reading<'_>) -> Result<(usize, &'b [u8])> {
    if bytes.starts_with(&MAGIC) {
        let len = tables_len(bytes).map_err(|error| reading.no_archive(KIND, error))?;
        let tables = bytes.get(..len as usize);
        let tables = tables.ok_or_else(|| reading.no_archive(KIND, "its tables are cut off"))?;
        return Ok((0, tables));
    }
    let module = Module::parse(bytes)?;
    let packed = Packed::open(bytes, &module)?;
    let packed = packed.ok_or_else(|| reading.no_archive(KIND, "nothing is packed into it"))?;
    let start = packed.image.as_ptr().addr() - bytes.as_ptr().addr();
    Ok((start, packed.tables()))
}
