//! What the merged program calls instead of the host.

use monaka_vfs_core::for_each_hook;

use crate::exports::errno;
use crate::home::Program;
use crate::state;

macro_rules! exports {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        $(
            // SAFETY: the module defines no other function of that name; the
            // linker tells the host's, which are imports, from it.
            #[unsafe(no_mangle)]
            #[allow(clippy::too_many_arguments)]
            extern "C" fn $name($($arg: $ty),*) -> u32 {
                // SAFETY: the reference does not outlive this call.
                errno(unsafe { state::vfs() }.$name(&mut Program, $($arg),*))
            }
        )*
    };
}
for_each_hook!(exports);
exports! {
    unstable_fd_seek(fd: u32, offset: u64, whence: u32, newoffset: u32);
    unstable_fd_filestat_get(fd: u32, stat: u32);
    unstable_path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, stat: u32);
    unstable_poll_oneoff(subscriptions: u32, events: u32, count: u32, nevents: u32);
}
