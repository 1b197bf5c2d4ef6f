//! The program's memory, as the file system reaches it.
//!
//! An address is checked once, when a [`Region`] is made of it; copying to and
//! from a region cannot fail. Memory never shrinks, so a region stays valid.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};

/// A run of the program's bytes that lies inside its memory.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    at: u32,
    len: u32,
}

impl Region {
    /// Address of the first byte.
    pub fn at(self) -> u32 {
        self.at
    }

    /// Length in bytes.
    pub fn len(self) -> u32 {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The first `n` bytes (all of them, if there are fewer) and the rest.
    pub fn split(self, n: u32) -> (Region, Region) {
        let n = n.min(self.len);
        let head = Region {
            at: self.at,
            len: n,
        };
        let tail = Region {
            // Wraps only when both the region and its end are the memory's,
            // and then the tail is empty.
            at: self.at.wrapping_add(n),
            len: self.len - n,
        };
        (head, tail)
    }
}

/// Where bytes are [lent](GuestMemory::lend): in the first page, and not at its
/// start, which some hosts take for a null pointer.
pub(crate) const LENT: u32 = 1024;

/// How a home reaches the memory of the program it serves.
pub trait GuestMemory {
    /// The memory's size in bytes.
    fn size(&self) -> u64;

    /// Copies all of `from` into `to`, which has the same length.
    fn read(&self, from: Region, to: &mut [u8]);

    /// Appends all of `from` to `to`, whose capacity already suffices.
    fn append(&self, from: Region, to: &mut Vec<u8>);

    /// Copies `from` to `to`, which has the same length.
    fn write(&mut self, to: Region, from: &[u8]);

    /// Sets all of `to` to zero.
    fn zero(&mut self, to: Region);

    /// Checks that `len` bytes at `at` are the program's. `FAULT` if not.
    ///
    /// Nothing is looked at when `len` is 0, as Linux does; the region is then
    /// at 0, since `memory.copy` traps on a wild address even for no byte.
    fn region(&self, at: u32, len: u32) -> Result<Region> {
        if len == 0 {
            return Ok(Region { at: 0, len });
        }
        if u64::from(at) + u64::from(len) > self.size() {
            return Err(Errno::FAULT);
        }
        Ok(Region { at, len })
    }

    /// The little-endian `u32` at `at`.
    fn load_u32(&self, at: u32) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read(self.region(at, 4)?, &mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    /// Stores a little-endian `u32` at `at`.
    fn store_u32(&mut self, at: u32, value: u32) -> Result<()> {
        self.store(at, &value.to_le_bytes())
    }

    /// Stores a little-endian `u64` at `at`.
    fn store_u64(&mut self, at: u32, value: u64) -> Result<()> {
        self.store(at, &value.to_le_bytes())
    }

    /// Stores `bytes` at `at`.
    fn store(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let to = self.region(at, bytes.len() as u32)?;
        self.write(to, bytes);
        Ok(())
    }

    /// Lends `N` bytes of the program to `call`, which gets their address;
    /// answers what it has left there and puts the program's own back.
    ///
    /// For what the file system asks the host for itself: the host writes to no
    /// memory but the program's. `FAULT` if that is too small.
    fn lend<const N: usize>(
        &mut self,
        call: impl FnOnce(&mut Self, u32) -> Result<()>,
    ) -> Result<[u8; N]> {
        let lent = self.region(LENT, N as u32)?;
        let (mut kept, mut left) = ([0; N], [0; N]);
        self.read(lent, &mut kept);
        let outcome = call(self, LENT);
        self.read(lent, &mut left);
        self.write(lent, &kept);
        outcome.map(|()| left)
    }
}
