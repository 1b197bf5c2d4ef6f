//! Packed programs that start already initialised.
//!
//! The packed module is run in the embedded engine, with its files, and what it has
//! come to is written as the initial state of the module:
//!
//! ```text
//! observe → guest (runs) → state                                   --init-func
//! observe → guest (runs to the checkpoint) → stack
//!         → observe → guest (again, stack taken down) → state, resume   --init-run
//! ```
//!
//! 1. A function that has returned leaves nothing but state. A checkpoint is in the
//!    middle of calls: the first run tells which, the second leaves their frames in a
//!    memory, and a function for each goes on from there.
//! 2. Whatever no module can hold is refused, by name.
//! 3. Everything stays at its index; what is new stands behind.

mod guest;
mod observe;
mod record;
mod resume;
mod stack;
mod state;
mod survey;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use wasmparser::{ExportSectionReader, ExternalKind, ValType, Validator};
use wasmtime::Val;

pub(crate) use record::{InitRecord, SECTION};

use super::analyze::{Module, engine_features};
use super::graft::{appended, complete};
use super::packed::{self, Packed};
use super::section::{Section, encoded, id, join, leb_width, split, write_leb};
use super::splice::{Moved, Remap};
use super::{checkpoint, merge};
use crate::report::Hinted;
use guest::{Checkpoint, Ran};
use observe::{Observed, SLOT, Types, name, observed};
use resume::{Activation, Inner};
use stack::{Frame, Site, sites};
use state::State;
use survey::Survey;

/// How a program is initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How<'p> {
    /// By an export.
    Function(&'p str),
    /// By its own `_start`, up to the checkpoint.
    Run,
}

/// What a program is given when it is initialised.
pub(crate) struct Plan<'p> {
    pub(crate) how: How<'p>,
    /// What it finds as its own name.
    pub(crate) program: &'p str,
    pub(crate) args: &'p [String],
    pub(crate) env: &'p [(String, String)],
    /// Whether it gets random bytes.
    pub(crate) random: bool,
    pub(crate) timeout: Option<Duration>,
}

/// A module that starts initialised.
pub(crate) struct Initialised {
    pub(crate) wasm: Vec<u8>,
    /// What the user should know, a line each.
    pub(crate) notes: Vec<String>,
}

/// Runs a packed module as `plan` says, and answers it as it is then.
pub(crate) fn initialise(wasm: &[u8], plan: &Plan<'_>) -> Result<Initialised> {
    let thread = std::thread::Builder::new().stack_size(guest::THREAD);
    std::thread::scope(|scope| {
        let run = thread.spawn_scoped(scope, || initialised(wasm, plan));
        let run = run.context("cannot start a thread")?;
        run.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn initialised(wasm: &[u8], plan: &Plan<'_>) -> Result<Initialised> {
    let module = Module::parse(wasm)?;
    let packed = Packed::expect(wasm, &module)?;
    check_engine(wasm)?;
    let entry = entry(&module, plan.how)?;
    let survey = Survey::of(&module, &split(wasm)?)?;
    let tables = survey.tables_of.len() as u32;
    let copy = observed(wasm, &module, &survey, &BTreeMap::new(), &[])?;
    let mut added = Added::new(&module);
    let mut ran = match plan.how {
        How::Function(_) => guest::run(&copy.wasm, tables, plan, Checkpoint::Pass, false)?,
        How::Run => {
            let first = guest::run(&copy.wasm, tables, plan, Checkpoint::Stop, false)?;
            let frames = origins(&first.frames, &copy)?;
            drop(first);
            let sites = sites(wasm, &module, &frames)?;
            let copy = observed(wasm, &module, &survey, &sites, &frames)?;
            let mut ran = guest::run(&copy.wasm, tables, plan, Checkpoint::Unwind, true)?;
            if origins(&ran.frames, &copy)? != frames {
                return Err(not_the_same().into());
            }
            let activations = activations(&mut ran, &module, &frames, &sites)?;
            added.resume(wasm, &module, &activations)?;
            ran
        }
    };
    let mut notes = Vec::new();
    if ran.clock {
        notes.push(
            "the program, or its file system, has read the clock while it was initialised: the \
             time of packing is in its state"
                .to_string(),
        );
    }
    let state = State::read(&packed, &module, &survey, &mut ran)?;
    drop(ran);
    let mut out = Vec::new();
    let needed = [id::TYPE, id::FUNCTION, id::GLOBAL, id::ELEMENT, id::CODE];
    let sections = complete(split(wasm)?, &needed);
    let mut is_moved = false;
    for section in &sections {
        out.push(match section.id {
            id::TYPE => added.types.section(section),
            id::FUNCTION => added.function_section(section),
            id::TABLE => state.table_section(section)?,
            id::MEMORY => state.memory_section(section)?,
            id::GLOBAL => state.global_section(section)?,
            id::EXPORT => exports(section, entry, added.first(), plan.how)?,
            id::START => continue,
            id::ELEMENT => state.element_section(section)?,
            id::DATA_COUNT => {
                let mut count = Vec::new();
                write_leb(&mut count, state.data_count(&survey));
                Section::new(id::DATA_COUNT, count)
            }
            id::CODE => {
                let code = added.code_section(section);
                is_moved = leb_width(&code.data) != leb_width(&section.data);
                code
            }
            id::DATA => state.data_section(section, &survey)?,
            id::CUSTOM if section.is_custom(packed::SECTION) => {
                Section::custom(packed::SECTION, &state.record().encode())
            }
            id::CUSTOM if section.is_custom(merge::SECTION) => {
                let merged = state.merged().context("the merge has no record")?;
                Section::custom(merge::SECTION, &merged.encode())
            }
            _ => section.borrowed(),
        });
    }
    out.push(Section::custom(SECTION, &InitRecord::of(plan.how).encode()));
    let (out, more) = added.customs(out, &module, is_moved);
    notes.extend(more);
    let wasm = join(&out);
    Validator::new_with_features(engine_features())
        .validate_all(&wasm)
        .context("the initialised module is not valid: a defect of monaka")?;
    let (wasm, more) = checkpoint::fill(wasm)?;
    notes.extend(more);
    Ok(Initialised { wasm, notes })
}

/// Refuses what the engine that runs it does not know.
fn check_engine(wasm: &[u8]) -> Result<()> {
    let checked = Validator::new_with_features(engine_features()).validate_all(wasm);
    let Err(error) = checked else { return Ok(()) };
    Err(Hinted::new(
        format!(
            "it cannot be initialised: it needs a WebAssembly feature that monaka's engine lacks: \
             {}",
            error.message()
        ),
        "leave out --init-run and --init-func, or compile it for WebAssembly 3.0",
    )
    .into())
}

/// The function that initialises.
fn entry(module: &Module<'_>, how: How<'_>) -> Result<u32> {
    let name = match how {
        How::Run => "_start",
        How::Function(name) => name,
    };
    let exports = module.exports.iter();
    let callable: Vec<&str> = exports
        .filter(|export| is_callable(module, export))
        .map(|export| export.name)
        .collect();
    let mut exports = module.exports.iter();
    match exports.find(|export| export.name == name) {
        Some(export) if is_callable(module, export) => Ok(export.index),
        Some(_) => Err(Hinted::new(
            format!("its export {name} is no function that can be called without arguments"),
            suggestion(&callable),
        )
        .into()),
        None => {
            Err(Hinted::new(format!("it does not export {name}"), suggestion(&callable)).into())
        }
    }
}

fn is_callable(module: &Module<'_>, export: &wasmparser::Export<'_>) -> bool {
    let is_function = matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact);
    let ty = module.function_type(export.index);
    is_function && ty.is_some_and(|ty| ty.params().is_empty())
}

fn suggestion(callable: &[&str]) -> String {
    match callable {
        [] => "export a function without parameters, as with `-Wl,--export=NAME`".into(),
        names => format!(
            "call one of its functions with --init-func: {}",
            names.join(", ")
        ),
    }
}

/// Frames of a copy as those of the module.
fn origins(frames: &[Frame], copy: &Observed) -> Result<Vec<Frame>> {
    let origins = frames.iter().map(|frame| copy.origin(*frame)).collect();
    let origins: Option<Vec<Frame>> = origins;
    origins.context("a frame is in no function")
}

/// What the second run has left of its stack, the innermost frame first.
fn activations<'s>(
    ran: &mut Ran,
    module: &Module<'_>,
    frames: &[Frame],
    sites: &'s BTreeMap<Frame, Site>,
) -> Result<Vec<Activation<'s>>> {
    let numbers: BTreeMap<Frame, u128> = sites.keys().copied().zip(0..).collect();
    let Val::I32(top) = ran.global(name::TOP)? else {
        unreachable!("{} is an i32", name::TOP);
    };
    let stack = ran.stack()?.get(..top as u32 as usize);
    let mut slots = stack.context("the stack is cut off")?.chunks_exact(SLOT);
    let mut next = || {
        let slot = slots.next().and_then(|slot| slot.first_chunk::<SLOT>());
        slot.map(|slot| u128::from_le_bytes(*slot))
    };
    let mut activations = Vec::with_capacity(frames.len());
    for frame in frames {
        let site = &sites[frame];
        if next() != Some(numbers[frame]) {
            return Err(not_the_same().into());
        }
        let mut values = |types: &[ValType]| {
            let values = types.iter().map(|ty| match (ty, next()) {
                (ValType::Ref(_), Some(1..)) => Err(stack::kept_reference(module, frame.function)),
                (_, value) => value.context("a frame is cut off"),
            });
            values.collect::<Result<Vec<u128>>>()
        };
        activations.push(Activation {
            site,
            locals: values(&site.locals)?,
            operands: values(&site.operands)?,
        });
    }
    match next() {
        None => Ok(activations),
        Some(_) => Err(not_the_same().into()),
    }
}

/// Functions that are added behind a module's own.
struct Added {
    types: Types,
    /// How many functions the module has.
    functions: u32,
    names: BTreeMap<u32, String>,
    /// Types, and bodies with their sizes.
    of_types: Vec<u8>,
    bodies: Vec<u8>,
}

impl Added {
    fn new(module: &Module<'_>) -> Added {
        Added {
            types: Types::new(module),
            functions: module.function_count(),
            names: BTreeMap::new(),
            of_types: Vec::new(),
            bodies: Vec::new(),
        }
    }

    /// Adds a function for each frame. The outermost comes first.
    fn resume(
        &mut self,
        wasm: &[u8],
        module: &Module<'_>,
        activations: &[Activation<'_>],
    ) -> Result<()> {
        let count = activations.len() as u32;
        for (at, activation) in (0..).zip(activations.iter().rev()) {
            let function = activation.site.function;
            let inner = match at + 1 == count {
                true => Inner::Checkpoint,
                false => Inner::Call(self.functions + at + 1),
            };
            let original = module.body(function).context("a frame has no body")?;
            let body = resume::body(wasm, original, activation, &inner, &mut self.types)?;
            let ty = module.function_type(function);
            let results = ty.context("a function has no type")?.results();
            let ty = self.types.index(&[], results)?;
            write_leb(&mut self.of_types, ty.into());
            write_leb(&mut self.bodies, body.len() as u64);
            self.bodies.extend_from_slice(&body);
            let name = module.function_name(function);
            let name = format!("monaka::resume {}", name.trim_matches('`'));
            self.names.insert(self.functions + at, name);
        }
        Ok(())
    }

    /// The function that goes on, if any is needed.
    fn first(&self) -> Option<u32> {
        (!self.names.is_empty()).then_some(self.functions)
    }

    fn function_section<'a>(&self, section: &Section<'_>) -> Section<'a> {
        let count = self.names.len() as u64;
        appended(section, (0, &[]), (count, &self.of_types))
    }

    fn code_section<'a>(&self, section: &Section<'_>) -> Section<'a> {
        let count = self.names.len() as u64;
        appended(section, (0, &[]), (count, &self.bodies))
    }

    /// The sections with names for what is added, and without what is no longer true.
    fn customs<'a>(
        self,
        sections: Vec<Section<'a>>,
        module: &Module<'_>,
        is_moved: bool,
    ) -> (Vec<Section<'a>>, Vec<String>) {
        let same = (0..module.function_count()).map(Some).collect();
        let mut remap = Remap::new(same, &BTreeMap::new());
        remap.added = self.names;
        let moved = Moved {
            within: false,
            code: is_moved,
        };
        remap.customs(sections, moved)
    }
}

/// The export section: `_start` goes on with the first of the functions that are added;
/// constructors that have run are gone.
fn exports<'a>(
    section: &Section<'_>,
    entry: u32,
    first: Option<u32>,
    how: How<'_>,
) -> Result<Section<'a>> {
    let mut exports = wasm_encoder::ExportSection::new();
    for export in ExportSectionReader::new(section.reader())? {
        let export = export?;
        let is_function = matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact);
        match (how, first) {
            (How::Run, Some(first)) if is_function && export.index == entry => {
                exports.export(export.name, wasm_encoder::ExportKind::Func, first);
            }
            _ if is_function && export.name == "_initialize" => {}
            _ => {
                exports.export(export.name, export.kind.into(), export.index);
            }
        }
    }
    Ok(encoded(id::EXPORT, &exports))
}

/// What is said when two runs differ.
fn not_the_same() -> Hinted {
    Hinted::new(
        "the program came to its checkpoint in another way when it ran a second time",
        "it may depend on the clock or on random bytes; have it reach its checkpoint the same way \
         each time",
    )
}

/// What is said when the program needs what no WASI offers.
fn not_there(module: &str, name: &str) -> Hinted {
    Hinted::new(
        format!("the program needs {module}.{name}, which is not there while it is initialised"),
        "have it use that after its checkpoint",
    )
}
