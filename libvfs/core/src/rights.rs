//! Rights and the other flag sets of the witx.

use crate::errno::{Errno, Result};

/// What a descriptor may be used for: `rights` of the witx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(u64);

macro_rules! rights {
    ($($name:ident = $bit:literal,)*) => {
        #[allow(missing_docs)]
        impl Rights {
            $(pub const $name: Rights = Rights(1 << $bit);)*
            /// Every right of the witx.
            pub const ALL: Rights = Rights($((1 << $bit))|*);
        }
    };
}

rights! {
    FD_DATASYNC = 0,
    FD_READ = 1,
    FD_SEEK = 2,
    FD_FDSTAT_SET_FLAGS = 3,
    FD_SYNC = 4,
    FD_TELL = 5,
    FD_WRITE = 6,
    FD_ADVISE = 7,
    FD_ALLOCATE = 8,
    PATH_CREATE_DIRECTORY = 9,
    PATH_CREATE_FILE = 10,
    PATH_LINK_SOURCE = 11,
    PATH_LINK_TARGET = 12,
    PATH_OPEN = 13,
    FD_READDIR = 14,
    PATH_READLINK = 15,
    PATH_RENAME_SOURCE = 16,
    PATH_RENAME_TARGET = 17,
    PATH_FILESTAT_GET = 18,
    PATH_FILESTAT_SET_SIZE = 19,
    PATH_FILESTAT_SET_TIMES = 20,
    FD_FILESTAT_GET = 21,
    FD_FILESTAT_SET_SIZE = 22,
    FD_FILESTAT_SET_TIMES = 23,
    PATH_SYMLINK = 24,
    PATH_REMOVE_DIRECTORY = 25,
    PATH_UNLINK_FILE = 26,
    POLL_FD_READWRITE = 27,
    SOCK_SHUTDOWN = 28,
    SOCK_ACCEPT = 29,
}

impl Rights {
    /// No right.
    pub const NONE: Rights = Rights(0);

    /// The rights that mean something on a regular file.
    pub const FILE: Rights = Rights::FD_DATASYNC
        .or(Rights::FD_READ)
        .or(Rights::FD_SEEK)
        .or(Rights::FD_FDSTAT_SET_FLAGS)
        .or(Rights::FD_SYNC)
        .or(Rights::FD_TELL)
        .or(Rights::FD_WRITE)
        .or(Rights::FD_ADVISE)
        .or(Rights::FD_ALLOCATE)
        .or(Rights::FD_FILESTAT_GET)
        .or(Rights::FD_FILESTAT_SET_SIZE)
        .or(Rights::FD_FILESTAT_SET_TIMES)
        .or(Rights::POLL_FD_READWRITE);

    /// The rights that mean something on a directory.
    pub const DIRECTORY: Rights = Rights::ALL
        .without(Rights::FD_READ)
        .without(Rights::WRITING)
        .without(Rights::FD_SEEK)
        .without(Rights::FD_TELL)
        .without(Rights::SOCK_SHUTDOWN)
        .without(Rights::SOCK_ACCEPT);

    /// The rights that come with opening for writing.
    const WRITING: Rights = Rights::FD_WRITE
        .or(Rights::FD_ALLOCATE)
        .or(Rights::FD_FILESTAT_SET_SIZE);

    /// The rights of a regular file that was opened with `asked`.
    ///
    /// Only reading and writing have to be asked for, as in wasmtime: programs
    /// open files with no more than these bits and then use every other call.
    /// Except allocating, which wasmtime refuses: who expects it asks for it.
    /// Who asks for neither reads, as `O_RDONLY` is no bit either.
    pub fn of_file(mut asked: Rights) -> Rights {
        let mut rights = Rights::FILE;
        if !asked.contains(Rights::FD_WRITE) {
            asked = asked.with(Rights::FD_READ);
        }
        for opt_in in [Rights::FD_READ, Rights::FD_ALLOCATE] {
            if !asked.contains(opt_in) {
                rights = rights.without(opt_in);
            }
        }
        if !asked.contains(Rights::FD_WRITE) {
            rights = rights.without(Rights::WRITING);
        }
        rights
    }

    /// The rights of a directory that was opened with `asked`.
    ///
    /// Only synchronising has to be asked for, which wasmtime refuses on a
    /// directory: every libc does, and databases end their commits with it.
    pub fn of_directory(asked: Rights) -> Rights {
        match asked.contains(Rights::FD_SYNC) {
            true => Rights::DIRECTORY,
            false => Rights::DIRECTORY
                .without(Rights::FD_SYNC)
                .without(Rights::FD_DATASYNC),
        }
    }

    const fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    const fn or(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// The rights of `raw` that the witx knows. Unknown bits are dropped, not
    /// refused: toolchains ask for "everything" with all bits set.
    pub fn from_raw(raw: u64) -> Rights {
        Rights(raw & Rights::ALL.0)
    }

    /// The bits.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// Whether all of `other` is in it.
    pub fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in both.
    pub fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// What is in either.
    pub fn with(self, other: Rights) -> Rights {
        self.or(other)
    }
}

/// Flags of a call, from which each bit is taken by whoever handles it.
#[derive(Debug)]
pub struct Flags(u32);

impl Flags {
    /// The flags of `raw`.
    pub fn new(raw: u32) -> Flags {
        Flags(raw)
    }

    /// Takes `bit` out; whether it was set.
    pub fn take(&mut self, bit: u32) -> bool {
        let set = self.0 & bit != 0;
        self.0 &= !bit;
        set
    }

    /// `INVAL` if a bit is left that nobody took.
    pub fn finish(self) -> Result<()> {
        if self.0 == 0 {
            Ok(())
        } else {
            Err(Errno::INVAL)
        }
    }
}

/// `lookupflags`: follow a symlink at the end of the path.
pub const SYMLINK_FOLLOW: u32 = 1;

/// `oflags`.
#[allow(missing_docs)]
pub mod oflags {
    pub const CREAT: u32 = 1;
    pub const DIRECTORY: u32 = 2;
    pub const EXCL: u32 = 4;
    pub const TRUNC: u32 = 8;
}

/// `fdflags`.
#[allow(missing_docs)]
pub mod fdflags {
    pub const APPEND: u32 = 1;
    pub const DSYNC: u32 = 2;
    pub const NONBLOCK: u32 = 4;
    pub const RSYNC: u32 = 8;
    pub const SYNC: u32 = 16;
    /// Each write is to be waited for.
    pub const SYNCED: u32 = DSYNC | RSYNC | SYNC;
    pub const ALL: u32 = 31;
}

/// `fstflags`.
#[allow(missing_docs)]
pub mod fstflags {
    pub const ATIM: u32 = 1;
    pub const ATIM_NOW: u32 = 2;
    pub const MTIM: u32 = 4;
    pub const MTIM_NOW: u32 = 8;
}

/// `filetype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Filetype {
    CharacterDevice = 2,
    Directory = 3,
    Regular = 4,
    Symlink = 7,
}

impl Filetype {
    /// Whether the host's `filetype` is one of a socket, of which we have none.
    pub fn is_socket(filetype: u8) -> bool {
        matches!(filetype, 5 | 6)
    }
}
