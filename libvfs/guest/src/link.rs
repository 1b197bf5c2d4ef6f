//! The records by which `monaka pack` finds the library in a linked program.
//! Their layout and purpose are those of [`monaka_vfs_core::link`].

use core::cell::UnsafeCell;
use core::ffi::c_void;

use monaka_vfs_core::link::{self, ABI, MAGIC, RECORD_SIZE, REQUEST_OFFSET, Request};

use crate::state;

/// A record, and one more that must be linked when it is.
#[repr(C)]
pub(crate) struct Record {
    magic: [u8; 16],
    this: *const Record,
    abi: u32,
    id: u32,
    functions: [*const c_void; 2],
    keeps: *const Record,
}

const _: () = assert!(core::mem::offset_of!(Record, keeps) == RECORD_SIZE);

// SAFETY: never written to.
unsafe impl Sync for Record {}

impl Record {
    /// The record of a hook: the library's function and the host's.
    pub(crate) const fn hook(
        this: *const Record,
        id: u32,
        ours: *const c_void,
        hosts: *const c_void,
    ) -> Record {
        Record {
            magic: MAGIC,
            this,
            abi: ABI,
            id,
            functions: [ours, hosts],
            keeps: &raw const ROOT.record,
        }
    }

    /// The host's function.
    ///
    /// Read anew each time and never folded into a direct call: direct calls of
    /// the host's functions are what `monaka pack` redirects to the library.
    #[inline]
    pub(crate) fn host(&self) -> *const c_void {
        // SAFETY: a reference is valid for reads.
        unsafe { (&raw const self.functions[1]).read_volatile() }
    }
}

/// The root record, and room for what `pack` asks.
#[repr(C)]
struct Root {
    record: Record,
    request: UnsafeCell<Request>,
}

const _: () = assert!(core::mem::offset_of!(Root, request) == REQUEST_OFFSET as usize);

// SAFETY: only `pack` writes to the request, before the program runs.
unsafe impl Sync for Root {}

/// The record that is linked whenever anything of the library is.
///
/// It keeps `fd_close`: whatever else goes around libc's symbols (newer zig's
/// `close` did), `pack` has the library's function to send those calls to.
static ROOT: Root = Root {
    record: Record {
        magic: MAGIC,
        this: &raw const ROOT.record,
        abi: ABI,
        id: match cfg!(feature = "zstd") {
            true => link::ROOT_ZSTD,
            false => link::ROOT,
        },
        functions: [
            state::reserve as *const c_void,
            state::mount as *const c_void,
        ],
        keeps: &raw const crate::symbols::fd_close::RECORD,
    },
    request: UnsafeCell::new(Request {
        image: 0,
        flags: 0,
        tables_len: 0,
        reserved: 0,
        data_len: 0,
    }),
};
