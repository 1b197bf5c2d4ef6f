//! The call stack of a program: which calls it is in, and what each of them holds
//! that no memory and no global does, its locals and the operands below it.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context as _, Result, bail};
use wasmparser::{
    BlockType, FuncValidator, Operator, Parser, ValType, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

use crate::module::analyze::Module;
use crate::report::Hinted;

/// A function that is being executed, and where in the module the call stands that
/// it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Frame {
    pub(super) function: u32,
    pub(super) offset: usize,
}

/// A call that stands somewhere on the stack.
pub(super) struct Site {
    pub(super) function: u32,
    /// The call's bytes in the module.
    pub(super) call: Range<usize>,
    /// What the call answers.
    pub(super) results: Vec<ValType>,
    /// Parameters and locals.
    pub(super) locals: Vec<ValType>,
    /// What is on the operand stack below the call's arguments.
    pub(super) operands: Vec<ValType>,
    /// The blocks that the call is in, the function's body first.
    pub(super) blocks: Vec<Block>,
}

/// A block that is open at a call.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The bytes of the instruction that opens it; none for the function's body.
    pub(super) opener: Range<usize>,
    /// Where what is executed begins.
    pub(super) start: usize,
    pub(super) arm: Arm,
    pub(super) params: Vec<ValType>,
    /// How many operands are below it.
    pub(super) height: usize,
}

/// What of a block is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arm {
    /// All of it.
    Whole,
    /// What the condition decides.
    Then,
    Else,
}

/// The calls that the frames are in.
pub(super) fn sites(
    wasm: &[u8],
    module: &Module<'_>,
    frames: &[Frame],
) -> Result<BTreeMap<Frame, Site>> {
    let mut wanted: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for frame in frames {
        wanted.entry(frame.function).or_default().push(frame.offset);
    }
    let mut found = BTreeMap::new();
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    for payload in Parser::new(0).parse_all(wasm) {
        let ValidPayload::Func(function, body) = validator.payload(&payload?)? else {
            continue;
        };
        let Some(offsets) = wanted.get(&function.index) else {
            continue;
        };
        let index = function.index;
        let mut walk = Walk {
            module,
            function: index,
            validator: function.into_validator(Default::default()),
            blocks: Vec::new(),
        };
        walk.run(&body, offsets, &mut found)?;
    }
    for frame in frames {
        let site: &Site = found.get(frame).context("a frame is in no call")?;
        site.check(module)?;
    }
    Ok(found)
}

struct Walk<'m> {
    module: &'m Module<'m>,
    function: u32,
    validator: FuncValidator<ValidatorResources>,
    blocks: Vec<Block>,
}

impl Walk<'_> {
    fn run(
        &mut self,
        body: &wasmparser::FunctionBody<'_>,
        offsets: &[usize],
        found: &mut BTreeMap<Frame, Site>,
    ) -> Result<()> {
        let ty = self.module.function_type(self.function);
        let mut locals = ty.context("a function has no type")?.params().to_vec();
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            locals.extend(std::iter::repeat_n(ty, count as usize));
        }
        self.validator.read_locals(&mut body.get_binary_reader())?;
        let mut ops = body.get_operators_reader()?;
        let start = ops.original_position();
        self.blocks.push(Block {
            opener: start..start,
            start,
            arm: Arm::Whole,
            params: Vec::new(),
            height: 0,
        });
        while !ops.eof() {
            let (op, at) = ops.read_with_offset()?;
            let op_range = at..ops.original_position();
            if offsets.contains(&at) {
                let site = self.site(&op, op_range.clone(), &locals)?;
                found.insert(
                    Frame {
                        function: self.function,
                        offset: at,
                    },
                    site,
                );
            }
            self.validator.op(at, &op)?;
            self.follow(&op, op_range)?;
        }
        Ok(())
    }

    /// Keeps [`blocks`](Walk::blocks) in step with what the validator has just taken.
    fn follow(&mut self, op: &Operator<'_>, range: Range<usize>) -> Result<()> {
        let (ty, arm) = match op {
            Operator::Block { blockty } | Operator::Loop { blockty } => (*blockty, Arm::Whole),
            Operator::If { blockty } => (*blockty, Arm::Then),
            Operator::TryTable { try_table } => (try_table.ty, Arm::Whole),
            Operator::Else => {
                let block = self.blocks.last_mut().context("an else without an if")?;
                block.arm = Arm::Else;
                block.start = range.end;
                return Ok(());
            }
            Operator::End => {
                self.blocks.pop();
                return Ok(());
            }
            _ => return Ok(()),
        };
        let params = match ty {
            BlockType::FuncType(ty) => {
                let ty = self.module.type_at(ty).context("a block has no type")?;
                ty.params().to_vec()
            }
            BlockType::Empty | BlockType::Type(_) => Vec::new(),
        };
        let frame = self.validator.get_control_frame(0);
        self.blocks.push(Block {
            opener: range.clone(),
            start: range.end,
            arm,
            params,
            height: frame.context("a block was not opened")?.height,
        });
        Ok(())
    }

    /// The call that the validator has before it.
    fn site(&self, op: &Operator<'_>, call: Range<usize>, locals: &[ValType]) -> Result<Site> {
        let (ty, more) = match *op {
            Operator::Call { function_index } => (self.module.function_type(function_index), 0),
            Operator::CallIndirect { type_index, .. } | Operator::CallRef { type_index } => {
                (self.module.type_at(type_index), 1)
            }
            ref other => bail!("a frame is in no call but in {other:?}"),
        };
        let ty = ty.context("a call has no type")?;
        let height = self.validator.operand_stack_height() as usize;
        let arguments = ty.params().len() + more;
        let below = height.checked_sub(arguments);
        let below = below.context("a call has too few arguments")?;
        let operands = (0..below).map(|at| {
            let ty = self.validator.get_operand_type(height - 1 - at).flatten();
            ty.context("an operand has no type")
        });
        Ok(Site {
            function: self.function,
            call,
            results: ty.results().to_vec(),
            locals: locals.to_vec(),
            operands: operands.collect::<Result<_>>()?,
            blocks: self.blocks.clone(),
        })
    }
}

impl Site {
    /// Refuses what could be neither kept nor made up.
    fn check(&self, module: &Module<'_>) -> Result<()> {
        let own = module.function_type(self.function);
        let own = own.context("a function has no type")?;
        let block_params = self.blocks.iter().flat_map(|block| &block.params);
        let made_up = own.results().iter().chain(&self.locals).chain(block_params);
        let nullable = |ty: &ValType| ty.is_defaultable();
        let plain = |ty: &ValType| match ty {
            ValType::Ref(ty) => ty.is_nullable() && !ty.is_concrete_type_ref(),
            _ => true,
        };
        if made_up.clone().all(nullable) && self.operands.iter().all(plain) {
            return Ok(());
        }
        Err(kept_reference(module, self.function))
    }
}

/// What is said of a reference that a function holds at the checkpoint.
pub(super) fn kept_reference(module: &Module<'_>, function: u32) -> anyhow::Error {
    Hinted::new(
        format!(
            "at its checkpoint the program holds a reference in function {}, which cannot be kept \
             in a module",
            module.function_name(function)
        ),
        "call the checkpoint from a function, with callers, that hold no references to host or \
         heap objects; or initialise with --init-func",
    )
    .into()
}
