//! A module that nobody relinked and what it is given; run with real directories,
//! then packed without any. The host is the oracle.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use monaka_tests::toolbox::{Outcome, finish, mapped, monaka};
use monaka_tests::tree;
use tempfile::TempDir;

use crate::drive::Drive;
use crate::host::{Host, Setup};

/// A module and what it is given.
pub(crate) struct Case {
    pub(crate) module: PathBuf,
    /// Without the program's own name.
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(&'static str, &'static str)>,
    pub(crate) stdin: &'static str,
    /// Fills the directory that becomes `/`; /work, /tmp and /data are there.
    pub(crate) fill: fn(&Path),
    /// Directories of this machine that are only read, by the names they get.
    pub(crate) shared: Vec<(&'static str, PathBuf)>,
    /// Whether it opens /dev/null: what is packed has its own.
    pub(crate) devices: bool,
    pub(crate) drive: Drive,
    pub(crate) host: Host,
    /// What it prints without what legitimately differs from run to run.
    pub(crate) steady: fn(&str) -> String,
}

impl Case {
    /// A command that is given `args` alone.
    pub(crate) fn new(module: PathBuf, args: &[&str]) -> Case {
        Case {
            module,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            stdin: "",
            fill: |_| {},
            shared: Vec::new(),
            devices: false,
            drive: crate::drive::command,
            host: Host::Wasmtime,
            steady: str::to_owned,
        }
    }

    /// Runs it on the host and packed; both must end with `code`. Answers what both
    /// print.
    pub(crate) fn check(&self, code: i32) -> String {
        let expected = self.unpacked(code);
        if let Some(packed) = self.packed() {
            packed.expect_same(&expected);
        }
        expected.stdout
    }

    /// What it does on directories of the host; it must end with `code`.
    pub(crate) fn unpacked(&self, code: i32) -> Outcome {
        let host = self.directory();
        let mut mounts = self.mounts(host.path());
        if self.devices {
            mounts.push(("/dev", PathBuf::from("/dev")));
        }
        let outcome = self.run(&self.module, &mounts);
        let (printed, complained) = (&outcome.stdout, &outcome.stderr);
        assert_eq!(outcome.code, Some(code), "{printed}\n{complained}");
        if let Some((_, dump)) = printed.split_once("--- tree\n") {
            let left = tree::unlinked(&host.path().join("work"));
            assert_eq!(dump, left, "the program's dump is not what it left");
        }
        outcome
    }

    /// Runs it with `into` as the one directory, called `guest`.
    pub(crate) fn run_in(&self, guest: &'static str, into: &Path) -> Outcome {
        self.run(&self.module, &[(guest, into.to_path_buf())])
    }

    /// What the packed module does without any directory; nothing where this
    /// monaka still refuses whatever is not linked with its library.
    pub(crate) fn packed(&self) -> Option<Outcome> {
        let dir = self.directory();
        let out = TempDir::new().expect("create a directory");
        let out = out.path().join(self.module.file_name().expect("a file"));
        let mut pack = monaka(["pack".as_ref(), self.module.as_os_str()]);
        for (guest, host) in self.mounts(dir.path()) {
            pack.arg("--mapdir").arg(mapped(guest, &host));
        }
        let begun = Instant::now();
        let outcome = finish(pack.arg("-o").arg(&out), "");
        println!("packed in {:.2} s", begun.elapsed().as_secs_f64());
        if outcome.code != Some(0) && outcome.stderr.contains("not linked") {
            let test = std::thread::current();
            let name = test.name().unwrap_or("?");
            // Past the capture of the test harness, which shows only what fails.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED {name}, packed: this monaka takes linked modules only"
            );
            return None;
        }
        outcome.expect_success();
        drop(dir);
        Some(self.run(&out, &[]))
    }

    fn run(&self, module: &Path, mounts: &[(&'static str, PathBuf)]) -> Outcome {
        let mut args = vec![self.module.file_name().expect("a file")];
        args.extend(self.args.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
        let args = args.iter().map(|arg| arg.to_string_lossy().into_owned());
        let setup = Setup {
            args: args.collect(),
            env: &self.env,
            stdin: self.stdin,
            mounts,
            drive: self.drive,
        };
        let mut outcome = self.host.run(module, &setup);
        outcome.stdout = (self.steady)(&outcome.stdout);
        outcome
    }

    /// What the program sees of `dir`, which comes first: some use the first
    /// directory without asking what it is called.
    fn mounts(&self, dir: &Path) -> Vec<(&'static str, PathBuf)> {
        let mut mounts = vec![("/", dir.to_path_buf())];
        mounts.extend(self.shared.iter().cloned());
        mounts
    }

    fn directory(&self) -> TempDir {
        // In memory where there is such a place.
        let shared = Path::new("/dev/shm");
        let dir = match shared.is_dir() {
            true => TempDir::new_in(shared),
            false => TempDir::new(),
        };
        let dir = dir.expect("create a directory");
        for name in ["work", "tmp", "data"] {
            fs::create_dir(dir.path().join(name)).expect("create a directory");
        }
        fs::write(dir.path().join("data/packed.txt"), "packed\n").expect("write");
        (self.fill)(dir.path());
        dir
    }
}
