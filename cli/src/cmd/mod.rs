//! The subcommands: a file each, with `Opts` (what can be given) and `run`.

mod add;
mod build;
mod cat;
mod change;
mod commit;
mod completions;
mod diff;
mod doctor;
mod du;
mod extract;
mod faults;
mod image;
mod init;
mod inside;
mod inspect;
mod lib;
mod ls;
mod man;
mod mappings;
mod only_used;
mod pack;
mod preinit;
mod profile;
mod recipe;
mod replace;
mod rm;
mod run;
mod sources;
mod spec;
mod stat;
mod tracing;
mod tree;
mod treemap;
mod verify;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Packs a file system into a WASI Preview 1 module.
///
/// `monaka pack` puts directories into any program of Preview 1, linked with
/// libmonaka_vfs.a or not, and the result reads and writes them in memory on any
/// runtime, with no preopened directory.
#[derive(Parser)]
#[command(
    name = "monaka",
    version,
    max_term_width = 100,
    after_long_help = "\
Examples:
  monaka doctor app.wasm
  monaka pack app.wasm --mapdir /::./root -o out.wasm
  monaka ls -lR out.wasm
  monaka run out.wasm -- some arguments

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
`monaka run` passes on the program's own."
)]
pub(crate) struct Cli {
    /// Colours in messages and help; NO_COLOR=1 in the environment means `never`
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Pack(Box<pack::Opts>),
    Build(Box<build::Opts>),
    Image(image::Opts),
    Init(init::Opts),
    Run(run::Opts),
    Commit(commit::Opts),
    Profile(profile::Opts),
    Lib(lib::Opts),
    Inspect(inspect::Opts),
    Doctor(doctor::Opts),
    Ls(ls::Opts),
    Cat(cat::Opts),
    Stat(stat::Opts),
    Tree(tree::Opts),
    Du(du::Opts),
    Diff(diff::Opts),
    Verify(verify::Opts),
    Extract(extract::Opts),
    Add(add::Opts),
    Rm(rm::Opts),
    Replace(replace::Opts),
    Completions(completions::Opts),
    Man(man::Opts),
}

impl Cli {
    /// Reads the command line, and the spec file that it leaves the rest to.
    /// Ends the process where it is wrong, or asks for help.
    pub(crate) fn read() -> Result<Cli> {
        let mut args: Vec<OsString> = env::args_os().collect();
        if let Some(choice) = color(&args) {
            choice.write_global();
        }
        let mut relaxed = Cli::relaxed();
        let matches = relaxed.try_get_matches_from_mut(&args);
        let matches = matches.unwrap_or_else(|error| error.exit());
        if let Some((name @ (PACK | IMAGE), given)) = matches.subcommand()
            && let (Some(pack), Some(command)) =
                (relaxed.find_subcommand(PACK), relaxed.find_subcommand(name))
            && let Some(at) = args.iter().position(|arg| arg == name)
        {
            let spec = spec::arguments(pack, command, given)?;
            args.splice(at + 1..at + 1, spec);
        }
        let mut matches = Cli::command().get_matches_from(args);
        Ok(Cli::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit()))
    }

    /// A command line where `pack` need not say what a spec file may.
    fn relaxed() -> clap::Command {
        Cli::command().mut_subcommand(PACK, |pack| {
            pack.mut_arg("input", |input| input.required(false))
        })
    }

    /// Does what the command line says.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Pack(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Build(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Image(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Init(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Run(opts) => opts.run(),
            Command::Commit(opts) => opts.run(),
            Command::Profile(opts) => opts.run(),
            Command::Lib(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Inspect(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Ls(opts) => opts.run(),
            Command::Cat(opts) => opts.run(),
            Command::Stat(opts) => opts.run(),
            Command::Tree(opts) => opts.run(),
            Command::Du(opts) => opts.run(),
            Command::Diff(opts) => opts.run(),
            Command::Verify(opts) => opts.run(),
            Command::Doctor(opts) => opts.run(),
            Command::Extract(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Add(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Rm(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Replace(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Completions(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Man(opts) => opts.run().map(|()| ExitCode::SUCCESS),
        }
    }
}

/// The commands that read spec files.
const PACK: &str = "pack";
const IMAGE: &str = "image";

/// What `--color` says; nothing where it is wrong, which is found out later.
fn color(args: &[OsString]) -> Option<anstream::ColorChoice> {
    let mut args = args.iter().take_while(|arg| *arg != "--");
    let mut choice = None;
    while let Some(arg) = args.next() {
        let said = match arg.to_str().and_then(|arg| arg.strip_prefix("--color")) {
            Some("") => args.next().and_then(|value| value.to_str()),
            Some(value) => value.strip_prefix('='),
            None => None,
        };
        choice = match said {
            Some("always") => Some(anstream::ColorChoice::Always),
            Some("never") => Some(anstream::ColorChoice::Never),
            Some("auto") => Some(anstream::ColorChoice::Auto),
            _ => choice,
        };
    }
    choice
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, Command, ValueEnum as _};
    use clap_complete::Shell;

    use super::*;

    /// Each command with what it is called.
    fn commands() -> Vec<(String, Command)> {
        let mut cli = Cli::command();
        cli.build();
        let mut commands = vec![("monaka".to_string(), cli.clone())];
        for command in cli.get_subcommands().filter(|c| c.get_name() != "help") {
            commands.push((format!("monaka {}", command.get_name()), command.clone()));
        }
        commands
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        Cli::relaxed().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        for (name, mut command) in commands() {
            let help = command.render_long_help().to_string();
            let example = format!("\n  {name} ");
            assert!(help.contains("\nExamples:\n"), "{name} has no examples");
            let examples = help
                .split_once("\nExamples:\n")
                .map_or("", |(_, after)| after);
            let examples = format!("\n{examples}");
            let is_shown = examples.contains(&example) || examples.contains(&format!("| {name} "));
            assert!(is_shown, "{name} is not in its examples:\n{examples}");
            assert!(
                help.contains("\nExit status: "),
                "{name} has no exit status"
            );
            assert!(
                command.get_about().is_some(),
                "{name} does not say what it does"
            );
            for arg in command.get_arguments() {
                let what = format!("{name}, {}", arg.get_id());
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{what} has no help");
                assert!(!help.ends_with('.'), "{what}: the short help ends in a dot");
            }
        }
    }

    #[test]
    fn a_flag_means_the_same_in_every_command() {
        let shorts = [
            ("quiet", Some('q')),
            ("verbose", Some('v')),
            ("output", Some('o')),
            ("json", None),
        ];
        for (name, command) in commands() {
            for (long, short) in shorts {
                let mut args = command.get_arguments();
                let Some(arg) = args.find(|arg| arg.get_long() == Some(long)) else {
                    continue;
                };
                assert_eq!(arg.get_short(), short, "{name} --{long}");
                let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
                assert_eq!(is_flag, long != "output", "{name} --{long}");
            }
        }
    }

    #[test]
    fn scripts_and_manuals_can_be_made_of_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "monaka", &mut script);
            let script = String::from_utf8(script).unwrap();
            for (name, _) in commands() {
                let name = name.rsplit(' ').next().unwrap();
                assert!(script.contains(name), "{shell}: no {name}");
            }
        }
        let pages = man::pages().unwrap();
        assert_eq!(pages.len(), commands().len());
        for (page, (name, command)) in pages.iter().zip(commands()) {
            let text = String::from_utf8_lossy(&page.text);
            assert_eq!(page.name, format!("{}.1", name.replace(' ', "-")));
            assert!(
                text.contains("\n.SH \"EXIT STATUS\"\n") && text.contains("\n.SH EXAMPLES\n"),
                "{name}"
            );
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                if let Some(long) = arg.get_long() {
                    let flag = format!("\\-\\-{}", long.replace('-', "\\-"));
                    assert!(text.contains(&flag), "{}: no --{long}", page.name);
                }
            }
        }
    }

    #[test]
    fn colours_are_known_before_the_rest() {
        use anstream::ColorChoice::{Always, Never};
        let cases: [(&[&str], _); 6] = [
            (&["monaka", "pack"], None),
            (&["monaka", "--color", "never", "pack"], Some(Never)),
            (&["monaka", "pack", "--color=always"], Some(Always)),
            (&["monaka", "--color=always", "--color=never"], Some(Never)),
            (&["monaka", "--color", "purple"], None),
            (&["monaka", "run", "--", "--color=never"], None),
        ];
        for (args, choice) in cases {
            let given: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(color(&given), choice, "{args:?}");
        }
    }
}
