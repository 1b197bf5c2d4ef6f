//! What `pack`, those who take files out, and the program's `memory.grow` call.

use monaka_vfs_core::link::Request;
use monaka_vfs_core::{Result, merge};

use crate::layout::Shared;
use crate::state;

/// What the program receives.
#[inline]
pub(crate) fn errno(outcome: Result<()>) -> u32 {
    match outcome {
        Ok(()) => 0,
        Err(errno) => u32::from(errno.raw()),
    }
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
