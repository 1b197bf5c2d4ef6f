//! Where the entries of one source go: into the tree, below a directory of it,
//! if they are wanted.

use anyhow::Result;
use monaka_vfs_core::image::{Meta, NodeId, Tree};

use super::Source;
use super::choice::{Choice, Ignores, Verdict};
use crate::progress::Bar;
use crate::shown::Shown;

/// The place of one source in the tree.
///
/// Its directories are numbered, the top one being [`TOP`](Sink::TOP). One that
/// is only searched is made once something in it is wanted.
pub(super) struct Sink<'s> {
    pub(super) tree: &'s mut Tree<Source>,
    pub(super) choice: &'s Choice,
    pub(super) warnings: &'s mut Vec<String>,
    bar: Bar,
    directories: Vec<Directory>,
}

struct Directory {
    /// Below the top.
    path: Vec<u8>,
    /// The tree's, once it is made.
    node: Option<NodeId>,
    parent: usize,
    meta: Meta,
    verdict: Verdict,
    ignores: Ignores,
}

impl<'s> Sink<'s> {
    /// The source's top directory.
    pub(super) const TOP: usize = 0;

    /// Begins at the tree's directory `top`.
    pub(super) fn new(
        tree: &'s mut Tree<Source>,
        top: NodeId,
        choice: &'s Choice,
        warnings: &'s mut Vec<String>,
        bar: Bar,
    ) -> Sink<'s> {
        let meta = tree.meta(top);
        Sink {
            tree,
            choice,
            warnings,
            bar,
            directories: vec![Directory {
                path: Vec::new(),
                node: Some(top),
                parent: Sink::TOP,
                meta,
                verdict: choice.top(),
                ignores: Ignores::default(),
            }],
        }
    }

    /// A directory's path below the top.
    pub(super) fn path(&self, place: usize) -> &[u8] {
        &self.directories[place].path
    }

    /// The `.monakaignore` files that hold in a directory.
    pub(super) fn ignores(&self, place: usize) -> &Ignores {
        &self.directories[place].ignores
    }

    /// Changes them; before anything in it is asked for.
    pub(super) fn set_ignores(&mut self, place: usize, ignores: Ignores) {
        self.directories[place].ignores = ignores;
    }

    /// Adds a directory, unless it is left out. If one is there already it keeps
    /// its own `meta` where that of this one is not `own`, but a default.
    pub(super) fn directory(
        &mut self,
        parent: usize,
        name: &[u8],
        meta: Meta,
        own: bool,
    ) -> Result<Option<usize>> {
        let above = &self.directories[parent];
        let path = join(&above.path, name);
        let ignores = above.ignores.clone();
        let verdict = self.choice.judge(&path, true, above.verdict, &ignores);
        if verdict == Verdict::LeftOut {
            return Ok(None);
        }
        let there = above.node.and_then(|node| self.tree.child(node, name));
        let there = there.filter(|&node| !own && self.tree.is_directory(node));
        let place = self.directories.len();
        self.directories.push(Directory {
            path,
            node: None,
            parent,
            meta: there.map_or(meta, |node| self.tree.meta(node)),
            verdict,
            ignores,
        });
        if verdict == Verdict::Packed {
            self.node(place)?;
        }
        Ok(Some(place))
    }

    /// The tree's directory, made if need be.
    pub(super) fn node(&mut self, place: usize) -> Result<NodeId> {
        let mut missing = Vec::new();
        let mut at = place;
        let mut node = loop {
            match self.directories[at].node {
                Some(node) => break node,
                None => missing.push(at),
            }
            at = self.directories[at].parent;
        };
        for at in missing.into_iter().rev() {
            let directory = &mut self.directories[at];
            let name = directory.path.rsplit(|&byte| byte == b'/').next();
            node = (self.tree).add_directory(node, name.unwrap_or_default(), directory.meta)?;
            directory.node = Some(node);
        }
        Ok(node)
    }

    /// Whether a file of `len` bytes is packed; if it is too large, a warning
    /// says so.
    pub(super) fn wants(&mut self, parent: usize, name: &[u8], source: &str, len: u64) -> bool {
        let above = &self.directories[parent];
        let path = join(&above.path, name);
        let verdict = (self.choice).judge(&path, false, above.verdict, &above.ignores);
        if verdict != Verdict::Packed {
            return false;
        }
        if let Some(reason) = self.choice.is_too_large(len) {
            self.warnings
                .push(format!("{source}: {} is {reason}", Shown(&path)));
            return false;
        }
        self.bar.add(1);
        true
    }
}

/// A name behind the path of its directory.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        _ => [directory, b"/", name].concat(),
    }
}
