//! Finds positions by hash: the index of a large directory.
//!
//! An open-addressing table with linear probing. Each slot keeps its whole hash, so
//! that nothing but the table is touched when entries move, and names are compared
//! only where hashes are equal. Removing moves back what was pushed away; there are no
//! tombstones.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};

/// A hash and what it stands for.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    /// [`EMPTY`] if there is nothing here.
    position: u32,
}

/// No directory has so many entries.
const EMPTY: u32 = u32::MAX;

/// Positions by hash.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// A power of two of them, or none.
    slots: Vec<Slot>,
    len: u32,
}

impl Index {
    /// How many positions there are.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes room for `additional` more. `NOSPC` when memory is out.
    pub(crate) fn reserve(&mut self, additional: usize) -> Result<()> {
        // At most four in five are taken: then a look-up tries three, and one that
        // finds nothing thirteen.
        let wanted = (self.len() + additional) * 5 / 4 + 1;
        if wanted <= self.slots.len() {
            return Ok(());
        }
        let count = wanted.next_power_of_two();
        let mut slots = Vec::new();
        slots.try_reserve_exact(count).map_err(|_| Errno::NOSPC)?;
        slots.resize(
            count,
            Slot {
                hash: 0,
                position: EMPTY,
            },
        );
        let old = core::mem::replace(&mut self.slots, slots);
        self.len = 0;
        for slot in old.iter().filter(|slot| slot.position != EMPTY) {
            self.insert(slot.hash, slot.position);
        }
        Ok(())
    }

    /// Forgets all; the room stays.
    pub(crate) fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.position = EMPTY;
        }
        self.len = 0;
    }

    /// The position for which `is` is true, of those with that hash.
    pub(crate) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.probe(hash, is).map(|at| self.slots[at].position)
    }

    /// Adds a position, for which there is [room](Index::reserve).
    pub(crate) fn insert(&mut self, hash: u32, position: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].position != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { hash, position };
        self.len += 1;
    }

    /// Takes a position out.
    pub(crate) fn remove(&mut self, hash: u32, position: u32) {
        let Some(mut hole) = self.probe(hash, |there| there == position) else {
            return;
        };
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.position == EMPTY {
                break;
            }
            // It may move to the hole if that is not before where it belongs.
            let pushed = at.wrapping_sub(slot.hash as usize) & mask;
            if pushed >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole].position = EMPTY;
        self.len -= 1;
    }

    fn probe(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.position == EMPTY {
                return None;
            }
            if slot.hash == hash && is(slot.position) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    /// Hashes that collide at both ends of the table, and some that do not.
    fn hash(position: u32) -> u32 {
        match position % 4 {
            0 => u32::MAX,
            1 => 0,
            2 => position & 7,
            _ => position.wrapping_mul(0x9e37_79b9),
        }
    }

    #[test]
    fn positions_are_found_until_they_are_removed() {
        let mut index = Index::default();
        let mut model = BTreeMap::new();
        let mut state = 1u32;
        assert_eq!(index.find(7, |_| true), None);
        for _ in 0..if cfg!(miri) { 300 } else { 20_000 } {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let position = (state >> 8) % 200;
            if model.remove(&position).is_some() {
                index.remove(hash(position), position);
            } else {
                index.reserve(1).unwrap();
                index.insert(hash(position), position);
                model.insert(position, ());
            }
            assert_eq!(index.len(), model.len());
            assert_eq!(index.is_empty(), model.is_empty());
            if state.is_multiple_of(64) {
                for position in 0..200 {
                    let found = index.find(hash(position), |there| there == position);
                    let expected = model.contains_key(&position).then_some(position);
                    assert_eq!(found, expected);
                }
            }
        }
        index.clear();
        assert_eq!(index.find(0, |_| true), None);
        assert!(index.slots.len() <= 256, "{}", index.slots.len());
    }
}
