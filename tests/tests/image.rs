//! Images across the whole way: tree → tables → [`Image`] → tree.
//!
//! What is under test:
//! 1. nothing of a tree is lost on the way, and the same tree gives the same bytes;
//! 2. whatever bytes are opened, nothing panics, and what opens keeps every rule
//!    of docs/SPEC.md, as [`fsck`] finds by walking;
//! 3. each rule is refused for its own reason;
//! 4. bits and dump do not change by accident. `BLESS=1 cargo test --test image`
//!    accepts a change of the golden files; one of bits needs a new format version.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::Path;

use monaka_vfs_core::access::{Access, Clock, Stream};
use monaka_vfs_core::device::{DEVICES, Device};
use monaka_vfs_core::image::format::{is_name, is_path};
use monaka_vfs_core::image::{
    Contents, Dump, Glance, Image, ImageError, Kind, Limits, Meta, NodeId, Tree, TreeError,
    ValidTree, write,
};
use proptest::prelude::*;

const PLAIN: Meta = Meta {
    mtime: 1_700_000_000_123_456_789,
    executable: false,
};

const EXECUTABLE: Meta = Meta {
    mtime: 1,
    executable: true,
};

/// A small tree with everything in it that an image can hold.
///
/// | inode | dirents that name it |
/// |---|---|
/// | 0 `/` | – |
/// | 1 `/a.txt` | 0 |
/// | 2 `/bin` | 1 |
/// | 3 `/empty` | 2 |
/// | 4 `/lib` → `usr/lib` | 3 |
/// | 5 `/bin/tool` | 4, and 5 as `/bin/tool2` |
/// | 6 `/bin/\xff` (directory) | 6 |
fn sample() -> ValidTree<Vec<u8>> {
    let mut tree = Tree::new(PLAIN);
    let bin = tree.make_directories(b"/bin", PLAIN).unwrap();
    let tool = tree
        .add_file(bin, b"tool", EXECUTABLE, 4096, vec![b't'; 4096])
        .unwrap();
    tree.add_link(bin, b"tool2", tool).unwrap();
    tree.add_directory(bin, b"\xff", Meta::default()).unwrap();
    let root = NodeId::ROOT;
    tree.add_symlink(root, b"lib", PLAIN, b"usr/lib").unwrap();
    tree.add_file(root, b"empty", PLAIN, 0, vec![]).unwrap();
    tree.add_file(root, b"a.txt", PLAIN, 5, b"hello".to_vec())
        .unwrap();
    tree.add_preopen(b"/bin", bin).unwrap();
    tree.add_preopen(b"/", root).unwrap();
    tree.add_host_directory(b"/srv", b"data", true).unwrap();
    tree.set_access(Access {
        streams: [
            Stream::File(b"/a.txt"[..].into()),
            Stream::Null,
            Stream::File(b"/empty"[..].into()),
        ],
        clock: Clock::Fixed,
        sockets: true,
    });
    tree.validate().unwrap()
}

const INODES: usize = 7;
const DIRENTS: usize = 7;

fn inode(index: usize) -> usize {
    72 + 32 * index
}

fn dirent(index: usize) -> usize {
    inode(INODES) + 12 * index
}

fn preopen(index: usize) -> usize {
    dirent(DIRENTS) + 12 * index
}

fn host_preopen() -> usize {
    preopen(2)
}

fn names() -> usize {
    host_preopen() + 16
}

/// Writes tables and data.
fn emit(valid: &ValidTree<Vec<u8>>) -> (Vec<u8>, Vec<u8>) {
    let written = write(valid).unwrap();
    let mut data = Vec::new();
    for content in &written.contents {
        assert!(content.offset >= data.len() as u64, "contents overlap");
        assert_eq!(content.len, content.source.len() as u64);
        assert_eq!(content.offset % if content.len < 65536 { 8 } else { 64 }, 0);
        data.resize(content.offset as usize, 0);
        data.extend_from_slice(content.source);
    }
    assert_eq!(data.len() as u64, written.data_len);
    (written.tables, data)
}

fn read(tables: &[u8], data: &[u8]) -> Tree<Vec<u8>> {
    let image = Image::open(tables).unwrap();
    assert_eq!(image.data_len(), data.len() as u64);
    image.to_tree(|start, size| data[start as usize..][..size as usize].to_vec())
}

/// A tree as lines, hard links by the first path that they have.
fn listing(tree: &Tree<Vec<u8>>) -> Vec<String> {
    fn walk(
        tree: &Tree<Vec<u8>>,
        node: NodeId,
        path: &str,
        first: &mut BTreeMap<NodeId, String>,
        lines: &mut Vec<String>,
    ) {
        let seen = first.entry(node).or_insert_with(|| path.to_owned()).clone();
        let (meta, contents) = (tree.meta(node), tree.contents(node));
        lines.push(format!("{path} {seen} {meta:?} {contents:?}"));
        for (name, child) in tree.children(node) {
            let path = format!("{path}/{}", name.escape_ascii());
            walk(tree, child, &path, first, lines);
        }
    }
    let mut first = BTreeMap::new();
    let mut lines = Vec::new();
    walk(tree, NodeId::ROOT, "", &mut first, &mut lines);
    for (name, node) in tree.preopens() {
        lines.push(format!("{} {}", name.escape_ascii(), first[&node]));
    }
    lines.push(format!("{:?}", tree.host_directories()));
    // A file is known by one of its names.
    let streams = tree.access().streams.clone();
    let streams =
        streams.map(|stream| stream.map(|path| first[&tree.lookup(&path).unwrap()].clone()));
    lines.push(format!(
        "{streams:?} {:?}",
        (tree.access().clock, tree.access().sockets)
    ));
    lines
}

/// Checks every rule that an open image has to keep, by other means than the reader's.
fn fsck(image: Image<'_>) {
    let mut links = vec![0; image.inodes() as usize];
    let mut dirents = 0;
    let mut open = vec![0];
    let mut walked = HashSet::new();
    while let Some(directory) = open.pop() {
        assert!(walked.insert(directory), "a directory has two parents");
        let mut previous: Option<&[u8]> = None;
        let entries = image.dirents(directory);
        let len = entries.len();
        assert_eq!(entries.clone().count(), len);
        for entry in entries {
            dirents += 1;
            assert!(is_name(entry.name));
            assert!(previous < Some(entry.name), "names are not in order");
            previous = Some(entry.name);
            links[entry.inode as usize] += 1;
            if image.inode(entry.inode).kind == Kind::Directory {
                open.push(entry.inode);
            }
        }
    }
    assert_eq!(dirents, image.dirents_len());
    for (inode, links) in (0..).zip(links) {
        match image.inode(inode).kind {
            Kind::Directory => assert_eq!(links, u32::from(inode > 0)),
            Kind::Regular {
                start,
                size,
                stored,
            } => {
                let len = stored.map_or(size, u64::from);
                assert!(start.checked_add(len).unwrap() <= image.data_len());
                if stored.is_some() {
                    assert!(size > 0 && size < 1 << 32);
                    assert!(len >= (size.div_ceil(65536) + 1) * 4);
                }
                assert!(links > 0);
            }
            Kind::Symlink { target } => {
                assert!(is_path(target));
                assert!(links > 0);
            }
            Kind::Device(_) => assert!(links > 0),
        }
    }
    assert!(image.preopens().len() > 0);
    for preopen in image.preopens() {
        assert!(is_path(preopen.name));
        assert_eq!(image.inode(preopen.inode).kind, Kind::Directory);
    }
    for directory in image.host_directories() {
        assert!(is_path(directory.name) && is_path(directory.host));
    }
    for (fd, stream) in image.access().streams.into_iter().enumerate() {
        if let Stream::File(file) = stream {
            let file = image.inode(file);
            assert!(matches!(file.kind, Kind::Regular { .. }));
            assert!(fd == 0 || !file.read_only);
        }
    }
}

fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "{} differs; if that is meant, run again with BLESS=1\nexpected:\n{expected}\nactual:\n{actual}",
        path.display()
    );
}

#[test]
fn dump_of_a_small_tree() {
    let (tables, _) = emit(&sample());
    golden(
        "image.dump",
        &Dump(Image::open(&tables).unwrap()).to_string(),
    );
}

#[test]
fn bits_of_a_small_tree() {
    let (tables, _) = emit(&sample());
    let mut hex = String::new();
    for line in tables.chunks(16) {
        for byte in line {
            write!(hex, "{byte:02x} ").unwrap();
        }
        hex.truncate(hex.len() - 1);
        hex.push('\n');
    }
    golden("image.hex", &hex);
}

#[test]
fn a_small_tree_comes_back() {
    let valid = sample();
    let (tables, data) = emit(&valid);
    fsck(Image::open(&tables).unwrap());
    assert_eq!(listing(&read(&tables, &data)), listing(valid.tree()));
}

/// What one look touches is checked, and nothing else.
#[test]
fn a_glance_sees_what_is_sound_beside_what_is_not() {
    let (mut tables, _) = emit(&sample());
    monaka_tests::fuzz::image(&tables);
    // The root's entry `lib` gets a name with a NUL, and /bin/tool a kind that
    // does not exist.
    let name = name_of(&tables, dirent(3));
    tables[name] = 0;
    tables[inode(5)] = 9;
    let image = Glance::open(&tables).unwrap();
    let bad_name = ImageError::Name { dirent: 3 };
    assert_eq!(image.child(0, b"a.txt"), Ok(Some(1)));
    assert_eq!(image.child(0, b"lib"), Err(bad_name));
    let listed: Vec<_> = image.dirents(0).unwrap().map(|entry| entry.err()).collect();
    assert_eq!(listed, [None, None, None, Some(bad_name)]);
    assert_eq!(image.child(2, b"tool"), Ok(Some(5)));
    assert_eq!(image.inode(5), Err(ImageError::Kind { inode: 5 }));
    assert_eq!(image.link_counts().unwrap()[5], 2);
    assert_eq!(image.check().err(), Some(bad_name));
}

#[test]
fn replaced_and_dropped_nodes_are_not_written() {
    let mut tree = sample().into_tree();
    tree.clear_preopens();
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    tree.add_file(NodeId::ROOT, b"bin", PLAIN, 1, b"!".to_vec())
        .unwrap();
    let (tables, data) = emit(&tree.validate().unwrap());
    let image = Image::open(&tables).unwrap();
    assert_eq!(image.inodes(), 5);
    assert_eq!(data, b"hello\0\0\0!");
}

/// What is read-only is so with all that is below it, but for what is said of
/// something below; and what is added later below it is, too.
#[test]
fn read_only_goes_down_and_survives_being_packed_again() {
    let mut tree = sample().into_tree();
    let bin = tree.lookup(b"bin").unwrap();
    tree.set_read_only(NodeId::ROOT, true);
    tree.set_read_only(bin, false);
    let [stdin, stdout, stderr] = tree.access().streams.clone();
    let error = tree.clone().validate().unwrap_err().to_string();
    assert_eq!(error, "stderr should go to `/empty`, which is read-only");
    let tool = Stream::File(b"bin/tool2"[..].into());
    tree.set_access(Access {
        streams: [stdin, stdout, tool],
        ..Access::default()
    });
    assert!(matches!(stderr, Stream::File(_)));
    tree.add_device(NodeId::ROOT, b"null", PLAIN, Device::Null)
        .unwrap();
    tree.set_limits(Limits {
        bytes: 5,
        inodes: 7,
    });
    let (tables, data) = emit(&tree.validate().unwrap());
    let dump = Dump(Image::open(&tables).unwrap()).to_string();
    golden("read-only.dump", &dump);

    let mut again = read(&tables, &data);
    let bin = again.lookup(b"bin").unwrap();
    for directory in [NodeId::ROOT, bin] {
        again.add_file(directory, b"new", PLAIN, 0, vec![]).unwrap();
    }
    let (tables, _) = emit(&again.validate().unwrap());
    let dump = Dump(Image::open(&tables).unwrap()).to_string();
    assert!(dump.contains("/new file+ro "), "{dump}");
    assert!(dump.contains("/bin/new file "), "{dump}");
    assert!(dump.contains("max-bytes=5 max-inodes=7\n"), "{dump}");
}

/// A stream's file is found by its path: one that is replaced stays the stream's,
/// and what is no file is refused.
#[test]
fn a_streams_file_may_be_replaced_but_not_go() {
    let mut tree = sample().into_tree();
    tree.add_file(NodeId::ROOT, b"a.txt", PLAIN, 3, b"new".to_vec())
        .unwrap();
    let (tables, _) = emit(&tree.clone().validate().unwrap());
    let image = Image::open(&tables).unwrap();
    let Stream::File(stdin) = image.access().streams[0] else {
        panic!("{:?}", image.access());
    };
    assert_eq!(image.path(stdin), b"/a.txt");
    assert!(matches!(
        image.inode(stdin).kind,
        Kind::Regular { size: 3, .. }
    ));
    tree.remove(NodeId::ROOT, b"a.txt");
    let error = tree.clone().validate().unwrap_err().to_string();
    assert_eq!(
        error,
        "stdin should be `/a.txt`, which is not a packed file"
    );
    tree.add_directory(NodeId::ROOT, b"a.txt", PLAIN).unwrap();
    assert!(tree.validate().is_err());
}

/// Images that may hold shared contents are legal: writers may deduplicate.
#[test]
fn two_files_may_share_their_contents() {
    let (mut tables, data) = emit(&sample());
    let [one, other] = [inode(1) + 16, inode(3) + 16];
    tables.copy_within(one..one + 16, other);
    let tree = read(&tables, &data);
    for name in ["a.txt", "empty"] {
        assert_eq!(
            tree.contents(tree.lookup(name.as_bytes()).unwrap()),
            Contents::Regular {
                len: 5,
                stored: None,
                source: &b"hello".to_vec()
            }
        );
    }
}

/// What a compressed file takes in the data area is kept as it is.
#[test]
fn a_compressed_file_comes_back() {
    let mut tree = sample().into_tree();
    let tool = tree.lookup(b"bin/tool").unwrap();
    tree.set_source(tool, Some(20), vec![b'z'; 20]);
    let valid = tree.validate().unwrap();
    let (tables, data) = emit(&valid);
    let image = Image::open(&tables).unwrap();
    fsck(image);
    golden("compressed.dump", &Dump(image).to_string());
    let again = read(&tables, &data);
    assert_eq!(listing(&again), listing(valid.tree()));
    assert!(emit(&again.validate().unwrap()) == (tables, data));
}

/// A test for each way to break a rule: what is done to the bytes of
/// [`sample`], and the reason it is refused for.
macro_rules! refused {
    ($($name:ident: |$bytes:ident| $change:expr => $error:expr;)*) => {
        mod refused {
            use super::*;

            $(
                #[test]
                fn $name() {
                    let (mut tables, _) = emit(&sample());
                    {
                        let $bytes = &mut tables;
                        $change;
                    }
                    assert_eq!(Image::open(&tables).err(), Some($error));
                }
            )*
        }
    };
}

fn put(bytes: &mut [u8], at: usize, field: impl AsRef<[u8]>) {
    let field = field.as_ref();
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn add_u32(bytes: &mut [u8], at: usize, more: i32) {
    let value = u32_at(bytes, at).wrapping_add_signed(more);
    put(bytes, at, value.to_le_bytes());
}

/// The place in the names of what a record refers to by `name` first.
fn name_of(bytes: &[u8], record: usize) -> usize {
    names() + u32_at(bytes, record) as usize
}

/// Says that a file is of `size` bytes, compressed to `stored`.
fn compress(bytes: &mut [u8], index: usize, size: u64, stored: u32) {
    bytes[inode(index) + 1] |= 4;
    put(bytes, inode(index) + 4, stored.to_le_bytes());
    put(bytes, inode(index) + 16, size.to_le_bytes());
}

fn length(bytes: &[u8]) -> ImageError {
    ImageError::Length {
        stated: u32_at(bytes, 16),
        counted: u64::from(u32_at(bytes, 16)),
    }
}

refused! {
    nothing: |b| b.clear() => ImageError::Truncated;
    less_than_a_superblock: |b| b.truncate(71) => ImageError::Truncated;
    another_magic: |b| b[7] = b'S' => ImageError::Magic;
    another_version: |b| b[8] = 2 => ImageError::Version(2);
    an_unknown_flag_of_the_image: |b| b[12] |= 8 => ImageError::Reserved { offset: 0 };
    a_missing_byte: |b| b.truncate(b.len() - 1) => length(&emit(&sample()).0);
    a_byte_too_many: |b| b.push(0) => length(&emit(&sample()).0);
    another_length_than_the_counts_ask_for: |b| add_u32(b, 16, 64) => ImageError::Length {
        stated: 576,
        counted: 512,
    };
    counts_beyond_32_bits: |b| put(b, 20, [0xff; 16]) => ImageError::Length {
        stated: 512,
        counted: (72 + 57 * u64::from(u32::MAX) + 16).next_multiple_of(64),
    };
    padding_that_is_not_zero: |b| b[511] = 1 => ImageError::Reserved { offset: 511 };

    no_inode: |b| {
// The superblock alone, with its padding.
        b.truncate(128);
        put(b, 16, 128u32.to_le_bytes());
        put(b, 20, [0; 16]);
        put(b, 68, [0; 60]);
    } => ImageError::Root;
    a_root_that_is_a_file: |b| b[inode(0)] = 4 => ImageError::Root;
    a_root_with_a_name: |b| put(b, dirent(3) + 8, 0u32.to_le_bytes()) => ImageError::Root;

    an_unknown_device: |b| { b[inode(3)] = 2; b[inode(3) + 24] = 4 } => ImageError::Device {
        inode: 3,
    };
    a_device_beyond_32_bits: |b| { b[inode(3)] = 2; b[inode(3) + 29] = 1 } => ImageError::Device {
        inode: 3,
    };
    a_device_with_a_size: |b| { b[inode(3)] = 2; b[inode(3) + 16] = 1 } => ImageError::Reserved {
        offset: 72 + 3 * 32,
    };
    a_device_with_a_count: |b| { b[inode(3)] = 2; b[inode(3) + 4] = 1 } => ImageError::Reserved {
        offset: 72 + 3 * 32,
    };
    an_unknown_kind: |b| b[inode(3)] = 6 => ImageError::Kind { inode: 3 };
    an_unknown_flag: |b| b[inode(3) + 1] = 8 => ImageError::Reserved { offset: 72 + 3 * 32 };
    a_reserved_field_of_an_inode: |b| b[inode(3) + 2] = 1 => ImageError::Reserved {
        offset: 72 + 3 * 32,
    };
    a_directory_with_a_size: |b| b[inode(2) + 16] = 1 => ImageError::Reserved {
        offset: 72 + 2 * 32,
    };
    a_regular_file_with_a_count: |b| b[inode(1) + 4] = 1 => ImageError::Reserved {
        offset: 72 + 32,
    };
    an_empty_file_with_a_start: |b| b[inode(3) + 24] = 1 => ImageError::Reserved {
        offset: 72 + 3 * 32,
    };
    a_symbolic_link_with_a_size: |b| b[inode(4) + 16] = 1 => ImageError::Reserved {
        offset: 72 + 4 * 32,
    };

    contents_that_begin_outside: |b| b[inode(5) + 31] = 0x80 => ImageError::Contents { inode: 5 };
    contents_that_end_outside: |b| b[inode(5) + 16] = 1 => ImageError::Contents { inode: 5 };
    contents_whose_end_overflows: |b| put(b, inode(5) + 16, [0xff; 8]) => ImageError::Contents {
        inode: 5,
    };
    an_empty_file_outside: |b| b[inode(3) + 31] = 1 => ImageError::Contents { inode: 3 };
    less_data_than_the_files_have: |b| add_u32(b, 40, -1) => ImageError::Contents { inode: 5 };

    a_compressed_directory: |b| b[inode(2) + 1] = 4 => ImageError::Reserved {
        offset: 72 + 2 * 32,
    };
    a_compressed_file_without_a_table: |b| compress(b, 5, 4096, 7) => ImageError::Contents {
        inode: 5,
    };
    a_table_without_its_end: |b| compress(b, 5, 65537, 11) => ImageError::Contents { inode: 5 };
    a_compressed_file_of_nothing: |b| compress(b, 5, 0, 64) => ImageError::Contents { inode: 5 };
    a_compressed_file_of_4_gib: |b| {
        // Room for its table.
        put(b, 40, (1u64 << 20).to_le_bytes());
        compress(b, 5, 1 << 32, 1 << 19);
    } => ImageError::Contents { inode: 5 };
    frames_that_end_outside: |b| compress(b, 5, 65537, 4097) => ImageError::Contents { inode: 5 };

    a_target_outside: |b| b[inode(4) + 31] = 1 => ImageError::Target { inode: 4 };
    a_target_that_ends_outside: |b| put(b, inode(4) + 4, 300u32.to_le_bytes()) =>
        ImageError::Target { inode: 4 };
    an_empty_target: |b| b[inode(4) + 4] = 0 => ImageError::Target { inode: 4 };
    a_target_with_a_nul: |b| {
        let at = names() + u32_at(b, inode(4) + 24) as usize;
        b[at + 6] = 0;
    } => ImageError::Target { inode: 4 };

    dirents_that_are_left_out: |b| {
        add_u32(b, inode(2) + 24, 1);
        add_u32(b, inode(2) + 4, -1);
    } => ImageError::Dirents { inode: 2 };
    dirents_that_are_shared: |b| {
        add_u32(b, inode(6) + 24, -1);
        add_u32(b, inode(6) + 4, 1);
    } => ImageError::Dirents { inode: 6 };
    more_dirents_than_there_are: |b| add_u32(b, inode(6) + 4, 1) => ImageError::Dirents {
        inode: 6,
    };
    so_many_dirents_that_their_end_overflows: |b| put(b, inode(6) + 4, [0xff; 4]) =>
        ImageError::Dirents { inode: 6 };
    dirents_that_begin_beyond_32_bits: |b| b[inode(2) + 28] = 1 => ImageError::Dirents { inode: 2 };
    a_dirent_of_no_directory: |b| {
        add_u32(b, inode(2) + 4, -1);
        add_u32(b, inode(6) + 24, -1);
    } => ImageError::StrayDirent { dirent: 6 };

    the_reserved_field_of_a_dirent: |b| b[dirent(2) + 6] = 1 => ImageError::Reserved {
        offset: dirent(2) as u32,
    };
    a_name_outside: |b| put(b, dirent(2), [0xff; 4]) => ImageError::Name { dirent: 2 };
    a_name_that_ends_outside: |b| put(b, dirent(2) + 4, 200u16.to_le_bytes()) => ImageError::Name {
        dirent: 2,
    };
    an_empty_name: |b| b[dirent(2) + 4] = 0 => ImageError::Name { dirent: 2 };
    a_name_with_a_slash: |b| { let at = name_of(b, dirent(2)); b[at + 1] = b'/' } =>
        ImageError::Name { dirent: 2 };
    a_name_with_a_nul: |b| { let at = name_of(b, dirent(2)); b[at + 1] = 0 } => ImageError::Name {
        dirent: 2,
    };
    a_name_that_is_a_dot: |b| {
        let at = name_of(b, dirent(0));
        b[at] = b'.';
        b[dirent(0) + 4] = 1;
    } => ImageError::Name { dirent: 0 };
    a_name_that_is_two_dots: |b| {
        let at = name_of(b, dirent(0));
        put(b, at, "..");
        b[dirent(0) + 4] = 2;
    } => ImageError::Name { dirent: 0 };
    names_out_of_order: |b| { let at = name_of(b, dirent(2)); b[at] = b'a' } => ImageError::Order {
        dirent: 2,
    };
    a_name_twice: |b| {
        let (name, len) = (u32_at(b, dirent(4)), u16_at(b, dirent(4) + 4));
        put(b, dirent(5), name.to_le_bytes());
        put(b, dirent(5) + 4, len.to_le_bytes());
    } => ImageError::Order { dirent: 5 };
    a_name_of_an_inode_that_is_not_there: |b| b[dirent(0) + 8] = 7 => ImageError::Missing {
        dirent: 0,
    };
    a_directory_with_two_names: |b| put(b, dirent(3) + 8, 2u32.to_le_bytes()) =>
        ImageError::Parent { dirent: 3 };
    a_directory_in_itself: |b| {
        // And nowhere else: the root's entry goes to a file.
        put(b, dirent(1) + 8, 1u32.to_le_bytes());
        put(b, dirent(5) + 8, 2u32.to_le_bytes());
    } => ImageError::Parent { dirent: 5 };
    directories_in_a_circle: |b| {
        // /bin becomes /bin/\xff's own entry, and the root's goes to a file.
        put(b, dirent(1) + 8, 1u32.to_le_bytes());
        add_u32(b, inode(2) + 4, -1);
        add_u32(b, inode(6) + 24, -1);
        add_u32(b, inode(6) + 4, 1);
        put(b, dirent(6) + 8, 2u32.to_le_bytes());
    } => ImageError::Parent { dirent: 6 };
    a_file_without_a_name: |b| put(b, dirent(0) + 8, 3u32.to_le_bytes()) => ImageError::Orphan {
        inode: 1,
    };
    a_directory_without_a_name: |b| put(b, dirent(6) + 8, 3u32.to_le_bytes()) =>
        ImageError::Orphan { inode: 6 };

    no_preopen: |b| {
        // The preopens' 24 bytes become names, behind the others.
        let len = u32_at(b, 32);
        put(b, 28, 0u32.to_le_bytes());
        put(b, 32, (len + 24).to_le_bytes());
        b.copy_within(host_preopen()..names() + len as usize, preopen(0));
    } => ImageError::NoPreopen;
    a_preopen_without_a_name: |b| b[preopen(1) + 4] = 0 => ImageError::PreopenName { preopen: 1 };
    a_preopen_with_a_name_outside: |b| put(b, preopen(1), [0xff; 4]) => ImageError::PreopenName {
        preopen: 1,
    };
    a_preopen_with_a_nul: |b| { let at = name_of(b, preopen(0)); b[at + 1] = 0 } =>
        ImageError::PreopenName { preopen: 0 };
    a_preopen_of_a_file: |b| b[preopen(1) + 8] = 1 => ImageError::PreopenInode { preopen: 1 };
    a_preopen_of_an_inode_that_is_not_there: |b| b[preopen(1) + 8] = 7 =>
        ImageError::PreopenInode { preopen: 1 };

    a_host_preopen_without_a_name: |b| b[host_preopen() + 8] = 0 => ImageError::HostPreopen {
        preopen: 0,
    };
    a_host_preopen_with_a_name_outside: |b| put(b, host_preopen(), [0xff; 4]) =>
        ImageError::HostPreopen { preopen: 0 };
    a_host_preopen_that_the_host_cannot_have: |b| b[host_preopen() + 10] = 0 =>
        ImageError::HostPreopen { preopen: 0 };
    a_host_preopen_of_the_host_outside: |b| put(b, host_preopen() + 4, [0xff; 4]) =>
        ImageError::HostPreopen { preopen: 0 };
    a_host_preopen_with_a_nul: |b| { let at = name_of(b, host_preopen()); b[at] = 0 } =>
        ImageError::HostPreopen { preopen: 0 };
    an_unknown_flag_of_a_host_preopen: |b| b[host_preopen() + 12] = 2 => ImageError::Reserved {
        offset: host_preopen() as u32,
    };

    a_stream_of_an_inode_that_is_not_there: |b| b[56] = 7 => ImageError::Stream { fd: 0 };
    a_stream_that_is_a_directory: |b| b[64] = 2 => ImageError::Stream { fd: 2 };
    a_stream_that_is_a_symbolic_link: |b| put(b, 60, 4u32.to_le_bytes()) => ImageError::Stream {
        fd: 1,
    };
    a_stream_to_a_read_only_file: |b| b[inode(3) + 1] = 2 => ImageError::Stream { fd: 2 };
    a_number_that_is_no_stream: |b| put(b, 60, (u32::MAX - 2).to_le_bytes()) =>
        ImageError::Stream { fd: 1 };
}

/// A step of building a tree. Nodes are chosen "modulo what exists".
#[derive(Clone, Debug)]
enum Step {
    Directory(usize, Vec<u8>, Meta),
    File(usize, Vec<u8>, Meta, Vec<u8>),
    Symlink(usize, Vec<u8>, Meta, Vec<u8>),
    Link(usize, Vec<u8>, usize),
    Device(usize, Vec<u8>, Device),
    ReadOnly(usize, bool),
    Limits(u64, u32),
    Preopen(Vec<u8>, usize),
    HostDirectory(Vec<u8>, Vec<u8>, bool),
    Access([Stream<usize>; 3], Clock, bool),
}

fn step() -> impl Strategy<Value = Step> {
    // So few names that they often meet.
    let name = || {
        prop_oneof![
            8 => prop::sample::select(vec![&b"a"[..], b"b", b"c", b"ab", b"\xff\xfe", b"..."])
                .prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(1u8.., 1..=255)
                .prop_map(|name| name.into_iter().map(|b| if b == b'/' { b'_' } else { b }).collect())
                .prop_filter("a name", |name: &Vec<u8>| is_name(name)),
        ]
    };
    let meta =
        || (any::<u64>(), any::<bool>()).prop_map(|(mtime, executable)| Meta { mtime, executable });
    let contents = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        (4090usize..4110).prop_map(|len| vec![b'z'; len]),
    ];
    let target = prop::collection::vec(1u8.., 1..30);
    let at = || any::<usize>();
    let stream = || {
        prop_oneof![
            Just(Stream::Host),
            Just(Stream::Closed),
            Just(Stream::Null),
            at().prop_map(Stream::File),
        ]
    };
    let clock = prop::sample::select(vec![
        Clock::Host,
        Clock::Denied,
        Clock::Fixed,
        Clock::Monotonic,
    ]);
    prop_oneof![
        3 => (at(), name(), meta()).prop_map(|(p, n, m)| Step::Directory(p, n, m)),
        3 => (at(), name(), meta(), contents).prop_map(|(p, n, m, c)| Step::File(p, n, m, c)),
        1 => (at(), name(), meta(), target.clone()).prop_map(|(p, n, m, t)| Step::Symlink(p, n, m, t)),
        2 => (at(), name(), at()).prop_map(|(p, n, e)| Step::Link(p, n, e)),
        1 => (at(), name(), prop::sample::select(DEVICES.map(|(_, device)| device).to_vec()))
            .prop_map(|(p, n, d)| Step::Device(p, n, d)),
        1 => (at(), any::<bool>()).prop_map(|(d, yes)| Step::ReadOnly(d, yes)),
        1 => (any::<u64>(), any::<u32>()).prop_map(|(b, i)| Step::Limits(b, i)),
        1 => (target.clone(), at()).prop_map(|(n, d)| Step::Preopen(n, d)),
        1 => (target.clone(), target, any::<bool>())
            .prop_map(|(n, h, ro)| Step::HostDirectory(n, h, ro)),
        1 => (stream(), stream(), stream(), clock, any::<bool>())
            .prop_map(|(i, o, e, clock, sockets)| Step::Access([i, o, e], clock, sockets)),
    ]
}

fn build(steps: Vec<Step>) -> ValidTree<Vec<u8>> {
    fn reached(tree: &Tree<Vec<u8>>) -> (Vec<NodeId>, Vec<NodeId>) {
        let (mut directories, mut others) = (vec![NodeId::ROOT], vec![]);
        let mut next = 0;
        while next < directories.len() {
            for (_, child) in tree.children(directories[next]).collect::<Vec<_>>() {
                if tree.is_directory(child) {
                    directories.push(child);
                } else {
                    others.push(child);
                }
            }
            next += 1;
        }
        (directories, others)
    }
    /// The paths of the regular files.
    fn files(tree: &Tree<Vec<u8>>, directory: NodeId, path: &[u8]) -> Vec<Vec<u8>> {
        let mut paths = Vec::new();
        for (name, child) in tree.children(directory) {
            let path = [path, b"/", name].concat();
            paths.extend(files(tree, child, &path));
            if let Contents::Regular { .. } = tree.contents(child) {
                paths.push(path);
            }
        }
        paths
    }
    let mut tree = Tree::new(PLAIN);
    let mut preopens = Vec::new();
    let mut access = ([Stream::Host; 3], Clock::Host, false);
    for step in steps {
        let (directories, others) = reached(&tree);
        let directory = |at: usize| directories[at % directories.len()];
        match step {
            Step::Directory(parent, name, meta) => {
                tree.add_directory(directory(parent), &name, meta).unwrap();
            }
            Step::File(parent, name, meta, contents) => {
                let len = contents.len() as u64;
                tree.add_file(directory(parent), &name, meta, len, contents)
                    .unwrap();
            }
            Step::Symlink(parent, name, meta, target) => {
                tree.add_symlink(directory(parent), &name, meta, &target)
                    .unwrap();
            }
            Step::Link(parent, name, existing) if !others.is_empty() => {
                let existing = others[existing % others.len()];
                tree.add_link(directory(parent), &name, existing).unwrap();
            }
            Step::Link(..) => {}
            Step::Device(parent, name, device) => {
                tree.add_device(directory(parent), &name, PLAIN, device)
                    .unwrap();
            }
            Step::ReadOnly(at, yes) => tree.set_read_only(directory(at), yes),
            Step::Limits(bytes, inodes) => tree.set_limits(Limits { bytes, inodes }),
            Step::Preopen(name, at) => preopens.push((name, at)),
            Step::HostDirectory(name, host, read_only) => {
                tree.add_host_directory(&name, &host, read_only).unwrap();
            }
            Step::Access(streams, clock, sockets) => access = (streams, clock, sockets),
        }
    }
    let (streams, clock, sockets) = access;
    let files = files(&tree, NodeId::ROOT, b"");
    tree.set_access(Access {
        streams: streams.map(|stream| match stream {
            Stream::File(_) if files.is_empty() => Stream::Null,
            stream => stream.map(|at| files[at % files.len()].clone().into()),
        }),
        clock,
        sockets,
    });
    let (directories, _) = reached(&tree);
    for (name, at) in preopens {
        tree.add_preopen(&name, directories[at % directories.len()])
            .unwrap();
    }
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    if let Err(TreeError::ReadOnlyStream { .. }) = tree.clone().validate() {
        tree.set_access(Access::default());
    }
    tree.validate().unwrap()
}

/// What is done to bytes that were an image.
#[derive(Clone, Debug)]
enum Harm {
    Byte(usize, u8),
    /// One byte becomes the like of another: plausible values in wrong places.
    Copy(usize, usize, usize),
    Increment(usize),
    Truncate(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let at = || any::<usize>();
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Harm::Byte(at, byte)),
        4 => (at(), at(), 1usize..16).prop_map(|(from, to, len)| Harm::Copy(from, to, len)),
        4 => at().prop_map(Harm::Increment),
        1 => at().prop_map(Harm::Truncate),
    ]
}

fn damage(bytes: &mut Vec<u8>, harms: &[Harm]) {
    for harm in harms {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match *harm {
            Harm::Byte(at, byte) => bytes[at % len] = byte,
            Harm::Copy(from, to, count) => {
                let (from, to) = (from % len, to % len);
                let count = count.min(len - from.max(to));
                bytes.copy_within(from..from + count, to);
            }
            Harm::Increment(at) => bytes[at % len] = bytes[at % len].wrapping_add(1),
            Harm::Truncate(at) => bytes.truncate(at % len),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_tree_comes_back(steps in prop::collection::vec(step(), 0..60)) {
        let valid = build(steps);
        let (tables, data) = emit(&valid);
        let image = Image::open(&tables).unwrap();
        fsck(image);
        prop_assert_eq!(image.inodes() as usize, valid.nodes().len());
        prop_assert_eq!(image.tables_len() as usize, tables.len());
        let tree = read(&tables, &data);
        prop_assert_eq!(listing(&tree), listing(valid.tree()));
        prop_assert_eq!(emit(&tree.validate().unwrap()), (tables, data));
    }

    #[test]
    fn damaged_images_are_refused_or_keep_the_rules(
        steps in prop::collection::vec(step(), 0..20),
        harms in prop::collection::vec(harm(), 1..4),
    ) {
        let (mut tables, _) = emit(&build(steps));
        damage(&mut tables, &harms);
        if let Ok(image) = Image::open(&tables) {
            fsck(image);
            let lines = Dump(image).to_string().lines().count();
            let streams = image.access().streams.into_iter();
            prop_assert_eq!(
                lines,
                2 + image.dirents_len() as usize
                    + image.preopens().len()
                    + image.host_directories().len()
                    + streams.filter(|stream| *stream != Stream::Host).count()
            );
            // Any valid image is a valid tree, whose contents at most are too long.
            let valid = image.to_tree(|_, _| ()).validate().unwrap();
            if let Ok(written) = write(&valid) {
                fsck(Image::open(&written.tables).unwrap());
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_keep_the_rules(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(image) = Image::open(&bytes) {
            fsck(image);
        }
    }
}
