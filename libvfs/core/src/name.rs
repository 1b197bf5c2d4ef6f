//! The name of one directory entry.

use alloc::vec::Vec;

use crate::bytes::room;
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
}

/// Room for the longest [`Name`], for calls that change the directory in which, or the
/// link by which, they found theirs. By default there is no room yet.
#[derive(Debug, Default)]
pub struct NameBuf(Vec<u8>);

impl NameBuf {
    /// One with no name in it yet. `NOMEM` when memory is out.
    pub fn new() -> Result<NameBuf> {
        Ok(NameBuf(room(NAME_MAX)?))
    }

    /// Copies `name`.
    pub fn set(&mut self, name: Name<'_>) {
        debug_assert!(self.0.capacity() >= NAME_MAX);
        self.0.clear();
        self.0.extend_from_slice(name.0);
    }

    /// The name that was [set](NameBuf::set) last.
    pub fn name(&self) -> Name<'_> {
        Name(&self.0)
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
