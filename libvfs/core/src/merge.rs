//! The contract between the *blob* and `monaka pack`: the file system as a small
//! wasm module of its own, which `pack` merges into programs that nobody relinks.
//!
//! The blob has a memory, a stack and an allocator of its own, no table and no
//! start function. Beside the functions below it exports its `memory`, and the
//! linker adds the immutable globals `__heap_base` and `__data_end`.
//!
//! # What it imports
//!
//! [`PROGRAM`] is the memory of the program, [`PROGRAM_FUNCTIONS`]. Addresses
//! there are the program's; the file system has checked them against `pages`.
//!
//! | function | becomes |
//! |---|---|
//! | `copy_in(to_ours, from_program, len)` | `memory.copy` ours, program's |
//! | `copy_out(to_program, from_ours, len)` | `memory.copy` program's, ours |
//! | `fill(at, byte, len)` | `memory.fill` |
//! | `load_u32(at) -> i32` | `i32.load align=1` |
//! | `store_u32(at, value)` | `i32.store align=1` |
//! | `store_u64(at, value)` | `i64.store align=1` |
//! | `pages() -> i32` | `memory.size` |
//!
//! [`HOST`] is the host: each function of [`witx::HOOKS`](crate::witx::HOOKS) by
//! its name, and [`HOST_FUNCTIONS`]. The host sees the program's memory, so what
//! it is handed are the program's addresses. Where the file system asks for
//! itself it borrows bytes of the program's first page for the time of the call
//! ([`GuestMemory::lend`](crate::memory::GuestMemory::lend)).
//!
//! [`LAYOUT`] is the one memory that program and file system share,
//! [`LAYOUT_FUNCTIONS`]; only [`GROW`] uses it. Addresses there are absolute.
//!
//! | function | is |
//! |---|---|
//! | `base() -> i32` | where the file system begins, a multiple of 64 KiB |
//! | `set_base(i32)` | moves that |
//! | `set_pages(i32)` | sets what `pages` answers |
//! | `limit() -> i32` | the most pages the program may have, at most 65536 |
//! | `whole_pages() -> i32` | `memory.size`, all of it |
//! | `whole_grow(i32) -> i32` | `memory.grow`, all of it |
//! | `move_bytes(to, from, len)` | `memory.copy` |
//! | `clear(at, len)` | `memory.fill` with 0 |
//!
//! # What it exports
//!
//! - Each function of [`witx::HOOKS`](crate::witx::HOOKS) by its name, and those
//!   of [`UNSTABLE`] behind [`UNSTABLE_PREFIX`], for programs that import from
//!   `wasi_unstable`. `pack` mounts before a program runs; without a mount they
//!   trap, because nothing may be let through to the host by mistake.
//! - [`RESERVE`], [`MOUNT`]: as in [`link`](crate::link), with addresses in the
//!   blob's memory; [`REQUEST`]`() -> i32` is where there is room for a
//!   [`Request`](crate::link::Request).
//! - [`ATTACH`]`(ino) -> i32`: a new descriptor for a regular file or directory, by
//!   its number, or an errno below zero. No program gets it: it is for those who
//!   take the files out of one that has ended.
//! - [`GROW`]`(delta) -> i32`: the program's `memory.grow`, see [`grow`].
//!
//! # The tracing blob
//!
//! One blob has a [tracer](crate::trace) before the file system. Beside the above it
//! exports each of [`witx::HOST_ONLY`](crate::witx::HOST_ONLY) by its name, and
//! imports them, and [`REPORT`], from [`HOST`]; and
//!
//! - [`SETTINGS`]`(len) -> i32`: an address with room for so many bytes, or 0;
//! - [`CONFIGURE`]`() -> i32`: takes the [settings](crate::trace::Settings) that now
//!   stand there, answers an errno; nothing is traced before;
//! - [`FINISH`]`()`: the program has ended.

use crate::witx::{Function, Param};

/// The import module of the program's memory.
pub const PROGRAM: &str = "monaka:program";

/// The import module of the host.
pub const HOST: &str = "monaka:host";

/// The import module of the shared memory.
pub const LAYOUT: &str = "monaka:layout";

const fn function(name: &'static str, params: &'static [Param], returns: bool) -> Function {
    Function {
        name,
        params,
        returns,
    }
}

/// The functions of [`PROGRAM`].
pub const PROGRAM_FUNCTIONS: [Function; 7] = {
    use Param::{I32, I64};
    [
        function("copy_in", &[I32, I32, I32], false),
        function("copy_out", &[I32, I32, I32], false),
        function("fill", &[I32, I32, I32], false),
        function("load_u32", &[I32], true),
        function("store_u32", &[I32, I32], false),
        function("store_u64", &[I32, I64], false),
        function("pages", &[], true),
    ]
};

/// The functions of [`HOST`] that carry no descriptor.
pub const HOST_FUNCTIONS: [Function; 2] = {
    use Param::{I32, I64};
    [
        function("clock_time_get", &[I32, I64, I32], true),
        function("random_get", &[I32, I32], true),
    ]
};

/// Hands bytes to the host that `monaka run` is; elsewhere it answers `NOSYS`.
pub const REPORT: Function = function("report", &[Param::I32, Param::I32], true);

/// The import module of [`REPORT`] in a program.
pub const MONAKA: &str = "monaka";

/// The functions of [`LAYOUT`].
pub const LAYOUT_FUNCTIONS: [Function; 8] = {
    use Param::I32;
    [
        function("base", &[], true),
        function("set_base", &[I32], false),
        function("set_pages", &[I32], false),
        function("limit", &[], true),
        function("whole_pages", &[], true),
        function("whole_grow", &[I32], true),
        function("move_bytes", &[I32, I32, I32], false),
        function("clear", &[I32, I32], false),
    ]
};

/// The hooked functions whose layouts were others in `wasi_unstable`.
pub const UNSTABLE: [&str; 4] = [
    "fd_seek",
    "fd_filestat_get",
    "path_filestat_get",
    "poll_oneoff",
];

/// What the exports of [`UNSTABLE`] begin with; the signatures are the same.
pub const UNSTABLE_PREFIX: &str = "unstable_";

/// Takes room for an image.
pub const RESERVE: &str = "reserve";

/// Builds the file system.
pub const MOUNT: &str = "mount";

/// Says where the [`Request`](crate::link::Request) stands.
pub const REQUEST: &str = "request";

/// Opens an inode.
pub const ATTACH: &str = "attach";

/// Takes room for settings of the tracer.
pub const SETTINGS: &str = "settings";

/// Gives the tracer its settings.
pub const CONFIGURE: &str = "configure";

/// Ends the trace.
pub const FINISH: &str = "finish";

/// Grows the program's memory.
pub const GROW: &str = "grow";

/// The most pages that are kept free behind a program that has not grown yet, or only
/// because it grows: 16 MiB.
pub const HEADROOM_MAX: u32 = 256;

/// What `memory.grow` answers when it does not grow.
pub const REFUSED: u32 = u32::MAX;

/// One memory, the program's pages first and the file system behind them. Bytes
/// in between are zero: they become the program's without being touched.
pub trait Layout {
    /// The pages that the program has.
    fn pages(&self) -> u32;

    /// Sets them.
    fn set_pages(&mut self, pages: u32);

    /// The most pages that the program may have, at most 65536.
    fn limit(&self) -> u32;

    /// Where the file system begins, a multiple of 64 KiB.
    fn base(&self) -> u32;

    /// Moves that.
    fn set_base(&mut self, base: u32);

    /// All pages; the file system ends with the last.
    fn whole_pages(&self) -> u32;

    /// Appends `delta` pages of zeros; [`REFUSED`] if the engine does not.
    fn whole_grow(&mut self, delta: u32) -> u32;

    /// Copies `len` bytes, also where the places overlap.
    fn move_bytes(&mut self, to: u32, from: u32, len: u32);

    /// Sets `len` bytes to zero.
    fn clear(&mut self, at: u32, len: u32);
}

/// Gives the program `delta` more pages; answers how many it had, or
/// [`REFUSED`] with nothing changed.
///
/// Where the file system is in the way it moves up, and by as much as it moves further
/// than needed, or by a quarter of the program if that is more. So a program that grows
/// page by page does not move it each time, and what is moved, which may be all that is
/// packed, is no more than what the program grows by until the next time; or half of
/// that and so on, where the engine does not give so much.
///
/// In the blob this runs while its own stack moves. It therefore touches no
/// memory but through `layout`, which a test of the compiled function asserts.
#[inline(always)]
pub fn grow(layout: &mut impl Layout, delta: u32) -> u32 {
    let old = layout.pages();
    let limit = layout.limit();
    let new = match old.checked_add(delta) {
        Some(new) if new <= limit => new,
        _ => return REFUSED,
    };
    let base = layout.base() >> 16;
    if new > base {
        let end = layout.whole_pages();
        let moved = end - base;
        let mut to = (new + (new / 4).min(HEADROOM_MAX).max(moved)).min(limit);
        while layout.whole_grow(to - base) == REFUSED {
            if to == new {
                return REFUSED;
            }
            to = new + (to - new) / 2;
        }
        layout.move_bytes(to << 16, base << 16, moved << 16);
        // What was appended is zero already.
        layout.clear(base << 16, (to.min(end) - base) << 16);
        layout.set_base(to << 16);
    }
    layout.set_pages(new);
    old
}
