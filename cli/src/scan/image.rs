//! Images that are packed already: in a module, or in a file of their own.
//!
//! Contents stay in that file, compressed if they are; nothing in it is run.

use std::path::Path;

use anyhow::Result;

use super::Source;
use super::archive::Reading;
use super::part::Part;
use super::staged::Staged;
use crate::stored::Stored;

/// Answers the tree of the image at `path`.
pub(super) fn read(path: &Path, reading: &Reading<'_>) -> Result<Staged> {
    let file = Part::open(path)?;
    let damaged = |error: anyhow::Error| reading.no_archive(KIND, error.root_cause());
    let stored = Stored::open(path).map_err(damaged)?;
    let data = stored.data_range();
    let data = file.part(data.start as u64, data.len() as u64);
    let data = data.ok_or_else(|| reading.no_archive(KIND, "its contents are cut off"))?;
    let tree = stored.image().map_err(damaged)?.to_tree(|start, len| {
        let contents = data.part(start, len);
        Source::Part(contents.expect("an image's extents lie in its data area"))
    });
    reading.member(b"", Staged::of(tree))
}

const KIND: &str = "packed module or image";
