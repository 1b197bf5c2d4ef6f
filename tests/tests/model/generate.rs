//! Random operations.
//!
//! Names come from a tiny alphabet, so that they collide; descriptors are mostly
//! chosen among those that are open, so that few operations are wasted; sizes and
//! offsets lie around those at which extents begin and end.

use monaka_tests::native::{ALL, ROOT};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::ops::{DIRECTORY, FILE, Fd, Op, Path};

const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;
const ALLOCATE: u64 = 1 << 8;
const READDIR: u64 = 1 << 14;

/// Most often a file.
fn file() -> impl Strategy<Value = Fd> {
    prop_oneof![
        24 => (0..8u32).prop_map(|n| FILE + n),
        1 => (0..8u32).prop_map(|n| DIRECTORY + n),
        1 => ROOT..16u32,
    ]
}

/// Most often the root, or another directory.
fn dir() -> impl Strategy<Value = Fd> {
    prop_oneof![
        16 => Just(ROOT),
        8 => (0..8u32).prop_map(|n| DIRECTORY + n),
        1 => (0..8u32).prop_map(|n| FILE + n),
        1 => ROOT..16u32,
    ]
}

fn any_fd() -> impl Strategy<Value = Fd> {
    prop_oneof![3 => file(), 2 => dir()]
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "l", "h", "loop", "out"];
    prop_oneof![
        40 => proptest::sample::select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec()),
        3 => Just(b".".to_vec()),
        5 => Just(b"..".to_vec()),
        1 => Just(Vec::new()),
        1 => Just(b"\xff".to_vec()),
        1 => Just(vec![b'n'; 255]),
        1 => Just(vec![b'n'; 256]),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let usual = (
        vec(component(), 1..4),
        proptest::bool::weighted(0.08),
        proptest::bool::weighted(0.02),
    )
        .prop_map(|(components, slash, absolute)| {
            let mut path = components.join(&b'/');
            if slash {
                path.push(b'/');
            }
            if absolute {
                path.insert(0, b'/');
            }
            path
        });
    prop_oneof![
        60 => usual,
        20 => component(),
        1 => Just(b"a\0b".to_vec()),
        1 => Just(b"./".repeat(2047)),
        1 => Just(b"./".repeat(2048)),
    ]
    .prop_map(Path)
}

fn lens() -> impl Strategy<Value = Vec<u32>> {
    let len = || prop_oneof![4 => 0..20u32, 2 => 4090..4100u32, 1 => 65_530..65_545u32];
    prop_oneof![
        4 => len().prop_map(|len| vec![len]),
        2 => vec(len(), 0..4),
        1 => Just(vec![150_000]),
    ]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0..30u64,
        2 => 4080..4110u64,
        2 => 65_500..65_600u64,
        1 => 131_060..131_080u64,
        1 => 199_900..270_000u64,
    ]
}

fn oflags() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => Just(0),
        5 => Just(1),
        2 => Just(1 | 4),
        2 => Just(1 | 8),
        2 => Just(8),
        4 => Just(2),
        1 => 0..16u32,
    ]
}

fn rights() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => Just(ALL),
        3 => Just(READ | WRITE),
        1 => Just(READ | WRITE | ALLOCATE),
        4 => Just(ALL & !(WRITE | ALLOCATE | 1 << 22)),
        3 => Just(READ | READDIR),
        1 => Just(WRITE),
        1 => Just(0),
        1 => any::<u64>(),
    ]
}

/// Nearly all of what there is, so that narrowing succeeds now and then.
fn narrowed() -> impl Strategy<Value = u64> {
    let file: u64 = 0x08e0_01ff;
    let directory: u64 = 0x0fbf_fe99;
    let base = prop_oneof![
        Just(file),
        Just(file & !(WRITE | ALLOCATE | 1 << 22)),
        Just(directory)
    ];
    prop_oneof![
        3 => (base, 0..30u32, 0..30u32).prop_map(|(base, x, y)| base & !(1 << x) & !(1 << y)),
        1 => Just(0),
        1 => any::<u64>(),
    ]
}

fn passed_on() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0),
        4 => (0..30u32).prop_map(|x| 0x3fff_ffff & !(1 << x)),
        1 => any::<u64>(),
    ]
}

fn fdflags() -> impl Strategy<Value = u32> {
    prop_oneof![6 => Just(0), 3 => Just(1), 1 => 0..32u32]
}

/// Days of the years 1970 to 2011, with nanoseconds.
fn time() -> impl Strategy<Value = u64> {
    0..1_300_000_000_000_000_000u64
}

fn fstflags() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(1 | 4), 2 => Just(4), 1 => 0..17u32]
}

/// One operation.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    let flag = any::<bool>;
    let opening = (
        dir(),
        flag(),
        path(),
        oflags(),
        rights(),
        passed_on(),
        fdflags(),
    );
    let opening = opening.prop_map(
        |(dir, follow, path, oflags, mut rights, inheriting, flags)| {
            if oflags & 2 != 0 && rights & 1 != 0 {
                // Who wants a directory does not ask to write it, mostly.
                rights &= !WRITE;
            }
            Op::Open {
                dir,
                follow,
                path,
                oflags,
                rights,
                inheriting,
                flags,
            }
        },
    );
    prop_oneof![
        20 => opening,
        3 => any_fd().prop_map(Op::Close),
        1 => (any_fd(), any_fd()).prop_map(|(a, b)| Op::Renumber(a, b)),
        6 => (file(), lens()).prop_map(|(f, n)| Op::Read(f, n)),
        6 => (file(), lens(), offset()).prop_map(|(f, n, o)| Op::Pread(f, n, o)),
        10 => (file(), lens(), any::<u8>()).prop_map(|(f, n, b)| Op::Write(f, n, b)),
        8 => (file(), lens(), any::<u8>(), offset()).prop_map(|(f, n, b, o)| Op::Pwrite(f, n, b, o)),
        4 => (file(), -70_000..300_000i64, 0..3u32).prop_map(|(f, o, w)| Op::Seek(f, o, w)),
        1 => (file(), -30..30i64, 0..5u32).prop_map(|(f, o, w)| Op::Seek(f, o, w)),
        3 => file().prop_map(Op::Tell),
        6 => (file(), offset()).prop_map(|(f, n)| Op::SetSize(f, n)),
        2 => (file(), offset(), offset()).prop_map(|(f, o, n)| Op::Allocate(f, o, n)),
        1 => (file(), offset(), offset(), 0..8u32).prop_map(|(f, o, n, a)| Op::Advise(f, o, n, a)),
        1 => any_fd().prop_map(Op::Sync),
        1 => any_fd().prop_map(Op::Datasync),
        3 => any_fd().prop_map(Op::Fdstat),
        2 => (file(), fdflags()).prop_map(|(f, n)| Op::SetFlags(f, n)),
        2 => (any_fd(), narrowed(), passed_on()).prop_map(|(f, a, b)| Op::SetRights(f, a, b)),
        4 => any_fd().prop_map(Op::Fstat),
        2 => (any_fd(), time(), time(), fstflags()).prop_map(|(f, a, m, n)| Op::SetTimes(f, a, m, n)),
        3 => (dir(), 24..600u32).prop_map(|(d, n)| Op::Readdir(d, n)),
        1 => any_fd().prop_map(Op::Prestat),
        1 => (any_fd(), 0..3u32).prop_map(|(f, n)| Op::PrestatName(f, n)),
        8 => (dir(), path()).prop_map(|(d, p)| Op::Mkdir(d, p)),
        5 => (dir(), path()).prop_map(|(d, p)| Op::Rmdir(d, p)),
        5 => (dir(), path()).prop_map(|(d, p)| Op::Unlink(d, p)),
        10 => (dir(), path(), dir(), path()).prop_map(|(d, p, e, q)| Op::Rename(d, p, e, q)),
        6 => (dir(), proptest::bool::weighted(0.05), path(), dir(), path())
            .prop_map(|(d, f, p, e, q)| Op::Link(d, f.into(), p, e, q)),
        6 => (path(), dir(), path()).prop_map(|(t, d, p)| Op::Symlink(t, d, p)),
        3 => (dir(), path(), prop_oneof![0..8u32, Just(4096)])
            .prop_map(|(d, p, n)| Op::Readlink(d, p, n)),
        5 => (dir(), flag(), path()).prop_map(|(d, f, p)| Op::Stat(d, f, p)),
        4 => (dir(), flag(), path(), time(), time(), fstflags())
            .prop_map(|(d, f, p, a, m, n)| Op::PathSetTimes(d, f, p, a, m, n)),
    ]
}
