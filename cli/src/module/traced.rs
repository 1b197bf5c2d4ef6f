//! A module with a tracer in front of its calls, whatever it was before.
//!
//! A packed module is packed anew with the same image: the blob is taken out of it, or
//! a linked program is given its host back, and the tracing blob is merged in. One that
//! is not packed gets the same blob, which then passes every call on to the host.

use std::borrow::Cow;
use std::io::Write;

use anyhow::Result;
use monaka_vfs_core::image::{Meta, NodeId, Tree, Written, write};

use super::analyze::Module;
use super::detach::detach;
use super::merge::{Layout, Merged};
use super::packed::Packed;
use super::reach::Reach;
use super::tracing::Tracing;
use super::unlink::unlink;

/// The program of a packed module with nothing packed into it, which imports from its
/// host what it did before.
pub(crate) fn bare(packed: &Packed<'_>, module: &Module<'_>) -> Result<Vec<u8>> {
    if let Some(init) = &packed.init {
        return Err(init.refusal().into());
    }
    match &packed.merged {
        Some(record) => detach(packed, module, record),
        None => unlink(&packed.original(module)?),
    }
}

/// A module that does as `tracing` says, to be run.
pub(crate) fn traced(wasm: &[u8], mut tracing: Tracing) -> Result<Cow<'_, [u8]>> {
    let module = Module::parse(wasm)?;
    let Some(packed) = Packed::open(wasm, &module)? else {
        if !module.calls_wasi() {
            return Ok(wasm.into());
        }
        tracing.pass = true;
        // An image has a directory that is open from the start; nobody asks for it.
        let mut tree = Tree::<()>::new(Meta::default());
        tree.add_preopen(b"/", NodeId::ROOT)?;
        let valid = tree.validate()?;
        let program = Merged::traced(wasm, &module, Layout::Single, Reach::usual(true), tracing)?;
        return Ok(packed_with(&program, &write(&valid)?, |(), _, _| Ok(()))?.into());
    };
    let program = bare(&packed, &module)?;
    let module = Module::parse(&program)?;
    let layout = packed.merged.map_or(Layout::Single, |merged| merged.layout);
    let program = Merged::traced(&program, &module, layout, packed.reach()?, tracing)?;
    let valid = packed.tree(|start, _| start)?.validate()?;
    let wasm = packed_with(&program, &write(&valid)?, |start, len, out| {
        Ok(out.write_all(packed.contents(*start, len)?)?)
    })?;
    Ok(wasm.into())
}

fn packed_with<S>(
    program: &Merged<'_>,
    image: &Written<'_, S>,
    copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
) -> Result<Vec<u8>> {
    let mounted = program.mount(image)?;
    let mut wasm = Vec::new();
    program.write(&mut wasm, &mounted, image, copy)?;
    Ok(wasm)
}
