//! Two trees side by side: what one has and the other has not, and what is in
//! both but not the same.
//!
//! 1. A side is a packed module, an image file or a directory of the host, which
//!    is read as `pack` would read it: special files and what a `.monakaignore`
//!    names are no part of it.
//! 2. Names, types, contents, executable bits and targets of links are compared;
//!    times on demand. What only packed trees have (devices, read-only places)
//!    is compared among them, and missed in no directory: nor are the /dev and
//!    /tmp that `pack` adds.
//! 3. Contents are never whole in memory. What is stored alike is alike, so two
//!    compressed files are decoded only where they are not.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use monaka_vfs_core::image::{Contents, Meta, NodeId, Tree};
use serde::Serialize;

use crate::entry::device_name;
use crate::find::join;
use crate::furnish;
use crate::progress::Progress;
use crate::report;
use crate::scan::{self, Choice, Source};
use crate::shown::{JsonPath, Shown, Time};
use crate::stored::Stored;

/// One of the trees.
pub(crate) struct Side {
    pub(crate) tree: Tree<Source>,
    /// Where packed contents are; nothing of a directory.
    stored: Option<Stored>,
}

impl Side {
    /// Opens a packed module, an image file or a directory, of which `choice` says
    /// what is looked at; `-` is a module or image from stdin.
    pub(crate) fn open(path: &Path, choice: &Choice, progress: Progress) -> Result<Side> {
        match path.is_dir() {
            true => Side::directory(path, choice, progress),
            false => Side::packed(Stored::open(path)?),
        }
    }

    /// A directory of the host.
    pub(crate) fn directory(path: &Path, choice: &Choice, progress: Progress) -> Result<Side> {
        let (tree, warnings) = scan::directory_tree(path, choice, progress)?;
        for warning in &warnings {
            report::warning(warning);
        }
        Ok(Side { tree, stored: None })
    }

    /// What is packed.
    pub(crate) fn packed(stored: Stored) -> Result<Side> {
        let tree = stored.image()?.to_tree(|start, _| Source::Packed { start });
        Ok(Side {
            tree,
            stored: Some(stored),
        })
    }

    /// The packed file, unless this is a directory.
    pub(crate) fn stored(&self) -> Option<&Stored> {
        self.stored.as_ref()
    }

    fn is_directory(&self) -> bool {
        self.stored.is_none()
    }

    /// What stands at a path.
    fn at(&self, path: &[u8]) -> Option<Place> {
        let names = path.split(|byte| *byte == b'/');
        let root = Place {
            node: NodeId::ROOT,
            read_only: self.tree.read_only(NodeId::ROOT).unwrap_or(false),
        };
        let mut names = names.filter(|name| !name.is_empty());
        names.try_fold(root, |above, name| {
            let node = self.tree.child(above.node, name)?;
            Some(self.below(above, node))
        })
    }

    fn children(&self, directory: Place) -> impl Iterator<Item = (&[u8], Place)> {
        let children = self.tree.children(directory.node);
        children.map(move |(name, node)| (name, self.below(directory, node)))
    }

    fn below(&self, above: Place, node: NodeId) -> Place {
        let read_only = self.tree.read_only(node).unwrap_or(above.read_only);
        Place { node, read_only }
    }

    /// What a regular file contains.
    fn contents(&self, node: NodeId) -> Result<Box<dyn Read + '_>> {
        let Contents::Regular {
            len,
            stored,
            source,
        } = self.tree.contents(node)
        else {
            bail!("only regular files have contents");
        };
        match (source, &self.stored) {
            (Source::Packed { start }, Some(file)) => file.read(*start, len, stored),
            (Source::Host { path, .. }, _) => {
                let file = File::open(path);
                let file = file.with_context(|| format!("cannot read {}", path.display()))?;
                Ok(Box::new(file))
            }
            _ => bail!("its contents are in no file"),
        }
    }

    /// The bytes that a packed file takes, and whether they are compressed.
    fn stored_bytes(&self, node: NodeId) -> Option<(&[u8], bool)> {
        let Contents::Regular {
            len,
            stored,
            source: Source::Packed { start },
        } = self.tree.contents(node)
        else {
            return None;
        };
        let taken = stored.map_or(len, u64::from);
        let bytes = self.stored.as_ref()?.bytes(*start, taken)?;
        Some((bytes, stored.is_some()))
    }
}

/// Something in a tree.
#[derive(Clone, Copy)]
struct Place {
    node: NodeId,
    read_only: bool,
}

/// What two trees differ in at one path.
#[derive(Serialize)]
pub(crate) struct Difference {
    #[serde(flatten)]
    path: JsonPath,
    change: &'static str,
    /// What of it has changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    what: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<State>,
    /// The line for people.
    #[serde(skip)]
    pub(crate) line: String,
}

/// What stands at a path of one tree.
#[derive(Serialize)]
struct State {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    executable: bool,
    mtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

impl State {
    fn of(tree: &Tree<Source>, node: NodeId) -> State {
        let Meta { executable, .. } = tree.meta(node);
        let (size, target) = match tree.contents(node) {
            Contents::Regular { len, .. } => (Some(len), None),
            Contents::Symlink { target } => (None, Some(Shown(target).to_string())),
            Contents::Directory | Contents::Device(_) => (None, None),
        };
        State {
            kind: kind_name(&tree.contents(node)),
            size,
            executable,
            mtime: Time::of(tree.meta(node)).rfc3339(),
            target,
        }
    }
}

fn kind_name(contents: &Contents<'_, Source>) -> &'static str {
    match contents {
        Contents::Directory => "directory",
        Contents::Regular { .. } => "file",
        Contents::Symlink { .. } => "symlink",
        Contents::Device(_) => "device",
    }
}

/// An old and a new tree.
pub(crate) struct Comparison<'s> {
    pub(crate) old: &'s Side,
    pub(crate) new: &'s Side,
    /// Whether times count.
    pub(crate) mtime: bool,
}

impl Comparison<'_> {
    /// Calls `tell` with each difference at and below a path, in the order of
    /// names, until that answers false. A path that leads nowhere in both has none.
    pub(crate) fn run(
        &self,
        path: &[u8],
        mut tell: impl FnMut(Difference) -> Result<bool>,
    ) -> Result<()> {
        let mut open = vec![(path.to_vec(), self.old.at(path), self.new.at(path))];
        while let Some((path, old, new)) = open.pop() {
            if let Some(difference) = self.difference(&path, old, new)?
                && !tell(difference)?
            {
                return Ok(());
            }
            let children = merged(
                old.into_iter().flat_map(|place| self.old.children(place)),
                new.into_iter().flat_map(|place| self.new.children(place)),
            );
            for (name, old, new) in children.into_iter().rev() {
                let path = join(path.clone(), name);
                let is_missed = match (old, new) {
                    (Some(place), None) => !is_no_file(self.old, self.new, &path, place.node),
                    (None, Some(place)) => !is_no_file(self.new, self.old, &path, place.node),
                    _ => true,
                };
                if is_missed {
                    open.push((path, old, new));
                }
            }
        }
        Ok(())
    }

    /// What is different at a path, whatever is below it.
    fn difference(
        &self,
        path: &[u8],
        old: Option<Place>,
        new: Option<Place>,
    ) -> Result<Option<Difference>> {
        let (change, mark, changes) = match (old, new) {
            (None, None) => return Ok(None),
            (None, Some(_)) => ("added", 'A', Vec::new()),
            (Some(_), None) => ("removed", 'D', Vec::new()),
            (Some(old), Some(new)) => {
                let changes = self.changes(old, new);
                let changes = changes.with_context(|| format!("cannot compare {}", Shown(path)))?;
                if changes.is_empty() {
                    return Ok(None);
                }
                ("changed", 'M', changes)
            }
        };
        let is_directory = new.map_or_else(
            || old.is_some_and(|old| self.old.tree.is_directory(old.node)),
            |new| self.new.tree.is_directory(new.node),
        );
        let slash = if is_directory && path != b"/" {
            "/"
        } else {
            ""
        };
        let mut line = format!("{mark} {}{slash}", Shown(path));
        let (what, texts): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        if !texts.is_empty() {
            line += &format!(": {}", texts.join(", "));
        }
        Ok(Some(Difference {
            path: JsonPath::new(path),
            change,
            what,
            old: old.map(|old| State::of(&self.old.tree, old.node)),
            new: new.map(|new| State::of(&self.new.tree, new.node)),
            line,
        }))
    }

    /// What of two nodes is not the same: by name, and for people.
    fn changes(&self, old: Place, new: Place) -> Result<Vec<(&'static str, String)>> {
        let before = self.old.tree.contents(old.node);
        let after = self.new.tree.contents(new.node);
        let mut changes = Vec::new();
        match (&before, &after) {
            (Contents::Directory, Contents::Directory) => {}
            (Contents::Regular { len: was, .. }, Contents::Regular { len, .. }) => {
                if was != len {
                    changes.push(("contents", format!("{was} bytes -> {len}")));
                } else if !self.is_same(old.node, new.node)? {
                    changes.push(("contents", "contents".into()));
                }
            }
            (Contents::Symlink { target: was }, Contents::Symlink { target }) => {
                if was != target {
                    let text = format!("leads to {} -> {}", Shown(was), Shown(target));
                    changes.push(("target", text));
                }
            }
            (Contents::Device(was), Contents::Device(device)) => {
                if was != device {
                    let text = format!("{} -> {}", device_name(*was), device_name(*device));
                    changes.push(("device", text));
                }
            }
            _ => {
                let text = format!("{} -> {}", kind_name(&before), kind_name(&after));
                return Ok(vec![("type", text)]);
            }
        }
        let (before, after) = (self.old.tree.meta(old.node), self.new.tree.meta(new.node));
        if before.executable != after.executable {
            let not = if after.executable { "" } else { "not " };
            changes.push(("executable", format!("now {not}executable")));
        }
        let packed = !self.old.is_directory() && !self.new.is_directory();
        if packed && old.read_only != new.read_only {
            let not = if new.read_only { "" } else { "not " };
            changes.push(("read-only", format!("now {not}read-only")));
        }
        if self.mtime && before.mtime != after.mtime {
            let (was, is) = (Time::of(before).long(), Time::of(after).long());
            changes.push(("mtime", format!("modified {was} -> {is}")));
        }
        Ok(changes)
    }

    /// Whether two files of the same length contain the same.
    fn is_same(&self, old: NodeId, new: NodeId) -> Result<bool> {
        if let (Some((was, was_compressed)), Some((is, compressed))) =
            (self.old.stored_bytes(old), self.new.stored_bytes(new))
            && was_compressed == compressed
        {
            let same = was == is;
            if same || !compressed {
                return Ok(same);
            }
        }
        Ok(is_equal(
            &mut self.old.contents(old)?,
            &mut self.new.contents(new)?,
        )?)
    }
}

/// Whether what only `side` has is nothing that a directory could have.
fn is_no_file(side: &Side, other: &Side, path: &[u8], node: NodeId) -> bool {
    let is_device = |node| matches!(side.tree.contents(node), Contents::Device(_));
    !side.is_directory()
        && other.is_directory()
        && (is_device(node)
            || furnish::is_place(path)
                && side.tree.is_directory(node)
                && side.tree.children(node).all(|(_, node)| is_device(node)))
}

/// The entries of two directories, by name.
fn merged<'n>(
    old: impl Iterator<Item = (&'n [u8], Place)>,
    new: impl Iterator<Item = (&'n [u8], Place)>,
) -> Vec<(&'n [u8], Option<Place>, Option<Place>)> {
    use std::cmp::Ordering::{Greater, Less};
    let (mut old, mut new) = (old.peekable(), new.peekable());
    let mut merged = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return merged,
            (Some(_), None) => Less,
            (None, Some(_)) => Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let left = if order == Greater { None } else { old.next() };
        let right = if order == Less { None } else { new.next() };
        if let Some((name, _)) = left.or(right) {
            let place = |entry: Option<(&'n [u8], Place)>| entry.map(|(_, place)| place);
            merged.push((name, place(left), place(right)));
        }
    }
}

/// Whether two readers give the same bytes.
fn is_equal(one: &mut dyn Read, other: &mut dyn Read) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let (len, other_len) = (fill(one, &mut left)?, fill(other, &mut right)?);
        if left[..len] != right[..other_len] {
            return Ok(false);
        }
        if len < left.len() {
            return Ok(true);
        }
    }
}

/// Reads until a buffer is full or nothing is left.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(buffer.len());
            self.0.read(&mut buffer[..len])
        }
    }

    #[test]
    fn readers_are_compared_whatever_they_give_at_a_time() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let mut other = bytes.clone();
        other[131_072] ^= 1;
        for len in [0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, 200_000] {
            let mut slow = Slow(&bytes[..len], 1000);
            assert!(is_equal(&mut slow, &mut &bytes[..len]).unwrap(), "{len}");
            let same = is_equal(&mut Slow(&bytes[..len], 777), &mut &other[..len]).unwrap();
            assert_eq!(same, len <= 131_072, "{len}");
            if len > 0 {
                let shorter = &mut &bytes[..len - 1];
                assert!(!is_equal(&mut &bytes[..len], shorter).unwrap(), "{len}");
            }
        }
    }
}
