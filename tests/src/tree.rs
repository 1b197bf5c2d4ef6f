//! A directory of the host as text, in the lines that programs print from inside:
//! with the number of links (`tests/programs/tree.h`) or, where a language hides
//! that, without.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Everything below `directory`.
pub fn listed(directory: &Path) -> String {
    let mut lines = String::new();
    list(directory, "", true, &mut lines);
    lines
}

/// The same without the number of links of files.
pub fn unlinked(directory: &Path) -> String {
    let mut lines = String::new();
    list(directory, "", false, &mut lines);
    lines
}

fn list(directory: &Path, prefix: &str, with_links: bool, lines: &mut String) {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .and_then(Iterator::collect)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let shown = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        let meta = entry.metadata().expect("lstat");
        if meta.is_dir() {
            let _ = writeln!(lines, "{shown}/");
            list(&path, &shown, with_links, lines);
        } else if meta.is_symlink() {
            let target = fs::read_link(&path).expect("readlink");
            let _ = writeln!(lines, "{shown} -> {}", target.display());
        } else {
            let bytes = fs::read(&path).expect("read");
            let _ = write!(lines, "{shown} {}", bytes.len());
            if with_links {
                let _ = write!(lines, " {}", meta.nlink());
            }
            let _ = writeln!(lines, " {:016x}", fnv(&bytes));
        }
    }
}

/// FNV-1a.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
