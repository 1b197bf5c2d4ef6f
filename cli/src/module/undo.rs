//! What a pack changed in a module's initial state, so that it can be taken
//! back: packing again starts from the program as it was.
//!
//! Encoded as the custom section `monaka.undo`, all integers LEB128:
//!
//! ```text
//! segments                                     data segments that code names
//! memories { minimum  runs { gap  length·2+kind  old bytes, if kind = 1 } }
//! globals  { index  length  old initial expression, without its end }
//! ```
//!
//! A run's gap counts from the end of the one before; kind 0 stands for zeros.

use wasmparser::{BinaryReader, BinaryReaderError};

use super::section::write_leb;

/// The custom section's name.
pub(crate) const SECTION: &str = "monaka.undo";

/// Runs of changed bytes closer than this are kept as one.
const MERGE: usize = 8;

/// The state before the mount, as far as the mount changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Undo {
    /// Data segments below this index stay at their index.
    pub(crate) segments: u32,
    pub(crate) memories: Vec<MemoryUndo>,
    /// Index and old initial expression (without its end) of changed globals.
    pub(crate) globals: Vec<(u32, Vec<u8>)>,
}

/// One memory's old state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryUndo {
    /// In pages.
    pub(crate) minimum: u64,
    pub(crate) runs: Vec<Run>,
}

/// Bytes that were changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) address: u64,
    pub(crate) old: Old,
}

/// What stood there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    Zeros(u64),
    Bytes(Vec<u8>),
}

impl Run {
    fn len(&self) -> u64 {
        match &self.old {
            Old::Zeros(len) => *len,
            Old::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The first address behind the run.
    pub(crate) fn end(&self) -> u64 {
        self.address.saturating_add(self.len())
    }
}

/// Where `new` differs from `old`, which is followed by zeros up to `new`'s length.
pub(crate) fn changes(old: &[u8], new: &[u8]) -> Vec<Run> {
    const BLOCK: usize = 4096;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for start in (0..new.len()).step_by(BLOCK) {
        let now = &new[start..new.len().min(start + BLOCK)];
        let known = &old[start.min(old.len())..old.len().min(start + now.len())];
        let zeros = &[0; BLOCK][..now.len() - known.len()];
        if now[..known.len()] == *known && now[known.len()..] == *zeros {
            continue;
        }
        let before = known.iter().chain(zeros);
        for (at, _) in before
            .zip(now)
            .enumerate()
            .filter(|(_, (before, now))| before != now)
        {
            let at = start + at;
            match runs.last_mut() {
                Some((_, end)) if at - *end < MERGE => *end = at + 1,
                _ => runs.push((at, at + 1)),
            }
        }
    }
    let old_bytes = |(start, end): (usize, usize)| {
        let mut bytes = vec![0; end - start];
        let known = &old[start.min(old.len())..end.min(old.len())];
        bytes[..known.len()].copy_from_slice(known);
        match bytes.iter().all(|byte| *byte == 0) {
            true => Old::Zeros(bytes.len() as u64),
            false => Old::Bytes(bytes),
        }
    };
    let run = |range: (usize, usize)| Run {
        address: range.0 as u64,
        old: old_bytes(range),
    };
    runs.into_iter().map(run).collect()
}

impl Undo {
    /// The section's payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_leb(&mut out, u64::from(self.segments));
        write_leb(&mut out, self.memories.len() as u64);
        for memory in &self.memories {
            write_leb(&mut out, memory.minimum);
            write_leb(&mut out, memory.runs.len() as u64);
            let mut end = 0;
            for run in &memory.runs {
                write_leb(&mut out, run.address - end);
                end = run.end();
                match &run.old {
                    Old::Zeros(len) => write_leb(&mut out, len << 1),
                    Old::Bytes(bytes) => {
                        write_leb(&mut out, (bytes.len() as u64) << 1 | 1);
                        out.extend_from_slice(bytes);
                    }
                }
            }
        }
        write_leb(&mut out, self.globals.len() as u64);
        for (index, init) in &self.globals {
            write_leb(&mut out, u64::from(*index));
            write_leb(&mut out, init.len() as u64);
            out.extend_from_slice(init);
        }
        out
    }

    /// Reads what [`encode`](Undo::encode) wrote.
    pub(crate) fn decode(payload: &[u8]) -> Result<Undo, BinaryReaderError> {
        let mut reader = BinaryReader::new(payload, 0);
        let mut undo = Undo {
            segments: reader.read_var_u32()?,
            ..Undo::default()
        };
        for _ in 0..reader.read_var_u32()? {
            let mut memory = MemoryUndo {
                minimum: reader.read_var_u64()?,
                runs: Vec::new(),
            };
            let mut end = 0u64;
            for _ in 0..reader.read_var_u32()? {
                let address = end.saturating_add(reader.read_var_u64()?);
                let len = reader.read_var_u64()?;
                let old = match len & 1 {
                    0 => Old::Zeros(len >> 1),
                    _ => Old::Bytes(reader.read_bytes((len >> 1) as usize)?.to_vec()),
                };
                let run = Run { address, old };
                end = run.end();
                memory.runs.push(run);
            }
            undo.memories.push(memory);
        }
        for _ in 0..reader.read_var_u32()? {
            let index = reader.read_var_u32()?;
            let len = reader.read_var_u32()?;
            undo.globals
                .push((index, reader.read_bytes(len as usize)?.to_vec()));
        }
        Ok(undo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_lead_back() {
        let old = b"some initial data".to_vec();
        let mut new = old.clone();
        new.resize(20_000, 0);
        new[3] = b'X';
        new[5] = b'Y';
        new[16] = 0;
        new[40] = 7;
        new[12_000..12_100].fill(1);
        let runs = changes(&old, &new);
        let addresses: Vec<u64> = runs.iter().map(|run| run.address).collect();
        assert_eq!(addresses, [3, 16, 40, 12_000]);
        assert_eq!(runs[3].old, Old::Zeros(100));
        for run in &runs {
            let at = run.address as usize..run.end() as usize;
            match &run.old {
                Old::Zeros(_) => new[at].fill(0),
                Old::Bytes(bytes) => new[at].copy_from_slice(bytes),
            }
        }
        assert_eq!(new[..old.len()], old);
        assert!(new[old.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn encoding_round_trips() {
        let undo = Undo {
            segments: 3,
            memories: vec![MemoryUndo {
                minimum: 300,
                runs: vec![
                    Run {
                        address: 70_000,
                        old: Old::Zeros(9),
                    },
                    Run {
                        address: 70_100,
                        old: Old::Bytes(b"old".to_vec()),
                    },
                ],
            }],
            globals: vec![(2, vec![0x41, 0x10])],
        };
        let bytes = undo.encode();
        assert_eq!(Undo::decode(&bytes).unwrap(), undo);
        for len in 0..bytes.len() {
            assert!(
                Undo::decode(&bytes[..len]).is_err(),
                "{len} bytes were enough"
            );
        }
    }
}
