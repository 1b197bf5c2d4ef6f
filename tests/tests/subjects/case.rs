//! A module that nobody relinked and what it is given; run with real directories,
//! then packed without any. The host is the oracle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use monaka_tests::toolbox::{Outcome, finish, mapped, monaka};
use monaka_tests::tree;
use tempfile::TempDir;

use crate::drive::Drive;
use crate::host::{Host, Setup};
use crate::left;

/// What every case finds.
const DIRECTORIES: [&str; 3] = ["work", "tmp", "data"];

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
    /// It has a file system inside already, wasi-vfs's, whose directories win over
    /// a packed `/`; so the directories are packed one by one.
    pub(crate) has_files: bool,
    /// Whether it opens /dev/null: what is packed has its own.
    pub(crate) devices: bool,
    /// Whether to compare what it leaves in /work, for it does not print it itself.
    pub(crate) leaves: bool,
    /// `--max-bytes` of what is packed.
    pub(crate) max_bytes: Option<&'static str>,
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
            has_files: false,
            devices: false,
            leaves: false,
            max_bytes: None,
            drive: crate::drive::command,
            host: Host::Wasmtime,
            steady: str::to_owned,
        }
    }

    /// Runs it on the host and packed; both must end with `code`. Answers what both
    /// print.
    pub(crate) fn check(&self, code: i32) -> String {
        let expected = self.unpacked(code);
        for layout in self.layouts() {
            self.packed(layout).expect_same(&expected);
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
        let mut outcome = self.run(&self.module, &mounts, false);
        if self.leaves {
            outcome.stdout += &tree::unlinked(&host.path().join("work"));
        }
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
        self.run(&self.module, &[(guest, into.to_path_buf())], false)
    }

    /// The layouts to pack it in. Large modules take long to compile, and for
    /// them it is the rewriting that is tested, not the layout.
    pub(crate) fn layouts(&self) -> &'static [&'static str] {
        const LARGE: u64 = 8 << 20;
        match fs::metadata(&self.module).expect("a module").len() {
            LARGE.. => &["single"],
            _ => &["single", "multi"],
        }
    }

    /// What the packed module does without any directory.
    pub(crate) fn packed(&self, layout: &str) -> Outcome {
        let dir = self.directory();
        let room = TempDir::new().expect("create a directory");
        let out = room.path().join(self.module.file_name().expect("a file"));
        let mut module = self.module.clone();
        if self.leaves {
            let wasm = fs::read(&module).expect("read the module");
            module = room.path().join("exporting.wasm");
            fs::write(&module, left::exporting(&wasm)).expect("write a module");
        }
        let mut pack = self.pack(&module, dir.path(), layout);
        let begun = Instant::now();
        finish(pack.arg("-o").arg(&out), "").expect_success();
        println!("packed in {:.2} s", begun.elapsed().as_secs_f64());
        drop(dir);
        self.run(&out, &[], self.leaves)
    }

    /// Packs its module as it is into one of the same name in `out`.
    pub(crate) fn pack_into(&self, layout: &str, out: &Path) -> PathBuf {
        let dir = self.directory();
        let out = out.join(self.module.file_name().expect("a file"));
        let mut pack = self.pack(&self.module, dir.path(), layout);
        finish(pack.arg("-o").arg(&out), "").expect_success();
        out
    }

    /// Packs `module` with what the case finds in `dir`, without saying where to.
    pub(crate) fn pack(&self, module: &Path, dir: &Path, layout: &str) -> Command {
        let mut pack = monaka(["pack".as_ref(), module.as_os_str()]);
        pack.args(["--memory", layout]);
        if let Some(bytes) = self.max_bytes {
            pack.args(["--max-bytes", bytes]);
        }
        let mounts = self.mounts(dir);
        for (guest, host) in mounts.iter().skip(usize::from(self.has_files)) {
            pack.arg("--mapdir").arg(mapped(guest, host));
        }
        if self.has_files {
            for name in DIRECTORIES {
                pack.arg("--mapdir")
                    .arg(mapped(&format!("/{name}"), &dir.join(name)));
            }
        }
        pack
    }

    fn run(&self, module: &Path, mounts: &[(&'static str, PathBuf)], lists: bool) -> Outcome {
        let mut outcome = self.host.run(module, &self.setup(mounts, lists));
        outcome.stdout = (self.steady)(&outcome.stdout);
        outcome
    }

    pub(crate) fn setup<'a>(
        &'a self,
        mounts: &'a [(&'static str, PathBuf)],
        lists: bool,
    ) -> Setup<'a> {
        let name = self.module.file_name().expect("a file");
        let mut args = vec![name.to_string_lossy().into_owned()];
        args.extend(self.args.iter().cloned());
        Setup {
            args,
            env: &self.env,
            stdin: self.stdin,
            mounts,
            drive: self.drive,
            lists,
        }
    }

    /// What the program sees of `dir`, which comes first: some use the first
    /// directory without asking what it is called.
    pub(crate) fn mounts(&self, dir: &Path) -> Vec<(&'static str, PathBuf)> {
        let mut mounts = vec![("/", dir.to_path_buf())];
        mounts.extend(self.shared.iter().cloned());
        mounts
    }

    pub(crate) fn directory(&self) -> TempDir {
        // In memory where there is such a place.
        let shared = Path::new("/dev/shm");
        let dir = match shared.is_dir() {
            true => TempDir::new_in(shared),
            false => TempDir::new(),
        };
        let dir = dir.expect("create a directory");
        for name in DIRECTORIES {
            fs::create_dir(dir.path().join(name)).expect("create a directory");
        }
        fs::write(dir.path().join("data/packed.txt"), "packed\n").expect("write");
        (self.fill)(dir.path());
        dir
    }
}
