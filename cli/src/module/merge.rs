//! The file system merged into a finished program that knows nothing of it.
//!
//! ```text
//! imports    the program's that stay, then the host's functions that the blob calls
//! functions  [grow]  the program's  the blob's that are reached  refusing stubs
//! globals    the program's  [base pages]  the blob's
//! memories   the program's  [the blob's]
//! data       the program's  the snapshot's  the image
//! ```
//!
//! 1. What the program imports of WASI's descriptor calls goes to the blob, in
//!    whatever way it is referred to. The program's bodies are copied as bytes;
//!    only the immediates of calls change, see [`splice`](super::splice).
//! 2. In the [single](Layout::Single) layout the file system lives behind the
//!    program's pages. What the program asks of its memory's size goes to a
//!    global, and growing to `grow`, the first function behind the imports: so
//!    its index mostly fits where `memory.grow` stood, and bodies keep their size.
//! 3. The blob alone is run to mount the image. Only then is its state known:
//!    [`Merged::new`] puts together what depends on no image, [`Merged::write`]
//!    adds the state. So packing again replaces the state and nothing else.

use std::borrow::Cow;
use std::io::Write;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::Written;
use monaka_vfs_core::image::format::VERSION;
use monaka_vfs_core::link::ABI;
use monaka_vfs_core::merge::{CONFIGURE, HEADROOM_MAX, MOUNT, RESERVE, SETTINGS};
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{ConstExpr, Encode as _};
use wasmparser::{
    BinaryReader, DataKind, DataSectionReader, GlobalSectionReader, MemorySectionReader, Operator,
};

use super::analyze::Module;
use super::blob::{Blob, Variant};
use super::dense::Initial;
use super::finish::{self, MAX_SEGMENTS, Segment};
use super::graft::Graft;
use super::mount::{Configure, Mount, MountError, Mounted};
use super::packed::{self, ImageRecord, Packed, init_of};
use super::policy::{self, Policy};
use super::reach::Reach;
use super::refusal::Refusal;
use super::section::{Section, debug_assert_valid, encoded, find, id, join, split, write_leb};
use super::tracing::{To, Tracing};

/// The custom section's name.
pub(crate) const SECTION: &str = "monaka.merge";

/// Where the merged file system lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Layout {
    /// In the program's own memory: runs on every runtime
    #[default]
    Single,
    /// In a second memory, which the program cannot reach: needs a runtime with
    /// multi-memory
    Multi,
}

/// The custom section `monaka.merge`: what of a merged module is state, so that
/// it can be replaced. All integers LEB128, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MergeRecord {
    pub(crate) layout: Layout,
    /// Index of the memory that the file system is in.
    pub(crate) memory: u32,
    /// The program's own pages at the start, and at most; encoded with 1 added,
    /// 0 if it does not say.
    pub(crate) minimum: u64,
    pub(crate) maximum: Option<u64>,
    /// The first of our globals.
    pub(crate) globals: u32,
    /// How many data segments are the program's.
    pub(crate) segments: u32,
    /// How many functions are the program's, but for imported ones.
    pub(crate) functions: u32,
    /// [`Variant::digest`]: another blob's functions do not know this one's state.
    pub(crate) blob: u64,
}

impl MergeRecord {
    /// Whether the blob has a tracer.
    pub(crate) fn is_traced(&self) -> bool {
        self.blob == Variant::Trace.digest()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in [
            u64::from(self.layout == Layout::Multi),
            self.memory.into(),
            self.minimum,
            self.maximum.map_or(0, |maximum| maximum + 1),
            self.globals.into(),
            self.segments.into(),
            self.functions.into(),
            self.blob,
        ] {
            write_leb(&mut out, field);
        }
        out
    }

    /// Reads what [`encode`](MergeRecord::encode) wrote.
    pub(crate) fn decode(payload: &[u8]) -> Option<MergeRecord> {
        let mut reader = BinaryReader::new(payload, 0);
        let mut next = || reader.read_var_u64().ok();
        Some(MergeRecord {
            layout: match next()? {
                0 => Layout::Single,
                1 => Layout::Multi,
                _ => return None,
            },
            memory: u32::try_from(next()?).ok()?,
            minimum: next()?,
            maximum: next()?.checked_sub(1),
            globals: u32::try_from(next()?).ok()?,
            segments: u32::try_from(next()?).ok()?,
            functions: u32::try_from(next()?).ok()?,
            blob: next()?,
        })
    }

    /// Where the file system begins in the memory that it is in.
    pub(crate) fn base(&self, module: &Module<'_>) -> Result<u64, Refusal> {
        match self.layout {
            Layout::Single => module.global(self.globals).ok_or_else(|| {
                Refusal::DamagedPack(format!("{SECTION}: nothing says where it is"))
            }),
            Layout::Multi => Ok(0),
        }
    }

    /// The record of a module, if it was merged.
    pub(crate) fn of(sections: &[Section<'_>]) -> Result<Option<MergeRecord>, Refusal> {
        let payload = sections
            .iter()
            .find_map(|section| match section.as_custom() {
                Some((SECTION, payload)) => Some(payload),
                _ => None,
            });
        payload.map(MergeRecord::of_payload).transpose()
    }

    /// The record in a section's payload.
    pub(crate) fn of_payload(payload: &[u8]) -> Result<MergeRecord, Refusal> {
        MergeRecord::decode(payload)
            .ok_or_else(|| Refusal::DamagedPack(format!("{SECTION} cannot be read")))
    }
}

/// A program with the blob in it, and no state yet.
pub(crate) struct Merged<'a> {
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) record: MergeRecord,
    blob: Variant,
    /// What the blob's tracer does, if it has one.
    tracing: Option<Tracing>,
    flags: u32,
    /// What the user should know, a line each.
    pub(crate) notes: Vec<String>,
}

/// A merged program with its state, but for the image: the data section lacks its
/// last segment.
pub(super) struct Stated<'m> {
    pub(super) sections: Vec<Section<'m>>,
    /// What stands in the memories, with the image.
    pub(super) initial: Initial,
    record: ImageRecord,
    merge: MergeRecord,
}

/// The fewest pages that are kept free behind a program, where there is room: 4 MiB,
/// more than most take before they do what they are there for.
const HEADROOM_MIN: u64 = 64;

/// The most pages of a 32-bit memory.
pub(crate) const PAGES_MAX: u64 = 65536;
pub(crate) const PAGE: u64 = 65536;

impl<'a> Merged<'a> {
    /// Merges the blob into a module as it is before any pack, with a decoder where
    /// files will be compressed. Nothing runs.
    pub(crate) fn new(
        wasm: &'a [u8],
        module: &Module<'a>,
        layout: Layout,
        reach: Reach,
        compressed: bool,
    ) -> Result<Merged<'a>> {
        let variant = Variant::reading(compressed);
        Merged::of_blob(wasm, module, layout, reach, variant, None)
    }

    /// As [`new`](Merged::new), with a tracer in front of the file system.
    pub(crate) fn traced(
        wasm: &'a [u8],
        module: &Module<'a>,
        layout: Layout,
        reach: Reach,
        tracing: Tracing,
    ) -> Result<Merged<'a>> {
        let (variant, tracing) = (Variant::Trace, Some(tracing));
        Merged::of_blob(wasm, module, layout, reach, variant, tracing)
    }

    fn of_blob(
        wasm: &'a [u8],
        module: &Module<'a>,
        layout: Layout,
        reach: Reach,
        variant: Variant,
        tracing: Option<Tracing>,
    ) -> Result<Merged<'a>> {
        match &tracing {
            None => module.check_mergeable()?,
            Some(_) => module.check_traceable()?,
        }
        let blob = Blob::open(variant)?;
        let record = MergeRecord {
            layout,
            memory: match layout {
                Layout::Single => 0,
                Layout::Multi => module.memories.len() as u32,
            },
            minimum: module.memories[0].initial,
            maximum: module.memories[0].maximum,
            globals: module.global_count(),
            segments: module.data.len() as u32,
            functions: module.function_count() - module.imported_functions,
            blob: variant.digest(),
        };
        let shims = policy::Record::of_module(wasm)?.unwrap_or_default();
        let graft = Graft::plan(
            module,
            &blob,
            &record,
            &shims,
            reach.calls,
            tracing.as_ref(),
        )?;
        let (mut sections, notes) = graft.sections(split(wasm)?)?;
        sections.extend(tracing.as_ref().map(Tracing::section));
        if cfg!(any(test, debug_assertions)) {
            debug_assert_valid(&join(&sections), "the merged module");
        }
        Ok(Merged {
            sections,
            record,
            blob: variant,
            tracing,
            flags: reach.flags(),
            notes,
        })
    }

    /// A module that was merged before, without its state.
    pub(crate) fn reopen(
        packed: &Packed<'a>,
        record: MergeRecord,
        compressed: bool,
    ) -> Result<Merged<'a>> {
        let blob = Variant::of(record.blob).ok_or(Refusal::OtherBlob)?;
        if compressed && blob == Variant::Plain {
            return Err(Refusal::MergedWithoutDecoder.into());
        }
        if record.minimum > PAGES_MAX {
            return Err(Refusal::DamagedPack(format!(
                "{SECTION} says more pages than there can be"
            ))
            .into());
        }
        let mut sections = split(packed.wasm)?;
        let tracing = Tracing::of(&sections)?;
        if tracing.is_some() != (blob == Variant::Trace) {
            return Err(Refusal::DamagedPack(format!("{SECTION} is of another blob")).into());
        }
        sections
            .retain(|section| !section.is_custom(SECTION) && !section.is_custom(packed::SECTION));
        for section in &mut sections {
            match section.id {
                id::MEMORY => *section = program_memory(section, &record)?,
                id::DATA => {
                    let mut data = Vec::new();
                    write_leb(&mut data, record.segments.into());
                    data.extend_from_slice(packed::first_segments(&section.data, record.segments)?);
                    *section = Section::new(id::DATA, data);
                }
                _ => {}
            }
        }
        Ok(Merged {
            sections,
            record,
            blob,
            tracing,
            flags: packed.record.flags,
            notes: Vec::new(),
        })
    }

    /// Puts the program under another policy than it is under. `module` is the packed one.
    pub(crate) fn police(&mut self, module: &Module<'_>, policy: &Policy) -> Result<()> {
        let old = policy::Record::of(&self.sections)?.unwrap_or_default();
        if old.policy == *policy {
            return Ok(());
        }
        let first = u32::from(self.record.layout == Layout::Single);
        let sections = std::mem::take(&mut self.sections);
        let restored = policy::restore(sections, module, &old, first)?;
        let free = join(&restored.sections);
        let own = self.record.functions.checked_sub(restored.shims);
        let own =
            own.ok_or_else(|| Refusal::DamagedPack(format!("{SECTION}: too few functions")))?;
        let module = Module::parse(&free)?;
        let place = (first, own);
        let enforced = policy::enforce(restored.sections, &module, policy, place, old.global)?;
        self.record.functions = own + enforced.shims;
        self.sections = enforced.sections;
        self.notes.extend(restored.notes);
        self.notes.extend(enforced.notes);
        Ok(())
    }

    /// Whether the blob reads compressed files.
    pub(crate) fn decodes(&self) -> bool {
        self.blob == Variant::reading(true)
    }

    /// The same with a trace that goes to no packed file, whatever will be packed.
    pub(crate) fn with_no_file(mut self) -> Merged<'a> {
        if let Some(tracing) = &mut self.tracing {
            tracing.to = To::Stderr;
        }
        self
    }

    /// Runs the blob to mount the image.
    pub(crate) fn mount<S>(&self, image: &Written<'_, S>) -> Result<Mounted> {
        let blob = Blob::open(self.blob)?;
        let sections = split(self.blob.bytes())?;
        let tracer = match &self.tracing {
            None => None,
            Some(tracing) => Some(Configure {
                settings: blob.export(SETTINGS)?,
                configure: blob.export(CONFIGURE)?,
                bytes: tracing.settings(&image.tables)?.encode(),
            }),
        };
        let mount = Mount {
            sections: &sections,
            reserve: blob.export(RESERVE)?,
            mount: blob.export(MOUNT)?,
            at: blob.request()?,
            memories: &blob.module.initial_memories()?,
            segments: 0,
            tables: &image.tables,
            data_len: image.data_len,
            flags: self.flags,
            tracer,
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
        let Stated {
            sections,
            mut record,
            merge,
            ..
        } = self.stated(mounted, image)?;
        let mut header = Vec::new();
        segment_header(
            &mut header,
            self.record.memory,
            record.address,
            record.len(),
        );
        record.digest = finish::write_module(out, &sections, &header, image, copy)?;
        finish::write_section(out, &Section::custom(packed::SECTION, &record.encode()))?;
        finish::write_section(out, &Section::custom(SECTION, &merge.encode()))
    }

    /// Puts the state into the program.
    pub(super) fn stated<S>(
        &self,
        mounted: &Mounted,
        image: &Written<'_, S>,
    ) -> Result<Stated<'_>> {
        let snapshot = split(&mounted.wasm)?;
        let pages = memory_pages(&snapshot)?;
        let own = match self.record.layout {
            Layout::Single => self.record.minimum,
            Layout::Multi => 0,
        };
        if own + pages > PAGES_MAX {
            return Err(MountError::TooLarge {
                needed: pages * PAGE,
                size: own * PAGE,
                maximum: PAGES_MAX * PAGE,
            }
            .into());
        }
        let mut record = ImageRecord {
            format: VERSION,
            abi: ABI,
            flags: self.flags,
            tables_len: u32::try_from(image.tables.len())?,
            address: u64::from(mounted.address),
            data_len: image.data_len,
            digest: [0; 32],
        };
        let mut merge = self.record;
        let mut data = Data::new(&self.sections, self.record.segments)?;
        let initial = data.near(&snapshot, self.record.memory, own * PAGE, &record)?;
        let headroom = match self.record.layout {
            Layout::Single => self.headroom(pages, initial.room(self.record.memory)),
            Layout::Multi => 0,
        };
        let base = (own + headroom) * PAGE;
        record.address += base;
        data.append(&snapshot, self.record.memory, base)?;
        merge.segments = data.own;
        let mut sections = Vec::with_capacity(self.sections.len() + 1);
        for section in &self.sections {
            sections.push(match section.id {
                id::MEMORY => self.memory(section, headroom + pages)?,
                id::GLOBAL => self.globals(section, &snapshot, base)?,
                id::DATA_COUNT => {
                    let mut count = Vec::new();
                    write_leb(&mut count, data.count + 1);
                    Section::new(id::DATA_COUNT, count)
                }
                id::DATA => Section::new(id::DATA, data.encode(1)),
                _ => section.borrowed(),
            });
        }
        Ok(Stated {
            sections,
            initial,
            record,
            merge,
        })
    }

    /// The pages that are kept free between the program and the file system's `pages`,
    /// with `room` bytes to move those up.
    ///
    /// Where a program grows into the file system all of that moves, the image too. So
    /// it may grow first by as much as that is. It costs no byte of the module, but what
    /// an engine lays out when it compiles it is larger by as much.
    fn headroom(&self, pages: u64, room: u64) -> u64 {
        let own = self.record.minimum;
        let may_grow = self.record.maximum.unwrap_or(PAGES_MAX).saturating_sub(own);
        pages
            .clamp(HEADROOM_MIN, HEADROOM_MAX.into())
            .min(may_grow)
            .min(room / PAGE)
            .min(PAGES_MAX - own - pages)
    }

    /// The memory section with `pages` behind the program's.
    fn memory(&self, section: &Section<'_>, pages: u64) -> Result<Section<'a>> {
        let mut memories = wasm_encoder::MemorySection::new();
        let reader = MemorySectionReader::new(section.reader())?;
        for (index, memory) in (0..).zip(reader) {
            let mut memory = wasm_encoder::MemoryType::from(memory?);
            if index == self.record.memory {
                match self.record.layout {
                    Layout::Single => {
                        memory.minimum += pages;
                        memory.maximum = memory.maximum.map(|_| PAGES_MAX);
                    }
                    Layout::Multi => memory.minimum = pages,
                }
            }
            memories.memory(memory);
        }
        Ok(encoded(id::MEMORY, &memories))
    }

    /// The global section with the snapshot's values in our globals.
    fn globals(
        &self,
        section: &Section<'_>,
        snapshot: &[Section<'_>],
        base: u64,
    ) -> Result<Section<'a>> {
        let constant = |value: u64| {
            let mut init = Vec::new();
            ConstExpr::i32_const(value as u32 as i32).encode(&mut init);
            init.pop();
            init
        };
        let mut values = Vec::new();
        if self.record.layout == Layout::Single {
            values.extend([constant(base), constant(self.record.minimum)]);
        }
        if let Some(globals) = find(snapshot, id::GLOBAL) {
            for global in GlobalSectionReader::new(globals.reader())? {
                values.push(init_of(&global?));
            }
        }
        let reader = GlobalSectionReader::new(section.reader())?;
        // Behind ours may be that of a policy that came later.
        let shims = policy::Record::of(&self.sections)?.unwrap_or_default();
        let behind = shims
            .global
            .is_some_and(|global| global > self.record.globals);
        let ours = (reader.count() as usize).checked_sub(values.len() + usize::from(behind));
        let ours = ours.ok_or_else(|| Refusal::DamagedPack("globals are missing".into()))?;
        let mut globals = wasm_encoder::GlobalSection::new();
        for (index, global) in reader.into_iter().enumerate() {
            let global = global?;
            let ty = RoundtripReencoder.global_type(global.ty)?;
            let value = index.checked_sub(ours).and_then(|at| values.get(at));
            let init = value.cloned().unwrap_or_else(|| init_of(&global));
            globals.global(ty, &ConstExpr::raw(init));
        }
        Ok(encoded(id::GLOBAL, &globals))
    }
}

/// The memory section of a merged module with the program's own size in it.
pub(crate) fn program_memory<'a>(
    section: &Section<'_>,
    record: &MergeRecord,
) -> Result<Section<'a>> {
    let mut memories = wasm_encoder::MemorySection::new();
    for (index, memory) in (0..).zip(MemorySectionReader::new(section.reader())?) {
        let mut memory = wasm_encoder::MemoryType::from(memory?);
        if index == 0 {
            memory.minimum = record.minimum;
            memory.maximum = record.maximum;
        }
        memories.memory(memory);
    }
    Ok(encoded(id::MEMORY, &memories))
}

/// The size in pages of the only memory.
fn memory_pages(sections: &[Section<'_>]) -> Result<u64> {
    let section = find(sections, id::MEMORY).context("the snapshot has no memory")?;
    let mut memories = MemorySectionReader::new(section.reader())?.into_iter();
    let memory = memories.next().context("the snapshot has no memory")??;
    Ok(memory.initial)
}

/// An active segment up to its first byte.
pub(crate) fn segment_header(out: &mut Vec<u8>, memory: u32, address: u64, len: u64) {
    match memory {
        0 => out.push(0),
        memory => {
            out.push(2);
            write_leb(out, memory.into());
        }
    }
    ConstExpr::i32_const(address as u32 as i32).encode(out);
    write_leb(out, len);
}

/// The data segments of the module, the image's to come.
struct Data<'d> {
    /// The program's, raw, and how many they are.
    program: Cow<'d, [u8]>,
    own: u32,
    /// The snapshot's, raw.
    ours: Vec<u8>,
    /// All of them.
    count: u64,
}

impl<'d> Data<'d> {
    fn new(sections: &'d [Section<'_>], own: u32) -> Result<Data<'d>> {
        let section = find(sections, id::DATA).context("a merged module has a data section")?;
        let program = packed::first_segments(&section.data, own)?;
        Ok(Data {
            program: program.into(),
            own,
            ours: Vec::new(),
            count: own.into(),
        })
    }

    /// What stands in the memories with the snapshot's and the image in `memory`, from
    /// `base` on.
    fn near(
        &self,
        snapshot: &[Section<'_>],
        memory: u32,
        base: u64,
        image: &ImageRecord,
    ) -> Result<Initial> {
        let section = find(snapshot, id::DATA).context("the snapshot has no data")?;
        let mut initial = Initial::of(&self.encode(0), u64::MAX)?;
        initial.append(&Initial::of(&section.data, u64::MAX)?, memory, base);
        initial.add(memory, base + image.address, image.len());
        Ok(initial)
    }

    /// Adds the snapshot's, `base` bytes further on in `memory`.
    fn append(&mut self, snapshot: &[Section<'_>], memory: u32, base: u64) -> Result<()> {
        let section = find(snapshot, id::DATA).context("the snapshot has no data")?;
        let mut added = 0;
        for segment in DataSectionReader::new(section.reader())? {
            let segment = segment?;
            let DataKind::Active { offset_expr, .. } = &segment.kind else {
                continue;
            };
            let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                anyhow::bail!("the snapshot has a segment at no constant");
            };
            let address = u64::from(value as u32) + base;
            segment_header(&mut self.ours, memory, address, segment.data.len() as u64);
            self.ours.extend_from_slice(segment.data);
            added += 1;
        }
        // And the image's.
        let excess = (u64::from(self.own) + added + 1).saturating_sub(MAX_SEGMENTS as u64);
        if excess != 0 {
            self.fuse(excess as usize)?;
        }
        self.count = u64::from(self.own) + added;
        Ok(())
    }

    /// Joins neighbours of the program's until there are `excess` fewer.
    fn fuse(&mut self, excess: usize) -> Result<()> {
        let total = self.own as usize + excess;
        let mut raw = Vec::new();
        write_leb(&mut raw, self.own.into());
        raw.extend_from_slice(&self.program);
        let mut segments = Vec::with_capacity(self.own as usize);
        for segment in DataSectionReader::new(BinaryReader::new(&raw, 0))? {
            segments.push(Segment::read(&segment?).map_err(|_| Refusal::DataSegments(total))?);
        }
        let apart = segments
            .windows(2)
            .all(|pair| pair[0].memory != pair[1].memory || pair[0].end() <= pair[1].address);
        if !apart || segments.len() <= excess {
            return Err(Refusal::DataSegments(total).into());
        }
        let fused = finish::fuse(segments, excess);
        if fused.len() + excess > self.own as usize {
            return Err(Refusal::DataSegments(total).into());
        }
        let mut program = Vec::with_capacity(raw.len());
        for segment in &fused {
            segment_header(
                &mut program,
                segment.memory,
                segment.address,
                segment.bytes.len() as u64,
            );
            program.extend_from_slice(&segment.bytes);
        }
        self.own = fused.len() as u32;
        self.program = program.into();
        Ok(())
    }

    /// The section's contents, `more` segments still to come.
    fn encode(&self, more: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.program.len() + self.ours.len() + 8);
        write_leb(&mut out, self.count + more);
        out.extend_from_slice(&self.program);
        out.extend_from_slice(&self.ours);
        out
    }
}
