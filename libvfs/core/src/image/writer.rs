//! A [`ValidTree`] as an image's tables.
//!
//! Everything is counted first, so that the limits of the format are known to
//! hold before the first record is made and the tables are allocated once.
//! Contents are given a place in the data area but never read: a file that is a
//! gigabyte long costs no more here than an empty one.

use alloc::vec::Vec;
use core::fmt;

use super::format::{
    COMPRESSED, DEVICE, DIRECTORY, DirentRecord, EXECUTABLE, HOST_READ_ONLY, HostPreopenRecord,
    InodeRecord, LARGE, LARGE_ALIGN, MAGIC, PreopenRecord, READ_ONLY, REGULAR, SMALL_ALIGN,
    SOCKETS, STREAM_CLOSED, STREAM_HOST, STREAM_NULL, SYMLINK, Superblock, VERSION,
};
use super::node::Contents;
use super::valid::ValidTree;
use crate::access::{Access, Stream};

/// An image without its data.
#[derive(Debug)]
pub struct Written<'t, S> {
    /// The tables; the data area follows immediately.
    pub tables: Vec<u8>,
    /// The data area's length.
    pub data_len: u64,
    /// What stands in the data area, ascending and disjoint. All else is zero.
    pub contents: Vec<Content<'t, S>>,
}

/// The contents of one file that is not empty.
#[derive(Debug)]
pub struct Content<'t, S> {
    /// Where it begins in the data area.
    pub offset: u64,
    /// How many bytes it takes there.
    pub len: u64,
    /// Where it comes from.
    pub source: &'t S,
}

/// A limit of the format that a tree exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// Too many directory entries, by count.
    Dirents(u64),
    /// Too many preopened directories, by count.
    Preopens(u64),
    /// Too many directories of the host, by count.
    HostPreopens(u64),
    /// Too many bytes of names and link targets.
    Names(u64),
    /// Too many bytes of tables.
    Tables(u64),
    /// More bytes of contents than can be counted.
    Data,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, count) = match self {
            WriteError::Dirents(count) => ("directory entries", count),
            WriteError::Preopens(count) => ("preopened directories", count),
            WriteError::HostPreopens(count) => ("directories of the host", count),
            WriteError::Names(count) => ("bytes of names", count),
            WriteError::Tables(count) => ("bytes of tables", count),
            WriteError::Data => {
                return f.write_str("the files' contents exceed what can be counted in bytes");
            }
        };
        write!(f, "{count} {what}: an image holds at most {}", u32::MAX)
    }
}

impl core::error::Error for WriteError {}

/// Writes an image's tables and says where contents belong.
///
/// The same tree gives the same bytes. Contents stand in the order of their
/// inodes, which is that of a breadth-first walk.
pub fn write<S>(valid: &ValidTree<S>) -> Result<Written<'_, S>, WriteError> {
    let mut superblock = count(valid)?;
    let len = superblock.expected_len();
    superblock.tables_len = u32::try_from(len).map_err(|_| WriteError::Tables(len))?;

    let tree = valid.tree();
    let mut inodes = Vec::with_capacity(superblock.inodes as usize * InodeRecord::SIZE);
    let mut dirents = Vec::with_capacity(superblock.dirents as usize * DirentRecord::SIZE);
    let mut preopens = Vec::with_capacity(superblock.preopens as usize * PreopenRecord::SIZE);
    let mut names = Vec::with_capacity(superblock.names_len as usize);
    let mut contents = Vec::new();

    // The casts below lose nothing: count() has checked the sums. Programs ask for these
    // names before all others, and then look into the root, which comes next.
    for (name, node) in tree.preopens() {
        let preopen = PreopenRecord {
            name: append(&mut names, name),
            name_len: name.len() as u32,
            inode: valid.inode(node),
        };
        preopens.extend_from_slice(&preopen.encode());
    }
    let mut host_preopens = Vec::new();
    for directory in tree.host_directories() {
        let preopen = HostPreopenRecord {
            name: append(&mut names, &directory.name),
            host: append(&mut names, &directory.host),
            name_len: directory.name.len() as u16,
            host_len: directory.host.len() as u16,
            flags: if directory.read_only {
                HOST_READ_ONLY
            } else {
                0
            },
        };
        host_preopens.extend_from_slice(&preopen.encode());
    }

    for node in valid.nodes() {
        let meta = tree.meta(node);
        let mut record = InodeRecord {
            kind: 0,
            flags: [
                (meta.executable, EXECUTABLE),
                (valid.is_read_only(node), READ_ONLY),
            ]
            .iter()
            .fold(0, |flags, (set, flag)| flags | if *set { *flag } else { 0 }),
            reserved: 0,
            count: 0,
            mtime: meta.mtime,
            size: 0,
            start: 0,
        };
        match tree.contents(node) {
            Contents::Directory => {
                record.kind = DIRECTORY;
                record.start = (dirents.len() / DirentRecord::SIZE) as u64;
                for (name, child) in tree.children(node) {
                    let dirent = DirentRecord {
                        name: append(&mut names, name),
                        name_len: name.len() as u16,
                        reserved: 0,
                        inode: valid.inode(child),
                    };
                    dirents.extend_from_slice(&dirent.encode());
                    record.count += 1;
                }
            }
            Contents::Regular {
                len: size,
                stored,
                source,
            } => {
                record.kind = REGULAR;
                let len = stored.map_or(size, u64::from);
                if let Some(stored) = stored {
                    record.flags |= COMPRESSED;
                    record.count = stored;
                }
                if len > 0 {
                    let offset = place(superblock.data_len, len).ok_or(WriteError::Data)?;
                    superblock.data_len = offset.checked_add(len).ok_or(WriteError::Data)?;
                    record.size = size;
                    record.start = offset;
                    contents.push(Content {
                        offset,
                        len,
                        source,
                    });
                }
            }
            Contents::Symlink { target } => {
                record.kind = SYMLINK;
                record.count = target.len() as u32;
                record.start = append(&mut names, target).into();
            }
            Contents::Device(device) => {
                record.kind = DEVICE;
                record.start = device.number();
            }
        }
        inodes.extend_from_slice(&record.encode());
    }
    let mut tables = Vec::with_capacity(superblock.tables_len as usize);
    tables.extend_from_slice(&superblock.encode());
    for table in [inodes, dirents, preopens, host_preopens, names] {
        tables.extend_from_slice(&table);
    }
    debug_assert!(tables.len() as u64 <= len && len - (tables.len() as u64) < LARGE_ALIGN);
    tables.resize(superblock.tables_len as usize, 0);
    Ok(Written {
        tables,
        data_len: superblock.data_len,
        contents,
    })
}

/// A superblock with the counts of a tree, no lengths in it yet.
fn count<S>(valid: &ValidTree<S>) -> Result<Superblock, WriteError> {
    let tree = valid.tree();
    let mut dirents = 0;
    let mut names = 0;
    for node in valid.nodes() {
        for (name, _) in tree.children(node) {
            dirents += 1;
            names += name.len() as u64;
        }
        if let Contents::Symlink { target } = tree.contents(node) {
            names += target.len() as u64;
        }
    }
    for (name, _) in tree.preopens() {
        names += name.len() as u64;
    }
    for directory in tree.host_directories() {
        names += (directory.name.len() + directory.host.len()) as u64;
    }
    let preopens = tree.preopens().len() as u64;
    let host_preopens = tree.host_directories().len() as u64;
    let Access { clock, sockets, .. } = *tree.access();
    let [stdin, stdout, stderr] = valid.streams().map(|stream| match stream {
        Stream::Host => STREAM_HOST,
        Stream::Closed => STREAM_CLOSED,
        Stream::Null => STREAM_NULL,
        Stream::File(inode) => inode,
    });
    Ok(Superblock {
        magic: u64::from_le_bytes(MAGIC),
        version: VERSION,
        flags: clock as u32 | if sockets { SOCKETS } else { 0 },
        tables_len: 0,
        // A tree has no more nodes than that.
        inodes: valid.nodes().len() as u32,
        dirents: u32::try_from(dirents).map_err(|_| WriteError::Dirents(dirents))?,
        preopens: u32::try_from(preopens).map_err(|_| WriteError::Preopens(preopens))?,
        names_len: u32::try_from(names).map_err(|_| WriteError::Names(names))?,
        max_inodes: tree.limits().inodes,
        data_len: 0,
        max_bytes: tree.limits().bytes,
        stdin,
        stdout,
        stderr,
        host_preopens: u32::try_from(host_preopens)
            .map_err(|_| WriteError::HostPreopens(host_preopens))?,
    })
}

/// Where contents of `len` bytes go when `end` is the first free byte.
fn place(end: u64, len: u64) -> Option<u64> {
    end.checked_next_multiple_of(if len >= LARGE {
        LARGE_ALIGN
    } else {
        SMALL_ALIGN
    })
}

/// Appends a name and answers where it begins.
fn append(names: &mut Vec<u8>, name: &[u8]) -> u32 {
    let at = names.len() as u32;
    names.extend_from_slice(name);
    at
}

#[cfg(test)]
mod tests {
    use super::super::node::{Meta, NodeId};
    use super::super::tree::Tree;
    use super::*;

    fn valid(files: &[(&str, u64)]) -> ValidTree<u64> {
        let mut tree = Tree::new(Meta::default());
        for (name, len) in files {
            tree.add_file(NodeId::ROOT, name.as_bytes(), Meta::default(), *len, *len)
                .unwrap();
        }
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        tree.validate().unwrap()
    }

    #[test]
    fn large_files_are_aligned_to_64_and_small_ones_to_8() {
        let valid = valid(&[
            ("a", 1),
            ("b", 65_535),
            ("c", 65_536),
            ("d", 0),
            ("e", 100_000),
        ]);
        let written = write(&valid).unwrap();
        let places: Vec<_> = written.contents.iter().map(|c| (c.offset, c.len)).collect();
        assert_eq!(
            places,
            [(0, 1), (8, 65_535), (65_600, 65_536), (131_136, 100_000)]
        );
        assert!(written.contents.iter().all(|c| c.len == *c.source));
        assert_eq!(written.data_len, 231_136);
    }

    #[test]
    fn contents_that_cannot_be_counted_are_an_error() {
        let just = valid(&[("a", u64::MAX)]);
        assert_eq!(write(&just).unwrap().data_len, u64::MAX);
        let over = valid(&[("a", u64::MAX), ("b", 1)]);
        assert_eq!(write(&over).err(), Some(WriteError::Data));
        let over = valid(&[("a", u64::MAX - 100), ("b", 101)]);
        assert_eq!(write(&over).err(), Some(WriteError::Data));
    }

    #[test]
    fn the_order_of_entry_does_not_matter() {
        let one = valid(&[("a", 3), ("b", 5), ("c", 7)]);
        let other = valid(&[("c", 9), ("b", 5), ("a", 3), ("c", 7)]);
        assert_eq!(write(&one).unwrap().tables, write(&other).unwrap().tables);
    }

    #[test]
    fn the_tables_fill_64_bytes_exactly() {
        // 72 + 32 + 12 + 1 for an empty root with its preopen, 32 + 12 + 1 a file.
        let written = valid(&[("a", 1)]);
        let tables = write(&written).unwrap().tables;
        assert_eq!(tables.len(), 192);
        assert!(tables[162..].iter().all(|&byte| byte == 0));
    }
}
