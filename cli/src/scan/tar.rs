//! Tar archives: ustar, GNU and pax.
//!
//! Members that are not compressed stay where they are; all others are spooled.
//! Devices and pipes are passed over with a warning. Of a layer of a container
//! image the names that begin with `.wh.` remove what earlier layers have.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use anyhow::Result;
use monaka_vfs_core::image::Meta;
use tar::{Archive, Entries, Entry};

use super::Source;
use super::archive::Reading;
use super::error::Problem;
use super::inflate::{Budget, Input, Packing};
use super::part::Part;
use super::sparse::Sparse;
use super::staged::Staged;
use crate::progress::Progress;
use crate::report::Hinted;

/// What the members of an archive are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Files.
    Plain,
    /// Changes to the layers before.
    Layer,
}

/// Adds an archive's members.
pub(super) fn read(
    input: Input,
    staged: &mut Staged,
    role: Role,
    reading: &mut Reading<'_>,
) -> Result<()> {
    let (packing, input) = input
        .recognise()
        .map_err(|error| reading.damaged(None, &error))?;
    match (packing, input) {
        (Packing::Plain, Input::Part(part)) => {
            let guard = Guard::new(part.reader());
            let watch = guard.watch.clone();
            let mut archive = Archive::new(guard);
            let entries = archive.entries_with_seek();
            let entries = entries.map_err(|error| reading.damaged(None, &error))?;
            members(entries, Some(&part), &watch, staged, role, reading)
        }
        (_, input) => {
            let stream = input.inflated(packing, &reading.budget, reading.progress);
            let stream = stream.map_err(|error| reading.no_archive(KIND, error))?;
            let guard = Guard::new(stream);
            let watch = guard.watch.clone();
            let mut archive = Archive::new(guard);
            let entries = archive.entries();
            let entries = entries.map_err(|error| reading.damaged(None, &error))?;
            members(entries, None, &watch, staged, role, reading)?;
            // To the end, where checksums stand, and for whoever writes to stdin.
            watch.set(u64::MAX);
            let mut rest = archive.into_inner();
            let drained = io::copy(&mut rest, &mut io::sink());
            drained.map_err(|error| reading.damaged(None, &error))?;
            Ok(())
        }
    }
}

const KIND: &str = "tar archive";

/// Whether a file begins with the header of a member.
pub(super) fn is_tar(input: Input) -> Result<bool> {
    let (packing, input) = input.recognise()?;
    match packing {
        Packing::Other("bzip2") => {
            return Err(Hinted::new(
                "it is compressed with bzip2, which monaka does not read",
                "compress it with gzip, zstd or xz; COPY copies it as it is",
            )
            .into());
        }
        Packing::Other(_) => return Ok(false),
        Packing::Plain | Packing::Gzip | Packing::Zstd | Packing::Xz => {}
    }
    let mut header = tar::Header::new_old();
    let len = header.as_bytes().len() as u64;
    // Inflating more than is asked for is not to be feared: the decoders stop.
    let stream = input.inflated(packing, &Budget::new(u64::MAX), Progress::default())?;
    let mut first = Vec::new();
    if stream.take(len).read_to_end(&mut first).is_err() || first.len() as u64 != len {
        return Ok(false);
    }
    header.as_mut_bytes().copy_from_slice(&first);
    // As all readers of tar do: the sum of the bytes, with blanks for the sum itself.
    const SUM: std::ops::Range<usize> = 148..156;
    let sum: u32 = (first.iter().enumerate())
        .map(|(at, byte)| u32::from(if SUM.contains(&at) { b' ' } else { *byte }))
        .sum();
    Ok(header.cksum().is_ok_and(|said| said == sum) && first[0] != 0)
}

fn members<R: Read>(
    mut entries: Entries<'_, R>,
    part: Option<&Part>,
    watch: &Watch,
    staged: &mut Staged,
    role: Role,
    reading: &mut Reading<'_>,
) -> Result<()> {
    let mut last: Option<Vec<u8>> = None;
    loop {
        watch.set(MAX_HEADERS);
        let Some(entry) = entries.next() else {
            break;
        };
        watch.set(u64::MAX);
        let mut entry = entry.map_err(|error| match &last {
            Some(last) => reading.damaged(Some(last), &error),
            None => reading.no_archive(KIND, error),
        })?;
        let member = Member::of(&mut entry)
            .map_err(|error| reading.damaged(Some(&entry.path_bytes()), &error))?;
        member.add(&mut entry, part, staged, role, reading)?;
        if part.is_none() {
            // What is left of it; headers alone are read on the way to the next.
            let rest = io::copy(&mut entry, &mut io::sink());
            rest.map_err(|error| reading.damaged(Some(&member.name), &error))?;
        }
        last = Some(member.name);
    }
    if watch.has_ended() {
        match last {
            None => return Err(reading.no_archive(KIND, "it is empty")),
            Some(last) => reading.warn(
                &last,
                "the archive ends behind it without an end mark, so more may have been cut off",
            ),
        }
    }
    Ok(())
}

/// A member, but for its contents.
struct Member {
    name: Vec<u8>,
    /// The type in its header.
    kind: u8,
    meta: Meta,
    sparse: Sparse,
}

impl Member {
    fn of<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Member> {
        let header = entry.header();
        let (kind, mode) = (header.entry_type().as_byte(), header.mode()?);
        let mut mtime = seconds(header)?;
        let mut sparse = Sparse::default();
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                let (key, value) = (extension.key_bytes(), extension.value_bytes());
                match key {
                    b"mtime" => mtime = time(value).unwrap_or(mtime),
                    _ => sparse.header(key, value)?,
                }
            }
        }
        let name = sparse.name.take();
        let name = name.unwrap_or_else(|| entry.path_bytes().into_owned());
        // Before ustar a directory was a file whose name ends with a slash.
        let kind = match kind {
            b'0' if name.ends_with(b"/") => b'5',
            kind => kind,
        };
        Ok(Member {
            name,
            kind,
            meta: Meta {
                mtime,
                executable: !matches!(kind, b'2' | b'5') && mode & 0o111 != 0,
            },
            sparse,
        })
    }

    fn add<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        part: Option<&Part>,
        staged: &mut Staged,
        role: Role,
        reading: &mut Reading<'_>,
    ) -> Result<()> {
        let (name, meta) = (&self.name[..], self.meta);
        if role == Role::Layer
            && let Some(result) = white_out(name, staged)
        {
            return reading.member(name, result);
        }
        let result = match self.kind {
            b'1' => staged.add_link(name, &target(entry)),
            b'2' => staged.add_symlink(name, meta, &target(entry)),
            b'3' | b'4' => {
                reading.warn(name, "a device is not packed");
                Ok(())
            }
            // That of an incremental archive has a list of names as its contents.
            b'5' | b'D' => staged.add_directory(name, meta),
            b'6' => {
                reading.warn(name, "a named pipe is not packed");
                Ok(())
            }
            // What holds for all members, and the archive's label.
            b'g' | b'V' => Ok(()),
            b'M' => Err(Problem::Continued),
            // POSIX: what is not known is a regular file.
            _ => {
                let (len, source) = self.contents(entry, part, reading)?;
                staged.add_file(name, meta, len, source)
            }
        };
        reading.member(name, result)
    }

    /// A file's contents: where they are, or else spooled.
    fn contents<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        part: Option<&Part>,
        reading: &mut Reading<'_>,
    ) -> Result<(u64, Source)> {
        let name = &self.name;
        if let Some(len) = self.sparse.len() {
            let filled = self.sparse.clone().reader(entry);
            let mut filled = filled.map_err(|error| reading.damaged(Some(name), &error))?;
            (reading.budget.spend(filled.holes()))
                .map_err(|error| reading.damaged(Some(name), &error))?;
            let part = reading.spool(name, &mut filled, len)?;
            return Ok((len, Source::Part(part)));
        }
        let len = entry.size();
        if entry.header().entry_type().is_gnu_sparse() {
            let stored = entry.header().entry_size().unwrap_or(0);
            (reading.budget.spend(len.saturating_sub(stored)))
                .map_err(|error| reading.damaged(Some(name), &error))?;
        } else if let Some(part) = part {
            let stretch = part.part(entry.raw_file_position(), len);
            let cut_off = || reading.damaged(Some(name), &io::ErrorKind::UnexpectedEof.into());
            return Ok((len, Source::Part(stretch.ok_or_else(cut_off)?)));
        }
        Ok((len, Source::Part(reading.spool(name, entry, len)?)))
    }
}

/// Applies a name that removes things from the layers before; `None` if it is
/// another name.
fn white_out(name: &[u8], staged: &mut Staged) -> Option<Result<(), Problem>> {
    const PREFIX: &[u8] = b".wh.";
    const OPAQUE: &[u8] = b".wh..wh..opq";
    let at = name.iter().rposition(|&byte| byte == b'/');
    let (directory, last) = name.split_at(at.map_or(0, |at| at + 1));
    let hidden = last.strip_prefix(PREFIX)?;
    Some(match hidden {
        _ if last == OPAQUE => staged.make_opaque(directory),
        // Records of the union file system that had the layer.
        _ if hidden.starts_with(PREFIX) => Ok(()),
        b"" | b"." => Err(Problem::NoName),
        _ => staged.white_out(&[directory, hidden].concat()),
    })
}

fn target<R: Read>(entry: &Entry<'_, R>) -> Vec<u8> {
    entry.link_name_bytes().unwrap_or_default().into_owned()
}

/// The header's time in nanoseconds. One before 1970 becomes 1970.
fn seconds(header: &tar::Header) -> io::Result<u64> {
    const NEGATIVE: u8 = 0xff;
    match header.as_old().mtime[0] {
        NEGATIVE => Ok(0),
        _ => Ok(header.mtime()?.saturating_mul(NANOS)),
    }
}

const NANOS: u64 = 1_000_000_000;

/// A pax time, which is a decimal number of seconds, in nanoseconds.
fn time(value: &[u8]) -> Option<u64> {
    let value = std::str::from_utf8(value).ok()?;
    if value.starts_with('-') {
        return Some(0);
    }
    let (seconds, fraction) = value.split_once('.').unwrap_or((value, ""));
    let seconds: u64 = seconds.parse().ok()?;
    // Nine digits, as many as there are or zeros.
    let mut digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.try_fold(0, |nanos, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'));
        Some(nanos * 10 + digit?)
    })?;
    Some(seconds.saturating_mul(NANOS).saturating_add(nanos))
}

/// As much as the headers of one member may take, its long name among them.
const MAX_HEADERS: u64 = 1 << 20;

/// Watches what the tar crate reads: no more than so many bytes between two
/// members, as it keeps headers in memory whatever length they claim; and
/// whether it came to the end.
struct Guard<R> {
    inner: R,
    watch: Watch,
}

#[derive(Clone)]
struct Watch(Rc<(Cell<u64>, Cell<bool>)>);

impl Watch {
    fn set(&self, bytes: u64) {
        self.0.0.set(bytes);
    }

    fn has_ended(&self) -> bool {
        self.0.1.get()
    }
}

impl<R> Guard<R> {
    fn new(inner: R) -> Self {
        let watch = Watch(Rc::new((Cell::new(MAX_HEADERS), Cell::new(false))));
        Guard { inner, watch }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (left, ended) = &*self.watch.0;
        let read = self.inner.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            ended.set(true);
        }
        let rest = left.get().checked_sub(read as u64);
        left.set(rest.ok_or_else(|| io::Error::other("its headers are too long"))?);
        Ok(read)
    }
}

impl<R: io::Seek> io::Seek for Guard<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
