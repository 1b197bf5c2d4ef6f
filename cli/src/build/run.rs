//! RUN: a program of the tree runs on the tree, and what it leaves is the new
//! tree.
//!
//! The program is packed with the tree, runs in wasmtime with no other files, and
//! its files are taken out afterwards, as `monaka commit` does. Files that it did
//! not touch stay what they were: their sources are taken over by their place in
//! the image.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use monaka_vfs_core::access::Access;
use monaka_vfs_core::image::{Contents, Escaped, Limits, Tree, write};

use super::place::{self, Within};
use super::product::program;
use super::state::State;
use crate::cwd;
use crate::furnish::{self, Furnishing};
use crate::host::Host;
use crate::module::analyze::Module;
use crate::module::merge::Layout;
use crate::module::packed::{self, Packed};
use crate::module::policy::Policy;
use crate::module::reach::Reach;
use crate::remains::{Finished, Left};
use crate::report::{self, Hinted};
use crate::scan::{Scanner, Source};

/// Where programs are looked for when PATH does not say.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Begins every module.
const MAGIC: &[u8] = b"\0asm";

/// Runs a command line on the files of a stage.
pub(super) fn run(state: &mut State, words: &[String], scanner: &mut Scanner<'_>) -> Result<()> {
    let Some(name) = words.first().filter(|name| !name.is_empty()) else {
        return Err(Hinted::new(
            "it names no program",
            "RUN [\"/bin/tool.wasm\", \"argument\"]",
        )
        .into());
    };
    let program = match find(state, name)? {
        Some(path) => take(&state.tree, &path)?,
        None => match base(state, name) {
            Some(wasm) => wasm,
            None => return Err(not_found(state, name)),
        },
    };
    // What a base says of the program's limits holds in the end, not while it is built.
    let mut tree = state.tree.clone();
    tree.set_limits(Limits::default());
    tree.set_access(Access::default());
    tree.clear_host_directories();
    Furnishing::default().furnish(&mut tree)?;
    let workdir = state.directory()?;
    match &workdir[..] {
        b"/" => cwd::close(&mut tree)?,
        workdir => {
            tree.make_directories(workdir, Default::default())?;
            cwd::open(&mut tree, workdir)?;
        }
    }
    let (packed, sources) = pack(&program, tree).with_context(|| format!("cannot run {name}"))?;
    drop(program);

    let module = Module::parse(&packed)?;
    let packed = Packed::expect(&packed, &module)?;
    let environment = state.environment();
    let pairs = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let mut env: Vec<String> = pairs.collect();
    if !environment.iter().any(|(name, _)| name == "PWD") {
        env.push(format!("PWD={}", state.config.directory()));
    }
    let host = Host::at_build(env, words[1..].to_vec());
    let mut finished = Finished::run(&host, Path::new(name), &packed, &module)?;
    let status = finished.report(name)?;
    if status != 0 {
        return Err(Hinted::new(
            format!("{} ended with status {status}", shown(words)),
            "what it has said is above, and what it has written is gone",
        )
        .into());
    }
    let remains = finished.remains(&packed)?;
    let mut left = remains.tree(&mut Vec::new())?;
    furnish::strip(&mut left);
    let mut tree = left.try_map(|left, len| match left {
        Left::Packed { start, .. } if len > 0 => {
            let source: Option<&Source> = sources.get(&start);
            source
                .cloned()
                .context("a packed file is not where it was packed")
        }
        Left::Packed { .. } => Ok(Source::Text(Box::default())),
        Left::Memory(_) | Left::Compressed(_) => scanner.keep(|out| remains.copy(&left, len, out)),
    })?;
    tree.set_limits(state.tree.limits());
    tree.set_access(state.tree.access().clone());
    for directory in state.tree.host_directories() {
        let (name, host) = (&directory.name, &directory.host);
        tree.add_host_directory(name, host, directory.read_only)?;
    }
    tree.clear_preopens();
    for (name, _) in state.tree.preopens() {
        match tree.lookup(name) {
            Some(node) if tree.is_directory(node) => tree.add_preopen(name, node)?,
            _ => report::warning(&format!(
                "the program has removed {}, which the base has open",
                Escaped(name)
            )),
        }
    }
    state.tree = tree;
    Ok(())
}

/// A program with a tree packed into it, and what stands where in its image.
fn pack(wasm: &[u8], tree: Tree<Source>) -> Result<(Vec<u8>, HashMap<u64, Source>)> {
    let module = Module::parse(wasm)?;
    let compressed = tree.has_compressed();
    let own = Packed::open(wasm, &module)?;
    let mut policed = Vec::new();
    // In a memory of its own, where the program cannot damage it; and whatever it may
    // ask of its host in the end, here it may ask for everything.
    let how = (None, Layout::Multi);
    let policy = Policy::default();
    let (program, _) = program(
        wasm,
        &module,
        own.as_ref(),
        &policy,
        Reach::of(&tree, false),
        how,
        compressed,
        &mut policed,
    )?;
    let valid = tree.validate()?;
    let image = write(&valid)?;
    let mounted = program.mount(&image)?;
    let mut packed = Vec::new();
    program.write(&mut packed, &mounted, &image, |source, len, out| {
        source.copy_to(len, &[], out)
    })?;
    let contents = image.contents.iter();
    let sources = contents.map(|content| (content.offset, content.source.clone()));
    Ok((packed, sources.collect()))
}

/// A command line as one would type it.
fn shown(words: &[String]) -> String {
    let words = words.iter().map(String::as_str);
    // No shell takes a NUL, and neither does a program as an argument.
    shlex::try_join(words.clone()).unwrap_or_else(|_| words.collect::<Vec<_>>().join(" "))
}

/// The path of the program that a command names: by its path, or by a name that
/// is looked for where PATH says, with and without `.wasm`.
pub(super) fn find(state: &State, name: &str) -> Result<Option<Vec<u8>>> {
    let workdir = state.config.directory();
    let candidates: Vec<String> = match name.contains('/') {
        true => vec![place::absolute(workdir, name)],
        false => {
            let path = state.variable("PATH").unwrap_or(PATH.into());
            let directories = path
                .split(':')
                .map(|directory| place::absolute(workdir, directory));
            directories
                .flat_map(|directory| {
                    [
                        format!("{directory}/{name}"),
                        format!("{directory}/{name}.wasm"),
                    ]
                })
                .collect()
        }
    };
    for candidate in candidates {
        let Ok(real) = place::real(&state.tree, candidate.as_bytes(), Within::Root) else {
            continue;
        };
        let node = state.tree.lookup(&real);
        if node.is_some_and(|node| matches!(state.tree.contents(node), Contents::Regular { .. })) {
            return Ok(Some(real));
        }
    }
    Ok(None)
}

/// The module that the stage is made from, by its own name.
fn base(state: &State, name: &str) -> Option<Vec<u8>> {
    let program = state.program.as_deref()?;
    let own = [
        &program.name[..],
        program.name.strip_suffix(".wasm").unwrap_or_default(),
    ];
    own.contains(&name).then(|| program.wasm.clone())
}

/// The module at a path of the tree.
pub(super) fn take(tree: &Tree<Source>, path: &[u8]) -> Result<Vec<u8>> {
    let shown = Escaped(path).to_string();
    let node = tree.lookup(path).context("it is gone")?;
    let Contents::Regular {
        len,
        stored,
        source,
    } = tree.contents(node)
    else {
        anyhow::bail!("{shown} is no file");
    };
    let mut wasm = Vec::new();
    match stored {
        None => source.copy_to(len, &[], &mut wasm)?,
        Some(stored) => {
            let mut frames = Vec::new();
            source.copy_to(stored.into(), &[], &mut frames)?;
            let mut frames = crate::frames::Frames::new(&frames, len)?;
            crate::output::copy(&mut frames, &mut wasm)?;
        }
    }
    if let Ok(Some(_)) = packed::find(&wasm) {
        return Err(Hinted::new(
            format!("{shown} is packed already, and its own files would be hidden"),
            "copy the module that it was packed from, and its files: COPY --from=… / /; or begin \
             with FROM and its path",
        )
        .into());
    }
    if !wasm.starts_with(MAGIC) {
        let hint = match wasm.starts_with(b"#!") {
            true => "it is a script: name its interpreter, with the script as argument",
            false => "only WebAssembly modules of WASI Preview 1 can run",
        };
        return Err(Hinted::new(format!("{shown} is no WebAssembly module"), hint).into());
    }
    Ok(wasm)
}

pub(super) fn not_found(state: &State, name: &str) -> anyhow::Error {
    let hint = match name.contains('/') {
        true => "COPY it there before, or name it by its full path".to_string(),
        false => format!(
            "COPY it to a directory of PATH ({}), or name it by its path",
            state.variable("PATH").unwrap_or(PATH.into())
        ),
    };
    Hinted::new(format!("there is no program {name} in the tree"), hint).into()
}
