//! The descriptors that the host opened before the program: which of them the
//! program sees, and as what.
//!
//! They join the table when a number is first needed that it does not hold, so a
//! program that never asks costs the host nothing.

use alloc::vec::Vec;

use crate::access::Calls;
use crate::errno::{Errno, Result};
use crate::fd::{Descriptor, HostFd};
use crate::host::Home;
use crate::memory::LENT;
use crate::resolve::PATH_MAX;
use crate::rights::Filetype;
use crate::witx::Hook;

use super::Vfs;

/// In the place of the next descriptor to join, once all have.
pub(super) const JOINED: u32 = 0;

impl<'i> Vfs<'i> {
    /// The host's number of `fd`, if it is one of the host's, for `call`.
    ///
    /// 1. `fd` is not open                                        → `BADF`
    /// 2. it is the host's, and the module does not have the call → `errno`
    /// 3. it is of a read-only directory, which the call changes  → `ROFS`
    // Once, and not in every caller.
    #[inline(never)]
    pub(super) fn host_fd(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        call: Hook,
        errno: Errno,
    ) -> Result<Option<u32>> {
        self.expect(home, fd)?;
        match self.fds.get(fd)? {
            Descriptor::Host(_) if !self.calls.has(call) => Err(errno),
            Descriptor::Host(host) if host.read_only && Calls::CHANGING.has(call) => {
                Err(Errno::ROFS)
            }
            Descriptor::Host(host) => Ok(Some(host.number)),
            _ => Ok(None),
        }
    }

    /// Lets the host's descriptors join if `fd` may be one of them.
    #[inline]
    pub(super) fn expect(&mut self, home: &mut impl Home, fd: u32) -> Result<()> {
        if self.joining != JOINED && self.fds.get(fd).is_err() {
            self.join(home)?;
        }
        Ok(())
    }

    /// Makes room for one more descriptor.
    pub(super) fn reserve_fd(&mut self, home: &mut impl Home) -> Result<()> {
        if self.joining != JOINED {
            self.join(home)?;
        }
        self.fds.reserve()
    }

    /// Behind the packed ones, even where the program has closed some. Where that
    /// fails, `NOMEM` or `MFILE`, it goes on with the next when it is tried again.
    #[cold]
    fn join(&mut self, home: &mut impl Home) -> Result<()> {
        let directories = self.fs.tables().host_directories();
        while let Some(filetype) = home.filetype(self.joining) {
            // A directory may be shown by every name.
            self.fds.grow(directories.len().max(1))?;
            let host = HostFd::new(self.joining);
            self.joining += 1;
            let is_socket = Filetype::is_socket(filetype);
            let named = !is_socket
                && directories.len() != 0
                && read_name(home, host.number, &mut self.paths);
            let mut joins = match is_socket {
                true => self.calls.has(Hook::sock_accept),
                false => self.host_dirs,
            };
            for directory in directories.clone() {
                if named && self.paths[1] == directory.host {
                    joins = false;
                    self.fds.append(Some(Descriptor::Host(HostFd {
                        preopen: Some(directory.name),
                        read_only: directory.read_only,
                        ..host
                    })))?;
                }
            }
            if joins {
                self.fds.append(Some(Descriptor::Host(host)))?;
            }
        }
        self.joining = JOINED;
        Ok(())
    }
}

/// Reads the name by which the host has preopened `fd` into the second of two buffers
/// that have room for 4095 bytes; whether it has one.
fn read_name(home: &mut impl Home, fd: u32, [kept, name]: &mut [Vec<u8>; 2]) -> bool {
    let Ok(lent) = home.region(LENT, PATH_MAX as u32) else {
        return false;
    };
    kept.clear();
    name.clear();
    home.append(lent, kept);
    let len = home
        .fd_prestat_get(fd, LENT)
        .and_then(|()| home.load_u32(LENT + 4))
        .and_then(|len| {
            home.fd_prestat_dir_name(fd, LENT, len.min(PATH_MAX as u32))?;
            Ok(len)
        });
    home.append(lent, name);
    home.write(lent, kept);
    name.truncate(len.unwrap_or(0) as usize);
    len.is_ok()
}
