//! Host directories and files as a [`Tree`] to be packed.
//!
//! What is found is kept as it is: symbolic links with their target's bytes,
//! hard links among what one mapping brings, names that are not UTF-8, times to
//! the nanosecond, and whether a file is executable. Only what a mapping names
//! itself is followed if it is a symbolic link; so a walk ends, and stays
//! below it. Sockets, pipes and devices are passed over with a warning;
//! anything else that cannot be packed is an error, never left out.
//!
//! Contents are not read here but when the image is written, by
//! [`Source::copy_to`], which refuses a file that is no longer the one that was
//! found.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow};
use monaka_vfs_core::image::{Contents, Meta, NodeId, Tree, TreeError};

use crate::mapdir::Mapping;

mod error;
mod source;

pub(crate) use error::ScanError;
pub(crate) use source::Source;

use source::identity;

/// Adds what `mapping` names to the tree, over what is there: directories are
/// merged, of all else the later wins.
///
/// A file is named by the guest path, or goes into it under its own name if that
/// is a directory or was given as one, as with `cp`. Directories that are
/// missing on the way there have the time of the source, so that they are the
/// same at any time. `warnings` is told what was passed over.
pub(crate) fn scan(
    tree: &mut Tree<Source>,
    mapping: &Mapping,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let host = &mapping.host;
    let metadata = source_metadata(host)?;
    let missing = Meta {
        executable: false,
        ..meta(&metadata)
    };
    // A fresh root is missing like any other directory, it just cannot be.
    if tree.meta(NodeId::ROOT) == Meta::default() && tree.children(NodeId::ROOT).next().is_none() {
        tree.set_meta(NodeId::ROOT, missing);
    }
    if metadata.is_dir() {
        let directory = directory(tree, &mapping.guest, missing)?;
        tree.set_meta(directory, missing);
        return walk(tree, host, directory, warnings);
    }
    if !metadata.is_file() {
        return Err(ScanError::SpecialSource {
            host: host.clone(),
            kind: special(metadata.file_type()),
        }
        .into());
    }
    let into = mapping.into
        || tree
            .lookup(&mapping.guest)
            .is_some_and(|node| tree.is_directory(node));
    let (parent, name) = if into {
        let name = host
            .file_name()
            .ok_or_else(|| anyhow!("{}: has no name", host.display()))?;
        (&mapping.guest[..], to_bytes(name)?)
    } else {
        let at = mapping.guest.iter().rposition(|&byte| byte == b'/');
        let at = at.expect("a guest path is absolute");
        (&mapping.guest[..at], mapping.guest[at + 1..].to_vec())
    };
    let parent = directory(tree, parent, missing)?;
    let source = Source::host(host.clone(), &metadata);
    tree.add_file(parent, &name, meta(&metadata), metadata.len(), source)
        .with_context(|| format!("cannot pack {}", host.display()))?;
    Ok(())
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
        if source_metadata(&mapping.host)?.is_dir() && !names.contains(&mapping.guest) {
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

/// Adds everything below the host directory `root` to the node `directory`.
fn walk(
    tree: &mut Tree<Source>,
    root: &Path,
    directory: NodeId,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let mut links = HashMap::new();
    let mut open = vec![(root.to_owned(), directory)];
    while let Some((directory, node)) = open.pop() {
        for (path, name) in entries(&directory)? {
            let cannot = || format!("cannot pack {}", path.display());
            let metadata = fs::symlink_metadata(&path).with_context(cannot)?;
            let file_type = metadata.file_type();
            let link = if file_type.is_dir() {
                None
            } else {
                hard_link(&metadata)
            };
            if let Some(existing) = link.and_then(|link| links.get(&link)) {
                tree.add_link(node, &name, *existing).with_context(cannot)?;
                continue;
            }
            let meta = meta(&metadata);
            let added = if file_type.is_dir() {
                let child = tree.add_directory(node, &name, meta).with_context(cannot)?;
                open.push((path, child));
                continue;
            } else if file_type.is_symlink() {
                let target = fs::read_link(&path).with_context(cannot)?;
                let target = to_bytes(target.as_os_str()).with_context(cannot)?;
                tree.add_symlink(node, &name, meta, &target)
                    .with_context(cannot)?
            } else if file_type.is_file() {
                let source = Source::host(path.clone(), &metadata);
                tree.add_file(node, &name, meta, metadata.len(), source)
                    .with_context(cannot)?
            } else {
                let kind = special(file_type);
                warnings.push(format!("{}: a {kind} is not packed", path.display()));
                continue;
            };
            if let Some(link) = link {
                links.insert(link, added);
            }
        }
    }
    Ok(())
}

/// A host directory's entries, path and name, sorted by name.
fn entries(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let cannot = || format!("cannot read directory {}", directory.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let name = to_bytes(&entry.file_name()).with_context(cannot)?;
        entries.push((entry.path(), name));
    }
    entries.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
    Ok(entries)
}

/// A mapping's source; if it is a symbolic link, what that leads to.
fn source_metadata(host: &Path) -> Result<Metadata> {
    fs::metadata(host).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ScanError::NoSource { host: host.into() }.into(),
        _ => anyhow::Error::new(error).context(format!("cannot read {}", host.display())),
    })
}

/// What an image keeps of a file. Whether a directory may be searched and a
/// link executed says nothing about the packed one.
fn meta(metadata: &Metadata) -> Meta {
    // A time before 1970 has no representation in WASI; it becomes 1970.
    let mtime = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    Meta {
        mtime,
        executable: metadata.is_file() && is_executable(metadata),
    }
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

/// What two names of one file have in common, if it has another name.
fn hard_link(metadata: &Metadata) -> Option<(u64, u64)> {
    identity(metadata).filter(|_| has_links(metadata))
}

#[cfg(unix)]
fn has_links(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.nlink() > 1
}

#[cfg(not(unix))]
fn has_links(_: &Metadata) -> bool {
    false
}

#[cfg(unix)]
fn special(file_type: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if file_type.is_fifo() {
        "named pipe"
    } else if file_type.is_socket() {
        "socket"
    } else {
        "device"
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "special file"
}

#[cfg(unix)]
fn to_bytes(name: &OsStr) -> Result<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    Ok(name.as_bytes().to_vec())
}

#[cfg(not(unix))]
fn to_bytes(name: &OsStr) -> Result<Vec<u8>> {
    name.to_str()
        .map(|name| name.replace('\\', "/").into_bytes())
        .ok_or_else(|| anyhow!("{} is not Unicode", name.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use monaka_vfs_core::image::{Dump, Image, write};
    use tempfile::TempDir;

    use super::*;

    /// A host directory; every entry is of second 7 unless said otherwise.
    struct Host(TempDir);

    impl Host {
        fn new() -> Self {
            Host(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn directory(&self, name: &str) -> &Self {
            fs::create_dir_all(self.path(name)).unwrap();
            self
        }

        fn file(&self, name: &str, contents: &str) -> &Self {
            fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
            fs::write(self.path(name), contents).unwrap();
            self.at(name, 7, 0)
        }

        fn at(&self, name: &str, seconds: u64, nanos: u32) -> &Self {
            let time = UNIX_EPOCH + Duration::new(seconds, nanos);
            let file = File::open(self.path(name)).unwrap();
            file.set_modified(time).unwrap();
            self
        }

        fn mapdir(&self, guest: &str, name: &str) -> Mapping {
            let mut argument = std::ffi::OsString::from(format!("{guest}::"));
            argument.push(self.path(name));
            Mapping::from_mapdir(&argument).unwrap()
        }
    }

    fn fresh() -> Tree<Source> {
        Tree::new(Meta::default())
    }

    /// Scans and answers the tree with what was passed over.
    fn scanned(mappings: &[Mapping]) -> (Tree<Source>, Vec<String>) {
        let (mut tree, mut warnings) = (fresh(), Vec::new());
        add(&mut tree, mappings, &mut warnings);
        (tree, warnings)
    }

    fn add(tree: &mut Tree<Source>, mappings: &[Mapping], warnings: &mut Vec<String>) {
        for mapping in mappings {
            scan(tree, mapping, warnings).unwrap();
        }
        preopens(tree, mappings).unwrap();
    }

    fn tables(tree: Tree<Source>) -> Vec<u8> {
        write(&tree.validate().unwrap()).unwrap().tables
    }

    /// The dump's lines but for the first.
    fn dump(tree: Tree<Source>) -> Vec<String> {
        let tables = tables(tree);
        let text = Dump(Image::open(&tables).unwrap()).to_string();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    fn names(tree: &Tree<Source>) -> Vec<&[u8]> {
        tree.preopens().map(|(name, _)| name).collect()
    }

    fn refused(mappings: &[Mapping]) -> ScanError {
        let (mut tree, mut warnings) = (fresh(), Vec::new());
        let result = mappings
            .iter()
            .try_for_each(|mapping| scan(&mut tree, mapping, &mut warnings))
            .and_then(|()| preopens(&mut tree, mappings));
        let error = result.unwrap_err().downcast::<ScanError>().unwrap();
        assert!(!error.hint().is_empty());
        error
    }

    #[test]
    fn what_is_found_is_kept() {
        let host = Host::new();
        host.file("bin/tool", "tool").file("a.txt", "hello");
        fs::set_permissions(host.path("bin/tool"), PermissionsExt::from_mode(0o610)).unwrap();
        fs::hard_link(host.path("bin/tool"), host.path("tool2")).unwrap();
        symlink("../no\nwhere", host.path("link")).unwrap();
        fs::hard_link(host.path("link"), host.path("link2")).unwrap();
        fs::write(host.path("").join(OsStr::from_bytes(b"\xff")), "").unwrap();
        host.at("a.txt", 1_700_000_000, 123_456_789);
        host.at("bin", 8, 0).at("", 9, 1);
        let link = fs::symlink_metadata(host.path("link")).unwrap();
        let link = meta(&link).mtime;
        let empty = fs::metadata(host.path("").join(OsStr::from_bytes(b"\xff"))).unwrap();
        let empty = meta(&empty).mtime;
        let time = |mtime: u64| format!("{}.{:09}", mtime / 1_000_000_000, mtime % 1_000_000_000);

        let (tree, warnings) = scanned(&[host.mapdir("/", "")]);
        assert_eq!(warnings, [""; 0]);
        assert_eq!(
            dump(tree),
            [
                "preopen 3 / /",
                "/ directory 9.000000001 1",
                "/a.txt file 1700000000.123456789 1 size=5 start=0",
                "/bin directory 8.000000000 1",
                "/bin/tool file+x 7.000000000 2 size=4 start=8",
                &format!("/link symlink {} 2 ../no\\x0awhere", time(link)),
                "/link2 hardlink /link",
                "/tool2 hardlink /bin/tool",
                &format!("/\\xff file {} 1 size=0 start=0", time(empty)),
            ]
        );
    }

    #[test]
    fn directories_are_merged_and_later_files_win() {
        let host = Host::new();
        host.file("one/d/a", "1").file("one/d/b", "1");
        host.file("two/d/b", "22").file("two/d/c", "22");
        host.at("one/d", 1, 0).at("one", 2, 0);
        host.at("two/d", 3, 0).at("two", 4, 0);
        let (tree, _) = scanned(&[host.mapdir("/", "one"), host.mapdir("/", "two")]);
        assert_eq!(
            dump(tree),
            [
                "preopen 3 / /",
                "/ directory 4.000000000 1",
                "/d directory 3.000000000 1",
                "/d/a file 7.000000000 1 size=1 start=0",
                "/d/b file 7.000000000 1 size=2 start=8",
                "/d/c file 7.000000000 1 size=2 start=16",
            ]
        );
    }

    #[test]
    fn missing_directories_have_the_time_of_the_source() {
        let host = Host::new();
        host.directory("d").at("d", 5, 6);
        let (tree, _) = scanned(&[host.mapdir("/usr/lib/d", "d")]);
        assert_eq!(
            dump(tree),
            [
                "preopen 3 /usr/lib/d /usr/lib/d",
                "preopen 4 / /",
                "/ directory 5.000000006 1",
                "/usr directory 5.000000006 1",
                "/usr/lib directory 5.000000006 1",
                "/usr/lib/d directory 5.000000006 1",
            ]
        );
    }

    #[test]
    fn a_single_file_is_named_by_the_guest_path_or_goes_into_it() {
        let host = Host::new();
        host.file("my.conf", "x").directory("etc");
        symlink("my.conf", host.path("link")).unwrap();
        for (guest, name, path) in [
            ("/etc/app.conf", "my.conf", "/etc/app.conf"),
            ("/etc", "my.conf", "/etc/my.conf"),
            ("/new/", "my.conf", "/new/my.conf"),
            ("/new", "my.conf", "/new"),
            ("/", "my.conf", "/my.conf"),
            ("/etc/", "link", "/etc/link"),
        ] {
            let (tree, _) = scanned(&[host.mapdir("/etc", "etc"), host.mapdir(guest, name)]);
            let node = tree.lookup(path.as_bytes()).expect(path);
            let Contents::Regular { len: 1, source, .. } = tree.contents(node) else {
                panic!("{path} is no file of one byte");
            };
            let mut contents = Vec::new();
            source.copy_to(1, &[], &mut contents).unwrap();
            assert_eq!(contents, b"x");
            assert_eq!(names(&tree), [&b"/etc"[..], b"/"], "a file opens nothing");
        }
    }

    #[test]
    fn a_mapped_symbolic_link_is_followed() {
        let host = Host::new();
        host.file("real/f", "x");
        symlink("real", host.path("link")).unwrap();
        let (tree, _) = scanned(&[host.mapdir("/d", "link")]);
        assert!(tree.lookup(b"/d/f").is_some());
    }

    #[test]
    fn special_files_are_passed_over_with_a_warning() {
        let host = Host::new();
        let _listener = UnixListener::bind(host.path("socket")).unwrap();
        let (tree, warnings) = scanned(&[host.mapdir("/", "")]);
        assert_eq!(tree.lookup(b"/socket"), None);
        let path = host.path("socket");
        assert_eq!(
            warnings,
            [format!("{}: a socket is not packed", path.display())]
        );
        assert_eq!(
            refused(&[host.mapdir("/s", "socket")]),
            ScanError::SpecialSource {
                host: path,
                kind: "socket"
            }
        );
    }

    #[test]
    fn a_source_that_does_not_exist_is_refused() {
        let host = Host::new();
        assert_eq!(
            refused(&[host.mapdir("/", "gone")]),
            ScanError::NoSource {
                host: host.path("gone")
            }
        );
    }

    #[test]
    fn a_mapping_over_a_link_or_a_file_is_refused() {
        let host = Host::new();
        host.file("root/file", "").directory("d");
        symlink("usr/lib", host.path("root/lib")).unwrap();
        let root = host.mapdir("/", "root");
        for guest in ["/lib", "/lib/d"] {
            assert_eq!(
                refused(&[root.clone(), host.mapdir(guest, "d")]),
                ScanError::Symlink {
                    link: b"/lib".to_vec(),
                    target: b"usr/lib".to_vec()
                }
            );
        }
        for guest in ["/file", "/file/d"] {
            assert_eq!(
                refused(&[root.clone(), host.mapdir(guest, "d")]),
                ScanError::File {
                    file: b"/file".to_vec()
                }
            );
        }
    }

    #[test]
    fn a_mapped_directory_that_was_replaced_is_refused() {
        let host = Host::new();
        host.directory("d").file("other/e", "");
        assert_eq!(
            refused(&[host.mapdir("/x/e", "d"), host.mapdir("/x", "other")]),
            ScanError::Replaced {
                guest: b"/x/e".to_vec()
            }
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let host = Host::new();
        host.file("f", "");
        let error = entries(&host.path("f")).unwrap_err().to_string();
        assert!(
            error.contains(&*host.path("f").to_string_lossy()),
            "{error}"
        );
    }

    #[test]
    fn the_first_mapped_directory_is_descriptor_3_and_the_root_comes_last() {
        let host = Host::new();
        host.directory("a").directory("b").file("f", "");
        let map = |guest: &str, name: &str| host.mapdir(guest, name);
        for (mappings, expected) in [
            (vec![], vec!["/"]),
            (vec![map("/f", "f")], vec!["/"]),
            (vec![map("/b", "b"), map("/a", "a")], vec!["/b", "/a", "/"]),
            (vec![map("/a", "a"), map("/a", "b")], vec!["/a", "/"]),
            (vec![map("/a", "a"), map("/a", "f")], vec!["/a", "/"]),
            (vec![map("/a", "a"), map("/", "b")], vec!["/"]),
        ] {
            let (tree, _) = scanned(&mappings);
            let expected: Vec<_> = expected.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(names(&tree), expected, "{mappings:?}");
        }
    }

    #[test]
    fn packing_twice_is_packing_once() {
        let host = Host::new();
        host.file("a/f", "1").file("b/f", "22").file("b/g", "");
        fs::hard_link(host.path("b/f"), host.path("b/h")).unwrap();
        host.at("a", 1, 0).at("b", 2, 0);
        let one = [host.mapdir("/a", "a"), host.mapdir("/x/f", "a/f")];
        for guest in ["/b", "/a", "/", "/a/b"] {
            let other = [host.mapdir(guest, "b")];
            let (once, _) = scanned(&[&one[..], &other].concat());
            let (first, _) = scanned(&one);
            let first = tables(first);
            let mut twice = Image::open(&first)
                .unwrap()
                .to_tree(|start, _| Source::Packed { start });
            add(&mut twice, &other, &mut Vec::new());
            assert_eq!(dump(twice), dump(once), "{guest}");
        }
    }
}
