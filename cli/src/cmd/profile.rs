//! `monaka profile`: which of its files a program uses.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Image, Kind};

use super::tracing::report;
use crate::furnish;
use crate::host::{Host, exit_code};
use crate::module::analyze::Module;
use crate::module::packed::Packed;
use crate::module::recognise::recognise;
use crate::module::traced::traced;
use crate::module::tracing::{To, Tracing};
use crate::report::Hinted;
use crate::shown::Shown;
use crate::{json, output};

/// Runs a packed program and lists the files that it uses.
///
/// Listed is what was packed and is opened, looked at or changed with success: files,
/// symbolic links, and directories, with a slash behind them. `monaka pack --only-used`
/// takes the list, or several of several runs, and leaves all else out.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka profile app.wasm -o used.txt -- first second
  monaka profile app.wasm | sort -u - used.txt
  monaka pack app.wasm --only-used used.txt -o small.wasm

Exit status: the program's own; 134 when it traps; 1 on an error, 2 when the
command line is wrong. The list is written however the program ends.")]
pub(crate) struct Opts {
    /// The packed module; `-` reads it from stdin
    #[arg(value_name = "PACKED.WASM")]
    input: PathBuf,
    /// Where the list goes, a path a line; without it or with `-` to stdout, and what
    /// the program prints goes to stderr then
    #[arg(short, long, value_name = "LIST")]
    output: Option<PathBuf>,
    /// A NUL behind each path rather than a line's end
    #[arg(short = '0', long, conflicts_with = "json")]
    null: bool,
    /// A JSON array of the paths
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: Host,
}

impl Opts {
    /// Runs the program and writes the list; answers the program's exit status.
    pub(crate) fn run(mut self) -> Result<ExitCode> {
        let name = output::shown(&self.input, "the module from stdin");
        let cannot = || format!("cannot profile {name}");
        let place = self.output.take().unwrap_or_else(|| "-".into());
        self.host.stdout_to_stderr = output::is_dash(&place);
        let wasm = output::read(&self.input).with_context(cannot)?;
        recognise(&wasm).with_context(cannot)?;
        let module = Module::parse(&wasm).with_context(cannot)?;
        let packed = Packed::expect(&wasm, &module).with_context(cannot)?;
        let used = Arc::new(Mutex::new(BTreeSet::new()));
        let told = used.clone();
        self.host.report = Some(report(move |inode| {
            if let Ok(inode) = inode.try_into() {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.insert(u32::from_le_bytes(inode));
            }
            Ok(())
        }));
        let tracing = Tracing {
            profile: true,
            entry: self.host.entry_name().to_string(),
            ..Tracing::new(To::Monaka)
        };
        let traced = traced(&wasm, tracing).with_context(cannot)?;
        let mut ran = self.host.run(&self.input, &traced).with_context(cannot)?;
        let status = ran.report(&name)?;
        let used = used.lock().unwrap_or_else(PoisonError::into_inner);
        let list = self.list(&paths(&packed, &used)?);
        let shown = output::shown(&place, "stdout");
        list.and_then(|list| output::write(&place, &list))
            .with_context(|| format!("cannot write the list to {shown}"))?;
        Ok(exit_code(status))
    }

    fn list(&self, paths: &[Vec<u8>]) -> Result<Vec<u8>> {
        if self.json {
            let paths = paths
                .iter()
                .map(|path| json::string(&Shown(path).to_string()));
            return Ok((json::array(paths) + "\n").into_bytes());
        }
        let end = if self.null { b'\0' } else { b'\n' };
        if let Some(path) = paths.iter().find(|path| path.contains(&end)) {
            return Err(Hinted::new(
                format!("{} is more than a line", Shown(path)),
                "-0 writes a NUL behind each path, which --only-used reads as well",
            )
            .into());
        }
        let mut list = Vec::new();
        for path in paths {
            list.extend_from_slice(path);
            list.push(end);
        }
        Ok(list)
    }
}

/// The paths of inodes, by the numbers that a program sees; directories have a slash
/// behind them. Devices are always there and not listed.
fn paths(packed: &Packed<'_>, used: &BTreeSet<u32>) -> Result<Vec<Vec<u8>>> {
    let image = Image::open(packed.tables())?;
    let mut paths = Vec::new();
    let mut open = vec![(0, Vec::new())];
    while let Some((directory, path)) = open.pop() {
        for dirent in image.dirents(directory) {
            let mut path = [&path[..], b"/", dirent.name].concat();
            // Mounted, they count from 1.
            let is_used = used.contains(&(dirent.inode + 1));
            match image.inode(dirent.inode).kind {
                Kind::Directory => {
                    open.push((dirent.inode, path.clone()));
                    if is_used && !furnish::is_place(&path) {
                        path.push(b'/');
                        paths.push(path);
                    }
                }
                Kind::Device(_) => {}
                Kind::Regular { .. } | Kind::Symlink { .. } if is_used => paths.push(path),
                Kind::Regular { .. } | Kind::Symlink { .. } => {}
            }
        }
    }
    paths.sort();
    Ok(paths)
}
