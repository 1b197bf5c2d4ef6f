//! Generated modules behave the same before and after the file system is merged
//! into them.
//!
//! `tests/smith` generates modules that import WASI's calls; `tools/smith` hands
//! them to the test here. Each runs as it is, with the file system natively behind
//! its imports, and merged in both layouts, on equal hosts ([`world`]). After each
//! call of an exported function the outcomes, the calls that reached the host,
//! memories, globals and tables are compared ([`pair`]). Besides:
//!
//! 1. What is merged is valid with the features that the module needs itself and
//!    what the blob is made of; and multi-memory, if there is a second one.
//! 2. Exports are the same, and no function of the blob is among exports or
//!    elements but those that stand for imports.
//! 3. Custom sections stay in their place, but for those that the notes name.
//!
//! One difference is meant: where a program leaves its memory, what it finds there
//! in the single layout is the file system's. From there on that layout is not
//! compared.

mod pair;
mod regressions;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use wasmparser::{Validator, WasmFeatures};

use self::pair::{Ended, Pair};
use self::world::Files;
use super::analyze::Module;
use super::merge::{Layout, Merged};
use super::refusal::Refusal;
use super::section::split;
use crate::module::reach::Reach;

/// What the blob's functions need beside the module's own features.
const BLOB_FEATURES: WasmFeatures = WasmFeatures::BULK_MEMORY.union(WasmFeatures::SIGN_EXTENSION);

/// How the comparison of one module in one layout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// All was compared.
    Same,
    /// All up to where the program left its memory.
    Strayed,
    /// Rightly.
    Refused,
}

/// Compares a module with what becomes of it; what differs is the error.
fn check(wasm: &[u8], host_dirs: bool) -> Result<Vec<(Layout, Verdict)>, String> {
    let module = Module::parse(wasm).map_err(|refusal| refusal.to_string())?;
    let mut verdicts = Vec::new();
    for layout in [Layout::Single, Layout::Multi] {
        let told = |what: String| format!("{layout:?}: {what}");
        let merged = match Merged::new(wasm, &module, layout, Reach::usual(host_dirs), false) {
            Ok(merged) => merged,
            Err(error) => {
                let refusal = error
                    .downcast::<Refusal>()
                    .map_err(|error| told(format!("{error:#}")))?;
                is_right(&module, &refusal).map_err(told)?;
                verdicts.push((layout, Verdict::Refused));
                continue;
            }
        };
        let packed = Files::of(host_dirs).pack(&merged);
        needs_no_more(wasm, &packed, layout).map_err(told)?;
        keeps_what_is_seen(wasm, &packed, &merged).map_err(told)?;
        let mut pair = Pair::new(wasm, &packed, layout, host_dirs).map_err(told)?;
        verdicts.push((
            layout,
            match pair.compare().map_err(told)? {
                Ended::Same => Verdict::Same,
                Ended::Strayed => Verdict::Strayed,
            },
        ));
    }
    Ok(verdicts)
}

/// Whether a module was refused for a reason that it gives.
fn is_right(module: &Module<'_>, refusal: &Refusal) -> Result<(), String> {
    let memory = module.memories[0];
    let right = match refusal {
        Refusal::SharedMemory => module.memories.iter().any(|memory| memory.shared),
        Refusal::Memory64 => memory.memory64,
        Refusal::PageSize(_) => memory.page_size_log2.is_some(),
        Refusal::NoFileCalls => !module.imports.iter().any(|import| {
            import.module.starts_with("wasi") && import.name.contains('_') && {
                let (kind, _) = import.name.split_once('_').unwrap_or_default();
                ["fd", "path", "sock", "poll"].contains(&kind)
            }
        }),
        Refusal::SegmentBounds(_) => module.initial_memories().is_err(),
        Refusal::ImportType { found, .. } => found.ends_with("subtypes"),
        _ => false,
    };
    right.then_some(()).ok_or(format!("refused: {refusal}"))
}

/// Checks that the packed module is valid with what the program needed already.
fn needs_no_more(wasm: &[u8], packed: &[u8], layout: Layout) -> Result<(), String> {
    let valid = |wasm, features| Validator::new_with_features(features).validate_all(wasm);
    let mut needed = WasmFeatures::all();
    for feature in WasmFeatures::all().iter() {
        let without = needed.difference(feature);
        if valid(wasm, without).is_ok() {
            needed = without;
        }
    }
    needed.insert(BLOB_FEATURES);
    if layout == Layout::Multi {
        needed.insert(WasmFeatures::MULTI_MEMORY);
    }
    valid(packed, needed)
        .map(|_| ())
        .map_err(|error| format!("more features than before: {error}"))
}

/// Checks exports, and the custom sections between the others.
fn keeps_what_is_seen(wasm: &[u8], packed: &[u8], merged: &Merged<'_>) -> Result<(), String> {
    let exports = |wasm: &[u8]| -> Vec<String> {
        let module = Module::parse(wasm).expect("it was parsed before");
        let exports = module.exports.iter();
        exports
            .map(|export| format!("{} {:?}", export.name, export.kind))
            .collect()
    };
    if exports(wasm) != exports(packed) {
        return Err("other exports".into());
    }
    let dropped = |name: &str| {
        let dropped = format!("dropped {name}");
        merged
            .notes
            .iter()
            .any(|note| note.starts_with(&dropped) || note.contains(&format!(", {name}")))
    };
    let is_ours = |name: &str| name.starts_with("monaka.") || name == "producers";
    let sections = split(wasm).expect("it was parsed before");
    let ids: Vec<u8> = sections.iter().map(|section| section.id).collect();
    // Each with the section that it stands behind, of those that were there before.
    let customs = |wasm: &[u8]| -> Vec<(u8, String, Vec<u8>)> {
        let mut last = 0;
        let mut customs = Vec::new();
        for section in split(wasm).expect("it was parsed before") {
            match section.as_custom() {
                None if ids.contains(&section.id) => last = section.id,
                Some((name, payload)) if !is_ours(name) && !dropped(name) => {
                    // Other functions have names now.
                    let payload = if name == "name" { &[] } else { payload };
                    customs.push((last, name.to_string(), payload.to_vec()));
                }
                _ => {}
            }
        }
        customs
    };
    let (before, after) = (customs(wasm), customs(packed));
    if before == after {
        Ok(())
    } else {
        let names = |customs: &[(u8, String, Vec<u8>)]| -> Vec<(u8, String)> {
            let named = customs.iter();
            named.map(|(at, name, _)| (*at, name.clone())).collect()
        };
        let (before, after) = (names(&before), names(&after));
        Err(format!("other custom sections: {after:?}, not {before:?}"))
    }
}

/// The modules that `tests/smith` wrote, each with its seed.
fn generated() -> Vec<(u64, Vec<u8>)> {
    let path = std::env::var_os("SMITH_MODULES")
        .expect("SMITH_MODULES names no file of modules; run tools/smith");
    let mut file = std::fs::File::open(path).expect("open SMITH_MODULES");
    let mut modules = Vec::new();
    let mut header = [0; 16];
    while file.read_exact(&mut header).is_ok() {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&header[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let mut wasm = vec![0; number(8) as usize];
        file.read_exact(&mut wasm)
            .expect("SMITH_MODULES is cut off");
        modules.push((number(0), wasm));
    }
    assert!(!modules.is_empty(), "SMITH_MODULES holds no module");
    modules
}

#[test]
#[ignore = "needs generated modules: tools/smith"]
fn generated_modules_behave_the_same() {
    let modules = generated();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let counts = Mutex::new(BTreeMap::<(String, Verdict), usize>::new());
    let work = || {
        while let Some((seed, wasm)) = modules.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = std::panic::catch_unwind(|| check(wasm, seed % 4 == 0));
            match outcome.unwrap_or_else(|_| Err("a panic, see above".into())) {
                Ok(verdicts) => {
                    let mut counts = counts.lock().expect("counts");
                    for (layout, verdict) in verdicts {
                        *counts.entry((format!("{layout:?}"), verdict)).or_default() += 1;
                    }
                }
                Err(what) => {
                    let mut failures = failures.lock().expect("failures");
                    failures.push(format!("seed {seed}: {what}"));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let thread = thread::Builder::new().stack_size(world::STACK * 2);
            thread.spawn_scoped(scope, work).expect("start a thread");
        }
    });
    let counts = counts.into_inner().expect("counts");
    println!("{counts:?}");
    let failures = failures.into_inner().expect("failures");
    assert!(
        failures.is_empty(),
        "{} of {} modules differ; tools/smith says how to run one again\n{}",
        failures.len(),
        modules.len(),
        failures[..failures.len().min(40)].join("\n")
    );
    for layout in [Layout::Single, Layout::Multi] {
        let count = |verdict| counts.get(&(format!("{layout:?}"), verdict)).copied();
        let same = count(Verdict::Same).unwrap_or(0);
        assert!(
            same * 3 > modules.len(),
            "too few are compared to their end"
        );
    }
}
