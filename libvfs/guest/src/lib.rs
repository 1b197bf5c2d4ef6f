//! `libmonaka_vfs.a`: what wasi-libc imports, answered by monaka's file system.
//!
//! wasi-libc calls `__imported_wasi_snapshot_preview1_NAME`, which is left to
//! the host unless something in the link defines it; this library does. A
//! program that was never packed has nothing mounted, and each call goes on to
//! the host with its arguments untouched.
//!
//! All unsafe code and all globals of the file system are in this crate:
//! `symbols → {state, home} → link`, with `memory` and `alloc` below them.
#![cfg(target_family = "wasm")]
#![no_std]

mod alloc;
mod home;
mod link;
mod state;
mod symbols;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // A defect of the library. A trap keeps the backtrace, and printing would
    // bring in the formatting code.
    core::arch::wasm32::unreachable()
}
