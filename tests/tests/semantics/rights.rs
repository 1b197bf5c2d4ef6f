//! Rights: asked for, narrowed, passed on, enforced.

use monaka_tests::native::{ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::rights::Rights;

use crate::{CREAT, DIRECTORY, READ, WRITE, packed, with};

const ALLOCATE: u64 = 1 << 8;
const SYNC: u64 = 1 << 4;

/// Rights and inheriting rights of `fd`.
fn rights(g: &mut Guest, fd: u32) -> (u64, u64) {
    g.vfs.fd_fdstat_get(&mut g.home, fd, 64).unwrap();
    (g.u64_at(72), g.u64_at(80))
}

fn set_rights(g: &mut Guest, fd: u32, base: u64, inheriting: u64) -> Result<()> {
    let (vfs, home) = (&mut g.vfs, &mut g.home);
    vfs.fd_fdstat_set_rights(home, fd, base, inheriting)
}

/// The calls on a file that a right is asked for, and the right.
type Guarded = (Rights, fn(&mut Guest, u32) -> Result<()>);

const GUARDED: [Guarded; 13] = [
    (Rights::FD_READ, |g, fd| g.pread(fd, 1, 0).map(drop)),
    (Rights::FD_WRITE, |g, fd| g.pwrite(fd, b"p", 0).map(drop)),
    (Rights::FD_ALLOCATE, |g, fd| {
        g.vfs.fd_allocate(&mut g.home, fd, 0, 1)
    }),
    (Rights::FD_FILESTAT_SET_SIZE, |g, fd| g.set_size(fd, 15)),
    (Rights::FD_SEEK, |g, fd| g.seek(fd, 1, 0).map(drop)),
    (Rights::FD_ADVISE, |g, fd| {
        g.vfs.fd_advise(&mut g.home, fd, 0, 0, 0)
    }),
    (Rights::FD_SYNC, |g, fd| g.vfs.fd_sync(&mut g.home, fd)),
    (Rights::FD_DATASYNC, |g, fd| {
        g.vfs.fd_datasync(&mut g.home, fd)
    }),
    (Rights::FD_FILESTAT_GET, |g, fd| g.fstat(fd).map(drop)),
    (Rights::FD_FILESTAT_SET_TIMES, |g, fd| {
        g.vfs.fd_filestat_set_times(&mut g.home, fd, 1, 1, 1)
    }),
    (Rights::FD_FDSTAT_SET_FLAGS, |g, fd| {
        g.vfs.fd_fdstat_set_flags(&mut g.home, fd, 0)
    }),
    (Rights::FD_TELL, |g, fd| {
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_tell(home, fd, 64)
    }),
    (Rights::POLL_FD_READWRITE, |g, fd| {
        match g.poll_read(&[fd])?[..] {
            [(0, _)] => Ok(()),
            [(errno, _)] => Err(Errno::from_raw(u32::from(errno)).unwrap()),
            _ => panic!("one event"),
        }
    }),
];

/// Opening a file asks for reading (`FD_READ`) and writing (`FD_WRITE`, which
/// brings `FD_FILESTAT_SET_SIZE` and, if that is asked for too, `FD_ALLOCATE`). Who
/// asks for neither reads. All other rights of a file come with it, as in wasmtime:
/// programs ask for these alone and then use every call. (node insists on every
/// right.)
#[test]
fn a_file_is_read_and_written_only_as_it_was_opened() {
    with(packed(), |g| {
        for (asked, reads, writes, allocates) in [
            (0, true, false, false),
            (READ, true, false, false),
            (WRITE, false, true, false),
            (READ | WRITE, true, true, false),
            (WRITE | ALLOCATE, false, true, true),
            (READ | ALLOCATE, true, false, false),
            (ALL, true, true, true),
            (ALL & !READ & !WRITE, true, false, false),
        ] {
            let fd = g.open_with(ROOT, 1, "file", 0, asked, ALL, 0).unwrap();
            for (right, call) in GUARDED {
                let expected = match right {
                    Rights::FD_READ => reads,
                    Rights::FD_WRITE | Rights::FD_FILESTAT_SET_SIZE => writes,
                    Rights::FD_ALLOCATE => allocates,
                    _ => true,
                };
                assert_eq!(call(g, fd).is_ok(), expected, "{asked:x} {right:?}");
            }
        }
    });
}

/// A missing right is `NOTCAPABLE`, except where POSIX has an errno for it: reading
/// without `FD_READ` and writing without `FD_WRITE` are `BADF`,
/// `fd_filestat_set_size` without its right is `INVAL`, and `fd_allocate` without
/// its right is `NOTSUP`.
#[test]
fn each_call_wants_its_right() {
    with(packed(), |g| {
        for (missing, _) in GUARDED {
            let fd = g.open("file", 0).unwrap();
            let (all, _) = rights(g, fd);
            set_rights(g, fd, all & !missing.raw(), 0).unwrap();
            for (right, call) in GUARDED {
                let expected = match (missing, right) {
                    (Rights::FD_WRITE, Rights::FD_ALLOCATE) => "BADF",
                    // Seeking includes it.
                    (_, Rights::FD_TELL) => "SUCCESS",
                    _ if right != missing => "SUCCESS",
                    (_, Rights::FD_READ | Rights::FD_WRITE) => "BADF",
                    (_, Rights::FD_FILESTAT_SET_SIZE) => "INVAL",
                    (_, Rights::FD_ALLOCATE) => "NOTSUP",
                    _ => "NOTCAPABLE",
                };
                let answer = name(&call(g, fd));
                assert_eq!(answer, expected, "{right:?} without {missing:?}");
            }
            g.close(fd).unwrap();
        }
        let fd = g.open("dir", DIRECTORY).unwrap();
        let (all, inheriting) = rights(g, fd);
        set_rights(g, fd, all & !(1 << 14), inheriting).unwrap();
        assert_eq!(name(&g.readdir(fd, 1000)), "NOTCAPABLE");
    });
}

/// A directory has all rights that mean something on one, whatever was asked for,
/// but synchronising, `FD_SYNC` and `FD_DATASYNC`, only if `FD_SYNC` was. (wasmtime
/// never synchronises a directory, Linux always.)
#[test]
fn a_directory_has_all_rights_of_one() {
    let synchronising = Rights::FD_SYNC.with(Rights::FD_DATASYNC).raw();
    let of_files = Rights::FD_READ.raw() | WRITE | ALLOCATE | 1 << 2 | 1 << 5 | 1 << 22;
    let of_sockets = 1 << 28 | 1 << 29;
    let all = Rights::ALL.raw() & !of_files & !of_sockets;
    with(packed(), |g| {
        for (asked, expected) in [
            (0, all & !synchronising),
            (READ | 1 << 14, all & !synchronising),
            (Rights::FD_DATASYNC.raw(), all & !synchronising),
            (Rights::FD_SYNC.raw(), all),
            (ALL & !WRITE, all),
        ] {
            let fd = g.open_with(ROOT, 1, "dir", 0, asked, 0, 0).unwrap();
            assert_eq!(rights(g, fd), (expected, Rights::ALL.raw()), "{asked:x}");
            let synced = (expected == all).then_some(()).ok_or(Errno::BADF);
            assert_eq!(g.vfs.fd_sync(&mut g.home, fd), synced, "{asked:x}");
            assert_eq!(g.vfs.fd_datasync(&mut g.home, fd), synced, "{asked:x}");
            set_rights(g, fd, 0, 0).unwrap();
            assert_eq!(g.vfs.fd_sync(&mut g.home, fd), Err(Errno::BADF));
        }
    });
}

/// What is opened through a directory has no right that is not among the
/// directory's inheriting ones, which are all of the witx for a preopened
/// directory.
///
/// What is taken from a directory's inheriting rights is missing from all that is
/// opened through it, at any depth. What is open already keeps its own.
#[test]
fn rights_taken_away_are_missing_from_what_is_opened() {
    with(packed(), |g| {
        assert_eq!(rights(g, ROOT).1, Rights::ALL.raw());
        let dir = g.open(".", DIRECTORY).unwrap();
        let before = g.open_with(dir, 1, "file", 0, ALL, ALL, 0).unwrap();
        let keeps = rights(g, before);
        // Open and stat, and to pass on reading and opening.
        set_rights(g, dir, 1 << 13 | 1 << 18, READ | 1 << 13).unwrap();
        let created = g.open_with(dir, 1, "new", CREAT, ALL, ALL, 0);
        assert_eq!(name(&created), "NOTCAPABLE");
        let deeper = g.open_with(dir, 1, "dir", 0, READ, ALL, 0).unwrap();
        assert_eq!(rights(g, deeper), (1 << 13, READ | 1 << 13));
        for (from, path) in [(dir, "file"), (deeper, "inner")] {
            let fd = g.open_with(from, 1, path, 0, ALL, ALL, 0).unwrap();
            assert_eq!(rights(g, fd), (READ, 0), "{path}");
            assert_eq!(name(&g.read(fd, 1)), "SUCCESS");
            assert_eq!(name(&g.write(fd, b"x")), "BADF");
            assert_eq!(name(&g.fstat(fd)), "NOTCAPABLE");
        }
        assert_eq!(rights(g, before), keeps, "it was open already");
        assert_eq!(name(&g.write(before, b"p")), "SUCCESS");
    });
}

/// `fd_fdstat_set_rights` takes rights away, for good. One that is not there, base
/// or inheriting, is `NOTCAPABLE`, and then nothing changes. (node does the same,
/// wasmtime answers `NOTSUP`.)
#[test]
fn rights_taken_away_stay_away() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        set_rights(g, fd, READ | SYNC, 0).unwrap();
        assert_eq!(rights(g, fd), (READ | SYNC, 0));
        for (base, inheriting) in [(READ | WRITE, 0), (ALL, 0), (READ, READ), (0, ALL)] {
            let widened = set_rights(g, fd, base, inheriting);
            assert_eq!(widened, Err(Errno::NOTCAPABLE), "{base:x} {inheriting:x}");
            assert_eq!(rights(g, fd), (READ | SYNC, 0));
        }
        set_rights(g, fd, READ, 0).unwrap();
        assert_eq!(
            set_rights(g, fd, READ | SYNC, 0),
            Err(Errno::NOTCAPABLE),
            "they cannot come back"
        );
        let dir = g.open(".", DIRECTORY).unwrap();
        set_rights(g, dir, 1 << 13, READ).unwrap();
        let widened = set_rights(g, dir, 1 << 13, READ | WRITE);
        assert_eq!(widened, Err(Errno::NOTCAPABLE));
        let other = set_rights(g, dir, 1 << 13 | READ, READ);
        assert_eq!(other, Err(Errno::NOTCAPABLE), "it never had that one");
    });
}

/// Rights that the witx does not know are dropped, since toolchains ask for all 64
/// bits. (wasmtime ends the program.)
#[test]
fn rights_that_the_witx_does_not_know_are_dropped() {
    with(packed(), |g| {
        let unknown = !Rights::ALL.raw();
        assert_ne!(unknown, 0);
        let fd = g.open_with(ROOT, 1, "file", 0, ALL, ALL, 0).unwrap();
        let (known, _) = rights(g, fd);
        assert_eq!(known & unknown, 0);
        set_rights(g, fd, known | unknown, unknown).unwrap();
        assert_eq!(rights(g, fd), (known, 0));
    });
}

/// wasmtime always answers `NOTSUP`, node allocates. Here only programs that wrote
/// without asking for `FD_ALLOCATE` get `NOTSUP`, as wasmtime's own tests demand;
/// every C library asks for it.
#[test]
fn allocating_and_sync_have_to_be_asked_for() {
    with(packed(), |g| {
        for (rights, expected) in [
            (READ, Err(Errno::BADF)),
            (READ | ALLOCATE, Err(Errno::BADF)),
            (READ | WRITE, Err(Errno::NOTSUP)),
            (WRITE | ALLOCATE, Ok(())),
            (ALL, Ok(())),
        ] {
            let fd = g.open_with(ROOT, 1, "file", 0, rights, ALL, 0).unwrap();
            let allocated = g.vfs.fd_allocate(&mut g.home, fd, 0, 100);
            assert_eq!(allocated, expected, "{rights:x}");
        }
        for flags in [2, 8, 16, 31] {
            let opened = g.open_with(ROOT, 1, "new", CREAT, READ | WRITE, ALL, flags);
            assert_eq!(name(&opened), "NOTSUP", "{flags}");
            assert_eq!(
                name(&g.stat("new", false)),
                "NOENT",
                "and nothing is created"
            );
            let fd = g.open_with(ROOT, 1, "file", 0, WRITE | SYNC, ALL, flags);
            g.vfs.fd_fdstat_get(&mut g.home, fd.unwrap(), 64).unwrap();
            assert_eq!(u32::from(g.home.memory[66]), flags);
        }
    });
}
