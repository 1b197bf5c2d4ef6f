//! What a program reaches of its host where not all is passed on: streams that are
//! something else, clocks, sockets, and single directories.

use std::cell::RefCell;

use monaka_tests::compressed;
use monaka_tests::native::{self, ALL, BUFFER, Guest, Native, OUT, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::abi::poll::{CLOCK, EVENT, FD_READ, FD_WRITE, SUBSCRIPTION};
use monaka_vfs_core::access::{Access, Clock, Stream};
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::fd::Descriptor;
use monaka_vfs_core::image::{NodeId, Tree};
use monaka_vfs_core::memory::GuestMemory;

use crate::calls::CALLS;
use crate::stdio::{REACHED, recorded};
use crate::{CREAT, DIRECTORY, READ, TRUNC, with};

type Said = Access<Box<[u8]>>;

fn file(path: &str) -> Stream<Box<[u8]>> {
    Stream::File(path.as_bytes().into())
}

fn tree(said: Said) -> Tree<Vec<u8>> {
    native::tree(|tree| {
        native::add_devices(tree);
        native::add_file(tree, NodeId::ROOT, "in", b"typed");
        native::add_file(tree, NodeId::ROOT, "out", b"before;");
        tree.set_access(said);
    })
}

/// A program whose host nothing may reach but the closing of descriptors.
fn guest(said: Said) -> Guest {
    Guest::new(tree(said))
}

fn streams(streams: [Stream<Box<[u8]>>; 3]) -> Said {
    Access {
        streams,
        ..Access::default()
    }
}

/// `--stdin`, `--stdout` and `--stderr` say what a stream is. One that is denied is not
/// open (`BADF`), and its number is never given out, nor can anything be renumbered
/// onto it: what a program prints would end in a file that it has opened.
#[test]
fn a_denied_stream_is_closed_for_good() {
    use Stream::Closed;
    with(guest(streams([Closed, Closed, Closed])), |g| {
        for call in CALLS {
            for fd in 0..3 {
                assert_eq!((call.make)(g, fd), Err(Errno::BADF), "{} {fd}", call.name);
            }
        }
        let opened = g.open("in", 0).unwrap();
        assert_eq!(opened, 4);
        assert_eq!(name(&g.vfs.fd_renumber(&mut g.home, opened, 1)), "BADF");
        for stream in ["stdin", "stdout", "stderr"] {
            assert_eq!(name(&g.open(&format!("dev/{stream}"), 0)), "NOENT");
        }
    });
    // Those beside it are what they were.
    with(
        recorded(guest(streams([Closed, Stream::Host, Closed]))),
        |g| {
            g.write(1, b"x").unwrap();
            g.close(1).unwrap();
            assert_eq!(REACHED.take(), ["fd_write 1", "fd_close 1"]);
            assert_eq!(g.open("in", 0), Ok(1), "the program has closed that itself");
            assert_eq!(g.open("in", 0), Ok(4));
        },
    );
}

/// One that is ignored is a device like `/dev/null`: reading ends at once, and what is
/// written is gone.
#[test]
fn an_ignored_stream_is_null() {
    use Stream::Null;
    let said = streams([Null, Null, Null]);
    with(guest(said), |g| {
        assert_eq!(g.read(0, 10), Ok(vec![]));
        assert_eq!(name(&g.write(0, b"x")), "BADF");
        for fd in [1, 2] {
            assert_eq!(g.write(fd, b"printed"), Ok(7));
            assert_eq!(name(&g.read(fd, 1)), "BADF");
        }
        for fd in 0..3 {
            assert_eq!(g.fstat(fd).unwrap().filetype, 2);
        }
        assert_eq!(g.poll_read(&[0]), Ok(vec![(0, 0)]));
        let again = g.open("dev/stdout", 0).unwrap();
        assert_eq!(g.write(again, b"x"), Ok(1));
        for fd in [0, 1, 2, again] {
            g.close(fd).unwrap();
        }
        assert_eq!(g.open("in", 0), Ok(0));
    });
}

// They cost the program nothing of what it may create.
#[test]
fn ignored_streams_do_not_count() {
    let mut tree = tree(streams([Stream::Null, Stream::Null, Stream::Null]));
    tree.set_limits(monaka_vfs_core::image::Limits {
        inodes: 1,
        ..Default::default()
    });
    with(Guest::new(tree), |g| {
        g.create("one", b"").unwrap();
        assert_eq!(name(&g.create("two", b"")), "NOSPC");
    });
}

/// One that is a file is that packed file, opened for reading as stdin and for appending
/// (`APPEND`) as stdout and stderr, which may share one. It is a file in every call.
#[test]
fn a_stream_may_be_a_file() {
    let said = streams([file("in"), file("out"), file("/out")]);
    with(guest(said), |g| {
        assert_eq!(g.read(0, 3), Ok(b"typ".to_vec()));
        assert_eq!(g.poll_read(&[0]), Ok(vec![(0, 2)]));
        assert_eq!(g.read(0, 10), Ok(b"ed".to_vec()));
        assert_eq!(g.read(0, 10), Ok(vec![]));
        assert_eq!(g.seek(0, 0, 0), Ok(0));
        assert_eq!(name(&g.write(0, b"x")), "BADF");
        for (fd, bytes) in [(1, "out;"), (2, "err;"), (1, "out;")] {
            assert_eq!(g.write(fd, bytes.as_bytes()), Ok(4));
        }
        assert_eq!(name(&g.read(1, 1)), "BADF");
        let contents = b"before;out;err;out;";
        assert_eq!(g.contents("out").unwrap(), contents);
        assert_eq!(g.fstat(2).unwrap().size, contents.len() as u64);
        g.vfs.fd_fdstat_get(&mut g.home, 1, OUT).unwrap();
        assert_eq!(g.bytes_at(OUT, 4), [4, 0, 1, 0], "a file, to append to");
        assert_eq!(g.contents("dev/stdin").unwrap(), b"typed");
        // Only the name goes, as of any open file.
        g.unlink("out").unwrap();
        assert_eq!(g.write(1, b"on"), Ok(2));
        let moved = g.open("in", 0).unwrap();
        g.vfs.fd_renumber(&mut g.home, moved, 0).unwrap();
        assert_eq!(g.read(0, 2), Ok(b"ty".to_vec()));
    });
}

/// Where stdin is not the host's, reading from its stdout is `BADF` without a word to it,
/// and so is writing to its stdin where neither stdout nor stderr are: the module does
/// not have the call, as long as no socket and no directory needs it.
#[test]
fn a_call_that_no_stream_needs_is_not_made() {
    let read = CALLS.iter().find(|call| call.name == "fd_read").unwrap();
    let write = CALLS.iter().find(|call| call.name == "fd_write").unwrap();
    use Stream::{Closed, Host};
    with(guest(streams([Closed, Host, Host])), |g| {
        assert_eq!((read.make)(g, 1), Err(Errno::BADF));
        assert_eq!((read.make)(g, 2), Err(Errno::BADF));
    });
    with(guest(streams([Host, Closed, Closed])), |g| {
        assert_eq!((write.make)(g, 0), Err(Errno::BADF));
    });
    let mut beside = streams([Closed, Host, Closed]);
    beside.sockets = true;
    with(recorded(guest(beside)), |g| {
        assert_eq!((read.make)(g, 1), Ok(()));
        assert_eq!(REACHED.take(), ["fd_read 1"]);
    });
}

// No combination makes a call whose import is gone.
#[test]
fn no_call_is_made_that_the_module_does_not_have() {
    thread_local! {
        static REACHED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }
    fn note(home: &mut Native, call: &str, args: &[u64]) -> Result<()> {
        REACHED.with_borrow_mut(|reached| reached.push(call.to_owned()));
        if call == "poll_oneoff" {
            home.store_u32(args[3] as u32, 0)?;
        }
        Ok(())
    }
    if compressed::wanted() {
        return; // Nothing is read, and a thousand file systems are mounted a hundred times.
    }
    let kinds = [Stream::Host, Stream::Closed, Stream::Null, file("out")];
    let clocks = [Clock::Host, Clock::Denied, Clock::Fixed, Clock::Monotonic];
    let mut checked = 0;
    // Miri takes a second where a processor takes a millisecond.
    let step = if cfg!(miri) { 101 } else { 1 };
    for number in (0..4 * 4 * 4 * 4 * 4).step_by(step) {
        let kind = |place: usize| kinds[number / place % 4].clone();
        let said = Access {
            streams: [kind(1), kind(4), kind(16)],
            clock: clocks[number / 64 % 4],
            sockets: number / 256 % 2 == 1,
        };
        let directory = number / 512 == 1;
        let calls = said.calls(directory);
        let mut tree = tree(said);
        if directory {
            tree.add_host_directory(b"/host", b"h", false).unwrap();
        }
        let packed = native::Packed::new(tree);
        for call in CALLS {
            for fd in 0..3 {
                let mut g = Guest::of(packed, false);
                g.home.host = note;
                let _ = (call.make)(&mut g, fd);
                for made in REACHED.take() {
                    assert!(calls.has_name(&made), "{made} in {} on {fd}", call.name);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 1000 / step);
}

fn subscription(event: u8, number: u32) -> [u8; SUBSCRIPTION as usize] {
    let mut bytes = [0; SUBSCRIPTION as usize];
    bytes[8] = event;
    bytes[16..20].copy_from_slice(&number.to_le_bytes());
    // Far in the future.
    bytes[31] = 0x10;
    bytes
}

/// The errno, type and byte count of each event.
fn poll(
    g: &mut Guest,
    subscriptions: &[[u8; SUBSCRIPTION as usize]],
) -> Result<Vec<(u16, u8, u64)>> {
    let count = subscriptions.len() as u32;
    g.put(BUFFER, &subscriptions.concat());
    let events = BUFFER + count * SUBSCRIPTION;
    g.vfs.poll_oneoff(&mut g.home, BUFFER, events, count, OUT)?;
    let at = (events..).step_by(EVENT as usize);
    let event = |at: u32| {
        let kind = g.bytes_at(at + 10, 1)[0];
        (g.u32_at(at + 8) as u16, kind, g.u64_at(at + 16))
    };
    Ok(at.take(g.u32_at(OUT) as usize).map(event).collect())
}

/// A clock that is denied (`--clock deny`, and the time of day with `monotonic-only`) is
/// answered at once by an event that says `NOTSUP`. Where time stands still (`fixed`),
/// whatever is waited for has come.
#[test]
fn a_clock_that_is_not_the_hosts_is_answered_at_once() {
    let notsup = Errno::NOTSUP.raw();
    let (realtime, monotonic) = (subscription(CLOCK, 0), subscription(CLOCK, 1));
    let said = |clock| Access {
        clock,
        ..streams([Stream::Closed, Stream::Closed, Stream::Closed])
    };
    with(guest(said(Clock::Denied)), |g| {
        let events = poll(g, &[realtime, monotonic]);
        assert_eq!(events, Ok(vec![(notsup, CLOCK, 0); 2]));
    });
    with(guest(said(Clock::Fixed)), |g| {
        let events = poll(g, &[realtime, monotonic]);
        assert_eq!(events, Ok(vec![(0, CLOCK, 0); 2]));
    });
    with(guest(said(Clock::Monotonic)), |g| {
        assert_eq!(poll(g, &[realtime]), Ok(vec![(notsup, CLOCK, 0)]));
        g.home.host = |home, call, args| {
            assert_eq!(call, "poll_oneoff");
            let [from, to, count, nevents] = [0, 1, 2, 3].map(|n| args[n] as u32);
            let mut occurred = 0;
            for index in 0..count {
                let at = from + index * SUBSCRIPTION;
                assert_eq!(home.load_u32(at + 16)?, 1, "the monotonic clock");
                // Ours is shown as a clock that has run out.
                if home.load_u32(at + 28)? == 0 {
                    let mut userdata = [0; 8];
                    home.read(home.region(at, 8)?, &mut userdata);
                    home.store(to + occurred * EVENT, &userdata)?;
                    home.store(to + occurred * EVENT + 8, &[0; 24])?;
                    occurred += 1;
                }
            }
            home.store_u32(nevents, occurred)
        };
        let events = poll(g, &[monotonic, realtime]);
        assert_eq!(events, Ok(vec![(notsup, CLOCK, 0)]));
        g.home.host = |_, _, _| Err(Errno::NXIO);
        assert_eq!(name(&poll(g, &[monotonic])), "NXIO", "the host's answer");
    });
}

/// Where neither stdin nor a clock is the host's, and no socket or directory, the host is
/// not asked: its stdout and stderr are ready with 1.
#[test]
fn output_alone_is_always_ready() {
    let said = Access {
        clock: Clock::Denied,
        ..streams([Stream::Null, Stream::Host, Stream::Host])
    };
    with(guest(said), |g| {
        let wanted = [
            subscription(FD_READ, 0),
            subscription(FD_WRITE, 1),
            subscription(FD_WRITE, 2),
        ];
        let events = poll(g, &wanted);
        let expected = vec![(0, FD_READ, 0), (0, FD_WRITE, 1), (0, FD_WRITE, 1)];
        assert_eq!(events, Ok(expected));
    });
}

/// What stands behind each of the program's numbers of the host: its number there.
fn hosts(g: &Guest) -> Vec<(u32, u32)> {
    let all = g.vfs.fds().iter();
    all.filter_map(|(fd, descriptor)| match descriptor {
        Descriptor::Host(host) => Some((fd, host.number)),
        _ => None,
    })
    .filter(|(fd, _)| *fd > 2)
    .collect()
}

/// A host with the directories `/a`, `/b` and `/b` again as 3, 5 and 6, and a socket as 4.
fn serve(home: &mut Native, call: &str, args: &[u64]) -> Result<()> {
    let arg = |n: usize| args[n] as u32;
    let names = [(3, "/a"), (5, "/b"), (6, "/b")];
    let found = names.iter().find(|(fd, _)| *fd == arg(0));
    match call {
        "fd_prestat_get" => {
            let (_, name) = found.ok_or(Errno::BADF)?;
            // As hosts do, the bytes between are left as they are.
            home.store(arg(1), &[0])?;
            home.store_u32(arg(1) + 4, name.len() as u32)
        }
        "fd_prestat_dir_name" => home.store(arg(1), found.ok_or(Errno::BADF)?.1.as_bytes()),
        "fd_close" => Ok(()),
        "path_open" => {
            home.open.push(7);
            home.store_u32(arg(8), 7)
        }
        _ => Err(Errno::NXIO),
    }
}

fn beside(mut tree: Tree<Vec<u8>>, directories: &[(&str, &str, bool)], host_dirs: bool) -> Guest {
    for (name, host, read_only) in directories {
        tree.add_host_directory(name.as_bytes(), host.as_bytes(), *read_only)
            .unwrap();
    }
    let mut g = Guest::of(native::Packed::new(tree), host_dirs);
    g.home.open = vec![0, 1, 2, 3, 4, 5, 6];
    g.home.sockets = vec![4];
    g.home.host = serve;
    g.home.memory[..8192].fill(0xaa);
    g
}

fn prestat(g: &mut Guest, fd: u32) -> Result<Vec<u8>> {
    g.vfs.fd_prestat_get(&mut g.home, fd, OUT)?;
    assert_eq!(g.bytes_at(OUT, 1), [0]);
    let len = g.u32_at(OUT + 4);
    let short = g.vfs.fd_prestat_dir_name(&mut g.home, fd, BUFFER, len - 1);
    if short.is_err() {
        assert_eq!(name(&short), "NAMETOOLONG");
    }
    g.vfs.fd_prestat_dir_name(&mut g.home, fd, BUFFER, len)?;
    Ok(g.buffer(len))
}

/// `--preopen GUEST=HOST` shows the directory that the host has preopened as HOST, by that
/// name byte for byte, as GUEST: behind the packed directories, in the host's order. Where
/// the host has none of that name there is none. Without `--allow-host-dirs` no other
/// directory of the host's is there; with it, the others are as they are.
#[test]
fn single_directories_of_the_host_can_be_shown() {
    let named = [
        ("/x", "/missing", true),
        ("/data", "/b", false),
        ("/first", "/a", true),
    ];
    let mut g = beside(tree(Access::default()), &named, false);
    assert_eq!(prestat(&mut g, 4), Ok(b"/first".to_vec()));
    assert_eq!(prestat(&mut g, 5), Ok(b"/data".to_vec()));
    assert_eq!(prestat(&mut g, 6), Ok(b"/data".to_vec()), "the host's, too");
    assert_eq!(name(&prestat(&mut g, 7)), "BADF");
    assert_eq!(hosts(&g), [(4, 3), (5, 5), (6, 6)]);
    let lent = g.bytes_at(1024, 4096);
    assert!(lent.iter().all(|byte| *byte == 0xaa), "given back");
    g.vfs.check_invariants();

    let mut g = beside(tree(Access::default()), &named[2..], true);
    assert_eq!(prestat(&mut g, 4), Ok(b"/first".to_vec()));
    assert_eq!(prestat(&mut g, 5), Ok(b"/b".to_vec()), "the host's name");
    assert_eq!(hosts(&g), [(4, 3), (5, 5), (6, 6)], "and no socket");

    // The same one by two names.
    let twice = [("/r", "/a", true), ("/w", "/a", false)];
    let mut g = beside(tree(Access::default()), &twice, false);
    assert_eq!(prestat(&mut g, 5), Ok(b"/w".to_vec()));
    assert_eq!(hosts(&g), [(4, 3), (5, 3)]);
    assert_eq!(name(&g.open_with(4, 0, "x", CREAT, ALL, ALL, 0)), "ROFS");
    assert_eq!(g.open_with(5, 0, "x", CREAT, ALL, ALL, 0), Ok(6));
}

/// With `:ro`, each call that would change something through that directory is `ROFS`,
/// through what was opened below it, too: opening with `CREAT`, `TRUNC` or for writing,
/// creating, removing, renaming, linking, setting times or a size, allocating, writing.
/// The host is not asked.
#[test]
fn a_read_only_directory_of_the_host_is_not_changed() {
    let guest = || {
        let named = [("/data", "/a", true), ("/other", "/b", false)];
        let mut g = beside(tree(Access::default()), &named, false);
        g.home.open.pop();
        g
    };
    let mut g = guest();
    for (oflags, rights) in [
        (CREAT, READ),
        (TRUNC, READ),
        (0, ALL),
        (CREAT | DIRECTORY, 0),
    ] {
        let outcome = g.open_with(4, 0, "x", oflags, rights, ALL, 0);
        let expected = if oflags == CREAT | DIRECTORY {
            "INVAL"
        } else {
            "ROFS"
        };
        assert_eq!(name(&outcome), expected, "{oflags} {rights}");
    }
    assert_eq!(g.open_with(4, 0, "x", 0, READ, ALL, 0), Ok(6));
    assert_eq!(name(&g.open_with(6, 0, "y", CREAT, ALL, ALL, 0)), "ROFS");
    let renumbered = g.open("in", 0).unwrap();
    g.vfs.fd_renumber(&mut g.home, 6, renumbered).unwrap();
    let mut refused = Vec::new();
    for call in CALLS.iter().filter(|call| call.name != "path_open") {
        for fd in [4, renumbered] {
            let outcome = (call.make)(&mut g, fd);
            if outcome == Err(Errno::ROFS) {
                refused.push(call.name);
            }
            if ["fd_close", "fd_renumber"].contains(&call.name) {
                g = guest();
                g.open("in", 0).unwrap();
                g.open_with(4, 0, "x", 0, READ, ALL, 0).unwrap();
            }
        }
    }
    refused.dedup();
    let changing = [
        "fd_allocate",
        "fd_filestat_set_size",
        "fd_filestat_set_times",
        "fd_pwrite",
        "fd_write",
        "path_create_directory",
        "path_filestat_set_times",
        "path_link",
        "path_remove_directory",
        "path_rename",
        "path_symlink",
        "path_unlink_file",
    ];
    assert_eq!(refused, changing);
    // From there and to there.
    let mut g = guest();
    for (from, to) in [(4, 5), (5, 4)] {
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        let renamed = vfs.path_rename(home, from, 4096, 1, to, 4096, 1);
        assert_eq!(name(&renamed), "ROFS");
        let linked = vfs.path_link(home, from, 0, 4096, 1, to, 4096, 1);
        assert_eq!(name(&linked), "ROFS");
    }
}

/// With `--sockets pass` alone the host's descriptors from 3 on that are sockets join
/// behind the packed ones, and its directories do not.
#[test]
fn sockets_join_without_directories() {
    let said = Access {
        sockets: true,
        ..Access::default()
    };
    let mut g = beside(tree(said), &[], false);
    for call in CALLS.iter().filter(|call| call.name.starts_with("sock_")) {
        assert_eq!(
            (call.make)(&mut g, 4),
            Err(Errno::NXIO),
            "the host's answer"
        );
        assert_eq!((call.make)(&mut g, ROOT), Err(Errno::NOTSOCK));
    }
    assert_eq!(hosts(&g), [(4, 4)]);
    for call in CALLS.iter().filter(|call| call.name.starts_with("path_")) {
        assert_eq!((call.make)(&mut g, 4), Err(Errno::NOTDIR), "{}", call.name);
    }
    g.home.host = |home, call, args| match call {
        "sock_accept" => home.store_u32(args[2] as u32, 9),
        "fd_close" => Ok(()),
        other => panic!("{other} reached the host"),
    };
    g.vfs.sock_accept(&mut g.home, 4, 0, OUT).unwrap();
    assert_eq!(g.u32_at(OUT), 5);
    assert_eq!(hosts(&g), [(4, 4), (5, 9)]);
    g.vfs.check_invariants();
}
