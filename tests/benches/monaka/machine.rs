//! What was measured on, and of which commit.

use std::fs;
use std::process::Command;

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{Libc, root};
use serde::Serialize;

/// Facts without which no number says anything.
#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory: String,
    kernel: String,
    /// The averages of 1, 5 and 15 minutes when the run began.
    load: String,
    /// The engine that is linked into the harness and the command.
    wasmtime: String,
    node: String,
    rustc: String,
    clang: String,
}

impl Machine {
    pub(crate) fn new(libc: Libc) -> Machine {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let mut clang = Command::new(root().join("tools/wasi-cc"));
        let mut version = Command::new("rustc");
        Machine {
            cpu: field(&cpuinfo, "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: gigabytes(&field(&meminfo, "MemTotal")),
            kernel: said(Command::new("uname").arg("-sr")),
            load: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            wasmtime: locked("wasmtime"),
            node: match Runtime::NewerNode.is_here() {
                true => Runtime::NewerNode.version(),
                false => "none".to_owned(),
            },
            rustc: said(version.arg("--version")),
            clang: said(clang.args([libc.name(), "--version"])),
        }
    }

    /// Names and values.
    pub(crate) fn facts(&self) -> [(&'static str, String); 9] {
        [
            ("processor", self.cpu.clone()),
            ("cores", self.cores.to_string()),
            ("memory", self.memory.clone()),
            ("kernel", self.kernel.clone()),
            ("load at the start", self.load.clone()),
            ("wasmtime", self.wasmtime.clone()),
            ("node", self.node.clone()),
            ("rustc", self.rustc.clone()),
            ("clang", self.clang.clone()),
        ]
    }
}

/// The commit that is checked out, with `+ changes` if more than the results of a run
/// changed since.
pub(crate) fn commit() -> String {
    let git = |args: &[&str]| said(Command::new("git").arg("-C").arg(root()).args(args));
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let results = [":!docs/BENCHMARKS.md", ":!docs/bench"];
    match git(&[&["status", "--porcelain", "--", "."], &results[..]].concat()).as_str() {
        "" => commit,
        _ => commit + " + changes",
    }
}

/// Today.
pub(crate) fn date() -> String {
    said(Command::new("date").args(["-u", "+%Y-%m-%d"]))
}

/// The first line that a command prints; nothing where it cannot be run.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8(output.unwrap_or_default()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The value of the first line `NAME : VALUE`.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or_else(
        || "unknown".to_owned(),
        |(_, value)| value.trim().to_owned(),
    )
}

/// Of what the kernel says in kB.
fn gigabytes(text: &str) -> String {
    let kilobytes = text.strip_suffix(" kB").and_then(|kb| kb.parse().ok());
    kilobytes.map_or_else(
        || text.to_owned(),
        |kb: f64| format!("{:.1} GB", kb * 1.024e-6),
    )
}

/// The version of a package in Cargo.lock.
fn locked(package: &str) -> String {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap_or_default();
    let entry = format!("name = \"{package}\"\nversion = \"");
    let version = lock
        .split_once(&entry)
        .and_then(|(_, rest)| rest.split_once('"'));
    version.map_or_else(|| "unknown".to_owned(), |(version, _)| version.to_owned())
}
