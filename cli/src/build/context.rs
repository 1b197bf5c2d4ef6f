//! The build context: the directory that a Containerfile may copy from.
//!
//! What it holds is looked at once, at the first COPY. `.dockerignore` leaves out
//! what docker leaves out: its patterns begin at the top, and the last one that
//! matches a path or a directory above it decides.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use monaka_vfs_core::image::{NodeId, Tree};

use super::place::Within;
use crate::mapdir;
use crate::progress::Progress;
use crate::report::{self, Hinted};
use crate::scan::{Choice, Source, directory_tree};

/// The directory.
pub(super) struct Context {
    /// Without symbolic links.
    root: PathBuf,
    ignore: Ignore,
    /// What is written in the end, which an earlier build may have left there.
    output: Option<PathBuf>,
    tree: Option<Tree<Source>>,
}

impl Context {
    /// Opens the directory at `path`, for a build of the Containerfile `file` into
    /// `output`.
    pub(super) fn open(path: &Path, file: &Path, output: &Path) -> Result<Context> {
        let shown = path.display();
        let root = path.canonicalize();
        let root = root.with_context(|| format!("cannot open the build context {shown}"))?;
        if !root.is_dir() {
            return Err(Hinted::new(
                format!("the build context {shown} is not a directory"),
                "name the directory that COPY takes files from: monaka build -t OUT.WASM DIR",
            )
            .into());
        }
        Ok(Context {
            ignore: Ignore::of(&root, file)?,
            output: output.canonicalize().ok(),
            root,
            tree: None,
        })
    }

    /// What may be copied.
    pub(super) fn tree(&mut self, progress: Progress) -> Result<&Tree<Source>> {
        if self.tree.is_none() {
            let (mut tree, warnings) = directory_tree(&self.root, &Choice::default(), progress)?;
            for warning in &warnings {
                report::warning(warning);
            }
            if let Some(output) = self.output.as_ref() {
                remove(&mut tree, &self.root, output);
            }
            self.ignore.apply(&mut tree);
            self.tree = Some(tree);
        }
        self.tree.as_ref().context("the build context is gone")
    }

    /// The host's path of what stands at `path` in the context.
    pub(super) fn host(&self, path: &str) -> Result<PathBuf> {
        let joined = self.root.join(path.trim_start_matches('/'));
        let real = joined.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Hinted::new(
                format!("{path} is not in the build context"),
                "FROM takes scratch, the name of an earlier stage, a module, oci:LAYOUT or an \
                 archive of `docker save`, by its path in the context; --build-context NAME=PATH \
                 names what lies elsewhere",
            )
            .into(),
            _ => anyhow::Error::new(error).context(format!("cannot read {}", joined.display())),
        })?;
        match real.starts_with(&self.root) {
            true => Ok(real),
            false => Err(Hinted::new(
                format!("{path} leads out of the build context"),
                "copy it into the context, or allow it with --build-context NAME=PATH and name \
                 that",
            )
            .into()),
        }
    }

    /// Which rules its paths follow.
    pub(super) const WITHIN: Within = Within::Context;
}

/// Takes a file of the host out of a tree of the directory `root`.
fn remove(tree: &mut Tree<Source>, root: &Path, file: &Path) {
    let Some((directory, name)) = file.strip_prefix(root).ok().and_then(|below| {
        let directory = mapdir::to_bytes(below.parent()?.as_os_str()).ok()?;
        Some((directory, mapdir::to_bytes(below.file_name()?).ok()?))
    }) else {
        return;
    };
    if let Some(directory) = tree.lookup(&directory) {
        tree.remove(directory, &name);
    }
}

/// The patterns of `.dockerignore`.
struct Ignore(Vec<Pattern>);

impl Ignore {
    /// Those of the Containerfile's own file, or else of the context's.
    fn of(root: &Path, file: &Path) -> Result<Ignore> {
        let mut own = file.as_os_str().to_owned();
        own.push(".dockerignore");
        for path in [
            own.into(),
            root.join(".containerignore"),
            root.join(".dockerignore"),
        ] {
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let parsed = Ignore::parse(&text);
                    return parsed.with_context(|| format!("cannot read {}", path.display()));
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", path.display()));
                }
            }
        }
        Ok(Ignore(Vec::new()))
    }

    fn parse(text: &str) -> Result<Ignore> {
        let mut patterns = Vec::new();
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let trimmed = line.trim();
            if line.starts_with('#') || trimmed.is_empty() {
                continue;
            }
            let (negated, text) = match trimmed.strip_prefix('!') {
                Some(text) => (true, text.trim()),
                None => (false, trimmed),
            };
            let pattern = Pattern::new(text).with_context(|| format!("line {number}: {line}"))?;
            patterns.extend(pattern.map(|pattern| Pattern { negated, ..pattern }));
        }
        Ok(Ignore(patterns))
    }

    /// Whether a path of the context is left out.
    fn leaves_out(&self, path: &Path, is_directory: bool) -> bool {
        let mut out = false;
        for pattern in &self.0 {
            if pattern.matches_or_above(path, is_directory) {
                out = !pattern.negated;
            }
        }
        out
    }

    /// Takes what is left out of a tree. A directory stays where something in it
    /// does.
    fn apply<S>(&self, tree: &mut Tree<S>) {
        if !self.0.is_empty() {
            self.prune(tree, NodeId::ROOT, b"");
        }
    }

    /// Prunes a directory; answers whether anything is left in it.
    fn prune<S>(&self, tree: &mut Tree<S>, directory: NodeId, path: &[u8]) -> bool {
        let children: Vec<(Vec<u8>, NodeId)> = tree
            .children(directory)
            .map(|(name, node)| (name.to_vec(), node))
            .collect();
        let mut left = false;
        for (name, node) in children {
            let path = match path {
                b"" => name.clone(),
                _ => [path, b"/", &name].concat(),
            };
            let is_directory = tree.is_directory(node);
            let out = self.leaves_out(&mapdir::to_path(&path), is_directory);
            let kept = is_directory && self.prune(tree, node, &path);
            match out && !kept {
                true => {
                    tree.remove(directory, &name);
                }
                false => left = true,
            }
        }
        left
    }
}

/// A pattern from the top of a tree.
pub(super) struct Pattern {
    negated: bool,
    matcher: Gitignore,
}

impl Pattern {
    /// Whether a path of COPY is one.
    pub(super) fn is_one(text: &str) -> bool {
        text.contains(['*', '?', '['])
    }

    /// Reads one; none if it names the top itself.
    pub(super) fn new(text: &str) -> Result<Option<Pattern>> {
        let names = text.split('/').filter(|name| !matches!(*name, "" | "."));
        let mut anchored = String::new();
        for name in names {
            anchored.push('/');
            let mut chars = name.chars();
            while let Some(char) = chars.next() {
                match char {
                    '\\' => {
                        anchored.push(char);
                        anchored.extend(chars.next());
                    }
                    // Alternatives are nothing that docker knows.
                    '{' | '}' => {
                        anchored.push('\\');
                        anchored.push(char);
                    }
                    _ => anchored.push(char),
                }
            }
        }
        if anchored.is_empty() {
            return Ok(None);
        }
        let mut builder = GitignoreBuilder::new("");
        builder.add_line(None, &anchored)?;
        Ok(Some(Pattern {
            negated: false,
            matcher: builder.build()?,
        }))
    }

    /// Whether it matches the path itself.
    pub(super) fn matches(&self, path: &Path, is_directory: bool) -> bool {
        self.matcher.matched(path, is_directory).is_ignore()
    }

    fn matches_or_above(&self, path: &Path, is_directory: bool) -> bool {
        let matched = self.matcher.matched_path_or_any_parents(path, is_directory);
        matched.is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::image::Meta;

    use super::*;

    fn left(ignore: &str) -> Vec<String> {
        const FILES: [&str; 8] = [
            "/README.md",
            "/a.md",
            "/docs/b.md",
            "/docs/deep/c.md",
            "/node_modules/x/y.js",
            "/src/main.c",
            "/src/main.o",
            "/src/{odd}",
        ];
        let mut tree = Tree::new(Meta::default());
        for path in FILES {
            let (directory, name) = path.rsplit_once('/').unwrap();
            let directory = tree.make_directories(directory.as_bytes(), Meta::default());
            (tree.add_file(directory.unwrap(), name.as_bytes(), Meta::default(), 0, ())).unwrap();
        }
        Ignore::parse(ignore).unwrap().apply(&mut tree);
        let left = FILES
            .iter()
            .filter(|path| tree.lookup(path.as_bytes()).is_some());
        left.map(ToString::to_string).collect()
    }

    #[test]
    fn patterns_are_those_of_docker() {
        for (ignore, out) in [
            ("", &[][..]),
            ("# *\n\n  \n", &[]),
            ("*.md", &["/README.md", "/a.md"]),
            ("*.md\n!README.md", &["/a.md"]),
            ("!README.md\n*.md", &["/README.md", "/a.md"]),
            (
                "**/*.md\n",
                &["/README.md", "/a.md", "/docs/b.md", "/docs/deep/c.md"],
            ),
            ("/docs/", &["/docs/b.md", "/docs/deep/c.md"]),
            ("docs\n!docs/deep/c.md", &["/docs/b.md"]),
            ("!docs/deep/c.md\ndocs", &["/docs/b.md", "/docs/deep/c.md"]),
            ("./node_modules", &["/node_modules/x/y.js"]),
            ("main.o", &[]),
            ("src/*.o", &["/src/main.o"]),
            ("*/*.[ch]", &["/src/main.c"]),
            ("?.md", &["/a.md"]),
            ("src/{odd}", &["/src/{odd}"]),
            (".", &[]),
        ] {
            let all = left("");
            let expected: Vec<&String> = all
                .iter()
                .filter(|path| !out.contains(&path.as_str()))
                .collect();
            assert_eq!(
                left(ignore).iter().collect::<Vec<_>>(),
                expected,
                "{ignore:?}"
            );
        }
        assert_eq!(left("*\n!src/main.c"), ["/src/main.c"]);
    }
}
