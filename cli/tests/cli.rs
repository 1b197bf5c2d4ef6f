//! The command as a user meets it: every error text, and what the commands print.

mod fake;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fake::{program, record};
use monaka_vfs_core::link::ABI;
use monaka_vfs_core::witx::Hook;
use tempfile::TempDir;

/// A directory with a small tree to pack, where commands run.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::create_dir(place.path().join("root")).unwrap();
        fs::write(place.path().join("root/file"), "contents").unwrap();
        fs::create_dir(place.path().join("other")).unwrap();
        fs::write(place.path().join("other/file"), "CONTENTS").unwrap();
        fs::write(place.path().join("other/more"), "more").unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a module made of text there.
    fn put(&self, name: &str, wat: &str) {
        let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}"));
        fs::write(self.path().join(name), wasm).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monaka"));
        command
            .args(args.split_whitespace())
            .current_dir(self.path())
            .env("COLUMNS", "100");
        command
    }

    fn monaka(&self, args: &str) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed; answers stdout.
    fn ok(&self, args: &str) -> Vec<u8> {
        let output = self.monaka(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "monaka {args}\n{stderr}");
        output.stdout
    }

    fn text(&self, args: &str) -> String {
        String::from_utf8(self.ok(args)).unwrap()
    }

    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// What `app.wasm` is in a case.
enum App {
    Text(String),
    Bytes(&'static [u8]),
    None,
}

impl From<&str> for App {
    fn from(wat: &str) -> App {
        App::Text(wat.into())
    }
}

impl From<String> for App {
    fn from(wat: String) -> App {
        App::Text(wat)
    }
}

const PACK: &str = "pack app.wasm --mapdir /::root -o out.wasm";

/// Module, arguments, exit status, stderr.
fn errors() -> Vec<(App, &'static str, i32, &'static str)> {
    let good = program(ABI, "");
    let open_record = record(1152, ABI, Hook::path_open as u32, [5, 6]);
    vec![
        // What is no module.
        (App::None, PACK, 1, "\
error: cannot pack app.wasm
  caused by: No such file or directory (os error 2)
"),
        (App::Bytes(b""), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not a WebAssembly module but an empty file
  hint: `monaka pack` takes a WASI Preview 1 module, usually the .wasm file that the linker wrote
"),
        (App::Bytes(b"\x7fELF\x02\x01\x01"), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not a WebAssembly module but a native program or object (ELF)
  hint: `monaka pack` takes a WASI Preview 1 module, usually the .wasm file that the linker wrote
"),
        (App::Bytes(b"\x1f\x8b\x08"), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not a WebAssembly module but a gzip file
  hint: `monaka pack` takes a WASI Preview 1 module, usually the .wasm file that the linker wrote
"),
        (App::Bytes(b"int main() {}\n"), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not a WebAssembly module but a text file
  hint: `monaka pack` takes a WASI Preview 1 module, usually the .wasm file that the linker wrote
"),
        ("(component)".into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is a WebAssembly component, not a core module
  hint: build a core module instead (target wasm32-wasip1 rather than wasm32-wasip2), or take out the one inside with `wasm-tools component unbundle`
"),
        (App::Bytes(b"\0asm\x01\0\0\0\x01\x05"), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not a valid module: unexpected end-of-file (at offset 0xa)
  hint: the file may be cut off or damaged: build or fetch it again
"),
        // What no snapshot can hold.
        ("(module)".into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it has no memory
  hint: a program without memory cannot hold files
"),
        (r#"(module (import "env" "memory" (memory 1)))"#.into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it imports its memory (env.memory)
  hint: link without `--import-memory`; modules made for threads or for a JavaScript host import theirs
"),
        ("(module (memory 1 2 shared))".into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: its memory is shared between threads
  hint: compile for wasm32-wasip1 without threads (no `-pthread`, no `--shared-memory`)
"),
        ("(module (memory i64 1))".into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: its memory has 64-bit addresses (memory64)
  hint: compile for a 32-bit target: wasm32-wasip1
"),
        (r#"(module (import "env" "t" (table 1 funcref)) (memory 1))"#.into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it imports a table (env.t)
  hint: link it as a complete program, not as a dynamic library or for a JavaScript host
"),
        (program(ABI, "(global (mut externref) (ref.null extern))").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: global 2 is a mutable reference, which cannot be kept in a snapshot
  hint: compile without reference types and garbage collection, or leave out the code that uses them
"),
        (program(ABI, "(func $grower (drop (table.grow 0 (ref.null func) (i32.const 1))))").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: function `grower` uses table.grow, whose effect cannot be kept in a snapshot
  hint: programs that change their function table (dynamic loading, closures in tables) cannot be packed by this version of monaka
"),
        (program(ABI, "(data $d \"x\") (func $dropper (data.drop $d))").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: function `dropper` uses data.drop, whose effect cannot be kept in a snapshot
  hint: link without the code that drops data segments: it comes with threads (`--shared-memory`, `--passive-segments`)
"),
        (program(ABI, "(tag $t) (func $thrower try throw $t catch $t end)").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it needs a WebAssembly feature that monaka's engine lacks: legacy_exceptions feature required for try instruction, in function `thrower`
  hint: compile with the standard exceptions instead: clang's `-mllvm -wasm-use-legacy-eh=false`, or `wasm-opt --translate-to-exnref`
"),
        (program(ABI, "(data (i32.const 65536) \"x\")").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: data segment 4 lies outside its memory
  hint: it would trap at start: build it again
"),
        // What is not, or not rightly, linked.
        ("(module (memory 1))".into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not linked with libmonaka_vfs.a
  hint: write the library with `monaka lib -o libmonaka_vfs.a`, add it to the link (`clang … app.c libmonaka_vfs.a -o app.wasm`) and pack the result
"),
        (r#"(module (memory 1) (@custom "producers" "\01\08language\01\04Rust\00"))"#.into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not linked with libmonaka_vfs.a: it is a Rust module
  hint: a program that a C compiler links can take the library in (`clang … libmonaka_vfs.a`); this version of monaka cannot pack a finished Rust module
"),
        (r#"(module (import "wasi_unstable" "fd_close" (func (param i32) (result i32))) (memory 1))"#.into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not linked with libmonaka_vfs.a, and it imports wasi_unstable, an older WASI
  hint: write the library with `monaka lib -o libmonaka_vfs.a`, add it to the link (`clang … app.c libmonaka_vfs.a -o app.wasm`) and pack the result
"),
        (program(99, "").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is linked with a libmonaka_vfs.a of ABI 99; this monaka speaks ABI 1
  hint: relink it with the library of this command: `monaka lib -o libmonaka_vfs.a`, then pack the result
"),
        (good.replace(&open_record, &record(1152, ABI, 99, [5, 6])).into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: the libmonaka_vfs.a inside it is inconsistent: a record of the unknown call 99
  hint: relink it with the library of this command: `monaka lib -o libmonaka_vfs.a`, then pack the result
"),
        (good.replace(&open_record, "").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it calls wasi_snapshot_preview1.path_open directly, and the library's path_open is not linked in
  hint: link the replacement in: add `-Wl,--undefined=__imported_wasi_snapshot_preview1_path_open` to the link line, together with libmonaka_vfs.a
"),
        (good.replace("(func $clock (param i32 i64 i32) (result i32))", "(func $clock)")
            .replace("clock_time_get", "sock_open").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it imports wasi_snapshot_preview1.sock_open, which monaka does not know
  hint: monaka cannot tell whether it reaches the host's files: remove the call, or compile for WASI Preview 1 (wasi_snapshot_preview1)
"),
        (good.replace("(func $clock (param i32 i64 i32) (result i32))", "(func $clock (param i32))").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it imports wasi_snapshot_preview1.clock_time_get as (i32) -> (); WASI Preview 1 has (i32, i64, i32) -> (i32)
  hint: it was made for another host's variant of WASI: compile it for WASI Preview 1
"),
        // What happens while the image is mounted.
        (good.replace("1 200)", "1 1)").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: the file system is too large for the program's memory: it needs 200 bytes; the memory has 65536 and can grow to 65536
  hint: link with a larger `-Wl,--max-memory=BYTES`, or pack fewer files
"),
        (good.replace("(i32.store (i32.const 3000) (i32.const 0))", "(call $hello (i32.const 1))").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: the program's allocator calls env.hello while the image is mounted
  hint: an allocator that calls the host cannot be used at pack time: link with the libc's own malloc
"),
        (good.replace("(i32.const 0)) ;; mounted", "(i32.const 28)) ;; mounted").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: the library refused to mount the image: INVAL (28)
  hint: relink it with the library of this command: `monaka lib -o libmonaka_vfs.a`
"),
        // Wrong arguments.
        (good.clone().into(), "pack app.wasm -o out.wasm", 1, "\
error: cannot pack app.wasm
  caused by: there is nothing to pack
  hint: name a directory with --mapdir GUEST::HOST, as in `--mapdir /::./root`
"),
        (good.clone().into(), "pack app.wasm --mapdir /::nowhere -o out.wasm", 1, "\
error: cannot pack app.wasm
  caused by: nowhere: no such file or directory
  hint: --mapdir takes GUEST::HOST and --dir takes HOST::GUEST; relative host paths start at the current directory
"),
        (good.clone().into(), "pack app.wasm --mapdir /::root -o no/such/out.wasm", 1, "\
error: cannot pack app.wasm
  caused by: the directory no/such does not exist
  hint: create it first, or name another place with -o
"),
        (good.clone().into(), "pack app.wasm --mapdir /::root -o root", 1, "\
error: cannot pack app.wasm
  caused by: root is a directory
  hint: name the output file itself with -o
"),
        (good.clone().into(), "pack app.wasm --mapdir root -o out.wasm", 2, "\
error: invalid value 'root' for '--mapdir <GUEST::HOST>': no `::` between guest and host path; to pack `root` as the root directory, give `/::root`

For more information, try '--help'.
"),
        (good.clone().into(), "pack app.wasm --mapdir /::root", 2, "\
error: say where the packed module goes: -o OUT.WASM

Usage: monaka pack [OPTIONS] <APP.WASM>

For more information, try '--help'.
"),
        // The other commands.
        (App::None, "lib -o no/such/lib.a", 1, "\
error: cannot write the library
  caused by: the directory no/such does not exist
  hint: create it first, or name another place with -o
"),
        (App::None, "inspect app.wasm", 1, "\
error: cannot inspect app.wasm
  caused by: No such file or directory (os error 2)
"),
        (App::Bytes(b"#!/bin/sh\n"), "inspect app.wasm", 1, "\
error: cannot inspect app.wasm
  caused by: it is not a WebAssembly module but a script
  hint: `monaka pack` takes a WASI Preview 1 module, usually the .wasm file that the linker wrote
"),
        ("(component)".into(), "run app.wasm", 1, "\
error: cannot run app.wasm
  caused by: it is a WebAssembly component, not a core module
  hint: build a core module instead (target wasm32-wasip1 rather than wasm32-wasip2), or take out the one inside with `wasm-tools component unbundle`
"),
        (r#"(module (func (export "one")) (func (export "two")))"#.into(), "run app.wasm", 1, "\
error: cannot run app.wasm
  caused by: it does not export _start
  hint: call one of its functions with --invoke: one, two
"),
        ("(module)".into(), "run app.wasm --invoke it", 1, "\
error: cannot run app.wasm
  caused by: it does not export it
  hint: it exports no function that can be called without arguments
"),
        (r#"(module (func (export "it") (param i32)))"#.into(), "run app.wasm --invoke it", 1, "\
error: cannot run app.wasm
  caused by: its export it takes arguments
"),
        (r#"(module (import "env" "hello" (func)) (func (export "_start")))"#.into(), "run app.wasm", 1, "\
error: cannot run app.wasm
  caused by: it imports env.hello, which `monaka run` does not have
  hint: `monaka run` offers WASI Preview 1 alone: run it in the host that it was made for
"),
        (r#"(module (func (export "_start")))"#.into(), "run app.wasm --dir nowhere::/", 1, "\
error: cannot run app.wasm
  caused by: cannot open the directory nowhere
  caused by: No such file or directory (os error 2)
"),
        (r#"(module (func (export "_start")))"#.into(), "run app.wasm --env MONAKA_NOT_SET", 1, "\
error: cannot run app.wasm
  caused by: --env MONAKA_NOT_SET: environment variable not found
  hint: give a value: --env MONAKA_NOT_SET=…
"),
    ]
}

#[test]
fn every_error_names_what_where_and_the_way_out() {
    let mut wrong = Vec::new();
    for (app, args, status, stderr) in errors() {
        let place = Place::new();
        match app {
            App::Text(wat) => place.put("app.wasm", &wat),
            App::Bytes(bytes) => fs::write(place.path().join("app.wasm"), bytes).unwrap(),
            App::None => {}
        }
        let before = place.entries();
        let output = place.monaka(args);
        let found = String::from_utf8(output.stderr).unwrap();
        if output.status.code() != Some(status) || found != stderr || !output.stdout.is_empty() {
            wrong.push(format!(
                "monaka {args}: {}\n{found}expected {status}\n{stderr}",
                output.status
            ));
        }
        assert_eq!(
            place.entries(),
            before,
            "monaka {args} left something behind"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn usage_errors_exit_with_two() {
    let place = Place::new();
    for args in [
        "",
        "pack",
        "pack app.wasm -o",
        "run",
        "lib",
        "inspect",
        "completions",
        "completions csh",
        "nonsense",
        "pack app.wasm --mapdir /..::root -o out.wasm",
        "pack app.wasm --mapdir /:: -o out.wasm",
    ] {
        assert_eq!(place.monaka(args).status.code(), Some(2), "monaka {args}");
    }
}

#[test]
fn help_has_examples_and_exit_status() {
    let place = Place::new();
    for command in ["", "pack", "run", "lib", "inspect", "completions"] {
        let help = place.text(&format!("{command} --help"));
        assert!(help.contains("Examples:\n  monaka "), "{help}");
        assert!(help.contains("Exit status: "), "{help}");
    }
}

#[test]
fn a_failed_pack_leaves_the_old_output() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, "").replace("1 200)", "1 1)"));
    fs::write(place.path().join("out.wasm"), "old").unwrap();
    assert_eq!(place.monaka(PACK).status.code(), Some(1));
    assert_eq!(place.read("out.wasm"), b"old");
}

#[test]
fn pack_says_what_it_did_unless_told_not_to() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    let output = place.monaka(PACK);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("packed 1 file (8 B) into out.wasm: "),
        "{stderr}"
    );
    assert!(output.stdout.is_empty());
    let output = place.monaka(&format!("{PACK} --quiet"));
    assert_eq!(output.stderr, b"");
}

#[test]
fn dash_is_stdin_and_stdout() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok(PACK);
    for args in [
        "pack - --mapdir /::root -q",
        "pack - --mapdir /::root -o - -q",
    ] {
        let app = fs::File::open(place.path().join("app.wasm")).unwrap();
        let output = place.command(args).stdin(app).output().unwrap();
        assert!(output.status.success());
        assert!(output.stdout == place.read("out.wasm"), "monaka {args}");
    }
}

#[test]
fn the_later_mapping_wins_whichever_flag_it_has() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    let pack = |name: &str, mappings: &str| {
        place.ok(&format!("pack app.wasm {mappings} -o {name} -q"));
        place.read(name)
    };
    let one = pack("1", "--mapdir /::root --dir other::/");
    assert!(one == pack("2", "--dir root::/ --mapdir /::other"));
    let other = pack("3", "--dir other::/ --mapdir /::root");
    assert!(memchr::memmem::find(&one, b"CONTENTS").is_some());
    assert!(memchr::memmem::find(&one, b"contents").is_none());
    assert!(memchr::memmem::find(&other, b"contents").is_some());
}

#[test]
fn packing_twice_is_packing_once_with_both() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok("pack app.wasm --mapdir /::root --mapdir /data::other -o once.wasm -q");
    place.ok("pack app.wasm --mapdir /::root -o first.wasm -q");
    place.ok("pack first.wasm --mapdir /data::other -o twice.wasm -q");
    assert!(place.read("once.wasm") == place.read("twice.wasm"));
    place.ok("pack twice.wasm -o twice.wasm -q");
    assert!(place.read("once.wasm") == place.read("twice.wasm"));
}

#[test]
fn host_directories_cannot_come_back() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok(&format!("{PACK} -q"));
    let output = place.monaka("pack out.wasm --mapdir /::other --allow-host-dirs -o again.wasm");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: cannot pack out.wasm\n  \
         caused by: an earlier pack removed the imports that --allow-host-dirs needs\n  \
         hint: pack the original module again, with --allow-host-dirs and all its directories\n"
    );
    // The other way round they go, and pack says so.
    place.ok(&format!("{PACK} -q --allow-host-dirs"));
    let output = place.monaka("pack out.wasm -o again.wasm -q");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("warning: the module was packed with --allow-host-dirs before"),
        "{stderr}"
    );
    place.ok(&format!("{PACK} -q"));
    assert!(place.read("out.wasm") == place.read("again.wasm"));
}

#[test]
fn another_or_a_damaged_pack_is_refused() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok(&format!("{PACK} -q"));
    let wasm = place.read("out.wasm");
    let section = memchr::memmem::rfind(&wasm, b"monaka.image").unwrap() + "monaka.image".len();
    let address = memchr::memmem::find(&wasm, b"monakafs").unwrap();
    let cases: [(usize, u8, &str); 3] = [
        (
            section,
            2,
            "it was packed in image format 2, ABI 1; this monaka writes format 1, ABI 1",
        ),
        (
            section + 18,
            77,
            "what an earlier pack recorded in it is damaged: the image is not where it was put",
        ),
        (
            address,
            b'M',
            "what an earlier pack recorded in it is damaged: ",
        ),
    ];
    for (at, byte, expected) in cases {
        let mut wasm = wasm.clone();
        wasm[at] = byte;
        fs::write(place.path().join("bad.wasm"), wasm).unwrap();
        let output = place.monaka("pack bad.wasm --mapdir /::other -o again.wasm");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr.contains(&format!("caused by: {expected}")),
            "{stderr}"
        );
        assert!(
            stderr.contains("  hint: pack the original module again"),
            "{stderr}"
        );
    }
}

#[test]
fn inspect_prints_what_was_packed() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    assert_eq!(
        place.text("inspect app.wasm"),
        "not packed, but linked with libmonaka_vfs.a\n\
         hint: pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`\n"
    );
    place.ok("pack app.wasm --mapdir /usr/lib::root --mapdir /etc::other -o out.wasm -q");
    let text = place.text("inspect out.wasm");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}: {text}"))
            .trim()
            .to_string()
    };
    assert_eq!(field("packed"), "3 files (20 B), 3 directories");
    assert_eq!(field("mounts"), "/usr/lib, /etc, /");
    assert_eq!(field("format"), "1, ABI 1");
    assert_eq!(field("host dirs"), "not visible");
    assert_eq!(field("imports"), "3 (`--imports` lists them)");
    assert_eq!(field("sha256").len(), 64);
    assert_eq!(
        place.text("inspect out.wasm --imports"),
        "wasi_snapshot_preview1.fd_write\nwasi_snapshot_preview1.clock_time_get\nenv.hello\n"
    );
    let json = place.text("inspect out.wasm --json");
    for expected in [
        "\"packed\": true",
        "\"files\": 3",
        "\"mounts\": [\"/usr/lib\", \"/etc\", \"/\"]",
        "\"host_dirs\": false",
    ] {
        assert!(json.contains(expected), "{json}");
    }
    place.put("plain.wasm", "(module)");
    let text = place.text("inspect plain.wasm");
    assert!(
        text.starts_with("not packed, and cannot be: it has no memory\nhint: "),
        "{text}"
    );
    assert!(
        place
            .text("inspect plain.wasm --json")
            .contains("\"linked\": false")
    );
}

#[test]
fn run_passes_on_arguments_environment_and_exit_code() {
    let place = Place::new();
    // Exits with the number of arguments times ten plus that of variables.
    place.put(
        "app.wasm",
        r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $args (i32.const 0) (i32.const 4)))
            (drop (call $env (i32.const 8) (i32.const 12)))
            (call $exit (i32.add (i32.mul (i32.load (i32.const 0)) (i32.const 10)) (i32.load (i32.const 8))))))"#,
    );
    assert_eq!(place.monaka("run app.wasm").status.code(), Some(10));
    let status = place
        .monaka("run app.wasm --env A=1 --env B=2 -- one --two")
        .status;
    assert_eq!(status.code(), Some(32));
}

#[test]
fn a_trap_exits_like_an_abort() {
    let place = Place::new();
    place.put(
        "app.wasm",
        r#"(module (func $inner unreachable) (func (export "_start") (call $inner)))"#,
    );
    let output = place.monaka("run app.wasm");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(134), "{stderr}");
    assert!(
        stderr.starts_with("error: app.wasm trapped\n  caused by: "),
        "{stderr}"
    );
    assert!(
        stderr.contains("unreachable") && stderr.contains("inner"),
        "{stderr}"
    );
}

#[test]
fn invoke_initializes_and_prints_results() {
    let place = Place::new();
    place.put(
        "app.wasm",
        r#"(module (global $g (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $g (i32.const 42)))
        (func (export "answer") (result i32 f64) (global.get $g) (f64.const 0.5)))"#,
    );
    assert_eq!(place.text("run app.wasm --invoke answer"), "42\n0.5\n");
}

#[test]
fn lib_writes_library_and_header() {
    let place = Place::new();
    place.ok("lib -o libmonaka_vfs.a --header monaka.h");
    assert!(place.read("libmonaka_vfs.a").starts_with(b"!<arch>\n"));
    assert!(place.read("monaka.h").starts_with(b"/*\n * monaka.h"));
    assert_eq!(place.ok("lib -o -"), place.read("libmonaka_vfs.a"));
}

#[test]
fn completions_know_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.text(&format!("completions {shell}"));
        assert!(
            script.contains("inspect") && script.contains("mapdir"),
            "{shell}: {script}"
        );
    }
}
