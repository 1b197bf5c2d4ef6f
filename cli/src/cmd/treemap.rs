//! `monaka du --html`: a page that draws a tree, each file as large as its bytes.
//!
//! The page is `treemap.html` with the tree put in as JSON. Names are hostile:
//! they reach the page as text only, and JSON has no `<` of theirs in it, so none
//! ends the script that it stands in.

use std::path::Path;

use anyhow::Result;
use monaka_vfs_core::image::{Image, Kind};
use serde::Serialize;

use super::du::Seen;
use crate::find::{Found, rooted};
use crate::output;
use crate::shown::Shown;
use crate::stored::Stored;
use crate::walk::{Step, walk};

const PAGE: &str = include_str!("treemap.html");

/// Where the tree goes.
const PLACE: &str = "{{TREE}}";

/// A tree, flat: a node comes after its directory.
#[derive(Serialize, Default)]
struct Tree {
    /// What was packed, and which part of it is shown.
    file: String,
    root: String,
    names: Vec<String>,
    /// For each node the index of its directory; the root is its own.
    parents: Vec<u32>,
    /// The bytes of each file; -1 for a directory.
    sizes: Vec<i64>,
}

/// Writes the page of all that is below a place.
pub(super) fn write(
    page: &Path,
    stored: &Stored,
    image: Image<'_>,
    start: &Found<'_>,
    seen: &mut Seen,
) -> Result<()> {
    let mut tree = Tree {
        file: stored.name.clone(),
        root: Shown(&rooted(start.path.clone())).to_string(),
        ..Tree::default()
    };
    // The nodes of the directories that the walk is in.
    let mut open = Vec::new();
    walk(image, start, |step| {
        let Step::Meet(place) = step else {
            open.pop();
            return Ok(false);
        };
        let is_directory = match place.inode.kind {
            Kind::Directory => true,
            Kind::Regular { .. } => false,
            // They have no contents.
            Kind::Symlink { .. } | Kind::Device(_) => return Ok(false),
        };
        let index = tree.names.len() as u32;
        tree.names.push(Shown(place.name).to_string());
        tree.parents.push(open.last().copied().unwrap_or(index));
        if is_directory {
            open.push(index);
            tree.sizes.push(-1);
        } else {
            let bytes = seen.bytes_of(&place);
            tree.sizes.push(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        Ok(is_directory)
    })?;
    let json = serde_json::to_string(&tree)?.replace('<', "\\u003c");
    let (before, after) = PAGE.split_once(PLACE).unwrap_or((PAGE, ""));
    output::write(page, [before, &json, after].concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_place_for_the_tree_and_asks_for_nothing() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        for asking in [
            "http:", "https:", "src=", "href=\"", "@import", "url(", "fetch(",
        ] {
            assert!(!PAGE.contains(asking), "{asking}");
        }
    }
}
