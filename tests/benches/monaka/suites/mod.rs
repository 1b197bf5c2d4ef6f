//! The suites, in the order in which they run and stand in docs/BENCHMARKS.md.

mod calls;

use crate::Setup;
use crate::report::Chapter;

/// Something that is measured by itself.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Setup) -> Chapter,
}

pub(crate) const ALL: &[Suite] = &[Suite {
    name: "calls",
    about: "small calls: 1 byte, open, stat, create, rename, unlink",
    run: calls::run,
}];
