//! `--sbom`: the packed files and their hashes, as SPDX 2.3 in JSON.
//!
//! SPDX demands the SHA-1 of each file. The document depends on the packed tree
//! and on the time alone, so that it can be reproduced; its name in the world
//! is made of a hash of what it lists.

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Contents, NodeId, Tree};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::frames::Frames;
use crate::output;
use crate::progress::Bar;
use crate::shown::{Shown, Time, hex};

/// Lists all files of a tree that is packed as `name`. `copy` writes the
/// contents of one.
pub(crate) fn spdx<S>(
    tree: &Tree<S>,
    name: &str,
    made: u64,
    mut bar: Bar,
    mut copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut files: Vec<(Vec<u8>, String, String)> = Vec::new();
    let mut open = vec![(Vec::new(), NodeId::ROOT)];
    while let Some((path, node)) = open.pop() {
        for (name, child) in tree.children(node) {
            let path = [&path[..], b"/", name].concat();
            match tree.contents(child) {
                Contents::Directory => open.push((path, child)),
                Contents::Regular {
                    len,
                    stored,
                    source,
                } => {
                    let mut hashing = Hashing {
                        sha1: Sha1::new(),
                        sha256: Sha256::new(),
                        bar: &mut bar,
                    };
                    match stored {
                        None => copy(source, len, &mut hashing),
                        Some(stored) => {
                            let mut bytes = Vec::new();
                            copy(source, stored.into(), &mut bytes).and_then(|()| {
                                output::copy(&mut Frames::new(&bytes, len)?, &mut hashing)
                            })
                        }
                    }
                    .with_context(|| format!("cannot hash {}", Shown(&path)))?;
                    let sha1 = hex(&hashing.sha1.finalize());
                    let sha256 = hex(&hashing.sha256.finalize());
                    files.push((path, sha1, sha256));
                }
                Contents::Symlink { .. } | Contents::Device(_) => {}
            }
        }
    }
    files.sort_unstable();
    let document = document(&files, name, made);
    let mut json = serde_json::to_vec_pretty(&document)?;
    json.push(b'\n');
    Ok(json)
}

fn document(files: &[(Vec<u8>, String, String)], name: &str, made: u64) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let listed = files
        .iter()
        .enumerate()
        .map(|(index, (path, sha1, sha256))| {
            json!({
                "SPDXID": format!("SPDXRef-File-{}", index + 1),
                "fileName": format!(".{}", text(path)),
                "checksums": [
                    { "algorithm": "SHA1", "checksumValue": sha1 },
                    { "algorithm": "SHA256", "checksumValue": sha256 },
                ],
                "licenseConcluded": "NOASSERTION",
                "licenseInfoInFiles": ["NOASSERTION"],
                "copyrightText": "NOASSERTION",
            })
        });
    let listed: Vec<Value> = listed.collect();
    // As the standard has it: the hash of all files' hashes in order.
    let mut hashes: Vec<&str> = files.iter().map(|(_, sha1, _)| &sha1[..]).collect();
    hashes.sort_unstable();
    let verification = hex(&Sha1::digest(hashes.concat()));
    let created = Time::new(made).seconds();
    let relations = (1..=files.len()).map(|index| {
        json!({
            "spdxElementId": "SPDXRef-Package",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": format!("SPDXRef-File-{index}"),
        })
    });
    let described = json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-Package",
    });
    let relations: Vec<Value> = [described].into_iter().chain(relations).collect();
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": namespace(files, name, &created),
        "creationInfo": {
            "created": created,
            "creators": [format!("Tool: monaka-{version}")],
        },
        "packages": [{
            "SPDXID": "SPDXRef-Package",
            "name": name,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": true,
            "packageVerificationCode": { "packageVerificationCodeValue": verification },
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "NOASSERTION",
            "licenseInfoFromFiles": ["NOASSERTION"],
            "copyrightText": "NOASSERTION",
        }],
        "files": listed,
        "relationships": relations,
    })
}

/// A name that no other document has: a UUID of version 8, made of a hash.
fn namespace(files: &[(Vec<u8>, String, String)], name: &str, created: &str) -> String {
    let mut hash = Sha256::new();
    for (path, _, sha256) in files {
        hash.update(path);
        hash.update([0]);
        hash.update(sha256);
    }
    hash.update(name);
    hash.update([0]);
    hash.update(created);
    let mut bytes = hash.finalize();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let [a, b, c, d, e] = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| hex(&bytes[range]));
    format!("urn:uuid:{a}-{b}-{c}-{d}-{e}")
}

/// A path as SPDX has it: as it is where it is text, or else with escapes.
fn text(path: &[u8]) -> String {
    let text = std::str::from_utf8(path).map(str::to_owned);
    text.unwrap_or_else(|_| Shown(path).to_string())
}

/// Both hashes of what is written.
struct Hashing<'b> {
    sha1: Sha1,
    sha256: Sha256,
    bar: &'b mut Bar,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha1.update(bytes);
        self.sha256.update(bytes);
        self.bar.add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::image::Meta;
    use monaka_vfs_core::image::format::FRAME;

    use super::*;

    /// The hashes of the one file of a tree.
    fn listed(contents: &[u8], stored: Option<Vec<u8>>) -> Value {
        let mut tree = Tree::new(Meta::default());
        let bytes = stored.clone().unwrap_or(contents.to_vec());
        let len = contents.len() as u64;
        let meta = Meta::default();
        let file = tree.add_file(NodeId::ROOT, b"f", meta, len, bytes.clone());
        tree.set_source(
            file.unwrap(),
            stored.map(|stored| stored.len() as u32),
            bytes,
        );
        let bar = crate::progress::Progress::default().bytes("", None);
        let copy = |source: &Vec<u8>, len: u64, out: &mut dyn Write| {
            assert_eq!(len, source.len() as u64);
            Ok(out.write_all(source)?)
        };
        let text = spdx(&tree, "x", 0, bar, copy).unwrap();
        let document: Value = serde_json::from_slice(&text).unwrap();
        document["files"][0]["checksums"].clone()
    }

    #[test]
    fn compressed_files_are_listed_by_what_they_contain() {
        let contents: Vec<u8> = (0..150_000_u32).map(|n| (n / 700) as u8).collect();
        let pieces = contents.chunks(FRAME as usize);
        let pieces: Vec<_> = pieces
            .map(|piece| zstd::bulk::compress(piece, 1).unwrap())
            .collect();
        let mut at = 4 * (pieces.len() + 1);
        let mut stored = (at as u32).to_le_bytes().to_vec();
        for piece in &pieces {
            at += piece.len();
            stored.extend((at as u32).to_le_bytes());
        }
        stored.extend(pieces.concat());
        assert_eq!(listed(&contents, None), listed(&contents, Some(stored)));
    }
}
