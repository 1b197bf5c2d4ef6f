//! The fuzzers of images: hostile tables, and trees that are packed and read
//! back.

use monaka_vfs_core::Vfs;
use monaka_vfs_core::access::Stream;
use monaka_vfs_core::extent::Piece;
use monaka_vfs_core::image::{
    Contents, Dirent, Dump, Glance, Image, Meta, NodeId, Tree, ValidTree, write,
};
use monaka_vfs_core::inode::{Ino, SeenKind};
use monaka_vfs_core::memfs::Memfs;

use crate::native::{Native, ROOT, meta};

/// Files with more contents than this are not mounted: it takes their memory.
const DATA_MAX: u64 = 1 << 20;

/// Invariants under test: opening hostile tables never panics, nor does a look
/// at single records, which finds in sound tables what is there; what was opened
/// can be walked, dumped, mounted, listed, and turned into a tree that gives the
/// same image again.
pub fn image(bytes: &[u8]) {
    let checked = Image::open(bytes);
    match Glance::open(bytes) {
        Ok(image) => glance(image, checked.ok()),
        Err(_) => assert!(checked.is_err(), "a glance asks for more than all rules"),
    }
    let Ok(image) = checked else {
        return;
    };
    assert_eq!(image.tables_len() as usize, bytes.len());
    let lines = Dump(image).to_string().lines().count();
    let streams = image.access().streams.into_iter();
    let others = image.preopens().len()
        + image.host_directories().len()
        + streams.filter(|stream| *stream != Stream::Host).count();
    let expected = 2 + others + image.dirents_len() as usize;
    assert_eq!(lines, expected, "a line for each dirent");
    if image.data_len() <= DATA_MAX {
        let data = vec![0; image.data_len() as usize];
        let fs = Memfs::mount(&image, &data).expect("a checked image can be mounted");
        fs.check_invariants();
        assert_eq!(fs.inodes().count(), image.inodes() as usize);
        list(&image, &data);
    }
    let tree = image.to_tree(|start, size| (start, size)).validate();
    let tree = tree.expect("a checked image is a valid tree");
    let written = write(&tree).expect("and can be written");
    let again = Image::open(&written.tables).expect("and read again");
    assert_eq!(again.inodes(), image.inodes());
    assert_eq!(again.dirents_len(), image.dirents_len());
    // Not by number: the inodes may have been numbered otherwise.
    let streams = |image: Image<'_>| {
        let streams = image.access().streams;
        streams.map(|stream| stream.map(|inode| image.inode(inode).meta))
    };
    assert_eq!(streams(again), streams(image));
    assert!(again.host_directories().eq(image.host_directories()));
}

/// Looks at every record on its own. Where the whole keeps all rules, `sound` is
/// it, and each look must answer the same.
fn glance(image: Glance<'_>, sound: Option<Image<'_>>) {
    assert_eq!(image.check().is_ok(), sound.is_some());
    let mut links = vec![0; image.inodes() as usize];
    links[0] = 1;
    for inode in 0..image.inodes() {
        let found = image.inode(inode);
        if let Some(sound) = sound {
            assert_eq!(found, Ok(sound.inode(inode)));
        }
        let Ok(entries) = image.dirents(inode) else {
            assert!(sound.is_none());
            continue;
        };
        for entry in entries {
            let Ok(Dirent { name, inode: child }) = entry else {
                assert!(sound.is_none());
                continue;
            };
            links[child as usize] += 1;
            let found = image.child(inode, name);
            assert!(sound.is_none() || found == Ok(Some(child)));
        }
    }
    let counts = image.link_counts();
    if let Some(sound) = sound {
        assert_eq!(counts.unwrap_or_else(|| vec![1; links.len()]), links);
        for inode in 0..sound.inodes() {
            let absent = image.child(inode, b"no such name, as far as one can know");
            assert_eq!(absent, Ok(None));
        }
    }
}

/// Lists every preopened directory as a program does, and compares with the
/// image.
fn list(image: &Image<'_>, data: &[u8]) {
    const BUFFER: u32 = 1024;
    const LEN: u32 = 600;
    const OUT: u32 = 64;
    let mut home = Native::new(4096);
    let mut vfs = Vfs::mount(image, data, false).expect("a checked image can be mounted");
    for (fd, preopen) in (ROOT..).zip(image.preopens()) {
        let dots = [&b"."[..], b".."];
        let entries = image.dirents(preopen.inode).map(|dirent| dirent.name);
        let mut expected = dots.into_iter().chain(entries);
        let mut cookie = 0;
        loop {
            vfs.fd_readdir(&mut home, fd, BUFFER, LEN, cookie, OUT)
                .expect("a preopened directory can be listed");
            let used = u32_at(&home, OUT);
            let mut at = BUFFER;
            while at + 24 <= BUFFER + used {
                let end = at + 24 + u32_at(&home, at + 16);
                if end > BUFFER + used {
                    break;
                }
                let name = &home.memory[at as usize + 24..end as usize];
                assert_eq!(Some(name), expected.next());
                cookie = u64::from(u32_at(&home, at));
                at = end;
            }
            if used < LEN {
                break;
            }
        }
        assert_eq!(expected.next(), None, "all are listed");
    }
    vfs.check_invariants();
}

fn u32_at(home: &Native, at: u32) -> u32 {
    let bytes = &home.memory[at as usize..][..4];
    u32::from_le_bytes(bytes.try_into().expect("4 bytes"))
}

/// Invariants under test: a tree comes back from its image as it was, gives the
/// same bytes again, and is what is mounted; and an image of which bytes were
/// changed is refused or as good as any.
///
/// The input is steps that build the tree, a zero, and changes to the image's
/// bytes: where (two bytes) and what is added.
pub fn roundtrip(bytes: &[u8]) {
    let mut input = bytes;
    let mut tree = build(&mut input);
    if tree.preopens().len() == 0 {
        tree.add_preopen(b"/", NodeId::ROOT).expect("a valid name");
    }
    let Ok(valid) = tree.validate() else {
        // A preopened directory was replaced.
        return;
    };
    let (mut tables, data) = emit(&valid);
    let image = Image::open(&tables).expect("what was written can be read");
    let again = image.to_tree(|start, len| data[start as usize..][..len as usize].to_vec());
    let again = again.validate().expect("and is valid");
    let before: Vec<_> = Walk::of(valid.tree()).collect();
    assert_eq!(Walk::of(again.tree()).collect::<Vec<_>>(), before);
    assert!(
        emit(&again) == (tables.clone(), data.clone()),
        "the same tree gives the same bytes"
    );
    let mut fs = Memfs::mount(&image, &data).expect("and can be mounted");
    fs.check_invariants();
    for (node, ino) in Walk::of(valid.tree()).zip(mounted(&fs)) {
        same(valid.tree(), &fs, node.node, ino);
        fs.own(ino).expect("there is memory");
        same(valid.tree(), &fs, node.node, ino);
    }
    fs.check_invariants();
    list(&image, &data);

    for change in input.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % tables.len();
        tables[at] = tables[at].wrapping_add(change[2]);
    }
    self::image(&tables);
}

/// Builds a tree; stops behind a zero. What a tree refuses is left out of it.
fn build(input: &mut &[u8]) -> Tree<Vec<u8>> {
    let mut tree = Tree::new(meta());
    let mut nodes = vec![NodeId::ROOT];
    while let Some((&step, rest)) = input.split_first() {
        *input = rest;
        if step == 0 {
            break;
        }
        let mut byte = || {
            let (first, rest) = input.split_first().unwrap_or((&0, &[]));
            *input = rest;
            *first
        };
        let parent = nodes[usize::from(byte()) % nodes.len()];
        let number = byte();
        let name_len = usize::from(byte() % 16);
        let (name, rest) = input.split_at(name_len.min(input.len()));
        *input = rest;
        let name = match name.split_last() {
            // So that names of every length occur.
            Some((0xff, first)) => [first, &[b'n'; 249]].concat(),
            _ => name.to_vec(),
        };
        let meta = Meta {
            mtime: u64::from(number) << (step % 57),
            executable: step & 8 != 0,
        };
        let added = match step % 6 {
            0 => tree.add_directory(parent, &name, meta),
            1 | 2 => {
                let len = usize::from(number) * if step % 6 == 1 { 1 } else { 67 };
                let contents = vec![step; len];
                tree.add_file(parent, &name, meta, len as u64, contents)
            }
            3 => tree.add_symlink(parent, &name, meta, &name.repeat(1 + usize::from(number))),
            4 => {
                let existing = nodes[usize::from(number) % nodes.len()];
                tree.add_link(parent, &name, existing).map(|()| existing)
            }
            _ => {
                let done = if tree.is_directory(parent) {
                    tree.add_preopen(&name, parent)
                } else {
                    Ok(())
                };
                done.map(|()| parent)
            }
        };
        nodes.extend(added);
    }
    tree
}

fn emit(valid: &ValidTree<Vec<u8>>) -> (Vec<u8>, Vec<u8>) {
    let written = write(valid).expect("a small tree can be written");
    let mut data = vec![0; written.data_len as usize];
    for content in &written.contents {
        data[content.offset as usize..][..content.len as usize].copy_from_slice(content.source);
    }
    (written.tables, data)
}

/// A tree as a sequence, depth first and by name.
struct Walk<'t> {
    tree: &'t Tree<Vec<u8>>,
    open: Vec<(Vec<u8>, NodeId)>,
    seen: Vec<NodeId>,
}

/// One name of a tree.
#[derive(Debug)]
struct Named<'t> {
    path: Vec<u8>,
    /// How many other nodes were named before this one was.
    first: usize,
    node: NodeId,
    meta: Meta,
    contents: Contents<'t, Vec<u8>>,
}

/// Nodes are numbered as a tree was built, so they are not compared.
impl PartialEq for Named<'_> {
    fn eq(&self, other: &Self) -> bool {
        let all = |n: &Self| (n.path.clone(), n.first, n.meta);
        all(self) == all(other) && self.contents == other.contents
    }
}

impl<'t> Walk<'t> {
    fn of(tree: &'t Tree<Vec<u8>>) -> Walk<'t> {
        Walk {
            tree,
            open: vec![(Vec::new(), NodeId::ROOT)],
            seen: Vec::new(),
        }
    }
}

impl<'t> Iterator for Walk<'t> {
    type Item = Named<'t>;

    fn next(&mut self) -> Option<Named<'t>> {
        let (path, node) = self.open.pop()?;
        let first = self.seen.iter().position(|&n| n == node);
        let first = first.unwrap_or_else(|| {
            self.seen.push(node);
            self.seen.len() - 1
        });
        let children: Vec<_> = self.tree.children(node).collect();
        for (name, child) in children.into_iter().rev() {
            self.open.push(([&path, &b"/"[..], name].concat(), child));
        }
        Some(Named {
            path,
            first,
            node,
            meta: self.tree.meta(node),
            contents: self.tree.contents(node),
        })
    }
}

/// The inodes of a file system in the order of [`Walk`].
fn mounted(fs: &Memfs<'_>) -> Vec<Ino> {
    let mut open = vec![Memfs::ROOT];
    let mut order = Vec::new();
    while let Some(ino) = open.pop() {
        order.push(ino);
        if let SeenKind::Directory(dir) = fs.inode(ino).kind() {
            let mut children: Vec<_> = dir.entries_from(0).map(|(_, child, _)| child).collect();
            children.reverse();
            open.extend(children);
        }
    }
    order
}

/// Asserts that a mounted inode is what the tree's node is.
fn same(tree: &Tree<Vec<u8>>, fs: &Memfs<'_>, node: NodeId, ino: Ino) {
    let inode = fs.inode(ino);
    assert_eq!(inode.mtim(), tree.meta(node).mtime);
    assert_eq!(inode.executable(), tree.meta(node).executable);
    match (tree.contents(node), inode.kind()) {
        (Contents::Directory, SeenKind::Directory(dir)) => {
            let names = dir.entries_from(0).map(|(name, _, _)| name);
            assert!(tree.children(node).map(|(name, _)| name).eq(names));
        }
        (Contents::Regular { len, source, .. }, SeenKind::Regular(size)) => {
            assert_eq!(size, len);
            let Ok(data) = fs.file(ino) else {
                return;
            };
            assert_eq!(data.size(), len);
            let mut bytes = Vec::new();
            for piece in data.pieces(fs.image(), 0, u64::MAX) {
                match piece {
                    Piece::Bytes(stored) => bytes.extend_from_slice(stored),
                    Piece::Frame(part) => panic!("{part:?} of a file that was not compressed"),
                    Piece::Hole(len) => panic!("a packed file has a hole of {len} bytes"),
                }
            }
            assert!(&bytes == source, "contents");
        }
        (Contents::Symlink { target }, SeenKind::Symlink(mounted)) => {
            assert_eq!(target, mounted);
        }
        (contents, kind) => panic!("{contents:?} was mounted as {kind:?}"),
    }
}
