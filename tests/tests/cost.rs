//! What a call costs in WebAssembly instructions, which no busy machine changes.
//!
//! Each home of the file system runs the same calls with wasmtime's fuel as the
//! meter. It counts an instruction as one, so a `memory.copy` of any length is one,
//! too: how fast bytes are copied is for `make bench`. `tests/golden/cost.txt` holds
//! the counts as they were accepted last; `make bless-perf` accepts those of now.

use std::fs;
use std::path::{Path, PathBuf};

use monaka_tests::engine::{Exports, Program};
use monaka_tests::golden::Golden;
use monaka_tests::homes;
use monaka_tests::native::Guest;
use monaka_tests::toolbox::{self, Libc};
use tempfile::TempDir;
use wasmtime::{Config, Engine};

/// How far a count may be from the accepted one.
const TOLERANCE: f64 = 0.1;

/// What no file call asks for: creating a file asks for the time.
const POLICY: [&str; 7] = [
    "--env=HOME=/",
    "--env-allow=LANG",
    "--arg=--quiet",
    "--args-deny",
    "--random=seed=7",
    "--yield=deny",
    "--raise=deny",
];

/// Files in the large directory.
const MANY: usize = 1000;

/// How often each call is made.
const TIMES: u64 = 500;

/// The packed directory.
fn fill(root: &Path) {
    fs::create_dir_all(root.join("one/two/three")).expect("create directories");
    fs::write(root.join("one/two/three/file"), [7; 200_000]).expect("write");
    fs::create_dir(root.join("many")).expect("create a directory");
    for number in 0..MANY {
        fs::write(root.join(format!("many/{number}")), "").expect("write");
    }
}

/// The program in each home of the file system, packed with more `flags`.
fn homes(libc: Libc, room: &Path, flags: &[&str]) -> [(&'static str, PathBuf); 3] {
    let root = room.join("root");
    fill(&root);
    homes::pack(libc, &root, flags, room)
}

/// Instructions per call in each home.
fn measured(homes: &[(&'static str, PathBuf)]) -> Vec<Vec<(&'static str, u64)>> {
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).expect("an engine");
    let costs = homes.iter().map(|(_, packed)| {
        let program = Program::load(&engine, packed).expect("load");
        costs(&mut program.start(None).expect("start"))
    });
    costs.collect()
}

/// Instructions per call.
fn costs(guest: &mut Guest<Exports>) -> Vec<(&'static str, u64)> {
    let mut costs = Vec::new();
    let mut measure =
        |name, per: u64, guest: &mut Guest<Exports>, call: &mut dyn FnMut(&mut Guest<Exports>)| {
            // The first ones find nothing prepared; and what is done once in many calls
            // belongs to each of them.
            for _ in 0..TIMES {
                call(guest);
            }
            let before = guest.home.fuel();
            for _ in 0..TIMES {
                call(guest);
            }
            costs.push((name, (before - guest.home.fuel()) / TIMES / per));
        };
    let deep = "one/two/three/file";
    let file = guest.open(deep, 0).expect("open");
    measure("fd_pread, 1 byte", 1, guest, &mut |guest| {
        guest.pread(file, 1, 100_000).expect("read");
    });
    measure("fd_read, 1 byte", 1, guest, &mut |guest| {
        guest.read(file, 1).expect("read");
    });
    measure("fd_seek", 1, guest, &mut |guest| {
        guest.seek(file, 0, 0).expect("seek");
    });
    measure("fd_write, 1 byte", 1, guest, &mut |guest| {
        guest.write(file, b"x").expect("write");
    });
    measure("fd_filestat_get", 1, guest, &mut |guest| {
        guest.fstat(file).expect("stat");
    });
    measure("path_filestat_get, 4 components", 1, guest, &mut |guest| {
        guest.stat(deep, true).expect("stat");
    });
    measure("path_filestat_get, one of 1000", 1, guest, &mut |guest| {
        guest.stat("many/777", true).expect("stat");
    });
    measure("path_filestat_get, NOENT", 1, guest, &mut |guest| {
        guest.stat("many/x", true).expect_err("not there");
    });
    measure(
        "path_open, 4 components, fd_close",
        1,
        guest,
        &mut |guest| {
            let fd = guest.open(deep, 0).expect("open");
            guest.close(fd).expect("close");
        },
    );
    measure(
        "create, write 5 bytes, close, unlink",
        1,
        guest,
        &mut |guest| {
            guest.create("many/new", b"hello").expect("create");
            guest.unlink("many/new").expect("unlink");
        },
    );
    let many = guest.open("many", 2).expect("open");
    measure("fd_readdir, per entry", MANY as u64, guest, &mut |guest| {
        let entries = guest.readdir(many, 60_000).expect("list");
        assert_eq!(entries.len(), MANY);
    });
    costs
}

#[test]
fn calls_cost_what_was_accepted() {
    let room = TempDir::new().expect("create a directory");
    let Some(libc) = Libc::ALL.into_iter().find(|libc| libc.is_here()) else {
        toolbox::skip("no compiler for C");
        return;
    };
    let homes = homes(libc, room.path(), &[]);
    let measured = measured(&homes);
    let names = measured[0].iter().map(|(name, _)| *name);
    let row = |name: &str, cells: [&str; 3]| {
        format!("{name:38}{:>8}{:>8}{:>8}\n", cells[0], cells[1], cells[2])
    };
    let mut table = row("instructions per call", homes.map(|(home, _)| home));
    for (at, name) in names.enumerate() {
        let cells = measured.iter().map(|costs| costs[at].1.to_string());
        let cells: Vec<String> = cells.collect();
        table += &row(name, [&cells[0], &cells[1], &cells[2]]);
    }
    Golden::of_library("cost.txt").compare(&table, TOLERANCE);
}

/// What a policy is about are other functions of the module, so the rest of it runs the
/// same instructions as without.
#[test]
fn a_policy_costs_nothing_where_it_is_not_asked() {
    let Some(libc) = Libc::ALL.into_iter().find(|libc| libc.is_here()) else {
        toolbox::skip("no compiler for C");
        return;
    };
    let [free, policed] = [&[][..], &POLICY].map(|flags| {
        let room = TempDir::new().expect("create a directory");
        measured(&homes(libc, room.path(), flags))
    });
    assert_eq!(free, policed);
}
