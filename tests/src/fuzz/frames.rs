//! The fuzzer of compressed contents.

use std::sync::LazyLock;

use monaka_vfs_core::Errno;
use monaka_vfs_core::image::NodeId;

use crate::compressed::{frame, stored};
use crate::native::{self, Guest, Packed};

const CHUNK: usize = 65536;

/// The longest file that is read.
const CHUNKS: usize = 3;

/// Contents that meet each way to store bytes: copies near and far, literals with
/// and without a table of their own, runs, and what does not shrink.
static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut state = 1u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let text: Vec<u8> = (0..40_000u32)
        .flat_map(|n| (n / 3 * 7919 % 1000).to_string().into_bytes())
        .collect();
    let skewed: Vec<u8> = (0..2 * CHUNK)
        .map(|_| noise().leading_zeros() as u8)
        .collect();
    let random: Vec<u8> = (0..CHUNK + 100).map(|_| noise()).collect();
    let mixed = [&random[..300], &text[..5000], &[0; 3000], &skewed[..4000]].concat();
    vec![
        text[..CHUNKS * CHUNK / 2].to_vec(),
        skewed,
        random,
        vec![b'r'; CHUNKS * CHUNK],
        mixed,
        b"short".to_vec(),
    ]
});

/// Invariants under test: a compressed file whose stored bytes were changed is read
/// or answers `IO`, and nothing else; bytes that are read are those that libzstd
/// reads; what is beside it stays as it was.
///
/// The input is a sample's number, a size that is added to its own, and changes to
/// the stored bytes: where (two bytes), and what is added.
pub fn frames(bytes: &[u8]) {
    let [sample, more, changes @ ..] = bytes else {
        return;
    };
    let contents = &SAMPLES[usize::from(*sample) % SAMPLES.len()];
    let size = contents.len() + usize::from(*more);
    let frames: Vec<_> = contents.chunks(CHUNK).map(frame).collect();
    let mut damaged = stored(&frames);
    // Where the file claims to be longer than its frames, they are read as a table.
    let room = 4 * (size.div_ceil(CHUNK) + 1);
    damaged.resize(damaged.len().max(room), 0);
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        // The table and the first frame's beginning matter most.
        let at = match change[0] & 1 {
            0 => at % damaged.len(),
            _ => at / 2 % damaged.len().min(256),
        };
        damaged[at] = damaged[at].wrapping_add(change[2]);
    }

    let mut tree = native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "beside", b"sound");
        let meta = native::meta();
        (tree.add_file(NodeId::ROOT, b"file", meta, size as u64, Vec::new())).expect("a name");
    });
    let beside = tree.lookup(b"beside").expect("it is there");
    let file = tree.lookup(b"file").expect("it is there");
    let sound = stored(&[frame(b"sound")]);
    tree.set_source(beside, Some(sound.len() as u32), sound);
    tree.set_source(file, Some(damaged.len() as u32), damaged.clone());
    let packed = Packed::new(tree);
    let at = (packed.data.windows(damaged.len())).position(|bytes| bytes == damaged);
    let stored = &packed.data[at.expect("its stored bytes are in the data")..];

    let mut guest = Guest::of(packed, false);
    let fd = guest.open("file", 0).expect("it can be opened");
    for index in (0..size.div_ceil(CHUNK)).rev() {
        let start = index * CHUNK;
        let expected = (size - start).min(CHUNK);
        match guest.pread(fd, expected, start as u64) {
            Ok(read) => {
                assert_eq!(read.len(), expected);
                let decoded = decoded(stored, index).expect("libzstd reads it too");
                assert!(decoded[..expected] == read, "as libzstd reads it");
            }
            Err(errno) => assert_eq!(errno, Errno::IO),
        }
        let written = guest.pwrite(fd, b"!", start as u64);
        assert!(matches!(written, Ok(1) | Err(Errno::IO)), "{written:?}");
        guest.vfs.check_invariants();
    }
    let fd = guest.open("beside", 0).expect("it can be opened");
    assert_eq!(guest.read(fd, 10).expect("it can be read"), b"sound");
}

/// What libzstd makes of a file's frame.
fn decoded(stored: &[u8], index: usize) -> Option<Vec<u8>> {
    let place = |index: usize| {
        let place: &[u8; 4] = stored.get(4 * index..)?.first_chunk()?;
        Some(u32::from_le_bytes(*place) as usize)
    };
    let frame = stored.get(place(index)?..place(index + 1)?)?;
    zstd::bulk::decompress(frame, CHUNK).ok()
}
