//! What a build comes to: a program, its files, and how it is started.
//!
//! A stage that was made from a module has that as its program, and ENTRYPOINT and
//! CMD are arguments. In any other the first word of ENTRYPOINT, or of CMD where
//! there is no ENTRYPOINT, names a module of the tree; that is taken out of the
//! tree and becomes the program.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::Tree;

use super::place;
use super::run;
use super::state::{Module, State};
use crate::module::analyze;
use crate::module::checkpoint;
use crate::module::merge::{Layout, Merged};
use crate::module::packed::Packed;
use crate::module::policy::{self, Policy};
use crate::module::program::{Program, Route};
use crate::module::reach::Reach;
use crate::report::Hinted;
use crate::scan::Source;

/// What a build has come to.
pub(crate) struct Product {
    pub(crate) program: Rc<Module>,
    /// What the program is called, where a command has named it.
    name: Option<String>,
    /// Arguments that it always has.
    fixed: Vec<String>,
    /// Arguments that it has where the host gives none.
    defaults: Vec<String>,
    /// Where relative paths begin.
    workdir: Vec<u8>,
    env: Vec<(String, String)>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Directories that stay writable.
    pub(crate) volumes: Vec<String>,
    pub(crate) tree: Tree<Source>,
}

impl Product {
    /// What the last stage has come to.
    pub(super) fn of(mut state: State) -> Result<Product> {
        let (mut fixed, mut defaults) = (state.config.entrypoint.clone(), state.config.cmd.clone());
        let mut name = None;
        let program = match state.program.take() {
            Some(program) => program,
            None => {
                let words = if fixed.is_empty() {
                    &mut defaults
                } else {
                    &mut fixed
                };
                if words.is_empty() {
                    return Err(Hinted::new(
                        "no program is named",
                        "ENTRYPOINT [\"/bin/app.wasm\"] names a module of the tree, or begin \
                         with FROM app.wasm",
                    )
                    .into());
                }
                let command = name.insert(words.remove(0));
                taken(&mut state, command)?
            }
        };
        let workdir = state.directory()?;
        let State { tree, config, .. } = state;
        Ok(Product {
            program,
            name,
            fixed,
            defaults,
            workdir,
            env: config.env,
            labels: config.labels,
            volumes: config.volumes,
            tree,
        })
    }

    /// What the program was under before, and what its stage says.
    pub(crate) fn policy(&self, mut policy: Policy) -> Policy {
        let bytes = |words: &[String]| words.iter().map(|word| word.clone().into()).collect();
        for (name, value) in &self.env {
            policy.env.bake(format!("{name}={value}").into());
        }
        policy.args.fixed = bytes(&self.fixed);
        policy.args.default = bytes(&self.defaults);
        if let Some(name) = &self.name {
            policy.args.name = Some(name.clone().into());
        }
        let root = self.workdir == b"/";
        policy.cwd = (!root).then(|| self.workdir.clone());
        policy
    }
}

/// The module that a command names, taken out of the tree.
fn taken(state: &mut State, command: &str) -> Result<Rc<Module>> {
    let Some(path) = run::find(state, command)? else {
        return Err(run::not_found(state, command));
    };
    let wasm = run::take(&state.tree, &path)?;
    let (directory, name) = place::split(&path).context("the root is no module")?;
    let parent = state
        .tree
        .lookup(directory)
        .context("its directory is gone")?;
    state.tree.remove(parent, name);
    Ok(Rc::new(Module {
        name: String::from_utf8_lossy(name).into_owned(),
        wasm,
    }))
}

/// A program that is to be packed under a policy, whatever was packed into it before,
/// and what the user should know. `module` was parsed from `wasm` and `packed` found in
/// it; a program that is linked has its bytes in `policed`.
#[expect(clippy::too_many_arguments, reason = "they are unlike each other")]
pub(crate) fn program<'a>(
    wasm: &'a [u8],
    module: &analyze::Module<'a>,
    packed: Option<&Packed<'a>>,
    policy: &Policy,
    reach: Reach,
    (route, layout): (Option<Route>, Layout),
    compressed: bool,
    policed: &'a mut Vec<u8>,
) -> Result<(Program<'a>, Vec<String>)> {
    if let Some(init) = packed.and_then(|packed| packed.init.as_ref()) {
        return Err(init.refusal().into());
    }
    if let Some(packed) = packed {
        packed.check_calls(reach)?;
    }
    if let Some(packed) = packed
        && let Some(record) = packed.merged
    {
        let mut merged = Merged::reopen(packed, record, compressed)?;
        merged.police(module, policy)?;
        return Ok((Program::Merged(merged), Vec::new()));
    }
    let (route, original) = match packed {
        Some(packed) => (Some(Route::Linked), packed.original(module)?.into()),
        None => (route, Cow::Borrowed(wasm)),
    };
    let (free, mut notes) = checkpoint::fill(original.into_owned())?;
    let (bytes, more) = policy::police(&free, policy)?;
    notes.extend(more);
    *policed = bytes.into_owned();
    let module = analyze::Module::parse(policed)?;
    let program = Program::new(policed, &module, route, layout, reach, compressed)?;
    Ok((program, notes))
}
