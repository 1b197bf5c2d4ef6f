//! What goes into an image, listed before anything is written.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::Result;
use monaka_vfs_core::image::{Contents, Escaped, Meta, NodeId, Tree};
use serde_json::{Map, Value, json};

use crate::dates::written;

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
        let _ = writeln!(text, "{}{slash}", Escaped(&item.path));
    }
    text
}

/// Sizes and paths, a line each.
pub(crate) fn sizes<S>(tree: &Tree<S>) -> String {
    let mut text = String::new();
    for item in items(tree) {
        let path = Escaped(&item.path);
        let (size, more) = match (item.first, item.contents) {
            (Some(first), _) => (String::new(), format!(" = {}", Escaped(&first))),
            (_, Contents::Regular { len, .. }) => (len.to_string(), String::new()),
            (_, Contents::Directory) => (String::new(), "/".into()),
            (_, Contents::Symlink { target }) => {
                (String::new(), format!(" -> {}", Escaped(target)))
            }
            (_, Contents::Device(_)) => (String::new(), " (device)".into()),
        };
        let _ = writeln!(text, "{size:>10}  {path}{more}");
    }
    text
}

/// A name for JSON: as it is where it is text, or else with escapes.
pub(crate) fn text(name: &[u8]) -> String {
    let text = std::str::from_utf8(name).map(str::to_owned);
    text.unwrap_or_else(|_| Escaped(name).to_string())
}

/// The same as a JSON array with an object for each name.
pub(crate) fn json<S>(tree: &Tree<S>) -> Result<String> {
    let items = items(tree).into_iter().map(|item| {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.into(), value);
        set("path", text(&item.path).into());
        let kind = match item.contents {
            Contents::Directory => "directory",
            Contents::Regular { .. } => "file",
            Contents::Symlink { .. } => "symlink",
            Contents::Device(_) => "device",
        };
        set("kind", kind.into());
        if let Contents::Regular { len, .. } = item.contents {
            set("size", len.into());
            set("executable", item.meta.executable.into());
        }
        if let Contents::Symlink { target } = item.contents {
            set("target", text(target).into());
        }
        if let Some(first) = item.first {
            set("hard_link_to", text(&first).into());
        }
        set("mtime", json!(written(item.meta.mtime)));
        Value::Object(fields)
    });
    let items: Vec<Value> = items.collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&items)?))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(paths(&tree()), "/d/\n/d/f\\x0a\n/e\n/g\n");
        assert_eq!(
            sizes(&tree()),
            "            /d/\n     12345  /d/f\\x0a\n            /e -> d/f\n            /g = /d/f\\x0a\n"
        );
        let json: Value = serde_json::from_str(&json(&tree()).unwrap()).unwrap();
        assert_eq!(
            json[1],
            json!({
                "path": "/d/f\n", "kind": "file", "size": 12345, "executable": true,
                "mtime": "2023-11-14T22:13:20Z"
            })
        );
        assert_eq!(json[3]["hard_link_to"], "/d/f\n");
        assert_eq!(text(b"a \xff"), "a\\x20\\xff");
    }
}
