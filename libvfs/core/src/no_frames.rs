//! What stands for [`frames`](crate::frames) in a library without decoder: there are
//! no [`Frames`], so the compiler leaves out all that is about them.

use crate::errno::{Errno, Result};
use crate::extent::Part;

/// The frames of a file, of which there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {}

impl Frames {
    /// `NOTSUP`.
    pub fn at(_: u32) -> Result<Frames> {
        Err(Errno::NOTSUP)
    }
}

/// Nothing.
#[derive(Debug)]
pub struct Cache;

impl Cache {
    /// Nothing.
    #[expect(
        clippy::new_without_default,
        reason = "there is a decoder's to stand for"
    )]
    pub fn new() -> Cache {
        Cache
    }

    /// `NOTSUP`.
    pub fn prepare(&mut self) -> Result<()> {
        Err(Errno::NOTSUP)
    }

    /// Never called, as there are no frames.
    pub fn bytes(&mut self, _: &[u8], part: Part) -> Result<&[u8]> {
        match part.frames {}
    }
}
