//! The one door to the mounted file system.

use core::cell::Cell;
use core::ptr::NonNull;

use monaka_vfs_core::image::ALIGN;
use monaka_vfs_core::link::{AHEAD, Request};
use monaka_vfs_core::{Errno, Vfs};

use crate::alloc;

/// Where the mounted file system is.
struct State(Cell<Option<NonNull<Vfs<'static>>>>);

// SAFETY: programs with threads are refused by `monaka pack`, so whatever is
// mounted is only ever reached from one.
unsafe impl Sync for State {}

static STATE: State = State(Cell::new(None));

/// What is mounted; nothing in a program that was never packed.
///
/// # Safety
///
/// The answer of an earlier call is no longer in use. The symbols see to that:
/// each asks once, the host does not call back into the program while it serves
/// a file call, and the program's allocator makes none.
#[inline]
pub(crate) unsafe fn vfs() -> Option<&'static mut Vfs<'static>> {
    // SAFETY: `mount` has put a file system there for ever, and no other reference to
    // it is in use, as the caller promises.
    Some(unsafe { STATE.0.get()?.as_mut() })
}

/// Takes room for an image. See [`monaka_vfs_core::link`].
///
/// # Safety
///
/// `request` is valid for reads.
pub(crate) unsafe extern "C" fn reserve(request: *const Request) -> u32 {
    // SAFETY: as the caller promises.
    let request = unsafe { request.read() };
    match request.room() {
        Some(size) => alloc::reserve(size, ALIGN, AHEAD) as u32,
        None => 0,
    }
}

/// Mounts the image. See [`monaka_vfs_core::link`].
///
/// # Safety
///
/// `request` is valid for reads, its image is what `reserve` answered for the
/// same lengths, and nobody but `pack` writes to that room.
pub(crate) unsafe extern "C" fn mount(request: *const Request) -> u32 {
    // SAFETY: as the caller promises; `pack` calls this while nothing else runs.
    let request = unsafe { request.read() };
    if STATE.0.get().is_some() {
        return u32::from(Errno::BUSY.raw());
    }
    let start = request.image as *const u8;
    // SAFETY: both slices lie in the room, which lives for ever and which
    // nobody writes to any more once `pack` has filled it.
    let (tables, data) = unsafe {
        let tables = core::slice::from_raw_parts(start, request.tables_len as usize);
        let data = start.add(request.tables_len as usize);
        (
            tables,
            core::slice::from_raw_parts(data, request.data_len as usize),
        )
    };
    match request.mount(tables, data) {
        Ok(vfs) => {
            STATE.0.set(Some(vfs.into()));
            0
        }
        Err(errno) => u32::from(errno.raw()),
    }
}
