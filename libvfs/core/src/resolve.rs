//! From a path to an inode: the one walk that every call uses, and the only
//! code that splits paths.
//!
//! A walk never leaves the directory it starts from: `..` above it, an
//! absolute path and a link that leads out answer `PERM`, as wasmtime does.
//! A link with an absolute target can be followed from the root, which is
//! then what it is relative to.

use smallvec::SmallVec;

use crate::errno::{Errno, Result};
use crate::inode::{Ino, Leads};
use crate::memfs::Memfs;
use crate::name::{Name, NameBuf};

/// The longest path in bytes, `PATH_MAX` of Linux without the NUL.
pub const PATH_MAX: usize = 4095;

/// How many symlinks one walk follows before it answers `LOOP`, as Linux does.
pub const LINKS_MAX: usize = 40;

/// Where a walk ended.
#[derive(Debug)]
pub struct Resolved<'a> {
    /// The last component.
    pub last: Last<'a>,
    /// What it leads to, if it exists.
    pub ino: Option<Ino>,
    /// The path ended in a slash, so it can only mean a directory.
    pub slash: bool,
}

/// The last component of a path.
#[derive(Clone, Copy, Debug)]
pub enum Last<'a> {
    /// A name, which may not exist yet, in the directory `0`.
    Entry(Ino, Name<'a>),
    /// `.`: a directory that has no name to remove or replace.
    Dot,
    /// `..`, likewise.
    DotDot,
}

impl Resolved<'_> {
    /// The inode. `NOENT` if the last component does not exist, `NOTDIR` if
    /// the path ended in a slash and it is no directory.
    pub fn existing(&self, fs: &Memfs<'_>) -> Result<Ino> {
        let ino = self.ino.ok_or(Errno::NOENT)?;
        if self.slash && !fs.is_directory(ino) {
            return Err(Errno::NOTDIR);
        }
        Ok(ino)
    }

    /// The directory of the entry, to change it, and `copy` gets its name; `dot` and
    /// `dotdot` are what the call answers to `.` and `..`.
    pub fn entry(&self, dot: Errno, dotdot: Errno, copy: &mut NameBuf) -> Result<Ino> {
        match self.last {
            Last::Entry(parent, name) => {
                copy.set(name);
                Ok(parent)
            }
            Last::Dot => Err(dot),
            Last::DotDot => Err(dotdot),
        }
    }
}

/// Whether a walk follows a symlink that is the last component. One before
/// the last always is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Yes.
    Always,
    /// Only where a slash behind it asks for what it leads to.
    Slash,
    /// Yes, but not before a slash, in the path or in a link that led here: a
    /// file is to be created, and a slash rules that out at once.
    NoSlash,
    /// No: the call changes the entry itself.
    Never,
}

impl Follow {
    /// Whether a symlink at the end is followed, with a `slash` behind it or not.
    fn last(self, slash: bool) -> bool {
        match self {
            Follow::Always => true,
            Follow::Slash => slash,
            Follow::NoSlash => !slash,
            Follow::Never => false,
        }
    }
}

/// A component of a path.
struct Component<'a> {
    name: &'a [u8],
    /// A slash follows it.
    slash: bool,
    /// What is behind that and all further ones.
    rest: &'a [u8],
}

impl<'a> Component<'a> {
    /// The first of a path that begins with none but a slash if it is not empty.
    /// `INVAL` for a NUL.
    fn first(path: &'a [u8]) -> Result<Component<'a>> {
        // Most bytes are above both: one comparison.
        let len = path
            .iter()
            .position(|&b| b <= b'/' && (b == b'/' || b == 0));
        let (name, behind) = path.split_at(len.unwrap_or(path.len()));
        if behind.first() == Some(&0) {
            return Err(Errno::INVAL);
        }
        Ok(Component {
            name,
            slash: !behind.is_empty(),
            rest: without_slashes(behind),
        })
    }
}

fn without_slashes(mut path: &[u8]) -> &[u8] {
    while let [b'/', rest @ ..] = path {
        path = rest;
    }
    path
}

/// Whether there is a NUL in it. No path is long enough for the search by words that
/// `contains` brings into every program.
pub fn has_nul(path: &[u8]) -> bool {
    path.iter().any(|&byte| byte < 1)
}

/// Walks `path` from the directory `base`.
///
/// Checked in this order, the first failure decides:
/// 1. the path is empty                             → `NOENT`
/// 2. it is longer than [`PATH_MAX`]                → `NAMETOOLONG`
/// 3. it holds a NUL                                → `INVAL`
/// 4. it is absolute                                → `PERM`
///
/// then for each component
/// 1. it is looked up in something not a directory  → `NOTDIR`
/// 2. it is longer than a name can be               → `NAMETOOLONG`
/// 3. it leads above `base`                         → `PERM`
/// 4. it does not exist and is not the last         → `NOENT`
/// 5. too many symlinks were followed               → `LOOP`
///
/// Compare fs/namei.c:link_path_walk().
pub fn resolve<'a>(
    fs: &'a Memfs<'_>,
    base: Ino,
    path: &'a [u8],
    follow: Follow,
) -> Result<Resolved<'a>> {
    match path {
        [] => return Err(Errno::NOENT),
        _ if path.len() > PATH_MAX => return Err(Errno::NAMETOOLONG),
        _ => {}
    }
    let walked = match path {
        [b'/', ..] => Err(Errno::PERM),
        _ => walk(fs, base, path, follow),
    };
    match walked {
        // A walk that succeeds has seen all of the path.
        Err(_) if has_nul(path) => Err(Errno::INVAL),
        walked => walked,
    }
}

/// [`resolve`] once the path as a whole was checked, but for NULs.
fn walk<'a>(fs: &'a Memfs<'_>, base: Ino, path: &'a [u8], follow: Follow) -> Result<Resolved<'a>> {
    let mut at = base;
    let mut directory = fs.directory(at);
    // What is left of the path, or of the target of the link being followed;
    // and what is left behind each link that led here, innermost last. All of
    // them without the slashes before.
    let mut rest = path;
    // There is room for each: looking something up needs no memory.
    let mut behind: SmallVec<[&[u8]; LINKS_MAX]> = SmallVec::new();
    let mut followed = 0;
    // A slash stands behind the last of the links that led here.
    let mut slash = false;
    loop {
        if rest.is_empty() {
            match behind.pop() {
                Some(outer) => rest = outer,
                // A link to `/` ends without a component.
                None => {
                    return Ok(Resolved {
                        last: Last::Dot,
                        ino: Some(at),
                        slash: true,
                    });
                }
            }
        }
        let component = Component::first(rest)?;
        rest = component.rest;
        let is_last = rest.is_empty() && behind.is_empty();
        let here = directory?;
        let (last, ino) = match component.name {
            b"." => (Last::Dot, Some(at)),
            b".." if at == base => return Err(Errno::PERM),
            b".." => (Last::DotDot, Some(here.parent)),
            name => {
                let name = Name::component(name)?;
                (Last::Entry(at, name), here.get(name))
            }
        };
        if is_last {
            slash |= component.slash;
        }
        let leads = ino.map_or(Leads::Nowhere, |ino| fs.leads(ino));
        if let Leads::Link(target) = leads
            && (!is_last || follow.last(slash))
        {
            followed += 1;
            if followed > LINKS_MAX {
                return Err(Errno::LOOP);
            }
            if target.first() == Some(&b'/') {
                if base != Memfs::ROOT {
                    return Err(Errno::PERM);
                }
                at = base;
                directory = fs.directory(at);
            }
            if !rest.is_empty() {
                // Never so, as fewer links were followed: but it must not grow.
                if behind.len() == behind.capacity() {
                    return Err(Errno::LOOP);
                }
                behind.push(rest);
            }
            rest = without_slashes(target);
        } else if is_last {
            return Ok(Resolved { last, ino, slash });
        } else {
            at = ino.ok_or(Errno::NOENT)?;
            directory = match leads {
                Leads::Directory(there) => Ok(there),
                _ => Err(Errno::NOTDIR),
            };
        }
    }
}
