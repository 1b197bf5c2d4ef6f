//! A walk through all that is below a place of a packed tree, in the order of
//! names and without recursion: a tree can be deeper than a stack.

use anyhow::Result;
use monaka_vfs_core::image::{Dirent, Image, Inode, Kind};

use crate::find::{Found, rooted};

/// A step of a walk.
pub(crate) enum Step<'s, 'a> {
    /// Something was met: the place itself first.
    Meet(Place<'s, 'a>),
    /// All of a directory was met.
    Leave(Place<'s, 'a>),
}

/// Where a walk is.
pub(crate) struct Place<'s, 'a> {
    /// The path; the root's is `/`.
    pub(crate) path: &'s [u8],
    /// The last name of it; the whole path where the walk began.
    pub(crate) name: &'s [u8],
    pub(crate) number: u32,
    pub(crate) inode: Inode<'a>,
    /// For each level below the start, down to this one, whether it is the last
    /// of its directory.
    pub(crate) last: &'s [bool],
}

/// Walks from `found`. `visit` answers whether to go on into what it met.
///
/// `image` was checked as a whole, so this ends.
pub(crate) fn walk<'a>(
    image: Image<'a>,
    found: &Found<'_>,
    mut visit: impl FnMut(Step<'_, 'a>) -> Result<bool>,
) -> Result<()> {
    let mut path = rooted(found.path.clone());
    let mut last = Vec::new();
    let mut open = Vec::new();
    let start = image.inode(found.number);
    if visit(Step::Meet(Place {
        path: &path,
        name: &path,
        number: found.number,
        inode: start,
        last: &last,
    }))? && start.kind == Kind::Directory
    {
        open.push(Open {
            number: found.number,
            entries: image.dirents(found.number),
            len: path.len(),
            name: 0,
        });
    }
    while let Some(directory) = open.last_mut() {
        let (len, number, from) = (directory.len, directory.number, directory.name);
        path.truncate(len);
        let Some(Dirent { name, inode }) = directory.entries.next() else {
            open.pop();
            last.truncate(open.len());
            visit(Step::Leave(Place {
                path: &path,
                name: &path[from..],
                number,
                inode: image.inode(number),
                last: &last,
            }))?;
            continue;
        };
        let is_last = directory.entries.len() == 0;
        last.truncate(open.len() - 1);
        last.push(is_last);
        if path != b"/" {
            path.push(b'/');
        }
        let from = path.len();
        path.extend_from_slice(name);
        let met = image.inode(inode);
        let enter = visit(Step::Meet(Place {
            path: &path,
            name,
            number: inode,
            inode: met,
            last: &last,
        }))?;
        if enter && met.kind == Kind::Directory {
            open.push(Open {
                number: inode,
                entries: image.dirents(inode),
                len: path.len(),
                name: from,
            });
        }
    }
    Ok(())
}

/// A directory that a walk is in.
struct Open<I> {
    number: u32,
    entries: I,
    /// How long its path is, and where its name begins in it.
    len: usize,
    name: usize,
}
