//! What the descriptors are called: the paths by which they were opened, as text.
//!
//! Nothing is looked up, so a `..` behind a symbolic link and a directory that was
//! renamed since are not seen. Where memory is out a path is unknown.

use alloc::vec::Vec;

use crate::errno::Result;

/// The path of a descriptor.
#[derive(Debug)]
enum Path {
    /// Nobody asked yet; it may have been open from the start.
    Unasked,
    Unknown,
    Known(Vec<u8>),
}

/// The paths of the descriptors, by number.
#[derive(Debug, Default)]
pub(super) struct Paths {
    paths: Vec<Path>,
}

/// Descriptors from here on are not followed.
const MOST: usize = 1 << 16;

/// A path of which no more is kept.
const LONGEST: usize = 1 << 14;

impl Paths {
    /// With the three streams, as `/dev` has them. `NOMEM` when memory is out.
    pub(super) fn new() -> Result<Paths> {
        let mut paths = Paths::default();
        for (fd, name) in [&b"/dev/stdin"[..], b"/dev/stdout", b"/dev/stderr"]
            .into_iter()
            .enumerate()
        {
            paths.set(fd as u32, copy(name));
        }
        Ok(paths)
    }

    /// The path of a descriptor, if it is known.
    pub(super) fn get(&self, fd: u32) -> Option<&[u8]> {
        match self.paths.get(fd as usize)? {
            Path::Known(path) => Some(path),
            Path::Unasked | Path::Unknown => None,
        }
    }

    /// Whether it should be asked whether the descriptor was open from the start.
    pub(super) fn is_unasked(&self, fd: u32) -> bool {
        let path = self.paths.get(fd as usize);
        matches!(path, None | Some(Path::Unasked)) && (fd as usize) < MOST
    }

    /// Says what a descriptor is called, if anybody knows.
    pub(super) fn set(&mut self, fd: u32, path: Option<Vec<u8>>) {
        if let Some(slot) = self.slot(fd) {
            *slot = path.map_or(Path::Unknown, Path::Known);
        }
    }

    /// Forgets a descriptor.
    pub(super) fn close(&mut self, fd: u32) {
        if let Some(slot) = self.paths.get_mut(fd as usize) {
            *slot = Path::Unasked;
        }
    }

    /// `from` is called `to` now.
    pub(super) fn renumber(&mut self, from: u32, to: u32) {
        let path = match self.paths.get_mut(from as usize) {
            Some(slot) => core::mem::replace(slot, Path::Unasked),
            None => Path::Unknown,
        };
        if let Some(slot) = self.slot(to) {
            *slot = path;
        }
    }

    fn slot(&mut self, fd: u32) -> Option<&mut Path> {
        let fd = fd as usize;
        if fd >= MOST {
            return None;
        }
        if fd >= self.paths.len() {
            let more = fd + 1 - self.paths.len();
            self.paths.try_reserve(more).ok()?;
            self.paths.resize_with(fd + 1, || Path::Unasked);
        }
        self.paths.get_mut(fd)
    }
}

/// A copy, if there is memory for it.
pub(super) fn copy(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy)
}

/// What a path is called that begins at a directory, if there is memory for it.
pub(super) fn join(directory: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let most = directory.len() + path.len() + 2;
    if most > LONGEST {
        return None;
    }
    let mut joined = Vec::new();
    joined.try_reserve_exact(most).ok()?;
    let start = if path.starts_with(b"/") {
        b"/"
    } else {
        directory
    };
    joined.extend_from_slice(start);
    while joined.len() > 1 && joined.ends_with(b"/") {
        joined.pop();
    }
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => up(&mut joined),
            _ => {
                if !joined.is_empty() && !joined.ends_with(b"/") {
                    joined.push(b'/');
                }
                joined.extend_from_slice(part);
            }
        }
    }
    Some(joined)
}

/// To the directory above.
fn up(path: &mut Vec<u8>) {
    if path == b"/" {
        return;
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) => path.truncate(1),
        Some(at) => path.truncate(at),
        None => {
            path.clear();
            path.push(b'.');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_text() {
        for (directory, path, expected) in [
            ("/", "etc/motd", "/etc/motd"),
            ("/", ".", "/"),
            ("/", "..", "/"),
            ("/a/", "./b//c", "/a/b/c"),
            ("/a/b", "../c", "/a/c"),
            ("/a", "../..", "/"),
            ("/a", "/b", "/b"),
            (".", "x", "./x"),
            ("", "x", "x"),
            ("data", "..", "."),
        ] {
            let joined = join(directory.as_bytes(), path.as_bytes()).unwrap();
            assert_eq!(joined, expected.as_bytes(), "{directory} {path}");
        }
        assert_eq!(join(b"/", &[b'x'; LONGEST]), None);
    }

    #[test]
    fn descriptors_keep_their_path_until_they_are_closed() {
        let mut paths = Paths::new().unwrap();
        assert_eq!(paths.get(1), Some(&b"/dev/stdout"[..]));
        assert!(paths.is_unasked(3));
        paths.set(7, copy(b"/x"));
        paths.renumber(7, 3);
        assert_eq!((paths.get(3), paths.get(7)), (Some(&b"/x"[..]), None));
        paths.close(3);
        assert!(paths.is_unasked(3));
        paths.set(4, None);
        assert!(!paths.is_unasked(4) && paths.get(4).is_none());
        paths.set(u32::MAX, copy(b"/far"));
        assert!(paths.get(u32::MAX).is_none() && !paths.is_unasked(u32::MAX));
    }
}
