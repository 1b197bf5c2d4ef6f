//! What docs/SEMANTICS.md promises and a real directory cannot check: times,
//! cookies, rights, descriptors, limits, the image left untouched.

use monaka_tests::native::{self, ALL, Guest, ROOT, name};
use monaka_vfs_core::Errno;
use monaka_vfs_core::image::NodeId;

const CREAT: u32 = 1;
const DIRECTORY: u32 = 2;
const APPEND: u32 = 1;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;

/// A guest with `/file` and `/dir/inner` packed.
fn packed() -> Guest {
    Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "file", b"packed contents");
        let dir = tree
            .add_directory(NodeId::ROOT, b"dir", native::meta())
            .unwrap();
        native::add_file(tree, dir, "inner", b"inner");
        tree.add_symlink(NodeId::ROOT, b"link", native::meta(), b"dir/inner")
            .unwrap();
        tree.add_symlink(NodeId::ROOT, b"absolute", native::meta(), b"/dir/inner")
            .unwrap();
        tree.add_symlink(dir, b"out", native::meta(), b"../file")
            .unwrap();
        tree.add_symlink(dir, b"up", native::meta(), b"/file")
            .unwrap();
    }))
}

/// Runs `body` and then checks the file system.
fn with(mut guest: Guest, body: impl FnOnce(&mut Guest)) {
    body(&mut guest);
    guest.vfs.check_invariants();
}

#[test]
fn packed_files_keep_their_mtime_and_are_readable() {
    with(packed(), |g| {
        assert_eq!(g.contents("file").unwrap(), b"packed contents");
        assert_eq!(g.contents("link").unwrap(), b"inner");
        let stat = g.stat("dir/inner", true).unwrap();
        assert_eq!((stat.size, stat.nlink, stat.mtim), (5, 1, 1_000_000_007));
    });
}

#[test]
fn writing_to_a_packed_file_leaves_the_image_alone() {
    let mut g = packed();
    let image = g.vfs.fs().image().to_vec();
    let fd = g.open("file", 0).unwrap();
    g.write(fd, b"PACKED").unwrap();
    assert_eq!(g.contents("file").unwrap(), b"PACKED contents");
    g.set_size(fd, 3).unwrap();
    g.set_size(fd, 6).unwrap();
    assert_eq!(g.contents("file").unwrap(), b"PAC\0\0\0");
    g.unlink("file").unwrap();
    assert_eq!(g.vfs.fs().image(), image);
    g.vfs.check_invariants();
}

#[test]
fn copying_up_takes_one_chunk_not_the_whole_file() {
    let big: Vec<u8> = (0..1_000_000u32).map(|i| i as u8).collect();
    let mut g = Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "big", &big);
    }));
    let fd = g.open("big", 0).unwrap();
    g.pwrite(fd, b"x", 500_000).unwrap();
    let heap: u64 = g
        .vfs
        .fs()
        .inodes()
        .filter_map(|(_, inode)| match &inode.kind {
            monaka_vfs_core::inode::Kind::Regular(data) => Some(data.heap_bytes()),
            _ => None,
        })
        .sum();
    assert_eq!(heap, 65536);
    let mut expected = big;
    expected[500_000] = b'x';
    assert!(g.contents("big").unwrap() == expected);
    g.vfs.check_invariants();
}

#[test]
fn a_hole_takes_no_memory_and_reads_as_zeros() {
    with(Guest::empty(), |g| {
        let fd = g.open("sparse", CREAT).unwrap();
        g.pwrite(fd, b"end", 1 << 40).unwrap();
        assert_eq!(g.fstat(fd).unwrap().size, (1 << 40) + 3);
        assert_eq!(g.pread(fd, 4, (1 << 40) - 1).unwrap(), b"\0end");
        assert_eq!(g.pread(fd, 3, 12345).unwrap(), [0; 3]);
    });
}

#[test]
fn timestamps_are_updated_before_anyone_looks() {
    with(Guest::empty(), |g| {
        g.create("f", b"1").unwrap();
        let born = g.stat("f", true).unwrap();
        let fd = g.open("f", 0).unwrap();
        g.write(fd, b"2").unwrap();
        let written = g.fstat(fd).unwrap();
        assert!(written.mtim > born.mtim && written.ctim > born.ctim);
        assert_eq!(written.atim, born.atim);
        g.seek(fd, 0, 0).unwrap();
        g.read(fd, 1).unwrap();
        let read = g.fstat(fd).unwrap();
        assert!(read.atim > born.atim);
        assert_eq!(read.mtim, written.mtim);
        assert_eq!(g.fstat(fd).unwrap(), read, "looking changes nothing");
    });
}

#[test]
fn closing_settles_the_time_of_the_last_write() {
    with(Guest::empty(), |g| {
        let fd = g.open("f", CREAT).unwrap();
        g.write(fd, b"x").unwrap();
        let before_close = g.home.seconds;
        g.close(fd).unwrap();
        g.home.seconds += 1000;
        let mtim = g.stat("f", true).unwrap().mtim;
        assert_eq!(mtim, (before_close + 1) * 1_000_000_000);
    });
}

#[test]
fn set_times_sets_keeps_and_refuses_contradictions() {
    with(Guest::empty(), |g| {
        g.create("f", b"").unwrap();
        let fd = g.open("f", 0).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_filestat_set_times(home, fd, 11, 22, 1 | 4).unwrap();
        let both = g.fstat(fd).unwrap();
        assert_eq!((both.atim, both.mtim), (11, 22));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_filestat_set_times(home, fd, 0, 0, 8).unwrap();
        let now = g.fstat(fd).unwrap();
        assert_eq!(now.atim, 11);
        assert!(now.mtim > both.mtim && now.ctim >= both.ctim);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        for contradiction in [1 | 2, 4 | 8, 16] {
            let outcome = vfs.fd_filestat_set_times(home, fd, 0, 0, contradiction);
            assert_eq!(outcome, Err(Errno::INVAL));
        }
    });
}

#[test]
fn directories_count_their_subdirectories_as_links() {
    with(Guest::empty(), |g| {
        assert_eq!(g.stat(".", true).unwrap().nlink, 2);
        g.mkdir("a").unwrap();
        g.mkdir("b").unwrap();
        assert_eq!(g.stat(".", true).unwrap().nlink, 4);
        g.rename("b", "a/b").unwrap();
        assert_eq!(g.stat(".", true).unwrap().nlink, 3);
        assert_eq!(g.stat("a", true).unwrap().nlink, 3);
        g.rmdir("a/b").unwrap();
        assert_eq!(g.stat("a", true).unwrap().nlink, 2);
    });
}

#[test]
fn an_unlinked_file_lives_until_its_last_close() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.unlink("file").unwrap();
        assert_eq!(name(&g.open("file", 0)), "NOENT");
        assert_eq!(g.fstat(fd).unwrap().nlink, 0);
        g.write(fd, b"still").unwrap();
        assert_eq!(g.pread(fd, 100, 0).unwrap(), b"stilld contents");
        g.vfs.check_invariants();
        g.close(fd).unwrap();
    });
}

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

#[test]
fn a_read_over_its_own_buffer_list_moves_no_more_than_was_checked() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        // The first buffer is the second pair, which so becomes text.
        let pairs = [264u32, 8, 65536, 5];
        for (at, word) in (256..).step_by(4).zip(pairs) {
            g.home.memory[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, 256, 2, 64), Ok(()));
        assert_eq!(
            home.memory[64], 8,
            "the second buffer is outside the memory"
        );
        assert_eq!(g.seek(fd, 0, 1), Ok(8));
    });
}

#[test]
fn links_cannot_lead_out_of_the_directory_that_a_walk_starts_from() {
    with(packed(), |g| {
        assert_eq!(g.contents("dir/out").unwrap(), b"packed contents");
        assert_eq!(g.contents("absolute").unwrap(), b"inner", "from the root");
        let dir = g.open("dir", DIRECTORY).unwrap();
        for path in ["out", "..", "../file", "./../file", "inner/../../file"] {
            let opened = g.open_with(dir, 1, path, 0, ALL, ALL, 0);
            let expected = if path.starts_with("inner") {
                "NOTDIR"
            } else {
                "PERM"
            };
            assert_eq!(name(&opened), expected, "{path}");
        }
        assert_eq!(name(&g.open("/file", 0)), "PERM");
        assert_eq!(name(&g.open("dir/../../file", 0)), "PERM");
        let opened = g.open_with(dir, 1, "up", 0, ALL, ALL, 0);
        assert_eq!(name(&opened), "PERM", "absolute, but not from the root");
    });
}

#[test]
fn names_and_paths_have_the_lengths_of_linux() {
    with(Guest::empty(), |g| {
        let longest = "n".repeat(255);
        g.create(&longest, b"").unwrap();
        assert_eq!(name(&g.open(&"n".repeat(256), CREAT)), "NAMETOOLONG");
        let path = format!("{}x", "./".repeat(2047));
        assert_eq!(path.len(), 4095);
        assert_eq!(name(&g.open(&path, CREAT)), "SUCCESS");
        assert_eq!(name(&g.open(&format!("{path}x"), CREAT)), "NAMETOOLONG");
        assert_eq!(name(&g.open("", CREAT)), "NOENT");
        assert_eq!(name(&g.open("nul\0", CREAT)), "INVAL");
    });
}

#[test]
fn forty_links_are_followed_and_no_more() {
    with(Guest::empty(), |g| {
        g.create("l0", b"end").unwrap();
        for i in 1..=41 {
            g.symlink(&format!("l{}", i - 1), &format!("l{i}")).unwrap();
        }
        assert_eq!(g.contents("l40").unwrap(), b"end");
        assert_eq!(name(&g.open("l41", 0)), "LOOP");
    });
}

#[test]
fn a_new_descriptor_has_the_lowest_free_number() {
    with(packed(), |g| {
        let fds: Vec<u32> = (0..5).map(|_| g.open("file", 0).unwrap()).collect();
        assert_eq!(fds, [4, 5, 6, 7, 8]);
        g.close(7).unwrap();
        g.close(5).unwrap();
        assert_eq!(g.open("file", 0), Ok(5));
        assert_eq!(g.open("file", 0), Ok(7));
        assert_eq!(g.open("file", 0), Ok(9));
        assert_eq!(g.close(5), Ok(()));
        assert_eq!(g.close(5), Err(Errno::BADF));
        assert_eq!(name(&g.read(1000, 1)), "BADF");
    });
}

#[test]
fn renumber_moves_a_description_with_its_offset() {
    with(packed(), |g| {
        let from = g.open("file", 0).unwrap();
        let to = g.open("dir/inner", 0).unwrap();
        g.read(from, 7).unwrap();
        g.vfs.fd_renumber(&mut g.home, from, to).unwrap();
        assert_eq!(g.read(to, 100).unwrap(), b"contents");
        assert_eq!(name(&g.read(from, 1)), "BADF");
        assert_eq!(g.vfs.fd_renumber(&mut g.home, to, to), Ok(()));
        assert_eq!(
            g.vfs.fd_renumber(&mut g.home, to, 99),
            Err(Errno::BADF),
            "onto a number that is not open"
        );
        assert_eq!(g.vfs.fd_renumber(&mut g.home, 99, to), Err(Errno::BADF));
    });
}

#[test]
fn appending_writes_at_the_end_wherever_pwrite_is_told() {
    with(packed(), |g| {
        let fd = g.open_with(ROOT, 1, "file", 0, ALL, ALL, APPEND).unwrap();
        g.write(fd, b"!").unwrap();
        g.pwrite(fd, b"?", 0).unwrap();
        g.pwrite(fd, b".", 1 << 40).unwrap();
        assert_eq!(g.pread(fd, 100, 0).unwrap(), b"packed contents!?.");
        assert_eq!(g.seek(fd, 0, 1), Ok(16), "pwrite leaves the offset");
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_flags(home, fd, 0).unwrap();
        g.pwrite(fd, b"P", 0).unwrap();
        assert_eq!(g.pread(fd, 6, 0).unwrap(), b"Packed");
    });
}

#[test]
fn a_file_is_read_and_written_only_as_it_was_opened() {
    with(packed(), |g| {
        let read = g.open_with(ROOT, 1, "file", 0, READ, ALL, 0).unwrap();
        assert_eq!(name(&g.write(read, b"x")), "BADF");
        assert_eq!(g.set_size(read, 0), Err(Errno::INVAL));
        assert_eq!(name(&g.read(read, 1)), "SUCCESS");
        let write = g.open_with(ROOT, 1, "file", 0, WRITE, ALL, 0).unwrap();
        assert_eq!(name(&g.read(write, 1)), "BADF");
        assert_eq!(name(&g.write(write, b"x")), "SUCCESS");
    });
}

#[test]
fn a_directory_is_never_opened_for_writing() {
    with(packed(), |g| {
        for oflags in [0, DIRECTORY] {
            for rights in [WRITE, READ | WRITE, ALL] {
                let opened = g.open_with(ROOT, 1, "dir", oflags, rights, ALL, 0);
                assert_eq!(name(&opened), "ISDIR", "{oflags} {rights:x}");
            }
            let opened = g.open_with(ROOT, 1, "dir", oflags, READ, ALL, 0);
            assert_eq!(name(&opened), "SUCCESS");
        }
        let opened = g.open_with(ROOT, 1, "file", DIRECTORY, ALL, ALL, 0);
        assert_eq!(name(&opened), "NOTDIR", "it is none in the first place");
    });
}

#[test]
fn what_reads_writes_or_synchronises_a_file_is_badf_on_a_directory() {
    with(packed(), |g| {
        let fd = g.open("dir", DIRECTORY).unwrap();
        assert_eq!(name(&g.read(fd, 1)), "BADF");
        assert_eq!(name(&g.pread(fd, 1, 0)), "BADF");
        assert_eq!(name(&g.write(fd, b"x")), "BADF");
        assert_eq!(name(&g.pwrite(fd, b"x", 0)), "BADF");
        assert_eq!(name(&g.seek(fd, 0, 1)), "BADF");
        assert_eq!(g.set_size(fd, 0), Err(Errno::BADF));
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_tell(home, fd, 64), Err(Errno::BADF));
        assert_eq!(vfs.fd_advise(home, fd, 0, 0, 4), Err(Errno::BADF));
        assert_eq!(vfs.fd_allocate(home, fd, 0, 0), Err(Errno::BADF));
        assert_eq!(vfs.fd_sync(home, fd), Err(Errno::BADF));
        assert_eq!(vfs.fd_datasync(home, fd), Err(Errno::BADF));
        assert_eq!(vfs.fd_fdstat_set_flags(home, fd, 4), Err(Errno::BADF));
        assert_eq!(vfs.fd_filestat_set_times(home, fd, 1, 2, 1 | 4), Ok(()));
        assert_eq!(g.fstat(fd).unwrap().mtim, 2);
    });
}

#[test]
fn a_symlink_with_an_absolute_target_cannot_be_created() {
    with(packed(), |g| {
        assert_eq!(g.symlink("/", "new"), Err(Errno::PERM));
        assert_eq!(g.symlink("/dir/inner", "nowhere/new"), Err(Errno::PERM));
        assert_eq!(g.symlink("", "new"), Err(Errno::NOENT));
        assert_eq!(g.contents("absolute").unwrap(), b"inner", "a packed one");
    });
}

#[test]
fn a_slash_behind_a_new_link_asks_for_a_directory() {
    with(packed(), |g| {
        g.symlink("dir", "to-dir").unwrap();
        g.symlink("nowhere", "dangling").unwrap();
        for (path, expected) in [
            ("file/", Errno::NOTDIR),
            ("link/", Errno::NOTDIR),
            ("dir/", Errno::EXIST),
            ("to-dir/", Errno::EXIST),
            ("dangling/", Errno::NOENT),
            ("new/", Errno::NOENT),
            ("file", Errno::EXIST),
            ("link", Errno::EXIST),
            ("dangling", Errno::EXIST),
            (".", Errno::EXIST),
        ] {
            assert_eq!(g.symlink("x", path), Err(expected), "symlink {path}");
            assert_eq!(g.link("dir/inner", path), Err(expected), "link {path}");
        }
    });
}

#[test]
fn a_hard_link_to_a_symlink_is_to_the_symlink_itself() {
    with(packed(), |g| {
        g.link("link", "second").unwrap();
        assert_eq!(g.readlink("second").unwrap(), b"dir/inner");
        assert_eq!(g.stat("link", false).unwrap().nlink, 2);
        assert_eq!(g.stat("dir/inner", false).unwrap().nlink, 1);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        for flags in [1, 2] {
            let linked = vfs.path_link(home, ROOT, flags, 4096, 0, ROOT, 4096, 0);
            assert_eq!(linked, Err(Errno::INVAL), "flags {flags}");
        }
    });
}

#[test]
fn rights_taken_away_stay_away_and_are_not_passed_on() {
    with(packed(), |g| {
        let dir = g.open(".", DIRECTORY).unwrap();
        let narrowed = 1 << 13 | 1 << 18;
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        vfs.fd_fdstat_set_rights(home, dir, narrowed, READ).unwrap();
        assert_eq!(
            vfs.fd_fdstat_set_rights(home, dir, narrowed | 1 << 9, READ),
            Err(Errno::NOTCAPABLE),
            "they cannot come back"
        );
        let created = g.open_with(dir, 1, "new", CREAT, ALL, ALL, 0);
        assert_eq!(name(&created), "NOTCAPABLE");
        let fd = g.open_with(dir, 1, "file", 0, ALL, ALL, 0).unwrap();
        assert_eq!(name(&g.read(fd, 1)), "SUCCESS");
        assert_eq!(name(&g.write(fd, b"x")), "BADF");
    });
}

#[test]
fn unknown_flags_are_refused() {
    with(packed(), |g| {
        let mut open = |lookup, oflags, fdflags| {
            name(&g.open_with(ROOT, lookup, "file", oflags, ALL, ALL, fdflags))
        };
        assert_eq!(open(2, 0, 0), "INVAL");
        assert_eq!(open(0, 16, 0), "INVAL");
        assert_eq!(open(0, 0, 32), "INVAL");
        assert_eq!(open(0, CREAT | DIRECTORY, 0), "INVAL");
    });
}

#[test]
fn a_bad_pointer_is_fault_and_changes_nothing() {
    with(packed(), |g| {
        let end = g.home.memory.len() as u32;
        let fd = g.open("file", 0).unwrap();
        let before = g.fstat(fd).unwrap();
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, end - 4, 1, 64), Err(Errno::FAULT));
        assert_eq!(vfs.fd_read(home, fd, 256, 1, end), Err(Errno::FAULT));
        assert_eq!(vfs.fd_write(home, fd, u32::MAX, 1, 64), Err(Errno::FAULT));
        let path = vfs.path_unlink_file(home, ROOT, end - 2, 4);
        assert_eq!(path, Err(Errno::FAULT));
        let open = vfs.path_open(home, ROOT, 0, 4096, 4, 1, ALL, ALL, 0, end);
        assert_eq!(open, Err(Errno::FAULT));
        assert_eq!(vfs.fd_readdir(home, ROOT, end, 1, 0, 64), Err(Errno::FAULT));
        assert_eq!(vfs.fd_filestat_get(home, fd, end - 63), Err(Errno::FAULT));
        assert_eq!(g.fstat(fd).unwrap(), before);
        assert_eq!(g.seek(fd, 0, 1), Ok(0));
    });
}

#[test]
fn a_wild_pointer_to_nothing_is_not_looked_at() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.home.memory[256..264].copy_from_slice(&[0xf0, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        assert_eq!(vfs.fd_read(home, fd, 256, 1, 64), Ok(()));
        assert_eq!(vfs.fd_write(home, fd, 256, 1, 64), Ok(()));
        assert_eq!(vfs.fd_read(home, fd, u32::MAX, 0, 64), Ok(()));
        let path = vfs.path_unlink_file(home, ROOT, u32::MAX, 0);
        assert_eq!(path, Err(Errno::NOENT));
    });
}

#[test]
fn offsets_and_sizes_end_at_the_largest_signed_number() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(g.seek(fd, i64::MAX, 0), Ok(i64::MAX as u64));
        assert_eq!(g.seek(fd, 1, 1), Err(Errno::INVAL));
        assert_eq!(g.seek(fd, -1, 0), Err(Errno::INVAL));
        assert_eq!(name(&g.write(fd, b"x")), "FBIG");
        assert_eq!(g.read(fd, 10).unwrap(), b"");
        assert_eq!(g.set_size(fd, 1 << 63), Err(Errno::INVAL));
        assert_eq!(name(&g.pwrite(fd, b"x", u64::MAX)), "INVAL");
        assert_eq!(name(&g.pread(fd, 1, 1 << 63)), "INVAL");
    });
}

#[test]
fn packed_files_are_always_ready() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        g.read(fd, 7).unwrap();
        assert_eq!(g.poll_read(&[fd, fd]).unwrap(), [(0, 8), (0, 8)]);
        assert_eq!(name(&g.poll_read(&[])), "INVAL");
    });
}

#[test]
fn waiting_on_a_bad_descriptor_fails_the_call() {
    with(packed(), |g| {
        let fd = g.open("file", 0).unwrap();
        assert_eq!(name(&g.poll_read(&[99])), "BADF");
        assert_eq!(name(&g.poll_read(&[fd, u32::MAX])), "BADF");
        assert_eq!(name(&g.poll_read(&[ROOT, fd])), "BADF", "a directory");
    });
}

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

#[test]
fn creating_and_removing_needs_no_more_inodes() {
    with(Guest::empty(), |g| {
        let before = g.vfs.fs().inodes().count();
        let mut largest = 0;
        for _ in 0..100_000 {
            let fd = g.open("f", CREAT).unwrap();
            largest = largest.max(g.fstat(fd).unwrap().ino);
            g.close(fd).unwrap();
            g.unlink("f").unwrap();
        }
        assert_eq!(g.vfs.fs().inodes().count(), before);
        assert!(largest < 4, "inode numbers are reused: {largest}");
    });
}
