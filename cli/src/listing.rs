//! What goes into an image, listed before anything is written.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::Result;
use monaka_vfs_core::image::{Contents, Meta, NodeId, Tree};
use serde::Serialize;

use crate::shown::{JsonPath, Shown, Time, hex_unless_utf8};

/// A name in a tree.
struct Item<'t, S> {
    path: Vec<u8>,
    meta: Meta,
    contents: Contents<'t, S>,
    /// The first name of the same file.
    first: Option<Vec<u8>>,
}

/// All names below the root, in the order of their paths; a directory's come
/// behind it.
fn items<S>(tree: &Tree<S>) -> Vec<Item<'_, S>> {
    let mut items = Vec::new();
    let mut seen: HashMap<NodeId, Vec<u8>> = HashMap::new();
    let mut open = vec![(Vec::new(), NodeId::ROOT)];
    while let Some((path, node)) = open.pop() {
        if node != NodeId::ROOT {
            let first = seen.get(&node).cloned();
            if first.is_none() && !tree.is_directory(node) {
                seen.insert(node, path.clone());
            }
            items.push(Item {
                path: path.clone(),
                meta: tree.meta(node),
                contents: tree.contents(node),
                first,
            });
        }
        let at = open.len();
        let children = tree.children(node);
        open.extend(children.map(|(name, child)| ([&path[..], b"/", name].concat(), child)));
        open[at..].reverse();
    }
    items
}

/// The paths, a line each, as `tar v` prints them.
pub(crate) fn paths<S>(tree: &Tree<S>) -> String {
    let mut text = String::new();
    for item in items(tree) {
        let slash = match item.contents {
            Contents::Directory => "/",
            _ => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{slash}", Shown(&item.path));
    }
    text
}

/// Sizes and paths, a line each.
pub(crate) fn sizes<S>(tree: &Tree<S>) -> String {
    let mut text = String::new();
    for item in items(tree) {
        let path = Shown(&item.path);
        let (size, more) = match (item.first, item.contents) {
            (Some(first), _) => (String::new(), format!(" = {}", Shown(&first))),
            (_, Contents::Regular { len, .. }) => (len.to_string(), String::new()),
            (_, Contents::Directory) => (String::new(), "/".into()),
            (_, Contents::Symlink { target }) => (String::new(), format!(" -> {}", Shown(target))),
            (_, Contents::Device(_)) => (String::new(), " (device)".into()),
        };
        let _ = writeln!(text, "{size:>10}  {path}{more}");
    }
    text
}

/// A name as an object of JSON.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    path: JsonPath,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hard_link_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hard_link_to_hex: Option<String>,
    mtime: String,
}

impl Listed {
    fn new<S>(item: Item<'_, S>) -> Listed {
        let (kind, size, target) = match item.contents {
            Contents::Directory => ("directory", None, None),
            Contents::Regular { len, .. } => ("file", Some(len), None),
            Contents::Symlink { target } => ("symlink", None, Some(target)),
            Contents::Device(_) => ("device", None, None),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Listed {
            path: JsonPath::new(&item.path),
            kind,
            size,
            executable: size.map(|_| item.meta.executable),
            target: target.map(text),
            target_hex: target.and_then(hex_unless_utf8),
            hard_link_to: item.first.as_deref().map(text),
            hard_link_to_hex: item.first.as_deref().and_then(hex_unless_utf8),
            mtime: Time::of(item.meta).rfc3339(),
        }
    }
}

/// The same as a JSON array with an object for each name.
pub(crate) fn json<S>(tree: &Tree<S>) -> Result<String> {
    let items: Vec<Listed> = items(tree).into_iter().map(Listed::new).collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&items)?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tree() -> Tree<()> {
        let meta = Meta {
            mtime: 1_700_000_000_000_000_000,
            executable: true,
        };
        let mut tree = Tree::new(meta);
        let d = tree.add_directory(NodeId::ROOT, b"d", meta).unwrap();
        let f = tree.add_file(d, b"f\n", meta, 12345, ()).unwrap();
        tree.add_link(NodeId::ROOT, b"g", f).unwrap();
        tree.add_symlink(NodeId::ROOT, b"e", meta, b"d/f").unwrap();
        tree
    }

    #[test]
    fn a_listing_is_in_order_and_names_links() {
        assert_eq!(paths(&tree()), "/d/\n/d/f\\n\n/e\n/g\n");
        assert_eq!(
            sizes(&tree()),
            "            /d/\n     12345  /d/f\\n\n            /e -> d/f\n            /g = /d/f\\n\n"
        );
        let json: Value = serde_json::from_str(&json(&tree()).unwrap()).unwrap();
        assert_eq!(
            json[1],
            json!({
                "path": "/d/f\n", "kind": "file", "size": 12345, "executable": true,
                "mtime": "2023-11-14T22:13:20.000000000Z"
            })
        );
        assert_eq!(json[3]["hard_link_to"], "/d/f\n");
    }
}
