//! What of WebAssembly a module uses beyond its first version, and since when the
//! runtimes have it.
//!
//! [`used`] reads every section and instruction; which proposal an instruction belongs
//! to is wasmparser's knowledge. [`Runtime::since`] looks the features up in a table.
//! What a runtime has behind a flag only it does not have.
//!
//! Sources, each entry from the first that has it:
//!
//! - `tests/tests/features.rs` asks the runtimes that are here, for each feature: so node
//!   24.19 and wasmi
//! - browsers, node, Deno, wasmtime, Wasmer, wazero: webassembly.org/features
//!   (WebAssembly/website, features.json)
//! - wasmtime: release notes of 47 (exceptions, GC) and 49 (wide arithmetic)
//! - WasmEdge: wasmedge.org/docs, "WebAssembly Proposals" ("default turning on") and
//!   "Upgrade to 0.16.0", which turns all of WebAssembly 3.0 on but memory64
//! - wasmi: the README of wasmi 2.0.0

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use wasmparser::{
    AbstractHeapType, BinaryReaderError, BlockType, CompositeInnerType, ConstExpr, DataKind,
    ElementItems, ElementKind, ExternalKind, GlobalType, HeapType, MemoryType, Operator, Parser,
    Payload, RecGroup, RefType, TableType, TypeRef, ValType,
};

/// A part of WebAssembly that came after its first version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Feature {
    MutableGlobals,
    SignExtension,
    SaturatingFloatToInt,
    MultiValue,
    BulkMemory,
    ReferenceTypes,
    Simd,
    ExtendedConst,
    TailCalls,
    RelaxedSimd,
    MultiMemory,
    Memory64,
    Threads,
    /// The encoding of exceptions that was never standardised.
    LegacyExceptions,
    Exceptions,
    FunctionReferences,
    Gc,
    CustomPageSizes,
    WideArithmetic,
    /// A proposal that no release of any runtime turns on.
    Experimental,
}

/// A release: its first two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u16, u16);

/// A host of Preview 1, or one that can be given a shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Wasmtime,
    Node,
    Deno,
    Chrome,
    Firefox,
    Safari,
    Wasmer,
    WasmEdge,
    Wasmi,
    Wazero,
}

impl Feature {
    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Feature::MutableGlobals => "mutable globals",
            Feature::SignExtension => "sign extension",
            Feature::SaturatingFloatToInt => "saturating float-to-int",
            Feature::MultiValue => "multi-value",
            Feature::BulkMemory => "bulk memory",
            Feature::ReferenceTypes => "reference types",
            Feature::Simd => "SIMD",
            Feature::ExtendedConst => "extended const",
            Feature::TailCalls => "tail calls",
            Feature::RelaxedSimd => "relaxed SIMD",
            Feature::MultiMemory => "multi-memory",
            Feature::Memory64 => "memory64",
            Feature::Threads => "threads",
            Feature::LegacyExceptions => "legacy exceptions",
            Feature::Exceptions => "exceptions",
            Feature::FunctionReferences => "function references",
            Feature::Gc => "GC",
            Feature::CustomPageSizes => "custom page sizes",
            Feature::WideArithmetic => "wide arithmetic",
            Feature::Experimental => "an experimental proposal",
        }
    }

    /// Since when each of [`Runtime::ALL`] has it.
    #[rustfmt::skip]
    fn support(self) -> [Option<Version>; 10] {
        const NO: Option<Version> = None;
        const fn v(major: u16, minor: u16) -> Option<Version> {
            Some(Version(major, minor))
        }
        match self {
            //                              wasmtime  node      Deno     Chrome     Firefox    Safari    Wasmer   WasmEdge  wasmi     wazero
            Feature::MutableGlobals     => [v(0, 20), v(20, 0), v(2, 9), v(85, 0),  v(78, 0),  v(15, 0), v(1, 0), v(0, 9),  v(0, 14), v(1, 0)],
            Feature::SignExtension      => [v(0, 20), v(20, 0), v(2, 9), v(85, 0),  v(78, 0),  v(15, 0), v(1, 0), v(0, 9),  v(0, 14), v(1, 0)],
            Feature::SaturatingFloatToInt => [v(0, 20), v(20, 0), v(2, 9), v(85, 0), v(78, 0), v(15, 0), v(1, 0), v(0, 9),  v(0, 14), v(1, 0)],
            Feature::MultiValue         => [v(0, 20), v(20, 0), v(2, 9), v(85, 0),  v(78, 0),  v(15, 0), v(1, 0), v(0, 9),  v(0, 14), v(1, 0)],
            Feature::BulkMemory         => [v(0, 20), v(20, 0), v(2, 9), v(85, 0),  v(79, 0),  v(15, 0), v(1, 0), v(0, 9),  v(0, 24), v(1, 0)],
            Feature::ReferenceTypes     => [v(0, 20), v(20, 0), v(2, 9), v(96, 0),  v(79, 0),  v(15, 0), v(2, 0), v(0, 9),  v(0, 24), v(1, 0)],
            Feature::Simd               => [v(0, 33), v(20, 0), v(2, 9), v(91, 0),  v(89, 0),  v(16, 4), v(2, 0), v(0, 9),  v(0, 43), v(1, 0)],
            Feature::ExtendedConst      => [v(25, 0), v(21, 0), v(2, 9), v(114, 0), v(112, 0), v(17, 4), v(7, 1), v(0, 16), v(0, 29), NO],
            Feature::TailCalls          => [v(22, 0), v(20, 0), v(2, 9), v(112, 0), v(121, 0), v(18, 2), v(7, 1), v(0, 16), v(0, 28), NO],
            Feature::RelaxedSimd        => [v(15, 0), v(21, 0), v(2, 9), v(114, 0), v(145, 0), NO,       v(7, 1), v(0, 16), v(0, 44), NO],
            Feature::MultiMemory        => [v(15, 0), v(22, 0), v(2, 9), v(120, 0), v(125, 0), NO,       NO,      v(0, 16), v(0, 37), NO],
            Feature::Memory64           => [v(30, 0), v(24, 0), v(2, 9), v(133, 0), v(134, 0), NO,       NO,      NO,       v(0, 41), NO],
            Feature::Threads            => [v(15, 0), v(20, 0), v(2, 9), v(85, 0),  v(79, 0),  v(15, 0), v(4, 0), NO,       NO,       NO],
            Feature::LegacyExceptions   => [NO,       v(20, 0), v(2, 9), v(95, 0),  v(100, 0), v(15, 2), NO,      NO,       NO,       NO],
            Feature::Exceptions         => [v(47, 0), v(24, 19), v(2, 9), v(137, 0), v(131, 0), v(18, 4), v(6, 0), v(0, 16), NO,       NO],
            Feature::FunctionReferences => [v(47, 0), v(22, 0), v(2, 9), v(119, 0), v(120, 0), v(18, 0), NO,      v(0, 16), NO,       NO],
            Feature::Gc                 => [v(47, 0), v(22, 0), v(2, 9), v(119, 0), v(120, 0), v(18, 2), NO,      v(0, 16), NO,       NO],
            Feature::CustomPageSizes    => [NO,       NO,       NO,      NO,        NO,        NO,       NO,      NO,       v(0, 41), NO],
            Feature::WideArithmetic     => [v(49, 0), NO,       NO,      NO,        NO,        NO,       v(7, 1), NO,       v(0, 42), NO],
            Feature::Experimental       => [NO; 10],
        }
    }
}

impl Runtime {
    /// All, those with WASI of their own and browsers mixed as people meet them.
    pub(crate) const ALL: [Runtime; 10] = [
        Runtime::Wasmtime,
        Runtime::Node,
        Runtime::Deno,
        Runtime::Chrome,
        Runtime::Firefox,
        Runtime::Safari,
        Runtime::Wasmer,
        Runtime::WasmEdge,
        Runtime::Wasmi,
        Runtime::Wazero,
    ];

    /// What it calls itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Runtime::Wasmtime => "wasmtime",
            Runtime::Node => "node",
            Runtime::Deno => "Deno",
            Runtime::Chrome => "Chrome",
            Runtime::Firefox => "Firefox",
            Runtime::Safari => "Safari",
            Runtime::Wasmer => "Wasmer",
            Runtime::WasmEdge => "WasmEdge",
            Runtime::Wasmi => "wasmi",
            Runtime::Wazero => "wazero",
        }
    }

    /// The first release that has Preview 1 and all of `features`, or those of them
    /// that no release has. Browsers need a shim; that WASI has 64-bit parameters,
    /// which are BigInt in JavaScript, is why the table begins where it does.
    pub(crate) fn since(self, features: &BTreeSet<Feature>) -> Result<Version, Vec<Feature>> {
        let since = |feature: Feature| feature.support()[self as usize];
        let lacking: Vec<Feature> = features
            .iter()
            .copied()
            .filter(|f| since(*f).is_none())
            .collect();
        // What every row has at least.
        let first = since(Feature::MutableGlobals);
        let latest = features.iter().copied().map(since).chain([first]).max();
        match latest.flatten() {
            Some(version) if lacking.is_empty() => Ok(version),
            _ => Err(lacking),
        }
    }
}

/// `wasmtime 15, node 22 or later; not Safari, wazero (multi-memory)`
pub(crate) fn runs_on(features: &BTreeSet<Feature>) -> String {
    let (mut runs, mut fails) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for runtime in Runtime::ALL {
        match runtime.since(features) {
            Ok(version) => runs.push(format!("{} {version}", runtime.name())),
            Err(lacking) => fails.entry(lacking).or_default().push(runtime.name()),
        }
    }
    let mut said = match runs.is_empty() {
        true => "nothing that is known here".to_owned(),
        false => runs.join(", ") + " or later",
    };
    for (lacking, runtimes) in fails {
        said += &format!("; not {} ({})", runtimes.join(", "), list(&lacking));
    }
    said
}

/// Their names.
pub(crate) fn list<'f>(features: impl IntoIterator<Item = &'f Feature>) -> String {
    let names: Vec<_> = features.into_iter().map(|feature| feature.name()).collect();
    names.join(", ")
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Version(major, 0) if major > 0 => write!(f, "{major}"),
            Version(major, minor) => write!(f, "{major}.{minor}"),
        }
    }
}

/// The features that a module uses, which need not be valid.
pub(crate) fn used(wasm: &[u8]) -> Result<BTreeSet<Feature>, BinaryReaderError> {
    let mut uses = Uses::default();
    for payload in Parser::new(0).parse_all(wasm) {
        uses.payload(payload?)?;
    }
    // Both encodings of exceptions have these.
    if uses.tags && !uses.features.contains(&Feature::LegacyExceptions) {
        uses.features.insert(Feature::Exceptions);
    }
    Ok(uses.features)
}

/// What was found so far.
#[derive(Default)]
struct Uses {
    features: BTreeSet<Feature>,
    tags: bool,
    tables: usize,
    memories: usize,
    imported_globals: u32,
    mutable: Vec<bool>,
}

impl Uses {
    fn has(&mut self, feature: Feature, found: bool) {
        if found {
            self.features.insert(feature);
        }
    }

    fn payload(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    self.types(group?);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Table(ty) => self.table(ty),
                        TypeRef::Memory(ty) => self.memory(ty),
                        TypeRef::Global(ty) => {
                            self.imported_globals += 1;
                            self.has(Feature::MutableGlobals, ty.mutable);
                            self.global(ty);
                        }
                        TypeRef::Tag(_) => self.tags = true,
                        TypeRef::Func(_) => {}
                        TypeRef::FuncExact(_) => self.has(Feature::Experimental, true),
                    }
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table?;
                    self.table(table.ty);
                    if let wasmparser::TableInit::Expr(init) = table.init {
                        self.has(Feature::FunctionReferences, true);
                        self.constant(&init)?;
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memory(memory?);
                }
            }
            Payload::TagSection(tags) => self.tags |= tags.count() > 0,
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    self.global(global.ty);
                    self.constant(&global.init_expr)?;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let mutable = self.mutable.get(export.index as usize);
                    let mutable = export.kind == ExternalKind::Global && mutable == Some(&true);
                    self.has(Feature::MutableGlobals, mutable);
                    self.tags |= export.kind == ExternalKind::Tag;
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    let element = element?;
                    match element.kind {
                        ElementKind::Active { offset_expr, .. } => self.constant(&offset_expr)?,
                        ElementKind::Passive => self.has(Feature::BulkMemory, true),
                        ElementKind::Declared => self.has(Feature::ReferenceTypes, true),
                    }
                    if let ElementItems::Expressions(ty, items) = element.items {
                        // The bulk memory proposal brought this form for funcref.
                        self.has(Feature::BulkMemory, true);
                        if ty != RefType::FUNCREF {
                            self.reference(ty);
                        }
                        for item in items {
                            self.constant(&item?)?;
                        }
                    }
                }
            }
            Payload::DataCountSection { .. } => self.has(Feature::BulkMemory, true),
            Payload::DataSection(segments) => {
                for segment in segments {
                    match segment?.kind {
                        DataKind::Active { offset_expr, .. } => self.constant(&offset_expr)?,
                        DataKind::Passive => self.has(Feature::BulkMemory, true),
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                for local in body.get_locals_reader()? {
                    self.value(local?.1);
                }
                let mut ops = body.get_operators_reader()?;
                while !ops.eof() {
                    self.operator(&ops.read()?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn types(&mut self, group: RecGroup) {
        self.has(Feature::Gc, group.is_explicit_rec_group());
        for ty in group.into_types() {
            self.has(Feature::Gc, !ty.is_final || ty.supertype_idx.is_some());
            self.has(Feature::Experimental, ty.composite_type.shared);
            match ty.composite_type.inner {
                CompositeInnerType::Func(ty) => {
                    self.has(Feature::MultiValue, ty.results().len() > 1);
                    for ty in ty.params().iter().chain(ty.results()) {
                        self.value(*ty);
                    }
                }
                CompositeInnerType::Array(_) | CompositeInnerType::Struct(_) => {
                    self.has(Feature::Gc, true);
                }
                CompositeInnerType::Cont(_) => self.has(Feature::Experimental, true),
            }
        }
    }

    fn table(&mut self, ty: TableType) {
        self.tables += 1;
        self.has(Feature::ReferenceTypes, self.tables > 1);
        self.has(Feature::Memory64, ty.table64);
        self.has(Feature::Experimental, ty.shared);
        if ty.element_type != RefType::FUNCREF {
            self.reference(ty.element_type);
        }
    }

    fn memory(&mut self, ty: MemoryType) {
        self.memories += 1;
        self.has(Feature::MultiMemory, self.memories > 1);
        self.has(Feature::Memory64, ty.memory64);
        self.has(Feature::Threads, ty.shared);
        self.has(Feature::CustomPageSizes, ty.page_size_log2.is_some());
    }

    fn global(&mut self, ty: GlobalType) {
        self.mutable.push(ty.mutable);
        self.has(Feature::Experimental, ty.shared);
        self.value(ty.content_type);
    }

    fn value(&mut self, ty: ValType) {
        match ty {
            ValType::V128 => self.has(Feature::Simd, true),
            ValType::Ref(ty) => self.reference(ty),
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => {}
        }
    }

    fn reference(&mut self, ty: RefType) {
        self.has(Feature::FunctionReferences, !ty.is_nullable());
        self.heap(ty.heap_type());
    }

    fn heap(&mut self, ty: HeapType) {
        use AbstractHeapType::{Cont, Exn, Extern, Func, NoCont, NoExn};
        let feature = match ty {
            HeapType::Abstract { shared: true, .. } | HeapType::Exact(_) => Feature::Experimental,
            HeapType::Concrete(_) => Feature::FunctionReferences,
            HeapType::Abstract { ty, .. } => match ty {
                Func | Extern => Feature::ReferenceTypes,
                Exn | NoExn => Feature::Exceptions,
                Cont | NoCont => Feature::Experimental,
                _ => Feature::Gc,
            },
        };
        self.has(feature, true);
    }

    /// An initial value or an offset.
    fn constant(&mut self, expression: &ConstExpr<'_>) -> Result<(), BinaryReaderError> {
        let mut ops = expression.get_operators_reader();
        while !ops.is_end_then_eof() {
            let op = ops.read()?;
            match op {
                Operator::I32Add | Operator::I32Sub | Operator::I32Mul => {
                    self.has(Feature::ExtendedConst, true);
                }
                Operator::I64Add | Operator::I64Sub | Operator::I64Mul => {
                    self.has(Feature::ExtendedConst, true);
                }
                // Only imported ones could be read before.
                Operator::GlobalGet { global_index } => {
                    self.has(Feature::Gc, global_index >= self.imported_globals);
                }
                // Every version of these could stand in an element segment.
                Operator::RefFunc { .. } => {}
                Operator::RefNull { hty } if hty == HeapType::FUNC => {}
                op => self.operator(&op),
            }
        }
        Ok(())
    }

    fn operator(&mut self, op: &Operator<'_>) {
        match *op {
            // Both encodings of exceptions have it.
            Operator::Throw { .. } => {
                self.tags = true;
                return;
            }
            Operator::Block { blockty }
            | Operator::Loop { blockty }
            | Operator::If { blockty }
            | Operator::Try { blockty } => self.block(blockty),
            Operator::TryTable { ref try_table } => self.block(try_table.ty),
            Operator::TypedSelect { ty } => self.value(ty),
            Operator::RefNull { hty } => self.heap(hty),
            _ => {}
        }
        if let Some(feature) = proposal(op) {
            self.has(feature, true);
        }
    }

    fn block(&mut self, ty: BlockType) {
        match ty {
            BlockType::Empty => {}
            BlockType::Type(ty) => self.value(ty),
            BlockType::FuncType(_) => self.has(Feature::MultiValue, true),
        }
    }
}

/// The feature of each of wasmparser's groups of instructions; a new group does not
/// compile.
macro_rules! feature {
    (mvp) => {
        None
    };
    (sign_extension) => {
        Some(Feature::SignExtension)
    };
    (saturating_float_to_int) => {
        Some(Feature::SaturatingFloatToInt)
    };
    (bulk_memory) => {
        Some(Feature::BulkMemory)
    };
    (reference_types) => {
        Some(Feature::ReferenceTypes)
    };
    (tail_call) => {
        Some(Feature::TailCalls)
    };
    (threads) => {
        Some(Feature::Threads)
    };
    (simd) => {
        Some(Feature::Simd)
    };
    (relaxed_simd) => {
        Some(Feature::RelaxedSimd)
    };
    (exceptions) => {
        Some(Feature::Exceptions)
    };
    (legacy_exceptions) => {
        Some(Feature::LegacyExceptions)
    };
    (function_references) => {
        Some(Feature::FunctionReferences)
    };
    (gc) => {
        Some(Feature::Gc)
    };
    (wide_arithmetic) => {
        Some(Feature::WideArithmetic)
    };
    (memory_control) => {
        Some(Feature::Experimental)
    };
    (shared_everything_threads) => {
        Some(Feature::Experimental)
    };
    (stack_switching) => {
        Some(Feature::Experimental)
    };
    (custom_descriptors) => {
        Some(Feature::Experimental)
    };
}

macro_rules! define_proposal {
    ($(@$proposal:ident $op:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($rest:tt)*))*) => {
        /// The feature that brought an instruction.
        fn proposal(op: &Operator<'_>) -> Option<Feature> {
            match op {
                $(Operator::$op { .. } => feature!($proposal),)*
                // wasmparser may add to the enum only together with the list.
                _ => Some(Feature::Experimental),
            }
        }
    };
}
wasmparser::for_each_operator!(define_proposal);
