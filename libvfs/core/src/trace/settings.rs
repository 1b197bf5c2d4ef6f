//! What a tracer does, as `pack` tells it.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | where lines go: 0 stderr, 1 the file of a number, 2 monaka's own host |
//! | 4 | that number |
//! | 8 | where in the file the log begins |
//! | 1 | 1: calls are logged, 2: inodes are reported, 4: the host serves all calls |
//! | 8 | the calls that are logged |
//! | 4 | how many rules follow |
//!
//! and for each rule: its calls (8), errno (2), the first call that it is for (4),
//! whether it is for all behind (1), and its pattern with its length (4) in front.
//! All little-endian.

use alloc::vec::Vec;

use super::call::CallSet;
use crate::errno::{Errno, Result};

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The host's descriptor 2.
    Stderr,
    /// The packed file of that number, from that byte on.
    File(u32, u64),
    /// The host that `monaka run` is.
    Monaka,
}

/// Calls that fail without being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which calls.
    pub calls: CallSet,
    /// A [pattern](super::glob) of their paths.
    pub pattern: Vec<u8>,
    /// What they answer.
    pub errno: Errno,
    /// Which of the calls that match is the first, from 1 on.
    pub first: u32,
    /// Whether those behind it are meant, too.
    pub onwards: bool,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the lines go.
    pub to: Destination,
    /// Whether calls are logged, with a summary at the end.
    pub log: bool,
    /// Which.
    pub calls: CallSet,
    /// Whether the inodes that calls reach are reported.
    pub profile: bool,
    /// Whether calls go to the host rather than to the packed files.
    pub pass: bool,
    /// Calls that fail.
    pub faults: Vec<Fault>,
}

const LOG: u8 = 1;
const PROFILE: u8 = 2;
const PASS: u8 = 4;

impl Settings {
    /// Nothing at all.
    pub const NONE: Settings = Settings {
        to: Destination::Stderr,
        log: false,
        calls: CallSet::ALL,
        profile: false,
        pass: false,
        faults: Vec::new(),
    };

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (to, number, start) = match self.to {
            Destination::Stderr => (0, 0, 0),
            Destination::File(number, start) => (1, number, start),
            Destination::Monaka => (2, 0, 0),
        };
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.log, LOG) | flag(self.profile, PROFILE) | flag(self.pass, PASS);
        let mut out = Vec::new();
        out.push(to);
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&start.to_le_bytes());
        out.push(flags);
        out.extend_from_slice(&self.calls.to_raw().to_le_bytes());
        out.extend_from_slice(&(self.faults.len() as u32).to_le_bytes());
        for fault in &self.faults {
            out.extend_from_slice(&fault.calls.to_raw().to_le_bytes());
            out.extend_from_slice(&fault.errno.raw().to_le_bytes());
            out.extend_from_slice(&fault.first.to_le_bytes());
            out.push(u8::from(fault.onwards));
            out.extend_from_slice(&(fault.pattern.len() as u32).to_le_bytes());
            out.extend_from_slice(&fault.pattern);
        }
        out
    }

    /// Reads what [`encode`](Settings::encode) wrote. `INVAL` if it is something
    /// else, `NOMEM` when memory is out.
    pub fn decode(bytes: &[u8]) -> Result<Settings> {
        let mut reader = Reader(bytes);
        let (to, number, start) = (reader.u8()?, reader.u32()?, reader.u64()?);
        let flags = reader.u8()?;
        let mut settings = Settings {
            to: match to {
                0 => Destination::Stderr,
                1 => Destination::File(number, start),
                2 => Destination::Monaka,
                _ => return Err(Errno::INVAL),
            },
            log: flags & LOG != 0,
            calls: CallSet::from_raw(reader.u64()?),
            profile: flags & PROFILE != 0,
            pass: flags & PASS != 0,
            faults: Vec::new(),
        };
        for _ in 0..reader.u32()? {
            let calls = CallSet::from_raw(reader.u64()?);
            let errno = u32::from(reader.u8()?) | u32::from(reader.u8()?) << 8;
            let (first, onwards) = (reader.u32()?, reader.u8()? != 0);
            let len = reader.u32()?;
            let pattern = super::paths::copy(reader.take(len as usize)?);
            let faults = &mut settings.faults;
            faults.try_reserve(1).map_err(|_| Errno::NOMEM)?;
            faults.push(Fault {
                calls,
                pattern: pattern.ok_or(Errno::NOMEM)?,
                errno: Errno::from_raw(errno).ok_or(Errno::INVAL)?,
                first,
                onwards,
            });
        }
        match reader.0 {
            [] => Ok(settings),
            _ => Err(Errno::INVAL),
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Errno::INVAL)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn settings_survive_encoding_and_nothing_else_is_taken_for_them() {
        let settings = Settings {
            to: Destination::File(7, 43),
            log: true,
            profile: false,
            pass: true,
            calls: CallSet::named("create").unwrap(),
            faults: vec![Fault {
                calls: CallSet::ALL,
                pattern: b"/db/*".to_vec(),
                errno: Errno::NOSPC,
                first: 3,
                onwards: true,
            }],
        };
        let bytes = settings.encode();
        assert_eq!(Settings::decode(&bytes), Ok(settings));
        for len in 0..bytes.len() {
            assert_eq!(Settings::decode(&bytes[..len]), Err(Errno::INVAL));
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Settings::decode(&longer), Err(Errno::INVAL));
        let none = Settings::NONE.encode();
        assert_eq!(Settings::decode(&none), Ok(Settings::NONE));
    }
}
