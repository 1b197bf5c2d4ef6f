//! Files into a directory of the host.
//!
//! Everything is made in a new directory inside of the one that is named, and
//! moved up when all of it is there. What is made must not be there before:
//! nothing is overwritten and no link is ever followed, also where the host takes
//! two names for one.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use filetime::FileTime;
use monaka_vfs_core::image::{Meta, Tree};
use tempfile::TempDir;

use super::{Count, Exactly, Step, walk};
use crate::output;
use crate::report::Hinted;
#[cfg(not(unix))]
use crate::shown::Shown;

/// Refuses what is neither an empty directory nor can become one.
pub(super) fn check(path: &Path) -> Result<()> {
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Hinted::new(
                format!("the directory {} is not empty", path.display()),
                "nothing is overwritten: name a new directory, or an empty one",
            )
            .into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = output::directory_of(path);
            if parent.is_dir() {
                return Ok(());
            }
            Err(Hinted::new(
                format!("the directory {} does not exist", parent.display()),
                "create it first, or name another place",
            )
            .into())
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(Hinted::new(
            format!("{} is not a directory", path.display()),
            "name a new directory, or a .tar archive",
        )
        .into()),
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the directory {}", path.display()))
        }
    }
}

/// Writes a tree into the directory `path`.
pub(super) fn write<S>(
    tree: &Tree<S>,
    path: &Path,
    mut copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
) -> Result<Count> {
    check(path)?;
    let shown = || format!("cannot write {}", path.display());
    let made = Made::directory(path).with_context(shown)?;
    let make = || tempfile::Builder::new().prefix(".monaka-").tempdir_in(path);
    let inside = output::removed_when_interrupted(make, TempDir::path).with_context(shown)?;
    let base = inside.path();
    let mut root = Meta::default();
    let count = walk(tree, |name, step| {
        let at = on_host(base, name)?;
        match step {
            Step::Enter(_) if name.is_empty() => {}
            Step::Enter(_) => fs::create_dir(&at)?,
            Step::Leave(meta) if name.is_empty() => root = meta,
            Step::Leave(meta) => filetime::set_file_mtime(&at, time(meta))?,
            Step::File { meta, len, source } => {
                let mut file = Exactly::new(Sparse::create(&at, meta)?, len);
                copy(source, len, &mut file)?;
                file.finish()?.finish(len, meta)?;
            }
            Step::Symlink { meta, target } => {
                symlink(target, &at)?;
                filetime::set_symlink_file_times(&at, time(meta), time(meta))?;
            }
            Step::Link { first, .. } => fs::hard_link(on_host(base, first)?, &at)?,
        }
        Ok(())
    })?;
    for entry in fs::read_dir(base).with_context(shown)? {
        let entry = entry.with_context(shown)?;
        let to = path.join(entry.file_name());
        fs::rename(entry.path(), &to).with_context(|| format!("cannot write {}", to.display()))?;
    }
    inside.close().with_context(shown)?;
    filetime::set_file_mtime(path, time(root)).with_context(shown)?;
    made.keep();
    Ok(count)
}

/// A directory that goes again, unless it is kept, if it was not there before.
struct Made<'p>(Option<&'p Path>);

impl<'p> Made<'p> {
    fn directory(path: &'p Path) -> io::Result<Made<'p>> {
        match fs::create_dir(path) {
            Ok(()) => Ok(Made(Some(path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Made(None)),
            Err(error) => Err(error),
        }
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            // What cannot be removed stays behind; the error that led here is told.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// The host's path of a path of the tree, which cannot lead out of `base`.
fn on_host(base: &Path, path: &[u8]) -> Result<PathBuf> {
    let mut at = base.to_path_buf();
    for name in path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
    {
        let name = host_name(name)?;
        // On some hosts more than a slash parts a path, or begins one.
        let mut components = name.components();
        match (components.next(), components.next()) {
            (Some(Component::Normal(only)), None) if only == name.as_os_str() => at.push(only),
            _ => bail!("`{}` is no file name on this host", name.display()),
        }
    }
    Ok(at)
}

#[cfg(unix)]
fn host_name(name: &[u8]) -> Result<&Path> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(Path::new(std::ffi::OsStr::from_bytes(name)))
}

#[cfg(not(unix))]
fn host_name(name: &[u8]) -> Result<&Path> {
    let name = std::str::from_utf8(name);
    Ok(Path::new(name.context(
        "its name is not UTF-8, as names on this host are",
    )?))
}

#[cfg(unix)]
fn symlink(target: &[u8], at: &Path) -> Result<()> {
    std::os::unix::fs::symlink(host_name(target)?, at)?;
    Ok(())
}

#[cfg(not(unix))]
fn symlink(target: &[u8], _: &Path) -> Result<()> {
    let message = format!("it is a symbolic link to `{}`", Shown(target));
    Err(Hinted::new(
        message,
        "write a .tar archive: links are not made on this host",
    )
    .into())
}

fn time(meta: Meta) -> FileTime {
    let (seconds, nanos) = (meta.mtime / NANOS, meta.mtime % NANOS);
    FileTime::from_unix_time(seconds as i64, nanos as u32)
}

const NANOS: u64 = 1_000_000_000;

/// A new file that takes no room for zeros: a program's file may be far longer
/// than all that was ever written to it.
struct Sparse {
    file: File,
}

impl Sparse {
    fn create(path: &Path, meta: Meta) -> io::Result<Sparse> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(if meta.executable { 0o777 } else { 0o666 });
        }
        #[cfg(not(unix))]
        let _ = meta;
        let file = options.open(path)?;
        Ok(Sparse { file })
    }

    fn finish(self, len: u64, meta: Meta) -> io::Result<()> {
        self.file.set_len(len)?;
        let modified = UNIX_EPOCH + Duration::from_nanos(meta.mtime);
        self.file.set_times(FileTimes::new().set_modified(modified))
    }
}

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const BLOCK: usize = 1 << 16;
        let block = &bytes[..bytes.len().min(BLOCK)];
        if block.iter().all(|byte| *byte == 0) {
            self.file.seek(SeekFrom::Current(block.len() as i64))?;
            return Ok(block.len());
        }
        self.file.write(block)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
