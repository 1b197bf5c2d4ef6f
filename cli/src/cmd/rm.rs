//! `monaka rm`: files out of a packed module.

use std::collections::HashSet;
use std::ffi::OsString;

use anyhow::Result;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use monaka_vfs_core::image::{Kind, NodeId, Tree};

use super::change::{Change, Edit};
use crate::dates::Dates;
use crate::find::{Last, rooted};
use crate::mapdir::guest_path;
use crate::report::Hinted;
use crate::shown::Shown;

/// Removes files from a packed module.
///
/// The result is that of packing the program afresh without them; the directories
/// that they were in keep their times. A symbolic link is removed itself.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka rm out.wasm /etc/motd -o smaller.wasm
  monaka rm out.wasm -r /usr/share/doc /usr/share/man --in-place
  monaka rm out.wasm -r --unmount /data -i

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written.")]
pub(crate) struct Opts {
    #[command(flatten)]
    change: Change,
    /// What is removed
    #[arg(value_name = "PATH", required = true, value_parser = OsStringValueParser::new().try_map(|path: OsString| guest_path(&path)))]
    paths: Vec<Vec<u8>>,
    /// Remove directories with all that is in them
    #[arg(short, long, short_alias = 'R')]
    recursive: bool,
    /// Pass over what is not there
    #[arg(short, long)]
    force: bool,
    /// Remove directories, too, that the program finds open when it starts
    #[arg(long, requires = "recursive")]
    unmount: bool,
}

impl Opts {
    /// Removes.
    pub(crate) fn run(self) -> Result<()> {
        self.change.run("rm", None, |edit| {
            for path in &self.paths {
                self.remove(edit, path)?;
            }
            self.unmount(edit)?;
            Dates::default().apply(&mut edit.tree, &[])
        })
    }

    fn remove(&self, edit: &mut Edit<'_>, path: &[u8]) -> Result<()> {
        if self.force && edit.is_missing(path) {
            return Ok(());
        }
        let found = edit.find(path, Last::Keep)?;
        let shown = Shown(path);
        if found.path.is_empty() {
            return Err(Hinted::new(
                format!("{shown} is the root directory, which stays"),
                "name what is in it",
            )
            .into());
        }
        if found.inode.kind == Kind::Directory && !self.recursive {
            return Err(Hinted::new(
                format!("{shown} is a directory"),
                "-r removes it with all that is in it",
            )
            .into());
        }
        let path = rooted(found.path);
        let at = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        // Where an earlier path was above this one, it is gone already.
        if let Some(parent) = edit.tree.lookup(&path[..at]) {
            edit.tree.remove(parent, &path[at + 1..]);
        }
        Ok(())
    }

    /// Forgets open directories that are gone, if that was said.
    fn unmount(&self, edit: &mut Edit<'_>) -> Result<()> {
        let there = reached(&edit.tree);
        let preopens: Vec<_> = edit.tree.preopens().collect();
        let (kept, gone): (Vec<_>, Vec<_>) = preopens
            .into_iter()
            .map(|(name, node)| (name.to_vec(), node))
            .partition(|(_, node)| there.contains(node));
        if let Some((name, _)) = gone.first()
            && !self.unmount
        {
            return Err(Hinted::new(
                format!("the program finds {} open when it starts", Shown(name)),
                "--unmount removes it all the same",
            )
            .into());
        }
        edit.tree.clear_preopens();
        for (name, node) in kept {
            edit.tree.add_preopen(&name, node)?;
        }
        Ok(())
    }
}

/// All that is in a tree.
fn reached<S>(tree: &Tree<S>) -> HashSet<NodeId> {
    let mut reached = HashSet::from([NodeId::ROOT]);
    let mut open = vec![NodeId::ROOT];
    while let Some(node) = open.pop() {
        open.extend(tree.children(node).map(|(_, child)| child));
        reached.insert(node);
    }
    reached
}
