//! Reading and writing devices: Linux's drivers/char/mem.c and random.c.

use crate::abi::Iovs;
use crate::device::Device;
use crate::errno::{Errno, Result};
use crate::host::Home;

/// Hosts refuse to make more random bytes at once (`getRandomValues` does).
const RANDOM_MAX: u32 = 65536;

/// Fills the buffers; answers how many bytes. What the host answers when it has
/// no random bytes, unless some have been read already.
pub(super) fn read(device: Device, home: &mut impl Home, mut iovs: Iovs) -> Result<u32> {
    let mut total = 0;
    while let Some(mut to) = iovs.next(home) {
        match device {
            Device::Zero | Device::Full => {
                home.zero(to);
                total += to.len();
            }
            Device::Random => {
                while !to.is_empty() {
                    let (part, rest) = to.split(RANDOM_MAX);
                    match home.random(part) {
                        Ok(()) => total += part.len(),
                        Err(errno) if total == 0 => return Err(errno),
                        Err(_) => return Ok(total),
                    }
                    to = rest;
                }
            }
            // A stream is never open itself, but what it leads to.
            Device::Null | Device::Stream(_) => return Ok(0),
        }
    }
    Ok(total)
}

/// Swallows the buffers; answers how many bytes. `NOSPC` from
/// [`Device::Full`], but for none.
pub(super) fn write(device: Device, iovs: Iovs) -> Result<u32> {
    match device {
        Device::Full if iovs.left() != 0 => Err(Errno::NOSPC),
        _ => Ok(iovs.left()),
    }
}

/// How many bytes a reader would find, as `poll_oneoff` says it.
pub(super) fn readable(device: Device) -> u64 {
    match device {
        Device::Null => 0,
        _ => 1,
    }
}
