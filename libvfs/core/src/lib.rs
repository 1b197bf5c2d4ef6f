//! monaka's file system, apart from every home it lives in.
//!
//! `no_std`, no unsafe code, no globals, no pointers: guest memory is reached
//! through one trait and the host's own calls through another, so the same code
//! runs inside a program, merged into one, and natively under tests.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod errno;
pub mod image;
pub mod link;
pub mod witx;

pub use errno::Errno;
