//! Layouts of the witx's structures in the program's memory. Little-endian.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};
use crate::memory::{GuestMemory, Region};
use crate::resolve::PATH_MAX;
use crate::rights::{Filetype, Rights};
use crate::time::Timestamp;

/// The most buffers one call takes: `IOV_MAX` of Linux.
pub const IOV_MAX: u32 = 1024;

/// Buffers of one call, each of them checked to lie in the program's memory.
#[derive(Clone, Copy, Debug)]
pub struct Iovs {
    at: u32,
    count: u32,
    left: u32,
}

impl Iovs {
    /// Checks the array of `count` × (`buf: u32`, `len: u32`) at `at`.
    ///
    /// `INVAL` for more than [`IOV_MAX`] buffers, `FAULT` where one is outside
    /// the memory, then `INVAL` for more than 2^31 - 1 bytes in all.
    #[inline]
    pub fn new(memory: &impl GuestMemory, at: u32, count: u32) -> Result<Iovs> {
        if count > IOV_MAX {
            return Err(Errno::INVAL);
        }
        memory.region(at, count * 8)?;
        let mut total = 0u64;
        for index in 0..count {
            total += u64::from(iov(memory, at + index * 8)?.len());
        }
        if total > i32::MAX as u64 {
            return Err(Errno::INVAL);
        }
        Ok(Iovs {
            at,
            count,
            left: total as u32,
        })
    }

    /// How many bytes are still to come.
    #[inline]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// The next buffer that is not empty.
    ///
    /// The array is read again here, and an earlier buffer may have been the
    /// array itself: then what lies outside the memory ends the call, and no
    /// more bytes are moved than were checked.
    #[inline]
    pub fn next(&mut self, memory: &impl GuestMemory) -> Option<Region> {
        while self.count != 0 {
            let buffer = iov(memory, self.at).ok()?;
            self.at = self.at.wrapping_add(8);
            self.count -= 1;
            let (buffer, _) = buffer.split(self.left);
            self.left -= buffer.len();
            if !buffer.is_empty() {
                return Some(buffer);
            }
        }
        None
    }
}

/// The buffer that the pair at `at` describes.
#[inline]
fn iov(memory: &impl GuestMemory, at: u32) -> Result<Region> {
    memory.region(memory.load_u32(at)?, memory.load_u32(at + 4)?)
}

/// `filestat`: 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Filestat {
    pub ino: u64,
    pub filetype: Filetype,
    pub nlink: u64,
    pub size: u64,
    pub atim: Timestamp,
    pub mtim: Timestamp,
    pub ctim: Timestamp,
}

/// The device number of all packed files.
pub const DEV: u64 = 1;

impl Filestat {
    /// As it stands in memory.
    pub fn encode(&self) -> [u8; 64] {
        let words = [
            DEV,
            self.ino,
            self.filetype as u64,
            self.nlink,
            self.size,
            self.atim,
            self.mtim,
            self.ctim,
        ];
        let mut out = [0; 64];
        out.copy_from_slice(words.map(u64::to_le_bytes).as_flattened());
        out
    }
}

/// `fdstat`: 24 bytes.
pub fn fdstat(filetype: Filetype, flags: u16, base: Rights, inheriting: Rights) -> [u8; 24] {
    let mut out = [0; 24];
    out[0] = filetype as u8;
    out[2..4].copy_from_slice(&flags.to_le_bytes());
    out[8..16].copy_from_slice(&base.raw().to_le_bytes());
    out[16..24].copy_from_slice(&inheriting.raw().to_le_bytes());
    out
}

/// `prestat` of a directory: 8 bytes.
pub fn prestat(name_len: u32) -> [u8; 8] {
    let mut out = [0; 8];
    out[4..8].copy_from_slice(&name_len.to_le_bytes());
    out
}

/// `dirent`: 24 bytes, which the name follows.
pub fn dirent(next: u64, ino: u64, name_len: u32, filetype: Filetype) -> [u8; 24] {
    let mut out = [0; 24];
    out[0..8].copy_from_slice(&next.to_le_bytes());
    out[8..16].copy_from_slice(&ino.to_le_bytes());
    out[16..20].copy_from_slice(&name_len.to_le_bytes());
    out[20] = filetype as u8;
    out
}

/// `eventtype` and size of a `subscription` and an `event`.
pub mod poll {
    /// Clock.
    pub const CLOCK: u8 = 0;
    /// Ready to read.
    pub const FD_READ: u8 = 1;
    /// Ready to write.
    pub const FD_WRITE: u8 = 2;
    /// Bytes of a subscription.
    pub const SUBSCRIPTION: u32 = 48;
    /// Bytes of an event.
    pub const EVENT: u32 = 32;
}

/// Reads the program's path at `at` into `buffer`, which has room for the longest
/// there may be. `NAMETOOLONG` when it is longer, `FAULT`.
pub fn path<'b>(
    memory: &impl GuestMemory,
    at: u32,
    len: u32,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8]> {
    debug_assert!(buffer.capacity() >= PATH_MAX);
    if len as usize > PATH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    let from = memory.region(at, len)?;
    buffer.clear();
    memory.append(from, buffer);
    Ok(buffer)
}
