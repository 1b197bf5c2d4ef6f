//! What the merged program calls instead of the host, where calls are traced.

extern crate alloc;

use alloc::vec::Vec;
use core::cell::UnsafeCell;

use monaka_vfs_core::host::answer;
use monaka_vfs_core::trace::{Settings, Tracer, Witness};
use monaka_vfs_core::{Result, for_each_hook, for_each_plain};

use crate::exports::errno;
use crate::home::Program;
use crate::state;

struct State {
    tracer: UnsafeCell<Option<Tracer>>,
    settings: UnsafeCell<Vec<u8>>,
}

// SAFETY: programs with threads are refused by `monaka pack`, so all of this is
// only ever reached from one.
unsafe impl Sync for State {}

static STATE: State = State {
    tracer: UnsafeCell::new(None),
    settings: UnsafeCell::new(Vec::new()),
};

/// The tracer. Traps when there is none: `pack` gives it its settings before a
/// program runs.
///
/// # Safety
///
/// As for [`state::vfs`].
unsafe fn tracer() -> &'static mut Tracer {
    // SAFETY: no other reference is in use, as the caller promises.
    match unsafe { &mut *STATE.tracer.get() } {
        Some(tracer) => tracer,
        None => core::arch::wasm32::unreachable(),
    }
}

macro_rules! exports {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        $(
            // SAFETY: the module defines no other function of that name; the
            // linker tells the host's, which are imports, from it.
            #[unsafe(no_mangle)]
            #[allow(clippy::too_many_arguments)]
            extern "C" fn $name($($arg: $ty),*) -> u32 {
                // SAFETY: the references do not outlive this call.
                let (tracer, vfs) = unsafe { (tracer(), state::vfs()) };
                errno(tracer.$name(vfs, &mut Program, $($arg),*))
            }
        )*
    };
}
for_each_hook!(exports);
for_each_plain!(exports);
exports! {
    unstable_fd_seek(fd: u32, offset: u64, whence: u32, newoffset: u32);
    unstable_fd_filestat_get(fd: u32, stat: u32);
    unstable_path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, stat: u32);
    unstable_poll_oneoff(subscriptions: u32, events: u32, count: u32, nevents: u32);
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn proc_exit(status: u32) {
    // SAFETY: as above.
    let (tracer, vfs) = unsafe { (tracer(), state::vfs()) };
    tracer.proc_exit(vfs, &mut Program, status);
    // No host comes back from it.
    core::arch::wasm32::unreachable()
}

// SAFETY: nobody else defines this name.
#[unsafe(no_mangle)]
extern "C" fn finish() {
    // SAFETY: as above.
    let (tracer, vfs) = unsafe { (tracer(), state::vfs()) };
    tracer.finish(vfs, &mut Program);
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn settings(len: u32) -> *mut u8 {
    // SAFETY: nothing else runs while `pack` calls this.
    let settings = unsafe { &mut *STATE.settings.get() };
    settings.clear();
    let len = len as usize;
    if settings.try_reserve_exact(len).is_err() {
        return core::ptr::null_mut();
    }
    settings.resize(len, 0);
    settings.as_mut_ptr()
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn configure() -> u32 {
    // SAFETY: as above.
    let (tracer, settings) = unsafe { (&mut *STATE.tracer.get(), &*STATE.settings.get()) };
    let configured = Settings::decode(settings).and_then(Tracer::new);
    errno(configured.map(|new| *tracer = Some(new)))
}

macro_rules! witness {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        mod host {
            // Nothing is unsafe about them, as about those of `home`.
            #[link(wasm_import_module = "monaka:host")]
            unsafe extern "C" {
                pub(super) safe fn report(at: u32, len: u32) -> u32;
                pub(super) safe fn proc_exit(status: u32);
                $(pub(super) safe fn $name($($arg: $ty),*) -> u32;)*
            }
        }

        impl Witness for Program {
            fn report(&mut self, at: u32, len: u32) -> Result<()> {
                answer(host::report(at, len))
            }

            fn proc_exit(&mut self, status: u32) {
                host::proc_exit(status);
            }

            $(
                fn $name(&mut self, $($arg: $ty),*) -> Result<()> {
                    answer(host::$name($($arg),*))
                }
            )*
        }
    };
}
for_each_plain!(witness);
