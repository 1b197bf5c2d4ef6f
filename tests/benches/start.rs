//! How soon programs begin that load a library first, packed as they are and packed at
//! their checkpoint: `make bench`.
//!
//! Modules are compiled beforehand. What is measured is the time on processors of
//! wasmtime's command, from its start to its end, in turn; medians count. What it takes
//! for a program that does nothing is told, too, and left in.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use monaka_tests::prepared::{PYTHON, PYTHON_ENV, cpython, lua_library};
use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, mapped, monaka};
use monaka_tests::usage::used;
use tempfile::TempDir;

/// How often each program runs.
const RUNS: usize = 21;

/// How many times sooner the example must begin.
const WANTED: f64 = 5.0;

fn main() -> ExitCode {
    // `cargo test --all-targets` comes here, too, and measures nothing.
    if std::env::args().all(|arg| arg != "--bench") {
        return ExitCode::SUCCESS;
    }
    let libcs = [Libc::Yowasp, Libc::Old, Libc::Zig];
    let found = libcs.into_iter().find(|libc| libc.is_here());
    let (Some(libc), true) = (found, Runtime::Wasmtime.is_here()) else {
        return ExitCode::FAILURE;
    };
    let room = TempDir::new().expect("create a directory");
    let empty = Program::Test("empty.c").compile(libc, Opt::O2, Linked::Not);
    let floor = [compiled(&empty, &room.path().join("empty"), &[])];
    let [floor] = medians(floor);
    println!("start to end, compiled before, milliseconds; an empty program: {floor:.1}\n");
    println!("| program | initialising itself | at its checkpoint | × | |");
    println!("|---|---:|---:|---:|---|");

    let dir = room.path().join("lua");
    lua_library(&dir);
    let lua = Program::Using("tests/programs/prepared-lua.c", "lua");
    let lua = lua.compile(libc, Opt::O2, Linked::Not);
    let [whole, ready] = [&[][..], &["--init-run"]].map(|flags| {
        let out = room.path().join(format!("lua{}", flags.len()));
        packed(&lua, &dir, flags, &out);
        compiled(&out, &out, &["/main.lua"])
    });
    let passed = told("Lua 5.4, a library of 400 modules", [whole, ready], WANTED);

    if let Some(python) = cpython() {
        let imports = PYTHON.lines().next().expect("a line");
        let dir = room.path().join("python");
        fs::create_dir(&dir).expect("create a directory");
        let out = room.path().join("python0");
        packed(&python, &dir, &[], &out);
        let whole = compiled(&out, &out, &["-c", imports]);
        let out = room.path().join("python1");
        let given = [
            "--init-run",
            "--init-arg=-c",
            "--init-arg",
            PYTHON,
            "--init-env",
            PYTHON_ENV,
        ];
        packed(&python, &dir, &given, &out);
        let ready = compiled(&out, &out, &[]);
        told("CPython 3.12, six modules imported", [whole, ready], 1.0);
    }
    match passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn packed(module: &Path, dir: &Path, flags: &[&str], out: &Path) {
    let mut command = monaka(["pack".as_ref(), module.as_os_str()]);
    command.arg("--mapdir").arg(mapped("/", dir)).args(flags);
    finish(command.arg("-q").arg("-o").arg(out), "").expect_success();
}

/// A command that runs a module, which it compiles now.
fn compiled(module: &Path, name: &Path, args: &[&str]) -> Command {
    let compiled = name.with_extension("cwasm");
    let mut compile = Runtime::Wasmtime.executable();
    used(compile.arg("compile").arg(module).arg("-o").arg(&compiled));
    let mut run = Runtime::Wasmtime.executable();
    run.args(["run", "--allow-precompiled"]);
    run.arg(compiled).args(args);
    run
}

/// Prints a row; whether the second command is so many times as fast.
fn told(what: &str, commands: [Command; 2], wanted: f64) -> bool {
    let [whole, ready] = medians(commands);
    let (times, passes) = (whole / ready, whole / ready >= wanted);
    let verdict = if passes { "pass" } else { "FAIL" };
    println!("| {what} | {whole:.1} | {ready:.1} | {times:.1} | {verdict} |");
    passes
}

/// The milliseconds that commands take, run in turn.
fn medians<const N: usize>(mut commands: [Command; N]) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..RUNS {
        for (times, command) in times.iter_mut().zip(&mut commands) {
            times.push(used(command).cpu.as_secs_f64() * 1e3);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}
