//! `monaka pack`: directories into a program.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use monaka_vfs_core::image::{Image, Kind, Written, write};

use super::preinit::{Preinit, refuse_initialised};
use super::recipe::Recipe;
use super::spec;
use super::tracing;
use crate::access::Reached;
use crate::cwd;
use crate::module::analyze::Module;
use crate::module::checkpoint;
use crate::module::merge::{Layout, MergeRecord, Merged};
use crate::module::mount::Mounted;
use crate::module::packed::Packed;
use crate::module::policy;
use crate::module::program::{Program, Route};
use crate::module::reach::Reach;
use crate::module::recognise::recognise;
use crate::module::refusal::Refusal;
use crate::module::traced::bare;
use crate::module::tracing::Tracing;
use crate::output::{self, Output};
use crate::policy::{Control, Start};
use crate::progress::{Bar, Progress};
use crate::report::{self, Hinted};
use crate::scan::Source;

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
    mut_args = spec::switch,
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
  monaka pack app.wasm --mapdir /::. --profile pure --env MODE=test -o out.wasm
  monaka pack lua.wasm --mapdir /::./lib --init-run --init-arg /init.lua -o out.wasm
  monaka pack python.wasm --mapdir /usr::./usr --only-used used.txt -o small.wasm
  monaka pack app.wasm --mapdir /::./root --trace=/tmp/calls.log -o out.wasm
  monaka pack app.wasm --mapdir /::./root --fault 'sync:/db/**:IO@2+' -o out.wasm
  monaka pack - --mapdir /::. -o - < app.wasm | wasmtime -
  monaka pack --max-bytes 64M      (all else is in monaka.toml; `monaka init` writes one)

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written."
)]
pub(crate) struct Opts {
    /// The program; `-` reads it from stdin
    #[arg(value_name = "APP.WASM")]
    input: PathBuf,
    #[command(flatten)]
    recipe: Recipe,
    /// Let the program see the directories that the host opens at run time,
    /// behind the packed ones
    ///
    /// Without it, no file-system import is left in the module.
    #[arg(long)]
    allow_host_dirs: bool,
    #[command(flatten)]
    reached: Reached,
    /// How the file system gets into the program; without it, linked where the
    /// library is inside
    #[arg(long, value_enum)]
    route: Option<Route>,
    /// Where the file system lives when it is merged in; `single` if not said
    #[arg(long, value_enum)]
    memory: Option<Layout>,
    #[command(flatten)]
    control: Control,
    #[command(flatten)]
    preinit: Preinit,
    #[command(flatten)]
    tracing: tracing::Packed,
    /// Where the packed module goes; `-` is stdout (the default if the program
    /// comes from stdin)
    #[arg(short, long, value_name = "OUT.WASM")]
    output: Option<PathBuf>,
}

impl Opts {
    /// Packs.
    pub(crate) fn run(self) -> Result<()> {
        let name = output::shown(&self.input, "the module from stdin");
        self.pack().with_context(|| format!("cannot pack {name}"))
    }

    fn pack(&self) -> Result<()> {
        let begun = Instant::now();
        let recipe = &self.recipe;
        let place = match &self.output {
            Some(place) => place,
            None if output::is_dash(&self.input) || recipe.dry_run => Path::new("-"),
            None => usage_error("pack", "say where the packed module goes: -o OUT.WASM"),
        };
        self.preinit.check();
        recipe.check("pack", place, Some(&self.input))?;
        let wasm = output::read(&self.input)?;
        recognise(&wasm)?;
        self.preinit.check_host_dirs(self.allow_host_dirs)?;
        let (wasm, mut warnings) = match self.preinit.stops_at_checkpoint() {
            true => (wasm, Vec::new()),
            false => checkpoint::fill(wasm)?,
        };
        let module = Module::parse(&wasm)?;
        let packed = Packed::open(&wasm, &module)?;
        if let Some(packed) = &packed {
            refuse_initialised(packed)?;
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
        let mut old = packed
            .as_ref()
            .map(|packed| packed.tree(|start, _| Source::Packed { start }))
            .transpose()?;
        let said = policy::Record::of_module(&wasm)?.unwrap_or_default().policy;
        if let (Some(tree), Some(_)) = (&mut old, &said.cwd) {
            cwd::close(tree)?;
        }
        let mut tree = recipe.tree(old, &mut warnings)?;
        let policy = self.control.over(said);
        if let Some(cwd) = &policy.cwd {
            cwd::open(&mut tree, cwd)?;
        }
        let before = packed.as_ref().map(|packed| packed.record.host_dirs());
        let access = self.control.access(tree.access().clone(), &policy);
        tree.set_access(access);
        let reached = &self.reached;
        let denied = self.control.start() != Start::Keep;
        reached.apply(&mut tree, self.allow_host_dirs, before, denied)?;
        let reach = Reach::of(&tree, self.allow_host_dirs);
        if let Some(packed) = &packed {
            warnings.extend(packed.check_reach(reach)?);
        }
        let tracing = self.tracing.tracing();
        if tracing.is_some() && self.preinit.is_wanted() {
            return Err(Hinted::new(
                "a program that is initialised when it is packed cannot be traced",
                "leave out --trace and --fault, or --init-run and --init-func",
            )
            .into());
        }
        if let Some(tracing) = &tracing {
            tracing::add_file(&mut tree, tracing)?;
        }
        let compressed = recipe.compresses(&tree);
        let merged = packed.as_ref().and_then(|packed| packed.merged);
        // Another blob than before: all of it is merged in anew.
        let was_traced = merged.is_some_and(|merged| merged.is_traced());
        if was_traced && tracing.is_none() {
            warnings.push(
                "the module was packed with --trace or --fault before; without them, its calls \
                 are neither logged nor made to fail"
                    .to_string(),
            );
        }
        let is_anew = was_traced || tracing.is_some();
        // A packed module is packed anew, as the program that it was.
        let original;
        let policed;
        let program = match &packed {
            Some(packed) if let (Some(merged), false) = (merged, is_anew) => {
                self.check_merged(packed, &merged)?;
                let mut merged = Merged::reopen(packed, merged, compressed)?;
                merged.police(&module, &policy)?;
                Program::Merged(merged)
            }
            _ => {
                let free = match &packed {
                    None => &wasm[..],
                    Some(packed) => {
                        original = match is_anew {
                            true => bare(packed, &module)?,
                            false => packed.original(&module)?,
                        };
                        &original
                    }
                };
                let notes;
                (policed, notes) = policy::police(free, &policy)?;
                warnings.extend(notes);
                let module = Module::parse(&policed)?;
                let layout = self.memory.or(merged.map(|merged| merged.layout));
                match tracing {
                    None => self.program(&policed, &module, reach, compressed, layout)?,
                    Some(tracing) => self.traced(&policed, &module, reach, tracing, layout)?,
                }
            }
        };
        if recipe.dry_run {
            return recipe.show(tree, &warnings);
        }
        warnings.extend(recipe.sources.added.within(place));
        let old_data = packed.as_ref().map_or(&[][..], Packed::data);
        let sbom = recipe.list_files(&tree, place, old_data)?;
        let valid = recipe.finish(tree, old_data)?;
        let image = write(&valid)?;
        let mounted = program.mount(&image)?;
        warnings.extend(program.notice(&mounted, &image)?);

        for warning in warnings.iter().chain(program.notes()) {
            report::warning(warning);
        }
        let mut out = Output::create(place, Some(&self.input))?;
        let shown = output::shown(place, "stdout");
        let copy = |source: &Source, len, out: &mut dyn Write| source.copy_to(len, old_data, out);
        let written = match self.preinit.is_wanted() {
            true => {
                let mut wasm = Vec::new();
                program.write(&mut wasm, &mounted, &image, copy)?;
                let wasm = self.preinit.run(&wasm, &self.program_name())?;
                let written = out.write_all(&wasm);
                written.with_context(|| format!("cannot write {shown}"))?;
                wasm.len() as u64
            }
            false => {
                let out = (&mut out, shown);
                emit(&program, &mounted, &image, out, recipe.progress(), copy)?
            }
        };
        if let Some((path, text)) = sbom {
            output::write(path, &text)?;
        }
        out.commit()?;
        if !recipe.quiet {
            let contents = Summary::of(&image.tables)?;
            let place = output::shown(place, "stdout");
            let (size, time) = (report::bytes(written), begun.elapsed().as_secs_f64());
            report::note(&format!(
                "packed {contents} into {place}: {size} in {time:.2} s"
            ));
        }
        Ok(())
    }

    /// What the program finds as its own name: as `monaka run` has it, for the result.
    fn program_name(&self) -> String {
        let place = self.output.as_deref().unwrap_or(Path::new("-"));
        let name = place.file_name().unwrap_or(place.as_os_str());
        name.to_string_lossy().into_owned()
    }

    fn program<'a>(
        &self,
        wasm: &'a [u8],
        module: &Module<'a>,
        reach: Reach,
        compressed: bool,
        layout: Option<Layout>,
    ) -> Result<Program<'a>> {
        let layout = layout.unwrap_or_default();
        let program = Program::new(wasm, module, self.route, layout, reach, compressed)?;
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

    /// A program with a tracer.
    fn traced<'a>(
        &self,
        wasm: &'a [u8],
        module: &Module<'a>,
        reach: Reach,
        tracing: Tracing,
        layout: Option<Layout>,
    ) -> Result<Program<'a>> {
        module.check_host()?;
        if self.route == Some(Route::Linked) {
            return Err(Hinted::new(
                "--trace and --fault are for programs that the file system is merged into",
                "leave --route out: it is then --route rewrite",
            )
            .into());
        }
        let layout = layout.unwrap_or_default();
        let mut merged = Merged::traced(wasm, module, layout, reach, tracing)?;
        if module.is_linked() {
            merged.notes.push(
                "took --route rewrite, as the library that the program is linked with traces \
                 nothing"
                    .to_string(),
            );
        }
        Ok(Program::Merged(merged))
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
