//! What the merged program calls instead of the host, and what `pack` and those
//! who take files out call.

use monaka_vfs_core::link::Request;
use monaka_vfs_core::{Result, for_each_hook, merge};

use crate::home::Program;
use crate::layout::Shared;
use crate::state;

/// What the program receives.
#[inline]
fn errno(outcome: Result<()>) -> u32 {
    match outcome {
        Ok(()) => 0,
        Err(errno) => u32::from(errno.raw()),
    }
}

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

// SAFETY: nobody else defines this name.
#[unsafe(no_mangle)]
extern "C" fn request() -> *mut Request {
    state::request()
}

// SAFETY: as above.
#[unsafe(no_mangle)]
unsafe extern "C" fn reserve(request: *const Request) -> *mut u8 {
    // SAFETY: `pack` passes what `request` answered.
    unsafe { state::reserve(request) }
}

// SAFETY: as above.
#[unsafe(no_mangle)]
unsafe extern "C" fn mount(request: *const Request) -> u32 {
    // SAFETY: as above, with the image that `reserve` made room for.
    unsafe { state::mount(request) }
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn grow(delta: u32) -> u32 {
    merge::grow(&mut Shared, delta)
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn attach(ino: u32) -> i32 {
    // SAFETY: the reference does not outlive this call.
    match unsafe { state::vfs() }.attach(ino) {
        // There are far fewer descriptors.
        Ok(fd) => fd as i32,
        Err(errno) => -i32::from(errno.raw()),
    }
}
