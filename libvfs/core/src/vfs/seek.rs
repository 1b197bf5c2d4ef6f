//! Offsets.

use crate::data::SIZE_MAX;
use crate::errno::{Errno, Result};
use crate::fd::Descriptor;
use crate::host::Home;
use crate::rights::Rights;

use super::Vfs;

/// `whence` of the witx.
const SET: u32 = 0;
const CUR: u32 = 1;
const END: u32 = 2;

impl Vfs<'_> {
    /// Moves the offset.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. `fd` is not open, or a directory                → `BADF`
    /// 2. `fd` lacks `FD_SEEK`, or for `CUR` by 0 both
    ///    that and `FD_TELL`                              → `NOTCAPABLE`
    /// 3. unknown `whence`, or the offset would be
    ///    negative or past 2^63 - 1                       → `INVAL`
    ///
    /// A device has no offset: it is always 0. Compare
    /// fs/read_write.c:generic_file_llseek() and drivers/char/mem.c:null_lseek().
    pub fn fd_seek(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        offset: u64,
        whence: u32,
        newoffset: u32,
    ) -> Result<()> {
        self.expect(home, fd)?;
        match self.fds.get_mut(fd)? {
            Descriptor::Host(host) => home.fd_seek(host.number, offset, whence, newoffset),
            Descriptor::Dir(_) => Err(Errno::BADF),
            Descriptor::File(file) => {
                let only_tells = whence == CUR && offset == 0;
                let allowed = file.rights.contains(Rights::FD_SEEK)
                    || (only_tells && file.rights.contains(Rights::FD_TELL));
                if !allowed {
                    return Err(Errno::NOTCAPABLE);
                }
                let base = match (whence, self.fs.file(file.ino)) {
                    (SET..=END, Err(_)) => return home.store_u64(newoffset, 0),
                    (SET, _) => 0,
                    (CUR, _) => file.offset,
                    (END, Ok(data)) => data.size(),
                    _ => return Err(Errno::INVAL),
                };
                let target = base
                    .checked_add_signed(offset.cast_signed())
                    .filter(|&target| target <= SIZE_MAX)
                    .ok_or(Errno::INVAL)?;
                home.store_u64(newoffset, target)?;
                file.offset = target;
                Ok(())
            }
        }
    }

    /// Answers the offset. A directory → `BADF`; neither `FD_TELL` nor
    /// `FD_SEEK` → `NOTCAPABLE`.
    pub fn fd_tell(&mut self, home: &mut impl Home, fd: u32, offset: u32) -> Result<()> {
        self.expect(home, fd)?;
        match self.fds.get(fd)? {
            // The same question; fd_tell itself is no call of stdio.
            Descriptor::Host(host) => home.fd_seek(host.number, 0, CUR, offset),
            Descriptor::Dir(_) => Err(Errno::BADF),
            Descriptor::File(file) => {
                let rights = file.rights;
                if !rights.contains(Rights::FD_TELL) && !rights.contains(Rights::FD_SEEK) {
                    return Err(Errno::NOTCAPABLE);
                }
                let is_device = self.fs.device(file.ino).is_some();
                home.store_u64(offset, if is_device { 0 } else { file.offset })
            }
        }
    }
}
