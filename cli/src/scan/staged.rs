//! The tree of an archive, before it is put in its place.
//!
//! Names in an archive are hostile. They are walked as in a directory that has
//! been made the root: a leading slash says nothing, symbolic links that stand
//! in the archive are followed and cannot lead out of it, and `..` is refused.
//! So what an archive holds lands below its guest path or is an error.
//!
//! An archive is read whole before anything of it is chosen: a file that is left
//! out may be the one that a hard link or a later layer needs.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Contents, Escaped, Meta, NodeId, Tree};

use super::Source;
use super::error::Problem;
use super::sink::{Sink, join};

/// What an archive holds.
pub(super) struct Staged {
    tree: Tree<Source>,
    directories: HashMap<NodeId, Directory>,
    /// When the newest member was modified; directories that are no members have
    /// that time.
    newest: u64,
    /// The names that the present layer has brought, in their directories.
    fresh: HashSet<(NodeId, Box<[u8]>)>,
}

/// What is known of a directory beside its entries.
#[derive(Clone, Copy)]
struct Directory {
    /// Whether it is a member itself, so that its meta data are the archive's.
    own: bool,
    /// The length of its path.
    len: usize,
}

/// What a member's name leads to.
enum Place<'n> {
    /// The archive's root.
    Root,
    /// An entry of a directory.
    Entry(NodeId, &'n [u8]),
}

/// The longest path that a program can open. It also bounds what a small archive
/// can cost by names below names.
const MAX_PATH: usize = 4095;

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

impl Staged {
    /// An empty one.
    pub(super) fn new() -> Staged {
        Staged {
            tree: Tree::new(Meta::default()),
            directories: HashMap::from([(NodeId::ROOT, Directory { own: false, len: 0 })]),
            newest: 0,
            fresh: HashSet::new(),
        }
    }

    /// A tree whose directories are all its own.
    pub(super) fn of(tree: Tree<Source>) -> Result<Staged, Problem> {
        let mut staged = Staged::new();
        let mut open = vec![(NodeId::ROOT, 0)];
        while let Some((directory, len)) = open.pop() {
            (staged.directories).insert(directory, Directory { own: true, len });
            for (name, child) in tree.children(directory) {
                let len = longer(len, name)?;
                if tree.is_directory(child) {
                    open.push((child, len));
                }
            }
        }
        staged.newest = tree.meta(NodeId::ROOT).mtime;
        staged.tree = tree;
        Ok(staged)
    }

    /// Begins a layer over what is there.
    pub(super) fn begin_layer(&mut self) {
        self.fresh.clear();
    }

    /// The tree.
    pub(super) fn tree(&self) -> &Tree<Source> {
        &self.tree
    }

    /// The tree, to be kept as it is.
    pub(super) fn into_tree(self) -> Tree<Source> {
        self.tree
    }

    /// The meta data of a directory, and whether it is the archive's own: one
    /// that is not gives way to what is there.
    pub(super) fn directory_meta(&self, directory: NodeId) -> (Meta, bool) {
        match self.directories[&directory].own {
            true => (self.tree.meta(directory), true),
            false => (self.missing(), false),
        }
    }

    /// The meta data of directories that the archive does not have.
    pub(super) fn missing(&self) -> Meta {
        Meta {
            mtime: self.newest,
            executable: false,
        }
    }

    /// Adds a directory.
    pub(super) fn add_directory(&mut self, path: &[u8], meta: Meta) -> Result<(), Problem> {
        match self.place(path)? {
            Place::Root => {
                self.tree.set_meta(NodeId::ROOT, meta);
                (self.directories).insert(NodeId::ROOT, Directory { own: true, len: 0 });
            }
            Place::Entry(parent, name) => {
                let len = longer(self.directories[&parent].len, name)?;
                let node = self.tree.add_directory(parent, name, meta)?;
                (self.directories).insert(node, Directory { own: true, len });
            }
        }
        self.newest = self.newest.max(meta.mtime);
        Ok(())
    }

    /// Adds a file of `len` bytes.
    pub(super) fn add_file(
        &mut self,
        path: &[u8],
        meta: Meta,
        len: u64,
        source: Source,
    ) -> Result<(), Problem> {
        let (parent, name) = self.entry(path)?;
        self.tree.add_file(parent, name, meta, len, source)?;
        self.newest = self.newest.max(meta.mtime);
        Ok(())
    }

    /// Adds a symbolic link, wherever it leads.
    pub(super) fn add_symlink(
        &mut self,
        path: &[u8],
        meta: Meta,
        target: &[u8],
    ) -> Result<(), Problem> {
        let (parent, name) = self.entry(path)?;
        self.tree.add_symlink(parent, name, meta, target)?;
        self.newest = self.newest.max(meta.mtime);
        Ok(())
    }

    /// Adds a hard link to an earlier member.
    pub(super) fn add_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), Problem> {
        let missing = || Problem::LinkTarget {
            target: target.into(),
        };
        let existing = match names(target)?.split_last() {
            None => NodeId::ROOT,
            Some((last, parents)) => {
                let parent = self.resolve(parents, false).map_err(|_| missing())?;
                self.tree.child(parent, last).ok_or_else(missing)?
            }
        };
        if self.tree.is_directory(existing) {
            return Err(Problem::LinkToDirectory {
                target: target.into(),
            });
        }
        let (parent, name) = self.entry(path)?;
        self.tree.add_link(parent, name, existing)?;
        Ok(())
    }

    /// Removes what earlier layers have at `path`; what the present one has
    /// brought stays.
    pub(super) fn white_out(&mut self, path: &[u8]) -> Result<(), Problem> {
        let Some((name, parents)) = names(path)?.split_last().map(|(l, p)| (*l, p.to_vec())) else {
            return Ok(());
        };
        let Ok(parent) = self.resolve(&parents, false) else {
            // Nothing to remove.
            return Ok(());
        };
        match self.tree.child(parent, name) {
            Some(child) if self.is_fresh(parent, name) => self.remove_old(child),
            Some(_) => {
                self.tree.remove(parent, name);
            }
            None => {}
        }
        Ok(())
    }

    /// Removes all that earlier layers have in the directory `path`.
    pub(super) fn make_opaque(&mut self, path: &[u8]) -> Result<(), Problem> {
        if let Ok(directory) = self.resolve(&names(path)?, false) {
            self.remove_old(directory);
        }
        Ok(())
    }

    fn remove_old(&mut self, directory: NodeId) {
        let mut open = vec![directory];
        while let Some(directory) = open.pop() {
            let children = self.tree.children(directory);
            let children: Vec<_> = children.map(|(name, node)| (name.to_vec(), node)).collect();
            for (name, child) in children {
                if self.is_fresh(directory, &name) {
                    open.push(child);
                } else {
                    self.tree.remove(directory, &name);
                }
            }
        }
    }

    fn is_fresh(&self, parent: NodeId, name: &[u8]) -> bool {
        self.fresh.contains(&(parent, name.into()))
    }

    /// What `path` leads to, all symbolic links followed.
    pub(super) fn find(&mut self, path: &[u8]) -> Result<NodeId, Problem> {
        self.resolve(&names(path)?, false)
    }

    /// Where a member belongs that has a name.
    fn entry<'n>(&mut self, path: &'n [u8]) -> Result<(NodeId, &'n [u8]), Problem> {
        match self.place(path)? {
            Place::Root => Err(Problem::NoName),
            Place::Entry(parent, name) => Ok((parent, name)),
        }
    }

    /// Where a member belongs; its directory is made if need be.
    fn place<'n>(&mut self, path: &'n [u8]) -> Result<Place<'n>, Problem> {
        let names = names(path)?;
        let Some((name, parents)) = names.split_last() else {
            return Ok(Place::Root);
        };
        let parent = self.resolve(parents, true)?;
        if !self.tree.is_directory(parent) {
            return Err(Problem::NotADirectory {
                path: parents.join(&b'/'),
            });
        }
        longer(self.directories[&parent].len, name)?;
        self.fresh.insert((parent, (*name).into()));
        Ok(Place::Entry(parent, name))
    }

    /// Walks from the root. With `make`, directories that are missing are made,
    /// but for those that a symbolic link leads to.
    fn resolve(&mut self, path: &[&[u8]], make: bool) -> Result<NodeId, Problem> {
        let mut way = vec![NodeId::ROOT];
        self.walk(&mut way, path, make)?;
        Ok(way[way.len() - 1])
    }

    /// Walks on from the last directory of `way`, which begins at the root, and
    /// puts what it comes by behind it.
    fn walk(&mut self, way: &mut Vec<NodeId>, path: &[&[u8]], make: bool) -> Result<(), Problem> {
        // What is left to walk, the next name last; and whether a link says so.
        let mut left: Vec<(Box<[u8]>, bool)> = (path.iter().rev())
            .map(|name| ((*name).into(), false))
            .collect();
        let mut links = 0;
        let shown = || path.join(&b'/');
        while let Some((name, of_link)) = left.pop() {
            if &*name == b".." {
                // Above the root is the root, as in any file system.
                way.truncate((way.len() - 1).max(1));
                continue;
            }
            let directory = way[way.len() - 1];
            let Some(child) = self.tree.child(directory, &name) else {
                if !make || of_link {
                    return Err(Problem::Nowhere { path: shown() });
                }
                let len = longer(self.directories[&directory].len, &name)?;
                let made = self.tree.add_directory(directory, &name, Meta::default())?;
                (self.directories).insert(made, Directory { own: false, len });
                self.fresh.insert((directory, name));
                way.push(made);
                continue;
            };
            match self.tree.contents(child) {
                Contents::Directory => {
                    way.push(child);
                    if make {
                        self.fresh.insert((directory, name));
                    }
                }
                Contents::Symlink { target } => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Problem::Loop { path: shown() });
                    }
                    if target.starts_with(b"/") {
                        way.truncate(1);
                    }
                    let names = target.split(|&byte| byte == b'/');
                    let names = names.filter(|name| !matches!(*name, b"" | b"."));
                    let at = left.len();
                    left.extend(names.map(|name| (name.into(), true)));
                    left[at..].reverse();
                }
                _ if left.is_empty() => way.push(child),
                _ => return Err(Problem::NotADirectory { path: shown() }),
            }
        }
        Ok(())
    }

    /// Puts what is wanted of the archive called `archive` in its place.
    pub(super) fn graft(mut self, sink: &mut Sink<'_>, archive: &str) -> Result<()> {
        let mut links: HashMap<NodeId, NodeId> = HashMap::new();
        let mut open = vec![Open {
            place: Sink::TOP,
            way: vec![NodeId::ROOT],
            above: vec![NodeId::ROOT],
        }];
        while let Some(Open { place, way, above }) = open.pop() {
            let directory = way[way.len() - 1];
            let children = self.tree.children(directory);
            let children: Vec<_> = children.map(|(name, node)| (name.to_vec(), node)).collect();
            for (name, child) in children {
                let path = join(sink.path(place), &name);
                let cannot = || format!("cannot pack {archive}: member {}", Escaped(&path));
                let mut way = way.clone();
                let is_link = matches!(self.tree.contents(child), Contents::Symlink { .. });
                match sink.choice.follow_symlinks && is_link {
                    true => self.walk(&mut way, &[&name], false).with_context(cannot)?,
                    false => way.push(child),
                }
                let node = way[way.len() - 1];
                let read_only = self.tree.read_only(node);
                if self.tree.is_directory(node) {
                    if above.contains(&node) {
                        return Err(Problem::Loop { path: path.clone() }).with_context(cannot);
                    }
                    let (meta, own) = self.directory_meta(node);
                    let Some(place) = sink.directory(place, &name, meta, own)? else {
                        continue;
                    };
                    let above = [&above[..], &[node]].concat();
                    open.push(Open { place, way, above });
                    continue;
                }
                let len = match self.tree.contents(node) {
                    Contents::Regular { len, .. } => len,
                    _ => 0,
                };
                if !sink.wants(place, &name, archive, len) {
                    continue;
                }
                let parent = sink.node(place)?;
                if let Some(link) = links.get(&node) {
                    sink.tree.add_link(parent, &name, *link)?;
                    continue;
                }
                let meta = self.tree.meta(node);
                let tree = &mut *sink.tree;
                let added = match self.tree.contents(node) {
                    Contents::Regular {
                        len,
                        stored,
                        source,
                    } => tree
                        .add_file(parent, &name, meta, len, source.clone())
                        .inspect(|&file| tree.set_source(file, stored, source.clone())),
                    Contents::Symlink { target } => tree.add_symlink(parent, &name, meta, target),
                    Contents::Device(device) => tree.add_device(parent, &name, meta, device),
                    Contents::Directory => unreachable!("directories are opened"),
                };
                let added = added.with_context(cannot)?;
                if let Some(read_only) = read_only {
                    tree.set_read_only(added, read_only);
                }
                links.insert(node, added);
            }
        }
        Ok(())
    }
}

/// A directory to be put in its place.
struct Open {
    place: usize,
    /// The directories from the archive's root to it, as they stand there.
    way: Vec<NodeId>,
    /// The directories from the archive's root to it, as they were followed.
    above: Vec<NodeId>,
}

/// The length of a path when a name is added.
fn longer(len: usize, name: &[u8]) -> Result<usize, Problem> {
    let len = len + 1 + name.len();
    match len <= MAX_PATH {
        true => Ok(len),
        false => Err(Problem::LongPath),
    }
}

/// A member's path as names, which lead only downwards.
fn names(path: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let names = path.split(|&byte| byte == b'/');
    let names: Vec<_> = names.filter(|name| !matches!(*name, b"" | b".")).collect();
    match names.contains(&&b".."[..]) {
        true => Err(Problem::Parent),
        false => Ok(names),
    }
}
