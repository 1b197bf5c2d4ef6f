//! The host's own calls, as the file system needs them.

use crate::errno::{Errno, Result};
use crate::memory::{GuestMemory, Region};
use crate::time::Timestamp;

macro_rules! host {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// The host behind a program: its descriptors, its clock and its
        /// random bytes.
        ///
        /// Each function of the witx is the host's own, with the program's
        /// addresses passed through untouched; descriptors are the host's.
        pub trait Host {
            /// The time of day. 0 if the host has no clock.
            fn now(&mut self) -> Timestamp;

            /// Fills `to` with random bytes that nobody can predict.
            fn random(&mut self, to: Region) -> Result<()>;

            /// The type of the host's descriptor of that number, if it has one.
            fn filetype(&mut self, fd: u32) -> Option<u8>;

            $(
                #[allow(missing_docs, clippy::too_many_arguments)]
                fn $name(&mut self, $($arg: $ty),*) -> Result<()>;
            )*
        }
    };
}
crate::for_each_hook!(host);

/// Everything outside the file system: the program's memory and the host.
pub trait Home: GuestMemory + Host {}

impl<T: GuestMemory + Host> Home for T {}

/// What the host answered. A number that is no errno is `IO`.
pub fn answer(raw: u32) -> Result<()> {
    match raw {
        0 => Ok(()),
        raw => Err(Errno::from_raw(raw).unwrap_or(Errno::IO)),
    }
}
