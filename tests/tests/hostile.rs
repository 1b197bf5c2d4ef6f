//! Every call with any integers: a program can pass what it likes, and gets an
//! errno, never a trap, and never a file system that is not whole.

use monaka_tests::native::{self, Guest};
use monaka_vfs_core::image::NodeId;
use monaka_vfs_core::{Errno, for_each_hook};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// One integer of a call, before it is known whether it has 32 or 64 bits.
fn integer() -> impl Strategy<Value = u64> {
    prop_oneof![
        // Descriptors, flags, lengths, cookies.
        6 => 0..12u64,
        // Addresses of the paths, buffers and subscriptions that stand ready.
        6 => (0..16u64).prop_map(|n| 4096 * (n + 1)),
        2 => 0..5000u64,
        1 => (4 << 20) - 16..(4 << 20) + 16u64,
        1 => prop_oneof![
            Just(1u64 << 31),
            Just(u64::from(u32::MAX)),
            Just(1u64 << 32),
            Just(i64::MAX as u64),
            Just(1u64 << 63),
            Just(u64::MAX),
        ],
        1 => any::<u64>(),
    ]
}

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
        const CALLS: usize = [$(stringify!($name)),*].len();

        /// Makes the call of that number.
        fn call(guest: &mut Guest, number: usize, integers: &[u64; 9]) -> Result<(), Errno> {
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

/// A guest with files, open descriptors, and plausible structures in memory.
fn guest() -> Guest {
    let mut guest = Guest::new(native::tree(|tree| {
        native::add_file(tree, NodeId::ROOT, "a", &[1; 70_000]);
        let dir = tree
            .add_directory(NodeId::ROOT, b"b", native::meta())
            .unwrap();
        native::add_file(tree, dir, "c", b"inner");
        tree.add_symlink(dir, b"loop", native::meta(), b"../b/loop")
            .unwrap();
        tree.add_symlink(NodeId::ROOT, b"l", native::meta(), b"b/")
            .unwrap();
    }));
    guest.home.host = |_, _, _| Err(Errno::IO);
    guest.open("a", 0).unwrap();
    guest.open("b", 2).unwrap();
    guest.open("new", 1).unwrap();
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

proptest! {
    #![proptest_config(Config {
        failure_persistence: None,
        cases: std::env::var("MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(500),
        ..Config::default()
    })]

    #[test]
    fn any_integers_are_answered_by_an_errno(
        calls in proptest::collection::vec((0..CALLS, proptest::array::uniform9(integer())), 1..80)
    ) {
        let mut guest = guest();
        for (number, integers) in &calls {
            // fd_allocate takes the memory it is asked for; the test has less
            // of it than a program could ask.
            let allocates = *number == monaka_vfs_core::witx::Hook::fd_allocate as usize;
            if allocates && (1 << 20..=1 << 32).contains(&integers[2]) {
                continue;
            }
            let _ = call(&mut guest, *number, integers);
            guest.vfs.check_invariants();
        }
    }
}
