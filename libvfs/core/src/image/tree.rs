//! What shall be packed: directories, files and links, by name.
//!
//! A [`Tree`] is an arena of nodes with the root directory as its first. The
//! names of a directory are unique and a later entry wins: a directory is
//! merged into a directory, anything else takes the place of what had the name.
//! What nothing names any longer stays in the arena and is not written.
//!
//! Every name is checked on entry, directories cannot be linked twice and
//! nothing can be moved, so a tree has no cycle and every directory one parent,
//! whatever was done to it. [`Tree::validate`] checks the rest.
//!
//! The contents of files are of no interest here: `S` says where they are, and
//! whoever writes the image out gets it back.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::error::TreeError;
use super::format::{is_name, is_path};
use super::node::{Body, Contents, Meta, Node, NodeId};
use crate::access::Access;
use crate::device::Device;

/// How much the program may add to the packed tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of contents that are written; `u64::MAX` is no limit.
    pub bytes: u64,
    /// Inodes, each further name of one counted like one more, as tmpfs does;
    /// `u32::MAX` is no limit.
    pub inodes: u32,
}

impl Default for Limits {
    /// None.
    fn default() -> Self {
        Limits {
            bytes: u64::MAX,
            inodes: u32::MAX,
        }
    }
}

/// A directory that the host has open when the program starts, and that the
/// program sees by a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDirectory<B> {
    /// The name that the program is told.
    pub name: B,
    /// The name by which the host has it.
    pub host: B,
    /// Whether the program can change nothing of it.
    pub read_only: bool,
}

/// A directory tree to be packed: an arena of nodes of which the root is the first.
#[derive(Clone, Debug)]
pub struct Tree<S> {
    pub(super) nodes: Vec<Node<S>>,
    /// Name and directory, in the order of their descriptors.
    pub(super) preopens: Vec<(Box<[u8]>, NodeId)>,
    limits: Limits,
    /// Files by their paths, so that one that is replaced stays what it is.
    pub(super) access: Access<Box<[u8]>>,
    host_directories: Vec<HostDirectory<Box<[u8]>>>,
}

impl<S> Tree<S> {
    /// A tree of nothing but its root, which is modified at `meta`'s time.
    pub fn new(meta: Meta) -> Self {
        let root = Node {
            meta,
            read_only: None,
            body: Body::Directory(BTreeMap::new()),
        };
        Tree {
            nodes: Vec::from([root]),
            preopens: Vec::new(),
            limits: Limits::default(),
            access: Access::default(),
            host_directories: Vec::new(),
        }
    }

    /// Limits what the program may add.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// What the program may add.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Says what the program may reach of its host; files are named by their paths.
    pub fn set_access(&mut self, access: Access<Box<[u8]>>) {
        self.access = access;
    }

    /// What the program may reach of its host.
    pub fn access(&self) -> &Access<Box<[u8]>> {
        &self.access
    }

    /// Makes a node and all below it read-only, or writable again, but for what
    /// is said of a node below it.
    pub fn set_read_only(&mut self, node: NodeId, read_only: bool) {
        self.nodes[node.index()].read_only = Some(read_only);
    }

    /// What was said of a node itself by [`set_read_only`](Tree::set_read_only).
    pub fn read_only(&self, node: NodeId) -> Option<bool> {
        self.nodes[node.index()].read_only
    }

    /// Adds a directory. If `name` is one already, it keeps its entries and
    /// takes over `meta`; anything else of that name is replaced.
    pub fn add_directory(
        &mut self,
        parent: NodeId,
        name: &[u8],
        meta: Meta,
    ) -> Result<NodeId, TreeError> {
        if let Some(existing) = self.child(parent, name)
            && self.is_directory(existing)
        {
            self.set_meta(existing, meta);
            return Ok(existing);
        }
        self.add(parent, name, meta, Body::Directory(BTreeMap::new()))
    }

    /// Adds a regular file of `len` bytes that are found at `source`.
    pub fn add_file(
        &mut self,
        parent: NodeId,
        name: &[u8],
        meta: Meta,
        len: u64,
        source: S,
    ) -> Result<NodeId, TreeError> {
        self.add_stored(parent, name, meta, len, None, source)
    }

    /// As [`Tree::add_file`], of a file that may be compressed to `stored` bytes.
    pub(super) fn add_stored(
        &mut self,
        parent: NodeId,
        name: &[u8],
        meta: Meta,
        len: u64,
        stored: Option<u32>,
        source: S,
    ) -> Result<NodeId, TreeError> {
        let body = Body::Regular {
            len,
            stored,
            source,
        };
        self.add(parent, name, meta, body)
    }

    /// Says where a regular file's contents are from now on: as they are, or
    /// compressed to `stored` bytes of frames and their table. To another node
    /// nothing happens.
    pub fn set_source(&mut self, file: NodeId, now: Option<u32>, at: S) {
        if let Body::Regular { stored, source, .. } = &mut self.nodes[file.index()].body {
            (*stored, *source) = (now, at);
        }
    }

    /// Gives a regular file other contents, `now` bytes that are found `at` there;
    /// its names and all else stay. To another node nothing happens.
    pub fn set_contents(&mut self, file: NodeId, now: u64, at: S) {
        if let Body::Regular {
            len,
            stored,
            source,
        } = &mut self.nodes[file.index()].body
        {
            (*len, *stored, *source) = (now, None, at);
        }
    }

    /// The same tree with other sources. `map` is told a source and how many bytes
    /// are found there: those of the contents, or of their frames where the file is
    /// compressed.
    pub fn try_map<T, E>(self, mut map: impl FnMut(S, u64) -> Result<T, E>) -> Result<Tree<T>, E> {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            let body = match node.body {
                Body::Directory(entries) => Body::Directory(entries),
                Body::Symlink { target } => Body::Symlink { target },
                Body::Device(device) => Body::Device(device),
                Body::Regular {
                    len,
                    stored,
                    source,
                } => Body::Regular {
                    len,
                    stored,
                    source: map(source, stored.map_or(len, u64::from))?,
                },
            };
            nodes.push(Node {
                meta: node.meta,
                read_only: node.read_only,
                body,
            });
        }
        Ok(Tree {
            nodes,
            preopens: self.preopens,
            limits: self.limits,
            access: self.access,
            host_directories: self.host_directories,
        })
    }

    /// Adds a symbolic link. Its target need not exist.
    pub fn add_symlink(
        &mut self,
        parent: NodeId,
        name: &[u8],
        meta: Meta,
        target: &[u8],
    ) -> Result<NodeId, TreeError> {
        if !is_path(target) {
            return Err(TreeError::Target {
                name: name.into(),
                target: target.into(),
            });
        }
        let target = target.into();
        self.add(parent, name, meta, Body::Symlink { target })
    }

    /// Adds a device.
    pub fn add_device(
        &mut self,
        parent: NodeId,
        name: &[u8],
        meta: Meta,
        device: Device,
    ) -> Result<NodeId, TreeError> {
        self.add(parent, name, meta, Body::Device(device))
    }

    /// Adds a hard link: one more name for a file or symbolic link.
    pub fn add_link(
        &mut self,
        parent: NodeId,
        name: &[u8],
        existing: NodeId,
    ) -> Result<(), TreeError> {
        if self.is_directory(existing) {
            return Err(TreeError::DirectoryLink { name: name.into() });
        }
        self.enter(parent, name, existing)
    }

    /// Removes the entry `name` of a directory, with all below it, and answers
    /// what it was.
    pub fn remove(&mut self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        match &mut self.nodes[parent.index()].body {
            Body::Directory(entries) => entries.remove(name),
            _ => None,
        }
    }

    /// The directory `path`, made with its parents where they are missing.
    /// Symbolic links are not followed: one on the way is not a directory.
    pub fn make_directories(&mut self, path: &[u8], meta: Meta) -> Result<NodeId, TreeError> {
        let mut at = NodeId::ROOT;
        let mut walked = Vec::new();
        for name in components(path) {
            walked.push(b'/');
            walked.extend_from_slice(name);
            at = match self.child(at, name) {
                Some(child) if self.is_directory(child) => child,
                Some(_) => {
                    return Err(TreeError::NotADirectory {
                        name: walked.into(),
                    });
                }
                None => self.add_directory(at, name, meta)?,
            };
        }
        Ok(at)
    }

    /// Opens `directory` before the program starts, by that name and on the
    /// next descriptor; the first one is 3.
    pub fn add_preopen(&mut self, name: &[u8], directory: NodeId) -> Result<(), TreeError> {
        if !is_path(name) {
            return Err(TreeError::PreopenName(name.into()));
        }
        self.preopens.push((name.into(), directory));
        Ok(())
    }

    /// Forgets all preopened directories, so that they can be given anew.
    pub fn clear_preopens(&mut self) {
        self.preopens.clear();
    }

    /// The preopened directories in the order of their descriptors.
    pub fn preopens(&self) -> impl ExactSizeIterator<Item = (&[u8], NodeId)> {
        self.preopens.iter().map(|(name, node)| (&name[..], *node))
    }

    /// Shows a directory that the host opens, behind those of the tree.
    pub fn add_host_directory(
        &mut self,
        name: &[u8],
        host: &[u8],
        read_only: bool,
    ) -> Result<(), TreeError> {
        if let Some(bad) = [name, host].into_iter().find(|name| !is_path(name)) {
            return Err(TreeError::PreopenName(bad.into()));
        }
        self.host_directories.push(HostDirectory {
            name: name.into(),
            host: host.into(),
            read_only,
        });
        Ok(())
    }

    /// Forgets all directories of the host, so that they can be given anew.
    pub fn clear_host_directories(&mut self) {
        self.host_directories.clear();
    }

    /// The directories that the host opens and the program sees.
    pub fn host_directories(&self) -> &[HostDirectory<Box<[u8]>>] {
        &self.host_directories
    }

    /// A node's meta data.
    pub fn meta(&self, node: NodeId) -> Meta {
        self.nodes[node.index()].meta
    }

    /// Replaces a node's meta data.
    pub fn set_meta(&mut self, node: NodeId, meta: Meta) {
        self.nodes[node.index()].meta = meta;
    }

    /// What a node is and holds.
    pub fn contents(&self, node: NodeId) -> Contents<'_, S> {
        match &self.nodes[node.index()].body {
            Body::Directory(_) => Contents::Directory,
            Body::Regular {
                len,
                stored,
                source,
            } => Contents::Regular {
                len: *len,
                stored: *stored,
                source,
            },
            Body::Symlink { target } => Contents::Symlink { target },
            Body::Device(device) => Contents::Device(*device),
        }
    }

    /// Whether any of its files was compressed.
    pub fn has_compressed(&self) -> bool {
        let mut bodies = self.nodes.iter().map(|node| &node.body);
        bodies.any(|body| {
            matches!(
                body,
                Body::Regular {
                    stored: Some(_),
                    ..
                }
            )
        })
    }

    /// Whether a node is a directory.
    pub fn is_directory(&self, node: NodeId) -> bool {
        matches!(self.nodes[node.index()].body, Body::Directory(_))
    }

    /// A directory's entries in the order of their names; other nodes have none.
    pub fn children(&self, directory: NodeId) -> impl Iterator<Item = (&[u8], NodeId)> {
        let entries = match &self.nodes[directory.index()].body {
            Body::Directory(entries) => Some(entries),
            _ => None,
        };
        entries
            .into_iter()
            .flatten()
            .map(|(name, node)| (&name[..], *node))
    }

    /// The entry `name` of a directory.
    pub fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        match &self.nodes[directory.index()].body {
            Body::Directory(entries) => entries.get(name).copied(),
            _ => None,
        }
    }

    /// What `path` leads to from the root. Symbolic links are not followed and
    /// `..` leads nowhere.
    pub fn lookup(&self, path: &[u8]) -> Option<NodeId> {
        components(path).try_fold(NodeId::ROOT, |at, name| self.child(at, name))
    }

    fn add(
        &mut self,
        parent: NodeId,
        name: &[u8],
        meta: Meta,
        body: Body<S>,
    ) -> Result<NodeId, TreeError> {
        // The last number stays free, so that counts fit too.
        let node = match u32::try_from(self.nodes.len()) {
            Ok(index) if index < u32::MAX => NodeId(index),
            _ => return Err(TreeError::TooMany),
        };
        self.enter(parent, name, node)?;
        self.nodes.push(Node {
            meta,
            read_only: None,
            body,
        });
        Ok(node)
    }

    fn enter(&mut self, parent: NodeId, name: &[u8], node: NodeId) -> Result<(), TreeError> {
        if !is_name(name) {
            return Err(TreeError::Name(name.into()));
        }
        match &mut self.nodes[parent.index()].body {
            Body::Directory(entries) => {
                entries.insert(name.into(), node);
                Ok(())
            }
            _ => Err(TreeError::NotADirectory { name: name.into() }),
        }
    }
}

/// A path's names from the root on; leading, doubled and trailing slashes and
/// `.` say nothing.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    const META: Meta = Meta {
        mtime: 5,
        executable: false,
    };

    fn tree() -> Tree<&'static str> {
        Tree::new(Meta::default())
    }

    fn names(tree: &Tree<&str>, path: &str) -> Vec<Vec<u8>> {
        let node = tree.lookup(path.as_bytes()).unwrap();
        tree.children(node).map(|(name, _)| name.to_vec()).collect()
    }

    #[test]
    fn a_directory_is_merged_into_a_directory() {
        let mut tree = tree();
        let a = tree.make_directories(b"/a", Meta::default()).unwrap();
        tree.add_file(a, b"old", META, 1, "").unwrap();
        assert_eq!(tree.add_directory(NodeId::ROOT, b"a", META), Ok(a));
        tree.add_file(a, b"new", META, 1, "").unwrap();
        assert_eq!(names(&tree, "/a"), [b"new", b"old"]);
        assert_eq!(tree.meta(a), META);
    }

    #[test]
    fn a_later_entry_wins() {
        let mut tree = tree();
        let a = tree.make_directories(b"a/b", META).unwrap();
        let file = tree.add_file(NodeId::ROOT, b"a", META, 7, "file").unwrap();
        assert_eq!(tree.lookup(b"a/b"), None);
        assert_eq!(
            tree.contents(file),
            Contents::Regular {
                len: 7,
                stored: None,
                source: &"file"
            }
        );
        tree.add_symlink(NodeId::ROOT, b"a", META, b"b").unwrap();
        let again = tree.add_directory(NodeId::ROOT, b"a", META).unwrap();
        assert_ne!(again, a);
        assert_eq!(tree.children(again).count(), 0);
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        assert_eq!(tree.validate().unwrap().nodes().len(), 2);
    }

    #[test]
    fn lookup_reads_paths() {
        let mut tree = tree();
        let b = tree.make_directories(b"a//./b/", META).unwrap();
        for path in ["a/b", "/a/b", "//a/./b//"] {
            assert_eq!(tree.lookup(path.as_bytes()), Some(b), "{path}");
        }
        for path in ["a/..", "b", "a/b/c"] {
            assert_eq!(tree.lookup(path.as_bytes()), None, "{path}");
        }
        assert_eq!(tree.lookup(b""), Some(NodeId::ROOT));
    }

    #[test]
    fn names_and_targets_are_checked_on_entry() {
        let mut tree = tree();
        let long = [b'n'; 256];
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &long] {
            let error = Err(TreeError::Name(name.into()));
            assert_eq!(tree.add_directory(NodeId::ROOT, name, META), error);
            assert_eq!(tree.add_file(NodeId::ROOT, name, META, 0, ""), error);
            assert_eq!(tree.add_symlink(NodeId::ROOT, name, META, b"t"), error);
        }
        let long = [b't'; 4096];
        for target in [&b""[..], b"a\0b", &long] {
            assert!(matches!(
                tree.add_symlink(NodeId::ROOT, b"l", META, target),
                Err(TreeError::Target { .. })
            ));
        }
        assert_eq!(tree.children(NodeId::ROOT).count(), 0);
        assert_eq!(
            tree.make_directories(b"/a/../b", META),
            Err(TreeError::Name(b".."[..].into()))
        );
    }

    #[test]
    fn only_directories_have_entries_and_only_once() {
        let mut tree = tree();
        let file = tree.add_file(NodeId::ROOT, b"f", META, 0, "").unwrap();
        assert!(matches!(
            tree.add_file(file, b"g", META, 0, ""),
            Err(TreeError::NotADirectory { .. })
        ));
        let error = tree.make_directories(b"//f/g/h", META).unwrap_err();
        assert_eq!(error.to_string(), "`/f` is not a directory");
        let directory = tree.make_directories(b"d", META).unwrap();
        assert!(matches!(
            tree.add_link(NodeId::ROOT, b"e", directory),
            Err(TreeError::DirectoryLink { .. })
        ));
    }
}
