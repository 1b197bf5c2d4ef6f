//! Where contents are, and how they get from there into the output.
//!
//! Between finding a file and copying it the host may change it. A [`Stamp`]
//! notices, before and after the copy; so the image holds what was found, all of
//! it, or is not made.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use super::ScanError;
use super::part::Part;

/// Where the contents of a packed file come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file of the host.
    Host {
        /// Its path.
        path: PathBuf,
        /// What it was when it was found.
        stamp: Stamp,
    },
    /// The image that the module holds already.
    Packed {
        /// Where in the image's data area they begin.
        start: u64,
    },
    /// An archive, or the spool.
    Part(Part),
    /// The contents themselves.
    Text(Box<[u8]>),
    /// They were compressed.
    Compressed {
        /// The table of the frames.
        table: Box<[u8]>,
        /// The frames, in the spool.
        frames: Part,
    },
}

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    identity: Option<(u64, u64)>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Stamp {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(metadata),
        }
    }
}

impl Source {
    /// The regular file at `path`, which was found with that metadata.
    pub(super) fn host(path: PathBuf, metadata: &Metadata) -> Self {
        let stamp = Stamp::of(metadata);
        Source::Host { path, stamp }
    }

    /// The contents as a stretch of a file, if they are one.
    pub(super) fn part(&self) -> Result<Part> {
        match self {
            Source::Host { path, .. } => Part::open(path),
            Source::Part(part) => Ok(part.clone()),
            Source::Packed { .. } | Source::Text(_) | Source::Compressed { .. } => {
                bail!("it is not in a file")
            }
        }
    }

    /// Writes the contents to `out`: `len` bytes or an error. `packed` is the data
    /// area of the image that the module holds already, if it holds one.
    pub(crate) fn copy_to(&self, len: u64, packed: &[u8], out: &mut dyn Write) -> Result<()> {
        match self {
            Source::Host { path, stamp } => copy_host(path, stamp, len, out),
            Source::Packed { start } => copy_packed(packed, *start, len, out),
            Source::Part(part) => copy_part(part, len, out),
            Source::Text(text) => Ok(out.write_all(text)?),
            Source::Compressed { table, frames } => {
                out.write_all(table)?;
                copy_part(frames, frames.len(), out)
            }
        }
    }
}

fn copy_host(path: &Path, stamp: &Stamp, len: u64, out: &mut dyn Write) -> Result<()> {
    let unreadable = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(unreadable)?;
    let is_same = |file: &File| -> Result<bool> {
        let metadata = file.metadata().with_context(unreadable)?;
        Ok(metadata.is_file() && Stamp::of(&metadata) == *stamp)
    };
    let changed = || ScanError::Changed { path: path.into() };

    if stamp.len != len || !is_same(&file)? {
        return Err(changed().into());
    }
    let mut buffer = vec![0; len.min(COPY_BUFFER) as usize];
    let mut rest = len;
    while rest > 0 {
        let part = &mut buffer[..rest.min(COPY_BUFFER) as usize];
        match file.read_exact(part) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(changed().into());
            }
            result => result.with_context(unreadable)?,
        }
        out.write_all(part)?;
        rest -= part.len() as u64;
    }
    if !is_same(&file)? {
        return Err(changed().into());
    }
    Ok(())
}

fn copy_part(part: &Part, len: u64, out: &mut dyn Write) -> Result<()> {
    part.check()?;
    let mut reader = part.reader();
    let mut buffer = vec![0; len.min(COPY_BUFFER) as usize];
    let mut rest = len;
    while rest > 0 {
        let wanted = &mut buffer[..rest.min(COPY_BUFFER) as usize];
        reader
            .read_exact(wanted)
            .context("cannot read an archive")?;
        out.write_all(wanted)?;
        rest -= wanted.len() as u64;
    }
    part.check()
}

fn copy_packed(packed: &[u8], start: u64, len: u64, out: &mut dyn Write) -> Result<()> {
    let bytes = usize::try_from(start)
        .ok()
        .zip(usize::try_from(len).ok())
        .and_then(|(start, len)| packed.get(start..)?.get(..len))
        .with_context(|| {
            let all = packed.len();
            format!("the packed image has no {len} bytes at {start}, it holds {all}")
        })?;
    out.write_all(bytes)?;
    Ok(())
}

/// How much of a file is in memory while it is copied.
const COPY_BUFFER: u64 = 256 * 1024;

/// What tells a file from all others, where the host says so.
#[cfg(unix)]
pub(super) fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn put(path: &Path, contents: &str, seconds: u64) {
        fs::write(path, contents).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    }

    fn found(path: &Path) -> Source {
        Source::host(path.into(), &fs::metadata(path).unwrap())
    }

    fn copied(source: &Source, len: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        source.copy_to(len as u64, b"0123456", &mut out)?;
        Ok(out)
    }

    #[test]
    fn contents_are_copied_in_pieces() {
        let host = tempfile::tempdir().unwrap();
        let path = host.path().join("f");
        let contents = "0123456789".repeat(100_000);
        put(&path, &contents, 1);
        assert!(copied(&found(&path), contents.len()).unwrap() == contents.as_bytes());
    }

    #[test]
    fn a_file_that_changed_is_refused() {
        let host = tempfile::tempdir().unwrap();
        let (path, other) = (host.path().join("f"), host.path().join("g"));
        let changes: [(&str, &dyn Fn()); 4] = [
            ("longer", &|| put(&path, "hello!", 1)),
            ("shorter", &|| put(&path, "hell", 1)),
            ("written", &|| put(&path, "HELLO", 2)),
            ("replaced", &|| {
                put(&other, "HELLO", 1);
                fs::rename(&other, &path).unwrap();
            }),
        ];
        for (what, change) in changes {
            if cfg!(not(unix)) && what == "replaced" {
                continue;
            }
            put(&path, "hello", 1);
            let source = found(&path);
            assert_eq!(copied(&source, 5).unwrap(), b"hello");
            change();
            let error = copied(&source, 5).unwrap_err().to_string();
            let expected = format!("file changed while it was packed: {}", path.display());
            assert_eq!(error, expected, "{what}");
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_copied_is_refused() {
        /// Does something to the file once bytes arrive.
        struct Meanwhile<F: FnMut()>(F);

        impl<F: FnMut()> Write for Meanwhile<F> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                (self.0)();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let host = tempfile::tempdir().unwrap();
        let path = host.path().join("f");
        let len = COPY_BUFFER * 3;
        let contents = "x".repeat(len as usize);
        let changes: [&dyn Fn(); 2] = [&|| put(&path, "cut off", 1), &|| put(&path, &contents, 2)];
        for change in changes {
            put(&path, &contents, 1);
            let error = found(&path)
                .copy_to(len, &[], &mut Meanwhile(change))
                .unwrap_err();
            assert!(error.is::<ScanError>(), "{error:#}");
        }
    }

    #[test]
    fn a_file_that_vanished_is_named() {
        let host = tempfile::tempdir().unwrap();
        let path = host.path().join("f");
        put(&path, "hello", 1);
        let source = found(&path);
        fs::remove_file(&path).unwrap();
        let error = copied(&source, 5).unwrap_err().to_string();
        assert_eq!(error, format!("cannot read {}", path.display()));
    }

    #[test]
    fn packed_contents_are_taken_from_the_old_image() {
        let source = Source::Packed { start: 2 };
        assert_eq!(copied(&source, 3).unwrap(), b"234");
        assert_eq!(copied(&source, 5).unwrap(), b"23456");
        assert!(copied(&source, 6).is_err());
        assert!(copied(&Source::Packed { start: u64::MAX }, 1).is_err());
    }
}
