//! Tables as they stand in memory, checked and then read without copying.
//!
//! [`Image::open`] is the door and checks every rule of docs/SPEC.md, so
//! what comes after it is infallible: an inode that a dirent names exists, a
//! name is a name, a walk from the root ends. [`Image::written`] is there for
//! tables that never were in the hands of others.
//!
//! 1. This is compiled into the program too, where it must be small and a
//!    `usize` has 32 bits: lengths are added as `u64`, and nothing here formats.
//! 2. Directories have to lie in the dirent table one behind the other, in the
//!    order of their inodes. Thereby no two share a dirent and none is left over,
//!    which is what makes a link count the number of dirents.
//! 3. One bit for each inode says whether something names it: all the memory
//!    that is needed, and it may be refused.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::format::{
    CLOCK, COMPRESSED, DEVICE, DIRECTORY, DirentRecord, EXECUTABLE, HOST_READ_ONLY,
    HostPreopenRecord, InodeRecord, MAGIC, PreopenRecord, READ_ONLY, REGULAR, ROOT, SOCKETS,
    STREAM_CLOSED, STREAM_HOST, STREAM_NULL, SYMLINK, Superblock, VERSION, is_name, is_path,
};
use super::tree::{HostDirectory, Limits, Meta, NodeId, Tree};
use crate::access::{Access, Clock, STREAMS, Stream};
use crate::bits::Bits;
use crate::device::Device;

/// An image's tables, valid throughout.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    inodes: &'a [[u8; InodeRecord::SIZE]],
    dirents: &'a [[u8; DirentRecord::SIZE]],
    preopens: &'a [[u8; PreopenRecord::SIZE]],
    host_preopens: &'a [[u8; HostPreopenRecord::SIZE]],
    names: &'a [u8],
    superblock: &'a [u8; Superblock::SIZE],
}

/// An inode of an [`Image`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode<'a> {
    /// Its meta data.
    pub meta: Meta,
    /// Whether it must not change, nor a directory's entries.
    pub read_only: bool,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory; [`Image::dirents`] has its entries.
    Directory,
    /// A regular file.
    Regular {
        /// Where its contents begin in the data area.
        start: u64,
        /// Its length in bytes.
        size: u64,
        /// How many bytes of the data area that takes where it is compressed.
        stored: Option<u32>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: &'a [u8],
    },
    /// A device.
    Device(Device),
}

/// An inode as it stands in an [`Image`].
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8; InodeRecord::SIZE],
    names: &'a [u8],
}

impl<'a> Record<'a> {
    #[inline]
    fn decoded(self) -> InodeRecord {
        InodeRecord::decode(self.bytes)
    }

    /// All of it.
    pub fn inode(self) -> Inode<'a> {
        Inode {
            meta: Meta {
                mtime: self.mtime(),
                executable: self.executable(),
            },
            read_only: self.read_only(),
            kind: self.kind(),
        }
    }

    /// As [`Meta::mtime`].
    #[inline]
    pub fn mtime(self) -> u64 {
        self.decoded().mtime
    }

    /// As [`Meta::executable`].
    #[inline]
    pub fn executable(self) -> bool {
        self.decoded().flags & EXECUTABLE != 0
    }

    /// As [`Inode::read_only`].
    #[inline]
    pub fn read_only(self) -> bool {
        self.decoded().flags & READ_ONLY != 0
    }

    /// The device that it is, if it is one.
    #[inline]
    pub fn device(self) -> Option<Device> {
        match self.kind() {
            Kind::Device(device) => Some(device),
            _ => None,
        }
    }

    /// Where a symbolic link leads; `None` if it is something else.
    #[inline]
    pub fn target(self) -> Option<&'a [u8]> {
        let record = self.decoded();
        match record.kind {
            SYMLINK => Some(checked(self.names, record.start, record.count)),
            _ => None,
        }
    }

    /// What it is.
    // Once, and not in every caller: it is large.
    #[inline(never)]
    pub fn kind(self) -> Kind<'a> {
        let record = self.decoded();
        match record.kind {
            DIRECTORY => Kind::Directory,
            // Checked to be one.
            DEVICE => Kind::Device(Device::from_number(record.start).unwrap_or(Device::Null)),
            REGULAR => Kind::Regular {
                start: record.start,
                size: record.size,
                stored: (record.flags & COMPRESSED != 0).then_some(record.count),
            },
            _ => Kind::Symlink {
                target: checked(self.names, record.start, record.count),
            },
        }
    }
}

/// A directory's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirent<'a> {
    /// The entry's name.
    pub name: &'a [u8],
    /// The inode that it names.
    pub inode: u32,
}

/// The entries of a directory, one after the other or by position.
#[derive(Clone)]
pub struct Dirents<'a> {
    records: &'a [[u8; DirentRecord::SIZE]],
    names: &'a [u8],
}

/// A directory that is open when the program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preopen<'a> {
    /// The name that the program is told.
    pub name: &'a [u8],
    /// The directory's inode.
    pub inode: u32,
}

/// Why bytes are no image: the rule that is broken, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// No memory for checking.
    OutOfMemory,
    /// Fewer bytes than a superblock has.
    Truncated,
    /// The first bytes are not [`MAGIC`].
    Magic,
    /// Another version of the format than [`VERSION`].
    Version(u32),
    /// The tables' length is not that of the bytes, or not what the counts ask for.
    Length {
        /// What the superblock says.
        stated: u32,
        /// What its counts ask for.
        counted: u64,
    },
    /// A field that has to be 0 is not, or a flag is unknown.
    Reserved {
        /// Where the record begins, or which byte of padding it is.
        offset: u32,
    },
    /// Inode 0 is missing or no directory, or an entry names it.
    Root,
    /// No directory is preopened.
    NoPreopen,
    /// An inode of a kind that does not exist.
    Kind {
        /// The inode.
        inode: u32,
    },
    /// A directory's dirents do not begin where the previous directory's end,
    /// or are more than there are.
    Dirents {
        /// The directory.
        inode: u32,
    },
    /// A dirent behind those of the last directory.
    StrayDirent {
        /// The dirent.
        dirent: u32,
    },
    /// A file's contents lie outside of the data area.
    Contents {
        /// The file.
        inode: u32,
    },
    /// A symbolic link's target lies outside of the names or cannot be one.
    Target {
        /// The link.
        inode: u32,
    },
    /// A device that does not exist.
    Device {
        /// The inode.
        inode: u32,
    },
    /// A dirent's name lies outside of the names or cannot be one.
    Name {
        /// The dirent.
        dirent: u32,
    },
    /// A dirent's name does not sort behind the one before it.
    Order {
        /// The dirent.
        dirent: u32,
    },
    /// A dirent's inode does not exist.
    Missing {
        /// The dirent.
        dirent: u32,
    },
    /// A directory is named twice, or by a directory whose inode is not smaller.
    Parent {
        /// The dirent.
        dirent: u32,
    },
    /// An inode that no dirent names.
    Orphan {
        /// The inode.
        inode: u32,
    },
    /// A preopen's name lies outside of the names or cannot be one.
    PreopenName {
        /// The preopen.
        preopen: u32,
    },
    /// A preopen's inode is no directory.
    PreopenInode {
        /// The preopen.
        preopen: u32,
    },
    /// A name of a directory of the host lies outside of the names or cannot be one.
    HostPreopen {
        /// The directory.
        preopen: u32,
    },
    /// A stream's inode is no file, or one to be written to is read-only.
    Stream {
        /// The stream's descriptor.
        fd: usize,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid image: ")?;
        match *self {
            ImageError::OutOfMemory => f.write_str("no memory to check it with"),
            ImageError::Truncated => f.write_str("shorter than its superblock"),
            ImageError::Magic => f.write_str("does not begin with `monakafs`"),
            ImageError::Version(version) => {
                write!(f, "format version {version}, this monaka reads {VERSION}")
            }
            ImageError::Length { stated, counted } => write!(
                f,
                "tables of {stated} bytes are stated, their counts ask for {counted}, \
                 and as many must be given"
            ),
            ImageError::Reserved { offset } => {
                write!(f, "a reserved field or flag is set at byte {offset}")
            }
            ImageError::Root => f.write_str("inode 0 is not the root directory"),
            ImageError::NoPreopen => f.write_str("no directory is preopened"),
            ImageError::Kind { inode } => write!(f, "inode {inode}: unknown kind"),
            ImageError::Dirents { inode } => write!(f, "inode {inode}: misplaced dirents"),
            ImageError::StrayDirent { dirent } => {
                write!(f, "dirent {dirent}: belongs to no directory")
            }
            ImageError::Contents { inode } => write!(f, "inode {inode}: contents outside the data"),
            ImageError::Target { inode } => write!(f, "inode {inode}: invalid link target"),
            ImageError::Device { inode } => write!(f, "inode {inode}: unknown device"),
            ImageError::Name { dirent } => write!(f, "dirent {dirent}: invalid name"),
            ImageError::Order { dirent } => write!(f, "dirent {dirent}: not in order"),
            ImageError::Missing { dirent } => write!(f, "dirent {dirent}: no such inode"),
            ImageError::Parent { dirent } => {
                write!(
                    f,
                    "dirent {dirent}: a directory's second parent, or a cycle"
                )
            }
            ImageError::Orphan { inode } => write!(f, "inode {inode}: nothing names it"),
            ImageError::PreopenName { preopen } => write!(f, "preopen {preopen}: invalid name"),
            ImageError::PreopenInode { preopen } => write!(f, "preopen {preopen}: no directory"),
            ImageError::HostPreopen { preopen } => {
                write!(f, "host preopen {preopen}: invalid name")
            }
            ImageError::Stream { fd } => write!(f, "{}: no file for it", STREAMS[fd]),
        }
    }
}

impl core::error::Error for ImageError {}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").finish_non_exhaustive()
    }
}

impl fmt::Debug for Dirents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
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

    /// Checks every record.
    pub(super) fn check(self, superblock: &Superblock) -> Result<(), ImageError> {
        let kind = |inode: u32| self.inodes.get(inode as usize).map(|record| record[0]);
        if kind(ROOT) != Some(DIRECTORY) {
            return Err(ImageError::Root);
        }
        let mut named = Bits::new(self.inodes.len()).ok_or(ImageError::OutOfMemory)?;
        let mut next_dirent = 0;
        for inode in 0..superblock.inodes {
            let record = self.check_inode(inode)?;
            if record.kind == DIRECTORY {
                if record.start != u64::from(next_dirent) {
                    return Err(ImageError::Dirents { inode });
                }
                let end = next_dirent + record.count;
                self.check_directory(inode, next_dirent, end, &mut named)?;
                next_dirent = end;
            }
        }
        if next_dirent != superblock.dirents {
            return Err(ImageError::StrayDirent {
                dirent: next_dirent,
            });
        }
        for inode in 1..superblock.inodes {
            if !named.get(inode) {
                return Err(ImageError::Orphan { inode });
            }
        }
        if superblock.preopens == 0 {
            return Err(ImageError::NoPreopen);
        }
        for (preopen, record) in (0..).zip(self.preopens) {
            let record = PreopenRecord::decode(record);
            match self.bytes(record.name.into(), record.name_len) {
                Some(name) if is_path(name) => {}
                _ => return Err(ImageError::PreopenName { preopen }),
            }
            if kind(record.inode) != Some(DIRECTORY) {
                return Err(ImageError::PreopenInode { preopen });
            }
        }
        for (preopen, record) in (0..).zip(self.host_preopens) {
            let record = HostPreopenRecord::decode(record);
            let named = [
                (record.name, record.name_len),
                (record.host, record.host_len),
            ];
            let is_named = |(start, len): (u32, u16)| {
                let name = self.bytes(start.into(), len.into());
                name.is_some_and(is_path)
            };
            if !named.into_iter().all(is_named) {
                return Err(ImageError::HostPreopen { preopen });
            }
            if record.flags & !HOST_READ_ONLY != 0 {
                let before = Superblock::SIZE
                    + size_of_val(self.inodes)
                    + size_of_val(self.dirents)
                    + size_of_val(self.preopens);
                let offset = before as u32 + preopen * HostPreopenRecord::SIZE as u32;
                return Err(ImageError::Reserved { offset });
            }
        }
        for (fd, stream) in self.access().streams.iter().enumerate() {
            if let Stream::File(inode) = *stream
                && !self.is_stream(fd, inode)
            {
                return Err(ImageError::Stream { fd });
            }
        }
        Ok(())
    }

    /// Whether an inode can be a stream: a file, which output can be written to.
    fn is_stream(self, fd: usize, inode: u32) -> bool {
        let record = self.inodes.get(inode as usize);
        record.is_some_and(|record| record[0] == REGULAR && (fd == 0 || record[1] & READ_ONLY == 0))
    }

    /// Checks one inode's record, whatever stands in the others.
    pub(super) fn check_inode(self, inode: u32) -> Result<InodeRecord, ImageError> {
        let record = InodeRecord::decode(&self.inodes[inode as usize]);
        let unused = match record.kind {
            DIRECTORY => {
                let end = record.start.checked_add(record.count.into());
                if end.is_none_or(|end| end > self.dirents.len() as u64) {
                    return Err(ImageError::Dirents { inode });
                }
                record.size
            }
            REGULAR => {
                let (len, sound, unused) = match record.flags & COMPRESSED {
                    0 => (record.size, true, record.count),
                    _ => (u64::from(record.count), record.has_frames(), 0),
                };
                match record.start.checked_add(len) {
                    Some(end) if end <= self.data_len() && sound => {}
                    _ => return Err(ImageError::Contents { inode }),
                }
                let start = if record.size == 0 { record.start } else { 0 };
                start | u64::from(unused)
            }
            SYMLINK => {
                match self.bytes(record.start, record.count) {
                    Some(target) if is_path(target) => {}
                    _ => return Err(ImageError::Target { inode }),
                }
                record.size
            }
            DEVICE => {
                if Device::from_number(record.start).is_none() {
                    return Err(ImageError::Device { inode });
                }
                record.size | u64::from(record.count)
            }
            _ => return Err(ImageError::Kind { inode }),
        };
        let known = match record.kind {
            REGULAR => EXECUTABLE | READ_ONLY | COMPRESSED,
            _ => EXECUTABLE | READ_ONLY,
        };
        if unused != 0 || record.reserved != 0 || record.flags & !known != 0 {
            let offset = Superblock::SIZE + inode as usize * InodeRecord::SIZE;
            let offset = offset as u32;
            return Err(ImageError::Reserved { offset });
        }
        Ok(record)
    }

    /// Checks the dirents from `first` to `end`, which are those of `directory`.
    fn check_directory(
        self,
        directory: u32,
        first: u32,
        end: u32,
        named: &mut Bits,
    ) -> Result<(), ImageError> {
        // No name is empty, so the first one sorts behind this.
        let mut previous: &[u8] = &[];
        for dirent in first..end {
            let Dirent { name, inode } = self.check_dirent(dirent)?;
            if previous >= name {
                return Err(ImageError::Order { dirent });
            }
            previous = name;
            let is_directory = self.inodes[inode as usize][0] == DIRECTORY;
            if is_directory && (inode <= directory || named.get(inode)) {
                return Err(ImageError::Parent { dirent });
            }
            named.set(inode);
        }
        Ok(())
    }

    /// Checks one dirent's record, whatever stands in the others.
    pub(super) fn check_dirent(self, dirent: u32) -> Result<Dirent<'a>, ImageError> {
        let record = DirentRecord::decode(&self.dirents[dirent as usize]);
        let name = match self.bytes(record.name.into(), record.name_len.into()) {
            Some(name) if is_name(name) => name,
            _ => return Err(ImageError::Name { dirent }),
        };
        if record.reserved != 0 {
            let offset =
                Superblock::SIZE + size_of_val(self.inodes) + dirent as usize * DirentRecord::SIZE;
            let offset = offset as u32;
            return Err(ImageError::Reserved { offset });
        }
        if record.inode as usize >= self.inodes.len() {
            return Err(ImageError::Missing { dirent });
        }
        if record.inode == ROOT {
            return Err(ImageError::Root);
        }
        Ok(Dirent {
            name,
            inode: record.inode,
        })
    }

    /// The superblock, of which whoever asks for one field decodes no other.
    #[inline(always)]
    fn head(self) -> Superblock {
        Superblock::decode(self.superblock)
    }

    /// A piece of the names.
    fn bytes(self, start: u64, len: u32) -> Option<&'a [u8]> {
        piece(self.names, start, len)
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

impl<'a> Dirents<'a> {
    /// The one at a position.
    ///
    /// # Panics
    /// If there are not as many.
    #[inline]
    pub fn get(&self, position: usize) -> Dirent<'a> {
        self.dirent(&self.records[position])
    }

    /// The position of the entry of that name.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.records.iter().position(|record| {
            let record = DirentRecord::decode(record);
            // Most differ in that already.
            usize::from(record.name_len) == name.len()
                && checked(self.names, record.name.into(), record.name_len.into()) == name
        })
    }

    fn dirent(&self, record: &[u8; DirentRecord::SIZE]) -> Dirent<'a> {
        let record = DirentRecord::decode(record);
        Dirent {
            name: checked(self.names, record.name.into(), record.name_len.into()),
            inode: record.inode,
        }
    }
}

impl<'a> Iterator for Dirents<'a> {
    type Item = Dirent<'a>;

    fn next(&mut self) -> Option<Dirent<'a>> {
        let (first, rest) = self.records.split_first()?;
        self.records = rest;
        Some(self.dirent(first))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.records.len(), Some(self.records.len()))
    }
}

impl ExactSizeIterator for Dirents<'_> {}

/// What a stream is.
fn stream(field: u32) -> Stream<u32> {
    match field {
        STREAM_HOST => Stream::Host,
        STREAM_CLOSED => Stream::Closed,
        STREAM_NULL => Stream::Null,
        inode => Stream::File(inode),
    }
}

/// A piece of the names.
fn piece(names: &[u8], start: u64, len: u32) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    names.get(start..)?.get(..len as usize)
}

/// A piece of the names that [`Image::open`] has found to be there.
fn checked(names: &[u8], start: u64, len: u32) -> &[u8] {
    let bytes = piece(names, start, len);
    debug_assert!(bytes.is_some());
    // Not unwrapped: the program would have to carry the panic, for nothing.
    bytes.unwrap_or_default()
}

/// Takes `count` records off the front.
fn records<const N: usize>(bytes: &[u8], count: u32) -> Option<(&[[u8; N]], &[u8])> {
    let len = usize::try_from(u64::from(count) * N as u64).ok()?;
    let (records, rest) = bytes.split_at_checked(len)?;
    Some((records.as_chunks().0, rest))
}
