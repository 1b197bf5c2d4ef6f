//! Directories and files of the host.
//!
//! Only what a mapping names itself is followed if it is a symbolic link; so a
//! walk ends, and stays below it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow};
use monaka_vfs_core::image::{Meta, NodeId, Tree};

use super::source::identity;
use super::{ScanError, Source, begin, directory, split};
use crate::mapdir::Mapping;

/// Adds what stands at `host`.
///
/// A file is named by the guest path, or goes into it under its own name if that
/// is a directory or was given as one, as with `cp`.
pub(super) fn scan(
    tree: &mut Tree<Source>,
    mapping: &Mapping,
    host: &Path,
    warnings: &mut Vec<String>,
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
        return walk(tree, host, directory, warnings);
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
        ErrorKind::NotFound => ScanError::NoSource { host: host.into() }.into(),
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
