//! Obtains `libmonaka_vfs.a`, which `monaka lib` writes out: from the file that
//! `MONAKA_LIB` names, or by running `tools/build-lib`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAME: &str = "libmonaka_vfs.a";

fn main() {
    println!("cargo::rerun-if-env-changed=MONAKA_LIB");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    match env::var_os("MONAKA_LIB") {
        Some(path) => take(Path::new(&path), &out),
        None => build(&out),
    }
}

fn take(path: &Path, out: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
    if let Err(error) = fs::copy(path, out.join(NAME)) {
        fail(&format!(
            "MONAKA_LIB: cannot read {}: {error}",
            path.display()
        ));
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
    let kept = ["CARGO_HOME", "CARGO_NET_OFFLINE"];
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let ours = name.starts_with("CARGO") && !kept.contains(&name.as_str());
        let others = [
            "RUSTC",
            "RUSTFLAGS",
            "RUSTDOC",
            "TARGET",
            "HOST",
            "PROFILE",
            "MAKEFLAGS",
        ];
        if ours || others.contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
    match command.output() {
        Ok(output) if output.status.success() && out.join(NAME).is_file() => {}
        Ok(output) => fail(&format!(
            "tools/build-lib failed ({}); run tools/setup, or set MONAKA_LIB to a {NAME}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(error) => fail(&format!(
            "cannot run {}: {error}; set MONAKA_LIB to a {NAME}",
            tool.display()
        )),
    }
}

fn fail(message: &str) -> ! {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    std::process::exit(1);
}
