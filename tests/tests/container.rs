//! A program on the files of a container image, through compiler, `monaka pack
//! --oci` and `monaka run`.

use std::path::Path;

use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, monaka, pack};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// A tar archive: names that end with a slash are directories, contents that
/// begin with `->` are links' targets.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, contents) in members {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        header.set_size(0);
        if let Some(target) = contents.strip_prefix(b"->") {
            header.set_entry_type(EntryType::Symlink);
            let target = std::str::from_utf8(target).expect("a target in UTF-8");
            tar.append_link(&mut header, name, target).expect("a link");
            continue;
        }
        header.set_entry_type(match name.ends_with('/') {
            true => EntryType::Directory,
            false => EntryType::Regular,
        });
        header.set_size(contents.len() as u64);
        tar.append_data(&mut header, name, *contents)
            .expect("a member");
    }
    tar.into_inner().expect("an archive")
}

fn hex(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `docker save` writes of an image with these layers.
fn saved(layers: &[Vec<u8>], to: &Path) {
    let ids: Vec<String> = layers.iter().map(|layer| hex(layer)).collect();
    let list =
        |what: &dyn Fn(&String) -> String| ids.iter().map(what).collect::<Vec<_>>().join(", ");
    let config = format!(
        r#"{{ "architecture": "amd64", "os": "linux", "rootfs": {{ "type": "layers", "diff_ids": [{}] }} }}"#,
        list(&|id| format!("\"sha256:{id}\""))
    );
    let name = format!("{}.json", hex(config.as_bytes()));
    let manifest = format!(
        r#"[{{ "Config": "{name}", "RepoTags": ["app:latest"], "Layers": [{}] }}]"#,
        list(&|id| format!("\"{id}/layer.tar\""))
    );
    let paths: Vec<String> = ids.iter().map(|id| format!("{id}/layer.tar")).collect();
    let mut members: Vec<(&str, &[u8])> = vec![
        (&name, config.as_bytes()),
        ("manifest.json", manifest.as_bytes()),
    ];
    members.extend(
        paths
            .iter()
            .map(|path| &path[..])
            .zip(layers.iter().map(|layer| &layer[..])),
    );
    std::fs::write(to, archive(&members)).expect("write the image");
}

#[test]
fn a_program_reads_the_files_of_a_saved_image() {
    let dir = TempDir::new().expect("create a directory");
    let image = dir.path().join("image.tar");
    let base = archive(&[
        ("etc/", b""),
        ("etc/os-release", b"ID=base\n"),
        ("etc/secret", b"not for others\n"),
        ("usr/share/", b""),
        ("usr/share/greeting", b"hello\n"),
        ("share", b"->/usr/share"),
        ("var/cache/big", b"cached\n"),
    ]);
    let app = archive(&[
        ("etc/os-release", b"ID=app\n"),
        ("etc/.wh.secret", b""),
        ("var/cache/.wh..wh..opq", b""),
        ("share/reply", b"and hello to you\n"),
    ]);
    saved(&[base, app], &image);
    let mapping = format!("/::{}", image.to_str().expect("temporary paths are UTF-8"));
    let libc = Libc::ALL.into_iter().find(|libc| libc.is_here());
    let libc = libc.expect("no C compiler for WASI is installed");
    let program = Program::Example("cat").compile(libc, Opt::O2, Linked::Last);
    let out = dir.path().join("cat.wasm");
    pack(&program, ["--oci", &mapping, "--no-dev", "--no-tmp"], &out);
    let mut run = monaka(["run".as_ref(), out.as_os_str()]);
    let outcome = finish(run.args(["--", "/", "/share/reply", "/etc/secret"]), "");
    assert_eq!(
        outcome.stdout,
        "            /etc/
         7  /etc/os-release
            /share -> /usr/share
            /usr/
            /usr/share/
         6  /usr/share/greeting
        17  /usr/share/reply
            /var/
            /var/cache/
and hello to you
"
    );
    assert!(
        outcome.stderr.contains("/etc/secret: No such file"),
        "{}",
        outcome.stderr
    );
}
