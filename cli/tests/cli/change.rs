//! Changing what is packed comes to the same bytes as packing afresh what was
//! changed, whichever way the files got in.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use monaka_vfs_core::link::ABI;

use super::Place;
use super::fake::program;
use super::look::packed;

/// How the modules of [`packed`] were packed.
const WAYS: [(&str, &str); 3] = [
    ("linked.wasm", "linked.wat.wasm"),
    ("single.wasm", "plain.wat.wasm --memory single"),
    ("multi.wasm", "plain.wat.wasm --memory multi"),
];

/// Packs the tree afresh; answers the module.
fn afresh(place: &Place, way: &str, more: &str) -> Vec<u8> {
    place.ok(&format!(
        "pack {way} --mapdir /::tree {more} --no-dev --no-tmp --read-only /etc -q -o afresh"
    ));
    place.read("afresh")
}

/// Changes a module; answers the new one.
fn changed(place: &Place, args: &str) -> Vec<u8> {
    place.ok(&format!("{args} -o changed -q"));
    place.read("changed")
}

fn set_time(place: &Place, paths: &[&str], seconds: u64) {
    for path in paths {
        let file = fs::File::open(place.path().join(path)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    }
}

#[test]
fn adding_is_packing_more() {
    let place = packed();
    let more = "--mapdir /more::other --file /etc/version=2 --mapdir /bin::root";
    for (module, way) in WAYS {
        let added = changed(&place, &format!("add {module} {more}"));
        assert!(added == afresh(&place, way, more), "{module}");
        let time = changed(&place, &format!("add {module} {more} --mtime 2026-01-31"));
        let more = format!("{more} --mtime 2026-01-31");
        assert!(time == afresh(&place, way, &more), "{module}");
    }
}

#[test]
fn compressed_files_stay_so_and_new_ones_can_be() {
    let place = packed();
    fs::write(place.path().join("other/large"), "large ".repeat(9999)).unwrap();
    let more = "--mapdir /more::other --compress";
    for (_, way) in &WAYS[1..] {
        let both = afresh(&place, way, more);
        fs::write(place.path().join("both.wasm"), &both).unwrap();
        let first = afresh(&place, way, "--compress");
        fs::write(place.path().join("first.wasm"), &first).unwrap();
        let added = changed(&place, &format!("add first.wasm {more}"));
        assert!(added == both, "{way}");
        assert!(changed(&place, "rm both.wasm -r /more") == first, "{way}");
        assert!(
            place
                .text("verify both.wasm")
                .contains("3 compressed names decode")
        );
        assert_eq!(place.text("diff both.wasm tree /bin"), "");
        assert_eq!(place.text("diff both.wasm first.wasm /bin"), "");
        place.ok("extract both.wasm -o out -q");
        assert_eq!(place.text("diff both.wasm out"), "");
        fs::remove_dir_all(place.path().join("out")).unwrap();
    }
    // A module without a decoder says so.
    let output = place.monaka("add single.wasm --file /a=b --compress -o changed");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("compressed files\n  hint: "), "{stderr}");
}

#[test]
fn removing_is_packing_less() {
    let place = packed();
    let modules = WAYS.map(|(module, _)| {
        let removed = changed(
            &place,
            &format!("rm {module} /bin/loop /bin/tool -r /etc/conf.d sbin/ /etc/conf.d"),
        );
        place.ok(&format!("rm {module} -rf /bin/loop none /etc/motd/x -i -q"));
        place.ok(&format!(
            "rm {module} bin/tool etc/conf.d sbin -r --in-place -q"
        ));
        assert!(removed == place.read(module), "{module}");
        removed
    });
    let tree = place.path().join("tree");
    for path in ["bin/loop", "bin/tool", "sbin"] {
        fs::remove_file(tree.join(path)).unwrap();
    }
    fs::remove_dir(tree.join("etc/conf.d")).unwrap();
    set_time(&place, &["tree/bin", "tree/etc", "tree"], 1_700_000_000);
    for (removed, (module, way)) in modules.iter().zip(WAYS) {
        assert!(*removed == afresh(&place, way, ""), "{module}");
    }
}

#[test]
fn replacing_is_packing_other_contents() {
    let place = packed();
    fs::write(place.path().join("motd"), "Good bye\n").unwrap();
    fs::write(place.path().join("tool"), vec![b'!'; 5000]).unwrap();
    set_time(&place, &["motd", "tool"], 1_800_000_000);
    let modules = WAYS.map(|(module, _)| {
        // Through a link, and by the second name of a file.
        let args = "/bin/hello=motd sbin/tool2=tool";
        changed(&place, &format!("replace {module} {args}"))
    });
    let tree = place.path().join("tree");
    fs::write(tree.join("etc/motd"), "Good bye\n").unwrap();
    fs::write(tree.join("bin/tool"), vec![b'!'; 5000]).unwrap();
    set_time(&place, &["tree/etc/motd", "tree/bin/tool"], 1_800_000_000);
    for (replaced, (module, way)) in modules.iter().zip(WAYS) {
        assert!(*replaced == afresh(&place, way, ""), "{module}");
    }
}

#[test]
fn open_directories_stay_unless_it_is_said() {
    let place = packed();
    place.ok("pack plain.wat.wasm --mapdir /a::root --mapdir /b/c::other -q -o two.wasm");
    for path in ["/a", "/b", "/b/c"] {
        let output = place.monaka(&format!("rm two.wasm -r {path} -o changed"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{path}");
        assert!(stderr.contains(" open when it starts\n"), "{stderr}");
        assert!(stderr.contains("hint: --unmount removes it"), "{stderr}");
    }
    let removed = changed(&place, "rm two.wasm -r /b --unmount");
    place.ok("pack plain.wat.wasm --mapdir /a::root -q -o one.wasm");
    assert!(
        place
            .text("inspect changed")
            .contains("\nmounts      /a, /\n")
    );
    // The root directory has the time of the first source either way.
    assert!(removed == place.read("one.wasm"));
}

#[test]
fn what_the_program_sees_of_the_host_stays() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok("pack app.wasm --mapdir /::root --allow-host-dirs -q -o first.wasm");
    place.ok("pack app.wasm --mapdir /::root --mapdir /x::other --allow-host-dirs -q -o both.wasm");
    let output = place.monaka("add first.wasm --mapdir /x::other -o changed");
    assert!(place.read("changed") == place.read("both.wasm"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("packed 3 files (20 B), 3 directories, 8 devices into changed: "),
        "{stderr}"
    );
    // In place and through pipes it is the same.
    let removed = changed(&place, "rm both.wasm -r /x");
    assert!(removed == place.read("first.wasm"));
    let file = fs::File::open(place.path().join("both.wasm")).unwrap();
    let mut command = place.command("rm - -r /x -o -");
    let output = command.stdin(file).stderr(Stdio::null()).output().unwrap();
    assert!(output.stdout == removed);
}

#[test]
fn times_have_a_limit_where_it_is_set() {
    let place = packed();
    fs::write(place.path().join("motd"), "now").unwrap();
    let mut command = place.command("replace single.wasm /etc/motd=motd -q -o changed");
    let status = command.env("SOURCE_DATE_EPOCH", "1600000000").status();
    assert!(status.unwrap().success());
    let stat = place.text("stat changed /etc/motd");
    assert!(
        stat.contains("modified  2020-09-13 12:26:40.000000000 UTC"),
        "{stat}"
    );
}

#[test]
fn what_cannot_be_changed_is_told_with_the_way_out() {
    let place = packed();
    let before = place.entries();
    for (args, status, error) in [
        (
            "rm single.wasm /ect/motd",
            1,
            "hint: did you mean /etc/motd?\n",
        ),
        (
            "rm single.wasm /etc",
            1,
            "caused by: /etc is a directory\n  hint: -r removes it",
        ),
        (
            "rm single.wasm -r /",
            1,
            "caused by: / is the root directory, which stays\n",
        ),
        (
            "rm single.wasm /etc/../bin/loop",
            2,
            "`..` is not looked up",
        ),
        (
            "replace single.wasm /etc/motd=none",
            1,
            "caused by: cannot read none\n",
        ),
        (
            "replace single.wasm /etc/new=root/file",
            1,
            "no /etc/new in single.wasm",
        ),
        (
            "replace single.wasm /etc=root/file",
            1,
            "caused by: /etc is not a regular file\n",
        ),
        (
            "replace single.wasm /etc/motd=root",
            1,
            "hint: `monaka add` packs directories\n",
        ),
        (
            "replace single.wasm /etc/motd",
            2,
            "give it as PATH=HOSTFILE",
        ),
        (
            "replace single.wasm /etc/motd=",
            2,
            "give it as PATH=HOSTFILE",
        ),
        ("add single.wasm", 2, "error: say what to add"),
        (
            "add single.wasm --mapdir /x::none",
            1,
            "none: no such file or directory",
        ),
        (
            "add - --tar /::-",
            2,
            "error: only one of module and archives",
        ),
        (
            "add plain.wat.wasm --file /a=b",
            1,
            "caused by: nothing is packed into it\n",
        ),
        (
            "add files.img --file /a=b",
            1,
            "error: cannot change files.img\n",
        ),
    ] {
        let output = place.monaka(&format!("{args} -o changed"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args}: {stderr}");
        assert!(stderr.contains(error), "{args}: {stderr}");
        assert_eq!(place.entries(), before, "{args}");
    }
    for args in ["rm single.wasm /bin/loop", "rm - /bin/loop -i"] {
        assert_eq!(place.monaka(args).status.code(), Some(2), "{args}");
    }
}
