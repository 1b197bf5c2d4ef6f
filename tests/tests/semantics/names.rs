//! Names: bytes and lengths.

use monaka_tests::native::{Guest, ROOT, name};
use monaka_vfs_core::Errno;

use crate::paths::{CALLS, shapes};
use crate::{CREAT, with};

/// A name is any bytes but `/` and NUL, 1 to 255 of them; it need not be
/// UTF-8, and nothing is folded or normalised. A longer one is
/// `NAMETOOLONG`, wherever it stands.
#[test]
fn a_name_is_any_bytes_up_to_255() {
    let longest = [b'n'; 255];
    let every: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').collect();
    let names: [&[u8]; 10] = [
        &longest,
        &every,
        b"\xff\xfe",
        b"\xc3",
        b"\xc3\x89",
        b"e\xcc\x81",
        b" ",
        b"a\nb\\c",
        b"...",
        b"CON",
    ];
    with(Guest::empty(), |g| {
        for name in names {
            g.mkdir(name).unwrap();
            g.rename(name, "between").unwrap();
            g.symlink(name, name).unwrap();
            assert_eq!(g.readlink(name).unwrap(), name);
            g.unlink(name).unwrap();
            g.rename("between", name).unwrap();
            g.create(&[name, b"/", name].concat(), name).unwrap();
            assert_eq!(g.contents(&[name, b"/", name].concat()).unwrap(), name);
        }
        let listed: Vec<_> = g.readdir(ROOT, 4096).unwrap();
        let listed: Vec<&[u8]> = listed.iter().map(|entry| &entry.name[..]).collect();
        assert_eq!(listed, names, "each is a name of its own");
        assert_eq!(name(&g.stat("con", false)), "NOENT", "no case is folded");
    });
    let long = "n".repeat(256);
    with(shapes(), |g| {
        for call in &CALLS {
            for path in [
                long.clone(),
                format!("{long}/x"),
                format!("dir/{long}"),
                format!("dir/../{long}/"),
            ] {
                let outcome = call.on(g, ROOT, &path);
                assert_eq!(outcome, Err(Errno::NAMETOOLONG), "{}", call.name);
            }
        }
        g.symlink(&long, "to-long").unwrap();
        assert_eq!(name(&g.open("to-long", CREAT)), "NAMETOOLONG");
    });
}
