//! Programs of others that `tools/build-subject` compiles, as they are.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use monaka_tests::toolbox::{finish, kept, root};

use crate::case::Case;

/// What `tools/build-subject` makes of `name`. It is asked once in a run and takes
/// no time where nothing changed, or a long one: then the module is kept.
pub(crate) fn built(name: &'static str) -> PathBuf {
    static BUILT: LazyLock<Mutex<HashSet<&str>>> = LazyLock::new(Mutex::default);
    let mut done = BUILT.lock().unwrap_or_else(|e| e.into_inner());
    let module = kept().join(format!("subject-{name}.wasm"));
    let is_ours = root().join("tests/programs").join(name).exists();
    if (is_ours || !module.exists()) && !done.contains(name) {
        let lock = File::create(kept().join("subjects.lock")).expect("create a lock file");
        lock.lock().expect("lock");
        let mut build = Command::new(root().join("tools/build-subject"));
        finish(build.arg(name).arg(&module), "").expect_success();
        done.insert(name);
    }
    module
}

/// Copies a directory's files, not what is below it.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create a directory");
    for entry in fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display())) {
        let path = entry.expect("read an entry").path();
        if path.is_file() {
            let name = path.file_name().expect("a file");
            fs::copy(&path, to.join(name)).expect("copy");
        }
    }
}

#[test]
#[ignore = "minutes to compile: make subjects"]
fn ripgrep_searches_a_packed_tree() {
    let args = ["--sort", "path", "-n", "-C", "1", r"fn \w+\(&self", "/work"];
    let mut case = Case::new(built("ripgrep"), &args);
    case.fill = |dir| {
        copy_files(&root().join("libvfs/core/src"), &dir.join("work/src"));
        copy_files(
            &root().join("libvfs/core/src/vfs"),
            &dir.join("work/src/vfs"),
        );
        fs::write(dir.join("work/.gitignore"), "dir.rs\n").expect("write");
    };
    let printed = case.check(0);
    assert!(printed.contains("/work/src/vfs/mod.rs"), "{printed}");
}

/// SQLite's shell of today.
#[test]
fn sqlite_writes_a_database() {
    let mut case = Case::new(built("sqlite"), &["/work/new.db"]);
    case.stdin = ".mode box\npragma journal_mode = delete;\n\
        create table t(a integer primary key, b text);\ncreate index i on t(b);\n\
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)\n\
        insert into t select i, printf('%0*d', 40, i * 7919 % 20000) from n;\n\
        delete from t where a % 3 = 0;\nvacuum;\npragma integrity_check;\n\
        select count(*), min(b), max(b) from t;\n.backup /work/copy.db\n\
        .open /work/copy.db\nselect sum(a) from t;\n.schema\n.output /work/dump.sql\n.dump\n\
        .output stdout\ncreate table u(a, b);\nselect length(readfile('/work/dump.sql'));\n\
        select writefile('/work/w', 'written'), cast(readfile('/work/w') as text);\n\
        select name, mode, length(data) from fsdir('/work') order by name;\n";
    let printed = case.check(0);
    assert!(printed.contains("│ ok "), "{printed}");
    assert!(printed.contains("│ written "), "{printed}");
}

mod go {
    use super::*;

    #[test]
    fn gofmt_formats_in_place() {
        let mut case = Case::new(
            built("gofmt"),
            &["-w", "-l", "-s", "-r", "a[b:len(a)] -> a[b:]", "."],
        );
        case.leaves = true;
        case.env = vec![("PWD", "/work")];
        case.fill = |dir| {
            let data = root().join(".cache/go/go/src/cmd/gofmt/testdata");
            for name in ["comments", "composites", "import", "slices1", "typeswitch"] {
                let to = dir.join(format!("work/{name}.go"));
                fs::copy(data.join(format!("{name}.input")), to).expect("copy");
            }
        };
        let printed = case.check(0);
        assert!(printed.contains("composites.go\n"), "{printed}");
    }

    /// Go's own tests of a package, which find what they need in a tree of Go. What
    /// passes on the host passes packed, and there nothing fails: tests of links
    /// run too, which the host does not let lead to absolute paths.
    fn own_tests(name: &'static str, least: usize, pwd: &'static str, fill: fn(&Path)) {
        let mut case = Case::new(built(name), &["-test.v", "-test.short"]);
        case.env = vec![("GOROOT", "/go"), ("PWD", pwd), ("TMPDIR", "/tmp")];
        case.devices = true;
        case.fill = fill;
        let expected = case.unpacked(0);
        let passed = |printed: &str| -> HashSet<String> {
            let lines = printed.lines().filter(|line| line.contains("--- PASS: "));
            let names = lines.map(|line| line.split(" (").next().unwrap_or(line).to_owned());
            names.collect()
        };
        let expected = passed(&expected.stdout);
        assert!(expected.len() >= least, "{expected:?}");
        for layout in case.layouts() {
            let packed = passed(&case.packed(layout).expect_success().stdout);
            let missing: Vec<_> = expected.difference(&packed).collect();
            assert!(missing.is_empty(), "passed on the host alone: {missing:?}");
        }
    }

    /// Copies what is below src/ of Go with all that is below it.
    fn copy(package: &str, dir: &Path) {
        let from = root().join(".cache/go/go/src").join(package);
        let to = dir.join("go/src").join(package);
        copy_files(&from, &to);
        for entry in fs::read_dir(&from).expect("read a directory") {
            let entry = entry.expect("read an entry");
            if entry.file_type().expect("a type").is_dir() {
                let name = entry.file_name();
                copy(&format!("{package}/{}", name.to_string_lossy()), dir);
            }
        }
    }

    fn tree(dir: &Path) {
        copy_files(&root().join(".cache/go/go"), &dir.join("go"));
        for text in [
            "CONTRIBUTING.md",
            "LICENSE",
            "PATENTS",
            "README.md",
            "SECURITY.md",
        ] {
            fs::write(dir.join("go").join(text), "not in the wheel\n").expect("write");
        }
    }

    #[test]
    fn own_tests_of_os() {
        own_tests("go-os", 40, "/go/src/os", |dir| {
            tree(dir);
            copy("os", dir);
        });
    }

    #[test]
    fn own_tests_of_io_fs() {
        own_tests("go-io-fs", 10, "/go/src/io/fs", |dir| {
            tree(dir);
            copy("io", dir);
        });
    }

    #[test]
    fn own_tests_of_filepath() {
        own_tests("go-filepath", 40, "/go/src/path/filepath", |dir| {
            tree(dir);
            copy("path", dir);
            copy("unicode", dir);
        });
    }
}
