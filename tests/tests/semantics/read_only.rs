//! Places that a program must not change.
//!
//! The answers were compared with those of a read-only bind mount on Linux.

use monaka_tests::native::{self, ALL, Guest, ROOT, add_file, meta, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::device::Device;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::image::NodeId;

use crate::{CREAT, DIRECTORY, EXCL, READ, TRUNC, WRITE, with};

/// A program with much in `/`, in the read-only directory `/ro`, and the read-only
/// file `/rofile`.
fn guest() -> Guest {
    Guest::new(native::tree(|tree| {
        let ro = tree.add_directory(NodeId::ROOT, b"ro", meta()).unwrap();
        for parent in [NodeId::ROOT, ro] {
            add_file(tree, parent, "file", b"packed contents");
            let full = tree.add_directory(parent, b"full", meta()).unwrap();
            add_file(tree, full, "inner", b"inner");
            tree.add_directory(parent, b"empty", meta()).unwrap();
        }
        for (name, target) in [
            ("link", "file"),
            ("dangling", "nowhere"),
            ("out", "../file"),
            ("out-new", "../created-outside"),
        ] {
            tree.add_symlink(ro, name.as_bytes(), meta(), target.as_bytes())
                .unwrap();
        }
        for (name, target) in [("in", "ro/file"), ("in-new", "ro/created-inside")] {
            tree.add_symlink(NodeId::ROOT, name.as_bytes(), meta(), target.as_bytes())
                .unwrap();
        }
        let shared = add_file(tree, ro, "shared", b"by two names");
        // Names that are met before and after the read-only one.
        let zone = tree.add_directory(NodeId::ROOT, b"zone", meta()).unwrap();
        for parent in [NodeId::ROOT, zone] {
            tree.add_link(parent, b"also-shared", shared).unwrap();
        }
        tree.add_device(ro, b"null", meta(), Device::Null).unwrap();
        tree.set_read_only(ro, true);
        let file = add_file(tree, NodeId::ROOT, "rofile", b"alone");
        tree.set_read_only(file, true);
    }))
}

/// Everything that can be seen of the read-only places.
fn seen(g: &mut Guest) -> Vec<String> {
    let mut paths = vec!["ro".to_owned(), "rofile".into(), "also-shared".into()];
    let mut seen = Vec::new();
    while let Some(path) = paths.pop() {
        let stat = g.stat(&path, false).unwrap();
        let holds = match stat.filetype {
            3 => {
                let fd = g.open(&path, DIRECTORY).unwrap();
                let entries = g.readdir(fd, 4096).unwrap();
                g.close(fd).unwrap();
                let below = entries.iter().map(|e| String::from_utf8_lossy(&e.name));
                paths.extend(below.map(|name| format!("{path}/{name}")));
                format!("{entries:?}")
            }
            4 => {
                let fd = g.open_with(ROOT, 0, &path, 0, READ, ALL, 0).unwrap();
                let contents = g.read(fd, 100).unwrap();
                g.close(fd).unwrap();
                format!("{contents:?}")
            }
            7 => format!("{:?}", g.readlink(&path).unwrap()),
            _ => String::new(),
        };
        seen.push(format!("{path} {stat:?} {holds}"));
    }
    seen
}

/// Runs `body` on a [`guest`], in which nothing read-only may have changed by then.
fn unchanged(body: impl FnOnce(&mut Guest)) {
    with(guest(), |g| {
        let before = seen(g);
        body(g);
        assert_eq!(seen(g), before);
        assert_eq!(name(&g.stat("ro/created-inside", false)), "NOENT");
    });
}

fn open(g: &mut Guest, path: &str, oflags: u32, rights: u64) -> Result<()> {
    let fd = g.open_with(ROOT, 1, path, oflags, rights, ALL, 0)?;
    g.close(fd)
}

fn set_times(g: &mut Guest, path: &str, flags: u32) -> Result<()> {
    let (path, len) = g.path(path);
    g.vfs
        .path_filestat_set_times(&mut g.home, ROOT, 0, path, len, 1, 2, flags)
}

/// Reading, listing and looking are as everywhere, but not even the access time moves.
#[test]
fn reading_changes_nothing() {
    unchanged(|g| {
        for _ in 0..2 {
            seen(g);
            g.home.seconds += 1000;
        }
        let stat = g.stat("ro/file", true).unwrap();
        assert_eq!([stat.atim, stat.mtim, stat.ctim], [meta().mtime; 3]);
        let fd = g.open_with(ROOT, 0, "ro/file", 0, READ, ALL, 0).unwrap();
        assert_eq!(g.read(fd, 6).unwrap(), b"packed");
        assert_eq!(g.pread(fd, 100, 7).unwrap(), b"contents");
        assert_eq!(g.fstat(fd), Ok(stat));
    });
}

/// A file that is read-only by one of its names is so by all of them.
#[test]
fn a_file_is_read_only_by_all_its_names() {
    unchanged(|g| {
        for path in ["also-shared", "zone/also-shared"] {
            assert_eq!(open(g, path, 0, READ), Ok(()));
            assert_eq!(open(g, path, 0, WRITE), Err(Errno::ROFS));
            assert_eq!(open(g, path, TRUNC, READ), Err(Errno::ROFS));
            assert_eq!(set_times(g, path, 1), Err(Errno::ROFS));
            assert_eq!(g.unlink(path), Err(Errno::BUSY));
            assert_eq!(g.rename(path, "x"), Err(Errno::BUSY));
            assert_eq!(g.link(path, "x"), Err(Errno::XDEV));
        }
    });
}

/// A device there is opened for writing and written to, as it does not change.
#[test]
fn devices_stay_writable() {
    unchanged(|g| {
        for oflags in [0, CREAT, TRUNC, CREAT | TRUNC] {
            let fd = g.open("ro/null", oflags).unwrap();
            assert_eq!(g.write(fd, b"x"), Ok(1));
            g.close(fd).unwrap();
        }
        assert_eq!(g.open("ro/null", CREAT | EXCL), Err(Errno::EXIST));
        assert_eq!(set_times(g, "ro/null", 1), Err(Errno::ROFS));
        assert_eq!(g.unlink("ro/null"), Err(Errno::ROFS));
    });
}

/// Opening a read-only file for writing or with `TRUNC` is `ROFS`, if nothing else is
/// wrong: all other checks of `path_open` come first. With `CREAT` a file that is there
/// is opened for reading.
#[test]
fn opening_for_writing_is_rofs() {
    unchanged(|g| {
        for (path, oflags, rights, expected) in [
            ("ro/file", 0, READ, "SUCCESS"),
            ("ro/file", CREAT, READ, "SUCCESS"),
            ("ro/file", 0, WRITE, "ROFS"),
            ("ro/file", 0, ALL, "ROFS"),
            ("ro/file", CREAT, WRITE, "ROFS"),
            ("ro/file", TRUNC, READ, "ROFS"),
            ("ro/file", CREAT | TRUNC, READ, "ROFS"),
            ("ro/file", CREAT | EXCL, READ, "EXIST"),
            ("ro/file", DIRECTORY, WRITE, "NOTDIR"),
            ("ro/file/", 0, WRITE, "NOTDIR"),
            ("ro/link", 0, WRITE, "ROFS"),
            ("ro/full", 0, READ, "SUCCESS"),
            ("ro/full", 0, WRITE, "ISDIR"),
            ("ro/full", TRUNC, READ, "ISDIR"),
            ("ro/full", CREAT, READ, "ISDIR"),
            ("ro/.", 0, WRITE, "ISDIR"),
            ("ro/none", 0, WRITE, "NOENT"),
            ("ro/full/inner", 0, WRITE, "ROFS"),
            ("rofile", 0, READ, "SUCCESS"),
            ("rofile", 0, WRITE, "ROFS"),
            ("rofile", TRUNC, READ, "ROFS"),
        ] {
            let opened = open(g, path, oflags, rights);
            assert_eq!(name(&opened), expected, "{path} {oflags} {rights}");
        }
        let no_follow = g.open_with(ROOT, 0, "ro/link", 0, WRITE, ALL, 0);
        assert_eq!(no_follow, Err(Errno::LOOP));
    });
}

/// To create something in a read-only directory is `ROFS`, after all that the walk and
/// `EXIST` have to say.
#[test]
fn creating_is_rofs() {
    unchanged(|g| {
        let create = |g: &mut Guest, path: &str| open(g, path, CREAT, READ);
        for (path, opened, made, symlinked, linked) in [
            ("ro/new", "ROFS", "ROFS", "ROFS", "ROFS"),
            ("ro/full/new", "ROFS", "ROFS", "ROFS", "ROFS"),
            ("ro/file", "SUCCESS", "EXIST", "EXIST", "EXIST"),
            ("ro/full", "ISDIR", "EXIST", "EXIST", "EXIST"),
            ("ro/new/", "ISDIR", "ROFS", "NOENT", "NOENT"),
            ("ro/new/x", "NOENT", "NOENT", "NOENT", "NOENT"),
            ("ro/file/x", "NOTDIR", "NOTDIR", "NOTDIR", "NOTDIR"),
            ("ro/.", "ISDIR", "EXIST", "EXIST", "EXIST"),
            ("ro/dangling", "ROFS", "EXIST", "EXIST", "EXIST"),
        ] {
            assert_eq!(name(&create(g, path)), opened, "open {path}");
            assert_eq!(name(&g.mkdir(path)), made, "mkdir {path}");
            assert_eq!(name(&g.symlink("x", path)), symlinked, "symlink {path}");
            assert_eq!(name(&g.link("file", path)), linked, "link {path}");
        }
        let made = open(g, "ro/new", CREAT | EXCL, WRITE);
        assert_eq!(made, Err(Errno::ROFS));
        // From the directory itself, too, which has no name then.
        let ro = g.open("ro", DIRECTORY).unwrap();
        let made = g.open_with(ro, 0, "new", CREAT, READ, ALL, 0);
        assert_eq!(made, Err(Errno::ROFS));
    });
}

/// To remove from it is `ROFS`, whatever has the name and if nothing has it; only the
/// walk and a `.` or `..` at its end are answered before.
#[test]
fn removing_is_rofs() {
    unchanged(|g| {
        for (path, unlinked, removed) in [
            ("ro/file", "ROFS", "ROFS"),
            ("ro/file/", "ROFS", "ROFS"),
            ("ro/link/", "ROFS", "ROFS"),
            ("ro/none", "ROFS", "ROFS"),
            ("ro/none/", "ROFS", "ROFS"),
            ("ro/full", "ROFS", "ROFS"),
            ("ro/empty/", "ROFS", "ROFS"),
            ("ro/none/x", "NOENT", "NOENT"),
            ("ro/.", "ISDIR", "INVAL"),
            ("ro/full/..", "ISDIR", "NOTEMPTY"),
        ] {
            assert_eq!(name(&g.unlink(path)), unlinked, "unlink {path}");
            assert_eq!(name(&g.rmdir(path)), removed, "rmdir {path}");
        }
    });
}

/// Renaming between a read-only directory and another is `XDEV`, within what is
/// read-only `ROFS`; after the walks and a `.` or `..` at an end, and before the names
/// themselves are looked at.
#[test]
fn renaming_is_rofs_within_and_xdev_across() {
    unchanged(|g| {
        for (old, new, expected) in [
            ("ro/file", "ro/new", "ROFS"),
            ("ro/file", "ro/full/new", "ROFS"),
            ("ro/file", "ro/file", "ROFS"),
            ("ro/file/", "ro/new", "ROFS"),
            ("ro/none", "ro/new", "ROFS"),
            ("ro/full", "ro/full/x", "ROFS"),
            ("ro/full", "ro/file", "ROFS"),
            ("ro/file", "ro/full", "ROFS"),
            ("ro/file", "new", "XDEV"),
            ("file", "ro/new", "XDEV"),
            ("ro/none", "new", "XDEV"),
            ("none", "ro/new", "XDEV"),
            ("ro/file", "file", "XDEV"),
            ("file", "ro/file", "XDEV"),
            ("ro/none/x", "ro/new", "NOENT"),
            ("ro/file", "none/x", "NOENT"),
            ("ro/.", "ro/new", "BUSY"),
            ("ro/file", "ro/full/..", "BUSY"),
        ] {
            assert_eq!(name(&g.rename(old, new)), expected, "{old} to {new}");
        }
    });
}

/// Linking what is read-only to a directory that is not is `XDEV`, after `EXIST` and
/// before `PERM`.
#[test]
fn linking_across_is_xdev() {
    unchanged(|g| {
        for (old, new, expected) in [
            ("ro/file", "new", "XDEV"),
            ("ro/link", "new", "XDEV"),
            ("ro/null", "new", "XDEV"),
            ("ro/full", "new", "XDEV"),
            ("ro", "new", "XDEV"),
            ("rofile", "new", "XDEV"),
            ("rofile", "file", "EXIST"),
            ("ro/file", "file", "EXIST"),
            ("ro/file", "new/", "NOENT"),
            ("ro/none", "new", "NOENT"),
            ("ro/file", "ro/new", "ROFS"),
            ("ro/full", "ro/new", "ROFS"),
            ("full", "ro/new", "ROFS"),
        ] {
            assert_eq!(name(&g.link(old, new)), expected, "{old} to {new}");
        }
    });
}

/// Setting times is `ROFS`, by a path, by a descriptor, of a symlink, a directory and
/// a device too. To set none is no change: it succeeds.
#[test]
fn setting_times_is_rofs() {
    unchanged(|g| {
        for path in ["ro/file", "ro/link", "ro/full", "ro", "ro/null", "rofile"] {
            for flags in [1, 2, 4, 8, 10] {
                assert_eq!(set_times(g, path, flags), Err(Errno::ROFS), "{path}");
            }
            assert_eq!(set_times(g, path, 0), Ok(()), "{path}");
            let fd = g.open_with(ROOT, 1, path, 0, READ, ALL, 0).unwrap();
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            let set = vfs.fd_filestat_set_times(home, fd, 1, 2, 5);
            assert_eq!(set, Err(Errno::ROFS), "{path}");
            assert_eq!(vfs.fd_filestat_set_times(home, fd, 1, 2, 0), Ok(()));
            assert_eq!(
                vfs.fd_filestat_set_times(home, fd, 1, 2, 3),
                Err(Errno::INVAL)
            );
            g.close(fd).unwrap();
        }
        assert_eq!(set_times(g, "ro/none", 1), Err(Errno::NOENT));
    });
}

/// A symlink is as good as what it leads to: through one that leads into a read-only
/// directory nothing is written or created, through a read-only one that leads out
/// everything is.
#[test]
fn symlinks_lead_in_and_out() {
    unchanged(|g| {
        assert_eq!(open(g, "in", 0, WRITE), Err(Errno::ROFS));
        assert_eq!(open(g, "in-new", CREAT, WRITE), Err(Errno::ROFS));
        let fd = g.open("ro/out", 0).unwrap();
        g.write(fd, b"P").unwrap();
        assert_eq!(g.contents("file").unwrap(), b"Packed contents");
        assert_eq!(open(g, "ro/out-new", CREAT, WRITE), Ok(()));
        assert_eq!(g.stat("created-outside", false).unwrap().size, 0);
        assert_eq!(g.unlink("in"), Ok(()), "the symlink is in `/`");
    });
}

/// The read-only directory or file itself is like a mount point where what holds it is
/// not read-only: to remove, rename or replace it is `BUSY`, after `ISDIR` and `NOTDIR`
/// and before `NOTEMPTY`. The directories that lead to it are renamed as all others.
#[test]
fn the_place_itself_stays_where_it_is() {
    unchanged(|g| {
        for (path, unlinked, removed) in [("ro", "ISDIR", "BUSY"), ("rofile", "BUSY", "NOTDIR")] {
            assert_eq!(name(&g.unlink(path)), unlinked, "unlink {path}");
            assert_eq!(name(&g.rmdir(path)), removed, "rmdir {path}");
        }
        for (old, new, expected) in [
            ("ro", "new", "BUSY"),
            ("full", "ro", "BUSY"),
            ("empty", "ro", "BUSY"),
            ("ro", "empty", "BUSY"),
            ("ro", "full", "BUSY"),
            ("ro", "file", "NOTDIR"),
            ("file", "ro", "ISDIR"),
            ("ro", "ro", "SUCCESS"),
            ("rofile", "new", "BUSY"),
            ("rofile", "file", "BUSY"),
            ("file", "rofile", "BUSY"),
            ("full", "rofile", "NOTDIR"),
            ("rofile", "full", "ISDIR"),
            ("ro", "ro/x", "XDEV"),
            ("ro/file", "ro", "XDEV"),
            ("none", "ro", "NOENT"),
        ] {
            assert_eq!(name(&g.rename(old, new)), expected, "{old} to {new}");
        }
    });
    let tree = native::tree(|tree| {
        let ro = tree.make_directories(b"/a/ro", meta()).unwrap();
        tree.set_read_only(ro, true);
    });
    with(Guest::new(tree), |g| {
        assert_eq!(g.rename("a", "b"), Ok(()));
        assert_eq!(g.rmdir("b"), Err(Errno::NOTEMPTY));
        assert_eq!(g.rmdir("b/ro"), Err(Errno::BUSY));
        assert_eq!(g.mkdir("b/ro/new"), Err(Errno::ROFS));
    });
}

/// What is writable in a read-only directory is changed as everywhere, but has its name
/// in that directory.
#[test]
fn a_writable_directory_in_a_read_only_one() {
    let tree = native::tree(|tree| {
        let tmp = tree.add_directory(NodeId::ROOT, b"tmp", meta()).unwrap();
        tree.set_read_only(NodeId::ROOT, true);
        tree.set_read_only(tmp, false);
    });
    with(Guest::new(tree), |g| {
        assert_eq!(g.mkdir("new"), Err(Errno::ROFS));
        g.create("tmp/new", b"x").unwrap();
        g.mkdir("tmp/dir").unwrap();
        assert_eq!(g.rename("tmp/new", "tmp/dir/new"), Ok(()));
        assert_eq!(g.rename("tmp/dir/new", "new"), Err(Errno::XDEV));
        assert_eq!(g.link("tmp/dir/new", "new"), Err(Errno::ROFS));
        assert_eq!(g.unlink("tmp/dir/new"), Ok(()));
        assert_eq!(g.rmdir("tmp/dir"), Ok(()));
        assert_eq!(g.rmdir("tmp"), Err(Errno::ROFS));
        assert_eq!(g.rename("tmp", "other"), Err(Errno::ROFS));
        assert_eq!(set_times(g, "tmp", 1), Ok(()));
    });
}

/// No descriptor of a read-only file is open for writing, so `fd_filestat_set_size` is
/// `INVAL` and `fd_allocate` `BADF`. `fd_sync`, `fd_datasync`, `fd_advise` and
/// `fd_fdstat_set_flags` do what they always do.
#[test]
fn no_descriptor_writes() {
    unchanged(|g| {
        let fd = g.open_with(ROOT, 0, "ro/file", 0, READ, ALL, 0).unwrap();
        g.read(fd, 1).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_filestat_set_size(home, fd, 0), Err(Errno::INVAL));
        assert_eq!(vfs.fd_allocate(home, fd, 0, 99), Err(Errno::BADF));
        assert_eq!(vfs.fd_sync(home, fd), Ok(()));
        assert_eq!(vfs.fd_datasync(home, fd), Ok(()));
        assert_eq!(vfs.fd_advise(home, fd, 0, 0, 0), Ok(()));
        assert_eq!(vfs.fd_fdstat_set_flags(home, fd, 1), Ok(()));
        assert_eq!(g.write(fd, b"x"), Err(Errno::BADF));
        assert_eq!(g.pwrite(fd, b"x", 0), Err(Errno::BADF));
    });
}
