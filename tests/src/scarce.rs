//! An allocator that runs out when a test says so, and counts what is held.
//!
//! A test binary makes it its own by `#[global_allocator]`. Everything is counted
//! per thread, so tests that run beside each other do not disturb each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// How many allocations still succeed; `None` while nothing fails.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    /// The longest block that there is.
    static LONGEST: Cell<usize> = const { Cell::new(usize::MAX) };
    /// How many were refused since [`starved`] began.
    static REFUSED: Cell<usize> = const { Cell::new(0) };
    /// What was taken and not given back, which is below zero where another thread took it.
    static HELD: Cell<Held> = const { Cell::new(Held { blocks: 0, bytes: 0 }) };
}

/// Memory that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Held {
    pub blocks: isize,
    pub bytes: isize,
}

impl Held {
    fn add(blocks: isize, bytes: isize) {
        HELD.with(|held| {
            let now = held.get();
            held.set(Held {
                blocks: now.blocks + blocks,
                bytes: now.bytes + bytes,
            });
        });
    }

    /// What this thread holds.
    pub fn now() -> Held {
        HELD.with(Cell::get)
    }

    /// What it holds beside what it held then.
    pub fn since(then: Held) -> Held {
        let now = Held::now();
        Held {
            blocks: now.blocks - then.blocks,
            bytes: now.bytes - then.bytes,
        }
    }
}

/// The allocator.
#[derive(Debug)]
pub struct Scarce;

/// Whether the next allocation, of `size` bytes, may succeed.
fn granted(size: usize) -> bool {
    if size > LONGEST.with(Cell::get) {
        return false;
    }
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
        if !granted(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            Held::add(1, layout.size() as isize);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Held::add(-1, -(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && !granted(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            Held::add(0, size as isize - layout.size() as isize);
        }
        moved
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

/// Runs `body` with all allocations of more than `longest` bytes failing, as where
/// memory is in pieces.
pub fn in_pieces<T>(longest: usize, body: impl FnOnce() -> T) -> T {
    LONGEST.with(|cell| cell.set(longest));
    let outcome = body();
    LONGEST.with(|cell| cell.set(usize::MAX));
    outcome
}

/// How many allocations failed in the last [`starved`] of this thread.
pub fn refused() -> usize {
    REFUSED.with(Cell::get)
}
