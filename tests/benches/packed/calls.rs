//! A C program that measures its own file calls, wherever its files are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, mapped, monaka, pack};
use tempfile::TempDir;

use crate::{MIB, noise};

/// Where the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In a program that is linked with the library.
    Linked,
    /// Merged into the finished program, in its own memory.
    Single,
    /// The same, in a second memory.
    Multi,
    /// In a directory of the host, in memory.
    Tmpfs,
}

impl Home {
    pub(crate) const ALL: [Home; 4] = [Home::Linked, Home::Single, Home::Multi, Home::Tmpfs];

    /// Those with packed files.
    pub(crate) const PACKED: [Home; 3] = [Home::Linked, Home::Single, Home::Multi];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Home::Linked => "linked",
            Home::Single => "single",
            Home::Multi => "multi",
            Home::Tmpfs => "tmpfs",
        }
    }
}

/// `tests/benches/programs/calls.c` in each home.
pub(crate) struct Calls {
    modules: Vec<(Home, PathBuf)>,
    directory: PathBuf,
    _room: TempDir,
}

impl Calls {
    pub(crate) fn new(libc: Libc) -> Calls {
        let room = in_memory();
        let directory = room.path().join("root");
        fs::create_dir_all(directory.join("one/two/three")).expect("create directories");
        fs::write(directory.join("one/two/three/file"), "found\n").expect("write");
        fs::write(directory.join("big"), noise(100 * MIB)).expect("write");
        let program = Program::Bench("copies.c");
        let plain = program.compile(libc, Opt::O2, Linked::Not);
        let linked = program.compile(libc, Opt::O2, Linked::Last);
        let module = |home: Home| {
            let module = match home {
                Home::Tmpfs => return (home, plain.clone()),
                Home::Linked => &linked,
                Home::Single | Home::Multi => &plain,
            };
            let packed = room.path().join(format!("{}.wasm", home.name()));
            let mut args = vec!["--mapdir".into(), mapped("/", &directory)];
            if home != Home::Linked {
                args.extend(["--memory".into(), home.name().into()]);
            }
            pack(module, args, &packed);
            (home, packed)
        };
        Calls {
            modules: Home::ALL.map(module).into(),
            directory,
            _room: room,
        }
    }

    /// Measures each home once: `HOME.CALL`.
    pub(crate) fn round(&self) -> BTreeMap<String, f64> {
        let mut times = BTreeMap::new();
        for (home, module) in &self.modules {
            let mut run = monaka(["run".as_ref(), module.as_os_str()]);
            match home {
                Home::Tmpfs => {
                    let mut preopen = self.directory.clone().into_os_string();
                    preopen.push("::/");
                    run.arg("--dir").arg(preopen).args(["--", "2000"]);
                }
                _ => {
                    run.args(["--", "30000"]);
                }
            }
            times.extend(measured(*home, &mut run));
        }
        times
    }
}

/// What `calls` printed.
fn measured(home: Home, command: &mut Command) -> BTreeMap<String, f64> {
    let outcome = finish(command, "").expect_success();
    let lines = outcome.stdout.lines().map(|line| {
        let (name, value) = line.split_once(' ').expect("NAME VALUE");
        let value = value.parse().expect("a number");
        (format!("{}.{name}", home.name()), value)
    });
    lines.collect()
}

/// A directory in memory where there is one, so that the host's side of the
/// comparison does not wait for a disk.
fn in_memory() -> TempDir {
    let shm = Path::new("/dev/shm");
    TempDir::new_in(shm)
        .or_else(|_| TempDir::new())
        .expect("create a directory")
}
