//! What `monaka pack` takes files from, chooses, lists and promises about them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use monaka_vfs_core::link::ABI;
use serde_json::Value;

use super::Place;
use super::fake::program;

/// A place with a program, and `root` in an archive of each kind; all of it is
/// of second 7.
fn place() -> Place {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, data) in [
        ("./", tar::EntryType::Directory, &b""[..]),
        ("./file", tar::EntryType::Regular, b"contents"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(7);
        header.set_size(data.len() as u64);
        tar.append_data(&mut header, name, data).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    place.write("root.tar.gz", &gzip.finish().unwrap());
    place.write("root.tar.zst", &zstd::encode_all(&tar[..], 1).unwrap());
    place.write("root.tar", &tar);

    let mut zip = rawzip::ZipArchiveWriter::new(Vec::new());
    let time = rawzip::time::UtcDateTime::from_unix(7);
    let (mut entry, config) = zip.new_file("file").last_modified(time).start().unwrap();
    let mut writer = config.wrap(&mut entry);
    writer.write_all(b"contents").unwrap();
    let (_, descriptor) = writer.finish().unwrap();
    entry.finish(descriptor).unwrap();
    let zip = zip.finish().unwrap();
    place.write("root.zip", &zip);

    for name in ["root/file", "root", "other/file", "other/more", "other"] {
        place.at(name, 7);
    }
    place
}

impl Place {
    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    fn at(&self, name: &str, seconds: u64) {
        let file = File::open(self.path().join(name)).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    }

    /// Packs the program with these sources; answers the module.
    fn packed(&self, args: &str) -> Vec<u8> {
        self.ok(&format!("pack app.wasm {args} -o packed.wasm -q"));
        self.read("packed.wasm")
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_archive_gives_the_module_that_its_directory_gives() {
    let place = place();
    let expected = place.packed("--mapdir /d::root");
    for archive in [
        "--tar /d::root.tar",
        "--tar /d::root.tar.gz",
        "--tar /d::root.tar.zst",
        "--zip /d::root.zip",
    ] {
        assert!(place.packed(archive) == expected, "{archive}");
    }
    for (flag, archive) in [
        ("--tar", "root.tar"),
        ("--tar", "root.tar.gz"),
        ("--zip", "root.zip"),
    ] {
        let mut command = place.command(&format!("pack app.wasm {flag} /d::- -o packed.wasm -q"));
        let stdin = File::open(place.path().join(archive)).unwrap();
        assert!(command.stdin(stdin).status().unwrap().success());
        assert!(place.read("packed.wasm") == expected, "{archive}");
    }
}

#[test]
fn sources_share_one_order() {
    let place = place();
    let find = |module: &[u8], text: &str| memchr::memmem::find(module, text.as_bytes()).is_some();
    for (sources, expected) in [
        ("--tar /::root.tar --mapdir /::other", "CONTENTS"),
        ("--mapdir /::other --tar /::root.tar", "contents"),
        ("--zip /::root.zip --dir other::/", "CONTENTS"),
        ("--dir other::/ --zip /::root.zip", "contents"),
        (
            "--dir other::/ --zip /::root.zip --file /file=CONTENTS,literally",
            "CONTENTS,literally",
        ),
    ] {
        let module = place.packed(sources);
        let found = ["CONTENTS,literally", "CONTENTS", "contents"];
        let found = found.into_iter().find(|text| find(&module, text));
        assert_eq!(found, Some(expected), "{sources}");
    }
}

#[test]
fn packing_an_archive_again_is_packing_once() {
    let place = place();
    let once = place.packed("--tar /a::root.tar.gz --zip /b::root.zip");
    place.packed("--tar /a::root.tar.gz");
    place.ok("pack packed.wasm --zip /b::root.zip -o packed.wasm -q");
    assert!(place.read("packed.wasm") == once);
}

#[test]
fn what_another_module_has_packed_is_packed_from_it() {
    let place = place();
    place.put(
        "other.wasm",
        r#"(module (import "wasi_snapshot_preview1" "path_open"
            (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1))"#,
    );
    let expected = place.packed("--mapdir /::root");
    place.ok("pack other.wasm --mapdir /::root -o one.wasm -q");
    assert!(place.packed("--image /::one.wasm") == expected);
    place.ok("pack app.wasm --mapdir /::root -o two.wasm -q");
    assert!(place.packed("--image /::two.wasm") == expected);
    let output = place.monaka("pack app.wasm --image /::other.wasm -o out.wasm");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let expected = "other.wasm: it is no packed module or image: nothing is packed into it";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn stdin_has_one_reader() {
    let place = place();
    for args in [
        "pack - --tar /::- -o out.wasm",
        "pack app.wasm --tar /::- --zip /::- -o out.wasm",
    ] {
        let output = place.monaka(args);
        assert_eq!(output.status.code(), Some(2), "{args}");
        assert!(
            stderr(&output).contains("only one of program and archives"),
            "{args}"
        );
    }
}

#[test]
fn a_hostile_archive_leaves_no_module() {
    let place = place();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..7].copy_from_slice(b"../evil");
    header.set_mode(0o644);
    header.set_mtime(7);
    header.set_size(0);
    header.set_cksum();
    tar.append(&header, &[][..]).unwrap();
    place.write("evil.tar", &tar.into_inner().unwrap());
    let output = place.monaka("pack app.wasm --tar /::evil.tar -o out.wasm");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "error: cannot pack app.wasm\n  \
         caused by: evil.tar: member ../evil: its name has `..` in it\n  \
         hint: no member may land outside the archive's own tree; unpack it where that does no \
         harm, and map what is wanted with --mapdir\n"
    );
    let bomb = place.monaka("pack app.wasm --tar /::root.tar.gz --max-unpacked 1K -o out.wasm");
    assert_eq!(
        stderr(&bomb),
        "error: cannot pack app.wasm\n  \
         caused by: root.tar.gz: it unpacks to more than 1024 bytes\n  \
         hint: if the archive is trusted, allow more with --max-unpacked\n"
    );
    assert!(!place.entries().contains(&"out.wasm".to_string()));
}

#[test]
fn a_dry_run_lists_and_writes_nothing() {
    let place = place();
    fs::create_dir(place.path().join("root/sub")).unwrap();
    let before = place.entries();
    let args = "pack app.wasm --mapdir /::root --file /etc/x=12345 --exclude sub --no-dev --no-tmp";
    let output = place.monaka(&format!("{args} --dry-run"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "            /etc/\n         5  /etc/x\n         8  /file\n"
    );
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "would pack 2 files (13 B), 1 directory\n"
    );
    let json = place.text(&format!("{args} --dry-run --json -o out.wasm"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[2]["path"], "/file");
    assert_eq!(json[2]["size"], 8);
    assert_eq!(json[2]["mtime"], "1970-01-01T00:00:07.000000000Z");
    assert_eq!(place.entries(), before);
    // What is wrong is said all the same.
    let output = place.monaka("pack app.wasm --mapdir /::gone --dry-run");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn verbose_lists_what_is_packed_as_tar_does() {
    let place = place();
    let args = "pack app.wasm --mapdir /a::other -o out.wasm --no-dev --no-tmp -v";
    let text = stderr(&place.monaka(args));
    assert!(
        text.starts_with("/a/\n/a/file\n/a/more\npacked 2 files"),
        "{text}"
    );
    assert_eq!(place.monaka(&format!("{args} -q")).status.code(), Some(2));
}

#[test]
fn warnings_are_told_even_in_quiet() {
    let place = place();
    let args = "pack app.wasm --mapdir /::root --exclude nothing --max-file-size 4 -o out.wasm -q";
    assert_eq!(
        stderr(&place.monaka(args)),
        "warning: root: file is left out, as it has 8 bytes and --max-file-size is 4\n\
         warning: --exclude nothing: nothing matches\n"
    );
}

/// Makes the same small tree twice, in another order and at other times.
fn copies(place: &Place) {
    let names: Vec<String> = (0..40).map(|n| format!("f{}", n * 7 % 40)).collect();
    let fill = |directory: &str, names: &mut dyn Iterator<Item = &String>, time: u64| {
        let directory = place.path().join(directory);
        fs::create_dir(&directory).unwrap();
        for (n, name) in names.enumerate() {
            fs::write(directory.join(name), name).unwrap();
            let file = File::open(directory.join(name)).unwrap();
            let time = UNIX_EPOCH + Duration::from_secs(time + n as u64);
            file.set_modified(time).unwrap();
        }
        fs::hard_link(directory.join("f1"), directory.join("again")).unwrap();
    };
    fill("one", &mut names.iter(), 1_700_000_000);
    fill("two", &mut names.iter().rev(), 1_800_000_000);
}

#[test]
fn the_same_files_give_the_same_bytes_wherever_they_come_from() {
    let place = place();
    copies(&place);
    let build = |directory: &str, args: &str, epoch: Option<&str>| {
        let args = format!("pack app.wasm --mapdir /::{directory} {args} -o packed.wasm -q");
        let mut command = place.command(&args);
        match epoch {
            Some(epoch) => command.env("SOURCE_DATE_EPOCH", epoch),
            None => command.env_remove("SOURCE_DATE_EPOCH"),
        };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        place.read("packed.wasm")
    };
    assert!(
        build("one", "", None) != build("two", "", None),
        "their times differ"
    );
    // What is older stays as it is, so it must be older than both.
    let epoch = Some("1600000000");
    let both = build("one", "--sbom one.json", epoch);
    assert!(both == build("two", "--sbom two.json", epoch));
    assert_eq!(place.read("one.json"), place.read("two.json"));
    let given = build("one", "--mtime 1600000000", None);
    assert!(given == build("two", "--mtime 2020-09-13T12:26:40Z", None));
    assert!(
        given == build("two", "--mtime 1600000000", Some("7")),
        "--mtime wins"
    );
    // Without the clock the times are those of the files, copied in any order.
    let archive = |name: &str, order: &str| {
        let status = Command::new("tar")
            .args(["--format=posix", order, "-cf", name, "-C", "one", "."])
            .current_dir(place.path())
            .status();
        status.is_ok_and(|status| status.success())
    };
    if archive("a.tar", "--sort=name") && archive("b.tar", "--sort=none") {
        let one = place.packed("--tar /::a.tar");
        assert!(one == place.packed("--tar /::b.tar"));
        assert!(one == build("one", "", None));
    }

    let mut command = place.command("pack app.wasm --mapdir /::one -o out.wasm");
    let output = command
        .env("SOURCE_DATE_EPOCH", "yesterday")
        .output()
        .unwrap();
    assert_eq!(
        stderr(&output),
        "error: cannot pack app.wasm\n  \
         caused by: SOURCE_DATE_EPOCH is `yesterday`\n  \
         hint: set it to the seconds since 1970, as `git log -1 --format=%ct` prints them, or \
         unset it\n"
    );
}

#[test]
fn an_sbom_lists_each_file_with_its_hashes() {
    let place = place();
    place.ok("pack app.wasm --tar /d::root.tar.gz --mtime 7 -o out.wasm -q --sbom out.json");
    let sbom: Value = serde_json::from_slice(&place.read("out.json")).unwrap();
    assert_eq!(sbom["spdxVersion"], "SPDX-2.3");
    assert_eq!(sbom["creationInfo"]["created"], "1970-01-01T00:00:07Z");
    assert_eq!(sbom["packages"][0]["name"], "out.wasm");
    let files = sbom["files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0]["fileName"], "./d/file");
    // As `sha1sum` and `sha256sum` print them for `contents`.
    let sha1 = "4a756ca07e9487f482465a99e8286abc86ba4dc7";
    let sha256 = "d1b2a59fbea7e20077af9f91b27e95e865061b270be03ff539ab3b73587882e8";
    assert_eq!(files[0]["checksums"][0]["checksumValue"], sha1);
    assert_eq!(files[0]["checksums"][1]["checksumValue"], sha256);
    let code = &sbom["packages"][0]["packageVerificationCode"]["packageVerificationCodeValue"];
    assert_eq!(code, "e46199c8482d739e354b62ce031b48a36628df30");
    // A failed pack writes neither.
    let output = place.monaka("pack app.wasm --mapdir /::gone -o no.wasm --sbom no.json");
    assert_eq!(output.status.code(), Some(1));
    assert!(place.entries().iter().all(|name| !name.starts_with("no.")));
}

/// Runs a command on a terminal of its own; answers what it showed. `None` where
/// there is no `script`.
fn on_a_terminal(place: &Place, args: &str, more: &str) -> Option<String> {
    let monaka = Path::new(env!("CARGO_BIN_EXE_monaka")).display();
    let mut script = Command::new("script");
    script.args(["-qec", &format!("{more} {monaka} {args}"), "/dev/null"]);
    let output = script
        .current_dir(place.path())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn bars_are_for_terminals_and_colours_can_be_refused() {
    let place = place();
    place.put("app.wasm", &program(ABI, "").replace("1 200)", "1 20000)"));
    let large = File::create(place.path().join("root/large")).unwrap();
    // Long enough to be watched, without taking room on the disk.
    large.set_len(1 << 30).unwrap();
    let args = "pack app.wasm --mapdir /::root -o /dev/null";
    let piped = stderr(&place.monaka(args));
    assert!(
        piped.starts_with("packed 2 files") && !piped.contains('\x1b'),
        "{piped}"
    );
    let Some(shown) = on_a_terminal(&place, args, "") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "script is missing (Debian: bsdutils)"
        );
        eprintln!("script is not installed: bars are not tested");
        return;
    };
    assert!(
        shown.contains("writing: ") && shown.contains("/s"),
        "{shown}"
    );
    let quiet = on_a_terminal(&place, &format!("{args} -q"), "").unwrap();
    assert_eq!(quiet, "");
    let coloured = on_a_terminal(&place, "pack --help", "").unwrap();
    let plain = on_a_terminal(&place, "pack --help", "NO_COLOR=1").unwrap();
    assert!(coloured.contains('\x1b') && !plain.contains('\x1b'));
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_survive_and_are_shown() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = place();
    let name = OsStr::from_bytes(b"\xff\n");
    fs::write(place.path().join("root").join(name), "").unwrap();
    let args = "pack app.wasm --mapdir /::root --no-dev --no-tmp --dry-run -q";
    let text = place.text(args);
    assert!(text.ends_with("  /\\377\\n\n"), "{text}");
}
