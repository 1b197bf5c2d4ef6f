//! Container images: layouts, what `docker save` writes, layers and whiteouts.

use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tar::Archive;
use super::*;

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A layout in the making.
struct Layout(Host);

impl Layout {
    fn new() -> Layout {
        Layout(Host::new())
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path("l").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn blob(&self, bytes: &[u8], kind: &str) -> Value {
        let digest = digest(bytes);
        self.file(&format!("blobs/{}", digest.replace(':', "/")), bytes);
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    }

    fn manifest(&self, layers: &[Vec<u8>]) -> Value {
        let layers: Vec<_> = layers.iter().map(|layer| self.blob(layer, LAYER)).collect();
        let config = self.blob(b"{}", "application/vnd.oci.image.config.v1+json");
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        self.blob(manifest.to_string().as_bytes(), MANIFEST)
    }

    fn index(&self, manifests: &[Value]) -> Value {
        json!({ "schemaVersion": 2, "manifests": manifests })
    }

    fn with(layers: &[Vec<u8>]) -> Layout {
        let layout = Layout::new();
        let index = layout.index(&[layout.manifest(layers)]);
        layout.file("index.json", index.to_string().as_bytes());
        layout
    }

    fn read(&self) -> Result<Tree<Source>> {
        let path = self.0.path("l");
        let mapping = Mapping::of(Origin::Oci, &argument("/", &path)).unwrap();
        let (mut tree, choice) = (fresh(), Choice::default());
        let mut scanner = Scanner::new(&choice, Progress::default());
        scanner.scan(&mut tree, &mapping)?;
        preopens(&mut tree, &[mapping])?;
        assert_eq!(scanner.finish(), [""; 0]);
        Ok(tree)
    }

    /// The same, with the directory as a tar archive.
    fn read_tar(&self) -> Tree<Source> {
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(self.0.path("l.tar"));
        let status = tar.arg("-C").arg(self.0.path("l")).arg(".").status();
        assert!(status.expect("tar").success());
        let mapping = Mapping::of(Origin::Oci, &argument("/", &self.0.path("l.tar"))).unwrap();
        scanned(&[mapping]).0
    }

    fn told(&self) -> String {
        let error = self.read().expect_err("it should have failed");
        let found = error.downcast_ref::<ScanError>().expect("a way out");
        assert!(!found.hint().is_empty());
        error
            .to_string()
            .replace(&*self.0.path("l").to_string_lossy(), "l")
    }
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn files(tree: Tree<Source>) -> Vec<String> {
    let lines = dump(tree).into_iter().skip(2);
    let short = lines.map(|line| {
        let size = line
            .split(" size=")
            .nth(1)
            .and_then(|size| size.split(' ').next());
        let path = line.split(' ').next().unwrap().to_string();
        size.map_or(path.clone(), |size| format!("{path} {size}"))
    });
    short.collect()
}

#[test]
fn layers_are_applied_in_order_with_their_whiteouts() {
    let first = Archive::new()
        .directory("etc")
        .file("etc/a", "1")
        .file("etc/b", "1")
        .file("etc/c", "1")
        .directory("opt/old/deep")
        .file("opt/old/f", "1")
        .directory("usr/lib")
        .symlink("lib", "usr/lib")
        .file("usr/lib/x", "1")
        .file("gone/f", "1")
        .file("both/old", "1");
    let second = Archive::new()
        // Each hides only what is below its layer, wherever it stands in it.
        .file("etc/b", "22")
        .file("etc/.wh.b", "")
        .file("etc/.wh.a", "")
        .file("opt/new", "22")
        .file("opt/.wh..wh..opq", "")
        .file("opt/old/again", "22")
        .file(".wh.gone", "")
        .file("both/new", "22")
        .file(".wh.both", "")
        .file("lib/.wh.x", "")
        .file("lib/y", "22")
        .file(".wh..wh.plnk", "")
        .file(".wh.never-there", "")
        .file("no/such/.wh.directory", "")
        .link("hard", "etc/c");
    let layout = Layout::with(&[first.bytes(), second.bytes()]);
    let expected = [
        "/both",
        "/both/new 2",
        "/etc",
        "/etc/b 2",
        "/etc/c 1",
        "/hard",
        "/lib",
        "/opt",
        "/opt/new 2",
        "/opt/old",
        "/opt/old/again 2",
        "/usr",
        "/usr/lib",
        "/usr/lib/y 2",
    ];
    assert_eq!(files(layout.read().unwrap()), expected);
    assert_eq!(files(layout.read_tar()), expected);
}

#[test]
fn layers_may_be_compressed() {
    use std::io::Write as _;
    let bytes = Archive::new().file("f", "contents").bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    for layer in [
        gzip.finish().unwrap(),
        zstd::encode_all(&bytes[..], 1).unwrap(),
    ] {
        let tree = Layout::with(&[layer]).read().unwrap();
        let node = tree.lookup(b"/f").unwrap();
        assert_eq!(contents(&tree, node), b"contents");
    }
}

#[test]
fn whiteouts_lead_nowhere_else() {
    for (name, expected) in [
        (".wh...", "its name has `..` in it"),
        (".wh..", "it has no name"),
        (".wh.", "it has no name"),
        ("a/../.wh.b", "its name has `..` in it"),
    ] {
        let text = Layout::with(&[Archive::new().file(name, "").bytes()]).told();
        assert!(
            text.ends_with(&format!("member {name}: {expected}")),
            "{text}"
        );
        assert!(text.starts_with("l: layer sha256:"), "{text}");
    }
    // Of an archive that is no layer they are files.
    let host = Host::new();
    fs::write(host.path("a.tar"), Archive::new().file(".wh.x", "").bytes()).unwrap();
    let mapping = Mapping::of(Origin::Tar, &argument("/", &host.path("a.tar"))).unwrap();
    assert!(scanned(&[mapping]).0.lookup(b"/.wh.x").is_some());
}

#[test]
fn the_image_for_wasm_or_else_for_amd64_is_taken() {
    let image = |layout: &Layout, os: &str, architecture: &str| {
        let mut manifest = layout.manifest(&[Archive::new().file(architecture, "").bytes()]);
        manifest["platform"] = json!({ "os": os, "architecture": architecture });
        manifest
    };
    for (platforms, expected) in [
        (&[("linux", "arm64")][..], Ok("arm64")),
        (&[("linux", "arm64"), ("linux", "amd64")], Ok("amd64")),
        (&[("linux", "amd64"), ("wasip1", "wasm")], Ok("wasm")),
        (
            &[("linux", "arm64"), ("linux", "s390x")],
            Err("it holds 2 images: "),
        ),
        (
            &[("linux", "amd64"), ("linux", "amd64")],
            Err("it holds 2 images: "),
        ),
        (&[], Err("it holds no image")),
    ] {
        let layout = Layout::new();
        let mut manifests: Vec<_> = (platforms.iter())
            .map(|(os, architecture)| image(&layout, os, architecture))
            .collect();
        let mut about = image(&layout, "unknown", "unknown");
        about["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
        manifests.push(about);
        // Once more in an index of its own.
        let inner = layout.index(&manifests).to_string();
        let inner = layout.blob(inner.as_bytes(), "application/vnd.oci.image.index.v1+json");
        for index in [layout.index(&manifests), layout.index(&[inner])] {
            layout.file("index.json", index.to_string().as_bytes());
            match expected {
                Ok(name) => {
                    let tree = layout.read().unwrap();
                    assert!(tree.lookup(name.as_bytes()).is_some(), "{platforms:?}");
                }
                Err(reason) => {
                    let text = layout.told();
                    assert!(text.starts_with(&format!("l: {reason}")), "{text}");
                }
            }
        }
    }
}

#[test]
fn what_docker_save_wrote_before_layouts_is_read() {
    let layers = [
        Archive::new().file("a", "1").bytes(),
        Archive::new().file("b", "2").file(".wh.a", "").bytes(),
    ];
    let write = |unpacked: [&str; 2]| {
        let layout = Layout::new();
        let config = json!({ "rootfs": { "type": "layers", "diff_ids": unpacked } });
        layout.file("c.json", config.to_string().as_bytes());
        layout.file("one/layer.tar", &layers[0]);
        layout.file("two/data", &layers[1]);
        symlink("data", layout.0.path("l/two/layer.tar")).unwrap();
        let manifest = json!([{
            "Config": "c.json", "RepoTags": null, "Layers": ["one/layer.tar", "two/layer.tar"]
        }]);
        layout.file("manifest.json", manifest.to_string().as_bytes());
        layout
    };
    let digests = layers.each_ref().map(|layer| digest(layer));
    let layout = write([&digests[0], &digests[1]]);
    assert_eq!(files(layout.read().unwrap()), ["/b 1"]);
    assert_eq!(files(layout.read_tar()), ["/b 1"]);
    let text = write([&digests[0], &digests[0]]).told();
    assert_eq!(
        text,
        "l: layer two/layer.tar: it is not what it was: its digest is another"
    );
}

#[test]
fn what_is_wrong_with_a_layout_is_named() {
    let layer = Archive::new().file("f", "x").bytes();
    let good = || Layout::with(std::slice::from_ref(&layer));
    let path = format!("blobs/{}", digest(&layer).replace(':', "/"));

    let layout = good();
    layout.file(&path, b"something else");
    let expected = format!("l: {path} is not what it was: its digest or its size is another");
    assert_eq!(layout.told(), expected);

    let layout = good();
    fs::remove_file(layout.0.path("l").join(&path)).unwrap();
    assert_eq!(layout.told(), format!("l: {path} is missing in it"));

    let layout = good();
    layout.file("index.json", b"{");
    assert!(
        layout
            .told()
            .starts_with("l: index.json is not what it should be: ")
    );

    let layout = Layout::new();
    layout.file("x", b"");
    assert_eq!(
        layout.told(),
        "l: it has neither index.json nor manifest.json"
    );

    let layout = Layout::new();
    let wasm = layout.blob(b"\0asm", "application/wasm");
    let config = layout.blob(b"{}", "application/vnd.wasm.config.v0+json");
    let manifest = json!({ "config": config, "layers": [wasm] }).to_string();
    let manifest = layout.blob(manifest.as_bytes(), MANIFEST);
    layout.file(
        "index.json",
        layout.index(&[manifest]).to_string().as_bytes(),
    );
    let text = layout.told();
    assert!(
        text.ends_with("is no tar archive but `application/wasm`"),
        "{text}"
    );

    for digest in ["sha256:../../../index.json", "md5:00", "none"] {
        let layout = good();
        let manifest = json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 });
        layout.file(
            "index.json",
            layout.index(&[manifest]).to_string().as_bytes(),
        );
        let text = layout.told();
        assert!(text.contains(digest.rsplit(':').next().unwrap()), "{text}");
    }
}
