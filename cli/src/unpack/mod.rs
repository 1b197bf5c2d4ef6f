//! A tree's files on their way out of an image: into a [`directory`] or a tar
//! [`archive`].
//!
//! 1. Both get the same walk, [`walk`]: directories before what is in them,
//!    names in order, a file's second name as a hard link to its first. So the
//!    same tree gives the same archive.
//! 2. Names and link targets come from whoever packed the tree or ran in it. A
//!    [`Tree`] has checked that no name is a path; here nothing is ever written
//!    over or through something that is there already.
//! 3. Devices are left out: they are the program's, and making them is root's.

mod archive;
mod directory;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use monaka_vfs_core::image::{Contents, Meta, NodeId, Tree};

use crate::output::{self, Output};
use crate::report::{self, Hinted};
use crate::shown::Shown;

/// Where files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into a directory, which is made, or is there and empty.
    Directory(PathBuf),
    /// Into a tar archive; `-` is stdout.
    Archive(PathBuf),
}

impl Place {
    /// What a path on the command line means: `-` and names that end in `.tar`
    /// are archives.
    pub(crate) fn of(path: &Path) -> Result<Place> {
        const OTHERS: [&str; 8] = ["tgz", "gz", "txz", "xz", "tzst", "zst", "bz2", "zip"];
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if output::is_dash(path) || extension == "tar" {
            return Ok(Place::Archive(path.into()));
        }
        if OTHERS.iter().any(|other| extension == *other) {
            return Err(Hinted::new(
                format!(
                    "{} is to be a directory, or an archive of a kind that is not written",
                    path.display()
                ),
                "name a directory or a .tar; `-` is a tar archive on stdout, for gzip to compress",
            )
            .into());
        }
        Ok(Place::Directory(path.into()))
    }

    /// Refuses what cannot become the output, before any work is done.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Place::Archive(path) => Output::check(path),
            Place::Directory(path) => directory::check(path),
        }
    }

    /// What messages call it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Place::Archive(path) => output::shown(path, "stdout"),
            Place::Directory(path) => path.display().to_string(),
        }
    }

    /// Writes all of a tree, or leaves nothing behind. `copy` writes the contents
    /// of one regular file, whose length is given.
    pub(crate) fn write<S>(
        &self,
        tree: &Tree<S>,
        copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
    ) -> Result<Count> {
        match self {
            Place::Archive(path) => archive::write(tree, path, copy),
            Place::Directory(path) => directory::write(tree, path, copy),
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    files: usize,
    bytes: u64,
    /// The root does not count.
    directories: usize,
    symlinks: usize,
    /// Second and further names.
    links: usize,
    /// Left out.
    devices: usize,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files = report::count(self.files, "file", "files");
        write!(f, "{files} ({})", report::bytes(self.bytes))?;
        for (count, one, many) in [
            (self.directories, "directory", "directories"),
            (self.symlinks, "symbolic link", "symbolic links"),
            (self.links, "hard link", "hard links"),
        ] {
            if count > 0 {
                write!(f, ", {}", report::count(count, one, many))?;
            }
        }
        if self.devices > 0 {
            let devices = report::count(self.devices, "device", "devices");
            write!(f, "; without {devices}")?;
        }
        Ok(())
    }
}

/// What is to be written next.
enum Step<'t, S> {
    /// A directory; what is in it follows.
    Enter(Meta),
    /// The same directory, when all in it was written.
    Leave(Meta),
    /// A regular file.
    File { meta: Meta, len: u64, source: &'t S },
    /// A symbolic link.
    Symlink { meta: Meta, target: &'t [u8] },
    /// One more name of what was written under the path `first`.
    Link { meta: Meta, first: &'t [u8] },
}

/// Calls `visit` with each step and its path, which has no slash in front and is
/// empty for the root.
fn walk<S>(
    tree: &Tree<S>,
    mut visit: impl FnMut(&[u8], Step<'_, S>) -> Result<()>,
) -> Result<Count> {
    let mut count = Count::default();
    let mut path: Vec<u8> = Vec::new();
    let mut written: HashMap<NodeId, Vec<u8>> = HashMap::new();
    // Not recursive: programs make directories as deep as they like. With each
    // directory stands how long its parent's path is.
    let mut stack = vec![(NodeId::ROOT, tree.children(NodeId::ROOT), 0)];
    let mut visit = |path: &[u8], step: Step<'_, S>| {
        visit(path, step).with_context(|| format!("cannot write /{}", Shown(path)))
    };
    visit(&path, Step::Enter(tree.meta(NodeId::ROOT)))?;
    while let Some((directory, entries, parent)) = stack.last_mut() {
        let Some((name, node)) = entries.next() else {
            visit(&path, Step::Leave(tree.meta(*directory)))?;
            path.truncate(*parent);
            stack.pop();
            continue;
        };
        let parent = path.len();
        if parent != 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let meta = tree.meta(node);
        match (tree.contents(node), written.get(&node)) {
            (Contents::Directory, _) => {
                visit(&path, Step::Enter(meta))?;
                count.directories += 1;
                stack.push((node, tree.children(node), parent));
                continue;
            }
            (Contents::Device(_), _) => count.devices += 1,
            (_, Some(first)) => {
                visit(&path, Step::Link { meta, first })?;
                count.links += 1;
            }
            (Contents::Regular { len, source, .. }, None) => {
                visit(&path, Step::File { meta, len, source })?;
                count.files += 1;
                count.bytes += len;
                written.insert(node, path.clone());
            }
            (Contents::Symlink { target }, None) => {
                visit(&path, Step::Symlink { meta, target })?;
                count.symlinks += 1;
                written.insert(node, path.clone());
            }
        }
        path.truncate(parent);
    }
    Ok(count)
}

/// Counts what is written, and fails when that is not what was announced.
struct Exactly<W> {
    out: W,
    left: u64,
}

impl<W: Write> Exactly<W> {
    fn new(out: W, len: u64) -> Exactly<W> {
        Exactly { out, left: len }
    }

    fn finish(self) -> Result<W> {
        ensure!(self.left == 0, "its contents end {} bytes early", self.left);
        Ok(self.out)
    }
}

impl<W: Write> Write for Exactly<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::other(
                "its contents are longer than they should be",
            ));
        }
        let written = self.out.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(all(test, unix))]
mod tests;
