//! Compressing files before they are packed.
//!
//! The image's tables say how many bytes a compressed file takes, so all are
//! compressed before the first byte is written; their frames wait in the spool.
//! Chunks are independent, so they are compressed side by side, a batch at a time,
//! and put down in the order of the files: the same tree gives the same bytes.
//!
//! Each frame is read back by the decoder that programs get. It is not the library
//! that made the frame, and nobody could mend a packed file later.

use std::io::{self, Write};

use anyhow::{Context as _, Result, ensure};
use monaka_vfs_core::frames::Decoding;
use monaka_vfs_core::image::format::{FRAME, table_len};
use monaka_vfs_core::image::{Contents, NodeId, Tree, ValidTree};
use rayon::prelude::*;

use super::part::Spool;
use super::source::Source;
use crate::progress::{Bar, Progress};

/// How hard to try if it is not said: most of what there is to save, in a tenth of
/// the time that the rest takes.
pub(crate) const LEVEL: i32 = 9;

/// How many bytes are in memory while they are compressed.
const BATCH: usize = 8 << 20;

/// A file is compressed if that saves a tenth of it, and no less than this.
const WORTH: u64 = 64;

/// Compresses the files of a tree for which it pays. `packed` is the data area of the
/// image that the module holds already, if it holds one; what is compressed there
/// stays as it is.
pub(crate) fn compress(
    valid: ValidTree<Source>,
    level: i32,
    packed: &[u8],
    progress: Progress,
) -> Result<Tree<Source>> {
    let copy = |source: &Source, len, out: &mut dyn Write| source.copy_to(len, packed, out);
    compress_with(valid, level, progress, |_| true, copy, |source| source)
}

/// The same of files that may be elsewhere: of those that are `wanted`, whose contents
/// `copy` writes, and which are from then on what `keep` makes of where their frames
/// are.
pub(crate) fn compress_with<S>(
    valid: ValidTree<S>,
    level: i32,
    progress: Progress,
    wanted: impl Fn(&S) -> bool,
    mut copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
    keep: impl Fn(Source) -> S,
) -> Result<Tree<S>> {
    let files: Vec<(NodeId, u64)> = valid
        .nodes()
        .filter_map(|node| match valid.tree().contents(node) {
            Contents::Regular {
                len,
                stored: None,
                source,
            } if (WORTH..=u32::MAX.into()).contains(&len) && wanted(source) => Some((node, len)),
            _ => None,
        })
        .collect();
    let mut tree = valid.into_tree();
    let total = files.iter().map(|(_, len)| len).sum();
    let mut compression = Compression {
        level,
        spool: Spool::new()?,
        bar: progress.bytes("compressing", Some(total)),
        batch: Vec::new(),
        batched: 0,
        open: None,
        done: Vec::new(),
    };
    for (node, len) in files {
        if let Contents::Regular { source, .. } = tree.contents(node) {
            let mut cutter = Cutter {
                compression: &mut compression,
                node,
                len,
                chunk: Vec::new(),
            };
            copy(source, len, &mut cutter)?;
            cutter.flush()?;
        }
    }
    for (node, stored, source) in compression.finish()? {
        tree.set_source(node, Some(stored), keep(source));
    }
    Ok(tree)
}

/// Cuts a file into chunks.
struct Cutter<'c> {
    compression: &'c mut Compression,
    node: NodeId,
    len: u64,
    chunk: Vec<u8>,
}

impl Write for Cutter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = FRAME as usize - self.chunk.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() == FRAME as usize {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Chunk {
            node: self.node,
            len: self.len,
            bytes: std::mem::take(&mut self.chunk),
        };
        self.compression.add(chunk).map_err(io::Error::other)
    }
}

/// A chunk of a file.
struct Chunk {
    node: NodeId,
    /// How long the file is.
    len: u64,
    bytes: Vec<u8>,
}

/// Files on their way into the spool.
struct Compression {
    level: i32,
    spool: Spool,
    bar: Bar,
    batch: Vec<Chunk>,
    /// How many bytes the batch has.
    batched: usize,
    open: Option<Open>,
    /// What was compressed: the file, how many bytes it takes, and where they are.
    done: Vec<(NodeId, u32, Source)>,
}

/// A file some of whose frames are in the spool.
struct Open {
    node: NodeId,
    len: u64,
    /// Where its frames begin there.
    start: u64,
    /// Its table, but for where the last frame ends.
    table: Vec<u8>,
}

impl Open {
    /// Notes that what comes next in the file as it is stored begins where the spool
    /// ends. What does not fit is too large to pay.
    fn mark(&mut self, spool: &Spool) {
        let place = table_len(self.len) + spool.end() - self.start;
        self.table.extend_from_slice(&(place as u32).to_le_bytes());
    }
}

impl Compression {
    fn add(&mut self, chunk: Chunk) -> Result<()> {
        self.batched += chunk.bytes.len();
        self.batch.push(chunk);
        if self.batched >= BATCH {
            self.compress()?;
        }
        Ok(())
    }

    /// Compresses the batch.
    fn compress(&mut self) -> Result<()> {
        let level = self.level;
        let frames: Vec<Vec<u8>> = self
            .batch
            .par_iter()
            .with_min_len(8)
            .map_init(
                || Worker::new(level),
                |worker, chunk| {
                    let worker = worker.as_mut();
                    let worker = worker.map_err(|error| anyhow::anyhow!("{error:#}"))?;
                    worker.frame(&chunk.bytes)
                },
            )
            .collect::<Result<_>>()?;
        for (chunk, frame) in std::mem::take(&mut self.batch).iter().zip(frames) {
            self.put(chunk, &frame)?;
            self.bar.add(chunk.bytes.len() as u64);
        }
        self.batched = 0;
        Ok(())
    }

    /// Puts down a frame of the same file as the last one, or the first of another.
    fn put(&mut self, chunk: &Chunk, mut frame: &[u8]) -> Result<()> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.node != chunk.node)
        {
            self.close();
        }
        let open = self.open.get_or_insert_with(|| Open {
            node: chunk.node,
            len: chunk.len,
            start: self.spool.end(),
            table: Vec::new(),
        });
        open.mark(&self.spool);
        // Bytes in memory are read without an error.
        self.spool.take(&mut frame)??;
        Ok(())
    }

    /// Keeps what was compressed of a file, now that all of it is there, if it pays.
    fn close(&mut self) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        open.mark(&self.spool);
        let frames = self.spool.since(open.start);
        let stored = open.table.len() as u64 + frames.len();
        let worth = (open.len / 10).max(WORTH);
        match u32::try_from(stored) {
            Ok(stored) if u64::from(stored) + worth <= open.len => {
                let table = open.table.into();
                self.done
                    .push((open.node, stored, Source::Compressed { table, frames }));
            }
            _ => self.spool.forget(open.start),
        }
    }

    fn finish(mut self) -> Result<Vec<(NodeId, u32, Source)>> {
        self.compress()?;
        self.close();
        Ok(self.done)
    }
}

/// What one thread compresses with.
struct Worker {
    compressor: zstd::bulk::Compressor<'static>,
    decoding: Decoding,
    contents: Vec<u8>,
}

impl Worker {
    fn new(level: i32) -> Result<Worker> {
        let compressor = zstd::bulk::Compressor::new(level);
        Ok(Worker {
            compressor: compressor.context("cannot make a compressor")?,
            decoding: Decoding::new().map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?,
            contents: vec![0; FRAME as usize],
        })
    }

    /// The frame of a chunk.
    fn frame(&mut self, chunk: &[u8]) -> Result<Vec<u8>> {
        let frame = self.compressor.compress(chunk).context("cannot compress")?;
        let len = self.decoding.decode(&frame, &mut self.contents);
        ensure!(
            len.is_ok_and(|len| self.contents[..len] == *chunk),
            "what was compressed does not decode to what it was; please report this, and \
             pack without --compress"
        );
        Ok(frame)
    }
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::frames::Frames;
    use monaka_vfs_core::image::Meta;

    use super::*;

    /// A tree of these files.
    fn tree(files: &[(&str, &[u8])]) -> Tree<Source> {
        let mut tree = Tree::new(Meta::default());
        for (name, bytes) in files {
            let (len, source) = (bytes.len() as u64, Source::Text((*bytes).into()));
            let name = name.as_bytes();
            (tree.add_file(NodeId::ROOT, name, Meta::default(), len, source)).unwrap();
        }
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        tree
    }

    fn compressed(files: &[(&str, &[u8])]) -> Tree<Source> {
        let valid = tree(files).validate().unwrap();
        compress(valid, 1, &[], Progress::new(true)).unwrap()
    }

    /// The bytes of a file as they are stored, and whether they are compressed.
    fn stored(tree: &Tree<Source>, name: &str) -> (Vec<u8>, bool) {
        let Contents::Regular {
            len,
            stored,
            source,
        } = tree.contents(tree.lookup(name.as_bytes()).unwrap())
        else {
            panic!("{name} is no file");
        };
        let mut bytes = Vec::new();
        let len = stored.map_or(len, u64::from);
        source.copy_to(len, &[], &mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, len);
        (bytes, stored.is_some())
    }

    /// What a guest reads of stored bytes.
    fn decoded(stored: &[u8], size: usize) -> Vec<u8> {
        let mut decoding = Decoding::new().unwrap();
        let mut chunk = vec![0; FRAME as usize];
        let mut all = Vec::new();
        for index in 0..size.div_ceil(FRAME as usize) {
            let frame = Frames::at(0).unwrap().frame(stored, index as u32).unwrap();
            let len = decoding.decode(frame, &mut chunk).unwrap();
            all.extend_from_slice(&chunk[..len]);
        }
        all
    }

    fn text(len: usize) -> Vec<u8> {
        (0..len)
            .map(|at| b"etaoin shrdlu\n"[at * at % 14])
            .collect()
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn what_is_compressed_is_what_it_was() {
        // Longer than a batch, exactly a chunk, a byte more, and short.
        let lens = [BATCH + 70_000, FRAME as usize, FRAME as usize + 1, 500];
        let texts = lens.map(text);
        let names = ["a", "b", "c", "d"];
        let files: Vec<_> = (names.into_iter().zip(&texts))
            .map(|(name, text)| (name, &text[..]))
            .collect();
        let tree = compressed(&files);
        for (name, contents) in files {
            let (bytes, compressed) = stored(&tree, name);
            assert!(compressed && bytes.len() < contents.len() / 2, "{name}");
            assert!(decoded(&bytes, contents.len()) == contents, "{name}");
        }
    }

    #[test]
    fn what_does_not_pay_stays_as_it_is() {
        let (long, part) = (noise(200_000), [noise(190_000), text(15_000)].concat());
        let files: [(&str, &[u8]); 6] = [
            ("noise", &long),
            ("mostly noise", &part),
            ("text between", &text(3000)),
            ("short", &text(40)),
            ("hardly", &text(70)),
            ("empty", b""),
        ];
        let tree = compressed(&files);
        for (name, contents) in files {
            let (bytes, compressed) = stored(&tree, name);
            assert_eq!(compressed, name == "text between", "{name}");
            let bytes = match compressed {
                true => decoded(&bytes, contents.len()),
                false => bytes,
            };
            assert!(bytes == contents, "{name}");
        }
    }

    #[test]
    fn the_order_of_entry_does_not_matter() {
        let (one, other) = (text(100_000), text(70_000));
        let once = compressed(&[("a", &one), ("b", &other)]);
        let again = compressed(&[("b", &other), ("a", &one)]);
        for name in ["a", "b"] {
            assert!(stored(&once, name) == stored(&again, name), "{name}");
        }
    }
}
