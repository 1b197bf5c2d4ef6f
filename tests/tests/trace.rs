//! What `--trace`, `--fault` and `monaka profile` do, on a linked program, on one that is
//! rewritten in both layouts, and on one that is not packed.
//!
//! To run one again: `cargo test --release -p monaka-tests --test trace fault`

use std::fs;
use std::path::PathBuf;

use monaka_tests::toolbox::{
    Libc, Linked, Opt, Outcome, Program, finish, imports, mapped, monaka, pack, root,
};
use tempfile::TempDir;

const PROGRAM: Program = Program::Test("traced.c");

/// The calls that are the program's own, and not its libc's.
const OWN: &str = "open,read,fd_seek,path_filestat_get,mkdir,rename,close,proc_exit";

/// What is logged of them.
const LOG: &str = r#"path_open(3 </>, "etc/motd", 0, read) = 4
fd_seek(4 </etc/motd>, -5, end) = 8
fd_read(4 </etc/motd>, 64) = 5
fd_close(4 </etc/motd>) = 0
path_filestat_get(3 </>, "nope \x22\n") = NOENT
path_filestat_get(3 </>, "etc/link", NOFOLLOW) = symbolic link, 4 bytes
path_filestat_get(3 </>, "etc/link") = file, 13 bytes
path_create_directory(3 </>, "db") = 0
path_open(3 </>, "db/a", CREAT|TRUNC, read|write) = 4
fd_close(4 </db/a>) = 0
path_rename(3 </>, "db/a", 3 </>, "db/b") = 0
"#;

struct Place {
    dir: TempDir,
    name: &'static str,
}

/// Has `look` look at the program packed by each route and in each layout, and not packed.
/// Its module is `app.wasm`, its files are in `root`.
fn each(look: impl Fn(&Place)) {
    for (linked, name, flags) in [
        (Linked::Zstd, "linked", Some(&["--route", "linked"][..])),
        (Linked::Not, "single", Some(&["--memory", "single"])),
        (Linked::Not, "multi", Some(&["--memory", "multi"])),
        (Linked::Not, "not packed", None),
    ] {
        let place = Place::new(name);
        let program = PROGRAM.compile(Libc::Old, Opt::O2, linked);
        match flags {
            None => drop(fs::copy(program, place.path("app.wasm")).expect("copy")),
            Some(flags) => {
                let mut args = vec!["--mapdir".into(), mapped("/", &place.path("root"))];
                args.extend(flags.iter().map(Into::into));
                pack(&program, args, &place.path("app.wasm"));
            }
        }
        look(&place);
    }
}

impl Place {
    fn new(name: &'static str) -> Place {
        let place = Place {
            dir: TempDir::new().expect("create a directory"),
            name,
        };
        let etc = place.path("root/etc");
        fs::create_dir_all(&etc).expect("create a directory");
        fs::write(etc.join("motd"), "hello, there\n").expect("write");
        fs::write(etc.join("unused"), "nobody reads this\n").expect("write");
        std::os::unix::fs::symlink("motd", etc.join("link")).expect("symlink");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{}, {name}: {e}", self.name))
    }

    /// `monaka` in this place; `args` are parted by spaces.
    fn monaka(&self, args: &str) -> Outcome {
        let mut command = monaka(args.split(' '));
        finish(command.current_dir(self.dir.path()), "")
    }

    /// `monaka run` of the program; one that is not packed gets a directory of the host.
    fn run(&self, flags: &str, args: &str) -> Outcome {
        let directory = match self.name {
            "not packed" => "--dir root::/ ",
            _ => "",
        };
        self.monaka(&format!("run app.wasm {directory}{flags} -- {args}"))
    }
}

/// The line of a summary.
fn counted(log: &str, call: &str) -> Vec<u64> {
    let mut lines = log.lines();
    let line = lines.find(|line| line.ends_with(&format!("  {call}")));
    let line = line.unwrap_or_else(|| panic!("no {call} in {log}"));
    let words = line.split_whitespace();
    words.map_while(|word| word.parse().ok()).collect()
}

#[test]
fn calls_are_logged_with_what_they_answer_and_counted() {
    each(|place| {
        let flags = format!("--trace=log --trace-calls {OWN}");
        let ran = place.run(&flags, "now").expect_success();
        assert!(!ran.stdout.contains("path_open"), "{}", place.name);
        let log = place.text("log");
        assert!(log.starts_with(LOG), "{}: {log}", place.name);
        assert!(!log.contains("proc_exit("), "{}: it returned", place.name);
        assert_eq!(counted(&log, "path_open"), [2, 0, 0], "{}", place.name);
        assert_eq!(counted(&log, "fd_read"), [1, 0, 5], "{}", place.name);
        let looked = counted(&log, "path_filestat_get");
        assert_eq!(looked, [3, 1, 0], "{}: {log}", place.name);

        fs::remove_dir_all(place.path("root/db")).ok();
        let ran = place.run(&flags, "exit");
        assert_eq!(ran.code, Some(7), "{}", place.name);
        let log = place.text("log");
        let end = log.strip_prefix(LOG).unwrap_or_default();
        assert!(end.starts_with("proc_exit(7)\n"), "{}: {log}", place.name);
        assert_eq!(counted(&log, "proc_exit"), [1, 0, 0], "{}", place.name);
    });
}

#[test]
fn a_packed_trace_goes_to_a_file_and_another_pack_takes_it_out() {
    each(|place| {
        if place.name == "not packed" {
            return;
        }
        let before = imports(&place.path("app.wasm"));
        let traced = format!("pack app.wasm --trace=/var/log/calls --trace-calls {OWN} -o t.wasm");
        place.monaka(&traced).expect_success();
        place.monaka("doctor t.wasm").expect_success();
        let said = place.monaka("inspect t.wasm").expect_success().stdout;
        let line = said.lines().find(|line| line.starts_with("traced "));
        assert!(
            line.is_some_and(|line| line.ends_with("to /var/log/calls")),
            "{said}"
        );
        place.monaka("run t.wasm --save-to after").expect_success();
        let log = place.text("after/var/log/calls");
        assert!(log.starts_with(LOG), "{}: {log}", place.name);
        assert_eq!(counted(&log, "fd_read"), [1, 0, 5], "{}", place.name);
        assert_eq!(place.text("after/db/b"), "onetwothree");

        let again = place.monaka("pack t.wasm -o n.wasm").expect_success();
        assert!(again.stderr.contains("neither logged"), "{}", again.stderr);
        let mut after = imports(&place.path("n.wasm"));
        let mut before = before;
        before.sort();
        after.sort();
        assert_eq!(before, after, "{}", place.name);
        let plain = place.monaka("run n.wasm").expect_success();
        plain.expect_same(&place.monaka("run app.wasm").expect_success());
        let said = place.monaka("inspect n.wasm").expect_success().stdout;
        assert!(!said.contains("traced "), "{said}");
    });
}

#[test]
fn faults_answer_without_the_call_being_made() {
    each(|place| {
        let fault = "--fault write:/db/*:NOSPC@2";
        let ran = place.run(fault, "now").expect_success();
        let nospc = "write: 0, 3\nwrite: 51, 0\nwrite: 0, 5\n";
        assert_eq!(ran.stdout, nospc, "{}: {}", place.name, ran.stderr);

        fs::remove_dir_all(place.path("root/db")).ok();
        let faults = "--fault create:/db/**:ROFS --fault fd_close:/etc/*:EIO@1+ --trace=log";
        let ran = place.run(faults, "now").expect_success();
        assert!(ran.stdout.starts_with("open db/a: 69\n"), "{}", ran.stdout);
        let log = place.text("log");
        for line in [
            r#"path_open(3 </>, "db/a", CREAT|TRUNC, read|write) = ROFS (fault)"#,
            "fd_close(4 </etc/motd>) = IO (fault)",
        ] {
            assert!(log.lines().any(|logged| logged == line), "{log}");
        }
    });
}

/// SQLite reports a full disk and keeps its database as it was.
#[test]
fn a_database_survives_the_faults_of_its_writes() {
    let place = Place::new("sqlite");
    let program = Program::Example("sqlite").compile(Libc::Old, Opt::O2, Linked::Not);
    let files = root().join("c-examples/sqlite/root");
    let tool = place.path("tool.wasm");
    pack(&program, ["--mapdir".into(), mapped("/", &files)], &tool);
    place
        .monaka("run tool.wasm --save-to made -- build /library.sql /library.db")
        .expect_success();
    let made = place.path("made");
    let module = place.path("app.wasm");
    pack(&program, ["--mapdir".into(), mapped("/", &made)], &module);
    let whole = place.monaka("run app.wasm").expect_success();
    let fault = "--fault write:/library.db*:NOSPC@3+";
    let ran = place.monaka(&format!("run app.wasm {fault} --save-to after"));
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.contains("full"), "{}", ran.stderr);
    // The lock of a program that ended in a transaction; its journal makes the database
    // whole again.
    let lock = place.path("after/library.db.lock");
    fs::remove_dir(&lock).expect("the lock is there");
    pack(
        &program,
        ["--mapdir".into(), mapped("/", &place.path("after"))],
        &module,
    );
    place
        .monaka("run app.wasm")
        .expect_success()
        .expect_same(&whole);
}

#[test]
fn what_a_profile_lists_is_what_the_program_needs() {
    each(|place| {
        if place.name == "not packed" {
            let error = place.monaka("profile app.wasm");
            assert!(
                error.stderr.contains("nothing is packed"),
                "{}",
                error.stderr
            );
            return;
        }
        let whole = place.monaka("profile app.wasm -o used").expect_success();
        assert_eq!(
            place.text("used"),
            "/etc/\n/etc/link\n/etc/motd\n",
            "{}",
            place.name
        );
        // Of a fresh pack, whose route is that of before.
        let flags = match place.name {
            "multi" => "--memory multi ",
            _ => "",
        };
        let linked = match place.name {
            "linked" => Linked::Zstd,
            _ => Linked::Not,
        };
        let program = PROGRAM.compile(Libc::Old, Opt::O2, linked);
        fs::write(place.path("more"), "/etc/gone\n").expect("write");
        fs::copy(program, place.path("program.wasm")).expect("copy");
        let packed = place
            .monaka(&format!(
                "pack program.wasm {flags}--mapdir /::root --only-used used --only-used more -o small.wasm"
            ))
            .expect_success();
        assert!(
            packed.stderr.contains("such as /etc/gone"),
            "{}",
            packed.stderr
        );
        let left = place.monaka("ls small.wasm /etc").expect_success();
        assert_eq!(
            left.stdout.split_whitespace().collect::<Vec<_>>(),
            ["link", "motd"]
        );
        let small = place.monaka("profile small.wasm -o again").expect_success();
        small.expect_same(&whole);
        assert_eq!(place.text("again"), place.text("used"), "{}", place.name);
    });
}

/// A program of `wasi_unstable`, whose layouts are others, packed and traced.
#[test]
fn calls_of_the_older_wasi_are_decoded() {
    let place = Place::new("unstable");
    let wasm = wat::parse_str(
        r#"(module
            (import "wasi_unstable" "path_filestat_get"
                (func $stat (param i32 i32 i32 i32 i32) (result i32)))
            (import "wasi_unstable" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_unstable" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
            (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "etc/motd")
            (func (export "_start")
                (drop (call $stat (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 8)
                    (i32.const 128)))
                (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 8)
                    (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 256)))
                (drop (call $seek (i32.load (i32.const 256)) (i64.const 2) (i32.const 2)
                    (i32.const 264)))
                (call $exit (i32.const 0))))"#,
    );
    fs::write(place.path("old.wasm"), wasm.expect("it parses")).expect("write");
    place
        .monaka("pack old.wasm --mapdir /::root -o app.wasm")
        .expect_success();
    place.monaka("run app.wasm --trace=log").expect_success();
    let log = place.text("log");
    let expected = r#"path_filestat_get(3 </>, "etc/motd") = file, 13 bytes
path_open(3 </>, "etc/motd", NOFOLLOW, read) = 4
fd_seek(4 </etc/motd>, 2, set) = 2
proc_exit(0)
"#;
    assert!(log.starts_with(expected), "{log}");
}
