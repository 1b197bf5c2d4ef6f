//! Other indices in function bodies, which else stay as they are.

use anyhow::Result;
use wasmparser::{BinaryReader, CodeSectionReader, Operator};

use super::section::{leb_width, write_leb};

/// A code section's contents.
pub(crate) struct Code {
    pub(crate) data: Vec<u8>,
    /// Whether some body changed its size.
    pub(crate) moved: bool,
}

/// What changes in the bodies.
pub(crate) struct Rewrites<F> {
    /// Function index → the new one.
    pub(crate) function: F,
    /// Where the size of memory 0 is to be found, if that is elsewhere.
    pub(crate) memory: Option<Virtual>,
    /// Where it was to be found so far.
    pub(crate) restored: Option<Virtual>,
}

/// A memory whose size the program does not see: `memory.size 0` reads the
/// global `pages`, `memory.grow 0` calls the function `grow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Virtual {
    pub(crate) pages: u32,
    pub(crate) grow: u32,
}

const GLOBAL_GET: u8 = 0x23;
const CALL: u8 = 0x10;
const MEMORY_SIZE: u8 = 0x3f;
const MEMORY_GROW: u8 = 0x40;

/// An index within the code section that becomes another.
struct Patch {
    /// The opcode in front of it, where that changes too.
    opcode: Option<u8>,
    at: usize,
    width: usize,
    value: u32,
}

impl Patch {
    fn fits(&self) -> bool {
        // Old engines read no more than a byte there.
        let is_memory = matches!(self.opcode, Some(MEMORY_SIZE | MEMORY_GROW));
        !(is_memory && self.width > 1) && (self.width >= 5 || self.value >> (7 * self.width) == 0)
    }

    /// How many bytes the new index takes.
    fn new_width(&self) -> usize {
        (32 - (self.value | 1).leading_zeros() as usize).div_ceil(7)
    }

    fn write(&self, out: &mut [u8]) {
        let mut value = self.value;
        for byte in out.iter_mut() {
            *byte = value as u8 & 0x7f | 0x80;
            value >>= 7;
        }
        if let Some(last) = out.last_mut() {
            *last &= 0x7f;
        }
    }
}

/// Rewrites the bodies of a code section's contents.
pub(crate) fn rewrite<E, F>(data: &[u8], rewrites: &Rewrites<F>) -> Result<Code>
where
    F: Fn(u32) -> Result<u32, E>,
    anyhow::Error: From<E>,
{
    let mut patches = Vec::new();
    let mut bodies = Vec::new();
    for body in CodeSectionReader::new(BinaryReader::new(data, 0))? {
        let body = body?;
        bodies.push(body.range());
        let mut ops = body.get_operators_reader()?;
        while !ops.eof() {
            let (op, at) = ops.read_with_offset()?;
            let restored = |at: fn(&Virtual) -> u32| rewrites.restored.as_ref().map(at);
            let (opcode, value) = match (op, rewrites.memory) {
                (Operator::GlobalGet { global_index }, _)
                    if restored(|memory| memory.pages) == Some(global_index) =>
                {
                    (Some(MEMORY_SIZE), 0)
                }
                (Operator::Call { function_index }, _)
                    if restored(|memory| memory.grow) == Some(function_index) =>
                {
                    (Some(MEMORY_GROW), 0)
                }
                (
                    Operator::Call { function_index }
                    | Operator::ReturnCall { function_index }
                    | Operator::RefFunc { function_index },
                    _,
                ) => match (rewrites.function)(function_index)? {
                    same if same == function_index => continue,
                    value => (None, value),
                },
                (Operator::MemorySize { mem: 0 }, Some(memory)) => (Some(GLOBAL_GET), memory.pages),
                (Operator::MemoryGrow { mem: 0 }, Some(memory)) => (Some(CALL), memory.grow),
                _ => continue,
            };
            // All these opcodes are one byte.
            let at = at + 1;
            patches.push(Patch {
                opcode,
                at,
                width: leb_width(&data[at..]),
                value,
            });
        }
    }
    if patches.iter().all(Patch::fits) {
        let mut data = data.to_vec();
        for patch in &patches {
            if let Some(opcode) = patch.opcode {
                data[patch.at - 1] = opcode;
            }
            patch.write(&mut data[patch.at..patch.at + patch.width]);
        }
        return Ok(Code { data, moved: false });
    }
    let mut out = Vec::with_capacity(data.len() + patches.len());
    write_leb(&mut out, bodies.len() as u64);
    let mut patches = patches.into_iter().peekable();
    for range in bodies {
        let mut body = Vec::with_capacity(range.len() + 16);
        let mut copied = range.start;
        while let Some(patch) = patches.next_if(|patch| patch.at < range.end) {
            body.extend_from_slice(&data[copied..patch.at]);
            if let Some(opcode) = patch.opcode {
                body.pop();
                body.push(opcode);
            }
            let start = body.len();
            body.resize(start + patch.new_width(), 0);
            patch.write(&mut body[start..]);
            copied = patch.at + patch.width;
        }
        body.extend_from_slice(&data[copied..range.end]);
        write_leb(&mut out, body.len() as u64);
        out.extend_from_slice(&body);
    }
    Ok(Code {
        data: out,
        moved: true,
    })
}
