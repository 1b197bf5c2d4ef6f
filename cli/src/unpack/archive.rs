//! Files into a tar archive: POSIX headers, and records of pax where a header has
//! no room (long names, parts of a second). Nothing of the host gets in: owner is
//! 0, the mode says no more than whether a file is executable.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Meta, Tree};
use tar::{Builder, EntryType, Header};

use super::{Count, Exactly, Step, walk};
use crate::output::{self, Output};

/// Writes a tree as an archive to `path`; `-` is stdout.
pub(super) fn write<S>(
    tree: &Tree<S>,
    path: &Path,
    mut copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
) -> Result<Count> {
    let shown = || format!("cannot write {}", output::shown(path, "to stdout"));
    let out = BufWriter::with_capacity(1 << 18, Output::create(path, None)?);
    let mut archive = Archive(Builder::new(out));
    let count = walk(tree, |name, step| match step {
        Step::Enter(meta) => {
            let name = match name.is_empty() {
                true => b"./".to_vec(),
                false => [name, b"/"].concat(),
            };
            archive.entry(EntryType::Directory, &name, b"", 0, meta)
        }
        Step::Leave(_) => Ok(()),
        Step::File { meta, len, source } => {
            archive.entry(EntryType::Regular, name, b"", len, meta)?;
            let mut contents = Exactly::new(archive.0.get_mut(), len);
            copy(source, len, &mut contents)?;
            let out = contents.finish()?;
            let over = len as usize % BLOCK;
            Ok(out.write_all(&[0; BLOCK][..(BLOCK - over) % BLOCK])?)
        }
        Step::Symlink { meta, target } => archive.entry(EntryType::Symlink, name, target, 0, meta),
        Step::Link { meta, first } => archive.entry(EntryType::Link, name, first, 0, meta),
    })?;
    let out = archive.0.into_inner().with_context(shown)?;
    let out = out.into_inner().map_err(io::IntoInnerError::into_error);
    out.with_context(shown)?.commit()?;
    Ok(count)
}

/// What sizes in an archive are rounded up to.
const BLOCK: usize = 512;

struct Archive<W: Write>(Builder<W>);

impl<W: Write> Archive<W> {
    /// Writes what stands before an entry's contents.
    fn entry(
        &mut self,
        kind: EntryType,
        name: &[u8],
        link: &[u8],
        len: u64,
        meta: Meta,
    ) -> Result<()> {
        let (seconds, nanos) = (meta.mtime / NANOS, meta.mtime % NANOS);
        let precise = format!("{seconds}.{nanos:09}");
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(match kind {
            EntryType::Symlink => 0o777,
            EntryType::Directory => 0o755,
            _ if meta.executable => 0o755,
            _ => 0o644,
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(len);
        header.set_mtime(seconds);
        let fields = header.as_old_mut();
        let mut records: Vec<(&str, &[u8])> = Vec::new();
        if put(&mut fields.name, name) {
            records.push(("path", name));
        }
        if put(&mut fields.linkname, link) {
            records.push(("linkpath", link));
        }
        if nanos != 0 {
            records.push(("mtime", precise.as_bytes()));
        }
        header.set_cksum();
        self.0.append_pax_extensions(records)?;
        self.0.append(&header, io::empty())?;
        Ok(())
    }
}

const NANOS: u64 = 1_000_000_000;

/// Fills a field of a header; whether the text is longer.
fn put(field: &mut [u8], text: &[u8]) -> bool {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text[..len]);
    len < text.len()
}
