//! Stretches of files that stay open: members of an archive that are not
//! compressed, and what was inflated into the spool.
//!
//! The spool is a temporary file without a name: contents that stand nowhere
//! else wait in it until the image is written, so that memory holds no more of
//! them than a buffer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};

use super::ScanError;
use super::source::Stamp;
use crate::report;

/// A stretch of a file.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    file: Arc<Kept>,
    start: u64,
    len: u64,
}

/// A file that is kept open.
#[derive(Debug)]
struct Kept {
    /// Everyone seeks before reading and writing.
    file: Mutex<File>,
    /// Where it is and what it was when it was opened; the spool is nowhere.
    origin: Option<(PathBuf, Stamp)>,
}

impl Part {
    /// The whole of a host's file.
    pub(super) fn open(path: &Path) -> Result<Part> {
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(path).map_err(|error| report::unreadable(path, error));
        let file = file.with_context(cannot)?;
        let metadata = file.metadata().with_context(cannot)?;
        let origin = Some((path.to_owned(), Stamp::of(&metadata)));
        Ok(Part {
            start: 0,
            len: metadata.len(),
            file: Arc::new(Kept {
                file: Mutex::new(file),
                origin,
            }),
        })
    }

    /// A stretch of this one, if it lies within.
    pub(super) fn part(&self, start: u64, len: u64) -> Option<Part> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Part {
            file: Arc::clone(&self.file),
            start: self.start + start,
            len,
        })
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads it from its first byte on.
    pub(super) fn reader(&self) -> PartReader {
        PartReader {
            part: self.clone(),
            at: 0,
        }
    }

    /// Refuses a file of the host that is no longer what it was.
    pub(super) fn check(&self) -> Result<()> {
        let Some((path, stamp)) = &self.file.origin else {
            return Ok(());
        };
        let metadata = self.file.lock().metadata();
        let metadata = metadata.with_context(|| format!("cannot read {}", path.display()))?;
        if Stamp::of(&metadata) != *stamp {
            return Err(ScanError::Changed { path: path.clone() }.into());
        }
        Ok(())
    }
}

impl Kept {
    fn lock(&self) -> std::sync::MutexGuard<'_, File> {
        // What a panic leaves behind is a position, and everyone seeks.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl rawzip::ReaderAt for Part {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.len.saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start(self.start + offset))?;
        file.read(&mut buffer[..wanted])
    }
}

/// Reads a [`Part`].
pub(super) struct PartReader {
    part: Part,
    at: u64,
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = rawzip::ReaderAt::read_at(&self.part, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for PartReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.part.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Where contents wait that stand nowhere else.
pub(super) struct Spool {
    file: Arc<Kept>,
    end: u64,
    buffer: Vec<u8>,
}

impl Spool {
    /// An empty one, in the directory for temporary files.
    pub(super) fn new() -> Result<Spool> {
        let file = tempfile::tempfile().with_context(|| {
            let place = std::env::temp_dir();
            format!("cannot make a temporary file in {}", place.display())
        })?;
        Ok(Spool {
            file: Arc::new(Kept {
                file: Mutex::new(file),
                origin: None,
            }),
            end: 0,
            buffer: vec![0; BUFFER],
        })
    }

    /// Where the next bytes go.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// What was taken in since it ended at `start`.
    pub(super) fn since(&self, start: u64) -> Part {
        Part {
            file: Arc::clone(&self.file),
            start,
            len: self.end - start,
        }
    }

    /// Forgets that.
    pub(super) fn forget(&mut self, start: u64) {
        self.end = start;
    }

    /// Takes in all that `from` has. An error of `from` is apart from those of
    /// the spool itself.
    pub(super) fn take(&mut self, from: &mut dyn Read) -> Result<io::Result<Part>> {
        let start = self.end;
        loop {
            let read = match from.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            };
            let mut file = self.file.lock();
            file.seek(SeekFrom::Start(self.end))
                .and_then(|_| file.write_all(&self.buffer[..read]))
                .with_context(|| {
                    let place = std::env::temp_dir();
                    format!(
                        "cannot write a temporary file in {} (TMPDIR names another place)",
                        place.display()
                    )
                })?;
            self.end += read as u64;
        }
        Ok(Ok(Part {
            file: Arc::clone(&self.file),
            start,
            len: self.end - start,
        }))
    }
}

impl Write for Spool {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len();
        self.take(&mut bytes).map_err(io::Error::other)??;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How much is in memory while it is spooled.
const BUFFER: usize = 64 * 1024;
