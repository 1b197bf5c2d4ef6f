//! The model behind the fuzzer of paths: a tree in the simplest form, and a walk
//! that shares nothing with the file system's.

use std::collections::{BTreeMap, HashMap};

use monaka_vfs_core::Errno;
use monaka_vfs_core::inode::{Ino, SeenKind};
use monaka_vfs_core::memfs::Memfs;

/// Index of a [`Node`] in the model.
pub(super) type Id = usize;

/// What the model knows of an inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File,
    Link(Vec<u8>),
    /// Its `..`, its entries, and whether it was removed.
    Dir(Id, BTreeMap<Vec<u8>, Id>, bool),
}

/// The model: nodes are never forgotten, the root is the first.
#[derive(Clone, Debug)]
pub(super) struct Model(pub(super) Vec<Node>);

/// Where the model's walk ended.
struct Found {
    /// Directory and name of the entry; none for `.` and `..`.
    entry: Option<(Id, Vec<u8>)>,
    node: Option<Id>,
    slash: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    Always,
    Slash,
    Never,
}

/// Why the model refuses a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The walk failed.
    Walk(Errno),
    /// Anything else.
    Call,
}

pub(super) type Verdict<T> = Result<T, Refused>;

impl Model {
    /// As [`PACKED`] begins.
    pub(super) fn new() -> Model {
        let mut model = Model(vec![Node::Dir(0, BTreeMap::new(), false)]);
        for (path, node) in CONTENTS {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = parent
                .split('/')
                .filter(|name| !name.is_empty())
                .fold(0, |at, name| model.entries(at)[name.as_bytes()]);
            let node = match *node {
                Packs::File => Node::File,
                Packs::Dir => Node::Dir(parent, BTreeMap::new(), false),
                Packs::Link(target) => Node::Link(target.into()),
            };
            model.add(parent, name.as_bytes(), node);
        }
        model
    }

    pub(super) fn entries(&self, dir: Id) -> &BTreeMap<Vec<u8>, Id> {
        match &self.0[dir] {
            Node::Dir(_, entries, _) => entries,
            node => panic!("{node:?} is no directory"),
        }
    }

    fn entries_mut(&mut self, dir: Id) -> &mut BTreeMap<Vec<u8>, Id> {
        match &mut self.0[dir] {
            Node::Dir(_, entries, _) => entries,
            node => panic!("{node:?} is no directory"),
        }
    }

    fn is_dir(&self, id: Id) -> bool {
        matches!(self.0[id], Node::Dir(..))
    }

    fn add(&mut self, parent: Id, name: &[u8], node: Node) {
        self.0.push(node);
        let id = self.0.len() - 1;
        self.entries_mut(parent).insert(name.into(), id);
    }

    /// The walk, by rewriting the text of the path: what a link leads to takes
    /// the link's place.
    fn walk(&self, base: Id, path: &[u8], follow: Follow) -> Result<Found, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path.len() > 4095 {
            return Err(Errno::NAMETOOLONG);
        }
        if path.contains(&0) {
            return Err(Errno::INVAL);
        }
        if path[0] == b'/' {
            return Err(Errno::PERM);
        }
        let (mut at, mut text, mut links) = (base, path.to_vec(), 0);
        loop {
            let start = text.iter().take_while(|&&b| b == b'/').count();
            let len = text[start..].iter().take_while(|&&b| b != b'/').count();
            let name = text[start..start + len].to_vec();
            let behind = text[start + len..].to_vec();
            if name.is_empty() {
                return Ok(Found {
                    entry: None,
                    node: Some(at),
                    slash: true,
                });
            }
            let Node::Dir(parent, entries, _) = &self.0[at] else {
                return Err(Errno::NOTDIR);
            };
            let is_last = behind.iter().all(|&b| b == b'/');
            let slash = !behind.is_empty();
            let (entry, node) = match &name[..] {
                b"." => (None, Some(at)),
                b".." if at == base => return Err(Errno::PERM),
                b".." => (None, Some(*parent)),
                name if name.len() > 255 => return Err(Errno::NAMETOOLONG),
                name => (Some((at, name.to_vec())), entries.get(name).copied()),
            };
            let target = match node.map(|id| &self.0[id]) {
                Some(Node::Link(target)) => Some(target),
                _ => None,
            };
            let follows = match follow {
                Follow::Always => true,
                Follow::Slash => !is_last || slash,
                Follow::Never => !is_last,
            };
            if let Some(target) = target.filter(|_| follows) {
                links += 1;
                if links > 40 {
                    return Err(Errno::LOOP);
                }
                if target[0] == b'/' {
                    if base != 0 {
                        return Err(Errno::PERM);
                    }
                    at = 0;
                }
                text = [&target[..], &behind].concat();
            } else if is_last {
                return Ok(Found { entry, node, slash });
            } else {
                at = node.ok_or(Errno::NOENT)?;
                text = behind;
            }
        }
    }

    /// What a path leads to, for calls that only look.
    pub(super) fn existing(&self, base: Id, path: &[u8], follow: Follow) -> Verdict<Id> {
        let found = self.walk(base, path, follow).map_err(Refused::Walk)?;
        match found.node {
            Some(id) if !found.slash || self.is_dir(id) => Ok(id),
            _ => Err(Refused::Call),
        }
    }

    /// The entry that a path ends in, and what it leads to.
    fn entry(
        &self,
        base: Id,
        path: &[u8],
        follow: Follow,
    ) -> Verdict<(Id, Vec<u8>, Option<Id>, bool)> {
        let found = self.walk(base, path, follow).map_err(Refused::Walk)?;
        let (parent, name) = found.entry.ok_or(Refused::Call)?;
        Ok((parent, name, found.node, found.slash))
    }

    /// The place of a new entry.
    fn vacant(
        &self,
        base: Id,
        path: &[u8],
        follow: Follow,
        slash_is_fine: bool,
    ) -> Verdict<(Id, Vec<u8>)> {
        let (parent, name, node, slash) = self.entry(base, path, follow)?;
        let removed = matches!(self.0[parent], Node::Dir(_, _, true));
        if node.is_some() || removed || (slash && !slash_is_fine) {
            return Err(Refused::Call);
        }
        Ok((parent, name))
    }

    /// Opens for reading; answers what was opened, with `create` a new file.
    pub(super) fn open(&mut self, base: Id, path: &[u8], follow: bool, how: Open) -> Verdict<Id> {
        if how.create && path.ends_with(b"/") {
            self.walk(base, path, Follow::Never)
                .map_err(Refused::Walk)?;
            return Err(Refused::Call);
        }
        let follow = if follow && !(how.create && how.exclusive) {
            Follow::Always
        } else {
            Follow::Slash
        };
        let found = self.walk(base, path, follow).map_err(Refused::Walk)?;
        if found.node.is_none() && how.create {
            let (parent, name) = self.vacant(base, path, follow, false)?;
            self.add(parent, &name, Node::File);
            return Ok(self.0.len() - 1);
        }
        let id = self.existing(base, path, follow)?;
        let fits = match &self.0[id] {
            Node::File => !how.directory && (!how.create || !how.exclusive),
            Node::Link(_) => false,
            Node::Dir(..) => !how.create && !how.truncate,
        };
        if fits { Ok(id) } else { Err(Refused::Call) }
    }

    pub(super) fn mkdir(&mut self, base: Id, path: &[u8]) -> Verdict<()> {
        let (parent, name) = self.vacant(base, path, Follow::Never, true)?;
        self.add(parent, &name, Node::Dir(parent, BTreeMap::new(), false));
        Ok(())
    }

    pub(super) fn rmdir(&mut self, base: Id, path: &[u8]) -> Verdict<()> {
        let (parent, name, node, _) = self.entry(base, path, Follow::Never)?;
        match node.map(|id| &mut self.0[id]) {
            Some(Node::Dir(_, entries, removed)) if entries.is_empty() => *removed = true,
            _ => return Err(Refused::Call),
        }
        self.entries_mut(parent).remove(&name);
        Ok(())
    }

    pub(super) fn unlink(&mut self, base: Id, path: &[u8]) -> Verdict<()> {
        let (parent, name, node, slash) = self.entry(base, path, Follow::Never)?;
        if slash || node.is_none_or(|id| self.is_dir(id)) {
            return Err(Refused::Call);
        }
        self.entries_mut(parent).remove(&name);
        Ok(())
    }

    pub(super) fn symlink(&mut self, target: &[u8], base: Id, path: &[u8]) -> Verdict<()> {
        if target.is_empty()
            || target.len() > 4095
            || target.contains(&0)
            || target.starts_with(b"/")
        {
            return Err(Refused::Call);
        }
        let (parent, name) = self.vacant(base, path, Follow::Slash, false)?;
        self.add(parent, &name, Node::Link(target.into()));
        Ok(())
    }

    pub(super) fn link(&mut self, old: (Id, &[u8]), new: (Id, &[u8])) -> Verdict<()> {
        let id = self.existing(old.0, old.1, Follow::Slash)?;
        let (parent, name) = self.vacant(new.0, new.1, Follow::Slash, false)?;
        if self.is_dir(id) {
            return Err(Refused::Call);
        }
        self.entries_mut(parent).insert(name, id);
        Ok(())
    }

    pub(super) fn rename(&mut self, old: (Id, &[u8]), new: (Id, &[u8])) -> Verdict<()> {
        // As in Linux, which fetches both before it walks either.
        if old.1.len() > 4095 || new.1.len() > 4095 {
            return Err(Refused::Walk(Errno::NAMETOOLONG));
        }
        let from = self
            .walk(old.0, old.1, Follow::Never)
            .map_err(Refused::Walk)?;
        let to = self
            .walk(new.0, new.1, Follow::Never)
            .map_err(Refused::Walk)?;
        let (Some((from_dir, from_name)), Some((to_dir, to_name)), Some(id)) =
            (from.entry, to.entry, from.node)
        else {
            return Err(Refused::Call);
        };
        let moves_dir = self.is_dir(id);
        if (from.slash || to.slash) && !moves_dir {
            return Err(Refused::Call);
        }
        if moves_dir && self.is_below(to_dir, id) {
            return Err(Refused::Call);
        }
        match to.node {
            Some(target) if target == id => return Ok(()),
            Some(target) => {
                let fits = match &self.0[target] {
                    Node::Dir(_, entries, _) => moves_dir && entries.is_empty(),
                    _ => !moves_dir,
                };
                if !fits {
                    return Err(Refused::Call);
                }
            }
            None if matches!(self.0[to_dir], Node::Dir(_, _, true)) => return Err(Refused::Call),
            None => {}
        }
        if let Some(Node::Dir(_, _, removed)) = to.node.map(|target| &mut self.0[target]) {
            *removed = true;
        }
        self.entries_mut(from_dir).remove(&from_name);
        self.entries_mut(to_dir).insert(to_name, id);
        if let Node::Dir(parent, _, _) = &mut self.0[id] {
            *parent = to_dir;
        }
        Ok(())
    }

    /// Whether `dir` is `above` or lies in it.
    fn is_below(&self, mut dir: Id, above: Id) -> bool {
        loop {
            match &self.0[dir] {
                _ if dir == above => return true,
                Node::Dir(_, _, true) => return false,
                Node::Dir(parent, _, _) if *parent != dir => dir = *parent,
                _ => return false,
            }
        }
    }

    /// Asserts that the file system holds what the model does; answers the
    /// inodes of the nodes.
    pub(super) fn compare(&self, fs: &Memfs<'_>) -> HashMap<Id, Ino> {
        let mut inodes = HashMap::new();
        let mut open = vec![(0, Memfs::ROOT)];
        while let Some((id, ino)) = open.pop() {
            if let Some(known) = inodes.insert(id, ino) {
                assert_eq!(known, ino, "names of one file lead to one inode");
                continue;
            }
            match (&self.0[id], fs.inode(ino).kind()) {
                (Node::File, SeenKind::Regular(_)) => {}
                (Node::Link(target), SeenKind::Symlink(real)) => assert_eq!(target[..], real[..]),
                (Node::Dir(_, entries, _), SeenKind::Directory(real)) => {
                    assert_eq!(
                        entries.len(),
                        real.len() as usize,
                        "{entries:?} in {real:?}"
                    );
                    for (name, child, _) in real.entries_from(0) {
                        let id = entries.get(name).unwrap_or_else(|| {
                            panic!("the model has no {}", name.escape_ascii());
                        });
                        open.push((*id, child));
                    }
                }
                (node, kind) => panic!("{node:?} is {kind:?}"),
            }
        }
        inodes
    }
}

/// `oflags` of an open for reading.
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) create: bool,
    pub(super) directory: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
}

/// What is packed.
pub(super) enum Packs {
    File,
    Dir,
    Link(&'static str),
}

/// Parents stand before what is in them. Names are short, so that paths out of
/// few bytes meet them.
pub(super) const CONTENTS: &[(&str, Packs)] = &[
    ("f", Packs::File),
    ("d", Packs::Dir),
    ("d/e", Packs::Dir),
    ("d/e/f", Packs::File),
    ("d/e/u", Packs::Link("../..")),
    ("d/e/o", Packs::Link("../../..")),
    ("d/r", Packs::Link("/")),
    ("d/a", Packs::Link("/d/e//")),
    ("l", Packs::Link("d/")),
    ("m", Packs::Link("f/")),
    ("n", Packs::Link("new")),
    ("s", Packs::Link("s")),
    ("t", Packs::Link("./d/../l/e")),
    ("x", Packs::Link("y/q")),
    ("y", Packs::Link("x/q")),
];
