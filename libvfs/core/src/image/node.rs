//! What a tree is made of.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use crate::device::Device;

/// A node of a [`Tree`](super::Tree); valid for the tree that answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The root directory.
    pub const ROOT: NodeId = NodeId(0);

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is kept of a file beside its contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Meta {
    /// When it was last modified, in nanoseconds since 1970.
    pub mtime: u64,
    /// Whether it may be executed.
    pub executable: bool,
}

/// What a node is, with what it holds; a directory's entries are
/// [`Tree::children`](super::Tree::children).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents<'t, S> {
    /// A directory.
    Directory,
    /// A regular file.
    Regular {
        /// Its length in bytes.
        len: u64,
        /// How many bytes that takes where it is compressed.
        stored: Option<u32>,
        /// Where its contents are, in the form in which they are stored.
        source: &'t S,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: &'t [u8],
    },
    /// A device.
    Device(Device),
}

#[derive(Clone, Debug)]
pub(super) struct Node<S> {
    pub(super) meta: Meta,
    /// As its parent where it is not said.
    pub(super) read_only: Option<bool>,
    pub(super) body: Body<S>,
}

#[derive(Clone, Debug)]
pub(super) enum Body<S> {
    Directory(BTreeMap<Box<[u8]>, NodeId>),
    Regular {
        len: u64,
        stored: Option<u32>,
        source: S,
    },
    Symlink {
        target: Box<[u8]>,
    },
    Device(Device),
}
