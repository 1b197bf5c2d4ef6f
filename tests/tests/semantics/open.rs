//! Opening and creating.

use monaka_tests::native::{ALL, ROOT, name};

use crate::{CREAT, DIRECTORY, READ, WRITE, packed, with};

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
fn a_slash_in_a_link_counts_as_one_in_the_path() {
    with(packed(), |g| {
        g.symlink("file/", "to-file").unwrap();
        g.symlink("nowhere/", "to-nowhere").unwrap();
        assert_eq!(name(&g.open("to-file", CREAT)), "ISDIR", "as on Linux");
        assert_eq!(name(&g.open("to-nowhere", CREAT)), "ISDIR");
        assert_eq!(name(&g.open("to-file", CREAT | 4)), "EXIST");
        assert_eq!(name(&g.open("to-file", 0)), "NOTDIR");
        assert_eq!(name(&g.open("to-nowhere", 0)), "NOENT");
    });
}
