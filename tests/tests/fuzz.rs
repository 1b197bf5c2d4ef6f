//! What the fuzzers found and what covers most, replayed.

use std::fs;
use std::path::Path;

use monaka_tests::fuzz;

/// Runs `target` on every file of its corpus; under Miri on the eight shortest.
fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let entries = fs::read_dir(&corpus).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!paths.is_empty(), "{} is empty", corpus.display());
    paths.sort_by_key(|path| (fs::metadata(path).unwrap().len(), path.clone()));
    for path in paths.iter().take(if cfg!(miri) { 8 } else { usize::MAX }) {
        println!("{}", path.display());
        target(&fs::read(path).unwrap());
    }
}

#[test]
fn calls() {
    replay("calls", fuzz::calls);
}

#[test]
fn frames() {
    replay("frames", fuzz::frames);
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
