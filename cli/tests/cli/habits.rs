//! What people expect of any command: colours, pipes that close, manual pages.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use monaka_vfs_core::link::ABI;

use super::Place;
use super::fake::program;

#[test]
fn colours_are_where_they_are_asked_for() {
    let place = Place::new();
    let red = "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m ";
    // Our errors and clap's.
    for args in ["inspect nothing.wasm", "inspect --nothing"] {
        let stderr = |flag: &str, variable: Option<&str>| {
            let mut command = place.command(&format!("{flag} {args}"));
            for name in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR"] {
                command.env_remove(name);
            }
            command.envs(variable.map(|name| (name, "1")));
            String::from_utf8(command.output().unwrap().stderr).unwrap()
        };
        let is_coloured = |text: &str| text.contains('\u{1b}');
        assert!(!is_coloured(&stderr("", None)), "no terminal");
        assert!(is_coloured(&stderr("--color always", None)), "{args}");
        assert!(
            is_coloured(&stderr("--color=always", Some("NO_COLOR"))),
            "the flag is nearer"
        );
        assert!(is_coloured(&stderr("", Some("CLICOLOR_FORCE"))), "{args}");
        assert!(
            !is_coloured(&stderr("--color never", Some("CLICOLOR_FORCE"))),
            "{args}"
        );
    }
    let output = place.monaka("--color always inspect nothing.wasm");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with(red), "{stderr:?}");
    assert_eq!(
        place.monaka("--color purple inspect x").status.code(),
        Some(2)
    );
}

/// Commands whose reader has gone end quietly, or say that they could not write.
#[test]
fn a_closed_pipe_is_no_panic() {
    let place = Place::new();
    place.put("app.wasm", &program(ABI, ""));
    place.ok("pack app.wasm --mapdir /::root -o packed.wasm -q");
    for args in [
        "--help",
        "pack --help",
        "inspect packed.wasm",
        "inspect packed.wasm --json",
        "inspect packed.wasm --imports",
        "completions bash",
        "man pack",
        "doctor app.wasm",
        "ls -lR packed.wasm",
        "cat packed.wasm /file",
        "stat packed.wasm /file",
        "tree packed.wasm",
        "du packed.wasm",
        "init -o -",
        "pack app.wasm --mapdir /::root --dry-run",
    ] {
        let mut child = place
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "monaka {args}: {status}\n{stderr}");
        assert!(
            !stderr.contains("panicked") && !stderr.contains("error"),
            "monaka {args}\n{stderr}"
        );
    }
    // Nobody reads the errors.
    let mut child = place
        .command("inspect nothing.wasm")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn there_is_a_page_for_each_command() {
    let place = Place::new();
    place.ok("man -o share/man1");
    let help = place.text("help");
    let commands = help.split_once("Commands:\n").unwrap().1;
    let commands = commands.lines().take_while(|line| line.starts_with("  "));
    let commands = commands.filter_map(|line| line.split_whitespace().next());
    let mut pages = 1;
    for command in commands.filter(|command| *command != "help") {
        let name = format!("share/man1/monaka-{command}.1");
        let page = String::from_utf8(place.read(&name)).unwrap();
        assert!(page.contains(".TH "), "{page}");
        assert_eq!(place.text(&format!("man {command}")), page);
        pages += 1;
    }
    assert_eq!(place.read("share/man1/monaka.1"), place.ok("man"));
    assert_eq!(
        fs::read_dir(place.path().join("share/man1"))
            .unwrap()
            .count(),
        pages
    );
    let stderr = String::from_utf8(place.monaka("man pakc").stderr).unwrap();
    let expected = "error: there is no command pakc\n  hint: did you mean `monaka man pack`?\n";
    assert_eq!(stderr, expected);
}
