//! What `/dev` holds: files that are a behaviour and have no contents.
//!
//! The behaviour itself is in [`vfs`](crate::vfs), as it needs the program's
//! memory and the host.

/// A character device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// Whatever the program's descriptor of that number (0 to 2) stands for:
    /// opening it opens that.
    Stream(u8),
    /// Ends at once; swallows what is written.
    Null,
    /// Endless zeros; swallows what is written.
    Zero,
    /// Endless zeros; always full.
    Full,
    /// The host's random bytes; swallows what is written.
    Random,
}

/// The names that `/dev` has, and what they name.
pub const DEVICES: [(&[u8], Device); 8] = [
    (b"full", Device::Full),
    (b"null", Device::Null),
    (b"random", Device::Random),
    (b"stderr", Device::Stream(2)),
    (b"stdin", Device::Stream(0)),
    (b"stdout", Device::Stream(1)),
    (b"urandom", Device::Random),
    (b"zero", Device::Zero),
];

impl Device {
    /// The device of that number, as docs/SPEC.md has it.
    pub fn from_number(number: u64) -> Option<Device> {
        Some(match number {
            0..=2 => Device::Stream(number as u8),
            3 => Device::Null,
            5 => Device::Zero,
            7 => Device::Full,
            8 => Device::Random,
            _ => return None,
        })
    }

    /// Its number.
    pub fn number(self) -> u64 {
        match self {
            Device::Stream(fd) => fd.into(),
            Device::Null => 3,
            Device::Zero => 5,
            Device::Full => 7,
            Device::Random => 8,
        }
    }
}
