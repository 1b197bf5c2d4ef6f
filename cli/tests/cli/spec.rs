//! `monaka.toml`, `monaka init`: what a file says instead of the command line.

use std::fs;

use monaka_vfs_core::link::ABI;

use super::Place;
use super::fake::program;

const SPEC: &str = r#"
input = "app.wasm"
output = "packed.wasm"
read-only = "/"
max-bytes = "64M"
exclude = ["more"]
no-tmp = true

[[mount]]
guest = "/"
host = "root"
[[mount]]
guest = "/"
host = "other"
[[mount]]
guest = "/etc/version"
text = "1.2"
"#;

const FLAGS: &str = "pack app.wasm -q --read-only / --max-bytes 64M --exclude more --no-tmp \
                     --mapdir /::root --mapdir /::other --file /etc/version=1.2";

fn place() -> Place {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    fs::write(place.path().join("monaka.toml"), SPEC).unwrap();
    place
}

#[test]
fn a_spec_file_says_all_that_flags_say() {
    let place = place();
    place.ok(&format!("{FLAGS} -o flags.wasm"));
    place.ok("pack -q");
    assert!(place.read("packed.wasm") == place.read("flags.wasm"));
    // The program on the command line: no file is read.
    let output = place.monaka("pack app.wasm -o none.wasm");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("there is nothing to pack"), "{stderr}");
}

#[test]
fn paths_are_relative_to_the_file() {
    let place = place();
    let below = place.path().join("below");
    fs::create_dir(&below).unwrap();
    place.ok("pack -q");
    let here = place.read("packed.wasm");
    fs::remove_file(place.path().join("packed.wasm")).unwrap();
    let mut command = place.command("pack -q --config ../monaka.toml");
    let output = command.current_dir(&below).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(place.read("packed.wasm") == here);
    assert_eq!(fs::read_dir(&below).unwrap().count(), 0);
}

#[test]
fn flags_override_what_is_said_once_and_add_to_the_rest() {
    let place = place();
    place.ok("pack -q --max-bytes 1M --exclude version --mapdir /late::root -o out.wasm");
    let flags = FLAGS.replace("64M", "1M");
    place.ok(&format!(
        "{flags} --exclude version --mapdir /late::root -o flags.wasm"
    ));
    assert!(place.read("out.wasm") == place.read("flags.wasm"));
    assert!(!place.path().join("packed.wasm").exists());
    // Another program with the same spec; a mapping that comes later wins.
    place.ok("pack flags.wasm -q --config monaka.toml --file /file=mine -o again.wasm");
    assert!(memchr::memmem::find(&place.read("again.wasm"), b"mine").is_some());
}

#[test]
fn what_a_flag_excludes_is_left_out() {
    let place = place();
    let spec = format!("sbom = 'list.json'\n{SPEC}");
    fs::write(place.path().join("monaka.toml"), spec).unwrap();
    let listed = place.text("pack --dry-run -q");
    assert!(listed.contains("/etc/version"), "{listed}");
    assert!(!place.path().join("list.json").exists());
    place.ok("pack -q");
    assert!(place.path().join("list.json").exists());
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let place = place();
    let toml = |text: &str| fs::write(place.path().join("monaka.toml"), text).unwrap();
    for (text, stderr) in [
        (
            "input = 'app.wasm'\nexlude = ['x']\n",
            "error: monaka.toml:2:1: there is no key `exlude`\n  hint: did you mean `exclude`?\n",
        ),
        (
            "[[mount]]\nguest = '/'\nhots = 'x'\n",
            "error: monaka.toml:3:1: a mount has no key `hots`\n  hint: did you mean `host`?\n",
        ),
    ] {
        toml(text);
        let output = place.monaka("pack");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), stderr);
        assert_eq!(output.status.code(), Some(1));
    }
    toml("max-bytes = 1\n");
    assert_eq!(
        place.monaka("pack").status.code(),
        Some(2),
        "without a program"
    );
    let output = place.monaka("pack --config nothing.toml");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: there is no nothing.toml\n  hint: `monaka init` writes a monaka.toml to begin with\n"
    );
}

#[test]
fn what_init_writes_packs_as_it_is() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok("init");
    place.ok("pack -q");
    place.ok("pack app.wasm --mapdir /::root -o flags.wasm -q");
    assert!(place.read("packed.wasm") == place.read("flags.wasm"));

    let template = fs::read_to_string(place.path().join("monaka.toml")).unwrap();
    assert_eq!(place.text("init -o -"), template);
    fs::write(place.path().join("monaka.toml"), "mine").unwrap();
    let output = place.monaka("init");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: monaka.toml is there already\n  \
         hint: write over it with --force, or name another place with -o\n"
    );
    assert_eq!(place.read("monaka.toml"), b"mine");
    place.ok("init --force -q");
    assert_eq!(place.read("monaka.toml"), template.as_bytes());
}

/// Every key is in the template, and what is commented out there would be taken.
#[test]
fn the_template_has_every_key() {
    let place = Place::new();
    let template = place.text("init -o -");
    let is_key = |line: &str| line.contains(" = ") || line == "[[mount]]";
    let uncommented = template.lines().map(|line| match line.strip_prefix("# ") {
        Some(key) if is_key(key) && !key.contains(", ") || key.ends_with(']') => key,
        _ => line,
    });
    let uncommented: Vec<&str> = uncommented.collect();
    fs::write(place.path().join("monaka.toml"), uncommented.join("\n")).unwrap();
    let output = place.monaka("pack");
    let stderr = String::from_utf8(output.stderr).unwrap();
    // All is understood, and the first thing that is missing is the program.
    assert!(
        stderr.starts_with("error: cannot pack app.wasm\n"),
        "{stderr}"
    );
    assert!(stderr.contains("No such file"), "{stderr}");

    let help = place.text("pack --help");
    let flags = help.lines().filter_map(|line| {
        let flag = line.trim_start().split_once("--")?;
        let is_flag = flag.0.is_empty() || flag.0.len() == 4;
        let name = flag.1.split([' ', '=', '[']).next()?;
        is_flag.then_some(name)
    });
    let not_keys = [
        "config", "dry-run", "json", "verbose", "quiet", "help", "color", "mapdir", "dir", "file",
    ];
    let mut found = 0;
    for flag in flags.filter(|flag| !not_keys.contains(flag)) {
        let keys = uncommented
            .iter()
            .filter(|line| line.starts_with(&format!("{flag} = ")));
        assert_eq!(
            keys.count(),
            1,
            "--{flag} is not in the template:\n{template}"
        );
        found += 1;
    }
    assert!(found > 15, "{help}");
}

#[test]
fn what_the_file_turns_on_can_be_turned_off() {
    let place = place();
    place.ok("pack -q --no-tmp=false --no-dev=true -o out.wasm");
    let flags = FLAGS.replace("--no-tmp", "--no-dev");
    place.ok(&format!("{flags} -o flags.wasm"));
    assert!(place.read("out.wasm") == place.read("flags.wasm"));
    let output = place.monaka("pack -q --no-tmp=perhaps -o out.wasm");
    assert_eq!(output.status.code(), Some(2));
    // A level is turned off, too.
    let spec = SPEC.replace("no-tmp = true", "no-tmp = true\ncompress = true");
    fs::write(place.path().join("monaka.toml"), spec).unwrap();
    fs::write(place.path().join("root/long"), "again and ".repeat(99)).unwrap();
    place.ok("pack -q --route rewrite -o small.wasm");
    place.ok("pack -q --route rewrite --compress=false -o large.wasm");
    let compressed = |name| {
        place
            .text(&format!("inspect {name}"))
            .contains("compressed to")
    };
    assert!(compressed("small.wasm") && !compressed("large.wasm"));
}

#[test]
fn an_image_is_made_of_the_same_file() {
    let place = place();
    place.ok("image -q --config monaka.toml --max-bytes 1M -o spec.img");
    let flags = FLAGS.replace("pack app.wasm", "image").replace("64M", "1M");
    place.ok(&format!("{flags} -o flags.img"));
    assert!(place.read("spec.img") == place.read("flags.img"));
    // What the module's output is called says nothing of the image.
    assert!(!place.path().join("packed.wasm").exists());
    let output = place.monaka("image -q --config monaka.toml");
    assert_eq!(output.status.code(), Some(2));
    // Nor is a file read that nobody has named.
    let output = place.monaka("image -o none.img");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("there is nothing to pack"), "{stderr}");
}
