//! Decoding the contents of compressed files, and keeping what was decoded last.
//!
//! A file's frames stand in the image behind a table of their places, as
//! docs/SPEC.md says. None of it was checked when the image was opened, so any
//! byte may lie: a frame that lies outside the image, does not decode, or decodes to
//! less than a reader needs is `IO`, and nothing else happens.
//!
//! 1. A chunk of contents is a frame, so a read, and a write's copy-up, decodes one.
//! 2. All memory that decoding needs is taken when the image is mounted. Reading
//!    what was packed thereby never fails for want of memory.
//! 3. Up to [`KEPT`] chunks are kept: more than the first only where there is memory,
//!    and the one that was longest unused makes room for the next.

use alloc::vec::Vec;
use core::fmt;

use zstd_zero::{
    DecodeError, DecodeStep, Decoder, DecoderBuffers, FSE_ENTRIES, FSE_SCRATCH_LEN, FseEntry,
    HUFFMAN_ENTRIES, HuffmanEntry,
};

use crate::errno::{Errno, Result};
use crate::extent::Part;
use crate::image::format::FRAME;

/// The longest contents of a frame, and the largest window.
const CHUNK: usize = FRAME as usize;

/// How many decoded chunks are kept at most: 1 MiB of them.
pub const KEPT: usize = 16;

/// The frames of a file: where their table stands in the image's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames(u32);

impl Frames {
    /// The frames whose table is at `table`. `NOTSUP` in a library without decoder.
    pub fn at(table: u32) -> Result<Frames> {
        Ok(Frames(table))
    }

    /// The frame of that index. `IO` if it does not lie in the image's data.
    pub fn frame(self, data: &[u8], index: u32) -> Result<&[u8]> {
        let file = data.get(self.0 as usize..).unwrap_or_default();
        let place = |index: u64| {
            let at = usize::try_from(index * 4).ok()?;
            let place: &[u8; 4] = file.get(at..)?.first_chunk()?;
            Some(u32::from_le_bytes(*place) as usize)
        };
        let index = u64::from(index);
        let frame = place(index).zip(place(index + 1));
        frame
            .and_then(|(start, end)| file.get(start..end))
            .ok_or(Errno::IO)
    }
}

/// A decoded chunk.
struct Slot {
    frames: Frames,
    index: u32,
    /// How many of `bytes` were decoded.
    len: usize,
    /// When it was used last.
    used: u64,
    /// [`CHUNK`] of them.
    bytes: Vec<u8>,
}

impl Slot {
    /// A slot that holds nothing.
    fn new() -> Result<Slot> {
        Ok(Slot {
            frames: Frames(0),
            index: 0,
            len: 0,
            used: 0,
            bytes: filled(CHUNK, 0)?,
        })
    }
}

/// The decoded chunks, and what decoding needs.
#[derive(Default)]
pub struct Cache {
    decoding: Option<Decoding>,
    slots: Vec<Slot>,
    clock: u64,
}

impl Cache {
    /// One that holds nothing.
    pub fn new() -> Cache {
        Cache::default()
    }

    /// Takes the memory that decoding needs, if it was not done yet. `NOSPC`.
    pub fn prepare(&mut self) -> Result<()> {
        if self.decoding.is_none() {
            self.slots
                .try_reserve_exact(KEPT)
                .map_err(|_| Errno::NOSPC)?;
            let first = Slot::new()?;
            self.decoding = Some(Decoding::new()?);
            self.slots.push(first);
        }
        Ok(())
    }

    /// What `part` stands for; `data` is the image's. `IO` if that cannot be read.
    pub fn bytes(&mut self, data: &[u8], part: Part) -> Result<&[u8]> {
        let Part { frames, index, .. } = part;
        self.clock += 1;
        let held = |slot: &Slot| slot.len != 0 && (slot.frames, slot.index) == (frames, index);
        let at = match self.slots.iter().position(held) {
            Some(at) => at,
            None => self.decode(data, frames, index)?,
        };
        let slot = self.slots.get_mut(at).ok_or(Errno::IO)?;
        slot.used = self.clock;
        let decoded = slot.bytes.get(..slot.len).unwrap_or_default();
        decoded
            .get(part.from as usize..part.to as usize)
            .ok_or(Errno::IO)
    }

    /// Decodes a frame into a slot; answers which.
    #[cold]
    fn decode(&mut self, data: &[u8], frames: Frames, index: u32) -> Result<usize> {
        let frame = frames.frame(data, index)?;
        let at = self.vacant()?;
        let (Some(slot), Some(decoding)) = (self.slots.get_mut(at), &mut self.decoding) else {
            return Err(Errno::IO);
        };
        slot.len = 0;
        slot.len = decoding.decode(frame, &mut slot.bytes)?;
        (slot.frames, slot.index) = (frames, index);
        Ok(at)
    }

    /// The slot that the next chunk goes to.
    fn vacant(&mut self) -> Result<usize> {
        if self.slots.len() < KEPT
            && self.slots.iter().all(|slot| slot.len != 0)
            && let Ok(slot) = Slot::new()
        {
            // There is room for KEPT.
            self.slots.push(slot);
        }
        let slots = self.slots.iter().enumerate();
        let oldest = slots.min_by_key(|(_, slot)| match slot.len {
            0 => 0,
            _ => slot.used,
        });
        oldest.map(|(at, _)| at).ok_or(Errno::IO)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks = self.slots.iter().map(|slot| (slot.frames, slot.index));
        f.debug_list().entries(chunks).finish()
    }
}

/// What decoding writes to beside the contents, a hundred and fifty kilobytes.
pub struct Decoding {
    fse_scratch: Vec<i16>,
    fse: Vec<FseEntry>,
    huffman: Vec<HuffmanEntry>,
    block: Vec<u8>,
    literals: Vec<u8>,
}

impl Decoding {
    /// Takes the memory. `NOSPC`.
    pub fn new() -> Result<Decoding> {
        Ok(Decoding {
            fse_scratch: filled(FSE_SCRATCH_LEN, 0)?,
            fse: filled(FSE_ENTRIES, FseEntry::new())?,
            huffman: filled(HUFFMAN_ENTRIES, HuffmanEntry::new())?,
            block: filled(CHUNK, 0)?,
            literals: filled(CHUNK, 0)?,
        })
    }

    /// Decodes one frame to the beginning of `contents`, which is its window and which
    /// it may fill; answers how many bytes it has. `IO` if it cannot be decoded.
    pub fn decode(&mut self, frame: &[u8], contents: &mut [u8]) -> Result<usize> {
        self.decoded(frame, contents).map_err(|_| Errno::IO)
    }

    fn decoded(
        &mut self,
        mut frame: &[u8],
        contents: &mut [u8],
    ) -> core::result::Result<usize, DecodeError> {
        let most = contents.len();
        let mut decoder = Decoder::new(DecoderBuffers {
            fse_scratch: &mut self.fse_scratch,
            fse: &mut self.fse,
            huffman: &mut self.huffman,
            history: contents,
            block: &mut self.block,
            literals: &mut self.literals,
        })?;
        let mut len = 0;
        loop {
            let step = decoder.decode(frame)?;
            let consumed = step.consumed();
            match step {
                DecodeStep::FrameStarted { .. } => {}
                // The window is a ring that begins where the contents do. They come
                // in its order as long as they do not exceed it.
                DecodeStep::Output { bytes, .. } if len + bytes.len() <= most => {
                    len += bytes.len();
                }
                DecodeStep::FrameFinished { .. } if consumed == frame.len() => return Ok(len),
                DecodeStep::Output { .. } | DecodeStep::FrameFinished { .. } => {
                    return Err(DecodeError::InvalidBlock);
                }
                DecodeStep::NeedInput { .. } => return Err(DecodeError::UnexpectedEof),
            }
            frame = frame.get(consumed..).unwrap_or_default();
        }
    }
}

/// `len` times `value`. `NOSPC`.
fn filled<T: Clone>(len: usize, value: T) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).map_err(|_| Errno::NOSPC)?;
    vec.resize(len, value);
    Ok(vec)
}
