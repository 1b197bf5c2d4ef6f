//! The program around the library: its memory, which is our own, and the host.

extern crate alloc;

use alloc::vec::Vec;
use core::ffi::c_void;

use monaka_vfs_core::host::{Host, answer};
use monaka_vfs_core::memory::{GuestMemory, Region};
use monaka_vfs_core::time::Timestamp;
use monaka_vfs_core::{Result, for_each_hook};

use crate::symbols;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    fn random_get(buffer: u32, len: u32) -> u32;
}

/// `clockid` of the witx.
const REALTIME: u32 = 0;

/// The program that the library is linked into.
pub(crate) struct Program;

impl GuestMemory for Program {
    #[inline]
    fn size(&self) -> u64 {
        (core::arch::wasm32::memory_size::<0>() as u64) << 16
    }

    #[inline]
    fn read(&self, from: Region, to: &mut [u8]) {
        debug_assert_eq!(from.len() as usize, to.len());
        // SAFETY: a region lies in memory and is as long as `to`. Copying as
        // memmove does, since nothing keeps a program from passing addresses
        // inside our own heap.
        unsafe { core::ptr::copy(from.at() as *const u8, to.as_mut_ptr(), to.len()) }
    }

    #[inline]
    fn append(&self, from: Region, to: &mut Vec<u8>) {
        let (len, more) = (to.len(), from.len() as usize);
        debug_assert!(to.capacity() - len >= more);
        // SAFETY: as for `read`; the caller has reserved the capacity.
        unsafe {
            core::ptr::copy(from.at() as *const u8, to.as_mut_ptr().add(len), more);
            to.set_len(len + more);
        }
    }

    #[inline]
    fn write(&mut self, to: Region, from: &[u8]) {
        debug_assert_eq!(to.len() as usize, from.len());
        // SAFETY: as for `read`.
        unsafe { core::ptr::copy(from.as_ptr(), to.at() as *mut u8, from.len()) }
    }

    #[inline]
    fn zero(&mut self, to: Region) {
        // SAFETY: a region lies in memory.
        unsafe { core::ptr::write_bytes(to.at() as *mut u8, 0, to.len() as usize) }
    }
}

macro_rules! host {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        impl Host for Program {
            fn now(&mut self) -> Timestamp {
                let mut time = 0;
                // SAFETY: `time` outlives the call, which writes nothing else.
                match unsafe { clock_time_get(REALTIME, 1, &mut time) } {
                    0 => time,
                    _ => 0,
                }
            }

            fn random(&mut self, to: Region) -> Result<()> {
                // SAFETY: a region lies in memory, and the host writes nothing else.
                answer(unsafe { random_get(to.at(), to.len()) })
            }

            fn filetype(&mut self, fd: u32) -> Option<u8> {
                let mut fdstat = [0u64; 3];
                self.fd_fdstat_get(fd, (&raw mut fdstat) as u32).ok()?;
                // The first byte.
                Some(fdstat[0] as u8)
            }

            $(
                #[inline]
                fn $name(&mut self, $($arg: $ty),*) -> Result<()> {
                    answer(symbols::$name::host($($arg),*))
                }
            )*
        }
    };
}
for_each_hook!(host);

/// The host's function behind a record.
///
/// # Safety
///
/// `F` is the function's type as the witx has it.
#[inline]
pub(crate) unsafe fn function<F: Copy>(pointer: *const c_void) -> F {
    const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
    // SAFETY: `pointer` points to a function of that type.
    unsafe { core::mem::transmute_copy(&pointer) }
}
