//! Modules: looking into them, rewriting them, mounting an image in them.
//!
//! `analyze → link → splice → mount → finish`, each a file and a pure pass over
//! the bytes of a module (all but `mount`, which runs the library's two
//! functions). `packed` reads and takes back what an earlier pack has done.

pub(crate) mod analyze;
pub(crate) mod refusal;
pub(crate) mod section;
pub(crate) mod splice;
