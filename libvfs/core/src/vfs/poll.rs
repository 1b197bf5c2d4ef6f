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

/// One subscription of the program.
struct Subscription {
    at: u32,
    /// As it stands in the program's memory.
    bytes: [u8; SUBSCRIPTION as usize],
    source: Source,
}

enum Source {
    Clock,
    /// The host's descriptor.
    Host(u32),
    /// Ours: ready with so many bytes, or an errno.
    Ours(Result<u64>),
}

impl Subscription {
    fn event_type(&self) -> u8 {
        self.bytes[8]
    }

    fn userdata(&self) -> [u8; 8] {
        let mut out = [0; 8];
        out.copy_from_slice(&self.bytes[..8]);
        out
    }

    /// The event that answers it.
    fn event(&self, outcome: Result<u64>) -> [u8; EVENT as usize] {
        let mut out = [0; EVENT as usize];
        out[..8].copy_from_slice(&self.userdata());
        out[10] = self.event_type();
        match outcome {
            Ok(bytes) => out[16..24].copy_from_slice(&bytes.to_le_bytes()),
            Err(errno) => out[8..10].copy_from_slice(&errno.raw().to_le_bytes()),
        }
        out
    }

    /// What the host is shown instead.
    fn for_host(&self, index: u32) -> [u8; SUBSCRIPTION as usize] {
        let mut bytes = self.bytes;
        match self.source {
            Source::Clock => {}
            Source::Host(fd) => bytes[16..20].copy_from_slice(&fd.to_le_bytes()),
            Source::Ours(_) => {
                bytes = [0; SUBSCRIPTION as usize];
                bytes[..8].copy_from_slice(&(STAND_IN + u64::from(index)).to_le_bytes());
                bytes[8] = CLOCK;
                // The monotonic clock, 0 ns from now.
                bytes[16..20].copy_from_slice(&1u32.to_le_bytes());
            }
        }
        bytes
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
        home.region(subscriptions, count * SUBSCRIPTION)?;
        home.region(events, count * EVENT)?;
        home.region(nevents, 4)?;
        let mut all = Vec::new();
        all.try_reserve_exact(count as usize)
            .map_err(|_| Errno::NOMEM)?;
        for index in 0..count {
            let at = subscriptions + index * SUBSCRIPTION;
            all.push(self.subscription(home, at)?);
        }
        let hosts = |s: &Subscription| !matches!(s.source, Source::Ours(_));
        let mut occurred = if all.iter().any(hosts) {
            ask_host(home, &all, subscriptions, events, nevents)?
        } else {
            Vec::new()
        };
        occurred.try_reserve(all.len()).map_err(|_| Errno::NOMEM)?;
        for subscription in &all {
            if let Source::Ours(outcome) = subscription.source {
                occurred.push(subscription.event(outcome));
            }
        }
        // No more than there are subscriptions, so they fit.
        for (index, event) in (0..count).zip(&occurred) {
            home.store(events + index * EVENT, event)?;
        }
        home.store_u32(nevents, count.min(occurred.len() as u32))
    }

    fn subscription(&mut self, home: &mut impl Home, at: u32) -> Result<Subscription> {
        let mut bytes = [0; SUBSCRIPTION as usize];
        home.read(home.region(at, SUBSCRIPTION)?, &mut bytes);
        // Of the clock or of the descriptor.
        let number = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
        let source = match bytes[8] {
            CLOCK => self.clock(number),
            FD_READ | FD_WRITE => {
                self.expect(home, number)?;
                self.readiness(number, bytes[8])?
            }
            _ => return Err(Errno::INVAL),
        };
        Ok(Subscription { at, bytes, source })
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
        let bytes = match self.fs.inode(file.ino).kind() {
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

/// Lets the host wait; answers the events of its own descriptors and of the
/// program's clocks.
///
/// The program may have put `events` over `subscriptions`, so nothing is written
/// there before the subscriptions have been put back.
fn ask_host(
    home: &mut impl Home,
    all: &[Subscription],
    subscriptions: u32,
    events: u32,
    nevents: u32,
) -> Result<Vec<[u8; EVENT as usize]>> {
    let mut kept = Vec::new();
    kept.try_reserve_exact(all.len())
        .map_err(|_| Errno::NOMEM)?;
    for (index, subscription) in (0..).zip(all) {
        home.store(subscription.at, &subscription.for_host(index))?;
    }
    let outcome = home.poll_oneoff(subscriptions, events, all.len() as u32, nevents);
    let occurred = match outcome {
        Ok(()) => home.load_u32(nevents)?.min(all.len() as u32),
        Err(_) => 0,
    };
    for index in 0..occurred {
        let mut event = [0; EVENT as usize];
        home.read(home.region(events + index * EVENT, EVENT)?, &mut event);
        if !stands_in(all, &event) {
            kept.push(event);
        }
    }
    for subscription in all {
        home.store(subscription.at, &subscription.bytes)?;
    }
    outcome.map(|()| kept)
}

/// Whether an event is the host's answer to a stand-in for a packed file.
fn stands_in(all: &[Subscription], event: &[u8; EVENT as usize]) -> bool {
    let mut userdata = [0; 8];
    userdata.copy_from_slice(&event[..8]);
    let userdata = u64::from_le_bytes(userdata);
    let index = userdata.wrapping_sub(STAND_IN);
    index < all.len() as u64 && matches!(all[index as usize].source, Source::Ours(_))
}
