//! Timestamps, and the marks for those that are due.
//!
//! A change must not cost a call of the host's clock. POSIX (Base Definitions
//! 4.12, "File Times Update") lets a call *mark* a timestamp for update; the
//! mark is carried out with the time of that moment when the file is next
//! looked at (stat, set_times), synchronised, or closed for the last time.

/// Nanoseconds since 1970-01-01 00:00 UTC, as `timestamp` of the witx.
pub type Timestamp = u64;

/// Which timestamps wait for their update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// Access time: the file was read.
    pub const ATIM: Marks = Marks(1);
    /// Modification and change time: the file was written, or the directory's entries
    /// changed.
    pub const MTIM: Marks = Marks(2 | 4);
    /// Change time: something else of the inode changed.
    pub const CTIM: Marks = Marks(4);
    /// All three: the inode is new.
    pub const ALL: Marks = Marks(7);

    /// Adds `other`.
    pub fn add(&mut self, other: Marks) {
        self.0 |= other.0;
    }

    /// Whether all of `other` are set.
    pub fn has(self, other: Marks) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing waits.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
