//! The blob: the file system as a module of its own, to be merged into programs.
//! Its imports and exports are those of [`monaka_vfs_core::merge`].

use anyhow::{Context as _, Result};
use monaka_vfs_core::merge::REQUEST;
use sha2::{Digest as _, Sha256};
use wasmparser::{ExternalKind, Operator};

use super::analyze::Module;
use super::section::{Section, split};

/// The module, as it reads compressed files or not, and traces calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// It does not.
    Plain,
    /// It does, and is larger.
    Zstd,
    /// It does, and traces calls.
    Trace,
}

impl Variant {
    /// All of them.
    const ALL: [Variant; 3] = [Variant::Plain, Variant::Zstd, Variant::Trace];

    /// The one that reads compressed files where there are some.
    pub(crate) fn reading(compressed: bool) -> Variant {
        match compressed {
            true => Variant::Zstd,
            false => Variant::Plain,
        }
    }

    /// The one of that [digest](Variant::digest), if it is of this build.
    pub(crate) fn of(digest: u64) -> Option<Variant> {
        let mut all = Variant::ALL.into_iter();
        all.find(|variant| variant.digest() == digest)
    }

    /// The module's bytes.
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Variant::Plain => include_bytes!(concat!(env!("OUT_DIR"), "/monaka_vfs.wasm")),
            Variant::Zstd => include_bytes!(concat!(env!("OUT_DIR"), "/monaka_vfs_zstd.wasm")),
            Variant::Trace => include_bytes!(concat!(env!("OUT_DIR"), "/monaka_vfs_trace.wasm")),
        }
    }

    /// The first bytes of its SHA-256: which blob it is.
    pub(crate) fn digest(self) -> u64 {
        let digest = Sha256::digest(self.bytes());
        digest[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// The module, taken apart.
pub(crate) struct Blob<'b> {
    pub(crate) sections: Vec<Section<'b>>,
    pub(crate) module: Module<'b>,
}

impl Blob<'static> {
    /// Takes it apart.
    pub(crate) fn open(variant: Variant) -> Result<Blob<'static>> {
        Ok(Blob {
            sections: split(variant.bytes())?,
            module: Module::parse(variant.bytes())?,
        })
    }
}

impl Blob<'_> {
    /// The function that it exports as `name`.
    pub(crate) fn export(&self, name: &str) -> Result<u32> {
        self.find(name)
            .with_context(|| format!("the blob does not export {name}"))
    }

    /// The index of a function's type.
    pub(crate) fn type_of(&self, function: u32) -> Result<u32> {
        let ty = self.module.type_of(function);
        ty.with_context(|| format!("the blob has no function {function}"))
    }

    /// Whether it exports a function as `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<u32> {
        let mut exports = self.module.exports.iter();
        exports
            .find(|export| export.name == name && export.kind == ExternalKind::Func)
            .map(|export| export.index)
    }

    /// The address of its request, which a function of one constant answers.
    pub(crate) fn request(&self) -> Result<u32> {
        let body = self.module.body(self.export(REQUEST)?);
        let mut ops = body
            .context("the blob imports its request")?
            .get_operators_reader()?;
        match ops.read()? {
            Operator::I32Const { value } => Ok(value as u32),
            other => anyhow::bail!("the blob's request is {other:?}, not a constant"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use monaka_vfs_core::merge::{
        ATTACH, CONFIGURE, FINISH, GROW, HOST, HOST_FUNCTIONS, LAYOUT, LAYOUT_FUNCTIONS, MOUNT,
        PROGRAM, PROGRAM_FUNCTIONS, REPORT, REQUEST, RESERVE, SETTINGS, UNSTABLE, UNSTABLE_PREFIX,
    };
    use monaka_vfs_core::witx::{Function, HOOKS, HOST_ONLY, Param};
    use wasmparser::{
        CompositeInnerType, DataKind, ExternalKind, FuncType, Operator, Parser, Payload, TypeRef,
        ValType, Validator, WasmFeatures,
    };

    use super::Variant;

    /// What the blob may be made of: what every engine has had for years.
    const FEATURES: WasmFeatures = WasmFeatures::WASM1
        .union(WasmFeatures::BULK_MEMORY)
        .union(WasmFeatures::SIGN_EXTENSION)
        .difference(WasmFeatures::FLOATS);

    fn function_type(function: &Function) -> FuncType {
        let param = |param: &Param| match param {
            Param::I32 => ValType::I32,
            Param::I64 => ValType::I64,
        };
        let results = function.returns.then_some(ValType::I32);
        FuncType::new(function.params.iter().map(param), results)
    }

    /// What of the blob the tests ask for.
    #[derive(Default)]
    struct Parts<'a> {
        types: Vec<FuncType>,
        /// Module, name and type of each import; functions come first.
        imports: Vec<(&'a str, &'a str, FuncType)>,
        /// The type of each function, imports first.
        functions: Vec<u32>,
        exports: BTreeMap<&'a str, (ExternalKind, u32)>,
        bodies: Vec<Vec<Operator<'a>>>,
    }

    fn parts(variant: Variant) -> Parts<'static> {
        let mut parts = Parts::default();
        for payload in Parser::new(0).parse_all(variant.bytes()) {
            match payload.unwrap() {
                Payload::TypeSection(types) => {
                    for group in types {
                        for ty in group.unwrap().into_types() {
                            match ty.composite_type.inner {
                                CompositeInnerType::Func(ty) => parts.types.push(ty),
                                other => panic!("a type that is no function's: {other:?}"),
                            }
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.unwrap();
                        let TypeRef::Func(ty) = import.ty else {
                            panic!("{}.{} is no function", import.module, import.name);
                        };
                        let function = parts.types[ty as usize].clone();
                        parts.imports.push((import.module, import.name, function));
                        parts.functions.push(ty);
                    }
                }
                Payload::FunctionSection(functions) => {
                    parts
                        .functions
                        .extend(functions.into_iter().map(Result::unwrap));
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export.unwrap();
                        parts
                            .exports
                            .insert(export.name, (export.kind, export.index));
                    }
                }
                Payload::DataSection(data) => {
                    for segment in data {
                        assert!(matches!(segment.unwrap().kind, DataKind::Active { .. }));
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let operators = body.get_operators_reader().unwrap().into_iter();
                    parts.bodies.push(operators.map(Result::unwrap).collect());
                }
                Payload::TableSection(_) => panic!("a table"),
                Payload::ElementSection(_) => panic!("an element section"),
                Payload::StartSection { .. } => panic!("a start function"),
                Payload::TagSection(_) => panic!("a tag"),
                _ => {}
            }
        }
        parts
    }

    #[test]
    fn validates_without_newer_features() {
        for variant in Variant::ALL {
            Validator::new_with_features(FEATURES)
                .validate_all(variant.bytes())
                .expect("the blob validates");
        }
    }

    #[test]
    fn is_small() {
        for (variant, most) in [
            (Variant::Plain, 96 << 10),
            (Variant::Zstd, 112 << 10),
            (Variant::Trace, 160 << 10),
        ] {
            let len = variant.bytes().len();
            assert!(len < most, "{variant:?}: {len} bytes");
        }
    }

    #[test]
    fn imports_nothing_but_what_the_contract_names() {
        let mut allowed = BTreeMap::new();
        for (module, functions) in [
            (PROGRAM, &PROGRAM_FUNCTIONS[..]),
            (HOST, &HOST_FUNCTIONS),
            (HOST, &HOOKS),
            (LAYOUT, &LAYOUT_FUNCTIONS),
        ] {
            for function in functions {
                allowed.insert((module, function.name), function_type(function));
            }
        }
        for variant in Variant::ALL {
            if variant == Variant::Trace {
                for function in HOST_ONLY.iter().chain(&[REPORT]) {
                    allowed.insert((HOST, function.name), function_type(function));
                }
            }
            for (module, name, ty) in parts(variant).imports {
                assert_eq!(Some(&ty), allowed.get(&(module, name)), "{module}.{name}");
            }
        }
    }

    #[test]
    fn exports_what_the_contract_names() {
        let one = |name, params| Function {
            name,
            params,
            returns: true,
        };
        let mut expected: BTreeMap<String, FuncType> = HOOKS
            .iter()
            .chain(&[
                one(RESERVE, &[Param::I32]),
                one(MOUNT, &[Param::I32]),
                one(REQUEST, &[]),
                one(GROW, &[Param::I32]),
                one(ATTACH, &[Param::I32]),
            ])
            .map(|function| (function.name.to_owned(), function_type(function)))
            .collect();
        for name in UNSTABLE {
            let name_then = format!("{UNSTABLE_PREFIX}{name}");
            expected.insert(name_then, expected[name].clone());
        }
        for variant in Variant::ALL {
            if variant == Variant::Trace {
                let finish = Function {
                    returns: false,
                    ..one(FINISH, &[])
                };
                let settings = [one(SETTINGS, &[Param::I32]), one(CONFIGURE, &[]), finish];
                for function in HOST_ONLY.iter().chain(&settings) {
                    expected.insert(function.name.to_owned(), function_type(function));
                }
            }
            exports_of_one(&parts(variant), &expected);
        }
    }

    fn exports_of_one(parts: &Parts<'_>, expected: &BTreeMap<String, FuncType>) {
        let functions: BTreeMap<String, FuncType> = parts
            .exports
            .iter()
            .filter(|(_, (kind, _))| *kind == ExternalKind::Func)
            .map(|(name, (_, index))| {
                let ty = parts.functions[*index as usize];
                ((*name).to_owned(), parts.types[ty as usize].clone())
            })
            .collect();
        assert_eq!(&functions, expected);
        let others: Vec<(&str, ExternalKind)> = parts
            .exports
            .iter()
            .filter(|(_, (kind, _))| *kind != ExternalKind::Func)
            .map(|(name, (kind, _))| (*name, *kind))
            .collect();
        let linkers = [
            ("__data_end", ExternalKind::Global),
            ("__heap_base", ExternalKind::Global),
            ("memory", ExternalKind::Memory),
        ];
        assert_eq!(others, linkers);
    }

    #[test]
    fn calls_no_function_by_a_table_and_drops_no_segment() {
        let all = Variant::ALL.map(|variant| parts(variant).bodies);
        for operator in all.iter().flatten().flatten() {
            assert!(
                !matches!(
                    operator,
                    Operator::CallIndirect { .. }
                        | Operator::MemoryInit { .. }
                        | Operator::DataDrop { .. }
                ),
                "{operator:?}"
            );
        }
    }

    #[test]
    fn grow_touches_no_memory_of_its_own() {
        for variant in Variant::ALL {
            grow_of_one(&parts(variant));
        }
    }

    fn grow_of_one(parts: &Parts<'_>) {
        let (_, index) = parts.exports[GROW];
        let body = &parts.bodies[index as usize - parts.imports.len()];
        let mut called = BTreeSet::new();
        for operator in body {
            match operator {
                Operator::Call { function_index } => {
                    let import = parts.imports.get(*function_index as usize);
                    let (module, name, _) = import.expect("grow calls imports only");
                    called.insert((*module, *name));
                }
                Operator::LocalGet { .. }
                | Operator::LocalSet { .. }
                | Operator::LocalTee { .. }
                | Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Else
                | Operator::End
                | Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::Return
                | Operator::Drop
                | Operator::Select
                | Operator::I32Const { .. }
                | Operator::I32Eqz
                | Operator::I32Eq
                | Operator::I32Ne
                | Operator::I32LtU
                | Operator::I32GtU
                | Operator::I32LeU
                | Operator::I32GeU
                | Operator::I32Add
                | Operator::I32Sub
                | Operator::I32And
                | Operator::I32Or
                | Operator::I32Shl
                | Operator::I32ShrU => {}
                other => panic!("{other:?}"),
            }
        }
        let mut expected: BTreeSet<_> = LAYOUT_FUNCTIONS.map(|f| (LAYOUT, f.name)).into();
        expected.insert((PROGRAM, "pages"));
        assert_eq!(called, expected);
    }
}
