//! What a program left behind: the files in its memory, once it has ended.
//!
//! The bytes of the file system are copied into the memory of a fresh blob, whose
//! own functions list and read them ([`Survey`]); at rest all its state is in
//! memory. [`Remains::tree`] makes a tree of what it finds, to be packed again or
//! written out.
//!
//! 1. What Preview 1 does not show (executable bits, read-only places, which
//!    device a device is) comes from the packed image: an inode n of the image has
//!    number n + 1 as long as it lives, and no other inode ever gets that number.
//! 2. A file that nobody touched is taken from the image, as it is stored there.
//!    Its times prove it, if its time of change is that of its packed contents
//!    and the clock was never there while the program ran. If they do not, the
//!    contents are compared.
//! 3. The program may have damaged its own file system, on purpose even. So the
//!    blob has a bounded number of instructions for all it is asked, what it
//!    answers is checked, and no directory is entered twice.

mod survey;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use monaka_vfs_core::access::{STREAMS, Stream};
use monaka_vfs_core::image::{
    Contents, Escaped, Image, Inode, Kind, Meta, NodeId, Tree, ValidTree,
};
use monaka_vfs_core::memfs::Memfs;
use monaka_vfs_core::rights::Filetype;

use crate::cwd;
use crate::frames::Frames;
use crate::host::{Host, Ran};
use crate::module::analyze::Module;
use crate::module::exposed::Exposed;
use crate::module::packed::Packed;
use crate::module::policy::{Policy, Record};
use crate::module::refusal::Refusal;
use crate::output;
use crate::progress::Progress;
use crate::report::Hinted;
use crate::scan::{Source, compress_with};
use survey::{Entry, Stat, Survey};

/// A program that has run, and what is needed to ask for its files.
pub(crate) struct Finished {
    ran: Ran,
    exposed: Exposed,
    /// What the clock showed while the program ran.
    clock: RangeInclusive<u64>,
}

impl Finished {
    /// Runs a packed module, which was read from `path`, to its end.
    pub(crate) fn run(
        host: &Host,
        path: &Path,
        packed: &Packed<'_>,
        module: &Module<'_>,
    ) -> Result<Finished> {
        let exposed = Exposed::new(packed, module)?;
        let began = now();
        let ran = host.run(path, &exposed.wasm)?;
        let ended = now();
        Ok(Finished {
            ran,
            exposed,
            clock: began.min(ended)..=ended.max(began),
        })
    }

    /// Tells how the program ended, if it has not itself; answers its status.
    pub(crate) fn report(&mut self, name: &str) -> Result<i32> {
        self.ran.report(name)
    }

    /// Whether the program ended by a trap.
    pub(crate) fn trapped(&self) -> bool {
        self.ran.trapped()
    }

    /// Takes the files over. `packed` is what was run.
    pub(crate) fn remains<'p>(mut self, packed: &'p Packed<'p>) -> Result<Remains<'p>> {
        let memory = &self.exposed.memory;
        let memory = self.ran.memory(memory, self.exposed.base.as_deref())?;
        let survey = Survey::new(self.exposed.blob, memory, *self.clock.end());
        let policy = Record::of_module(packed.wasm)?.unwrap_or_default().policy;
        Ok(Remains {
            image: Image::open(packed.tables())?,
            packed,
            policy,
            survey: RefCell::new(survey.map_err(unreadable)?),
            clock: self.clock,
        })
    }
}

/// The time of day, as programs see it.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// The file system of a program that has ended, beside the image that it had.
pub(crate) struct Remains<'p> {
    packed: &'p Packed<'p>,
    image: Image<'p>,
    /// What the program was under while it ran.
    policy: Policy,
    survey: RefCell<Survey>,
    clock: RangeInclusive<u64>,
}

/// Where the contents of a file are.
#[derive(Clone, Debug)]
pub(crate) enum Left {
    /// In the image: where in its data area they begin, and how many bytes they take
    /// there if they are compressed.
    Packed { start: u64, stored: Option<u32> },
    /// In the file of that number.
    Memory(u32),
    /// They were there, and have been compressed.
    Compressed(Source),
}

/// How many bytes of files are read from a program's memory. Its files may be
/// far longer, where nothing was ever written to them.
const MOST: u64 = 16 << 30;

impl Remains<'_> {
    /// All that there is now, with the limits of before. A directory that was open
    /// from the start stays so; one that is gone is told in `warnings`.
    pub(crate) fn tree(&self, warnings: &mut Vec<String>) -> Result<Tree<Left>> {
        let mut survey = self.survey.borrow_mut();
        let mut walk = Walk {
            remains: self,
            survey: &mut survey,
            tree: Tree::new(Meta::default()),
            found: HashMap::new(),
            length: 0,
        };
        walk.run().map_err(unreadable)?;
        let mut tree = walk.tree;
        tree.set_limits(self.image.limits());
        let mut access = self.image.named_access();
        for (fd, stream) in access.streams.iter_mut().enumerate() {
            let Stream::File(path) = stream else {
                continue;
            };
            let node = tree.lookup(path);
            let is_file =
                node.is_some_and(|node| matches!(tree.contents(node), Contents::Regular { .. }));
            if !is_file {
                warnings.push(format!(
                    "the program has removed {}, which was its {}: it is ignored from now on",
                    Escaped(path),
                    STREAMS[fd]
                ));
                *stream = Stream::Null;
            }
        }
        tree.set_access(access);
        for directory in self.image.host_directories() {
            tree.add_host_directory(directory.name, directory.host, directory.read_only)?;
        }
        if let Some(cwd) = &self.policy.cwd {
            if let Err(error) = cwd::open(&mut tree, cwd) {
                warnings.push(format!(
                    "the program has removed its current directory: {error}"
                ));
                cwd::close(&mut tree)?;
            }
            return Ok(tree);
        }
        for preopen in self.image.preopens() {
            match tree.lookup(preopen.name) {
                Some(node) if tree.is_directory(node) => tree.add_preopen(preopen.name, node)?,
                _ => warnings.push(format!(
                    "the program has removed {}, which it had found open",
                    Escaped(preopen.name)
                )),
            }
        }
        Ok(tree)
    }

    /// Writes the contents of a file as they are stored, which takes `len` bytes.
    pub(crate) fn copy(&self, left: &Left, len: u64, out: &mut dyn Write) -> Result<()> {
        match left {
            Left::Packed { start, .. } => Ok(out.write_all(self.packed.contents(*start, len)?)?),
            Left::Memory(ino) => self.survey.borrow_mut().read(*ino, len, |bytes| {
                out.write_all(bytes)?;
                Ok(true)
            }),
            Left::Compressed(source) => source.copy_to(len, &[], out),
        }
    }

    /// Compresses files for which it pays: those that are not as they were packed, or
    /// `all` that are not compressed.
    pub(crate) fn compress(
        &self,
        valid: ValidTree<Left>,
        level: i32,
        all: bool,
        progress: Progress,
    ) -> Result<Tree<Left>> {
        let wanted = |left: &Left| all || matches!(left, Left::Memory(_));
        let copy = |left: &Left, len, out: &mut dyn Write| self.copy(left, len, out);
        compress_with(valid, level, progress, wanted, copy, Left::Compressed)
    }

    /// Writes the contents of a file, which are `len` bytes.
    pub(crate) fn copy_plain(&self, left: &Left, len: u64, out: &mut dyn Write) -> Result<()> {
        match left {
            Left::Packed {
                start,
                stored: Some(stored),
            } => {
                let stored = self.packed.contents(*start, (*stored).into())?;
                output::copy(&mut Frames::new(stored, len)?, out)
            }
            _ => self.copy(left, len, out),
        }
    }

    /// Removes what is as it was packed, with the directories in which nothing
    /// else is left.
    pub(crate) fn only_changed(&self, tree: &mut Tree<Left>) -> Result<()> {
        let old = self.packed.tree(|start, _| start)?;
        // Where each directory is: parent and name, itself, and what it was.
        let mut directories = vec![(NodeId::ROOT, Vec::new(), NodeId::ROOT, Some(NodeId::ROOT))];
        let mut next = 0;
        while let Some((_, _, directory, before)) = directories.get(next) {
            let (directory, before) = (*directory, *before);
            let entries: Vec<(Vec<u8>, NodeId)> = tree
                .children(directory)
                .map(|(name, node)| (name.to_vec(), node))
                .collect();
            for (name, node) in entries {
                let before = before.and_then(|before| old.child(before, &name));
                if tree.is_directory(node) {
                    let before = before.filter(|before| old.is_directory(*before));
                    directories.push((directory, name, node, before));
                } else if before.is_some_and(|before| {
                    tree.meta(node) == old.meta(before)
                        && is_same(tree.contents(node), old.contents(before))
                }) {
                    tree.remove(directory, &name);
                }
            }
            next += 1;
        }
        for (parent, name, directory, before) in directories.into_iter().skip(1).rev() {
            if before.is_some() && tree.children(directory).next().is_none() {
                tree.remove(parent, &name);
            }
        }
        Ok(())
    }

    /// The packed inode of that number.
    fn packed_inode(&self, ino: u32) -> Option<Inode<'_>> {
        let index = ino.checked_sub(1)?;
        (index < self.image.inodes()).then(|| self.image.inode(index))
    }
}

/// A walk through what a program left.
struct Walk<'w, 'p> {
    remains: &'w Remains<'p>,
    survey: &'w mut Survey,
    tree: Tree<Left>,
    /// What was found, by number.
    found: HashMap<u32, NodeId>,
    /// How many bytes are to be read from memory.
    length: u64,
}

impl Walk<'_, '_> {
    fn run(&mut self) -> Result<()> {
        let root = Memfs::ROOT.number();
        self.found.insert(root, NodeId::ROOT);
        let mut directories = vec![(root, NodeId::ROOT)];
        while let Some((ino, node)) = directories.pop() {
            let (stat, entries) = self.survey.directory(ino)?;
            let packed = self.remains.packed_inode(ino);
            self.tree.set_meta(node, meta(&stat, &packed));
            if let Some(packed) = packed {
                self.tree.set_read_only(node, packed.read_only);
            }
            for entry in entries {
                let added = self.entry(ino, node, &entry);
                let added = added.with_context(|| format!("`{}`", Escaped(&entry.name)))?;
                directories.extend(added.map(|node| (entry.stat.ino, node)));
            }
        }
        Ok(())
    }

    /// Adds an entry; answers the node of a directory that is to be entered.
    fn entry(&mut self, parent: u32, to: NodeId, entry: &Entry) -> Result<Option<NodeId>> {
        let Entry { name, stat } = entry;
        if let Some(node) = self.found.get(&stat.ino) {
            self.tree.add_link(to, name, *node)?;
            return Ok(None);
        }
        let packed = self.remains.packed_inode(stat.ino);
        let meta = meta(stat, &packed);
        let kind = packed.as_ref().map(|packed| packed.kind);
        let node = match (stat.kind, kind) {
            (Filetype::Directory, None | Some(Kind::Directory)) => {
                self.tree.add_directory(to, name, meta)?
            }
            (Filetype::Regular, None) => {
                let left = self.in_memory(stat)?;
                self.tree.add_file(to, name, meta, stat.size, left)?
            }
            (
                Filetype::Regular,
                Some(Kind::Regular {
                    start,
                    size,
                    stored,
                }),
            ) => {
                let old = packed.map_or(0, |packed| packed.meta.mtime);
                let as_packed = size == stat.size
                    && (self.is_untouched(stat, old) || self.is_equal(stat, start, stored)?);
                let left = match as_packed {
                    true => Left::Packed { start, stored },
                    false => self.in_memory(stat)?,
                };
                let node = self
                    .tree
                    .add_file(to, name, meta, stat.size, left.clone())?;
                if as_packed {
                    self.tree.set_source(node, stored, left);
                }
                node
            }
            (Filetype::Symlink, None | Some(Kind::Symlink { .. })) => {
                let target = self.survey.target(parent, name)?;
                self.tree.add_symlink(to, name, meta, &target)?
            }
            (Filetype::CharacterDevice, Some(Kind::Device(device))) => {
                self.tree.add_device(to, name, meta, device)?
            }
            (kind, _) => bail!("it has become a {kind:?}"),
        };
        if let Some(packed) = packed {
            self.tree.set_read_only(node, packed.read_only);
        }
        self.found.insert(stat.ino, node);
        Ok(Some(node).filter(|_| stat.kind == Filetype::Directory))
    }

    /// Whether its times prove that a packed file is as it was: whatever changes
    /// one sets its time of change to what the clock shows.
    fn is_untouched(&self, stat: &Stat, packed: u64) -> bool {
        let remains = self.remains;
        remains.policy.has_true_times()
            && (stat.mtim, stat.ctim) == (packed, packed)
            && !remains.clock.contains(&packed)
    }

    /// Whether a packed file of the same length contains what it did.
    fn is_equal(&mut self, stat: &Stat, start: u64, stored: Option<u32>) -> Result<bool> {
        self.count(stat)?;
        let len = stored.map_or(stat.size, u64::from);
        let bytes = self.remains.packed.contents(start, len)?;
        let mut old: Box<dyn Read> = match stored {
            None => Box::new(bytes),
            Some(_) => Box::new(Frames::new(bytes, stat.size)?),
        };
        let (mut before, mut same) = (Vec::new(), true);
        self.survey.read(stat.ino, stat.size, |bytes| {
            before.resize(bytes.len(), 0);
            old.read_exact(&mut before)?;
            same = before == bytes;
            Ok(same)
        })?;
        Ok(same)
    }

    fn in_memory(&mut self, stat: &Stat) -> Result<Left> {
        self.count(stat)?;
        Ok(Left::Memory(stat.ino))
    }

    /// Counts a file that is to be read.
    fn count(&mut self, stat: &Stat) -> Result<()> {
        self.length = self.length.saturating_add(stat.size);
        if self.length > MOST {
            return Err(Hinted::new(
                format!(
                    "the file has {} bytes, and {MOST} are read at most",
                    stat.size
                ),
                "have the program remove it, or cut it off, before it ends",
            )
            .into());
        }
        Ok(())
    }
}

/// Whether what was found is what was packed.
fn is_same(found: Contents<'_, Left>, packed: Contents<'_, u64>) -> bool {
    match (found, packed) {
        (
            Contents::Regular {
                source: Left::Packed { start, .. },
                len,
                ..
            },
            Contents::Regular {
                source: before,
                len: len_before,
                ..
            },
        ) => (start, len) == (before, len_before),
        (Contents::Symlink { target }, Contents::Symlink { target: before }) => target == before,
        (Contents::Device(device), Contents::Device(before)) => device == before,
        _ => false,
    }
}

/// What is kept of an inode, which was packed with `packed`.
fn meta(stat: &Stat, packed: &Option<Inode<'_>>) -> Meta {
    Meta {
        mtime: stat.mtim,
        executable: packed.is_some_and(|packed| packed.meta.executable),
    }
}

/// An error in a program's file system, with the way out.
fn unreadable(error: anyhow::Error) -> anyhow::Error {
    const WHAT: &str = "the files that the program left cannot be read";
    if error
        .chain()
        .any(|cause| cause.is::<Hinted>() || cause.is::<Refusal>())
    {
        return error.context(WHAT);
    }
    Hinted::new(
        format!("{WHAT}: {error:#}"),
        "the program has written over its own file system; where it was merged in, `--memory \
         multi` keeps it out of reach",
    )
    .into()
}
