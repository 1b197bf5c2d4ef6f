//! Output files that appear whole or not at all, and inputs from stdin.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context as _, Result};
use memmap2::Mmap;
use tempfile::NamedTempFile;

use crate::report::{self, Hinted};
use crate::stored::DAMAGED;

/// Where output goes: a file beside its final place until [`commit`](Output::commit).
pub(crate) enum Output {
    /// `-`.
    Stdout(io::Stdout),
    /// A new or a regular file.
    File {
        temporary: NamedTempFile,
        place: PathBuf,
    },
    /// A pipe or a device, which cannot be replaced.
    Special(File),
}

impl Output {
    /// Refuses what cannot become an output, before any work is done.
    pub(crate) fn check(path: &Path) -> Result<()> {
        if is_dash(path) {
            if io::stdout().is_terminal() {
                return Err(Hinted::new(
                    "will not write binary data to a terminal",
                    "name a file with -o, or send stdout into a pipe or file",
                )
                .into());
            }
            return Ok(());
        }
        if path.is_dir() {
            return Err(Hinted::new(
                format!("{} is a directory", path.display()),
                "name the output file itself with -o",
            )
            .into());
        }
        let directory = directory_of(path);
        if !directory.is_dir() {
            return Err(Hinted::new(
                format!("the directory {} does not exist", directory.display()),
                "create it first, or name another place with -o",
            )
            .into());
        }
        Ok(())
    }

    /// Begins an output. Dropped without `commit`, it leaves nothing behind.
    ///
    /// A file that is there keeps its mode; a new one is executable if `like` is.
    pub(crate) fn create(path: &Path, like: Option<&Path>) -> Result<Output> {
        if is_dash(path) {
            return Ok(Output::Stdout(io::stdout()));
        }
        let shown = || format!("cannot write {}", path.display());
        let existing = fs::metadata(path).ok();
        if existing
            .as_ref()
            .is_some_and(|metadata| !metadata.is_file())
        {
            return Ok(Output::Special(File::create(path).with_context(shown)?));
        }
        // Through a symbolic link the file is replaced, not the link.
        let place = match &existing {
            Some(_) => fs::canonicalize(path).with_context(shown)?,
            None => path.to_path_buf(),
        };
        #[cfg(not(unix))]
        let _ = like;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".monaka-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any program creates files: the umask takes its part.
            builder.permissions(fs::Permissions::from_mode(if is_executable(like) {
                0o777
            } else {
                0o666
            }));
        }
        let make = || builder.tempfile_in(directory_of(&place));
        let temporary = removed_when_interrupted(make, NamedTempFile::path);
        let temporary = temporary.with_context(shown)?;
        if let Some(metadata) = existing {
            temporary
                .as_file()
                .set_permissions(metadata.permissions())
                .with_context(shown)?;
        }
        Ok(Output::File { temporary, place })
    }

    /// Makes the output appear under its name.
    pub(crate) fn commit(self) -> Result<()> {
        match self {
            Output::Stdout(mut stdout) => stdout.flush().context("cannot write to stdout"),
            Output::Special(mut file) => Ok(file.flush()?),
            Output::File { temporary, place } => {
                let shown = || format!("cannot write {}", place.display());
                temporary
                    .persist(&place)
                    .map_err(|error| error.error)
                    .with_context(shown)?;
                Ok(())
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stdout(stdout) => stdout.write(bytes),
            Output::File { temporary, .. } => temporary.write(bytes),
            Output::Special(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stdout(stdout) => stdout.flush(),
            Output::File { temporary, .. } => temporary.flush(),
            Output::Special(file) => file.flush(),
        }
    }
}

/// The outputs that may be unfinished, for whoever interrupts.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// What a shell sees of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// Makes an unfinished output and has Ctrl-C and termination remove it, which only a
/// regular end would otherwise do.
pub(crate) fn removed_when_interrupted<T>(
    make: impl FnOnce() -> io::Result<T>,
    path: impl FnOnce(&T) -> &Path,
) -> io::Result<T> {
    // Before there is something to be removed: who sees it may interrupt at once.
    watch_for_interrupts();
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    let made = make()?;
    unfinished.push(path(&made).to_path_buf());
    Ok(made)
}

fn watch_for_interrupts() {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // Where no handler can be set, the file stays behind, which is no
        // reason not to write it.
        let _ = ctrlc::set_handler(|| {
            let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
            for path in &*unfinished {
                // Gone when the output was finished.
                let _ = match path.is_dir() {
                    true => fs::remove_dir_all(path),
                    false => fs::remove_file(path),
                };
            }
            std::process::exit(INTERRUPTED);
        });
    });
}

/// Writes a whole output at once.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(path, None)?;
    output
        .write_all(bytes)
        .with_context(|| format!("cannot write {}", path.display()))?;
    output.commit()
}

/// Reads a module, `-` being stdin.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    if is_dash(path) {
        let mut bytes = Vec::new();
        io::stdin()
            .read_to_end(&mut bytes)
            .context("cannot read stdin")?;
        return Ok(bytes);
    }
    fs::read(path).map_err(|error| report::unreadable(path, error))
}

/// An input that is looked into at few places.
pub(crate) enum Input {
    /// A file, of which the system reads what is looked at.
    Mapped(Mmap),
    /// All of a pipe's bytes.
    Read(Vec<u8>),
}

impl Input {
    /// Opens a file, `-` being stdin.
    pub(crate) fn open(path: &Path) -> Result<Input> {
        if is_dash(path) {
            return Ok(Input::Read(read(path)?));
        }
        let mut file = File::open(path).map_err(|error| report::unreadable(path, error))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() == 0 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Ok(Input::Read(bytes));
        }
        // SAFETY: the bytes are only read. If somebody writes to the file
        // meanwhile they change, which no one here relies on for memory safety:
        // every access is bounds-checked. Who cuts the file off ends this process.
        Ok(Input::Mapped(unsafe { Mmap::map(&file)? }))
    }
}

impl std::ops::Deref for Input {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Input::Mapped(map) => map,
            Input::Read(bytes) => bytes,
        }
    }
}

/// Has something written to stdout. A reader who has seen enough is no error.
pub(crate) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let result = write(&mut out).and_then(|()| Ok(out.flush()?));
    let Err(error) = result else {
        return Ok(());
    };
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.root_cause().downcast_ref().is_some_and(closed) {
        // What is left in the buffer nobody wants.
        let _ = out.into_parts();
        return Ok(());
    }
    // Whatever was read for it has said what it is.
    match error.is::<io::Error>() && error.chain().len() == 1 {
        true => Err(error.context("cannot write to stdout")),
        false => Err(error),
    }
}

/// Copies all of a file's contents.
pub(crate) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> Result<()> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => to.write_all(&buffer[..len])?,
            Err(error) => return Err(Hinted::new(error.to_string(), DAMAGED).into()),
        }
    }
}

/// A JSON array on its way out, an element a line.
pub(crate) struct JsonArray<'w> {
    out: &'w mut dyn Write,
    empty: bool,
}

impl<'w> JsonArray<'w> {
    pub(crate) fn begin(out: &'w mut dyn Write) -> io::Result<JsonArray<'w>> {
        out.write_all(b"[")?;
        Ok(JsonArray { out, empty: true })
    }

    pub(crate) fn push(&mut self, element: &impl serde::Serialize) -> io::Result<()> {
        let before: &[u8] = if self.empty { b"\n" } else { b",\n" };
        self.empty = false;
        self.out.write_all(before)?;
        Ok(serde_json::to_writer(&mut self.out, element)?)
    }

    pub(crate) fn end(self) -> io::Result<()> {
        self.out
            .write_all(if self.empty { b"]\n" } else { b"\n]\n" })
    }
}

#[cfg(unix)]
fn is_executable(path: Option<&Path>) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = path.and_then(|path| fs::metadata(path).ok());
    metadata.is_some_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// `-` stands for stdin or stdout.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What messages call an input or output.
pub(crate) fn shown(path: &Path, dash: &str) -> String {
    match is_dash(path) {
        true => dash.to_string(),
        false => path.display().to_string(),
    }
}

/// Where a file is, or will be.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_without_a_commit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let mut output = Output::create(&path, None).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_and_the_mode_survive() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        let link = directory.path().join("link");
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::metadata(&target).unwrap().permissions().mode() & 0o777,
            0o750
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
