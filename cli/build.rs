//! Obtains `libmonaka_vfs.a`, which `monaka lib` writes out, and
//! `monaka_vfs.wasm`, which `monaka pack` merges into programs, those that read
//! compressed files, and the one that traces: from the directory that `MONAKA_LIB` names, or by running `tools/build-lib`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: [&str; 5] = [
    "libmonaka_vfs.a",
    "libmonaka_vfs_zstd.a",
    "monaka_vfs.wasm",
    "monaka_vfs_zstd.wasm",
    "monaka_vfs_trace.wasm",
];

fn main() {
    println!("cargo::rerun-if-env-changed=MONAKA_LIB");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    match env::var_os("MONAKA_LIB") {
        Some(path) => take(Path::new(&path), &out),
        None => build(&out),
    }
}

fn take(from: &Path, out: &Path) {
    for name in NAMES {
        let path = from.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        if let Err(error) = fs::copy(&path, out.join(name)) {
            fail(&format!(
                "MONAKA_LIB names the directory that tools/build-lib has filled; cannot read {}: {error}",
                path.display()
            ));
        }
    }
}

fn build(out: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tool = root.join("tools/build-lib");
    for path in ["libvfs", "tools/build-lib", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    let mut command = Command::new(&tool);
    command.arg(out);
    // What cargo tells this script about the host's build is not meant for the
    // library's.
    for (name, _) in env::vars_os() {
        if is_of_this_build(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    match command.output() {
        Ok(output) if output.status.success() && are_in(out) => {}
        Ok(output) => fail(&format!(
            "tools/build-lib failed ({}); run tools/setup, or set MONAKA_LIB to a directory with {}\n{}",
            output.status,
            NAMES.join(", "),
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(error) => fail(&format!(
            "cannot run {}: {error}; set MONAKA_LIB to a directory with {}",
            tool.display(),
            NAMES.join(", ")
        )),
    }
}

/// Whether the tool has made what it should.
fn are_in(out: &Path) -> bool {
    NAMES.iter().all(|name| out.join(name).is_file())
}

/// Variables that cargo and rustup's tools set for one build. What users set,
/// such as `CARGO_HOME` or `CARGO_HTTP_PROXY`, is none of them.
fn is_of_this_build(name: &str) -> bool {
    const PREFIXES: [&str; 4] = [
        "CARGO_PKG_",
        "CARGO_CFG_",
        "CARGO_MANIFEST_",
        "CARGO_FEATURE_",
    ];
    const NAMES: [&str; 16] = [
        "CARGO",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MAKEFLAGS",
        "CARGO_PRIMARY_PACKAGE",
        "CLIPPY_ARGS",
        "DEBUG",
        "HOST",
        "MAKEFLAGS",
        "NUM_JOBS",
        "OPT_LEVEL",
        "PROFILE",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOC",
        "RUSTFLAGS",
        "TARGET",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn fail(message: &str) -> ! {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    std::process::exit(1);
}
