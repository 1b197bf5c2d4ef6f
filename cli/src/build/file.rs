//! A Containerfile: its stages and their instructions.
//!
//! The parser knows the syntax; what an instruction may say here, and what is
//! refused, is decided in this file, before anything is built.

use anyhow::{Context as _, Result, bail};
use parse_dockerfile::{
    Command as Parsed, Flag, HereDoc, Instruction, JsonOrStringArray, Source as ParsedSource,
    UnescapedString,
};

use super::words;
use crate::report::{Hinted, nearest};

/// A Containerfile.
#[derive(Debug)]
pub(super) struct File {
    /// The character that continues lines and escapes others.
    pub(super) escape: char,
    /// What stands before the first stage: `ARG`s.
    pub(super) globals: Vec<Step>,
    pub(super) stages: Vec<Stage>,
}

/// What a `FROM` begins.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: Option<String>,
    /// What it is made from, with variables in it.
    pub(super) base: String,
    pub(super) from: Place,
    pub(super) steps: Vec<Step>,
}

/// Where an instruction stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// From 1 on.
    pub(super) line: usize,
    /// The instruction in one line.
    pub(super) text: String,
}

/// An instruction.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) place: Place,
    pub(super) act: Act,
}

/// What an instruction does. Words may have variables in them unless it is said
/// otherwise.
#[derive(Debug)]
pub(super) enum Act {
    /// `ARG`: names, and defaults where there are some.
    Arg(Vec<(String, Option<String>)>),
    Copy(Copy),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Workdir(String),
    Volume(Vec<String>),
    Run(Command),
    Entrypoint(Command),
    Cmd(Command),
    /// Nothing, for the reason that is to be told.
    Nothing(&'static str),
}

/// `COPY` and `ADD`.
#[derive(Debug)]
pub(super) struct Copy {
    /// Whether it is `ADD`, which unpacks archives.
    pub(super) add: bool,
    /// The stage or image that it copies from, with no variables in it.
    pub(super) from: Option<String>,
    /// Whether the files become executable, if that is said.
    pub(super) executable: Option<bool>,
    pub(super) sources: Vec<Source>,
    pub(super) to: String,
}

/// What is copied.
#[derive(Debug)]
pub(super) enum Source {
    Path(String),
    /// A here-document, and whether variables are put in.
    Text {
        text: String,
        expand: bool,
    },
}

/// A command line.
#[derive(Debug)]
pub(super) enum Command {
    /// `["program", "argument"]`, words with no variables in them.
    Exec(Vec<String>),
    /// A line of words.
    Line(String),
}

impl File {
    /// Reads a Containerfile.
    pub(super) fn parse(text: &str) -> Result<File> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.replace("\r\n", "\n");
        if let Some(at) = text.find(['\r', '\0', '\x0b', '\x0c']) {
            bail!(
                "line {}: a control character stands in it",
                line_of(&text, at)
            );
        }
        let parsed = parse_dockerfile::parse(&text).map_err(|error| match error.line() {
            0 => anyhow::anyhow!("{error}"),
            line => syntax(&text, line, &format!("line {line}: {error:#}")),
        })?;
        let escape = parsed.parser_directives.escape.as_ref();
        let escape = escape.map_or('\\', |directive| directive.value.value);
        let mut file = File {
            escape,
            globals: Vec::new(),
            stages: Vec::new(),
        };
        for instruction in &parsed.instructions {
            let start = start_of(instruction)?;
            let place = Place {
                line: line_of(&text, start),
                text: shown(&unfold(&text[start..], escape)),
            };
            let at = place.clone();
            file.add(instruction, place)
                .with_context(|| at.to_string())?;
        }
        Ok(file)
    }

    fn add(&mut self, instruction: &Instruction<'_>, place: Place) -> Result<()> {
        if let Instruction::From(from) = instruction {
            for flag in &from.options {
                match &*flag.name.value {
                    // Which machine would run it says nothing about a wasm module.
                    "platform" => {}
                    name => return Err(unknown_flag("FROM", name, "--platform")),
                }
            }
            let name = from.as_.as_ref().map(|(_, name)| name.value.to_string());
            if let Some(name) = &name {
                check_stage_name(name)?;
            }
            self.stages.push(Stage {
                name,
                base: from.image.value.to_string(),
                from: place,
                steps: Vec::new(),
            });
            return Ok(());
        }
        let act = self.act(instruction)?;
        let step = Step { place, act };
        match self.stages.last_mut() {
            Some(stage) => stage.steps.push(step),
            None => self.globals.push(step),
        }
        Ok(())
    }

    fn act(&self, instruction: &Instruction<'_>) -> Result<Act> {
        let escape = self.escape;
        Ok(match instruction {
            Instruction::Arg(arg) => {
                let words = words::split(&arg.arguments.value, escape);
                let pairs = words.into_iter().map(|word| match word.split_once('=') {
                    Some((name, value)) => (name.into(), Some(value.into())),
                    None => (word.into(), None),
                });
                let pairs: Vec<(String, Option<String>)> = pairs.collect();
                for (name, _) in &pairs {
                    check_name(name)?;
                }
                Act::Arg(pairs)
            }
            Instruction::Add(add) => {
                Act::Copy(Copy::new("ADD", &add.options, &add.src, &add.dest)?)
            }
            Instruction::Copy(copy) => {
                Act::Copy(Copy::new("COPY", &copy.options, &copy.src, &copy.dest)?)
            }
            Instruction::Env(env) => {
                let pairs = pairs(&env.arguments.value, escape)?;
                for (name, _) in &pairs {
                    check_name(name)?;
                }
                Act::Env(pairs)
            }
            Instruction::Label(label) => Act::Label(pairs(&label.arguments.value, escape)?),
            Instruction::Workdir(workdir) => Act::Workdir(workdir.arguments.value.to_string()),
            Instruction::Volume(volume) => Act::Volume(match &volume.arguments {
                JsonOrStringArray::Json(json) => strings(&json.value),
                JsonOrStringArray::String(words) => strings(words),
            }),
            Instruction::Run(run) => {
                if let Some(flag) = run.options.first() {
                    return Err(Hinted::new(
                        format!("--{} of RUN is not known here", flag.name.value),
                        "nothing is mounted for a RUN, and it has no network: COPY what it needs",
                    )
                    .into());
                }
                if !run.here_docs.is_empty() {
                    return Err(Hinted::new(
                        "a here-document of RUN is a script for a shell, and there is none",
                        "run one program an instruction, or COPY the script and RUN its interpreter",
                    )
                    .into());
                }
                Act::Run(self.command(&run.arguments))
            }
            Instruction::Entrypoint(entry) => Act::Entrypoint(self.command(&entry.arguments)),
            Instruction::Cmd(cmd) => Act::Cmd(self.command(&cmd.arguments)),
            Instruction::Expose(_) => {
                Act::Nothing("the module has no network; sockets are the host's to give")
            }
            Instruction::Maintainer(_) => {
                Act::Nothing("LABEL org.opencontainers.image.authors=… is kept in the module")
            }
            Instruction::Stopsignal(_) => Act::Nothing("no signal reaches a module"),
            Instruction::Healthcheck(_) => {
                Act::Nothing("nothing looks after a module that runs; leave it to the host")
            }
            Instruction::User(_) => {
                return Err(Hinted::new(
                    "WASI Preview 1 has no users",
                    "leave USER out: the program has what the host gives it, whoever runs it; \
                     `--read-only /` keeps it from changing its files",
                )
                .into());
            }
            Instruction::Shell(_) => {
                return Err(Hinted::new(
                    "there is no shell to be chosen",
                    "leave SHELL out, and name the program in every command: RUN [\"sh.wasm\", \
                     \"-c\", …]",
                )
                .into());
            }
            Instruction::Onbuild(_) => {
                return Err(Hinted::new(
                    "a module keeps no instructions for builds that begin with it",
                    "write the instruction into the Containerfile that needs it",
                )
                .into());
            }
            _ => bail!("this instruction is not known here"),
        })
    }

    fn command(&self, parsed: &Parsed<'_>) -> Command {
        match parsed {
            Parsed::Exec(words) => Command::Exec(strings(&words.value)),
            Parsed::Shell(line) => Command::Line(unfold(line.value, self.escape)),
            // The type may get further forms.
            _ => Command::Line(String::new()),
        }
    }

    /// Which stages are needed to build the one of number `target`.
    pub(super) fn needed(&self, target: usize) -> Vec<bool> {
        let mut needed = vec![false; self.stages.len()];
        needed[target] = true;
        for at in (0..=target).rev() {
            if !needed[at] {
                continue;
            }
            let stage = &self.stages[at];
            if stage.base.contains('$') {
                // It may turn out to be any of those before.
                needed[..at].fill(true);
            }
            let copies = stage.steps.iter().filter_map(|step| match &step.act {
                Act::Copy(copy) => copy.from.as_deref(),
                _ => None,
            });
            for name in copies.chain([&*stage.base]) {
                if let Some(before) = self.stage(name, at) {
                    needed[before] = true;
                }
            }
        }
        needed
    }

    /// The number of the stage before `at` that has that name or number.
    pub(super) fn stage(&self, name: &str, at: usize) -> Option<usize> {
        let stages = &self.stages[..at];
        let named = |stage: &Stage| {
            let own = stage.name.as_deref();
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        let named = stages.iter().position(named);
        named.or_else(|| name.parse().ok().filter(|number| *number < at))
    }
}

impl Copy {
    fn new(
        instruction: &'static str,
        flags: &[Flag<'_>],
        sources: &[ParsedSource<'_>],
        to: &UnescapedString<'_>,
    ) -> Result<Copy> {
        let add = instruction == "ADD";
        let mut copy = Copy {
            add,
            from: None,
            executable: None,
            sources: Vec::new(),
            to: to.value.to_string(),
        };
        for flag in flags {
            let name = &*flag.name.value;
            let value = flag.value.as_ref().map(|value| value.value.to_string());
            match (name, value) {
                ("from", Some(from)) if !add => copy.from = Some(from),
                ("chmod", Some(mode)) => copy.executable = Some(is_executable(&mode)?),
                // How layers are made, and there are none.
                ("link", None) => {}
                ("from" | "chmod", None) => bail!("--{name} has no value: --{name}=…"),
                ("chown", _) => {
                    return Err(Hinted::new(
                        "WASI Preview 1 has no owners of files",
                        "leave --chown out: every program may do what the host lets it do",
                    )
                    .into());
                }
                _ => {
                    let known = if add { "--chmod" } else { "--from, --chmod" };
                    return Err(unknown_flag(instruction, name, known));
                }
            }
        }
        for source in sources {
            copy.sources.push(match source {
                ParsedSource::Path(path) => Source::Path(path.value.to_string()),
                ParsedSource::HereDoc(HereDoc { value, expand, .. }) => Source::Text {
                    text: value.to_string(),
                    expand: *expand,
                },
                _ => bail!("this source is not known here"),
            });
        }
        Ok(copy)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

fn strings(words: &[UnescapedString<'_>]) -> Vec<String> {
    words.iter().map(|word| word.value.to_string()).collect()
}

/// `name=value …`, or `name value` with all of the rest as the value.
fn pairs(line: &str, escape: char) -> Result<Vec<(String, String)>> {
    let words = words::split(line, escape);
    let Some(first) = words.first() else {
        bail!("there is no name");
    };
    if !first.contains('=') {
        let value = line.trim_start()[first.len()..].trim();
        if value.is_empty() {
            bail!("{first} has no value: {first}=…");
        }
        return Ok(vec![((*first).into(), value.into())]);
    }
    let pairs = words.into_iter().map(|word| match word.split_once('=') {
        Some(("", _)) => bail!("`{word}` has no name"),
        Some((name, value)) => Ok((name.into(), value.into())),
        None => bail!("`{word}` is not of the form name=value"),
    });
    pairs.collect()
}

fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = |byte: u8| byte == b'_' || byte.is_ascii_alphabetic();
    match bytes.next().is_some_and(first) && bytes.all(|byte| first(byte) || byte.is_ascii_digit())
    {
        true => Ok(()),
        false => bail!("`{name}` is no name of a variable: letters, digits and `_`"),
    }
}

fn check_stage_name(name: &str) -> Result<()> {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(rest)
        && !name.eq_ignore_ascii_case("scratch");
    match is_name {
        true => Ok(()),
        false => bail!("`{name}` is no name of a stage: a letter, then letters, digits, `-_.`"),
    }
}

/// What the parser has against a line, with the instruction that was meant where it is
/// none.
fn syntax(text: &str, line: usize, message: &str) -> anyhow::Error {
    const INSTRUCTIONS: [&str; 13] = [
        "FROM",
        "ARG",
        "COPY",
        "ADD",
        "ENV",
        "LABEL",
        "WORKDIR",
        "VOLUME",
        "RUN",
        "ENTRYPOINT",
        "CMD",
        "EXPOSE",
        "HEALTHCHECK",
    ];
    let first = text.lines().nth(line - 1).unwrap_or_default();
    let first = first.split_whitespace().next().unwrap_or_default();
    let name = first.to_ascii_uppercase();
    let hint = match nearest(&name, INSTRUCTIONS) {
        Some(known) if known == name => return anyhow::anyhow!("{message}"),
        Some(known) => format!("did you mean {known}?"),
        None => format!("the instructions are {}", INSTRUCTIONS[..11].join(", ")),
    };
    Hinted::new(message, hint).into()
}

fn unknown_flag(instruction: &str, name: &str, known: &str) -> anyhow::Error {
    Hinted::new(
        format!("--{name} of {instruction} is not known here"),
        format!("{instruction} takes {known}"),
    )
    .into()
}

/// Whether a mode makes files executable, which is all that WASI could know of it.
fn is_executable(mode: &str) -> Result<bool> {
    if !mode.is_empty() && mode.len() <= 4 && mode.bytes().all(|byte| matches!(byte, b'0'..=b'7')) {
        return Ok(u32::from_str_radix(mode, 8)? & 0o111 != 0);
    }
    match mode {
        "+x" | "a+x" | "u+x" | "ugo+x" => Ok(true),
        "-x" | "a-x" | "ugo-x" => Ok(false),
        _ => Err(Hinted::new(
            format!("`{mode}` is no mode that is known here"),
            "only whether files are executable is kept: --chmod=755, --chmod=644, --chmod=+x",
        )
        .into()),
    }
}

/// From 1 on.
fn line_of(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// The first line with those that continue it, as one; comments and empty lines
/// between them say nothing.
fn unfold(text: &str, escape: char) -> String {
    let mut line = String::new();
    let mut begun = false;
    for part in text.lines() {
        let trimmed = part.trim();
        if begun && (trimmed.is_empty() || trimmed.starts_with('#')) {
            continue;
        }
        begun = true;
        match part.trim_end().strip_suffix(escape) {
            Some(part) => line += part,
            None => {
                line += part.trim_end();
                break;
            }
        }
    }
    line.trim().to_string()
}

/// A line as messages have it, its blanks as single ones.
fn shown(line: &str) -> String {
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where an instruction begins.
fn start_of(instruction: &Instruction<'_>) -> Result<usize> {
    let keyword = match instruction {
        Instruction::Add(it) => &it.add,
        Instruction::Arg(it) => &it.arg,
        Instruction::Cmd(it) => &it.cmd,
        Instruction::Copy(it) => &it.copy,
        Instruction::Entrypoint(it) => &it.entrypoint,
        Instruction::Env(it) => &it.env,
        Instruction::Expose(it) => &it.expose,
        Instruction::From(it) => &it.from,
        Instruction::Healthcheck(it) => &it.healthcheck,
        Instruction::Label(it) => &it.label,
        Instruction::Maintainer(it) => &it.maintainer,
        Instruction::Onbuild(it) => &it.onbuild,
        Instruction::Run(it) => &it.run,
        Instruction::Shell(it) => &it.shell,
        Instruction::Stopsignal(it) => &it.stopsignal,
        Instruction::User(it) => &it.user,
        Instruction::Volume(it) => &it.volume,
        Instruction::Workdir(it) => &it.workdir,
        _ => bail!("there is an instruction that is not known here"),
    };
    Ok(keyword.span.start)
}

#[cfg(test)]
mod tests;
