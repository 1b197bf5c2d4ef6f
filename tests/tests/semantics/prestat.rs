//! The directories that are there from the start.

use monaka_tests::native::{self, Guest};
use monaka_vfs_core::Errno;
use monaka_vfs_core::image::NodeId;

use crate::{DIRECTORY, with};

/// A guest with `/data` preopened, and then `/`.
fn two() -> Guest {
    let mut tree = native::tree(|_| {});
    tree.clear_preopens();
    let data = tree
        .add_directory(NodeId::ROOT, b"data", native::meta())
        .unwrap();
    tree.add_preopen(b"/data", data).unwrap();
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    native::add_file(&mut tree, data, "file", b"");
    Guest::new(tree)
}

/// `fd_prestat_get` answers the length of the name of a preopened directory,
/// whatever its rights. Anything else is `BADF`, which ends a program's search for
/// preopened directories: files, other directories, streams.
#[test]
fn preopens_are_numbered_from_three_in_order() {
    with(two(), |g| {
        for (fd, len) in [(3, 5), (4, 1)] {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_fdstat_set_rights(home, fd, 1 << 13, u64::MAX)
                .unwrap();
            vfs.fd_prestat_get(home, fd, 64).unwrap();
            assert_eq!(g.bytes_at(64, 8), [0, 0, 0, 0, len, 0, 0, 0]);
        }
        let directory = g.open_with(4, 0, "data", DIRECTORY, 0, u64::MAX, 0);
        let file = g.open_with(3, 0, "file", 0, 0, u64::MAX, 0);
        for fd in [0, 1, 2, directory.unwrap(), file.unwrap(), 7] {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            assert_eq!(vfs.fd_prestat_get(home, fd, 64), Err(Errno::BADF), "{fd}");
        }
    });
}

/// `fd_prestat_dir_name` checks, in this order: nothing that was preopened → `BADF`
/// (wasmtime: `NOTDIR`); a buffer shorter than the name → `NAMETOOLONG`.
///
/// The name is written without a NUL, and the rest of a longer buffer is left
/// alone.
#[test]
fn the_name_fits_or_nothing_is_written() {
    with(two(), |g| {
        for (fd, expected) in [(3, "/data"), (4, "/")] {
            let len = expected.len() as u32;
            g.put(128, b"##########");
            for short in 0..len {
                let (vfs, home) = (&mut g.vfs, &mut g.home);
                let named = vfs.fd_prestat_dir_name(home, fd, 128, short);
                assert_eq!(named, Err(Errno::NAMETOOLONG));
            }
            assert_eq!(g.bytes_at(128, 10), b"##########");
            for room in [len, 10] {
                g.put(128, b"##########");
                let (vfs, home) = (&mut g.vfs, &mut g.home);
                vfs.fd_prestat_dir_name(home, fd, 128, room).unwrap();
                let written = format!("{expected:#<10}");
                assert_eq!(g.bytes_at(128, 10), written.as_bytes());
            }
        }
        let directory = g.open_with(4, 0, "data", DIRECTORY, 0, u64::MAX, 0);
        let file = g.open_with(3, 0, "file", 0, 0, u64::MAX, 0);
        for fd in [directory.unwrap(), file.unwrap()] {
            for len in [0, 100] {
                let (vfs, home) = (&mut g.vfs, &mut g.home);
                let named = vfs.fd_prestat_dir_name(home, fd, 128, len);
                assert_eq!(named, Err(Errno::BADF));
            }
        }
    });
}
