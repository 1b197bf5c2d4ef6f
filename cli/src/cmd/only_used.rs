//! `--only-used`: packs what a list names, and what that needs.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Contents, NodeId, Tree};

use crate::mapdir::guest_path_bytes;
use crate::output;
use crate::report::{self, Hinted};
use crate::scan::Source;
use crate::shown::Shown;

/// Lists of files.
#[derive(clap::Args)]
pub(super) struct OnlyUsed {
    /// Of all that is mapped pack only what LIST names, as `monaka profile` writes it;
    /// may be given many times
    ///
    /// What stands in any of the lists is packed, with its directories and the symbolic
    /// links that lead to it. Directories with nothing in them stay, too, as places to
    /// write to. A list has a path a line, or a NUL behind each.
    #[arg(long, value_name = "LIST")]
    only_used: Vec<PathBuf>,
}

/// How many symbolic links one path may lead through, as in the program.
const LINKS_MAX: usize = 40;

impl OnlyUsed {
    /// Takes out of a tree what no list names.
    pub(super) fn apply(&self, tree: &mut Tree<Source>, warnings: &mut Vec<String>) -> Result<()> {
        if self.only_used.is_empty() {
            return Ok(());
        }
        let mut kept = HashSet::new();
        let mut missing = Vec::new();
        for name in self.names()? {
            match tree.lookup(&name) {
                Some(node) => {
                    kept.insert(node);
                }
                None => missing.push(name),
            }
        }
        if kept.is_empty() {
            return Err(Hinted::new(
                "nothing that --only-used names is there to be packed",
                "give the same sources as to the module that was profiled",
            )
            .into());
        }
        if let Some(name) = missing.first() {
            warnings.push(format!(
                "{} of --only-used {} not there to be packed, such as {}",
                report::count(missing.len(), "name", "names"),
                if missing.len() == 1 { "is" } else { "are" },
                Shown(name)
            ));
        }
        trim(tree, kept);
        Ok(())
    }

    /// All paths of the lists.
    fn names(&self) -> Result<BTreeSet<Vec<u8>>> {
        let mut names = BTreeSet::new();
        for list in &self.only_used {
            let shown = output::shown(list, "stdin");
            let cannot = || format!("cannot read --only-used {shown}");
            let text = output::read(list).with_context(cannot)?;
            let end = if text.contains(&0) { 0 } else { b'\n' };
            for (line, name) in (1..).zip(text.split(|byte| *byte == end)) {
                let name = name
                    .strip_suffix(b"\r")
                    .filter(|_| end != 0)
                    .unwrap_or(name);
                if name.is_empty() {
                    continue;
                }
                let path = guest_path_bytes(name)
                    .ok()
                    .filter(|_| name.starts_with(b"/"));
                names.insert(path.ok_or_else(|| {
                    Hinted::new(
                        format!("{shown}:{line}: {} is no path from / on", Shown(name)),
                        "a list has a path a line, as `monaka profile` writes it",
                    )
                })?);
            }
        }
        Ok(names)
    }
}

/// A name in a tree, and the directory that it is in by its place in the same list.
struct Entry {
    parent: usize,
    name: Vec<u8>,
    node: NodeId,
    is_kept: bool,
}

/// Takes out what is not kept.
fn trim<S>(tree: &mut Tree<S>, mut kept: HashSet<NodeId>) {
    kept.insert(NodeId::ROOT);
    kept.extend(tree.preopens().map(|(_, node)| node));
    let mut entries = vec![Entry {
        parent: 0,
        name: Vec::new(),
        node: NodeId::ROOT,
        is_kept: true,
    }];
    let mut at = 0;
    while let Some(&Entry { node, .. }) = entries.get(at) {
        if tree.is_directory(node) {
            entries.extend(tree.children(node).map(|(name, child)| Entry {
                parent: at,
                name: name.to_vec(),
                node: child,
                is_kept: kept.contains(&child)
                    || match tree.contents(child) {
                        Contents::Directory => tree.children(child).next().is_none(),
                        Contents::Device(_) => true,
                        Contents::Regular { .. } | Contents::Symlink { .. } => false,
                    },
            }));
        }
        at += 1;
    }
    keep_parents(&mut entries);
    let mut kept: HashSet<NodeId> = entries
        .iter()
        .filter(|entry| entry.is_kept)
        .map(|entry| entry.node)
        .collect();
    for index in 0..entries.len() {
        if let Contents::Symlink { target } = tree.contents(entries[index].node) {
            let leads_to = resolve(tree, &entries, entries[index].parent, target);
            if leads_to.is_some_and(|node| kept.contains(&node)) {
                entries[index].is_kept = true;
            }
        }
    }
    keep_parents(&mut entries);
    kept.clear();
    for entry in entries.iter().rev().filter(|entry| !entry.is_kept) {
        tree.remove(entries[entry.parent].node, &entry.name);
    }
}

/// Keeps the directories in which something is kept. They stand in front of it.
fn keep_parents(entries: &mut [Entry]) {
    for index in (0..entries.len()).rev() {
        if entries[index].is_kept {
            let parent = entries[index].parent;
            entries[parent].is_kept = true;
        }
    }
}

/// What a symbolic link in a directory leads to, in the end.
fn resolve<S>(
    tree: &Tree<S>,
    entries: &[Entry],
    directory: usize,
    target: &[u8],
) -> Option<NodeId> {
    // From the root to where the walk is.
    let mut above = Vec::new();
    let mut at = directory;
    while at != 0 {
        above.push(entries[at].node);
        at = entries[at].parent;
    }
    above.reverse();
    let mut rest: Vec<&[u8]> = Vec::new();
    let mut links = 0;
    let mut link = Some(target);
    loop {
        if let Some(target) = link.take() {
            links += 1;
            if links > LINKS_MAX {
                return None;
            }
            if target.starts_with(b"/") {
                above.clear();
            }
            rest.extend(target.rsplit(|byte| *byte == b'/'));
        }
        let here = above.last().copied().unwrap_or(NodeId::ROOT);
        let Some(name) = rest.pop() else {
            return Some(here);
        };
        match name {
            b"" | b"." => {}
            b".." => {
                above.pop();
            }
            _ if !tree.is_directory(here) => return None,
            _ => {
                let child = tree.child(here, name)?;
                match tree.contents(child) {
                    Contents::Symlink { target } => link = Some(target),
                    _ => above.push(child),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::image::Meta;

    use super::*;

    const NONE: Meta = Meta {
        mtime: 0,
        executable: false,
    };

    fn paths(tree: &Tree<()>) -> Vec<String> {
        let mut paths = Vec::new();
        let mut open = vec![(String::new(), NodeId::ROOT)];
        while let Some((path, node)) = open.pop() {
            for (name, child) in tree.children(node) {
                let path = format!("{path}/{}", String::from_utf8_lossy(name));
                paths.push(path.clone());
                if tree.is_directory(child) {
                    open.push((path, child));
                }
            }
        }
        paths.sort();
        paths
    }

    #[test]
    fn what_a_kept_file_needs_is_kept() {
        let mut tree = Tree::new(NONE);
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        let lib = tree.make_directories(b"/usr/lib", NONE).unwrap();
        let used = tree.add_file(lib, b"used", NONE, 0, ()).unwrap();
        tree.add_file(lib, b"unused", NONE, 0, ()).unwrap();
        let doc = tree.make_directories(b"/usr/doc", NONE).unwrap();
        tree.add_file(doc, b"manual", NONE, 0, ()).unwrap();
        tree.make_directories(b"/var/spool", NONE).unwrap();
        let bin = tree.make_directories(b"/bin", NONE).unwrap();
        for (directory, name, target) in [
            (bin, "far", "../usr/./lib/near"),
            (lib, "near", "used"),
            (NodeId::ROOT, "lib", "usr/lib"),
            (bin, "none", "unused"),
            (bin, "doc", "/usr/doc/manual"),
            (bin, "loop", "loop"),
            (bin, "through", "/lib/used"),
        ] {
            let (name, target) = (name.as_bytes(), target.as_bytes());
            tree.add_symlink(directory, name, NONE, target).unwrap();
        }
        trim(&mut tree, HashSet::from([used]));
        let expected = [
            "/bin",
            "/bin/far",
            "/bin/through",
            "/lib",
            "/usr",
            "/usr/lib",
            "/usr/lib/near",
            "/usr/lib/used",
            "/var",
            "/var/spool",
        ];
        assert_eq!(paths(&tree), expected);
    }
}
