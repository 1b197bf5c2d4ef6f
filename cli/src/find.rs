//! Paths of a packed tree: where they lead, and which one was meant.
//!
//! Paths are walked as a program inside would walk them from `/`, by single
//! looks that check what they touch.

use monaka_vfs_core::image::format::{NAME_MAX, ROOT};
use monaka_vfs_core::image::{Dirent, Glance, Image, ImageError, Inode, Kind};

use crate::report::Hinted;
use crate::shown::Shown;
use crate::stored::{self, Stored};

/// How many symbolic links one path may lead through, as in the program.
const LINKS_MAX: usize = 40;

/// What a path leads to.
pub(crate) struct Found<'a> {
    /// The path with no links, dots or empty names in it.
    pub(crate) path: Vec<u8>,
    pub(crate) number: u32,
    pub(crate) inode: Inode<'a>,
}

/// Why a path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// A name is missing; this is its path.
    Missing(Vec<u8>),
    /// This is no directory, but the path goes on.
    NotDirectory(Vec<u8>),
    /// Too many symbolic links.
    Loop,
    /// The image is damaged.
    Damaged(ImageError),
}

impl From<ImageError> for Lost {
    fn from(error: ImageError) -> Lost {
        Lost::Damaged(error)
    }
}

/// Whether a symbolic link at the end of a path is followed. One with a slash
/// behind it always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    Keep,
}

/// Walks a path; it need not begin with a slash.
pub(crate) fn find<'a>(image: Glance<'a>, path: &[u8], last: Last) -> Result<Found<'a>, Lost> {
    let mut walk = Walk {
        above: Vec::new(),
        links: 0,
    };
    // What is still to be walked, the next name last. A slash at the end asks
    // for a directory, as does a dot.
    let mut rest: Vec<&[u8]> = Vec::new();
    push(&mut rest, path);
    while let Some(name) = rest.pop() {
        let here = walk.here();
        let inode = image.inode(here)?;
        if inode.kind != Kind::Directory {
            return Err(Lost::NotDirectory(walk.path()));
        }
        match name {
            b"" | b"." => continue,
            b".." => {
                walk.above.pop();
                continue;
            }
            _ => {}
        }
        let child = match name.len() {
            ..=NAME_MAX => image.child(here, name)?,
            _ => None,
        };
        let Some(child) = child else {
            return Err(Lost::Missing(join(walk.path(), name)));
        };
        match image.inode(child)?.kind {
            Kind::Symlink { target } if !rest.is_empty() || last == Last::Follow => {
                walk.links += 1;
                if walk.links > LINKS_MAX {
                    return Err(Lost::Loop);
                }
                if target.starts_with(b"/") {
                    walk.above.clear();
                }
                push(&mut rest, target);
            }
            _ => walk.above.push((name, child)),
        }
    }
    Ok(Found {
        path: walk.path(),
        number: walk.here(),
        inode: image.inode(walk.here())?,
    })
}

fn push<'p>(rest: &mut Vec<&'p [u8]>, path: &'p [u8]) {
    rest.extend(path.split(|byte| *byte == b'/').rev());
}

/// Where a walk is.
struct Walk<'w> {
    /// The names that led here, and what they name. Empty is the root.
    above: Vec<(&'w [u8], u32)>,
    links: usize,
}

impl Walk<'_> {
    fn here(&self) -> u32 {
        self.above.last().map_or(ROOT, |(_, inode)| *inode)
    }

    fn path(&self) -> Vec<u8> {
        let names = self.above.iter().map(|(name, _)| *name);
        names.fold(Vec::new(), join)
    }
}

/// `/path/name`; the root's path is empty here.
pub(crate) fn join(mut path: Vec<u8>, name: &[u8]) -> Vec<u8> {
    if path.last() == Some(&b'/') {
        path.pop();
    }
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

/// A path that is empty for the root as it is said.
pub(crate) fn rooted(path: Vec<u8>) -> Vec<u8> {
    match path.is_empty() {
        true => b"/".to_vec(),
        false => path,
    }
}

impl Stored {
    /// Walks a path that was given on the command line. The error says which
    /// path may have been meant.
    pub(crate) fn find(&self, path: &[u8], last: Last) -> anyhow::Result<Found<'_>> {
        asked(self.glance(), &self.name, path, last)
    }
}

/// Walks a path of the image in `file` that was given on the command line. The
/// error says which path may have been meant.
pub(crate) fn asked<'a>(
    image: Glance<'a>,
    file: &str,
    path: &[u8],
    last: Last,
) -> anyhow::Result<Found<'a>> {
    find(image, path, last).map_err(|lost| told(image, file, path, lost))
}

fn told(image: Glance<'_>, file: &str, path: &[u8], lost: Lost) -> anyhow::Error {
    let asked = Shown(path);
    let missing = match &lost {
        Lost::Damaged(error) => {
            return stored::damaged(*error).context(format!("cannot look up {asked} in {file}"));
        }
        Lost::Missing(missing) => missing,
        Lost::NotDirectory(blocking) => {
            return Hinted::new(
                format!(
                    "no {asked} in {file}: {} is not a directory",
                    Shown(blocking)
                ),
                format!("`monaka stat {file} {}` says what it is", Shown(blocking)),
            )
            .into();
        }
        Lost::Loop => {
            return Hinted::new(
                format!(
                    "no {asked} in {file}: it leads through more than {LINKS_MAX} symbolic links"
                ),
                format!("`monaka ls -l {file} PATH` shows where each leads"),
            )
            .into();
        }
    };
    let meant = image.check().ok().and_then(|image| meant(image, path));
    let (why, hint) = match meant {
        Some(meant) => (String::new(), format!("did you mean {}?", Shown(&meant))),
        None if absolute(path) == absolute(missing) => (
            String::new(),
            format!("`monaka ls -R {file}` lists what there is"),
        ),
        None => (
            format!(": there is no {}", Shown(missing)),
            format!("`monaka ls -R {file}` lists what there is"),
        ),
    };
    let message = format!("no {asked} in {file}{why}");
    Hinted::new(message, hint).into()
}

/// The names of a path.
fn absolute(path: &[u8]) -> Vec<&[u8]> {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !matches!(*name, b"" | b".")).collect()
}

/// The path that was probably meant: one with similar names, or else the first
/// with the same last name.
fn meant(image: Image<'_>, path: &[u8]) -> Option<Vec<u8>> {
    let names = absolute(path);
    // Of a tree of similar names there are too many ways through.
    let mut budget = 1000;
    similar(image, ROOT, Vec::new(), &names, &mut budget)
        .or_else(|| same_name(image, names.last()?))
}

fn similar(
    image: Image<'_>,
    directory: u32,
    path: Vec<u8>,
    names: &[&[u8]],
    budget: &mut u32,
) -> Option<Vec<u8>> {
    let Some((name, rest)) = names.split_first() else {
        return Some(path);
    };
    *budget = budget.checked_sub(1)?;
    let wanted = String::from_utf8_lossy(name).to_lowercase();
    let tolerance = (wanted.chars().count() / 3).max(1);
    let mut close: Vec<(usize, Dirent<'_>)> = Vec::new();
    for dirent in image.dirents(directory) {
        let there = String::from_utf8_lossy(dirent.name).to_lowercase();
        if dirent.name == *name {
            close.push((0, dirent));
        } else if there.len().abs_diff(wanted.len()) <= 4 * tolerance {
            let distance = strsim::damerau_levenshtein(&wanted, &there);
            if distance <= tolerance {
                close.push((distance + 1, dirent));
            }
        }
    }
    close.sort_by_key(|(distance, _)| *distance);
    close.iter().take(3).find_map(|(_, dirent)| {
        similar(
            image,
            dirent.inode,
            join(path.clone(), dirent.name),
            rest,
            budget,
        )
    })
}

fn same_name(image: Image<'_>, name: &[u8]) -> Option<Vec<u8>> {
    let mut parents = vec![None; image.inodes() as usize];
    // Directories come after their parents, so the first is one of the highest.
    for directory in 0..image.inodes() {
        for dirent in image.dirents(directory) {
            if dirent.name == name {
                let mut path = vec![name];
                let mut at = directory;
                while let Some((parent, name)) = parents[at as usize] {
                    path.push(name);
                    at = parent;
                }
                return Some(path.into_iter().rev().fold(Vec::new(), join));
            }
            if image.inode(dirent.inode).kind == Kind::Directory {
                parents[dirent.inode as usize] = Some((directory, dirent.name));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::image::{Meta, NodeId, Tree, write};

    use super::*;

    /// Tables of `/etc/motd`, `/usr/lib/python3.12/os.py`, links, and a loop.
    fn tables() -> Vec<u8> {
        let meta = Meta::default();
        let mut tree: Tree<()> = Tree::new(meta);
        let etc = tree.make_directories(b"/etc", meta).unwrap();
        tree.add_file(etc, b"motd", meta, 0, ()).unwrap();
        let lib = tree.make_directories(b"/usr/lib/python3.12", meta).unwrap();
        tree.add_file(lib, b"os.py", meta, 0, ()).unwrap();
        for (name, target) in [
            ("lib", "usr/lib"),
            ("up", "../../etc/.."),
            ("abs", "/usr/../lib/python3.12/"),
            ("loop", "./loop"),
            ("gone", "usr/bin"),
        ] {
            tree.add_symlink(NodeId::ROOT, name.as_bytes(), meta, target.as_bytes())
                .unwrap();
        }
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        write(&tree.validate().unwrap()).unwrap().tables
    }

    #[test]
    fn paths_are_walked_as_a_program_walks_them() {
        use Last::{Follow, Keep};
        let tables = tables();
        let image = Glance::open(&tables).unwrap();
        let missing = |path: &str| Err(Lost::Missing(path.into()));
        let blocked = |path: &str| Err(Lost::NotDirectory(path.into()));
        for (path, last, expected) in [
            ("", Keep, Ok("")),
            ("/", Keep, Ok("")),
            ("//etc/./motd", Keep, Ok("/etc/motd")),
            ("etc/..", Keep, Ok("")),
            ("/../..", Keep, Ok("")),
            ("/etc/motd/", Keep, blocked("/etc/motd")),
            ("/etc/motd/x", Keep, blocked("/etc/motd")),
            ("/etc/motd/..", Keep, blocked("/etc/motd")),
            ("/etc/no", Keep, missing("/etc/no")),
            ("/no/motd", Keep, missing("/no")),
            ("/lib", Keep, Ok("/lib")),
            ("/lib", Follow, Ok("/usr/lib")),
            ("/lib/", Keep, Ok("/usr/lib")),
            ("/lib/..", Keep, Ok("/usr")),
            ("/up/etc", Keep, Ok("/etc")),
            ("/abs", Follow, Ok("/usr/lib/python3.12")),
            ("/abs/os.py", Keep, Ok("/usr/lib/python3.12/os.py")),
            ("/loop", Keep, Ok("/loop")),
            ("/loop", Follow, Err(Lost::Loop)),
            ("/loop/", Keep, Err(Lost::Loop)),
            ("/gone", Keep, Ok("/gone")),
            ("/gone", Follow, missing("/usr/bin")),
        ] {
            let found = find(image, path.as_bytes(), last).map(|found| found.path);
            let expected = expected.map(|path| path.as_bytes().to_vec());
            assert_eq!(found, expected, "{path} {last:?}");
        }
        let long = [b'x'; NAME_MAX + 1];
        assert!(matches!(find(image, &long, Keep), Err(Lost::Missing(_))));
    }

    #[test]
    fn mistyped_paths_lead_to_what_was_meant() {
        let tables = tables();
        let image = Image::open(&tables).unwrap();
        for (path, expected) in [
            ("/ect/motd", Some("/etc/motd")),
            ("/etc/mtod", Some("/etc/motd")),
            ("/ETC/Motd", Some("/etc/motd")),
            ("/motd", Some("/etc/motd")),
            (
                "/usr/lib/python3.11/os.py",
                Some("/usr/lib/python3.12/os.py"),
            ),
            ("/usr/local/lib/python3.12", Some("/usr/lib/python3.12")),
            ("/entirely/different", None),
        ] {
            let meant = meant(image, path.as_bytes());
            assert_eq!(meant.as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }
}
