//! Modules: looking into them, rewriting them, mounting an image in them.
//!
//! `analyze → link → splice → mount → finish`, each a file and a pure pass over
//! the bytes of a module (all but `mount`, which runs the library's two
//! functions). `packed` and `undo` take back what an earlier pack has done.

pub(crate) mod analyze;
pub(crate) mod blob;
mod code;
pub(crate) mod finish;
pub(crate) mod link;
pub(crate) mod mount;
pub(crate) mod packed;
pub(crate) mod program;
pub(crate) mod recognise;
pub(crate) mod refusal;
pub(crate) mod section;
pub(crate) mod splice;
pub(crate) mod undo;

#[cfg(test)]
mod tests;
