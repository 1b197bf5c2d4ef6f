//! The contents of a regular file.
//!
//! Extents are sorted, disjoint, not empty and end within the size; what lies
//! between them is a hole and reads as zeros. The size is stored here alone.
//!
//! 1. An `Image` extent borrows the packed image and may be of any length. A
//!    write never changes the image: it copies up the part of the extent that
//!    lies in the chunk it writes to. A `Frames` extent is the same of a compressed
//!    file. It begins at a multiple of [`CHUNK`], so a chunk is a frame.
//! 2. A `Heap` extent never crosses a multiple of [`CHUNK`], so growing one
//!    moves at most a chunk, and freeing returns memory chunk by chunk.
//! 3. In the middle of a file heap extents are rounded to [`BLOCK`]s, or many
//!    small writes into a hole would make as many extents; at the end of the
//!    file they are not, or every small file would cost a block.
//! 4. Each chunk's part of an operation reserves the memory it needs before it
//!    changes anything.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::errno::{Errno, Result};
use crate::extent::{Content, Extent, Part, Piece, Pieces, heap_bytes};
use crate::frames::{Cache, Frames};
use crate::image::format::FRAME;
use crate::memory::{GuestMemory, Region};

/// Heap extents do not cross multiples of this many bytes.
pub const CHUNK: u64 = 64 * 1024;

const _: () = assert!(CHUNK == FRAME);

/// Heap extents begin and end at multiples of this many bytes, where they do
/// not touch another extent or the end of the file.
pub const BLOCK: u64 = 4 * 1024;

/// Appending takes so much memory ahead, and [`AHEAD_EACH`] for each extent before, of
/// which it is a 32nd: what a file costs while it is written stays near what it holds.
const AHEAD: usize = 3 * 1024;

/// See [`AHEAD`].
const AHEAD_EACH: usize = 2 * 1024;

/// The largest size of a file, as on a 64-bit Linux.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// More than this cannot be allocated in a 32-bit memory, so nobody tries.
const ALLOCATE_MAX: u64 = 1 << 32;

/// What was packed, as files read it: the image's data, and the compressed files'
/// contents that were decoded last.
#[derive(Debug)]
pub struct Backing<'i> {
    data: &'i [u8],
    cache: Cache,
}

impl<'i> Backing<'i> {
    /// The image's data.
    pub fn new(data: &'i [u8]) -> Backing<'i> {
        Backing {
            data,
            cache: Cache::new(),
        }
    }

    /// Takes what reading compressed files needs, if it was not done yet. `NOTSUP`
    /// without a decoder, `NOSPC` when memory is out.
    pub fn prepare(&mut self) -> Result<()> {
        self.cache.prepare()
    }

    /// The image's data.
    pub fn data(&self) -> &'i [u8] {
        self.data
    }

    /// A part of a compressed file. `IO` if it cannot be decoded.
    pub fn decoded(&mut self, part: Part) -> Result<&[u8]> {
        self.cache.bytes(self.data, part)
    }
}

/// How many bytes all files' heap extents take together, and may.
#[derive(Debug)]
pub struct Space {
    used: u64,
    max: u64,
}

impl Space {
    /// Nothing used of `max` bytes.
    pub fn new(max: u64) -> Space {
        Space { used: 0, max }
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Bytes that are left.
    fn left(&self) -> u64 {
        self.max - self.used
    }

    /// `NOSPC` if fewer than `bytes` are left.
    fn check(&self, bytes: u64) -> Result<()> {
        if bytes > self.left() {
            return Err(Errno::NOSPC);
        }
        Ok(())
    }

    /// Counts `bytes` for which there is [room](Space::check).
    fn take(&mut self, bytes: u64) {
        self.used += bytes;
    }

    /// Counts `bytes` less.
    pub fn give_back(&mut self, bytes: u64) {
        self.used -= bytes;
    }
}

/// Size and extents of a regular file.
#[derive(Debug, Default)]
pub struct FileData {
    size: u64,
    extents: SmallVec<[Extent; 1]>,
}

impl FileData {
    /// A file whose contents are `at..at + len` of the image's data.
    pub fn packed(at: u32, len: u32) -> FileData {
        let mut extents = SmallVec::new();
        if len != 0 {
            extents.push(Extent {
                start: 0,
                content: Content::Image { at, len },
            });
        }
        FileData {
            size: u64::from(len),
            extents,
        }
    }

    /// A file whose contents are `len` bytes in frames, of which there is a table at
    /// `table` of the image's data. `NOTSUP` without a decoder.
    pub fn compressed(table: u32, len: u32) -> Result<FileData> {
        let frames = Frames::at(table)?;
        let mut extents = SmallVec::new();
        extents.push(Extent {
            start: 0,
            content: Content::Frames { frames, len },
        });
        Ok(FileData {
            size: u64::from(len),
            extents,
        })
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of contents that are not the image's: what a file costs of the
    /// [`Space`].
    pub fn heap_bytes(&self) -> u64 {
        heap_bytes(&self.extents)
    }

    /// What lies in `offset..offset + len`, cut at the end of the file; `image` is
    /// [`Backing::data`].
    pub fn pieces<'a>(&'a self, image: &'a [u8], offset: u64, len: u64) -> Pieces<'a> {
        let end = offset.saturating_add(len).min(self.size);
        Pieces::over(&self.extents[self.position(offset)..], image, offset, end)
    }

    /// Copies the program's `from` to `offset`.
    ///
    /// The file grows where the write passes its end; a gap before it is a
    /// hole. `FBIG` past [`SIZE_MAX`]. When memory or `space` runs out in the
    /// middle, what was written up to there stays and its length is answered, as
    /// on a full disk; `NOSPC` when that is nothing.
    pub fn write(
        &mut self,
        backing: &mut Backing<'_>,
        space: &mut Space,
        memory: &impl GuestMemory,
        mut from: Region,
        mut offset: u64,
    ) -> Result<u32> {
        let whole = from.len();
        if offset
            .checked_add(u64::from(whole))
            .is_none_or(|end| end > SIZE_MAX)
        {
            return Err(Errno::FBIG);
        }
        // A power of two.
        let mut step = CHUNK;
        while !from.is_empty() {
            let room = step - (offset & (step - 1));
            let (part, _) = from.split(room as u32);
            match self.write_in_chunk(backing, space, memory, part, offset) {
                Ok(len) => {
                    offset += u64::from(len);
                    from = from.split(len).1;
                }
                // The memory that is left may be in pieces smaller than a chunk.
                Err(Errno::NOSPC) if step == CHUNK => step = BLOCK,
                Err(errno) if from.len() == whole => return Err(errno),
                Err(_) => return Ok(whole - from.len()),
            }
        }
        Ok(whole)
    }

    /// Sets the size: cuts what is behind it, or appends a hole.
    pub fn set_size(&mut self, space: &mut Space, size: u64) {
        if size < self.size {
            self.cut(space, size);
        }
        self.size = size;
    }

    /// Drops all extents behind `end`.
    fn cut(&mut self, space: &mut Space, end: u64) {
        let mut keep = self.position(end);
        if let Some(extent) = self.extents.get_mut(keep)
            && extent.start < end
        {
            let before = extent.heap_len();
            extent.truncate(end);
            space.give_back(before - extent.heap_len());
            keep += 1;
        }
        space.give_back(heap_bytes(&self.extents[keep..]));
        self.extents.truncate(keep);
        if self.extents.is_empty() {
            self.extents = SmallVec::new();
        }
    }

    /// Makes sure that writing anywhere in `offset..offset + len` finds its
    /// memory, and that the file is at least that long. `NOSPC` when memory or
    /// `space` is out; the file reads as before then, though holes may have been
    /// filled. The caller checks that the end is not past [`SIZE_MAX`].
    pub fn allocate(
        &mut self,
        backing: &mut Backing<'_>,
        space: &mut Space,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        if len > ALLOCATE_MAX {
            return Err(Errno::NOSPC);
        }
        let end = offset + len;
        let mut at = offset;
        let mut step = CHUNK;
        while at < end {
            let next = (at - (at & (step - 1)) + step).min(end);
            match self.cover(backing, space, at, next) {
                Ok(_) => at = next,
                // As in a write.
                Err(Errno::NOSPC) if step == CHUNK => step = BLOCK,
                Err(errno) => {
                    self.cut(space, self.size);
                    return Err(errno);
                }
            }
        }
        self.size = self.size.max(end);
        Ok(())
    }

    /// Gives back memory that growth reserved ahead.
    pub fn trim(&mut self) {
        if let Some(Extent {
            content: Content::Heap(bytes),
            ..
        }) = self.extents.last_mut()
            && bytes.capacity() - bytes.len() > bytes.len() / 32
        {
            bytes.shrink_to_fit();
        }
    }

    /// Index of the first extent that ends behind `offset`.
    fn position(&self, offset: u64) -> usize {
        // A file that was written from its start to its end has an extent for
        // each chunk.
        let chunk = usize::try_from(offset / CHUNK).unwrap_or(usize::MAX);
        if let Some(extent) = self.extents.get(chunk)
            && extent.start <= offset
            && offset < extent.end()
        {
            return chunk;
        }
        self.extents.partition_point(|e| e.end() <= offset)
    }

    /// Writes `from`, or the beginning of it for which there is `space`, to `offset`
    /// and answers how much that was. Both ends lie in one chunk. Where less than a
    /// chunk is left, a write ends with the block, and with the file: what lies in it
    /// may need nothing.
    fn write_in_chunk(
        &mut self,
        backing: &mut Backing<'_>,
        space: &mut Space,
        memory: &impl GuestMemory,
        mut from: Region,
        offset: u64,
    ) -> Result<u32> {
        if offset < self.size
            && let Ok((start, bytes)) = self.covering(offset, offset + u64::from(from.len()))
        {
            let at = (offset - start) as usize;
            memory.read(from, &mut bytes[at..at + from.len() as usize]);
            return Ok(from.len());
        }
        if space.left() < CHUNK {
            // Holes take whole blocks: what fits is found so.
            let within = BLOCK - offset % BLOCK;
            let fits = match self.size.saturating_sub(offset) {
                0 => within.min(space.left().saturating_sub(self.gap(offset))),
                to_end => within.min(to_end),
            };
            from = from.split(fits as u32).0;
            if from.is_empty() {
                return Err(Errno::NOSPC);
            }
        }
        let end = offset + u64::from(from.len());
        // Appending to the last extent needs no zeroing first.
        let extents = self.extents.len();
        if offset == self.size
            && let Some(last) = self.extents.last_mut()
            && last.end() == offset
            && last.start / CHUNK == offset / CHUNK
            && let Content::Heap(bytes) = &mut last.content
            // Another extent may find memory where this one cannot grow.
            && reserve(bytes, from.len() as usize, extents).is_ok()
        {
            memory.append(from, bytes);
            space.take(from.len().into());
            self.size = end;
            return Ok(from.len());
        }
        if offset >= self.size && offset.is_multiple_of(BLOCK) {
            let mut bytes = Vec::new();
            reserve(&mut bytes, from.len() as usize, extents + 1)?;
            self.extents.try_reserve(1).map_err(|_| Errno::NOSPC)?;
            memory.append(from, &mut bytes);
            self.extents.push(Extent {
                start: offset,
                content: Content::Heap(bytes),
            });
            space.take(from.len().into());
            self.size = end;
            return Ok(from.len());
        }
        let (extent_start, bytes) = self.cover(backing, space, offset, end)?;
        let at = (offset - extent_start) as usize;
        memory.read(from, &mut bytes[at..at + from.len() as usize]);
        self.size = self.size.max(end);
        Ok(from.len())
    }

    /// How many zeros a write at `offset`, at the end of the file or past it, puts
    /// before itself: those of its block that no extent has.
    fn gap(&self, offset: u64) -> u64 {
        let end = self.extents.last().map_or(0, Extent::end);
        offset - end.max(offset - offset % BLOCK)
    }

    /// Start and bytes of the heap extent that covers `start..end`; without one, the
    /// index of the first extent that ends behind `start`.
    fn covering(&mut self, start: u64, end: u64) -> core::result::Result<(u64, &mut [u8]), usize> {
        let first = self.position(start);
        match self.extents.get_mut(first) {
            Some(Extent {
                start: at,
                content: Content::Heap(bytes),
            }) if *at <= start && end <= *at + bytes.len() as u64 => Ok((*at, bytes)),
            _ => Err(first),
        }
    }

    /// Sees to it that one heap extent covers `start..end`, which lie in one
    /// chunk, and answers its start and bytes. The size is the caller's to set.
    fn cover(
        &mut self,
        backing: &mut Backing<'_>,
        space: &mut Space,
        start: u64,
        end: u64,
    ) -> Result<(u64, &mut [u8])> {
        if let Err(first) = self.covering(start, end) {
            self.gather(backing, space, first, start, end)?;
        }
        // There is one by now.
        self.covering(start, end).map_err(|_| Errno::IO)
    }

    /// Replaces what overlaps `start..end`, from index `first` on, by one heap
    /// extent that covers it. Parts of image extents outside the chunk stay borrowed.
    fn gather(
        &mut self,
        backing: &mut Backing<'_>,
        space: &mut Space,
        first: usize,
        start: u64,
        end: u64,
    ) -> Result<()> {
        let chunk = start - start % CHUNK;
        let chunk_end = chunk + CHUNK;
        // Where the new extent may reach: whole blocks, but not over the
        // extents before and behind, nor over the end of the file.
        let before = match first.checked_sub(1) {
            Some(previous) => self.extents[previous].end(),
            None => 0,
        };
        let mut new_start = (start - start % BLOCK).max(before);
        let last = first + self.extents[first..].partition_point(|e| e.start < end);
        let behind = self.extents.get(last).map_or(u64::MAX, |e| e.start);
        let file_end = self.size.max(end);
        let mut new_end = end.next_multiple_of(BLOCK).min(behind).min(file_end);
        if let Some(head) = self.extents[first..last].first() {
            new_start = new_start.min(head.start.max(chunk));
        }
        if let Some(tail) = self.extents[first..last].last() {
            new_end = new_end.max(tail.end().min(chunk_end));
        }

        // Reserve everything, then change.
        let replaced = heap_bytes(&self.extents[first..last]);
        let growth = new_end - new_start - replaced;
        space.check(growth)?;
        let len = (new_end - new_start) as usize;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::NOSPC)?;
        self.extents.try_reserve(2).map_err(|_| Errno::NOSPC)?;
        let image = backing.data();
        for piece in Pieces::over(&self.extents[first..last], image, new_start, new_end) {
            match piece {
                Piece::Bytes(old) => bytes.extend_from_slice(old),
                Piece::Frame(part) => bytes.extend_from_slice(backing.decoded(part)?),
                Piece::Hole(n) => bytes.resize(bytes.len() + n as usize, 0),
            }
        }
        let left = self.extents[first..last]
            .first()
            .and_then(|e| e.packed_part(e.start, new_start));
        let right = self.extents[first..last]
            .last()
            .and_then(|e| e.packed_part(new_end, e.end()));
        self.extents.drain(first..last);
        space.take(growth);
        let mut at = first;
        if let Some(left) = left {
            self.extents.insert(at, left);
            at += 1;
        }
        self.extents.insert(
            at,
            Extent {
                start: new_start,
                content: Content::Heap(bytes),
            },
        );
        if let Some(right) = right {
            self.extents.insert(at + 1, right);
        }
        Ok(())
    }

    /// Asserts what the module comment promises.
    pub fn check(&self, image_len: u64) {
        let mut end = 0;
        for extent in &self.extents {
            assert!(extent.len() > 0, "no extent is empty");
            assert!(extent.start >= end, "extents are sorted and disjoint");
            end = extent.end();
            match &extent.content {
                Content::Image { at, len } => {
                    assert!(u64::from(*at) + u64::from(*len) <= image_len);
                }
                Content::Frames { .. } => {
                    assert_eq!(extent.start % CHUNK, 0, "begins with a frame");
                }
                Content::Heap(_) => {
                    assert_eq!(extent.start / CHUNK, (end - 1) / CHUNK, "in one chunk");
                }
            }
        }
        assert!(end <= self.size, "extents end within the size");
    }
}

/// Room for `additional` bytes more in the last of `extents`, and ahead for what comes
/// next: as much again, so that appending byte by byte stays linear, but no more than
/// [`AHEAD`] says and never past a chunk. A first large write gets just its own.
fn reserve(bytes: &mut Vec<u8>, additional: usize, extents: usize) -> Result<()> {
    let needed = bytes.len() + additional;
    if needed <= bytes.capacity() {
        return Ok(());
    }
    let ahead = bytes.len().min(AHEAD) + (extents - 1) * AHEAD_EACH;
    let target = needed.max((bytes.len() + ahead).min(CHUNK as usize));
    bytes
        .try_reserve_exact(target - bytes.len())
        .or_else(|_| bytes.try_reserve_exact(additional))
        .map_err(|_| Errno::NOSPC)
}
