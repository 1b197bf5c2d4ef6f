//! Real programs, and long ones of ours: on a directory of the host without the
//! library, then with the same directory packed inside. The two must print the
//! same and leave the same tree. The host is the oracle.
//!
//! To run one again: `cargo test --release -p monaka-tests --test programs lua::scripts::old`

use std::fs;
use std::path::Path;

use monaka_tests::toolbox::{
    Libc, Linked, Opt, Outcome, Program, finish, mapped, monaka, pack, root,
};
use tempfile::TempDir;

/// A program and what it is given.
struct Case {
    program: Program,
    args: Vec<&'static str>,
    stdin: &'static str,
    /// Fills the directory that it works on.
    fill: fn(&Path),
    /// What it prints without what legitimately differs from run to run.
    steady: fn(&str) -> String,
}

impl Case {
    fn new(program: Program, args: Vec<&'static str>, fill: fn(&Path)) -> Case {
        Case {
            program,
            args,
            stdin: "",
            fill,
            steady: str::to_owned,
        }
    }

    /// A new directory to work on; /work and /tmp are empty.
    fn directory(&self) -> TempDir {
        // In memory where there is such a place: databases sync all the time.
        let shared = Path::new("/dev/shm");
        let dir = match shared.is_dir() {
            true => TempDir::new_in(shared),
            false => TempDir::new(),
        };
        let dir = dir.expect("create a directory");
        for empty in ["work", "tmp"] {
            fs::create_dir(dir.path().join(empty)).expect("create a directory");
        }
        (self.fill)(dir.path());
        dir
    }

    fn run(&self, module: &Path, host: Option<&Path>) -> Outcome {
        let mut command = monaka(["run".as_ref(), module.as_os_str()]);
        if let Some(host) = host {
            let mut mapping = host.as_os_str().to_owned();
            mapping.push("::/");
            command.arg("--dir").arg(mapping);
        }
        command.args(["--env", "MONAKA_DUMP=1", "--"]);
        let mut outcome = finish(command.args(&self.args), self.stdin).expect_success();
        outcome.stdout = (self.steady)(&outcome.stdout);
        outcome
    }

    /// Runs it both ways; answers what both print.
    fn check(&self, libc: Libc) -> String {
        let [plain, linked] =
            [Linked::Not, Linked::Last].map(|linked| self.program.compile(libc, Opt::O2, linked));
        let (host, packable) = (self.directory(), self.directory());
        let expected = self.run(&plain, Some(host.path()));
        let out = packable.path().with_extension("wasm");
        pack(
            &linked,
            ["--mapdir".into(), mapped("/", packable.path())],
            &out,
        );
        let packed = self.run(&out, None);
        fs::remove_file(&out).expect("remove the packed module");
        packed.expect_same(&expected);
        expected.stdout
    }
}

/// A module of tests per case, a test per libc.
macro_rules! on_each_libc {
    ($($name:ident($libc:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            on_each_libc!(@ old Old, yowasp Yowasp, zig Zig);

            fn check($libc: Libc) $body
        }
    )*};
    (@ $($test:ident $libc:ident),*) => {$(
        #[test]
        fn $test() {
            if Libc::$libc.is_here() {
                check(Libc::$libc);
            }
        }
    )*};
}

/// Lua's own interpreter on scripts that use files.
mod lua {
    use super::*;

    fn fill(dir: &Path) {
        let suite = root().join("tests/programs/lua/suite");
        for below in ["", "lib", "lib/nested"] {
            let to = dir.join("suite").join(below);
            fs::create_dir(&to).expect("create a directory");
            for entry in fs::read_dir(suite.join(below)).expect("read a directory") {
                let from = entry.expect("read an entry").path();
                if from.is_file() {
                    let name = from.file_name().expect("an entry has a name");
                    fs::copy(&from, to.join(name)).expect("copy");
                }
            }
        }
        fs::create_dir_all(dir.join("data/sub")).expect("create a directory");
        let poem = "The old pond is still.\nA frog leaps into the blue:\nthe sound of water.\n";
        fs::write(dir.join("data/poem.txt"), poem).expect("write");
        fs::write(dir.join("data/sub/inner.txt"), "inner\n").expect("write");
        std::os::unix::fs::symlink("poem.txt", dir.join("data/link")).expect("symlink");
    }

    /// The scripts in this order, each of which leaves files to the next.
    const SCRIPTS: [&str; 6] = [
        "/suite/modules.lua",
        "/suite/reading.lua",
        "/suite/seeking.lua",
        "/suite/names.lua",
        "/suite/many.lua",
        "/suite/modes.lua",
    ];

    on_each_libc! {
        scripts(libc) {
            let program = Program::Using("tests/programs/lua.c", "lua");
            let mut case = Case::new(program, SCRIPTS.to_vec(), fill);
            case.stdin = "a line\n42 rest\nmore\nand more";
            let printed = case.check(libc);
            // What the last lines of the scripts begin with.
            for line in ["bytecode as text", "stdin", "after it", "clock", "handles", "closed"] {
                assert!(printed.contains(&format!("\n{line}: ")), "no '{line}'\n{printed}");
            }
        }
    }
}
