//! The rules of docs/SPEC.md that tables have to keep.
//!
//! 1. Directories have to lie in the dirent table one behind the other, in the
//!    order of their inodes. Thereby no two share a dirent and none is left over,
//!    which is what makes a link count the number of dirents.
//! 2. One bit for each inode says whether something names it: all the memory
//!    that is needed, and it may be refused.

use super::error::ImageError;
use super::format::{
    COMPRESSED, DEVICE, DIRECTORY, DirentRecord, EXECUTABLE, HOST_READ_ONLY, HostPreopenRecord,
    InodeRecord, PreopenRecord, READ_ONLY, REGULAR, ROOT, SYMLINK, Superblock, is_name, is_path,
};
use super::reader::Image;
use super::record::{Dirent, piece};
use crate::access::Stream;
use crate::bits::Bits;
use crate::device::Device;

impl<'a> Image<'a> {
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

    /// A piece of the names.
    fn bytes(self, start: u64, len: u32) -> Option<&'a [u8]> {
        piece(self.names, start, len)
    }
}
