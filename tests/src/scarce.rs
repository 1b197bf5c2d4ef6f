//! An allocator that runs out when a test says so.
//!
//! A test binary makes it its own by `#[global_allocator]`. What is left is counted
//! per thread, so tests that run beside each other do not disturb each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// How many allocations still succeed; `None` while nothing fails.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    /// How many were refused since [`starved`] began.
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

/// The allocator.
#[derive(Debug)]
pub struct Scarce;

/// Whether the next allocation may succeed.
fn granted() -> bool {
    LEFT.with(|left| match left.get() {
        None => true,
        Some(0) => {
            REFUSED.with(|refused| refused.set(refused.get() + 1));
            false
        }
        Some(n) => {
            left.set(Some(n - 1));
            true
        }
    })
}

// SAFETY: all blocks are the system allocator's; refusing is always allowed.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !granted() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && !granted() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Runs `body` with the allocation after `n` others and all later ones failing.
pub fn starved<T>(n: usize, body: impl FnOnce() -> T) -> T {
    REFUSED.with(|refused| refused.set(0));
    LEFT.with(|left| left.set(Some(n)));
    let outcome = body();
    LEFT.with(|left| left.set(None));
    outcome
}

/// How many allocations failed in the last [`starved`] of this thread.
pub fn refused() -> usize {
    REFUSED.with(Cell::get)
}
