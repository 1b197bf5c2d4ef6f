//! The subcommands: a file each, with `Opts` (what can be given) and `run`.

mod cat;
mod completions;
mod du;
mod image;
mod inside;
mod inspect;
mod lib;
mod ls;
mod mappings;
mod pack;
mod run;
mod sources;
mod stat;
mod tree;
mod treemap;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Packs a file system into a WASI Preview 1 module.
///
/// The program is linked with libmonaka_vfs.a; `monaka pack` puts directories
/// into it, and the result reads and writes them in memory on any runtime, with
/// no preopened directory.
#[derive(Parser)]
#[command(
    name = "monaka",
    version,
    max_term_width = 100,
    after_long_help = "\
Examples:
  monaka lib -o libmonaka_vfs.a
  clang --target=wasm32-wasip1 app.c libmonaka_vfs.a -o app.wasm
  monaka pack app.wasm --mapdir /::./root -o out.wasm
  monaka run out.wasm -- some arguments

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
`monaka run` passes on the program's own."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Pack(pack::Opts),
    Image(image::Opts),
    Run(run::Opts),
    Lib(lib::Opts),
    Inspect(inspect::Opts),
    Ls(ls::Opts),
    Cat(cat::Opts),
    Stat(stat::Opts),
    Tree(tree::Opts),
    Du(du::Opts),
    Completions(completions::Opts),
}

impl Cli {
    /// Does what the command line says.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Pack(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Image(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Run(opts) => opts.run(),
            Command::Lib(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Inspect(opts) => opts.run().map(|()| ExitCode::SUCCESS),
            Command::Ls(opts) => opts.run(),
            Command::Cat(opts) => opts.run(),
            Command::Stat(opts) => opts.run(),
            Command::Tree(opts) => opts.run(),
            Command::Du(opts) => opts.run(),
            Command::Completions(opts) => opts.run().map(|()| ExitCode::SUCCESS),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
