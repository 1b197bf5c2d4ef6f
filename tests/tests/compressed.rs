//! Compressed files: what is read and written of them is what was packed, whatever
//! their frames hold. What every file does, compressed or not, is in the semantics,
//! which `COMPRESSED=1` runs over compressed images.

use std::sync::LazyLock;

use monaka_tests::compressed::{compressed, frame, stored};
use monaka_tests::fuzz;
use monaka_tests::native::{self, Guest, Packed};
use monaka_tests::scarce::{Scarce, starved};
use monaka_vfs_core::Errno;
use monaka_vfs_core::frames::KEPT;
use monaka_vfs_core::image::{Image, NodeId};
use monaka_vfs_core::memfs::Memfs;
use proptest::prelude::*;

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

const CHUNK: usize = 65536;

/// Twice as many chunks as are kept, and a part of one.
static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..(2 * KEPT * CHUNK + 1234) as u32)
        .map(|at| (at / 7 + at % 251 + at / 65536) as u8)
        .collect()
});

/// A file `f` of these contents, compressed.
fn guest(contents: &[u8]) -> Guest {
    Guest::new(compressed(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "f", contents);
    })))
}

/// A file `f` of `size` bytes for which `stored` is stored.
fn storing(size: usize, stored: Vec<u8>) -> Guest {
    let mut tree = native::tree(|tree| {
        let (meta, len) = (native::meta(), size as u64);
        tree.add_file(NodeId::ROOT, b"f", meta, len, Vec::new())
            .unwrap();
    });
    let file = tree.lookup(b"f").unwrap();
    tree.set_source(file, Some(stored.len() as u32), stored);
    Guest::new(tree)
}

fn heap_bytes(guest: &Guest) -> u64 {
    guest.vfs.fs().used_bytes()
}

#[test]
fn any_range_is_read() {
    let mut g = guest(&LONG);
    let fd = g.open("f", 0).unwrap();
    assert_eq!(g.fstat(fd).unwrap().size, LONG.len() as u64);
    for (offset, len) in [
        (0, 1),
        (0, CHUNK),
        (CHUNK - 1, 2),
        (CHUNK, CHUNK),
        (CHUNK * 5 + 17, 3 * CHUNK),
        (LONG.len() - 1, 100),
        (LONG.len() - 1300, 4096),
        (LONG.len(), 10),
        (0, LONG.len() / 2),
    ] {
        let end = (offset + len).min(LONG.len());
        let read = g.pread(fd, len, offset as u64).unwrap();
        assert!(read == LONG[offset..end], "{len} bytes at {offset}");
    }
    // More chunks than are kept, in an order that meets none twice in a row.
    for step in [1usize, 7, 11] {
        for n in 0..3 * KEPT {
            let offset = n * step * CHUNK % LONG.len() + n;
            let end = (offset + 9).min(LONG.len());
            let read = g.pread(fd, 9, offset as u64).unwrap();
            assert!(read == LONG[offset..end], "9 bytes at {offset}");
        }
    }
    assert_eq!(heap_bytes(&g), 0);
}

#[test]
fn a_write_copies_up_the_chunks_that_it_falls_into() {
    let mut g = guest(&LONG);
    let fd = g.open("f", 0).unwrap();
    let mut expected = LONG.clone();
    for (offset, len, chunks) in [
        (CHUNK * 3 + 5, 10, 1),
        (CHUNK * 3 + 500, 10, 1),
        (CHUNK - 2, 4, 3),
        (CHUNK * 9, CHUNK, 4),
    ] {
        g.pwrite(fd, &vec![b'!'; len], offset as u64).unwrap();
        expected[offset..offset + len].fill(b'!');
        assert_eq!(heap_bytes(&g), (chunks * CHUNK) as u64);
        g.vfs.check_invariants();
    }
    g.seek(fd, 0, 0).unwrap();
    for piece in expected.chunks(100_000) {
        assert!(g.read(fd, 100_000).unwrap() == piece);
    }
}

#[test]
fn a_file_that_was_cut_grows_by_zeros() {
    let mut g = guest(&LONG);
    let fd = g.open("f", 0).unwrap();
    let mut expected = LONG.clone();
    for size in [CHUNK * 4 + 100, CHUNK * 6, CHUNK * 2, CHUNK * 2 + 10, 7, 70] {
        g.set_size(fd, size as u64).unwrap();
        expected.truncate(size);
        expected.resize(size, 0);
        g.vfs.check_invariants();
        let read = g.pread(fd, size, 0).unwrap();
        assert!(read == expected, "{size} bytes");
    }
    g.pwrite(fd, b"end", 68).unwrap();
    expected.truncate(68);
    expected.extend_from_slice(b"end");
    assert!(g.pread(fd, 100, 0).unwrap() == expected);
    g.set_size(fd, 0).unwrap();
    assert_eq!(heap_bytes(&g), 0);
    g.vfs.check_invariants();
}

#[test]
fn what_was_packed_is_read_when_memory_is_out() {
    let mut g = guest(&LONG);
    let fd = g.open("f", 0).unwrap();
    for n in 0..2 * KEPT {
        let offset = n * CHUNK * 5 % LONG.len();
        let (iovs, buffer) = (native::IOVS, native::BUFFER);
        g.put(iovs, &[buffer.to_le_bytes(), 9u32.to_le_bytes()].concat());
        let (vfs, home) = (&mut g.vfs, &mut g.home);
        let outcome = starved(0, || {
            vfs.fd_pread(home, fd, iovs, 1, offset as u64, native::OUT)
        });
        outcome.unwrap();
        assert!(g.buffer(9) == LONG[offset..offset + 9], "at {offset}");
    }
    // A write needs some, and leaves all as it was.
    g.put(native::BUFFER, b"x");
    g.put(native::IOVS + 4, &1u32.to_le_bytes());
    let (vfs, home) = (&mut g.vfs, &mut g.home);
    let outcome = starved(0, || {
        vfs.fd_pwrite(home, fd, native::IOVS, 1, 70_000, native::OUT)
    });
    assert_eq!(outcome, Err(Errno::NOSPC));
    g.vfs.check_invariants();
    assert!(g.pread(fd, CHUNK, 70_000).unwrap() == LONG[70_000..70_000 + CHUNK]);
}

#[test]
fn mounting_when_memory_is_out_is_an_errno() {
    let packed = Packed::new(compressed(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "f", &LONG[..10]);
    })));
    let image = Image::open(packed.tables).unwrap();
    let mut failed = 0;
    while let Err(errno) = starved(failed, || Memfs::mount(&image, packed.data).map(drop)) {
        assert_eq!(errno, Errno::NOSPC, "after {failed} allocations");
        failed += 1;
    }
    assert!(
        failed > 6,
        "slots, a slot, and what decoding needs: {failed}"
    );
}

/// What cannot be decoded is `IO`; what was read before it is answered.
#[test]
fn a_frame_that_cannot_be_read_is_io() {
    let sound = frame(&LONG[..CHUNK]);
    let rest = frame(&LONG[CHUNK..CHUNK + 100]);
    let mut noise = rest.clone();
    // A block of the type that is reserved.
    noise[6] |= 6;
    let twice = [&rest[..], &rest].concat();
    let dictionary = [&[0x28, 0xb5, 0x2f, 0xfd, 0x21, 7], &rest[5..]].concat();
    for (what, second) in [
        ("nothing", Vec::new()),
        ("cut off", rest[..rest.len() - 1].to_vec()),
        ("with something behind", [&rest[..], &[0]].concat()),
        ("two frames", twice),
        ("no frame", b"0123456789".to_vec()),
        ("damaged", noise),
        ("too short", frame(&LONG[CHUNK..CHUNK + 99])),
        ("of nothing", frame(b"")),
        ("too long", frame(&LONG[..CHUNK + 1])),
        ("of a dictionary", dictionary),
    ] {
        let mut g = storing(CHUNK + 100, stored(&[sound.clone(), second]));
        let fd = g.open("f", 0).unwrap();
        assert_eq!(g.pread(fd, 100, CHUNK as u64), Err(Errno::IO), "{what}");
        assert_eq!(g.pwrite(fd, b"x", CHUNK as u64), Err(Errno::IO), "{what}");
        let read = g.pread(fd, 200, CHUNK as u64 - 50).unwrap();
        assert!(read == LONG[CHUNK - 50..CHUNK], "{what}: what is before it");
        g.vfs.check_invariants();
    }
}

/// A table may say anything.
#[test]
fn places_that_lie_are_io() {
    let good = stored(&[frame(&LONG[..CHUNK]), frame(&LONG[CHUNK..CHUNK + 100])]);
    for (entry, place) in [
        (0, u32::MAX),
        (0, 13),
        (1, 0),
        (1, u32::MAX),
        (2, 0),
        (2, good.len() as u32 + 1),
        (2, u32::MAX),
    ] {
        let mut bad = good.clone();
        bad[entry * 4..][..4].copy_from_slice(&place.to_le_bytes());
        let mut g = storing(CHUNK + 100, bad);
        let fd = g.open("f", 0).unwrap();
        let outcomes = [0, CHUNK as u64].map(|offset| g.pread(fd, 100, offset).err());
        assert!(outcomes.contains(&Some(Errno::IO)), "{place} in {entry}");
        g.vfs.check_invariants();
    }
}

#[test]
fn an_image_whose_table_ends_with_the_data_is_read() {
    // `storing` puts nothing behind, so the last byte of the table is the image's.
    let mut g = storing(10, vec![8, 0, 0, 0, 8, 0, 0, 0]);
    let fd = g.open("f", 0).unwrap();
    assert_eq!(g.read(fd, 10), Err(Errno::IO));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_frames_are_read_as_libzstd_does_or_not_at_all(
        bytes in prop::collection::vec(any::<u8>(), 2..40),
    ) {
        fuzz::frames(&bytes);
    }
}
