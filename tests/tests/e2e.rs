//! C programs with their directories packed inside, through compiler, `monaka
//! pack` and `monaka run`.
//!
//! A cell is a program × a libc × an optimisation level. In each, the program
//! runs on a directory of the host without the library, on one with the library
//! but unpacked, and packed on no directory at all; the three must print the
//! same, end the same and leave the same tree. The host is the oracle.
//!
//! To run one again: `cargo test --release -p monaka-tests --test e2e everything::zig_o2`

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use monaka_tests::toolbox::{
    Libc, Linked, Opt, Outcome, Program, finish, imports, mapped, monaka, pack, root,
};
use monaka_tests::tree;
use monaka_vfs_core::access::Access;
use monaka_vfs_core::witx;
use tempfile::TempDir;

/// A program and what it is given.
struct Case {
    program: Program,
    args: &'static [&'static str],
    stdin: &'static str,
    /// Fills the directory that it works on, the same each time.
    fill: fn(&Path),
    /// Runs on that directory before it is used.
    before: &'static [&'static str],
}

impl Case {
    const fn new(program: Program) -> Case {
        Case {
            program,
            args: &[],
            stdin: "",
            fill: sample,
            before: &[],
        }
    }

    const fn example(name: &'static str, fill: fn(&Path)) -> Case {
        let mut case = Case::new(Program::Example(name));
        case.fill = fill;
        case
    }

    /// Runs it packed, and fails unless it leaves the tree that it left on the host.
    fn save(&self, module: &Path, expected: &Outcome, tree: &str) {
        let saved = TempDir::new().expect("create a directory");
        let mut command = monaka(["run".as_ref(), module.as_os_str()]);
        command.arg("--save-to").arg(saved.path());
        self.finish(command).expect_same(expected);
        assert_eq!(tree::listed(saved.path()), tree, "saved");
    }

    fn run(&self, module: &Path, dir: Option<&Path>) -> Outcome {
        let mut command = monaka(["run".as_ref(), module.as_os_str()]);
        if let Some(dir) = dir {
            command.arg("--dir").arg(at_root(dir));
        }
        self.finish(command)
    }

    /// Ends a command with what every run of the program is given.
    fn finish(&self, mut command: Command) -> Outcome {
        command.args([
            "--env",
            "MONAKA_DUMP=1",
            "--env",
            "GREETING=hello",
            "--env",
            "EMPTY=",
        ]);
        command.arg("--").args(self.args);
        finish(&mut command, self.stdin)
    }

    /// A new directory to work on.
    fn directory(&self, plain: &Path) -> TempDir {
        let dir = TempDir::new().expect("create a directory");
        (self.fill)(dir.path());
        if !self.before.is_empty() {
            let mut command = monaka(["run".as_ref(), plain.as_os_str()]);
            command
                .arg("--dir")
                .arg(at_root(dir.path()))
                .arg("--")
                .args(self.before);
            finish(&mut command, "").expect_success();
        }
        dir
    }

    fn check(&self, libc: Libc, opt: Opt) {
        if !libc.is_here() {
            return;
        }
        let plain = self.program.compile(libc, opt, Linked::Not);
        let linked = self.program.compile(libc, opt, Linked::Last);

        let host = self.directory(&plain);
        let packable = self.directory(&plain);
        let unpacked = self.directory(&plain);
        let expected = self.run(&plain, Some(host.path()));
        let tree = tree::listed(host.path());
        if let Some((_, dump)) = expected.stdout.split_once("--- tree\n") {
            assert!(
                dump.starts_with(&tree),
                "the program's dump\n{dump}\nis not\n{tree}"
            );
        }

        self.run(&linked, Some(unpacked.path()))
            .expect_same(&expected);
        assert_eq!(
            tree::listed(unpacked.path()),
            tree,
            "left by the unpacked program"
        );

        let untouched = tree::listed(packable.path());
        let out = packable.path().with_extension("wasm");
        let mapping = mapped("/", packable.path());
        pack(&linked, bare(&mapping), &out);
        self.run(&out, None).expect_same(&expected);
        assert_eq!(
            tree::listed(packable.path()),
            untouched,
            "the packed directory"
        );
        expect_isolated(&out, &plain);
        for layout in ["single", "multi"] {
            let layout = ["--memory", layout].map(OsStr::new);
            let args = bare(&mapping).into_iter().chain(layout);
            pack(&plain, args, &out);
            self.run(&out, None).expect_same(&expected);
            expect_no_files(&out);
            self.save(&out, &expected, &tree);
        }
        fs::remove_file(&out).expect("remove the packed module");
    }
}

/// Packs a mapping and nothing else, so that it can be compared with the host's.
fn bare(mapping: &OsStr) -> [&OsStr; 4] {
    let [flag, no_dev, no_tmp] = ["--mapdir", "--no-dev", "--no-tmp"].map(OsStr::new);
    [flag, mapping, no_dev, no_tmp]
}

/// `HOST::/` for `monaka run --dir`.
fn at_root(dir: &Path) -> std::ffi::OsString {
    let mut mapping = dir.as_os_str().to_owned();
    mapping.push("::/");
    mapping
}

/// Fails if a packed module imports a file call; answers what it imports and
/// what it may.
fn expect_no_files(packed: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let allowed: BTreeSet<String> = (witx::HOST_ONLY.iter().map(|function| function.name))
        .chain(Access::<()>::default().calls(false).names())
        .map(|name| format!("{}.{name}", witx::MODULE))
        .collect();
    let kept: BTreeSet<String> = imports(packed).into_iter().collect();
    let file_calls: Vec<_> = kept.difference(&allowed).collect();
    assert!(
        file_calls.is_empty(),
        "{}: {file_calls:?}",
        packed.display()
    );
    (kept, allowed)
}

/// Fails unless `packed` imports exactly what `plain` does without the file
/// system. The library itself asks for nothing but the time.
#[track_caller]
fn expect_isolated(packed: &Path, plain: &Path) {
    let (kept, allowed) = expect_no_files(packed);
    let mut expected: BTreeSet<String> = imports(plain).into_iter().collect();
    expected.retain(|import| allowed.contains(import));
    // The file system's own: timestamps, and /dev/random.
    for own in ["clock_time_get", "random_get"] {
        let own = format!("{}.{own}", witx::MODULE);
        if kept.contains(&own) {
            expected.insert(own);
        }
    }
    assert_eq!(kept, expected, "imports of {}", packed.display());
}

fn write(path: PathBuf, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("create directories");
    fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn sample(dir: &Path) {
    write(dir.join("text"), "a text of one line\n");
    write(dir.join("dir/file"), "inner\n");
    write(dir.join("dir/other"), "linked twice\n");
    fs::hard_link(dir.join("dir/other"), dir.join("again")).expect("link");
    std::os::unix::fs::symlink("../text", dir.join("dir/soft")).expect("symlink");
}

fn large(dir: &Path) {
    let byte = |i: usize| (i * 31 + i / 4096) as u8;
    write(
        dir.join("large"),
        (0..3_000_001).map(byte).collect::<Vec<_>>(),
    );
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create a directory");
    for entry in fs::read_dir(from).expect("read a directory") {
        let (from, to) = {
            let entry = entry.expect("read an entry");
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_symlink() {
            let target = fs::read_link(&from).expect("readlink");
            std::os::unix::fs::symlink(target, to).expect("symlink");
        } else if from.is_dir() {
            copied(&from, &to);
        } else {
            fs::copy(&from, &to).expect("copy");
        }
    }
}

fn example_cat(dir: &Path) {
    copied(&root().join("c-examples/cat/root"), dir);
}

fn example_notes(dir: &Path) {
    copied(&root().join("c-examples/notes/root"), dir);
}

fn example_sqlite(dir: &Path) {
    copied(&root().join("c-examples/sqlite/root"), dir);
}

/// A module of tests per case, a test per libc and level.
macro_rules! cells {
    ($($case:ident = $value:expr;)*) => {$(
        mod $case {
            use super::*;

            static CASE: Case = $value;
            cells!(@);

            fn check(libc: Libc, opt: Opt) {
                CASE.check(libc, opt);
            }
        }
    )*};
    (@) => {
        cells!(@ old_o0 Old O0, old_o2 Old O2, yowasp_o0 Yowasp O0);
        cells!(@ yowasp_o2 Yowasp O2, zig_o0 Zig O0, zig_o2 Zig O2);
    };
    (@ $($test:ident $libc:ident $opt:ident),*) => {$(
        #[test]
        fn $test() {
            check(Libc::$libc, Opt::$opt);
        }
    )*};
}

cells! {
    cat = Case {
        args: &["/", "/etc/today", "/missing", "/poems/english/sonnet-18.txt"],
        ..Case::example("cat", example_cat)
    };
    notes = Case {
        stdin: "list\nadd idea a lamp that reads\nadd idea another\nshow idea\nremove shopping\n\
                rename welcome hello\nrename idea hello\nshow shopping\nadd ../x y\nlist\ntree\n",
        ..Case::example("notes", example_notes)
    };
    sqlite = Case {
        before: &["build", "/library.sql", "/library.db"],
        ..Case::example("sqlite", example_sqlite)
    };
    everything = Case::new(Program::Test("everything.c"));
    descriptors = Case::new(Program::Test("descriptors.c"));
    stdio = Case {
        stdin: "first line\nsecond line\nan unfinished one",
        ..Case::new(Program::Test("stdio.c"))
    };
    constructors = Case::new(Program::Test("constructors.cpp"));
    contents = Case { fill: large, ..Case::new(Program::Test("contents.c")) };
    arguments_return = Case {
        args: &["return", "3", "", "two words", "ünïcödé"],
        ..Case::new(Program::Test("arguments.c"))
    };
    arguments_exit = Case { args: &["exit", "42"], ..Case::new(Program::Test("arguments.c")) };
    arguments_immediate = Case { args: &["_Exit", "7"], ..Case::new(Program::Test("arguments.c")) };
}

/// Packs `program` with the mappings and answers the packed module.
fn packed(program: Program, libc: Libc, opt: Opt, dir: &Path, args: &[&str]) -> PathBuf {
    let out = dir.join(format!("{}.wasm", program.name()));
    pack(&program.compile(libc, opt, Linked::Last), args, &out);
    out
}

fn run(module: &Path, args: &[&str]) -> Outcome {
    finish(
        Command::new(monaka(["run"]).get_program())
            .arg("run")
            .arg(module)
            .args(args),
        "",
    )
}

/// A sample directory and room for modules beside it.
fn workshop() -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("create a directory");
    let root = dir.path().join("root");
    sample(&root);
    (dir, root)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Runs a test body for each libc that is here.
fn each_libc(body: impl Fn(Libc)) {
    for libc in Libc::ALL {
        if libc.is_here() {
            body(libc);
        }
    }
}

#[test]
fn packed_files_behave_where_hosts_do_not() {
    each_libc(|libc| {
        let (dir, root) = workshop();
        let mapping = format!("/::{}", text(&root));
        let better = Program::Test("better.c");
        let module = packed(better, libc, Opt::O2, dir.path(), &["--mapdir", &mapping]);
        let outcome = run(&module, &[]);
        assert_eq!(outcome.code, Some(0), "{libc:?}\n{}", outcome.stdout);
    });
}

#[test]
fn what_goes_around_the_library_is_merged_with() {
    each_libc(|libc| {
        let (dir, files) = workshop();
        let [library, app, out] = ["lib.a", "app.wasm", "out.wasm"].map(|f| dir.path().join(f));
        finish(monaka(["lib", "-o"]).arg(&library), "").expect_success();
        let mut compiler = Command::new(root().join("tools/wasi-cc"));
        compiler.args([libc.name(), "-O2"]);
        compiler.arg(root().join("tests/programs/direct.c"));
        finish(compiler.arg(&library).arg("-o").arg(&app), "").expect_success();
        let pack = |more: &[&str]| {
            let mut pack = monaka(["pack", "--mapdir"]);
            pack.arg(mapped("/", &files)).args(more);
            finish(pack.arg(&app).arg("-o").arg(&out), "")
        };
        let refused = pack(&["--route", "linked"]);
        assert_eq!(refused.code, Some(1), "{libc:?}");
        assert!(refused.stderr.contains("leave out `--route linked`"));
        let packed = pack(&[]).expect_success();
        assert!(
            packed.stderr.contains("took --route rewrite"),
            "{}",
            packed.stderr
        );
        assert_eq!(run(&out, &[]).expect_success().stdout, "0\n", "{libc:?}");
    });
}

/// The state of a merged file system is replaced as a whole when the module is
/// packed again.
#[test]
fn a_merged_program_is_packed_again() {
    each_libc(|libc| {
        let (dir, root) = workshop();
        write(dir.path().join("more/text"), "a later text\n");
        write(dir.path().join("more/added"), "added\n".repeat(50_000));
        let first = format!("/::{}", text(&root));
        let second = format!("/::{}", text(&dir.path().join("more")));
        let plain = Program::Test("mounts.c").compile(libc, Opt::O2, Linked::Not);
        let [once, again, at_once] =
            ["once.wasm", "again.wasm", "at_once.wasm"].map(|name| dir.path().join(name));
        for layout in ["single", "multi"] {
            let with = ["--memory", layout, "--no-dev", "--no-tmp", "--mapdir"];
            pack(&plain, [&with[..], &[&first]].concat(), &once);
            pack(&once, ["--no-dev", "--no-tmp", "--mapdir", &second], &again);
            let both = [&with[..], &[&first, "--mapdir", &second]].concat();
            pack(&plain, &both, &at_once);
            assert!(
                fs::read(&again).expect("read") == fs::read(&at_once).expect("read"),
                "{libc:?} {layout}: packed twice is not packed once with both"
            );
            let outcome = run(&again, &["--env", "MONAKA_DUMP=1"]).expect_success();
            assert!(
                outcome.stdout.contains("/added 300000 1 "),
                "{}",
                outcome.stdout
            );
        }
        let other = finish(
            monaka(["pack", "--memory", "single", "--mapdir", &second])
                .arg(&again)
                .arg("-o")
                .arg(&once),
            "",
        );
        assert_eq!(other.code, Some(1));
        assert!(
            other.stderr.contains("--memory differs"),
            "{}",
            other.stderr
        );
    });
}

/// Compressed files are those that they were, in less room, and stay compressed when
/// the module is packed again.
#[test]
fn compressed_files_are_merged_with() {
    let (dir, root) = workshop();
    write(dir.path().join("more/added"), "added\n".repeat(50_000));
    let long: String = (0..60_000)
        .map(|n| format!("line {}\n", n % 1009))
        .collect();
    write(root.join("long"), &long);
    let first = format!("/::{}", text(&root));
    let second = format!("/::{}", text(&dir.path().join("more")));
    let packing = |module: &Path, args: &[&str], out: &Path| {
        let mut pack = monaka(["pack", "--no-dev", "--no-tmp"]);
        finish(pack.args(args).arg(module).arg("-o").arg(out), "")
    };
    each_libc(|libc| {
        let plain = Program::Test("mounts.c").compile(libc, Opt::O2, Linked::Not);
        let [raw, small, again, both] =
            ["raw.wasm", "small.wasm", "again.wasm", "both.wasm"].map(|name| dir.path().join(name));
        let len = |module: &Path| fs::metadata(module).expect("stat").len();
        for layout in ["single", "multi"] {
            let with = ["--memory", layout, "--mapdir", &first];
            packing(&plain, &with, &raw).expect_success();
            let with = [&with[..], &["--compress=3"]].concat();
            packing(&plain, &with, &small).expect_success();
            assert!(len(&small) + 400_000 < len(&raw), "{libc:?} {layout}");
            let outcome = run(&small, &["--env", "MONAKA_DUMP=1"]).expect_success();
            assert_eq!(outcome.stdout, format!("--- tree\n{}", tree::listed(&root)));

            let more = ["--mapdir", &second];
            packing(&small, &more, &again).expect_success();
            let grown = len(&again) - len(&small);
            assert!((300_000..400_000).contains(&grown), "{layout}: {grown}");
            let compressing = ["--compress=3", "--mapdir", &second];
            packing(&again, &compressing, &again).expect_success();
            packing(&plain, &[&with[..], &more].concat(), &both).expect_success();
            assert!(
                fs::read(&again).expect("read") == fs::read(&both).expect("read"),
                "{libc:?} {layout}: compressed later is not compressed at once"
            );
            let outcome = run(&again, &["--env", "MONAKA_DUMP=1"]).expect_success();
            let added = outcome.stdout.contains("/added 300000 1 ");
            assert!(added, "{}", outcome.stdout);

            let late = packing(&raw, &compressing, &both);
            assert_eq!(late.code, Some(1));
            let why = "it was packed without --compress";
            assert!(late.stderr.contains(why), "{}", late.stderr);
        }
    });
}

#[test]
fn the_library_may_come_before_the_program() {
    each_libc(|libc| {
        let (dir, root) = workshop();
        let program = Program::Test("everything.c");
        let module = program.compile(libc, Opt::O2, Linked::First);
        let (first, last) = (dir.path().join("first.wasm"), dir.path().join("last.wasm"));
        let mapping = mapped("/", &root);
        pack(&module, ["--mapdir".into(), mapping.clone()], &first);
        let module = program.compile(libc, Opt::O2, Linked::Last);
        pack(&module, ["--mapdir".into(), mapping], &last);
        run(&first, &[])
            .expect_success()
            .expect_same(&run(&last, &[]));
    });
}

#[test]
fn a_packed_program_is_packed_again() {
    each_libc(|libc| {
        let (dir, root) = workshop();
        write(dir.path().join("more/text"), "a later text\n");
        write(dir.path().join("more/added"), "added\n");
        let first = format!("/::{}", text(&root));
        let second = format!("/::{}", text(&dir.path().join("more")));
        let program = Program::Test("mounts.c");
        let bare = ["--no-dev", "--no-tmp"];
        let args = [&["--mapdir", &first], &bare[..]].concat();
        let module = packed(program, libc, Opt::O2, dir.path(), &args);
        let again = dir.path().join("again.wasm");
        let args = [&["--mapdir", &second], &bare[..]].concat();
        pack(&module, &args, &again);
        let at_once = dir.path().join("at_once.wasm");
        let linked = program.compile(libc, Opt::O2, Linked::Last);
        let args = [&["--mapdir", &first], &args[..]].concat();
        pack(&linked, &args, &at_once);
        assert!(
            fs::read(&again).expect("read") == fs::read(&at_once).expect("read"),
            "{libc:?}: packed twice is not packed once with both"
        );
        copied(&dir.path().join("more"), &root);
        let outcome = run(&again, &["--env", "MONAKA_DUMP=1"]).expect_success();
        assert_eq!(outcome.stdout, format!("--- tree\n{}", tree::listed(&root)));
    });
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let (dir, root) = workshop();
    if !Libc::Old.is_here() {
        return;
    }
    let linked = Program::Example("cat").compile(Libc::Old, Opt::O2, Linked::Last);
    let outs = ["one.wasm", "two.wasm"].map(|name| dir.path().join(name));
    for out in &outs {
        pack(&linked, ["--mapdir".into(), mapped("/", &root)], out);
    }
    assert!(fs::read(&outs[0]).expect("read") == fs::read(&outs[1]).expect("read"));
}

/// A module without the custom sections that `keep` does not want.
fn without_sections(module: &[u8], keep: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let leb = |at: &mut usize| {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = module[*at];
            *at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    };
    let mut out = module[..8].to_vec();
    let mut at = 8;
    while at < module.len() {
        let start = at;
        at += 1;
        let len = leb(&mut at);
        let mut name = at;
        at += len;
        let name_len = leb(&mut name);
        if module[start] != 0 || keep(&module[name..name + name_len]) {
            out.extend_from_slice(&module[start..at]);
        }
    }
    out
}

#[test]
fn a_packed_module_that_lost_its_records_is_not_mounted_twice() {
    let (dir, root) = workshop();
    if !Libc::Old.is_here() {
        return;
    }
    let linked = Program::Example("cat").compile(Libc::Old, Opt::O2, Linked::Last);
    let (out, stripped) = (
        dir.path().join("out.wasm"),
        dir.path().join("stripped.wasm"),
    );
    pack(&linked, ["--mapdir".into(), mapped("/", &root)], &out);
    let module = without_sections(&fs::read(&out).expect("read"), |name| {
        !name.starts_with(b"monaka.")
    });
    fs::write(&stripped, module).expect("write");
    let mut again = monaka(["pack", "--mapdir"]);
    again
        .arg(mapped("/", &root))
        .arg(&stripped)
        .arg("-o")
        .arg(&out);
    let refused = finish(&mut again, "");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("BUSY"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("pack the original again"),
        "{}",
        refused.stderr
    );
}

#[test]
fn mounts_show_in_their_parents_and_keep_links_and_times() {
    each_libc(|libc| {
        let (dir, root) = workshop();
        let lib = dir.path().join("lib");
        write(lib.join("deep/code"), "code\n");
        let file = fs::File::options().append(true).open(lib.join("deep/code"));
        let when = std::time::UNIX_EPOCH + std::time::Duration::new(1_234_567_890, 123_456_789);
        file.and_then(|file| file.set_modified(when))
            .expect("set the time");
        let config = dir.path().join("app.conf");
        write(config.clone(), "setting\n");
        let args = [
            "--mapdir".to_owned(),
            format!("/usr/lib::{}", text(&lib)),
            "--mapdir".to_owned(),
            format!("/::{}", text(&root)),
            "--dir".to_owned(),
            format!("{}::/etc/app.conf", text(&config)),
            "--no-dev".to_owned(),
            "--no-tmp".to_owned(),
        ];
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let module = packed(Program::Test("mounts.c"), libc, Opt::O2, dir.path(), &args);
        let show = [
            "--env",
            "MONAKA_DUMP=1",
            "--",
            "/usr/lib/deep/code",
            "/again",
            "/dir/other",
        ];
        let shown = run(&module, &show).expect_success().stdout;
        let (facts, dump) = shown.split_once("--- tree\n").expect("a tree");

        let facts: Vec<_> = facts.lines().collect();
        assert_eq!(
            facts[0],
            "/usr/lib/deep/code mtime 1234567890.123456789 links 1"
        );
        assert!(facts[1].ends_with(" links 2"), "{}", facts[1]);
        assert_eq!(
            facts[1].split_once(' '),
            facts[2].split_once(' ').map(|(_, f)| ("/again", f))
        );
        copied(&lib, &root.join("usr/lib"));
        write(root.join("etc/app.conf"), "setting\n");
        assert_eq!(dump, tree::listed(&root), "{libc:?}");
    });
}

#[test]
fn host_directories_are_seen_only_where_they_were_allowed() {
    each_libc(|libc| {
        let (dir, root) = workshop();
        let outside = dir.path().join("outside");
        write(outside.join("secret"), "of the host\n");
        let mapping = format!("/packed::{}", text(&root));
        let at_run_time = format!("{}::/host", text(&outside));
        let show = [
            "--dir",
            &at_run_time,
            "--",
            "/packed/text",
            "/host/secret",
            "/host/new",
        ];
        let program = Program::Example("cat");

        let module = packed(program, libc, Opt::O2, dir.path(), &["--mapdir", &mapping]);
        let outcome = run(&module, &show);
        assert_eq!(outcome.stdout, "a text of one line\n", "{libc:?}");
        assert_eq!(outcome.code, Some(1));

        let args = ["--mapdir", &mapping, "--allow-host-dirs"];
        let module = packed(program, libc, Opt::O2, dir.path(), &args);
        let outcome = run(&module, &show);
        assert_eq!(
            outcome.stdout, "a text of one line\nof the host\n",
            "{libc:?}"
        );
        assert!(
            outcome.stderr.starts_with("cat: /host/new: "),
            "{}",
            outcome.stderr
        );
    });
}

/// A reactor's life: packed, packed again, called.
mod reactor {
    use super::*;

    cells!(@);

    fn check(libc: Libc, opt: Opt) {
        if !libc.is_here() {
            return;
        }
        let (dir, root) = workshop();
        let invoke =
            |module: &Path, name: &str| run(module, &["--invoke", name]).expect_success().stdout;
        let greeting = "constructor 1: a text of one line\n";
        let sum = |text: &str| text.bytes().map(u32::from).sum::<u32>();
        let mapping = format!("/::{}", text(&root));

        let program = Program::Reactor("reactor.c");
        let plain = program.compile(libc, opt, Linked::Not);
        let args = ["--mapdir", &mapping, "--no-dev", "--no-tmp"];
        let module = packed(program, libc, opt, dir.path(), &args);
        let on_host = run(
            &plain,
            &[
                "--dir",
                &format!("{}::/", text(&root)),
                "--invoke",
                "checksum",
            ],
        );
        let checksum = format!("{greeting}{}\n", sum("a text of one line\n"));
        assert_eq!(on_host.expect_success().stdout, checksum);
        assert_eq!(invoke(&module, "checksum"), checksum);
        assert_eq!(invoke(&module, "constructions"), format!("{greeting}1\n"));
        assert_eq!(invoke(&module, "count"), format!("{greeting}1\n"));
        assert_eq!(
            invoke(&module, "dump"),
            format!("{greeting}{}0\n", tree::listed(&root))
        );
        expect_isolated(&module, &plain);

        write(dir.path().join("added"), "more\n");
        let again = dir.path().join("again.wasm");
        let added = format!("/added::{}", text(&dir.path().join("added")));
        pack(&module, ["--mapdir", &added], &again);
        let checksum = sum("a text of one line\n") + sum("more\n");
        assert_eq!(
            invoke(&again, "checksum"),
            format!("{greeting}{checksum}\n")
        );
        assert_eq!(invoke(&again, "constructions"), format!("{greeting}1\n"));
        expect_isolated(&again, &plain);
    }
}
