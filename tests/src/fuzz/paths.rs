//! The fuzzer of paths: hostile bytes through every call that takes a path,
//! beside a model with a path walk of its own.
//!
//! The model decides whether a call succeeds and what it changes; of a failure
//! it knows the errno where the walk failed, and else that nothing happened.
//! Which errno that is, and in which order things are checked, is compared with
//! a real directory by `tests/model.rs`.

use std::collections::HashMap;
use std::sync::LazyLock;

use monaka_vfs_core::Errno;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::image::NodeId;
use monaka_vfs_core::inode::Ino;

use super::model::{CONTENTS, Follow, Id, Model, Node, Open, Packs, Refused, Verdict};
use crate::native::{self, ALL, Guest, Packed, ROOT};

static PACKED: LazyLock<Packed> = LazyLock::new(|| {
    Packed::new(native::tree(|tree| {
        for (path, packs) in CONTENTS {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent: NodeId = tree.lookup(parent.as_bytes()).unwrap();
            match packs {
                Packs::File => drop(native::add_file(tree, parent, name, b"contents")),
                Packs::Dir => drop(tree.add_directory(parent, name.as_bytes(), native::meta())),
                Packs::Link(target) => drop(tree.add_symlink(
                    parent,
                    name.as_bytes(),
                    native::meta(),
                    target.as_bytes(),
                )),
            }
        }
    }))
});

/// Takes the input apart.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A length and as many bytes, of which some stand for what is too long to
    /// be found byte by byte.
    fn path(&mut self) -> Vec<u8> {
        let len = usize::from(self.next() % 32).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        let mut path = Vec::new();
        for byte in bytes {
            match byte {
                0xf0 => path.extend([b'n'; 255]),
                0xf1 => path.extend([b'n'; 256]),
                0xf2 => path.extend(b"./".repeat(1000)),
                0xf3 => path.extend(b"d/e/../../".repeat(200)),
                0xf4 => path.extend(b"l/../".repeat(39)),
                byte => path.push(*byte),
            }
        }
        path
    }
}

/// Where the paths are put in the program's memory.
const PATHS: [u32; 2] = [1 << 20, 2 << 20];
/// Where answers are put.
const OUT: u32 = 64;

/// A guest beside its model.
struct Both {
    guest: Guest,
    model: Model,
    /// Open directories: descriptor and node.
    bases: [(u32, Id); 3],
    inodes: HashMap<Id, Ino>,
}

impl Both {
    fn new() -> Both {
        let mut guest = Guest::of(*PACKED, false);
        let model = Model::new();
        let d = guest.open("d", 2).unwrap();
        let e = guest.open("d/e", 2).unwrap();
        let d_node = model.entries(0)[&b"d"[..]];
        let e_node = model.entries(d_node)[&b"e"[..]];
        let inodes = model.compare(guest.vfs.fs());
        Both {
            guest,
            model,
            bases: [(ROOT, 0), (d, d_node), (e, e_node)],
            inodes,
        }
    }

    fn put(&mut self, which: usize, path: &[u8]) -> (u32, u32) {
        let at = PATHS[which];
        self.guest.home.memory[at as usize..][..path.len()].copy_from_slice(path);
        (at, path.len() as u32)
    }

    fn out(&self) -> u32 {
        let bytes = &self.guest.home.memory[OUT as usize..][..4];
        u32::from_le_bytes(bytes.try_into().expect("4 bytes"))
    }

    /// Makes one call on both sides: what each of them answers.
    fn call(&mut self, input: &mut Bytes<'_>) -> (Result<()>, Verdict<()>) {
        let (call, flags) = (input.next() % 10, input.next());
        let (fd, base) = self.bases[usize::from(input.next()) % 3];
        let first = input.path();
        let (path, len) = self.put(0, &first);
        // The second path, for the calls that take two.
        let other = |this: &mut Both, input: &mut Bytes<'_>| {
            let (fd, base) = this.bases[usize::from(input.next()) % 3];
            let path = input.path();
            let (at, len) = this.put(1, &path);
            (fd, base, path, at, len)
        };
        let follow = flags & 1 != 0;
        let looks = if follow {
            Follow::Always
        } else {
            Follow::Slash
        };
        let lookup = u32::from(follow);
        let (vfs, home) = (&mut self.guest.vfs, &mut self.guest.home);
        match call {
            0 => {
                let found = vfs.path_filestat_get(home, fd, lookup, path, len, OUT);
                let ino = u64::from_le_bytes(
                    home.memory[OUT as usize + 8..][..8]
                        .try_into()
                        .expect("8 bytes"),
                );
                let verdict = self.model.existing(base, &first, looks);
                if let (Ok(()), Ok(id)) = (&found, &verdict) {
                    // An open directory that was removed has no name to find it by.
                    let known = self.inodes.get(id).map(|ino| u64::from(ino.number()));
                    assert_eq!(ino, known.unwrap_or(ino));
                }
                (found, verdict.map(drop))
            }
            1 => {
                let done = vfs.path_filestat_set_times(home, fd, lookup, path, len, 7, 8, 5);
                (done, self.model.existing(base, &first, looks).map(drop))
            }
            2 => {
                let how = Open {
                    create: flags & 2 != 0,
                    directory: flags & 4 != 0,
                    exclusive: flags & 8 != 0,
                    truncate: flags & 16 != 0,
                };
                let oflags = u32::from(flags >> 1) & 15;
                let read = ALL & !(1 << 6);
                let opened = vfs.path_open(home, fd, lookup, path, len, oflags, read, ALL, 0, OUT);
                if opened.is_ok() {
                    let fd = self.out();
                    self.guest.close(fd).expect("it was opened");
                }
                if how.create && how.directory {
                    assert_eq!(opened, Err(Errno::INVAL));
                    return (opened, Err(Refused::Call));
                }
                let verdict = self.model.open(base, &first, follow, how);
                (opened, verdict.map(drop))
            }
            3 => (
                vfs.path_create_directory(home, fd, path, len),
                self.model.mkdir(base, &first),
            ),
            4 => (
                vfs.path_remove_directory(home, fd, path, len),
                self.model.rmdir(base, &first),
            ),
            5 => (
                vfs.path_unlink_file(home, fd, path, len),
                self.model.unlink(base, &first),
            ),
            6 => {
                let read = vfs.path_readlink(home, fd, path, len, PATHS[1], 5000, OUT);
                let verdict = self.model.existing(base, &first, Follow::Slash);
                let target = match verdict.as_ref().map(|id| &self.model.0[*id]) {
                    Ok(Node::Link(target)) => target,
                    Ok(_) => return (read, Err(Refused::Call)),
                    Err(_) => return (read, verdict.map(drop)),
                };
                let len = self.out() as usize;
                let got = &self.guest.home.memory[PATHS[1] as usize..][..len];
                assert_eq!(got, &target[..]);
                (read, Ok(()))
            }
            7 => {
                let (fd, base, new, at, new_len) = other(self, input);
                let (vfs, home) = (&mut self.guest.vfs, &mut self.guest.home);
                let made = vfs.path_symlink(home, path, len, fd, at, new_len);
                (made, self.model.symlink(&first, base, &new))
            }
            8 => {
                let (new_fd, new_base, new, at, new_len) = other(self, input);
                let (vfs, home) = (&mut self.guest.vfs, &mut self.guest.home);
                let made = vfs.path_link(home, fd, 0, path, len, new_fd, at, new_len);
                (made, self.model.link((base, &first), (new_base, &new)))
            }
            _ => {
                let (new_fd, new_base, new, at, new_len) = other(self, input);
                let (vfs, home) = (&mut self.guest.vfs, &mut self.guest.home);
                let moved = vfs.path_rename(home, fd, path, len, new_fd, at, new_len);
                (moved, self.model.rename((base, &first), (new_base, &new)))
            }
        }
    }
}

/// What a path call may answer where no walk has failed.
const DOCUMENTED: &[Errno] = &[
    Errno::BUSY,
    Errno::EXIST,
    Errno::INVAL,
    Errno::ISDIR,
    Errno::LOOP,
    Errno::NAMETOOLONG,
    Errno::NOENT,
    Errno::NOTDIR,
    Errno::NOTEMPTY,
    Errno::PERM,
];

/// Invariants under test: a path call succeeds when the model's does and changes
/// what the model changes; where the walk fails it answers the walk's errno; a
/// walk never leaves its directory; the file system stays whole.
pub fn paths(bytes: &[u8]) {
    let mut both = Both::new();
    let mut input = Bytes(bytes);
    for _ in 0..60 {
        if input.0.is_empty() {
            break;
        }
        let before = input.0;
        let (outcome, verdict) = both.call(&mut input);
        let shown = &before[..before.len() - input.0.len()];
        match (outcome, verdict) {
            (Ok(()), Ok(())) => {}
            (Err(errno), Err(Refused::Walk(expected))) => {
                assert_eq!(errno, expected, "{}", shown.escape_ascii());
            }
            (Err(errno), Err(Refused::Call)) => {
                assert!(
                    DOCUMENTED.contains(&errno),
                    "{errno:?}: {}",
                    shown.escape_ascii()
                );
            }
            (outcome, verdict) => panic!(
                "{outcome:?}, but the model says {verdict:?}: {}",
                shown.escape_ascii()
            ),
        }
        both.inodes = both.model.compare(both.guest.vfs.fs());
        both.guest.vfs.check_invariants();
    }
}
