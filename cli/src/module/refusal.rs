//! Why a module cannot be packed, and what to do about it.
//!
//! Every refusal is found by looking at the module, before anything of it runs.

use std::fmt;

use monaka_vfs_core::link;

use super::foreign::Foreign;

/// A module that `pack` refuses. [`Display`](fmt::Display) names the reason,
/// [`hint`](Refusal::hint) the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The bytes are something else; what, as far as they tell.
    NotWasm(&'static str),
    /// A component, not a core module.
    Component,
    /// Not valid under any feature set.
    Malformed(String),
    /// Valid, but the engine that mounts the image cannot compile it.
    Feature {
        what: String,
        function: Option<String>,
    },
    /// It was made for another host; the import that tells.
    Foreign(Foreign, String),
    /// It defines no memory.
    NoMemory,
    /// The memory comes from outside.
    ImportedMemory(String),
    /// Memory 0 is shared between threads.
    SharedMemory,
    /// Memory 0 has 64-bit addresses.
    Memory64,
    /// Memory 0 is counted in pages of another size, in bytes.
    PageSize(u64),
    /// A table, global or tag comes from outside.
    ImportedState { kind: &'static str, name: String },
    /// No record of the library was found.
    NotLinked,
    /// No call of a file or of stdio, so the library, if it was linked, left
    /// nothing in the module.
    NoFileCalls,
    /// The library speaks another ABI; its number.
    OtherAbi(u32),
    /// Records of the library contradict each other or the module.
    Library(String),
    /// An import of a WASI module that monaka does not know.
    UnknownImport(String),
    /// An import whose type is not the one WASI gives it.
    ImportType {
        name: String,
        found: String,
        expected: String,
    },
    /// Imports are called around the library, and their replacements are not linked.
    HooksNotLinked(Vec<&'static str>),
    /// An instruction whose effect a snapshot cannot hold.
    Instruction {
        instruction: &'static str,
        function: String,
    },
    /// A global that a snapshot cannot hold.
    ReferenceGlobal(u32),
    /// A segment whose place is only known at run time.
    SegmentOffset { kind: &'static str, index: u32 },
    /// A data segment outside its memory.
    SegmentBounds(u32),
    /// More data segments than engines take.
    DataSegments(usize),
    /// It was packed by a monaka of another image format or ABI.
    OtherPack { format: u32, abi: u32 },
    /// Another build's file system was merged into it.
    OtherBlob,
    /// Files shall be compressed, and the library inside cannot read such.
    LinkedWithoutDecoder,
    /// Files shall be compressed, and the file system merged in cannot read such.
    MergedWithoutDecoder,
    /// Its policy is written in another version.
    OtherPolicy(u32),
    /// More bytes of variables and arguments than can be baked in.
    BakedTooLong(usize),
    /// Its packing records are damaged.
    DamagedPack(String),
    /// Host directories are asked for, but an earlier pack removed the imports.
    HostDirsGone,
    /// Something of the host's is asked for, but an earlier pack removed these imports.
    CallsGone(Vec<&'static str>),
}

impl Refusal {
    /// Whether it concerns programs that are linked with the library and no
    /// others, so that the other route is open: none of a program's own state
    /// has to fit into a snapshot there.
    pub(crate) fn is_of_linked_programs(&self) -> bool {
        matches!(
            self,
            Refusal::NotLinked
                | Refusal::Feature { .. }
                | Refusal::ImportedState { .. }
                | Refusal::HooksNotLinked(_)
                | Refusal::Instruction { .. }
                | Refusal::ReferenceGlobal(_)
                | Refusal::SegmentOffset { .. }
        )
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        let relink = "relink it with the library of this command: `monaka lib -o libmonaka_vfs.a`, \
                      then pack the result";
        match self {
            Refusal::NotLinked
            | Refusal::Feature { .. }
            | Refusal::ImportedState { .. }
            | Refusal::HooksNotLinked(_)
            | Refusal::Instruction { .. }
            | Refusal::ReferenceGlobal(_)
            | Refusal::SegmentOffset { .. } => {
                "leave out `--route linked`: the file system can be merged into the program as it is"
                    .into()
            }
            Refusal::NotWasm(_) => {
                "give a WASI Preview 1 module, usually the .wasm file that the linker wrote".into()
            }
            Refusal::Component => {
                "build a core module instead (target wasm32-wasip1 rather than wasm32-wasip2), \
                 or take out the one inside with `wasm-tools component unbundle`"
                    .into()
            }
            Refusal::Foreign(foreign, _) => foreign.hint().into(),
            Refusal::Malformed(_) => "the file may be cut off or damaged: build or fetch it again".into(),
            Refusal::NoMemory => "a program without memory cannot hold files".into(),
            Refusal::ImportedMemory(_) => {
                "link without `--import-memory`; modules made for threads or for a JavaScript host import theirs".into()
            }
            Refusal::SharedMemory => {
                "compile for wasm32-wasip1 without threads (no `-pthread`, no `--shared-memory`)".into()
            }
            Refusal::PageSize(_) => "link it with the usual pages of 64 KiB".into(),
            Refusal::Memory64 => "compile for a 32-bit target: wasm32-wasip1".into(),
            Refusal::NoFileCalls => {
                "a linker takes in only what is called, so it may have been left out: pack the program \
                 that opens the files"
                    .into()
            }
            Refusal::OtherAbi(_) | Refusal::Library(_) => format!("{relink}; or `--route rewrite`"),
            Refusal::UnknownImport(_) => {
                "monaka cannot tell whether it reaches the host's files: remove the call, or compile \
                 for WASI Preview 1 (wasi_snapshot_preview1)"
                    .into()
            }
            Refusal::ImportType { .. } => {
                "it was made for another host's variant of WASI: compile it for WASI Preview 1".into()
            }
            Refusal::SegmentBounds(_) => "it would trap at start: build it again".into(),
            Refusal::DataSegments(_) => {
                "link with fewer data segments, or run `wasm-opt` over it before packing".into()
            }
            Refusal::OtherPack { .. } | Refusal::OtherBlob | Refusal::OtherPolicy(_) => {
                "pack the original module again with this monaka, with all its directories".into()
            }
            Refusal::LinkedWithoutDecoder => {
                "relink it with the library that reads them: `monaka lib --zstd -o \
                 libmonaka_vfs_zstd.a`; or merge the file system into it with `--route rewrite`; \
                 or leave out `--compress`"
                    .into()
            }
            Refusal::MergedWithoutDecoder => {
                "pack the original module again with --compress, with all its directories; or \
                 leave out `--compress`"
                    .into()
            }
            Refusal::BakedTooLong(_) => {
                "pack long texts as files, with --file GUEST=TEXT or --mapdir".into()
            }
            Refusal::DamagedPack(_) => "pack the original module again".into(),
            Refusal::CallsGone(_) => {
                "pack the original module again, with all its directories".into()
            }
            Refusal::HostDirsGone => {
                "pack the original module again, with --allow-host-dirs and all its directories".into()
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotWasm(what) => write!(f, "it is not a WebAssembly module but {what}"),
            Refusal::Component => f.write_str("it is a WebAssembly component, not a core module"),
            Refusal::Malformed(error) => write!(f, "it is not a valid module: {error}"),
            Refusal::Feature { what, function } => {
                write!(
                    f,
                    "it needs a WebAssembly feature that monaka's engine lacks: {what}"
                )?;
                match function {
                    Some(function) => write!(f, ", in function {function}"),
                    None => Ok(()),
                }
            }
            Refusal::Foreign(foreign, import) => {
                write!(f, "it was made for {}: it imports {import}", foreign.name())
            }
            Refusal::NoMemory => f.write_str("it has no memory"),
            Refusal::ImportedMemory(name) => write!(f, "it imports its memory ({name})"),
            Refusal::SharedMemory => f.write_str("its memory is shared between threads"),
            Refusal::Memory64 => f.write_str("its memory has 64-bit addresses (memory64)"),
            Refusal::PageSize(size) => write!(f, "its memory has pages of {size} bytes"),
            Refusal::ImportedState { kind, name } => write!(f, "it imports a {kind} ({name})"),
            Refusal::NoFileCalls => f.write_str(
                "it imports no file call of WASI Preview 1, so nothing could read what is packed",
            ),
            Refusal::NotLinked => f.write_str("it is not linked with libmonaka_vfs.a"),
            Refusal::OtherAbi(found) => write!(
                f,
                "it is linked with a libmonaka_vfs.a of ABI {found}; this monaka speaks ABI {}",
                link::ABI
            ),
            Refusal::Library(what) => {
                write!(f, "the libmonaka_vfs.a inside it is inconsistent: {what}")
            }
            Refusal::UnknownImport(name) => {
                write!(f, "it imports {name}, which monaka does not know")
            }
            Refusal::ImportType {
                name,
                found,
                expected,
            } => {
                write!(
                    f,
                    "it imports {name} as {found}; WASI Preview 1 has {expected}"
                )
            }
            Refusal::HooksNotLinked(names) => write!(
                f,
                "it calls {} of wasi_snapshot_preview1 directly, and the library's replacements are not linked in",
                names.join(", ")
            ),
            Refusal::Instruction {
                instruction,
                function,
            } => write!(
                f,
                "function {function} uses {instruction}, whose effect cannot be kept in a snapshot"
            ),
            Refusal::ReferenceGlobal(index) => {
                write!(
                    f,
                    "global {index} is a mutable reference, which cannot be kept in a snapshot"
                )
            }
            Refusal::SegmentOffset { kind, index } => {
                write!(
                    f,
                    "the place of {kind} segment {index} is only known at run time"
                )
            }
            Refusal::SegmentBounds(index) => {
                write!(f, "data segment {index} lies outside its memory")
            }
            Refusal::DataSegments(count) => {
                write!(
                    f,
                    "it would have {count} data segments; engines take 100000"
                )
            }
            Refusal::OtherPack { format, abi } => write!(
                f,
                "it was packed in image format {format}, ABI {abi}; this monaka writes format {}, ABI {}",
                monaka_vfs_core::image::format::VERSION,
                link::ABI
            ),
            Refusal::OtherBlob => f.write_str(
                "it was packed by another build of monaka, whose file system keeps its state otherwise",
            ),
            Refusal::LinkedWithoutDecoder => f.write_str(
                "it is linked with libmonaka_vfs.a, which does not read compressed files",
            ),
            Refusal::MergedWithoutDecoder => f.write_str(
                "it was packed without --compress, so the file system in it does not read \
                 compressed files",
            ),
            Refusal::OtherPolicy(version) => write!(
                f,
                "its policy is written in version {version}, which this monaka does not read"
            ),
            Refusal::BakedTooLong(bytes) => write!(
                f,
                "variables and arguments of {bytes} bytes are to be baked in; a function has \
                 room for 1 MiB"
            ),
            Refusal::DamagedPack(what) => {
                write!(f, "what an earlier pack recorded in it is damaged: {what}")
            }
            Refusal::CallsGone(names) => write!(
                f,
                "an earlier pack removed the imports that this needs: {}",
                names.join(", ")
            ),
            Refusal::HostDirsGone => {
                f.write_str("an earlier pack removed the imports that --allow-host-dirs needs")
            }
        }
    }
}

impl std::error::Error for Refusal {}
