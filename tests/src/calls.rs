//! Who answers a program's calls: the core natively, or an instance of a module.
//!
//! The driver ([`Guest`](crate::native::Guest)) knows no more of them than this,
//! so the same calls can be made of each and their answers compared.

use monaka_vfs_core::errno::Result;
use monaka_vfs_core::{Vfs, for_each_hook};

use crate::native::Native;

/// The program's memory, as its driver reaches it.
pub trait Memory {
    /// Copies what is at `at` to `to`.
    fn load(&self, at: u32, to: &mut [u8]);

    /// Copies `bytes` to `at`.
    fn store(&mut self, at: u32, bytes: &[u8]);
}

macro_rules! calls {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// The calls that carry a descriptor, with the integers of the witx;
        /// addresses are those of the program's memory.
        #[allow(missing_docs, clippy::too_many_arguments, clippy::missing_errors_doc)]
        pub trait Calls {
            /// The program's surroundings.
            type Home: Memory;

            $(fn $name(&mut self, home: &mut Self::Home, $($arg: $ty),*) -> Result<()>;)*
        }

        impl Calls for Vfs<'static> {
            type Home = Native;

            $(
                fn $name(&mut self, home: &mut Native, $($arg: $ty),*) -> Result<()> {
                    // The inherent method of that name.
                    Vfs::$name(self, home, $($arg),*)
                }
            )*
        }
    };
}
for_each_hook!(calls);
