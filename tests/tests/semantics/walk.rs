//! What all calls make of a path.

use monaka_tests::native::{self, ALL, Guest, Native, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::memory::GuestMemory;

use crate::paths::{CALLS, rights, shapes, state};
use crate::{DIRECTORY, READ, with};

const DOCUMENT: &str = include_str!("../../../docs/SEMANTICS.md");

/// The cells of a row of a table.
fn cells(row: &str) -> Vec<&str> {
    let row = row.trim().trim_start_matches('|').trim_end_matches('|');
    row.split('|').map(str::trim).collect()
}

/// This is what the calls answer to a path of each shape, from the root of
/// a tree with a `file`, a directory `dir` with an entry, a directory
/// `empty`, and the symlinks `link` to `file`, `to-dir` to `dir`,
/// `dangling` to nothing and `loop` to itself. ✓ is success; *from* and
/// *to* are the old and the new path; *file to* and *dir to* rename `file`
/// and `dir`; *stat* follows a symlink, *lstat* does not, *open* reads.
///
/// A call that fails has changed nothing: no entry, no time, no link count,
/// no descriptor.
#[test]
fn every_call_answers_the_document_s_table() {
    let table = DOCUMENT
        .lines()
        .skip_while(|line| !line.starts_with("| path "))
        .take_while(|line| line.starts_with('|'));
    let mut rows = table.map(cells);
    let head = rows.next().expect("the document has the table");
    rows.next();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for row in rows.step_by(if cfg!(miri) { 6 } else { 1 }) {
        let path = row[0].trim_matches('`');
        for (column, expected) in head.iter().zip(&row).skip(1) {
            let call = CALLS.iter().find(|call| call.name == *column);
            let call = call.unwrap_or_else(|| panic!("no call is headed {column}"));
            let mut g = shapes();
            let before = state(&g);
            let outcome = call.on(&mut g, ROOT, path);
            if outcome.is_err() {
                assert_eq!(state(&g), before, "{column} {path} fails");
            }
            g.vfs.check_invariants();
            let expected = match *expected {
                "✓" => "SUCCESS",
                errno => errno.trim_matches('`'),
            };
            if name(&outcome) != expected {
                wrong.push(format!("{column} {path}: {}", name(&outcome)));
            }
            compared += 1;
        }
    }
    assert!(
        cfg!(miri) || compared > 250,
        "{compared} answers in the table"
    );
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The descriptor is looked at first. One that is not open, because it was
/// closed or never was, is `BADF`; a regular file or stdio is `NOTDIR`.
#[test]
fn a_path_starts_from_an_open_directory() {
    with(shapes(), |g| {
        let file = g.open("file", 0).unwrap();
        let closed = g.open("dir", DIRECTORY).unwrap();
        g.close(closed).unwrap();
        for call in &CALLS {
            for fd in [closed, 99, u32::MAX] {
                assert_eq!(call.on(g, fd, "x"), Err(Errno::BADF), "{}", call.name);
                assert_eq!(call.at(g, fd, (u32::MAX, 9)), Err(Errno::BADF));
            }
            for fd in [file, 0, 1, 2] {
                assert_eq!(call.on(g, fd, "x"), Err(Errno::NOTDIR), "{}", call.name);
                assert_eq!(call.at(g, fd, (u32::MAX, 9)), Err(Errno::NOTDIR));
            }
        }
    });
}

/// Then the right that the call needs: a directory that gave it up
/// (`fd_fdstat_set_rights`) is `NOTCAPABLE`, whatever the path is.
#[test]
fn each_call_needs_its_rights() {
    for call in &CALLS {
        for bit in (0..64).map(|n| 1 << n).filter(|bit| call.rights & bit != 0) {
            with(shapes(), |g| {
                let dir = g.open(".", DIRECTORY).unwrap();
                let left = rights(g, dir) & !bit;
                let (vfs, home) = (&mut g.vfs, &mut g.home);
                vfs.fd_fdstat_set_rights(home, dir, left, ALL).unwrap();
                for path in ["new", "file", "", "/"] {
                    let outcome = call.on(g, dir, path);
                    assert_eq!(outcome, Err(Errno::NOTCAPABLE), "{} {path}", call.name);
                }
            });
        }
        with(shapes(), |g| {
            let dir = g.open(".", DIRECTORY).unwrap();
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.fd_fdstat_set_rights(home, dir, call.rights, READ)
                .unwrap();
            let outcome = call.on(g, dir, "dir");
            assert_ne!(
                outcome,
                Err(Errno::NOTCAPABLE),
                "{} needs no more",
                call.name
            );
        });
    }
}

/// Then the path as a whole: longer than 4095 bytes is `NAMETOOLONG`,
/// outside the memory `FAULT`, empty `NOENT`, with a NUL in it `INVAL`,
/// absolute `PERM`.
#[test]
fn a_path_is_checked_as_a_whole_first() {
    let long = "n".repeat(4096);
    let longest = "./".repeat(2047) + "x";
    assert_eq!(longest.len(), 4095);
    with(shapes(), |g| {
        let end = g.home.memory.len() as u32;
        for call in &CALLS {
            for (path, expected) in [
                (long.as_str(), Errno::NAMETOOLONG),
                ("", Errno::NOENT),
                ("\0", Errno::INVAL),
                ("/\0", Errno::INVAL),
                ("no/such\0/path", Errno::INVAL),
                ("/", Errno::PERM),
                ("/file", Errno::PERM),
                ("//no/x", Errno::PERM),
            ] {
                assert_eq!(
                    call.on(g, ROOT, path),
                    Err(expected),
                    "{} {path}",
                    call.name
                );
            }
            for (path, expected) in [
                ((end, 4096), Errno::NAMETOOLONG),
                ((end, 1), Errno::FAULT),
                ((end - 3, 4), Errno::FAULT),
                ((u32::MAX, 2), Errno::FAULT),
                ((u32::MAX, 0), Errno::NOENT),
            ] {
                assert_eq!(call.at(g, ROOT, path), Err(expected), "{}", call.name);
            }
        }
    });
    for call in &CALLS {
        let mut g = shapes();
        let outcome = name(&call.on(&mut g, ROOT, &longest));
        assert!(["SUCCESS", "NOENT"].contains(&outcome), "{}", call.name);
    }
}

/// Then one component after the other, and the first that fails decides:
/// one that does not exist is `NOENT`, and looking anything up in what is
/// no directory is `NOTDIR`.
#[test]
fn the_first_component_that_fails_decides() {
    let long = "n".repeat(256);
    with(shapes(), |g| {
        for call in &CALLS {
            for (path, expected) in [
                ("no/x".to_owned(), Errno::NOENT),
                ("no/file/x".to_owned(), Errno::NOENT),
                ("dir/no/../../..".to_owned(), Errno::NOENT),
                (format!("no/{long}"), Errno::NOENT),
                ("file/x".to_owned(), Errno::NOTDIR),
                ("link/x".to_owned(), Errno::NOTDIR),
                ("dir/entry/no/x".to_owned(), Errno::NOTDIR),
                (format!("file/{long}"), Errno::NOTDIR),
                (format!("{long}/no"), Errno::NAMETOOLONG),
                ("../no/x".to_owned(), Errno::PERM),
            ] {
                assert_eq!(
                    call.on(g, ROOT, &path),
                    Err(expected),
                    "{} {path}",
                    call.name
                );
            }
        }
    });
}

/// Several slashes are one, and `.` is where it stands. `..` is the parent
/// of the directory that was reached and cancels nothing: `new/..` is
/// `NOENT`, `file/..` `NOTDIR`.
#[test]
fn slashes_and_dots_are_walked() {
    with(shapes(), |g| {
        let entry = g.stat("dir/entry", true).unwrap().ino;
        for path in [
            "dir//entry",
            "./dir/./entry",
            ".//././/dir///entry",
            "dir/../dir/entry",
            "empty/../dir/../dir/./entry",
            "to-dir/entry",
            "to-dir/../to-dir/entry",
        ] {
            assert_eq!(g.stat(path, true).unwrap().ino, entry, "{path}");
        }
        g.mkdir("dir/deep").unwrap();
        g.symlink("dir/deep", "to-deep").unwrap();
        let up = g.stat("to-deep/..", true).unwrap().ino;
        assert_eq!(up, g.stat("dir", true).unwrap().ino, "of what was reached");
        for call in &CALLS {
            for (path, expected) in [
                ("new/..", Errno::NOENT),
                ("new/../file", Errno::NOENT),
                ("file/..", Errno::NOTDIR),
                ("file/../file", Errno::NOTDIR),
                ("file/.", Errno::NOTDIR),
                ("link/.", Errno::NOTDIR),
            ] {
                assert_eq!(
                    call.on(g, ROOT, path),
                    Err(expected),
                    "{} {path}",
                    call.name
                );
            }
        }
    });
}

/// A path starts from the directory itself, not from its name: a descriptor
/// does not notice that the directory, or one above it, is renamed.
#[test]
fn a_descriptor_does_not_notice_that_its_directory_is_renamed() {
    with(shapes(), |g| {
        g.mkdir("dir/deep").unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        let deep = g.open("dir/deep", DIRECTORY).unwrap();
        g.rename("dir", "empty").unwrap();
        let create = CALLS.iter().find(|call| call.name == "create dir").unwrap();
        create.on(g, dir, "in-dir").unwrap();
        create.on(g, deep, "in-deep").unwrap();
        assert_eq!(g.stat("empty/in-dir", false).unwrap().filetype, 3);
        assert_eq!(g.stat("empty/deep/in-deep", false).unwrap().filetype, 3);
        assert_eq!(create.on(g, dir, "deep/../again"), Ok(()));
        assert_eq!(create.on(g, deep, "../again"), Err(Errno::PERM));
    });
}

/// A directory that was removed while it is open has no entries: `.` is
/// still it, every name in it is `NOENT`, and nothing can be created,
/// linked or renamed into it (`NOENT`).
#[test]
fn a_removed_directory_is_empty_for_good() {
    for call in &CALLS {
        with(shapes(), |g| {
            let gone = g.open("empty", DIRECTORY).unwrap();
            g.rmdir("empty").unwrap();
            let before = state(g);
            for path in ["x", "x/y", "./x", "file"] {
                assert_eq!(call.on(g, gone, path), Err(Errno::NOENT), "{}", call.name);
            }
            assert_eq!(call.on(g, gone, ".."), Err(Errno::PERM), "{}", call.name);
            assert_eq!(state(g), before);
            let (path, len) = g.path(".");
            let (vfs, home) = (&mut g.vfs, &mut g.home);
            vfs.path_filestat_get(home, gone, 0, path, len, 64).unwrap();
            let stat = g.stat_at_out();
            assert_eq!((stat.filetype, stat.nlink), (3, 0));
            let again = g.open_with(gone, 0, ".", DIRECTORY, READ, ALL, 0).unwrap();
            assert_eq!(g.fstat(again).unwrap().ino, stat.ino);
        });
    }
}

/// A host that writes down at 200000 what it is asked, and is busy.
fn busy(home: &mut Native, call: &str, args: &[u64]) -> Result<()> {
    if call == "fd_close" {
        return Ok(());
    }
    let asked = format!("{call} {args:?}");
    home.store(200_000, &[0; 200])?;
    home.store(200_000, asked.as_bytes())?;
    Err(Errno::BUSY)
}

/// With `--allow-host-dirs`, a path call on a directory of the host is the
/// host's, with the host's descriptor number and the other arguments
/// untouched. Of the two directories of `path_link` and `path_rename`, one
/// of the host's and one packed is `XDEV`.
#[test]
fn a_path_call_on_a_host_directory_is_the_hosts() {
    type Case = (fn(&mut Guest) -> Result<()>, &'static str);
    // The program's descriptor 4 is the host's 3, its 5 the host's 4.
    let cases: [Case; 10] = [
        (
            |g| g.vfs.path_create_directory(&mut g.home, 4, 11, 12),
            "path_create_directory [3, 11, 12]",
        ),
        (
            |g| g.vfs.path_filestat_get(&mut g.home, 4, 99, 11, 12, 13),
            "path_filestat_get [3, 99, 11, 12, 13]",
        ),
        (
            |g| {
                g.vfs
                    .path_filestat_set_times(&mut g.home, 4, 99, 11, 12, 13, 14, 98)
            },
            "path_filestat_set_times [3, 99, 11, 12, 13, 14, 98]",
        ),
        (
            |g| g.vfs.path_link(&mut g.home, 4, 99, 11, 12, 5, 13, 14),
            "path_link [3, 99, 11, 12, 4, 13, 14]",
        ),
        (
            |g| {
                g.vfs
                    .path_open(&mut g.home, 4, 1, 11, 12, 8, 13, 14, 16, 15)
            },
            "path_open [3, 1, 11, 12, 8, 13, 14, 16, 15]",
        ),
        (
            |g| g.vfs.path_readlink(&mut g.home, 4, 11, 12, 13, 14, 15),
            "path_readlink [3, 11, 12, 13, 14, 15]",
        ),
        (
            |g| g.vfs.path_remove_directory(&mut g.home, 4, 11, 12),
            "path_remove_directory [3, 11, 12]",
        ),
        (
            |g| g.vfs.path_rename(&mut g.home, 4, 11, 12, 5, 13, 14),
            "path_rename [3, 11, 12, 4, 13, 14]",
        ),
        (
            |g| g.vfs.path_symlink(&mut g.home, 11, 12, 4, 13, 14),
            "path_symlink [11, 12, 3, 13, 14]",
        ),
        (
            |g| g.vfs.path_unlink_file(&mut g.home, 4, 11, 12),
            "path_unlink_file [3, 11, 12]",
        ),
    ];
    let mut g = Guest::mount(native::tree(|_| {}), true);
    g.home.open = vec![0, 1, 2, 3, 4];
    g.home.host = busy;
    for (call, expected) in cases {
        assert_eq!(call(&mut g), Err(Errno::BUSY), "{expected}");
        let asked = g.bytes_at(200_000, 200);
        let asked = String::from_utf8(asked).unwrap();
        assert_eq!(asked.trim_end_matches('\0'), expected);
    }
    for (first, second) in [(ROOT, 4), (4, ROOT), (1, ROOT)] {
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        let linked = vfs.path_link(home, first, 0, 11, 12, second, 13, 14);
        assert_eq!(linked, Err(Errno::XDEV), "{first} {second}");
        let renamed = vfs.path_rename(home, first, 11, 12, second, 13, 14);
        assert_eq!(renamed, Err(Errno::XDEV), "{first} {second}");
    }
}

/// Walking changes no time, not even the access time of a symlink that is
/// followed.
#[test]
fn walking_changes_no_time() {
    with(shapes(), |g| {
        let before = state(g);
        for path in ["link", "to-dir/entry", "dir/../link", "./to-dir/.."] {
            g.stat(path, true).unwrap();
            g.stat(path, false).unwrap();
        }
        assert_eq!(state(g), before);
        g.contents("link").unwrap();
        let link = g.stat("link", false).unwrap();
        assert_eq!(link.atim, native::meta().mtime, "of the link");
        assert!(
            g.stat("link", true).unwrap().atim > link.atim,
            "of the file"
        );
    });
}
