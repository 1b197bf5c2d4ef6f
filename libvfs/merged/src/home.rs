//! The program that the blob is merged into: its memory, which is not ours, and
//! its host.

extern crate alloc;

use alloc::vec::Vec;

use monaka_vfs_core::host::{Host, answer};
use monaka_vfs_core::memory::{GuestMemory, Region};
use monaka_vfs_core::time::Timestamp;
use monaka_vfs_core::{Result, for_each_hook};

#[link(wasm_import_module = "monaka:program")]
unsafe extern "C" {
    fn copy_in(to: *mut u8, from: u32, len: u32);
    fn copy_out(to: u32, from: *const u8, len: u32);
    fn fill(at: u32, byte: u32, len: u32);
    fn load_u32(at: u32) -> u32;
    fn store_u32(at: u32, value: u32);
    fn store_u64(at: u32, value: u64);
    safe fn pages() -> u32;
}

/// The program that the blob is merged into.
pub(crate) struct Program;

impl GuestMemory for Program {
    #[inline]
    fn size(&self) -> u64 {
        u64::from(pages()) << 16
    }

    #[inline]
    fn read(&self, from: Region, to: &mut [u8]) {
        debug_assert_eq!(from.len() as usize, to.len());
        // SAFETY: a region lies in the program's memory and is as long as `to`.
        unsafe { copy_in(to.as_mut_ptr(), from.at(), from.len()) }
    }

    #[inline]
    fn append(&self, from: Region, to: &mut Vec<u8>) {
        let (len, more) = (to.len(), from.len() as usize);
        debug_assert!(to.capacity() - len >= more);
        // SAFETY: as for `read`; the caller has reserved the capacity.
        unsafe {
            copy_in(to.as_mut_ptr().add(len), from.at(), from.len());
            to.set_len(len + more);
        }
    }

    #[inline]
    fn write(&mut self, to: Region, from: &[u8]) {
        debug_assert_eq!(to.len() as usize, from.len());
        // SAFETY: as for `read`.
        unsafe { copy_out(to.at(), from.as_ptr(), to.len()) }
    }

    #[inline]
    fn zero(&mut self, to: Region) {
        // SAFETY: a region lies in the program's memory.
        unsafe { fill(to.at(), 0, to.len()) }
    }

    #[inline]
    fn load_u32(&self, at: u32) -> Result<u32> {
        let from = self.region(at, 4)?;
        // SAFETY: as for `read`.
        Ok(unsafe { load_u32(from.at()) })
    }

    #[inline]
    fn store_u32(&mut self, at: u32, value: u32) -> Result<()> {
        let to = self.region(at, 4)?;
        // SAFETY: as for `read`.
        unsafe { store_u32(to.at(), value) }
        Ok(())
    }

    #[inline]
    fn store_u64(&mut self, at: u32, value: u64) -> Result<()> {
        let to = self.region(at, 8)?;
        // SAFETY: as for `read`.
        unsafe { store_u64(to.at(), value) }
        Ok(())
    }
}

/// `clockid` of the witx.
const REALTIME: u32 = 0;

macro_rules! host {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        mod host {
            // Nothing is unsafe about them: what they are handed are addresses of
            // the program's memory, for the host to check.
            #[link(wasm_import_module = "monaka:host")]
            unsafe extern "C" {
                pub(super) safe fn clock_time_get(clock: u32, precision: u64, time: u32) -> u32;
                pub(super) safe fn random_get(buffer: u32, len: u32) -> u32;
                $(pub(super) safe fn $name($($arg: $ty),*) -> u32;)*
            }
        }

        impl Host for Program {
            fn now(&mut self) -> Timestamp {
                self.lend(|_, at| answer(host::clock_time_get(REALTIME, 1, at)))
                    .map_or(0, Timestamp::from_le_bytes)
            }

            fn random(&mut self, to: Region) -> Result<()> {
                answer(host::random_get(to.at(), to.len()))
            }

            fn filetype(&mut self, fd: u32) -> Option<u8> {
                // `fdstat` has 24 bytes.
                let fdstat = self.lend::<24>(|program, at| program.fd_fdstat_get(fd, at));
                Some(fdstat.ok()?[0])
            }

            $(
                #[inline]
                fn $name(&mut self, $($arg: $ty),*) -> Result<()> {
                    answer(host::$name($($arg),*))
                }
            )*
        }
    };
}
for_each_hook!(host);
