//! `monaka man`: manual pages.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap::builder::Resettable;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::output;
use crate::report::{self, Hinted, nearest};

/// Writes the manual pages, monaka.1 and one for each command.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka man -o ~/.local/share/man/man1
  monaka man pack | man -l -

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.")]
pub(crate) struct Opts {
    /// Print the page of this command; without it, that of monaka
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    command: Option<String>,
    /// Write all pages to this directory, which is made if it is missing
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// A page of the manual.
pub(crate) struct Page {
    /// Its file's name.
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
}

impl Opts {
    /// Writes or prints them.
    pub(crate) fn run(self) -> Result<()> {
        let pages = pages()?;
        if let Some(directory) = &self.output {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot make the directory {}", directory.display()))?;
            for page in pages {
                output::write(&directory.join(page.name), &page.text)?;
            }
            return Ok(());
        }
        let name = match &self.command {
            Some(command) => format!("monaka-{command}.1"),
            None => "monaka.1".to_string(),
        };
        let Some(page) = pages.iter().find(|page| page.name == name) else {
            return Err(no_page(&name, &pages).into());
        };
        Ok(report::print(&String::from_utf8_lossy(&page.text))?)
    }
}

fn no_page(name: &str, pages: &[Page]) -> Hinted {
    let command = |page: &str| {
        page.trim_start_matches("monaka-")
            .trim_end_matches(".1")
            .to_string()
    };
    let hint = match nearest(name, pages.iter().map(|page| page.name.as_str())) {
        Some(near) => format!("did you mean `monaka man {}`?", command(near)),
        None => "`monaka help` lists the commands".into(),
    };
    Hinted::new(format!("there is no command {}", command(name)), hint)
}

/// Writes what help ends with, line by line as it stands there.
fn write(page: &mut Vec<u8>, more: &str) -> Result<()> {
    let (examples, status) = more.split_once("\n\nExit status:").unwrap_or((more, ""));
    let examples = examples.trim_start_matches("Examples:\n");
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in examples.lines() {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []).control("SH", ["EXIT STATUS"]);
    roff.text([roman(status.trim_start())]);
    Ok(roff.to_writer(page)?)
}

/// The pages of all commands, that of `monaka` first.
pub(crate) fn pages() -> Result<Vec<Page>> {
    let mut cli = super::Cli::command();
    cli.build();
    let commands = cli
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    let commands = [&cli].into_iter().chain(commands);
    let page = |command: &clap::Command| {
        let more = command.get_after_long_help().map(ToString::to_string);
        let page = Man::new(command.clone().after_long_help(Resettable::Reset));
        let mut text = Vec::new();
        page.render(&mut text)?;
        write(&mut text, &more.unwrap_or_default())?;
        Ok(Page {
            name: page.get_filename(),
            text,
        })
    };
    commands.map(page).collect()
}
