//! Bytes that are borrowed from the image or were written by the program.

use alloc::vec::Vec;
use core::ops::Deref;

use crate::errno::{Errno, Result};

/// How many written bytes stand where they are held, and need no block of the heap: what
/// fits without making [`Bytes`] larger than a slice and a tag on 64 bits.
const INLINE: usize = 14;

/// Nothing yet, with room for `len` bytes. `NOMEM` when memory is out.
// Once, and not in every caller.
#[inline(never)]
pub(crate) fn room(len: usize) -> Result<Vec<u8>> {
    let mut room = Vec::new();
    room.try_reserve_exact(len).map_err(|_| Errno::NOMEM)?;
    Ok(room)
}

/// A name or a link target: borrowed for `'i`, or owned.
#[derive(Debug)]
pub enum Bytes<'i> {
    /// Stands in the image (or in the caller's path).
    Borrowed(&'i [u8]),
    /// Lives here: so many of the bytes.
    Inline(u8, [u8; INLINE]),
    /// Lives on the heap.
    Owned(Vec<u8>),
}

impl Bytes<'_> {
    /// A copy. `NOSPC` when memory is out.
    pub fn copy(bytes: &[u8]) -> Result<Bytes<'static>> {
        let mut inline = [0; INLINE];
        if let Some(to) = inline.get_mut(..bytes.len()) {
            to.copy_from_slice(bytes);
            return Ok(Bytes::Inline(bytes.len() as u8, inline));
        }
        let mut owned = Vec::new();
        owned
            .try_reserve_exact(bytes.len())
            .map_err(|_| Errno::NOSPC)?;
        owned.extend_from_slice(bytes);
        Ok(Bytes::Owned(owned))
    }
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Inline(len, bytes) => &bytes[..usize::from(*len)],
            Bytes::Owned(bytes) => bytes,
        }
    }
}
