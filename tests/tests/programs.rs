//! Real programs, and long ones of ours: on a directory of the host without the
//! library, then with the same directory packed inside. The two must print the
//! same and leave the same tree. The host is the oracle.
//!
//! To run one again: `cargo test --release -p monaka-tests --test programs lua::scripts::old`

use std::ffi::OsString;
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
    deviations: &'static [Deviation],
    /// What of the directory is packed.
    mounts: &'static [&'static str],
}

/// Lines that docs/SEMANTICS.md wants to differ.
struct Deviation {
    host: &'static str,
    packed: &'static str,
}

impl Case {
    fn new(program: Program, args: Vec<&'static str>, fill: fn(&Path)) -> Case {
        Case {
            program,
            args,
            stdin: "",
            fill,
            steady: str::to_owned,
            deviations: &[],
            mounts: &["/"],
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
        let mut expected = self.run(&plain, Some(host.path()));
        for Deviation { host, packed } in self.deviations {
            let [host, packed] = [host, packed].map(|line| format!("\n{line}\n"));
            assert!(
                expected.stdout.contains(&host),
                "the host printed no {host}"
            );
            expected.stdout = expected.stdout.replacen(&host, &packed, 1);
        }
        let out = packable.path().with_extension("wasm");
        let mappings = self.mounts.iter().flat_map(|mount| {
            let from = packable.path().join(&mount[1..]);
            ["--mapdir".into(), mapped(mount, &from)]
        });
        let bare = ["--no-dev", "--no-tmp"].map(OsString::from);
        pack(&linked, bare.into_iter().chain(mappings), &out);
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

/// C programs that call what libc has on files, one line per result.
mod libc {
    use super::*;

    fn fill(dir: &Path) {
        fs::create_dir_all(dir.join("data/sub")).expect("create directories");
        fs::write(dir.join("data/text"), "a text\n").expect("write");
        for name in ["aa", "bb", "long-name", ".hid"] {
            fs::write(dir.join("data/sub").join(name), name).expect("write");
        }
        for (name, target) in [
            ("link", "text"),
            ("link-to-sub", "sub"),
            ("up", "../data/text"),
            ("dangling", "nothing"),
            ("loop", "loop"),
        ] {
            std::os::unix::fs::symlink(target, dir.join("data").join(name)).expect("symlink");
        }
    }

    fn case(program: &'static str) -> Case {
        Case::new(Program::Test(program), vec![], fill)
    }

    on_each_libc! {
        streams(libc) { case("streams.c").check(libc); }
        files(libc) {
            let mut case = case("files.c");
            case.deviations = FILES;
            case.check(libc);
        }
        working_directory(libc) { case("cwd.c").check(libc); }
        working_directory_in_mounts(libc) {
            let mut case = case("cwd.c");
            case.mounts = &["/data", "/work", "/tmp"];
            case.deviations = MOUNTS;
            case.check(libc);
        }
    }

    /// A walk does not leave the directory it starts from, and libc starts from the
    /// preopened directory whose name is the longest, here /data.
    const MOUNTS: &[Deviation] = &[
        Deviation {
            host: "  ..: directory\n  ../data: directory",
            packed: "  ..: Operation not permitted\n  ../data: Operation not permitted",
        },
        Deviation {
            host: "  ../../work: directory",
            packed: "  ../../work: Operation not permitted",
        },
    ];

    const FILES: &[Deviation] = &[
        // `fd_readdir` of a file.
        Deviation {
            host: "fdopendir(fd), of a file: Bad file descriptor",
            packed: "fdopendir(fd), of a file: Not a directory",
        },
        // What a directory passes on.
        Deviation {
            host: "faccessat(dir, \"at/hard\", R_OK | W_OK, 0) = -1 (Permission denied)",
            packed: "faccessat(dir, \"at/hard\", R_OK | W_OK, 0) = 0",
        },
        // `fd_allocate`.
        Deviation {
            host: "posix_fallocate(fd, 0, 200) = 58",
            packed: "posix_fallocate(fd, 0, 200) = 0",
        },
        Deviation {
            host: "posix_fallocate(fd, 0, 0) = 58",
            packed: "posix_fallocate(fd, 0, 0) = 28",
        },
        // A slash behind a directory that is removed.
        Deviation {
            host: "rmdir(\"/work/x/\") = -1 (Invalid argument)\nrmdir(\"/work/x\") = 0",
            packed: "rmdir(\"/work/x/\") = 0\nrmdir(\"/work/x\") = -1 (No such file or directory)",
        },
    ];
}

/// SQLite: its own speedtest, and random transactions that are checked.
mod sqlite {
    use super::*;

    fn fill(dir: &Path) {
        fs::create_dir(dir.join("db")).expect("create a directory");
        // It begins by removing what has the database's name.
        fs::write(dir.join("db/speed.db"), [0x5a; 100_000]).expect("write");
    }

    /// Without the times, which stand at the ends of lines.
    fn timeless(printed: &str) -> String {
        let lines = printed.lines().map(|line| match line.rsplit_once(' ') {
            Some((line, time)) if time.ends_with('s') && time.contains('.') => line.trim_end(),
            _ => line,
        });
        lines.map(|line| line.to_owned() + "\n").collect()
    }

    /// All its sets but "trigger", which misses a table that the version that
    /// Debian 12 has does not make. Each libc has another journal mode.
    fn speedtest(libc: Libc, options: &[&'static str]) {
        let program = Program::Using(".cache/debian/speedtest1.c", "sqlite-rtree");
        let sets = [
            "--size",
            "5",
            "--verify",
            "--testset",
            "main,cte,orm,fp,rtree",
        ];
        let args = [&sets, options, &["/db/speed.db"]].concat();
        let mut case = Case::new(program, args, fill);
        case.steady = timeless;
        let printed = case.check(libc);
        assert!(printed.contains("\nVerification Hash: "), "{printed}");
    }

    fn options(libc: Libc) -> &'static [&'static str] {
        match libc {
            Libc::Old => &["--journal", "delete"],
            Libc::Yowasp => &["--journal", "truncate", "--cachesize", "10"],
            Libc::Zig => &["--journal", "persist", "--pagesize", "512", "--autovacuum"],
        }
    }

    /// Builds a database on the host, packs it and works on it. The program checks
    /// itself: on the host, commits over two databases fail, which need `fd_sync`
    /// of a directory.
    fn torture(libc: Libc) {
        let program = Program::Using("tests/programs/torture.c", "sqlite");
        let case = Case::new(program, vec!["build"], |dir| {
            fs::create_dir(dir.join("db")).expect("create a directory");
        });
        let dir = case.directory();
        let plain = program.compile(libc, Opt::O2, Linked::Not);
        case.run(&plain, Some(dir.path()));
        let out = dir.path().with_extension("wasm");
        let linked = program.compile(libc, Opt::O2, Linked::Last);
        pack(&linked, ["--mapdir".into(), mapped("/", dir.path())], &out);
        let mut run = monaka(["run".as_ref(), out.as_os_str()]);
        let outcome = finish(run.args(["--", "run", "200"]), "");
        fs::remove_file(&out).expect("remove the packed module");
        assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
        assert!(outcome.stdout.ends_with("done\n"), "{}", outcome.stdout);
    }

    on_each_libc! {
        speed(libc) { speedtest(libc, options(libc)); }
        under_torture(libc) { torture(libc); }
    }
}

/// What every packed module has unless it is told not to: /dev and /tmp.
mod devices {
    use super::*;

    const PROGRAM: Program = Program::Test("devices.c");

    /// Runs the packed program, into which nothing is mapped but an empty root.
    fn run(libc: Libc, args: &[&str], stdin: &str) -> Outcome {
        let dir = TempDir::new().expect("create a directory");
        let (root, out) = (dir.path().join("root"), dir.path().join("out.wasm"));
        fs::create_dir(&root).expect("create a directory");
        let linked = PROGRAM.compile(libc, Opt::O2, Linked::Last);
        pack(&linked, ["--mapdir".into(), mapped("/", &root)], &out);
        let mut command = monaka(["run".as_ref(), out.as_os_str()]);
        finish(command.arg("--").args(args), stdin).expect_success()
    }

    on_each_libc! {
        as_this_machine_has_them(libc) {
            let plain = PROGRAM.compile(libc, Opt::O2, Linked::Not);
            let mut host = monaka(["run".as_ref(), plain.as_os_str()]);
            let expected = finish(host.args(["--dir", "/dev::/dev"]), "").expect_success();
            run(libc, &[], "").expect_same(&expected);
        }
        // On the machine they are links out of /dev, which no host follows.
        standard_streams(libc) {
            let outcome = run(libc, &["stdio"], "first second third\nfourth\n");
            assert_eq!(outcome.stdout, STREAMS, "{libc:?}");
            assert_eq!(outcome.stderr, "to /dev/stderr\nstderr is open\n");
        }
    }

    const STREAMS: &str = r#"/tmp/new: 9 bytes 'temporary'
# /dev/stdin
stat(path, &st) = 0
S_ISCHR(st.st_mode) != 0 = 1
st.st_size = 0
access(path, R_OK | W_OK) = 0
mkdir(path, 0777) = -1 (File exists)
open(path, O_RDWR | O_CREAT | O_EXCL, 0666) = -1 (File exists)
open(path, O_RDONLY | O_DIRECTORY) = -1 (Not a directory)
opendir(path): Not a directory
open(below, O_RDONLY) = -1 (Not a directory)
open("/dev/stdin", O_RDONLY) is open
read(fd, text, 6) = 6
'first '
read(STDIN_FILENO, text, 7) = 7
'second '
lseek(fd, 0, SEEK_CUR) = -1 (Invalid seek)
close(fd) = 0
line: third
line: fourth
fclose(file) = 0
read(STDIN_FILENO, text, 1) = 0
fputs("to /dev/stdout\n", file) = 0
to /dev/stdout
fclose(file) = 0
fputs("to /dev/stderr\n", file) = 0
fclose(file) = 0
"#;
}

/// What a packed module may not do when `pack` was told so.
mod limits {
    use super::*;

    const PROGRAM: Program = Program::Test("limits.c");

    /// Runs the program, packed by these flags with `/text` and `/dir`.
    fn run(libc: Libc, flags: &[&str], args: &[&str]) -> String {
        let dir = TempDir::new().expect("create a directory");
        let (root, out) = (dir.path().join("root"), dir.path().join("out.wasm"));
        fs::create_dir_all(root.join("dir")).expect("create a directory");
        fs::write(root.join("text"), "packed\n").expect("write a file");
        let linked = PROGRAM.compile(libc, Opt::O2, Linked::Last);
        let mapping = [OsString::from("--mapdir"), mapped("/", &root)];
        let flags = flags.iter().map(OsString::from);
        pack(&linked, mapping.into_iter().chain(flags), &out);
        let mut command = monaka(["run".as_ref(), out.as_os_str()]);
        finish(command.arg("--").args(args), "")
            .expect_success()
            .stdout
    }

    on_each_libc! {
        without_dev_and_tmp(libc) {
            let stdout = run(libc, &["--no-dev", "--no-tmp"], &["gone"]);
            assert_eq!(stdout, GONE, "{libc:?}");
        }
        read_only(libc) {
            let stdout = run(libc, &["--read-only", "/"], &["read-only"]);
            assert_eq!(stdout, READ_ONLY, "{libc:?}");
        }
        max_bytes(libc) {
            let stdout = run(libc, &["--max-bytes", "64K"], &["bytes", "65536"]);
            assert_eq!(stdout, BYTES, "{libc:?}");
        }
        max_inodes(libc) {
            let stdout = run(libc, &["--max-inodes", "3"], &["inodes", "3"]);
            assert_eq!(stdout, INODES, "{libc:?}");
        }
    }

    const GONE: &str = r#"fopen("/dev/null", "w"): No such file or directory
opendir("/dev"): No such file or directory
opendir("/tmp"): No such file or directory
open("/tmp/new", O_WRONLY | O_CREAT | O_EXCL, 0600) = -1 (No such file or directory)
/new: 7 bytes 'written'
"#;

    const READ_ONLY: &str = r#"/text: 7 bytes 'packed$'
fopen("/text", "r+"): Read-only file system
fopen("/new", "w"): Read-only file system
open("/text", O_RDONLY | O_TRUNC) = -1 (Read-only file system)
open("/text", O_RDONLY | O_CREAT, 0666) is open
mkdir("/new", 0777) = -1 (Read-only file system)
mkdir("/dir", 0777) = -1 (File exists)
unlink("/text") = -1 (Read-only file system)
rmdir("/tmp") = -1 (Read-only file system)
rename("/text", "/renamed") = -1 (Read-only file system)
rename("/text", "/tmp/text") = -1 (Cross-device link)
link("/text", "/tmp/text") = -1 (Cross-device link)
symlink("text", "/soft") = -1 (Read-only file system)
utimensat(AT_FDCWD, "/text", times, 0) = -1 (Read-only file system)
/text: 7 bytes 'packed$'
open("/tmp/new", O_WRONLY | O_CREAT | O_EXCL, 0600) is open
/tmp/new: 9 bytes 'temporary'
unlink("/tmp/new") = 0
fputs("dropped", file) = 0
fclose(file) = 0
"#;

    const BYTES: &str = r#"/new: 65536 bytes, then No space left on device
fill("/new", 1000) == limit = 1
/text: 0 bytes, then No space left on device
fill("/text", 1000) == 0 = 1
/text: 7 bytes 'packed$'
fputs("does not fit", file) < 0 = 0
fflush(file) = -1 (No space left on device)
unlink("/new") = 0
/other: 65536 bytes, then No space left on device
fill("/other", 4 * limit) == limit = 1
truncate("/other", limit / 2) = 0
/new: 32768 bytes, then No space left on device
fill("/new", 7) == limit - limit / 2 = 1
"#;

    const INODES: &str = r#"open(path, O_WRONLY | O_CREAT, 0666) is open
open(path, O_WRONLY | O_CREAT, 0666) is open
open(path, O_WRONLY | O_CREAT, 0666) is open
open(path, O_WRONLY | O_CREAT, 0666) = -1 (No space left on device)
mkdir("/more", 0777) = -1 (No space left on device)
symlink("text", "/more") = -1 (No space left on device)
link("/text", "/more") = -1 (No space left on device)
rename("/new0", "/more") = 0
unlink("/text") = 0
mkdir("/new0", 0777) = 0
mkdir("/another", 0777) = -1 (No space left on device)
"#;
}
