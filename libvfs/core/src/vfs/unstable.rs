//! The calls that were others in `wasi_unstable`, the snapshot before Preview 1:
//! the same signatures with other numbers and layouts.
//!
//! | | then | now |
//! |---|---|---|
//! | `whence` | `CUR` 0, `END` 1, `SET` 2 | `SET` 0, `CUR` 1, `END` 2 |
//! | `filestat` | 56 bytes: `nlink` 4 bytes at 20, `size` at 24 | 64 bytes: 8 at 24, at 32 |
//! | `subscription` | 56 bytes: a clock's `identifier` at 16, its number at 24 | 48 bytes: number at 16 |
//!
//! A program has room for the old layouts only, and the host may be the one to
//! write the new ones; so those never reach the bytes around.

use alloc::vec::Vec;

use crate::abi::poll::{CLOCK, EVENT, SUBSCRIPTION};
use crate::errno::{Errno, Result};
use crate::host::Home;

use super::Vfs;
use super::poll::SUBSCRIPTIONS_MAX;

/// Bytes of a subscription then.
const OLD_SUBSCRIPTION: u32 = 56;

impl Vfs<'_> {
    /// [`Vfs::fd_seek`] with the `whence` of then.
    pub fn unstable_fd_seek(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        offset: u64,
        whence: u32,
        newoffset: u32,
    ) -> Result<()> {
        let whence = match whence {
            known @ 0..=2 => (known + 1) % 3,
            unknown => unknown,
        };
        self.fd_seek(home, fd, offset, whence, newoffset)
    }

    /// [`Vfs::fd_filestat_get`] with the `filestat` of then.
    pub fn unstable_fd_filestat_get(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        stat: u32,
    ) -> Result<()> {
        let now = home.lend(|home, at| self.fd_filestat_get(home, fd, at))?;
        home.store(stat, &filestat(&now))
    }

    /// [`Vfs::path_filestat_get`] with the `filestat` of then.
    pub fn unstable_path_filestat_get(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        flags: u32,
        path: u32,
        path_len: u32,
        stat: u32,
    ) -> Result<()> {
        let now =
            home.lend(|home, at| self.path_filestat_get(home, fd, flags, path, path_len, at))?;
        home.store(stat, &filestat(&now))
    }

    /// [`Vfs::poll_oneoff`] with the `subscription` of then.
    ///
    /// The subscriptions are shortened where they stand and put back before the
    /// events are stored, since those may stand in the same place.
    pub fn unstable_poll_oneoff(
        &mut self,
        home: &mut impl Home,
        subscriptions: u32,
        events: u32,
        count: u32,
        nevents: u32,
    ) -> Result<()> {
        if count == 0 || count > SUBSCRIPTIONS_MAX {
            return Err(Errno::INVAL);
        }
        let all = home.region(subscriptions, count * OLD_SUBSCRIPTION)?;
        home.region(events, count * EVENT)?;
        home.region(nevents, 4)?;
        let (mut kept, mut occurred) = (Vec::new(), Vec::new());
        kept.try_reserve_exact(all.len() as usize)
            .and_then(|()| occurred.try_reserve_exact((count * EVENT) as usize))
            .map_err(|_| Errno::NOMEM)?;
        home.append(all, &mut kept);
        for (index, old) in (0..count).zip(kept.chunks_exact(OLD_SUBSCRIPTION as usize)) {
            home.store(subscriptions + index * SUBSCRIPTION, &subscription(old))?;
        }
        let outcome = self.poll_oneoff(home, subscriptions, events, count, nevents);
        if outcome.is_ok() {
            let len = home.load_u32(nevents)?.min(count) * EVENT;
            home.append(home.region(events, len)?, &mut occurred);
        }
        home.write(all, &kept);
        outcome?;
        home.store(events, &occurred)?;
        home.store_u32(nevents, occurred.len() as u32 / EVENT)
    }
}

/// Today's `filestat` as it was then. A link count that does not fit is the
/// largest that does.
fn filestat(now: &[u8; 64]) -> [u8; 56] {
    let mut then = [0; 56];
    then[..17].copy_from_slice(&now[..17]);
    let fits = now[28..32] == [0; 4];
    let nlink = if fits { &now[24..28] } else { &[0xff; 4] };
    then[20..24].copy_from_slice(nlink);
    then[24..].copy_from_slice(&now[32..]);
    then
}

/// A `subscription` of then as it is today.
fn subscription(then: &[u8]) -> [u8; SUBSCRIPTION as usize] {
    let mut now = [0; SUBSCRIPTION as usize];
    now[..16].copy_from_slice(&then[..16]);
    match then[8] {
        CLOCK => now[16..].copy_from_slice(&then[24..]),
        _ => now[16..20].copy_from_slice(&then[16..20]),
    }
    now
}
