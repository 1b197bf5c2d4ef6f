//! What programs leave: `monaka run --save-to` and `monaka commit`, by each route
//! and in each layout. What a program of `e2e.rs` leaves is compared with a
//! directory of the host there.
//!
//! To run one again: `cargo test --release -p monaka-tests --test save notes`

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use monaka_tests::toolbox::{
    Libc, Linked, Opt, Outcome, Program, finish, mapped, monaka, pack, root, skip,
};
use monaka_tests::tree;
use tempfile::TempDir;

const LEAVE: Program = Program::Test("leave.c");

const COMPRESS: &str = "--compress";

/// Packs a directory as `/` by each route and in each layout, and has `each` do
/// something with the packed module in a directory of its own.
fn each_route(program: Program, packed: &Path, flags: &[&str], each: impl Fn(&Place)) {
    if !Libc::Old.is_here() {
        return;
    }
    let library = match flags.contains(&COMPRESS) {
        true => Linked::Zstd,
        false => Linked::Last,
    };
    for (linked, more) in [
        (library, &["--route", "linked"][..]),
        (Linked::Not, &["--memory", "single"]),
        (Linked::Not, &["--memory", "multi"]),
    ] {
        let place = Place {
            dir: TempDir::new().expect("create a directory"),
            module: program.compile(Libc::Old, Opt::O2, linked),
            flags: [flags, more]
                .concat()
                .iter()
                .map(|f| f.to_string())
                .collect(),
        };
        place.pack(packed, "app.wasm");
        each(&place);
    }
}

struct Place {
    dir: TempDir,
    module: PathBuf,
    flags: Vec<String>,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn pack(&self, directory: &Path, out: &str) {
        let mut args = vec!["--mapdir".into(), mapped("/", directory)];
        args.extend(self.flags.iter().map(Into::into));
        pack(&self.module, args, &self.path(out));
    }

    /// `monaka` in this place; `args` are parted by spaces.
    fn monaka(&self, args: &str) -> Outcome {
        let mut command = monaka(args.split(' '));
        finish(command.current_dir(self.dir.path()), "")
    }

    fn ok(&self, args: &str) -> String {
        self.monaka(args).expect_success().stdout
    }

    /// Two modules are the same.
    #[track_caller]
    fn expect_equal(&self, one: &str, other: &str) {
        let equal = self.bytes(one) == self.bytes(other);
        assert!(
            equal,
            "{one} and {other} differ, packed with {:?}",
            self.flags
        );
    }
}

/// A directory with something of each kind, none of which is of now.
fn sample() -> TempDir {
    let dir = TempDir::new().expect("create a directory");
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("sub/empty")).expect("create directories");
    let odd = std::ffi::OsStr::from_bytes(b"sub/not utf-8 \xff");
    for (name, contents) in [
        ("text", "a text\n"),
        ("tool", "#!/bin/sh\n"),
        ("sub/one", "has two names\n"),
        ("sub/none", ""),
        ("sub/moved", "will be elsewhere\n"),
    ] {
        fs::write(at(name), contents).expect("write");
    }
    fs::write(dir.path().join(odd), "odd\n").expect("write");
    fs::write(at("sub/large"), "large ".repeat(200_000)).expect("write");
    fs::hard_link(at("sub/one"), at("two")).expect("link");
    symlink("../text", at("sub/soft")).expect("symlink");
    symlink("/etc/passwd", at("absolute")).expect("symlink");
    fs::set_permissions(at("tool"), fs::Permissions::from_mode(0o755)).expect("chmod");
    for name in [
        "text",
        "tool",
        "sub/one",
        "sub/none",
        "sub/moved",
        "sub/large",
        "sub",
    ] {
        let time = UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789);
        let file = File::open(at(name)).expect("open");
        file.set_modified(time).expect("set the time");
    }
    dir
}

/// Names, kinds, sizes, links and contents below a directory, and times and modes.
fn listed(directory: &Path) -> String {
    let mut lines = tree::listed(directory);
    let mut open = vec![directory.to_path_buf()];
    let mut stamps = Vec::new();
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).expect("read a directory") {
            let entry = entry.expect("read an entry");
            let meta = entry.metadata().expect("lstat");
            let executable = meta.is_file() && meta.mode() & 0o111 != 0;
            let path = entry.path();
            let name = path
                .strip_prefix(directory)
                .expect("it is below")
                .to_path_buf();
            stamps.push(format!(
                "{name:?} {}.{} {executable}\n",
                meta.mtime(),
                meta.mtime_nsec()
            ));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    stamps.sort();
    lines.extend(stamps);
    lines
}

#[test]
fn notes_are_there_the_next_time() {
    let notes = root().join("c-examples/notes/root");
    each_route(Program::Example("notes"), &notes, &[], |place| {
        place.ok("commit app.wasm -o app.wasm -- add milk two litres");
        place.ok("commit app.wasm -o app.wasm -- add bread yes");
        assert_eq!(place.ok("run app.wasm -- show milk"), "two litres\n");
        place.ok("commit app.wasm -o app.wasm -- remove milk");
        let list = place.ok("run app.wasm -- list");
        assert!(list.contains("bread") && !list.contains("milk"), "{list}");
    });
}

#[test]
fn nothing_done_is_nothing_changed() {
    let sample = sample();
    let flags = [
        "--read-only",
        "/sub",
        "--max-bytes",
        "1M",
        "--max-inodes",
        "7",
    ];
    each_route(LEAVE, sample.path(), &flags, |place| {
        place.ok("commit app.wasm -q -o same.wasm");
        place.expect_equal("same.wasm", "app.wasm");
        place.ok("run app.wasm --save-to saved");
        assert_eq!(listed(&place.path("saved")), listed(sample.path()));
        place.ok("run app.wasm --save-to changed --changed");
        assert_eq!(tree::listed(&place.path("changed")), "");
    });
}

/// Commands that change the sample in every way there is.
const CHANGES: &str = "put text short append two more size sub/large 700000 link tool sub/tool \
                       move sub/moved moved touch sub/none date sub/soft 1000 remove absolute \
                       mkdir new put new/file new symlink nowhere new/link put tmp/kept kept \
                       unclosed open written removed gone";

#[test]
fn a_commit_is_a_pack_of_what_is_left() {
    let sample = sample();
    let flags = ["--max-bytes", "1M", "--max-inodes", "100"];
    each_route(LEAVE, sample.path(), &flags, |place| {
        place.ok(&format!("commit app.wasm -o after.wasm -- {CHANGES}"));
        place.ok("run after.wasm --save-to saved");
        let saved = place.path("saved");
        let lines = listed(&saved);
        for line in [
            "/text 5 1 ",
            "/sub/one 18 2 ",
            "/two 18 2 ",
            "/sub/large 700000 1 ",
            "/sub/tool 10 2 ",
            "/moved 18 1 ",
            "/new/link -> nowhere",
            "/tmp/kept 4 1 ",
            "/open 7 1 ",
            "\"tool\" 1600000000.123456789 true",
            "\"moved\" 1600000000.123456789 false",
        ] {
            assert!(lines.contains(line), "{line}\n{lines}");
        }
        assert!(
            !lines.contains("absolute") && !lines.contains("gone"),
            "{lines}"
        );
        assert_eq!(fs::read(saved.join("two")).unwrap(), b"has two names\nmore");
        // /tmp was touched, so it was saved and is mapped with all else.
        place.pack(&saved, "afresh.wasm");
        place.expect_equal("after.wasm", "afresh.wasm");
        place.ok("commit after.wasm -q -o again.wasm");
        place.expect_equal("after.wasm", "again.wasm");
    });
}

/// How many files of a module are compressed.
fn compressed_files(place: &Place, module: &str) -> usize {
    let listed = place.ok(&format!("ls --json -R {module}"));
    listed.matches("\"stored\":").count()
}

#[test]
fn what_is_new_is_compressed_where_files_are() {
    let sample = sample();
    each_route(LEAVE, sample.path(), &[COMPRESS], |place| {
        assert_eq!(compressed_files(place, "app.wasm"), 1);
        let changes = format!("{CHANGES} big new/big 3");
        place.ok(&format!("commit app.wasm -o after.wasm -- {changes}"));
        assert_eq!(compressed_files(place, "after.wasm"), 2);
        place.ok("run after.wasm --save-to saved");
        place.pack(&place.path("saved"), "afresh.wasm");
        place.expect_equal("after.wasm", "afresh.wasm");
        place.ok("commit after.wasm -q -o again.wasm");
        place.expect_equal("after.wasm", "again.wasm");
        // Not if that is said; what nobody has changed stays as it is.
        place.ok("commit app.wasm --compress=false -o plain.wasm -- big new 3");
        assert_eq!(compressed_files(place, "plain.wasm"), 1);
        place.ok("verify plain.wasm");
        place.ok("run plain.wasm --save-to plain");
        let lines = listed(&place.path("plain"));
        assert!(lines.contains("/new 3145728 1 "), "{lines}");
        // And all of it if that is said.
        place.ok("commit plain.wasm --compress -o small.wasm");
        assert_eq!(compressed_files(place, "small.wasm"), 2);
        place.ok("diff small.wasm plain.wasm");
    });
}

#[test]
fn a_commit_compresses_only_what_a_decoder_reads() {
    let sample = sample();
    each_route(LEAVE, sample.path(), &[], |place| {
        let outcome = place.monaka("commit app.wasm --compress -o small.wasm");
        assert_eq!(outcome.code, Some(1));
        let why = "does not read compressed files";
        assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("\n  hint: "), "{}", outcome.stderr);
        assert!(!place.path("small.wasm").exists());
    });
}

#[test]
fn compressed_files_are_added_by_each_route() {
    let (sample, more) = (sample(), TempDir::new().expect("create a directory"));
    fs::write(more.path().join("file"), "added ".repeat(100_000)).expect("write");
    each_route(LEAVE, sample.path(), &[COMPRESS], |place| {
        let mapping = mapped("/more", more.path());
        let mapping = mapping.to_str().expect("a path of ours");
        place.ok(&format!("add app.wasm --mapdir {mapping} -o plain.wasm"));
        assert_eq!(compressed_files(place, "plain.wasm"), 1);
        place.ok(&format!(
            "add app.wasm --mapdir {mapping} --compress -o added.wasm"
        ));
        assert_eq!(compressed_files(place, "added.wasm"), 2);
        place.ok(&format!(
            "pack app.wasm --mapdir {mapping} --compress -o afresh.wasm"
        ));
        // The same but for --route and --memory, which it keeps.
        place.expect_equal("added.wasm", "afresh.wasm");
        place.ok("verify added.wasm");
        place.ok("rm added.wasm -r /more -o removed.wasm");
        place.expect_equal("removed.wasm", "app.wasm");
        // A program reads what was added, and changes it.
        place.ok("commit added.wasm -o longer.wasm -- append more/file end");
        place.ok("extract longer.wasm /more/file -o out -q");
        let bytes = place.bytes("out/more/file");
        assert!(
            bytes
                == ["added ".repeat(100_000).as_str(), "end"]
                    .concat()
                    .as_bytes()
        );
        assert_eq!(compressed_files(place, "longer.wasm"), 2);
    });
}

#[test]
fn only_changed_files_are_saved_if_that_is_asked() {
    let sample = sample();
    each_route(LEAVE, sample.path(), &[], |place| {
        place.ok(
            "run app.wasm --save-to out --changed -- append two more mkdir new move text new/text",
        );
        let names: Vec<String> = (tree::listed(&place.path("out")).lines())
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(names, ["/new/", "/new/text", "/sub/", "/sub/one", "/two"]);
    });
}

#[test]
fn an_archive_goes_to_stdout_and_what_is_printed_to_stderr() {
    let sample = sample();
    each_route(LEAVE, sample.path(), &[], |place| {
        place.ok("run app.wasm --save-to a.tar -- put text changed date text 5");
        let mut command =
            monaka("run app.wasm --save-to - -- say hello put text changed date text 5".split(' '));
        let output = command
            .current_dir(place.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "hello\n");
        let names = |bytes: &[u8]| {
            let mut archive = tar::Archive::new(bytes);
            let entries = archive.entries().unwrap().map(|entry| {
                let mut entry = entry.unwrap();
                let mut contents = String::new();
                entry.read_to_string(&mut contents).unwrap();
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                (name, entry.header().mode().unwrap(), contents.len())
            });
            entries.collect::<Vec<_>>()
        };
        let found = names(&output.stdout);
        assert_eq!(found, names(&place.bytes("a.tar")));
        assert!(found.contains(&("text".into(), 0o644, 7)), "{found:?}");
        assert!(found.contains(&("tool".into(), 0o755, 10)), "{found:?}");
    });
}

#[test]
fn files_are_saved_however_the_program_ends_but_committed_only_if_it_ends_well() {
    let sample = sample();
    each_route(LEAVE, sample.path(), &[], |place| {
        let committed = |flags: &str, end: &str| {
            let args = format!("commit app.wasm -o out.wasm{flags} -- put text new {end}");
            place.monaka(&args)
        };
        for (end, status) in [("exit 3", 3), ("trap", 134)] {
            let saved = status.to_string();
            let args = format!("run app.wasm --save-to {saved} -- put text new {end}");
            assert_eq!(place.monaka(&args).code, Some(status), "{end}");
            assert_eq!(fs::read(place.path(&saved).join("text")).unwrap(), b"new");
            let outcome = committed("", end);
            assert_eq!(outcome.code, Some(status), "{}", outcome.stderr);
            let message = format!(
                "error: out.wasm was not written, as the program ended with status {status}\n  hint: "
            );
            assert!(outcome.stderr.contains(&message), "{}", outcome.stderr);
            assert!(!place.path("out.wasm").exists());
        }
        assert_eq!(committed(" --any-status", "trap").code, Some(134));
        assert!(!place.path("out.wasm").exists());
        assert_eq!(committed(" --any-status", "exit 3").code, Some(3));
        place.ok("run out.wasm --save-to any");
        assert_eq!(fs::read(place.path("any/text")).unwrap(), b"new");
    });
}

#[test]
fn closed_descriptors_deep_directories_and_large_files_are_no_hindrance() {
    let sample = sample();
    each_route(LEAVE, sample.path(), &[], |place| {
        place.ok("commit app.wasm -o out.wasm -- deep 300 big sub/big 40 close");
        place.ok("run out.wasm --save-to saved -- close");
        let mut bottom = place.path("saved");
        bottom.extend(["d"; 300]);
        assert_eq!(fs::read(bottom.join("bottom")).unwrap(), b"deep");
        let big = fs::read(place.path("saved/sub/big")).unwrap();
        assert_eq!(big.len(), 40 << 20);
        assert!(
            big.chunks(1 << 20)
                .zip(1..)
                .all(|(block, n)| block.iter().all(|b| *b == n))
        );
    });
}

#[test]
fn a_file_that_nobody_could_store_is_refused() {
    let sample = sample();
    each_route(LEAVE, sample.path(), &[], |place| {
        let end = "put hole x size hole 1099511627776";
        for (args, left) in [
            ("run app.wasm --save-to out", "out"),
            ("commit app.wasm -o out.wasm", "out.wasm"),
        ] {
            let outcome = place.monaka(&format!("{args} -- {end}"));
            assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("`hole`"), "{}", outcome.stderr);
            assert!(
                outcome.stderr.contains("1099511627776 bytes"),
                "{}",
                outcome.stderr
            );
            assert!(!place.path(left).exists());
        }
        // What an image cannot hold, a directory can.
        let args = "run app.wasm --save-to out -- put hole x size hole 3000000000";
        place.ok(args);
        let hole = fs::metadata(place.path("out/hole")).unwrap();
        assert_eq!(hole.len(), 3_000_000_000);
        assert!(hole.blocks() < 1000, "{}", hole.blocks());
    });
}

/// In the single layout a program can write over its file system. What is found
/// then may be anything; it must be found in time and without a panic.
#[test]
fn a_program_that_damages_its_own_files_gets_errors() {
    if !Libc::Old.is_here() {
        return;
    }
    let sample = sample();
    let place = Place {
        dir: TempDir::new().expect("create a directory"),
        module: LEAVE.compile(Libc::Old, Opt::O2, Linked::Not),
        flags: Vec::new(),
    };
    place.pack(sample.path(), "app.wasm");
    let inspected: serde_json::Value =
        serde_json::from_str(&place.ok("inspect app.wasm --json")).expect("JSON");
    let memory = |field: &str| inspected["memories"][0][field].as_u64().expect("bytes");
    let base = memory("program") + memory("headroom");
    let damaged = |from: u64, len: u64, byte: u8| {
        let at = base + from;
        let end = format!("put new x mkdir dir put dir/x y smash {at} {len} {byte}");
        let outcome = place.monaka(&format!("run app.wasm --save-to out -- {end}"));
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        match outcome.code {
            Some(0) => {
                fs::remove_dir_all(place.path("out")).expect("remove");
                false
            }
            Some(1) => {
                assert!(outcome.stderr.contains("hint: "), "{}", outcome.stderr);
                assert!(!place.path("out").exists());
                true
            }
            code => panic!("{end}: {code:?}\n{}", outcome.stderr),
        }
    };
    // The stack comes first, at rest there is nothing on it.
    let pages = (16..48).map(|page| page * 4096);
    let vital: Vec<u64> = pages.filter(|from| damaged(*from, 4096, 255)).collect();
    assert!(vital.len() > 1, "{vital:?}");
    for from in vital {
        for (piece, byte) in (0..16).zip([0, 255, 1, 16].into_iter().cycle()) {
            damaged(from + piece * 256, 256, byte);
        }
    }
}

#[test]
fn a_database_is_filled_committed_and_opened_by_the_hosts_sqlite() {
    let sqlite = root().join("c-examples/sqlite/root");
    each_route(Program::Example("sqlite"), &sqlite, &[], |place| {
        place.ok("commit app.wasm -o filled.wasm -- build /library.sql /library.db");
        let direct = place.ok("run filled.wasm");
        assert!(!direct.is_empty());
        place.ok("run filled.wasm --save-to out -- build /library.sql /other.db");
        for name in ["library.db", "other.db"] {
            let mut command = Command::new("sqlite3");
            command
                .arg(place.path("out").join(name))
                .arg("pragma integrity_check");
            match command.output() {
                Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n"),
                Err(error) => {
                    skip(&format!("sqlite3 cannot be run: {error}"));
                }
            }
        }
    });
}
