//! Every call with any integers: a program can pass what it likes, and gets an
//! errno, never a trap, and never a file system that is not whole.

use monaka_tests::fuzz::{CALLS, call, guest, unchanged};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// One integer of a call, before it is known whether it has 32 or 64 bits.
fn integer() -> impl Strategy<Value = u64> {
    prop_oneof![
        // Descriptors, flags, lengths, cookies.
        6 => 0..12u64,
        // Addresses of the paths, buffers and subscriptions that stand ready.
        6 => (0..20u64).prop_map(|n| 4096 * (n + 1)),
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
            let _ = call(&mut guest, *number, integers);
            guest.vfs.check_invariants();
            // Those who take the files out may ask for any inode that there is.
            let inodes: Vec<u32> = guest.vfs.fs().inodes().map(|(ino, _)| ino.number()).collect();
            let _ = guest.vfs.attach(inodes[integers[0] as usize % inodes.len()]);
            guest.vfs.check_invariants();
        }
        unchanged(&guest);
    }
}
