//! Paths of a tree, as they are written in a Containerfile.

use monaka_vfs_core::image::{Contents, Escaped, NodeId, Tree};

use anyhow::{Result, bail};

use crate::report::Hinted;

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// Where a tree comes from, which decides what leads out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// The build context: nothing above its top is anyone's to read, and an
    /// absolute link leads into the host.
    Context,
    /// A file system of its own, whose top is `/`.
    Root,
}

/// The path that `path` leads to once symbolic links are followed, the last one
/// too. What is not there is not followed, and may be the rest of it.
pub(super) fn real<S>(tree: &Tree<S>, path: &[u8], within: Within) -> Result<Vec<u8>> {
    let shown = Escaped(path);
    let out = || {
        Hinted::new(
            format!("{shown} leads out of the build context"),
            "copy what is needed into the context, or name another one, which holds it",
        )
    };
    let mut real: Vec<Box<[u8]>> = Vec::new();
    let mut left = names(path);
    left.reverse();
    let mut links = 0;
    while let Some(name) = left.pop() {
        if &*name == b".." {
            if real.pop().is_none() && within == Within::Context {
                return Err(out().into());
            }
            continue;
        }
        real.push(name);
        let node = tree.lookup(&joined(&real));
        match node.map(|node| tree.contents(node)) {
            Some(Contents::Symlink { target }) => {
                links += 1;
                if links > MAX_LINKS {
                    bail!("{shown} follows symbolic links without an end");
                }
                real.pop();
                if target.starts_with(b"/") {
                    if within == Within::Context {
                        return Err(out().into());
                    }
                    real.clear();
                }
                left.extend(names(target).into_iter().rev());
            }
            Some(Contents::Regular { .. } | Contents::Device(_)) if !left.is_empty() => {
                bail!(
                    "{} is not a directory, and {shown} goes on",
                    Escaped(&joined(&real))
                );
            }
            _ => {}
        }
    }
    Ok(joined(&real))
}

/// What a path leads to, symbolic links followed.
pub(crate) fn find<S>(tree: &Tree<S>, path: &[u8], within: Within) -> Result<Option<NodeId>> {
    Ok(tree.lookup(&real(tree, path, within)?))
}

/// A path as it is meant in a working directory.
pub(super) fn absolute(workdir: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => path.into(),
        false => format!("{workdir}/{path}"),
    }
}

/// A path without what says nothing: the one that a program sees.
pub(super) fn tidy(path: &str) -> String {
    let mut tidy: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                tidy.pop();
            }
            name => tidy.push(name),
        }
    }
    format!("/{}", tidy.join("/"))
}

/// A path's directory and last name; the root has none.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.iter().rposition(|byte| *byte == b'/')?;
    let (directory, name) = (&path[..at], &path[at + 1..]);
    (!name.is_empty()).then_some((directory, name))
}

fn names(path: &[u8]) -> Vec<Box<[u8]>> {
    let names = path.split(|byte| *byte == b'/');
    let names = names.filter(|name| !matches!(*name, b"" | b"."));
    names.map(Into::into).collect()
}

fn joined(names: &[Box<[u8]>]) -> Vec<u8> {
    match names.is_empty() {
        true => b"/".to_vec(),
        false => names
            .iter()
            .flat_map(|name| [b"/", &name[..]].concat())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::image::Meta;

    use super::*;

    fn tree() -> Tree<()> {
        let meta = Meta::default();
        let mut tree = Tree::new(meta);
        let usr = tree.make_directories(b"/usr/bin", meta).unwrap();
        tree.add_file(usr, b"tool", meta, 0, ()).unwrap();
        for (name, target) in [
            (&b"bin"[..], &b"usr/bin"[..]),
            (b"abs", b"/usr/bin"),
            (b"up", b"../../usr"),
            (b"loop", b"loop"),
            (b"gone", b"usr/none"),
        ] {
            tree.add_symlink(NodeId::ROOT, name, meta, target).unwrap();
        }
        tree
    }

    #[test]
    fn links_are_followed_as_by_the_program() {
        for (path, found) in [
            ("/", "/"),
            ("./usr//bin/.", "/usr/bin"),
            ("/bin/tool", "/usr/bin/tool"),
            ("/bin/new/file", "/usr/bin/new/file"),
            ("abs/tool", "/usr/bin/tool"),
            ("up/bin/../bin/tool", "/usr/bin/tool"),
            ("../../usr", "/usr"),
            ("gone/x", "/usr/none/x"),
        ] {
            let found_now = real(&tree(), path.as_bytes(), Within::Root).unwrap();
            assert_eq!(found_now, found.as_bytes(), "{path}");
        }
        for path in ["loop", "loop/x", "usr/bin/tool/x"] {
            assert!(
                real(&tree(), path.as_bytes(), Within::Root).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn nothing_leads_out_of_a_context() {
        for path in ["..", "usr/../..", "up", "abs", "abs/tool", "../context/usr"] {
            let error = real(&tree(), path.as_bytes(), Within::Context).unwrap_err();
            assert!(
                error.to_string().contains("out of the build context"),
                "{path}: {error}"
            );
        }
        let found = real(&tree(), b"/usr/../bin/tool", Within::Context).unwrap();
        assert_eq!(found, b"/usr/bin/tool");
    }

    #[test]
    fn a_tidy_path_is_absolute() {
        for (path, tidied) in [
            ("", "/"),
            ("/", "/"),
            ("/a//b/./c/../", "/a/b"),
            ("/../..", "/"),
        ] {
            assert_eq!(tidy(path), tidied, "{path}");
        }
    }
}
