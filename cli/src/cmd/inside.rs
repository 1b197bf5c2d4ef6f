//! What the commands that look inside have in common: a file and paths in it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::find::{Found, Last};
use crate::mapdir::to_bytes;
use crate::report::{self, Hinted};
use crate::stored::Stored;

/// A packed module or an image file, and paths in it.
#[derive(clap::Args)]
pub(crate) struct Inside {
    /// A packed module or an image file; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Paths in the packed tree; the root directory if none is given
    #[arg(value_name = "PATH")]
    paths: Vec<OsString>,
}

impl Inside {
    /// Opens the file.
    pub(crate) fn open(&self) -> Result<Stored> {
        Stored::open(&self.input)
    }

    /// What the only path leads to.
    pub(crate) fn only<'s>(&self, stored: &'s Stored) -> Result<Found<'s>> {
        match &self.paths[..] {
            [] => stored.find(b"/", Last::Keep),
            [path] => stored.find(&to_bytes(path)?, Last::Keep),
            _ => Err(Hinted::new(
                "one page shows one PATH",
                "leave the others out, or write a page for each",
            )
            .into()),
        }
    }

    /// Whether several paths were given.
    pub(crate) fn are_many(&self) -> bool {
        self.paths.len() > 1
    }

    /// Does something with each path. An error of one is told, and the others
    /// have their turn all the same.
    pub(crate) fn each(&self, act: impl FnMut(&[u8]) -> Result<()>) -> Result<ExitCode> {
        match self.paths.is_empty() {
            true => each(&[OsString::from("/")], act),
            false => each(&self.paths, act),
        }
    }
}

/// Does something with each path. An error of one is told, and the others have
/// their turn all the same; but not where nobody reads the output any more.
pub(crate) fn each(
    paths: &[OsString],
    mut act: impl FnMut(&[u8]) -> Result<()>,
) -> Result<ExitCode> {
    let mut status = ExitCode::SUCCESS;
    for path in paths {
        let done = to_bytes(path)
            .map_err(Into::into)
            .and_then(|path| act(&path));
        if let Err(error) = done {
            if error.root_cause().is::<std::io::Error>() {
                return Err(error);
            }
            report::error(&error);
            status = ExitCode::FAILURE;
        }
    }
    Ok(status)
}
