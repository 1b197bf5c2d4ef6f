//! Tar archives: what survives, what is confined and what is refused.

use std::io::Write as _;
use std::process::Command;

use ::tar::{Builder, EntryType, Header};

use super::*;

/// An archive in the making.
pub(super) struct Archive(Builder<Vec<u8>>);

impl Archive {
    pub(super) fn new() -> Archive {
        Archive(Builder::new(Vec::new()))
    }

    /// Adds a member whose name is taken as it is.
    pub(super) fn raw(mut self, kind: EntryType, name: &[u8], link: &[u8], data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(7);
        header.set_size(data.len() as u64);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name);
        gnu.linkname[..link.len()].copy_from_slice(link);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    pub(super) fn file(self, name: &str, data: &str) -> Self {
        self.raw(EntryType::Regular, name.as_bytes(), b"", data.as_bytes())
    }

    pub(super) fn directory(self, name: &str) -> Self {
        self.raw(EntryType::Directory, name.as_bytes(), b"", b"")
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
    }

    pub(super) fn link(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Link, name.as_bytes(), target.as_bytes(), b"")
    }

    /// Puts pax headers before the next member.
    pub(super) fn pax(mut self, headers: &[(&str, &[u8])]) -> Self {
        let headers = headers.iter().copied();
        self.0.append_pax_extensions(headers).unwrap();
        self
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn of(path: &Path) -> Mapping {
    Mapping::of(Origin::Tar, &argument("/", path)).unwrap()
}

/// The tree of an archive, and what was said.
fn unpacked(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>)> {
    let host = Host::new();
    fs::write(host.path("a.tar"), bytes).unwrap();
    let (mut tree, choice) = (fresh(), Choice::default());
    let mut scanner = Scanner::new(&choice, Progress::default());
    scanner.scan(&mut tree, &of(&host.path("a.tar")))?;
    preopens(&mut tree, &[of(&host.path("a.tar"))])?;
    let warnings = scanner.finish().into_iter();
    let place = host.path("a.tar").display().to_string();
    let warnings = warnings.map(|warning| warning.replace(&place, "a.tar"));
    Ok((dump(tree), warnings.collect()))
}

/// What stands in an error but for where the archive is.
pub(super) fn told<T>(result: Result<T>) -> String {
    let error = result.err().expect("it should have failed");
    let found = error
        .downcast_ref::<ScanError>()
        .expect("an error with a way out");
    assert!(!found.hint().is_empty());
    let text = error.to_string();
    text.split_once("a.tar: ")
        .map_or(text.clone(), |(_, text)| text.into())
}

/// Compresses with the crates that also inflate, or with the system's command.
fn compressed(bytes: &[u8], how: &str) -> Option<Vec<u8>> {
    Some(match how {
        "gzip" => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }
        "zstd" => zstd::encode_all(bytes, 3).unwrap(),
        command => {
            let host = Host::new();
            fs::write(host.path("f"), bytes).unwrap();
            let output = Command::new(command).arg("-c").arg(host.path("f")).output();
            let output = output.ok()?;
            assert!(output.status.success(), "{command}");
            output.stdout
        }
    })
}

#[test]
fn an_archive_is_what_its_directory_is() {
    let host = Host::new();
    host.file("r/bin/tool", "tool").file("r/a.txt", "hello");
    host.file(&format!("r/{0}/{0}/{0}", "long".repeat(40)), "deep");
    fs::set_permissions(host.path("r/bin/tool"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::hard_link(host.path("r/bin/tool"), host.path("r/tool2")).unwrap();
    symlink("../no\nwhere", host.path("r/link")).unwrap();
    symlink("x".repeat(300), host.path("r/long-link")).unwrap();
    fs::write(host.path("r").join(OsStr::from_bytes(b"\xff")), "").unwrap();
    let sparse = File::create(host.path("r/sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 500_000).unwrap();
    let (expected, _) = scanned(&[host.mapdir("/", "r")]);
    let at = expected.lookup(b"/sparse").unwrap();
    let sparse = contents(&expected, at);
    let expected = dump(expected);
    let seconds = |lines: &[String]| -> Vec<String> {
        let whole = |line: &String| match line.split_once('.') {
            Some((before, after)) if line.contains(" size=") || after.len() > 9 => {
                let digits = after.trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{before}{digits}")
            }
            _ => line.clone(),
        };
        lines.iter().map(whole).collect()
    };

    let mut tried = 0;
    for (format, nanos) in [
        (&["--format=posix"][..], true),
        (
            &["--format=posix", "--sparse", "--sparse-version=0.0"],
            true,
        ),
        (
            &["--format=posix", "--sparse", "--sparse-version=0.1"],
            true,
        ),
        (
            &["--format=posix", "--sparse", "--sparse-version=1.0"],
            true,
        ),
        (&["--format=gnu"], false),
        (&["--format=gnu", "--sparse"], false),
    ] {
        let mut tar = Command::new("tar");
        tar.args(format).arg("-cf").arg(host.path("a.tar"));
        let Ok(status) = tar.arg("-C").arg(host.path("r")).arg(".").status() else {
            break;
        };
        assert!(status.success());
        let bytes = fs::read(host.path("a.tar")).unwrap();
        for packing in ["", "gzip", "zstd", "xz"] {
            let Some(bytes) = (match packing {
                "" => Some(bytes.clone()),
                packing => compressed(&bytes, packing),
            }) else {
                continue;
            };
            fs::write(host.path("a.tar"), &bytes).unwrap();
            let (tree, warnings) = scanned(&[of(&host.path("a.tar"))]);
            assert_eq!(warnings, [""; 0]);
            let node = tree.lookup(b"/sparse").unwrap();
            assert!(contents(&tree, node) == sparse, "{format:?} {packing}");
            let found = dump(tree);
            match nanos {
                true => assert_eq!(found, expected, "{format:?} {packing}"),
                false => assert_eq!(seconds(&found), seconds(&expected), "{format:?} {packing}"),
            }
            tried += 1;
        }
    }
    assert!(tried > 0 || Command::new("tar").output().is_err());
}

#[test]
fn members_land_below_the_guest_path() {
    let archive = Archive::new()
        .file("/etc//./motd", "absolute")
        .symlink("lib", "usr/lib")
        .directory("usr/lib")
        .file("lib/a", "through a link")
        .symlink("out", "/../../usr")
        .file("out/b", "through one that leads out")
        .link("hard", "/lib/a");
    let (lines, warnings) = unpacked(&archive.bytes()).unwrap();
    assert_eq!(warnings, [""; 0]);
    let paths: Vec<_> = lines[1..]
        .iter()
        .map(|line| line.split(" 7.").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "/ directory",
            "/etc directory",
            "/etc/motd file",
            "/hard file",
            "/lib symlink",
            "/out symlink",
            "/usr directory",
            "/usr/b file",
            "/usr/lib directory",
            "/usr/lib/a hardlink /hard",
        ]
    );
}

#[test]
fn what_would_land_elsewhere_is_refused() {
    let many = (0..50).fold(Archive::new(), |archive, n| {
        archive.symlink(&format!("l{n}"), &format!("l{}", n + 1))
    });
    let long = "d/".repeat(2048);
    let deep = Archive::new()
        .pax(&[("path", long.as_bytes())])
        .file("f", "x");
    for (archive, expected) in [
        (
            Archive::new().file("a/../b", "x"),
            "member a/../b: its name has `..` in it",
        ),
        (
            Archive::new().file("../b", "x"),
            "member ../b: its name has `..` in it",
        ),
        (
            Archive::new()
                .symlink("etc", "/outside")
                .file("etc/passwd", "x"),
            "member etc/passwd: etc leads nowhere within the archive",
        ),
        (
            Archive::new().file("f", "x").file("f/g", "y"),
            "member f/g: f does not lead to a directory",
        ),
        (
            Archive::new()
                .symlink("a", "b")
                .symlink("b", "a")
                .file("a/f", "x"),
            "member a/f: symbolic links lead in a circle at a",
        ),
        (
            many.file("l0/f", "x"),
            "member l0/f: symbolic links lead in a circle at l0",
        ),
        (
            Archive::new().link("h", "gone"),
            "member h: it is a hard link to gone, which is not before it in the archive",
        ),
        (
            Archive::new().link("h", "../../etc/passwd"),
            "member h: its name has `..` in it",
        ),
        (
            Archive::new().directory("d").link("h", "d"),
            "member h: it is a hard link to the directory d",
        ),
        (Archive::new().file(".", "x"), "member .: it has no name"),
        (
            Archive::new().symlink("s", ""),
            "member s: symbolic link `s`: target `` is not 1 to 4095 bytes without NUL",
        ),
        (
            Archive::new().raw(EntryType::new(b'M'), b"f", b"", b"x"),
            "member f: it began in another volume of the archive",
        ),
        (deep, "its path is longer than 4095 bytes"),
    ] {
        let text = told(unpacked(&archive.bytes()));
        assert!(text.ends_with(expected), "{text}\n{expected}");
    }
}

#[test]
fn the_later_member_wins_and_special_files_are_passed_over() {
    let archive = Archive::new()
        .file("f", "old")
        .file("f", "newer")
        .directory("d")
        .file("d/below", "x")
        .file("d", "instead of it")
        .raw(EntryType::Char, b"null", b"", b"")
        .raw(EntryType::Block, b"disk", b"", b"")
        .raw(EntryType::Fifo, b"pipe", b"", b"")
        .raw(EntryType::new(b'V'), b"label", b"", b"")
        .raw(EntryType::Continuous, b"contiguous", b"", b"x")
        .raw(EntryType::Regular, b"v7/", b"", b"");
    let (lines, warnings) = unpacked(&archive.bytes()).unwrap();
    assert_eq!(
        warnings,
        [
            "a.tar: member null: a device is not packed",
            "a.tar: member disk: a device is not packed",
            "a.tar: member pipe: a named pipe is not packed",
        ]
    );
    assert_eq!(
        lines[1..],
        [
            "/ directory 7.000000000 1",
            "/contiguous file 7.000000000 1 size=1 start=0",
            "/d file 7.000000000 1 size=13 start=8",
            "/f file 7.000000000 1 size=5 start=24",
            "/v7 directory 7.000000000 1",
        ]
    );
}

#[test]
fn times_are_kept_to_the_nanosecond_and_do_not_precede_1970() {
    for (mtime, expected) in [
        (&b"1700000000.123456789"[..], "1700000000.123456789"),
        (b"1700000000.1", "1700000000.100000000"),
        (b"1700000000.12345678901", "1700000000.123456789"),
        (b"12", "12.000000000"),
        (b"-1.5", "0.000000000"),
        // What is no time leaves the header's.
        (b"soon", "7.000000000"),
    ] {
        let archive = Archive::new().pax(&[("mtime", mtime)]).file("f", "");
        let (lines, _) = unpacked(&archive.bytes()).unwrap();
        assert_eq!(lines[2], format!("/f file {expected} 1 size=0 start=0"));
    }
}

#[test]
fn a_bomb_is_not_unpacked() {
    let zeros = vec![0; 4 << 20];
    let bytes = compressed(
        &Archive::new()
            .file("zeros", "")
            .raw(EntryType::Regular, b"f", b"", &zeros)
            .bytes(),
        "gzip",
    );
    let host = Host::new();
    fs::write(host.path("a.tar"), bytes.unwrap()).unwrap();
    for (max, fits) in [("1M", false), ("8M", true)] {
        let choice = choice(&["--max-unpacked", max]);
        let mut scanner = Scanner::new(&choice, Progress::default());
        let result = scanner.scan(&mut fresh(), &of(&host.path("a.tar")));
        match fits {
            true => result.unwrap(),
            false => assert_eq!(told(result), "it unpacks to more than 1048576 bytes"),
        }
    }
    // A hole costs the archive nothing.
    let map = format!("0,1,{},0", 1_u64 << 40);
    let archive = Archive::new()
        .pax(&[
            ("GNU.sparse.size", (1_u64 << 40).to_string().as_bytes()),
            ("GNU.sparse.map", map.as_bytes()),
        ])
        .file("holes", "x");
    let text = told(unpacked(&archive.bytes()));
    assert_eq!(text, "it unpacks to more than 2147483648 bytes");
}

#[test]
fn maps_of_holes_are_not_believed() {
    for (headers, data) in [
        (
            &[("GNU.sparse.size", &b"10"[..]), ("GNU.sparse.map", b"0,20")][..],
            &b"x"[..],
        ),
        (
            &[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"5,2,4,2")],
            b"abcd",
        ),
        (
            &[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"5")],
            b"abcd",
        ),
        (
            &[
                ("GNU.sparse.size", b"10"),
                ("GNU.sparse.map", b"18446744073709551615,9"),
            ],
            b"abcd",
        ),
        (
            &[("GNU.sparse.size", b"10"), ("GNU.sparse.numbytes", b"1")],
            b"abcd",
        ),
        (&[("GNU.sparse.size", b"x")], b"abcd"),
        (
            &[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"10")],
            &[b'9'; 512],
        ),
        (
            &[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"10")],
            b"1\n0\n4\n",
        ),
    ] {
        let mut padded = data.to_vec();
        padded.resize(data.len().next_multiple_of(512), 0);
        for data in [data, &padded] {
            let archive = Archive::new().pax(headers);
            let archive = archive.raw(EntryType::Regular, b"f", b"", data);
            if let Err(error) = unpacked(&archive.bytes()) {
                let text = told::<()>(Err(error));
                assert!(
                    text.starts_with("damaged at member f: "),
                    "{headers:?} {text}"
                );
            } else {
                // With zeros behind it that map is in order.
                assert_eq!(headers[0].0, "GNU.sparse.major", "{headers:?}");
            }
        }
    }
}

#[test]
fn an_archive_that_is_cut_off_is_noticed() {
    let whole = Archive::new()
        .file("one", &"1".repeat(1000))
        .file("two", &"2".repeat(1000));
    let whole = whole.bytes();
    for packing in ["", "gzip", "zstd"] {
        let bytes = match packing {
            "" => whole.clone(),
            packing => compressed(&whole, packing).unwrap(),
        };
        let near = |len: &usize| matches!(len % 512, 0 | 1 | 511) || len.is_multiple_of(61);
        for len in (0..bytes.len() - 1).filter(near) {
            let cut = unpacked(&bytes[..len]);
            let is_noticed = match &cut {
                Err(error) => error.is::<ScanError>(),
                Ok((_, warnings)) => warnings
                    .iter()
                    .any(|text| text.contains("without an end mark")),
            };
            // The second block of the mark may be missing.
            let is_mark = packing.is_empty() && len >= bytes.len() - 512;
            assert!(is_noticed || is_mark, "{packing} {len}: {cut:?}");
        }
    }
}

#[test]
fn damaged_bytes_are_an_error_or_another_archive() {
    let archive = Archive::new()
        .directory("d")
        .pax(&[
            ("mtime", b"1.5"),
            ("GNU.sparse.size", b"9"),
            ("GNU.sparse.map", b"0,1,5,2"),
        ])
        .file("d/f", "abc")
        .symlink("l", "d")
        .link("l/h", "d/f");
    let bytes = archive.bytes();
    for at in (0..bytes.len()).filter(|&at| bytes[at] != 0) {
        for flip in [0x01, 0x80, bytes[at]] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            if let Err(error) = unpacked(&damaged) {
                assert!(error.is::<ScanError>(), "byte {at}: {error:#}");
            }
        }
    }
}

#[test]
fn what_is_no_tar_archive_says_what_it_is() {
    for (bytes, expected) in [
        (&b""[..], "it is no tar archive: it is empty"),
        (
            b"BZh91AY",
            "it is no tar archive: it is compressed with bzip2, which monaka does not read",
        ),
        (&[b'x'; 1024], "it is no tar archive: "),
        (b"PK\x03\x04", "it is no tar archive: "),
    ] {
        let text = told(unpacked(bytes));
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn long_headers_are_refused_before_they_fill_the_memory() {
    let name = vec![b'n'; 3 << 20];
    for kind in [b'L', b'K', b'x'] {
        let archive = Archive::new().raw(EntryType::new(kind), b"././@LongLink", b"", &name);
        let bytes = archive.file("f", "").bytes();
        for bytes in [compressed(&bytes, "gzip").unwrap(), bytes] {
            let text = told(unpacked(&bytes));
            assert!(text.contains("its headers are too long"), "{text}");
        }
    }
}

#[test]
fn a_directory_without_a_member_of_its_own_keeps_what_is_there() {
    let host = Host::new();
    host.file("r/etc/f", "x").at("r/etc", 3, 0).at("r", 3, 0);
    fs::write(
        host.path("a.tar"),
        Archive::new().file("etc/g", "y").bytes(),
    )
    .unwrap();
    let (tree, _) = scanned(&[host.mapdir("/", "r"), of(&host.path("a.tar"))]);
    assert_eq!(
        dump(tree)[1..],
        [
            "/ directory 3.000000000 1",
            "/etc directory 3.000000000 1",
            "/etc/f file 7.000000000 1 size=1 start=0",
            "/etc/g file 7.000000000 1 size=1 start=8",
        ]
    );
}

#[test]
fn an_archive_that_changed_is_refused_when_it_is_copied() {
    let host = Host::new();
    fs::write(host.path("a.tar"), Archive::new().file("f", "x").bytes()).unwrap();
    let (tree, _) = scanned(&[of(&host.path("a.tar"))]);
    host.at("a.tar", 1, 0);
    let node = tree.lookup(b"/f").unwrap();
    let Contents::Regular { source, .. } = tree.contents(node) else {
        panic!("it is no file");
    };
    let error = source.copy_to(1, &[], &mut Vec::new()).unwrap_err();
    assert!(error.is::<ScanError>(), "{error}");
}
