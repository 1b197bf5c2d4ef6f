//! Zip archives.
//!
//! Members that are only stored stay where they are, all others are spooled. A
//! name is what its bytes are, whatever encoding the archive had in mind. The
//! time is that of the extended fields; without them it is the local time of
//! who made the archive, which is taken for UTC to be the same everywhere.

use std::io::{self, BufReader, Read};

use anyhow::Result;
use monaka_vfs_core::image::Meta;
use rawzip::time::ZipDateTimeKind;
use rawzip::{
    CompressionMethod, Error, ErrorKind, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipEntry,
    ZipFileHeaderRecord, ZipLocator,
};

use super::Source;
use super::archive::Reading;
use super::error::Problem;
use super::part::Part;
use super::staged::Staged;

/// Adds an archive's members.
pub(super) fn read(part: Part, staged: &mut Staged, reading: &mut Reading<'_>) -> Result<()> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let len = part.len();
    let archive = ZipLocator::new()
        .locate_in_reader(part.clone(), &mut buffer, len)
        .map_err(|(_, error)| reading.no_archive("zip archive", reason(&error)))?;
    let mut bar = reading.progress.files("reading the archive");
    let mut entries = archive.entries(&mut buffer);
    let mut last: Option<Vec<u8>> = None;
    let mut count = 0;
    while let Some(record) = entries
        .next_entry()
        .map_err(|error| reading.damaged(last.as_deref(), &io_error(error)))?
    {
        let name = record.file_path().as_bytes().to_vec();
        add(&record, &name, &archive, &part, staged, reading)?;
        bar.add(1);
        last = Some(name);
        count += 1;
    }
    if count != archive.entries_hint() {
        let error = io::Error::other(format!(
            "it has {count} members and should have {}",
            archive.entries_hint()
        ));
        return Err(reading.damaged(None, &error));
    }
    Ok(())
}

fn add(
    record: &ZipFileHeaderRecord<'_>,
    name: &[u8],
    archive: &ZipArchive<Part>,
    part: &Part,
    staged: &mut Staged,
    reading: &mut Reading<'_>,
) -> Result<()> {
    const KIND: u32 = 0o170_000;
    let mode = record.mode();
    let meta = Meta {
        mtime: nanos(&record.last_modified()),
        executable: false,
    };
    let kind = mode.value() & KIND;
    if record.is_dir() || kind == 0o040_000 {
        return reading.member(name, staged.add_directory(name, meta));
    }
    let special = match kind {
        0o010_000 => Some("a named pipe is not packed"),
        0o020_000 | 0o060_000 => Some("a device is not packed"),
        0o140_000 => Some("a socket is not packed"),
        _ => None,
    };
    if let Some(special) = special {
        reading.warn(name, special);
        return Ok(());
    }
    if record.flags().is_encrypted() {
        return reading.member(name, Err(Problem::Encrypted));
    }
    let method = record.compression_method();
    if !matches!(
        method,
        CompressionMethod::STORE | CompressionMethod::DEFLATE
    ) {
        let method = method.to_string();
        return reading.member(name, Err(Problem::Method { method }));
    }
    let entry = archive
        .get_entry(record.wayfinder())
        .map_err(|error| reading.damaged(Some(name), &io_error(error)))?;
    if mode.is_symlink() {
        let mut target = Vec::new();
        let reader = contents(&entry, method).take(MAX_TARGET);
        let read = { reader }.read_to_end(&mut target);
        read.map_err(|error| reading.damaged(Some(name), &error))?;
        return reading.member(name, staged.add_symlink(name, meta, &target));
    }
    let len = record.uncompressed_size_hint();
    let stored = match method {
        CompressionMethod::STORE => {
            // Nothing else would notice that it is damaged.
            let checked = io::copy(&mut contents(&entry, method), &mut io::sink());
            checked.map_err(|error| reading.damaged(Some(name), &error))?;
            let (start, end) = entry.compressed_data_range();
            let cut_off = || reading.damaged(Some(name), &io::ErrorKind::UnexpectedEof.into());
            part.part(start, end - start).ok_or_else(cut_off)?
        }
        _ => {
            (reading.budget.spend(len)).map_err(|error| reading.damaged(Some(name), &error))?;
            // What is longer than it says is noticed, and not spooled.
            reading.spool(name, &mut contents(&entry, method).take(len), len)?
        }
    };
    let meta = Meta {
        executable: mode.permissions() & 0o111 != 0,
        ..meta
    };
    reading.member(
        name,
        staged.add_file(name, meta, stored.len(), Source::Part(stored)),
    )
}

/// More than any link's target has, so that one that is too long is noticed.
const MAX_TARGET: u64 = 8192;

/// A member's contents, checked against length and checksum where they end.
fn contents<'a>(entry: &'a ZipEntry<'_, Part>, method: CompressionMethod) -> Box<dyn Read + 'a> {
    let stored = entry.reader();
    match method {
        CompressionMethod::STORE => Box::new(entry.verifying_reader(stored)),
        _ => {
            let inflating = flate2::bufread::DeflateDecoder::new(BufReader::new(stored));
            Box::new(entry.verifying_reader(inflating))
        }
    }
}

/// Nanoseconds since 1970.
fn nanos(time: &ZipDateTimeKind) -> u64 {
    let date = || {
        let [month, day] = [time.month(), time.day()].map(|part| i8::try_from(part).ok());
        let [hour, minute, second] =
            [time.hour(), time.minute(), time.second()].map(|part| i8::try_from(part).ok());
        let year = i16::try_from(time.year()).ok()?;
        let nanos = i32::try_from(time.nanosecond()).ok()?;
        let date =
            jiff::civil::DateTime::new(year, month?, day?, hour?, minute?, second?, nanos).ok()?;
        date.to_zoned(jiff::tz::TimeZone::UTC).ok()
    };
    // A time that does not exist, as zeros in the field.
    let nanos = date().map_or(0, |date| date.timestamp().as_nanosecond());
    u64::try_from(nanos).unwrap_or(0)
}

fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::MissingEndOfCentralDirectory => "its directory of members is missing".into(),
        _ => error.to_string(),
    }
}

fn io_error(error: Error) -> io::Error {
    match error.kind() {
        ErrorKind::Eof => io::ErrorKind::UnexpectedEof.into(),
        _ => io::Error::other(error.to_string()),
    }
}
