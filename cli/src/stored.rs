//! Files as they are stored: in a packed module or in an image file, of which
//! nothing is executed.
//!
//! 1. The file is mapped, not read, so what a look costs depends on what it
//!    looks at and not on how large the rest is.
//! 2. Everything in it is hostile. [`Stored::glance`] checks what single looks
//!    touch; whoever walks all of a tree asks for [`Stored::image`], which is
//!    checked as a whole first.
//! 3. [`Stored::contents`] is the one way to what is in a file.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use monaka_vfs_core::image::format::MAGIC;
use monaka_vfs_core::image::{Glance, Image, ImageError, Inode, Kind, tables_len};

use crate::frames::Frames;
use crate::module::packed::{self, ImageRecord};
use crate::module::recognise::recognise;
use crate::module::refusal::Refusal;
use crate::output::{self, Input};
use crate::report::Hinted;

/// A packed module or an image file.
pub(crate) struct Stored {
    input: Input,
    /// Where in the input the tables are, and the data area.
    tables: Range<usize>,
    data: Range<usize>,
    /// What `pack` has recorded of it; nothing in an image file.
    record: Option<ImageRecord>,
    /// What messages call it.
    pub(crate) name: String,
}

impl Stored {
    /// Opens a packed module or an image file; `-` is stdin.
    pub(crate) fn open(path: &Path) -> Result<Stored> {
        let name = output::shown(path, "stdin");
        Stored::located(path, name.clone()).with_context(|| format!("cannot look into {name}"))
    }

    fn located(path: &Path, name: String) -> Result<Stored> {
        let input = Input::open(path)?;
        let Place {
            tables,
            data,
            record,
        } = locate(&input)?;
        let data_len = Glance::open(&input[tables.clone()])
            .map_err(damaged)?
            .data_len();
        if data_len != data.len() as u64 {
            return Err(Hinted::new(
                format!(
                    "the image is damaged: its tables speak of {data_len} bytes of contents, \
                     and {} are there",
                    data.len()
                ),
                DAMAGED,
            )
            .into());
        }
        Ok(Stored {
            input,
            tables,
            data,
            record,
            name,
        })
    }

    /// The tables, of which each record is checked when it is looked at.
    pub(crate) fn glance(&self) -> Glance<'_> {
        let tables = &self.input[self.tables.clone()];
        Glance::open(tables).expect("it was opened before")
    }

    /// The tables, checked as a whole.
    pub(crate) fn image(&self) -> Result<Image<'_>> {
        let checked = self.glance().check().map_err(damaged);
        checked.with_context(|| format!("cannot look into {}", self.name))
    }

    /// All of the file.
    pub(crate) fn file(&self) -> &[u8] {
        &self.input
    }

    /// The image: tables, then the data area.
    pub(crate) fn whole(&self) -> &[u8] {
        &self.input[self.tables.start..self.data.end]
    }

    /// The data area.
    pub(crate) fn data(&self) -> &[u8] {
        &self.input[self.data.clone()]
    }

    /// Where in the file that is.
    pub(crate) fn data_range(&self) -> Range<usize> {
        self.data.clone()
    }

    /// What `pack` has recorded of a module's image.
    pub(crate) fn record(&self) -> Option<&ImageRecord> {
        self.record.as_ref()
    }

    /// What a regular file of the image contains.
    pub(crate) fn contents(&self, inode: &Inode<'_>) -> Result<Box<dyn Read + '_>> {
        match inode.kind {
            Kind::Regular {
                start,
                size,
                stored,
            } => self.read(start, size, stored),
            _ => bail!("only regular files have contents"),
        }
    }

    /// The `size` bytes of contents that begin at a place of the data area, where
    /// they may be compressed to `stored` bytes.
    pub(crate) fn read(
        &self,
        start: u64,
        size: u64,
        stored: Option<u32>,
    ) -> Result<Box<dyn Read + '_>> {
        let bytes = self.bytes(start, stored.map_or(size, u64::from));
        let bytes = bytes.context("its contents lie outside of the image")?;
        Ok(match stored {
            None => Box::new(bytes),
            Some(_) => Box::new(Frames::new(bytes, size)?),
        })
    }

    /// Bytes of the data area, if it has them.
    pub(crate) fn bytes(&self, start: u64, len: u64) -> Option<&[u8]> {
        let (start, len) = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
        self.data().get(start..)?.get(..len)
    }
}

/// How many bytes of the image a file's contents take.
pub(crate) fn stored_len(inode: &Inode<'_>) -> u64 {
    match inode.kind {
        Kind::Regular { size, stored, .. } => stored.map_or(size, u64::from),
        _ => 0,
    }
}

/// The way out of damage.
pub(crate) const DAMAGED: &str = "pack it again, or fetch it again where it came from";

/// An image's error with the way out.
pub(crate) fn damaged(error: ImageError) -> anyhow::Error {
    Hinted::new(format!("the image is damaged: {error}"), DAMAGED).into()
}

/// Where in a file an image is.
struct Place {
    tables: Range<usize>,
    data: Range<usize>,
    record: Option<ImageRecord>,
}

/// Where the tables and the data area are.
fn locate(input: &[u8]) -> Result<Place> {
    if input.starts_with(&MAGIC) {
        let len = tables_len(input).map_err(damaged)? as usize;
        if len > input.len() {
            return Err(damaged(ImageError::Truncated));
        }
        return Ok(Place {
            tables: 0..len,
            data: len..input.len(),
            record: None,
        });
    }
    match recognise(input) {
        Err(error @ Refusal::NotWasm(_)) => {
            let hint = "give a packed module, or an image that `monaka image` wrote";
            return Err(Hinted::new(error.to_string(), hint).into());
        }
        recognised => recognised?,
    }
    let Some(found) = packed::find(input)? else {
        return Err(Hinted::new(
            "nothing is packed into it",
            "pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`",
        )
        .into());
    };
    let start = found.image.as_ptr().addr() - input.as_ptr().addr();
    let end = start + found.image.len();
    let data = start + (found.record.tables_len as usize).min(found.image.len());
    Ok(Place {
        tables: start..data,
        data: data..end,
        record: Some(found.record),
    })
}
