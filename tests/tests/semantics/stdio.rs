//! Standard input, output and error.

use std::cell::RefCell;

use monaka_tests::native::{Guest, Native, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::access::Access;
use monaka_vfs_core::errno::Result;

use crate::calls::CALLS;
use crate::{CREAT, packed, with};

thread_local! {
    /// The calls that reached the host of [`recorded`].
    pub(crate) static REACHED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Whether streams need that call.
fn is_streams(call: &str) -> bool {
    Access::<()>::default().calls(false).has_name(call)
}

/// A program with `/file` and more, recorded.
fn recording() -> Guest {
    recorded(packed())
}

/// A program whose host notes what reaches it, and does nothing.
pub(crate) fn recorded(mut guest: Guest) -> Guest {
    fn note(_: &mut Native, call: &str, args: &[u64]) -> Result<()> {
        let fd = args[0];
        REACHED.with_borrow_mut(|reached| reached.push(format!("{call} {fd}")));
        Ok(())
    }
    REACHED.take();
    guest.home.host = note;
    guest
}

/// `fd_close`, `fd_fdstat_get`, `fd_fdstat_set_flags`, `fd_filestat_get`,
/// `fd_read`, `fd_seek`, `fd_tell` (as a seek by 0), `fd_write` and `poll_oneoff`
/// on stdin, stdout and stderr are always the host's.
#[test]
fn what_streams_need_is_the_hosts() {
    for call in CALLS.iter().filter(|c| is_streams(c.name)) {
        for fd in 0..3 {
            with(recording(), |g| {
                assert_eq!((call.make)(g, fd), Ok(()), "{}", call.name);
                let expected = match call.name {
                    "poll_oneoff" => format!("poll_oneoff {}", (call.arguments)(fd)[0]),
                    name => format!("{name} {fd}"),
                };
                assert_eq!(REACHED.take(), [expected]);
            });
        }
    }
    with(recording(), |g| {
        g.vfs.fd_tell(&mut g.home, 2, 64).unwrap();
        assert_eq!(REACHED.take(), ["fd_seek 2"]);
    });
}

/// All other calls are the host's only with `--allow-host-dirs`. Without, a packed
/// module does not even import them, and they answer what Linux answers for a pipe:
/// `fd_pread`, `fd_pwrite`, `fd_advise` and `fd_allocate` `SPIPE`; `fd_sync`,
/// `fd_datasync` and `fd_filestat_set_size` `INVAL`; `fd_readdir` and every path
/// call `NOTDIR`; `sock_*` `NOTSOCK`; `fd_fdstat_set_rights` and
/// `fd_filestat_set_times` are `NOTSUP`; `fd_prestat_get` and `fd_prestat_dir_name`
/// answer `BADF`. (wasmtime answers `BADF` to most of these, node `NOTCAPABLE`.)
#[test]
fn without_host_directories_a_stream_is_a_pipe() {
    let mut answered = 0;
    for call in CALLS {
        let expected = match call.name {
            "fd_tell" | "fd_renumber" => continue,
            name if is_streams(name) => continue,
            "fd_pread" | "fd_pwrite" | "fd_advise" | "fd_allocate" => Errno::SPIPE,
            "fd_sync" | "fd_datasync" | "fd_filestat_set_size" => Errno::INVAL,
            "fd_fdstat_set_rights" | "fd_filestat_set_times" => Errno::NOTSUP,
            "fd_prestat_get" | "fd_prestat_dir_name" => Errno::BADF,
            name if name.starts_with("sock_") => Errno::NOTSOCK,
            name => {
                assert!(name.starts_with("path_") || name == "fd_readdir");
                Errno::NOTDIR
            }
        };
        for fd in 0..3 {
            // The host of these tests panics when a call reaches it.
            with(packed(), |g| {
                assert_eq!((call.make)(g, fd), Err(expected), "{}", call.name);
            });
        }
        answered += 1;
    }
    let streams = CALLS.iter().filter(|c| is_streams(c.name)).count();
    assert_eq!((streams, answered), (8, CALLS.len() - 8 - 2));
}

/// A closed stream's number is the next that is given out; what is opened then is
/// not the host's any more.
#[test]
fn a_closed_streams_number_is_given_out_next() {
    with(recording(), |g| {
        g.close(1).unwrap();
        assert_eq!(REACHED.take(), ["fd_close 1"]);
        assert_eq!(name(&g.write(1, b"x")), "BADF");
        assert_eq!(g.open("log", CREAT), Ok(1));
        g.write(1, b"logged").unwrap();
        assert_eq!(g.contents("log").unwrap(), b"logged");
        assert_eq!(REACHED.take(), [""; 0]);
    });
}

/// A file that is renumbered onto 1 gets what the program prints, and the host's
/// stdout is closed. A stream that is renumbered elsewhere is still the host's.
#[test]
fn streams_can_be_renumbered() {
    with(recording(), |g| {
        let log = g.open("log", CREAT).unwrap();
        let other = g.open("other", CREAT).unwrap();
        // Stderr goes to a number behind, and a file comes in the place of stdout.
        g.vfs.fd_renumber(&mut g.home, 2, other).unwrap();
        g.vfs.fd_renumber(&mut g.home, log, 1).unwrap();
        assert_eq!(REACHED.take(), ["fd_close 1"]);
        g.write(1, b"printed").unwrap();
        assert_eq!(g.contents("log").unwrap(), b"printed");
        assert_eq!(REACHED.take(), [""; 0]);
        g.write(other, b"error").unwrap();
        assert_eq!(REACHED.take(), ["fd_write 2"]);
        assert_eq!(name(&g.write(2, b"x")), "BADF");
    });
}
