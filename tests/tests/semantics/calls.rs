//! Every call of the witx that carries a descriptor, with arguments that
//! nothing but the descriptor can be wrong with.

use monaka_tests::native::{BUFFER, Guest, IOVS, OUT};
use monaka_vfs_core::abi::poll::FD_READ;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::for_each_hook;

/// One call.
pub(crate) struct Call {
    /// Its name in the witx.
    pub(crate) name: &'static str,
    /// Makes it on a descriptor.
    pub(crate) make: fn(&mut Guest, u32) -> Result<()>,
    /// What it passes, for a descriptor.
    pub(crate) arguments: fn(u32) -> Vec<u64>,
}

/// The path that all calls are given.
const PATH: u32 = 4096;

/// What stands for the argument `name`, `fd` for each descriptor.
fn argument(name: &str, fd: u32) -> u32 {
    match name {
        "fd" | "to" | "old_fd" | "new_fd" => fd,
        "iovs" => IOVS,
        "buf" | "subscriptions" => BUFFER,
        "path" | "old_path" | "new_path" => PATH,
        "iovs_len" | "path_len" | "old_path_len" | "new_path_len" | "len" | "count" => 1,
        "events" => BUFFER + 256,
        "buf_len" => 64,
        // Where the answer goes; the offset of one call is the answer of another.
        "offset" | "stat" | "prestat" | "bufused" | "opened" | "newoffset" | "accepted"
        | "nread" | "nwritten" | "nevents" => OUT,
        "ro_flags" => OUT + 8,
        // Times, flags, rights, sizes.
        _ => 0,
    }
}

macro_rules! calls {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// All of them.
        pub(crate) const CALLS: &[Call] = &[$(Call {
            name: stringify!($name),
            make: |g, fd| {
                prepare(g, fd);
                g.vfs.$name(&mut g.home, $($ty::from(argument(stringify!($arg), fd))),*)
            },
            arguments: |fd| vec![$(u64::from(argument(stringify!($arg), fd))),*],
        }),*];
    };
}
for_each_hook!(calls);

/// Writes what the addresses among the arguments lead to.
fn prepare(g: &mut Guest, fd: u32) {
    g.put(PATH, b"x");
    let [b0, b1, b2, b3] = BUFFER.to_le_bytes();
    g.put(IOVS, &[b0, b1, b2, b3, 1, 0, 0, 0]);
    let mut subscription = [0; 48];
    subscription[8] = FD_READ;
    subscription[16..20].copy_from_slice(&fd.to_le_bytes());
    g.put(BUFFER, &subscription);
}
