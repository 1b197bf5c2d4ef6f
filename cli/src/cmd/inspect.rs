//! `monaka inspect`: what a module is and what was packed into it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use monaka_vfs_core::image::{Escaped, Image, Kind, Limits};
use monaka_vfs_core::witx;

use super::pack::{Compressed, Summary};
use crate::module::analyze::Module;
use crate::module::dense::Initial;
use crate::module::features::{self, Feature, Runtime};
use crate::module::labels;
use crate::module::link::Library;
use crate::module::merge::Layout;
use crate::module::packed::Packed;
use crate::module::parts::{Parts, memories};
use crate::module::reason::reason;
use crate::module::refusal::Refusal;
use crate::module::section::{id, skim};
use crate::module::tracing;
use crate::policy::Table;
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
            (Some(packed), true) => packed_json(&packed, &module, &imports),
            (Some(packed), false) => packed_text(&packed, &module),
            (None, true) => Ok(json::object([
                ("features", features_json(&used(&wasm)?)),
                ("runs_on", runs_on_json(&used(&wasm)?)),
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
    match (library(module), module.check_mergeable()) {
        (Ok(_), _) => "not packed, but linked with libmonaka_vfs.a\n\
                  hint: pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`\n"
            .into(),
        (Err(_), Ok(())) => "not packed\n\
             hint: pack directories into it with `monaka pack MODULE.WASM --mapdir /::DIR -o OUT.WASM`, \
             which merges the file system into the program\n"
            .into(),
        (_, Err(refusal)) => {
            format!("not packed, and cannot be: {refusal}\nhint: {}\n", refusal.hint())
        }
    }
}

/// What was said when a module was packed, beside its files: names and values.
pub(super) fn settings(packed: &Packed<'_>) -> Result<Vec<(&'static str, String)>> {
    let image = Image::open(packed.tables())?;
    let mut settings = vec![
        ("mounts", mounts(packed)?.join(" ")),
        ("limits", limits(image.limits())),
    ];
    settings.extend(Table::of(packed)?.rows());
    Ok(settings)
}

/// The names of the directories that are open when the program starts.
fn mounts(packed: &Packed<'_>) -> Result<Vec<String>> {
    let image = Image::open(packed.tables())?;
    Ok(image
        .preopens()
        .map(|preopen| Escaped(preopen.name).to_string())
        .collect())
}

/// What the program may add, as one line.
fn limits(limits: Limits) -> String {
    let none = Limits::default();
    let bytes = (limits.bytes != none.bytes).then(|| format!("{} bytes", limits.bytes));
    let inodes = (limits.inodes != none.inodes).then(|| format!("{} inodes", limits.inodes));
    let said: Vec<String> = [bytes, inodes].into_iter().flatten().collect();
    match said.is_empty() {
        true => "none but memory".into(),
        false => said.join(", ") + " beside what is packed",
    }
}

/// The paths from which on the tree is read-only, and those below them from
/// which on it is writable again.
fn read_only(image: Image<'_>) -> [Vec<String>; 2] {
    let mut places = [Vec::new(), Vec::new()];
    if image.inode(0).read_only {
        places[0].push("/".into());
    }
    let mut open = vec![(0, String::new())];
    while let Some((directory, path)) = open.pop() {
        let inherited = image.inode(directory).read_only;
        for dirent in image.dirents(directory) {
            let path = format!("{path}/{}", Escaped(dirent.name));
            let inode = image.inode(dirent.inode);
            if inode.read_only != inherited {
                places[usize::from(inherited)].push(path.clone());
            }
            if inode.kind == Kind::Directory {
                open.push((dirent.inode, path));
            }
        }
    }
    places.iter_mut().for_each(|paths| paths.sort());
    places
}

/// How much the compressed files save, as a line; nothing where there are none.
fn compressed(files: &Compressed) -> String {
    if files.files == 0 {
        return String::new();
    }
    format!(
        "compressed  {}, {} in {} ({} %)\n",
        report::count(files.files, "file", "files"),
        report::bytes(files.bytes),
        report::bytes(files.stored),
        (files.stored * 100).div_ceil(files.bytes.max(1))
    )
}

/// What is said about the module, as a line; nothing where nothing is.
fn shown_labels(packed: &Packed<'_>) -> Result<String> {
    let labels = labels::of(packed.wasm)?;
    let pairs = labels.iter().map(|(name, value)| {
        let pair = format!("{name}={value}");
        Escaped(pair.as_bytes()).to_string()
    });
    let pairs: Vec<String> = pairs.collect();
    Ok(match pairs.is_empty() {
        true => String::new(),
        false => format!("labels      {}\n", pairs.join(", ")),
    })
}

/// What the module's tracer does; nothing where there is none.
fn traced(packed: &Packed<'_>) -> Result<String> {
    let described = tracing::described_in(packed.wasm)?;
    Ok(described.map_or_else(String::new, |does| {
        format!("traced      {}\n", does.join("; "))
    }))
}

fn digest(packed: &Packed<'_>) -> String {
    let mut text = String::new();
    for byte in packed.record.digest {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether the program sees any directory of the host's.
fn sees_host(packed: &Packed<'_>, image: Image<'_>) -> bool {
    packed.record.host_dirs() || image.host_directories().len() > 0
}

/// Why the module imports what it imports: a line for each reason.
fn reasons(packed: &Packed<'_>, module: &Module<'_>, image: Image<'_>) -> String {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for import in &module.imports {
        let reason = reason(import, &image.access(), sees_host(packed, image));
        let name = match import.module {
            witx::MODULE => import.name.to_string(),
            module => format!("{module}.{}", import.name),
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    let lines = reasons.iter();
    lines
        .map(|(reason, names)| format!("  {reason}: {}\n", names.join(", ")))
        .collect()
}

/// Where the program begins, as a line; nothing where that is its beginning.
fn starts(packed: &Packed<'_>) -> String {
    match &packed.init {
        None => String::new(),
        Some(init) => format!(
            "starts      initialised by {}, which may have changed files: `monaka ls` and its \
             like show them as they were packed\n",
            init.flag()
        ),
    }
}

/// What the module's bytes are for, the largest part first.
fn shown_parts(packed: &Packed<'_>) -> Result<String> {
    let mut parts = Parts::of(packed)?.named(packed.merged.is_some()).to_vec();
    parts.retain(|(_, bytes)| *bytes > 0);
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let shown = parts.iter();
    let shown = shown.map(|(name, bytes)| format!("{name} {}", report::bytes(*bytes)));
    Ok(shown.collect::<Vec<_>>().join(", "))
}

/// A line for each memory.
fn shown_memories(packed: &Packed<'_>, module: &Module<'_>) -> Result<String> {
    let mut lines = String::new();
    for (index, memory) in memories(module, packed)?.iter().enumerate() {
        let label = match index {
            0 => "memory".to_string(),
            index => format!("memory {index}"),
        };
        let most = memory.maximum.map_or_else(String::new, |most| {
            format!(", at most {}", report::bytes(most))
        });
        let headroom = match memory.headroom {
            0 => String::new(),
            free => format!(", to grow {}", report::bytes(free)),
        };
        writeln!(
            lines,
            "{label:<11} {} at the start{most}: program {}{headroom}, image {}, file system {}",
            report::bytes(memory.bytes),
            report::bytes(memory.program),
            report::bytes(memory.image),
            report::bytes(memory.file_system),
        )?;
    }
    if let Some(notice) = initial(packed)?.notice() {
        writeln!(lines, "{:<11} {notice}", "")?;
    }
    Ok(lines)
}

/// What stands in the memories when the program starts.
fn initial(packed: &Packed<'_>) -> Result<Initial> {
    for section in skim(packed.wasm) {
        let section = section?;
        if section.id == id::DATA {
            return Initial::of(&section.data, u64::MAX);
        }
    }
    Ok(Initial::default())
}

fn packed_text(packed: &Packed<'_>, module: &Module<'_>) -> Result<String> {
    let record = &packed.record;
    let features = used(packed.wasm)?;
    let contents = Summary::of(packed.tables())?;
    let image = Image::open(packed.tables())?;
    let read_only = match read_only(image) {
        [places, _] if places.is_empty() => "nothing".into(),
        [places, but] if but.is_empty() => places.join(", "),
        [places, but] => format!("{}, but not {}", places.join(", "), but.join(", ")),
    };
    let host_dirs = match (record.host_dirs(), sees_host(packed, image)) {
        (true, _) => "visible at run time, behind the packed ones",
        (false, true) => "those that --preopen names",
        (false, false) => "not visible",
    };
    Ok(format!(
        "packed      {contents}\n\
         mounts      {mounts}\n\
         {compressed}\
         {labels}\
         route       {route}\n\
         read-only   {read_only}\n\
         limits      {limits}\n\
         image       {image_len} at {address:#x}: tables {tables}, data {data}\n\
         sha256      {digest}\n\
         format      {format}, ABI {abi}\n\
         host dirs   {host_dirs}\n\
         {starts}\
         {traced}\
         policy\n\
         {policy}\
         imports     {imports} (`--imports` lists them)\n\
         {reasons}\
         module      {size}: {parts}\n\
         {memories}\
         features    {features}\n\
         runs on     {runs_on}\n",
        mounts = mounts(packed)?.join(", "),
        compressed = compressed(&contents.compressed),
        labels = shown_labels(packed)?,
        route = match packed.merged.map(|merged| merged.layout) {
            None => "linked",
            Some(Layout::Single) => "rewrite, in the program's memory",
            Some(Layout::Multi) => "rewrite, in a memory of its own",
        },
        limits = limits(image.limits()),
        image_len = report::bytes(record.len()),
        address = record.address,
        tables = report::bytes(record.tables_len.into()),
        data = report::bytes(record.data_len),
        digest = digest(packed),
        format = record.format,
        abi = record.abi,
        starts = starts(packed),
        traced = traced(packed)?,
        policy = Table::of(packed)?.text(),
        imports = module.imports.len(),
        reasons = reasons(packed, module, image),
        size = report::bytes(packed.wasm.len() as u64),
        parts = shown_parts(packed)?,
        memories = shown_memories(packed, module)?,
        features = features::list(&features),
        runs_on = features::runs_on(&features),
    ))
}

fn packed_json(packed: &Packed<'_>, module: &Module<'_>, imports: &[String]) -> Result<String> {
    let record = &packed.record;
    let features = used(packed.wasm)?;
    let contents = Summary::of(packed.tables())?;
    let image = Image::open(packed.tables())?;
    let (limits, none) = (image.limits(), Limits::default());
    let limit = |limited: bool, limit: u64| match limited {
        true => limit.to_string(),
        false => "null".into(),
    };
    let [read_only, writable] =
        read_only(image).map(|paths| json::array(paths.iter().map(|path| json::string(path))));
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
        ("devices", contents.devices.to_string()),
        ("file_bytes", contents.bytes.to_string()),
        ("compressed_files", contents.compressed.files.to_string()),
        ("compressed_bytes", contents.compressed.bytes.to_string()),
        ("stored_bytes", contents.compressed.stored.to_string()),
        (
            "route",
            json::string(match packed.merged {
                None => "linked",
                Some(_) => "rewrite",
            }),
        ),
        (
            "memory",
            match packed.merged.map(|merged| merged.layout) {
                None => "null".into(),
                Some(Layout::Single) => json::string("single"),
                Some(Layout::Multi) => json::string("multi"),
            },
        ),
        ("labels", serde_json::to_string(&labels::of(packed.wasm)?)?),
        (
            "traced",
            match tracing::described_in(packed.wasm)? {
                None => "null".into(),
                Some(does) => json::array(does.iter().map(|does| json::string(does))),
            },
        ),
        ("read_only", read_only),
        ("writable_below", writable),
        ("max_bytes", limit(limits.bytes != none.bytes, limits.bytes)),
        (
            "max_inodes",
            limit(limits.inodes != none.inodes, limits.inodes.into()),
        ),
        ("image_address", record.address.to_string()),
        ("tables_bytes", record.tables_len.to_string()),
        ("data_bytes", record.data_len.to_string()),
        ("sha256", json::string(&digest(packed))),
        ("policy", Table::of(packed)?.json()),
        ("host_dirs", record.host_dirs().to_string()),
        (
            "initialised_by",
            match &packed.init {
                Some(init) => json::string(&init.flag()),
                None => "null".into(),
            },
        ),
        ("module_bytes", packed.wasm.len().to_string()),
        ("parts", serde_json::to_string(&Parts::of(packed)?)?),
        (
            "memories",
            serde_json::to_string(&memories(module, packed)?)?,
        ),
        ("mapped", initial(packed)?.is_mapped().to_string()),
        (
            "imports",
            json::array(imports.iter().map(|name| json::string(name))),
        ),
        (
            "import_reasons",
            json::array(module.imports.iter().map(|import| {
                json::string(&reason(import, &image.access(), sees_host(packed, image)))
            })),
        ),
        ("features", features_json(&features)),
        ("runs_on", runs_on_json(&features)),
    ]))
}

fn used(wasm: &[u8]) -> Result<BTreeSet<Feature>, Refusal> {
    features::used(wasm).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn features_json(features: &BTreeSet<Feature>) -> String {
    json::array(features.iter().map(|feature| json::string(feature.name())))
}

/// Each runtime with its first version, or null.
fn runs_on_json(features: &BTreeSet<Feature>) -> String {
    let since = |runtime: Runtime| match runtime.since(features) {
        Ok(version) => json::string(&version.to_string()),
        Err(_) => "null".into(),
    };
    let runtimes =
        Runtime::ALL.map(|runtime| format!("{}: {}", json::string(runtime.name()), since(runtime)));
    format!("{{{}}}", runtimes.join(", "))
}
