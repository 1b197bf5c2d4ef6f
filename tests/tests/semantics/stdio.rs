//! Standard input, output and error.

use monaka_vfs_core::Errno;

use crate::{packed, with};

#[test]
fn without_host_directories_stdio_is_a_stream() {
    with(packed(), |g| {
        // The host of these tests panics when a call reaches it.
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_pread(home, 0, 0, 0, 0, 0), Err(Errno::SPIPE));
        assert_eq!(vfs.fd_pwrite(home, 1, 0, 0, 0, 0), Err(Errno::SPIPE));
        assert_eq!(vfs.fd_sync(home, 1), Err(Errno::INVAL));
        assert_eq!(vfs.fd_filestat_set_size(home, 1, 0), Err(Errno::INVAL));
        assert_eq!(vfs.fd_readdir(home, 0, 0, 0, 0, 0), Err(Errno::NOTDIR));
        assert_eq!(vfs.fd_prestat_get(home, 0, 64), Err(Errno::BADF));
        assert_eq!(vfs.sock_shutdown(home, 0, 1), Err(Errno::NOTSOCK));
        assert_eq!(vfs.path_unlink_file(home, 0, 0, 1), Err(Errno::NOTDIR));
    });
}
