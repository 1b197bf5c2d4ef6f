//! COPY and ADD: from one tree into another, as docker does.
//!
//! 1. A directory is copied by what is in it, a file by itself.
//! 2. Where the destination ends in a slash or is a directory, files go into it
//!    under their own names; otherwise it is the new name of the one file.
//! 3. Several files need a destination that is a directory.
//! 4. What a source names itself is followed if it is a symbolic link; links
//!    in a directory that is copied stay links.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Contents, Escaped, Meta, NodeId, Tree};

use super::context::Pattern;
use super::place::{self, Within};
use crate::mapdir::{self, Mapping, Origin};
use crate::report::Hinted;
use crate::scan::{Scanner, Source, is_tar};

/// Where files are copied to.
pub(super) struct Target<'t> {
    pub(super) tree: &'t mut Tree<Source>,
    /// An absolute path; a slash behind it means a directory.
    pub(super) path: String,
    /// Whether files become executable, if that is said.
    pub(super) executable: Option<bool>,
}

/// What a source names.
struct Found {
    name: Vec<u8>,
    node: NodeId,
}

/// Copies what `sources` name in the tree `from`; archives among them are unpacked
/// where there is someone to `unpack` them.
pub(super) fn copy(
    from: &Tree<Source>,
    within: Within,
    sources: &[String],
    target: &mut Target<'_>,
    mut unpack: Option<&mut Scanner<'_>>,
) -> Result<()> {
    let mut found = Vec::new();
    for source in sources {
        let matched = matches(from, within, source)?;
        if matched.is_empty() {
            return Err(missing(source, within));
        }
        found.extend(matched);
    }
    if found.len() > 1 {
        target.must_be_directory()?;
    }
    for Found { name, node } in found {
        let cannot = || format!("cannot copy {}", Escaped(&name));
        let archive = match (&mut unpack, from.contents(node)) {
            (
                Some(scanner),
                Contents::Regular {
                    source: Source::Host { path, .. },
                    ..
                },
            ) if is_tar(path).with_context(cannot)? => Some((scanner, path.clone())),
            _ => None,
        };
        let copied = match archive {
            Some((scanner, path)) => target.unpack(scanner, Origin::Tar(path)),
            None => target.copy(from, &name, node),
        };
        copied.with_context(cannot)?;
    }
    Ok(())
}

/// Writes a text as a file.
pub(super) fn write(text: &str, target: &mut Target<'_>) -> Result<()> {
    if target.is_directory()? {
        return Err(Hinted::new(
            format!(
                "{} is a directory, and a here-document has no name",
                target.path
            ),
            "end the destination with the file's name",
        )
        .into());
    }
    let (parent, name) = target.file(Meta::default())?;
    let meta = Meta {
        mtime: 0,
        executable: target.executable == Some(true),
    };
    let source = Source::Text(text.as_bytes().into());
    (target.tree).add_file(parent, &name, meta, text.len() as u64, source)?;
    Ok(())
}

impl Target<'_> {
    fn is_directory(&self) -> Result<bool> {
        let node = place::find(self.tree, self.path.as_bytes(), Within::Root)?;
        let last = self.path.rsplit('/').next();
        Ok(matches!(last, Some("" | "." | ".."))
            || node.is_some_and(|node| self.tree.is_directory(node)))
    }

    fn must_be_directory(&self) -> Result<()> {
        match self.is_directory()? {
            true => Ok(()),
            false => Err(Hinted::new(
                format!("several files cannot all become {}", self.path),
                "end the destination with a slash: it is a directory then",
            )
            .into()),
        }
    }

    /// The directory that is the target, made if need be.
    fn directory(&mut self, meta: Meta) -> Result<NodeId> {
        let path = place::real(self.tree, self.path.as_bytes(), Within::Root)?;
        Ok(self.tree.make_directories(&path, missing_of(meta))?)
    }

    /// The directory, made if need be, and the name of the file that is the target.
    fn file(&mut self, meta: Meta) -> Result<(NodeId, Vec<u8>)> {
        let path = place::real(self.tree, self.path.as_bytes(), Within::Root)?;
        let Some((directory, name)) = place::split(&path) else {
            anyhow::bail!("the root is a directory");
        };
        let node = self.tree.make_directories(directory, missing_of(meta))?;
        Ok((node, name.to_vec()))
    }

    fn copy(&mut self, from: &Tree<Source>, name: &[u8], node: NodeId) -> Result<()> {
        let meta = from.meta(node);
        if from.is_directory(node) {
            let directory = self.directory(meta)?;
            self.tree.set_meta(directory, meta);
            return self.merge(from, node, directory);
        }
        let (parent, name) = match self.is_directory()? {
            true => (self.directory(meta)?, name.to_vec()),
            false => self.file(meta)?,
        };
        self.add(from, node, parent, &name, &mut HashMap::new())
    }

    /// Copies what is in the directory `node` into the one `to`.
    fn merge(&mut self, from: &Tree<Source>, node: NodeId, to: NodeId) -> Result<()> {
        let mut links = HashMap::new();
        let mut open = vec![(node, to)];
        while let Some((directory, to)) = open.pop() {
            for (name, child) in from.children(directory) {
                if !from.is_directory(child) {
                    self.add(from, child, to, name, &mut links)?;
                    continue;
                }
                if let Some(there) = self.tree.child(to, name)
                    && !self.tree.is_directory(there)
                {
                    return Err(in_the_way(name, "a directory", "a file"));
                }
                let made = self.tree.add_directory(to, name, from.meta(child))?;
                open.push((child, made));
            }
        }
        Ok(())
    }

    /// Copies what is no directory; `links` knows what became of nodes that have
    /// several names.
    fn add(
        &mut self,
        from: &Tree<Source>,
        node: NodeId,
        to: NodeId,
        name: &[u8],
        links: &mut HashMap<NodeId, NodeId>,
    ) -> Result<()> {
        if let Some(there) = self.tree.child(to, name)
            && self.tree.is_directory(there)
        {
            return Err(in_the_way(name, "a file", "a directory"));
        }
        if let Some(link) = links.get(&node) {
            return Ok(self.tree.add_link(to, name, *link)?);
        }
        let meta = from.meta(node);
        let added = match from.contents(node) {
            Contents::Regular {
                len,
                stored,
                source,
            } => {
                let executable = self.executable.unwrap_or(meta.executable);
                let meta = Meta { executable, ..meta };
                let file = self.tree.add_file(to, name, meta, len, source.clone())?;
                self.tree.set_source(file, stored, source.clone());
                file
            }
            Contents::Symlink { target } => self.tree.add_symlink(to, name, meta, target)?,
            Contents::Device(device) => self.tree.add_device(to, name, meta, device)?,
            Contents::Directory => unreachable!("directories are merged"),
        };
        links.insert(node, added);
        Ok(())
    }

    /// Unpacks an archive into the directory that is the target.
    fn unpack(&mut self, scanner: &mut Scanner<'_>, from: Origin) -> Result<()> {
        let guest = place::real(self.tree, self.path.as_bytes(), Within::Root)?;
        let mapping = Mapping {
            guest,
            into: true,
            from,
        };
        scanner.scan(self.tree, &mapping)
    }
}

/// What a source names: one node, or those that match its pattern.
fn matches(from: &Tree<Source>, within: Within, source: &str) -> Result<Vec<Found>> {
    let named = |path: &[u8]| -> Result<Option<Found>> {
        let Some(node) = place::find(from, path, within)? else {
            return Ok(None);
        };
        let name = path
            .split(|byte| *byte == b'/')
            .rfind(|name| !matches!(*name, b"" | b"."));
        let name = name.unwrap_or_default().to_vec();
        Ok(Some(Found { name, node }))
    };
    let literal = named(source.as_bytes())?;
    if literal.is_some() || !Pattern::is_one(source) {
        return Ok(literal.into_iter().collect());
    }
    let pattern = Pattern::new(source).with_context(|| format!("`{source}` is no pattern"))?;
    let Some(pattern) = pattern else {
        return Ok(Vec::new());
    };
    let mut paths = Vec::new();
    let mut open = vec![(NodeId::ROOT, Vec::new())];
    while let Some((directory, path)) = open.pop() {
        for (name, child) in from.children(directory) {
            let path = match &path[..] {
                b"" => name.to_vec(),
                path => [path, b"/", name].concat(),
            };
            let is_directory = from.is_directory(child);
            if pattern.matches(&mapdir::to_path(&path), is_directory) {
                paths.push(path);
            } else if is_directory {
                open.push((child, path));
            }
        }
    }
    paths.sort_unstable();
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        found.extend(named(&path)?);
    }
    Ok(found)
}

fn missing(source: &str, within: Within) -> anyhow::Error {
    let (place, hint) = match within {
        Within::Context => (
            "in the build context",
            "paths are those below the context, and .dockerignore may leave one out",
        ),
        Within::Root => (
            "there",
            "paths are those of the stage or image that is copied from",
        ),
    };
    let what = match Pattern::is_one(source) {
        true => format!("nothing {place} matches {source}"),
        false => format!("{source} is not {place}"),
    };
    Hinted::new(what, hint).into()
}

fn in_the_way(name: &[u8], new: &str, old: &str) -> anyhow::Error {
    Hinted::new(
        format!(
            "{} is {new}, and where it goes there is {old}",
            Escaped(name)
        ),
        "choose another destination, or leave out what is there",
    )
    .into()
}

/// What a directory that is made on the way gets from what goes into it.
fn missing_of(meta: Meta) -> Meta {
    Meta {
        executable: false,
        ..meta
    }
}
