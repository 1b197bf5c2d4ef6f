//! The packed image: a directory tree as one flat run of bytes.
//!
//! | file | what |
//! |---|---|
//! | [`format`] | the bits, as docs/SPEC.md has them |
//! | [`Tree`] | what shall be packed; any mistake in it is found while it is built |
//! | [`write()`] | [`ValidTree`] → tables, and where each file's contents belong |
//! | [`Image`] | tables, checked once, then read without copying |
//! | [`Glance`] | tables of which only what is touched is checked |
//! | [`Dump`] | an image as text |
//!
//! An image is *tables* followed by *data*. Everything here works on the tables
//! alone; file contents are never looked at, so whoever has them may keep them
//! wherever they are.
//!
//! 1. The same tree gives the same bytes, in whatever order it was built.
//! 2. Bytes are hostile until [`Image::open`] has checked them; after that
//!    nothing about them can fail.

pub mod format;

mod check;
mod dump;
mod error;
mod glance;
mod node;
mod reader;
mod record;
mod tree;
mod valid;
mod writer;

pub use dump::{Dump, Escaped};
pub use error::{ImageError, TreeError};
pub use glance::{Glance, tables_len};
pub use node::{Contents, Meta, NodeId};
pub use reader::Image;
pub use record::{Dirent, Dirents, Inode, Kind, Preopen, Record};
pub use tree::{HostDirectory, Limits, Tree};
pub use valid::ValidTree;
pub use writer::{Content, WriteError, Written, write};

/// An image's address in memory is a multiple of this, so that what is aligned
/// within it stays aligned.
pub const ALIGN: usize = 4096;
