//! Output files that appear whole or not at all, and inputs from stdin.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use crate::report::Hinted;

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
        let temporary = builder
            .tempfile_in(directory_of(&place))
            .with_context(shown)?;
        remove_when_interrupted(temporary.path());
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

/// Has Ctrl-C and termination remove unfinished outputs, which only a
/// regular end would otherwise do.
fn remove_when_interrupted(temporary: &Path) {
    static HANDLER: Once = Once::new();
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.push(temporary.to_path_buf());
    drop(unfinished);
    HANDLER.call_once(|| {
        // Where no handler can be set, the file stays behind, which is no
        // reason not to write it.
        let _ = ctrlc::set_handler(|| {
            let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
            for path in &*unfinished {
                // Gone when the output was finished.
                let _ = fs::remove_file(path);
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
    Ok(fs::read(path)?)
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

fn directory_of(path: &Path) -> &Path {
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
