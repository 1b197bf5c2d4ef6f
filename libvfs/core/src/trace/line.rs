//! A line of the log on its way: a buffer of a fixed size, so that writing to it
//! cannot fail. What does not fit is cut off.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};

/// The longest line. The end of it is for what a call answers.
pub const LINE_MAX: usize = 1024;

/// What is kept of a line for the end.
const END: usize = 128;

/// The most of a path or another text that is shown, in characters of the log.
const TEXT_MAX: usize = 300;

/// A line.
#[derive(Debug)]
pub(super) struct Line {
    bytes: Vec<u8>,
    most: usize,
}

impl Line {
    /// An empty one. `NOMEM` when memory is out.
    pub(super) fn new() -> Result<Line> {
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(LINE_MAX)
            .map_err(|_| Errno::NOMEM)?;
        Ok(Line { bytes, most: 0 })
    }

    /// Begins a new one.
    pub(super) fn start(&mut self) {
        self.bytes.clear();
        self.most = LINE_MAX - END;
    }

    /// From here on there is room for the end.
    pub(super) fn end(&mut self) {
        self.most = LINE_MAX;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn byte(&mut self, byte: u8) {
        if self.bytes.len() < self.most {
            self.bytes.push(byte);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            self.byte(byte);
        }
    }

    /// A number, with blanks in front up to `width`.
    pub(super) fn aligned(&mut self, number: u64, width: usize) {
        let digits = number.checked_ilog10().map_or(1, |log| log as usize + 1);
        for _ in digits..width {
            self.byte(b' ');
        }
        for digit in (0..digits as u32).rev() {
            self.byte(b'0' + (number / 10u64.pow(digit) % 10) as u8);
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        self.aligned(number, 0);
    }

    pub(super) fn signed(&mut self, number: i64) {
        if number < 0 {
            self.byte(b'-');
        }
        self.number(number.unsigned_abs());
    }

    /// Seconds of so many nanoseconds, with what there is behind the point.
    pub(super) fn seconds(&mut self, nanoseconds: u64) {
        const SECOND: u64 = 1_000_000_000;
        self.number(nanoseconds / SECOND);
        let (mut rest, mut digit) = (nanoseconds % SECOND, SECOND / 10);
        if rest != 0 {
            self.byte(b'.');
        }
        while rest != 0 {
            self.byte(b'0' + (rest / digit) as u8);
            rest %= digit;
            digit /= 10;
        }
    }

    /// A text of the program's, with all but letters and the like escaped, so that
    /// it does no harm to a terminal; and cut where it is long.
    pub(super) fn escaped(&mut self, text: &[u8], quote: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let from = self.bytes.len();
        for &byte in text {
            if self.bytes.len() - from > TEXT_MAX {
                return self.text("...");
            }
            match byte {
                b'\n' => self.text("\\n"),
                b'\t' => self.text("\\t"),
                b'\r' => self.text("\\r"),
                b'\\' => self.text("\\\\"),
                b' '..=b'~' if byte != quote => self.byte(byte),
                _ => {
                    self.text("\\x");
                    self.byte(HEX[usize::from(byte >> 4)]);
                    self.byte(HEX[usize::from(byte & 15)]);
                }
            }
        }
    }

    /// The names of the bits that are set, and the number that the others make.
    pub(super) fn bits(&mut self, bits: u64, names: &[(u64, &str)]) {
        let mut left = bits;
        let mut first = true;
        for (bit, name) in names {
            if left & bit == *bit {
                left &= !bit;
                self.or(&mut first);
                self.text(name);
            }
        }
        if left != 0 || first {
            self.or(&mut first);
            self.number(left);
        }
    }

    fn or(&mut self, first: &mut bool) {
        if !core::mem::replace(first, false) {
            self.byte(b'|');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn made(make: impl FnOnce(&mut Line)) -> String {
        let mut line = Line::new().unwrap();
        line.start();
        make(&mut line);
        String::from_utf8(line.bytes().to_vec()).unwrap()
    }

    #[test]
    fn numbers_are_those_that_rust_prints() {
        for number in [0, 1, 9, 10, 99, 100, 1 << 40, u64::MAX] {
            assert_eq!(made(|line| line.number(number)), std::format!("{number}"));
            let aligned = made(|line| line.aligned(number, 8));
            assert_eq!(aligned, std::format!("{number:8}"));
        }
        for number in [0, -1, i64::MIN, i64::MAX] {
            assert_eq!(made(|line| line.signed(number)), std::format!("{number}"));
        }
        for (nanoseconds, expected) in [
            (0, "0"),
            (1, "0.000000001"),
            (1_700_000_000_123_000_000, "1700000000.123"),
            (2_000_000_000, "2"),
        ] {
            assert_eq!(made(|line| line.seconds(nanoseconds)), expected);
        }
    }

    #[test]
    fn texts_are_escaped_and_cut() {
        let shown = made(|line| line.escaped(b"a\"b\\\n\x1b[2J\xc3\xa9", b'"'));
        assert_eq!(shown, "a\\x22b\\\\\\n\\x1b[2J\\xc3\\xa9");
        let long = made(|line| line.escaped(&[b'x'; 5000], b'"'));
        assert!(long.ends_with("xx...") && long.len() < TEXT_MAX + 8);
    }

    #[test]
    fn the_end_has_room_however_long_the_line_is() {
        let line = made(|line| {
            for _ in 0..LINE_MAX {
                line.text("long");
            }
            line.end();
            line.text(" = NOENT\n");
        });
        assert!(line.ends_with(" = NOENT\n") && line.len() < LINE_MAX);
    }

    #[test]
    fn unknown_bits_are_shown_as_a_number() {
        let names = [(1, "CREAT"), (8, "TRUNC")];
        for (bits, shown) in [(0, "0"), (9, "CREAT|TRUNC"), (10, "TRUNC|2"), (64, "64")] {
            assert_eq!(made(|line| line.bits(bits, &names)), shown);
        }
    }
}
