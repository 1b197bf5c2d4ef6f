//! The contents of compressed files, decoded frame by frame while they are read.
//!
//! Table and frames are hostile: nothing of the image's check looks into them.

use std::io::{self, Read};

use monaka_vfs_core::frames;
use monaka_vfs_core::image::format::{FRAME, frames as frames_of};
use zstd::bulk::Decompressor;

/// What a compressed file contains.
pub(crate) struct Frames<'a> {
    /// Table and frames.
    stored: &'a [u8],
    /// How long the contents are.
    size: u64,
    /// The next frame to be decoded.
    next: u64,
    decompressor: Decompressor<'static>,
    /// What was decoded last, and how much of it was read.
    piece: Vec<u8>,
    read: usize,
}

impl<'a> Frames<'a> {
    /// The contents of `size` bytes that are stored so.
    pub(crate) fn new(stored: &'a [u8], size: u64) -> io::Result<Frames<'a>> {
        Ok(Frames {
            stored,
            size,
            next: 0,
            decompressor: Decompressor::new()?,
            piece: Vec::with_capacity(FRAME as usize),
            read: 0,
        })
    }

    fn decode(&mut self) -> io::Result<()> {
        let damaged = |what: &str| {
            let message = format!("compressed piece {} {what}", self.next);
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        let table = frames::Frames::at(0);
        let index = u32::try_from(self.next).map_err(|_| damaged("cannot be"))?;
        let frame = table.and_then(|table| table.frame(self.stored, index));
        let frame = frame.map_err(|_| damaged("lies elsewhere"))?;
        self.piece.clear();
        self.read = 0;
        let decoded = self
            .decompressor
            .decompress_to_buffer(frame, &mut self.piece);
        decoded.map_err(|error| damaged(&format!("cannot be decoded: {error}")))?;
        let expected = (self.size - self.next * FRAME).min(FRAME);
        if self.piece.len() as u64 != expected {
            let found = self.piece.len();
            self.piece.clear();
            return Err(damaged(&format!("has {found} bytes instead of {expected}")));
        }
        self.next += 1;
        Ok(())
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            if self.next == frames_of(self.size) {
                return Ok(0);
            }
            self.decode()?;
        }
        let read = (&self.piece[self.read..]).read(out)?;
        self.read += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contents of three frames, and how they are stored.
    fn compressed() -> (Vec<u8>, Vec<u8>) {
        let contents: Vec<u8> = (0..150_000u32).map(|n| (n / 700) as u8).collect();
        let pieces = contents.chunks(FRAME as usize);
        let pieces: Vec<Vec<u8>> = pieces
            .map(|piece| zstd::bulk::compress(piece, 3).unwrap())
            .collect();
        let mut at = 4 * (pieces.len() as u32 + 1);
        let mut stored = at.to_le_bytes().to_vec();
        for piece in &pieces {
            at += piece.len() as u32;
            stored.extend_from_slice(&at.to_le_bytes());
        }
        stored.extend(pieces.concat());
        (contents, stored)
    }

    fn read(stored: &[u8], size: usize) -> io::Result<Vec<u8>> {
        let mut contents = Vec::new();
        Frames::new(stored, size as u64)?.read_to_end(&mut contents)?;
        Ok(contents)
    }

    #[test]
    fn frames_are_read_one_after_the_other() {
        let (contents, stored) = compressed();
        assert!(read(&stored, contents.len()).unwrap() == contents);
    }

    #[test]
    fn damaged_frames_are_errors() {
        let (contents, stored) = compressed();
        for at in 0..stored.len().min(64) {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut stored = stored.clone();
                stored[at] ^= byte;
                // What decodes all the same is as long as it should be.
                if let Ok(found) = read(&stored, contents.len()) {
                    assert_eq!(found.len(), contents.len());
                }
            }
        }
        for len in 0..stored.len() {
            assert!(read(&stored[..len], contents.len()).is_err());
        }
        for size in [contents.len() - 1, contents.len() + 1, 10 * contents.len()] {
            let error = read(&stored, size).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
