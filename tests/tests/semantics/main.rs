//! docs/SEMANTICS.md as tests: what a program sees, call by call.
//!
//! Every rule of the document, that is each paragraph and each list item below
//! a `###` heading, stands word for word as a paragraph of the doc comment of a
//! test here, and nothing else stands there: see [`document`]. A test without a
//! doc comment is welcome. `model/` compares random operations with a real
//! directory; what is here cannot be seen there, or is worth a name.

mod append;
mod attributes;
mod calls;
mod devices;
mod document;
mod host;
mod io;
mod limits;
mod links;
mod mounts;
mod names;
mod open;
mod packed;
mod paths;
mod pointers;
mod poll;
mod prestat;
mod reached;
mod read_only;
mod readdir;
mod remove;
mod rename;
mod rights;
mod seek;
mod sparse;
mod stat;
mod stdio;
mod symlinks;
mod table;
mod times;
mod walk;

use monaka_tests::native::{self, Guest};
use monaka_vfs_core::image::NodeId;

const CREAT: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCL: u32 = 4;
const TRUNC: u32 = 8;
const APPEND: u32 = 1;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;

/// A guest with `/file`, `/dir/inner` and symlinks packed.
fn packed() -> Guest {
    Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "file", b"packed contents");
        let dir = tree
            .add_directory(NodeId::ROOT, b"dir", native::meta())
            .unwrap();
        native::add_file(tree, dir, "inner", b"inner");
        tree.add_symlink(NodeId::ROOT, b"link", native::meta(), b"dir/inner")
            .unwrap();
        tree.add_symlink(NodeId::ROOT, b"absolute", native::meta(), b"/dir/inner")
            .unwrap();
        tree.add_symlink(dir, b"out", native::meta(), b"../file")
            .unwrap();
        tree.add_symlink(dir, b"up", native::meta(), b"/file")
            .unwrap();
    }))
}

/// Runs `body` and then checks the file system.
fn with(mut guest: Guest, body: impl FnOnce(&mut Guest)) {
    body(&mut guest);
    guest.vfs.check_invariants();
}
