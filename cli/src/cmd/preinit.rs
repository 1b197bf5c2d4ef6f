//! Flags with which `pack` runs the program before it is written.

use std::time::Duration;

use anyhow::Result;

use super::pack::usage_error;
use crate::module::init::{How, Initialised, Plan, initialise};
use crate::module::packed::Packed;
use crate::report::{self, Hinted};

/// How a program is initialised when it is packed.
#[derive(clap::Args)]
#[command(next_help_heading = "Starting already initialised")]
pub(super) struct Preinit {
    /// Run the packed program up to its checkpoint; later runs go on from there
    ///
    /// The checkpoint is a call of `monaka_checkpoint()` (monaka.h), or, in any language,
    /// writing exactly `monaka:checkpoint`, alone or with a newline, to stderr. All is kept
    /// that the program has done by then: its memory, the files that it has written, open
    /// files and where it was in them. Its arguments and variables are those of pack time;
    /// monaka.h has functions that get new ones. It runs twice for this, and must come to
    /// the checkpoint in the same way. What it prints goes to stderr, once.
    ///
    /// It is an error if it ends before, reads stdin or asks for random bytes. Directories
    /// of the host are not there. The clock is, and the times it shows are kept.
    #[arg(long, overrides_with = "init_func", conflicts_with = "dry_run")]
    init_run: bool,
    /// Call this export (after `_initialize`, if there is one); later runs find what it did
    ///
    /// All else is as with --init-run; of the two the later counts. `_initialize` is not
    /// called again. In a program with a `_start` that runs later, constructors with it;
    /// what they set, NAME must not have changed.
    #[arg(
        long,
        value_name = "NAME",
        overrides_with = "init_run",
        conflicts_with = "dry_run"
    )]
    init_func: Option<String>,
    /// An argument for the program while it is initialised; may be given many times
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    init_arg: Vec<String>,
    /// A variable of its environment while it is initialised; there are no others
    #[arg(long, value_name = "NAME=VALUE")]
    init_env: Vec<String>,
    /// Let it have what each run will then have the same of: random bytes
    #[arg(long, value_name = "WHAT", value_enum)]
    init_allow: Vec<Allowed>,
    /// Stop it with an error after so long
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    init_timeout: Option<Duration>,
}

/// What is refused to a program that is initialised, unless it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Allowed {
    /// Random bytes
    Random,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
    let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    timeout.ok_or("give a number of seconds, such as 30 or 0.5".into())
}

impl Preinit {
    /// Whether the program is to run.
    pub(super) fn is_wanted(&self) -> bool {
        self.init_run || self.init_func.is_some()
    }

    /// Whether the program runs up to a checkpoint.
    pub(super) fn stops_at_checkpoint(&self) -> bool {
        self.init_run
    }

    /// Ends the process where flags say how to do what no flag asks for.
    pub(super) fn check(&self) {
        let flag = match self {
            _ if self.is_wanted() => return,
            _ if !self.init_arg.is_empty() => "--init-arg",
            _ if !self.init_env.is_empty() => "--init-env",
            _ if !self.init_allow.is_empty() => "--init-allow",
            _ if self.init_timeout.is_some() => "--init-timeout",
            _ => return,
        };
        let message = format!("{flag} is for --init-run or --init-func, and neither is given");
        usage_error("pack", &message);
    }

    /// Refuses host directories, which are not there while it is initialised.
    pub(super) fn check_host_dirs(&self, allowed: bool) -> Result<()> {
        match allowed && self.is_wanted() {
            true => Err(Hinted::new(
                "a program that is initialised cannot see the host's directories: it has looked \
                 for them when there were none",
                "leave out --allow-host-dirs, or --init-run and --init-func",
            )
            .into()),
            false => Ok(()),
        }
    }

    /// The packed module `wasm` of the program `name`, initialised.
    pub(super) fn run(&self, wasm: &[u8], name: &str) -> Result<Vec<u8>> {
        let mut env = Vec::with_capacity(self.init_env.len());
        for variable in &self.init_env {
            let Some((name, value)) = variable.split_once('=') else {
                return Err(Hinted::new(
                    format!("--init-env {variable} has no value"),
                    format!("give one: --init-env {variable}=…"),
                )
                .into());
            };
            env.push((name.to_string(), value.to_string()));
        }
        let random = self.init_allow.contains(&Allowed::Random);
        let plan = Plan {
            how: match &self.init_func {
                Some(name) => How::Function(name),
                None => How::Run,
            },
            program: name,
            args: &self.init_arg,
            env: &env,
            random,
            timeout: self.init_timeout,
        };
        let Initialised { wasm, notes } = initialise(wasm, &plan)?;
        for note in &notes {
            report::warning(note);
        }
        Ok(wasm)
    }
}

/// Refuses a packed module that is initialised: its state belongs to its files.
pub(super) fn refuse_initialised(packed: &Packed<'_>) -> Result<()> {
    match &packed.init {
        Some(init) => Err(init.refusal().into()),
        None => Ok(()),
    }
}
