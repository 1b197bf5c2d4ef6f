//! What two trees differ in, whatever holds them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;

use super::Place;
use super::look::{FILES, packed};

/// The tree of [`packed`], and changes of every kind in `tree` and `new.img`.
fn changed() -> Place {
    let place = packed();
    let tree = place.path().join("tree");
    fs::write(tree.join("etc/motd"), "hello\n").unwrap();
    fs::write(tree.join("etc/empty"), "not").unwrap();
    let plain = fs::Permissions::from_mode(0o644);
    fs::set_permissions(tree.join("bin/tool"), plain).unwrap();
    fs::remove_file(tree.join("bin/hello")).unwrap();
    symlink("tool", tree.join("bin/hello")).unwrap();
    fs::remove_file(tree.join("bin/loop")).unwrap();
    fs::remove_dir(tree.join("etc/conf.d")).unwrap();
    fs::write(tree.join("etc/conf.d"), "").unwrap();
    fs::create_dir(tree.join("new")).unwrap();
    fs::write(tree.join("new/file"), "1").unwrap();
    fs::remove_file(tree.join("sbin")).unwrap();
    fs::create_dir(tree.join("sbin")).unwrap();
    fs::write(tree.join("sbin/init"), "").unwrap();
    place.ok("image --mapdir /::tree --no-dev --no-tmp --read-only /etc -q -o new.img");
    place
}

const CHANGES: &str = "\
M /bin/hello: leads to ../etc/motd -> tool
D /bin/loop
M /bin/tool: now not executable
M /bin/tool2: now not executable
M /etc/conf.d: directory -> file
M /etc/empty: 0 bytes -> 3
M /etc/motd: contents
A /new/
A /new/file
M /sbin/: symlink -> directory
A /sbin/init
";

/// Status, stdout and stderr.
fn diff(place: &Place, args: &str) -> (Option<i32>, String, String) {
    let output = place.monaka(&format!("diff {args}"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn same() -> (Option<i32>, String, String) {
    (Some(0), String::new(), String::new())
}

#[test]
fn the_same_tree_is_the_same_in_every_form() {
    let place = packed();
    for file in FILES {
        for other in FILES.into_iter().chain(["tree"]) {
            for args in [
                format!("{file} {other}"),
                format!("{other} {file} --mtime /etc"),
            ] {
                assert_eq!(diff(&place, &args), same(), "{args}");
            }
        }
    }
    // What pack adds is missed in no directory, but in another pack.
    place.ok("pack plain.wat.wasm --mapdir /::tree -q -o furnished.wasm");
    assert_eq!(diff(&place, "tree furnished.wasm"), same());
    let (status, lines, _) = diff(&place, "furnished.wasm single.wasm");
    assert_eq!(status, Some(1));
    assert!(lines.starts_with("D /dev/\nD /dev/full\n"), "{lines}");
    assert!(
        lines.ends_with("M /etc/motd: now read-only\nD /tmp/\n"),
        "{lines}"
    );
    // And a directory of the host that has them has them.
    fs::create_dir(place.path().join("tree/tmp")).unwrap();
    fs::write(place.path().join("tree/tmp/file"), "").unwrap();
    let (_, lines, _) = diff(&place, "furnished.wasm tree");
    assert_eq!(lines, "A /tmp/file\n");
}

#[test]
fn every_kind_of_change_is_told() {
    let place = changed();
    for (old, new) in [
        ("files.img", "new.img"),
        ("single.wasm", "new.img"),
        ("files.img", "tree"),
        ("linked.wasm", "tree"),
    ] {
        let (status, lines, stderr) = diff(&place, &format!("{old} {new}"));
        assert_eq!(
            (status, &lines[..]),
            (Some(1), CHANGES),
            "{old} {new} {stderr}"
        );
    }
    let (status, lines, _) = diff(&place, "new.img files.img /new");
    assert_eq!((status, &lines[..]), (Some(1), "D /new/\nD /new/file\n"));
    assert_eq!(diff(&place, "files.img new.img --quiet").0, Some(1));
    assert_eq!(diff(&place, "files.img new.img --quiet").1, "");
    assert_eq!(diff(&place, "new.img tree --quiet"), same());
    let (_, lines, _) = diff(&place, "files.img new.img --mtime /etc/motd");
    let (before, after) = lines.split_once(" -> ").unwrap();
    assert_eq!(
        before,
        "M /etc/motd: contents, modified 2023-11-14 22:13:20.000000000"
    );
    assert!(after.starts_with("20"), "{after}");
}

#[test]
fn patterns_choose_what_of_a_directory_counts() {
    let place = packed();
    fs::create_dir(place.path().join("tree/.git")).unwrap();
    fs::write(place.path().join("tree/.git/HEAD"), "x").unwrap();
    assert_eq!(diff(&place, "files.img tree").1, "A /.git/\nA /.git/HEAD\n");
    assert_eq!(diff(&place, "files.img tree --exclude .git"), same());
    fs::write(place.path().join("tree/.monakaignore"), ".git\n").unwrap();
    assert_eq!(diff(&place, "files.img tree"), same());
}

#[test]
fn differences_are_json_too() {
    let place = changed();
    let output = place.monaka("diff --json files.img new.img");
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), CHANGES.lines().count());
    let of = |path: &str| found.iter().find(|change| change["path"] == path).unwrap();
    assert_eq!(of("/new/file")["change"], "added");
    assert_eq!(of("/new/file")["old"], Value::Null);
    assert_eq!(of("/etc/motd")["what"][0], "contents");
    assert_eq!(of("/etc/empty")["old"]["size"], 0);
    assert_eq!(of("/etc/empty")["new"]["size"], 3);
    assert_eq!(of("/bin/hello")["new"]["target"], "tool");
    assert_eq!(of("/bin/tool")["new"]["executable"], false);
    assert_eq!(place.text("diff --json new.img tree"), "[]\n");
}

#[test]
fn trouble_is_no_difference() {
    let place = packed();
    for (args, error) in [
        ("files.img none.wasm", "error: cannot look into none.wasm\n"),
        (
            "plain.wat.wasm files.img",
            "caused by: nothing is packed into it\n",
        ),
        ("- -", "error: only one of the two can be read from stdin\n"),
        (
            "files.img single.wasm /ect/motd",
            "hint: did you mean /etc/motd?\n",
        ),
        ("tree tree /none", "error: no /none in either directory\n"),
        ("files.img", "error: the following required arguments"),
    ] {
        let (status, lines, stderr) = diff(&place, args);
        assert_eq!((status, &lines[..]), (Some(2), ""), "{args}");
        assert!(stderr.contains(error), "{args}: {stderr}");
    }
}

#[test]
fn settings_of_packed_modules_are_compared_where_that_is_asked() {
    let place = packed();
    place.ok("pack single.wasm --no-dev --no-tmp --max-inodes 7 --clock deny -q -o other.wasm");
    assert_eq!(diff(&place, "single.wasm other.wasm"), same());
    assert_eq!(diff(&place, "other.wasm other.wasm --settings"), same());
    let (status, lines, _) = diff(&place, "single.wasm other.wasm --settings");
    let expected = "\
S limits: none but memory → 7 inodes beside what is packed
S clock: pass → deny
";
    assert_eq!((status, &lines[..]), (Some(1), expected));
    let (status, json, _) = diff(&place, "single.wasm other.wasm --settings --json");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(status, Some(1));
    assert_eq!(json[1]["setting"], "clock");
    assert_eq!(json[1]["new"], "deny");
    let (status, _, _) = diff(&place, "single.wasm other.wasm --settings -q");
    assert_eq!(status, Some(1));
    let (status, _, stderr) = diff(&place, "single.wasm tree --settings");
    assert_eq!(status, Some(2));
    assert!(stderr.contains("tree is no packed module"), "{stderr}");
}
