//! The calls of `wasi_unstable`: today's answers in the layouts of then, and no
//! byte written beside them.

use monaka_tests::native::{self, BUFFER, Guest, Native, OUT, ROOT, SIZE, Stat};
use monaka_vfs_core::Errno;
use monaka_vfs_core::abi::poll::{CLOCK, EVENT, FD_READ};
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::image::NodeId;
use monaka_vfs_core::memory::GuestMemory;

const FILESTAT: usize = 56;
const SUBSCRIPTION: usize = 56;

/// Bytes that no call writes.
const CANARY: u8 = 0xa5;

/// A host that tells what it is asked: `filestat` of fd 1 is all ones but for
/// its link count, `fd_seek` answers the whence, polling answers the first
/// subscription's number of 4 bytes at 16 as an event's byte count.
fn serve(home: &mut Native, call: &str, args: &[u64]) -> Result<()> {
    match (call, args) {
        ("fd_filestat_get", &[1, at]) => {
            let mut stat = [1; 64];
            stat[24..32].copy_from_slice(&(1u64 << 40).to_le_bytes());
            home.store(at as u32, &stat)
        }
        ("fd_filestat_get", &[_, at]) => {
            home.store(at as u32, &[9; 64])?;
            Err(Errno::ACCES)
        }
        ("fd_seek", &[_, _, whence, at]) => home.store_u64(at as u32, whence),
        ("poll_oneoff", &[from, to, count, nevents]) => {
            assert_eq!(count, 2);
            let asked = home.load_u32(from as u32 + 16)?;
            let mut event = [0; EVENT as usize];
            event[..8].copy_from_slice(&[7; 8]);
            event[16..20].copy_from_slice(&asked.to_le_bytes());
            home.store(to as u32, &event)?;
            home.store_u32(nevents as u32, 1)
        }
        other => panic!("{other:?} reached the host"),
    }
}

/// A guest with `/file` of 15 bytes, whose memory holds nothing but canaries.
fn guest() -> Guest {
    let mut guest = Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "file", b"packed contents");
    }));
    guest.home.host = serve;
    guest.home.memory.fill(CANARY);
    guest
}

/// Asserts that `call` writes nothing but `len` bytes at `at`; answers them.
fn writes_only<T>(
    g: &mut Guest,
    at: u32,
    len: usize,
    call: impl FnOnce(&mut Guest) -> T,
) -> (T, Vec<u8>) {
    let before = g.home.memory.clone();
    let outcome = call(g);
    let mut after = g.home.memory.clone();
    let place = at as usize..at as usize + len;
    let written = after[place.clone()].to_vec();
    after[place.clone()].copy_from_slice(&before[place]);
    assert!(after == before, "bytes beside were written");
    (outcome, written)
}

/// The fields of a `filestat` of then.
fn decode(bytes: &[u8]) -> Stat {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    Stat {
        ino: word(8),
        filetype: bytes[16],
        nlink: word(16) >> 32,
        size: word(24),
        atim: word(32),
        mtim: word(40),
        ctim: word(48),
    }
}

#[test]
fn whence_is_numbered_otherwise() {
    let mut g = guest();
    let fd = g.open("file", 0).unwrap();
    let mut seek = |fd, offset: i64, whence| {
        let offset = offset.cast_unsigned();
        (g.vfs).unstable_fd_seek(&mut g.home, fd, offset, whence, OUT)?;
        Ok(g.home.memory[OUT as usize])
    };
    let (cur, end, set) = (0, 1, 2);
    assert_eq!(seek(fd, 4, set), Ok(4));
    assert_eq!(seek(fd, 3, cur), Ok(7));
    assert_eq!(seek(fd, -1, end), Ok(14));
    for unknown in [3, 4, u32::MAX] {
        assert_eq!(seek(fd, 0, unknown), Err(Errno::INVAL));
    }
    let hosts = [cur, end, set].map(|whence| seek(0, 0, whence));
    assert_eq!(hosts, [Ok(1), Ok(2), Ok(0)], "CUR, END, SET of today");
}

#[test]
fn attributes_take_56_bytes_and_no_more() {
    let mut g = guest();
    let fd = g.open("file", 0).unwrap();
    let now = g.fstat(fd).unwrap();
    // The last bytes of the memory: 64 would not fit.
    let last = (SIZE - FILESTAT) as u32;
    // The bytes that are lent to the call, and some that overlap them.
    for at in [last, 0, 1024 - 20, 1024, 1024 + 20, 50_001] {
        let (outcome, written) = writes_only(&mut g, at, FILESTAT, |g| {
            g.vfs.unstable_fd_filestat_get(&mut g.home, fd, at)
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(decode(&written), now, "at {at}");

        let (path, len) = g.path("file");
        let (outcome, written) = writes_only(&mut g, at, FILESTAT, |g| {
            (g.vfs).unstable_path_filestat_get(&mut g.home, ROOT, 0, path, len, at)
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(decode(&written), now, "at {at}");
    }
    let beyond = g.vfs.unstable_fd_filestat_get(&mut g.home, fd, last + 1);
    assert_eq!(beyond, Err(Errno::FAULT));
}

#[test]
fn attributes_of_a_path_that_stands_in_the_lent_bytes() {
    let mut g = guest();
    let (path, len) = g.put(1024, b"file");
    let (outcome, written) = writes_only(&mut g, OUT, FILESTAT, |g| {
        (g.vfs).unstable_path_filestat_get(&mut g.home, ROOT, 0, path, len, OUT)
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(decode(&written).size, 15);
}

#[test]
fn attributes_of_the_hosts_are_converted_too() {
    let mut g = guest();
    let (outcome, written) = writes_only(&mut g, BUFFER, FILESTAT, |g| {
        g.vfs.unstable_fd_filestat_get(&mut g.home, 1, BUFFER)
    });
    assert_eq!(outcome, Ok(()));
    let ones = u64::from_le_bytes([1; 8]);
    let expected = Stat {
        ino: ones,
        filetype: 1,
        nlink: u64::from(u32::MAX),
        size: ones,
        atim: ones,
        mtim: ones,
        ctim: ones,
    };
    assert_eq!(decode(&written), expected);
    assert_eq!(written[..8], [1; 8], "the device");
}

#[test]
fn attributes_that_are_refused_write_nothing() {
    let mut g = guest();
    for (fd, errno) in [(2, Errno::ACCES), (99, Errno::BADF)] {
        let (outcome, _) = writes_only(&mut g, OUT, 0, |g| {
            g.vfs.unstable_fd_filestat_get(&mut g.home, fd, OUT)
        });
        assert_eq!(outcome, Err(errno));
    }
}

fn clock(number: u32) -> [u8; SUBSCRIPTION] {
    let mut bytes = [0; SUBSCRIPTION];
    bytes[..8].copy_from_slice(&[7; 8]);
    bytes[8] = CLOCK;
    // The identifier, which is gone today.
    bytes[16..24].copy_from_slice(&[0xee; 8]);
    bytes[24..28].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn reading(fd: u32) -> [u8; SUBSCRIPTION] {
    let mut bytes = [0; SUBSCRIPTION];
    bytes[..8].copy_from_slice(&[8; 8]);
    bytes[8] = FD_READ;
    bytes[16..20].copy_from_slice(&fd.to_le_bytes());
    bytes
}

#[test]
fn subscriptions_take_56_bytes_and_stand_where_they_stood() {
    let mut g = guest();
    let fd = g.open("file", 0).unwrap();
    let all = [clock(3), reading(fd)].concat();
    let last = (SIZE - all.len()) as u32;
    // Apart, over each other, and over each other's ends.
    for (from, to) in [
        (BUFFER, 200_000),
        (last, BUFFER),
        (BUFFER, BUFFER),
        (BUFFER, BUFFER + 100),
        (BUFFER + 40, BUFFER),
    ] {
        g.put(from, &all);
        let before = g.home.memory.clone();
        let polled = (g.vfs).unstable_poll_oneoff(&mut g.home, from, to, 2, OUT);
        assert_eq!(polled, Ok(()));
        let mut expected = before;
        let mut events = [0; 2 * EVENT as usize];
        events[..8].copy_from_slice(&[7; 8]);
        events[16] = 3;
        events[32..40].copy_from_slice(&[8; 8]);
        events[32 + 10] = FD_READ;
        events[32 + 16] = 15;
        expected[to as usize..][..64].copy_from_slice(&events);
        expected[OUT as usize..][..4].copy_from_slice(&[2, 0, 0, 0]);
        assert!(g.home.memory == expected, "from {from} to {to}");
    }
}

#[test]
fn subscriptions_that_are_refused_write_nothing() {
    let mut g = guest();
    let fd = g.open("file", 0).unwrap();
    let end = SIZE as u32;
    g.put(BUFFER, &[reading(fd), reading(99)].concat());
    for (from, to, count, nevents, errno) in [
        (BUFFER, 200_000, 0, OUT, Errno::INVAL),
        (end, end, 4097, end, Errno::INVAL),
        (end, end, u32::MAX, end, Errno::INVAL),
        (end - 111, BUFFER, 2, OUT, Errno::FAULT),
        (BUFFER, end - 63, 2, OUT, Errno::FAULT),
        (BUFFER, 200_000, 2, end - 3, Errno::FAULT),
        (BUFFER, 200_000, 2, OUT, Errno::BADF),
    ] {
        let (outcome, _) = writes_only(&mut g, 0, 0, |g| {
            (g.vfs).unstable_poll_oneoff(&mut g.home, from, to, count, nevents)
        });
        assert_eq!(outcome, Err(errno));
    }
}
