//! Symlinks: followed, dangling, looping, leading out, read.

use monaka_tests::native::{self, ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::image::NodeId;

use crate::paths::{CALLS, shapes};
use crate::{CREAT, DIRECTORY, READ, packed, with};

/// No walk leaves the directory that it starts from. `..` above it is
/// `PERM`, even if the path would come back, and so is a symlink that leads
/// out.
#[test]
fn no_walk_leaves_the_directory_it_starts_from() {
    let tree = native::tree(|tree| {
        let add = |tree: &mut monaka_vfs_core::image::Tree<Vec<u8>>, name: &str, target: &str| {
            let (name, target) = (name.as_bytes(), target.as_bytes());
            tree.add_symlink(NodeId::ROOT, name, native::meta(), target)
                .unwrap();
        };
        native::add_file(tree, NodeId::ROOT, "file", b"");
        add(tree, "out", "..");
        add(tree, "and-back", "../file");
        add(tree, "deep-out", "dir/../..");
        tree.add_directory(NodeId::ROOT, b"dir", native::meta())
            .unwrap();
    });
    let packed = native::Packed::new(tree);
    for call in &CALLS {
        with(Guest::of(packed, false), |g| {
            for path in [
                "..",
                "../",
                "../file",
                "dir/../..",
                "dir/../../dir/file",
                "./.././dir",
                "out/x",
                "out/dir/x",
                "deep-out/x",
            ] {
                let outcome = call.on(g, ROOT, path);
                assert_eq!(outcome, Err(Errno::PERM), "{} {path}", call.name);
            }
            let dir = g.open("dir", DIRECTORY).unwrap();
            for path in ["..", "../file", "../dir", "../dir/x", "./../out"] {
                let outcome = call.on(g, dir, path);
                assert_eq!(outcome, Err(Errno::PERM), "{} {path}", call.name);
            }
            for path in ["out", "and-back", "deep-out"] {
                assert_eq!(name(&g.open(path, 0)), "PERM", "{path}");
                assert_eq!(name(&g.stat(path, true)), "PERM", "{path}");
                assert_eq!(name(&g.stat(path, false)), "SUCCESS", "{path}");
            }
        });
    }
}

/// A symlink before the last component is followed. The last one is
/// followed where the call says so; where the call only looks or opens,
/// also if a slash behind it asks for what it leads to. What a call
/// creates, removes or renames is always the name itself.
#[test]
fn the_last_symlink_is_followed_where_the_call_says_so() {
    with(shapes(), |g| {
        let kind = |stat: native::Stat| stat.filetype;
        assert_eq!(kind(g.stat("to-dir/entry", false).unwrap()), 4);
        assert_eq!(kind(g.stat("to-dir", true).unwrap()), 3);
        assert_eq!(kind(g.stat("to-dir", false).unwrap()), 7);
        assert_eq!(kind(g.stat("to-dir/", false).unwrap()), 3);
        assert_eq!(name(&g.stat("link/", false)), "NOTDIR");
        let unfollowed = g.open_with(ROOT, 0, "to-dir/", 0, READ, ALL, 0);
        assert_eq!(kind(g.fstat(unfollowed.unwrap()).unwrap()), 3);

        g.rename("link", "renamed").unwrap();
        assert_eq!(g.readlink("renamed").unwrap(), b"file");
        g.unlink("renamed").unwrap();
        assert_eq!(g.mkdir("dangling"), Err(Errno::EXIST));
        assert_eq!(g.mkdir("dangling/"), Err(Errno::EXIST));
        assert_eq!(g.rmdir("to-dir"), Err(Errno::NOTDIR));
        assert_eq!(g.rmdir("to-dir/"), Err(Errno::NOTDIR));
        assert_eq!(g.rename("to-dir/", "t"), Err(Errno::NOTDIR));
        assert_eq!(g.contents("file").unwrap(), b"contents", "not touched");
        assert_eq!(kind(g.stat("dir", false).unwrap()), 3);
    });
}

/// A packed symlink with an absolute target is followed if the walk began
/// at the root of the packed tree, and goes on from there; in a walk from
/// any other directory it is `PERM`.
#[test]
fn an_absolute_target_leads_from_the_root() {
    with(packed(), |g| {
        assert_eq!(g.contents("absolute").unwrap(), b"inner");
        assert_eq!(g.contents("dir/up").unwrap(), b"packed contents");
        let root = g.open(".", DIRECTORY).unwrap();
        let again = g.open_with(root, 1, "dir/up", 0, READ, ALL, 0).unwrap();
        assert_eq!(g.read(again, 6).unwrap(), b"packed");
        let dir = g.open("dir", DIRECTORY).unwrap();
        for path in ["up", "./up", "up/x"] {
            let opened = g.open_with(dir, 1, path, 0, READ, ALL, 0);
            assert_eq!(name(&opened), "PERM", "{path}");
        }
        assert_eq!(g.readlink("dir/up").unwrap(), b"/file");
    });
}

/// One walk follows up to 40 symlinks; one more is `LOOP`, and so is a
/// symlink to itself.
#[test]
fn forty_symlinks_are_followed_and_no_more() {
    with(Guest::empty(), |g| {
        g.create("l0", b"end").unwrap();
        for i in 1..=41 {
            g.symlink(&format!("l{}", i - 1), &format!("l{i}")).unwrap();
        }
        assert_eq!(g.contents("l40").unwrap(), b"end");
        assert_eq!(name(&g.open("l41", 0)), "LOOP");
        assert_eq!(name(&g.stat("l41", true)), "LOOP");
        assert_eq!(g.readlink("l41").unwrap(), b"l40");

        // In all, not in a row.
        g.mkdir("d").unwrap();
        g.symlink(".", "d/here").unwrap();
        let path = |times: usize| format!("d/{}here", "here/".repeat(times - 1));
        assert_eq!(g.stat(&path(40), true).unwrap().filetype, 3);
        assert_eq!(name(&g.stat(&path(41), true)), "LOOP");
    });
    with(shapes(), |g| {
        g.symlink("pong", "ping").unwrap();
        g.symlink("./ping", "pong").unwrap();
        for call in &CALLS {
            for path in ["loop/x", "ping/x", "pong/.", "loop/.."] {
                assert_eq!(call.on(g, ROOT, path), Err(Errno::LOOP), "{}", call.name);
            }
        }
    });
}

/// A symlink to nothing is `NOENT` where it is followed, and an ordinary
/// name where it is not.
#[test]
fn a_symlink_to_nothing_is_a_name_like_others() {
    with(shapes(), |g| {
        for call in &CALLS {
            for path in ["dangling/x", "dangling/.", "dangling/.."] {
                assert_eq!(call.on(g, ROOT, path), Err(Errno::NOENT), "{}", call.name);
            }
        }
        assert_eq!(name(&g.stat("dangling", true)), "NOENT");
        assert_eq!(name(&g.open("dangling", 0)), "NOENT");
        assert_eq!(g.stat("dangling", false).unwrap().filetype, 7);
        g.link("dangling", "other").unwrap();
        g.rename("other", "another").unwrap();
        assert_eq!(g.readlink("another").unwrap(), b"nowhere");
        g.unlink("another").unwrap();
        g.unlink("dangling").unwrap();
    });
}

/// Creates a symlink. The descriptor needs `PATH_SYMLINK`.
///
/// The target is checked before the path: longer than 4095 bytes is
/// `NAMETOOLONG`, empty `NOENT`, with a NUL in it `INVAL`, absolute `PERM`.
/// Any other is stored byte by byte and not looked up: what it leads to,
/// and whether it leads out, is found when it is followed.
#[test]
fn a_target_is_stored_as_it_is_and_not_looked_up() {
    with(shapes(), |g| {
        let long = "t".repeat(4095);
        let targets: [&[u8]; 9] = [
            b"file",
            b".",
            b"..",
            b"../../out/",
            b"no//such/../thing///",
            b"\xff\xfe",
            b"file/",
            b" ",
            long.as_bytes(),
        ];
        for target in targets {
            g.symlink(target, "new").unwrap();
            assert_eq!(g.readlink("new").unwrap(), target);
            assert_eq!(g.stat("new", false).unwrap().filetype, 7);
            g.unlink("new").unwrap();
        }
        for (target, expected) in [
            ("t".repeat(4096), Errno::NAMETOOLONG),
            (String::new(), Errno::NOENT),
            ("a\0".to_owned(), Errno::INVAL),
            ("/\0".to_owned(), Errno::INVAL),
            ("/".to_owned(), Errno::PERM),
            ("/file".to_owned(), Errno::PERM),
        ] {
            for path in ["new", "file", "no/such", "/", ""] {
                assert_eq!(g.symlink(&target, path), Err(expected), "{target} {path}");
            }
        }
    });
}

/// What has the name already is `EXIST`, also a dangling symlink; `.`, `..`
/// and a slash behind the name are answered as for the new path of
/// `path_link`.
#[test]
fn a_symlink_replaces_nothing() {
    with(shapes(), |g| {
        for (path, expected) in [
            ("file", Errno::EXIST),
            ("dir", Errno::EXIST),
            ("link", Errno::EXIST),
            ("dangling", Errno::EXIST),
            ("loop", Errno::EXIST),
            (".", Errno::EXIST),
            ("dir/..", Errno::EXIST),
            ("dir/", Errno::EXIST),
            ("to-dir/", Errno::EXIST),
            ("file/", Errno::NOTDIR),
            ("link/", Errno::NOTDIR),
            ("dangling/", Errno::NOENT),
            ("new/", Errno::NOENT),
        ] {
            assert_eq!(g.symlink("x", path), Err(expected), "symlink {path}");
            assert_eq!(g.link("file", path), Err(expected), "as path_link {path}");
        }
    });
}

/// The symlink has one link, the length of its target as its size, and each
/// of its times is due; so are the modification and change time of its
/// directory.
#[test]
fn a_new_symlink_is_of_now() {
    with(shapes(), |g| {
        let old = g.stat("dir", false).unwrap();
        g.symlink("../file", "dir/new").unwrap();
        let new = g.stat("dir/new", false).unwrap();
        let now = g.home.seconds * 1_000_000_000;
        assert_eq!((new.filetype, new.nlink, new.size), (7, 1, 7));
        assert_eq!([new.atim, new.mtim, new.ctim], [now; 3]);
        let dir = g.stat("dir", false).unwrap();
        assert_eq!([dir.atim, dir.mtim, dir.ctim], [old.atim, now, now]);
        assert_eq!(dir.nlink, old.nlink);
    });
}

/// Answers the target of a symlink, as it was stored. The descriptor needs
/// `PATH_READLINK`.
///
/// Nothing there is `NOENT`, what is no symlink `INVAL`. With a slash
/// behind it a symlink is followed: `INVAL` if that is a directory,
/// `NOTDIR` if it is not.
#[test]
fn only_a_symlink_can_be_read() {
    with(shapes(), |g| {
        g.symlink("no/../such//place", "odd").unwrap();
        assert_eq!(g.readlink("odd").unwrap(), b"no/../such//place");
        assert_eq!(g.readlink("dangling").unwrap(), b"nowhere");
        assert_eq!(g.readlink("loop").unwrap(), b"loop");
        assert_eq!(g.readlink("to-dir/../link").unwrap(), b"file");
        for (path, expected) in [
            ("new", Errno::NOENT),
            ("new/", Errno::NOENT),
            ("dangling/", Errno::NOENT),
            ("file", Errno::INVAL),
            ("dir", Errno::INVAL),
            (".", Errno::INVAL),
            ("dir/", Errno::INVAL),
            ("to-dir/", Errno::INVAL),
            ("to-dir/.", Errno::INVAL),
            ("link/", Errno::NOTDIR),
            ("file/", Errno::NOTDIR),
            ("loop/", Errno::LOOP),
        ] {
            assert_eq!(g.readlink(path), Err(expected), "{path}");
        }
    });
}

/// A short buffer takes the beginning of the target, one of length zero
/// nothing, and the call says how many bytes it wrote. There is no NUL
/// behind them, and the rest of a long buffer stays as it is.
#[test]
fn a_short_buffer_takes_the_beginning_of_the_target() {
    with(shapes(), |g| {
        let (path, len) = g.path("dangling");
        for (size, expected) in [
            (0, ""),
            (1, "n"),
            (6, "nowher"),
            (7, "nowhere"),
            (8, "nowhere"),
            (1 << 20, "nowhere"),
        ] {
            g.put(65536, &[b'#'; 16]);
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.path_readlink(home, ROOT, path, len, 65536, size, 64)
                .unwrap();
            assert_eq!(g.u32_at(64) as usize, expected.len(), "{size}");
            let rest = "#".repeat(16 - expected.len());
            assert_eq!(
                g.bytes_at(65536, 16),
                format!("{expected}{rest}").as_bytes()
            );
        }
    });
}

/// The buffer and the place of the count must lie in the memory (`FAULT`),
/// which is asked after the walk and before the kind; a buffer of length
/// zero may be anywhere.
#[test]
fn a_target_is_not_written_outside_the_memory() {
    with(shapes(), |g| {
        let end = g.home.memory.len() as u32;
        let mut read = |path: &str, buffer: u32, size: u32, count: u32| {
            let (path, len) = g.path(path);
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            name(&vfs.path_readlink(home, ROOT, path, len, buffer, size, count))
        };
        assert_eq!(read("link", end - 3, 4, 64), "FAULT");
        assert_eq!(read("link", end, 1, 64), "FAULT");
        assert_eq!(read("link", 65536, u32::MAX, 64), "FAULT");
        assert_eq!(read("link", 65536, 100, end - 3), "FAULT");
        assert_eq!(read("file", 65536, 100, end), "FAULT", "before the kind");
        assert_eq!(read("new", 65536, 100, end), "NOENT", "after the walk");
        assert_eq!(read("link", u32::MAX, 0, 64), "SUCCESS");
        assert_eq!(read("link", end - 4, 4, 64), "SUCCESS");
    });
}

/// The symlink's access time becomes due; nothing else changes.
#[test]
fn reading_a_symlink_is_an_access() {
    with(shapes(), |g| {
        let old = g.stat("link", false).unwrap();
        let file = g.stat("link", true).unwrap();
        let dir = g.stat(".", false).unwrap();
        g.readlink("link").unwrap();
        let new = g.stat("link", false).unwrap();
        assert!(new.atim > old.atim);
        assert_eq!(
            native::Stat {
                atim: old.atim,
                ..new
            },
            old
        );
        assert_eq!(g.stat("link", true).unwrap(), file);
        assert_eq!(g.stat(".", false).unwrap(), dir);
    });
}

#[test]
fn what_a_link_leads_to_may_be_created_through_it_or_not() {
    with(shapes(), |g| {
        g.symlink("deep/new", "dir/into").unwrap();
        assert_eq!(name(&g.open("dir/into", CREAT)), "NOENT");
        g.mkdir("dir/deep").unwrap();
        g.open("dir/into", CREAT).unwrap();
        assert_eq!(g.stat("dir/deep/new", false).unwrap().filetype, 4);
    });
}
