//! What `/dev` holds.

use monaka_tests::native::{self, ALL, BUFFER, Guest, IOVS, OUT, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::abi::poll::{EVENT, FD_READ, FD_WRITE};
use monaka_vfs_core::image::NodeId;

use crate::calls::CALLS;
use crate::stdio::{REACHED, recorded};
use crate::{APPEND, CREAT, DIRECTORY, EXCL, READ, TRUNC, WRITE, with};

/// Those that are something themselves, and not what a descriptor stands for.
const SELVES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

const END: u64 = i64::MAX as u64;

/// A program with `/dev`, and `/file` beside it.
fn furnished() -> Guest {
    Guest::new(native::tree(|tree| {
        native::add_devices(tree);
        native::add_file(tree, NodeId::ROOT, "file", b"packed contents");
    }))
}

/// Runs `body` on each of [`SELVES`], open for everything.
fn each(body: impl Fn(&mut Guest, &str, u32)) {
    for device in SELVES {
        with(furnished(), |g| {
            let fd = g.open(&format!("dev/{device}"), 0).unwrap();
            body(g, device, fd);
        });
    }
}

/// Type, flags and rights, as `fd_fdstat_get` shows them.
fn fdstat(g: &mut Guest, fd: u32) -> (u8, u8, u64) {
    g.vfs.fd_fdstat_get(&mut g.home, fd, OUT).unwrap();
    let shown = g.bytes_at(OUT, 3);
    (shown[0], shown[2], g.u64_at(OUT + 8))
}

/// A device is a character device of size 0 in `fd_fdstat_get`, `fd_filestat_get`,
/// `path_filestat_get` and `fd_readdir`. It has the rights of a file, also those to
/// seek and tell, from which C libraries learn that it is no terminal.
#[test]
fn a_device_is_a_character_device() {
    each(|g, device, fd| {
        let (filetype, _, rights) = fdstat(g, fd);
        assert_eq!(filetype, 2, "{device}");
        let file = g.open("file", 0).unwrap();
        assert_eq!(rights, fdstat(g, file).2);
        assert_eq!(rights & 0b10_0100, 0b10_0100, "no terminal");
        let stat = g.fstat(fd).unwrap();
        assert_eq!((stat.filetype, stat.size, stat.nlink), (2, 0, 1));
        assert_eq!(stat.mtim, native::meta().mtime);
        assert_eq!(g.stat(&format!("dev/{device}"), true), Ok(stat));
        let dev = g.open("dev", DIRECTORY).unwrap();
        let listed = g.readdir(dev, 4096).unwrap();
        assert_eq!(listed.len(), 8);
        assert!(listed.iter().all(|entry| entry.filetype == 2));
        let entry = listed.iter().find(|e| e.name == device.as_bytes());
        assert_eq!(entry.unwrap().ino, stat.ino);
    });
}

/// It opens for what is asked for. `CREAT` and `TRUNC` change nothing, and flags are
/// kept and shown; `CREAT` with `EXCL` is `EXIST`, and `DIRECTORY` or a slash behind
/// the name `NOTDIR`.
#[test]
fn a_device_opens_for_what_is_asked_for() {
    each(|g, device, fd| {
        let path = format!("dev/{device}");
        let before = g.fstat(fd).unwrap();
        for oflags in [CREAT, TRUNC, CREAT | TRUNC] {
            let again = g.open_with(ROOT, 0, &path, oflags, ALL, ALL, APPEND);
            let again = again.unwrap();
            assert_eq!(fdstat(g, again).1, 1, "{device}");
            assert_eq!(g.write(again, b"x"), g.write(fd, b"x"), "no end to go to");
            assert_eq!(g.pwrite(again, b"x", 9), g.write(fd, b"x"));
        }
        assert_eq!(g.fstat(fd), Ok(before));
        assert_eq!(g.open(&path, CREAT | EXCL), Err(Errno::EXIST));
        assert_eq!(g.open(&path, DIRECTORY), Err(Errno::NOTDIR));
        for below in ["/", "/.", "/x"] {
            let below = format!("{path}{below}");
            assert_eq!(g.open(&below, 0), Err(Errno::NOTDIR), "{below}");
        }
        let reader = g.open_with(ROOT, 0, &path, 0, READ, ALL, 0).unwrap();
        let writer = g.open_with(ROOT, 0, &path, 0, WRITE, ALL, 0).unwrap();
        assert_eq!(name(&g.read(reader, 1)), "SUCCESS");
        assert_eq!(name(&g.write(reader, b"x")), "BADF");
        assert_eq!(name(&g.read(writer, 1)), "BADF");
        assert_ne!(name(&g.write(writer, b"x")), "BADF");
    });
}

/// Reading and writing are checked as on a file, and are then the same at every
/// offset. With no buffer, or empty ones only, they move 0 bytes, as `readv` and
/// `writev` do on Linux.
#[test]
fn a_device_is_the_same_at_every_offset() {
    each(|g, device, fd| {
        let read = g.read(fd, 10).map(|bytes| bytes.len());
        let written = g.write(fd, &[1; 10]);
        for offset in [0, 5, 1 << 40, END - 10] {
            let pread = g.pread(fd, 10, offset).map(|bytes| bytes.len());
            assert_eq!(pread, read, "{device} {offset}");
            assert_eq!(g.pwrite(fd, &[1; 10], offset), written);
        }
        for offset in [END - 9, END, END + 1, u64::MAX] {
            assert_eq!(g.pread(fd, 10, offset), Err(Errno::INVAL), "{device}");
            assert_eq!(g.pwrite(fd, &[1; 10], offset), Err(Errno::INVAL));
        }
        assert_eq!(g.read(fd, 0), Ok(Vec::new()));
        assert_eq!(g.pread(fd, 0, 7), Ok(Vec::new()));
        assert_eq!((g.write(fd, b""), g.pwrite(fd, b"", 7)), (Ok(0), Ok(0)));

        let end = g.home.memory.len() as u32;
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        for count in [0, 1025] {
            let expected = match count {
                0 => Ok(()),
                _ => Err(Errno::INVAL),
            };
            assert_eq!(vfs.fd_read(home, fd, IOVS, count, OUT), expected);
            assert_eq!(vfs.fd_write(home, fd, IOVS, count, OUT), expected);
        }
        assert_eq!(vfs.fd_read(home, fd, IOVS, 1, end), Err(Errno::FAULT));
        assert_eq!(vfs.fd_write(home, fd, end, 1, OUT), Err(Errno::FAULT));
        // The second of two buffers begins in the memory and ends behind it.
        for (at, word) in (IOVS..).step_by(4).zip([BUFFER, 4, end - 1, 2]) {
            g.put(at, &word.to_le_bytes());
        }
        g.put(BUFFER, b"####");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, IOVS, 2, OUT), Err(Errno::FAULT));
        assert_eq!(vfs.fd_write(home, fd, IOVS, 2, OUT), Err(Errno::FAULT));
        assert_eq!(g.buffer(4), b"####");
    });
}

/// There is no offset: `fd_seek` and `fd_tell` answer 0, wherever one seeks to,
/// below 0 too. An unknown whence is `INVAL`.
#[test]
fn a_device_has_no_offset() {
    each(|g, device, fd| {
        for (offset, whence) in [(0, 1), (5, 0), (-5, 0), (i64::MAX, 2), (i64::MIN, 1)] {
            let _ = g.read(fd, 3);
            assert_eq!(g.seek(fd, offset, whence), Ok(0), "{device}");
            g.put(OUT, &[0xff; 8]);
            g.vfs.fd_tell(&mut g.home, fd, OUT).unwrap();
            assert_eq!(g.u64_at(OUT), 0);
        }
        assert_eq!(g.seek(fd, 0, 3), Err(Errno::INVAL));
        g.vfs
            .fd_fdstat_set_rights(&mut g.home, fd, READ, 0)
            .unwrap();
        assert_eq!(g.seek(fd, 0, 0), Err(Errno::NOTCAPABLE));
    });
}

/// `fd_filestat_set_size`, `fd_sync` and `fd_datasync` are `INVAL`, `fd_allocate` is
/// `NODEV`, `fd_readdir` and every path call that starts from it `NOTDIR`, and
/// `sock_*` `NOTSOCK`; what they check of arguments and rights comes first, but not
/// where a range ends. `fd_advise`, `fd_fdstat_set_flags` and `fd_renumber` do what they
/// do on a file.
#[test]
fn what_a_device_cannot_do() {
    each(|g, device, fd| {
        for call in CALLS {
            let expected = match call.name {
                "fd_allocate" => continue,
                "fd_filestat_set_size" | "fd_sync" | "fd_datasync" => Err(Errno::INVAL),
                "fd_prestat_get" | "fd_prestat_dir_name" => Err(Errno::BADF),
                "fd_readdir" => Err(Errno::NOTDIR),
                path if path.starts_with("path_") => Err(Errno::NOTDIR),
                sock if sock.starts_with("sock_") => Err(Errno::NOTSOCK),
                "fd_write" | "fd_pwrite" if device == "full" => Err(Errno::NOSPC),
                "fd_close" | "fd_fdstat_set_rights" => continue,
                _ => Ok(()),
            };
            assert_eq!((call.make)(g, fd), expected, "{device} {}", call.name);
        }
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        for (offset, len, expected) in [
            (0, 1, Errno::NODEV),
            (END, END, Errno::NODEV),
            (0, 0, Errno::INVAL),
            (END + 1, 1, Errno::INVAL),
        ] {
            let allocated = vfs.fd_allocate(home, fd, offset, len);
            assert_eq!(allocated, Err(expected), "{device}");
        }
        assert_eq!(vfs.fd_advise(home, fd, 0, 0, 6), Err(Errno::INVAL));
        assert_eq!(vfs.fd_fdstat_set_flags(home, fd, 32), Err(Errno::INVAL));
        assert_eq!(vfs.fd_fdstat_set_flags(home, fd, 5), Ok(()));
        assert_eq!(fdstat(g, fd).1, 5);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_rights(home, fd, READ | 1 << 8, 0)
            .unwrap();
        assert_eq!(vfs.fd_sync(home, fd), Err(Errno::NOTCAPABLE));
        assert_eq!(vfs.fd_allocate(home, fd, 0, 1), Err(Errno::BADF));
    });
}

/// Reading and writing change no time. Times are set as on a file.
#[test]
fn a_device_keeps_its_times() {
    each(|g, device, fd| {
        let before = g.fstat(fd).unwrap();
        let _ = (g.read(fd, 10), g.pread(fd, 10, 0));
        let _ = (g.write(fd, b"x"), g.pwrite(fd, b"x", 0));
        assert_eq!(g.fstat(fd), Ok(before), "{device}");
        g.vfs
            .fd_filestat_set_times(&mut g.home, fd, 11, 22, 5)
            .unwrap();
        let after = g.fstat(fd).unwrap();
        assert_eq!((after.atim, after.mtim), (11, 22));
        assert_eq!(after.ctim, g.home.seconds * 1_000_000_000);
    });
}

/// `poll_oneoff` finds every device ready: to write with 1 byte, and to read with 1
/// byte, but `/dev/null` with 0.
#[test]
fn a_device_is_always_ready() {
    each(|g, device, fd| {
        for (event_type, expected) in [(FD_READ, u64::from(device != "null")), (FD_WRITE, 1)] {
            let mut subscription = [0; 48];
            subscription[8] = event_type;
            subscription[16..20].copy_from_slice(&fd.to_le_bytes());
            g.put(BUFFER, &subscription);
            let to = BUFFER + 48;
            g.vfs.poll_oneoff(&mut g.home, BUFFER, to, 1, OUT).unwrap();
            assert_eq!(g.u32_at(OUT), 1, "{device}");
            let event = g.bytes_at(to, EVENT);
            assert_eq!(event[8..11], [0, 0, event_type], "{device}");
            assert_eq!(g.u64_at(to + 16), expected, "{device} {event_type}");
        }
    });
}

/// A device has names like a file: it is renamed, linked, replaced and removed, and
/// is the same device by every name.
#[test]
fn a_device_has_names_like_a_file() {
    each(|g, device, fd| {
        let path = format!("dev/{device}");
        g.link(&path, "link").unwrap();
        g.rename(&path, "renamed").unwrap();
        assert_eq!(name(&g.stat(&path, false)), "NOENT");
        let stat = g.stat("link", false).unwrap();
        assert_eq!((stat.filetype, stat.nlink), (2, 2), "{device}");
        assert_eq!(g.stat("renamed", true), Ok(stat));
        g.unlink("renamed").unwrap();
        assert_eq!(g.rmdir("link"), Err(Errno::NOTDIR));
        g.rename("file", "link").unwrap();
        assert_eq!(g.contents("link").unwrap(), b"packed contents");
        assert_eq!(g.fstat(fd).unwrap().nlink, 0);
        assert_eq!(name(&g.read(fd, 1)), "SUCCESS", "still open");
        g.close(fd).unwrap();
    });
}

/// `/dev/null` is at its end at once; `/dev/zero` and `/dev/full` fill all buffers
/// with zeros.
#[test]
fn null_ends_and_zero_does_not() {
    with(furnished(), |g| {
        for (device, len) in [("null", 0), ("zero", 100_000), ("full", 100_000)] {
            let fd = g.open(&format!("dev/{device}"), 0).unwrap();
            g.put(BUFFER, &[7; 100_001]);
            assert_eq!(g.read(fd, 100_000), Ok(vec![0; len]), "{device}");
            assert_eq!(g.bytes_at(BUFFER + len as u32, 1), [7]);
            g.put(BUFFER, &[7; 100]);
            for (at, word) in (IOVS..).step_by(4).zip([BUFFER, 10, 0, 0, BUFFER + 50, 5]) {
                g.put(at, &word.to_le_bytes());
            }
            g.vfs.fd_read(&mut g.home, fd, IOVS, 3, OUT).unwrap();
            let (read, expected) = match len {
                0 => (0, [7; 56]),
                _ => (
                    15,
                    std::array::from_fn(|n| 7 * u8::from(n > 9 && n < 50 || n > 54)),
                ),
            };
            assert_eq!(g.u32_at(OUT), read, "{device}");
            assert_eq!(g.buffer(56), expected);
        }
    });
}

/// `/dev/null` and `/dev/zero` take all that is written and keep nothing.
/// `/dev/full` answers `NOSPC` to a byte or more.
#[test]
fn null_takes_everything_and_full_nothing() {
    with(furnished(), |g| {
        for device in ["null", "zero", "full"] {
            let fd = g.open(&format!("dev/{device}"), 0).unwrap();
            for len in [1, 100_000] {
                let expected = match device {
                    "full" => Err(Errno::NOSPC),
                    _ => Ok(len as u32),
                };
                assert_eq!(g.write(fd, &vec![1; len]), expected, "{device}");
            }
            g.put(BUFFER, &[7; 100]);
            assert!(g.read(fd, 100).unwrap().iter().all(|&byte| byte == 0));
        }
        assert_eq!(g.vfs.fs().used_bytes(), 0);
    });
}

/// `/dev/random` and `/dev/urandom` fill all buffers with random bytes of the host
/// (`random_get`), which nobody waits for; they take all that is written and keep
/// nothing.
#[test]
fn random_bytes_are_the_hosts() {
    with(furnished(), |g| {
        for device in ["random", "urandom"] {
            let fd = g.open(&format!("dev/{device}"), 0).unwrap();
            let seed = g.home.seed;
            let first = g.read(fd, 200_000).unwrap();
            assert_eq!(first.len(), 200_000);
            let zeros = first.iter().filter(|&&byte| byte == 0).count();
            assert!(zeros < 2000, "to the last buffer's end: {zeros}");
            assert!(first[199_000..].iter().any(|&byte| byte != 0));
            assert_ne!(g.read(fd, 200_000), Ok(first.clone()), "others each time");
            g.home.seed = seed;
            assert_eq!(g.read(fd, 200_000), Ok(first), "they are the host's");
            assert_eq!(g.write(fd, &[1; 1000]), Ok(1000));
        }
        assert_eq!(g.vfs.fs().used_bytes(), 0);
    });
}

/// An errno of the host is the answer, unless it gave some bytes before: then those
/// are.
#[test]
fn random_bytes_may_run_out() {
    with(furnished(), |g| {
        let fd = g.open("dev/random", 0).unwrap();
        g.home.random_left = 65_536;
        assert_eq!(g.read(fd, 200_000).map(|bytes| bytes.len()), Ok(65_536));
        g.put(BUFFER, b"####");
        assert_eq!(g.read(fd, 4), Err(Errno::NOSYS));
        assert_eq!(g.buffer(4), b"####");
        assert_eq!(g.read(fd, 0), Ok(Vec::new()), "nothing is asked for");
    });
}

/// Opening `/dev/stdin`, `/dev/stdout` or `/dev/stderr` opens what descriptor 0, 1
/// or 2 stands for at that moment. If the number is not open that is `NOENT`, with
/// `CREAT` too.
#[test]
fn a_streams_device_leads_to_its_descriptor() {
    with(recorded(furnished()), |g| {
        for (fd, path) in (0..).zip(["dev/stdin", "dev/stdout", "dev/stderr"]) {
            let again = g.open(path, 0).unwrap();
            g.write(again, b"x").unwrap();
            assert_eq!(REACHED.take(), [format!("fd_write {fd}")]);
            g.close(again).unwrap();
            g.close(fd).unwrap();
            assert_eq!(REACHED.take(), [format!("fd_close {fd}")]);
            assert_eq!(g.open(path, 0), Err(Errno::NOENT));
            assert_eq!(g.open(path, CREAT), Err(Errno::NOENT));
            assert_eq!(g.open(path, CREAT | EXCL), Err(Errno::EXIST));
            assert_eq!(g.open("file", 0), Ok(fd));
            let again = g.open(path, 0).unwrap();
            assert_eq!(g.read(again, 6).unwrap(), b"packed");
            g.close(again).unwrap();
        }
    });
}

/// For a stream of the host the new number is one more for the host's own
/// descriptor, whatever was asked for but `DIRECTORY`, which is `NOTDIR`: nothing is
/// opened, and offset and flags are the same by each number. The host's descriptor is
/// closed with the last of them.
#[test]
fn several_numbers_stand_for_a_stream() {
    with(recorded(furnished()), |g| {
        let again = g
            .open_with(ROOT, 1, "dev/stdout", CREAT | TRUNC, READ, ALL, APPEND)
            .unwrap();
        assert_eq!(REACHED.take(), [""; 0], "nothing is opened");
        assert_eq!(g.open("dev/stdout", DIRECTORY), Err(Errno::NOTDIR));
        assert_eq!(g.open("dev/stdout/", 0), Err(Errno::NOTDIR));
        let third = g.open("dev/stdout", 0).unwrap();
        let other = g.open("file", 0).unwrap();
        g.close(1).unwrap();
        g.vfs.fd_renumber(&mut g.home, again, other).unwrap();
        g.vfs.fd_renumber(&mut g.home, third, other).unwrap();
        assert_eq!(REACHED.take(), [""; 0], "one number is left");
        g.write(other, b"x").unwrap();
        assert_eq!(REACHED.take(), ["fd_write 1"]);
        for call in ["fd_pread", "fd_sync", "fd_readdir"] {
            let call = CALLS.iter().find(|c| c.name == call).unwrap();
            assert!((call.make)(g, other).is_err(), "as on stdout itself");
        }
        assert_eq!(REACHED.take(), [""; 0]);
        g.close(other).unwrap();
        assert_eq!(REACHED.take(), ["fd_close 1"]);
        assert_eq!(g.open("dev/stdout", 0), Err(Errno::NOENT));
    });
}

#[test]
fn a_stream_that_is_replaced_is_closed_with_its_last_number() {
    with(recorded(furnished()), |g| {
        let again = g.open("dev/stderr", 0).unwrap();
        let file = g.open("file", 0).unwrap();
        g.vfs.fd_renumber(&mut g.home, file, 2).unwrap();
        assert_eq!(REACHED.take(), [""; 0]);
        let file = g.open("file", 0).unwrap();
        g.vfs.fd_renumber(&mut g.home, file, again).unwrap();
        assert_eq!(REACHED.take(), ["fd_close 2"]);
    });
}

/// A packed file, device or directory is opened anew, as what it is and not by a name:
/// with an offset of its own, which is 0, with the rights and flags that are asked for,
/// and with the checks of `path_open`. `TRUNC` empties it, and one that has no name any
/// more opens too.
#[test]
fn what_was_put_in_a_streams_place_is_opened_anew() {
    with(recorded(furnished()), |g| {
        let put = |g: &mut Guest, path: &str, oflags| {
            let fd = g.open(path, oflags).unwrap();
            g.vfs.fd_renumber(&mut g.home, fd, 0).unwrap();
        };
        put(g, "file", 0);
        g.read(0, 7).unwrap();
        let again = g
            .open_with(ROOT, 0, "dev/stdin", 0, WRITE, ALL, APPEND)
            .unwrap();
        assert_eq!(fdstat(g, again).1, 1);
        assert_eq!(name(&g.read(again, 1)), "BADF");
        g.write(again, b"!").unwrap();
        assert_eq!(g.contents("file").unwrap(), b"packed contents!");
        assert_eq!(g.read(0, 100).unwrap(), b"contents!", "its offset stayed");
        assert_eq!(g.open("dev/stdin", DIRECTORY), Err(Errno::NOTDIR));
        g.unlink("file").unwrap();
        assert_eq!(g.contents("dev/stdin").unwrap(), b"packed contents!");
        let again = g.open("dev/stdin", TRUNC).unwrap();
        assert_eq!(g.fstat(again).unwrap().size, 0);
        assert_eq!(g.read(again, 1).unwrap(), b"");

        put(g, "dev/zero", 0);
        let again = g.open("dev/stdin", 0).unwrap();
        assert_eq!(g.read(again, 3).unwrap(), [0; 3]);
        put(g, "dev", DIRECTORY);
        let again = g.open("dev/stdin", DIRECTORY).unwrap();
        assert_eq!(g.readdir(again, 4096).unwrap().len(), 8);
        assert_eq!(g.open("dev/stdin", 0), Err(Errno::ISDIR), "to write");
    });
}

/// Every other path call means the device itself: `path_filestat_get` answers a
/// character device, whatever the descriptor stands for.
#[test]
fn the_device_of_a_stream_is_looked_at_itself() {
    with(recorded(furnished()), |g| {
        let file = g.open("file", 0).unwrap();
        g.vfs.fd_renumber(&mut g.home, file, 0).unwrap();
        REACHED.take();
        let stat = g.stat("dev/stdin", true).unwrap();
        assert_eq!((stat.filetype, stat.size), (2, 0));
        assert_ne!(stat.ino, g.fstat(0).unwrap().ino);
        assert_eq!(name(&g.readlink("dev/stdin")), "INVAL");
        let (path, len) = g.path("dev/stdin");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.path_filestat_set_times(home, ROOT, 1, path, len, 1, 2, 5)
            .unwrap();
        assert_eq!(g.stat("dev/stdin", true).unwrap().mtim, 2);
        assert_ne!(g.fstat(0).unwrap().mtim, 2);
        g.rename("dev/stdin", "in").unwrap();
        assert_eq!(g.contents("in").unwrap(), b"packed contents");
        g.unlink("in").unwrap();
        assert_eq!(g.read(0, 6).unwrap(), b"packed");
        assert_eq!(REACHED.take(), [""; 0]);
    });
}
