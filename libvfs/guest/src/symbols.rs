//! The symbols: for each hooked function the one that wasi-libc calls, the
//! host's, and the record that ties them together.

use monaka_vfs_core::Result;
use monaka_vfs_core::for_each_hook;

/// What the program receives.
#[inline]
fn errno(outcome: Result<()>) -> u32 {
    match outcome {
        Ok(()) => 0,
        Err(errno) => u32::from(errno.raw()),
    }
}

macro_rules! symbols {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        $(
            #[allow(clippy::too_many_arguments)]
            pub(crate) mod $name {
                use core::ffi::c_void;

                use monaka_vfs_core::witx::Hook;

                use crate::home::{Program, function};
                use crate::link::Record;
                use crate::state;

                mod import {
                    #[link(wasm_import_module = "wasi_snapshot_preview1")]
                    unsafe extern "C" {
                        pub(super) fn $name($($arg: $ty),*) -> u32;
                    }
                }

                pub(crate) static RECORD: Record = Record::hook(
                    &raw const RECORD,
                    Hook::$name as u32,
                    ours as *const c_void,
                    import::$name as *const c_void,
                );

                /// The host's function.
                #[inline]
                pub(crate) fn host($($arg: $ty),*) -> u32 {
                    // SAFETY: the record holds a function of this very type;
                    // addresses are the program's, for the host to check.
                    unsafe {
                        let host: unsafe extern "C" fn($($ty),*) -> u32 = function(RECORD.host());
                        host($($arg),*)
                    }
                }

                // SAFETY: nobody else defines this name; wasi-libc declares it
                // with these types.
                #[unsafe(export_name = concat!(
                    "__imported_wasi_snapshot_preview1_",
                    stringify!($name)
                ))]
                extern "C" fn ours($($arg: $ty),*) -> u32 {
                    // SAFETY: the reference does not outlive this call.
                    match unsafe { state::vfs() } {
                        Some(vfs) => super::errno(vfs.$name(&mut Program, $($arg),*)),
                        None => host($($arg),*),
                    }
                }

                // zig's own runtime, which `zig cc -O0` links in, declares the
                // import under this symbol.
                // SAFETY: as above.
                #[unsafe(export_name = concat!(stringify!($name), "|wasi_snapshot_preview1"))]
                extern "C" fn zigs($($arg: $ty),*) -> u32 {
                    ours($($arg),*)
                }
            }
        )*
    };
}
for_each_hook!(symbols);
