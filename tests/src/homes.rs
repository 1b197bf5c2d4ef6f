//! The three homes of the file system, each with a program that only passes calls
//! on, so that whoever runs it makes them: linked, and merged in both layouts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use monaka_vfs_core::witx::{self, Param};

use crate::native::SIZE;
use crate::toolbox::{self, Libc, Linked, Opt, Program, symbol};

/// A program that does nothing but pass calls on: its exports are its imports.
fn caller() -> String {
    let mut wat = String::from("(module\n");
    for hook in witx::HOOKS {
        let params = hook.params.iter().map(|param| match param {
            Param::I32 => "i32",
            Param::I64 => "i64",
        });
        let params: Vec<_> = params.collect();
        writeln!(
            wat,
            "(import \"{}\" \"{name}\" (func ${name} (param {}) (result i32)))",
            witx::MODULE,
            params.join(" "),
            name = hook.name,
        )
        .expect("write to a string");
    }
    for hook in witx::HOOKS {
        let (name, symbol) = (hook.name, symbol(hook.name));
        writeln!(wat, "(export \"{symbol}\" (func ${name}))").expect("write to a string");
    }
    let pages = SIZE.div_ceil(1 << 16);
    writeln!(wat, "(memory (export \"memory\") {pages}))").expect("write to a string");
    wat
}

/// Packs `root` into the program in each home, with more `flags`; the modules are left
/// in `room`.
pub fn pack(libc: Libc, root: &Path, flags: &[&str], room: &Path) -> [(&'static str, PathBuf); 3] {
    let linked = Program::Calls.compile(libc, Opt::O2, Linked::Last);
    let caller_wasm = room.join("caller.wasm");
    let wasm = wat::parse_str(caller()).expect("a module");
    fs::write(&caller_wasm, wasm).expect("write");
    let pack = |name: &'static str, module: &Path, layout: &[&str]| {
        let packed = room.join(format!("{name}.wasm"));
        let mapping = ["--mapdir".into(), toolbox::mapped("/", root)];
        let flags = layout.iter().chain(flags).map(Into::into);
        toolbox::pack(module, mapping.into_iter().chain(flags), &packed);
        (name, packed)
    };
    [
        pack("linked", &linked, &[]),
        pack("single", &caller_wasm, &[]),
        pack("multi", &caller_wasm, &["--memory", "multi"]),
    ]
}
