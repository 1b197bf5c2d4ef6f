//! An fsck of the inodes, for tests of every kind.

use alloc::vec;

use crate::inode::{Ino, SeenKind};
use crate::memfs::Memfs;

impl Memfs<'_> {
    /// Asserts the invariants of the file system:
    /// every dentry's inode lives, link counts are the numbers of dentries, an
    /// inode lives only while something names or holds it, each directory has
    /// one parent and the root above it, names and extents are as their
    /// modules promise.
    pub fn check_invariants(&self) {
        let slots = self.inodes().map(|(ino, _)| ino.index() + 1).max();
        let mut names = vec![0u32; slots.unwrap_or(0)];
        names[Memfs::ROOT.index()] = 1;
        for (parent, inode) in self.inodes() {
            let SeenKind::Directory(dir) = inode.kind() else {
                continue;
            };
            dir.check();
            let mut subdirs = 0;
            for (_, child, _) in dir.entries_from(0) {
                names[child.index()] += 1;
                if let SeenKind::Directory(child_dir) = self.inode(child).kind() {
                    assert_eq!(child_dir.parent, parent, "`..` leads to the parent");
                    subdirs += 1;
                }
            }
            assert_eq!(dir.subdirs, subdirs, "subdirectories are counted");
            assert!(inode.nlink() != 0 || dir.is_empty(), "removed means empty");
        }
        let (mut counted, mut bytes) = (0, 0);
        for (ino, inode) in self.inodes() {
            counted += inode.nlink().max(1);
            assert_eq!(inode.nlink(), names[ino.index()], "links of {ino:?}");
            assert!(
                inode.nlink() > 0 || inode.open() > 0,
                "{ino:?} is kept alive"
            );
            match inode.kind() {
                SeenKind::Regular(_) => {
                    // What has no slot is as the image has it.
                    if let Ok(data) = self.file(ino) {
                        data.check(self.image().len() as u64);
                        bytes += data.heap_bytes();
                    }
                }
                SeenKind::Directory(_) => {
                    assert!(inode.nlink() <= 1, "directories have one name");
                    self.check_leads_to_root(ino);
                }
                SeenKind::Symlink(target) => assert!(!target.is_empty()),
                SeenKind::Device(_) => {}
            }
        }
        assert_eq!(self.used_inodes(), counted, "inodes are counted");
        assert_eq!(self.used_bytes(), bytes, "written bytes are counted");
    }

    fn check_leads_to_root(&self, mut ino: Ino) {
        for _ in self.inodes() {
            if ino == Memfs::ROOT || self.inode(ino).nlink() == 0 {
                return;
            }
            match self.inode(ino).kind() {
                SeenKind::Directory(dir) => ino = dir.parent,
                _ => panic!("a parent is a directory"),
            }
        }
        panic!("no cycle of directories");
    }
}
