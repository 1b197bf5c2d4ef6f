//! `monaka completions`: completion scripts for shells.

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::report;

/// Prints a completion script for a shell.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka completions bash > ~/.local/share/bash-completion/completions/monaka
  monaka completions zsh > ~/.zfunc/_monaka
  monaka completions fish > ~/.config/fish/completions/monaka.fish

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.")]
pub(crate) struct Opts {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Opts {
    /// Prints the script.
    pub(crate) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut super::Cli::command(),
            "monaka",
            &mut script,
        );
        Ok(report::print(&String::from_utf8(script)?)?)
    }
}
