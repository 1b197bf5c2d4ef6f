//! Directories and files of the host.
//!
//! Only what a mapping names itself is followed if it is a symbolic link, unless
//! all are; so a walk ends, and stays below it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow};
use monaka_vfs_core::image::{Meta, Tree};

use super::choice::Ignores;
use super::sink::Sink;
use super::source::identity;
use super::{ScanError, Scanner, Source, begin, directory, split};
use crate::mapdir::Mapping;
use crate::report::nearest_path;

/// Adds what stands at `host`.
///
/// A file is named by the guest path, or goes into it under its own name if that
/// is a directory or was given as one, as with `cp`.
pub(super) fn scan(
    scanner: &mut Scanner<'_>,
    tree: &mut Tree<Source>,
    mapping: &Mapping,
    host: &Path,
) -> Result<()> {
    let metadata = metadata(host)?;
    let missing = Meta {
        executable: false,
        ..meta(&metadata)
    };
    begin(tree, missing);
    if metadata.is_dir() {
        let directory = directory(tree, &mapping.guest, missing)?;
        tree.set_meta(directory, missing);
        return walk(&mut scanner.sink(tree, directory), host, &metadata);
    }
    if !metadata.is_file() {
        return Err(ScanError::SpecialSource {
            host: host.into(),
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
        let (parent, name) = split(&mapping.guest);
        (parent, name.to_vec())
    };
    let parent = directory(tree, parent, missing)?;
    let source = Source::host(host.into(), &metadata);
    tree.add_file(parent, &name, meta(&metadata), metadata.len(), source)
        .with_context(|| format!("cannot pack {}", host.display()))?;
    Ok(())
}

/// A directory to be read.
struct Open {
    path: PathBuf,
    place: usize,
    /// The directories that it is in, itself included, where links are followed.
    above: Vec<(u64, u64)>,
}

/// Adds what is wanted of the host directory `root`.
pub(super) fn walk(sink: &mut Sink<'_>, root: &Path, metadata: &Metadata) -> Result<()> {
    let follow = sink.choice.follow_symlinks;
    let mut links = HashMap::new();
    let mut open = vec![Open {
        path: root.to_owned(),
        place: Sink::TOP,
        above: identity(metadata).into_iter().collect(),
    }];
    while let Some(Open { path, place, above }) = open.pop() {
        let mut entries = entries(&path)?;
        if let Ok(at) = entries.binary_search_by(|(_, name)| name[..].cmp(Ignores::NAME)) {
            let (file, _) = entries.remove(at);
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let ignores = (sink.ignores(place)).with(&file, &text, sink.path(place))?;
            sink.set_ignores(place, ignores);
        }
        for (path, name) in entries {
            let cannot = || format!("cannot pack {}", path.display());
            let mut metadata = fs::symlink_metadata(&path).with_context(cannot)?;
            if follow && metadata.is_symlink() {
                metadata = fs::metadata(&path).map_err(|error| match error.kind() {
                    ErrorKind::NotFound => ScanError::Dangling { link: path.clone() }.into(),
                    _ => anyhow::Error::new(error).context(cannot()),
                })?;
            }
            let file_type = metadata.file_type();
            let meta = meta(&metadata);
            if file_type.is_dir() {
                let Some(place) = sink.directory(place, &name, meta, true)? else {
                    continue;
                };
                let mut above = above.clone();
                if let Some(identity) = identity(&metadata).filter(|_| follow) {
                    if above.contains(&identity) {
                        return Err(ScanError::Loop { link: path }.into());
                    }
                    above.push(identity);
                }
                open.push(Open { path, place, above });
                continue;
            }
            let len = if file_type.is_file() {
                metadata.len()
            } else {
                0
            };
            if !sink.wants(place, &name, &root.display().to_string(), len) {
                continue;
            }
            if !file_type.is_file() && !file_type.is_symlink() {
                let kind = special(file_type);
                (sink.warnings).push(format!("{}: a {kind} is not packed", path.display()));
                continue;
            }
            let node = sink.node(place)?;
            let link = hard_link(&metadata);
            if let Some(existing) = link.and_then(|link| links.get(&link)) {
                (sink.tree.add_link(node, &name, *existing)).with_context(cannot)?;
                continue;
            }
            let added = if file_type.is_symlink() {
                let target = fs::read_link(&path).with_context(cannot)?;
                let target = to_bytes(target.as_os_str()).with_context(cannot)?;
                sink.tree.add_symlink(node, &name, meta, &target)
            } else {
                let source = Source::host(path.clone(), &metadata);
                (sink.tree).add_file(node, &name, meta, metadata.len(), source)
            };
            let added = added.with_context(cannot)?;
            if let Some(link) = link {
                links.insert(link, added);
            }
        }
    }
    Ok(())
}

/// A host directory's entries, path and name, sorted by name.
pub(super) fn entries(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
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
pub(super) fn metadata(host: &Path) -> Result<Metadata> {
    fs::metadata(host).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let meant = nearest_path(host);
            let meant = meant.map(|meant| format!("did you mean {}?", meant.display()));
            let host = host.into();
            ScanError::NoSource { host, meant }.into()
        }
        _ => anyhow::Error::new(error).context(format!("cannot read {}", host.display())),
    })
}

/// What an image keeps of a file. Whether a directory may be searched and a
/// link executed says nothing about the packed one.
pub(super) fn meta(metadata: &Metadata) -> Meta {
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

/// A path of the image as one of the host.
#[cfg(unix)]
pub(super) fn to_path(path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(path))
}

/// A path of the image as one of the host; only patterns look at it.
#[cfg(not(unix))]
pub(super) fn to_path(path: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(path).into_owned())
}
