//! What is packed: the flags that `pack` shares with all that build an image.

use std::path::Path;

use anyhow::Result;
use monaka_vfs_core::image::{Meta, Tree};

use super::mappings::Mappings;
use super::only_used::OnlyUsed;
use crate::dates::Dates;
use crate::furnish::{self, Furnishing};
use crate::mapdir::Origin;
use crate::progress::Progress;
use crate::report::Hinted;
use crate::scan::{Choice, Scanner, Source, preopens};

/// Sources, and what is done with what they bring.
#[derive(clap::Args)]
pub(crate) struct Sources {
    #[command(flatten)]
    pub(crate) added: Added,
    #[command(flatten)]
    only_used: OnlyUsed,
    #[command(flatten)]
    furnishing: Furnishing,
}

/// Files that are added to a tree.
#[derive(clap::Args)]
pub(crate) struct Added {
    #[command(flatten)]
    mappings: Mappings,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    pub(crate) dates: Dates,
}

impl Sources {
    /// What was packed before, with the mappings over it.
    pub(crate) fn tree(
        &self,
        packed: Option<Tree<Source>>,
        progress: Progress,
        warnings: &mut Vec<String>,
    ) -> Result<Tree<Source>> {
        if self.added.is_nothing() && packed.is_none() {
            return Err(Hinted::new(
                "there is nothing to pack",
                "name a directory with --mapdir GUEST::HOST, as in `--mapdir /::./root`",
            )
            .into());
        }
        let mut tree = packed.unwrap_or_else(|| Tree::new(Meta::default()));
        self.added.add(&mut tree, progress, warnings)?;
        self.only_used.apply(&mut tree, warnings)?;
        // After the dates: what nobody has touched is known by having none.
        self.furnishing.furnish(&mut tree)?;
        Ok(tree)
    }
}

impl Added {
    /// Whether no source is named.
    pub(crate) fn is_nothing(&self) -> bool {
        self.mappings.0.is_empty()
    }

    /// Adds the mappings to a tree, over what is there, and gives all its times.
    pub(crate) fn add(
        &self,
        tree: &mut Tree<Source>,
        progress: Progress,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        // What nobody has touched is known by having no time, and keeps none.
        let mut furniture = furnish::untouched(tree);
        let mut scanner = Scanner::new(&self.choice, progress);
        for mapping in &self.mappings.0 {
            scanner.scan(tree, mapping)?;
        }
        warnings.extend(scanner.finish());
        preopens(tree, &self.mappings.0)?;
        let untouched = furnish::untouched(tree);
        furniture.retain(|node| untouched.contains(node));
        self.dates.apply(tree, &furniture)
    }

    /// How many of the sources are read from stdin, which can be only one.
    pub(crate) fn of_stdin(&self) -> usize {
        let origins = self.mappings.0.iter().map(|mapping| &mapping.from);
        origins.filter(|origin| origin.is_stdin()).count()
    }

    /// Warns where an earlier output was packed along with a directory: each
    /// run would then pack the last one's.
    pub(crate) fn within(&self, place: &Path) -> Option<String> {
        let old = place.canonicalize().ok()?;
        let hosts = self.mappings.0.iter().filter_map(|mapping| {
            let Origin::Host(host) = &mapping.from else {
                return None;
            };
            Some(host).filter(|host| host.is_dir())
        });
        let host = hosts
            .into_iter()
            .find(|host| host.canonicalize().is_ok_and(|host| old.starts_with(host)))?;
        let (place, host) = (place.display(), host.display());
        Some(format!(
            "{place} lies in the packed directory {host}, so what stood there was packed too; \
             write the output elsewhere to keep it out"
        ))
    }
}
