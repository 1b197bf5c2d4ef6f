//! A program on its way to being packed.

use std::io::Write;

use anyhow::Result;
use monaka_vfs_core::image::Written;

use super::analyze::Module;
use super::dense::Initial;
use super::finish::Finished;
use super::link::Library;
use super::merge::{Layout, Merged};
use super::mount::{Mount, Mounted};
use super::packed::Packed;
use super::reach::Reach;
use super::refusal::Refusal;
use super::section::{Section, split};
use super::splice;

/// How the file system gets into a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Route {
    /// The program is linked with libmonaka_vfs.a
    Linked,
    /// The file system is merged into the finished program
    Rewrite,
}

/// A module that was found fit, and by which route.
pub(crate) enum Program<'a> {
    /// The library is inside.
    Linked(Linked<'a>),
    /// The blob was merged in.
    Merged(Merged<'a>),
}

impl<'a> Program<'a> {
    /// Looks at a module as it is before any pack, and takes the route that is
    /// asked for, or else the linked one where the library is inside. Where files will
    /// be `compressed` there must be a decoder. Nothing runs.
    pub(crate) fn new(
        wasm: &'a [u8],
        module: &Module<'a>,
        route: Option<Route>,
        layout: Layout,
        reach: Reach,
        compressed: bool,
    ) -> Result<Program<'a>> {
        module.check_host()?;
        let mut note = None;
        if route != Some(Route::Rewrite) {
            match (Linked::new(wasm, module, reach, compressed), route) {
                (Ok(linked), _) => return Ok(Program::Linked(linked)),
                (Err(error), None) => match error.downcast::<Refusal>()? {
                    Refusal::NotLinked => {}
                    refusal if refusal.is_of_linked_programs() => {
                        note = Some(format!(
                            "took --route rewrite, as the program cannot be packed the way it is \
                             linked: {refusal}"
                        ));
                    }
                    refusal => return Err(refusal.into()),
                },
                (Err(error), Some(_)) => return Err(error),
            }
        }
        let mut merged = Merged::new(wasm, module, layout, reach, compressed)?;
        merged.notes.extend(note);
        Ok(Program::Merged(merged))
    }

    /// The program of a packed module, as it was packed: by the same route, seeing
    /// what it saw, with a decoder where files will be `compressed`. `original` is
    /// where a linked one's own bytes go.
    pub(crate) fn reopen(
        packed: &Packed<'a>,
        module: &Module<'a>,
        original: &'a mut Vec<u8>,
        compressed: bool,
    ) -> Result<Program<'a>> {
        let Some(record) = packed.merged else {
            *original = packed.original(module)?;
            let module = Module::parse(original)?;
            let reach = packed.reach()?;
            let (route, layout) = (Some(Route::Linked), Layout::default());
            return Program::new(original, &module, route, layout, reach, compressed);
        };
        Ok(Program::Merged(Merged::reopen(packed, record, compressed)?))
    }

    /// Whether it reads compressed files.
    pub(crate) fn decodes(&self) -> bool {
        match self {
            Program::Linked(linked) => linked.zstd,
            Program::Merged(merged) => merged.decodes(),
        }
    }

    /// What the user should know, a line each.
    pub(crate) fn notes(&self) -> &[String] {
        match self {
            Program::Linked(linked) => &linked.notes,
            Program::Merged(merged) => &merged.notes,
        }
    }

    /// What the user should know of how it starts, once it is `mounted`.
    pub(crate) fn notice<S>(
        &self,
        mounted: &Mounted,
        image: &Written<'_, S>,
    ) -> Result<Option<String>> {
        let (_, initial) = self.sections(mounted, image)?;
        let notice = initial.notice();
        Ok(match self {
            Program::Merged(merged) if merged.record.layout == Layout::Single => {
                notice.map(|notice| notice + "; --memory multi leaves the program's as it is")
            }
            _ => notice,
        })
    }

    /// Runs the file system alone to mount the image.
    pub(crate) fn mount<S>(&self, image: &Written<'_, S>) -> Result<Mounted> {
        match self {
            Program::Linked(linked) => linked.mount(image),
            Program::Merged(merged) => merged.mount(image),
        }
    }

    /// The packed module's sections but for the image, as the data section lacks its last
    /// segment; and what stands in the memories with it.
    pub(crate) fn sections<'s, S>(
        &'s self,
        mounted: &'s Mounted,
        image: &Written<'_, S>,
    ) -> Result<(Vec<Section<'s>>, Initial)> {
        Ok(match self {
            Program::Linked(linked) => {
                let Linked {
                    sections,
                    segments,
                    flags,
                    ..
                } = linked;
                let finished = Finished::new(sections, mounted, image, *segments, *flags)?;
                (finished.sections, finished.initial)
            }
            Program::Merged(merged) => {
                let stated = merged.stated(mounted, image)?;
                (stated.sections, stated.initial)
            }
        })
    }

    /// Writes the packed module; `copy` writes the contents of one file.
    pub(crate) fn write<S>(
        &self,
        out: &mut dyn Write,
        mounted: &Mounted,
        image: &Written<'_, S>,
        copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        match self {
            Program::Linked(linked) => linked.write(out, mounted, image, copy),
            Program::Merged(merged) => merged.write(out, mounted, image, copy),
        }
    }
}

/// A program with its WASI calls sent to the library that it is linked with.
pub(crate) struct Linked<'a> {
    sections: Vec<Section<'a>>,
    reserve: u32,
    mount: u32,
    request: u32,
    memories: Vec<Vec<u8>>,
    segments: u32,
    flags: u32,
    zstd: bool,
    notes: Vec<String>,
}

impl<'a> Linked<'a> {
    /// Looks at the module (as it is before any pack) and sends what goes
    /// around the library to it. Nothing runs.
    fn new(
        wasm: &'a [u8],
        module: &Module<'a>,
        reach: Reach,
        compressed: bool,
    ) -> Result<Linked<'a>> {
        module.check_state()?;
        let memories = module.initial_memories()?;
        let library = Library::find(module, &memories[0])?;
        if compressed && !library.zstd {
            return Err(Refusal::LinkedWithoutDecoder.into());
        }
        module.check_imports(&[])?;
        module.validate()?;
        let code = module.walk()?;
        let splice = library.splice(module, &code, reach.calls)?;
        let spliced = splice::apply(split(wasm)?, module.function_count(), &splice)?;
        Ok(Linked {
            sections: spliced.sections,
            reserve: splice.index_after(library.reserve),
            mount: splice.index_after(library.mount),
            request: library.request,
            memories,
            segments: code.segments,
            flags: reach.flags(),
            zstd: library.zstd,
            notes: spliced.notes,
        })
    }

    /// Runs the library to mount the image.
    fn mount<S>(&self, image: &Written<'_, S>) -> Result<Mounted> {
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
            tracer: None,
        };
        mount.run()
    }

    /// Writes the packed module; `copy` writes the contents of one file.
    fn write<S>(
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
