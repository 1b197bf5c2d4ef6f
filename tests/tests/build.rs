//! `monaka build` on a real tool: Lua, a library that is compiled while the module
//! is built, and a script (`c-examples/markdown`).
//!
//! To run one again: `cargo test --release -p monaka-tests --test build tool`

use std::fs;
use std::path::Path;

use monaka_tests::toolbox::{Libc, Linked, Opt, Outcome, Program, finish, monaka, root};
use tempfile::TempDir;

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create a directory");
    for entry in fs::read_dir(from).expect("read a directory") {
        let entry = entry.expect("read an entry");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copied(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("copy")),
        }
    }
}

/// The example with its program, and the module that is built of it.
fn built(program: &Path, flags: &[&str]) -> (TempDir, Outcome) {
    let dir = TempDir::new().expect("create a directory");
    let context = dir.path().join("context");
    copied(&root().join("c-examples/markdown"), &context);
    fs::copy(program, context.join("lua.wasm")).expect("copy the program");
    let mut build = monaka([
        "build".as_ref(),
        "-t".as_ref(),
        dir.path().join("md.wasm").as_os_str(),
    ]);
    let outcome = finish(build.arg(&context).args(flags), "").expect_success();
    (dir, outcome)
}

fn run(dir: &TempDir, args: &[&str], stdin: &str) -> String {
    let mut run = monaka(["run".as_ref(), dir.path().join("md.wasm").as_os_str()]);
    finish(run.arg("--").args(args), stdin)
        .expect_success()
        .stdout
}

const TEXT: &str = "# Hello *world*\n\nText with `a < b`\nand [a link](https://example.org).\n\n- one\n- **two**\n";

#[test]
fn the_example_becomes_a_tool_of_one_file() {
    let libcs = Libc::ALL.into_iter().filter(|libc| libc.is_here());
    for (libc, linked) in libcs.zip([Linked::Not, Linked::Last].into_iter().cycle()) {
        let program = Program::Example("markdown").compile(libc, Opt::O2, linked);
        let (dir, said) = built(&program, &["--build-arg", "VERSION=1.2"]);
        for line in ["STEP 6/17: RUN lua", "compiled markdown: ", "built 4 files"] {
            assert!(
                said.stderr.contains(line),
                "{libc:?}: no {line}\n{}",
                said.stderr
            );
        }
        let body = "<h1>Hello <em>world</em></h1>\n\
                    <p>Text with <code>a &lt; b</code> and <a href=\"https://example.org\">a link</a>.</p>\n\
                    <ul><li>one</li><li><strong>two</strong></li></ul>\n";
        let help = "usage: markdown [--page | --version] < TEXT.md\n";
        assert_eq!(run(&dir, &[], TEXT), help, "{libc:?}");
        assert_eq!(run(&dir, &["--version"], ""), "markdown 1.2\n", "{libc:?}");
        assert_eq!(run(&dir, &["-"], TEXT), body, "{libc:?}");
        let page = format!("<!doctype html>\n<title>Hello *world*</title>\n{body}");
        assert_eq!(run(&dir, &["--page"], TEXT), page, "{libc:?}");
    }
}
