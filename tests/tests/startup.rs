//! A start touches few pages, whatever is packed.
//!
//! Nearly all that the file system adds to a start are page faults: engines map the initial
//! memory, and each page that is written to is copied then, each stretch that is read is
//! looked up. No clock is asked here. The kernel counts the faults of the thread, and the
//! median of many starts is the same each time; another kernel may count a few less or
//! more, since it is the one to decide how many neighbours come with a page that is read.

use std::fs;
use std::path::Path;

use monaka_tests::startup::{Compiled, Given, in_turn};
use monaka_tests::toolbox::{Libc, Linked, Opt, Program, mapped, pack};
use tempfile::TempDir;
use wasmtime::Engine;

/// How often each is started.
const STARTS: usize = 21;

/// Files that are packed, and how many faults a start may take: linked, merged. Four of
/// them the program takes where nothing is packed.
const FILES: [(usize, [u64; 2]); 2] = [(10, [7, 8]), (10_000, [10, 13])];

/// A directory with the file that `start.c` reads, and so many in a hundred others.
fn plant(root: &Path, files: usize) {
    fs::write(root.join("first"), "x").expect("write");
    for file in 0..files {
        let directory = root.join(format!("d{:02}", file % 100));
        fs::create_dir_all(&directory).expect("create a directory");
        fs::write(directory.join(format!("{file:06}")), [b'x'; 100]).expect("write");
    }
}

#[test]
fn a_start_touches_few_pages_whatever_is_packed() {
    let Some(libc) = Libc::ALL.into_iter().find(|libc| libc.is_here()) else {
        return;
    };
    let engine = Engine::default();
    let room = TempDir::new().expect("create a directory");
    let module = |linked| Program::Bench("start.c").compile(libc, Opt::O2, linked);
    let [alone, linked] = [Linked::Not, Linked::Last].map(module);
    let mut wrong = Vec::new();
    for (files, [most_linked, most_merged]) in FILES {
        let tree = TempDir::new().expect("create a directory");
        plant(tree.path(), files);
        let homes = [
            ("linked", &linked, None, most_linked),
            ("single", &alone, Some("--memory=single"), most_merged),
            ("multi", &alone, Some("--memory=multi"), most_merged),
        ];
        for (home, program, layout, most) in homes {
            let packed = room.path().join(format!("{home}.{files}.wasm"));
            let mut args = vec!["--mapdir".into(), mapped("/", tree.path())];
            args.extend(layout.map(Into::into));
            pack(program, args, &packed);
            let compiled = Compiled::new(&engine, &packed).expect("compile");
            let starts = in_turn(&[(&compiled, &Given::default())], STARTS);
            let faults = starts.expect("start")[0].faults;
            println!("{home}, {files} files: {faults} page faults of {most}");
            if faults > most {
                wrong.push(format!("{home}, {files} files: {faults}, not {most}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "starts fault on more pages than they may: {wrong:?}; \
         `perf record -e page-faults -c 1 -d` says which"
    );
}
