//! Writing the packed module: the spliced program, the snapshot's state, and
//! the image, whose contents stream from their sources into the output.
//!
//! The output is the spliced module, section by section, with
//!
//! 1. memory minimums and globals as the snapshot has them;
//! 2. the data segments that code names, then the snapshot's, then one with the
//!    image, which comes last and so wins where the snapshot merged over it;
//! 3. `producers` naming monaka, [`monaka.image`](packed::SECTION) and
//!    [`monaka.undo`](undo::SECTION).
//!
//! Every section's size is known before its first byte is written.

use std::io::{self, Write};

use anyhow::{Context as _, Result, ensure};
use monaka_vfs_core::image::Written;
use monaka_vfs_core::image::format::VERSION;
use monaka_vfs_core::link::ABI;
use sha2::{Digest, Sha256};
use wasmparser::{
    BinaryReader, DataKind, DataSectionReader, GlobalSectionReader, MemorySectionReader, Operator,
    ProducersSectionReader,
};

use super::dense::Initial;
use super::mount::Mounted;
use super::packed::{self, ImageRecord, first_segments, init_of};
use super::refusal::Refusal;
use super::section::{PREAMBLE, Section, encoded, find, id, split, write_leb};
use super::undo::{self, MemoryUndo, Undo};

/// How many data segments engines take.
pub(crate) const MAX_SEGMENTS: usize = 100_000;

/// A packed module, ready to be written.
pub(crate) struct Finished<'m> {
    /// The sections but for the image; the data section lacks its last segment.
    pub(super) sections: Vec<Section<'m>>,
    /// What stands in the memories, with the image.
    pub(super) initial: Initial,
    /// The image's segment up to its first byte.
    header: Vec<u8>,
    undo: Undo,
    record: ImageRecord,
}

impl<'m> Finished<'m> {
    /// Puts together what does not need the file contents.
    pub(crate) fn new<S>(
        spliced: &'m [Section<'m>],
        mounted: &'m Mounted,
        image: &Written<'_, S>,
        segments: u32,
        flags: u32,
    ) -> Result<Finished<'m>> {
        let snapshot = split(&mounted.wasm)?;
        let of = |id| {
            find(&snapshot, id)
                .context("the snapshot lacks a section")
                .cloned()
        };
        let record = ImageRecord {
            format: VERSION,
            abi: ABI,
            flags,
            tables_len: u32::try_from(image.tables.len())?,
            address: u64::from(mounted.address),
            data_len: image.data_len,
            digest: [0; 32],
        };
        let undo = Undo {
            segments,
            memories: memories_before(spliced, mounted)?,
            globals: globals_before(spliced, &snapshot)?,
        };
        let (mut data, count) = data(&of(id::DATA)?, segments)?;
        let mut initial = Initial::of(&data, count - 1)?;
        initial.add(0, record.address, record.len());
        let mut sections = Vec::with_capacity(spliced.len() + 1);
        let mut produced = false;
        for section in spliced {
            sections.push(match section.id {
                id::MEMORY => of(id::MEMORY)?,
                id::GLOBAL => of(id::GLOBAL)?,
                id::DATA_COUNT => {
                    let mut counted = Vec::new();
                    write_leb(&mut counted, count);
                    Section::new(id::DATA_COUNT, counted)
                }
                id::DATA => Section::new(id::DATA, std::mem::take(&mut data)),
                id::CUSTOM if section.is_custom("producers") => {
                    produced = true;
                    producers(section.as_custom().map(|(_, payload)| payload))
                }
                _ => section.borrowed(),
            });
        }
        if !produced {
            sections.push(producers(None));
        }
        let mut header = vec![0];
        wasm_encoder::Encode::encode(
            &wasm_encoder::ConstExpr::i32_const(mounted.address as i32),
            &mut header,
        );
        write_leb(&mut header, record.len());
        Ok(Finished {
            sections,
            initial,
            header,
            undo,
            record,
        })
    }

    /// Writes the module. `copy` writes one file's contents, exactly as long as
    /// the image says.
    pub(crate) fn write<S>(
        mut self,
        out: &mut dyn Write,
        image: &Written<'_, S>,
        copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        self.record.digest = write_module(out, &self.sections, &self.header, image, copy)?;
        write_section(
            out,
            &Section::custom(packed::SECTION, &self.record.encode()),
        )?;
        write_section(out, &Section::custom(undo::SECTION, &self.undo.encode()))
    }
}

/// Writes a module whose data section lacks its last segment: that is the image,
/// behind `header`. Answers the image's SHA-256.
pub(crate) fn write_module<S>(
    out: &mut dyn Write,
    sections: &[Section<'_>],
    header: &[u8],
    image: &Written<'_, S>,
    mut copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
) -> Result<[u8; 32]> {
    let mut digest = Sha256::new();
    out.write_all(&PREAMBLE)?;
    for section in sections {
        if section.id != id::DATA {
            write_section(out, section)?;
            continue;
        }
        let image_len = image.tables.len() as u64 + image.data_len;
        let len = (section.data.len() + header.len()) as u64 + image_len;
        ensure!(
            u32::try_from(len).is_ok(),
            "the data section would be larger than 4 GiB"
        );
        write_header(out, id::DATA, len)?;
        out.write_all(&section.data)?;
        out.write_all(header)?;
        let mut hashing = Hashing {
            out: &mut *out,
            digest,
        };
        write_image(&mut hashing, image, &mut copy)?;
        digest = hashing.digest;
    }
    Ok(digest.finalize().into())
}

fn write_header(out: &mut dyn Write, id: u8, len: u64) -> Result<()> {
    let mut header = vec![id];
    write_leb(&mut header, len);
    Ok(out.write_all(&header)?)
}

pub(crate) fn write_section(out: &mut dyn Write, section: &Section<'_>) -> Result<()> {
    write_header(out, section.id, section.data.len() as u64)?;
    Ok(out.write_all(&section.data)?)
}

/// Writes an image; `copy` writes the contents of one file.
pub(crate) fn write_image<S>(
    out: &mut dyn Write,
    image: &Written<'_, S>,
    mut copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
) -> Result<()> {
    out.write_all(&image.tables)?;
    let mut at = 0;
    for content in &image.contents {
        fill(out, content.offset - at)?;
        let mut exactly = Exactly {
            out,
            left: content.len,
        };
        copy(content.source, content.len, &mut exactly)?;
        ensure!(
            exactly.left == 0,
            "{} bytes of a file are missing",
            exactly.left
        );
        at = content.offset + content.len;
    }
    fill(out, image.data_len - at)
}

fn fill(out: &mut dyn Write, mut zeros: u64) -> Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    while zeros > 0 {
        let len = zeros.min(ZEROS.len() as u64);
        out.write_all(&ZEROS[..len as usize])?;
        zeros -= len;
    }
    Ok(())
}

/// Passes bytes on and hashes them.
struct Hashing<'w> {
    out: &'w mut dyn Write,
    digest: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Passes so many bytes on and refuses more: one file too long would shift
/// every later one.
struct Exactly<'w> {
    out: &'w mut dyn Write,
    left: u64,
}

impl Write for Exactly<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::other("a file is longer than it was"));
        }
        let written = self.out.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn memories_before(spliced: &[Section<'_>], mounted: &Mounted) -> Result<Vec<MemoryUndo>> {
    let section = find(spliced, id::MEMORY).context("the module has no memory section")?;
    let memories = MemorySectionReader::new(section.reader())?;
    (memories.into_iter().zip(&mounted.changes))
        .map(|(memory, runs)| {
            Ok(MemoryUndo {
                minimum: memory?.initial,
                runs: runs.clone(),
            })
        })
        .collect()
}

/// The globals whose initial expression the snapshot replaced.
fn globals_before(
    spliced: &[Section<'_>],
    snapshot: &[Section<'_>],
) -> Result<Vec<(u32, Vec<u8>)>> {
    let (Some(old), Some(new)) = (find(spliced, id::GLOBAL), find(snapshot, id::GLOBAL)) else {
        return Ok(Vec::new());
    };
    let old = GlobalSectionReader::new(old.reader())?;
    let new = GlobalSectionReader::new(new.reader())?;
    let mut changed = Vec::new();
    for (index, (old, new)) in (0..).zip(old.into_iter().zip(new)) {
        let (old, new) = (init_of(&old?), init_of(&new?));
        if old != new {
            changed.push((index, old));
        }
    }
    Ok(changed)
}

/// The data section without the image's segment, and the count of segments
/// with it.
fn data(snapshot: &Section<'_>, kept: u32) -> Result<(Vec<u8>, u64)> {
    let first = first_segments(&snapshot.data, kept)?;
    let reader = DataSectionReader::new(snapshot.reader())?;
    let total = reader.count() as usize + 1;
    let mut out = Vec::with_capacity(snapshot.data.len());
    if total <= MAX_SEGMENTS {
        write_leb(&mut out, total as u64);
        let mut counted = snapshot.reader();
        counted.read_var_u32()?;
        out.extend_from_slice(&snapshot.data[counted.original_position()..]);
        return Ok((out, total as u64));
    }
    let excess = total - MAX_SEGMENTS;
    let mut segments = Vec::new();
    for segment in reader.into_iter().skip(kept as usize) {
        segments.push(Segment::read(&segment?)?);
    }
    if segments.len() <= excess {
        return Err(Refusal::DataSegments(total).into());
    }
    let fused = fuse(segments, excess);
    let total = kept as u64 + fused.len() as u64 + 1;
    if total > MAX_SEGMENTS as u64 {
        return Err(Refusal::DataSegments(total as usize).into());
    }
    write_leb(&mut out, total);
    out.extend_from_slice(first);
    for segment in fused {
        let mut section = wasm_encoder::DataSection::new();
        let offset = match segment.is64 {
            true => wasm_encoder::ConstExpr::i64_const(segment.address as i64),
            false => wasm_encoder::ConstExpr::i32_const(segment.address as i32),
        };
        section.active(segment.memory, &offset, segment.bytes);
        out.extend_from_slice(&encoded(id::DATA, &section).data[1..]);
    }
    Ok((out, total))
}

/// An active segment of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) memory: u32,
    pub(crate) address: u64,
    is64: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Segment {
    pub(crate) fn read(data: &wasmparser::Data<'_>) -> Result<Segment> {
        let DataKind::Active {
            memory_index,
            offset_expr,
        } = &data.kind
        else {
            anyhow::bail!("the snapshot has a passive segment");
        };
        let (address, is64) = match offset_expr.get_operators_reader().read()? {
            Operator::I32Const { value } => (u64::from(value as u32), false),
            Operator::I64Const { value } => (value as u64, true),
            other => anyhow::bail!("the snapshot has a segment at {other:?}"),
        };
        Ok(Segment {
            memory: *memory_index,
            address,
            is64,
            bytes: data.data.to_vec(),
        })
    }

    pub(crate) fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

/// Joins `excess` ascending neighbours, those with the smallest gaps; what lies
/// between them is zero.
pub(crate) fn fuse(segments: Vec<Segment>, excess: usize) -> Vec<Segment> {
    let pairs = segments.windows(2).enumerate();
    let mut gaps: Vec<(u64, usize)> = pairs
        .filter(|(_, pair)| pair[0].memory == pair[1].memory)
        .map(|(index, pair)| (pair[1].address - pair[0].end(), index + 1))
        .collect();
    gaps.sort_unstable();
    gaps.truncate(excess);
    let mut joined = vec![false; segments.len()];
    for (_, index) in gaps {
        joined[index] = true;
    }
    let mut out: Vec<Segment> = Vec::with_capacity(segments.len() - excess);
    for (segment, joined) in segments.into_iter().zip(joined) {
        match out.last_mut() {
            Some(last) if joined => {
                last.bytes
                    .resize((segment.address - last.address) as usize, 0);
                last.bytes.extend_from_slice(&segment.bytes);
            }
            _ => out.push(segment),
        }
    }
    out
}

/// The producers section with monaka in it, made anew where `old` is missing
/// or malformed.
pub(crate) fn producers<'a>(old: Option<&[u8]>) -> Section<'a> {
    let mut fields = old
        .and_then(|old| read_producers(old).ok())
        .unwrap_or_default();
    if !fields.iter().any(|(field, _)| field == "processed-by") {
        fields.push(("processed-by".into(), Vec::new()));
    }
    let version = env!("CARGO_PKG_VERSION").to_string();
    let mut section = wasm_encoder::ProducersSection::new();
    for (field, mut values) in fields {
        if field == "processed-by" {
            values.retain(|(name, _)| name != "monaka");
            values.push(("monaka".into(), version.clone()));
        }
        let mut encoded = wasm_encoder::ProducersField::new();
        for (name, version) in &values {
            encoded.value(name, version);
        }
        section.field(&field, &encoded);
    }
    encoded(id::CUSTOM, &section)
}

type Producers = Vec<(String, Vec<(String, String)>)>;

fn read_producers(payload: &[u8]) -> Result<Producers> {
    let mut fields = Producers::new();
    for field in ProducersSectionReader::new(BinaryReader::new(payload, 0))? {
        let field = field?;
        let mut values = Vec::new();
        for value in field.values {
            let value = value?;
            values.push((value.name.to_string(), value.version.to_string()));
        }
        fields.push((field.name.to_string(), values));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(address: u64, len: usize) -> Segment {
        Segment {
            memory: 0,
            address,
            is64: false,
            bytes: vec![1; len],
        }
    }

    #[test]
    fn the_smallest_gaps_are_fused() {
        let segments = vec![
            segment(0, 4),
            segment(100, 4),
            segment(110, 4),
            segment(117, 3),
            segment(500, 1),
        ];
        let fused = fuse(segments, 2);
        let places: Vec<(u64, usize)> = fused.iter().map(|s| (s.address, s.bytes.len())).collect();
        assert_eq!(places, [(0, 4), (100, 20), (500, 1)]);
        assert_eq!(fused[1].bytes[..12], [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn producers_name_monaka_once() {
        let first = producers(None);
        let (name, payload) = first.as_custom().unwrap();
        assert_eq!(name, "producers");
        let again = producers(Some(payload));
        assert_eq!(first.data, again.data);
        let fields = read_producers(payload).unwrap();
        assert_eq!(
            fields[0].1,
            [("monaka".to_string(), env!("CARGO_PKG_VERSION").to_string())]
        );
    }
}
