//! Archives as streams of bytes: from a file or stdin, inflated if they are
//! compressed, and no further than is allowed.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result};

use super::ScanError;
use super::part::{Part, Spool};
use crate::output::is_dash;
use crate::progress::{Progress, Watched};

/// Where an archive's bytes are.
pub(super) enum Input {
    /// In a file.
    Part(Part),
    /// On their way.
    Stream(Box<dyn Read>),
}

impl Input {
    /// Opens a file, `-` being stdin.
    pub(super) fn open(path: &Path) -> Result<Input> {
        Ok(match is_dash(path) {
            true => Input::Stream(Box::new(io::stdin())),
            false => Input::Part(Part::open(path)?),
        })
    }

    /// All of it as a stretch of a file.
    pub(super) fn whole(self, spool: &mut Spool) -> Result<Part> {
        match self {
            Input::Part(part) => Ok(part),
            Input::Stream(mut stream) => spool.take(&mut stream)?.context("cannot read stdin"),
        }
    }

    /// How it is compressed.
    pub(super) fn recognise(self) -> io::Result<(Packing, Input)> {
        let mut first = Vec::with_capacity(MAGIC);
        Ok(match self {
            Input::Part(part) => {
                part.reader().take(MAGIC as u64).read_to_end(&mut first)?;
                (Packing::of(&first), Input::Part(part))
            }
            Input::Stream(mut stream) => {
                stream.by_ref().take(MAGIC as u64).read_to_end(&mut first)?;
                let packing = Packing::of(&first);
                let stream = Box::new(Cursor::new(first).chain(stream));
                (packing, Input::Stream(stream))
            }
        })
    }

    /// Its bytes, inflated if they are compressed; a bar tells how far it is.
    pub(super) fn inflated(
        self,
        packing: Packing,
        budget: &Rc<Budget>,
        progress: Progress,
    ) -> io::Result<Box<dyn Read>> {
        let (len, stream): (_, Box<dyn Read>) = match self {
            Input::Part(part) => (Some(part.len()), Box::new(part.reader())),
            Input::Stream(stream) => (None, stream),
        };
        let watched = Watched {
            inner: stream,
            bar: progress.bytes("reading the archive", len),
        };
        let stream = BufReader::with_capacity(BUFFER, watched);
        let inflating: Box<dyn Read> = match packing {
            Packing::Plain => return Ok(Box::new(stream)),
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
            Packing::Zstd => Box::new(zstd::Decoder::with_buffer(stream)?),
            Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
                stream,
                true,
                XZ_MEMORY_KIB,
            )),
            Packing::Other(name) => {
                return Err(io::Error::other(format!(
                    "it is compressed with {name}, which monaka does not read"
                )));
            }
        };
        let metered = Metered {
            inner: inflating,
            budget: Rc::clone(budget),
        };
        Ok(Box::new(BufReader::with_capacity(BUFFER, metered)))
    }
}

/// How much is read and inflated at once.
const BUFFER: usize = 128 * 1024;

/// Enough for `xz -9`, which needs 65 MiB, and its largest rivals. The archive
/// itself says how much it needs.
const XZ_MEMORY_KIB: u32 = 256 * 1024;

/// So many bytes tell what a file is.
const MAGIC: usize = 6;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
    Xz,
    /// In a way that is known by name alone.
    Other(&'static str),
}

impl Packing {
    fn of(first: &[u8]) -> Packing {
        const KINDS: [(&[u8], Packing); 8] = [
            (b"\x1f\x8b", Packing::Gzip),
            (b"\x28\xb5\x2f\xfd", Packing::Zstd),
            (b"\xfd7zXZ\0", Packing::Xz),
            (b"BZh", Packing::Other("bzip2")),
            (b"\x1f\x9d", Packing::Other("compress")),
            (b"LZIP", Packing::Other("lzip")),
            (b"\x04\x22\x4d\x18", Packing::Other("lz4")),
            (b"\x5d\0\0", Packing::Other("lzma")),
        ];
        let kind = KINDS.iter().find(|(magic, _)| first.starts_with(magic));
        kind.map_or(Packing::Plain, |(_, packing)| *packing)
    }
}

/// How much an archive may still unpack to.
pub(super) struct Budget {
    max: u64,
    left: Cell<u64>,
    spent: Cell<bool>,
}

impl Budget {
    /// Allows `max` bytes.
    pub(super) fn new(max: u64) -> Rc<Budget> {
        Rc::new(Budget {
            max,
            left: Cell::new(max),
            spent: Cell::new(false),
        })
    }

    /// As it was at first.
    pub(super) fn afresh(&self) -> Rc<Budget> {
        Budget::new(self.max)
    }

    /// Takes so many bytes of it.
    pub(super) fn spend(&self, bytes: u64) -> io::Result<()> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.spent.set(true);
                Err(io::Error::other("it unpacks to more than is allowed"))
            }
        }
    }

    /// The error to report for `archive`, if nothing was left of it.
    pub(super) fn bomb(&self, archive: &str) -> Option<ScanError> {
        self.spent.get().then(|| ScanError::Bomb {
            archive: archive.into(),
            max: self.max,
        })
    }
}

/// What was inflated.
struct Metered<R> {
    inner: R,
    budget: Rc<Budget>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.budget.spend(read as u64)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_to_the_last_byte() {
        let budget = Budget::new(10);
        assert!(budget.spend(4).is_ok() && budget.spend(6).is_ok());
        assert_eq!(budget.bomb("x"), None);
        assert!(budget.spend(1).is_err());
        let archive = "x".to_string();
        assert_eq!(budget.bomb("x"), Some(ScanError::Bomb { archive, max: 10 }));
    }

    #[test]
    fn a_stream_is_recognised_and_not_shortened() {
        for (bytes, expected) in [
            (&b"\x1f\x8bxyz"[..], Packing::Gzip),
            (b"BZh9", Packing::Other("bzip2")),
            (b"", Packing::Plain),
            (b"long enough to be anything", Packing::Plain),
        ] {
            let stream = Input::Stream(Box::new(bytes));
            let (packing, stream) = stream.recognise().unwrap();
            let mut all = Vec::new();
            let Input::Stream(mut stream) = stream else {
                panic!("a stream became a file");
            };
            stream.read_to_end(&mut all).unwrap();
            assert_eq!((packing, &all[..]), (expected, bytes));
        }
    }
}
