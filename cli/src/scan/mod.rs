//! What mappings name, as a [`Tree`] to be packed.
//!
//! | file | what |
//! |---|---|
//! | [`host`] | directories and files of the host |
//! | [`tar`], [`zip`], [`oci`], [`image`] | archives, each read into a [`staged`] tree |
//! | [`inflate`], [`sparse`], [`archive`] | what they have in common |
//! | [`choice`], [`sink`] | what is wanted of all that, on its way into the tree |
//! | [`source`], [`part`] | where contents are, and how they get into the output |
//!
//! What is found is kept as it is: symbolic links with their target's bytes,
//! hard links among what one mapping brings, names that are not UTF-8, times to
//! the nanosecond, and whether a file is executable. Sockets, pipes and devices
//! are passed over with a warning; anything else that cannot be packed is an
//! error, never left out.
//!
//! Contents are not read here but when the image is written, by
//! [`Source::copy_to`], which refuses a file that is no longer the one that was
//! found.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Contents, Escaped, Meta, NodeId, Tree, TreeError};

use crate::mapdir::{Mapping, Origin};
use crate::progress::Progress;
use crate::report::Hinted;

mod archive;
mod choice;
mod compress;
mod error;
mod host;
mod image;
mod inflate;
mod oci;
mod part;
mod sink;
mod source;
mod sparse;
mod staged;
mod tar;
#[cfg(all(test, unix))]
mod tests;
mod zip;

pub(crate) use choice::Choice;
pub(crate) use compress::{LEVEL, compress, compress_with};
pub(crate) use error::ScanError;
pub(crate) use oci::ImageConfig;
pub(crate) use source::Source;

use archive::Reading;
use inflate::{Budget, Input};
use part::Spool;
use sink::Sink;
use staged::Staged;
use tar::Role;

/// Adds mappings to a tree, one after the other.
pub(crate) struct Scanner<'c> {
    choice: &'c Choice,
    progress: Progress,
    /// Made when it is needed.
    spool: Option<Spool>,
    warnings: Vec<String>,
}

impl<'c> Scanner<'c> {
    /// Adds what `choice` wants of them.
    pub(crate) fn new(choice: &'c Choice, progress: Progress) -> Scanner<'c> {
        Scanner {
            choice,
            progress,
            spool: None,
            warnings: Vec::new(),
        }
    }

    /// Adds what `mapping` names to the tree, over what is there: directories
    /// are merged, of all else the later wins.
    ///
    /// Directories that are missing on the way there have the time of the
    /// source, so that they are the same at any time.
    pub(crate) fn scan(&mut self, tree: &mut Tree<Source>, mapping: &Mapping) -> Result<()> {
        match &mapping.from {
            Origin::Host(host) => host::scan(self, tree, mapping, host),
            Origin::Tar(path) => self.archive(tree, mapping, path, |staged, reading| {
                tar::read(Input::open(path)?, staged, Role::Plain, reading)
            }),
            Origin::Zip(path) => self.archive(tree, mapping, path, |staged, reading| {
                zip::read(Input::open(path)?.whole(reading.spool)?, staged, reading)
            }),
            Origin::Oci(path) => self.archive(tree, mapping, path, |staged, reading| {
                oci::read(path, staged, reading).map(drop)
            }),
            Origin::Image(path) => self.archive(tree, mapping, path, |staged, reading| {
                *staged = image::read(path, reading)?;
                Ok(())
            }),
            Origin::Text(text) => add_text(tree, mapping, text),
        }
    }

    /// What was passed over, and which patterns matched nothing, a line each.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.warnings.extend(self.choice.idle());
        self.warnings
    }

    /// What is packed in the module or image at `path`, with all that is said of it.
    pub(crate) fn image(&mut self, path: &Path) -> Result<Tree<Source>> {
        let staged = image::read(path, &self.reading(path)?)?;
        Ok(staged.into_tree())
    }

    /// The files of the container image at `path`, and how its program is started.
    pub(crate) fn container(&mut self, path: &Path) -> Result<(Tree<Source>, ImageConfig)> {
        let mut staged = Staged::new();
        let config = oci::read(path, &mut staged, &mut self.reading(path)?)?;
        let mut tree = Tree::new(Meta::default());
        let root = Mapping {
            guest: b"/".into(),
            into: true,
            from: Origin::Oci(path.into()),
        };
        self.graft(&mut tree, &root, staged, &archive::name_of(path))?;
        Ok((tree, config))
    }

    /// Keeps what `write` writes until the image is written.
    pub(crate) fn keep(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<Source> {
        let spool = self.spool()?;
        let start = spool.end();
        write(spool)?;
        Ok(Source::Part(spool.since(start)))
    }

    fn spool(&mut self) -> Result<&mut Spool> {
        Ok(match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool::new()?),
        })
    }

    /// What is needed to read the archive at `path`.
    fn reading(&mut self, path: &Path) -> Result<Reading<'_>> {
        self.spool()?;
        Ok(Reading {
            archive: archive::name_of(path),
            budget: Budget::new(self.choice.max_unpacked()),
            spool: self.spool.as_mut().context("there is no spool")?,
            warnings: &mut self.warnings,
            progress: self.progress,
        })
    }

    /// Adds the archive at `path`, whose members `read` brings.
    fn archive(
        &mut self,
        tree: &mut Tree<Source>,
        mapping: &Mapping,
        path: &Path,
        read: impl FnOnce(&mut Staged, &mut Reading<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut staged = Staged::new();
        let mut reading = self.reading(path)?;
        read(&mut staged, &mut reading)?;
        let name = reading.archive;
        self.graft(tree, mapping, staged, &name)
    }

    /// Puts a tree of its own in its place.
    fn graft(
        &mut self,
        tree: &mut Tree<Source>,
        mapping: &Mapping,
        staged: Staged,
        name: &str,
    ) -> Result<()> {
        let missing = staged.missing();
        begin(tree, missing);
        let top = directory(tree, &mapping.guest, missing)?;
        if let (meta, true) = staged.directory_meta(NodeId::ROOT) {
            tree.set_meta(top, meta);
        }
        staged.graft(&mut self.sink(tree, top), name)
    }

    /// The place of a source at the tree's directory `top`.
    fn sink<'s>(&'s mut self, tree: &'s mut Tree<Source>, top: NodeId) -> Sink<'s> {
        let bar = self.progress.files("packing");
        Sink::new(tree, top, self.choice, &mut self.warnings, bar)
    }
}

/// Whether the file at `path` is a tar archive, compressed or not.
pub(crate) fn is_tar(path: &Path) -> Result<bool> {
    tar::is_tar(Input::open(path)?)
}

/// What `pack` would take of a host's directory as `/`, and what should be said of
/// that.
pub(crate) fn directory_tree(
    path: &Path,
    choice: &Choice,
    progress: Progress,
) -> Result<(Tree<Source>, Vec<String>)> {
    let mut tree = Tree::new(Meta::default());
    let mut scanner = Scanner::new(choice, progress);
    let mapping = Mapping {
        guest: b"/".into(),
        into: true,
        from: Origin::Host(path.into()),
    };
    scanner.scan(&mut tree, &mapping)?;
    Ok((tree, scanner.finish()))
}

/// A regular file of the host: its contents, how long they are, and what is kept
/// of it beside.
pub(crate) fn host_file(path: &Path) -> Result<(Source, u64, Meta)> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?;
    if !metadata.is_file() {
        return Err(Hinted::new(
            format!("{shown} is not a regular file"),
            "`monaka add` packs directories",
        )
        .into());
    }
    let source = Source::host(path.into(), &metadata);
    Ok((source, metadata.len(), host::meta(&metadata)))
}

/// Adds a file that was given by its contents. It has no time that a clock or a
/// host could change.
fn add_text(tree: &mut Tree<Source>, mapping: &Mapping, text: &[u8]) -> Result<()> {
    let (parent, name) = split(&mapping.guest);
    let parent = directory(tree, parent, Meta::default())?;
    let source = Source::Text(text.into());
    tree.add_file(parent, name, Meta::default(), text.len() as u64, source)
        .with_context(|| format!("cannot pack {}", Escaped(&mapping.guest)))?;
    Ok(())
}

/// A guest path's directory and last name.
fn split(guest: &[u8]) -> (&[u8], &[u8]) {
    let at = guest.iter().rposition(|&byte| byte == b'/');
    let at = at.expect("a guest path is absolute");
    (&guest[..at], &guest[at + 1..])
}

/// Decides which directories the program finds open, from descriptor 3 on: the
/// mapped ones in the order of their mappings, then `/`; but `/` alone once it
/// is mapped itself. Their names are their guest paths.
///
/// When the tree came out of a packed module its preopens count as mapped
/// first, so packing twice and packing once with all mappings come to the same.
/// (Not if the first time only single files were packed, and so `/` alone was
/// opened: it stays alone, and everything is below it.)
pub(crate) fn preopens(tree: &mut Tree<Source>, mappings: &[Mapping]) -> Result<()> {
    const ROOT: &[u8] = b"/";
    let mut names: Vec<Vec<u8>> = tree.preopens().map(|(name, _)| name.to_vec()).collect();
    if names.len() > 1 && names.last().is_some_and(|name| name == ROOT) {
        names.pop();
    }
    for mapping in mappings {
        if is_directory(mapping)? && !names.contains(&mapping.guest) {
            names.push(mapping.guest.clone());
        }
    }
    if names.iter().any(|name| name == ROOT) {
        names.clear();
    }
    names.push(ROOT.to_vec());

    tree.clear_preopens();
    for name in names {
        match tree.lookup(&name) {
            Some(node) if tree.is_directory(node) => tree.add_preopen(&name, node)?,
            _ => return Err(ScanError::Replaced { guest: name }.into()),
        }
    }
    Ok(())
}

/// Whether what a mapping names is a directory.
fn is_directory(mapping: &Mapping) -> Result<bool> {
    match &mapping.from {
        Origin::Host(host) => Ok(host::metadata(host)?.is_dir()),
        Origin::Tar(_) | Origin::Zip(_) | Origin::Oci(_) | Origin::Image(_) => Ok(true),
        Origin::Text(_) => Ok(false),
    }
}

/// Gives a fresh root the time of the first source; it is missing like any other
/// directory, it just cannot be.
fn begin(tree: &mut Tree<Source>, missing: Meta) {
    if tree.meta(NodeId::ROOT) == Meta::default() && tree.children(NodeId::ROOT).next().is_none() {
        tree.set_meta(NodeId::ROOT, missing);
    }
}

/// The directory at a guest path, made with its parents if need be.
///
/// A symbolic link on the way is not followed: the mapping would appear
/// elsewhere than it says. Nor is it replaced, as that would cut off what the
/// program reaches through it.
fn directory(tree: &mut Tree<Source>, guest: &[u8], missing: Meta) -> Result<NodeId> {
    tree.make_directories(guest, missing)
        .map_err(|error| match error {
            TreeError::NotADirectory { name } => {
                let node = tree.lookup(&name).map(|node| tree.contents(node));
                match node {
                    Some(Contents::Symlink { target }) => ScanError::Symlink {
                        link: name.into(),
                        target: target.into(),
                    },
                    _ => ScanError::File { file: name.into() },
                }
                .into()
            }
            error => error.into(),
        })
}
