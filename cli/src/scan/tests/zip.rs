//! Zip archives.

use std::io::Write as _;
use std::process::Command;

use super::tar::told;
use super::*;

/// A member of an archive in the making.
struct Member<'m> {
    name: &'m [u8],
    data: &'m [u8],
    mode: u32,
    deflate: bool,
}

fn file<'m>(name: &'m str, data: &'m str) -> Member<'m> {
    Member {
        name: name.as_bytes(),
        data: data.as_bytes(),
        mode: 0o100_644,
        deflate: false,
    }
}

fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    for member in members {
        let method = match member.deflate {
            true => rawzip::CompressionMethod::DEFLATE,
            false => rawzip::CompressionMethod::STORE,
        };
        let name = rawzip::path::EntryPath::verbatim(member.name);
        let builder = archive.new_file(name).compression_method(method);
        let (mut entry, config) = builder.unix_permissions(member.mode).start().unwrap();
        let descriptor = if member.deflate {
            let deflating =
                flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
            let mut writer = config.wrap(deflating);
            writer.write_all(member.data).unwrap();
            let (deflating, descriptor) = writer.finish().unwrap();
            deflating.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(member.data).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

fn of(path: &Path) -> Mapping {
    Mapping::of(Origin::Zip, &argument("/", path)).unwrap()
}

fn unpacked(bytes: &[u8], args: &[&str]) -> Result<(Tree<Source>, Vec<String>)> {
    let host = Host::new();
    fs::write(host.path("a.tar"), bytes).unwrap();
    let (mut tree, choice) = (fresh(), choice(args));
    let mut scanner = Scanner::new(&choice, Progress::default());
    scanner.scan(&mut tree, &of(&host.path("a.tar")))?;
    preopens(&mut tree, &[of(&host.path("a.tar"))])?;
    let warnings = scanner.finish().into_iter();
    let place = host.path("a.tar").display().to_string();
    let warnings = warnings.map(|warning| warning.replace(&place, "a.zip"));
    Ok((tree, warnings.collect()))
}

#[test]
fn an_archive_is_what_its_directory_is() {
    let host = Host::new();
    host.file("r/bin/tool", &"tool".repeat(1000))
        .file("r/a.txt", "hello");
    fs::set_permissions(host.path("r/bin/tool"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("bin/tool", host.path("r/link")).unwrap();
    fs::write(host.path("r").join(OsStr::from_bytes(b"\xff")), "").unwrap();
    host.at("r/bin", 1_700_000_001, 0)
        .at("r/a.txt", 1_700_000_003, 0);
    for entry in fs::read_dir(host.path("r")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.is_symlink() {
            let file = File::open(path).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_003))
                .unwrap();
        }
    }
    let mut zip = Command::new("zip");
    zip.args(["-q", "-r", "-y"])
        .arg(host.path("a.zip"))
        .arg(".");
    let Ok(status) = zip.current_dir(host.path("r")).status() else {
        eprintln!("zip is not installed: what it writes is not tested");
        return;
    };
    assert!(status.success());
    let (expected, _) = scanned(&[host.mapdir("/", "r")]);
    let (found, warnings) = scanned(&[of(&host.path("a.zip"))]);
    assert_eq!(warnings, [""; 0]);
    let at = |tree: &Tree<Source>| tree.lookup(b"/bin/tool").unwrap();
    assert!(contents(&expected, at(&expected)) == contents(&found, at(&found)));
    // zip keeps no time of a link to the nanosecond, and none of the root.
    let lines = |tree: Tree<Source>| -> Vec<String> {
        let lines = dump(tree).into_iter().skip(2);
        lines.filter(|line| !line.starts_with("/link")).collect()
    };
    assert_eq!(lines(found.clone()), lines(expected));
    let link = found.lookup(b"/link").unwrap();
    assert!(matches!(
        found.contents(link),
        Contents::Symlink {
            target: b"bin/tool"
        }
    ));
}

#[test]
fn members_are_confined_and_special_ones_passed_over() {
    let mut deflated = file("/etc/motd", "absolute");
    deflated.deflate = true;
    let mut link = file("lib", "etc");
    link.mode = 0o120_777;
    let mut pipe = file("pipe", "");
    pipe.mode = 0o010_644;
    let bytes = archive(&[
        deflated,
        link,
        file("lib/x", "through"),
        pipe,
        file("d/", ""),
    ]);
    let (tree, warnings) = unpacked(&bytes, &[]).unwrap();
    assert_eq!(warnings, ["a.zip: member pipe: a named pipe is not packed"]);
    for (path, expected) in [(&b"/etc/motd"[..], "absolute"), (b"/etc/x", "through")] {
        let node = tree.lookup(path).unwrap();
        assert_eq!(contents(&tree, node), expected.as_bytes());
    }
    assert!(tree.is_directory(tree.lookup(b"/d").unwrap()));
    let text = told(unpacked(&archive(&[file("a/../../b", "x")]), &[]));
    assert_eq!(text, "member a/../../b: its name has `..` in it");
}

#[test]
fn what_is_damaged_is_noticed() {
    let mut deflated = file("f", "some contents, some contents, some contents");
    deflated.deflate = true;
    let stored = file("f", "some contents");
    for bytes in [archive(&[deflated]), archive(&[stored])] {
        assert!(unpacked(&bytes, &[]).is_ok());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            // Names, times and attributes may be anything; contents may not.
            if let Ok((tree, _)) = unpacked(&damaged, &[])
                && let Some(node) = tree.lookup(b"/f")
                && !tree.is_directory(node)
                && let Contents::Regular { len, .. } = tree.contents(node)
            {
                let contents = contents(&tree, node);
                assert!(contents.starts_with(b"some contents"), "{at}: {len}");
            }
        }
        for len in 0..bytes.len() {
            let error = unpacked(&bytes[..len], &[]).expect_err("it is cut off");
            assert!(error.is::<ScanError>(), "{error}");
        }
    }
}

#[test]
fn what_cannot_be_unpacked_says_why() {
    let bytes = archive(&[file("f", "x")]);
    // Local and central header of the one member.
    let headers = [0, memchr::memmem::find(&bytes, b"PK\x01\x02").unwrap() + 2];
    let mut encrypted = bytes.clone();
    let mut bzip2 = bytes.clone();
    for at in headers {
        encrypted[at + 6] |= 1;
        bzip2[at + 8] = 12;
    }
    assert_eq!(told(unpacked(&encrypted, &[])), "member f: it is encrypted");
    assert_eq!(
        told(unpacked(&bzip2, &[])),
        "member f: it is compressed by method 12 (BZIP2)"
    );
    let text = told(unpacked(b"no archive at all", &[]));
    assert!(text.starts_with("it is no zip archive: "), "{text}");
}

#[test]
fn a_bomb_is_not_unpacked() {
    let zeros = "\0".repeat(4 << 20);
    let mut bomb = file("f", &zeros);
    bomb.deflate = true;
    let bytes = archive(&[bomb]);
    assert!(unpacked(&bytes, &["--max-unpacked", "4M"]).is_ok());
    let text = told(unpacked(&bytes, &["--max-unpacked", "1M"]));
    assert_eq!(text, "it unpacks to more than 1048576 bytes");
}
