//! How many bytes of code and data the library adds to programs.
//!
//! `tests/golden/size.txt` holds the numbers as they were accepted last: for each libc, a
//! program that uses stdio and one that uses every file call, linked with the library,
//! and the latter with the file system merged in, in both layouts. `BLESS=1 make size`
//! accepts those of now, and shows the linked ones beside wasi-vfs's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use monaka_tests::golden::Golden;
use monaka_tests::toolbox::{self, Libc, Linked, Opt, Program};
use tempfile::TempDir;
use wasmparser::{Parser, Payload};

/// How much more than the accepted number is still the same.
const TOLERANCE: f64 = 0.01;

/// What the library may add at most, whatever was accepted: the words that a name begins
/// with, and the bytes.
const LIMITS: [(&str, u64); 2] = [("linked, stdio", 48_000), ("merged", 96_000)];

/// Bytes by name.
type Sizes = BTreeMap<String, u64>;

/// The bytes of a module's code and data sections. What is there for a debugger never
/// reaches a running program.
fn bytes(module: &Path) -> u64 {
    let wasm = fs::read(module).expect("read the module");
    let payloads = Parser::new(0).parse_all(&wasm);
    let sizes = payloads.map(|payload| match payload.expect("a module") {
        Payload::CodeSectionStart { range, .. } => range.len() as u64,
        Payload::DataSection(data) => data.range().len() as u64,
        _ => 0,
    });
    sizes.sum()
}

fn measured() -> Sizes {
    let room = TempDir::new().expect("create a directory");
    let empty = room.path().join("empty");
    fs::create_dir(&empty).expect("create a directory");
    let mut sizes = Sizes::new();
    for libc in Libc::ALL.into_iter().filter(|libc| libc.is_here()) {
        let mut add = |what: &str, with: &Path, alone: u64| {
            let name = format!("{what}, {}", libc.name());
            sizes.insert(name, bytes(with) - alone);
        };
        for name in ["stdio.c", "everything.c"] {
            let program = Program::Test(name);
            let alone = program.compile(libc, Opt::O2, Linked::Not);
            let linked = program.compile(libc, Opt::O2, Linked::Last);
            add(
                &format!("linked, {}", program.name()),
                &linked,
                bytes(&alone),
            );
            if name == "stdio.c" {
                continue;
            }
            for layout in ["single", "multi"] {
                let merged = room.path().join("merged.wasm");
                let mapping = ["--mapdir".into(), toolbox::mapped("/", &empty)];
                let flags = ["--memory", layout].map(Into::into);
                toolbox::pack(&alone, mapping.into_iter().chain(flags), &merged);
                add(&format!("merged, {layout}"), &merged, bytes(&alone));
            }
        }
    }
    sizes
}

fn parse(table: &str) -> Sizes {
    let rows = table.lines().filter_map(|row| row.rsplit_once(' '));
    let rows = rows.filter_map(|(name, bytes)| Some((name.trim().into(), bytes.parse().ok()?)));
    rows.collect()
}

fn print(sizes: &Sizes) -> String {
    sizes
        .iter()
        .fold(String::new(), |mut table, (name, bytes)| {
            writeln!(table, "{name:28}{bytes:>8}").expect("write to a string");
            table
        })
}

/// The names that are too large or were never accepted.
fn grown<'s>(accepted: &Sizes, now: &'s Sizes) -> Vec<&'s str> {
    let too_large = |(name, bytes): &(&'s String, &u64)| {
        let accepted = accepted.get(*name).copied().unwrap_or(0) as f64;
        let mut limits = LIMITS.iter().filter(|(what, _)| name.starts_with(what));
        **bytes as f64 > accepted * (1.0 + TOLERANCE) || limits.any(|(_, limit)| *bytes > limit)
    };
    let names = now.iter().filter(too_large);
    names.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn the_library_adds_what_was_accepted() {
    let now = measured();
    if now.is_empty() {
        toolbox::skip("no compiler for C");
        return;
    }
    println!("{}", print(&now));
    let golden = Golden::of_library("size.txt");
    // Those of libcs that are not here stay.
    let mut all = parse(&golden.table());
    all.extend(now.clone());
    golden.bless(&print(&all));
    let accepted = match golden.holds() {
        true => parse(&golden.table()),
        // Then only the limits are left.
        false => now.clone(),
    };
    let grown = grown(&accepted, &now);
    assert!(
        grown.is_empty(),
        "the library has grown in {grown:?}; if that is meant: BLESS=1 make size\n\
         accepted:\n{}\nnow:\n{}",
        print(&accepted),
        print(&now)
    );
}

#[test]
fn growth_is_noticed() {
    let sizes = |table: &str| parse(table);
    let accepted = sizes("linked, stdio, old   40000\nmerged, multi, old    50000\n");
    assert_eq!(parse(&print(&accepted)), accepted);
    let names = |table: &str| -> Vec<String> {
        let now = sizes(table);
        grown(&accepted, &now).into_iter().map(Into::into).collect()
    };
    assert_eq!(
        names("linked, stdio, old 40399\nmerged, multi, old 1"),
        [""; 0]
    );
    assert_eq!(names("linked, stdio, old 40401"), ["linked, stdio, old"]);
    assert_eq!(names("merged, single, old 1"), ["merged, single, old"]);
    let accepted = sizes("linked, stdio, old 48001\nlinked, everything, old 90000");
    assert_eq!(grown(&accepted, &accepted), ["linked, stdio, old"]);
}
