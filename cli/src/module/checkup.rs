//! What `monaka doctor` finds out about a file.
//!
//! Whether it can be packed is not guessed: a pack of nothing is tried out in memory,
//! and its result is looked at.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use monaka_vfs_core::image::{Meta, NodeId, Tree, write};
use monaka_vfs_core::witx;
use serde::Serialize;
use wasmparser::{ExternalKind, Import, Parser, Payload};

use super::analyze::{Module, memory_size, page_size};
use super::features::{self, Feature};
use super::merge::{Layout, Merged, PAGE, PAGES_MAX};
use super::origin::Origin;
use super::packed::Packed;
use super::program::Program;
use super::refusal::Refusal;
use crate::module::reach::Reach;
use crate::report;

/// What a file is, and whether it can be packed.
#[derive(Serialize)]
pub(crate) struct Checkup {
    /// What it is: `a command of WASI Preview 1`, `a gzip file`.
    pub(crate) what: String,
    pub(crate) bytes: u64,
    /// Why it cannot be packed.
    pub(crate) obstacle: Option<Obstacle>,
    /// More about it, if it is a module.
    pub(crate) module: Option<Patient>,
}

/// Why something cannot be packed, and the way out.
#[derive(Serialize)]
pub(crate) struct Obstacle {
    pub(crate) reason: String,
    pub(crate) hint: String,
}

/// What is known about a module.
#[derive(Serialize)]
pub(crate) struct Patient {
    pub(crate) origin: Origin,
    /// What a host calls.
    pub(crate) entry: String,
    /// The imports by what they are for.
    pub(crate) imports: BTreeMap<String, Vec<String>>,
    pub(crate) memories: Vec<Memory>,
    /// Its parts of WebAssembly that are not of the first version.
    pub(crate) features: String,
    pub(crate) sizes: Sizes,
    /// What came of packing it.
    pub(crate) outcome: Option<Outcome>,
    /// What is worth knowing before one packs it.
    pub(crate) notes: Vec<String>,
}

/// A memory's size in bytes.
#[derive(Serialize)]
pub(crate) struct Memory {
    pub(crate) initial: u64,
    pub(crate) maximum: Option<u64>,
}

/// A pack that was tried out.
#[derive(Serialize)]
pub(crate) struct Outcome {
    /// Whether it was packed before, and would be packed again.
    pub(crate) packed: bool,
    /// `linked` or `rewrite`.
    pub(crate) route: &'static str,
    /// The route and why it was taken.
    pub(crate) way: String,
    /// Whether it takes compressed files.
    pub(crate) compress: bool,
    /// How many bytes what is packed and written can take.
    pub(crate) room: u64,
    pub(crate) runs_on: String,
    /// The same with a memory of its own for the file system, where that is possible.
    pub(crate) runs_on_multi: Option<String>,
    #[serde(skip)]
    notes: Vec<String>,
}

impl Checkup {
    /// Looks at a file.
    pub(crate) fn of(wasm: &[u8]) -> Checkup {
        let checkup = |what: String, obstacle, module| Checkup {
            what,
            bytes: wasm.len() as u64,
            obstacle,
            module,
        };
        let module = match Module::parse(wasm) {
            Ok(module) => module,
            Err(refusal) => {
                let what = match &refusal {
                    Refusal::NotWasm(what) => (*what).to_string(),
                    Refusal::Component => "a WebAssembly component".into(),
                    _ => "a damaged WebAssembly module".into(),
                };
                return checkup(what, Some(obstacle(&refusal.into())), None);
            }
        };
        let (outcome, found) = match Outcome::of(wasm, &module) {
            Ok(outcome) => (Some(outcome), None),
            Err(error) => (None, Some(obstacle(&error))),
        };
        let mut patient = Patient::of(wasm, &module);
        patient.notes = notes(&module, &patient, outcome.as_ref());
        patient.outcome = outcome;
        checkup(kind(&module).into(), found, Some(patient))
    }
}

/// An error as a reason and a way out.
fn obstacle(error: &anyhow::Error) -> Obstacle {
    let hint = report::hint_of(error);
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    Obstacle {
        reason: causes.join(": "),
        hint: hint.unwrap_or_else(|| "this is a mistake of monaka: please report it".into()),
    }
}

impl Outcome {
    /// Packs nothing into a module, in memory.
    fn of(wasm: &[u8], module: &Module<'_>) -> Result<Outcome> {
        let packed = Packed::open(wasm, module)?;
        let original;
        let program = match &packed {
            None => Program::new(
                wasm,
                module,
                None,
                Layout::Single,
                Reach::usual(false),
                false,
            )?,
            Some(packed) => match packed.merged {
                Some(merged) => {
                    let merged = Merged::reopen(packed, merged, false)?;
                    Program::Merged(merged.with_no_file())
                }
                None => {
                    original = packed.original(module)?;
                    let module = Module::parse(&original)?;
                    Program::new(
                        &original,
                        &module,
                        None,
                        Layout::Single,
                        Reach::usual(false),
                        false,
                    )?
                }
            },
        };
        let mut tree = Tree::new(Meta::default());
        tree.add_preopen(b"/", NodeId::ROOT)?;
        let valid = tree.validate()?;
        let image = write(&valid)?;
        let mounted = program.mount(&image)?;
        let mut result = Vec::new();
        program.write(&mut result, &mounted, &image, |(): &(), _, _| Ok(()))?;
        let features = features::used(&result).map_err(|e| Refusal::Malformed(e.to_string()))?;
        let is_packed = packed.is_some();
        let (route, reason, room) = match &program {
            Program::Linked(_) => ("linked", "libmonaka_vfs.a is inside", linked_room(module)),
            Program::Merged(_) => (
                "rewrite",
                "the file system is merged into the program",
                merged_room(module),
            ),
        };
        let multi = features.iter().copied().chain([Feature::MultiMemory]);
        let multi: BTreeSet<Feature> = multi.collect();
        let can_choose = route == "rewrite" && !is_packed;
        Ok(Outcome {
            packed: is_packed,
            route,
            way: match is_packed {
                true => format!("{route}; it is packed already, and packing again adds to that"),
                false => format!("{route}: {reason}"),
            },
            // What is merged in anew has the decoder that is asked for.
            compress: can_choose || program.decodes(),
            room,
            runs_on: features::runs_on(&features),
            runs_on_multi: can_choose.then(|| features::runs_on(&multi)),
            notes: program.notes().to_vec(),
        })
    }
}

/// The library takes room from the program's memory, which keeps its maximum.
fn linked_room(module: &Module<'_>) -> u64 {
    let room = |memory: &wasmparser::MemoryType| {
        let most = memory.maximum.unwrap_or(PAGES_MAX).min(PAGES_MAX) * PAGE;
        most.saturating_sub(memory_size(memory))
    };
    module.memories.first().map_or(0, room)
}

/// What the program's first pages leave of a 32-bit memory, whatever its maximum was.
fn merged_room(module: &Module<'_>) -> u64 {
    let size = module.memories.first().map_or(0, memory_size);
    (PAGES_MAX * PAGE).saturating_sub(size)
}

/// What a module is, by what it imports and exports.
fn kind(module: &Module<'_>) -> &'static str {
    let imports = |name: &str| module.imports.iter().any(|import| import.module == name);
    let exports = |name: &str| module.exports.iter().any(|export| export.name == name);
    let entry = (exports("_start"), exports("_initialize"));
    match (imports(witx::MODULE), imports("wasi_unstable"), entry) {
        (true, _, (true, _)) => "a command of WASI Preview 1",
        (true, _, (false, true)) => "a reactor of WASI Preview 1",
        (true, _, (false, false)) => "a library with imports of WASI Preview 1",
        (false, true, _) => "a program of wasi_unstable, from before Preview 1",
        (false, false, _) => "a WebAssembly module without imports of WASI",
    }
}

impl Patient {
    fn of(wasm: &[u8], module: &Module<'_>) -> Patient {
        let mut imports: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for import in &module.imports {
            let names = imports.entry(subject(import)).or_default();
            names.push(import.name.to_string());
        }
        let features = features::used(wasm).unwrap_or_default();
        let memories = module.memories.iter().map(|memory| Memory {
            initial: memory_size(memory),
            maximum: (memory.maximum).map(|pages| pages.saturating_mul(page_size(memory))),
        });
        Patient {
            origin: Origin::of(wasm),
            entry: entry(module),
            imports,
            memories: memories.collect(),
            features: features::list(&features),
            sizes: Sizes::of(wasm),
            outcome: None,
            notes: Vec::new(),
        }
    }
}

/// What a host calls to run a module.
fn entry(module: &Module<'_>) -> String {
    let functions = module
        .exports
        .iter()
        .filter(|export| matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact));
    let names: Vec<&str> = functions.map(|export| export.name).collect();
    let others = names
        .iter()
        .filter(|name| !matches!(**name, "_start" | "_initialize"));
    let others = report::count(others.count(), "function", "functions");
    match (names.contains(&"_start"), names.contains(&"_initialize")) {
        (true, _) if names.len() == 1 => "_start".into(),
        (true, _) => format!("_start, beside {others}"),
        (false, true) => format!("_initialize, then one of {others}"),
        (false, false) => format!("none: it exports {others}, and neither _start nor _initialize"),
    }
}

fn is_wasi(import: &Import<'_>) -> bool {
    matches!(import.module, witx::MODULE | "wasi_unstable")
}

/// What an import is for.
fn subject(import: &Import<'_>) -> String {
    if !is_wasi(import) {
        return format!("of {}, not WASI", import.module);
    }
    let subject = match import.name {
        "args_get" | "args_sizes_get" => "arguments",
        "environ_get" | "environ_sizes_get" => "environment",
        "clock_time_get" | "clock_res_get" => "clock",
        "random_get" => "random bytes",
        "proc_exit" | "proc_raise" | "sched_yield" => "process",
        "poll_oneoff" => "waiting",
        "fd_read"
        | "fd_write"
        | "fd_close"
        | "fd_seek"
        | "fd_fdstat_get"
        | "fd_filestat_get"
        | "fd_fdstat_set_flags" => "files and streams",
        name if name.starts_with("sock_") => "sockets",
        name if name.starts_with("fd_") || name.starts_with("path_") => "files",
        _ => "unknown to monaka",
    };
    subject.into()
}

/// What someone who packs this should know.
fn notes(module: &Module<'_>, patient: &Patient, outcome: Option<&Outcome>) -> Vec<String> {
    let mut notes = outcome.map_or(Vec::new(), |outcome| outcome.notes.clone());
    let imports = |name: &str| module.imports.iter().any(|import| import.name == name);
    let exports = |name: &str| module.exports.iter().any(|export| export.name == name);
    let mut note = |applies: bool, text: &str| {
        if applies {
            notes.push(text.to_string());
        }
    };
    let is_fresh = outcome.is_some_and(|outcome| !outcome.packed);
    note(
        is_fresh && !imports("path_open"),
        "it does not import path_open: it opens no file, so packing is of no use to it",
    );
    note(
        imports("path_open") && !imports("fd_prestat_get"),
        "it never asks which directories are open (fd_prestat_get): it can only find what is \
         packed if it takes descriptor 3 for granted",
    );
    note(
        patient.imports.contains_key("sockets"),
        "its calls of sockets are for those that the host has open, and it keeps them only with \
         --allow-host-dirs",
    );
    let is_old = |import: &Import<'_>| import.module == "wasi_unstable";
    note(
        outcome.is_some() && module.imports.iter().any(is_old),
        "packing turns its calls of wasi_unstable into those of Preview 1",
    );
    note(
        outcome.is_some() && !exports("memory"),
        "it does not export its memory as `memory`, where hosts of WASI look for it",
    );
    note(
        exports("wasi_vfs_pack_fs"),
        "wasi-vfs is linked in (wasi_vfs_pack_fs), which monaka has no need of",
    );
    note(
        patient.features.contains("legacy exceptions"),
        "it throws exceptions in the encoding of before the standard, which few runtimes know: \
         compile with exceptions of WebAssembly 3.0 (clang: -mllvm -wasm-use-legacy-eh=false)",
    );
    let others = module.imports.iter().filter(|import| !is_wasi(import));
    let others: BTreeSet<&str> = others.map(|import| import.module).collect();
    let others: Vec<&str> = others.into_iter().collect();
    note(
        outcome.is_some() && !others.is_empty(),
        &format!(
            "its imports of {} are left as they are: the host must have them, and `monaka run` \
             has not",
            others.join(", ")
        ),
    );
    const SMALL: u64 = 64 << 20;
    if let Some(room) = outcome
        .map(|outcome| outcome.room)
        .filter(|room| *room < SMALL)
    {
        notes.push(format!(
            "its memory leaves only {} for files: raise its maximum when linking \
             (-Wl,--max-memory=4294967296)",
            report::bytes(room)
        ));
    }
    notes
}

/// A module's bytes by what they are for.
#[derive(Default, Serialize)]
pub(crate) struct Sizes {
    pub(crate) code: u64,
    pub(crate) data: u64,
    /// The names of functions.
    pub(crate) names: u64,
    /// DWARF and source maps.
    pub(crate) debug: u64,
    pub(crate) other: u64,
}

impl Sizes {
    fn of(wasm: &[u8]) -> Sizes {
        let mut sizes = Sizes::default();
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            match payload {
                Payload::CodeSectionStart { range, .. } => sizes.code += range.len() as u64,
                Payload::DataSection(data) => sizes.data += data.range().len() as u64,
                Payload::CustomSection(custom) => {
                    let len = custom.data().len() as u64;
                    match custom.name() {
                        "name" => sizes.names += len,
                        name if name.starts_with(".debug") || name == "sourceMappingURL" => {
                            sizes.debug += len;
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let known = sizes.code + sizes.data + sizes.names + sizes.debug;
        sizes.other = (wasm.len() as u64).saturating_sub(known);
        sizes
    }

    /// Each part with what it is called.
    pub(crate) fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("code", self.code),
            ("data", self.data),
            ("names", self.names),
            ("debug", self.debug),
            ("other", self.other),
        ]
    }
}
