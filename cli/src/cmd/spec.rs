//! `monaka.toml`: what `monaka pack` is told, in a file.
//!
//! The file becomes the arguments that it stands for, in front of those of the command
//! line, so there is one set of options and one parser for each value:
//!
//! 1. Each flag of `pack` is a key of the same name, APP.WASM is `input`. Flags that may be
//!    given many times take arrays.
//! 2. Sources are tables, `[[mount]]`, as their order counts: a guest path and what is
//!    packed there.
//! 3. On the command line, a flag that is given once overrides its key, and so does one
//!    that the key's would contradict; sources and other flags that may be given many
//!    times come behind those of the file. What is true or false is so as a flag, too
//!    ([`switch`]): `--no-dev=false` overrides `no-dev = true`.
//! 4. Paths are relative to the file's directory.
//! 5. `monaka image` takes of such a file what speaks of the image, and passes over the
//!    program's keys.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mappings::{self, GUEST};
use crate::output::is_dash;
use crate::report::{Hinted, nearest};

/// The file that is read where no other is named.
pub(crate) const NAME: &str = "monaka.toml";

/// The key that holds the sources.
const MOUNT: &str = "mount";

/// The keys of the program, and of where it goes.
const INPUT: &str = "input";
const OUTPUT: &str = "output";

/// What each run decides anew: no keys.
const NOT_KEYS: [&str; 6] = ["config", "dry-run", "json", "verbose", "quiet", "help"];

/// The arguments of `command` that a spec file stands for, if it is to read one: that
/// which `--config` names, or [`NAME`] in the current directory where `pack` is given
/// no program.
pub(super) fn arguments(
    pack: &Command,
    command: &Command,
    given: &ArgMatches,
) -> Result<Vec<OsString>> {
    let looks = || has(command, INPUT) && !given.contains_id(INPUT) && Path::new(NAME).is_file();
    let path = match given.get_one::<PathBuf>("config") {
        Some(path) => path.as_path(),
        None if looks() => Path::new(NAME),
        None => return Ok(Vec::new()),
    };
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Hinted::new(
            format!("there is no {}", path.display()),
            format!("`monaka init` writes a {NAME} to begin with"),
        )
        .into(),
        _ => anyhow::Error::new(error).context(format!("cannot read {}", path.display())),
    })?;
    let spec = Spec {
        path,
        text: &text,
        pack,
    };
    spec.arguments(|arg| is_about_a_program(arg, command) || is_overridden(arg, command, given))
}

/// Whether a flag of `pack` says nothing to `command`, which makes no module.
fn is_about_a_program(arg: &Arg, command: &Command) -> bool {
    let id = arg.get_id().as_str();
    !has(command, INPUT) && (!has(command, id) || id == OUTPUT)
}

fn has(command: &Command, id: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_id() == id)
}

/// A flag that can be a key takes a value if it is true or false: given alone it is
/// true.
pub(super) fn switch(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) || NOT_KEYS.contains(&key_of(&arg)) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .value_name(BOOL)
        .num_args(0..=1)
        .require_equals(true)
        .value_parser(clap::value_parser!(bool))
        .default_value("false")
        .default_missing_value("true")
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// What the value of a [`switch`] is called, by which it is known.
const BOOL: &str = "BOOL";

fn is_switch(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().any(|name| name == BOOL)
}

/// Whether the command line has the last word on a flag.
fn is_overridden(arg: &Arg, pack: &Command, given: &ArgMatches) -> bool {
    let is_given = |arg: &Arg| {
        let id = arg.get_id().as_str();
        given.value_source(id) == Some(ValueSource::CommandLine)
    };
    let contradicts = |other: &&Arg| {
        let has = |arg: &Arg, other: &Arg| {
            let conflicts = pack.get_arg_conflicts_with(arg);
            conflicts.iter().any(|arg| arg.get_id() == other.get_id())
        };
        has(arg, other) || has(other, arg)
    };
    let mut others = pack.get_arguments().filter(|other| is_given(other));
    (is_given(arg) && !matches!(arg.get_action(), ArgAction::Append))
        || others.any(|other| contradicts(&other))
}

/// A file that is being read.
struct Spec<'a> {
    path: &'a Path,
    text: &'a str,
    pack: &'a Command,
}

impl Spec<'_> {
    fn arguments(&self, is_overridden: impl Fn(&Arg) -> bool) -> Result<Vec<OsString>> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().unwrap_or_default();
            self.error(
                &at,
                error.message(),
                "https://toml.io shows how TOML is written",
            )
        })?;
        let mut arguments = Vec::new();
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            if name == MOUNT {
                self.mounts(value, &mut arguments)?;
                continue;
            }
            let arg = self.key(name, &key.span())?;
            let stands = self.argument(arg, value)?;
            if !is_overridden(arg) {
                arguments.extend(stands);
            }
        }
        Ok(arguments)
    }

    /// The flag that a key stands for.
    fn key(&self, name: &str, at: &Range<usize>) -> Result<&Arg> {
        if let Some(arg) = keys(self.pack).find(|arg| key_of(arg) == name) {
            return Ok(arg);
        }
        let message = format!("there is no key `{name}`");
        let hint = if NOT_KEYS.contains(&name) {
            format!("give --{name} on the command line")
        } else if let Some(mount) = mappings::mount_of(name) {
            format!("write it as [[mount]], with `guest` and `{}`", mount.key)
        } else {
            did_you_mean(name, keys(self.pack).map(key_of).chain([MOUNT]))
        };
        Err(self.error(at, &message, &hint).into())
    }

    /// The arguments of a key that is a flag's.
    fn argument(&self, arg: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<OsString>> {
        let wrong = |what: &str| {
            let message = format!(
                "`{}` is {what}, and this is {}",
                key_of(arg),
                called(value.get_ref())
            );
            self.error(&value.span(), &message, HELP)
        };
        let is_flag = is_switch(arg);
        let may_be_bare = arg
            .get_num_args()
            .is_some_and(|range| range.min_values() == 0);
        match value.get_ref() {
            DeValue::Boolean(on) if is_flag || may_be_bare => {
                let flag = format!("--{}", key_of(arg));
                Ok(on.then(|| flag.into()).into_iter().collect())
            }
            _ if is_flag => Err(wrong("true or false").into()),
            DeValue::Array(values) if matches!(arg.get_action(), ArgAction::Append) => {
                let values = values.iter().map(|value| {
                    let text = scalar(value.get_ref()).ok_or_else(|| wrong("an array of texts"))?;
                    self.flag(arg, &text, value)
                });
                values.collect()
            }
            other => {
                let text = scalar(other).ok_or_else(|| wrong("one value"))?;
                Ok(vec![self.flag(arg, &text, value)?])
            }
        }
    }

    /// A flag with a value that its own parser takes.
    fn flag(&self, arg: &Arg, text: &str, value: &Spanned<DeValue<'_>>) -> Result<OsString> {
        let is_path = arg.get_value_hint() == ValueHint::AnyPath;
        let text = match is_path {
            true => self.beside(text).into_os_string(),
            false => text.into(),
        };
        if arg.is_positional() {
            return Ok(text);
        }
        self.checked(arg, &text, &value.span())?;
        Ok(joined(&format!("--{}=", key_of(arg)), &text))
    }

    fn mounts(&self, value: &Spanned<DeValue<'_>>, arguments: &mut Vec<OsString>) -> Result<()> {
        const WAY_OUT: &str = "write each as [[mount]], with `guest` and what is packed there";
        let DeValue::Array(mounts) = value.get_ref() else {
            let message = format!(
                "`mount` is an array of tables, and this is {}",
                called(value.get_ref())
            );
            return Err(self.error(&value.span(), &message, WAY_OUT).into());
        };
        for mount in mounts {
            let DeValue::Table(table) = mount.get_ref() else {
                let message = format!(
                    "a mount is a table, and this is {}",
                    called(mount.get_ref())
                );
                return Err(self.error(&mount.span(), &message, WAY_OUT).into());
            };
            arguments.push(self.mount(table, &mount.span())?);
        }
        Ok(())
    }

    /// The flag that a mount stands for.
    fn mount(&self, table: &DeTable<'_>, at: &Range<usize>) -> Result<OsString> {
        let (mut guest, mut source) = (None, None);
        for (key, value) in table {
            let name: &str = key.get_ref();
            let mount = mappings::MOUNTS.iter().find(|mount| mount.key == name);
            let Some(text) = value.get_ref().as_str() else {
                if mount.is_some() || name == GUEST {
                    let message = format!(
                        "`{name}` is a text, and this is {}",
                        called(value.get_ref())
                    );
                    return Err(self
                        .error(&value.span(), &message, "put it in quotes")
                        .into());
                }
                return Err(self.no_mount_key(name, &key.span()));
            };
            match mount {
                _ if name == GUEST => guest = Some(text),
                None => return Err(self.no_mount_key(name, &key.span())),
                Some(_) if source.is_some() => {
                    let message = "a mount has one source, and this is its second";
                    let hint =
                        "write a [[mount]] for each; the same `guest` may be mounted on twice";
                    return Err(self.error(&key.span(), message, hint).into());
                }
                Some(mount) => source = Some((mount, text, value.span())),
            }
        }
        let (Some(guest), Some((mount, text, source_at))) = (guest, source) else {
            let sources: Vec<&str> = mappings::MOUNTS.iter().map(|mount| mount.key).collect();
            let hint = format!("give `guest`, and one of {}", sources.join(", "));
            return Err(self
                .error(at, "a mount has a guest path and a source", &hint)
                .into());
        };
        if guest.contains(mount.separator) {
            let message = format!("`guest` holds `{}`", mount.separator);
            let hint = "a source of this kind cannot have that name: map a directory that has it";
            return Err(self.error(at, &message, hint).into());
        }
        let text = match mount.is_path {
            true => self.beside(text).into_os_string(),
            false => text.into(),
        };
        let arg = self
            .pack
            .get_arguments()
            .find(|arg| arg.get_long() == Some(mount.flag));
        let value = joined(&format!("{guest}{}", mount.separator), &text);
        if let Some(arg) = arg {
            self.checked(arg, &value, &source_at)?;
        }
        Ok(joined(&format!("--{}=", mount.flag), &value))
    }

    fn no_mount_key(&self, name: &str, at: &Range<usize>) -> anyhow::Error {
        let message = format!("a mount has no key `{name}`");
        let hint = match keys(self.pack).any(|arg| key_of(arg) == name) {
            true => format!("`{name}` is for all mounts: move it above the first [[mount]]"),
            false => did_you_mean(name, mappings::MOUNTS.iter().map(|m| m.key).chain([GUEST])),
        };
        self.error(at, &message, &hint).into()
    }

    /// Has a flag's own parser look at a value.
    fn checked(&self, arg: &Arg, value: &OsStr, at: &Range<usize>) -> Result<()> {
        // Without the others that it requires or excludes.
        let alone = Arg::new("value").long("value");
        let alone = alone.value_parser(arg.get_value_parser().clone());
        let command = Command::new(NAME).no_binary_name(true).arg(alone);
        let parsed = command.try_get_matches_from([joined("--value=", value)]);
        let Err(error) = parsed else {
            return Ok(());
        };
        let message = format!("`{}` is wrong: {}", value.display(), reason(&error));
        Err(self.error(at, &message, HELP).into())
    }

    /// A path of the file as the current directory sees it.
    fn beside(&self, path: &str) -> PathBuf {
        match is_dash(Path::new(path)) {
            true => path.into(),
            false => self.path.parent().unwrap_or(Path::new("")).join(path),
        }
    }

    fn error(&self, at: &Range<usize>, message: &str, hint: &str) -> Hinted {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let message = format!("{}:{line}:{column}: {message}", self.path.display());
        Hinted::new(message, hint)
    }
}

const HELP: &str = "`monaka pack --help` says what each flag takes, and so does its key";

/// The flags that are keys.
fn keys(pack: &Command) -> impl Iterator<Item = &Arg> {
    pack.get_arguments().filter(|arg| {
        let name = key_of(arg);
        !NOT_KEYS.contains(&name) && !mappings::flags().any(|flag| flag == name)
    })
}

/// What a flag is called as a key.
fn key_of(arg: &Arg) -> &str {
    arg.get_long().unwrap_or(arg.get_id().as_str())
}

/// A value that is one word of a command line.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let value = i128::from_str_radix(number.as_str(), number.radix()).ok()?;
            Some(value.to_string())
        }
        DeValue::Datetime(time) => Some(time.to_string()),
        _ => None,
    }
}

fn called(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn did_you_mean<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    match nearest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None => HELP.into(),
    }
}

/// What clap has against a value, without what it says of the command line.
fn reason(error: &clap::Error) -> String {
    match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(values))) => {
            format!("it is one of {}", values.join(", "))
        }
        _ => error.kind().to_string(),
    }
}

fn joined(start: &str, end: &OsStr) -> OsString {
    let mut whole = OsString::from(start);
    whole.push(end);
    whole
}

#[cfg(test)]
mod tests;
