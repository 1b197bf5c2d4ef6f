//! A packed module whose files are changed: what `add`, `rm` and `replace` have in
//! common.
//!
//! The program is taken out of the module and packed again with the changed tree,
//! by the route and in the memory that it was. So the result is, byte for byte, the
//! program packed afresh with that tree.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Glance, Tree, write};

use super::pack::{Summary, emit, usage_error};
use super::preinit::refuse_initialised;
use crate::cwd;
use crate::find::{self, Found, Last};
use crate::module::analyze::Module;
use crate::module::packed::Packed;
use crate::module::policy::Record;
use crate::module::program::Program;
use crate::module::recognise::recognise;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::report;
use crate::scan::{Source, compress};

/// A packed module, and where it goes when it is changed.
#[derive(clap::Args)]
pub(super) struct Change {
    /// The packed module; `-` reads it from stdin
    #[arg(value_name = "PACKED.WASM")]
    input: PathBuf,
    /// Where the changed module goes; `-` is stdout
    #[arg(
        short,
        long,
        value_name = "OUT.WASM",
        required_unless_present = "in_place"
    )]
    output: Option<PathBuf>,
    /// Replace PACKED.WASM by the changed module, once that is whole
    #[arg(short, long, conflicts_with = "output")]
    in_place: bool,
    /// Say nothing but warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

/// What is packed, on its way to being changed.
pub(super) struct Edit<'p> {
    pub(super) tree: Tree<Source>,
    /// The tree as it was.
    image: Glance<'p>,
    name: &'p str,
    pub(super) progress: Progress,
    pub(super) warnings: Vec<String>,
}

impl<'p> Edit<'p> {
    /// What a path of the packed tree leads to. The error says which path may have
    /// been meant.
    pub(super) fn find(&self, path: &[u8], last: Last) -> Result<Found<'p>> {
        find::asked(self.image, self.name, path, last)
    }

    /// Whether a path leads nowhere.
    pub(super) fn is_missing(&self, path: &[u8]) -> bool {
        let found = find::find(self.image, path, Last::Keep);
        matches!(
            found,
            Err(find::Lost::Missing(_) | find::Lost::NotDirectory(_))
        )
    }
}

impl Change {
    /// Whether the module is read from stdin.
    pub(super) fn is_of_stdin(&self) -> bool {
        output::is_dash(&self.input)
    }

    /// Has the tree changed, compresses its files if there is a `level`, and writes
    /// the module; `command` is what asks for it.
    pub(super) fn run(
        &self,
        command: &str,
        level: Option<i32>,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<()>,
    ) -> Result<()> {
        let place = match &self.output {
            Some(place) => place,
            None if self.is_of_stdin() => {
                usage_error(command, "stdin cannot be changed in place: use -o OUT.WASM")
            }
            None => &self.input,
        };
        let name = output::shown(&self.input, "the module from stdin");
        self.write(place, &name, level, edit)
            .with_context(|| format!("cannot change {name}"))
    }

    fn write(
        &self,
        place: &Path,
        name: &str,
        level: Option<i32>,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<()>,
    ) -> Result<()> {
        Output::check(place)?;
        let wasm = output::read(&self.input)?;
        recognise(&wasm)?;
        let module = Module::parse(&wasm)?;
        let packed = Packed::expect(&wasm, &module)?;
        refuse_initialised(&packed)?;
        let progress = Progress::new(self.quiet);
        let mut edited = Edit {
            tree: packed.tree(|start, _| Source::Packed { start })?,
            image: Glance::open(packed.tables())?,
            name,
            progress,
            warnings: Vec::new(),
        };
        let cwd = Record::of_module(&wasm)?.and_then(|record| record.policy.cwd);
        if cwd.is_some() {
            cwd::close(&mut edited.tree)?;
        }
        edit(&mut edited)?;
        let Edit {
            mut tree, warnings, ..
        } = edited;
        if let Some(cwd) = &cwd {
            cwd::open(&mut tree, cwd)?;
        }

        let mut original = Vec::new();
        // What was compressed stays so.
        let compressed = level.is_some() || tree.has_compressed();
        let program = Program::reopen(&packed, &module, &mut original, compressed)?;
        let mut valid = tree.validate()?;
        if let Some(level) = level {
            valid = compress(valid, level, packed.data(), progress)?.validate()?;
        }
        let image = write(&valid)?;
        let mounted = program.mount(&image)?;
        for warning in warnings.iter().chain(program.notes()) {
            report::warning(warning);
        }
        let mut out = Output::create(place, Some(&self.input))?;
        let shown = output::shown(place, "stdout");
        let copy =
            |source: &Source, len, out: &mut dyn Write| source.copy_to(len, packed.data(), out);
        let to = (&mut out, shown.clone());
        let written = emit(&program, &mounted, &image, to, progress, copy)?;
        out.commit()?;
        if !self.quiet {
            let (contents, size) = (Summary::of(&image.tables)?, report::bytes(written));
            report::note(&format!("packed {contents} into {shown}: {size}"));
        }
        Ok(())
    }
}
