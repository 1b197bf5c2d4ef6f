//! The host's descriptors beside packed ones (`--allow-host-dirs`).

use std::cell::RefCell;

use monaka_tests::native::{self, ALL, Guest, Native, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::fd::Descriptor;
use monaka_vfs_core::memory::GuestMemory;

use crate::calls::CALLS;

/// A host that opens, accepts and closes.
fn serve(home: &mut Native, call: &str, args: &[u64]) -> Result<()> {
    let arg = |n: usize| args[n] as u32;
    let open = |home: &mut Native, answer: u32| {
        let new = (3..).find(|fd| !home.open.contains(fd)).unwrap();
        home.open.push(new);
        home.store_u32(answer, new)
    };
    match call {
        "fd_close" => {
            home.open.retain(|&fd| fd != arg(0));
            Ok(())
        }
        "path_open" => open(home, arg(8)),
        "sock_accept" => open(home, arg(2)),
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
        Descriptor::Host(host) => Some((fd, host.number)),
        _ => None,
    })
    .collect()
}

/// With `--allow-host-dirs` the host's descriptors from 3 on join behind the packed
/// ones, when a number is first needed that the table does not hold.
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

/// What the host opens or accepts gets the lowest free number too, whatever the
/// host calls it.
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
    g.vfs.sock_accept(&mut g.home, 7, 0, 64).unwrap();
    assert_eq!(g.u32_at(64), 8, "the host said 6");
    assert!(hosts(&g).contains(&(8, 6)));
    g.close(7).unwrap();
    g.close(8).unwrap();
    assert_eq!(g.home.open, [0, 1, 2, 3, 4]);
    g.close(0).unwrap();
    assert_eq!(g.open_with(4, 0, "x", 0, ALL, ALL, 0), Ok(0));
}

/// A call that reached the host: its name and its arguments.
type Reached = (String, Vec<u64>);

/// Every call on one of the host's descriptors is the host's, with the host's
/// number for it, and so is the answer; but `fd_tell` is asked as a seek by 0.
#[test]
fn calls_on_the_hosts_descriptors_are_the_hosts() {
    thread_local! {
        static REACHED: RefCell<Vec<Reached>> = const { RefCell::new(Vec::new()) };
    }
    let mut served = 0;
    for call in CALLS {
        // Renumbering is done in the table; waiting shows the host another list.
        if ["fd_renumber", "poll_oneoff"].contains(&call.name) {
            continue;
        }
        for (fd, host) in [(0, 0), (1, 1), (4, 3), (5, 4)] {
            let mut g = guest();
            g.home.host = |_, call, args| {
                REACHED.with_borrow_mut(|all| all.push((call.to_owned(), args.to_vec())));
                Err(Errno::NXIO)
            };
            assert_eq!((call.make)(&mut g, fd), Err(Errno::NXIO), "{}", call.name);
            let expected = match call.name {
                "fd_tell" => ("fd_seek".to_owned(), vec![u64::from(host), 0, 1, 64]),
                name => (name.to_owned(), (call.arguments)(host)),
            };
            assert_eq!(REACHED.take(), [expected]);
            served += 1;
        }
    }
    assert_eq!(served, (CALLS.len() - 2) * 4);
}

#[test]
fn waiting_for_the_hosts_descriptor_is_the_hosts() {
    let mut g = guest();
    g.home.host = |home, call, args| {
        assert_eq!(call, "poll_oneoff");
        let fd = home.load_u32(args[0] as u32 + 16)?;
        assert_eq!(fd, 4, "its own number");
        Err(Errno::NXIO)
    };
    assert_eq!(g.poll_read(&[5]), Err(Errno::NXIO));
}

/// Closing one of the host's descriptors frees the number even if the host answers
/// an errno, which the program gets.
#[test]
fn a_number_is_free_whatever_the_host_says_to_closing() {
    let mut g = guest();
    g.home.host = |_, _, _| Err(Errno::IO);
    assert_eq!(g.close(4), Err(Errno::IO));
    assert_eq!(g.close(4), Err(Errno::BADF));
    assert_eq!(g.open("new", 1), Ok(4));
}

#[test]
fn renumbering_does_not_say_that_closing_failed() {
    let mut g = guest();
    let fd = g.open("new", 1).unwrap();
    g.home.host = |_, call, _| {
        assert_eq!(call, "fd_close");
        Err(Errno::IO)
    };
    assert_eq!(g.vfs.fd_renumber(&mut g.home, fd, 4), Ok(()));
    assert_eq!(g.write(4, b"x"), Ok(1));
    assert_eq!(g.close(fd), Err(Errno::BADF));
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

/// Only `--sockets pass`, which goes with `--allow-host-dirs`, brings sockets, which are
/// the host's. On files and directories, and without it on streams, the four calls are
/// `NOTSOCK`.
#[test]
fn sockets_are_the_hosts_alone() {
    let mut packed = crate::packed();
    let mut beside = guest();
    beside.home.host = |_, _, _| Ok(());
    let file = packed.open("file", 0).unwrap();
    let calls = CALLS.iter().filter(|c| c.name.starts_with("sock_"));
    assert_eq!(calls.clone().count(), 4);
    for call in calls {
        for fd in [0, 1, 2, ROOT, file] {
            let answer = (call.make)(&mut packed, fd);
            assert_eq!(answer, Err(Errno::NOTSOCK), "{} {fd}", call.name);
        }
        let answer = (call.make)(&mut beside, ROOT);
        assert_eq!(answer, Err(Errno::NOTSOCK), "{}", call.name);
        for fd in [1, 4] {
            assert_eq!((call.make)(&mut beside, fd), Ok(()), "{} {fd}", call.name);
        }
    }
}
