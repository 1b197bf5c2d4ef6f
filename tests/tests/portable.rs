//! A packed module runs the same on other hosts: `node:wasi` and the wasmtime
//! that PyPI has. `monaka run` says what is expected.

use std::fs;
use std::path::{Path, PathBuf};

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Libc, Linked, Opt, Outcome, Program, finish, mapped, monaka, pack};
use tempfile::TempDir;

/// What every program gets.
const STDIN: &str = "a line\nanother\n";

fn expected(module: &Path, args: &[&str]) -> Outcome {
    let mut command = monaka(["run".as_ref(), module.as_os_str()]);
    command.args(["--env", "MONAKA_DUMP=1", "--env", "GREETING=hello", "--"]);
    finish(command.args(args), STDIN)
}

/// Packs the sample directory into `program`.
fn packed(program: Program, libc: Libc, dir: &Path) -> PathBuf {
    let sample = dir.join("root");
    fs::create_dir_all(sample.join("dir")).expect("create a directory");
    fs::write(sample.join("text"), "a text of one line\n").expect("write");
    fs::write(sample.join("dir/file"), "inner\n").expect("write");
    let module = dir.join(format!("{}.wasm", program.name()));
    let linked = program.compile(libc, Opt::O2, Linked::Last);
    pack(&linked, ["--mapdir".into(), mapped("/", &sample)], &module);
    module
}

/// Runs `program` on `host` and on ours, for each libc that is here.
fn check(host: Runtime, program: Program, args: &[&str]) {
    for libc in Libc::ALL {
        if !host.is_here() || !libc.is_here() {
            continue;
        }
        let dir = TempDir::new().expect("create a directory");
        let module = packed(program, libc, dir.path());
        host.run(&module, args, STDIN)
            .expect_same(&expected(&module, args));
    }
}

/// Files, descriptors and memory last from one call of a reactor to the next.
fn check_reactor(host: Runtime) {
    for libc in Libc::ALL {
        if !host.is_here() || !libc.is_here() {
            continue;
        }
        let dir = TempDir::new().expect("create a directory");
        let module = packed(Program::Reactor("reactor.c"), libc, dir.path());
        let calls = ["--invoke", "count,count,checksum,count,constructions"];
        let outcome = host.run(&module, &calls, STDIN).expect_success();
        let sum: u32 = "a text of one line\n".bytes().map(u32::from).sum();
        let printed = format!("constructor 1: a text of one line\n1\n2\n{sum}\n3\n1\n");
        assert_eq!(outcome.stdout, printed, "{libc:?}");
    }
}

macro_rules! hosts {
    ($($name:ident $host:ident)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn every_call() {
                check(Runtime::$host, Program::Test("everything.c"), &[]);
            }

            #[test]
            fn standard_input_and_output() {
                check(Runtime::$host, Program::Test("stdio.c"), &[]);
            }

            #[test]
            fn constructors() {
                check(Runtime::$host, Program::Test("constructors.cpp"), &[]);
            }

            #[test]
            fn arguments_and_exit_code() {
                check(Runtime::$host, Program::Test("arguments.c"), &["exit", "42", "ü"]);
            }

            #[test]
            fn better_than_the_host() {
                check(Runtime::$host, Program::Test("better.c"), &[]);
            }

            #[test]
            fn a_reactor_keeps_its_state() {
                check_reactor(Runtime::$host);
            }
        }
    )*};
}

hosts! {
    node Node
    pypi_wasmtime PyPi
}
