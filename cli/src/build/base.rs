//! What FROM and `COPY --from` name: a module, the files of a container image, or
//! nothing.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result};

use super::state::{Config, Module, State};
use crate::cwd;
use crate::module::analyze;
use crate::module::labels;
use crate::module::packed::Packed;
use crate::module::policy::{Policy, Record};
use crate::module::recognise::recognise;
use crate::output;
use crate::scan::{ImageConfig, Scanner, directory_tree};

/// FROM of nothing.
pub(super) const SCRATCH: &str = "scratch";

/// What stands before the path of a container image, as other tools have it.
const LAYOUTS: [&str; 3] = ["oci:", "oci-archive:", "docker-archive:"];

/// The path of an image that is named with its kind.
pub(super) fn layout(name: &str) -> Option<&str> {
    LAYOUTS.iter().find_map(|kind| name.strip_prefix(kind))
}

/// Opens what stands at `path`: a module, or a container image.
pub(super) fn open(path: &Path, is_layout: bool, scanner: &mut Scanner<'_>) -> Result<State> {
    let cannot = || format!("cannot read {}", path.display());
    if is_layout || path.is_dir() || !is_module(path).with_context(cannot)? {
        return image(path, scanner);
    }
    let wasm = output::read(path).with_context(cannot)?;
    recognise(&wasm).with_context(cannot)?;
    let module = analyze::Module::parse(&wasm).with_context(cannot)?;
    let packed = Packed::open(&wasm, &module)?.is_some();
    let mut state = match packed {
        true => State::of(scanner.image(path)?),
        false => State::scratch(),
    };
    let policy = Record::of_module(&wasm)?.unwrap_or_default().policy;
    if policy.cwd.is_some() {
        cwd::close(&mut state.tree)?;
    }
    state.config = config(&policy).with_context(cannot)?;
    state.config.labels = labels::of(&wasm)?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    state.program = Some(Rc::new(Module {
        name: name.to_string_lossy().into_owned(),
        wasm,
    }));
    Ok(state)
}

/// What a packed module says of its program.
fn config(policy: &Policy) -> Result<Config> {
    let text = |bytes: &Vec<u8>| {
        let text = String::from_utf8(bytes.clone());
        text.context("its arguments or its environment are not UTF-8, as a Containerfile is")
    };
    let texts = |words: &[Vec<u8>]| words.iter().map(text).collect::<Result<Vec<_>>>();
    let mut config = Config {
        entrypoint: texts(&policy.args.fixed)?,
        cmd: texts(&policy.args.default)?,
        ..Config::default()
    };
    for pair in texts(policy.env.baked())? {
        if let Some((name, value)) = pair.split_once('=') {
            config.set(name.into(), value.into());
        }
    }
    if let Some(cwd) = &policy.cwd {
        config.workdir = text(cwd)?;
    }
    Ok(config)
}

/// The files of a container image, and what it says of its program.
fn image(path: &Path, scanner: &mut Scanner<'_>) -> Result<State> {
    let (tree, config) = scanner.container(path)?;
    let ImageConfig {
        env,
        entrypoint,
        cmd,
        working_dir,
        labels,
        volumes,
    } = config;
    let mut state = State::of(tree);
    for pair in env.unwrap_or_default() {
        if let Some((name, value)) = pair.split_once('=') {
            state.config.set(name.into(), value.into());
        }
    }
    state.config.entrypoint = entrypoint.unwrap_or_default();
    state.config.cmd = cmd.unwrap_or_default();
    state.config.workdir = working_dir;
    state.config.labels = labels.unwrap_or_default();
    state.config.volumes = volumes.unwrap_or_default().into_keys().collect();
    Ok(state)
}

/// The files of a directory of the host, or what else a build context names.
pub(super) fn named(path: &Path, scanner: &mut Scanner<'_>) -> Result<State> {
    if path.is_dir() && !path.join("index.json").exists() && !path.join("manifest.json").exists() {
        let (tree, warnings) = directory_tree(path, &Default::default(), Default::default())?;
        for warning in warnings {
            crate::report::warning(&warning);
        }
        return Ok(State::of(tree));
    }
    open(path, false, scanner)
}

fn is_module(path: &Path) -> Result<bool> {
    let mut first = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut first)?;
    Ok(first == b"\0asm")
}
