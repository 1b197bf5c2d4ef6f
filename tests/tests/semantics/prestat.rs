//! The directories that are there from the start.

use monaka_tests::native::{self, Guest};
use monaka_vfs_core::Errno;
use monaka_vfs_core::image::NodeId;

use crate::with;

#[test]
fn preopens_are_numbered_from_three_in_order() {
    let mut tree = native::tree(|_| {});
    tree.clear_preopens();
    let data = tree
        .add_directory(NodeId::ROOT, b"data", native::meta())
        .unwrap();
    tree.add_preopen(b"/data", data).unwrap();
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    with(Guest::new(tree), |g| {
        for (fd, expected) in [(3, "/data"), (4, "/")] {
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_prestat_get(home, fd, 64).unwrap();
            let len = u32::from_le_bytes(home.memory[68..72].try_into().unwrap());
            assert_eq!(len as usize, expected.len());
            assert_eq!(
                vfs.fd_prestat_dir_name(home, fd, 128, len - 1),
                Err(Errno::NAMETOOLONG)
            );
            vfs.fd_prestat_dir_name(home, fd, 128, len).unwrap();
            assert_eq!(&home.memory[128..][..len as usize], expected.as_bytes());
        }
        assert_eq!(
            g.vfs.fd_prestat_get(&mut g.home, 5, 64),
            Err(Errno::BADF),
            "which ends an enumeration"
        );
    });
}
