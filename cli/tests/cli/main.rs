//! The command as a user meets it: every error text, and what the commands print.

#[cfg(unix)]
mod build;
#[cfg(unix)]
mod change;
#[cfg(unix)]
mod diff;
mod doctor;
mod errors;
#[cfg(unix)]
mod extract;
mod fake;
mod habits;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(unix)]
mod look;
mod policy;
mod sources;
mod spec;
mod start;
#[cfg(unix)]
mod verify;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use errors::{App, PACK, errors};
use fake::program;
use monaka_vfs_core::link::ABI;
use tempfile::TempDir;

/// A directory with a small tree to pack, where commands run.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::create_dir(place.path().join("root")).unwrap();
        fs::write(place.path().join("root/file"), "contents").unwrap();
        fs::create_dir(place.path().join("other")).unwrap();
        fs::write(place.path().join("other/file"), "CONTENTS").unwrap();
        fs::write(place.path().join("other/more"), "more").unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a module made of text there.
    fn put(&self, name: &str, wat: &str) {
        let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}"));
        fs::write(self.path().join(name), wasm).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monaka"));
        command
            .args(args.split_whitespace())
            .current_dir(self.path())
            .env("COLUMNS", "100");
        command
    }

    fn monaka(&self, args: &str) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed; answers stdout.
    fn ok(&self, args: &str) -> Vec<u8> {
        let output = self.monaka(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "monaka {args}\n{stderr}");
        output.stdout
    }

    fn text(&self, args: &str) -> String {
        String::from_utf8(self.ok(args)).unwrap()
    }

    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn every_error_names_what_where_and_the_way_out() {
    let mut wrong = Vec::new();
    for (app, args, status, stderr) in errors() {
        let place = Place::new();
        match app {
            App::Text(wat) => place.put("app.wasm", &wat),
            App::Bytes(bytes) => fs::write(place.path().join("app.wasm"), bytes).unwrap(),
            App::None => {}
        }
        let before = place.entries();
        let output = place.monaka(args);
        let found = String::from_utf8(output.stderr).unwrap();
        if output.status.code() != Some(status) || found != stderr || !output.stdout.is_empty() {
            wrong.push(format!(
                "monaka {args}: {}\n{found}expected {status}\n{stderr}",
                output.status
            ));
        }
        assert_eq!(
            place.entries(),
            before,
            "monaka {args} left something behind"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn usage_errors_exit_with_two() {
    let place = Place::new();
    for args in [
        "",
        "pack",
        "pack app.wasm -o",
        "run",
        "lib",
        "inspect",
        "commit",
        "commit app.wasm",
        "run app.wasm --changed",
        "completions",
        "completions csh",
        "nonsense",
        "pack app.wasm --mapdir /..::root -o out.wasm",
        "pack app.wasm --mapdir /:: -o out.wasm",
    ] {
        assert_eq!(place.monaka(args).status.code(), Some(2), "monaka {args}");
    }
}

#[test]
fn help_has_examples_and_exit_status() {
    let place = Place::new();
    for command in [
        "",
        "pack",
        "image",
        "run",
        "commit",
        "lib",
        "inspect",
        "ls",
        "cat",
        "stat",
        "tree",
        "du",
        "completions",
    ] {
        let help = place.text(&format!("{command} --help"));
        assert!(help.contains("Examples:\n  monaka "), "{help}");
        assert!(help.contains("Exit status: "), "{help}");
    }
}

#[test]
fn a_failed_pack_leaves_the_old_output() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, "").replace("1 200)", "1 1)"));
    fs::write(place.path().join("out.wasm"), "old").unwrap();
    assert_eq!(place.monaka(PACK).status.code(), Some(1));
    assert_eq!(place.read("out.wasm"), b"old");
}

#[cfg(unix)]
#[test]
fn an_interrupted_pack_leaves_nothing() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, "").replace("1 200)", "1 20000)"));
    let large = fs::File::create(place.path().join("root/large")).unwrap();
    // Long enough to be interrupted, without taking room on the disk.
    large.set_len(1 << 30).unwrap();
    let before = place.entries();
    let mut pack = place.command(PACK).stderr(Stdio::null()).spawn().unwrap();
    while place.entries() == before {
        assert!(pack.try_wait().unwrap().is_none(), "it has ended by itself");
        std::thread::yield_now();
    }
    let pid = pack.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(killed.success());
    assert_eq!(pack.wait().unwrap().code(), Some(130));
    assert_eq!(place.entries(), before);
}

#[test]
fn an_output_that_is_packed_itself_is_warned_of() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    let args = "pack app.wasm --mapdir /::root -o root/out.wasm -q";
    assert_eq!(place.monaka(args).stderr, b"");
    let stderr = String::from_utf8(place.monaka(args).stderr).unwrap();
    let expected = "warning: root/out.wasm lies in the packed directory root";
    assert!(stderr.starts_with(expected), "{stderr}");
}

#[cfg(unix)]
#[test]
fn the_output_is_executable_if_the_program_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    for mode in [0o755, 0o644] {
        let app = place.path().join("app.wasm");
        fs::set_permissions(app, fs::Permissions::from_mode(mode)).unwrap();
        place.ok(&format!("pack app.wasm --mapdir /::root -o {mode}.wasm -q"));
        let out = fs::metadata(place.path().join(format!("{mode}.wasm"))).unwrap();
        assert_eq!(out.permissions().mode() & 0o100, mode & 0o100);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    let output = place.monaka("pack app.wasm --mapdir /::root -o /dev/full");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("cannot write /dev/full"), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
}

#[test]
fn pack_says_what_it_did_unless_told_not_to() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    let output = place.monaka(PACK);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("packed 1 file (8 B), 2 directories, 8 devices into out.wasm: "),
        "{stderr}"
    );
    assert!(output.stdout.is_empty());
    let output = place.monaka(&format!("{PACK} --quiet"));
    assert_eq!(output.stderr, b"");
}

#[test]
fn dash_is_stdin_and_stdout() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok(PACK);
    for args in [
        "pack - --mapdir /::root -q",
        "pack - --mapdir /::root -o - -q",
    ] {
        let app = fs::File::open(place.path().join("app.wasm")).unwrap();
        let output = place.command(args).stdin(app).output().unwrap();
        assert!(output.status.success());
        assert!(output.stdout == place.read("out.wasm"), "monaka {args}");
    }
}

#[test]
fn the_later_mapping_wins_whichever_flag_it_has() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    let pack = |name: &str, mappings: &str| {
        place.ok(&format!("pack app.wasm {mappings} -o {name} -q"));
        place.read(name)
    };
    let one = pack("1", "--mapdir /::root --dir other::/");
    assert!(one == pack("2", "--dir root::/ --mapdir /::other"));
    let other = pack("3", "--dir other::/ --mapdir /::root");
    assert!(memchr::memmem::find(&one, b"CONTENTS").is_some());
    assert!(memchr::memmem::find(&one, b"contents").is_none());
    assert!(memchr::memmem::find(&other, b"contents").is_some());
}

#[test]
fn packing_twice_is_packing_once_with_both() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok("pack app.wasm --mapdir /::root --mapdir /data::other -o once.wasm -q");
    place.ok("pack app.wasm --mapdir /::root -o first.wasm -q");
    place.ok("pack first.wasm --mapdir /data::other -o twice.wasm -q");
    assert!(place.read("once.wasm") == place.read("twice.wasm"));
    place.ok("pack twice.wasm -o twice.wasm -q");
    assert!(place.read("once.wasm") == place.read("twice.wasm"));
}

#[test]
fn host_directories_cannot_come_back() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok(&format!("{PACK} -q"));
    let output = place.monaka("pack out.wasm --mapdir /::other --allow-host-dirs -o again.wasm");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: cannot pack out.wasm\n  \
         caused by: an earlier pack removed the imports that --allow-host-dirs needs\n  \
         hint: pack the original module again, with --allow-host-dirs and all its directories\n"
    );
    // The other way round they go, and pack says so.
    place.ok(&format!("{PACK} -q --allow-host-dirs"));
    let output = place.monaka("pack out.wasm -o again.wasm -q");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("warning: the module was packed with --allow-host-dirs before"),
        "{stderr}"
    );
    place.ok(&format!("{PACK} -q"));
    assert!(place.read("out.wasm") == place.read("again.wasm"));
}

#[test]
fn another_or_a_damaged_pack_is_refused() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok(&format!("{PACK} -q"));
    let wasm = place.read("out.wasm");
    let section = memchr::memmem::rfind(&wasm, b"monaka.image").unwrap() + "monaka.image".len();
    let address = memchr::memmem::find(&wasm, b"monakafs").unwrap();
    let cases: [(usize, u8, &str); 3] = [
        (
            section,
            4,
            "it was packed in image format 4, ABI 3; this monaka writes format 3, ABI 3",
        ),
        (
            section + 18,
            77,
            "what an earlier pack recorded in it is damaged: the image is not where it was put",
        ),
        (
            address,
            b'M',
            "what an earlier pack recorded in it is damaged: ",
        ),
    ];
    for (at, byte, expected) in cases {
        let mut wasm = wasm.clone();
        wasm[at] = byte;
        fs::write(place.path().join("bad.wasm"), wasm).unwrap();
        let output = place.monaka("pack bad.wasm --mapdir /::other -o again.wasm");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr.contains(&format!("caused by: {expected}")),
            "{stderr}"
        );
        assert!(
            stderr.contains("  hint: pack the original module again"),
            "{stderr}"
        );
    }
}

#[test]
fn inspect_prints_what_was_packed() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    assert_eq!(
        place.text("inspect app.wasm"),
        "not packed, but linked with libmonaka_vfs.a\n\
         hint: pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`\n"
    );
    place.ok("pack app.wasm --mapdir /usr/lib::root --mapdir /etc::other -o out.wasm -q");
    let text = place.text("inspect out.wasm");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}: {text}"))
            .trim()
            .to_string()
    };
    assert_eq!(field("packed"), "3 files (20 B), 5 directories, 8 devices");
    assert_eq!(field("mounts"), "/usr/lib, /etc, /");
    assert_eq!(field("route"), "linked");
    assert_eq!(field("read-only"), "nothing");
    assert_eq!(field("limits"), "none but memory");
    assert_eq!(field("format"), "3, ABI 3");
    assert_eq!(field("host dirs"), "not visible");
    assert_eq!(field("imports"), "3 (`--imports` lists them)");
    assert_eq!(field("sha256").len(), 64);
    assert_eq!(
        place.text("inspect out.wasm --imports"),
        "wasi_snapshot_preview1.fd_write\nwasi_snapshot_preview1.clock_time_get\nenv.hello\n"
    );
    let json = place.text("inspect out.wasm --json");
    for expected in [
        "\"packed\": true",
        "\"files\": 3",
        "\"mounts\": [\"/usr/lib\", \"/etc\", \"/\"]",
        "\"host_dirs\": false",
        "\"devices\": 8",
        "\"route\": \"linked\"",
        "\"memory\": null",
        "\"read_only\": []",
        "\"max_bytes\": null",
    ] {
        assert!(json.contains(expected), "{json}");
    }
    // Limits and read-only places stay when the module is packed again.
    place.ok(
        "pack out.wasm --read-only / --max-bytes 64K --max-inodes 3 --mapdir /a::root \
         -o limited.wasm -q",
    );
    place.ok("pack limited.wasm --mapdir /b::root -o again.wasm -q");
    for module in ["limited.wasm", "again.wasm"] {
        let text = place.text(&format!("inspect {module}"));
        for line in [
            "read-only   /, but not /tmp\n",
            "limits      65536 bytes, 3 inodes beside what is packed\n",
        ] {
            assert!(text.contains(line), "{module}: {text}");
        }
        let json = place.text(&format!("inspect {module} --json"));
        for expected in [
            "\"read_only\": [\"/\"]",
            "\"writable_below\": [\"/tmp\"]",
            "\"max_bytes\": 65536",
            "\"max_inodes\": 3",
        ] {
            assert!(json.contains(expected), "{json}");
        }
    }
    place.put("plain.wasm", "(module)");
    let text = place.text("inspect plain.wasm");
    assert!(
        text.starts_with("not packed, and cannot be: it has no memory\nhint: "),
        "{text}"
    );
    assert!(
        place
            .text("inspect plain.wasm --json")
            .contains("\"linked\": false")
    );
}

#[test]
fn run_passes_on_arguments_environment_and_exit_code() {
    let place = Place::new();
    // Exits with the number of arguments times ten plus that of variables.
    place.put(
        "app.wasm",
        r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $args (i32.const 0) (i32.const 4)))
            (drop (call $env (i32.const 8) (i32.const 12)))
            (call $exit (i32.add (i32.mul (i32.load (i32.const 0)) (i32.const 10)) (i32.load (i32.const 8))))))"#,
    );
    assert_eq!(place.monaka("run app.wasm").status.code(), Some(10));
    let status = place
        .monaka("run app.wasm --env A=1 --env B=2 -- one --two")
        .status;
    assert_eq!(status.code(), Some(32));
}

#[test]
fn a_trap_exits_like_an_abort() {
    let place = Place::new();
    place.put(
        "app.wasm",
        r#"(module (func $inner unreachable) (func (export "_start") (call $inner)))"#,
    );
    let output = place.monaka("run app.wasm");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(134), "{stderr}");
    assert!(
        stderr.starts_with("error: app.wasm trapped\n  caused by: "),
        "{stderr}"
    );
    assert!(
        stderr.contains("unreachable") && stderr.contains("inner"),
        "{stderr}"
    );
}

#[test]
fn invoke_initializes_and_prints_results() {
    let place = Place::new();
    place.put(
        "app.wasm",
        r#"(module (global $g (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $g (i32.const 42)))
        (func (export "answer") (result i32 f64) (global.get $g) (f64.const 0.5)))"#,
    );
    assert_eq!(place.text("run app.wasm --invoke answer"), "42\n0.5\n");
}

#[test]
fn lib_writes_library_and_header() {
    let place = Place::new();
    place.ok("lib -o libmonaka_vfs.a --header monaka.h");
    assert!(place.read("libmonaka_vfs.a").starts_with(b"!<arch>\n"));
    assert!(place.read("monaka.h").starts_with(b"/*\n * monaka.h"));
    assert_eq!(place.ok("lib -o -"), place.read("libmonaka_vfs.a"));
}

#[test]
fn completions_know_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.text(&format!("completions {shell}"));
        assert!(
            script.contains("inspect") && script.contains("mapdir"),
            "{shell}: {script}"
        );
    }
}
