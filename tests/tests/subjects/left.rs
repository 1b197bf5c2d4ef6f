//! What a program left in its packed files, which die with it: read after its end
//! through the WASI calls that it imports itself. A module does not export those,
//! so it is given exports of its imports before it is packed.

use std::fmt::Write as _;

use monaka_tests::tree::fnv;
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{Parser, Payload, TypeRef};
use wasmtime::{Instance, Store, WasmParams};
use wasmtime_wasi::p1::WasiP1Ctx;

/// What the calls are exported as: this and their name.
const PREFIX: &str = "left:";

/// The module with exports of all that it imports from WASI.
pub(crate) fn exporting(wasm: &[u8]) -> Vec<u8> {
    let mut module = Module::new();
    let mut calls = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("a module");
        match &payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    let import = import.expect("an import");
                    if matches!(import.ty, TypeRef::Func(_)) {
                        calls.push(import);
                    }
                }
            }
            Payload::ExportSection(own) => {
                let mut exports = ExportSection::new();
                RoundtripReencoder
                    .parse_export_section(&mut exports, own.clone())
                    .expect("exports");
                // The same may be imported twice, but not exported.
                let mut names = std::collections::HashSet::new();
                for (index, import) in (0..).zip(&calls) {
                    if import.module == "wasi_snapshot_preview1" && names.insert(import.name) {
                        let name = format!("{PREFIX}{}", import.name);
                        exports.export(&name, ExportKind::Func, index);
                    }
                }
                module.section(&exports);
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            let data = &wasm[range];
            module.section(&RawSection { id, data });
        }
    }
    module.finish()
}

/// Where names, bytes and answers stand in the program's memory, which it has no
/// more use for.
const OUT: u32 = 1024;
const PATH: u32 = 4096;
const BYTES: u32 = 64 << 10;
const ROOM: u32 = 256 << 10;

/// The first preopened directory.
const ROOT: u32 = 3;

const DIRECTORY: u8 = 3;
const LINK: u8 = 7;

/// What is below `directory` of the first preopened one, in the lines of
/// `monaka_tests::tree::unlinked`.
pub(crate) fn listed(
    store: &mut Store<WasiP1Ctx>,
    instance: &Instance,
    directory: &str,
) -> wasmtime::Result<String> {
    let mut left = Left { store, instance };
    let mut lines = String::new();
    let directory = left.open(ROOT, directory, true)?;
    left.list(directory, "", &mut lines)?;
    Ok(lines)
}

struct Left<'a> {
    store: &'a mut Store<WasiP1Ctx>,
    instance: &'a Instance,
}

impl Left<'_> {
    fn list(&mut self, directory: u32, prefix: &str, lines: &mut String) -> wasmtime::Result<()> {
        for (name, kind) in self.entries(directory)? {
            let shown = format!("{prefix}/{name}");
            match kind {
                DIRECTORY => {
                    let _ = writeln!(lines, "{shown}/");
                    let below = self.open(directory, &name, true)?;
                    self.list(below, &shown, lines)?;
                }
                LINK => {
                    let target = self.target(directory, &name)?;
                    let _ = writeln!(lines, "{shown} -> {target}");
                }
                _ => {
                    let file = self.open(directory, &name, false)?;
                    let bytes = self.contents(file)?;
                    let _ = writeln!(lines, "{shown} {} {:016x}", bytes.len(), fnv(&bytes));
                }
            }
        }
        self.call("fd_close", directory)
    }

    /// The names in a directory and what they are, sorted.
    fn entries(&mut self, directory: u32) -> wasmtime::Result<Vec<(String, u8)>> {
        let mut entries = Vec::new();
        let mut cookie = 0_u64;
        loop {
            self.call("fd_readdir", (directory, BYTES, ROOM, cookie, OUT))?;
            let used = self.word()?;
            let bytes = self.load(BYTES, used)?;
            let mut rest = &bytes[..];
            // The last one may be cut off.
            while let Some((head, tail)) = rest.split_at_checked(24) {
                let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
                let Some((name, tail)) = tail.split_at_checked(word(16) as usize) else {
                    break;
                };
                cookie = u64::from_le_bytes(head[..8].try_into().unwrap());
                let name = String::from_utf8_lossy(name).into_owned();
                if name != "." && name != ".." {
                    entries.push((name, head[20]));
                }
                rest = tail;
            }
            if used < ROOM {
                entries.sort();
                return Ok(entries);
            }
        }
    }

    fn open(&mut self, at: u32, name: &str, directory: bool) -> wasmtime::Result<u32> {
        const READ_AND_LIST: u64 = 1 << 1 | 1 << 13 | 1 << 14 | 1 << 15;
        let length = self.path(name)?;
        let flags = if directory { 2_u32 } else { 0 };
        let rights = (READ_AND_LIST, READ_AND_LIST);
        let path = (at, 0, PATH, length, flags, rights.0, rights.1, 0, OUT);
        self.call("path_open", path)?;
        self.word()
    }

    fn contents(&mut self, file: u32) -> wasmtime::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            self.store_bytes(PATH, &[BYTES.to_le_bytes(), ROOM.to_le_bytes()].concat())?;
            self.call("fd_read", (file, PATH, 1, OUT))?;
            match self.word()? {
                0 => break,
                read => all.extend(self.load(BYTES, read)?),
            }
        }
        self.call("fd_close", file)?;
        Ok(all)
    }

    fn target(&mut self, directory: u32, name: &str) -> wasmtime::Result<String> {
        let length = self.path(name)?;
        let link = (directory, PATH, length, BYTES, ROOM, OUT);
        self.call("path_readlink", link)?;
        let length = self.word()?;
        Ok(String::from_utf8_lossy(&self.load(BYTES, length)?).into_owned())
    }

    fn path(&mut self, name: &str) -> wasmtime::Result<u32> {
        self.store_bytes(PATH, name.as_bytes())?;
        Ok(name.len() as u32)
    }

    /// Calls `name` of WASI; it must succeed.
    fn call<P: WasmParams>(&mut self, name: &str, params: P) -> wasmtime::Result<()> {
        let export = format!("{PREFIX}{name}");
        let call = self
            .instance
            .get_typed_func::<P, u32>(&mut *self.store, &export)?;
        let errno = call.call(&mut *self.store, params)?;
        wasmtime::ensure!(errno == 0, "{name}: errno {errno}");
        Ok(())
    }

    fn memory(&mut self) -> wasmtime::Memory {
        let memory = self.instance.get_memory(&mut *self.store, "memory");
        memory.expect("an export `memory`")
    }

    fn word(&mut self) -> wasmtime::Result<u32> {
        let bytes = self.load(OUT, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    fn load(&mut self, at: u32, length: u32) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        self.memory().read(&*self.store, at as usize, &mut bytes)?;
        Ok(bytes)
    }

    fn store_bytes(&mut self, at: u32, bytes: &[u8]) -> wasmtime::Result<()> {
        Ok(self.memory().write(&mut *self.store, at as usize, bytes)?)
    }
}
