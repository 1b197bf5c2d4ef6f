//! `monaka pack`: directories into a program.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use monaka_vfs_core::image::{Image, Kind, Tree, Written, write};

use super::sources::Sources;
use crate::listing;
use crate::module::analyze::Module;
use crate::module::merge::{Layout, MergeRecord, Merged};
use crate::module::mount::Mounted;
use crate::module::packed::Packed;
use crate::module::program::{Program, Route};
use crate::module::refusal::Refusal;
use crate::output::{self, Output};
use crate::progress::{Bar, Progress};
use crate::report::{self, Hinted};
use crate::sbom;
use crate::scan::{LEVEL, Source, compress};

/// Packs directories, archives and images into a program.
///
/// Any program of WASI Preview 1 will do; one that is linked with
/// libmonaka_vfs.a (`monaka lib` writes it) keeps that. The result needs no
/// preopened directory: it reads and writes the packed files in its own memory,
/// on any runtime, and forgets its changes when it ends. Mapping a directory over
/// another merges them; the later one wins. Packing a packed module adds to it;
/// its limits and read-only places stay.
///
/// The same files give the same bytes: their order and the clock do not matter,
/// and their times can be set with --mtime or SOURCE_DATE_EPOCH.
#[derive(clap::Args)]
#[command(
    override_usage = "monaka pack [OPTIONS] <APP.WASM> -o <OUT.WASM>\n       monaka pack [OPTIONS] [--config <FILE>]",
    after_long_help = "\
Examples:
  monaka pack app.wasm --mapdir /::./root -o out.wasm
  monaka pack app.wasm --mapdir /usr/lib::./lib --mapdir /etc/app.conf::./my.conf -o out.wasm
  monaka pack out.wasm --dir ./more::/data -o out.wasm
  monaka pack app.wasm --mapdir /::./root --read-only / --max-bytes 64M -o out.wasm
  monaka pack python.wasm --tar /usr/lib/python3::lib.tar.zst --exclude '*.pyc' -o out.wasm
  docker save app | monaka pack app.wasm --oci /::- -o out.wasm
  monaka pack app.wasm --mapdir /::. --exclude .git --file /etc/version=1.2 --dry-run
  monaka pack app.wasm --mapdir /::./root --compress -o out.wasm
  monaka pack - --mapdir /::. -o - < app.wasm | wasmtime -
  monaka pack --max-bytes 64M      (all else is in monaka.toml; `monaka init` writes one)

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written."
)]
pub(crate) struct Opts {
    /// The program; `-` reads it from stdin
    #[arg(value_name = "APP.WASM")]
    input: PathBuf,
    /// Read FILE first; without APP.WASM, monaka.toml in the current directory
    ///
    /// It holds these flags as keys and the sources as [[mount]] tables, with paths
    /// relative to the file. A flag that is given once overrides its key, sources
    /// and flags that may be given many times add to it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Let the program see the directories that the host opens at run time,
    /// behind the packed ones
    ///
    /// Without it, no file-system import is left in the module.
    #[arg(long)]
    allow_host_dirs: bool,
    /// How the file system gets into the program; without it, linked where the
    /// library is inside
    #[arg(long, value_enum)]
    route: Option<Route>,
    /// Where the file system lives when it is merged in; `single` if not said
    #[arg(long, value_enum)]
    memory: Option<Layout>,
    #[command(flatten)]
    compression: Compression,
    /// Where the packed module goes; `-` is stdout (the default if the program
    /// comes from stdin)
    #[arg(short, long, value_name = "OUT.WASM")]
    output: Option<PathBuf>,
    /// List what would be packed, with sizes, and write nothing
    #[arg(long, conflicts_with_all = ["sbom", "verbose"])]
    dry_run: bool,
    /// The list of --dry-run as a JSON array with an object for each name
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Also write a list of the packed files with their hashes (SPDX 2.3, JSON)
    ///
    /// Its date is SOURCE_DATE_EPOCH or --mtime, so that it can be reproduced;
    /// without them it is the present.
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// List all that is packed on stderr
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Say nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

/// How files are stored.
#[derive(clap::Args)]
pub(super) struct Compression {
    /// Store files zstd-compressed where that pays; they are decompressed as they
    /// are read
    ///
    /// A higher LEVEL, up to 22, packs slower and a little smaller; reading is as
    /// fast. The library must be the one of `monaka lib --zstd`, if the program is
    /// linked with it.
    #[arg(
        id = "compress",
        long,
        value_name = "LEVEL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = LEVEL,
        value_parser = clap::value_parser!(i32).range(1..=22)
    )]
    pub(super) level: Option<i32>,
}

impl Opts {
    /// Packs.
    pub(crate) fn run(self) -> Result<()> {
        let name = output::shown(&self.input, "the module from stdin");
        self.pack().with_context(|| format!("cannot pack {name}"))
    }

    fn pack(&self) -> Result<()> {
        let begun = Instant::now();
        let progress = Progress::new(self.quiet);
        let place = match &self.output {
            Some(place) => place,
            None if output::is_dash(&self.input) || self.dry_run => Path::new("-"),
            None => usage_error("pack", "say where the packed module goes: -o OUT.WASM"),
        };
        if self.sources.added.of_stdin() + usize::from(output::is_dash(&self.input)) > 1 {
            usage_error(
                "pack",
                "only one of program and archives can be read from stdin",
            );
        }
        if !self.dry_run {
            Output::check(place)?;
        }
        if let Some(sbom) = &self.sbom {
            if output::is_dash(sbom) && output::is_dash(place) {
                usage_error("pack", "only one of module and --sbom can go to stdout");
            }
            Output::check(sbom)?;
        }
        let wasm = output::read(&self.input)?;
        let module = Module::parse(&wasm)?;
        let packed = Packed::open(&wasm, &module)?;
        let mut warnings = Vec::new();
        if let Some(packed) = &packed {
            match (packed.record.host_dirs(), self.allow_host_dirs) {
                (false, true) => return Err(Refusal::HostDirsGone.into()),
                (true, false) => warnings.push(
                    "the module was packed with --allow-host-dirs before; without it, it no \
                     longer sees the host's directories"
                        .to_string(),
                ),
                _ => {}
            }
        }
        let old = packed
            .as_ref()
            .map(|packed| packed.tree(|start, _| Source::Packed { start }))
            .transpose()?;
        let tree = self.sources.tree(old, progress, &mut warnings)?;
        // What was compressed stays so.
        let compressed = self.compression.level.is_some() || tree.has_compressed();
        // A packed module is packed anew, as the program that it was.
        let original;
        let program = match &packed {
            None => self.program(&wasm, &module, compressed)?,
            Some(packed) => match packed.merged {
                Some(merged) => {
                    self.check_merged(packed, &merged)?;
                    Program::Merged(Merged::reopen(packed, merged, compressed)?)
                }
                None => {
                    original = packed.original(&module)?;
                    self.program(&original, &Module::parse(&original)?, compressed)?
                }
            },
        };
        if self.dry_run {
            return self.show(tree, &warnings);
        }
        warnings.extend(self.sources.added.within(place));
        let old_data = packed.as_ref().map_or(&[][..], Packed::data);
        let sbom = self.list_files(&tree, place, progress, old_data)?;
        if self.verbose {
            report::note(listing::paths(&tree).trim_end());
        }
        let mut valid = tree.validate()?;
        if let Some(level) = self.compression.level {
            valid = compress(valid, level, old_data, progress)?.validate()?;
        }
        let image = write(&valid)?;
        let mounted = program.mount(&image)?;

        for warning in warnings.iter().chain(program.notes()) {
            report::warning(warning);
        }
        let mut out = Output::create(place, Some(&self.input))?;
        let shown = output::shown(place, "stdout");
        let copy = |source: &Source, len, out: &mut dyn Write| source.copy_to(len, old_data, out);
        let written = emit(
            &program,
            &mounted,
            &image,
            (&mut out, shown),
            progress,
            copy,
        )?;
        if let Some((path, text)) = sbom {
            output::write(path, &text)?;
        }
        out.commit()?;
        if !self.quiet {
            let contents = Summary::of(&image.tables)?;
            let place = output::shown(place, "stdout");
            let (size, time) = (report::bytes(written), begun.elapsed().as_secs_f64());
            report::note(&format!(
                "packed {contents} into {place}: {size} in {time:.2} s"
            ));
        }
        Ok(())
    }

    /// Lists what would be packed.
    fn show(&self, tree: Tree<Source>, warnings: &[String]) -> Result<()> {
        for warning in warnings {
            report::warning(warning);
        }
        report::print(&match self.json {
            true => listing::json(&tree)?,
            false => listing::sizes(&tree),
        })?;
        let valid = tree.validate()?;
        let contents = Summary::of(&write(&valid)?.tables)?;
        if !self.quiet {
            report::note(&format!("would pack {contents}"));
        }
        Ok(())
    }

    /// The list of files that --sbom asks for, and where it goes.
    fn list_files(
        &self,
        tree: &Tree<Source>,
        place: &Path,
        progress: Progress,
        old_data: &[u8],
    ) -> Result<Option<(&Path, Vec<u8>)>> {
        let Some(path) = &self.sbom else {
            return Ok(None);
        };
        let name = place.file_name().map(|name| name.to_string_lossy());
        let name = name.filter(|name| name != "-").unwrap_or("module".into());
        let (made, bar) = (
            self.sources.added.dates.made()?,
            progress.bytes("hashing", None),
        );
        let text = sbom::spdx(tree, &name, made, bar, |source, len, out| {
            source.copy_to(len, old_data, out)
        })?;
        Ok(Some((path, text)))
    }

    fn program<'a>(
        &self,
        wasm: &'a [u8],
        module: &Module<'a>,
        compressed: bool,
    ) -> Result<Program<'a>> {
        let (layout, host_dirs) = (self.memory.unwrap_or_default(), self.allow_host_dirs);
        let program = Program::new(wasm, module, self.route, layout, host_dirs, compressed)?;
        if let (Program::Linked(_), Some(_)) = (&program, self.memory) {
            return Err(Hinted::new(
                "--memory is for programs that the file system is merged into, and this one is \
                 linked with libmonaka_vfs.a",
                "leave --memory out, or merge all the same with --route rewrite",
            )
            .into());
        }
        Ok(program)
    }

    /// Refuses what cannot be changed any more in a module that was merged.
    fn check_merged(&self, packed: &Packed<'_>, merged: &MergeRecord) -> Result<()> {
        let flag = if self.memory.is_some_and(|layout| layout != merged.layout) {
            "--memory"
        } else if self.route == Some(Route::Linked) {
            "--route"
        } else if packed.record.host_dirs() && !self.allow_host_dirs {
            "no --allow-host-dirs"
        } else {
            return Ok(());
        };
        Err(Hinted::new(
            format!("{flag} differs from what the module was packed with before"),
            "pack the original module again, with all its directories",
        )
        .into())
    }
}

/// Ends the process as clap does on a wrong command line.
pub(super) fn usage_error(command: &str, message: &str) -> ! {
    let mut cli = super::Cli::command();
    cli.build();
    let kind = ErrorKind::MissingRequiredArgument;
    match cli.find_subcommand_mut(command) {
        Some(command) => command.error(kind, message).exit(),
        None => cli.error(kind, message).exit(),
    }
}

/// Writes a packed module to `out`, which messages call as is said; answers how
/// many bytes it has.
pub(super) fn emit<S>(
    program: &Program<'_>,
    mounted: &Mounted,
    image: &Written<'_, S>,
    (out, place): (&mut Output, String),
    progress: Progress,
    copy: impl FnMut(&S, u64, &mut dyn Write) -> Result<()>,
) -> Result<u64> {
    let mut counted = Counted {
        out: BufWriter::with_capacity(1 << 18, out),
        place,
        written: 0,
        bar: progress.bytes("writing", Some(image.data_len)),
    };
    program.write(&mut counted, mounted, image, copy)?;
    let flushed = counted.out.flush();
    flushed.with_context(|| format!("cannot write {}", counted.place))?;
    Ok(counted.written)
}

/// Counts what is written, and says where if that fails.
struct Counted<W> {
    out: W,
    /// What messages call the output.
    place: String,
    written: u64,
    bar: Bar,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot write {}: {error}", self.place),
            )
        })?;
        self.written += written as u64;
        self.bar.add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What an image holds.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// What of that is compressed.
    pub(crate) compressed: Compressed,
    /// The root does not count.
    pub(crate) directories: usize,
    pub(crate) symlinks: usize,
    pub(crate) devices: usize,
}

/// Compressed files.
#[derive(Default)]
pub(crate) struct Compressed {
    pub(crate) files: usize,
    /// Bytes of their contents.
    pub(crate) bytes: u64,
    /// How many those take in the image.
    pub(crate) stored: u64,
}

impl Summary {
    /// Counts an image's inodes.
    pub(crate) fn of(tables: &[u8]) -> Result<Summary> {
        let image = Image::open(tables)?;
        let mut summary = Summary::default();
        for inode in 1..image.inodes() {
            match image.inode(inode).kind {
                Kind::Directory => summary.directories += 1,
                Kind::Regular { size, stored, .. } => {
                    summary.files += 1;
                    summary.bytes += size;
                    if let Some(stored) = stored {
                        summary.compressed.files += 1;
                        summary.compressed.bytes += size;
                        summary.compressed.stored += u64::from(stored);
                    }
                }
                Kind::Symlink { .. } => summary.symlinks += 1,
                Kind::Device(_) => summary.devices += 1,
            }
        }
        Ok(summary)
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files = report::count(self.files, "file", "files");
        write!(f, "{files} ({}", report::bytes(self.bytes))?;
        if self.compressed.files > 0 {
            let stored = self.bytes - self.compressed.bytes + self.compressed.stored;
            write!(f, ", compressed to {}", report::bytes(stored))?;
        }
        write!(f, ")")?;
        for (count, one, many) in [
            (self.directories, "directory", "directories"),
            (self.symlinks, "symbolic link", "symbolic links"),
            (self.devices, "device", "devices"),
        ] {
            if count > 0 {
                write!(f, ", {}", report::count(count, one, many))?;
            }
        }
        Ok(())
    }
}
