//! Names and paths: bytes and lengths.

use monaka_tests::native::{Guest, name};

use crate::{CREAT, with};

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
