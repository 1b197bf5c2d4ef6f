//! Archives that nobody would make: random members with hostile names, then bytes
//! changed, cut off, moved and doubled.
//!
//! Whatever is in one: reading answers a tree or an error with a way out, and never
//! panics; nothing outside of the archive's place changes; every file's contents are
//! stretches of the archive or what was unpacked, within what is allowed. An error names
//! the seed that makes the same archive again. (What reading takes of memory is measured
//! in `cli/tests/cli/hostile.rs`, on processes.)

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::*;

/// How many archives of each kind.
const CASES: u64 = 1500;

/// What an archive may unpack to.
const MOST: u64 = 1 << 20;

/// Random numbers of a seed (xorshift64).
struct Random(u64);

impl Random {
    fn of(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end.max(1)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

const NAMES: [&[u8]; 24] = [
    b"a",
    b"b",
    b"d/f",
    b"d/e/g",
    b"./a",
    b"d/",
    b"/abs",
    b"//abs//x",
    b"..",
    b"../out",
    b"d/../../out",
    b"a/../b",
    b"",
    b".",
    b"/",
    b"l/x",
    b"l/../../y",
    b"\xff\xfe",
    b"n\0ul",
    b"new\nline",
    b".wh.a",
    b"d/.wh..wh..opq",
    b".wh.",
    b"keep",
];

fn name(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 => b"x".repeat(random.below(300)),
        1 => b"y/".repeat(random.below(60)),
        _ => random.pick(&NAMES).to_vec(),
    }
}

/// Headers of 512 bytes and contents, some of which lie.
fn tar(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.below(9) {
        let kind = random.pick(b"00000555521134678LKxgSZ");
        let data = match kind {
            b'L' | b'K' => name(random),
            b'x' | b'g' => {
                let key = random.pick(&["path", "linkpath", "size", "GNU.sparse.map", "mtime"]);
                let value = random.pick(&["../out", "l/x", "-1", "99999999999", "0,1,2", "\u{e9}"]);
                let line = format!(" {key}={value}\n");
                let len = line.len() + 2 + random.below(2);
                format!("{len}{line}").into_bytes()
            }
            b'0' | b'S' => vec![b'c'; random.below(1500)],
            _ => Vec::new(),
        };
        let size = match random.one_in(12) {
            true => random.next() >> random.below(64),
            false => data.len() as u64,
        };
        let mut header = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8], room: usize| {
            let len = bytes.len().min(room);
            header[at..at + len].copy_from_slice(&bytes[..len]);
        };
        put(0, &name(random), 100);
        put(100, b"0000755\0", 8);
        put(124, format!("{size:011o}").as_bytes(), 12);
        put(136, b"00000000007\0", 12);
        put(156, &[kind], 1);
        put(157, &name(random), 100);
        put(
            257,
            random.pick(&[&b"ustar\x0000"[..], b"ustar  \0", b""]),
            8,
        );
        put(345, random.pick(&[&b""[..], b"", b"prefix", b"../up"]), 155);
        sign(&mut header);
        out.extend(header);
        out.extend(&data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    if !random.one_in(4) {
        out.resize(out.len() + 1024, 0);
    }
    out
}

/// Sets the checksum of a header.
fn sign(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn zip(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    for _ in 0..random.below(6) {
        let (name, data) = (name(random), vec![b'c'; random.below(3000)]);
        let method = random.pick(&[
            rawzip::CompressionMethod::STORE,
            rawzip::CompressionMethod::DEFLATE,
        ]);
        let mode = random.pick(&[0o100_644, 0o100_755, 0o120_777, 0o40_755, 0o20_644, 0]);
        let path = rawzip::path::EntryPath::verbatim(&name[..]);
        let builder = archive.new_file(path).compression_method(method);
        let Ok((mut entry, config)) = builder.unix_permissions(mode).start() else {
            continue;
        };
        let descriptor = if method == rawzip::CompressionMethod::DEFLATE {
            let level = flate2::Compression::fast();
            let deflating = flate2::write::DeflateEncoder::new(&mut entry, level);
            let mut writer = config.wrap(deflating);
            writer.write_all(&data).unwrap();
            let (deflating, descriptor) = writer.finish().unwrap();
            deflating.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(&data).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

/// An image layout as a tar archive; what its descriptors say is mostly true.
fn oci(random: &mut Random) -> Vec<u8> {
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    let mut blob = |random: &mut Random, bytes: Vec<u8>, kind: &str| {
        let hex: String = (Sha256::digest(&bytes).iter())
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let size = bytes.len() + usize::from(random.one_in(15));
        let digest = match random.one_in(15) {
            true => "sha256:../../../etc/passwd".to_string(),
            false => format!("sha256:{hex}"),
        };
        members.push((format!("blobs/sha256/{hex}"), bytes));
        json!({ "mediaType": kind, "digest": digest, "size": size })
    };
    let mut layers = Vec::new();
    for _ in 0..random.below(4) {
        let mut layer = tar(random);
        if random.one_in(3) {
            damage(random, &mut layer);
        }
        if random.one_in(3) {
            layer = gzip(&layer);
        }
        let kind = random.pick(&[
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "text/plain",
        ]);
        layers.push(blob(random, layer, kind));
    }
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let config = blob(
        random,
        b"{}".into(),
        "application/vnd.oci.image.config.v1+json",
    );
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
    let mut manifest = manifest.to_string().into_bytes();
    if random.one_in(6) {
        damage(random, &mut manifest);
    }
    let manifest = blob(random, manifest, MANIFEST);
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    members.push(("index.json".into(), index.to_string().into_bytes()));
    let mut archive = ::tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Changes a few bytes, or where they are.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => {
                bytes.drain(at..(at + 1 + random.below(600)).min(bytes.len()));
            }
            2 => {
                let piece = bytes[at..(at + 512).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes[at] = random.pick(&[0, 0xff, 0x7f, b'9', b'-', b'/']),
            4 => {
                let end = (at + 8).min(bytes.len());
                bytes[at..end].fill(random.pick(&[0, 0xff]));
            }
            _ => bytes[at] ^= 1 << random.below(8),
        }
    }
}

/// Signs some headers anew, so that what was changed in them is looked at.
fn mend(random: &mut Random, bytes: &mut [u8]) {
    for header in bytes.chunks_exact_mut(512) {
        if header[257..].starts_with(b"ustar") && !random.one_in(4) {
            sign(header);
        }
    }
}

/// Scans an archive into a tree that holds something else already, and checks what
/// came of it; answers whether it was taken.
fn check(host: &Host, parse: fn(&OsStr) -> Mapping, bytes: &[u8]) -> bool {
    fs::write(host.path("archive"), bytes).unwrap();
    let mut tree = fresh();
    let keep = Source::Text(b"kept"[..].into());
    tree.add_file(NodeId::ROOT, b"keep", Meta::default(), 4, keep)
        .unwrap();
    tree.make_directories(b"/out", Meta::default()).unwrap();
    let choice = choice(&["--max-unpacked", &MOST.to_string()]);
    let mut scanner = Scanner::new(&choice, Progress::default());
    let mapping = parse(&argument("/in", &host.path("archive")));
    let scanned = scanner.scan(&mut tree, &mapping);
    if let Err(error) = &scanned {
        let found = error.downcast_ref::<ScanError>();
        let found = found.unwrap_or_else(|| panic!("an error without a way out: {error:#}"));
        assert!(!found.hint().is_empty());
    }
    let names = names(&tree);
    assert!(
        names
            .iter()
            .all(|name| [&b"in"[..], b"keep", b"out"].contains(name))
    );
    let [kept, out] = [b"/keep", &b"/out"[..]].map(|path| tree.lookup(path).unwrap());
    assert_eq!(contents(&tree, kept), b"kept");
    assert!(tree.children(out).next().is_none());
    let (mut open, mut nodes, mut total) = (Vec::from_iter(tree.lookup(b"/in")), 0, 0);
    while let Some(node) = open.pop() {
        nodes += 1;
        open.extend(tree.children(node).map(|(_, child)| child));
        if let Contents::Regular { len, source, .. } = tree.contents(node) {
            assert!(
                matches!(source, Source::Part(_) | Source::Text(_)),
                "{source:?}"
            );
            let mut copied = Vec::new();
            source.copy_to(len, &[], &mut copied).unwrap();
            total += copied.len() as u64;
        }
    }
    // Each name takes two bytes at least, and a link to a file makes it no longer.
    let most = bytes.len() as u64 + MOST;
    assert!(nodes <= 1 + most / 2, "{nodes} names");
    assert!(total <= most * nodes, "{total} bytes");
    if scanned.is_ok() {
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        tables(tree);
    }
    scanned.is_ok()
}

/// Makes and checks archives; some must be taken, and some refused.
fn hostile(make: impl Fn(&mut Random) -> Vec<u8>, parse: fn(&OsStr) -> Mapping) {
    let host = Host::new();
    let mut taken = 0;
    for seed in 0..CASES {
        let bytes = make(&mut Random::of(seed));
        let checked = catch_unwind(AssertUnwindSafe(|| check(&host, parse, &bytes)));
        match checked {
            Ok(was_taken) => taken += u64::from(was_taken),
            Err(panic) => {
                eprintln!("with the archive of seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(taken > CASES / 50 && taken < CASES, "{taken} of {CASES}");
}

#[test]
fn tar_archives_are_read_or_refused() {
    let make = |random: &mut Random| {
        let mut bytes = tar(random);
        if random.one_in(2) {
            damage(random, &mut bytes);
            mend(random, &mut bytes);
        }
        match random.below(6) {
            0 => bytes = gzip(&bytes),
            1 => bytes = zstd::encode_all(&bytes[..], 1).unwrap(),
            _ => return bytes,
        }
        if random.one_in(2) {
            damage(random, &mut bytes);
        }
        bytes
    };
    hostile(make, |argument| Mapping::of(Origin::Tar, argument).unwrap());
}

#[test]
fn zip_archives_are_read_or_refused() {
    let make = |random: &mut Random| {
        let mut bytes = zip(random);
        if !random.one_in(3) {
            damage(random, &mut bytes);
        }
        bytes
    };
    hostile(make, |argument| Mapping::of(Origin::Zip, argument).unwrap());
}

#[test]
fn container_images_are_read_or_refused() {
    let make = |random: &mut Random| {
        let mut bytes = oci(random);
        if random.one_in(3) {
            damage(random, &mut bytes);
            mend(random, &mut bytes);
        }
        bytes
    };
    hostile(make, |argument| Mapping::of(Origin::Oci, argument).unwrap());
}
