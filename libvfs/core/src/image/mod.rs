//! The packed image. See docs/SPEC.md.

/// Image placement.
pub const ALIGN: usize = 4096;
