//! `monaka build`: what each instruction does, and what is refused.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Output;

use sha2::{Digest as _, Sha256};

use super::Place;

/// Writes its arguments into the file `out` of descriptor 3, whatever that is;
/// ends with status 3 if there are none, and says `ran` on stdout.
const TOOL: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    (data (i32.const 8) "out")
    (data (i32.const 40) "ran\n")
    (data (i32.const 48) "\28\00\00\00\04\00\00\00")
    (func (export "_start") (local $at i32) (local $len i32)
        (drop (call $write (i32.const 1) (i32.const 48) (i32.const 1) (i32.const 32)))
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $args (i32.const 1024) (i32.const 2048)))
        (if (i32.eq (i32.load (i32.const 0)) (i32.const 1)) (then (call $exit (i32.const 3))))
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 3)
            (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
        (loop $each
            (i32.store (i32.const 24)
                (i32.load offset=1024 (i32.mul (local.get $at) (i32.const 4))))
            (local.set $len (i32.const 0))
            (loop $byte
                (local.set $len (i32.add (local.get $len) (i32.const 1)))
                (br_if $byte (i32.load8_u (i32.sub
                    (i32.add (i32.load (i32.const 24)) (local.get $len)) (i32.const 1)))))
            (i32.store (i32.const 28) (local.get $len))
            (drop (call $write (i32.load (i32.const 16)) (i32.const 24) (i32.const 1) (i32.const 32)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $each (i32.lt_u (local.get $at) (i32.load (i32.const 0)))))))"#;

/// A context: a program and a few files.
fn place() -> Place {
    let place = Place::new();
    let context = place.path().join("ctx");
    for (path, text) in [
        ("a.txt", "a"),
        ("b.txt", "b"),
        ("c.md", "c"),
        ("dir/x", "x"),
        ("dir/sub/y", "y"),
        ("dir/sub/z.txt", "z"),
    ] {
        let path = context.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    symlink("a.txt", context.join("link")).unwrap();
    symlink("x", context.join("dir/inner")).unwrap();
    symlink("/etc", context.join("absolute")).unwrap();
    symlink("../..", context.join("above")).unwrap();
    place.put("ctx/tool.wasm", TOOL);
    place
}

impl Place {
    fn build(&self, text: &str, flags: &str) -> Output {
        fs::write(self.path().join("ctx/Containerfile"), text).unwrap();
        self.monaka(&format!("build -t out.wasm ctx {flags}"))
    }

    /// Builds; answers what is in the module, a path a line.
    #[track_caller]
    fn built(&self, text: &str, flags: &str) -> Vec<String> {
        let output = self.build(text, flags);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{stderr}");
        let paths = self.text("ls -R out.wasm --json");
        let entries: Vec<serde_json::Value> = serde_json::from_str(&paths).unwrap();
        let path = |entry: &serde_json::Value| Some(entry["path"].as_str()?.to_string());
        let mut paths: Vec<String> = entries.iter().filter_map(path).collect();
        paths.retain(|path| !path.starts_with("/dev") && path != "/tmp" && path != "/");
        paths.sort();
        paths
    }

    #[track_caller]
    fn holds(&self, path: &str, text: &str) {
        assert_eq!(self.text(&format!("cat out.wasm {path}")), text, "{path}");
    }
}

/// What a Containerfile's lines leave, behind a program.
#[track_caller]
fn leaves(lines: &str, paths: &[&str]) {
    assert_eq!(
        place().built(&format!("FROM tool.wasm\n{lines}\n"), ""),
        paths,
        "{lines}"
    );
}

#[test]
fn copy_puts_files_where_docker_does() {
    leaves("COPY a.txt /x", &["/x"]);
    leaves("COPY a.txt /x/", &["/x", "/x/a.txt"]);
    leaves("WORKDIR /x\nCOPY a.txt .", &["/x", "/x/a.txt"]);
    leaves(
        "WORKDIR /x\nWORKDIR y\nCOPY a.txt z",
        &["/x", "/x/y", "/x/y/z"],
    );
    leaves("WORKDIR /x\nCOPY a.txt /x", &["/x", "/x/a.txt"]);
    leaves("COPY a.txt b.txt /x/", &["/x", "/x/a.txt", "/x/b.txt"]);
    leaves("COPY *.txt /", &["/a.txt", "/b.txt"]);
    leaves("COPY ?.md /y", &["/y"]);
    leaves("COPY [ab].txt /x/", &["/x", "/x/a.txt", "/x/b.txt"]);
    leaves("COPY */x /x", &["/x"]);
    let dir = [
        "/x",
        "/x/inner",
        "/x/sub",
        "/x/sub/y",
        "/x/sub/z.txt",
        "/x/x",
    ];
    leaves("COPY dir /x", &dir);
    leaves("COPY dir/ /x/", &dir);
    leaves("COPY [\"dir\", \"/x\"]", &dir);
    leaves(
        "COPY dir/sub/ /x\nCOPY dir/sub/y /x/z.txt",
        &["/x", "/x/y", "/x/z.txt"],
    );
    leaves("COPY dir/../a.txt /./x//y", &["/x", "/x/y"]);
    leaves("ARG T=b\nCOPY $T.txt ${T}", &["/b"]);
    leaves("COPY --link a.txt /x", &["/x"]);
}

#[test]
fn links_are_followed_where_they_are_named() {
    let place = place();
    place.built("FROM tool.wasm\nCOPY link /x\nCOPY dir /d\n", "");
    place.holds("/x", "a");
    let stat = place.text("stat out.wasm /d/inner --json");
    assert!(stat.contains("symlink"), "{stat}");
}

#[test]
fn modes_keep_what_wasi_knows_of_them() {
    let place = place();
    place.built(
        "FROM tool.wasm\nCOPY --chmod=755 a.txt /x\nADD --chmod=644 b.txt /y\nCOPY --chmod=+x c.md /z\n",
        "",
    );
    let list = place.text("ls -l out.wasm");
    for (name, executable) in [("x", true), ("y", false), ("z", true)] {
        let line = list
            .lines()
            .find(|line| line.ends_with(&format!(" {name}")))
            .unwrap();
        let first = line.split_whitespace().next().unwrap();
        assert_eq!(first.contains('x'), executable, "{line}");
    }
}

#[test]
fn here_documents_are_files() {
    let place = place();
    place.built(
        "FROM tool.wasm\nARG N=1\nCOPY <<E /x\nn=$N \\$N 'q'\nE\nCOPY <<-'E' /y\n\t$N\n\tE\n",
        "",
    );
    place.holds("/x", "n=1 $N 'q'\n");
    place.holds("/y", "$N\n");
}

#[test]
fn add_unpacks_archives_and_copies_the_rest() {
    let place = place();
    let context = place.path().join("ctx");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    tar.append_data(&mut header, "in/side", &b"in"[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    fs::write(context.join("plain.tar"), &tar).unwrap();
    fs::write(
        context.join("small.tar.zst"),
        zstd::encode_all(&tar[..], 1).unwrap(),
    )
    .unwrap();
    fs::write(
        context.join("one.zst"),
        zstd::encode_all(&b"one"[..], 1).unwrap(),
    )
    .unwrap();
    let expected = ["/p", "/p/in", "/p/in/side"];
    for archive in ["plain.tar", "small.tar.zst"] {
        assert_eq!(
            place.built(&format!("FROM tool.wasm\nADD {archive} /p/\n"), ""),
            expected
        );
        place.holds("/p/in/side", "in");
        let copied = place.built(&format!("FROM tool.wasm\nCOPY {archive} /p\n"), "");
        assert_eq!(copied, ["/p"]);
    }
    let copied = place.built("FROM tool.wasm\nADD one.zst a.txt /p/\nADD dir /p\n", "");
    assert!(copied.contains(&"/p/one.zst".into()) && copied.contains(&"/p/sub/y".into()));
    fs::write(context.join("x.tar.bz2"), "BZh9").unwrap();
    let error = refused(&place, "ADD x.tar.bz2 /p/");
    assert!(error.contains("bzip2"), "{error}");
}

#[test]
fn stages_build_on_each_other() {
    let place = place();
    let text = "ARG BASE=one\n\
        FROM scratch AS one\nCOPY a.txt /\n\
        FROM nowhere AS unused\nRUN nothing\n\
        FROM $BASE AS two\nCOPY b.txt /\n\
        FROM tool.wasm AS three\nCOPY --from=two / /all/\nCOPY --from=0 /*.txt /first/\n";
    let text = text.replace("FROM $BASE", "FROM one");
    let paths = place.built(&text, "");
    assert_eq!(
        paths,
        ["/all", "/all/a.txt", "/all/b.txt", "/first", "/first/a.txt"]
    );
    let output = place.build(&text, "--target tree");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("did you mean three?"), "{stderr}");
    let text = "ARG B=none\nFROM $B\nCOPY a.txt /\n";
    assert_eq!(place.built(text, "--build-arg B=tool.wasm"), ["/a.txt"]);
}

#[test]
fn a_packed_module_is_a_base_with_its_files() {
    let place = place();
    place.ok("pack ctx/tool.wasm --mapdir /old::ctx/dir/sub --read-only /old --max-bytes 1M -o ctx/packed.wasm");
    let paths = place.built("FROM packed.wasm\nCOPY a.txt /new/\n", "");
    assert_eq!(
        paths,
        ["/new", "/new/a.txt", "/old", "/old/y", "/old/z.txt"]
    );
    let inspected = place.text("inspect out.wasm");
    assert!(
        inspected.contains("1048576 bytes") && inspected.contains("/old"),
        "{inspected}"
    );
    let paths = place.built("FROM tool.wasm\nCOPY --from=packed.wasm /old/y /y\n", "");
    assert_eq!(paths, ["/y"]);
    place.holds("/y", "y");
    for use_it in ["RUN packed x", "RUN [\"/bin/packed.wasm\"]"] {
        let error = refused(&place, &format!("COPY packed.wasm /bin/\n{use_it}"));
        assert!(
            error.contains("/bin/packed.wasm is packed already"),
            "{error}"
        );
    }
}

#[test]
fn a_container_brings_its_files_and_what_it_says_of_its_program() {
    let place = place();
    let layout = place.path().join("ctx/image");
    let mut tar = tar::Builder::new(Vec::new());
    let wasm = place.read("ctx/tool.wasm");
    for (path, bytes) in [("bin/tool.wasm", &wasm[..]), ("etc/os", b"os")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, bytes).unwrap();
    }
    let blob = |bytes: &[u8], kind: &str| {
        let digest: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        fs::write(layout.join("blobs/sha256").join(&digest), bytes).unwrap();
        let kind = format!("application/vnd.oci.image.{kind}");
        serde_json::json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let config = serde_json::json!({"config": {
        "Env": ["A=from the image"], "Entrypoint": ["/bin/tool.wasm", "fixed"],
        "WorkingDir": "/etc", "Labels": {"made": "elsewhere"}, "Volumes": {"/data": {}},
    }});
    let manifest = serde_json::json!({
        "config": blob(config.to_string().as_bytes(), "config.v1+json"),
        "layers": [blob(&tar.into_inner().unwrap(), "layer.v1.tar")],
    });
    let manifest = blob(manifest.to_string().as_bytes(), "manifest.v1+json");
    let index = serde_json::json!({"manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();

    let paths = place.built("FROM oci:image\nCOPY <<E here\n$A\nE\n", "");
    assert_eq!(paths, ["/bin", "/etc", "/etc/here", "/etc/os"]);
    place.holds("/etc/here", "from the image\n");
    let inspected = place.text("inspect out.wasm");
    assert!(inspected.contains("made=elsewhere"), "{inspected}");
    let contexts = "--build-context base=ctx/image --build-context more=ctx/dir";
    let paths = place.built("FROM base\nCOPY --from=more sub /m\n", contexts);
    assert_eq!(paths, ["/bin", "/etc", "/etc/os", "/m", "/m/y", "/m/z.txt"]);
}

#[test]
fn run_keeps_what_a_program_of_the_tree_writes() {
    let place = place();
    let text = "FROM tool.wasm\nCOPY tool.wasm dir /d/\nCOPY tool.wasm /bin/tool\nARG V=1\n\
                RUN [\"/d/tool.wasm\", \"$V\", \"b c\"]\n";
    let paths = place.built(text, "--build-arg V=2");
    assert!(
        paths.contains(&"/out".into()) && paths.contains(&"/d/sub/y".into()),
        "{paths:?}"
    );
    place.holds("/out", "tool.wasm\0$V\0b c\0");
    place.holds("/d/sub/y", "y");
    for (command, args) in [
        ("tool $V 'a  b'", "tool\x002\0a  b\0"),
        ("/bin/tool x", "tool\0x\0"),
        ("bin/../d/tool.wasm x", "tool.wasm\0x\0"),
    ] {
        place.built(
            &text.replace("[\"/d/tool.wasm\", \"$V\", \"b c\"]", command),
            "--build-arg V=2",
        );
        place.holds("/out", args);
    }
    // The program of FROM goes by its own name.
    place.built("FROM tool.wasm\nRUN tool hello\n", "");
    place.holds("/out", "tool\0hello\0");
    let output = place.build("FROM tool.wasm\nRUN tool hello\n", "");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("STEP 2/2: RUN tool hello\nran\n"),
        "{stderr}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn entrypoint_names_a_module_which_leaves_the_tree() {
    let place = place();
    for lines in [
        "ENTRYPOINT [\"/bin/tool.wasm\"]",
        "ENTRYPOINT tool",
        "CMD [\"tool\", \"x\"]",
        "WORKDIR /bin\nENTRYPOINT [\"./tool.wasm\"]",
    ] {
        let paths = place.built(
            &format!("FROM scratch\nCOPY tool.wasm /bin/\nCOPY a.txt /\n{lines}\n"),
            "",
        );
        assert_eq!(paths, ["/a.txt", "/bin"], "{lines}");
        place.ok("run out.wasm -- x");
    }
}

/// What the program writes into `out` of its current directory.
fn written(place: &Place, directory: &str, args: &str) -> String {
    let _ = fs::remove_dir_all(place.path().join("left"));
    place.ok(&format!("run out.wasm --save-to left {args}"));
    String::from_utf8(place.read(&format!("left{directory}/out"))).unwrap()
}

#[test]
fn arguments_and_directory_are_part_of_the_module() {
    let place = place();
    let copied = "FROM scratch\nCOPY tool.wasm /bin/\n";
    for (text, directory, alone, given) in [
        (
            format!("{copied}WORKDIR /w\nENTRYPOINT [\"tool\", \"fixed\"]\nCMD [\"a b\"]\n"),
            "/w",
            "tool\0fixed\0a b\0",
            "tool\0fixed\0given\0",
        ),
        (
            format!("{copied}CMD /bin/tool.wasm x\n"),
            "",
            "/bin/tool.wasm\0x\0",
            "/bin/tool.wasm\0given\0",
        ),
        (
            format!("{copied}ENTRYPOINT tool\nCMD x\nENTRYPOINT tool y\n"),
            "",
            "tool\0y\0x\0",
            "tool\0y\0given\0",
        ),
        (
            "FROM tool.wasm\nCMD [\"x\"]\n".into(),
            "",
            "out.wasm\0x\0",
            "out.wasm\0given\0",
        ),
        (
            "FROM tool.wasm\nENTRYPOINT [\"x\"]\n".into(),
            "",
            "out.wasm\0x\0",
            "out.wasm\0x\0given\0",
        ),
    ] {
        place.built(&text, "");
        assert_eq!(written(&place, directory, ""), alone, "{text}");
        assert_eq!(written(&place, directory, "-- given"), given, "{text}");
    }
}

#[test]
fn what_a_base_says_of_its_program_holds_on() {
    let place = place();
    place.built(
        "FROM tool.wasm\nWORKDIR /w\nENV A=1\nENTRYPOINT [\"x\"]\nCMD [\"y\"]\n",
        "",
    );
    fs::copy(
        place.path().join("out.wasm"),
        place.path().join("ctx/base.wasm"),
    )
    .unwrap();
    let paths = place.built("FROM base.wasm\nCOPY <<E here\n$A\nE\n", "");
    assert_eq!(paths, ["/w", "/w/here"]);
    place.holds("/w/here", "1\n");
    assert_eq!(written(&place, "/w", ""), "out.wasm\0x\0y\0");
    // ENTRYPOINT takes the base's CMD with it; RUN is not given either.
    place.built(
        "FROM base.wasm\nRUN base z\nENTRYPOINT [\"v\"]\nWORKDIR /\n",
        "",
    );
    place.holds("/w/out", "base\0z\0");
    assert_eq!(written(&place, "", ""), "out.wasm\0v\0");
}

#[test]
fn a_checkpoint_is_no_import_of_what_is_built() {
    let place = place();
    place.put(
        "ctx/stops.wasm",
        r#"(module
            (import "monaka" "checkpoint" (func $checkpoint))
            (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") call $checkpoint))"#,
    );
    place.built("FROM stops.wasm\nCOPY a.txt /\n", "");
    let imports = place.monaka("inspect --imports out.wasm");
    assert!(imports.status.success());
    assert!(!String::from_utf8_lossy(&imports.stdout).contains("monaka"));
    assert!(place.monaka("run out.wasm").status.success());
}

#[test]
fn volumes_are_writable_where_the_rest_is_not() {
    let place = place();
    let paths = place.built(
        "FROM tool.wasm\nCOPY a.txt /\nVOLUME /data\nVOLUME [\"/y y\"]\n",
        "--read-only / --no-tmp",
    );
    assert!(
        paths.contains(&"/data".into()) && paths.contains(&"/y y".into()),
        "{paths:?}"
    );
    let inspected = place.text("inspect out.wasm --json");
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    let writable = inspected["writable_below"].as_array().unwrap();
    assert!(writable.iter().any(|path| path == "/data"), "{writable:?}");
}

#[test]
fn labels_are_recorded_and_stay() {
    let place = place();
    place.built(
        "FROM tool.wasm\nARG V=1.2\nLABEL version=$V \"a b\"='c d'\nLABEL version=1.3\n",
        "",
    );
    let inspected: serde_json::Value =
        serde_json::from_str(&place.text("inspect out.wasm --json")).unwrap();
    let labels: BTreeMap<String, String> =
        serde_json::from_value(inspected["labels"].clone()).unwrap();
    let expected = [("a b", "c d"), ("version", "1.3")];
    assert_eq!(labels, expected.map(|(n, v)| (n.into(), v.into())).into());
    place.ok("add out.wasm --file /x=1 -i");
    assert!(place.text("inspect out.wasm").contains("version=1.3"));
    fs::copy(
        place.path().join("out.wasm"),
        place.path().join("ctx/base.wasm"),
    )
    .unwrap();
    place.built("FROM base.wasm\nLABEL more=1\n", "");
    assert!(place.text("inspect out.wasm").contains("version=1.3"));
}

#[test]
fn an_ignore_file_and_the_output_keep_files_out() {
    let place = place();
    fs::write(
        place.path().join("ctx/.dockerignore"),
        "*\n!*.txt\n!dir/sub\nb.txt\n",
    )
    .unwrap();
    let text = "FROM tool.wasm\nCOPY . /x\n";
    let paths = place.built(text, "");
    assert_eq!(
        paths,
        [
            "/x",
            "/x/a.txt",
            "/x/dir",
            "/x/dir/sub",
            "/x/dir/sub/y",
            "/x/dir/sub/z.txt"
        ]
    );
    fs::write(
        place.path().join("ctx/Containerfile.dockerignore"),
        "*\n!b.txt\n",
    )
    .unwrap();
    assert_eq!(place.built(text, ""), ["/x", "/x/b.txt"]);
    let error = refused(&place, "COPY a.txt /");
    assert!(error.contains(".dockerignore"), "{error}");

    fs::remove_file(place.path().join("ctx/Containerfile.dockerignore")).unwrap();
    fs::remove_file(place.path().join("ctx/.dockerignore")).unwrap();
    fs::remove_file(place.path().join("ctx/absolute")).unwrap();
    let twice = [(); 2].map(|()| {
        place.ok("build -q -t ctx/self.wasm ctx");
        place.read("ctx/self.wasm")
    });
    assert!(twice[0] == twice[1], "a build packs its own output");
}

#[test]
fn the_same_context_gives_the_same_bytes() {
    let text = "FROM scratch\nCOPY . /x\nLABEL a=1 b=2\nWORKDIR /w\nRUN /x/tool.wasm 1\nENTRYPOINT [\"/x/tool.wasm\"]\n";
    let modules = [(); 2].map(|()| {
        let place = place();
        fs::write(place.path().join("ctx/Containerfile"), text).unwrap();
        let mut command = place.command("build -q --mtime 5 -t out.wasm ctx");
        let output = command.env("SOURCE_DATE_EPOCH", "1").output().unwrap();
        assert_eq!(
            (output.status.code(), &output.stderr[..]),
            (Some(0), &b"ran\n"[..])
        );
        place.read("out.wasm")
    });
    assert!(modules[0] == modules[1]);
}

#[test]
fn what_does_nothing_says_so() {
    let place = place();
    let output = place.build(
        "FROM --platform=wasi/wasm tool.wasm\nEXPOSE 80\nMAINTAINER me\nSTOPSIGNAL 9\nHEALTHCHECK NONE\n",
        "--build-arg UNUSED=1",
    );
    assert!(output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    for line in [
        "line 2: EXPOSE 80 does nothing",
        "line 3: MAINTAINER me does",
        "line 4: STOPSIGNAL 9",
        "line 5: HEALTHCHECK",
        "UNUSED",
    ] {
        assert!(
            stderr.contains(&format!("warning: {line}")) || stderr.contains(line),
            "{line}: {stderr}"
        );
    }
    let quiet = place.build("FROM tool.wasm\nCOPY a.txt /\n", "-q");
    assert!(quiet.stderr.is_empty());
}

/// The error of a line behind `FROM tool.wasm`.
fn refused(place: &Place, line: &str) -> String {
    let _ = fs::remove_file(place.path().join("out.wasm"));
    let output = place.build(&format!("FROM tool.wasm\n{line}\n"), "-q");
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(!place.path().join("out.wasm").exists(), "{line}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_cannot_be_done_is_refused_with_its_line() {
    let place = place();
    for (line, reason) in [
        ("COPY none /x", "none is not in the build context"),
        ("COPY n*e /x", "nothing in the build context matches n*e"),
        (
            "COPY ../root/file /x",
            "../root/file leads out of the build context",
        ),
        ("COPY dir/../../root /x", "leads out of the build context"),
        ("COPY absolute/passwd /x", "leads out of the build context"),
        ("COPY above /x", "leads out of the build context"),
        ("COPY a.txt b.txt /x", "several files cannot all become /x"),
        ("COPY *.txt /x", "several files cannot all become /x"),
        ("COPY a.txt /x\nCOPY b.txt /x/y", "/x is not a directory"),
        ("COPY a.txt /x\nCOPY dir /x", "x"),
        (
            "COPY dir /x\nCOPY dir/x /x/sub\nCOPY dir/sub/y /x/sub/x/n",
            "not a directory",
        ),
        ("COPY --from=none / /x", "none is not in the build context"),
        (
            "COPY --from=../root/file / /x",
            "leads out of the build context",
        ),
        ("COPY --from=tool.wasm /none /x", "/none is not there"),
        ("COPY ${X /x", "not closed"),
        ("COPY <<E /\nE", "has no name"),
        ("ADD https://example.org/x /x", "is not fetched"),
        ("RUN none", "there is no program none"),
        ("RUN /none", "there is no program /none"),
        ("RUN tool", "tool ended with status 3"),
        (
            "COPY a.txt /bin/\nRUN a.txt",
            "/bin/a.txt is no WebAssembly module",
        ),
        (
            "RUN tool a && tool b",
            "asks a shell for a list of commands",
        ),
        ("RUN [\"\"]", "names no program"),
        ("CMD $X", "asks a shell for a variable"),
        ("USER me", "no users"),
        ("ARG X\nWORKDIR ${X:?is needed}", "$X: is needed"),
    ] {
        let error = refused(&place, line);
        let number = 1 + line.lines().filter(|line| *line != "E").count();
        let last = format!("caused by: line {number}: ");
        assert!(
            error.contains(reason) && error.contains(&last),
            "{line}: {error}"
        );
    }
    for (text, reason) in [
        ("FROM scratch\nCOPY a.txt /\n", "no program is named"),
        (
            "FROM scratch\nENTRYPOINT [\"/x\"]\n",
            "there is no program /x",
        ),
        ("FROM alpine:3\n", "alpine:3 is not in the build context"),
        ("FROM $X\n", "$X is empty"),
        ("FROM a.txt\n", "line 1: FROM a.txt"),
        ("FROM ../app.wasm\n", "line 1: "),
        ("RUN x\n", "line 1: "),
    ] {
        let output = place.build(text, "-q");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(stderr.contains(reason), "{text}: {stderr}");
    }
}

#[test]
fn a_containerfile_is_found_or_read_from_stdin() {
    let place = place();
    let missing = place.monaka("build -t out.wasm ctx");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no Containerfile in ctx"));
    fs::write(place.path().join("text"), "FROM tool.wasm\nCOPY a.txt /\n").unwrap();
    let stdin = File::open(place.path().join("text")).unwrap();
    let output = place
        .command("build -f - -t - ctx")
        .stdin(stdin)
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"\0asm"));
    fs::copy(
        place.path().join("text"),
        place.path().join("ctx/Dockerfile"),
    )
    .unwrap();
    place.ok("build -t out.wasm ctx");
    assert!(place.read("out.wasm") == output.stdout);
}
