//! `monaka_vfs.wasm`, the blob: monaka's file system as a module of its own, which
//! `monaka pack` merges into programs that were not linked with the library.
//!
//! Imports and exports are those of [`monaka_vfs_core::merge`]. All unsafe code
//! and all globals are in this crate: `{calls, exports} → {state, home,
//! layout}`, with `alloc` below them. Where calls are traced, `traced` stands for `calls`.
#![cfg(target_family = "wasm")]
#![no_std]

mod alloc;
#[cfg(not(feature = "trace"))]
mod calls;
#[cfg(feature = "trace")]
#[path = "traced.rs"]
mod calls;
mod exports;
mod home;
mod layout;
mod state;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // A defect of the blob. A trap keeps the backtrace, and printing would
    // bring in the formatting code.
    core::arch::wasm32::unreachable()
}
