//! Extents, the runs of bytes that a file is made of, and what a reader meets in them.

use alloc::vec::Vec;

use crate::data::CHUNK;
use crate::frames::Frames;

/// Where an extent's bytes are.
#[derive(Debug)]
pub(crate) enum Content {
    /// `at..at + len` of the image's data.
    Image { at: u32, len: u32 },
    /// `len` bytes from the first one of the frame on that belongs to the extent's
    /// first chunk.
    Frames { frames: Frames, len: u32 },
    /// Bytes of its own.
    Heap(Vec<u8>),
}

/// A run of a file's bytes that are stored together.
#[derive(Debug)]
pub(crate) struct Extent {
    /// Offset in the file.
    pub(crate) start: u64,
    pub(crate) content: Content,
}

impl Extent {
    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match &self.content {
            Content::Image { len, .. } | Content::Frames { len, .. } => u64::from(*len),
            Content::Heap(bytes) => bytes.len() as u64,
        }
    }

    /// Offset behind it.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len()
    }

    /// Length if it is a heap extent, else 0.
    pub(crate) fn heap_len(&self) -> u64 {
        match &self.content {
            Content::Image { .. } | Content::Frames { .. } => 0,
            Content::Heap(bytes) => bytes.len() as u64,
        }
    }

    /// Keeps the bytes before offset `end` of the file.
    pub(crate) fn truncate(&mut self, end: u64) {
        let keep = end - self.start;
        match &mut self.content {
            Content::Image { len, .. } | Content::Frames { len, .. } => *len = keep as u32,
            Content::Heap(bytes) => bytes.truncate(keep as usize),
        }
    }

    /// The part of a packed extent that lies in `from..to`, if there is any; that of
    /// frames has to begin at a chunk.
    pub(crate) fn packed_part(&self, from: u64, to: u64) -> Option<Extent> {
        let start = from.max(self.start);
        let end = to.min(self.end());
        if start >= end {
            return None;
        }
        let len = (end - start) as u32;
        let content = match self.content {
            Content::Image { at, .. } => Content::Image {
                at: at + (start - self.start) as u32,
                len,
            },
            Content::Frames { frames, .. } => Content::Frames { frames, len },
            Content::Heap(_) => return None,
        };
        Some(Extent { start, content })
    }
}

/// How many bytes heap extents among some have.
// Once, and not in every caller.
#[inline(never)]
pub(crate) fn heap_bytes(extents: &[Extent]) -> u64 {
    extents.iter().map(Extent::heap_len).sum()
}

/// What a reader meets between two offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Stored bytes.
    Bytes(&'a [u8]),
    /// Compressed bytes, which [`Backing::decoded`](crate::data::Backing::decoded) answers.
    Frame(Part),
    /// So many zeros.
    Hole(u64),
}

/// A part of a chunk of a compressed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The file's frames.
    pub frames: Frames,
    /// Which of them.
    pub index: u32,
    /// Where it begins in the chunk.
    pub from: u32,
    /// Where it ends there.
    pub to: u32,
}

/// Iterator over the [`Piece`]s of a range, in order and without gaps.
#[derive(Debug)]
pub struct Pieces<'a> {
    extents: core::slice::Iter<'a, Extent>,
    image: &'a [u8],
    at: u64,
    end: u64,
    /// The extent behind a hole, or that a frame was of, that was just answered.
    pending: Option<&'a Extent>,
}

impl<'a> Pieces<'a> {
    /// What lies in `at..end`, of which `extents` are all; `image` is
    /// [`Backing::data`](crate::data::Backing::data).
    pub(crate) fn over(extents: &'a [Extent], image: &'a [u8], at: u64, end: u64) -> Pieces<'a> {
        Pieces {
            extents: extents.iter(),
            image,
            at,
            end,
            pending: None,
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    #[inline]
    fn next(&mut self) -> Option<Piece<'a>> {
        if self.at >= self.end {
            return None;
        }
        let next = self.pending.take().or_else(|| self.extents.next());
        let Some(extent) = next.filter(|e| e.start < self.end) else {
            let hole = self.end - self.at;
            self.at = self.end;
            return Some(Piece::Hole(hole));
        };
        if extent.start > self.at {
            let hole = extent.start - self.at;
            self.at = extent.start;
            self.pending = Some(extent);
            return Some(Piece::Hole(hole));
        }
        let stored: &'a [u8] = match &extent.content {
            Content::Image { at, len } => {
                let at = *at as usize;
                self.image.get(at..at + *len as usize).unwrap_or(&[])
            }
            Content::Frames { frames, .. } => {
                let (index, from) = (self.at / CHUNK, self.at % CHUNK);
                let end = extent.end().min(self.end);
                let to = CHUNK.min(end - index * CHUNK);
                self.at += to - from;
                if self.at < end {
                    self.pending = Some(extent);
                }
                return Some(Piece::Frame(Part {
                    frames: *frames,
                    index: index as u32,
                    from: from as u32,
                    to: to as u32,
                }));
            }
            Content::Heap(bytes) => bytes,
        };
        let from = (self.at - extent.start) as usize;
        let to = (self.end.min(extent.start + stored.len() as u64) - extent.start) as usize;
        let Some(bytes) = stored.get(from..to).filter(|b| !b.is_empty()) else {
            // Only an image shorter than its tables say leads here.
            self.end = self.at;
            return None;
        };
        self.at += bytes.len() as u64;
        Some(Piece::Bytes(bytes))
    }
}
