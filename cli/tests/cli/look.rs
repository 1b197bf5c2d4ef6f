//! Looking into packed modules of every kind, and into images, which must all
//! show the same; and that damage is told, whatever is damaged.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use monaka_vfs_core::link::ABI;
use serde_json::Value;

use super::Place;
use super::fake::program;

/// A program that the library is not linked into.
const PLAIN: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
    (memory 1) (data (i32.const 8) "the program's"))"#;

/// The files that hold the tree of [`packed`].
pub(super) const FILES: [&str; 4] = ["linked.wasm", "single.wasm", "multi.wasm", "files.img"];

/// 2023-11-14 22:13:20 UTC
const TIME: u64 = 1_700_000_000;

/// A tree in everything that can hold one.
pub(super) fn packed() -> Place {
    let place = Place::new();
    place.put("linked.wat.wasm", &program(ABI, ""));
    place.put("plain.wat.wasm", PLAIN);
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("etc/conf.d")).unwrap();
    fs::create_dir(tree.join("bin")).unwrap();
    fs::write(tree.join("etc/motd"), "Hello\n").unwrap();
    fs::write(tree.join("etc/empty"), "").unwrap();
    fs::write(tree.join("bin/tool"), vec![b'#'; 70_000]).unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(tree.join("bin/tool"), executable).unwrap();
    fs::hard_link(tree.join("bin/tool"), tree.join("bin/tool2")).unwrap();
    symlink("../etc/motd", tree.join("bin/hello")).unwrap();
    symlink("loop", tree.join("bin/loop")).unwrap();
    symlink("bin", tree.join("sbin")).unwrap();
    for path in [
        "etc/motd",
        "etc/empty",
        "bin/tool",
        "etc/conf.d",
        "etc",
        "bin",
        "",
    ] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(TIME);
        let file = fs::File::open(tree.join(path)).unwrap();
        file.set_modified(time).unwrap();
    }
    let sources = "--mapdir /::tree --no-dev --no-tmp --read-only /etc -q";
    place.ok(&format!("pack linked.wat.wasm {sources} -o linked.wasm"));
    for memory in ["single", "multi"] {
        place.ok(&format!(
            "pack plain.wat.wasm --memory {memory} {sources} -o {memory}.wasm"
        ));
    }
    place.ok(&format!("image {sources} -o files.img"));
    place
}

#[test]
fn every_form_shows_the_same() {
    let place = packed();
    for args in [
        "ls FILE",
        "ls -lR FILE",
        "ls -R0 FILE",
        "ls -R --json FILE",
        "cat FILE bin/tool etc/motd",
        "stat FILE / bin/hello sbin/ etc/empty bin/tool2",
        "stat --json FILE / bin/tool",
        "tree FILE",
        "tree --json FILE",
        "du -a FILE",
        "du --json FILE /bin /etc",
    ] {
        let [first, others @ ..] = FILES.map(|file| place.ok(&args.replace("FILE", file)));
        for (file, other) in FILES[1..].iter().zip(others) {
            assert!(first == other, "monaka {args}: {file} differs");
        }
        // And through a pipe.
        let file = fs::File::open(place.path().join("single.wasm")).unwrap();
        let mut command = place.command(&args.replace("FILE", "-"));
        let output = command.stdin(file).output().unwrap();
        assert!(output.stdout == first, "monaka {args} of stdin");
    }
}

#[test]
fn ls_lists_as_ls_does() {
    let place = packed();
    assert_eq!(place.text("ls files.img"), "bin\netc\nsbin\n");
    assert_eq!(place.text("ls -a files.img /etc"), "conf.d\nempty\nmotd\n");
    assert_eq!(place.text("ls files.img sbin"), "sbin\n");
    assert_eq!(
        place.text("ls files.img sbin/"),
        "hello\nloop\ntool\ntool2\n"
    );
    assert_eq!(place.text("ls -d files.img etc /"), "etc\n/\n");
    assert_eq!(
        place.text("ls files.img /etc bin/tool /etc/conf.d/../conf.d"),
        "bin/tool\n\n/etc:\nconf.d\nempty\nmotd\n\n/etc/conf.d/../conf.d:\n"
    );
    let long = place.text("ls -l files.img /etc bin/tool");
    assert_eq!(
        long,
        "-rwx 2 70000 2023-11-14 22:13 bin/tool\n\n/etc:\n\
         dr-x 1 0 2023-11-14 22:13 conf.d\n\
         -r-- 1 0 2023-11-14 22:13 empty\n\
         -r-- 1 6 2023-11-14 22:13 motd\n"
    );
    let human = place.text("ls -lh files.img bin/tool");
    assert_eq!(human, "-rwx 2 70 KB 2023-11-14 22:13 bin/tool\n");
    let link = place.text("ls -l files.img bin/hello");
    assert!(link.starts_with("lrwx 1 11 "), "{link}");
    assert!(link.ends_with(" bin/hello -> ../etc/motd\n"), "{link}");
    let all = place.text("ls -R files.img etc bin");
    assert_eq!(
        all,
        "etc:\nconf.d\nempty\nmotd\n\netc/conf.d:\n\nbin:\nhello\nloop\ntool\ntool2\n"
    );
    place.ok("pack plain.wat.wasm -o devices.wasm --file /a=b -q");
    let devices = place.text("ls -l devices.wasm /dev/null");
    assert_eq!(devices, "crw- 1 null 1970-01-01 00:00 /dev/null\n");
}

#[test]
fn tree_and_du_count() {
    let place = packed();
    assert_eq!(
        place.text("tree -s files.img"),
        "/\n\
         ├── bin\n\
         │   ├── hello -> ../etc/motd\n\
         │   ├── loop -> loop\n\
         │   ├── tool (70 KB)\n\
         │   └── tool2 (70 KB)\n\
         ├── etc\n\
         │   ├── conf.d\n\
         │   ├── empty (0 B)\n\
         │   └── motd (6 B)\n\
         └── sbin -> bin\n\n3 directories, 7 files\n"
    );
    assert_eq!(
        place.text("tree -d -L 1 files.img"),
        "/\n├── bin\n├── etc\n\n2 directories, 0 files\n"
    );
    assert_eq!(
        place.text("du files.img"),
        "70000\t/bin\n0\t/etc/conf.d\n6\t/etc\n70006\t/\n"
    );
    assert_eq!(
        place.text("du -s files.img etc /bin"),
        "6\t/etc\n70000\t/bin\n"
    );
    assert_eq!(place.text("du -h -d 0 files.img"), "70 KB\t/\n");
    assert_eq!(
        place.text("du -a files.img bin"),
        "0\t/bin/hello\n0\t/bin/loop\n70000\t/bin/tool\n0\t/bin/tool2\n70000\t/bin\n"
    );
}

#[test]
fn stat_says_all_of_it() {
    let place = packed();
    let text = place.text("stat files.img etc/motd bin/hello");
    let (motd, hello) = text.split_once("\n\n").unwrap();
    assert_eq!(
        motd,
        "path      /etc/motd\n\
         kind      file, read-only\n\
         size      6 bytes\n\
         modified  2023-11-14 22:13:20.000000000 UTC\n\
         inode     9, links 1"
    );
    assert!(hello.starts_with("path      /bin/hello\nkind      symlink\ntarget    ../etc/motd\n"));
    let json = json(&place.ok("stat --json files.img etc/motd bin/tool2"));
    assert_eq!(json[0]["path"], "/etc/motd");
    assert_eq!(json[0]["mtime"], "2023-11-14T22:13:20.000000000Z");
    assert_eq!(json[0]["read_only"], true);
    assert_eq!(json[1]["links"], 2);
    assert_eq!(json[1]["size"], 70_000);
    assert_eq!(json[1]["executable"], true);
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(text));
    })
}

#[test]
fn json_nests_and_lists_the_same_tree() {
    let place = packed();
    fn paths(node: &Value, into: &mut Vec<String>) {
        into.push(node["path"].as_str().unwrap().to_string());
        for child in node["children"].as_array().into_iter().flatten() {
            paths(child, into);
        }
    }
    let tree = json(&place.ok("tree --json files.img"));
    let mut nested = Vec::new();
    paths(&tree[0], &mut nested);
    nested.retain(|path| path != "/");
    nested.sort();
    let list = json(&place.ok("ls -R --json files.img"));
    let list = list.as_array().unwrap().iter();
    let mut flat: Vec<_> = list.map(|entry| entry["path"].as_str().unwrap()).collect();
    flat.sort_unstable();
    assert_eq!(nested, flat);
    assert_eq!(nested.len(), 10);
    // Several trees, an empty directory, and what is no directory.
    let trees = json(&place.ok("tree --json files.img /etc/conf.d bin/tool /etc"));
    assert_eq!(trees.as_array().unwrap().len(), 3);
    assert_eq!(trees[0]["children"].as_array().unwrap().len(), 0);
    assert_eq!(trees[2]["children"].as_array().unwrap().len(), 3);
    let du = json(&place.ok("du --json files.img"));
    assert_eq!(du[3]["path"], "/");
    assert_eq!(du[3]["bytes"], 70_006);
}

#[test]
fn odd_names_are_shown_and_can_be_given() {
    let place = Place::new();
    let tree = place.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let names: [&[u8]; 6] = [
        b"\x1b[31mred",
        b"\\",
        b"\xff\xfe",
        b"a b",
        b"line\nfeed",
        b"k\xc3\xa4se",
    ];
    for name in names {
        fs::write(tree.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    place.ok("image --mapdir /::tree --no-dev --no-tmp -q -o odd.img");
    assert_eq!(
        place.text("ls odd.img"),
        "\\033[31mred\n\\\\\na b\nkäse\nline\\nfeed\n\\377\\376\n"
    );
    let raw = place.ok("ls -0 odd.img");
    let mut paths: Vec<&[u8]> = raw.split(|byte| *byte == 0).collect();
    assert_eq!(paths.pop(), Some(&b""[..]));
    assert_eq!(paths.len(), names.len());
    for path in &paths {
        let mut command = place.command("cat odd.img");
        let output = command
            .arg(std::ffi::OsStr::from_bytes(path))
            .output()
            .unwrap();
        assert_eq!(output.stdout, path[1..]);
    }
    let listed = json(&place.ok("ls --json odd.img"));
    let said: Vec<Vec<u8>> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| match entry["path_hex"].as_str() {
            None => entry["path"].as_str().unwrap().as_bytes().to_vec(),
            Some(hex) => (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect(),
        })
        .collect();
    assert_eq!(said, paths);
    let page = place.path().join("page.html");
    place.ok("du odd.img --html page.html");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("line\\\\nfeed") && !page.contains('\x1b'));
}

#[test]
fn what_cannot_be_found_is_told_and_the_rest_is_shown() {
    let place = packed();
    for (args, stdout, stderr) in [
        (
            "cat files.img /ect/motd etc/motd",
            "Hello\n",
            "error: no /ect/motd in files.img\n  hint: did you mean /etc/motd?\n",
        ),
        (
            "ls files.img /motd /etc",
            "/etc:\nconf.d\nempty\nmotd\n",
            "error: no /motd in files.img\n  hint: did you mean /etc/motd?\n",
        ),
        (
            "ls files.img quite/another",
            "",
            "error: no quite/another in files.img: there is no /quite\n  \
             hint: `monaka ls -R files.img` lists what there is\n",
        ),
        (
            "stat files.img /etc/motd/x",
            "",
            "error: no /etc/motd/x in files.img: /etc/motd is not a directory\n  \
             hint: `monaka stat files.img /etc/motd` says what it is\n",
        ),
        (
            "cat files.img /bin/loop /bin/hello",
            "Hello\n",
            "error: no /bin/loop in files.img: it leads through more than 40 symbolic links\n  \
             hint: `monaka ls -l files.img PATH` shows where each leads\n",
        ),
        (
            "cat files.img /etc",
            "",
            "error: /etc in files.img is a directory\n  \
             hint: `monaka ls files.img /etc` lists it\n",
        ),
        (
            "du files.img /no",
            "",
            "error: no /no in files.img\n  hint: `monaka ls -R files.img` lists what there is\n",
        ),
        (
            "tree plain.wat.wasm",
            "",
            "error: cannot look into plain.wat.wasm\n  \
             caused by: nothing is packed into it\n  \
             hint: pack directories into it with \
             `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`\n",
        ),
        (
            "ls tree/etc/motd",
            "",
            "error: cannot look into tree/etc/motd\n  \
             caused by: it is not a WebAssembly module but a text file\n  \
             hint: give a packed module, or an image that `monaka image` wrote\n",
        ),
        (
            "ls gone.wasm",
            "",
            "error: cannot look into gone.wasm\n  \
             caused by: No such file or directory (os error 2)\n",
        ),
    ] {
        let output = place.monaka(args);
        assert_eq!(output.status.code(), Some(1), "monaka {args}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            stderr,
            "monaka {args}"
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            stdout,
            "monaka {args}"
        );
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let place = packed();
    for args in ["cat files.img /bin/tool", "ls -R files.img"] {
        let mut command = place.command(args);
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.stderr, b"", "monaka {args}");
        assert_eq!(output.status.code(), Some(0), "monaka {args}");
    }
}

/// Bytes of the image, of its place in the module, and of what is recorded about
/// it: with any of them changed the answer is one or an error, and nothing else.
#[test]
fn damage_is_an_error_and_nothing_worse() {
    let place = packed();
    for file in ["files.img", "single.wasm"] {
        let sound = place.read(file);
        let image = memchr::memmem::find(&sound, b"monakafs").unwrap();
        let record = memchr::memmem::rfind(&sound, b"monaka.image").unwrap_or(image);
        let tables = image..image + 700;
        let section = record..(record + 80).min(sound.len());
        let header = image.saturating_sub(12)..image;
        let mut worse = Vec::new();
        let mut refused = 0;
        let places = tables.step_by(5).chain(section.step_by(3)).chain(header);
        for (nth, at) in places.enumerate() {
            let mut bytes = sound.clone();
            bytes[at] ^= [0xff, 0x80, 1, 0x7f][nth % 4];
            fs::write(place.path().join("damaged"), &bytes).unwrap();
            let args = [
                "ls -lR damaged",
                "cat damaged /bin/hello bin/tool",
                "du -a damaged",
            ];
            let output = place.monaka(args[nth % 3]);
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            refused += usize::from(output.status.code() == Some(1));
            let is_told = stderr.starts_with("error: ")
                && stderr.contains("  hint: ")
                && !stderr.contains("cannot write to stdout");
            match output.status.code() {
                Some(0) => {}
                Some(1) if is_told && !stderr.contains("panicked") => {}
                _ => worse.push(format!("{file} at {at}, {}: {stderr}", args[nth % 3])),
            }
        }
        assert!(worse.is_empty(), "{}", worse.join("\n"));
        assert!(refused > 20, "{file}: {refused} were refused");
        for len in [0, 8, 55, 300, sound.len() / 2, sound.len() - 1] {
            fs::write(place.path().join("damaged"), &sound[..len]).unwrap();
            let output = place.monaka("ls damaged");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(1),
                "{file}, {len} bytes: {stderr}"
            );
            assert!(stderr.contains("  hint: "), "{file}, {len} bytes: {stderr}");
        }
    }
}

#[test]
fn inspect_accounts_for_every_byte() {
    let place = packed();
    for file in ["linked.wasm", "single.wasm", "multi.wasm"] {
        let report = json(&place.ok(&format!("inspect --json {file}")));
        let parts = report["parts"].as_object().unwrap();
        let part = |name: &str| parts[name].as_u64().unwrap();
        let sum: u64 = parts.values().map(|bytes| bytes.as_u64().unwrap()).sum();
        assert_eq!(sum, place.read(file).len() as u64, "{file}");
        assert_eq!(part("image_data"), report["data_bytes"].as_u64().unwrap());
        assert_eq!(
            part("image_tables"),
            report["tables_bytes"].as_u64().unwrap()
        );
        let merged = file != "linked.wasm";
        assert_eq!(part("file_system_code") > 1000, merged, "{file}");
        assert_eq!(part("file_system_state") > 0, merged, "{file}");
        let memories = report["memories"].as_array().unwrap();
        assert_eq!(memories.len(), if file == "multi.wasm" { 2 } else { 1 });
        for memory in memories {
            let field = |name: &str| memory[name].as_u64().unwrap();
            let names = ["program", "headroom", "image", "file_system"];
            let parts: u64 = names.into_iter().map(field).sum();
            assert_eq!(parts, field("bytes"), "{file}: {memory}");
        }
        assert_eq!(memories[0]["program"], 65_536, "{file}");
        let reasons = report["import_reasons"].as_array().unwrap();
        let imports = report["imports"].as_array().unwrap();
        assert_eq!(reasons.len(), imports.len());
    }
    let text = place.text("inspect linked.wasm");
    for line in [
        "  stdout and stderr: fd_write\n",
        "  the time, also that of changes to files: clock_time_get\n",
        "  the program's own: env.hello\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let text = place.text("inspect multi.wasm");
    for line in [
        "\nmemory      66 KB at the start: program 66 KB",
        "\nmemory 1    ",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn wrong_command_lines_exit_with_two() {
    let place = Place::new();
    for args in [
        "ls",
        "ls x.img --no-such-flag",
        "ls -0l x.img",
        "cat x.img",
        "stat",
        "tree -L 0 x.img",
        "du -s -a x.img",
        "du --json --html x.html x.img",
        "image --mapdir /::root",
        "image",
    ] {
        assert_eq!(place.monaka(args).status.code(), Some(2), "monaka {args}");
    }
}
