//! The descriptors that the host opened before the program: which of them the
//! program sees, and as what.
//!
//! They join the table when a number is first needed that it does not hold, so a
//! program that never asks costs the host nothing. First come the directories that
//! the image names, in its order; then the others, as far as they are the program's.

use alloc::vec::Vec;

use crate::access::Calls;
use crate::errno::{Errno, Result};
use crate::fd::{Descriptor, HostFd};
use crate::host::Home;
use crate::memory::LENT;
use crate::rights::Filetype;
use crate::witx::Hook;

use super::Vfs;

impl<'i> Vfs<'i> {
    /// The host's number of `fd`, if it is one of the host's, for `call`.
    ///
    /// 1. `fd` is not open                                        → `BADF`
    /// 2. it is the host's, and the module does not have the call → `errno`
    /// 3. it is of a read-only directory, which the call changes  → `ROFS`
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
        if self.waiting && self.fds.get(fd).is_err() {
            self.join(home)?;
        }
        Ok(())
    }

    /// Makes room for one more descriptor.
    pub(super) fn reserve_fd(&mut self, home: &mut impl Home) -> Result<()> {
        if self.waiting {
            self.join(home)?;
        }
        self.fds.reserve()
    }

    /// Behind the packed ones, even where the program has closed some. `NOMEM`,
    /// `MFILE`, and then none of them.
    #[cold]
    fn join(&mut self, home: &mut impl Home) -> Result<()> {
        let end = (3..).find(|&fd| home.filetype(fd).is_none()).unwrap_or(3);
        let directories = self.fs.tables().host_directories();
        let mut joining = Vec::new();
        joining
            .try_reserve(directories.len() + end as usize)
            .map_err(|_| Errno::NOMEM)?;
        for directory in directories {
            if let Some(number) = (3..end).find(|&fd| self.is_named(home, fd, directory.host)) {
                joining.push(Descriptor::Host(HostFd {
                    number,
                    preopen: Some(directory.name),
                    read_only: directory.read_only,
                }));
            }
        }
        let named = joining.len();
        let sockets = self.calls.has(Hook::sock_accept);
        for number in 3..end {
            let filetype = home.filetype(number);
            let is_socket = filetype.is_some_and(Filetype::is_socket);
            let is_named = |other: &Descriptor<'_>| match other {
                Descriptor::Host(host) => host.number == number,
                _ => false,
            };
            let joins = match is_socket {
                true => sockets,
                false => self.host_dirs && !joining[..named].iter().any(is_named),
            };
            if joins {
                joining.push(Descriptor::Host(HostFd::new(number)));
            }
        }
        self.fds.append(joining)?;
        self.waiting = false;
        Ok(())
    }

    /// Whether the host has preopened a directory as `fd` by that name, of at most
    /// 4095 bytes.
    fn is_named(&mut self, home: &mut impl Home, fd: u32, name: &[u8]) -> bool {
        let len = name.len() as u32;
        let prestat = home.lend::<8>(|home, at| home.fd_prestat_get(fd, at));
        let (Ok(prestat), Ok(lent)) = (prestat, home.region(LENT, len)) else {
            return false;
        };
        // Hosts do not write the bytes between.
        if prestat[0] != 0 || prestat[4..] != len.to_le_bytes() {
            return false;
        }
        let [kept, left] = &mut self.paths;
        kept.clear();
        left.clear();
        home.append(lent, kept);
        let outcome = home.fd_prestat_dir_name(fd, LENT, len);
        home.append(lent, left);
        home.write(lent, kept);
        outcome.is_ok() && left == name
    }
}
