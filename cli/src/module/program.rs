//! A program on its way to being packed.

use std::io::Write;

use anyhow::Result;
use monaka_vfs_core::image::Written;
use monaka_vfs_core::link::MOUNT_HOST_DIRS;

use super::analyze::Module;
use super::finish::Finished;
use super::link::Library;
use super::mount::{Mount, Mounted};
use super::section::{Section, split};
use super::splice;

/// A module that was found fit, with its WASI calls sent to the library.
pub(crate) struct Program<'a> {
    sections: Vec<Section<'a>>,
    reserve: u32,
    mount: u32,
    request: u32,
    memories: Vec<Vec<u8>>,
    segments: u32,
    flags: u32,
    /// What the user should know, a line each.
    pub(crate) notes: Vec<String>,
}

impl<'a> Program<'a> {
    /// Looks at the module (as it is before any pack) and sends what goes
    /// around the library to it. Nothing runs.
    pub(crate) fn new(
        wasm: &'a [u8],
        module: &Module<'a>,
        allow_host_dirs: bool,
    ) -> Result<Program<'a>> {
        module.check_state()?;
        let memories = module.initial_memories()?;
        let library = Library::find(module, &memories[0])?;
        module.check_imports()?;
        module.validate()?;
        let code = module.walk()?;
        let splice = library.splice(module, &code, allow_host_dirs)?;
        let spliced = splice::apply(split(wasm)?, module.function_count(), &splice)?;
        Ok(Program {
            sections: spliced.sections,
            reserve: splice.index_after(library.reserve),
            mount: splice.index_after(library.mount),
            request: library.request,
            memories,
            segments: code.segments,
            flags: if allow_host_dirs { MOUNT_HOST_DIRS } else { 0 },
            notes: spliced.notes,
        })
    }

    /// Runs the library to mount the image.
    pub(crate) fn mount<S>(&self, image: &Written<'_, S>) -> Result<Mounted> {
        let mount = Mount {
            sections: &self.sections,
            reserve: self.reserve,
            mount: self.mount,
            at: self.request,
            memories: &self.memories,
            segments: self.segments,
            tables: &image.tables,
            data_len: image.data_len,
            flags: self.flags,
        };
        mount.run()
    }

    /// Writes the packed module; `copy` writes the contents of one file.
    pub(crate) fn write<S>(
        &self,
        out: &mut dyn Write,
        mounted: &Mounted,
        image: &Written<'_, S>,
        copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let finished = Finished::new(&self.sections, mounted, image, self.segments, self.flags)?;
        finished.write(out, image, copy)
    }
}
