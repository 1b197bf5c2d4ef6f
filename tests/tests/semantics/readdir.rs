//! Listing directories.

use monaka_tests::native::{ALL, Guest, name};

use crate::{CREAT, DIRECTORY, packed, with};

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
fn a_listing_has_dots_first_and_agrees_with_stat_over_any_buffer() {
    with(packed(), |g| {
        let root = g.open(".", DIRECTORY).unwrap();
        let (entries, _) = g.readdir_once(root, 4096, 0).unwrap();
        let names: Vec<&[u8]> = entries.iter().map(|e| &e.name[..]).collect();
        let expected: [&[u8]; 6] = [b".", b"..", b"absolute", b"dir", b"file", b"link"];
        assert_eq!(names, expected);
        for entry in &entries[2..] {
            let path = std::str::from_utf8(&entry.name).unwrap();
            let stat = g.stat(path, false).unwrap();
            assert_eq!((stat.ino, stat.filetype), (entry.ino, entry.filetype));
        }
        for len in 24 + 8..200 {
            assert_eq!(g.readdir(root, len).unwrap(), entries[2..], "{len} bytes");
        }
    });
}

#[test]
fn a_listing_shows_each_entry_once_while_others_come_and_go() {
    with(Guest::empty(), |g| {
        for i in 0..100 {
            g.create(&format!("keep{i}"), b"").unwrap();
            g.create(&format!("drop{i}"), b"").unwrap();
        }
        let fd = g.open(".", DIRECTORY).unwrap();
        let mut kept = Vec::new();
        let mut cookie = 0;
        for round in 0.. {
            let (entries, ended) = g.readdir_once(fd, 200, cookie).unwrap();
            for entry in &entries {
                cookie = entry.next;
                if entry.name.starts_with(b"keep") {
                    kept.push(entry.name.clone());
                }
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
        assert_eq!(kept.len(), 100);
        kept.sort();
        kept.dedup();
        assert_eq!(kept.len(), 100);
    });
}

#[test]
fn a_listing_ends_although_its_entries_are_renamed() {
    with(Guest::empty(), |g| {
        for i in 0..200 {
            g.create(&format!("f{i}"), b"").unwrap();
        }
        let fd = g.open(".", DIRECTORY).unwrap();
        let mut cookie = 0;
        let mut renamed = 0;
        loop {
            let (entries, ended) = g.readdir_once(fd, 500, cookie).unwrap();
            for entry in entries {
                cookie = entry.next;
                let name = String::from_utf8(entry.name).unwrap();
                if name.starts_with('f') {
                    g.rename(&name, &format!("{name}.bak")).unwrap();
                    renamed += 1;
                }
            }
            if ended {
                break;
            }
        }
        assert_eq!(renamed, 200);
        assert_eq!(
            g.readdir(fd, 500).unwrap().len(),
            200,
            "from the start again"
        );
    });
}
