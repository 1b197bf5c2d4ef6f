//! Container images: an OCI image layout, as a directory or a tar archive, or
//! what `docker save` writes.
//!
//! The layers are applied in their order. Digests are checked: of each blob that
//! is read where the layout names blobs by their digest, else of what each layer
//! unpacks to, which the image's configuration says.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Result;
use monaka_vfs_core::image::{Contents, Escaped, Meta, NodeId, Tree};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256, Sha512};

use super::archive::Reading;
use super::choice::Choice;
use super::inflate::Input;
use super::part::Part;
use super::sink::Sink;
use super::staged::Staged;
use super::tar::{self, Role};
use super::{ScanError, host};
use crate::output::is_dash;

/// Adds the files of the image at `path`; answers how its program is started.
pub(super) fn read(
    path: &Path,
    staged: &mut Staged,
    reading: &mut Reading<'_>,
) -> Result<ImageConfig> {
    let mut layout = Layout::open(path, reading)?;
    let (layers, config) = match layout.has(b"index.json") {
        true => layout.indexed(reading)?,
        false => layout.saved(reading)?,
    };
    for layer in layers {
        staged.begin_layer();
        layer.apply(staged, reading)?;
    }
    Ok(config)
}

/// What an image says of its program.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageConfig {
    pub(crate) env: Option<Vec<String>>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) cmd: Option<Vec<String>>,
    pub(crate) working_dir: String,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) volumes: Option<BTreeMap<String, serde_json::Value>>,
}

/// The files of a layout.
struct Layout(Staged);

/// A layer.
struct Layer {
    /// What messages call it.
    name: String,
    part: Part,
    /// The digest of what it unpacks to, unless its own was checked.
    unpacked: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    rootfs: Rootfs,
    #[serde(default)]
    config: Option<ImageConfig>,
}

#[derive(Default, Deserialize)]
struct Rootfs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// An image in the `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// As deep as indices may stand in indices.
const MAX_DEPTH: usize = 4;

/// As long as a description in JSON may be.
const MAX_JSON: u64 = 16 << 20;

const ONE_IMAGE: &str = "save or copy the one image that is wanted into a layout of its own";
const WHOLE: &str = "copy or save the image anew, with all its layers";

impl Layout {
    fn open(path: &Path, reading: &mut Reading<'_>) -> Result<Layout> {
        if is_dash(path) || !host::metadata(path)?.is_dir() {
            let mut staged = Staged::new();
            tar::read(Input::open(path)?, &mut staged, Role::Plain, reading)?;
            return Ok(Layout(staged));
        }
        let mut tree = Tree::new(Meta::default());
        let choice = Choice::default();
        let bar = reading.progress.files("reading the layout");
        let mut sink = Sink::new(&mut tree, NodeId::ROOT, &choice, reading.warnings, bar);
        host::walk(&mut sink, path, &host::metadata(path)?)?;
        drop(sink);
        let staged = Staged::of(tree);
        Ok(Layout(reading.member(b"", staged)?))
    }

    fn has(&mut self, name: &[u8]) -> bool {
        self.0.find(name).is_ok()
    }

    /// A file of the layout.
    fn file(&mut self, name: &str, reading: &Reading<'_>) -> Result<Part> {
        let node = self.0.find(name.as_bytes());
        let contents = node.map(|node| self.0.tree().contents(node));
        match contents {
            Ok(Contents::Regular { source, .. }) => source.part(),
            _ => Err(layout(reading, format!("{name} is missing in it"), WHOLE)),
        }
    }

    fn json<T: DeserializeOwned>(&mut self, name: &str, reading: &Reading<'_>) -> Result<T> {
        let part = self.file(name, reading)?;
        parse(name, &part, reading)
    }

    /// The file that a digest names, if it has that digest.
    fn blob(&mut self, descriptor: &Descriptor, reading: &Reading<'_>) -> Result<Part> {
        let digest = &descriptor.digest;
        let path = match digest.split_once(':') {
            Some((algorithm, hex)) => format!("blobs/{algorithm}/{hex}"),
            None => return Err(layout(reading, format!("`{digest}` is no digest"), WHOLE)),
        };
        let part = self.file(&path, reading)?;
        let mut hash = Hash::of(digest).map_err(|reason| layout(reading, reason, WHOLE))?;
        let hashed = io::copy(&mut part.reader(), &mut hash);
        hashed.map_err(|error| reading.damaged(Some(path.as_bytes()), &error))?;
        if part.len() != descriptor.size || hash.finish() != *digest {
            let reason = format!("{path} is not what it was: its digest or its size is another");
            return Err(layout(reading, reason, WHOLE));
        }
        Ok(part)
    }

    /// The layers of the image that `index.json` leads to.
    fn indexed(&mut self, reading: &Reading<'_>) -> Result<(Vec<Layer>, ImageConfig)> {
        let index: Index = self.json("index.json", reading)?;
        let manifest = choose(self.manifests(index, 0, reading)?)
            .map_err(|reason| layout(reading, reason, ONE_IMAGE))?;
        let blob = self.blob(&manifest, reading)?;
        let manifest: Manifest = parse(&manifest.digest, &blob, reading)?;
        let config = self.config(manifest.config.as_ref(), reading)?;
        let mut layers = Vec::new();
        for descriptor in manifest.layers {
            let (digest, kind) = (&descriptor.digest, &descriptor.media_type);
            if !kind.is_empty() && !kind.contains("tar") {
                let reason = format!("layer {digest} is no tar archive but `{kind}`");
                return Err(layout(
                    reading,
                    reason,
                    "only images made of files can be packed; a WebAssembly artifact is a module",
                ));
            }
            layers.push(Layer {
                name: digest.clone(),
                part: self.blob(&descriptor, reading)?,
                unpacked: None,
            });
        }
        Ok((layers, config))
    }

    /// What a configuration says of the program; nothing where it is no image's or
    /// does not come along.
    fn config(&mut self, at: Option<&Descriptor>, reading: &Reading<'_>) -> Result<ImageConfig> {
        let Some(at) = at.filter(|at| at.media_type.contains("image")) else {
            return Ok(ImageConfig::default());
        };
        if !self.has(format!("blobs/{}", at.digest.replacen(':', "/", 1)).as_bytes()) {
            return Ok(ImageConfig::default());
        }
        let blob = self.blob(at, reading)?;
        let config: Config = parse(&at.digest, &blob, reading)?;
        Ok(config.config.unwrap_or_default())
    }

    /// The image manifests that an index has, those in further indices too.
    fn manifests(
        &mut self,
        index: Index,
        depth: usize,
        reading: &Reading<'_>,
    ) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        for descriptor in index.manifests {
            // Signatures and the like, which are manifests of no platform.
            let is_about_another = descriptor
                .annotations
                .contains_key("vnd.docker.reference.type");
            if is_about_another {
                continue;
            }
            let kind = &descriptor.media_type;
            if !kind.contains("index") && !kind.contains("manifest.list") {
                found.push(descriptor);
            } else if depth < MAX_DEPTH {
                let blob = self.blob(&descriptor, reading)?;
                let index = parse(&descriptor.digest, &blob, reading)?;
                found.extend(self.manifests(index, depth + 1, reading)?);
            } else {
                let reason = "its indices lead into one another".into();
                return Err(layout(reading, reason, WHOLE));
            }
        }
        Ok(found)
    }

    /// The layers of the image that `docker save` wrote before it wrote layouts.
    fn saved(&mut self, reading: &Reading<'_>) -> Result<(Vec<Layer>, ImageConfig)> {
        if !self.has(b"manifest.json") {
            return Err(layout(
                reading,
                "it has neither index.json nor manifest.json".into(),
                "--oci takes an OCI image layout or what `docker save` writes; --tar takes files",
            ));
        }
        let saved: Vec<Saved> = self.json("manifest.json", reading)?;
        let [saved] = &saved[..] else {
            let names: Vec<_> = (saved.iter())
                .map(|saved| {
                    saved
                        .repo_tags
                        .iter()
                        .flatten()
                        .cloned()
                        .collect::<Vec<_>>()
                })
                .map(|tags| tags.join(" "))
                .collect();
            let reason = format!("it holds {} images: {}", names.len(), names.join(", "));
            return Err(layout(reading, reason, ONE_IMAGE));
        };
        let config: Config = self.json(&saved.config, reading)?;
        let unpacked = config.rootfs.diff_ids;
        if unpacked.len() != saved.layers.len() {
            let reason = format!(
                "its configuration speaks of {} layers, and it has {}",
                unpacked.len(),
                saved.layers.len()
            );
            return Err(layout(reading, reason, WHOLE));
        }
        let layers = saved.layers.iter().zip(unpacked);
        let layers = layers.map(|(name, unpacked)| {
            Ok(Layer {
                name: name.clone(),
                part: self.file(name, reading)?,
                unpacked: Some(unpacked),
            })
        });
        let layers: Result<Vec<Layer>> = layers.collect();
        Ok((layers?, config.config.unwrap_or_default()))
    }
}

impl Layer {
    fn apply(self, staged: &mut Staged, reading: &mut Reading<'_>) -> Result<()> {
        let outer = reading.archive.clone();
        reading.archive = format!("{outer}: layer {}", self.name);
        if let Some(digest) = &self.unpacked {
            self.check(digest, reading)?;
        }
        tar::read(Input::Part(self.part), staged, Role::Layer, reading)?;
        reading.archive = outer;
        Ok(())
    }

    /// Checks what it unpacks to.
    fn check(&self, digest: &str, reading: &Reading<'_>) -> Result<()> {
        let mut hash = Hash::of(digest).map_err(|reason| layout(reading, reason, WHOLE))?;
        let damaged = |error| reading.damaged(None, &error);
        let input = Input::Part(self.part.clone()).recognise();
        let (packing, input) = input.map_err(damaged)?;
        let budget = reading.budget.afresh();
        let stream = input.inflated(packing, &budget, reading.progress);
        let hashed = stream.and_then(|mut stream| io::copy(&mut stream, &mut hash));
        hashed.map_err(|error| match budget.bomb(&reading.archive) {
            Some(bomb) => bomb.into(),
            None => damaged(error),
        })?;
        match hash.finish() == digest {
            true => Ok(()),
            false => Err(layout(
                reading,
                "it is not what it was: its digest is another".into(),
                WHOLE,
            )),
        }
    }
}

/// The one image that is meant: for WebAssembly, or else for Linux on amd64.
fn choose(mut manifests: Vec<Descriptor>) -> Result<Descriptor, String> {
    if manifests.len() > 1 {
        let is = |descriptor: &Descriptor, os: &[&str], architecture: &str| {
            (descriptor.platform.as_ref()).is_some_and(|platform| {
                os.contains(&&*platform.os) && platform.architecture == architecture
            })
        };
        for (os, architecture) in [(&["wasi", "wasip1"][..], "wasm"), (&["linux"], "amd64")] {
            let fits = |descriptor: &&Descriptor| is(descriptor, os, architecture);
            if manifests.iter().filter(fits).count() > 0 {
                manifests.retain(|descriptor| is(descriptor, os, architecture));
                break;
            }
        }
    }
    if manifests.len() == 1 {
        return Ok(manifests.remove(0));
    }
    if manifests.is_empty() {
        return Err("it holds no image".into());
    }
    let names = manifests.iter().map(|descriptor| {
        let name = descriptor
            .annotations
            .get("org.opencontainers.image.ref.name");
        let name = name.unwrap_or(&descriptor.digest);
        match &descriptor.platform {
            Some(platform) => format!("{name} ({}/{})", platform.os, platform.architecture),
            None => name.clone(),
        }
    });
    let names: Vec<String> = names.collect();
    Err(format!(
        "it holds {} images: {}",
        names.len(),
        names.join(", ")
    ))
}

fn parse<T: DeserializeOwned>(name: &str, part: &Part, reading: &Reading<'_>) -> Result<T> {
    let mut text = Vec::new();
    let read = part.reader().take(MAX_JSON).read_to_end(&mut text);
    read.map_err(|error| reading.damaged(Some(name.as_bytes()), &error))?;
    serde_json::from_slice(&text).map_err(|error| {
        let name = Escaped(name.as_bytes());
        layout(
            reading,
            format!("{name} is not what it should be: {error}"),
            WHOLE,
        )
    })
}

fn layout(reading: &Reading<'_>, reason: String, hint: &'static str) -> anyhow::Error {
    ScanError::Layout {
        archive: reading.archive.clone(),
        reason,
        hint,
    }
    .into()
}

/// A digest in the making.
enum Hash {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hash {
    /// One to be compared with `digest`.
    fn of(digest: &str) -> Result<Hash, String> {
        match digest.split_once(':') {
            Some(("sha256", _)) => Ok(Hash::Sha256(Sha256::new())),
            Some(("sha512", _)) => Ok(Hash::Sha512(Sha512::new())),
            _ => Err(format!(
                "digest `{digest}` is neither of sha256 nor of sha512"
            )),
        }
    }

    fn finish(self) -> String {
        let (name, bytes) = match self {
            Hash::Sha256(hash) => ("sha256", hash.finalize().to_vec()),
            Hash::Sha512(hash) => ("sha512", hash.finalize().to_vec()),
        };
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name}:{hex}")
    }
}

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Hash::Sha256(hash) => hash.update(bytes),
            Hash::Sha512(hash) => hash.update(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
