//! `monaka build`: a packed module from a Containerfile.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::write;

use super::pack::{Summary, emit};
use super::recipe::Compression;
use crate::access::Reached;
use crate::build::{Product, Request, build, program};
use crate::cwd;
use crate::dates::Dates;
use crate::furnish::{self, Furnishing};
use crate::module::analyze::Module;
use crate::module::labels;
use crate::module::merge::Layout;
use crate::module::packed::Packed;
use crate::module::policy::Record;
use crate::module::program::{Program, Route};
use crate::module::reach::Reach;
use crate::output::{self, Output};
use crate::policy::{Control, Start};
use crate::progress::Progress;
use crate::report::{self, Hinted};
use crate::scan::{Source, compress, preopens};

/// Builds a packed module as a Containerfile says.
///
/// FROM names a module, whose program it is; a container image (oci:LAYOUT, or an
/// archive of `docker save`); an earlier stage; or scratch. Without a module in
/// FROM, the first word of ENTRYPOINT (or of CMD) names one among the files, which
/// is taken out of them and becomes the program. RUN runs a module that is among
/// the files, and what it writes is kept; there is no shell.
///
/// COPY, ADD, WORKDIR, ENV, ARG, LABEL, VOLUME, ENTRYPOINT and CMD do what docker
/// does; ENV, WORKDIR and the arguments are part of the module. EXPOSE, MAINTAINER,
/// STOPSIGNAL and HEALTHCHECK do nothing and say so; what else there is, is refused
/// with its line. Paths are those of CONTEXT, and nothing outside of it is read but
/// what --build-context names. Nothing is fetched and nothing is cached.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka build -t app.wasm
  monaka build -f Containerfile.debug -t app.wasm --target debug ./context
  monaka build -t app.wasm --build-arg VERSION=1.2 --read-only / --compress
  monaka build -t tool.wasm --build-context base=./python.wasm
  monaka build -f - -t - . < Containerfile | wasmtime -

A program with its library, which is compiled while it is built:
  FROM scratch
  COPY lua.wasm luac.wasm /bin/
  COPY lib/ /usr/share/lua/5.4/
  RUN luac -o /usr/share/lua/5.4/tool.luac /usr/share/lua/5.4/tool.lua
  ENV LUA_PATH=/usr/share/lua/5.4/?.luac
  ENTRYPOINT [\"lua\", \"/usr/share/lua/5.4/main.lua\"]
  CMD [\"--help\"]

Exit status: 0 on success, 1 on an error, 2 when the command line is wrong.
On an error nothing is written.")]
pub(crate) struct Opts {
    /// The directory that COPY takes files from
    #[arg(value_name = "CONTEXT", default_value = ".")]
    context: PathBuf,
    /// The Containerfile; `-` is stdin [default: Containerfile or Dockerfile in
    /// CONTEXT]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where the packed module goes; `-` is stdout
    #[arg(short, long, value_name = "OUT.WASM")]
    tag: PathBuf,
    /// Build this stage instead of the last one
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Set an ARG; NAME alone takes the value from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Let FROM and COPY --from name what lies elsewhere: a module, a container
    /// image or a directory
    #[arg(long, value_name = "NAME=PATH", value_parser = named_path)]
    build_context: Vec<(String, PathBuf)>,
    /// How the file system gets into the program; without it, linked where the
    /// library is inside
    #[arg(long, value_enum)]
    route: Option<Route>,
    /// Where the file system lives when it is merged in; `single` if not said
    #[arg(long, value_enum)]
    memory: Option<Layout>,
    #[command(flatten)]
    furnishing: Furnishing,
    #[command(flatten)]
    dates: Dates,
    #[command(flatten)]
    compression: Compression,
    #[command(flatten)]
    control: Control,
    #[command(flatten)]
    reached: Reached,
    /// Say nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

fn named_path(text: &str) -> Result<(String, PathBuf), &'static str> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.into(), path.into()))
        }
        _ => Err("give a name and a path, as in base=./app.wasm"),
    }
}

impl Opts {
    /// Builds.
    pub(crate) fn run(self) -> Result<()> {
        let file = self.file()?;
        let name = output::shown(&file, "the Containerfile from stdin");
        self.build(&file)
            .with_context(|| format!("cannot build {name}"))
    }

    /// The Containerfile.
    fn file(&self) -> Result<PathBuf> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        const NAMES: [&str; 2] = ["Containerfile", "Dockerfile"];
        let files = NAMES.map(|name| self.context.join(name));
        files.into_iter().find(|file| file.exists()).ok_or_else(|| {
            Hinted::new(
                format!("there is no Containerfile in {}", self.context.display()),
                "name it with -f FILE, or the directory that it is in: monaka build -t OUT.WASM DIR",
            )
            .into()
        })
    }

    fn build(&self, file: &Path) -> Result<()> {
        let begun = Instant::now();
        Output::check(&self.tag)?;
        let progress = Progress::new(self.quiet);
        let text = match output::is_dash(file) {
            true => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.context("cannot read stdin")?;
                text
            }
            false => {
                let text = std::fs::read_to_string(file);
                text.map_err(|error| report::unreadable(file, error))?
            }
        };
        let product = build(
            &text,
            &Request {
                context: &self.context,
                file,
                output: &self.tag,
                target: self.target.as_deref(),
                args: self.arguments()?,
                contexts: self.build_context.iter().cloned().collect(),
                quiet: self.quiet,
                progress,
            },
        )?;
        let (contents, written) = self.write(product, progress)?;
        if !self.quiet {
            let place = output::shown(&self.tag, "stdout");
            let (size, time) = (report::bytes(written), begun.elapsed().as_secs_f64());
            report::note(&format!(
                "built {contents} into {place}: {size} in {time:.2} s"
            ));
        }
        Ok(())
    }

    /// The values of ARGs.
    fn arguments(&self) -> Result<std::collections::BTreeMap<String, String>> {
        let values = self
            .build_arg
            .iter()
            .map(|text| match text.split_once('=') {
                Some((name, value)) => Ok((name.into(), value.into())),
                None => match std::env::var(text) {
                    Ok(value) => Ok((text.clone(), value)),
                    Err(error) => Err(Hinted::new(
                        format!("--build-arg {text}: {error}"),
                        format!("give a value: --build-arg {text}=…"),
                    )
                    .into()),
                },
            });
        values.collect()
    }

    /// Packs and writes what was built; answers what is in it, and how many bytes it
    /// has.
    fn write(&self, product: Product, progress: Progress) -> Result<(Summary, u64)> {
        let Product { labels, .. } = &product;
        let wasm = labels::set(&product.program.wasm, labels)?;
        let module = Module::parse(&wasm)?;
        let cannot = || format!("cannot pack {}", product.program.name);
        let packed = Packed::open(&wasm, &module).with_context(cannot)?;
        if packed.is_some() && (self.route.is_some() || self.memory.is_some()) {
            return Err(Hinted::new(
                format!(
                    "{} is packed already, by a route and in a memory that stay",
                    product.program.name
                ),
                "leave out --route and --memory, or begin with the module that it was packed from",
            )
            .into());
        }
        let said = Record::of_module(&wasm)?.unwrap_or_default().policy;
        let policy = self.control.over(product.policy(said));
        let mut tree = product.tree;
        preopens(&mut tree, &[])?;
        let furniture = furnish::untouched(&tree);
        self.dates.apply(&mut tree, &furniture)?;
        self.furnishing.furnish(&mut tree)?;
        for volume in &product.volumes {
            if let Some(node) = tree.lookup(volume.as_bytes()) {
                tree.set_read_only(node, false);
            }
        }
        if let Some(cwd) = &policy.cwd {
            cwd::open(&mut tree, cwd)?;
        }
        let access = self.control.access(tree.access().clone(), &policy);
        tree.set_access(access);
        let denied = self.control.start() != Start::Keep;
        self.reached.apply(&mut tree, false, Some(false), denied)?;
        let reach = Reach::of(&tree, false);
        if let Some(packed) = &packed
            && let Some(warning) = packed.check_reach(reach).with_context(cannot)?
        {
            report::warning(&warning);
        }
        let compressed = self.compression.level().is_some() || tree.has_compressed();
        let mut valid = tree.validate()?;
        if let Some(level) = self.compression.level() {
            valid = compress(valid, level, &[], progress)?.validate()?;
        }
        let image = write(&valid)?;
        let mut policed = Vec::new();
        let (program, notes) = program(
            &wasm,
            &module,
            packed.as_ref(),
            &policy,
            reach,
            (self.route, self.memory.unwrap_or_default()),
            compressed,
            &mut policed,
        )
        .with_context(cannot)?;
        if let (Program::Linked(_), Some(_)) = (&program, self.memory) {
            return Err(Hinted::new(
                "--memory is for programs that the file system is merged into, and this one is \
                 linked with libmonaka_vfs.a",
                "leave --memory out, or merge all the same with --route rewrite",
            )
            .into());
        }
        let mounted = program.mount(&image)?;
        for note in notes.iter().chain(program.notes()) {
            report::warning(note);
        }
        let mut out = Output::create(&self.tag, None)?;
        let shown = output::shown(&self.tag, "stdout");
        let copy = |source: &Source, len, out: &mut dyn Write| source.copy_to(len, &[], out);
        let written = emit(
            &program,
            &mounted,
            &image,
            (&mut out, shown),
            progress,
            copy,
        )?;
        out.commit()?;
        Ok((Summary::of(&image.tables)?, written))
    }
}
