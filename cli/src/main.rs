//! The `monaka` command.

mod access;
mod build;
mod cmd;
mod compare;
mod cwd;
mod dates;
mod entry;
mod find;
mod frames;
mod furnish;
mod host;
mod json;
mod listing;
mod mapdir;
mod module;
mod output;
mod policy;
mod progress;
mod remains;
mod report;
mod sbom;
mod scan;
mod shown;
mod stored;
mod unpack;
mod walk;

use std::process::ExitCode;

fn main() -> ExitCode {
    let status = cmd::Cli::read().and_then(cmd::Cli::run);
    status.unwrap_or_else(|error| {
        report::error(&error);
        ExitCode::FAILURE
    })
}
