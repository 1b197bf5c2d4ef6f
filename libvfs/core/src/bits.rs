//! Many booleans in little memory.

use alloc::vec::Vec;

/// A fixed number of bits.
#[derive(Debug, Default)]
pub(crate) struct Bits(Vec<u8>);

impl Bits {
    /// `len` bits, none of them set. `None` when memory is out.
    pub(crate) fn new(len: usize) -> Option<Bits> {
        let len = len.div_ceil(8);
        let mut bits = Vec::new();
        bits.try_reserve_exact(len).ok()?;
        bits.resize(len, 0);
        Some(Bits(bits))
    }

    /// The bit at `index`.
    pub(crate) fn get(&self, index: u32) -> bool {
        self.0[index as usize / 8] & 1 << (index % 8) != 0
    }

    /// Sets the bit at `index`.
    pub(crate) fn set(&mut self, index: u32) {
        self.0[index as usize / 8] |= 1 << (index % 8);
    }
}
