//! Reading and writing, and the buffers of both.

use monaka_tests::native::name;
use monaka_vfs_core::Errno;

use crate::{DIRECTORY, packed, with};

#[test]
fn a_read_over_its_own_buffer_list_moves_no_more_than_was_checked() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        // The first buffer is the second pair, which so becomes text.
        let pairs = [264u32, 8, 65536, 5];
        for (at, word) in (256..).step_by(4).zip(pairs) {
            g.home.memory[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, 256, 2, 64), Ok(()));
        assert_eq!(
            home.memory[64], 8,
            "the second buffer is outside the memory"
        );
        assert_eq!(g.seek(fd, 0, 1), Ok(8));
    });
}

#[test]
fn what_reads_writes_or_synchronises_a_file_is_badf_on_a_directory() {
    with(packed(), |g| {
        let fd = g.open("dir", DIRECTORY).unwrap();
        assert_eq!(name(&g.read(fd, 1)), "BADF");
        assert_eq!(name(&g.pread(fd, 1, 0)), "BADF");
        assert_eq!(name(&g.write(fd, b"x")), "BADF");
        assert_eq!(name(&g.pwrite(fd, b"x", 0)), "BADF");
        assert_eq!(name(&g.seek(fd, 0, 1)), "BADF");
        assert_eq!(g.set_size(fd, 0), Err(Errno::BADF));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_tell(home, fd, 64), Err(Errno::BADF));
        assert_eq!(vfs.fd_advise(home, fd, 0, 0, 4), Err(Errno::BADF));
        assert_eq!(vfs.fd_allocate(home, fd, 0, 0), Err(Errno::BADF));
        assert_eq!(vfs.fd_sync(home, fd), Err(Errno::BADF));
        assert_eq!(vfs.fd_datasync(home, fd), Err(Errno::BADF));
        assert_eq!(vfs.fd_fdstat_set_flags(home, fd, 4), Err(Errno::BADF));
        assert_eq!(vfs.fd_filestat_set_times(home, fd, 1, 2, 1 | 4), Ok(()));
        assert_eq!(g.fstat(fd).unwrap().mtim, 2);
    });
}
