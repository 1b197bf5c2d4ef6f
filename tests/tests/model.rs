//! Random operations on the file system and on a real directory.
//!
//! The host is the oracle: after every operation both must have answered the
//! same bytes or the same errno, and both trees must be equal. Paths come from
//! a tiny alphabet, so that they collide; descriptors are chosen modulo what is
//! open, so that no operation is wasted.
//!
//! The kernel itself confines the host's paths (`openat2` with
//! `RESOLVE_BENEATH`), because the libraries that do it elsewhere walk paths on
//! their own and answer other errnos than Linux.
//!
//! A failure prints the operations; make it a named regression below.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use monaka_tests::native::{self, ALL, Guest, ROOT};
use monaka_vfs_core::Errno;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use rustix::fd::OwnedFd;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno as HostErrno;

#[derive(Clone, Debug)]
enum Op {
    Open {
        path: String,
        create: bool,
        exclusive: bool,
        truncate: bool,
        append: bool,
        write: bool,
        follow: bool,
    },
    Close(usize),
    Read(usize, usize),
    Write(usize, Vec<u8>),
    Pread(usize, usize, u64),
    Pwrite(usize, Vec<u8>, u64),
    Seek(usize, i64, u32),
    SetSize(usize, u64),
    Allocate(usize, u64, u64),
    Fstat(usize),
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    Rename(String, String),
    Link(String, String),
    Symlink(String, String),
    Readlink(String),
    Stat(String, bool),
}

/// A real directory.
struct Oracle {
    dir: OwnedFd,
    files: Vec<File>,
}

/// What an operation answers.
#[derive(Debug, PartialEq)]
enum Answer {
    Unit,
    Bytes(Vec<u8>),
    Number(u64),
    /// Type, size and link count.
    Stat(u8, u64, u64),
}

type Outcome = Result<Answer, &'static str>;

fn errno(error: &io::Error) -> &'static str {
    const NAMES: [(HostErrno, Errno); 14] = [
        (HostErrno::BADF, Errno::BADF),
        (HostErrno::EXIST, Errno::EXIST),
        (HostErrno::FBIG, Errno::FBIG),
        (HostErrno::INVAL, Errno::INVAL),
        (HostErrno::ISDIR, Errno::ISDIR),
        (HostErrno::LOOP, Errno::LOOP),
        (HostErrno::NAMETOOLONG, Errno::NAMETOOLONG),
        (HostErrno::NOENT, Errno::NOENT),
        (HostErrno::NOTDIR, Errno::NOTDIR),
        (HostErrno::NOTEMPTY, Errno::NOTEMPTY),
        (HostErrno::BUSY, Errno::BUSY),
        (HostErrno::PERM, Errno::PERM),
        (HostErrno::ACCESS, Errno::ACCES),
        // How openat2 says that a path leads out.
        (HostErrno::XDEV, Errno::PERM),
    ];
    let raw = error.raw_os_error();
    NAMES
        .iter()
        .find(|(host, _)| Some(host.raw_os_error()) == raw)
        .map_or("?", |(_, errno)| errno.name())
}

fn stat_answer(filetype: u8, size: u64, nlink: u64) -> Answer {
    // A directory's size is the host's affair.
    Answer::Stat(filetype, if filetype == 3 { 0 } else { size }, nlink)
}

/// Splits a path where the kernel does: the last component keeps its slashes.
fn split(path: &str) -> (&str, &str) {
    let end = path.trim_end_matches('/').rfind('/');
    end.map_or((".", path), |slash| (&path[..slash], &path[slash + 1..]))
}

impl Oracle {
    fn open(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let mode = if flags.contains(OFlags::CREATE) {
            Mode::from_raw_mode(0o644)
        } else {
            Mode::empty()
        };
        let flags = flags | OFlags::CLOEXEC;
        Ok(fs::openat2(
            &self.dir,
            path,
            flags,
            mode,
            ResolveFlags::BENEATH,
        )?)
    }

    /// The directory that the last component is looked up in, and that.
    fn parent<'p>(&self, path: &'p str) -> io::Result<(OwnedFd, &'p str)> {
        let (parent, name) = split(path);
        if name.trim_end_matches('/') == ".." {
            // The kernel knows it by its shape and would not notice that it
            // leads out.
            self.open(path, OFlags::PATH)?;
        }
        Ok((self.open(parent, OFlags::PATH | OFlags::DIRECTORY)?, name))
    }

    fn apply(&mut self, op: &Op) -> io::Result<Answer> {
        let unit = |()| Answer::Unit;
        match op {
            Op::Open {
                path,
                create,
                exclusive,
                truncate,
                append,
                write,
                follow,
            } => {
                let mut flags = if *write { OFlags::RDWR } else { OFlags::RDONLY };
                flags.set(OFlags::APPEND, *append && *write);
                flags.set(OFlags::CREATE, *create);
                flags.set(OFlags::EXCL, *create && *exclusive);
                flags.set(OFlags::TRUNC, *truncate);
                flags.set(OFlags::NOFOLLOW, !*follow);
                let file = File::from(self.open(path, flags)?);
                if file.metadata()?.is_dir() {
                    return Ok(Answer::Unit);
                }
                self.files.push(file);
                Ok(Answer::Unit)
            }
            Op::Close(i) => {
                let i = self.index(*i);
                drop(self.files.remove(i));
                Ok(Answer::Unit)
            }
            Op::Read(i, len) => {
                let mut buffer = vec![0; *len];
                let n = self.file(*i).read(&mut buffer)?;
                buffer.truncate(n);
                Ok(Answer::Bytes(buffer))
            }
            Op::Write(i, bytes) => Ok(Answer::Number(self.file(*i).write(bytes)? as u64)),
            Op::Pread(i, len, offset) => {
                let mut buffer = vec![0; *len];
                let n = self.file(*i).read_at(&mut buffer, *offset)?;
                buffer.truncate(n);
                Ok(Answer::Bytes(buffer))
            }
            Op::Pwrite(i, bytes, offset) => Ok(Answer::Number(
                self.file(*i).write_at(bytes, *offset)? as u64,
            )),
            Op::Seek(i, offset, whence) => {
                let from = match whence {
                    0 => SeekFrom::Start(offset.cast_unsigned()),
                    1 => SeekFrom::Current(*offset),
                    _ => SeekFrom::End(*offset),
                };
                self.file(*i).seek(from).map(Answer::Number)
            }
            Op::SetSize(i, size) => self.file(*i).set_len(*size).map(unit),
            Op::Allocate(i, offset, len) => {
                let file = self.file(*i);
                fs::fallocate(file, fs::FallocateFlags::empty(), *offset, *len)?;
                Ok(Answer::Unit)
            }
            Op::Fstat(i) => {
                let stat = self.file(*i).metadata()?;
                Ok(stat_answer(4, stat.len(), stat.nlink()))
            }
            Op::Mkdir(path) => {
                let (dir, name) = self.parent(path)?;
                Ok(fs::mkdirat(dir, name, Mode::from_raw_mode(0o755)).map(unit)?)
            }
            Op::Rmdir(path) => {
                let (dir, name) = self.parent(path)?;
                Ok(fs::unlinkat(dir, name, AtFlags::REMOVEDIR).map(unit)?)
            }
            Op::Unlink(path) => {
                let (dir, name) = self.parent(path)?;
                Ok(fs::unlinkat(dir, name, AtFlags::empty()).map(unit)?)
            }
            Op::Rename(old, new) => {
                let (old_dir, old) = self.parent(old)?;
                let (new_dir, new) = self.parent(new)?;
                Ok(fs::renameat(old_dir, old, new_dir, new).map(unit)?)
            }
            Op::Link(old, new) => {
                self.open(old, OFlags::PATH | OFlags::NOFOLLOW)?;
                let (old_dir, old) = self.parent(old)?;
                let (new_dir, new) = self.parent(new)?;
                Ok(fs::linkat(old_dir, old, new_dir, new, AtFlags::empty()).map(unit)?)
            }
            Op::Symlink(target, path) => {
                let (dir, name) = self.parent(path)?;
                Ok(fs::symlinkat(target, dir, name).map(unit)?)
            }
            Op::Readlink(path) => {
                let link = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
                // An empty path reads the descriptor, which must be a link's.
                let target = fs::readlinkat(link, "", Vec::new()).map_err(|e| match e {
                    HostErrno::NOENT => HostErrno::INVAL,
                    other => other,
                })?;
                Ok(Answer::Bytes(target.into_bytes()))
            }
            Op::Stat(path, follow) => {
                let mut flags = OFlags::PATH;
                flags.set(OFlags::NOFOLLOW, !*follow);
                let stat = fs::fstat(self.open(path, flags)?)?;
                let filetype = match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => 3,
                    FileType::Symlink => 7,
                    _ => 4,
                };
                Ok(stat_answer(filetype, stat.st_size as u64, stat.st_nlink))
            }
        }
    }

    fn index(&self, i: usize) -> usize {
        i % self.files.len()
    }

    fn file(&mut self, i: usize) -> &mut File {
        let i = self.index(i);
        &mut self.files[i]
    }
}

/// The file system under test.
struct Subject {
    guest: Guest,
    files: Vec<u32>,
}

impl Subject {
    fn apply(&mut self, op: &Op) -> Result<Answer, Errno> {
        let unit = |()| Answer::Unit;
        let number = |n: u32| Answer::Number(u64::from(n));
        match op {
            Op::Open {
                path,
                create,
                exclusive,
                truncate,
                append,
                write,
                follow,
            } => {
                let bits = [(*create, 1), (*create && *exclusive, 4), (*truncate, 8)];
                let oflags = bits.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum();
                // Reading, or everything: what a libc asks for.
                let rights = if *write {
                    ALL
                } else {
                    ALL & !(1 << 6 | 1 << 8 | 1 << 22)
                };
                let flags = u32::from(*append && *write);
                let fd = self.guest.open_with(
                    ROOT,
                    u32::from(*follow),
                    path,
                    oflags,
                    rights,
                    ALL,
                    flags,
                )?;
                if self.guest.fstat(fd)?.filetype == 3 {
                    self.guest.close(fd)?;
                } else {
                    self.files.push(fd);
                }
                Ok(Answer::Unit)
            }
            Op::Close(i) => {
                let i = *i % self.files.len();
                let fd = self.files.remove(i);
                self.guest.close(fd).map(unit)
            }
            Op::Read(i, len) => self.guest.read(self.fd(*i), *len).map(Answer::Bytes),
            Op::Write(i, bytes) => self.guest.write(self.fd(*i), bytes).map(number),
            Op::Pread(i, len, at) => self.guest.pread(self.fd(*i), *len, *at).map(Answer::Bytes),
            Op::Pwrite(i, bytes, at) => self.guest.pwrite(self.fd(*i), bytes, *at).map(number),
            Op::Seek(i, offset, whence) => self
                .guest
                .seek(self.fd(*i), *offset, *whence)
                .map(Answer::Number),
            Op::SetSize(i, size) => self.guest.set_size(self.fd(*i), *size).map(unit),
            Op::Allocate(i, offset, len) => {
                let fd = self.fd(*i);
                self.guest
                    .vfs
                    .fd_allocate(&mut self.guest.home, fd, *offset, *len)
                    .map(unit)
            }
            Op::Fstat(i) => {
                let stat = self.guest.fstat(self.fd(*i))?;
                Ok(stat_answer(stat.filetype, stat.size, stat.nlink))
            }
            Op::Mkdir(path) => self.guest.mkdir(path).map(unit),
            Op::Rmdir(path) => self.guest.rmdir(path).map(unit),
            Op::Unlink(path) => self.guest.unlink(path).map(unit),
            Op::Rename(old, new) => self.guest.rename(old, new).map(unit),
            Op::Link(old, new) => self.guest.link(old, new).map(unit),
            Op::Symlink(target, path) => self.guest.symlink(target, path).map(unit),
            Op::Readlink(path) => self.guest.readlink(path).map(Answer::Bytes),
            Op::Stat(path, follow) => {
                let stat = self.guest.stat(path, *follow)?;
                Ok(stat_answer(stat.filetype, stat.size, stat.nlink))
            }
        }
    }

    fn fd(&self, i: usize) -> u32 {
        self.files[i % self.files.len()]
    }
}

/// What stands at one path of a tree.
#[derive(Debug, PartialEq)]
enum Node {
    Directory(u64),
    File(u64, Vec<u8>),
    Symlink(Vec<u8>),
}

fn host_tree(dir: &Path, prefix: &str, out: &mut BTreeMap<String, Node>) -> io::Result<()> {
    use std::os::unix::ffi::OsStringExt;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let meta = entry.metadata()?;
        let node = if meta.is_dir() {
            host_tree(&entry.path(), &format!("{path}/"), out)?;
            Node::Directory(meta.nlink())
        } else if meta.is_symlink() {
            Node::Symlink(
                std::fs::read_link(entry.path())?
                    .into_os_string()
                    .into_vec(),
            )
        } else {
            Node::File(meta.nlink(), std::fs::read(entry.path())?)
        };
        out.insert(path, node);
    }
    Ok(())
}

fn guest_tree(
    guest: &mut Guest,
    dir: &str,
    prefix: &str,
    out: &mut BTreeMap<String, Node>,
) -> Result<(), Errno> {
    let fd = guest.open(dir, 2)?;
    // Small enough that most listings take several calls.
    let entries = guest.readdir(fd, 64);
    guest.close(fd)?;
    for entry in entries? {
        let path = format!("{prefix}{}", String::from_utf8_lossy(&entry.name));
        let stat = guest.stat(&path, false)?;
        assert_eq!(stat.ino, entry.ino, "readdir and stat agree on {path}");
        assert_eq!(stat.filetype, entry.filetype);
        let node = match stat.filetype {
            3 => {
                guest_tree(guest, &path, &format!("{path}/"), out)?;
                Node::Directory(stat.nlink)
            }
            7 => Node::Symlink(guest.readlink(&path)?),
            _ => Node::File(stat.nlink, guest.contents(&path)?),
        };
        out.insert(path, node);
    }
    Ok(())
}

/// Applies `ops` to both and compares after each.
fn run(ops: &[Op]) -> Result<(), TestCaseError> {
    let home = tempfile::tempdir().unwrap();
    // Where the host starts from packed files, we start from an image of them.
    let packed: Vec<u8> = (0..200_000u32).map(|i| (i / 7) as u8).collect();
    std::fs::create_dir(home.path().join("b")).unwrap();
    std::fs::write(home.path().join("a"), &packed).unwrap();
    std::fs::write(home.path().join("b/c"), &packed[..13]).unwrap();
    let mut subject = Subject {
        guest: Guest::new(native::tree(|tree| {
            let root = monaka_vfs_core::image::NodeId::ROOT;
            native::add_file(tree, root, "a", &packed);
            let b = tree.add_directory(root, b"b", native::meta()).unwrap();
            native::add_file(tree, b, "c", &packed[..13]);
        })),
        files: Vec::new(),
    };
    let mut oracle = Oracle {
        dir: fs::open(home.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap(),
        files: Vec::new(),
    };
    for (step, op) in ops.iter().enumerate() {
        let needs_file = matches!(
            op,
            Op::Close(_)
                | Op::Read(..)
                | Op::Write(..)
                | Op::Pread(..)
                | Op::Pwrite(..)
                | Op::Seek(..)
                | Op::SetSize(..)
                | Op::Allocate(..)
                | Op::Fstat(_)
        );
        if needs_file && oracle.files.is_empty() {
            continue;
        }
        // A slash behind a new link is where wasmtime and we differ from Linux;
        // semantics/ has the table.
        if matches!(op, Op::Link(_, new) | Op::Symlink(_, new) if new.ends_with('/')) {
            continue;
        }
        let expected: Outcome = oracle.apply(op).map_err(|e| errno(&e));
        let answer: Outcome = subject.apply(op).map_err(Errno::name);
        subject.guest.vfs.check_invariants();
        prop_assert_eq!(&answer, &expected, "step {}: {:?}", step, op);

        let (mut ours, mut hosts) = (BTreeMap::new(), BTreeMap::new());
        host_tree(home.path(), "", &mut hosts).unwrap();
        guest_tree(&mut subject.guest, ".", "", &mut ours)
            .map_err(|e| TestCaseError::fail(format!("walking after step {step}: {e:?}")))?;
        if ours != hosts {
            let ours: Vec<_> = ours.iter().map(brief).collect();
            let hosts: Vec<_> = hosts.iter().map(brief).collect();
            prop_assert_eq!(ours, hosts, "trees after step {}: {:?}", step, op);
            prop_assert!(false, "contents after step {step}: {op:?}");
        }
    }
    Ok(())
}

fn brief((path, node): (&String, &Node)) -> String {
    match node {
        Node::File(nlink, contents) => format!("{path}: {nlink} links, {} bytes", contents.len()),
        other => format!("{path}: {other:?}"),
    }
}

fn path() -> impl Strategy<Value = String> {
    let component = prop_oneof![
        4 => Just("a"),
        4 => Just("b"),
        4 => Just("c"),
        1 => Just("."),
        2 => Just(".."),
    ];
    (
        proptest::collection::vec(component, 1..4),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(components, slash)| {
            let mut path = components.join("/");
            if slash {
                path.push('/');
            }
            path
        })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    // Around the sizes at which extents begin and end.
    let len = prop_oneof![
        0..20usize,
        4090..4100usize,
        65_530..65_545usize,
        Just(150_000)
    ];
    (len, 1..=255u8).prop_map(|(len, byte)| vec![byte; len])
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..30u64,
        4080..4110u64,
        65_500..65_600u64,
        199_900..270_000u64
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let file = any::<usize>;
    let flag = any::<bool>;
    prop_oneof![
        6 => (path(), flag(), flag(), flag(), flag(), flag(), flag()).prop_map(
            |(path, create, exclusive, truncate, append, write, follow)| Op::Open {
                path,
                create: create && write,
                exclusive,
                truncate: truncate && write && !append,
                append,
                write,
                follow,
            }
        ),
        1 => file().prop_map(Op::Close),
        3 => (file(), 0..100_000usize).prop_map(|(f, n)| Op::Read(f, n)),
        5 => (file(), bytes()).prop_map(|(f, b)| Op::Write(f, b)),
        3 => (file(), 0..100_000usize, offset()).prop_map(|(f, n, o)| Op::Pread(f, n, o)),
        4 => (file(), bytes(), offset()).prop_map(|(f, b, o)| Op::Pwrite(f, b, o)),
        3 => (file(), -70_000..300_000i64, 0..3u32).prop_map(|(f, o, w)| Op::Seek(f, o, w)),
        3 => (file(), offset()).prop_map(|(f, n)| Op::SetSize(f, n)),
        1 => (file(), offset(), offset()).prop_map(|(f, o, n)| Op::Allocate(f, o, n)),
        1 => file().prop_map(Op::Fstat),
        4 => path().prop_map(Op::Mkdir),
        2 => path().prop_map(Op::Rmdir),
        2 => path().prop_map(Op::Unlink),
        4 => (path(), path()).prop_map(|(a, b)| Op::Rename(a, b)),
        3 => (path(), path()).prop_map(|(a, b)| Op::Link(a, b)),
        3 => (path(), path()).prop_map(|(a, b)| Op::Symlink(a, b)),
        1 => path().prop_map(Op::Readlink),
        2 => (path(), flag()).prop_map(|(p, f)| Op::Stat(p, f)),
    ]
}

proptest! {
    #![proptest_config(Config {
        failure_persistence: None,
        // MODEL_CASES=10000 for a long run.
        cases: std::env::var("MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300),
        max_shrink_iters: 20_000,
        ..Config::default()
    })]

    #[test]
    fn the_file_system_does_what_a_real_directory_does(
        ops in proptest::collection::vec(op(), 1..60)
    ) {
        run(&ops)?;
    }
}

/// Operations that once answered otherwise than the host.
fn regression(ops: &[Op]) {
    run(ops).unwrap();
}

fn open(path: &str, create: bool, exclusive: bool, write: bool) -> Op {
    Op::Open {
        path: path.into(),
        create,
        exclusive,
        truncate: false,
        append: false,
        write,
        follow: false,
    }
}

#[test]
fn renaming_onto_an_ancestor_is_notempty_whatever_is_renamed() {
    regression(&[Op::Rename("b/c".into(), "b".into())]);
    regression(&[
        Op::Mkdir("b/a".into()),
        Op::Rename("b/a".into(), "b".into()),
    ]);
}

#[test]
fn creating_a_file_whose_path_ends_in_a_slash_is_isdir() {
    regression(&[open("a/", true, false, true)]);
    regression(&[open("b/a/", true, false, true)]);
    regression(&[open("a/a/", true, false, true)]);
}

#[test]
fn creating_a_dot_exclusively_is_exist() {
    regression(&[open("b/./", true, true, true)]);
}

#[test]
fn allocating_nothing_is_inval_before_anything_else() {
    regression(&[open("a", false, false, false), Op::Allocate(0, 0, 0)]);
}
