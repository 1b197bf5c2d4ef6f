//! The contract between `libmonaka_vfs.a` inside a program and `monaka pack`.
//!
//! The library exports nothing: an export would change every program that
//! links it, and an old crt1 makes wasm-ld wrap exported functions with the
//! program's constructors. Instead the library keeps [records](Record) in the
//! program's data. `pack` finds them by their magic number; a record also
//! holds its own address, so bytes that merely look like one are passed over.
//!
//! | record | `id` | `functions[0]` | `functions[1]` |
//! |---|---|---|---|
//! | root, always linked | [`ROOT`], or [`ROOT_ZSTD`] with a decoder | `reserve` | `mount` |
//! | hook, linked with its function | index in [`witx::HOOKS`](crate::witx::HOOKS) | the library's function | the host's import |
//!
//! A "function" is an index into the program's table 0, as C knows function
//! pointers. The library reaches the host *only* through `functions[1]` of a
//! hook, never by a direct call; so after linking every direct call of a
//! hooked import is one that went around the library, and `pack` sends it to
//! `functions[0]`.
//!
//! `reserve(request: u32) -> u32`
//! : takes room for an image of `tables_len + data_len` bytes from the
//!   program's allocator and answers its address, a multiple of
//!   [`ALIGN`], or 0 when there is none. The
//!   room reads as zeros up to stray allocator bookkeeping.
//!
//! `mount(request: u32) -> u32`
//! : builds the file system from the tables that now stand at `image`; their
//!   contents follow at `image + tables_len` and need not be there yet. Answers
//!   an errno; `BUSY` when something is mounted already.
//!
//! Both take the address of a [`Request`], for which there is room behind the
//! root record. One `i32` in and one out, because that is also the type of
//! `fd_close`, which the library calls through the table: wasm-opt replaces the
//! body of a function that only the table names by a trap if nothing makes
//! indirect calls of its type.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};
use crate::image::{ALIGN, Image};
use crate::vfs::Vfs;

/// Begins every record.
pub const MAGIC: [u8; 16] = *b"\x7fmonaka.link\r\n\x1a\x00";

/// The version of this contract, of the image format and of the behaviour that
/// `pack` counts on: a library and a CLI of different numbers refuse each other.
pub const ABI: u32 = 3;

/// [`Record::id`] of the root record of a library that reads no compressed files.
pub const ROOT: u32 = u32::MAX;

/// [`Record::id`] of the root record of a library that reads them.
pub const ROOT_ZSTD: u32 = u32::MAX - 1;

/// Mount flag: adopt the descriptors that the host opened before the program.
pub const MOUNT_HOST_DIRS: u32 = 1;

/// So many bytes are left free ahead of the image, by whoever takes room for it: what a
/// program writes to first, the descriptors and the blocks that it allocates, then stands
/// on few pages of memory and not behind all that was packed. Each page that is written
/// to costs a start a microsecond, as engines copy it then.
pub const AHEAD: usize = 12 << 10;

/// A record's size in bytes as it stands in the program's memory.
pub const RECORD_SIZE: usize = 36;

/// Where the [`Request`] stands, counted from the root record's address.
pub const REQUEST_OFFSET: u32 = 40;

/// What `reserve` and `mount` are asked, as it stands in the program's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Request {
    /// The image's address, once there is room; offset 0.
    pub image: u32,
    /// A set of [`MOUNT_HOST_DIRS`]; offset 4.
    pub flags: u32,
    /// Bytes of the image's tables; offset 8.
    pub tables_len: u32,
    /// Always 0; offset 12.
    pub reserved: u32,
    /// Bytes of the image's data; offset 16.
    pub data_len: u64,
}

impl Request {
    /// Bytes in memory.
    pub const SIZE: usize = size_of::<Request>();

    /// As it stands in memory.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        let words = [self.image, self.flags, self.tables_len, self.reserved];
        for (to, word) in out.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        out[16..].copy_from_slice(&self.data_len.to_le_bytes());
        out
    }
}

impl Request {
    /// Bytes to reserve, so that an [`ALIGN`]ed address and
    /// the bytes from there are within a block. None where that is more than
    /// half the address space, which is where Rust's slices end.
    pub fn room(&self) -> Option<usize> {
        let most = (i32::MAX as usize - ALIGN) as u64;
        let room = u64::from(self.tables_len) + self.data_len;
        (room <= most).then_some(room as usize)
    }

    /// Mounts the image that was asked for, once its tables are there, as `pack` has
    /// written them, for as long as the program runs.
    ///
    /// `NOSPC` when memory is out, `INVAL` where the tables are not an image's.
    ///
    /// On the heap and not in a global: code that knows an address says all of it at each
    /// field, and code that is told one in a variable does not.
    pub fn mount(
        &self,
        tables: &'static [u8],
        data: &'static [u8],
    ) -> Result<&'static mut Vfs<'static>> {
        let image = Image::written(tables).ok_or(Errno::INVAL)?;
        let mut room = Vec::new();
        room.try_reserve_exact(1).map_err(|_| Errno::NOSPC)?;
        room.push(Vfs::mount(&image, data, self.flags & MOUNT_HOST_DIRS != 0)?);
        room.leak().first_mut().ok_or(Errno::NOSPC)
    }
}

/// One record, decoded from a program's memory. All integers are little-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 16 | [`MAGIC`] |
/// | 16 | 4 | the record's own address |
/// | 20 | 4 | [`ABI`] |
/// | 24 | 4 | `id` |
/// | 28 | 4 + 4 | `functions` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The record's own address in memory 0.
    pub address: u32,
    /// The library's [`ABI`].
    pub abi: u32,
    /// [`ROOT`], [`ROOT_ZSTD`], or a hook's index.
    pub id: u32,
    /// Indices into table 0.
    pub functions: [u32; 2],
}

impl Record {
    /// Decodes the record that `bytes` begins with, if it is one that stands
    /// at `address`.
    pub fn parse(bytes: &[u8], address: u32) -> Option<Record> {
        let bytes: &[u8; RECORD_SIZE] = bytes.get(..RECORD_SIZE)?.try_into().ok()?;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if bytes[..16] != MAGIC || word(16) != address {
            return None;
        }
        Some(Record {
            address,
            abi: word(20),
            id: word(24),
            functions: [word(28), word(32)],
        })
    }
}
