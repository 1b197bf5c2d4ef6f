//! C programs compiled for WASI, and `monaka` run on them.
//!
//! 1. Compiled modules are kept in `target/tests`, named by a hash of everything
//!    that went into them, so that only the first run pays for the compilers.
//! 2. The library that programs are linked with is the one that the command
//!    under test writes (`monaka lib`).
//! 3. A compiler that is not installed skips its tests, loudly, except where
//!    `CI=true`: there it is an error.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use monaka_vfs_core::witx;

use crate::compressed;

/// A C compiler together with its libc, as `tools/wasi-cc` names them.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Libc {
    /// wasi-libc of 2022.
    Old,
    /// A wasi-libc of today.
    Yowasp,
    /// The one that zig brings.
    Zig,
}

impl Libc {
    /// All of them.
    pub const ALL: [Libc; 3] = [Libc::Old, Libc::Yowasp, Libc::Zig];

    /// What `tools/wasi-cc` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Libc::Old => "old",
            Libc::Yowasp => "yowasp",
            Libc::Zig => "zig",
        }
    }

    /// Whether it is installed; if not, this has been said.
    pub fn is_here(self) -> bool {
        static HERE: OnceLock<String> = OnceLock::new();
        let here = HERE.get_or_init(|| {
            let mut list = Command::new(root().join("tools/wasi-cc"));
            finish(list.arg("--list"), "").expect_success().stdout
        });
        let found = here.lines().any(|name| name == self.name());
        found || skip(&format!("the libc '{}' is not installed", self.name()))
    }
}

/// An optimisation level.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Opt {
    /// `-O0`
    O0,
    /// `-O2`
    O2,
}

impl Opt {
    fn flag(self) -> &'static str {
        match self {
            Opt::O0 => "-O0",
            Opt::O2 => "-O2",
        }
    }
}

/// Where the library stands on the linker's command line.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Linked {
    /// Nowhere: the program as it is without monaka.
    Not,
    /// Behind the program's sources.
    Last,
    /// Before the program's sources.
    First,
    /// Behind them, and it is the one that reads compressed files.
    Zstd,
    /// Behind them, but it is wasi-vfs.
    WasiVfs,
}

/// A C or C++ program of this repository.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Program {
    /// `c-examples/NAME`
    Example(&'static str),
    /// `tests/programs/NAME`, with its extension.
    Test(&'static str),
    /// The same as a reactor.
    Reactor(&'static str),
    /// `tests/benches/programs/NAME`
    Bench(&'static str),
    /// A source, by its path from here, that needs a library of
    /// `tools/build-c-subject`.
    Using(&'static str, &'static str),
    /// `tests/programs/calls.c`: exports every call that the library answers.
    Calls,
}

impl Program {
    /// The name, without extension.
    pub fn name(self) -> &'static str {
        let name = match self {
            Program::Example(name) | Program::Test(name) | Program::Using(name, _) => name,
            Program::Reactor(name) | Program::Bench(name) => name,
            Program::Calls => "calls.c",
        };
        let file = name.rsplit('/').next().unwrap_or(name);
        file.split('.').next().unwrap_or(file)
    }

    /// Compiles it, unless that was done before; answers the module's path.
    pub fn compile(self, libc: Libc, opt: Opt, linked: Linked) -> PathBuf {
        let key = self.key(libc, opt, linked);
        let name = format!("{}-{}{}-{key:016x}", self.name(), libc.name(), opt.flag());
        let module = kept().join(format!("{name}.wasm"));
        let lock = File::create(kept().join(format!("{name}.lock"))).expect("create a lock file");
        lock.lock().expect("lock");
        if !module.exists() {
            let unfinished = module.with_extension("unfinished");
            finish(&mut self.compiler(libc, opt, linked, &unfinished), "").expect_success();
            fs::rename(&unfinished, &module).expect("rename the module");
        }
        module
    }

    fn compiler(self, libc: Libc, opt: Opt, linked: Linked, out: &Path) -> Command {
        let tool = |name| Command::new(root().join("tools").join(name));
        if let Program::Example(name) = self {
            let mut command = tool("build-example");
            command.args([name, libc.name(), opt.flag()]).arg(out);
            if linked != Linked::Not {
                command.arg(library(linked, libc));
            }
            return command;
        }
        let mut command = tool("wasi-cc");
        let source = self.source();
        let cpp = source.extension() == Some(OsStr::new("cpp"));
        command.arg(libc.name()).arg(if cpp { "c++" } else { "c" });
        command.args([opt.flag(), "-Wall", "-Wextra", "-Wno-unused-function"]);
        if matches!(self, Program::Reactor(_) | Program::Calls) {
            command.arg("-mexec-model=reactor");
        }
        if self == Program::Calls {
            // Below that the memory is the driver's.
            let base = crate::native::SIZE;
            command.args([
                format!("-Wl,--global-base={base}"),
                "-Wl,--no-stack-first".into(),
            ]);
            let export = |hook: &witx::Function| format!("-Wl,--export={}", symbol(hook.name));
            command.args(witx::HOOKS.iter().map(export));
        }
        match linked {
            Linked::Not => command.arg(source),
            Linked::First => command.arg(library(linked, libc)).arg(source),
            _ => command.arg(source).arg(library(linked, libc)),
        };
        if let Program::Using(_, library) = self {
            let mut build = tool("build-c-subject");
            build.args([library, libc.name(), opt.flag()]);
            command.args(finish(&mut build, "").expect_success().stdout.lines());
        }
        command.arg("-o").arg(out);
        command
    }

    fn source(self) -> PathBuf {
        match self {
            Program::Example(name) => root().join("c-examples").join(name).join("main.c"),
            Program::Test(name) | Program::Reactor(name) => {
                root().join("tests/programs").join(name)
            }
            Program::Bench(name) => root().join("tests/benches/programs").join(name),
            Program::Using(path, _) => root().join(path),
            Program::Calls => root().join("tests/programs/calls.c"),
        }
    }

    /// A hash of all that the module depends on.
    fn key(self, libc: Libc, opt: Opt, linked: Linked) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self, libc, opt, linked).hash(&mut hasher);
        let mut inputs = vec![self.source()];
        for input in [
            "tests/programs/tree.h",
            "tests/programs/report.h",
            "tests/benches/programs/bench.h",
            "libvfs/guest/include/monaka.h",
            "tools/wasi-cc",
            "tools/build-example",
            "tools/build-c-subject",
            "tests/programs/lua/all.c",
            "tests/programs/lua/setjmp.c",
            "tools/fetch",
            "tools/subjects/Cargo.lock",
            "tools/subjects/python.txt",
        ] {
            inputs.push(root().join(input));
        }
        if linked != Linked::Not {
            inputs.push(library(linked, libc));
        }
        for input in inputs {
            let bytes = fs::read(&input).unwrap_or_else(|e| {
                panic!("{}: {e}\nhint: make setup fetches .cache", input.display())
            });
            bytes.hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// The symbol under which wasi-libc calls a function of the witx.
pub fn symbol(name: &str) -> String {
    format!("__imported_{}_{name}", witx::MODULE)
}

/// What a process left: its exit code and all that it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    command: String,
}

impl Outcome {
    /// What `command` left; output that is not UTF-8 is shown as well as it can be,
    /// together with its hash.
    pub fn new(command: String, code: Option<i32>, stdout: Vec<u8>, stderr: Vec<u8>) -> Outcome {
        let text = |bytes| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let bytes = error.as_bytes();
                let (shown, hash) = (String::from_utf8_lossy(bytes), crate::tree::fnv(bytes));
                format!("{shown}\n[{} bytes, {hash:016x}]", bytes.len())
            }
        };
        let (stdout, stderr) = (text(stdout), text(stderr));
        Outcome {
            code,
            stdout,
            stderr,
            command,
        }
    }

    /// Itself, if the exit code is 0.
    #[track_caller]
    pub fn expect_success(self) -> Outcome {
        assert_eq!(self.code, Some(0), "{}\n{}", self.command, self.stderr);
        self
    }

    /// Fails where `other` ended differently or wrote something else.
    #[track_caller]
    pub fn expect_same(&self, other: &Outcome) {
        let shown =
            |o: &Outcome| format!("{}\n[stderr]\n{}[exit {:?}]", o.stdout, o.stderr, o.code);
        let (left, right) = (shown(self), shown(other));
        if left == right {
            return;
        }
        let same = left.lines().zip(right.lines()).take_while(|(a, b)| a == b);
        let line = same.count();
        let from = |text: &str| {
            let lines = text.lines().skip(line.saturating_sub(2)).take(8);
            lines.fold(String::new(), |all, line| all + "    " + line + "\n")
        };
        panic!(
            "two runs differ from line {} on\n  {}\n{}  {}\n{}",
            line + 1,
            self.command,
            from(&left),
            other.command,
            from(&right),
        );
    }
}

/// Runs a command to its end with `stdin`.
pub fn finish(command: &mut Command, stdin: &str) -> Outcome {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
    // A program need not read what it is given.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("wait for a process");
    Outcome::new(shown, output.status.code(), output.stdout, output.stderr)
}

/// `monaka`, built in the same profile as the test that asks.
pub fn monaka<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    static MONAKA: OnceLock<PathBuf> = OnceLock::new();
    let monaka = MONAKA.get_or_init(|| {
        // target/release/deps/e2e-… → target/release/monaka
        let test = std::env::current_exe().expect("this test's own path");
        let built = test
            .ancestors()
            .nth(2)
            .expect("a target directory")
            .join("monaka");
        assert!(
            built.exists(),
            "{} is missing\nhint: cargo build --release -p monaka, or make test",
            built.display()
        );
        built
    });
    let mut command = Command::new(monaka);
    command.args(args);
    command
}

/// `monaka pack MODULE MAPPINGS… -o OUT`, and `--compress` where that is
/// [wanted](compressed::wanted); it must succeed.
#[track_caller]
pub fn pack<A: AsRef<OsStr>>(module: &Path, args: impl IntoIterator<Item = A>, out: &Path) {
    let mut command = monaka(["pack".as_ref(), module.as_os_str()]);
    command.args(args).arg("-o").arg(out);
    if compressed::wanted() {
        command.arg("--compress=1");
    }
    finish(&mut command, "").expect_success();
}

/// `GUEST::HOST`
pub fn mapped(guest: &str, host: &Path) -> OsString {
    let mut mapping = OsString::from(guest);
    mapping.push("::");
    mapping.push(host);
    mapping
}

/// What a module imports, as `monaka inspect --imports` lists it.
#[track_caller]
pub fn imports(module: &Path) -> Vec<String> {
    let listed = finish(monaka(["inspect", "--imports"]).arg(module), "").expect_success();
    listed.stdout.lines().map(str::to_owned).collect()
}

/// Says that a test is left out; where `CI=true` that is a failure.
/// Answers false.
#[track_caller]
pub fn skip(why: &str) -> bool {
    leave_out(why, "make setup")
}

/// The same with another way out.
#[track_caller]
pub(crate) fn leave_out(why: &str, hint: &str) -> bool {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{why}, and CI=true leaves nothing out\nhint: {hint}"
    );
    let test = std::thread::current();
    // Past the capture of the test harness, which shows only what fails.
    let name = test.name().unwrap_or("?");
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {why} ({hint})");
    false
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where modules are kept from one run to the next.
pub fn kept() -> &'static Path {
    static KEPT: OnceLock<PathBuf> = OnceLock::new();
    KEPT.get_or_init(|| {
        let kept = root().join("target/tests");
        fs::create_dir_all(&kept).expect("create target/tests");
        kept
    })
}

/// wasi-vfs as a library for programs of this libc; none, which has been said, where it
/// cannot be built.
pub fn wasi_vfs(libc: Libc) -> Option<PathBuf> {
    static BUILT: Mutex<BTreeMap<&str, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().expect("no thread panics here");
    let build = || {
        let mut build = Command::new(root().join("tools/build-wasi-vfs"));
        let outcome = finish(build.arg(libc.name()), "");
        match outcome.code {
            Some(0) => Some(PathBuf::from(outcome.stdout.trim_end())),
            _ => {
                skip(outcome.stderr.trim_end());
                None
            }
        }
    };
    built.entry(libc.name()).or_insert_with(build).clone()
}

/// The library that belongs to the command under test; where that is said, or
/// [wanted](compressed::wanted), the one that reads compressed files, or wasi-vfs.
fn library(linked: Linked, libc: Libc) -> PathBuf {
    if linked == Linked::WasiVfs {
        return wasi_vfs(libc).expect("asked for only where it can be built");
    }
    static LIBRARIES: [OnceLock<PathBuf>; 2] = [const { OnceLock::new() }; 2];
    let zstd = linked == Linked::Zstd || compressed::wanted();
    let library = LIBRARIES[usize::from(zstd)].get_or_init(|| {
        let (flags, name) = match zstd {
            true => (&["--zstd"][..], "libmonaka_vfs_zstd"),
            false => (&[][..], "libmonaka_vfs"),
        };
        let library = kept().join(format!("{name}-{}.a", std::process::id()));
        let settled = kept().join(format!("{name}.a"));
        let mut command = monaka([&["lib"][..], flags, &["-o"]].concat());
        finish(command.arg(&library), "").expect_success();
        fs::rename(&library, &settled).expect("rename the library");
        settled
    });
    library.clone()
}

/// The file system as a module of its own, built from the sources as they are; where
/// that is [wanted](compressed::wanted) the one that reads compressed files.
pub fn blob() -> PathBuf {
    let built = kept().join("lib");
    finish(Command::new(root().join("tools/build-lib")).arg(&built), "").expect_success();
    built.join(match compressed::wanted() {
        true => "monaka_vfs_zstd.wasm",
        false => "monaka_vfs.wasm",
    })
}
