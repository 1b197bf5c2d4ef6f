//! The blob as it is compiled, before it is merged into a program: the calls reach
//! the file system through its exports, and it the program through its imports.
//! `model/` compares the same module with the core, operation by operation.

use std::sync::LazyLock;

use monaka_tests::blob::{Blob, Exports};
use monaka_tests::calls::Calls as _;
use monaka_tests::native::{self, BUFFER, Guest, Native, OUT, Packed, ROOT};
use monaka_vfs_core::Errno;
use monaka_vfs_core::abi::poll::{CLOCK, EVENT, FD_READ};
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::image::NodeId;
use monaka_vfs_core::memory::GuestMemory;

static BLOB: LazyLock<Blob> =
    LazyLock::new(|| Blob::load(&wasmtime::Engine::default()).expect("load the blob"));

static IMAGE: LazyLock<Packed> = LazyLock::new(|| {
    Packed::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "file", b"packed contents");
        let dir = tree
            .add_directory(NodeId::ROOT, b"dir", native::meta())
            .unwrap();
        for i in 0..300 {
            native::add_file(tree, dir, &format!("{i}"), &[i as u8; 5000]);
        }
    }))
});

fn guest() -> Guest<Exports> {
    BLOB.mount(*IMAGE, false).expect("start")
}

#[test]
fn reads_writes_and_lists() {
    let mut g = guest();
    assert_eq!(g.contents("file").unwrap(), b"packed contents");
    assert_eq!(g.contents("dir/77").unwrap(), [77; 5000]);

    let fd = g.open("new", 1).unwrap();
    let long: Vec<u8> = (0..300_000u32).map(|i| (i / 5 + i % 251) as u8).collect();
    assert_eq!(g.write(fd, &long), Ok(300_000));
    assert_eq!(g.seek(fd, -100_000, 2), Ok(200_000));
    assert_eq!(g.read(fd, 200_000).unwrap(), long[200_000..]);
    assert_eq!(g.fstat(fd).unwrap().size, 300_000);
    g.close(fd).unwrap();

    g.rename("new", "dir/7").unwrap();
    assert_eq!(g.contents("dir/7").unwrap(), long);
    g.unlink("dir/8").unwrap();
    let dir = g.open("dir", 2).unwrap();
    for len in [64, 4096] {
        let mut names: Vec<u32> = (g.readdir(dir, len).unwrap().iter())
            .map(|entry| String::from_utf8_lossy(&entry.name).parse().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, (0..300).filter(|&i| i != 8).collect::<Vec<_>>());
    }
    assert_eq!(g.open("missing", 0), Err(Errno::NOENT));
    assert_eq!(g.poll_read(&[dir]), Err(Errno::BADF));
}

#[test]
fn nothing_of_the_program_is_written_but_the_answer() {
    let mut g = guest();
    g.home.program().memory.fill(0xa5);
    let fd = g.open("file", 0).unwrap();
    let mut expected = g.home.program().memory.clone();
    // Both ask the host's clock, which writes into the program's memory.
    g.vfs
        .fd_filestat_set_times(&mut g.home, fd, 0, 0, 2 | 8)
        .unwrap();
    assert!(g.home.program().memory == expected);
    assert_eq!(g.vfs.fd_tell(&mut g.home, fd, OUT), Ok(()));
    expected[OUT as usize..][..8].fill(0);
    assert!(g.home.program().memory == expected);
    let stat = g.fstat(fd).unwrap();
    assert_eq!(stat.mtim, 1_000_001_000_000_000, "the first look");
}

#[test]
fn pointers_outside_the_programs_memory_are_fault() {
    let mut g = guest();
    let fd = g.open("file", 0).unwrap();
    let end = native::SIZE as u32;
    for at in [end, end - 3, u32::MAX, u32::MAX - 3] {
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_tell(home, fd, at), Err(Errno::FAULT));
        assert_eq!(vfs.fd_read(home, fd, at, 1, OUT), Err(Errno::FAULT));
        assert_eq!(vfs.fd_filestat_get(home, fd, at), Err(Errno::FAULT));
        let opened = vfs.path_open(home, ROOT, 0, at, 4, 0, 0, 0, 0, OUT);
        assert_eq!(opened, Err(Errno::FAULT));
    }
    // A program without any memory.
    g.home.program().memory.clear();
    let times = g.vfs.fd_filestat_set_times(&mut g.home, fd, 0, 0, 8);
    assert_eq!(times, Ok(()), "the time is then 0");
    assert_eq!(g.vfs.fd_tell(&mut g.home, fd, 0), Err(Errno::FAULT));
}

/// A host with descriptors 3 and 4, which answers `fdstat` with ones and polls
/// as if everything were ready.
fn serve(home: &mut Native, call: &str, args: &[u64]) -> Result<()> {
    match (call, args) {
        ("fd_fdstat_get", &[fd, at]) if home.open.contains(&(fd as u32)) => {
            home.store(at as u32, &[1; 24])
        }
        ("fd_fdstat_get", _) => Err(Errno::BADF),
        ("fd_prestat_get", &[3 | 4, at]) => home.store_u32(at as u32, 7),
        ("poll_oneoff", &[from, to, count, nevents]) => {
            for index in 0..count as u32 {
                let userdata = home.region(from as u32 + index * 48, 8)?;
                let mut event = [0; EVENT as usize];
                home.read(userdata, &mut event[..8]);
                home.store(to as u32 + index * EVENT, &event)?;
            }
            home.store_u32(nevents as u32, count as u32)
        }
        other => panic!("{other:?} reached the host"),
    }
}

#[test]
fn the_hosts_descriptors_are_found_without_a_trace_in_the_program() {
    let mut g = BLOB.mount(*IMAGE, true).unwrap();
    g.home.program().host = serve;
    g.home.program().open = vec![0, 1, 2, 3, 4];
    g.home.program().memory.fill(0xa5);
    let mut expected = g.home.program().memory.clone();
    let prestat = |g: &mut Guest<Exports>, fd| g.vfs.fd_prestat_get(&mut g.home, fd, OUT);
    assert_eq!(prestat(&mut g, 4), Ok(()), "the host's 3");
    assert_eq!(prestat(&mut g, 5), Ok(()), "the host's 4");
    assert_eq!(prestat(&mut g, 6), Err(Errno::BADF));
    expected[OUT as usize..][..4].copy_from_slice(&[7, 0, 0, 0]);
    assert!(g.home.program().memory == expected);
}

#[test]
fn files_and_clocks_are_waited_for_together() {
    let mut g = guest();
    g.home.program().host = serve;
    let fd = g.open("file", 0).unwrap();
    let mut clock = [0; 48];
    clock[0] = 1;
    clock[8] = CLOCK;
    let mut file = [0; 48];
    file[0] = 2;
    file[8] = FD_READ;
    file[16..20].copy_from_slice(&fd.to_le_bytes());
    g.put(BUFFER, &[clock, file].concat());
    let (vfs, home) = (&mut g.vfs, &mut g.home);
    assert_eq!(vfs.poll_oneoff(home, BUFFER, 200_000, 2, OUT), Ok(()));
    assert_eq!(g.u32_at(OUT), 2);
    assert_eq!(g.u64_at(200_000), 1);
    assert_eq!(g.u64_at(200_000 + EVENT), 2);
    assert_eq!(g.u64_at(200_000 + EVENT + 16), 15);
}

#[test]
fn the_calls_of_wasi_unstable_are_there() {
    let mut g = guest();
    let fd = g.open("file", 0).unwrap();
    let errno = g.unstable("fd_seek", (fd, 5i64, 2u32, OUT)).unwrap();
    assert_eq!((errno, g.u64_at(OUT)), (0, 5), "SET");
    let errno = g.unstable("fd_filestat_get", (fd, BUFFER)).unwrap();
    assert_eq!((errno, g.u64_at(BUFFER + 24)), (0, 15));
    let (path, len) = g.path("file");
    let args = (ROOT, 0u32, path, len, BUFFER + 100);
    let errno = g.unstable("path_filestat_get", args).unwrap();
    assert_eq!(errno, 0);
    assert_eq!(g.bytes_at(BUFFER, 56), g.bytes_at(BUFFER + 100, 56));
    let mut file = [0; 56];
    file[8] = FD_READ;
    file[16..20].copy_from_slice(&fd.to_le_bytes());
    g.put(BUFFER, &file);
    let args = (BUFFER, BUFFER, 1u32, OUT);
    assert_eq!(g.unstable("poll_oneoff", args).unwrap(), 0);
    assert_eq!((g.u32_at(OUT), g.u64_at(BUFFER + 16)), (1, 10));
}

#[test]
fn full_memory_is_nospc_and_what_was_written_stays() {
    let mut g = BLOB.start(6 << 20).unwrap();
    g.mount_now(*IMAGE, false).unwrap().unwrap();
    let fd = g.open("new", 1).unwrap();
    let mut written = 0u64;
    let refused = loop {
        match g.write(fd, &[7; 300_000]) {
            Ok(n) => written += u64::from(n),
            Err(errno) => break errno,
        }
        assert!(written < 6 << 20);
    };
    assert_eq!(refused, Errno::NOSPC);
    assert!(written > 3 << 20, "{written}");
    assert_eq!(g.fstat(fd).unwrap().size, written);
    let last = g.pread(fd, 1000, written - 1000).unwrap();
    assert_eq!(last, [7; 1000]);
    assert_eq!(g.contents("dir/77").unwrap(), [77; 5000]);
    g.set_size(fd, 0).unwrap();
    assert_eq!(g.write(fd, &[8; 300_000]), Ok(300_000), "given back");
}

#[test]
fn mounting_is_refused_with_a_reason() {
    let again = guest().mount_now(*IMAGE, false).unwrap();
    assert_eq!(again, Err(Errno::BUSY));
    let garbage = Packed {
        tables: &[1; 500],
        data: &[],
    };
    let mut g = BLOB.start(6 << 20).unwrap();
    assert_eq!(g.mount_now(garbage, false).unwrap(), Err(Errno::INVAL));
    g.mount_now(*IMAGE, false)
        .unwrap()
        .expect("nothing is mounted yet");
    let mut small = BLOB.start(1 << 20).unwrap();
    let mounted = small.mount_now(*IMAGE, false).unwrap();
    assert_eq!(mounted, Err(Errno::NOMEM));
}

#[test]
#[should_panic(expected = "unreachable")]
fn a_call_without_a_mount_traps() {
    let mut g = BLOB.start(6 << 20).unwrap();
    let _ = g.close(0);
}
