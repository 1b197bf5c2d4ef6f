//! What others offer for the same purpose: wasi-vfs, and node's preopens.

use std::path::Path;
use std::process::Command;

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{finish, root};

/// Packs `files` into a module that is linked with wasi-vfs, as `wasi-vfs pack` does:
/// its function runs in wizer, with the files as a preopen.
pub(crate) fn pack_with_wasi_vfs(module: &Path, files: &Path, out: &Path) {
    let mut wizer = Runtime::Wasmtime.executable();
    wizer.args(["wizer", "-S", "cli", "--init-func", "wasi_vfs_pack_fs"]);
    // A module may be packed again, and it looks for this variable when it starts.
    wizer.args(["--keep-init-func=true", "--env", "__WASI_VFS_PACKING=1"]);
    let mut preopen = files.as_os_str().to_owned();
    preopen.push("::/");
    wizer.arg("--dir").arg(preopen);
    finish(wizer.arg(module).arg("-o").arg(out), "").expect_success();
}

/// node, which is to run a module with `files` as `/`. It is the one of `tools/fetch`:
/// node 20 crashes in such runs, which is https://github.com/nodejs/node/issues/53087.
pub(crate) fn node(module: &Path, files: &Path, args: &[String]) -> Command {
    let mut node = Runtime::NewerNode.executable();
    node.arg("--no-warnings")
        .arg(root().join("tests/hosts/node.mjs"))
        .arg(module)
        .args(args)
        .env("MONAKA_PREOPEN", files);
    node
}
