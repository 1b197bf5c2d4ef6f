//! What a program may ask of its host beside files: environment, arguments, clocks,
//! random bytes, ending, signals and giving way.
//!
//! Each of these is a call without descriptors, and a [`Policy`] is enforced by
//! functions inside the module, the *shims*, which stand where the program's imports
//! were: before with `--clock fixed=0`:
//!
//! ```wat
//! (import "wasi_snapshot_preview1" "clock_time_get" (func $time …))
//! (func $program (call $time …))
//! ```
//!
//! after:
//!
//! ```wat
//! (func $program (call $shim …))
//! (func $shim …)
//! ```
//!
//! 1. [`enforce`](enforce::enforce) puts them in, before the module is packed, so
//!    that linked and rewritten programs get the same, and so does the file system
//!    that is merged in.
//! 2. [`Record`] is what the module says of it, in the custom section `monaka.policy`.
//!    [`restore`](enforce::restore) reads it and gives the program its imports back, for
//!    another policy.
//! 3. A shim holds no memory and no data segment: what is baked in stands in its
//!    instructions. The state of the generator of random bytes is a global.

mod enforce;
mod record;
mod shims;

use std::collections::BTreeSet;

pub(crate) use self::enforce::{enforce, police, restore};
pub(crate) use self::record::Record;

/// What the program may ask of its host without a descriptor. The default lets it
/// ask for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) env: Env,
    pub(crate) args: Args,
    /// Where relative paths begin: a directory of the packed tree, as a guest path.
    pub(crate) cwd: Option<Vec<u8>>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// `proc_exit`.
    pub(crate) exit: Switch,
    /// `proc_raise`.
    pub(crate) raise: Switch,
    /// `sched_yield`.
    pub(crate) yielding: Switch,
}

/// A call that is the host's, or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    /// It is the host's
    #[default]
    Pass,
    /// It is refused
    Deny,
}

/// The environment: what is baked in, then what is let through of the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Env {
    /// Each `NAME=VALUE`, in order, no name twice.
    baked: Vec<Vec<u8>>,
    pub(crate) host: HostEnv,
}

/// Which variables of the host's environment the program sees, but for those of a
/// baked one's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum HostEnv {
    #[default]
    Pass,
    Deny,
    Only(BTreeSet<Vec<u8>>),
}

/// The arguments: a name, then `fixed`, then the host's without its first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// What stands for the program's name; the host's if there is none.
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) fixed: Vec<Vec<u8>>,
    /// Where the host gives none beside the name.
    pub(crate) default: Vec<Vec<u8>>,
    pub(crate) host: Switch,
}

/// The clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Clock {
    #[default]
    Pass,
    Deny,
    /// Every clock stands at this time, in nanoseconds since 1970.
    Fixed(u64),
    /// The time of day is denied.
    MonotonicOnly,
}

/// Random bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Random {
    #[default]
    Pass,
    Deny,
    /// Not random at all: the same in each run.
    Seed(u64),
}

impl Env {
    /// What is baked in, each `NAME=VALUE`.
    pub(crate) fn baked(&self) -> &[Vec<u8>] {
        &self.baked
    }

    /// Bakes `NAME=VALUE` in, in place of one of that name.
    pub(crate) fn bake(&mut self, variable: Vec<u8>) {
        match self
            .baked
            .iter_mut()
            .find(|known| name_of(known) == name_of(&variable))
        {
            Some(known) => *known = variable,
            None => self.baked.push(variable),
        }
    }
}

/// What stands before the `=`.
pub(crate) fn name_of(variable: &[u8]) -> &[u8] {
    variable.split(|&byte| byte == b'=').next().unwrap_or(&[])
}

impl Policy {
    /// The environment with what follows from the current directory.
    fn environment(&self) -> Env {
        let mut env = self.env.clone();
        if let Some(cwd) = &self.cwd
            && !env.baked.iter().any(|known| name_of(known) == b"PWD")
        {
            env.bake([b"PWD=", &cwd[..]].concat());
        }
        env
    }

    /// Whether the times of files say when they were changed.
    pub(crate) fn has_true_times(&self) -> bool {
        self.clock == Clock::Pass
    }
}

#[cfg(test)]
mod tests;
