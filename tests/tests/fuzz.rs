//! What the fuzzers found and what covers most, replayed.

use std::fs;
use std::path::Path;

use monaka_tests::fuzz;

/// Runs `target` on every file of its corpus.
fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut replayed = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        target(&fs::read(&path).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", corpus.display());
}

#[test]
fn calls() {
    replay("calls", fuzz::calls);
}

#[test]
fn image() {
    replay("image", fuzz::image);
}

#[test]
fn paths() {
    replay("paths", fuzz::paths);
}

#[test]
fn roundtrip() {
    replay("roundtrip", fuzz::roundtrip);
}
