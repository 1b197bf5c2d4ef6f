//! `monaka doctor`: what it says of modules and of what is none.

use std::fs;

use monaka_vfs_core::link::ABI;

use super::Place;
use super::fake::program;

/// What is said, and whether it can be packed.
fn doctor(place: &Place) -> (String, bool) {
    let output = place.monaka("doctor app.wasm");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "{:?}", output.stderr);
    match output.status.code() {
        Some(0) => (text, true),
        Some(1) => (text, false),
        _ => panic!("{}\n{text}", output.status),
    }
}

/// A module with the usual calls, unless they are left out, and more.
fn module(calls: &[&str], more: &str) -> String {
    let mut wat = "(module\n".to_string();
    for call in calls {
        let params = match *call {
            "path_open" => "i32 i32 i32 i32 i32 i64 i64 i32 i32",
            "fd_prestat_get" | "sock_shutdown" => "i32 i32",
            "fd_write" => "i32 i32 i32 i32",
            other => panic!("{other}"),
        };
        wat += &format!(
            "(import \"wasi_snapshot_preview1\" \"{call}\" (func (param {params}) (result i32)))\n"
        );
    }
    wat + more + ")"
}

const CALLS: [&str; 3] = ["path_open", "fd_prestat_get", "fd_write"];
const START: &str = "(memory (export \"memory\") 2) (func (export \"_start\"))";

#[test]
fn a_program_that_can_be_packed() {
    let place = Place::new();
    place.put("app.wasm", &module(&CALLS, START));
    let (text, fit) = doctor(&place);
    assert!(fit, "{text}");
    for line in [
        "app.wasm can be packed\n",
        "what        a command of WASI Preview 1, ",
        "made by     unknown: ",
        "entry       _start\n",
        "imports     files (2): path_open, fd_prestat_get\n",
        "imports     files and streams (1): fd_write\n",
        "memory      131 KB at the start\n",
        "route       rewrite: the file system is merged into the program\n",
        "compress    yes, it reads compressed files\n",
        "room        4.3 GB for what is packed and written\n",
        "runs on     wasmtime ",
        "with --memory multi: wasmtime ",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    assert!(!text.contains("\nnote "), "{text}");
}

#[test]
fn a_linked_program_and_what_is_packed_already() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    let (text, fit) = doctor(&place);
    assert!(fit, "{text}");
    assert!(
        text.contains("route       linked: libmonaka_vfs.a is inside\n"),
        "{text}"
    );
    // 200 pages at most, one at the start.
    assert!(text.contains("room        13 MB for what"), "{text}");
    assert!(
        text.contains("note        its memory leaves only 13 MB for files"),
        "{text}"
    );
    assert!(
        text.contains("imports     of env, not WASI (1): hello\n"),
        "{text}"
    );
    assert!(
        text.contains("note        its imports of env are left as they are"),
        "{text}"
    );

    assert!(
        text.contains("compress    no, its library has no decoder: relink it with"),
        "{text}"
    );

    for (route, reads) in [
        ("linked", "no, its library has no decoder"),
        ("rewrite", "no, it was packed without --compress"),
        ("rewrite --compress", "yes, it reads compressed files"),
    ] {
        place.ok(&format!(
            "pack app.wasm --mapdir /::root --route {route} -o packed.wasm -q"
        ));
        fs::rename(
            place.path().join("packed.wasm"),
            place.path().join("app.wasm"),
        )
        .unwrap();
        let (text, fit) = doctor(&place);
        assert!(fit, "{text}");
        let route = route.split(' ').next().unwrap();
        let expected = format!("route       {route}; it is packed already, and packing again adds");
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains(&format!("compress    {reads}")), "{text}");
        assert!(!text.contains("path_open"), "{text}");
        place.put("app.wasm", &program(ABI, ""));
    }
}

#[test]
fn what_will_not_work_is_said() {
    let place = Place::new();
    for (calls, more, note) in [
        (
            &["fd_write"][..],
            START,
            "it does not import path_open: it opens no file",
        ),
        (
            &["fd_write", "path_open"],
            START,
            "it never asks which directories are open",
        ),
        (
            &["fd_write", "path_open", "fd_prestat_get", "sock_shutdown"],
            START,
            "its calls of sockets are for those that the host has open",
        ),
        (&CALLS, "(memory 1)", "it does not export its memory"),
        (
            &CALLS,
            "(memory (export \"memory\") 1) (func (export \"wasi_vfs_pack_fs\"))",
            "wasi-vfs is linked in",
        ),
    ] {
        place.put("app.wasm", &module(calls, more));
        let (text, fit) = doctor(&place);
        assert!(fit, "{text}");
        assert!(
            text.contains(&format!("note        {note}")),
            "no {note:?} in\n{text}"
        );
    }
}

#[test]
fn what_cannot_be_packed_says_why_and_what_to_do() {
    let place = Place::new();
    for (more, reason) in [
        (
            "(memory 1 2 shared)",
            "its memory is shared between threads\nhint: compile for wasm32-wasip1 without",
        ),
        (
            "(import \"env\" \"memory\" (memory 1))",
            "it imports its memory (env.memory)\nhint: link without",
        ),
        (
            "(memory i64 1)",
            "its memory has 64-bit addresses (memory64)\nhint: ",
        ),
        ("", "it has no memory\nhint: "),
        (
            "(import \"wasi_snapshot_preview1\" \"fd_dup\" (func)) (memory 1)",
            "it imports wasi_snapshot_preview1.fd_dup, which monaka does not know\nhint: ",
        ),
    ] {
        place.put("app.wasm", &module(&[], more));
        let (text, fit) = doctor(&place);
        assert!(!fit, "{text}");
        assert!(
            text.starts_with(&format!("app.wasm cannot be packed: {reason}")),
            "{text}"
        );
        assert!(!text.contains("\nroute "), "{text}");
    }
    place.put("app.wasm", "(module (memory 1))");
    let (text, fit) = doctor(&place);
    assert!(
        !fit && text.contains("nothing could read what is packed"),
        "{text}"
    );
}

#[test]
fn what_is_no_module_is_named() {
    let place = Place::new();
    let cases: [(&[u8], &str); 6] = [
        (b"", "an empty file"),
        (b"\x7fELF\x02\x01\x01", "a native program or object (ELF)"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (b"(module)", "WebAssembly text"),
        (b"\0asm\x0d\0\x01\0", "a WebAssembly component"),
        (b"\0asm\x01\0\0\0\x01\x7f", "a damaged WebAssembly module"),
    ];
    for (bytes, what) in cases {
        fs::write(place.path().join("app.wasm"), bytes).unwrap();
        let (text, fit) = doctor(&place);
        assert!(
            !fit && text.contains(&format!("\nwhat        {what}")),
            "{text}"
        );
        assert!(text.contains("\nhint: "), "{text}");
    }
    assert_eq!(place.monaka("doctor nothing.wasm").status.code(), Some(1));
}

#[test]
fn json_has_what_the_text_has() {
    let place = Place::new();
    place.put("app.wasm", &module(&CALLS, START));
    let json: serde_json::Value =
        serde_json::from_str(&place.text("doctor app.wasm --json")).unwrap();
    assert_eq!(json["obstacle"], serde_json::Value::Null);
    assert_eq!(json["what"], "a command of WASI Preview 1");
    let module = &json["module"];
    assert_eq!(module["imports"]["files"][0], "path_open");
    assert_eq!(module["memories"][0]["initial"], 131_072);
    assert_eq!(module["outcome"]["route"], "rewrite");
    assert_eq!(module["outcome"]["packed"], false);
    fs::write(place.path().join("app.wasm"), "text").unwrap();
    let output = place.monaka("doctor app.wasm --json");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json["what"], "a text file");
    assert!(
        json["obstacle"]["hint"]
            .as_str()
            .unwrap()
            .contains("Preview 1 module")
    );
}
