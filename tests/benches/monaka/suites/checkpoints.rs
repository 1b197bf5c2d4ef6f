//! How soon programs begin that load a library first, packed as they are and packed at
//! their checkpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use monaka_tests::prepared::{PYTHON, PYTHON_ENV, cpython, lua_library};
use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Linked, Opt, Program, finish, mapped, monaka};
use tempfile::TempDir;

use crate::Setup;
use crate::report::{Chapter, Row, Table, Verdict};
use crate::samples::{Round, Samples};
use crate::usage::used;
use crate::workload::compile;

/// How often each program runs in a round.
const RUNS: usize = 5;

/// A program, packed in both ways.
struct Start {
    name: &'static str,
    what: &'static str,
    /// How many times sooner it must begin at its checkpoint.
    wanted: f64,
    /// How both are told apart, and run.
    runs: [(&'static str, PathBuf, Vec<&'static str>); 2],
}

pub(crate) fn run(setup: &Setup) -> Chapter {
    let room = TempDir::new().expect("create a directory");
    let empty = Program::Test("empty.c").compile(setup.libc, Opt::O2, Linked::Not);
    let floor = room.path().join("empty.cwasm");
    compile(&empty, &floor);
    let mut starts = vec![lua(setup, room.path())];
    starts.extend(python(room.path()));

    let mut samples = Samples::default();
    for _ in setup.rounds() {
        for _ in 0..RUNS {
            let mut round = Round::from([("empty".to_owned(), time(&floor, &[]))]);
            for start in &starts {
                for (way, module, args) in &start.runs {
                    round.insert(format!("{}.{way}", start.name), time(module, args));
                }
            }
            samples.push(round);
        }
    }
    let mut rows = vec![Row::new(
        "an empty program",
        [samples.median("empty"), None],
    )];
    let mut verdicts = Vec::new();
    for start in &starts {
        let [whole, ready] = start
            .runs
            .each_ref()
            .map(|(way, ..)| format!("{}.{way}", start.name));
        rows.push(Row::new(
            start.what,
            [samples.median(&whole), samples.median(&ready)],
        ));
        verdicts.push(Verdict::at_least(
            format!("{}: times as soon at its checkpoint", start.what),
            samples.ratio(&[&whole], &[&ready]),
            start.wanted,
        ));
    }
    Chapter {
        title: "Start of initialised programs".into(),
        text: "The time on processors of wasmtime's command, from its start to its end, of \
               modules that were compiled before. What it takes for a program that does \
               nothing is left in."
            .into(),
        tables: vec![Table {
            title: "ms".into(),
            columns: vec!["initialising itself".into(), "at its checkpoint".into()],
            rows,
        }],
        verdicts,
        samples,
        ..Chapter::default()
    }
}

fn lua(setup: &Setup, room: &Path) -> Start {
    let dir = room.join("lua");
    lua_library(&dir);
    let lua = Program::Using("tests/programs/prepared-lua.c", "lua");
    let lua = lua.compile(setup.libc, Opt::O2, Linked::Not);
    let main = vec!["/main.lua"];
    Start {
        name: "lua",
        what: "Lua 5.4, a library of 400 modules",
        wanted: 5.0,
        runs: [
            (
                "whole",
                packed(&lua, &dir, &[], &room.join("lua-whole")),
                main.clone(),
            ),
            (
                "ready",
                packed(&lua, &dir, &["--init-run"], &room.join("lua-ready")),
                main,
            ),
        ],
    }
}

fn python(room: &Path) -> Option<Start> {
    let python = cpython()?;
    let imports = PYTHON.lines().next().expect("a line");
    let dir = room.join("python");
    fs::create_dir(&dir).expect("create a directory");
    let whole = packed(&python, &dir, &[], &room.join("python-whole"));
    let init = [
        "--init-run",
        "--init-arg=-c",
        "--init-arg",
        PYTHON,
        "--init-env",
        PYTHON_ENV,
    ];
    let ready = packed(&python, &dir, &init, &room.join("python-ready"));
    Some(Start {
        name: "python",
        what: "CPython 3.12, six modules imported",
        wanted: 1.0,
        runs: [
            ("whole", whole, vec!["-c", imports]),
            ("ready", ready, Vec::new()),
        ],
    })
}

/// Packs and compiles a module; answers where.
fn packed(module: &Path, dir: &Path, flags: &[&str], out: &Path) -> PathBuf {
    let mut pack = monaka(["pack".as_ref(), module.as_os_str()]);
    pack.arg("--mapdir").arg(mapped("/", dir)).args(flags);
    finish(pack.arg("-q").arg("-o").arg(out), "").expect_success();
    let compiled = out.with_extension("cwasm");
    compile(out, &compiled);
    compiled
}

/// The milliseconds on processors that a compiled module takes.
fn time(module: &Path, args: &[&str]) -> f64 {
    let mut run: Command = Runtime::Wasmtime.executable();
    run.args(["run", "--allow-precompiled"]);
    used(run.arg(module).args(args)).cpu.as_secs_f64() * 1e3
}
