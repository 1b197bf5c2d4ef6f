//! Bytes that are borrowed from the image or were written by the program.

use alloc::vec::Vec;
use core::ops::Deref;

use crate::errno::{Errno, Result};

/// A name or a link target: borrowed for `'i`, or owned.
#[derive(Debug)]
pub enum Bytes<'i> {
    /// Stands in the image (or in the caller's path).
    Borrowed(&'i [u8]),
    /// Lives on the heap.
    Owned(Vec<u8>),
}

impl Bytes<'_> {
    /// A copy on the heap. `NOSPC` when memory is out.
    pub fn copy(bytes: &[u8]) -> Result<Bytes<'static>> {
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
            Bytes::Owned(bytes) => bytes,
        }
    }
}
