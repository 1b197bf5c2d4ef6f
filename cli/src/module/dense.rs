//! Whether an engine can map the initial memory, or must copy it at each start.
//!
//! wasmtime lays out what stands in the memories when it compiles a module, and maps that
//! copy-on-write when it starts one: then a start costs the same whatever is packed. It
//! does so for all memories of a module or for none. A large memory must have data in
//! half of it, as what lies between is laid out, too; where less is, all data is copied at
//! each start. Compare `ModuleTranslation::try_static_init` in wasmtime-environ.

use std::collections::BTreeMap;

use anyhow::Result;
use wasmparser::{BinaryReader, DataKind, DataSectionReader, Operator};

use crate::report;

/// Less than this may have gaps of any size: `memory_guaranteed_dense_image_size`.
const SMALL: u64 = 16 << 20;

/// Where the data of a memory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    first: u64,
    end: u64,
    /// What there is in it, without gaps.
    bytes: u64,
}

impl Extent {
    fn len(self) -> u64 {
        self.end - self.first
    }

    /// It must be shorter than this.
    fn limit(self) -> u64 {
        self.bytes.saturating_mul(2).max(SMALL)
    }
}

/// What stands in a module's memories when it starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Initial {
    extents: BTreeMap<u32, Extent>,
    /// A segment's address is not written down as a number.
    floats: bool,
}

impl Initial {
    /// What the first `segments` of a data section say.
    pub(crate) fn of(data: &[u8], segments: u64) -> Result<Initial> {
        let mut initial = Initial::default();
        let reader = DataSectionReader::new(BinaryReader::new(data, 0))?;
        for segment in reader.into_iter().take(segments as usize) {
            let segment = segment?;
            let DataKind::Active {
                memory_index,
                offset_expr,
            } = segment.kind
            else {
                continue;
            };
            let mut operators = offset_expr.get_operators_reader();
            let address = match operators.read()? {
                Operator::I32Const { value } => Some(u64::from(value as u32)),
                Operator::I64Const { value } => Some(value as u64),
                _ => None,
            };
            match address.filter(|_| operators.is_end_then_eof()) {
                Some(address) => initial.add(memory_index, address, segment.data.len() as u64),
                None => initial.floats = true,
            }
        }
        Ok(initial)
    }

    /// Adds a segment.
    pub(crate) fn add(&mut self, memory: u32, address: u64, len: u64) {
        if len != 0 {
            let end = address.saturating_add(len);
            self.cover(memory, address, end, len);
        }
    }

    /// Adds what stands in the first memory of another module, `base` bytes further on
    /// in `memory`.
    pub(crate) fn append(&mut self, other: &Initial, memory: u32, base: u64) {
        if let Some(extent) = other.extents.get(&0) {
            let Extent { first, end, bytes } = *extent;
            self.cover(memory, base + first, base + end, bytes);
        }
    }

    fn cover(&mut self, memory: u32, first: u64, end: u64, bytes: u64) {
        let nothing = Extent {
            first,
            end,
            bytes: 0,
        };
        let extent = self.extents.entry(memory).or_insert(nothing);
        extent.first = extent.first.min(first);
        extent.end = extent.end.max(end);
        extent.bytes += bytes;
    }

    /// Whether an engine can map it.
    pub(crate) fn is_mapped(&self) -> bool {
        !self.floats
            && self
                .extents
                .values()
                .all(|extent| extent.len() < extent.limit())
    }

    /// What the user should know: what is copied at each start, if it is.
    pub(crate) fn notice(&self) -> Option<String> {
        /// What copying less takes goes under in all else that a start does.
        const WORTH_SAYING: u64 = 1 << 20;
        let bytes = self.extents.values().map(|extent| extent.bytes).sum();
        (!self.is_mapped() && bytes >= WORTH_SAYING).then(|| {
            format!(
                "wasmtime copies {} at each start, as the data is too sparse to be mapped",
                report::bytes(bytes)
            )
        })
    }

    /// How many bytes what lies at the end of `memory` could move up with this
    /// unchanged; all where that changes nothing, as it is copied anyway.
    pub(crate) fn room(&self, memory: u32) -> u64 {
        match self.extents.get(&memory) {
            Some(extent) if self.is_mapped() => extent.limit() - extent.len() - 1,
            _ => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::ConstExpr;

    use super::*;
    use crate::module::section::{encoded, id};

    const MB: u64 = 1 << 20;

    fn initial(segments: &[(u32, u64, u64)]) -> Initial {
        let mut initial = Initial::default();
        for &(memory, address, len) in segments {
            initial.add(memory, address, len);
        }
        initial
    }

    #[test]
    fn what_is_small_or_half_full_is_mapped() {
        assert!(initial(&[]).is_mapped());
        assert!(initial(&[(0, 1024, 1), (0, 15 * MB, 1)]).is_mapped());
        assert!(!initial(&[(0, 1024, 1), (0, 17 * MB, 1)]).is_mapped());
        assert!(initial(&[(0, 100 * MB, 1), (0, 115 * MB, 1)]).is_mapped());
        assert!(initial(&[(0, 0, 20 * MB), (0, 30 * MB, 1)]).is_mapped());
        assert!(!initial(&[(0, 0, 20 * MB), (0, 41 * MB, 1)]).is_mapped());
        assert!(initial(&[(0, 0, 1), (0, 41 * MB, 0)]).is_mapped());
    }

    #[test]
    fn one_memory_that_is_not_leaves_none_mapped() {
        let sparse = [(0, 0, 1), (0, 17 * MB, 1)];
        assert!(!initial(&[(1, 0, 50 * MB), sparse[0], sparse[1]]).is_mapped());
        assert!(initial(&[(1, 0, 50 * MB), (0, 0, 1), (2, 17 * MB, 1)]).is_mapped());
    }

    #[test]
    fn there_is_room_up_to_where_it_is_no_longer_mapped() {
        for program in [1, 3 * MB, 9 * MB, 40 * MB] {
            let segments = |at| [(0, 1024, program), (0, at, MB)];
            let near = initial(&segments(1024 + program));
            let room = near.room(0);
            assert!(initial(&segments(1024 + program + room)).is_mapped());
            assert!(!initial(&segments(1024 + program + room + 1)).is_mapped());
        }
        assert_eq!(initial(&[(0, 0, 1), (0, 17 * MB, 1)]).room(0), u64::MAX);
    }

    #[test]
    fn addresses_that_are_no_numbers_are_not_mapped() {
        let data = |offset: &ConstExpr| {
            let mut section = wasm_encoder::DataSection::new();
            section.active(0, offset, [1]);
            section.passive([2]);
            let section = encoded(id::DATA, &section);
            Initial::of(&section.data, 2)
                .expect("a data section")
                .is_mapped()
        };
        assert!(data(&ConstExpr::i32_const(8)));
        assert!(!data(&ConstExpr::global_get(0)));
        assert!(!data(
            &ConstExpr::i32_const(8).with_i32_const(8).with_i32_add()
        ));
    }
}
