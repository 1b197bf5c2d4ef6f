//! `monaka extract`: packed files, back in a directory or an archive.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Contents, NodeId, Tree};

use crate::find::{Last, join, rooted};
use crate::furnish;
use crate::mapdir::to_bytes;
use crate::output;
use crate::report;
use crate::stored::Stored;
use crate::unpack::Place;

/// Writes packed files into a directory or a tar archive, without running anything.
///
/// Times, executable bits, symbolic and hard links stay. No path leads out of DIR
/// and nothing there is overwritten. Devices are left out, and so are the /dev and
/// /tmp that `pack` adds; packing what was extracted is packing the same again.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka extract out.wasm -o ./root
  monaka extract out.wasm -o root.tar
  monaka extract files.img -o ./part /etc /usr/lib
  monaka extract out.wasm -o - | tar tv

A PATH is written with the directories that it is in, as tar does.

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written.")]
pub(crate) struct Opts {
    /// A packed module or an image file; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// A new or empty directory, or a tar archive if it ends in .tar; `-` is an
    /// archive on stdout
    #[arg(short, long, value_name = "DIR|X.TAR")]
    output: PathBuf,
    /// What is written, with all below it; everything if none is given
    #[arg(value_name = "PATH")]
    paths: Vec<OsString>,
    /// Say nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

/// Where contents are in the data area, and how many bytes they take there if they
/// are compressed.
#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    stored: Option<u32>,
}

impl Opts {
    /// Extracts.
    pub(crate) fn run(self) -> Result<()> {
        let name = output::shown(&self.input, "the file from stdin");
        self.extract()
            .with_context(|| format!("cannot extract {name}"))
    }

    fn extract(&self) -> Result<()> {
        let place = Place::of(&self.output)?;
        place.check()?;
        let stored = Stored::open(&self.input)?;
        let mut tree = tree(&stored)?;
        if self.paths.is_empty() {
            furnish::strip(&mut tree);
        } else {
            let mut wanted = Vec::new();
            for path in &self.paths {
                let found = stored.find(&to_bytes(path)?, Last::Keep)?;
                wanted.push(rooted(found.path));
            }
            keep(&mut tree, &wanted);
        }
        let written = place.write(&tree, |extent, len, out| {
            let mut contents = stored.read(extent.start, len, extent.stored)?;
            output::copy(&mut contents, out)
        })?;
        if !self.quiet {
            report::note(&format!("extracted {written} into {}", place.shown()));
        }
        Ok(())
    }
}

/// What is packed.
fn tree(stored: &Stored) -> Result<Tree<Extent>> {
    let mut tree = stored.image()?.to_tree(|start, _| Extent {
        start,
        stored: None,
    });
    let mut open = vec![NodeId::ROOT];
    while let Some(node) = open.pop() {
        open.extend(tree.children(node).map(|(_, child)| child));
        if let Contents::Regular {
            stored: Some(stored),
            source: &Extent { start, .. },
            ..
        } = tree.contents(node)
        {
            let stored = Some(stored);
            tree.set_source(node, stored, Extent { start, stored });
        }
    }
    Ok(tree)
}

/// Removes all that is neither at or below a wanted path nor on the way there.
fn keep<S>(tree: &mut Tree<S>, wanted: &[Vec<u8>]) {
    let is_wanted = |path: &[u8]| wanted.iter().any(|wanted| wanted == path);
    let is_above = |path: &[u8]| {
        let mut wanted = wanted.iter();
        wanted.any(|wanted| {
            wanted
                .strip_prefix(path)
                .is_some_and(|rest| rest.first() == Some(&b'/'))
        })
    };
    if is_wanted(b"/") {
        return;
    }
    let mut open = vec![(Vec::new(), NodeId::ROOT)];
    while let Some((path, directory)) = open.pop() {
        let children: Vec<_> = tree
            .children(directory)
            .map(|(name, node)| (name.to_vec(), node))
            .collect();
        for (name, node) in children {
            let path = join(path.clone(), &name);
            if is_wanted(&path) {
                continue;
            } else if is_above(&path) {
                open.push((path, node));
            } else {
                tree.remove(directory, &name);
            }
        }
    }
}
