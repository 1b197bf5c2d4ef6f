//! The memory that the program and the blob share in the layout with one memory.

use monaka_vfs_core::merge::Layout;

mod import {
    #[link(wasm_import_module = "monaka:program")]
    unsafe extern "C" {
        pub(super) safe fn pages() -> u32;
    }

    #[link(wasm_import_module = "monaka:layout")]
    unsafe extern "C" {
        pub(super) safe fn base() -> u32;
        pub(super) safe fn set_base(base: u32);
        pub(super) safe fn set_pages(pages: u32);
        pub(super) safe fn limit() -> u32;
        pub(super) safe fn whole_pages() -> u32;
        pub(super) safe fn whole_grow(delta: u32) -> u32;
        pub(super) fn move_bytes(to: u32, from: u32, len: u32);
        pub(super) fn clear(at: u32, len: u32);
    }
}

/// The shared memory, by absolute addresses.
pub(crate) struct Shared;

impl Layout for Shared {
    #[inline(always)]
    fn pages(&self) -> u32 {
        import::pages()
    }

    #[inline(always)]
    fn set_pages(&mut self, pages: u32) {
        import::set_pages(pages);
    }

    #[inline(always)]
    fn limit(&self) -> u32 {
        import::limit()
    }

    #[inline(always)]
    fn base(&self) -> u32 {
        import::base()
    }

    #[inline(always)]
    fn set_base(&mut self, base: u32) {
        import::set_base(base);
    }

    #[inline(always)]
    fn whole_pages(&self) -> u32 {
        import::whole_pages()
    }

    #[inline(always)]
    fn whole_grow(&mut self, delta: u32) -> u32 {
        import::whole_grow(delta)
    }

    #[inline(always)]
    fn move_bytes(&mut self, to: u32, from: u32, len: u32) {
        // SAFETY: `grow` moves the blob's memory as a whole, and `base` with it.
        unsafe { import::move_bytes(to, from, len) }
    }

    #[inline(always)]
    fn clear(&mut self, at: u32, len: u32) {
        // SAFETY: `grow` clears what the blob's memory has left.
        unsafe { import::clear(at, len) }
    }
}
