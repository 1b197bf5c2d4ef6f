//! `monaka build`: what a Containerfile says, as a packed module.
//!
//! | file | what |
//! |---|---|
//! | [`file`] | the instructions, and which are refused |
//! | [`words`] | quotes and variables |
//! | [`state`] | what a stage has come to |
//! | [`base`] | FROM |
//! | [`context`], [`place`], [`copy`] | COPY and ADD |
//! | [`run`] | RUN |
//! | [`product`] | what is packed in the end |
//!
//! Nothing a Containerfile says reaches beyond the build context and what the
//! command line names.

mod base;
mod context;
mod copy;
mod file;
pub(crate) mod place;
mod product;
mod run;
mod state;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::progress::Progress;
use crate::report::{self, Hinted, nearest};
use crate::scan::{Choice, Scanner};
use context::Context;
use copy::Target;
use file::{Act, Command, File, Place, Source, Stage, Step};
use place::Within;
pub(crate) use product::{Product, program};
use state::State;

/// What a build is asked for beside its Containerfile.
pub(crate) struct Request<'r> {
    /// The directory that files are copied from.
    pub(crate) context: &'r Path,
    /// Where the Containerfile stands.
    pub(crate) file: &'r Path,
    /// Where the result goes.
    pub(crate) output: &'r Path,
    /// The stage to be built; the last one if none is named.
    pub(crate) target: Option<&'r str>,
    /// The values of ARGs.
    pub(crate) args: BTreeMap<String, String>,
    /// What FROM and `--from` may name beside stages and files.
    pub(crate) contexts: BTreeMap<String, PathBuf>,
    /// Whether steps are not told.
    pub(crate) quiet: bool,
    pub(crate) progress: Progress,
}

/// Builds what a Containerfile says.
pub(crate) fn build(text: &str, request: &Request<'_>) -> Result<Product> {
    let file = File::parse(text)?;
    let target = match request.target {
        None => file.stages.len() - 1,
        Some(name) => match file.stage(name, file.stages.len()) {
            Some(target) => target,
            None => return Err(no_stage(&file, name)),
        },
    };
    let needed = file.needed(target);
    let steps = needed
        .iter()
        .zip(&file.stages)
        .filter(|(needed, _)| **needed);
    let choice = Choice::default();
    let mut builder = Builder {
        request,
        file: &file,
        context: Context::open(request.context, request.file, request.output)?,
        scanner: Scanner::new(&choice, request.progress),
        globals: BTreeMap::new(),
        used: BTreeSet::new(),
        stages: Vec::new(),
        steps: steps.map(|(_, stage)| 1 + stage.steps.len()).sum(),
        step: 0,
    };
    for step in &file.globals {
        builder
            .global(step)
            .with_context(|| step.place.to_string())?;
    }
    for (stage, needed) in file.stages[..=target].iter().zip(needed) {
        let state = match needed {
            true => Some(builder.stage(stage)?),
            false => None,
        };
        builder.stages.push(state);
    }
    let unused: Vec<&String> = request
        .args
        .keys()
        .filter(|name| !builder.used.contains(*name))
        .collect();
    for name in unused {
        report::warning(&format!(
            "--build-arg {name}: no ARG of that name was needed"
        ));
    }
    let state = builder
        .stages
        .pop()
        .flatten()
        .context("the last stage was not built")?;
    for warning in builder.scanner.finish() {
        report::warning(&warning);
    }
    Product::of(state)
}

/// A build on its way.
struct Builder<'b> {
    request: &'b Request<'b>,
    file: &'b File,
    context: Context,
    scanner: Scanner<'b>,
    /// ARGs that stand before the first stage.
    globals: BTreeMap<String, String>,
    /// Values of the command line that were asked for.
    used: BTreeSet<String>,
    /// Those that are done; none where one is not needed.
    stages: Vec<Option<State>>,
    steps: usize,
    step: usize,
}

impl Builder<'_> {
    /// An ARG before the first stage.
    fn global(&mut self, step: &Step) -> Result<()> {
        let Act::Arg(pairs) = &step.act else {
            bail!("only ARG stands before the first FROM");
        };
        for (name, default) in pairs {
            let known = &self.globals;
            let default = default.as_ref().map(|word| {
                words::expand(word, self.file.escape, &|name| known.get(name).cloned())
            });
            let default = default.transpose()?;
            if let Some(value) = self.argument(name).or(default) {
                self.globals.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    /// What the command line says of an ARG.
    fn argument(&mut self, name: &str) -> Option<String> {
        let value = self.request.args.get(name)?;
        self.used.insert(name.into());
        Some(value.clone())
    }

    fn stage(&mut self, stage: &Stage) -> Result<State> {
        self.tell(&stage.from);
        let mut state = self.from(stage).with_context(|| stage.from.to_string())?;
        let mut own_cmd = false;
        for step in &stage.steps {
            self.tell(&step.place);
            self.act(&mut state, step, &mut own_cmd)
                .with_context(|| step.place.to_string())?;
        }
        Ok(state)
    }

    /// Tells the step that begins.
    fn tell(&mut self, place: &Place) {
        self.step += 1;
        if !self.request.quiet {
            report::note(&format!(
                "STEP {}/{}: {}",
                self.step, self.steps, place.text
            ));
        }
    }

    fn from(&mut self, stage: &Stage) -> Result<State> {
        let globals = &self.globals;
        let name = words::expand(&stage.base, self.file.escape, &|name| {
            globals.get(name).cloned()
        })?;
        if name.is_empty() {
            return Err(Hinted::new(
                format!("{} is empty", stage.base),
                "give the ARG that stands in it a default, or a value with --build-arg NAME=VALUE",
            )
            .into());
        }
        let mut state = self.base(&name)?;
        state.args.clear();
        Ok(state)
    }

    /// What FROM or `--from` names.
    fn base(&mut self, name: &str) -> Result<State> {
        if name == base::SCRATCH {
            return Ok(State::scratch());
        }
        if let Some(stage) = self.file.stage(name, self.stages.len()) {
            let state = self.stages[stage].clone();
            return state.with_context(|| format!("the stage {name} was not built"));
        }
        if let Some(path) = self.request.contexts.get(name) {
            return base::named(path, &mut self.scanner);
        }
        let (path, is_layout) = match base::layout(name) {
            Some(path) => (path, true),
            None => (name, false),
        };
        let path = self.context.host(path)?;
        base::open(&path, is_layout, &mut self.scanner)
    }

    fn act(&mut self, state: &mut State, step: &Step, own_cmd: &mut bool) -> Result<()> {
        let escape = self.file.escape;
        let before = state.clone_variables();
        let expand = |word: &String| words::expand(word, escape, &before);
        match &step.act {
            Act::Arg(pairs) => {
                for (name, default) in pairs {
                    let default = default.as_ref().map(expand).transpose()?;
                    let value = self.argument(name).or(default);
                    if let Some(value) = value.or_else(|| self.globals.get(name).cloned()) {
                        state.args.insert(name.clone(), value);
                    }
                }
            }
            Act::Copy(copy) => self.copy(state, copy, &before)?,
            Act::Env(pairs) => {
                for (name, value) in pairs {
                    state.config.set(name.clone(), expand(value)?);
                }
            }
            Act::Label(pairs) => {
                for (name, value) in pairs {
                    state.config.labels.insert(expand(name)?, expand(value)?);
                }
            }
            Act::Workdir(path) => {
                let path = expand(path)?;
                let path = place::tidy(&place::absolute(state.config.directory(), &path));
                directory(state, &path)?;
                state.config.workdir = path;
            }
            Act::Volume(paths) => {
                for path in paths {
                    let path = place::absolute(state.config.directory(), &expand(path)?);
                    let path = place::tidy(&path);
                    directory(state, &path)?;
                    state.config.volumes.push(path);
                }
            }
            Act::Run(command) => {
                let words = match command {
                    Command::Exec(words) => words.clone(),
                    Command::Line(line) => words::command(line, escape, Some(&before))?,
                };
                run::run(state, &words, &mut self.scanner)?;
            }
            Act::Entrypoint(command) => {
                state.config.entrypoint = self.words(command)?;
                if !*own_cmd {
                    // That of the base was for the base's program.
                    state.config.cmd.clear();
                }
            }
            Act::Cmd(command) => {
                state.config.cmd = self.words(command)?;
                *own_cmd = true;
            }
            Act::Nothing(reason) => {
                report::warning(&format!("{} does nothing here: {reason}", step.place));
            }
        }
        Ok(())
    }

    /// The words of a command that is not run yet.
    fn words(&self, command: &Command) -> Result<Vec<String>> {
        match command {
            Command::Exec(words) => Ok(words.clone()),
            Command::Line(line) => words::command(line, self.file.escape, None),
        }
    }

    fn copy(
        &mut self,
        state: &mut State,
        copy: &file::Copy,
        variables: words::Variables<'_>,
    ) -> Result<()> {
        let escape = self.file.escape;
        let expand = |word: &str| words::expand(word, escape, variables);
        let mut target = Target {
            path: place::absolute(state.config.directory(), &expand(&copy.to)?),
            tree: &mut state.tree,
            executable: copy.executable,
        };
        let mut paths = Vec::new();
        for source in &copy.sources {
            match source {
                Source::Path(path) => paths.push(expand(path)?),
                Source::Text {
                    text,
                    expand: false,
                } => copy::write(text, &mut target)?,
                Source::Text { text, expand: true } => {
                    copy::write(&words::text(text, variables)?, &mut target)?;
                }
            }
        }
        if copy.add
            && let Some(url) = paths.iter().find(|path| is_remote(path))
        {
            return Err(Hinted::new(
                format!("{url} is not fetched: a build has no network"),
                "download it into the build context before, where its hash can be checked",
            )
            .into());
        }
        if paths.is_empty() {
            return Ok(());
        }
        match &copy.from {
            None => {
                let from = self.context.tree(self.request.progress)?;
                let unpack = copy.add.then_some(&mut self.scanner);
                copy::copy(from, Context::WITHIN, &paths, &mut target, unpack)
            }
            Some(name) => {
                let from = self.base(name)?;
                copy::copy(&from.tree, Within::Root, &paths, &mut target, None)
            }
        }
    }
}

impl State {
    /// The variables as they are now, for an instruction that may change them.
    fn clone_variables(&self) -> impl Fn(&str) -> Option<String> + use<> {
        let variables: BTreeMap<String, String> = self.environment().into_iter().collect();
        move |name| variables.get(name).cloned()
    }
}

/// Makes a directory of the tree.
fn directory(state: &mut State, path: &str) -> Result<()> {
    let real = place::real(&state.tree, path.as_bytes(), Within::Root)?;
    state.tree.make_directories(&real, Default::default())?;
    Ok(())
}

fn is_remote(path: &str) -> bool {
    ["http://", "https://", "ftp://", "git://", "git@"]
        .iter()
        .any(|scheme| path.starts_with(scheme))
}

fn no_stage(file: &File, name: &str) -> anyhow::Error {
    let names: Vec<&str> = file
        .stages
        .iter()
        .filter_map(|stage| stage.name.as_deref())
        .collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None if names.is_empty() => "no stage has a name: FROM … AS NAME".into(),
        None => format!("its stages are {}", names.join(", ")),
    };
    Hinted::new(format!("there is no stage {name}"), hint).into()
}
