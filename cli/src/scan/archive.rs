//! What reading an archive needs and tells, whichever kind it is.

use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::Result;

use super::ScanError;
use super::error::Problem;
use super::inflate::Budget;
use super::part::{Part, Spool};
use crate::output::{is_dash, shown};
use crate::progress::Progress;
use crate::shown::Shown;

/// An archive that is being read.
pub(super) struct Reading<'s> {
    /// What messages call it.
    pub(super) archive: String,
    pub(super) budget: Rc<Budget>,
    pub(super) spool: &'s mut Spool,
    pub(super) warnings: &'s mut Vec<String>,
    pub(super) progress: Progress,
}

/// What messages call an archive.
pub(super) fn name_of(path: &Path) -> String {
    match is_dash(path) {
        true => "stdin".into(),
        false => shown(path, "stdin"),
    }
}

impl Reading<'_> {
    /// Names the member that a problem is about.
    pub(super) fn member<T>(&self, name: &[u8], result: Result<T, Problem>) -> Result<T> {
        result.map_err(|problem| {
            ScanError::Member {
                archive: self.archive.clone(),
                member: name.into(),
                problem,
            }
            .into()
        })
    }

    /// Says where reading failed: at `member`, or before the first.
    pub(super) fn damaged(&self, member: Option<&[u8]>, error: &io::Error) -> anyhow::Error {
        if let Some(bomb) = self.budget.bomb(&self.archive) {
            return bomb.into();
        }
        ScanError::Damaged {
            archive: self.archive.clone(),
            member: member.map(Into::into),
            reason: match error.kind() {
                io::ErrorKind::UnexpectedEof => "it is cut off".into(),
                _ => error.to_string(),
            },
        }
        .into()
    }

    /// Says that something is no archive.
    pub(super) fn no_archive(&self, kind: &'static str, reason: impl ToString) -> anyhow::Error {
        if let Some(bomb) = self.budget.bomb(&self.archive) {
            return bomb.into();
        }
        ScanError::NoArchive {
            archive: self.archive.clone(),
            kind,
            reason: reason.to_string(),
        }
        .into()
    }

    /// Spools the `len` bytes of a member.
    pub(super) fn spool(&mut self, member: &[u8], from: &mut dyn Read, len: u64) -> Result<Part> {
        let part = self.spool.take(from)?;
        let part = part.map_err(|error| self.damaged(Some(member), &error))?;
        match part.len() == len {
            true => Ok(part),
            false => Err(self.damaged(Some(member), &io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Says what was passed over.
    pub(super) fn warn(&mut self, member: &[u8], what: &str) {
        let member = Shown(member);
        self.warnings
            .push(format!("{}: member {member}: {what}", self.archive));
    }
}
