//! What is packed is checked, and whatever is damaged is found.

use std::fs;
use std::ops::Range;

use serde_json::Value;

use super::Place;
use super::look::{FILES, packed};

#[test]
fn what_was_packed_is_sound() {
    let place = packed();
    for file in FILES {
        let text = place.text(&format!("verify {file}"));
        let names: Vec<&str> = text.lines().map(|line| &line[..8]).collect();
        match file {
            "files.img" => assert_eq!(names, ["image   ", "files   ", "layout  "]),
            _ => assert_eq!(
                names,
                ["image   ", "files   ", "sha256  ", "module  ", "state   "]
            ),
        }
        assert_eq!(
            place.text(&format!("verify --quiet {file} --against tree")),
            ""
        );
    }
    for (file, route) in [("linked.wasm", "linked"), ("multi.wasm", "rewritten")] {
        let end = format!("module   valid, {route}\nstate    as mounting the image makes it\n");
        let text = place.text(&format!("verify {file}"));
        assert!(text.ends_with(&end), "{text}");
    }
}

/// What the file system knows of the image stands outside of it, where no hash is
/// recorded.
#[test]
fn a_state_that_is_not_the_images_is_found() {
    let place = packed();
    for file in ["linked.wasm", "single.wasm", "multi.wasm"] {
        let bytes = place.read(file);
        let (mut found, mut last) = (0, 0);
        for (range, of) in data_and_globals(&bytes, file == "linked.wasm") {
            assert!(range.start >= last, "{of}");
            last = range.end;
            // Some of every segment, and every global.
            for at in range.clone().step_by(1 + range.len() / 5) {
                let (status, stderr) = damaged(&place, &bytes, at);
                let says = stderr.contains("state: ") || stderr.contains("module: ");
                assert!(status == Some(1) && says, "{file}, {of}, {at}: {stderr}");
                found += usize::from(stderr.contains(" begins as "));
            }
        }
        assert!(found > 1, "{file}: {found}");
    }
}

/// Where in a module the state is that its file system has made: its last global, and
/// the last data segment but the image, or of that what the library of [`fake`] writes.
///
/// [`fake`]: super::fake
fn data_and_globals(wasm: &[u8], linked: bool) -> Vec<(Range<usize>, &'static str)> {
    const WRITTEN: i32 = 2000;
    use wasmparser::{DataKind, Operator, Parser, Payload};
    let mut places = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            Payload::GlobalSection(globals) => {
                let mutable = globals.into_iter().map(Result::unwrap);
                let last = mutable.filter(|global| global.ty.mutable).last().unwrap();
                let range = last.init_expr.get_binary_reader().range();
                // The lowest bits of its value.
                places.push((range.start + 1..range.start + 2, "global"));
            }
            Payload::DataSection(data) => {
                let segments: Vec<_> = data.into_iter().map(Result::unwrap).collect();
                let found = segments[..segments.len() - 1]
                    .iter()
                    .rev()
                    .find_map(|segment| {
                        let DataKind::Active { offset_expr, .. } = &segment.kind else {
                            return None;
                        };
                        let mut offset = offset_expr.get_operators_reader();
                        let Operator::I32Const { value } = offset.read().unwrap() else {
                            return None;
                        };
                        let start = segment.range.end - segment.data.len();
                        let at = usize::try_from(WRITTEN - value).ok();
                        match (linked, at.filter(|at| *at < segment.data.len())) {
                            (false, _) => Some(start..segment.range.end),
                            (true, at) => at.map(|at| start + at..start + at + 1),
                        }
                    });
                places.push((found.unwrap(), "data"));
            }
            _ => {}
        }
    }
    assert_eq!(places.len(), 2);
    places
}

#[test]
fn an_allocator_that_does_not_end_is_not_waited_for() {
    let place = Place::new();
    let endless = super::fake::program(monaka_vfs_core::link::ABI, "").replacen(
        "(local.set $pages",
        "(loop $forever (br $forever)) (local.set $pages",
        1,
    );
    place.put("app.wasm", &endless);
    let output = place.monaka("pack app.wasm --file /a=b -o out.wasm");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("does not come to an end"), "{stderr}");
}

/// What `verify` says of a file with one byte changed.
fn damaged(place: &Place, bytes: &[u8], at: usize) -> (Option<i32>, String) {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x41;
    fs::write(place.path().join("damaged"), bytes).unwrap();
    let output = place.monaka("verify damaged");
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), stderr)
}

#[test]
fn no_byte_of_an_image_can_change() {
    let place = packed();
    for file in ["linked.wasm", "multi.wasm"] {
        let bytes = place.read(file);
        let image = memchr::memmem::rfind(&bytes, b"monakafs").unwrap();
        let hello = memchr::memmem::rfind(&bytes, b"Hello\n").unwrap();
        let places = (image..image + 700)
            .step_by(23)
            .chain([hello, hello + 5, hello + 6]);
        for at in places {
            let (status, stderr) = damaged(&place, &bytes, at);
            assert_eq!(status, Some(1), "{file}, byte {at}: {stderr}");
            assert!(stderr.starts_with("error: "), "{file}, byte {at}: {stderr}");
        }
        let (_, stderr) = damaged(&place, &bytes, hello);
        assert!(stderr.starts_with("error: damaged: sha256: tables and contents hash to "));
        assert!(stderr.contains("\n  hint: pack it again"), "{stderr}");
        // The record itself.
        let record = memchr::memmem::rfind(&bytes, b"monaka.image").unwrap();
        let (status, _) = damaged(&place, &bytes, record + "monaka.image".len() + 40);
        assert_eq!(status, Some(1));
    }
}

#[test]
fn an_image_file_is_checked_without_a_hash() {
    let place = packed();
    let bytes = place.read("files.img");
    // All of the superblock but the limits.
    for at in (0..36).chain(40..48) {
        let (status, stderr) = damaged(&place, &bytes, at);
        assert_eq!(status, Some(1), "byte {at}: {stderr}");
    }
    let cut = &bytes[..bytes.len() - 1];
    fs::write(place.path().join("cut"), cut).unwrap();
    assert_eq!(place.monaka("verify cut").status.code(), Some(1));
    place.ok("image --file /a=1 --file /b=2 --no-dev --no-tmp -q -o two.img");
    let bytes = place.read("two.img");
    let first = bytes.len() - 9;
    assert_eq!((bytes[first], bytes[first + 8]), (b'1', b'2'));
    let (status, stderr) = damaged(&place, &bytes, first + 3);
    assert_eq!(status, Some(1));
    assert!(
        stderr.contains("layout: bytes between files, from 1 on, are not zero"),
        "{stderr}"
    );
}

#[test]
fn a_module_that_is_damaged_elsewhere_is_told() {
    let place = packed();
    for file in ["linked.wasm", "single.wasm"] {
        let bytes = place.read(file);
        // The first byte of the first type.
        let (status, stderr) = damaged(&place, &bytes, 11);
        assert_eq!(status, Some(1), "{file}: {stderr}");
        assert!(stderr.contains("module: "), "{file}: {stderr}");
    }
    let bytes = place.read("linked.wasm");
    let undo = memchr::memmem::rfind(&bytes, b"monaka.undo").unwrap();
    let (status, stderr) = damaged(&place, &bytes, undo + "monaka.und".len());
    assert_eq!(status, Some(1));
    assert!(stderr.contains("monaka.undo is missing"), "{stderr}");
}

#[test]
fn a_tree_is_compared_with_a_directory() {
    let place = packed();
    assert!(
        place
            .text("verify single.wasm --against tree --mtime")
            .ends_with("against  the same as in tree\n")
    );
    fs::write(place.path().join("tree/etc/motd"), "hello\n").unwrap();
    fs::write(place.path().join("tree/new"), "").unwrap();
    let output = place.monaka("verify single.wasm --against tree -q");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "M /etc/motd: contents\nD /new\n"
    );
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: single.wasm is not what is in tree: 2 differences\n  \
         hint: `A` is in the packed tree alone, `D` in the directory alone\n"
    );
    let output = place.monaka("verify --json single.wasm --against tree --exclude new");
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["sound"], false);
    assert_eq!(found["checks"][2]["name"], "sha256");
    assert_eq!(found["checks"][2]["sound"], true);
    assert_eq!(found["differences"].as_array().unwrap().len(), 1);
    assert_eq!(found["differences"][0]["path"], "/etc/motd");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = packed();
    for (args, status, error) in [
        (
            "files.img --exclude x",
            2,
            "error: what of a directory is compared",
        ),
        (
            "files.img --mtime",
            2,
            "error: the following required arguments",
        ),
        (
            "plain.wat.wasm",
            1,
            "error: cannot look into plain.wat.wasm\n",
        ),
        ("files.img --against none", 1, "error: "),
        ("none", 1, "error: cannot look into none\n"),
    ] {
        let output = place.monaka(&format!("verify {args}"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args}: {stderr}");
        assert!(stderr.starts_with(error), "{args}: {stderr}");
    }
}
