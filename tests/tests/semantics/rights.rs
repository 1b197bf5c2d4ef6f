//! Rights: asked for, narrowed, passed on, enforced.

use monaka_tests::native::{ALL, ROOT, name};
use monaka_vfs_core::Errno;

use crate::{CREAT, DIRECTORY, READ, WRITE, packed, with};

#[test]
fn a_file_is_read_and_written_only_as_it_was_opened() {
    with(packed(), |g| {
        let read = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
        assert_eq!(name(&g.write(read, b"x")), "BADF");
        assert_eq!(g.set_size(read, 0), Err(Errno::INVAL));
        assert_eq!(name(&g.read(read, 1)), "SUCCESS");
        let write = g.open_with(ROOT, 1, "file", 0, WRITE, ALL, 0).unwrap();
        assert_eq!(name(&g.read(write, 1)), "BADF");
        assert_eq!(name(&g.write(write, b"x")), "SUCCESS");
    });
}

#[test]
fn rights_taken_away_stay_away_and_are_not_passed_on() {
    with(packed(), |g| {
        let dir = g.open(".", DIRECTORY).unwrap();
        let narrowed = 1 << 13 | 1 << 18;
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_rights(home, dir, narrowed, READ).unwrap();
        assert_eq!(
            vfs.fd_fdstat_set_rights(home, dir, narrowed | 1 << 9, READ),
            Err(Errno::NOTCAPABLE),
            "they cannot come back"
        );
        let created = g.open_with(dir, 1, "new", CREAT, ALL, ALL, 0);
        assert_eq!(name(&created), "NOTCAPABLE");
        let fd = g.open_with(dir, 1, "file", 0, ALL, ALL, 0).unwrap();
        assert_eq!(name(&g.read(fd, 1)), "SUCCESS");
        assert_eq!(name(&g.write(fd, b"x")), "BADF");
    });
}

#[test]
fn allocating_and_sync_have_to_be_asked_for() {
    const ALLOCATE: u64 = 1 << 8;
    const SYNC: u64 = 1 << 4;
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
