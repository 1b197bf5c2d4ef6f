//! The one door to the mounted file system.

use core::cell::UnsafeCell;

use monaka_vfs_core::image::{ALIGN, Image, ImageError};
use monaka_vfs_core::link::MOUNT_HOST_DIRS;
use monaka_vfs_core::{Errno, Vfs};

use crate::alloc;

struct State(UnsafeCell<Option<Vfs<'static>>>);

// SAFETY: programs with threads are refused by `monaka pack`, so whatever is
// mounted is only ever reached from one.
unsafe impl Sync for State {}

static STATE: State = State(UnsafeCell::new(None));

/// What is mounted; nothing in a program that was never packed.
///
/// # Safety
///
/// The answer of an earlier call is no longer in use. The symbols see to that:
/// each asks once, and the host does not call back into the program while it
/// serves a file call.
#[inline]
pub(crate) unsafe fn vfs() -> Option<&'static mut Vfs<'static>> {
    // SAFETY: no other reference is in use, as the caller promises.
    unsafe { (*STATE.0.get()).as_mut() }
}

/// See [`monaka_vfs_core::link`].
pub(crate) extern "C" fn reserve(tables_len: u32, data_len: u64) -> u32 {
    // Rust's slices end at half the address space.
    let size = usize::try_from(u64::from(tables_len) + data_len)
        .ok()
        .filter(|&size| size <= isize::MAX as usize - ALIGN);
    match size {
        Some(size) => alloc::reserve(size, ALIGN) as u32,
        None => 0,
    }
}

/// See [`monaka_vfs_core::link`].
pub(crate) extern "C" fn mount(image: u32, tables_len: u32, data_len: u64, flags: u32) -> u32 {
    let start = image as *const u8;
    // SAFETY: `pack` passes what `reserve` answered and the lengths it was
    // asked for, so both slices lie in a block that lives for ever and that
    // nobody writes to any more once `pack` has filled it.
    let (tables, data) = unsafe {
        let tables = core::slice::from_raw_parts(start, tables_len as usize);
        let data = start.add(tables_len as usize);
        (tables, core::slice::from_raw_parts(data, data_len as usize))
    };
    let vfs = match Image::open(tables) {
        Ok(image) => Vfs::mount(&image, data, flags & MOUNT_HOST_DIRS != 0),
        Err(ImageError::OutOfMemory) => Err(Errno::NOMEM),
        Err(_) => Err(Errno::INVAL),
    };
    match vfs {
        Ok(vfs) => {
            // SAFETY: `pack` calls this once, before the program runs.
            unsafe { *STATE.0.get() = Some(vfs) };
            0
        }
        Err(errno) => u32::from(errno.raw()),
    }
}
