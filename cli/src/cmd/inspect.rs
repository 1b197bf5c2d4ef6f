//! `monaka inspect`: what a module is and what was packed into it.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Escaped, Image};

use super::pack::Summary;
use crate::module::analyze::Module;
use crate::module::link::Library;
use crate::module::packed::Packed;
use crate::module::refusal::Refusal;
use crate::{json, output, report};

/// Says what was packed into a module, without running it.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  monaka inspect out.wasm
  monaka inspect out.wasm --json
  monaka inspect out.wasm --imports | grep path_

Exit status: 0 on success (packed or not), 1 on an error, 2 when the command
line is wrong.")]
pub(crate) struct Opts {
    /// The module; `-` reads it from stdin
    #[arg(value_name = "MODULE.WASM")]
    input: PathBuf,
    /// Only list what the module imports, one `module.name` a line
    #[arg(long)]
    imports: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Opts {
    /// Looks and prints.
    pub(crate) fn run(self) -> Result<()> {
        let name = output::shown(&self.input, "the module from stdin");
        let text = self
            .inspect()
            .with_context(|| format!("cannot inspect {name}"))?;
        Ok(report::print(&text)?)
    }

    fn inspect(&self) -> Result<String> {
        let wasm = output::read(&self.input)?;
        let module = Module::parse(&wasm)?;
        let names = module.imports.iter();
        let imports: Vec<String> = names
            .map(|import| format!("{}.{}", import.module, import.name))
            .collect();
        if self.imports {
            return Ok(match self.json {
                true => json::array(imports.iter().map(|name| json::string(name))) + "\n",
                false => imports.iter().map(|name| format!("{name}\n")).collect(),
            });
        }
        match (Packed::open(&wasm, &module)?, self.json) {
            (Some(packed), true) => packed_json(&packed, &wasm, &imports),
            (Some(packed), false) => packed_text(&packed, &wasm, &imports),
            (None, true) => Ok(json::object([
                ("packed", "false".into()),
                ("module_bytes", wasm.len().to_string()),
                ("linked", library(&module).is_ok().to_string()),
                (
                    "imports",
                    json::array(imports.iter().map(|name| json::string(name))),
                ),
            ])),
            (None, false) => Ok(unpacked_text(&module)),
        }
    }
}

fn library(module: &Module<'_>) -> Result<Library, Refusal> {
    module.check_state()?;
    Library::find(module, &module.initial_memories()?[0])
}

fn unpacked_text(module: &Module<'_>) -> String {
    match library(module) {
        Ok(_) => "not packed, but linked with libmonaka_vfs.a\n\
                  hint: pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`\n"
            .into(),
        Err(refusal) => format!("not packed, and cannot be: {refusal}\nhint: {}\n", refusal.hint()),
    }
}

/// The names of the directories that are open when the program starts.
fn mounts(packed: &Packed<'_>) -> Result<Vec<String>> {
    let image = Image::open(packed.tables())?;
    Ok(image
        .preopens()
        .map(|preopen| Escaped(preopen.name).to_string())
        .collect())
}

fn digest(packed: &Packed<'_>) -> String {
    let mut text = String::new();
    for byte in packed.record.digest {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn packed_text(packed: &Packed<'_>, wasm: &[u8], imports: &[String]) -> Result<String> {
    let record = &packed.record;
    let contents = Summary::of(packed.tables())?;
    let host_dirs = match record.host_dirs() {
        true => "visible at run time, behind the packed ones",
        false => "not visible",
    };
    Ok(format!(
        "packed      {contents}\n\
         mounts      {mounts}\n\
         image       {image} at {address:#x}: tables {tables}, data {data}\n\
         sha256      {digest}\n\
         format      {format}, ABI {abi}\n\
         host dirs   {host_dirs}\n\
         imports     {imports} (`--imports` lists them)\n\
         module      {module}\n",
        mounts = mounts(packed)?.join(", "),
        image = report::bytes(record.len()),
        address = record.address,
        tables = report::bytes(record.tables_len.into()),
        data = report::bytes(record.data_len),
        digest = digest(packed),
        format = record.format,
        abi = record.abi,
        imports = imports.len(),
        module = report::bytes(wasm.len() as u64),
    ))
}

fn packed_json(packed: &Packed<'_>, wasm: &[u8], imports: &[String]) -> Result<String> {
    let record = &packed.record;
    let contents = Summary::of(packed.tables())?;
    Ok(json::object([
        ("packed", "true".into()),
        ("format", record.format.to_string()),
        ("abi", record.abi.to_string()),
        (
            "mounts",
            json::array(mounts(packed)?.iter().map(|name| json::string(name))),
        ),
        ("files", contents.files.to_string()),
        ("directories", contents.directories.to_string()),
        ("symlinks", contents.symlinks.to_string()),
        ("file_bytes", contents.bytes.to_string()),
        ("image_address", record.address.to_string()),
        ("tables_bytes", record.tables_len.to_string()),
        ("data_bytes", record.data_len.to_string()),
        ("sha256", json::string(&digest(packed))),
        ("host_dirs", record.host_dirs().to_string()),
        ("module_bytes", wasm.len().to_string()),
        (
            "imports",
            json::array(imports.iter().map(|name| json::string(name))),
        ),
    ]))
}
