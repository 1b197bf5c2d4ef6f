//! Modules: looking into them, rewriting them, mounting an image in them.
//!
//! Two routes lead to a packed module, and [`program`] takes one:
//!
//! - linked: `analyze → link → splice → mount → finish`; `undo` takes back what
//!   an earlier pack has done
//! - rewritten: `analyze → merge (graft, lower, splice) → mount → finish`, with the file
//!   system from the [`blob`]; an earlier pack's state is replaced
//!
//! Each is a file and a pure pass over the bytes of a module, all but `mount`,
//! which runs two functions of library or blob.

pub(crate) mod analyze;
pub(crate) mod blob;
pub(crate) mod checkpoint;
pub(crate) mod checkup;
mod code;
pub(crate) mod dense;
pub(crate) mod detach;
pub(crate) mod exposed;
pub(crate) mod features;
pub(crate) mod finish;
mod foreign;
mod graft;
pub(crate) mod init;
pub(crate) mod labels;
pub(crate) mod link;
mod lower;
pub(crate) mod merge;
pub(crate) mod mount;
mod origin;
pub(crate) mod packed;
pub(crate) mod parts;
pub(crate) mod policy;
pub(crate) mod program;
pub(crate) mod reach;
pub(crate) mod reason;
pub(crate) mod recognise;
pub(crate) mod refusal;
pub(crate) mod section;
pub(crate) mod splice;
pub(crate) mod state;
pub(crate) mod traced;
pub(crate) mod tracing;
pub(crate) mod undo;
mod unlink;

#[cfg(test)]
mod faithful;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod smith;
#[cfg(test)]
mod tests;
