//! Every way to fail, and what is said about it.

use monaka_vfs_core::link::ABI;
use monaka_vfs_core::witx::Hook;

use super::fake::{program, record};

/// What `app.wasm` is in a case.
pub(crate) enum App {
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

/// The usual way to pack.
pub(crate) const PACK: &str = "pack app.wasm --mapdir /::root -o out.wasm";

/// The same for programs that are linked with the library, and no others.
const LINKED: &str = "pack app.wasm --mapdir /::root --route linked -o out.wasm";

/// Module, arguments, exit status, stderr.
pub(crate) fn errors() -> Vec<(App, &'static str, i32, &'static str)> {
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
  hint: give a WASI Preview 1 module, usually the .wasm file that the linker wrote
"),
        (App::Bytes(b"\x7fELF\x02\x01\x01"), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not a WebAssembly module but a native program or object (ELF)
  hint: give a WASI Preview 1 module, usually the .wasm file that the linker wrote
"),
        (App::Bytes(b"\x1f\x8b\x08"), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not a WebAssembly module but a gzip file
  hint: give a WASI Preview 1 module, usually the .wasm file that the linker wrote
"),
        (App::Bytes(b"int main() {}\n"), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is not a WebAssembly module but a text file
  hint: give a WASI Preview 1 module, usually the .wasm file that the linker wrote
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
        (r#"(module (import "env" "t" (table 1 funcref)) (memory 1))"#.into(), LINKED, 1, "\
error: cannot pack app.wasm
  caused by: it imports a table (env.t)
  hint: leave out `--route linked`: the file system can be merged into the program as it is
"),
        (program(ABI, "(global (mut externref) (ref.null extern))").into(), LINKED, 1, "\
error: cannot pack app.wasm
  caused by: global 2 is a mutable reference, which cannot be kept in a snapshot
  hint: leave out `--route linked`: the file system can be merged into the program as it is
"),
        (program(ABI, "(func $grower (drop (table.grow 0 (ref.null func) (i32.const 1))))").into(), LINKED, 1, "\
error: cannot pack app.wasm
  caused by: function `grower` uses table.grow, whose effect cannot be kept in a snapshot
  hint: leave out `--route linked`: the file system can be merged into the program as it is
"),
        (program(ABI, "(data $d \"x\") (func $dropper (data.drop $d))").into(), LINKED, 1, "\
error: cannot pack app.wasm
  caused by: function `dropper` uses data.drop, whose effect cannot be kept in a snapshot
  hint: leave out `--route linked`: the file system can be merged into the program as it is
"),
        (program(ABI, "(tag $t) (func $thrower try throw $t catch $t end)").into(), LINKED, 1, "\
error: cannot pack app.wasm
  caused by: it needs a WebAssembly feature that monaka's engine lacks: legacy_exceptions feature required for try instruction, in function `thrower`
  hint: leave out `--route linked`: the file system can be merged into the program as it is
"),
        (program(ABI, "(data (i32.const 65536) \"x\")").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: data segment 4 lies outside its memory
  hint: it would trap at start: build it again
"),
        // What is not, or not rightly, linked.
        ("(module (memory 1))".into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it imports no file call of WASI Preview 1, so nothing could read what is packed
  hint: a linker takes in only what is called, so it may have been left out: pack the program that opens the files
"),
        (r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32))) (memory 1))"#.into(), LINKED, 1, "\
error: cannot pack app.wasm
  caused by: it is not linked with libmonaka_vfs.a
  hint: leave out `--route linked`: the file system can be merged into the program as it is
"),
        (r#"(module (import "wasi_unstable" "fd_close" (func (param i32))) (memory 1))"#.into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it imports wasi_unstable.fd_close as (i32) -> (); WASI Preview 1 has (i32) -> (i32)
  hint: it was made for another host's variant of WASI: compile it for WASI Preview 1
"),
        (good.clone().into(), "pack app.wasm --mapdir /::root --memory multi -o out.wasm", 1, "\
error: cannot pack app.wasm
  caused by: --memory is for programs that the file system is merged into, and this one is linked with libmonaka_vfs.a
  hint: leave --memory out, or merge all the same with --route rewrite
"),
        (good.clone().into(), "pack app.wasm --mapdir /::root --compress -o out.wasm", 1, "\
error: cannot pack app.wasm
  caused by: it is linked with libmonaka_vfs.a, which does not read compressed files
  hint: relink it with the library that reads them: `monaka lib --zstd -o libmonaka_vfs_zstd.a`; or merge the file system into it with `--route rewrite`; or leave out `--compress`
"),
        (program(99, "").into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: it is linked with a libmonaka_vfs.a of ABI 99; this monaka speaks ABI 3
  hint: relink it with the library of this command: `monaka lib -o libmonaka_vfs.a`, then pack the result; or `--route rewrite`
"),
        (good.replace(&open_record, &record(1152, ABI, 99, [5, 6])).into(), PACK, 1, "\
error: cannot pack app.wasm
  caused by: the libmonaka_vfs.a inside it is inconsistent: a record of the unknown call 99
  hint: relink it with the library of this command: `monaka lib -o libmonaka_vfs.a`, then pack the result; or `--route rewrite`
"),
        (good.replace(&open_record, "").into(), LINKED, 1, "\
error: cannot pack app.wasm
  caused by: it calls path_open of wasi_snapshot_preview1 directly, and the library's replacements are not linked in
  hint: leave out `--route linked`: the file system can be merged into the program as it is
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
  caused by: the file system is too large for the program's memory: it needs 712 bytes; the memory has 65536 and can grow to 65536
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

Usage: monaka pack [OPTIONS] <APP.WASM> -o <OUT.WASM>
       monaka pack [OPTIONS] [--config <FILE>]

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
  hint: give a WASI Preview 1 module, usually the .wasm file that the linker wrote
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
        (r#"(module (func (export "_start")))"#.into(), "run app.wasm --save-to out", 1, "\
error: cannot run app.wasm
  caused by: nothing is packed into it
  hint: pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`
"),
        (r#"(module (func (export "_start")))"#.into(), "commit app.wasm -o out.wasm", 1, "\
error: cannot commit app.wasm
  caused by: nothing is packed into it
  hint: pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`
"),
        (App::None, "commit app.wasm -o no/out.wasm", 1, "\
error: cannot commit app.wasm
  caused by: the directory no does not exist
  hint: create it first, or name another place with -o
"),
        (App::None, "run app.wasm --save-to root", 1, "\
error: cannot run app.wasm
  caused by: the directory root is not empty
  hint: nothing is overwritten: name a new directory, or an empty one
"),
        (App::None, "run app.wasm --save-to root/file", 1, "\
error: cannot run app.wasm
  caused by: root/file is not a directory
  hint: name a new directory, or a .tar archive
"),
        (App::None, "run app.wasm --save-to no/out", 1, "\
error: cannot run app.wasm
  caused by: the directory no does not exist
  hint: create it first, or name another place
"),
        (App::None, "run app.wasm --save-to out.tar.gz", 1, "\
error: cannot run app.wasm
  caused by: out.tar.gz is to be a directory, or an archive of a kind that is not written
  hint: name a directory or a .tar; `-` is a tar archive on stdout, for gzip to compress
"),
    ]
}
