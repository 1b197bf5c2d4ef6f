//! Whole trees: what is under which name, and which names are one file.
//!
//! Looking must not change what is looked at: access times are put back, and on
//! the host they are not touched (`O_NOATIME`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use monaka_tests::calls::Calls;
use monaka_tests::native::{ALL, Guest, ROOT};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat as HostStat};

use crate::ops::{Op, Path, Stat, Value, apply, explicit};
use crate::oracle::strange;

/// What stands at one path.
#[derive(Clone, PartialEq)]
pub(crate) struct Node {
    stat: Stat,
    /// A number that this node's names share, counted in the order of paths.
    file: usize,
    /// A file's contents, a symlink's target.
    bytes: Vec<u8>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stat {
            nlink, atim, mtim, ..
        } = self.stat;
        let times = format!("atim {atim:?} mtim {mtim:?}");
        match (self.stat.filetype, self.bytes.len()) {
            (3, _) => write!(f, "directory, {nlink} links, {times}"),
            (7, _) => write!(
                f,
                "-> {}, {nlink} links, {times}",
                self.bytes.escape_ascii()
            ),
            (_, len) => write!(f, "file {}, {nlink} links, {len} bytes, {times}", self.file),
        }
    }
}

/// All nodes by path; the root is the empty one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree(BTreeMap<Vec<u8>, Node>);

impl Tree {
    /// Counts files by the order of their first path.
    fn number(found: BTreeMap<Vec<u8>, (u64, Node)>) -> Tree {
        let mut files = HashMap::new();
        let number = |(path, (ino, mut node)): (Vec<u8>, (u64, Node))| {
            let next = files.len();
            node.file = *files.entry(ino).or_insert(next);
            (path, node)
        };
        Tree(found.into_iter().map(number).collect())
    }

    /// The same where access times cannot be compared.
    pub(crate) fn without_access_times(mut self) -> Tree {
        self.0.values_mut().for_each(|node| node.stat.atim = None);
        self
    }

    /// How `other` differs, in words.
    pub(crate) fn difference(&self, other: &Tree) -> String {
        let mut all: Vec<&Vec<u8>> = self.0.keys().chain(other.0.keys()).collect();
        all.sort();
        all.dedup();
        let mut lines = String::new();
        for path in all {
            let (mine, theirs) = (self.0.get(path), other.0.get(path));
            if mine == theirs {
                continue;
            }
            let at = |a: &Node, b: &Node| a.bytes.iter().zip(&b.bytes).position(|(x, y)| x != y);
            let byte = mine.zip(theirs).and_then(|(a, b)| at(a, b));
            lines += &format!("  {}: {mine:?} and {theirs:?}", Path(path.clone()));
            if let Some(byte) = byte {
                lines += &format!(", from byte {byte} on");
            }
            lines.push('\n');
        }
        lines
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.escape_ascii())
    }
}

fn below(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        [] => name.to_vec(),
        path => [path, b"/", name].concat(),
    }
}

/// The tree that a program sees.
pub(crate) fn seen<V: Calls>(guest: &mut Guest<V>) -> Tree {
    let mut found = BTreeMap::new();
    see(guest, Vec::new(), &mut found);
    Tree::number(found)
}

fn see<V: Calls>(guest: &mut Guest<V>, path: Vec<u8>, found: &mut BTreeMap<Vec<u8>, (u64, Node)>) {
    let shown = Path(path.clone());
    let at = match path.as_slice() {
        [] => Path::from("."),
        _ => shown.clone(),
    };
    let raw = guest.stat(&at, false);
    let raw = raw.unwrap_or_else(|e| panic!("{shown} is listed, but stat: {e:?}"));
    let mut open = |rights: u64| {
        let fd = guest.open_with(ROOT, 0, &at, 0, rights, ALL, 0);
        fd.unwrap_or_else(|e| panic!("{shown} cannot be opened: {e:?}"))
    };
    let mut children = Vec::new();
    let bytes = match raw.filetype {
        3 => {
            let fd = open(1 << 14);
            // Small enough that most listings take several calls.
            match apply(guest, &Op::Readdir(fd, 100)) {
                Ok(Value::Entries(entries)) => children.extend(entries.into_keys()),
                other => panic!("{shown} cannot be listed: {other:?}"),
            }
            guest.close(fd).expect("close what was opened");
            Vec::new()
        }
        7 => guest.readlink(&at).expect("a symlink can be read"),
        _ => {
            let fd = open(1 << 1);
            let bytes = guest
                .read(fd, raw.size as usize)
                .expect("a file can be read");
            assert_eq!(bytes.len() as u64, raw.size, "{shown} has its size");
            guest.close(fd).expect("close what was opened");
            bytes
        }
    };
    if let Some(atim) = explicit(raw.atim) {
        apply(guest, &Op::PathSetTimes(ROOT, false, at, atim, 0, 1)).expect("put atim back");
    }
    let node = Node {
        stat: raw.into(),
        file: 0,
        bytes,
    };
    found.insert(path.clone(), (raw.ino, node));
    for name in children {
        if name != b"." && name != b".." {
            see(guest, below(&path, &name), found);
        }
    }
}

/// The tree below a directory of the host.
pub(crate) fn real(root: &std::path::Path) -> Tree {
    let mut found = BTreeMap::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOATIME | OFlags::CLOEXEC;
    let root = fs::open(root, flags, Mode::empty()).expect("open the directory");
    look(root, Vec::new(), &mut found);
    Tree::number(found)
}

fn look(dir: OwnedFd, path: Vec<u8>, found: &mut BTreeMap<Vec<u8>, (u64, Node)>) {
    let stat = fs::fstat(&dir).expect("stat");
    found.insert(strange(path.clone()), node(&stat, Vec::new()));
    for entry in fs::Dir::read_from(&dir).expect("list") {
        let entry = entry.expect("list");
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let child = below(&path, name.to_bytes());
        let stat = fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).expect("stat");
        let open = |flags| {
            let flags = flags | OFlags::RDONLY | OFlags::NOATIME | OFlags::CLOEXEC;
            fs::openat(&dir, name, flags, Mode::empty()).expect("open")
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => look(open(OFlags::DIRECTORY), child, found),
            FileType::Symlink => {
                let target = fs::readlinkat(&dir, name, Vec::new()).expect("readlink");
                let target = strange(target.into_bytes());
                found.insert(strange(child), node(&stat, target));
            }
            _ => {
                let bytes = contents(open(OFlags::empty()).as_fd(), stat.st_size as usize);
                found.insert(strange(child), node(&stat, bytes));
            }
        }
    }
}

fn contents(file: BorrowedFd<'_>, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match rustix::io::read(file, &mut bytes[filled..]).expect("read") {
            0 => panic!("a file ended before its size"),
            some => filled += some,
        }
    }
    bytes
}

fn node(stat: &HostStat, bytes: Vec<u8>) -> (u64, Node) {
    let filetype = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => 3,
        FileType::Symlink => 7,
        _ => 4,
    };
    let time = |seconds: i64, nanoseconds: u64| seconds as u64 * 1_000_000_000 + nanoseconds;
    let stat_ = monaka_tests::native::Stat {
        ino: stat.st_ino,
        filetype,
        nlink: stat.st_nlink,
        size: stat.st_size as u64,
        atim: time(stat.st_atime, stat.st_atime_nsec),
        mtim: time(stat.st_mtime, stat.st_mtime_nsec),
        ctim: time(stat.st_ctime, stat.st_ctime_nsec),
    };
    let node = Node {
        stat: stat_.into(),
        file: 0,
        bytes,
    };
    (stat.st_ino, node)
}
