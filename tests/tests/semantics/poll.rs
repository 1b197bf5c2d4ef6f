//! Waiting for files, streams and clocks.

use monaka_tests::native::{ALL, BUFFER, Guest, Native, OUT, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::abi::poll::{CLOCK, EVENT, FD_READ, FD_WRITE, SUBSCRIPTION};
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::memory::GuestMemory;

use crate::{DIRECTORY, READ, WRITE, packed, with};

/// A host whose streams are ready with 5 bytes, and which waits: its clocks
/// have run out only if nothing else is ready or their time is 0.
fn serve(home: &mut Native, call: &str, args: &[u64]) -> Result<()> {
    assert_eq!(call, "poll_oneoff");
    let [from, to, count, nevents] = [0, 1, 2, 3].map(|n| args[n] as u32);
    let subscriptions: Vec<[u8; SUBSCRIPTION as usize]> = (0..count)
        .map(|index| {
            let mut bytes = [0; SUBSCRIPTION as usize];
            let at = home.region(from + index * SUBSCRIPTION, SUBSCRIPTION);
            home.read(at.unwrap(), &mut bytes);
            bytes
        })
        .collect();
    let now = |s: &[u8; 48]| s[8] != CLOCK || s[24..32] == [0; 8];
    let waits = !subscriptions.iter().any(now);
    let mut occurred = 0;
    for subscription in subscriptions.iter().filter(|s| waits || now(s)) {
        let mut event = [0; EVENT as usize];
        event[..8].copy_from_slice(&subscription[..8]);
        event[10] = subscription[8];
        if subscription[8] != CLOCK {
            event[16] = 5;
        }
        home.store(to + occurred * EVENT, &event)?;
        occurred += 1;
    }
    home.store_u32(nevents, occurred)
}

/// A guest with that host.
fn guest() -> Guest {
    let mut guest = packed();
    guest.home.host = serve;
    guest
}

fn subscription(userdata: u8, event: u8, fd: u32, timeout: u8) -> [u8; SUBSCRIPTION as usize] {
    let mut bytes = [0; SUBSCRIPTION as usize];
    bytes[7] = userdata;
    bytes[8] = event;
    bytes[16..20].copy_from_slice(&fd.to_le_bytes());
    bytes[24] = timeout;
    bytes
}

/// Userdata, errno, type and byte count of an event.
type Event = (u8, u16, u8, u64);

/// Polls, with the events at `events`.
fn poll(g: &mut Guest, subscriptions: &[[u8; 48]], events: u32) -> Result<Vec<Event>> {
    let all = subscriptions.concat();
    g.put(BUFFER, &all);
    let count = subscriptions.len() as u32;
    let (vfs, home) = (&mut g.vfs, &mut g.home);
    let outcome = vfs.poll_oneoff(home, BUFFER, events, count, OUT);
    if outcome.is_err() || events != BUFFER {
        assert_eq!(g.buffer(count * SUBSCRIPTION), all, "put back");
    }
    outcome?;
    let at = |index: u32, offset: u32| events + index * EVENT + offset;
    Ok((0..g.u32_at(OUT))
        .map(|i| {
            let userdata = g.bytes_at(at(i, 0), 8)[7];
            let errno = g.u32_at(at(i, 8)) as u16;
            let kind = g.bytes_at(at(i, 10), 1)[0];
            (userdata, errno, kind, g.u64_at(at(i, 16)))
        })
        .collect())
}

/// `poll_oneoff` checks, in this order: no subscription, or more than 4096 →
/// `INVAL`; a pointer outside the memory → `FAULT`; then each subscription in turn:
/// an unknown type → `INVAL`; a directory, or a number that is not open → `BADF`.
/// The whole call fails then, as in wasmtime (POSIX has an event for it), and
/// nobody waits.
#[test]
fn waiting_checks_in_order_and_then_nobody_waits() {
    // The host of this guest panics when it is asked.
    with(packed(), |g| {
        let end = g.home.memory.len() as u32;
        let fd = g.open("file", 0).unwrap();
        for count in [0, 4097, u32::MAX] {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            let polled = vfs.poll_oneoff(home, end, end, count, end);
            assert_eq!(polled, Err(Errno::INVAL), "{count}");
        }
        let good = subscription(1, FD_READ, fd, 0);
        let stdin = subscription(2, FD_READ, 0, 0);
        let unknown = subscription(3, 3, 99, 0);
        let directory = subscription(4, FD_READ, ROOT, 0);
        let closed = subscription(5, FD_WRITE, 99, 0);
        let wild = subscription(6, FD_READ, u32::MAX, 0);
        for (list, expected) in [
            (&[good, stdin, unknown, closed][..], "INVAL"),
            (&[stdin, good, closed, unknown], "BADF"),
            (&[stdin, directory], "BADF"),
            (&[good, wild], "BADF"),
            (&[unknown], "INVAL"),
        ] {
            assert_eq!(name(&poll(g, list, 80_000)), expected);
        }
        g.put(BUFFER, &unknown);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        let polled = vfs.poll_oneoff(home, BUFFER, end - 31, 1, OUT);
        assert_eq!(polled, Err(Errno::FAULT), "before the subscriptions");
        let most = vec![good; 4096];
        assert_eq!(poll(g, &most, 1 << 20).unwrap().len(), 4096);
    });
}

/// A packed file is always ready, whatever it was opened for: to read, with the
/// bytes left before its end, which may be 0; to write, with 1. (wasmtime says 1
/// and, at the end, that the other side hung up; Linux does not.)
#[test]
fn packed_files_are_always_ready() {
    with(packed(), |g| {
        for rights in [READ, WRITE, ALL] {
            let fd = g.open_with(ROOT, 1, "file", 0, rights, ALL, 0).unwrap();
            let both = [
                subscription(1, FD_READ, fd, 0),
                subscription(2, FD_WRITE, fd, 0),
            ];
            for (offset, left) in [(0, 15), (7, 8), (15, 0), (1000, 0)] {
                g.seek(fd, offset, 0).unwrap();
                let events = poll(g, &both, 80_000).unwrap();
                assert_eq!(events, [(1, 0, FD_READ, left), (2, 0, FD_WRITE, 1)]);
                assert_eq!(g.bytes_at(80_024, 2), [0, 0], "nobody hung up");
            }
        }
    });
}

/// A file without `POLL_FD_READWRITE` is answered by an event that says
/// `NOTCAPABLE`.
#[test]
fn a_missing_right_is_an_event() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        let other = g.open("file", 0).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_rights(home, fd, READ, 0).unwrap();
        let list = [
            subscription(1, FD_READ, fd, 0),
            subscription(2, FD_WRITE, other, 0),
        ];
        let notcapable = u16::try_from(Errno::NOTCAPABLE as u32).unwrap();
        let expected = [(1, notcapable, FD_READ, 0), (2, 0, FD_WRITE, 1)];
        assert_eq!(poll(g, &list, 80_000).unwrap(), expected);
    });
}

/// For streams and clocks the host is asked, and waits itself if nothing else is
/// waited for. Beside a packed file it does not wait: the file's subscription
/// becomes a clock that has run out. Its events come first, then those of the
/// files, and each has the `userdata` of its subscription.
#[test]
fn files_streams_and_clocks_wait_together() {
    with(guest(), |g| {
        let fd = g.open("file", 0).unwrap();
        let stdin = subscription(1, FD_READ, 0, 0);
        let file = subscription(2, FD_READ, fd, 0);
        let later = subscription(3, CLOCK, 1, 10);
        let write = subscription(4, FD_WRITE, fd, 0);
        let over = subscription(5, CLOCK, 1, 0);
        let (is_stdin, is_file) = ((1, 0, FD_READ, 5), (2, 0, FD_READ, 15));
        let (is_write, is_over) = ((4, 0, FD_WRITE, 1), (5, 0, CLOCK, 0));
        for (list, expected) in [
            (
                &[stdin, file, later, write, over][..],
                &[is_stdin, is_over, is_file, is_write][..],
            ),
            (&[file, stdin], &[is_stdin, is_file]),
            (&[file, later], &[is_file]),
            (&[file, over], &[is_over, is_file]),
            (&[later], &[(3, 0, CLOCK, 0)]),
            (&[stdin, later], &[is_stdin]),
            (&[write, file], &[is_write, is_file]),
        ] {
            assert_eq!(poll(g, list, 80_000).unwrap(), expected);
        }
    });
}

/// Events may be put over the subscriptions; otherwise these are afterwards what
/// they were.
#[test]
fn events_may_lie_over_subscriptions() {
    with(guest(), |g| {
        let fd = g.open("file", 0).unwrap();
        let list = [
            subscription(1, FD_WRITE, fd, 0),
            subscription(2, FD_READ, 0, 0),
            subscription(3, CLOCK, 1, 0),
        ];
        let expected = poll(g, &list, 80_000).unwrap();
        assert_eq!(expected.len(), 3);
        assert_eq!(poll(g, &list, BUFFER).unwrap(), expected);
    });
}

/// An errno of the host fails the call; the subscriptions are what they were.
#[test]
fn an_errno_of_the_host_fails_the_call() {
    with(packed(), |g| {
        g.home.host = |_, _, _| Err(Errno::NOTSUP);
        let fd = g.open("file", 0).unwrap();
        let list = [
            subscription(1, FD_READ, fd, 0),
            subscription(2, FD_READ, 0, 0),
            subscription(3, CLOCK, 1, 7),
        ];
        assert_eq!(poll(g, &list, 80_000), Err(Errno::NOTSUP));
        assert_eq!(poll(g, &list[..1], 80_000).unwrap().len(), 1, "files alone");
    });
}

#[test]
fn a_directory_is_not_waited_for() {
    with(packed(), |g| {
        let dir = g.open("dir", DIRECTORY).unwrap();
        for event in [FD_READ, FD_WRITE] {
            let list = [subscription(1, event, dir, 0)];
            assert_eq!(name(&poll(g, &list, 80_000)), "BADF");
        }
    });
}
