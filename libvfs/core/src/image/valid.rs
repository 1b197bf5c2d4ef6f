//! A tree as it is written: whole, and numbered.

use alloc::vec::Vec;

use super::error::TreeError;
use super::node::{Body, NodeId};
use super::tree::Tree;
use crate::access::Stream;

/// A tree that can be written: its nodes are numbered and its preopened
/// directories are in it.
///
/// The numbers are breadth first and by name, so they depend on nothing but
/// the tree's shape, and a directory's is smaller than those of its entries.
#[derive(Clone, Debug)]
pub struct ValidTree<S> {
    tree: Tree<S>,
    /// The nodes by inode.
    order: Vec<NodeId>,
    /// The inodes by node; none if nothing names it any longer.
    inodes: Vec<Option<u32>>,
    /// By node.
    read_only: Vec<bool>,
    streams: [Stream<NodeId>; 3],
}

impl<S> Tree<S> {
    /// Checks what depends on the tree as a whole and numbers its nodes.
    pub fn validate(self) -> Result<ValidTree<S>, TreeError> {
        let mut order = Vec::from([NodeId::ROOT]);
        let mut inodes = Vec::from_iter(self.nodes.iter().map(|_| None));
        inodes[NodeId::ROOT.index()] = Some(0);
        let said = |node: NodeId| self.nodes[node.index()].read_only;
        let mut read_only = Vec::from_iter(self.nodes.iter().map(|_| false));
        read_only[NodeId::ROOT.index()] = said(NodeId::ROOT).unwrap_or(false);
        let mut next = 0;
        while next < order.len() {
            let parent = read_only[order[next].index()];
            for (_, child) in self.children(order[next]) {
                // Of a file with several names one suffices.
                read_only[child.index()] |= said(child).unwrap_or(parent);
                if inodes[child.index()].is_none() {
                    // No more than there are nodes, so it fits.
                    inodes[child.index()] = Some(order.len() as u32);
                    order.push(child);
                }
            }
            next += 1;
        }
        if self.preopens.is_empty() {
            return Err(TreeError::NoPreopen);
        }
        for (name, node) in &self.preopens {
            if !self.is_directory(*node) || inodes[node.index()].is_none() {
                return Err(TreeError::Preopen(name.clone()));
            }
        }
        let mut streams = [Stream::Host; 3];
        for (fd, stream) in self.access.streams.iter().enumerate() {
            streams[fd] = match stream {
                Stream::Host => Stream::Host,
                Stream::Closed => Stream::Closed,
                Stream::Null => Stream::Null,
                Stream::File(path) => {
                    let (fd, path) = (fd, path.clone());
                    let node = self.lookup(&path);
                    let is_file = |node: &NodeId| {
                        matches!(self.nodes[node.index()].body, Body::Regular { .. })
                    };
                    let Some(node) = node.filter(is_file) else {
                        return Err(TreeError::Stream { fd, path });
                    };
                    if fd > 0 && read_only[node.index()] {
                        return Err(TreeError::ReadOnlyStream { fd, path });
                    }
                    Stream::File(node)
                }
            };
        }
        Ok(ValidTree {
            tree: self,
            order,
            inodes,
            read_only,
            streams,
        })
    }
}

impl<S> ValidTree<S> {
    /// The tree itself.
    pub fn tree(&self) -> &Tree<S> {
        &self.tree
    }

    /// The tree, to be changed again.
    pub fn into_tree(self) -> Tree<S> {
        self.tree
    }

    /// All nodes of the tree, each once and in the order of their inodes.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeId> {
        self.order.iter().copied()
    }

    /// Whether a node is read-only.
    pub(super) fn is_read_only(&self, node: NodeId) -> bool {
        self.read_only[node.index()]
    }

    /// What the streams are, by inode.
    pub(super) fn streams(&self) -> [Stream<u32>; 3] {
        self.streams
            .map(|stream| stream.map(|node| self.inode(node)))
    }

    /// The inode of a node that is in the tree.
    pub(super) fn inode(&self, node: NodeId) -> u32 {
        self.inodes[node.index()].expect("validate() has numbered every node of the tree")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Meta;

    const META: Meta = Meta {
        mtime: 5,
        executable: false,
    };

    fn tree() -> Tree<&'static str> {
        Tree::new(Meta::default())
    }

    #[test]
    fn validate_asks_for_preopens_in_the_tree() {
        assert_eq!(tree().validate().err(), Some(TreeError::NoPreopen));

        let mut gone = tree();
        let directory = gone.make_directories(b"d/e", META).unwrap();
        gone.add_preopen(b"/d/e", directory).unwrap();
        gone.add_file(NodeId::ROOT, b"d", META, 0, "").unwrap();
        assert_eq!(
            gone.validate().err(),
            Some(TreeError::Preopen(b"/d/e"[..].into()))
        );

        let mut file = tree();
        let node = file.add_file(NodeId::ROOT, b"f", META, 0, "").unwrap();
        file.add_preopen(b"/f", node).unwrap();
        assert!(matches!(file.validate(), Err(TreeError::Preopen(_))));
        assert!(matches!(
            tree().add_preopen(b"", NodeId::ROOT),
            Err(TreeError::PreopenName(_))
        ));
    }
}
