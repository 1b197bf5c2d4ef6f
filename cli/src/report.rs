//! What the user is told: errors with their causes and the way out, warnings,
//! text on stdout.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};

use crate::module::mount::MountError;
use crate::module::refusal::Refusal;
use crate::scan::ScanError;

/// An error of the command line's own, with the way out.
#[derive(Debug)]
pub(crate) struct Hinted {
    /// What went wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl Hinted {
    /// An error and the way out of it.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Hinted {
        Hinted {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Hinted {}

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// Prints an error, its causes, and the way out where one is known.
pub(crate) fn error(error: &anyhow::Error) {
    say(&describe(error));
}

fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let what = match depth {
            0 => format!("{RED}error:{RED:#}"),
            _ => "  caused by:".into(),
        };
        text += &format!("{what} {}\n", indented(&cause.to_string()));
    }
    if let Some(hint) = hint_of(error) {
        text += &format!("  {GREEN}hint:{GREEN:#} {hint}\n");
    }
    text
}

/// The way out of an error, where one of its causes has it.
pub(crate) fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(hint_of_cause)
}

fn hint_of_cause(error: &(dyn Error + 'static)) -> Option<String> {
    let refusal = error.downcast_ref::<Refusal>().map(Refusal::hint);
    refusal
        .or_else(|| error.downcast_ref::<MountError>().map(MountError::hint))
        .or_else(|| Some(error.downcast_ref::<ScanError>()?.hint().to_string()))
        .or_else(|| Some(error.downcast_ref::<Hinted>()?.hint.clone()))
}

/// Further lines stand below the first.
fn indented(message: &str) -> String {
    message.trim_end().replace('\n', "\n    ")
}

/// Prints a warning.
pub(crate) fn warning(message: &str) {
    say(&format!(
        "{YELLOW}warning:{YELLOW:#} {}\n",
        indented(message)
    ));
}

/// Prints a line on stderr that is neither.
pub(crate) fn note(message: &str) {
    say(&format!("{message}\n"));
}

/// Writes to stderr, with colours where they are wanted. There is nobody to be
/// told that nobody listens.
fn say(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Writes text to stdout. A reader who has seen enough is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// The name that was meant, if one is near enough.
pub(crate) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    let (distance, known) = (known.into_iter().map(|known| (distance(known), known))).min()?;
    (distance <= name.len().max(3) / 3).then_some(known)
}

/// The host's path that was meant by one where nothing is, if a name beside it is near
/// enough.
pub(crate) fn nearest_path(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let directory = path.parent()?;
    let listed = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let entries = fs::read_dir(listed).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<String> = names.collect();
    let meant = nearest(name, names.iter().map(String::as_str))?;
    Some(directory.join(meant))
}

/// Why a file of the host cannot be read, with the one that was meant where nothing is.
pub(crate) fn unreadable(path: &Path, error: io::Error) -> anyhow::Error {
    let meant = match error.kind() {
        io::ErrorKind::NotFound => nearest_path(path),
        _ => None,
    };
    match meant {
        Some(meant) => Hinted::new(
            error.to_string(),
            format!("did you mean {}?", meant.display()),
        )
        .into(),
        None => error.into(),
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match value < 9.95 {
        true => format!("{value:.1} {}", UNITS[unit]),
        false => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_names_causes_and_the_way_out() {
        let error = Err::<(), _>(Hinted::new("two\nlines", "do this")).context("cannot");
        let text = anstream::adapter::strip_str(&describe(&error.unwrap_err())).to_string();
        assert_eq!(
            text,
            "error: cannot\n  caused by: two\n    lines\n  hint: do this\n"
        );
    }

    #[test]
    fn a_name_that_is_near_is_meant() {
        let known = ["exclude", "include", "input"];
        for (name, meant) in [
            ("exlude", Some("exclude")),
            ("inptu", Some("input")),
            ("inclued", Some("include")),
            ("output", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }

    #[test]
    fn a_file_beside_the_missing_one_is_meant() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("app.wasm");
        fs::write(&real, b"").unwrap();
        let nearest = |name: &str| nearest_path(&directory.path().join(name));
        assert_eq!(nearest("ap.wasm"), Some(real.clone()));
        assert_eq!(nearest("app.wasn"), Some(real));
        assert_eq!(nearest("tool.wat"), None);
        assert_eq!(nearest("none/app.wasm"), None);
    }

    #[test]
    fn bytes_are_rounded_to_two_figures() {
        let shown = [0, 999, 1000, 9_949, 34_567, 999_499, 999_500, 4_100_000_000].map(bytes);
        assert_eq!(
            shown,
            [
                "0 B", "999 B", "1.0 KB", "9.9 KB", "35 KB", "999 KB", "1.0 MB", "4.1 GB"
            ]
        );
    }
}
