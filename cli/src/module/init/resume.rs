//! Functions that go on where the program has stopped.
//!
//! Each frame of the stack gets a copy of its function, which begins with the locals
//! as they were and leads to the call that the frame was in. The operands and blocks
//! on the way there are made up:
//!
//! ```wat
//! block (result i32)           local.get $rewind
//!   i32.const 7                if (result i32)
//!   loop                         i32.const 7         ;; the operand as it was
//!     call $more          →    else
//!     call $next                 i32.const 7
//!     …                        end
//!   end                        loop
//! end                            local.get $rewind
//!                                if
//!                                  i32.const 0
//!                                  local.set $rewind
//!                                  call $resume_next ;; the copy for the frame above
//!                                else
//!                                  call $more
//!                                  call $next
//!                                end
//!                                …
//! ```
//!
//! What lies behind the call, and what loops come back to, is the function's own code:
//! `$rewind` is 1 only until the call is reached.

use std::ops::Range;

use anyhow::{Context as _, Result};
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{BlockType, Catch, Encode as _, Instruction};
use wasmparser::{BinaryReader, FunctionBody, Operator, OperatorsReader, ValType};

use super::observe::{Types, zero};
use super::stack::{Arm, Block, Site};
use crate::module::section::{leb_width, write_leb};

/// A frame as it was at the checkpoint.
pub(super) struct Activation<'s> {
    pub(super) site: &'s Site,
    /// The bits of each value; of a reference, all of which are null, zero.
    pub(super) locals: Vec<u128>,
    pub(super) operands: Vec<u128>,
}

/// What stands in the place of the call that a frame was in.
pub(super) enum Inner {
    /// The copy for the frame above, by its index.
    Call(u32),
    /// The checkpoint, which was a call that answers 0 or nothing.
    Checkpoint,
}

/// The body of the function that goes on with a frame. It has no parameters.
pub(super) fn body(
    wasm: &[u8],
    original: &FunctionBody<'_>,
    activation: &Activation<'_>,
    inner: &Inner,
    types: &mut Types,
) -> Result<Vec<u8>> {
    let site = activation.site;
    let mut out = locals(wasm, original, site)?;
    let rewind = site.locals.len() as u32;
    for (at, (ty, value)) in (0..).zip(site.locals.iter().zip(&activation.locals)) {
        if *value != 0 {
            constant(*ty, *value)?.encode(&mut out);
            Instruction::LocalSet(at).encode(&mut out);
        }
    }
    Instruction::I32Const(1).encode(&mut out);
    Instruction::LocalSet(rewind).encode(&mut out);
    let mut way = Way {
        wasm,
        activation,
        rewind,
        types,
        out,
    };
    way.go(inner, original.range().end)?;
    Ok(way.out)
}

/// The locals of the copy: the function's parameters, its locals, and `$rewind`.
fn locals(wasm: &[u8], original: &FunctionBody<'_>, site: &Site) -> Result<Vec<u8>> {
    let reader = original.get_locals_reader()?;
    let groups = reader.get_count();
    let mut declared = 0;
    for group in reader {
        declared += group?.0;
    }
    let params = site.locals.len() - declared as usize;
    let mut out = Vec::new();
    write_leb(&mut out, params as u64 + u64::from(groups) + 1);
    for ty in &site.locals[..params] {
        out.push(1);
        RoundtripReencoder.val_type(*ty)?.encode(&mut out);
    }
    let start = original.range().start;
    let groups = start + leb_width(&wasm[start..]);
    let end = original.get_operators_reader()?.original_position();
    out.extend_from_slice(&wasm[groups..end]);
    out.push(1);
    wasm_encoder::ValType::I32.encode(&mut out);
    Ok(out)
}

/// The way to the call.
struct Way<'w> {
    wasm: &'w [u8],
    activation: &'w Activation<'w>,
    rewind: u32,
    types: &'w mut Types,
    out: Vec<u8>,
}

impl Way<'_> {
    fn go(&mut self, inner: &Inner, end: usize) -> Result<()> {
        let site = self.activation.site;
        for pair in site.blocks.windows(2) {
            let [block, next] = pair else {
                unreachable!("windows of two");
            };
            self.step(block, next)?;
            self.copy(next.opener.clone());
            if next.arm == Arm::Else {
                // The other arm, up to and with the `else`.
                self.copy(next.opener.end..next.start);
            }
        }
        let block = site.blocks.last().context("a call is in no block")?;
        self.arrive(block, inner)?;
        self.copy(site.call.end..end);
        Ok(())
    }

    /// From the start of a block to that of the next one on the way.
    fn step(&mut self, block: &Block, next: &Block) -> Result<()> {
        let below = block.height..next.height;
        let mut left = self.activation.site.operands[below.clone()].to_vec();
        left.extend(&next.params);
        if next.arm != Arm::Whole {
            left.push(ValType::I32);
        }
        self.guard(block, &left)?;
        self.operands(below)?;
        for ty in &next.params {
            zero(*ty)?.encode(&mut self.out);
        }
        if next.arm != Arm::Whole {
            Instruction::I32Const(i32::from(next.arm == Arm::Then)).encode(&mut self.out);
        }
        Instruction::Else.encode(&mut self.out);
        self.deepened(block.start..next.opener.start)?;
        Instruction::End.encode(&mut self.out);
        Ok(())
    }

    /// From the start of the innermost block to the call, and the call.
    fn arrive(&mut self, block: &Block, inner: &Inner) -> Result<()> {
        let site = self.activation.site;
        let below = block.height..site.operands.len();
        let left = [&site.operands[below.clone()], &site.results].concat();
        self.guard(block, &left)?;
        self.operands(below)?;
        Instruction::I32Const(0).encode(&mut self.out);
        Instruction::LocalSet(self.rewind).encode(&mut self.out);
        match inner {
            Inner::Call(function) => Instruction::Call(*function).encode(&mut self.out),
            Inner::Checkpoint => {
                for ty in &site.results {
                    zero(*ty)?.encode(&mut self.out);
                }
            }
        }
        Instruction::Else.encode(&mut self.out);
        self.deepened(block.start..site.call.end)?;
        Instruction::End.encode(&mut self.out);
        Ok(())
    }

    /// Opens what is done instead of a stretch of code when rewinding; `left` is what
    /// that leaves on the stack.
    fn guard(&mut self, block: &Block, left: &[ValType]) -> Result<()> {
        let ty = match (&block.params[..], left) {
            ([], []) => BlockType::Empty,
            ([], [ty]) => BlockType::Result(RoundtripReencoder.val_type(*ty)?),
            (params, left) => BlockType::FunctionType(self.types.index(params, left)?),
        };
        Instruction::LocalGet(self.rewind).encode(&mut self.out);
        Instruction::If(ty).encode(&mut self.out);
        for _ in &block.params {
            Instruction::Drop.encode(&mut self.out);
        }
        Ok(())
    }

    /// Operands as they were.
    fn operands(&mut self, which: Range<usize>) -> Result<()> {
        let site = self.activation.site;
        for at in which {
            constant(site.operands[at], self.activation.operands[at])?.encode(&mut self.out);
        }
        Ok(())
    }

    fn copy(&mut self, range: Range<usize>) {
        self.out.extend_from_slice(&self.wasm[range]);
    }

    /// Code that stands in one more block than it did.
    fn deepened(&mut self, range: Range<usize>) -> Result<()> {
        let reader = BinaryReader::new(&self.wasm[range.clone()], range.start);
        let mut ops = OperatorsReader::new(reader);
        // How many blocks have been opened in it.
        let mut level = 0;
        while !ops.eof() {
            let (op, at) = ops.read_with_offset()?;
            match op {
                Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::BrTable { .. }
                | Operator::BrOnNull { .. }
                | Operator::BrOnNonNull { .. }
                | Operator::BrOnCast { .. }
                | Operator::BrOnCastFail { .. }
                | Operator::TryTable { .. } => {
                    let opens = matches!(op, Operator::TryTable { .. });
                    deeper(RoundtripReencoder.instruction(op)?, level)?.encode(&mut self.out);
                    level += u32::from(opens);
                    continue;
                }
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => level += 1,
                Operator::End => level -= 1,
                _ => {}
            }
            self.copy(at..ops.original_position());
        }
        Ok(())
    }
}

/// A branch whose targets outside of the innermost `level` blocks are one block
/// further away.
fn deeper(branch: Instruction<'_>, level: u32) -> Result<Instruction<'_>> {
    let moved = |label: u32| label + u32::from(label >= level);
    Ok(match branch {
        Instruction::Br(label) => Instruction::Br(moved(label)),
        Instruction::BrIf(label) => Instruction::BrIf(moved(label)),
        Instruction::BrTable(labels, default) => {
            let labels: Vec<u32> = labels.iter().map(|label| moved(*label)).collect();
            Instruction::BrTable(labels.into(), moved(default))
        }
        Instruction::BrOnNull(label) => Instruction::BrOnNull(moved(label)),
        Instruction::BrOnNonNull(label) => Instruction::BrOnNonNull(moved(label)),
        Instruction::BrOnCast {
            relative_depth,
            from_ref_type,
            to_ref_type,
        } => Instruction::BrOnCast {
            relative_depth: moved(relative_depth),
            from_ref_type,
            to_ref_type,
        },
        Instruction::BrOnCastFail {
            relative_depth,
            from_ref_type,
            to_ref_type,
        } => Instruction::BrOnCastFail {
            relative_depth: moved(relative_depth),
            from_ref_type,
            to_ref_type,
        },
        Instruction::TryTable(ty, catches) => {
            let moved = |catch: &Catch| match *catch {
                Catch::One { tag, label } => Catch::One {
                    tag,
                    label: moved(label),
                },
                Catch::OneRef { tag, label } => Catch::OneRef {
                    tag,
                    label: moved(label),
                },
                Catch::All { label } => Catch::All {
                    label: moved(label),
                },
                Catch::AllRef { label } => Catch::AllRef {
                    label: moved(label),
                },
            };
            Instruction::TryTable(ty, catches.iter().map(moved).collect())
        }
        other => anyhow::bail!("{other:?} is no branch"),
    })
}

/// The instruction that puts a value on the stack.
pub(super) fn constant(ty: ValType, bits: u128) -> Result<Instruction<'static>> {
    Ok(match ty {
        ValType::I32 => Instruction::I32Const(bits as u32 as i32),
        ValType::I64 => Instruction::I64Const(bits as u64 as i64),
        ValType::F32 => Instruction::F32Const(wasm_encoder::Ieee32::new(bits as u32)),
        ValType::F64 => Instruction::F64Const(wasm_encoder::Ieee64::new(bits as u64)),
        ValType::V128 => Instruction::V128Const(bits as i128),
        ValType::Ref(_) => zero(ty)?,
    })
}
