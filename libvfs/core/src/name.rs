//! The name of one directory entry.

use crate::errno::{Errno, Result};

/// The longest name in bytes: `NAME_MAX` of Linux.
pub const NAME_MAX: usize = 255;

/// A valid name: 1 to [`NAME_MAX`] bytes, neither `/` nor NUL in it, and
/// neither `.` nor `..`. Any other byte may occur: names need not be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Checks `bytes`.
    ///
    /// Longer than [`NAME_MAX`] is `NAMETOOLONG`; everything else that is no
    /// name is `INVAL`.
    pub fn new(bytes: &'a [u8]) -> Result<Name<'a>> {
        if bytes.len() > NAME_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let reserved = matches!(bytes, b"" | b"." | b"..");
        if reserved || bytes.iter().any(|&b| b == b'/' || b == 0) {
            return Err(Errno::INVAL);
        }
        Ok(Name(bytes))
    }

    /// A component of a path: there is no `/` in it, no NUL in the path, and it is
    /// none of the reserved ones. `NAMETOOLONG`.
    #[inline]
    pub(crate) fn component(bytes: &'a [u8]) -> Result<Name<'a>> {
        debug_assert!(bytes.len() > NAME_MAX || Name::new(bytes).is_ok());
        if bytes.len() > NAME_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(Name(bytes))
    }

    /// The name's bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// A copy that borrows nothing, for calls that change the directory the
    /// name was read from.
    pub fn to_buf(self) -> NameBuf {
        let mut buf = NameBuf {
            bytes: [0; NAME_MAX],
            len: self.0.len() as u8,
        };
        buf.bytes[..self.0.len()].copy_from_slice(self.0);
        buf
    }
}

/// A [`Name`] by value.
#[derive(Clone, Copy, Debug)]
pub struct NameBuf {
    bytes: [u8; NAME_MAX],
    len: u8,
}

impl NameBuf {
    /// The name.
    pub fn as_name(&self) -> Name<'_> {
        Name(&self.bytes[..usize::from(self.len)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_checked_once_and_for_all() {
        let long = [b'x'; NAME_MAX + 1];
        let table: &[(&[u8], Result<()>)] = &[
            (b"a", Ok(())),
            (b"...", Ok(())),
            (b".hidden", Ok(())),
            (b"\xff\xfe", Ok(())),
            (&long[..NAME_MAX], Ok(())),
            (&long, Err(Errno::NAMETOOLONG)),
            (b"", Err(Errno::INVAL)),
            (b".", Err(Errno::INVAL)),
            (b"..", Err(Errno::INVAL)),
            (b"a/b", Err(Errno::INVAL)),
            (b"a\0b", Err(Errno::INVAL)),
        ];
        for (bytes, expected) in table {
            assert_eq!(Name::new(bytes).map(|_| ()), *expected, "{bytes:?}");
        }
    }
}
