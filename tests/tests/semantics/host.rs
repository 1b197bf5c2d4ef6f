//! Descriptors of the host beside packed ones, and what waits for both.

use monaka_tests::native::{self, ALL, Guest, Native, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::abi::poll::{CLOCK, EVENT, FD_READ, FD_WRITE, SUBSCRIPTION};
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::fd::Descriptor;
use monaka_vfs_core::memory::GuestMemory;

/// A host that opens, closes and polls: its descriptors are always ready with 5
/// bytes, its clocks only when they have already run out.
fn serve(home: &mut Native, call: &str, args: &[u64]) -> Result<()> {
    let arg = |n: usize| args[n] as u32;
    match call {
        "fd_close" => {
            home.open.retain(|&fd| fd != arg(0));
            Ok(())
        }
        "path_open" => {
            let new = (3..).find(|fd| !home.open.contains(fd)).unwrap();
            home.open.push(new);
            home.store_u32(arg(8), new)
        }
        "poll_oneoff" => {
            let mut occurred = 0;
            for index in 0..arg(2) {
                let mut subscription = [0; SUBSCRIPTION as usize];
                let at = home.region(arg(0) + index * SUBSCRIPTION, SUBSCRIPTION)?;
                home.read(at, &mut subscription);
                let timeout = u64::from_le_bytes(subscription[24..32].try_into().unwrap());
                if subscription[8] == CLOCK && timeout > 0 {
                    continue;
                }
                let mut event = [0; EVENT as usize];
                event[..8].copy_from_slice(&subscription[..8]);
                event[10] = subscription[8];
                event[16] = 5;
                home.store(arg(1) + occurred * EVENT, &event)?;
                occurred += 1;
            }
            home.store_u32(arg(3), occurred)
        }
        "fd_prestat_get" | "fd_read" => Ok(()),
        other => panic!("{other} reached the host"),
    }
}

/// A guest that sees the host's descriptors 3 and 4.
fn guest() -> Guest {
    let mut guest = Guest::mount(native::tree(|_| {}), true);
    guest.home.open = vec![0, 1, 2, 3, 4];
    guest.home.host = serve;
    guest
}

/// The host's number behind each of the program's.
fn hosts(guest: &Guest) -> Vec<(u32, u32)> {
    let all = guest.vfs.fds().iter();
    all.filter_map(|(fd, descriptor)| match descriptor {
        Descriptor::Host(host) => Some((fd, *host)),
        _ => None,
    })
    .collect()
}

#[test]
fn the_hosts_descriptors_join_behind_the_packed_ones() {
    let mut g = guest();
    assert_eq!(
        hosts(&g),
        [(0, 0), (1, 1), (2, 2)],
        "not before they are needed"
    );
    assert_eq!(g.vfs.fd_prestat_get(&mut g.home, 4, 64), Ok(()));
    assert_eq!(hosts(&g), [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4)]);
    assert_eq!(g.vfs.fd_prestat_get(&mut g.home, 6, 64), Err(Errno::BADF));
}

#[test]
fn they_join_behind_even_where_packed_ones_were_closed() {
    let mut g = guest();
    g.close(0).unwrap();
    assert_eq!(g.vfs.fd_prestat_get(&mut g.home, 4, 64), Ok(()));
    assert_eq!(hosts(&g), [(1, 1), (2, 2), (4, 3), (5, 4)]);

    let mut g = guest();
    g.close(ROOT).unwrap();
    assert_eq!(g.close(ROOT), Err(Errno::BADF), "not the host's by now");
    assert_eq!(g.home.open, [0, 1, 2, 3, 4]);
}

#[test]
fn a_new_packed_descriptor_is_never_the_hosts_number() {
    let mut g = guest();
    assert_eq!(g.open("new", 1), Ok(6));
    assert_eq!(hosts(&g), [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4)]);
}

#[test]
fn what_the_host_opens_gets_a_number_of_ours() {
    let mut g = guest();
    g.open("new", 1).unwrap();
    assert_eq!(
        g.open_with(4, 0, "x", 0, ALL, ALL, 0),
        Ok(7),
        "the host said 5"
    );
    assert!(hosts(&g).contains(&(7, 5)));
    g.close(7).unwrap();
    assert_eq!(g.home.open, [0, 1, 2, 3, 4]);
}

#[test]
fn renaming_between_packed_and_host_directories_is_xdev() {
    let mut g = guest();
    g.create("f", b"").unwrap();
    let (vfs, home) = (&mut g.vfs, &mut g.home);
    home.memory[4096..4097].copy_from_slice(b"f");
    let rename = vfs.path_rename(home, ROOT, 4096, 1, 4, 4096, 1);
    assert_eq!(name(&rename), "XDEV");
    let link = vfs.path_link(home, 4, 0, 4096, 1, ROOT, 4096, 1);
    assert_eq!(name(&link), "XDEV");
}

#[test]
fn renumbering_over_stdout_closes_the_hosts_and_writes_to_the_file() {
    let mut g = guest();
    let fd = g.open("log", 1).unwrap();
    g.vfs.fd_renumber(&mut g.home, fd, 1).unwrap();
    assert_eq!(g.home.open, [0, 2, 3, 4]);
    g.write(1, b"logged").unwrap();
    assert_eq!(g.contents("log").unwrap(), b"logged");
    g.vfs.check_invariants();
}

fn subscription(userdata: u8, event: u8, fd: u32, timeout: u8) -> [u8; SUBSCRIPTION as usize] {
    let mut bytes = [0; SUBSCRIPTION as usize];
    bytes[0] = userdata;
    bytes[8] = event;
    bytes[16..20].copy_from_slice(&fd.to_le_bytes());
    bytes[24] = timeout;
    bytes
}

/// Userdata, type and byte count of the events.
fn poll(g: &mut Guest, subscriptions: &[[u8; 48]], events: u32) -> Vec<(u8, u8, u8)> {
    const AT: u32 = 65536;
    for (at, bytes) in (AT..).step_by(48).zip(subscriptions) {
        g.home.store(at, bytes).unwrap();
    }
    let count = subscriptions.len() as u32;
    let (vfs, home) = (&mut g.vfs, &mut g.home);
    vfs.poll_oneoff(home, AT, events, count, 64).unwrap();
    let occurred = home.load_u32(64).unwrap();
    assert!(occurred <= count);
    if events != AT {
        for (at, bytes) in (AT as usize..).step_by(48).zip(subscriptions) {
            assert_eq!(
                home.memory[at..at + 48],
                *bytes,
                "subscriptions are put back"
            );
        }
    }
    let at = |index: u32, offset: u32| g.home.memory[(events + index * EVENT + offset) as usize];
    (0..occurred)
        .map(|i| (at(i, 0), at(i, 10), at(i, 16)))
        .collect()
}

#[test]
fn a_packed_file_keeps_nobody_waiting_and_hides_nobody() {
    let mut g = guest();
    let fd = g.open("f", 1).unwrap();
    g.write(fd, b"123").unwrap();
    g.seek(fd, 1, 0).unwrap();
    let all = [
        subscription(1, FD_READ, 0, 0),
        subscription(2, FD_READ, fd, 0),
        subscription(3, CLOCK, 1, 10),
        subscription(4, FD_WRITE, fd, 0),
        subscription(5, CLOCK, 1, 0),
    ];
    let expected = [
        (1, FD_READ, 5),
        (5, CLOCK, 5),
        (2, FD_READ, 2),
        (4, FD_WRITE, 1),
    ];
    assert_eq!(poll(&mut g, &all, 70_000), expected);
    assert_eq!(
        poll(&mut g, &all, 65_536),
        expected,
        "events over subscriptions"
    );
    assert_eq!(poll(&mut g, &all[1..3], 70_000), [(2, FD_READ, 2)]);
    assert_eq!(poll(&mut g, &[all[2]], 70_000), [], "the host alone waits");
}
