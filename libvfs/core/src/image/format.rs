//! The bits of an image: records, constants, and what a valid name is.
//!
//! ```text
//! superblock | inode, dirent, preopen, host preopen records | names | padding | data …
//! └──────────────────────────────── tables ───────────────────────────┘
//! ```
//! docs/SPEC.md says what each field means. Integers are little-endian and
//! records are read from and written to byte arrays, so neither the machine's
//! byte order nor the alignment of a buffer matters.

use crate::name::Name;

/// An image's first eight bytes.
pub const MAGIC: [u8; 8] = *b"monakafs";

/// The version of the format.
pub const VERSION: u32 = 3;

/// The tables' length is a multiple of this, and so is the place of every file
/// in the data area that is at least [`LARGE`] bytes long.
pub const LARGE_ALIGN: u64 = 64;

/// The place of any other file in the data area is a multiple of this.
pub const SMALL_ALIGN: u64 = 8;

/// From this length on a file is aligned to [`LARGE_ALIGN`].
pub const LARGE: u64 = 64 * 1024;

/// Inode kind: character device.
pub const DEVICE: u8 = 2;
/// Inode kind: directory. The kinds are WASI's file types.
pub const DIRECTORY: u8 = 3;
/// Inode kind: regular file.
pub const REGULAR: u8 = 4;
/// Inode kind: symbolic link.
pub const SYMLINK: u8 = 7;

/// Inode flag: the file is executable.
pub const EXECUTABLE: u8 = 1;
/// Inode flag: the inode does not change, nor do a directory's entries.
pub const READ_ONLY: u8 = 2;
/// Inode flag: a regular file's contents are compressed.
pub const COMPRESSED: u8 = 4;

/// How many bytes of a compressed file's contents are in each of its frames but
/// the last, which has what is left.
pub const FRAME: u64 = 64 * 1024;

/// How many frames a compressed file of `size` bytes has.
pub fn frames(size: u64) -> u64 {
    size.div_ceil(FRAME)
}

/// How long the table is that stands before the frames of a compressed file of
/// `size` bytes.
pub fn table_len(size: u64) -> u64 {
    4 * (frames(size) + 1)
}

/// Image flags: the bits that say which [`Clock`](crate::access::Clock) there is.
pub const CLOCK: u32 = 3;
/// Image flag: the host's sockets are the program's.
pub const SOCKETS: u32 = 4;

/// A stream that is the host's. Others are the inode of a file.
pub const STREAM_HOST: u32 = 0;
/// A stream that is closed.
pub const STREAM_CLOSED: u32 = u32::MAX;
/// A stream that has nothing and swallows everything.
pub const STREAM_NULL: u32 = u32::MAX - 1;

/// Host preopen flag: nothing below it may be changed.
pub const HOST_READ_ONLY: u32 = 1;

/// The root directory's inode.
pub const ROOT: u32 = 0;

pub use crate::name::NAME_MAX;

/// The longest target of a symbolic link and the longest name of a preopened
/// directory, in bytes: `PATH_MAX` without its NUL.
pub const PATH_MAX: usize = 4095;

/// Defines a record: its fields in the order they stand in the image.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident, $size:literal, { $($field:ident: $int:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $name {
            $(pub(super) $field: $int,)*
        }

        impl $name {
            pub(super) const SIZE: usize = $size;

            #[inline(always)]
            pub(super) fn decode(bytes: &[u8; $size]) -> Self {
                let mut at = 0;
                $(let $field = <$int>::from_le_bytes(take(bytes, &mut at));)*
                Self { $($field),* }
            }

            pub(super) fn encode(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                let mut at = 0;
                $(put(&mut bytes, &mut at, &self.$field.to_le_bytes());)*
                bytes
            }
        }

        const _: () = assert!(0 $(+ size_of::<$int>())* == $size);
    };
}

#[inline(always)]
fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[*at..*at + N]);
    *at += N;
    field
}

fn put(bytes: &mut [u8], at: &mut usize, field: &[u8]) {
    bytes[*at..*at + field.len()].copy_from_slice(field);
    *at += field.len();
}

record!(
    /// Stands at the image's very beginning.
    Superblock, 72, {
        magic: u64,
        version: u32,
        flags: u32,
        tables_len: u32,
        inodes: u32,
        dirents: u32,
        preopens: u32,
        names_len: u32,
        max_inodes: u32,
        data_len: u64,
        max_bytes: u64,
        stdin: u32,
        stdout: u32,
        stderr: u32,
        host_preopens: u32,
    }
);

record!(
    /// A directory, file or symbolic link.
    InodeRecord, 32, {
        kind: u8,
        flags: u8,
        reserved: u16,
        count: u32,
        mtime: u64,
        size: u64,
        start: u64,
    }
);

record!(
    /// A name in a directory.
    DirentRecord, 12, {
        name: u32,
        name_len: u16,
        reserved: u16,
        inode: u32,
    }
);

record!(
    /// A directory that is open when the program starts.
    PreopenRecord, 12, {
        name: u32,
        name_len: u32,
        inode: u32,
    }
);

record!(
    /// A directory that the host opens and the program sees.
    HostPreopenRecord, 16, {
        name: u32,
        host: u32,
        name_len: u16,
        host_len: u16,
        flags: u32,
    }
);

impl InodeRecord {
    /// Whether a compressed file is such that there can be frames of it.
    pub(super) fn has_frames(&self) -> bool {
        (1..=u64::from(u32::MAX)).contains(&self.size)
            && table_len(self.size) <= u64::from(self.count)
    }
}

impl Superblock {
    /// The tables' length that the counts ask for. It may exceed what
    /// `tables_len` can say.
    pub(super) fn expected_len(&self) -> u64 {
        (Superblock::SIZE as u64
            + u64::from(self.inodes) * InodeRecord::SIZE as u64
            + u64::from(self.dirents) * DirentRecord::SIZE as u64
            + u64::from(self.preopens) * PreopenRecord::SIZE as u64
            + u64::from(self.host_preopens) * HostPreopenRecord::SIZE as u64
            + u64::from(self.names_len))
        .next_multiple_of(LARGE_ALIGN)
    }
}

/// Whether `name` may name a directory entry: whether it is a [`Name`].
pub fn is_name(name: &[u8]) -> bool {
    Name::new(name).is_ok()
}

/// Whether `path` may be a symbolic link's target or a preopened directory's
/// name: 1 to 4095 bytes with no NUL.
pub fn is_path(path: &[u8]) -> bool {
    (1..=PATH_MAX).contains(&path.len()) && !path.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_decode_what_they_encode() {
        let bytes: [u8; 32] = core::array::from_fn(|i| i as u8 + 1);
        let record = InodeRecord::decode(&bytes);
        assert_eq!(record.kind, 1);
        assert_eq!(record.reserved, 0x0403);
        assert_eq!(record.count, 0x0807_0605);
        assert_eq!(record.start, 0x201f_1e1d_1c1b_1a19);
        assert_eq!(record.encode(), bytes);
    }

    #[test]
    fn names() {
        for good in [
            &b"a"[..],
            b"...",
            b".a",
            b"\xff",
            b" ",
            b"a\\b",
            &[b'x'; 255],
        ] {
            assert!(is_name(good), "{good:?}");
        }
        for bad in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", &[b'x'; 256]] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn paths() {
        for good in [&b"/"[..], b"..", b"a/b/", b"\xff", &[b'x'; 4095]] {
            assert!(is_path(good), "{good:?}");
        }
        for bad in [&b""[..], b"a\0b", &[b'x'; 4096]] {
            assert!(!is_path(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_largest_counts_do_not_overflow() {
        let superblock = Superblock {
            magic: 0,
            version: 0,
            flags: 0,
            tables_len: 0,
            inodes: u32::MAX,
            dirents: u32::MAX,
            preopens: u32::MAX,
            names_len: u32::MAX,
            max_inodes: 0,
            data_len: 0,
            max_bytes: 0,
            stdin: 0,
            stdout: 0,
            stderr: 0,
            host_preopens: u32::MAX,
        };
        let sum = 72 + u64::from(u32::MAX) * (32 + 12 + 12 + 16 + 1);
        assert_eq!(superblock.expected_len(), sum.div_ceil(64) * 64);
    }
}
