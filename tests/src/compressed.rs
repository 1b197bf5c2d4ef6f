//! Compressed files, made otherwise than by `pack`.

use monaka_vfs_core::image::format::FRAME;
use monaka_vfs_core::image::{Contents, Tree};

/// How hard it tries.
const LEVEL: i32 = 3;

/// The frame of these bytes.
pub fn frame(contents: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(contents, LEVEL).expect("compress in memory")
}

/// These frames behind their table, as a compressed file is stored.
pub fn stored(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut place = 4 * (frames.len() as u32 + 1);
    let mut stored = place.to_le_bytes().to_vec();
    for frame in frames {
        place += frame.len() as u32;
        stored.extend_from_slice(&place.to_le_bytes());
    }
    stored.extend(frames.iter().flatten());
    stored
}

/// The tree with every file compressed that is not empty, whether it pays or not.
pub fn compressed(tree: Tree<Vec<u8>>) -> Tree<Vec<u8>> {
    let valid = tree.validate().expect("a valid tree");
    let nodes: Vec<_> = valid.nodes().collect();
    let mut tree = valid.into_tree();
    for node in nodes {
        let Contents::Regular {
            source,
            stored: None,
            ..
        } = tree.contents(node)
        else {
            continue;
        };
        if !source.is_empty() {
            let frames: Vec<_> = source.chunks(FRAME as usize).map(frame).collect();
            let stored = stored(&frames);
            tree.set_source(node, Some(stored.len() as u32), stored);
        }
    }
    tree
}

/// Whether the tests run over compressed images: `COMPRESSED=1`.
pub fn wanted() -> bool {
    std::env::var_os("COMPRESSED").is_some()
}
