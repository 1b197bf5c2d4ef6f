//! The blob's function bodies, made fit for the module that they go into: its
//! own memory accesses reach the file system's region or memory, and its calls
//! of the program's memory become the instructions that they stand for.
//!
//! | layout | the file system's byte `a` | the program's byte `a` |
//! |---|---|---|
//! | single | `base + a` in memory 0, `base` being a global | `a` in memory 0 |
//! | multi | `a` in a memory of its own | `a` in memory 0 |
//!
//! Operands that are in the way of an addition wait in locals of their own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use monaka_vfs_core::merge::{HOST, LAYOUT, PROGRAM};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{Function, Instruction, MemArg, ValType};
use wasmparser::{FunctionBody, Operator, OperatorsReader};

use super::analyze::Module;
use super::splice::Dangling;

/// Where the file system lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the program's own memory, behind the program's pages.
    Single {
        /// The global with the region's first address.
        base: u32,
        /// The global with the number of the program's pages.
        pages: u32,
        /// The most pages that the program may have.
        limit: u32,
    },
    /// In the memory of this index.
    Multi { memory: u32 },
}

/// Where the blob's parts go.
pub(crate) struct Targets {
    /// Blob function → the module's.
    pub(crate) functions: BTreeMap<u32, u32>,
    /// Of the module's types the blob's first.
    pub(crate) types: u32,
    /// Of the module's globals the blob's first.
    pub(crate) globals: u32,
    pub(crate) place: Place,
}

/// An imported function of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Import<'b> {
    /// The host's.
    Host(&'b str),
    /// An instruction on the program's memory or the layout, by name.
    Intrinsic(&'b str),
}

/// What an imported function of the blob stands for.
pub(crate) fn imports<'b>(blob: &'b Module<'_>) -> Result<Vec<Import<'b>>> {
    let imports = blob.function_imports();
    imports
        .map(|(_, import)| match import.module {
            HOST => Ok(Import::Host(import.name)),
            PROGRAM | LAYOUT => Ok(Import::Intrinsic(import.name)),
            other => bail!("the blob imports {other}.{}", import.name),
        })
        .collect()
}

/// The blob's functions that `roots` call, directly or not, with themselves.
pub(crate) fn reachable(
    blob: &Module<'_>,
    roots: impl IntoIterator<Item = u32>,
) -> Result<BTreeSet<u32>> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<u32> = roots.into_iter().collect();
    while let Some(function) = open.pop() {
        if !reached.insert(function) {
            continue;
        }
        let Some(body) = blob.body(function) else {
            continue;
        };
        let mut ops = body.get_operators_reader()?;
        while !ops.eof() {
            if let Operator::Call { function_index } = ops.read()? {
                open.push(function_index);
            }
        }
    }
    Ok(reached)
}

impl Targets {
    /// One of the blob's bodies as it stands in the module.
    pub(crate) fn lower(
        &self,
        body: &FunctionBody<'_>,
        params: u32,
        imports: &[Import<'_>],
    ) -> Result<Function> {
        let mut reencoder = Indices(self);
        let mut locals = Vec::new();
        let mut count = params;
        for local in body.get_locals_reader()? {
            let (n, ty) = local?;
            count = count.checked_add(n).context("too many locals")?;
            locals.push((n, reencoder.val_type(ty)?));
        }
        locals.extend([(2, ValType::I32), (1, ValType::I64)]);
        let mut lowering = Lowering {
            targets: self,
            imports,
            spare: [count, count + 1],
            spare64: count + 2,
            out: Function::new(locals),
        };
        lowering.body(body.get_operators_reader()?)?;
        Ok(lowering.out)
    }
}

/// Translates indices and nothing else.
struct Indices<'t>(&'t Targets);

impl Reencode for Indices<'_> {
    type Error = Dangling;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error<Dangling>> {
        let target = self.0.functions.get(&function).copied();
        target.ok_or(reencode::Error::UserError(Dangling(function)))
    }

    fn type_index(&mut self, ty: u32) -> Result<u32, reencode::Error<Dangling>> {
        Ok(self.0.types + ty)
    }

    fn global_index(&mut self, global: u32) -> Result<u32, reencode::Error<Dangling>> {
        Ok(self.0.globals + global)
    }

    fn memory_index(&mut self, _: u32) -> Result<u32, reencode::Error<Dangling>> {
        Ok(match self.0.place {
            Place::Single { .. } => 0,
            Place::Multi { memory } => memory,
        })
    }
}

struct Lowering<'l> {
    targets: &'l Targets,
    imports: &'l [Import<'l>],
    /// Two locals of type `i32`.
    spare: [u32; 2],
    /// One of type `i64`.
    spare64: u32,
    out: Function,
}

/// Bytes of a page, as a power of two.
const PAGE_LOG2: i32 = 16;

impl Lowering<'_> {
    fn body(&mut self, mut ops: OperatorsReader<'_>) -> Result<()> {
        while !ops.eof() {
            let op = ops.read()?;
            if let Operator::Call { function_index } = op
                && let Some(Import::Intrinsic(name)) = self.imports.get(function_index as usize)
            {
                self.intrinsic(name)?;
                continue;
            }
            match self.targets.place {
                Place::Single { base, .. } => self.single(op, base)?,
                Place::Multi { .. } => self.plain(op)?,
            }
        }
        Ok(())
    }

    fn emit(&mut self, instructions: &[Instruction<'_>]) {
        for instruction in instructions {
            self.out.instruction(instruction);
        }
    }

    /// An instruction whose indices alone change.
    fn plain(&mut self, op: Operator<'_>) -> Result<()> {
        let instruction = Indices(self.targets).instruction(op)?;
        self.out.instruction(&instruction);
        Ok(())
    }

    /// An instruction in a module where the blob's memory begins at `base`.
    fn single(&mut self, op: Operator<'_>, base: u32) -> Result<()> {
        use Instruction as I;
        let [a, b] = self.spare;
        let rebase = [I::GlobalGet(base), I::I32Add];
        match op {
            Operator::I32Load { .. }
            | Operator::I32Load8S { .. }
            | Operator::I32Load8U { .. }
            | Operator::I32Load16S { .. }
            | Operator::I32Load16U { .. }
            | Operator::I64Load { .. }
            | Operator::I64Load8S { .. }
            | Operator::I64Load8U { .. }
            | Operator::I64Load16S { .. }
            | Operator::I64Load16U { .. }
            | Operator::I64Load32S { .. }
            | Operator::I64Load32U { .. } => self.emit(&rebase),
            Operator::I32Store { .. }
            | Operator::I32Store8 { .. }
            | Operator::I32Store16 { .. } => {
                self.emit(&[I::LocalSet(a)]);
                self.emit(&rebase);
                self.emit(&[I::LocalGet(a)]);
            }
            Operator::I64Store { .. }
            | Operator::I64Store8 { .. }
            | Operator::I64Store16 { .. }
            | Operator::I64Store32 { .. } => {
                self.emit(&[I::LocalSet(self.spare64)]);
                self.emit(&rebase);
                self.emit(&[I::LocalGet(self.spare64)]);
            }
            Operator::MemoryCopy { .. } => {
                self.emit(&[I::LocalSet(a)]);
                self.emit(&rebase);
                self.emit(&[I::LocalSet(b)]);
                self.emit(&rebase);
                self.emit(&[I::LocalGet(b), I::LocalGet(a)]);
            }
            Operator::MemoryFill { .. } => {
                self.emit(&[I::LocalSet(a), I::LocalSet(b)]);
                self.emit(&rebase);
                self.emit(&[I::LocalGet(b), I::LocalGet(a)]);
            }
            Operator::MemorySize { .. } => {
                self.plain(op)?;
                self.emit(&[
                    I::GlobalGet(base),
                    I::I32Const(PAGE_LOG2),
                    I::I32ShrU,
                    I::I32Sub,
                ]);
                return Ok(());
            }
            Operator::MemoryGrow { .. } => {
                self.plain(op)?;
                self.emit(&[
                    I::LocalTee(a),
                    I::GlobalGet(base),
                    I::I32Const(PAGE_LOG2),
                    I::I32ShrU,
                    I::I32Sub,
                    I::I32Const(-1),
                    I::LocalGet(a),
                    I::I32Const(-1),
                    I::I32Ne,
                    I::Select,
                ]);
                return Ok(());
            }
            // What has no memory operand, or one that is not known here.
            _ if is_free_of_memory(&op) => {}
            _ => bail!("the blob uses {op:?}"),
        }
        self.plain(op)
    }

    /// A call that stands for instructions.
    fn intrinsic(&mut self, name: &str) -> Result<()> {
        use Instruction as I;
        let [a, b] = self.spare;
        let at = |align| MemArg {
            offset: 0,
            align,
            memory_index: 0,
        };
        match (name, self.targets.place) {
            ("fill", _) => self.emit(&[I::MemoryFill(0)]),
            ("load_u32", _) => self.emit(&[I::I32Load(at(0))]),
            ("store_u32", _) => self.emit(&[I::I32Store(at(0))]),
            ("store_u64", _) => self.emit(&[I::I64Store(at(0))]),
            ("copy_in", Place::Multi { memory }) => self.emit(&[I::MemoryCopy {
                src_mem: 0,
                dst_mem: memory,
            }]),
            ("copy_out", Place::Multi { memory }) => self.emit(&[I::MemoryCopy {
                src_mem: memory,
                dst_mem: 0,
            }]),
            ("pages", Place::Multi { .. }) => self.emit(&[I::MemorySize(0)]),
            ("copy_in", Place::Single { base, .. }) => self.emit(&[
                I::LocalSet(a),
                I::LocalSet(b),
                I::GlobalGet(base),
                I::I32Add,
                I::LocalGet(b),
                I::LocalGet(a),
                I::MemoryCopy {
                    src_mem: 0,
                    dst_mem: 0,
                },
            ]),
            ("copy_out", Place::Single { base, .. }) => self.emit(&[
                I::LocalSet(a),
                I::GlobalGet(base),
                I::I32Add,
                I::LocalGet(a),
                I::MemoryCopy {
                    src_mem: 0,
                    dst_mem: 0,
                },
            ]),
            ("pages", Place::Single { pages, .. }) => self.emit(&[I::GlobalGet(pages)]),
            ("base", Place::Single { base, .. }) => self.emit(&[I::GlobalGet(base)]),
            ("set_base", Place::Single { base, .. }) => self.emit(&[I::GlobalSet(base)]),
            ("set_pages", Place::Single { pages, .. }) => self.emit(&[I::GlobalSet(pages)]),
            ("limit", Place::Single { limit, .. }) => {
                self.emit(&[I::I32Const(limit.cast_signed())]);
            }
            ("whole_pages", Place::Single { .. }) => self.emit(&[I::MemorySize(0)]),
            ("whole_grow", Place::Single { .. }) => self.emit(&[I::MemoryGrow(0)]),
            ("move_bytes", Place::Single { .. }) => self.emit(&[I::MemoryCopy {
                src_mem: 0,
                dst_mem: 0,
            }]),
            ("clear", Place::Single { .. }) => self.emit(&[
                I::LocalSet(a),
                I::I32Const(0),
                I::LocalGet(a),
                I::MemoryFill(0),
            ]),
            (name, place) => bail!("the blob calls {name}, which {place:?} does not have"),
        }
        Ok(())
    }
}

/// Whether an instruction touches no memory: those of the first specification
/// that compute, and what controls.
fn is_free_of_memory(op: &Operator<'_>) -> bool {
    macro_rules! proposal {
        (@mvp $($rest:tt)*) => {
            true
        };
        (@sign_extension $($rest:tt)*) => {
            true
        };
        (@saturating_float_to_int $($rest:tt)*) => {
            true
        };
        (@$other:ident $($rest:tt)*) => {
            false
        };
    }
    macro_rules! decide {
        ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
            match op {
                $( Operator::$op { .. } => proposal!(@$proposal), )*
                _ => false,
            }
        };
    }
    // Loads and stores of floats are of the first specification, too.
    !matches!(
        op,
        Operator::F32Load { .. }
            | Operator::F64Load { .. }
            | Operator::F32Store { .. }
            | Operator::F64Store { .. }
            | Operator::CallIndirect { .. }
    ) && wasmparser::for_each_operator!(decide)
}
