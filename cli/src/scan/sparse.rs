//! Files with holes in tar archives, in the three ways in which GNU tar has
//! written them with pax headers; the tar crate knows only the way before.

use std::io::{self, Read};

/// What pax headers say of a sparse file.
#[derive(Clone, Default)]
pub(super) struct Sparse {
    /// Its name, where the member's is made up.
    pub(super) name: Option<Vec<u8>>,
    /// Its length with the holes.
    len: Option<u64>,
    /// Offset and length of what is stored, in order.
    map: Vec<(u64, u64)>,
    /// An offset whose length is still to come.
    offset: Option<u64>,
    /// Whether the map stands before the contents.
    in_contents: bool,
}

/// As much as a map may take before a file's contents.
const MAX_MAP: usize = 1 << 20;

/// Members, and maps before contents, fill blocks of so many bytes.
const BLOCK: usize = 512;

impl Sparse {
    /// Looks at a pax header.
    pub(super) fn header(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"GNU.sparse.name" => self.name = Some(value.into()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.len = Some(number(value)?),
            b"GNU.sparse.major" => self.in_contents = number(value)? == 1,
            b"GNU.sparse.offset" => self.offset = Some(number(value)?),
            b"GNU.sparse.numbytes" => {
                let offset = self.offset.take().ok_or_else(invalid)?;
                self.map.push((offset, number(value)?));
            }
            b"GNU.sparse.map" => {
                let numbers = value.split(|&byte| byte == b',');
                let numbers: Vec<u64> = numbers.map(number).collect::<io::Result<_>>()?;
                self.map = pairs(&numbers)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The file's length, if the member is one with holes.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// The file, whose stored bytes are in `stored`.
    pub(super) fn reader<R: Read>(mut self, mut stored: R) -> io::Result<Filled<R>> {
        if self.in_contents {
            self.map = read_map(&mut stored)?;
        }
        let len = self.len.unwrap_or(0);
        let mut end = 0;
        for (offset, bytes) in &self.map {
            if *offset < end {
                return Err(invalid());
            }
            end = offset.checked_add(*bytes).ok_or_else(invalid)?;
        }
        if end > len {
            return Err(invalid());
        }
        self.map.reverse();
        Ok(Filled {
            stored,
            map: self.map,
            at: 0,
            len,
        })
    }
}

impl<R> Filled<R> {
    /// How much of the file is not stored.
    pub(super) fn holes(&self) -> u64 {
        let stored: u64 = self.map.iter().map(|(_, bytes)| bytes).sum();
        self.len - stored
    }
}

/// A file with zeros for its holes.
pub(super) struct Filled<R> {
    stored: R,
    /// What is still to come, the next last.
    map: Vec<(u64, u64)>,
    at: u64,
    len: u64,
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.map.last().is_some_and(|(_, bytes)| *bytes == 0) {
            self.map.pop();
        }
        let next = self.map.last().map_or(self.len, |(offset, _)| *offset);
        let in_hole = next > self.at;
        let end = match (in_hole, self.map.last()) {
            (false, Some((offset, bytes))) => offset + bytes,
            _ => next,
        };
        let wanted = (end - self.at).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..wanted];
        let read = if in_hole {
            buffer.fill(0);
            wanted
        } else if wanted == 0 {
            0
        } else {
            match self.stored.read(buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            }
        };
        self.at += read as u64;
        if !in_hole && self.at == end {
            self.map.pop();
        }
        Ok(read)
    }
}

/// A count, then offsets and lengths, a decimal number a line, up to the end of
/// a block.
fn read_map(stored: &mut impl Read) -> io::Result<Vec<(u64, u64)>> {
    let mut text = Vec::new();
    let mut block = [0; BLOCK];
    loop {
        stored.read_exact(&mut block)?;
        text.extend_from_slice(&block);
        let mut lines = text.split(|&byte| byte == b'\n');
        let complete = text.iter().filter(|&&byte| byte == b'\n').count();
        let count = match lines.next() {
            Some(first) if complete > 0 => number(first)?,
            _ => u64::MAX,
        };
        if count.saturating_mul(2) < complete as u64 {
            let numbers = lines.take(count as usize * 2).map(number);
            return pairs(&numbers.collect::<io::Result<Vec<_>>>()?);
        }
        if text.len() >= MAX_MAP {
            return Err(invalid());
        }
    }
}

fn pairs(numbers: &[u64]) -> io::Result<Vec<(u64, u64)>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    match rest {
        [] => Ok(pairs.iter().map(|[offset, len]| (*offset, *len)).collect()),
        _ => Err(invalid()),
    }
}

fn number(text: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(invalid)
}

fn invalid() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the map of a file with holes is wrong",
    )
}
