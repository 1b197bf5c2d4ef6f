//! Waiting, and sockets.
//!
//! A packed file is always ready, and a clock that is denied or stands still is
//! answered at once. So when a program waits on one, the host must
//! not block; but what else of the host's is ready is still to be reported.
//! The host is then asked with the packed files' subscriptions turned into
//! clocks that have run out, and the subscriptions are put back afterwards.

use alloc::vec::Vec;

use crate::abi::poll::{CLOCK, EVENT, FD_READ, FD_WRITE, SUBSCRIPTION};
use crate::access::Clock;
use crate::errno::{Errno, Result};
use crate::fd::{Descriptor, HostFd};
use crate::host::Home;
use crate::inode::SeenKind;
use crate::rights::Rights;
use crate::witx::Hook;

use super::{Vfs, device};

/// `userdata` of a subscription that stands in for one of ours; the index
/// is added. Only the host sees it.
const STAND_IN: u64 = 0x6d6f_6e61_6b61_0000;

/// `clockid` of the time of day.
const REALTIME: u32 = 0;

/// The most subscriptions of one call.
pub(super) const SUBSCRIPTIONS_MAX: u32 = 4096;

/// A subscription as it stands in the program's memory.
type Subscription = [u8; SUBSCRIPTION as usize];

/// An event, likewise.
type Event = [u8; EVENT as usize];

/// Who answers a subscription.
enum Source {
    /// The host: to a clock.
    Clock,
    /// The host: to its descriptor.
    Host(u32),
    /// We: ready with so many bytes, or an errno.
    Ours(Result<u64>),
}

/// The event that answers a subscription.
fn event(to: &Subscription, outcome: Result<u64>) -> Event {
    let mut out = [0; EVENT as usize];
    out[..8].copy_from_slice(&to[..8]);
    out[10] = to[8];
    match outcome {
        Ok(bytes) => out[16..24].copy_from_slice(&bytes.to_le_bytes()),
        Err(errno) => out[8..10].copy_from_slice(&errno.raw().to_le_bytes()),
    }
    out
}

/// What the host is shown in the place of a subscription of ours.
fn stand_in(index: u32) -> Subscription {
    let mut out = [0; SUBSCRIPTION as usize];
    out[..8].copy_from_slice(&(STAND_IN + u64::from(index)).to_le_bytes());
    out[8] = CLOCK;
    // The monotonic clock, 0 ns from now.
    out[16] = 1;
    out
}

/// Room for `len` bytes. `NOMEM`.
// Once, and not wherever it is needed: it is large.
#[inline(never)]
fn room(len: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match bytes.try_reserve_exact(len as usize) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Errno::NOMEM),
    }
}

impl Vfs<'_> {
    /// Waits until a subscribed event occurs.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. no subscription, or too many            → `INVAL`
    /// 2. a pointer outside the memory            → `FAULT`
    /// 3. a subscription of unknown type → `INVAL`; to a descriptor that is
    ///    not open, or a directory                → `BADF`
    ///
    /// As in wasmtime, a bad descriptor fails the call, and nobody waits. One
    /// that lacks `POLL_FD_READWRITE` is answered by an event with `NOTCAPABLE`.
    /// Where a clock is not the program's, a subscription to it is answered at once:
    /// by an event with `NOTSUP`, or as if the time had come where time stands still.
    /// A packed file is always ready: to read with the bytes left before its
    /// end, to write with one. So is a device, to read with one but `null`. The
    /// host is asked for its descriptors and the clocks, or a clock would never
    /// be heard beside a file.
    pub fn poll_oneoff(
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
        let all = home.region(subscriptions, count * SUBSCRIPTION)?;
        home.region(events, count * EVENT)?;
        home.region(nevents, 4)?;
        let (mut asked, mut shown) = (room(all.len())?, room(all.len())?);
        let (mut occurred, mut ours) = (room(2 * count * EVENT)?, room(count * EVENT)?);
        home.append(all, &mut asked);
        let mut waits = false;
        for (index, subscription) in (0..).zip(asked.as_chunks().0) {
            let mut show = *subscription;
            match self.source(home, subscription)? {
                Source::Clock => waits = true,
                Source::Host(fd) => {
                    waits = true;
                    show[16..20].copy_from_slice(&fd.to_le_bytes());
                }
                Source::Ours(outcome) => {
                    ours.extend_from_slice(&event(subscription, outcome));
                    show = stand_in(index);
                }
            }
            shown.extend_from_slice(&show);
        }
        if waits {
            let mut heard = room(count * EVENT)?;
            // The program may have put `events` over `subscriptions`, so nothing else is
            // written there before the subscriptions have been put back.
            home.write(all, &shown);
            let outcome = home
                .poll_oneoff(subscriptions, events, count, nevents)
                .and_then(|()| home.load_u32(nevents))
                .and_then(|heard| home.region(events, heard.min(count) * EVENT))
                .map(|from| home.append(from, &mut heard));
            home.write(all, &asked);
            outcome?;
            for event in heard.as_chunks().0 {
                if !stands_in(event, &asked, &shown) {
                    occurred.extend_from_slice(event);
                }
            }
        }
        occurred.extend_from_slice(&ours);
        // A host that answers the same twice leaves no room for ours.
        occurred.truncate((count * EVENT) as usize);
        home.store(events, &occurred)?;
        home.store_u32(nevents, occurred.len() as u32 / EVENT)
    }

    fn source(&mut self, home: &mut impl Home, subscription: &Subscription) -> Result<Source> {
        // Of the clock or of the descriptor.
        let number = u32::from_le_bytes([
            subscription[16],
            subscription[17],
            subscription[18],
            subscription[19],
        ]);
        match subscription[8] {
            CLOCK => Ok(self.clock(number)),
            event_type @ (FD_READ | FD_WRITE) => {
                self.expect(home, number)?;
                self.readiness(number, event_type)
            }
            _ => Err(Errno::INVAL),
        }
    }

    /// Who answers a subscription to a clock.
    fn clock(&self, id: u32) -> Source {
        match self.clock {
            Clock::Host => Source::Clock,
            Clock::Monotonic if id != REALTIME => Source::Clock,
            Clock::Denied | Clock::Monotonic => Source::Ours(Err(Errno::NOTSUP)),
            // Whoever waits for a time that never comes would wait for ever.
            Clock::Fixed => Source::Ours(Ok(0)),
        }
    }

    fn readiness(&self, fd: u32, event_type: u8) -> Result<Source> {
        let file = match self.fds.get(fd)? {
            Descriptor::Host(host) if self.calls.has(Hook::poll_oneoff) => {
                return Ok(Source::Host(host.number));
            }
            // Output that is the host's, and nothing else of it to wait for.
            Descriptor::Host(_) => return Ok(Source::Ours(Ok(1))),
            Descriptor::Dir(_) => return Err(Errno::BADF),
            Descriptor::File(file) => file,
        };
        if !file.rights.contains(Rights::POLL_FD_READWRITE) {
            return Ok(Source::Ours(Err(Errno::NOTCAPABLE)));
        }
        let bytes = match self.fs.kind(file.ino) {
            SeenKind::Device(device) if event_type == FD_READ => device::readable(device),
            SeenKind::Regular(size) if event_type == FD_READ => size.saturating_sub(file.offset),
            _ => 1,
        };
        Ok(Source::Ours(Ok(bytes)))
    }

    /// Accepts a connection on the host's socket. Anything else → `NOTSOCK`.
    pub fn sock_accept(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        flags: u32,
        accepted: u32,
    ) -> Result<()> {
        let host = self.socket(home, fd)?;
        self.reserve_fd(home)?;
        home.sock_accept(host, flags, accepted)?;
        let new = home.load_u32(accepted)?;
        let new = self.fds.insert(Descriptor::Host(HostFd::new(new)));
        home.store_u32(accepted, new)
    }

    /// Receives from the host's socket. Anything else → `NOTSOCK`.
    #[expect(clippy::too_many_arguments, reason = "the witx has them")]
    pub fn sock_recv(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        ri_flags: u32,
        nread: u32,
        ro_flags: u32,
    ) -> Result<()> {
        let host = self.socket(home, fd)?;
        home.sock_recv(host, iovs, iovs_len, ri_flags, nread, ro_flags)
    }

    /// Sends to the host's socket. Anything else → `NOTSOCK`.
    pub fn sock_send(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        si_flags: u32,
        nwritten: u32,
    ) -> Result<()> {
        let host = self.socket(home, fd)?;
        home.sock_send(host, iovs, iovs_len, si_flags, nwritten)
    }

    /// Shuts the host's socket down. Anything else → `NOTSOCK`.
    pub fn sock_shutdown(&mut self, home: &mut impl Home, fd: u32, how: u32) -> Result<()> {
        let host = self.socket(home, fd)?;
        home.sock_shutdown(host, how)
    }

    fn socket(&mut self, home: &mut impl Home, fd: u32) -> Result<u32> {
        let host = self.host_fd(home, fd, Hook::sock_accept, Errno::NOTSOCK)?;
        host.ok_or(Errno::NOTSOCK)
    }
}

/// Whether an event is the host's answer to a stand-in, where the program `asked` for
/// something else than was `shown`: what the host hears of its descriptors keeps its type.
fn stands_in(event: &Event, asked: &[u8], shown: &[u8]) -> bool {
    let mut userdata = [0; 8];
    userdata.copy_from_slice(&event[..8]);
    let index = u64::from_le_bytes(userdata).wrapping_sub(STAND_IN);
    let at = |all: &'_ [u8]| -> Option<Subscription> {
        let index = usize::try_from(index).ok()?;
        all.as_chunks().0.get(index).copied()
    };
    event[10] == CLOCK && at(shown).is_some() && at(shown) != at(asked)
}
