//! monaka's file system, apart from every home it lives in.
//!
//! `no_std`, no unsafe code, no globals, no pointers: guest memory is reached
//! through [`memory::GuestMemory`] and the host's own calls through
//! [`host::Host`], so the same code runs inside a program, merged into one, and
//! natively under tests.
//!
//! Who uses whom, never the other way round:
//! `vfs → {abi, fd, rights, host} → memfs → resolve → {dir, index, data, frames, inode} →
//! {name, bytes, time, device, memory, errno}`. Only [`resolve`] splits paths, only
//! [`errno`] knows numbers, only [`abi`] knows layouts.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
pub mod access;
mod bits;
pub mod bytes;
mod check;
pub mod data;
pub mod device;
pub mod dir;
pub mod errno;
pub mod extent;
pub mod fd;
#[cfg(feature = "zstd")]
pub mod frames;
#[cfg(not(feature = "zstd"))]
#[path = "no_frames.rs"]
pub mod frames;
pub mod host;
pub mod image;
mod index;
pub mod inode;
mod inodes;
pub mod link;
pub mod memfs;
pub mod memory;
pub mod merge;
pub mod name;
pub mod resolve;
pub mod rights;
pub mod time;
pub mod trace;
pub mod vfs;
pub mod witx;

pub use errno::{Errno, Result};
pub use vfs::Vfs;
