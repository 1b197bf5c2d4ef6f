//! The one door to the mounted file system, and how it gets there.

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::ptr::NonNull;

use monaka_vfs_core::image::ALIGN;
use monaka_vfs_core::link::{AHEAD, Request};
use monaka_vfs_core::{Errno, Vfs};

struct State {
    /// Where it is.
    vfs: Cell<Option<NonNull<Vfs<'static>>>>,
    request: UnsafeCell<Request>,
}

// SAFETY: programs with threads are refused by `monaka pack`, so all of this is
// only ever reached from one.
unsafe impl Sync for State {}

static STATE: State = State {
    vfs: Cell::new(None),
    request: UnsafeCell::new(Request {
        image: 0,
        flags: 0,
        tables_len: 0,
        reserved: 0,
        data_len: 0,
    }),
};

/// What is mounted. Traps when nothing is: `pack` mounts before a program runs,
/// and to go on to the host would open to the program what was closed to it.
///
/// # Safety
///
/// The answer of an earlier call is no longer in use. The exports see to that:
/// each asks once, and the host does not call back into the program while it
/// serves a file call.
#[inline]
pub(crate) unsafe fn vfs() -> &'static mut Vfs<'static> {
    match STATE.vfs.get() {
        // SAFETY: `mount` has put a file system there for ever, and no other reference
        // to it is in use, as the caller promises.
        Some(mut vfs) => unsafe { vfs.as_mut() },
        None => core::arch::wasm32::unreachable(),
    }
}

/// Where `pack` puts what it asks.
pub(crate) fn request() -> *mut Request {
    STATE.request.get()
}

/// Takes room for an image. See [`monaka_vfs_core::link`].
///
/// # Safety
///
/// `request` is valid for reads.
pub(crate) unsafe fn reserve(request: *const Request) -> *mut u8 {
    // SAFETY: as the caller promises.
    let room = unsafe { request.read() }.room();
    let layout = room.and_then(|room| Layout::from_size_align(room.max(1), ALIGN).ok());
    let mut ahead = Vec::<u8>::new();
    if ahead.try_reserve_exact(AHEAD).is_err() {
        return core::ptr::null_mut();
    }
    // Or the compiler might leave out what nobody uses.
    core::hint::black_box(&ahead);
    match layout {
        // SAFETY: the size is not 0.
        Some(layout) => unsafe { alloc::alloc::alloc(layout) },
        None => core::ptr::null_mut(),
    }
}

/// Mounts the image. See [`monaka_vfs_core::link`].
///
/// # Safety
///
/// `request` is valid for reads, its image is what [`reserve`] answered for the
/// same lengths, and nobody but `pack` writes to that room.
pub(crate) unsafe fn mount(request: *const Request) -> u32 {
    // SAFETY: as the caller promises; `pack` calls this while nothing else runs.
    let request = unsafe { request.read() };
    if STATE.vfs.get().is_some() {
        return u32::from(Errno::BUSY.raw());
    }
    let start = request.image as *const u8;
    let tables_len = request.tables_len as usize;
    // SAFETY: both slices lie in the room, which is never given back and which
    // nobody writes to any more once `pack` has filled it.
    let (tables, data) = unsafe {
        let data = start.add(tables_len);
        (
            core::slice::from_raw_parts(start, tables_len),
            core::slice::from_raw_parts(data, request.data_len as usize),
        )
    };
    match request.mount(tables, data) {
        Ok(vfs) => {
            STATE.vfs.set(Some(vfs.into()));
            0
        }
        Err(errno) => u32::from(errno.raw()),
    }
}
