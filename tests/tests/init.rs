//! Programs that are packed at their checkpoint go on as if they had never stopped:
//! beside the same program, packed without that, which runs in one go.
//!
//! To run one again: `cargo test --release -p monaka-tests --test init c::zig`

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use monaka_tests::prepared::{PYTHON, PYTHON_ENV, cpython, lua_library};
use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{
    Libc, Linked, Opt, Outcome, Program, finish, imports, mapped, monaka, pack,
};
use tempfile::TempDir;

/// The ways in which the file system gets into a program.
const WAYS: [(Linked, &[&str]); 3] = [
    (Linked::Last, &["--route", "linked"]),
    (Linked::Not, &["--route", "rewrite"]),
    (Linked::Not, &["--route", "rewrite", "--memory", "multi"]),
];

/// A directory with two files in /data.
fn sample() -> TempDir {
    let dir = TempDir::new().expect("create a directory");
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("create a directory");
    fs::write(data.join("poem.txt"), "the old pond\na frog\n").expect("write a file");
    fs::write(data.join("gone.txt"), "").expect("write a file");
    dir
}

/// `monaka pack` with these flags, not run yet.
fn packing<A: AsRef<OsStr>>(module: &Path, dir: &Path, flags: &[A], out: &Path) -> Command {
    let mut command = monaka(["pack".as_ref(), module.as_os_str()]);
    command.arg("--mapdir").arg(mapped("/", dir)).args(flags);
    command.arg("-q").arg("-o").arg(out);
    command
}

fn run(module: &Path, args: &[&str], stdin: &str) -> Outcome {
    let mut command = monaka(["run".as_ref(), module.as_os_str()]);
    command.args(["--env", "GREETING=hello", "--"]).args(args);
    finish(&mut command, stdin)
}

/// Runs `tests/programs/prepared.c` in one go and from its checkpoint, whichever way it
/// is packed.
fn check(libc: Libc, opt: Opt) {
    let dir = sample();
    let room = TempDir::new().expect("create a directory");
    let [whole, ready] = ["whole.wasm", "ready.wasm"].map(|name| room.path().join(name));
    for (linked, way) in WAYS {
        let module = Program::Test("prepared.c").compile(libc, opt, linked);
        let mapping = ["--mapdir".into(), mapped("/", dir.path())];
        pack(&module, way.iter().map(Into::into).chain(mapping), &whole);
        assert!(
            !imports(&whole)
                .iter()
                .any(|name| name == "monaka.checkpoint")
        );
        for args in [&["plain", "two words"][..], &["sort"]] {
            let expected = run(&whole, args, "typed\n");
            // A libc may ask for a stack canary.
            let given = [
                "--init-run",
                "--init-arg",
                args[0],
                "--init-allow",
                "random",
            ];
            let flags = [way, &given].concat();
            let packed = finish(&mut packing(&module, dir.path(), &flags, &ready), "");
            let packed = packed.expect_success();
            let before = "first line: the old pond\n";
            assert!(packed.stderr.contains(before), "{}", packed.stderr);
            assert_eq!(packed.stderr.matches(before).count(), 1, "it is shown once");
            let mut got = run(&ready, args, "typed\n");
            got.stdout.insert_str(0, before);
            got.expect_same(&expected);
            assert!(got.stdout.ends_with("stdin: typed\n\n"), "{}", got.stdout);
            assert!(got.stdout.contains("new: written before and behind\n"));
            assert!(got.stdout.contains("GREETING=hello\n"));
            assert_eq!(got.code, Some(7));
        }
    }
}

mod c {
    use super::*;

    macro_rules! on_each_libc {
        ($($name:ident $libc:ident $opt:ident)*) => {$(
            #[test]
            fn $name() {
                if Libc::$libc.is_here() {
                    check(Libc::$libc, Opt::$opt);
                }
            }
        )*};
    }

    on_each_libc! {
        old_o0 Old O0
        old_o2 Old O2
        yowasp_o0 Yowasp O0
        yowasp_o2 Yowasp O2
        zig_o0 Zig O0
        zig_o2 Zig O2
    }
}

/// The libc for tests that need one of them.
fn some_libc() -> Option<Libc> {
    Libc::ALL.into_iter().find(|libc| libc.is_here())
}

/// `prepared.c`, from its checkpoint, merged with the file system.
fn ready(room: &Path) -> Option<PathBuf> {
    let module = Program::Test("prepared.c").compile(some_libc()?, Opt::O2, Linked::Not);
    let out = room.join("ready.wasm");
    finish(
        &mut packing(&module, sample().path(), &["--init-run"], &out),
        "",
    )
    .expect_success();
    Some(out)
}

#[test]
fn lua_begins_with_its_library_loaded() {
    let Some(libc) = some_libc() else { return };
    let dir = TempDir::new().expect("create a directory");
    lua_library(dir.path());
    let program = Program::Using("tests/programs/prepared-lua.c", "lua");
    let [whole, ready] = ["whole.wasm", "ready.wasm"].map(|name| dir.path().join(name));
    for (linked, way) in WAYS {
        let module = program.compile(libc, Opt::O2, linked);
        finish(&mut packing(&module, dir.path(), way, &whole), "").expect_success();
        let flags = [way, &["--init-run", "--exclude", "*.wasm"]].concat();
        finish(&mut packing(&module, dir.path(), &flags, &ready), "").expect_success();
        let expected = run(&whole, &["/main.lua"], "").expect_success();
        assert!(expected.stdout.starts_with("399\t"), "{}", expected.stdout);
        run(&ready, &["/main.lua"], "").expect_same(&expected);
    }
}

#[test]
fn cpython_begins_with_its_modules_imported() {
    let Some(module) = cpython() else { return };
    let dir = sample();
    let out = dir.path().join("ready.wasm");
    let given = [
        "--init-run",
        "--init-arg=-c",
        "--init-arg",
        PYTHON,
        "--init-env",
        PYTHON_ENV,
    ];
    finish(&mut packing(&module, dir.path(), &given, &out), "").expect_success();
    let script = "print(json.dumps({'sum': str(decimal.Decimal('0.1') * 3)}))\n\
                  print(open('/data/poem.txt').read(), re.sub('b+', '-', 'abbc'))\n\
                  try:\n    json.loads('{')\nexcept json.JSONDecodeError as error:\n    print(error)\n\
                  sys.exit(3)\n";
    let ran = run(&out, &[], script);
    assert_eq!(
        ran.stdout,
        "{\"sum\": \"0.3\"}\nthe old pond\na frog\n a-c\n\
         Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
    );
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}

#[test]
fn other_runtimes_go_on_from_the_checkpoint() {
    let room = TempDir::new().expect("create a directory");
    let Some(ready) = ready(room.path()) else {
        return;
    };
    let expected = run(&ready, &["one"], "");
    for runtime in [Runtime::Wasmtime, Runtime::Node, Runtime::Wasmi] {
        if !runtime.is_here() {
            continue;
        }
        let ran = runtime.run(&ready, &["one"], "");
        // wasmi gives no environment.
        let greeted = |text: &str| text.replace("GREETING=(none)", "GREETING=hello");
        assert_eq!(greeted(&ran.stdout), expected.stdout, "{runtime:?}");
    }
}

#[test]
fn what_it_has_written_is_saved() {
    let room = TempDir::new().expect("create a directory");
    let Some(ready) = ready(room.path()) else {
        return;
    };
    let saved = room.path().join("saved");
    let mut save = monaka(["run".as_ref(), ready.as_os_str()]);
    finish(save.arg("--save-to").arg(&saved), "");
    let read = |name: &str| fs::read_to_string(saved.join("data").join(name));
    assert_eq!(read("new.txt").unwrap(), "written before and behind");
    assert_eq!(read("poem.txt").unwrap(), "the old pond\na frog\n");
    assert!(read("gone.txt").is_err());
}

#[test]
fn nothing_more_is_packed_into_it() {
    let room = TempDir::new().expect("create a directory");
    let Some(ready) = ready(room.path()) else {
        return;
    };
    let inspect = finish(monaka(["inspect"]).arg(&ready), "").expect_success();
    assert!(inspect.stdout.contains("initialised by --init-run"));
    let before = fs::read(&ready).expect("read the module");
    let out = room.path().join("out.wasm");
    let refused = |args: &[&str], output: &[&OsStr]| {
        let mut command = monaka(&args[..1]);
        let command = command.arg(&ready).args(&args[1..]).args(output);
        let outcome = finish(command, "");
        assert_eq!(outcome.code, Some(1), "{args:?}");
        assert!(
            outcome.stderr.contains("it is already initialised")
                && outcome
                    .stderr
                    .contains("pack the original with --init-run again"),
            "{args:?}: {}",
            outcome.stderr
        );
    };
    let to = ["-o".as_ref(), out.as_os_str()];
    refused(&["pack", "--file", "/x=y"], &to);
    refused(&["add", "--file", "/x=y"], &to);
    refused(&["rm", "/data/poem.txt"], &to);
    refused(&["replace", "/data/poem.txt=/dev/null"], &to);
    refused(&["commit"], &to);
    assert!(!out.exists());
    assert_eq!(fs::read(&ready).expect("read the module"), before);
    let shown = finish(monaka(["cat"]).arg(&ready).arg("/data/poem.txt"), "");
    assert_eq!(shown.expect_success().stdout, "the old pond\na frog\n");
}

#[test]
fn flags_that_say_nothing_are_refused() {
    let room = TempDir::new().expect("create a directory");
    let Some(libc) = some_libc() else { return };
    let module = Program::Test("prepared.c").compile(libc, Opt::O2, Linked::Not);
    let out = room.path().join("out.wasm");
    for (flags, status, message) in [
        (
            &["--init-arg", "x"][..],
            2,
            "--init-arg is for --init-run or --init-func",
        ),
        (&["--init-timeout", "3"], 2, "--init-timeout is for"),
        (
            &["--init-run", "--init-func", "f"],
            1,
            "it does not export f",
        ),
        (
            &["--init-run", "--allow-host-dirs"],
            1,
            "cannot see the host's directories",
        ),
        (&["--init-run", "--dry-run"], 2, "cannot be used with"),
        (
            &["--init-run", "--init-timeout=0"],
            2,
            "a number of seconds",
        ),
        (
            &["--init-run", "--init-env", "A"],
            1,
            "--init-env A has no value",
        ),
        (&["--init-func", "f"], 1, "it does not export f"),
    ] {
        let outcome = finish(&mut packing(&module, sample().path(), flags, &out), "");
        assert_eq!(outcome.code, Some(status), "{flags:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
        assert!(!out.exists(), "{flags:?}");
    }
}
