//! What a program may ask of its host, as the command line says it.

mod table;

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use monaka_vfs_core::access::{self, Access, Stream};

use crate::mapdir::guest_path;
use crate::module::policy::{Clock, HostEnv, Policy, Random, Switch};

pub(crate) use self::table::Table;

/// A text of any bytes; an optional `Vec` would be a list to clap.
type Bytes = Vec<u8>;

/// The flags of a [`Policy`].
#[derive(clap::Args)]
#[command(next_help_heading = "What the program may ask of its host")]
pub(crate) struct Control {
    /// Start from a policy that denies, for single flags to allow again
    ///
    /// `pure` leaves stdout, stderr and ending, and nothing else.
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Start from a policy that denies everything; of this and --profile the later counts
    #[arg(long, overrides_with = "profile")]
    deny_all: bool,
    /// Set an environment variable, whatever the host's is; may be given many times
    #[arg(long, value_name = "NAME=VALUE", value_parser = OsStringValueParser::new().try_map(variable))]
    env: Vec<Vec<u8>>,
    /// Let only these of the host's environment variables through, or all with `*`
    ///
    /// Where they are asked for, the program's memory grows by a page or as many as
    /// the host's environment takes, which are zero again afterwards. A program
    /// whose memory cannot grow gets NOMEM.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', overrides_with = "env_deny", value_parser = OsStringValueParser::new().try_map(name))]
    env_allow: Vec<Vec<u8>>,
    /// Let no environment variable of the host's through; of this and --env-allow the
    /// later counts
    #[arg(long)]
    env_deny: bool,
    /// Put an argument in front of the host's; may be given many times
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, value_parser = OsStringValueParser::new().try_map(text))]
    arg: Vec<Vec<u8>>,
    /// An argument for when the host gives none; may be given many times
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, value_parser = OsStringValueParser::new().try_map(text))]
    default_arg: Vec<Vec<u8>>,
    /// The name that the program finds as its argument 0
    #[arg(long, value_name = "NAME", value_parser = OsStringValueParser::new().try_map(text))]
    arg0: Option<Bytes>,
    /// Let the host's arguments through, as they are without --deny-all
    #[arg(long, overrides_with = "args_deny")]
    args_allow: bool,
    /// Let none of the host's arguments through, nor its name for the program; of this
    /// and --args-allow the later counts
    #[arg(long)]
    args_deny: bool,
    /// Let relative paths begin at this packed directory
    ///
    /// Preview 1 knows no current directory. So PWD is set, which Go and shells look
    /// at, and the directory is open under the name `.` as well as `/` and every
    /// directory in it under their own, which C and Rust look at. Out of their reach is
    /// then a file right in `/`, and what `..` or a symbolic link leads to from one of
    /// these directories into another.
    #[arg(long, value_name = "GUEST", value_parser = OsStringValueParser::new().try_map(|path| guest_path(&path)))]
    cwd: Option<Bytes>,
    /// The clocks: pass, deny, fixed=SECONDS or monotonic-only
    ///
    /// What is denied answers NOTSUP. With fixed=SECONDS they stand at that time, in
    /// seconds since 1970 with up to nine decimals, and so do times of files.
    /// monotonic-only denies the time of day.
    #[arg(long, value_name = "POLICY", value_parser = clock)]
    clock: Option<Clock>,
    /// Random bytes: pass, deny or seed=NUMBER
    ///
    /// What is denied answers NOTSUP. With seed=NUMBER they are the same in each run,
    /// which is INSECURE: whoever has the module knows all its keys and tokens.
    #[arg(long, value_name = "POLICY", value_parser = random)]
    random: Option<Random>,
    /// Ending with a status (proc_exit); denied, it traps
    #[arg(long, value_enum)]
    exit: Option<Switch>,
    /// Raising a signal (proc_raise); denied, it answers NOTSUP
    #[arg(long, value_enum)]
    raise: Option<Switch>,
    /// Giving way to others (sched_yield); denied, it answers NOTSUP
    #[arg(id = "yielding", long = "yield", value_enum)]
    yielding: Option<Switch>,
}

/// Where a policy starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// stdout, stderr and ending
    Pure,
}

/// How a policy that is not said in detail begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// As it was, or with all that the host has.
    Keep,
    /// With stdout, stderr and ending.
    Pure,
    /// With nothing.
    DenyAll,
}

impl Control {
    /// Where what is not said starts from.
    pub(crate) fn start(&self) -> Start {
        match (self.profile, self.deny_all) {
            (Some(Profile::Pure), _) => Start::Pure,
            (None, true) => Start::DenyAll,
            (None, false) => Start::Keep,
        }
    }

    /// What is said of what the file system asks for: the streams and sockets that the policy
    /// starts with, and the time that a program may wait for.
    pub(crate) fn access<F>(&self, old: Access<F>, policy: &Policy) -> Access<F> {
        let mut access = old;
        access.clock = match policy.clock {
            Clock::Pass => access::Clock::Host,
            Clock::Deny => access::Clock::Denied,
            Clock::Fixed(_) => access::Clock::Fixed,
            Clock::MonotonicOnly => access::Clock::Monotonic,
        };
        let closed = match self.start() {
            Start::Keep => 0,
            Start::Pure => 1,
            Start::DenyAll => 3,
        };
        access.sockets &= closed == 0;
        for stream in &mut access.streams[..closed] {
            *stream = Stream::Closed;
        }
        access
    }

    /// What is said, over what was said before.
    pub(crate) fn over(&self, old: Policy) -> Policy {
        let mut policy = old;
        if self.start() != Start::Keep {
            policy.env.host = HostEnv::Deny;
            policy.args.host = Switch::Deny;
            policy.clock = Clock::Deny;
            policy.random = Random::Deny;
            policy.raise = Switch::Deny;
            policy.yielding = Switch::Deny;
            policy.exit = match self.start() {
                Start::Pure => Switch::Pass,
                _ => Switch::Deny,
            };
        }
        for variable in &self.env {
            policy.env.bake(variable.clone());
        }
        if self.env_allow.iter().any(|name| name == b"*") {
            policy.env.host = HostEnv::Pass;
        } else if !self.env_allow.is_empty() {
            policy.env.host = HostEnv::Only(BTreeSet::from_iter(self.env_allow.iter().cloned()));
        } else if self.env_deny {
            policy.env.host = HostEnv::Deny;
        }
        let args = &mut policy.args;
        if !self.arg.is_empty() {
            args.fixed.clone_from(&self.arg);
        }
        if !self.default_arg.is_empty() {
            args.default.clone_from(&self.default_arg);
        }
        if self.arg0.is_some() {
            args.name.clone_from(&self.arg0);
        }
        if self.args_allow {
            args.host = Switch::Pass;
        } else if self.args_deny {
            args.host = Switch::Deny;
        }
        policy.cwd = self.cwd.clone().or(policy.cwd);
        policy.clock = self.clock.unwrap_or(policy.clock);
        policy.random = self.random.unwrap_or(policy.random);
        policy.exit = self.exit.unwrap_or(policy.exit);
        policy.raise = self.raise.unwrap_or(policy.raise);
        policy.yielding = self.yielding.unwrap_or(policy.yielding);
        policy
    }
}

fn text(text: OsString) -> Result<Vec<u8>, &'static str> {
    let bytes = text.into_encoded_bytes();
    match bytes.contains(&0) {
        true => Err("no program can be told a text with a NUL in it"),
        false => Ok(bytes),
    }
}

fn name(name: OsString) -> Result<Vec<u8>, &'static str> {
    let name = text(name)?;
    match name.is_empty() || name.contains(&b'=') {
        true => Err("name variables without their values, as in PATH,LANG"),
        false => Ok(name),
    }
}

fn variable(variable: OsString) -> Result<Vec<u8>, &'static str> {
    let variable = text(variable)?;
    match variable.iter().position(|&byte| byte == b'=') {
        None => Err("give it a value, as in LANG=C; --env-allow NAME lets the host's through"),
        Some(0) => Err("a variable has a name, as in LANG=C"),
        Some(_) => Ok(variable),
    }
}

fn clock(text: &str) -> Result<Clock, &'static str> {
    Ok(match text {
        "pass" => Clock::Pass,
        "deny" => Clock::Deny,
        "monotonic-only" => Clock::MonotonicOnly,
        _ => {
            let time = text.strip_prefix("fixed=").and_then(nanoseconds);
            let wrong = "it is one of pass, deny, fixed=SECONDS (since 1970, as 1700000000.5) \
                         and monotonic-only";
            Clock::Fixed(time.ok_or(wrong)?)
        }
    })
}

/// Seconds with up to nine decimals.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(seconds) || !is_number(decimals) || decimals.len() > 9 {
        return None;
    }
    let fraction: u64 = format!("{decimals:0<9}").parse().ok()?;
    let seconds: u64 = seconds.parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
}

fn random(text: &str) -> Result<Random, &'static str> {
    Ok(match text {
        "pass" => Random::Pass,
        "deny" => Random::Deny,
        _ => {
            let seed = text
                .strip_prefix("seed=")
                .and_then(|seed| seed.parse().ok());
            let wrong = "it is one of pass, deny and seed=NUMBER (below 2^64)";
            Random::Seed(seed.ok_or(wrong)?)
        }
    })
}
