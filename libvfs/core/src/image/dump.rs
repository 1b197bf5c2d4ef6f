//! An image as text, for people and for golden files.
//!
//! ```text
//! image version=2 inodes=5 dirents=5 data=12
//! preopen 3 / /
//! / directory 0.000000000 1
//! /bin directory 0.000000000 1
//! /bin/tool file+x 1700000000.500000000 2 size=12 start=0
//! /bin/tool2 hardlink /bin/tool
//! /lib symlink 0.000000000 1 usr/lib
//! ```
//! First what the program may reach of its host, where that is not the usual:
//! `clock=` and `sockets` on the first line, a line for a stream and a directory of
//! the host. A line for each dirent, depth first and by name: path, kind (`+x` if it is
//! executable, `+ro` if it is read-only), time of modification, number of links, and what belongs to the
//! kind. Later names of an inode only say which one is the first. Paths are
//! [`Escaped`], so fields are apart by one space and lines by one line feed.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::format::{ROOT, VERSION};
use super::reader::Image;
use super::record::{Dirent, Inode, Kind};
use super::tree::Limits;
use crate::access::{Clock, STREAMS, Stream};

/// Bytes that should be text: UTF-8 as it is, but for `\\`, and `\xHH` for all
/// bytes that are not UTF-8, white space or control characters.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                if char == '\\' {
                    f.write_str("\\\\")?;
                } else if char.is_control() || char.is_whitespace() {
                    for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                } else {
                    f.write_char(char)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// An image as text; see the module.
pub struct Dump<'a>(pub Image<'a>);

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = self.0;
        let mut names = Names::of(image);
        write!(
            f,
            "image version={VERSION} inodes={} dirents={} data={}",
            image.inodes(),
            image.dirents_len(),
            image.data_len()
        )?;
        let (limits, none) = (image.limits(), Limits::default());
        if limits.bytes != none.bytes {
            write!(f, " max-bytes={}", limits.bytes)?;
        }
        if limits.inodes != none.inodes {
            write!(f, " max-inodes={}", limits.inodes)?;
        }
        let access = image.access();
        match access.clock {
            Clock::Host => {}
            Clock::Denied => f.write_str(" clock=denied")?,
            Clock::Fixed => f.write_str(" clock=fixed")?,
            Clock::Monotonic => f.write_str(" clock=monotonic")?,
        }
        if access.sockets {
            f.write_str(" sockets")?;
        }
        f.write_char('\n')?;
        for (fd, preopen) in (3u64..).zip(image.preopens()) {
            write!(f, "preopen {fd} {} ", Escaped(preopen.name))?;
            names.write_path(f, preopen.inode)?;
            f.write_char('\n')?;
        }

        for directory in image.host_directories() {
            let read_only = if directory.read_only { "+ro" } else { "" };
            let (name, host) = (Escaped(directory.name), Escaped(directory.host));
            writeln!(f, "host-preopen{read_only} {name} {host}")?;
        }
        for (name, stream) in STREAMS.iter().zip(access.streams) {
            match stream {
                Stream::Host => continue,
                Stream::Closed => write!(f, "{name} closed")?,
                Stream::Null => write!(f, "{name} null")?,
                Stream::File(inode) => {
                    write!(f, "{name} file {}", Escaped(&image.path(inode)))?;
                }
            }
            f.write_char('\n')?;
        }

        f.write_char('/')?;
        names.write_inode(f, ROOT)?;
        let mut open = Vec::from([(ROOT, image.dirents(ROOT))]);
        while let Some((directory, entries)) = open.last_mut() {
            let Some(Dirent { name, inode }) = entries.next() else {
                open.pop();
                continue;
            };
            names.write_entry(f, *directory, name)?;
            match names.first[inode as usize] {
                Some(first) if first != (*directory, name) => {
                    f.write_str(" hardlink ")?;
                    names.write_path(f, inode)?;
                    f.write_char('\n')?;
                }
                _ => {
                    names.first[inode as usize] = Some((*directory, name));
                    names.write_inode(f, inode)?;
                    open.push((inode, image.dirents(inode)));
                }
            }
        }
        Ok(())
    }
}

/// Who names what.
struct Names<'a> {
    image: Image<'a>,
    /// For each inode a directory and the name in it: that of a directory from
    /// the start, of others the first that is met. The root has none.
    first: Vec<Option<(u32, &'a [u8])>>,
    /// How many dirents name each inode.
    links: Vec<u32>,
}

impl<'a> Names<'a> {
    fn of(image: Image<'a>) -> Self {
        let mut first = Vec::from_iter((0..image.inodes()).map(|_| None));
        let mut links = Vec::from_iter((0..image.inodes()).map(|_| 0));
        links[ROOT as usize] = 1;
        for directory in 0..image.inodes() {
            for Dirent { name, inode } in image.dirents(directory) {
                links[inode as usize] += 1;
                if image.inode(inode).kind == Kind::Directory {
                    first[inode as usize] = Some((directory, name));
                }
            }
        }
        Names {
            image,
            first,
            links,
        }
    }

    /// Writes an inode's path, by its first name.
    fn write_path(&self, f: &mut fmt::Formatter<'_>, inode: u32) -> fmt::Result {
        match self.first[inode as usize] {
            None => f.write_char('/'),
            Some((directory, name)) => self.write_entry(f, directory, name),
        }
    }

    /// Writes the path of an entry.
    fn write_entry(&self, f: &mut fmt::Formatter<'_>, directory: u32, name: &[u8]) -> fmt::Result {
        let mut path = Vec::from([name]);
        let mut at = directory;
        while let Some((parent, name)) = self.first[at as usize] {
            path.push(name);
            at = parent;
        }
        for name in path.iter().rev() {
            write!(f, "/{}", Escaped(name))?;
        }
        Ok(())
    }

    /// Writes what follows an inode's path, up to the end of the line.
    fn write_inode(&self, f: &mut fmt::Formatter<'_>, inode: u32) -> fmt::Result {
        let Inode {
            meta,
            read_only,
            kind,
        } = self.image.inode(inode);
        let word = match kind {
            Kind::Directory => "directory",
            Kind::Regular { .. } => "file",
            Kind::Symlink { .. } => "symlink",
            Kind::Device(_) => "device",
        };
        let read_only = if read_only { "+ro" } else { "" };
        let executable = if meta.executable { "+x" } else { "" };
        let (seconds, nanos) = (meta.mtime / 1_000_000_000, meta.mtime % 1_000_000_000);
        let links = self.links[inode as usize];
        write!(
            f,
            " {word}{executable}{read_only} {seconds}.{nanos:09} {links}"
        )?;
        match kind {
            Kind::Directory => {}
            Kind::Regular {
                start,
                size,
                stored,
            } => {
                write!(f, " size={size} start={start}")?;
                if let Some(stored) = stored {
                    write!(f, " stored={stored}")?;
                }
            }
            Kind::Symlink { target } => write!(f, " {}", Escaped(target))?,
            Kind::Device(device) => write!(f, " number={}", device.number())?,
        }
        f.write_char('\n')
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn escaped_text_has_no_white_space_and_is_unambiguous() {
        for (bytes, text) in [
            (&b"plain/\xc3\xa4.txt"[..], "plain/ä.txt"),
            (b"a b\tc\n", "a\\x20b\\x09c\\x0a"),
            (b"\\x20", "\\\\x20"),
            (b"\xff\xc3/\x00", "\\xff\\xc3/\\x00"),
            (b"\xe2\x80\x83\x7f", "\\xe2\\x80\\x83\\x7f"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), text);
        }
    }
}
