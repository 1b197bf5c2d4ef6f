//! Tables as they stand in memory, checked and then read without copying.
//!
//! [`Image::open`] is the door and checks every rule of docs/SPEC.md, so
//! what comes after it is infallible: an inode that a dirent names exists, a
//! name is a name, a walk from the root ends. [`Image::written`] is there for
//! tables that never were in the hands of others.
//!
//! This, the [checks](super::check) and the [records](super::record) are compiled into
//! the program too, where they must be small and a `usize` has 32 bits: lengths are
//! added as `u64`, and nothing here formats.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::error::ImageError;
use super::format::{
    CLOCK, DIRECTORY, DirentRecord, HOST_READ_ONLY, HostPreopenRecord, InodeRecord, MAGIC,
    PreopenRecord, ROOT, SOCKETS, STREAM_CLOSED, STREAM_HOST, STREAM_NULL, Superblock, VERSION,
};
use super::node::NodeId;
use super::record::{Dirent, Dirents, Inode, Kind, Preopen, Record, checked};
use super::tree::{HostDirectory, Limits, Tree};
use crate::access::{Access, Clock, Stream};

/// An image's tables, valid throughout.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    pub(super) inodes: &'a [[u8; InodeRecord::SIZE]],
    pub(super) dirents: &'a [[u8; DirentRecord::SIZE]],
    pub(super) preopens: &'a [[u8; PreopenRecord::SIZE]],
    pub(super) host_preopens: &'a [[u8; HostPreopenRecord::SIZE]],
    pub(super) names: &'a [u8],
    superblock: &'a [u8; Superblock::SIZE],
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").finish_non_exhaustive()
    }
}

impl<'a> Image<'a> {
    /// Checks the tables of an image, all of them and nothing else.
    pub fn open(tables: &'a [u8]) -> Result<Image<'a>, ImageError> {
        let (image, superblock) = Image::split(tables)?;
        image.check(&superblock)?;
        Ok(image)
    }

    /// The tables of an image that was [written](super::write) just now, of which only
    /// magic number, version and length are checked. None if one is wrong.
    ///
    /// For the library inside a program, which nobody but `pack` asks to mount: checking
    /// again what cannot be wrong would take room in every program that is linked with it.
    pub fn written(tables: &'a [u8]) -> Option<Image<'a>> {
        let (head, rest) = tables.split_first_chunk()?;
        let (image, _) = Image::cut(head, rest)?;
        let superblock = image.head();
        let is_one = superblock.magic == u64::from_le_bytes(MAGIC) && superblock.version == VERSION;
        is_one.then_some(image)
    }

    /// Reads the superblock and what follows it; checks that it is one, of this
    /// version, whose counts come to the length that it states.
    pub(super) fn superblock(
        bytes: &'a [u8],
    ) -> Result<(&'a [u8; Superblock::SIZE], &'a [u8]), ImageError> {
        let (head, rest) = bytes
            .split_first_chunk::<{ Superblock::SIZE }>()
            .ok_or(ImageError::Truncated)?;
        let superblock = Superblock::decode(head);
        if superblock.magic != u64::from_le_bytes(MAGIC) {
            return Err(ImageError::Magic);
        }
        if superblock.version != VERSION {
            return Err(ImageError::Version(superblock.version));
        }
        let (stated, counted) = (superblock.tables_len, superblock.expected_len());
        if u64::from(stated) != counted {
            return Err(ImageError::Length { stated, counted });
        }
        Ok((head, rest))
    }

    /// Checks the superblock and finds the tables that it counts.
    pub(super) fn split(tables: &'a [u8]) -> Result<(Image<'a>, Superblock), ImageError> {
        let (head, rest) = Image::superblock(tables)?;
        let superblock = Superblock::decode(head);
        let stated = superblock.tables_len;
        let counted = superblock.expected_len();
        let length = ImageError::Length { stated, counted };
        if tables.len() as u64 != counted {
            return Err(length);
        }
        let (image, padding) = Image::cut(head, rest).ok_or(length)?;
        if superblock.flags & !(CLOCK | SOCKETS) != 0 {
            return Err(ImageError::Reserved { offset: 0 });
        }
        if let Some(at) = padding.iter().position(|&byte| byte != 0) {
            let offset = stated - padding.len() as u32 + at as u32;
            return Err(ImageError::Reserved { offset });
        }
        Ok((image, superblock))
    }

    /// The tables that a superblock counts, and what is behind; none if they are not
    /// all there.
    fn cut(head: &'a [u8; Superblock::SIZE], rest: &'a [u8]) -> Option<(Image<'a>, &'a [u8])> {
        let superblock = Superblock::decode(head);
        let (inodes, rest) = records(rest, superblock.inodes)?;
        let (dirents, rest) = records(rest, superblock.dirents)?;
        let (preopens, rest) = records(rest, superblock.preopens)?;
        let (host_preopens, rest) = records(rest, superblock.host_preopens)?;
        let (names, rest) = rest.split_at_checked(superblock.names_len as usize)?;
        let image = Image {
            inodes,
            dirents,
            preopens,
            host_preopens,
            names,
            superblock: head,
        };
        Some((image, rest))
    }

    #[inline(always)]
    fn head(self) -> Superblock {
        Superblock::decode(self.superblock)
    }

    /// How many inodes there are; 0 is the root directory.
    pub fn inodes(self) -> u32 {
        self.inodes.len() as u32
    }

    /// An inode.
    ///
    /// # Panics
    /// If there is no inode of that number.
    pub fn inode(self, inode: u32) -> Inode<'a> {
        self.record(inode).inode()
    }

    /// An inode's record, of which nothing is decoded before it is asked for.
    ///
    /// # Panics
    /// If there is no inode of that number.
    #[inline]
    pub fn record(self, inode: u32) -> Record<'a> {
        Record {
            bytes: &self.inodes[inode as usize],
            names: self.names,
        }
    }

    /// A directory's entries in the order of their names; other inodes have none.
    ///
    /// # Panics
    /// If there is no inode of that number.
    pub fn dirents(self, directory: u32) -> Dirents<'a> {
        let record = InodeRecord::decode(&self.inodes[directory as usize]);
        let records = match record.kind {
            DIRECTORY => &self.dirents[record.start as usize..][..record.count as usize],
            _ => &[],
        };
        Dirents {
            records,
            names: self.names,
        }
    }

    /// The preopened directories in the order of their descriptors from 3 on.
    pub fn preopens(self) -> impl ExactSizeIterator<Item = Preopen<'a>> + Clone {
        self.preopens.iter().map(move |record| {
            let record = PreopenRecord::decode(record);
            Preopen {
                name: checked(self.names, record.name.into(), record.name_len),
                inode: record.inode,
            }
        })
    }

    /// What the program may reach of its host.
    pub fn access(self) -> Access<u32> {
        let superblock = self.head();
        Access {
            streams: [superblock.stdin, superblock.stdout, superblock.stderr].map(stream),
            clock: Clock::ALL[(superblock.flags & CLOCK) as usize],
            sockets: superblock.flags & SOCKETS != 0,
        }
    }

    /// The same with files by their paths.
    pub fn named_access(self) -> Access<Box<[u8]>> {
        let Access {
            streams,
            clock,
            sockets,
        } = self.access();
        Access {
            streams: streams.map(|stream| stream.map(|inode| self.path(inode).into())),
            clock,
            sockets,
        }
    }

    /// The directories that the host opens and the program sees.
    pub fn host_directories(
        self,
    ) -> impl ExactSizeIterator<Item = HostDirectory<&'a [u8]>> + Clone {
        self.host_preopens.iter().map(move |record| {
            let record = HostPreopenRecord::decode(record);
            HostDirectory {
                name: checked(self.names, record.name.into(), record.name_len.into()),
                host: checked(self.names, record.host.into(), record.host_len.into()),
                read_only: record.flags & HOST_READ_ONLY != 0,
            }
        })
    }

    /// The path of an inode from the root, by the first of its names.
    pub fn path(self, inode: u32) -> Vec<u8> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = inode;
        // A directory's inode is smaller than those of its entries', so this ends.
        while at != ROOT {
            let named = (0..self.inodes()).find_map(|directory| {
                let mut entries = self.dirents(directory);
                let entry = entries.find(|entry| entry.inode == at)?;
                Some((directory, entry.name))
            });
            let Some((directory, name)) = named else {
                break;
            };
            names.push(name);
            at = directory;
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        path
    }

    /// How many dirents all directories have together.
    pub fn dirents_len(self) -> u32 {
        self.dirents.len() as u32
    }

    /// How many dirents name each inode; 1 for the root, which has no name.
    pub(super) fn link_counts(self) -> Vec<u32> {
        let mut counts = Vec::from_iter(self.inodes.iter().map(|_| 0));
        counts[ROOT as usize] = 1;
        for record in self.dirents {
            // Unless the image was checked, a dirent may name what is not there.
            if let Some(count) = counts.get_mut(DirentRecord::decode(record).inode as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// The tables' length.
    pub fn tables_len(self) -> u32 {
        self.head().tables_len
    }

    /// The data area's length.
    pub fn data_len(self) -> u64 {
        self.head().data_len
    }

    /// What the program may add.
    pub fn limits(self) -> Limits {
        let superblock = self.head();
        Limits {
            bytes: superblock.max_bytes,
            inodes: superblock.max_inodes,
        }
    }

    /// The tree that the image was made from, to be changed and written again.
    /// `source` says where the contents are that stand in the data area at an
    /// offset and take so many bytes there.
    pub fn to_tree<S>(self, mut source: impl FnMut(u64, u64) -> S) -> Tree<S> {
        let root = self.inode(ROOT);
        let mut tree = Tree::new(root.meta);
        tree.set_limits(self.limits());
        tree.set_access(self.named_access());
        for directory in self.host_directories() {
            tree.add_host_directory(directory.name, directory.host, directory.read_only)
                .expect("open() has checked the names");
        }
        if root.read_only {
            tree.set_read_only(NodeId::ROOT, true);
        }
        let mut nodes = Vec::from_iter(self.inodes.iter().map(|_| None));
        nodes[ROOT as usize] = Some(NodeId::ROOT);
        for directory in 0..self.inodes() {
            // A directory comes after its parent, so it is in the tree by now;
            // what is not is no directory and has no entries.
            let Some(parent) = nodes[directory as usize] else {
                continue;
            };
            let inherited = self.inode(directory).read_only;
            for Dirent { name, inode } in self.dirents(directory) {
                let Inode {
                    meta,
                    read_only,
                    kind,
                } = self.inode(inode);
                let added = match (nodes[inode as usize], kind) {
                    (Some(node), _) => tree.add_link(parent, name, node).map(|()| node),
                    (None, Kind::Directory) => tree.add_directory(parent, name, meta),
                    (
                        None,
                        Kind::Regular {
                            start,
                            size,
                            stored,
                        },
                    ) => {
                        let source = source(start, stored.map_or(size, u64::from));
                        tree.add_stored(parent, name, meta, size, stored, source)
                    }
                    (None, Kind::Symlink { target }) => {
                        tree.add_symlink(parent, name, meta, target)
                    }
                    (None, Kind::Device(device)) => tree.add_device(parent, name, meta, device),
                };
                let node = added.expect("open() has checked what a tree checks");
                if read_only != inherited && nodes[inode as usize].is_none() {
                    tree.set_read_only(node, read_only);
                }
                nodes[inode as usize] = Some(node);
            }
        }
        for Preopen { name, inode } in self.preopens() {
            nodes[inode as usize]
                .map(|node| tree.add_preopen(name, node))
                .expect("every inode is reached from the root")
                .expect("open() has checked the name");
        }
        tree
    }
}

/// What a stream is.
fn stream(field: u32) -> Stream<u32> {
    match field {
        STREAM_HOST => Stream::Host,
        STREAM_CLOSED => Stream::Closed,
        STREAM_NULL => Stream::Null,
        inode => Stream::File(inode),
    }
}

/// Takes `count` records off the front.
fn records<const N: usize>(bytes: &[u8], count: u32) -> Option<(&[[u8; N]], &[u8])> {
    let len = usize::try_from(u64::from(count) * N as u64).ok()?;
    let (records, rest) = bytes.split_at_checked(len)?;
    Some((records.as_chunks().0, rest))
}
