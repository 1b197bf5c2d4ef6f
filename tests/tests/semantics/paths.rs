//! Every call that takes a path, in one shape, for the rules they share.

use monaka_tests::native::{self, ALL, Guest, ROOT};
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::image::NodeId;

use crate::CREAT;

/// A call on one path; where it takes two, on one of them: the other is `file`,
/// `dir` or the new name `t` in the root.
pub(crate) struct Call {
    /// As the document's table heads its column.
    pub(crate) name: &'static str,
    /// The bits of the rights that its directory must have.
    pub(crate) rights: u64,
    run: fn(&mut Guest, u32, (u32, u32)) -> Result<()>,
}

impl Call {
    /// Makes the call on `path` in the directory `dir`.
    pub(crate) fn on(
        &self,
        g: &mut Guest,
        dir: u32,
        path: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<()> {
        let path = g.path(path);
        self.at(g, dir, path)
    }

    /// As [`Call::on`], with the path's address and length.
    pub(crate) fn at(&self, g: &mut Guest, dir: u32, path: (u32, u32)) -> Result<()> {
        (self.run)(g, dir, path)
    }
}

/// The calls. `stat`, `open` and `times` follow a symlink at the end.
pub(crate) const CALLS: [Call; 16] = [
    Call {
        name: "create dir",
        rights: 1 << 9,
        run: |g, dir, (path, len)| g.vfs.path_create_directory(&mut g.home, dir, path, len),
    },
    Call {
        name: "remove dir",
        rights: 1 << 25,
        run: |g, dir, (path, len)| g.vfs.path_remove_directory(&mut g.home, dir, path, len),
    },
    Call {
        name: "unlink",
        rights: 1 << 26,
        run: |g, dir, (path, len)| g.vfs.path_unlink_file(&mut g.home, dir, path, len),
    },
    Call {
        name: "readlink",
        rights: 1 << 15,
        run: |g, dir, (path, len)| {
            g.vfs
                .path_readlink(&mut g.home, dir, path, len, 65536, 4096, 64)
        },
    },
    Call {
        name: "stat",
        rights: 1 << 18,
        run: |g, dir, (path, len)| g.vfs.path_filestat_get(&mut g.home, dir, 1, path, len, 64),
    },
    Call {
        name: "lstat",
        rights: 1 << 18,
        run: |g, dir, (path, len)| g.vfs.path_filestat_get(&mut g.home, dir, 0, path, len, 64),
    },
    Call {
        name: "times",
        rights: 1 << 20,
        run: |g, dir, (path, len)| {
            g.vfs
                .path_filestat_set_times(&mut g.home, dir, 1, path, len, 0, 0, 2 | 8)
        },
    },
    Call {
        name: "ltimes",
        rights: 1 << 20,
        run: |g, dir, (path, len)| {
            g.vfs
                .path_filestat_set_times(&mut g.home, dir, 0, path, len, 0, 0, 2 | 8)
        },
    },
    Call {
        name: "open",
        rights: 1 << 13,
        run: |g, dir, (path, len)| {
            g.vfs
                .path_open(&mut g.home, dir, 1, path, len, 0, 1 << 1, ALL, 0, 64)
        },
    },
    Call {
        name: "`CREAT`",
        rights: 1 << 13 | 1 << 10,
        run: |g, dir, (path, len)| {
            g.vfs
                .path_open(&mut g.home, dir, 1, path, len, CREAT, ALL, ALL, 0, 64)
        },
    },
    Call {
        name: "symlink",
        rights: 1 << 24,
        run: |g, dir, (path, len)| {
            let (target, target_len) = g.path2("t");
            g.vfs
                .path_symlink(&mut g.home, target, target_len, dir, path, len)
        },
    },
    Call {
        name: "link from",
        rights: 1 << 11,
        run: |g, dir, (path, len)| {
            let (new, new_len) = g.path2("t");
            g.vfs
                .path_link(&mut g.home, dir, 0, path, len, ROOT, new, new_len)
        },
    },
    Call {
        name: "link to",
        rights: 1 << 12,
        run: |g, dir, (path, len)| {
            let (old, old_len) = g.path2("file");
            g.vfs
                .path_link(&mut g.home, ROOT, 0, old, old_len, dir, path, len)
        },
    },
    Call {
        name: "rename from",
        rights: 1 << 16,
        run: |g, dir, (path, len)| {
            let (new, new_len) = g.path2("t");
            g.vfs
                .path_rename(&mut g.home, dir, path, len, ROOT, new, new_len)
        },
    },
    Call {
        name: "file to",
        rights: 1 << 17,
        run: |g, dir, (path, len)| {
            let (old, old_len) = g.path2("file");
            g.vfs
                .path_rename(&mut g.home, ROOT, old, old_len, dir, path, len)
        },
    },
    Call {
        name: "dir to",
        rights: 1 << 17,
        run: |g, dir, (path, len)| {
            let (old, old_len) = g.path2("dir");
            g.vfs
                .path_rename(&mut g.home, ROOT, old, old_len, dir, path, len)
        },
    },
];

/// A guest with what the document's table supposes.
pub(crate) fn shapes() -> Guest {
    Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "file", b"contents");
        let dir = tree
            .add_directory(NodeId::ROOT, b"dir", native::meta())
            .unwrap();
        native::add_file(tree, dir, "entry", b"");
        tree.add_directory(NodeId::ROOT, b"empty", native::meta())
            .unwrap();
        let links = [
            ("link", "file"),
            ("to-dir", "dir"),
            ("dangling", "nowhere"),
            ("loop", "loop"),
        ];
        for (name, target) in links {
            tree.add_symlink(
                NodeId::ROOT,
                name.as_bytes(),
                native::meta(),
                target.as_bytes(),
            )
            .unwrap();
        }
    }))
}

/// All that a call could have changed: inodes, times, descriptors.
pub(crate) fn state(g: &Guest) -> String {
    format!("{:?} {:?}", g.vfs.fs(), g.vfs.fds())
}

/// The rights of a directory, as `fd_fdstat_get` says them.
pub(crate) fn rights(g: &mut Guest, fd: u32) -> u64 {
    g.vfs.fd_fdstat_get(&mut g.home, fd, 64).unwrap();
    g.u64_at(72)
}
