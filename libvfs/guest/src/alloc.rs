//! The program's own allocator, as Rust's.

use core::alloc::{GlobalAlloc, Layout};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn free(block: *mut u8);
    fn realloc(block: *mut u8, size: usize) -> *mut u8;
}

/// What every `malloc` guarantees. Nothing in the file system asks for more.
const ALIGN: usize = 8;

struct ProgramAllocator;

#[global_allocator]
static ALLOCATOR: ProgramAllocator = ProgramAllocator;

// SAFETY: `malloc` and `realloc` answer unaliased blocks of at least the size
// asked for or null, aligned to `ALIGN`; a larger alignment is answered by
// null.
unsafe impl GlobalAlloc for ProgramAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGN {
            return core::ptr::null_mut();
        }
        // SAFETY: any size may be asked for.
        unsafe { malloc(layout.size()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's block comes from `alloc` or `realloc`.
        unsafe { free(block) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's block comes from `alloc` or `realloc`.
        let moved = unsafe { realloc(block, size) };
        if moved.is_null() && size <= layout.size() {
            // C lets shrinking fail; the block is then still whole.
            return block;
        }
        moved
    }
}

/// Room for `size` bytes at a multiple of `align`, which is never given back, with
/// `ahead` free bytes before it. Null when there is none.
pub(crate) fn reserve(size: usize, align: usize, ahead: usize) -> *mut u8 {
    let Some(padded) = size.checked_add(align) else {
        return core::ptr::null_mut();
    };
    // SAFETY: any sizes may be asked for, and nobody uses what is given back. The compiler
    // leaves out a `malloc` whose answer only goes to `free`, unless it cannot tell.
    let block = unsafe {
        let ahead = core::hint::black_box(malloc(ahead));
        let block = malloc(padded);
        free(ahead);
        block
    };
    if block.is_null() {
        return block;
    }
    // The next multiple is within the block, which is longer by `align`.
    block.wrapping_add(block.align_offset(align))
}
