//! Listing directories.

use std::collections::BTreeMap;

use monaka_tests::native::{ALL, BUFFER, Entry, Guest, OUT, ROOT, name};
use monaka_vfs_core::Errno;

use crate::{CREAT, DIRECTORY, READ, packed, with};

/// The names of entries, as text.
fn names(entries: &[Entry]) -> Vec<&str> {
    entries
        .iter()
        .map(|e| std::str::from_utf8(&e.name).unwrap())
        .collect()
}

/// `fd_readdir` checks, in this order: no directory → `NOTDIR` (wasmtime: `BADF`);
/// `FD_READDIR` is missing → `NOTCAPABLE`; a pointer outside the memory → `FAULT`.
#[test]
fn listing_checks_in_order() {
    with(packed(), |g| {
        let end = g.home.memory.len() as u32;
        let file = g.open("file", 0).unwrap();
        let dir = g.open("dir", DIRECTORY).unwrap();
        let denied = g.open("dir", DIRECTORY).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_rights(home, denied, 0, 0).unwrap();
        for (fd, expected) in [
            (file, Errno::NOTDIR),
            (denied, Errno::NOTCAPABLE),
            (dir, Errno::FAULT),
        ] {
            for (buf, len, used) in [(end - 1, 2, OUT), (BUFFER, 100, end - 3)] {
                let listed = vfs.fd_readdir(home, fd, buf, len, 0, used);
                assert_eq!(listed, Err(expected));
            }
        }
    });
}

/// It lists `.`, `..`, and then the entries in the order in which they came, packed
/// ones by name. Types and inode numbers are those that `path_filestat_get` answers
/// for the names, without following. (node leaves out the dots, and its inode
/// numbers are 0.)
#[test]
fn a_listing_has_dots_first_and_agrees_with_stat() {
    with(packed(), |g| {
        g.create("created", b"").unwrap();
        g.mkdir("dir/sub").unwrap();
        g.create("a", b"").unwrap();
        let root = g.open(".", DIRECTORY).unwrap();
        let sub = g.open("dir", DIRECTORY).unwrap();
        for (fd, base, expected) in [
            (
                root,
                "",
                &["absolute", "dir", "file", "link", "created", "a"][..],
            ),
            (sub, "dir/", &["inner", "out", "up", "sub"]),
        ] {
            let (entries, _) = g.readdir_once(fd, 4096, 0).unwrap();
            assert_eq!(names(&entries)[..2], [".", ".."]);
            assert_eq!(names(&entries)[2..], *expected);
            for entry in &entries {
                let leaf = String::from_utf8(entry.name.clone()).unwrap();
                // The parent of the root is the root, which no path may leave.
                let path = if base.is_empty() && leaf == ".." {
                    leaf.replace("..", ".")
                } else {
                    format!("{base}{leaf}")
                };
                let stat = g.stat(&path, false).unwrap();
                assert_eq!((stat.ino, stat.filetype), (entry.ino, entry.filetype));
            }
        }
    });
}

/// The buffer is filled to its last byte; the last entry may be cut anywhere, in
/// its header too. Less is used only at the end of the directory. A buffer of any
/// size does that holds the longest entry, and one of 0 bytes gets nothing.
#[test]
fn a_buffer_of_any_size_will_do() {
    with(packed(), |g| {
        let longest = "n".repeat(255);
        g.create(&longest, b"").unwrap();
        let root = g.open(".", DIRECTORY).unwrap();
        g.vfs
            .fd_readdir(&mut g.home, root, BUFFER, 4096, 0, OUT)
            .unwrap();
        let all = g.u32_at(OUT);
        let whole = g.buffer(all);
        for len in 0..all + 50 {
            g.put(BUFFER, &[0xee; 800]);
            g.vfs
                .fd_readdir(&mut g.home, root, BUFFER, len, 0, OUT)
                .unwrap();
            let used = g.u32_at(OUT);
            assert_eq!(used, len.min(all), "less only at the end");
            assert_eq!(g.buffer(used), whole[..used as usize]);
            assert_eq!(g.bytes_at(BUFFER + used, 8), [0xee; 8]);
        }
        let entries = g.readdir(root, 4096).unwrap();
        for len in 24 + 255..400 {
            assert_eq!(g.readdir(root, len).unwrap(), entries, "{len} bytes");
        }
        g.unlink(&longest).unwrap();
        for len in 24 + 8..24 + 255 {
            assert_eq!(g.readdir(root, len).unwrap(), entries[..4], "{len} bytes");
        }
    });
}

/// Cookie 0 begins anew; the cookie behind an entry goes on after it, from any
/// descriptor and as often as one likes. One that is past the end lists nothing.
#[test]
fn a_cookie_goes_on_behind_its_entry() {
    with(packed(), |g| {
        let one = g.open(".", DIRECTORY).unwrap();
        let two = g.open(".", DIRECTORY).unwrap();
        let (entries, _) = g.readdir_once(one, 4096, 0).unwrap();
        g.readdir_once(two, 4096, 0).unwrap();
        for fd in [one, two, one] {
            for (index, entry) in entries.iter().enumerate() {
                let (rest, ended) = g.readdir_once(fd, 4096, entry.next).unwrap();
                assert_eq!(rest, entries[index + 1..]);
                assert!(ended);
            }
        }
        let last = entries.last().unwrap().next;
        for past in [last, last + 1, 1 << 32, 1 << 63, u64::MAX] {
            assert_eq!(g.readdir_once(one, 4096, past), Ok((vec![], true)));
        }
        assert_eq!(g.readdir_once(one, 4096, 0), Ok((entries, true)));
    });
}

/// An entry keeps its cookie for life, so what is there during the whole listing is
/// listed exactly once, whatever is added and removed meanwhile.
#[test]
fn a_listing_shows_each_entry_once_while_others_come_and_go() {
    for len in [50, 200, 777] {
        with(Guest::empty(), |g| {
            for i in 0..100 {
                g.create(&format!("keep{i}"), b"").unwrap();
                g.create(&format!("drop{i}"), b"").unwrap();
            }
            let fd = g.open(".", DIRECTORY).unwrap();
            let mut seen = BTreeMap::new();
            let mut cookie = 0;
            for round in 0.. {
                let (entries, ended) = g.readdir_once(fd, len, cookie).unwrap();
                for entry in &entries {
                    cookie = entry.next;
                    *seen.entry(entry.name.clone()).or_insert(0) += 1;
                }
                if ended {
                    break;
                }
                let _ = g.unlink(&format!("drop{}", 99 - round));
                let _ = g.unlink(&format!("drop{round}"));
                if round < 50 {
                    g.create(&format!("new{round}"), b"").unwrap();
                }
            }
            assert!(seen.values().all(|&times| times == 1));
            let kept = seen.keys().filter(|name| name.starts_with(b"keep"));
            assert_eq!(kept.count(), 100);
        });
    }
}

/// What is added or renamed after the listing began, with cookie 0, comes in the
/// next one. So every listing ends.
#[test]
fn a_listing_ends_although_its_entries_are_renamed() {
    with(Guest::empty(), |g| {
        for i in 0..200 {
            g.create(&format!("f{i}"), b"").unwrap();
        }
        let fd = g.open(".", DIRECTORY).unwrap();
        let mut cookie = 0;
        let mut listed = Vec::new();
        loop {
            let (entries, ended) = g.readdir_once(fd, 500, cookie).unwrap();
            for entry in entries {
                cookie = entry.next;
                let name = String::from_utf8(entry.name).unwrap();
                if !name.starts_with('.') {
                    g.rename(&name, &format!("{name}.bak")).unwrap();
                    g.create(&format!("{name}.new"), b"").unwrap();
                    listed.push(name);
                    assert!(listed.len() <= 200, "new names are listed");
                }
            }
            if ended {
                break;
            }
        }
        let expected: Vec<String> = (0..200).map(|i| format!("f{i}")).collect();
        assert_eq!(listed, expected, "none of the new names");
        let again = g.readdir(fd, 500).unwrap();
        assert_eq!(again.len(), 400, "from the start again");
    });
}

/// A removed directory lists nothing, not even its dots. (Linux answers `NOENT`,
/// which C libraries show as the end; wasmtime lists the dots.)
#[test]
fn a_removed_directory_lists_nothing_and_takes_nothing() {
    with(Guest::empty(), |g| {
        g.mkdir("d").unwrap();
        let fd = g.open("d", DIRECTORY).unwrap();
        g.rmdir("d").unwrap();
        assert_eq!(g.readdir_once(fd, 1000, 0).unwrap(), (vec![], true));
        let created = g.open_with(fd, 0, "x", CREAT, ALL, ALL, 0);
        assert_eq!(name(&created), "NOENT");
        g.vfs.check_invariants();
        g.close(fd).unwrap();
    });
}

#[test]
fn a_preopened_directory_is_listed_like_any_other() {
    with(packed(), |g| {
        let dir = g
            .open_with(ROOT, 0, "dir", DIRECTORY, READ, ALL, 0)
            .unwrap();
        let through = g.open_with(dir, 0, ".", DIRECTORY, READ, ALL, 0).unwrap();
        let direct = g.readdir(dir, 1000).unwrap();
        assert_eq!(g.readdir(through, 1000).unwrap(), direct);
        let again = g.open(".", DIRECTORY).unwrap();
        let root = g.readdir(ROOT, 1000).unwrap();
        assert_eq!(g.readdir(again, 1000).unwrap(), root);
    });
}
