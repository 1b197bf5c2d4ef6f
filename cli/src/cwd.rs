//! The directory where relative paths begin, which Preview 1 does not know.
//!
//! A program knows the directories that it finds open, by their names and in their order:
//!
//! - wasi-libc, and Rust with it, strips leading `/` and `./` off names and paths, and
//!   takes the longest name that a path begins with, of equal ones the last. So a relative
//!   path is for it one from `/`, and `.` has to come behind `/`; absolute ones are found
//!   by the name of the directory in `/` that they begin with.
//! - Zig without libc and AssemblyScript take descriptor 3 for the current directory.
//! - Go joins a relative path to PWD and looks for absolute names.

use anyhow::Result;
use monaka_vfs_core::image::{Escaped, NodeId, Tree};

use crate::build::place::{self, Within};
use crate::report::Hinted;

/// The name that stands for the current directory.
const NAME: &[u8] = b".";

/// Has the program find `directory` open as its current one, with `/`, all directories in it
/// and all that links in it lead to, and nothing else.
pub(crate) fn open<S>(tree: &mut Tree<S>, directory: &[u8]) -> Result<()> {
    let node = tree
        .lookup(directory)
        .filter(|node| tree.is_directory(*node));
    let node = node.ok_or_else(|| {
        let message = format!(
            "--cwd {} is no directory of what is packed",
            Escaped(directory)
        );
        Hinted::new(
            message,
            "map a directory there (--mapdir), or name one that is packed",
        )
    })?;
    let top: Vec<(Vec<u8>, NodeId)> = tree
        .children(NodeId::ROOT)
        .filter_map(|(name, _)| {
            let path = [b"/", name].concat();
            // A link that leads nowhere is not open, and neither is a file.
            let node = place::find(tree, &path, Within::Root).ok()??;
            tree.is_directory(node).then_some((path, node))
        })
        .collect();
    tree.clear_preopens();
    tree.add_preopen(NAME, node)?;
    tree.add_preopen(b"/", NodeId::ROOT)?;
    for (name, node) in top {
        tree.add_preopen(&name, node)?;
    }
    tree.add_preopen(NAME, node)?;
    Ok(())
}

/// Takes that back, as far as it is known: `/` alone is open.
pub(crate) fn close<S>(tree: &mut Tree<S>) -> Result<()> {
    tree.clear_preopens();
    Ok(tree.add_preopen(b"/", NodeId::ROOT)?)
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::image::Meta;

    use super::*;

    /// `/lib` is often a link to `/usr/lib`, and programs name what is in it by that.
    #[test]
    fn links_to_directories_are_open_too() {
        let meta = Meta::default();
        let mut tree: Tree<()> = Tree::new(meta);
        let app = tree.make_directories(b"/app", meta).unwrap();
        let lib = tree.make_directories(b"/usr/lib", meta).unwrap();
        tree.add_file(NodeId::ROOT, b"file", meta, 0, ()).unwrap();
        for (name, target) in [
            (&b"lib"[..], &b"usr/lib"[..]),
            (b"to_file", b"file"),
            (b"nowhere", b"none"),
            (b"round", b"round"),
        ] {
            tree.add_symlink(NodeId::ROOT, name, meta, target).unwrap();
        }
        open(&mut tree, b"/app").unwrap();
        let usr = tree.lookup(b"/usr").unwrap();
        let opened: Vec<_> = tree.preopens().collect();
        let expected: [(&[u8], _); 6] = [
            (b".", app),
            (b"/", NodeId::ROOT),
            (b"/app", app),
            (b"/lib", lib),
            (b"/usr", usr),
            (b".", app),
        ];
        assert_eq!(opened, expected);
    }
}
