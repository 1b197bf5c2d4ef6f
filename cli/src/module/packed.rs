//! A module that was packed: what `pack` recorded in it, and the way back.

use std::borrow::Cow;

use anyhow::Result;
use monaka_vfs_core::image::format::VERSION;
use monaka_vfs_core::image::{Image, Tree};
use monaka_vfs_core::link::{ABI, MOUNT_HOST_DIRS};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasmparser::{
    BinaryReader, DataKind, DataSectionReader, GlobalSectionReader, MemorySectionReader, Operator,
};

use super::analyze::{Module, memory_size, page_size};
use super::init::{self, InitRecord};
use super::merge::{self, MergeRecord, segment_header};
use super::refusal::Refusal;
use super::section::{Section, encoded, id, join, skim, split, write_leb};
use super::undo::{self, Old, Undo};
use crate::report::Hinted;

/// The custom section's name.
pub(crate) const SECTION: &str = "monaka.image";

/// The custom section `monaka.image`: 64 bytes, little-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | image format version |
/// | 4 | 4 | ABI of library and CLI |
/// | 8 | 4 | flags, as given to `mount` |
/// | 12 | 4 | length of the image's tables |
/// | 16 | 8 | the image's address in memory 0 |
/// | 24 | 8 | length of the image's data |
/// | 32 | 32 | SHA-256 of tables and data |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageRecord {
    pub(crate) format: u32,
    pub(crate) abi: u32,
    pub(crate) flags: u32,
    pub(crate) tables_len: u32,
    pub(crate) address: u64,
    pub(crate) data_len: u64,
    pub(crate) digest: [u8; 32],
}

impl ImageRecord {
    /// The payload's size.
    pub(crate) const SIZE: usize = 64;

    /// The section's payload.
    pub(crate) fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[0..4].copy_from_slice(&self.format.to_le_bytes());
        out[4..8].copy_from_slice(&self.abi.to_le_bytes());
        out[8..12].copy_from_slice(&self.flags.to_le_bytes());
        out[12..16].copy_from_slice(&self.tables_len.to_le_bytes());
        out[16..24].copy_from_slice(&self.address.to_le_bytes());
        out[24..32].copy_from_slice(&self.data_len.to_le_bytes());
        out[32..].copy_from_slice(&self.digest);
        out
    }

    /// Reads what [`encode`](ImageRecord::encode) wrote. A newer version may
    /// have added fields behind.
    pub(crate) fn decode(payload: &[u8]) -> Option<ImageRecord> {
        let payload: &[u8; Self::SIZE] = payload.get(..Self::SIZE)?.try_into().ok()?;
        let word =
            |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().unwrap_or_default());
        let long =
            |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap_or_default());
        Some(ImageRecord {
            format: word(0),
            abi: word(4),
            flags: word(8),
            tables_len: word(12),
            address: long(16),
            data_len: long(24),
            digest: payload[32..].try_into().ok()?,
        })
    }

    /// The record in a section's payload, if this monaka can read what it is of.
    fn of(payload: &[u8]) -> Result<ImageRecord, Refusal> {
        let record = ImageRecord::decode(payload)
            .ok_or_else(|| Refusal::DamagedPack(format!("{SECTION} is too short")))?;
        if (record.format, record.abi) != (VERSION, ABI) {
            return Err(Refusal::OtherPack {
                format: record.format,
                abi: record.abi,
            });
        }
        Ok(record)
    }

    /// Tables and data together.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.tables_len).saturating_add(self.data_len)
    }

    /// Whether the module sees the host's directories.
    pub(crate) fn host_dirs(&self) -> bool {
        self.flags & MOUNT_HOST_DIRS != 0
    }
}

/// The record of a packed module and its image, found without a look at
/// anything else.
pub(crate) struct Found<'a> {
    pub(crate) record: ImageRecord,
    /// The image: tables, then data.
    pub(crate) image: &'a [u8],
}

/// Looks for what an earlier pack put into a core module.
///
/// The image is the last data segment. So it ends where the data section does,
/// behind a header of known bytes; only where something else has written the
/// module anew, and thus other headers, the segments before it are walked.
pub(crate) fn find(wasm: &[u8]) -> Result<Option<Found<'_>>, Refusal> {
    let (mut record, mut merged, mut data) = (None, None, None);
    for section in skim(wasm) {
        let section = section.map_err(|error| Refusal::Malformed(format!("{error:#}")))?;
        match section.as_custom() {
            Some((SECTION, payload)) => record = Some(ImageRecord::of(payload)?),
            Some((merge::SECTION, payload)) => merged = Some(MergeRecord::of_payload(payload)?),
            Some(_) => {}
            None if section.id == id::DATA => data = Some(section.data),
            None => {}
        }
    }
    let Some(record) = record else {
        return Ok(None);
    };
    // A skimmed section borrows from the module.
    let Some(Cow::Borrowed(data)) = data else {
        return Err(displaced());
    };
    let memory = merged.map_or(0, |merged: MergeRecord| merged.memory);
    let image = match last_segment(data, memory, &record) {
        Some(image) => image,
        None => walked_segment(data, memory, &record).ok_or_else(displaced)?,
    };
    Ok(Some(Found { record, image }))
}

fn displaced() -> Refusal {
    Refusal::DamagedPack("the image is not where it was put".into())
}

/// The end of a data section, if the header of the image's segment is before it.
fn last_segment<'a>(data: &'a [u8], memory: u32, record: &ImageRecord) -> Option<&'a [u8]> {
    let mut header = Vec::new();
    segment_header(&mut header, memory, record.address, record.len());
    let start = data
        .len()
        .checked_sub(usize::try_from(record.len()).ok()?)?;
    data[..start].ends_with(&header).then(|| &data[start..])
}

/// The last segment of a data section, if it is what the record says.
fn walked_segment<'a>(data: &'a [u8], memory: u32, record: &ImageRecord) -> Option<&'a [u8]> {
    let segments = DataSectionReader::new(BinaryReader::new(data, 0)).ok()?;
    let last = segments.into_iter().last()?.ok()?;
    let DataKind::Active {
        memory_index,
        offset_expr,
    } = last.kind
    else {
        return None;
    };
    let address = match offset_expr.get_operators_reader().read().ok()? {
        Operator::I32Const { value } => u64::from(value as u32),
        Operator::I64Const { value } => value as u64,
        _ => return None,
    };
    let same =
        (memory_index, address, last.data.len() as u64) == (memory, record.address, record.len());
    same.then_some(last.data)
}

/// A packed module.
pub(crate) struct Packed<'a> {
    pub(crate) wasm: &'a [u8],
    pub(crate) record: ImageRecord,
    /// How the file system was merged in, unless the program is linked with it.
    pub(crate) merged: Option<MergeRecord>,
    /// How it was initialised, if it was.
    pub(crate) init: Option<InitRecord>,
    /// The image: tables, then data.
    pub(crate) image: &'a [u8],
}

impl<'a> Packed<'a> {
    /// Looks for an earlier pack in `module`, which was parsed from `wasm`.
    pub(crate) fn open(wasm: &'a [u8], module: &Module<'a>) -> Result<Option<Packed<'a>>, Refusal> {
        let sections = split(wasm).map_err(|error| Refusal::Malformed(format!("{error:#}")))?;
        let Some(section) = sections.iter().find(|section| section.is_custom(SECTION)) else {
            return Ok(None);
        };
        let payload = section.as_custom().map_or(&[][..], |(_, payload)| payload);
        let record = ImageRecord::of(payload)?;
        let merged = MergeRecord::of(&sections)?;
        let memory = merged.map_or(0, |merged| merged.memory);
        let image = module.data.last().filter(|segment| {
            segment.place == Some((memory, record.address))
                && segment.bytes.len() as u64 == record.len()
        });
        let image = image.ok_or_else(displaced)?.bytes;
        let init = sections
            .iter()
            .find(|section| section.is_custom(init::SECTION));
        let init = init.map(|section| {
            let record = section
                .as_custom()
                .and_then(|(_, payload)| InitRecord::decode(payload));
            record.ok_or_else(|| damaged(format!("{} cannot be read", init::SECTION)))
        });
        Ok(Some(Packed {
            wasm,
            record,
            merged,
            init: init.transpose()?,
            image,
        }))
    }

    /// As [`open`](Packed::open), of a module that something must be packed into.
    pub(crate) fn expect(wasm: &'a [u8], module: &Module<'a>) -> Result<Packed<'a>> {
        let packed = Packed::open(wasm, module)?;
        packed.ok_or_else(|| {
            Hinted::new(
                "nothing is packed into it",
                "pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o \
                 OUT.WASM`",
            )
            .into()
        })
    }

    /// The image's tables.
    pub(crate) fn tables(&self) -> &'a [u8] {
        &self.image[..self.record.tables_len as usize]
    }

    /// The image's data area.
    pub(crate) fn data(&self) -> &'a [u8] {
        &self.image[self.record.tables_len as usize..]
    }

    /// A stretch of [`data`](Packed::data).
    pub(crate) fn contents(&self, start: u64, len: u64) -> Result<&'a [u8], Refusal> {
        let start = usize::try_from(start).ok();
        start
            .zip(usize::try_from(len).ok())
            .and_then(|(start, len)| self.data().get(start..)?.get(..len))
            .ok_or_else(|| damaged("a file's contents lie outside of the image"))
    }

    /// What is packed; `source` is told where in [`data`](Packed::data) a file's
    /// contents begin, and how many bytes they have.
    pub(crate) fn tree<S>(&self, source: impl FnMut(u64, u64) -> S) -> Result<Tree<S>, Refusal> {
        let image = Image::open(self.tables()).map_err(damaged)?;
        Ok(image.to_tree(source))
    }

    /// The module as it was before the image was mounted.
    pub(crate) fn original(&self, module: &Module<'a>) -> Result<Vec<u8>, Refusal> {
        let sections = split(self.wasm).map_err(damaged)?;
        let payload = sections
            .iter()
            .find_map(|section| match section.as_custom() {
                Some((undo::SECTION, payload)) => Some(payload),
                _ => None,
            });
        let payload = payload.ok_or_else(|| damaged(format!("{} is missing", undo::SECTION)))?;
        let undo = Undo::decode(payload).map_err(damaged)?;
        let memories = old_memories(module, &undo)?;
        let mut out = Vec::with_capacity(sections.len());
        for section in &sections {
            out.push(match section.id {
                id::CUSTOM if section.is_custom(SECTION) || section.is_custom(undo::SECTION) => {
                    continue;
                }
                id::MEMORY => old_minimums(section, &undo).map_err(damaged)?,
                id::GLOBAL => old_globals(section, &undo).map_err(damaged)?,
                id::DATA_COUNT => {
                    let mut count = Vec::new();
                    write_leb(
                        &mut count,
                        u64::from(undo.segments) + runs_of(&memories).count() as u64,
                    );
                    Section::new(id::DATA_COUNT, count)
                }
                id::DATA => old_data(section, module, &undo, &memories).map_err(damaged)?,
                _ => section.borrowed(),
            });
        }
        Ok(join(&out))
    }
}

fn damaged(what: impl ToString) -> Refusal {
    Refusal::DamagedPack(what.to_string())
}

/// The memories before the mount, each up to the last byte that is known not
/// to be zero.
fn old_memories(module: &Module<'_>, undo: &Undo) -> Result<Vec<Vec<u8>>, Refusal> {
    if undo.memories.len() != module.memories.len() {
        return Err(Refusal::DamagedPack(
            "it speaks of another number of memories".into(),
        ));
    }
    let sizes: Vec<u64> = (module.memories.iter().zip(&undo.memories))
        .map(|(ty, old)| old.minimum.saturating_mul(page_size(ty)))
        .collect();
    let too_long = |size: u64, ty| size > memory_size(ty);
    if sizes
        .iter()
        .zip(&module.memories)
        .any(|(size, ty)| too_long(*size, ty))
    {
        return Err(Refusal::DamagedPack("a memory has shrunk".into()));
    }
    // The image is the last segment.
    let segments = &module.data[..module.data.len() - 1];
    let mut memories: Vec<Vec<u8>> = vec![Vec::new(); sizes.len()];
    for (index, segment) in (0..).zip(segments) {
        let Some((memory, address)) = segment.place else {
            continue;
        };
        let outside = || Refusal::SegmentBounds(index);
        let size = *sizes.get(memory as usize).ok_or_else(outside)?;
        let end = address.saturating_add(segment.bytes.len() as u64).min(size);
        let kept = end.saturating_sub(address) as usize;
        put(
            &mut memories[memory as usize],
            address.min(size) as usize,
            &segment.bytes[..kept],
        );
    }
    for ((bytes, old), size) in memories.iter_mut().zip(&undo.memories).zip(&sizes) {
        for run in &old.runs {
            if run.end() > *size {
                return Err(Refusal::DamagedPack(
                    "a change lies outside its memory".into(),
                ));
            }
            match &run.old {
                Old::Bytes(old) => put(bytes, run.address as usize, old),
                Old::Zeros(_) => {
                    let end = (run.end() as usize).min(bytes.len());
                    let start = (run.address as usize).min(end);
                    bytes[start..end].fill(0);
                }
            }
        }
    }
    Ok(memories)
}

fn put(memory: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if !bytes.is_empty() {
        let end = at + bytes.len();
        memory.resize(memory.len().max(end), 0);
        memory[at..end].copy_from_slice(bytes);
    }
}

fn old_minimums<'a>(section: &Section<'_>, undo: &Undo) -> Result<Section<'a>> {
    let mut memories = wasm_encoder::MemorySection::new();
    for (memory, old) in MemorySectionReader::new(section.reader())?
        .into_iter()
        .zip(&undo.memories)
    {
        let mut memory = wasm_encoder::MemoryType::from(memory?);
        memory.minimum = old.minimum;
        memories.memory(memory);
    }
    Ok(encoded(id::MEMORY, &memories))
}

fn old_globals<'a>(section: &Section<'_>, undo: &Undo) -> Result<Section<'a>> {
    let mut globals = wasm_encoder::GlobalSection::new();
    for (index, global) in (0..).zip(GlobalSectionReader::new(section.reader())?) {
        let global = global?;
        let old = undo.globals.iter().find(|(changed, _)| *changed == index);
        let init = old.map_or_else(|| init_of(&global), |(_, init)| init.clone());
        let ty = RoundtripReencoder.global_type(global.ty)?;
        globals.global(ty, &wasm_encoder::ConstExpr::raw(init));
    }
    Ok(encoded(id::GLOBAL, &globals))
}

/// A global's initial expression as bytes, without its end.
pub(crate) fn init_of(global: &wasmparser::Global<'_>) -> Vec<u8> {
    let mut reader = global.init_expr.get_binary_reader();
    let len = reader.bytes_remaining().saturating_sub(1);
    reader.read_bytes(len).unwrap_or_default().to_vec()
}

fn old_data<'a>(
    section: &Section<'_>,
    module: &Module<'_>,
    undo: &Undo,
    memories: &[Vec<u8>],
) -> Result<Section<'a>> {
    let mut data = first_segments(&section.data, undo.segments)?.to_vec();
    let mut count = u64::from(undo.segments);
    for (memory, address, bytes) in runs_of(memories) {
        let mut segment = wasm_encoder::DataSection::new();
        let offset = match module.memories[memory as usize].memory64 {
            true => wasm_encoder::ConstExpr::i64_const(address as i64),
            false => wasm_encoder::ConstExpr::i32_const(address as i32),
        };
        segment.active(memory, &offset, bytes.iter().copied());
        data.extend_from_slice(&encoded(id::DATA, &segment).data[1..]);
        count += 1;
    }
    let mut counted = Vec::with_capacity(data.len() + 5);
    write_leb(&mut counted, count);
    counted.append(&mut data);
    Ok(Section::new(id::DATA, counted))
}

/// The raw bytes of the first `count` segments of a data section.
pub(crate) fn first_segments(data: &[u8], count: u32) -> Result<&[u8]> {
    let mut start = BinaryReader::new(data, 0);
    start.read_var_u32()?;
    let start = start.original_position();
    let reader = DataSectionReader::new(BinaryReader::new(data, 0))?;
    let mut end = start;
    for segment in reader.into_iter().take(count as usize) {
        end = segment?.range.end;
    }
    Ok(&data[start..end])
}

/// Non-zero stretches of each memory. They need not be minimal: the module
/// made of them is only read again.
fn runs_of(memories: &[Vec<u8>]) -> impl Iterator<Item = (u32, usize, &[u8])> {
    const PAGE: usize = 1 << 16;
    (0..).zip(memories).flat_map(|(memory, bytes)| {
        let pages = bytes.chunks(PAGE).enumerate();
        pages
            .filter(|(_, page)| page.iter().any(|byte| *byte != 0))
            .map(move |(at, page)| (memory, at * PAGE, page))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The image's segment is known by its header where we wrote it, and found by
    /// walking where the same was written in other bytes.
    #[test]
    fn the_last_segment_is_found_whatever_its_header_looks_like() {
        let record = ImageRecord {
            format: VERSION,
            abi: ABI,
            flags: 0,
            tables_len: 3,
            address: 4096,
            data_len: 2,
            digest: [0; 32],
        };
        let first = b"\x02\x00\x41\x00\x0b\x01x";
        let ours = b"\x00\x41\x80\x20\x0b\x05image";
        let others = b"\x02\x00\x41\x80\xa0\x80\x00\x0b\x85\x00image";
        let elsewhere = b"\x00\x41\x81\x20\x0b\x05image";
        let longer = b"\x00\x41\x80\x20\x0b\x06image!";
        let section = |last: &[u8]| [first, last].concat();
        let data = section(ours);
        assert_eq!(last_segment(&data, 0, &record), Some(&b"image"[..]));
        assert_eq!(last_segment(&data, 1, &record), None);
        assert_eq!(walked_segment(&data, 0, &record), Some(&b"image"[..]));
        let data = section(others);
        assert_eq!(last_segment(&data, 0, &record), None);
        assert_eq!(walked_segment(&data, 0, &record), Some(&b"image"[..]));
        assert_eq!(walked_segment(&data, 1, &record), None);
        for data in [section(elsewhere), section(longer), section(b""), vec![]] {
            assert_eq!(last_segment(&data, 0, &record), None);
            assert_eq!(walked_segment(&data, 0, &record), None);
        }
        let endless = ImageRecord {
            data_len: u64::MAX,
            ..record
        };
        assert_eq!(last_segment(&data, 0, &endless), None);
    }
}
