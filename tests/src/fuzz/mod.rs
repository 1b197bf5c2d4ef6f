//! What the fuzzers do with their bytes. The same functions replay what they
//! found as ordinary tests.

mod frames;
mod model;
mod paths;
mod roundtrip;

use std::sync::LazyLock;

use monaka_vfs_core::image::{Limits, NodeId};
use monaka_vfs_core::witx::Hook;
use monaka_vfs_core::{Errno, for_each_hook};

pub use self::frames::frames;
pub use self::paths::paths;
pub use self::roundtrip::{image, roundtrip};

use crate::native::{self, Guest, Packed};

trait FromInteger {
    fn from_integer(n: u64) -> Self;
}

impl FromInteger for u32 {
    fn from_integer(n: u64) -> u32 {
        n as u32
    }
}

impl FromInteger for u64 {
    fn from_integer(n: u64) -> u64 {
        n
    }
}

macro_rules! calls {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// How many calls there are.
        pub const CALLS: usize = [$(stringify!($name)),*].len();

        /// Makes the call of that number.
        pub fn call(guest: &mut Guest, number: usize, integers: &[u64; 9]) -> Result<(), Errno> {
            // It takes the memory it is asked for, and a test has less of it
            // than a program could ask for.
            if number == Hook::fd_allocate as usize && (1 << 20..=1 << 32).contains(&integers[2]) {
                return Err(Errno::NOSPC);
            }
            let mut calls: Vec<&dyn Fn(&mut Guest) -> Result<(), Errno>> = Vec::new();
            $(
                let this = |guest: &mut Guest| {
                    let mut integers = integers.iter();
                    $(let $arg = $ty::from_integer(*integers.next().unwrap());)*
                    guest.vfs.$name(&mut guest.home, $($arg),*)
                };
                calls.push(&this);
            )*
            calls[number](guest)
        }
    };
}
for_each_hook!(calls);

/// What a [`guest`] may add.
const LIMITS: Limits = Limits {
    bytes: 100_000,
    inodes: 3,
};

/// A guest with files, devices, a read-only directory, limits that are soon reached,
/// open descriptors, and plausible structures in memory.
pub fn guest() -> Guest {
    static PACKED: LazyLock<Packed> = LazyLock::new(|| {
        Packed::new(native::tree(|tree| {
            native::add_file(tree, NodeId::ROOT, "a", &[1; 70_000]);
            let dir = tree
                .add_directory(NodeId::ROOT, b"b", native::meta())
                .unwrap();
            native::add_file(tree, dir, "c", b"inner");
            tree.add_symlink(dir, b"loop", native::meta(), b"../b/loop")
                .unwrap();
            tree.add_symlink(NodeId::ROOT, b"l", native::meta(), b"b/")
                .unwrap();
            native::add_devices(tree);
            let read_only = tree
                .add_directory(NodeId::ROOT, b"r", native::meta())
                .unwrap();
            let file = native::add_file(tree, read_only, "f", b"as it is");
            tree.add_link(NodeId::ROOT, b"e", file).unwrap();
            tree.set_read_only(read_only, true);
            tree.set_limits(LIMITS);
        }))
    });
    let mut guest = Guest::of(*PACKED, false);
    guest.home.host = |_, _, _| Err(Errno::IO);
    guest.open("a", 0).unwrap();
    guest.open("b", 2).unwrap();
    guest.open("new", 1).unwrap();
    for device in ["full", "random", "stdout"] {
        guest.open(&format!("dev/{device}"), 0).unwrap();
    }
    guest.open("r", 2).unwrap();
    let texts: [&[u8]; 8] = [
        b"a",
        b"b/c",
        b"b/loop",
        b"l/../new",
        b"../..",
        b"b//./",
        b"\0\xff",
        b"d",
    ];
    for (page, text) in (1..).zip(texts) {
        guest.home.memory[4096 * page..][..text.len()].copy_from_slice(text);
    }
    let texts: [&[u8]; 6] = [b"r/f", b"r/n", b"e", b"dev/zero", b"dev/stdin", b"r"];
    for (page, text) in (14..).zip(texts) {
        guest.home.memory[4096 * page..][..text.len()].copy_from_slice(text);
    }
    // Buffer lists, of which some overlap, and subscriptions.
    for (page, words) in (9..).zip([
        [65536u32, 10, 65546, 100],
        [40960, 8000, 40960, 8000],
        [u32::MAX, 1, 0, u32::MAX],
        [0, 0, 65536, 1 << 31],
    ]) {
        for (at, word) in words.iter().enumerate() {
            guest.home.memory[4096 * page + 4 * at..][..4].copy_from_slice(&word.to_le_bytes());
        }
    }
    for at in 0..4096 {
        guest.home.memory[4096 * 13 + at] = [0, 1, 2, 3, 4, 5][at % 6];
    }
    guest
}

/// Fails if what is read-only in [`guest`] has changed, or a limit was passed.
pub fn unchanged(guest: &Guest) {
    let before = self::guest();
    let read_only = |guest: &Guest| -> Vec<String> {
        let all = guest.vfs.fs().inodes();
        all.filter(|(_, inode)| inode.read_only())
            .map(|(ino, i)| {
                format!(
                    "{ino:?} {:?}",
                    (&i.kind(), i.nlink(), i.atim(), i.mtim(), i.ctim())
                )
            })
            .collect()
    };
    assert_eq!(read_only(guest), read_only(&before));
    assert!(guest.vfs.fs().used_bytes() <= LIMITS.bytes);
    let added =
        guest.vfs.fs().used_inodes().cast_signed() - before.vfs.fs().used_inodes().cast_signed();
    // One has been created before the first call.
    assert!(added < LIMITS.inodes.cast_signed());
}

/// Integers that mean something in [`guest`]'s memory, and those at the edges.
const INTEGERS: [u64; 12] = [
    4095,
    4096 * 17,
    (4 << 20) - 1,
    4 << 20,
    1 << 20,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// Invariant under test: whatever integers a program passes, it gets an errno,
/// and the file system stays whole.
///
/// Each call is a byte for its number and one for each of nine integers: below
/// 128 itself, then an address of [`guest`]'s pages, then an edge.
pub fn calls(bytes: &[u8]) {
    let mut guest = guest();
    for call_bytes in bytes.chunks_exact(10).take(200) {
        let mut integers = [0; 9];
        for (integer, byte) in integers.iter_mut().zip(&call_bytes[1..]) {
            *integer = match *byte {
                small @ 0..128 => u64::from(small),
                page @ 128..192 => 4096 * u64::from(page - 127),
                edge => INTEGERS[usize::from(edge) % INTEGERS.len()],
            };
        }
        let _ = call(&mut guest, usize::from(call_bytes[0]) % CALLS, &integers);
        guest.vfs.check_invariants();
    }
    unchanged(&guest);
}
