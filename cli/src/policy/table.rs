//! A module's policy as `inspect` shows it: each subsystem with what the program gets.

use anyhow::Result;
use monaka_vfs_core::access::Stream;
use monaka_vfs_core::image::{Escaped, Image};

use crate::json;
use crate::module::packed::Packed;
use crate::module::policy::{Args, Clock, Env, HostEnv, Random, Record, Switch};

/// The subsystems with their settings.
pub(crate) struct Table(Vec<(&'static str, String)>);

impl Table {
    /// What a packed module is under.
    pub(crate) fn of(packed: &Packed<'_>) -> Result<Table> {
        let image = Image::open(packed.tables())?;
        let policy = Record::of_module(packed.wasm)?.unwrap_or_default().policy;
        let access = image.access();
        let mut rows = vec![
            ("env", env(&policy.env)),
            ("args", args(&policy.args)),
            (
                "cwd",
                policy
                    .cwd
                    .as_deref()
                    .map_or("/".into(), |cwd| Escaped(cwd).to_string()),
            ),
            ("clock", clock(policy.clock)),
            ("random", random(policy.random)),
        ];
        let streams = ["stdin", "stdout", "stderr"];
        for (name, stream) in streams.into_iter().zip(access.streams) {
            rows.push((name, self::stream(stream, image)));
        }
        rows.extend([
            ("exit", switch(policy.exit)),
            ("raise", switch(policy.raise)),
            ("yield", switch(policy.yielding)),
            (
                "sockets",
                match access.sockets {
                    true => "pass".into(),
                    false => "deny".into(),
                },
            ),
            ("host dirs", directories(packed, image)),
        ]);
        Ok(Table(rows))
    }

    /// Each subsystem's name and setting.
    pub(crate) fn rows(self) -> Vec<(&'static str, String)> {
        self.0
    }

    /// A line for each.
    pub(crate) fn text(&self) -> String {
        let rows = self.0.iter();
        rows.map(|(name, setting)| format!("  {name:<10}{setting}\n"))
            .collect()
    }

    /// An object with a text for each.
    pub(crate) fn json(&self) -> String {
        let key = |name: &str| json::string(&name.replace(' ', "_"));
        let rows = self.0.iter();
        let rows = rows.map(|(name, setting)| format!("{}: {}", key(name), json::string(setting)));
        format!("{{{}}}", rows.collect::<Vec<_>>().join(", "))
    }
}

fn switch(switch: Switch) -> String {
    match switch {
        Switch::Pass => "pass".into(),
        Switch::Deny => "deny".into(),
    }
}

fn listed<'t>(texts: impl IntoIterator<Item = &'t Vec<u8>>) -> String {
    let texts = texts.into_iter().map(|text| Escaped(text).to_string());
    texts.collect::<Vec<_>>().join(" ")
}

fn env(env: &Env) -> String {
    let host = match &env.host {
        HostEnv::Pass => "pass".into(),
        HostEnv::Deny => "deny".into(),
        HostEnv::Only(names) => format!("only {} of the host's", listed(names)),
    };
    match env.baked().is_empty() {
        true => host,
        false => format!("{host}, behind {}", listed(env.baked())),
    }
}

fn args(args: &Args) -> String {
    let mut parts = vec![switch(args.host)];
    if let Some(name) = &args.name {
        parts.push(format!("named {}", Escaped(name)));
    }
    if !args.fixed.is_empty() {
        parts.push(format!("behind {}", listed(&args.fixed)));
    }
    if !args.default.is_empty() {
        parts.push(format!(
            "{} where the host gives none",
            listed(&args.default)
        ));
    }
    parts.join(", ")
}

fn clock(clock: Clock) -> String {
    match clock {
        Clock::Pass => "pass".into(),
        Clock::Deny => "deny".into(),
        Clock::Fixed(time) => {
            format!(
                "fixed at {}.{:09} s",
                time / 1_000_000_000,
                time % 1_000_000_000
            )
        }
        Clock::MonotonicOnly => "monotonic only".into(),
    }
}

fn random(random: Random) -> String {
    match random {
        Random::Pass => "pass".into(),
        Random::Deny => "deny".into(),
        Random::Seed(seed) => format!("INSECURE: the same in each run, of the seed {seed}"),
    }
}

fn stream(stream: Stream<u32>, image: Image<'_>) -> String {
    match stream {
        Stream::Host => "pass".into(),
        Stream::Closed => "deny".into(),
        Stream::Null => "ignore".into(),
        Stream::File(inode) => format!("file {}", Escaped(&image.path(inode))),
    }
}

fn directories(packed: &Packed<'_>, image: Image<'_>) -> String {
    let known = image.host_directories().map(|directory| {
        let more = if directory.read_only {
            ", read-only"
        } else {
            ""
        };
        format!(
            "{} as {}{more}",
            Escaped(directory.host),
            Escaped(directory.name)
        )
    });
    let known: Vec<String> = known.collect();
    match (packed.record.host_dirs(), known.is_empty()) {
        (true, true) => "pass".into(),
        (true, false) => format!("pass; {}", known.join("; ")),
        (false, false) => known.join("; "),
        (false, true) => "deny".into(),
    }
}
