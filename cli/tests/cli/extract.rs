//! Packed files come out as they went in, and nowhere else.

use std::fs;
use std::process::Command;

use super::look::{FILES, packed};

#[test]
fn what_is_extracted_is_packed_as_the_same_image() {
    let place = packed();
    for file in FILES {
        place.ok(&format!("extract {file} -o dir -q"));
        place.ok(&format!("extract {file} -o all.tar -q"));
        let tar = place.ok(&format!("extract {file} -o - -q"));
        assert!(tar == place.read("all.tar"), "{file}");
        for source in ["--mapdir /::dir", "--tar /::all.tar"] {
            place.ok(&format!(
                "image {source} --no-dev --no-tmp --read-only /etc -q -o again.img"
            ));
            let again = place.read("again.img");
            assert!(again == place.read("files.img"), "{file} {source}");
        }
        fs::remove_dir_all(place.path().join("dir")).unwrap();
    }
    // GNU tar reads it, too.
    fs::create_dir(place.path().join("gnu")).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-xf", "all.tar", "-C", "gnu"]);
    assert!(tar.current_dir(place.path()).status().unwrap().success());
    assert_eq!(place.text("diff --mtime tree gnu"), "");
}

#[test]
fn what_pack_adds_stays_in() {
    let place = packed();
    place.ok("pack plain.wat.wasm --mapdir /::tree -q -o furnished.wasm");
    let output = place.monaka("extract furnished.wasm -o dir");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "extracted 3 files (70 KB), 3 directories, 3 symbolic links, 1 hard link into dir\n"
    );
    assert_eq!(place.text("diff --mtime tree dir"), "");
    // Nor is it told from what was mapped by a time that all else got.
    place.ok("pack plain.wat.wasm --mapdir /::tree --mtime 7 -q -o dated.wasm");
    place.ok("extract dated.wasm -o dated -q");
    // Not even when files are added, or packed again, with another.
    place.ok("add dated.wasm --file /etc/more=x --mtime 8 -q -o added.wasm");
    place.ok("extract added.wasm -o added -q");
    place.ok("pack dated.wasm --file /etc/more=x --mtime 8 -q -o again.wasm");
    assert!(place.read("again.wasm") == place.read("added.wasm"));
    // What is put there later has one.
    place.ok("add dated.wasm --file /tmp/x=y --mtime 8 -q -o used.wasm");
    let listed = place.text("ls -l used.wasm /");
    let time = |name: &str| listed.lines().find(|line| line.ends_with(name)).unwrap();
    assert!(time("tmp").contains("1970-01-01 00:00"), "{listed}");
    assert!(place.text("stat used.wasm /tmp").contains("00:00:08."));
    assert!(place.text("stat used.wasm /dev/null").contains("00:00:00."));
    for dir in ["dir", "dated", "added"] {
        assert!(!place.path().join(dir).join("tmp").exists());
        assert!(!place.path().join(dir).join("dev").exists());
    }
}

#[test]
fn paths_come_with_the_directories_that_they_are_in() {
    let place = packed();
    for (paths, expected) in [
        ("etc/motd sbin", "/etc/\n/etc/motd\n/sbin\n"),
        ("/etc", "/etc/\n/etc/conf.d/\n/etc/empty\n/etc/motd\n"),
        (
            "/etc /etc/motd",
            "/etc/\n/etc/conf.d/\n/etc/empty\n/etc/motd\n",
        ),
        // Through a link; the second name alone is a file of its own.
        ("sbin/tool2", "/bin/\n/bin/tool2\n"),
        ("/etc/../bin/hello", "/bin/\n/bin/hello\n"),
    ] {
        place.ok(&format!("extract single.wasm {paths} -o part -q"));
        let differences = place
            .monaka("diff other part --exclude more --exclude file")
            .stdout;
        let lines = String::from_utf8(differences).unwrap().replace("A ", "");
        assert_eq!(lines, expected, "{paths}");
        fs::remove_dir_all(place.path().join("part")).unwrap();
    }
    place.ok("extract single.wasm / -o part -q");
    assert_eq!(place.text("diff tree part"), "");
}

#[test]
fn nothing_is_overwritten_or_left_half() {
    let place = packed();
    let before = place.entries();
    for (args, error) in [
        (
            "single.wasm -o tree",
            "caused by: the directory tree is not empty\n",
        ),
        (
            "single.wasm -o none/dir",
            "caused by: the directory none does not exist\n",
        ),
        (
            "single.wasm -o x.tar.gz",
            "hint: name a directory or a .tar; ",
        ),
        (
            "single.wasm /ect/motd -o dir",
            "hint: did you mean /etc/motd?\n",
        ),
        (
            "plain.wat.wasm -o dir",
            "caused by: nothing is packed into it\n",
        ),
    ] {
        let output = place.monaka(&format!("extract {args}"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert!(
            stderr.starts_with("error: cannot extract "),
            "{args}: {stderr}"
        );
        assert!(stderr.contains(error), "{args}: {stderr}");
        assert_eq!(place.entries(), before, "{args}");
    }
    assert_eq!(place.monaka("extract single.wasm").status.code(), Some(2));
}
