//! What a module is: its parts as far as packing needs them, read without
//! executing anything.
//!
//! [`Module::parse`] only reads; [`Module::check_state`], [`Module::check_imports`]
//! and [`Module::validate`] say what makes a module unfit, and [`Module::walk`]
//! looks into every function body.

use std::collections::{BTreeMap, BTreeSet};

use monaka_vfs_core::witx;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ConstExpr, DataKind, ElementItems, ElementKind, Export,
    ExternalKind, FuncType, FunctionBody, Import, MemoryType, Name, NameSectionReader, Operator,
    Parser, Payload, TypeRef, ValType, Validator, WasmFeatures,
};

use super::recognise::recognise;
use super::refusal::Refusal;

/// The features that monaka's engine compiles.
pub(crate) fn engine_features() -> WasmFeatures {
    WasmFeatures::WASM3 | WasmFeatures::WIDE_ARITHMETIC | WasmFeatures::CUSTOM_PAGE_SIZES
}

/// A data segment.
pub(crate) struct DataSegment<'a> {
    /// Memory and address; `None` for a passive segment.
    pub(crate) place: Option<(u32, u64)>,
    pub(crate) bytes: &'a [u8],
}

/// A core module's parts. Function indices count imports first, as everywhere
/// in wasm.
pub(crate) struct Module<'a> {
    wasm: &'a [u8],
    types: Vec<Option<FuncType>>,
    /// The types that are more than a function's parameters and results: open to
    /// subtypes, a subtype, or of a group.
    related: BTreeSet<u32>,
    /// Every import, in order.
    pub(crate) imports: Vec<Import<'a>>,
    /// The type of every function.
    functions: Vec<u32>,
    /// How many of the functions are imported.
    pub(crate) imported_functions: u32,
    pub(crate) exports: Vec<Export<'a>>,
    pub(crate) memories: Vec<MemoryType>,
    globals: Vec<Global>,
    /// Table 0: what stands in each slot when the module starts.
    pub(crate) slots: BTreeMap<u32, Slot>,
    pub(crate) data: Vec<DataSegment<'a>>,
    /// Functions that an element segment or an export names.
    pub(crate) named: BTreeSet<u32>,
    /// The first element or data segment with an unknown place.
    floating: Option<Refusal>,
    bodies: Vec<FunctionBody<'a>>,
    names: Option<NameSectionReader<'a>>,
}

/// An entry of table 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) function: u32,
    /// The element segment that put it there, and the position in it.
    pub(crate) entry: (u32, u32),
}

struct Global {
    mutable: bool,
    reference: bool,
    /// What it holds at first, where that is an integer known now.
    value: Option<u64>,
}

/// What the function bodies do, as far as it matters here.
#[derive(Default)]
pub(crate) struct Code {
    /// Imported functions that are called or referred to directly.
    pub(crate) direct: BTreeSet<u32>,
    /// Data segments of a smaller index are named by an instruction.
    pub(crate) segments: u32,
}

impl<'a> Module<'a> {
    /// Reads `wasm`. Refuses only what is not a core module at all.
    pub(crate) fn parse(wasm: &'a [u8]) -> Result<Module<'a>, Refusal> {
        recognise(wasm)?;
        let mut module = Module {
            wasm,
            types: Vec::new(),
            related: BTreeSet::new(),
            imports: Vec::new(),
            functions: Vec::new(),
            imported_functions: 0,
            exports: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            slots: BTreeMap::new(),
            data: Vec::new(),
            named: BTreeSet::new(),
            floating: None,
            bodies: Vec::new(),
            names: None,
        };
        for payload in Parser::new(0).parse_all(wasm) {
            payload
                .and_then(|payload| module.read(payload))
                .map_err(|error| Refusal::Malformed(error.to_string()))?;
        }
        Ok(module)
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    let group = group?;
                    let alone = group.types().len() == 1;
                    for ty in group.into_types() {
                        if !alone || !ty.is_final || ty.supertype_idx.is_some() {
                            self.related.insert(self.types.len() as u32);
                        }
                        self.types.push(match ty.composite_type.inner {
                            CompositeInnerType::Func(function) => Some(function),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.functions.push(ty);
                            self.imported_functions += 1;
                        }
                        TypeRef::Memory(ty) => self.memories.push(ty),
                        TypeRef::Global(ty) => self.globals.push(Global {
                            mutable: ty.mutable,
                            reference: matches!(ty.content_type, ValType::Ref(_)),
                            value: None,
                        }),
                        TypeRef::Table(_) | TypeRef::Tag(_) => {}
                    }
                    self.imports.push(import);
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.functions.push(ty?);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    let value = self.constant(&global.init_expr)?;
                    self.globals.push(Global {
                        mutable: global.ty.mutable,
                        reference: matches!(global.ty.content_type, ValType::Ref(_)),
                        value,
                    });
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact) {
                        self.named.insert(export.index);
                    }
                    self.exports.push(export);
                }
            }
            Payload::ElementSection(elements) => {
                for (segment, element) in (0..).zip(elements) {
                    let element = element?;
                    let functions = functions_of(element.items)?;
                    self.named.extend(functions.iter().flatten());
                    let ElementKind::Active {
                        table_index,
                        offset_expr,
                    } = element.kind
                    else {
                        continue;
                    };
                    if table_index.unwrap_or(0) != 0 {
                        continue;
                    }
                    match self.constant(&offset_expr)? {
                        Some(offset) => self.fill_slots(segment, offset as u32, &functions),
                        None => self.float("element", segment),
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::DataSection(segments) => {
                for (index, segment) in (0..).zip(segments) {
                    let segment = segment?;
                    let place = match segment.kind {
                        DataKind::Passive => None,
                        DataKind::Active {
                            memory_index,
                            offset_expr,
                        } => {
                            let offset = self.constant(&offset_expr)?;
                            if offset.is_none() {
                                self.float("data", index);
                            }
                            offset.map(|offset| (memory_index, offset))
                        }
                    };
                    self.data.push(DataSegment {
                        place,
                        bytes: segment.data,
                    });
                }
            }
            // A damaged custom section is no reason to refuse a module.
            Payload::CustomSection(custom) => {
                if let wasmparser::KnownCustom::Name(names) = custom.as_known() {
                    self.names = Some(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn float(&mut self, kind: &'static str, index: u32) {
        self.floating
            .get_or_insert(Refusal::SegmentOffset { kind, index });
    }

    fn fill_slots(&mut self, segment: u32, offset: u32, functions: &[Option<u32>]) {
        for (position, function) in (0..).zip(functions) {
            let slot = offset.wrapping_add(position);
            match *function {
                Some(function) => {
                    let entry = (segment, position);
                    self.slots.insert(slot, Slot { function, entry });
                }
                None => {
                    self.slots.remove(&slot);
                }
            }
        }
    }

    /// The integer that a constant expression yields, if it can be known now.
    fn constant(&self, expression: &ConstExpr<'_>) -> Result<Option<u64>, BinaryReaderError> {
        let mut stack: Vec<u64> = Vec::new();
        let mut ops = expression.get_operators_reader();
        // An i32 lives zero-extended in the stack.
        while !ops.is_end_then_eof() {
            let op = ops.read()?;
            let value = match op {
                Operator::I32Const { value } => Some(u64::from(value as u32)),
                Operator::I64Const { value } => Some(value as u64),
                Operator::GlobalGet { global_index } => self
                    .globals
                    .get(global_index as usize)
                    .filter(|global| !global.mutable)
                    .and_then(|global| global.value),
                Operator::I32Add | Operator::I32Sub | Operator::I32Mul => {
                    binary(&mut stack, |a, b| {
                        let (a, b) = (a as u32, b as u32);
                        u64::from(match op {
                            Operator::I32Add => a.wrapping_add(b),
                            Operator::I32Sub => a.wrapping_sub(b),
                            _ => a.wrapping_mul(b),
                        })
                    })
                }
                Operator::I64Add => binary(&mut stack, u64::wrapping_add),
                Operator::I64Sub => binary(&mut stack, u64::wrapping_sub),
                Operator::I64Mul => binary(&mut stack, u64::wrapping_mul),
                _ => None,
            };
            match value {
                Some(value) => stack.push(value),
                None => return Ok(None),
            }
        }
        Ok(stack.pop())
    }

    /// How many functions there are, imported and defined.
    pub(crate) fn function_count(&self) -> u32 {
        self.functions.len() as u32
    }

    /// The type of a function.
    pub(crate) fn function_type(&self, function: u32) -> Option<&FuncType> {
        let ty = *self.functions.get(function as usize)?;
        self.types.get(ty as usize)?.as_ref()
    }

    /// A function's type by its index.
    pub(crate) fn type_at(&self, ty: u32) -> Option<&FuncType> {
        self.types.get(ty as usize)?.as_ref()
    }

    /// Whether a function's type is another than that of a host's function with
    /// the same parameters and results.
    fn is_related(&self, function: u32) -> bool {
        self.type_of(function)
            .is_some_and(|ty| self.related.contains(&ty))
    }

    /// The index of a function's type.
    pub(crate) fn type_of(&self, function: u32) -> Option<u32> {
        self.functions.get(function as usize).copied()
    }

    /// The body of a function that is not imported.
    pub(crate) fn body(&self, function: u32) -> Option<&FunctionBody<'a>> {
        let at = function.checked_sub(self.imported_functions)?;
        self.bodies.get(at as usize)
    }

    /// A type that is a function's of this signature and nothing more.
    pub(crate) fn type_like(&self, ty: &FuncType) -> Option<u32> {
        let mut types = (0..).zip(&self.types);
        let found = types
            .find(|(index, known)| known.as_ref() == Some(ty) && !self.related.contains(index));
        found.map(|(index, _)| index)
    }

    /// How many types there are.
    pub(crate) fn type_count(&self) -> u32 {
        self.types.len() as u32
    }

    /// How many globals there are, imported and defined.
    pub(crate) fn global_count(&self) -> u32 {
        self.globals.len() as u32
    }

    /// The imported functions with their indices.
    pub(crate) fn function_imports(&self) -> impl Iterator<Item = (u32, &Import<'a>)> {
        let functions = self
            .imports
            .iter()
            .filter(|import| matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
        (0..).zip(functions)
    }

    /// The integer that a global holds when the module starts, where it is known now.
    pub(crate) fn global(&self, index: u32) -> Option<u64> {
        self.globals.get(index as usize)?.value
    }

    /// The first global that holds a reference and may change.
    fn reference_global(&self) -> Option<u32> {
        let at = self
            .globals
            .iter()
            .position(|global| global.mutable && global.reference);
        at.map(|index| index as u32)
    }

    /// Refuses a module that is not valid.
    pub(crate) fn check_valid(&self) -> Result<(), Refusal> {
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(self.wasm)
            .map(|_| ())
            .map_err(|error| Refusal::Malformed(error.to_string()))
    }

    /// Refuses a module that is not valid, or that this engine cannot compile.
    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        let Err(error) = Validator::new_with_features(engine_features()).validate_all(self.wasm)
        else {
            return Ok(());
        };
        self.check_valid()?;
        let at = self
            .bodies
            .iter()
            .position(|body| body.range().contains(&error.offset()));
        Err(Refusal::Feature {
            what: error.message().to_string(),
            function: at.map(|at| self.function_name(self.imported_functions + at as u32)),
        })
    }

    /// Refuses a module whose memories or imports of state do not fit packing.
    pub(crate) fn check_state(&self) -> Result<(), Refusal> {
        self.check_memory()?;
        for import in &self.imports {
            let kind = match import.ty {
                TypeRef::Func(_) | TypeRef::FuncExact(_) | TypeRef::Memory(_) => continue,
                TypeRef::Table(_) => "table",
                TypeRef::Global(_) => "global",
                TypeRef::Tag(_) => "tag",
            };
            let name = format!("{}.{}", import.module, import.name);
            return Err(Refusal::ImportedState { kind, name });
        }
        if let Some(index) = self.reference_global() {
            return Err(Refusal::ReferenceGlobal(index));
        }
        match &self.floating {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(()),
        }
    }

    /// Refuses a module whose memories do not fit packing.
    pub(crate) fn check_memory(&self) -> Result<(), Refusal> {
        for import in &self.imports {
            match import.ty {
                TypeRef::Memory(memory) if memory.shared => return Err(Refusal::SharedMemory),
                TypeRef::Memory(_) => {
                    let name = format!("{}.{}", import.module, import.name);
                    return Err(Refusal::ImportedMemory(name));
                }
                _ => {}
            }
        }
        let memory = self.memories.first().ok_or(Refusal::NoMemory)?;
        if self.memories.iter().any(|memory| memory.shared) {
            return Err(Refusal::SharedMemory);
        }
        if memory.memory64 {
            return Err(Refusal::Memory64);
        }
        Ok(())
    }

    /// Refuses imports of WASI modules that are not Preview 1 as the witx has it,
    /// nor one of the `others`, whose functions have the same names and types.
    pub(crate) fn check_imports(&self, others: &[&str]) -> Result<(), Refusal> {
        for (function, import) in self.function_imports() {
            if !import.module.starts_with("wasi") {
                continue;
            }
            let name = format!("{}.{}", import.module, import.name);
            let known = (import.module == witx::MODULE || others.contains(&import.module))
                .then(|| {
                    let mut all = witx::HOOKS.iter().chain(&witx::HOST_ONLY);
                    all.find(|known| known.name == import.name)
                })
                .flatten();
            let Some(known) = known else {
                return Err(Refusal::UnknownImport(name));
            };
            let expected = func_type(known);
            match self.function_type(function) {
                Some(found) if *found == expected && !self.is_related(function) => {}
                Some(found) if *found == expected => {
                    return Err(Refusal::ImportType {
                        name,
                        found: format!("{} with super- or subtypes", describe(found)),
                        expected: describe(&expected),
                    });
                }
                found => {
                    return Err(Refusal::ImportType {
                        name,
                        found: found.map_or("something else".into(), describe),
                        expected: describe(&expected),
                    });
                }
            }
        }
        Ok(())
    }

    /// Looks into every function body; refuses instructions that change what a
    /// snapshot cannot hold.
    pub(crate) fn walk(&self) -> Result<Code, Refusal> {
        let mut code = Code::default();
        for (function, body) in (self.imported_functions..).zip(&self.bodies) {
            self.walk_body(&mut code, body)
                .map_err(|error| Refusal::Malformed(error.to_string()))?
                .map_or(Ok(()), |instruction| {
                    Err(Refusal::Instruction {
                        instruction,
                        function: self.function_name(function),
                    })
                })?;
        }
        Ok(code)
    }

    fn walk_body(
        &self,
        code: &mut Code,
        body: &FunctionBody<'a>,
    ) -> Result<Option<&'static str>, BinaryReaderError> {
        let mut ops = body.get_operators_reader()?;
        while !ops.eof() {
            match ops.read()? {
                Operator::Call { function_index }
                | Operator::ReturnCall { function_index }
                | Operator::RefFunc { function_index } => {
                    if function_index < self.imported_functions {
                        code.direct.insert(function_index);
                    }
                }
                Operator::MemoryInit { data_index, .. }
                | Operator::ArrayNewData {
                    array_data_index: data_index,
                    ..
                } => {
                    code.segments = code.segments.max(data_index + 1);
                }
                op => {
                    if let Some(name) = refused_instruction(&op) {
                        return Ok(Some(name));
                    }
                }
            }
        }
        Ok(None)
    }

    /// How a message calls a function: its name where the module has one.
    pub(crate) fn function_name(&self, function: u32) -> String {
        let names = self.names.clone().into_iter().flatten().flatten();
        let mut functions = names.filter_map(|name| match name {
            Name::Function(map) => Some(map),
            _ => None,
        });
        functions
            .find_map(|map| {
                map.into_iter()
                    .flatten()
                    .find(|name| name.index == function)
            })
            .map_or(format!("{function}"), |name| format!("`{}`", name.name))
    }

    /// Refuses a module with a data segment outside its memory; answers where
    /// the last one of each memory ends.
    pub(crate) fn check_segments(&self) -> Result<Vec<u64>, Refusal> {
        let mut ends = vec![0; self.memories.len()];
        for (index, segment) in self.data.iter().enumerate() {
            let Some((memory, address)) = segment.place else {
                continue;
            };
            let outside = || Refusal::SegmentBounds(index as u32);
            let ty = self.memories.get(memory as usize).ok_or_else(outside)?;
            let end = address
                .checked_add(segment.bytes.len() as u64)
                .ok_or_else(outside)?;
            if end > memory_size(ty) {
                return Err(outside());
            }
            let known = &mut ends[memory as usize];
            *known = end.max(*known);
        }
        Ok(ends)
    }

    /// The memories as they stand when the module starts: each up to the end of
    /// its last segment, behind which all is zero.
    pub(crate) fn initial_memories(&self) -> Result<Vec<Vec<u8>>, Refusal> {
        let ends = self.check_segments()?;
        let mut memories: Vec<Vec<u8>> =
            ends.into_iter().map(|end| vec![0; end as usize]).collect();
        for segment in &self.data {
            if let Some((memory, address)) = segment.place {
                let at = address as usize;
                memories[memory as usize][at..at + segment.bytes.len()]
                    .copy_from_slice(segment.bytes);
            }
        }
        Ok(memories)
    }
}

/// The function of each item; `None` where there is a null or something else.
fn functions_of(items: ElementItems<'_>) -> Result<Vec<Option<u32>>, BinaryReaderError> {
    match items {
        ElementItems::Functions(functions) => functions
            .into_iter()
            .map(|function| function.map(Some))
            .collect(),
        ElementItems::Expressions(_, expressions) => expressions
            .into_iter()
            .map(|expression| {
                Ok(match expression?.get_operators_reader().read()? {
                    Operator::RefFunc { function_index } => Some(function_index),
                    _ => None,
                })
            })
            .collect(),
    }
}

/// A memory's size at the start, in bytes.
pub(crate) fn memory_size(ty: &MemoryType) -> u64 {
    ty.initial.saturating_mul(page_size(ty))
}

/// A memory's page size in bytes.
pub(crate) fn page_size(ty: &MemoryType) -> u64 {
    1 << ty.page_size_log2.unwrap_or(16)
}

fn binary(stack: &mut Vec<u64>, operation: impl Fn(u64, u64) -> u64) -> Option<u64> {
    let b = stack.pop()?;
    let a = stack.pop()?;
    Some(operation(a, b))
}

/// What wizer refuses by mere presence, since a snapshot holds memories and
/// numeric globals but neither tables, dropped segments nor heap objects.
fn refused_instruction(op: &Operator<'_>) -> Option<&'static str> {
    Some(match op {
        Operator::TableSet { .. } => "table.set",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableCopy { .. } => "table.copy",
        Operator::TableInit { .. } => "table.init",
        Operator::ElemDrop { .. } => "elem.drop",
        Operator::DataDrop { .. } => "data.drop",
        Operator::StructSet { .. } => "struct.set",
        Operator::ArraySet { .. } => "array.set",
        Operator::ArrayFill { .. } => "array.fill",
        Operator::ArrayCopy { .. } => "array.copy",
        Operator::ArrayInitData { .. } => "array.init_data",
        Operator::ArrayInitElem { .. } => "array.init_elem",
        _ => return None,
    })
}

/// The signature of one of WASI's functions.
pub(crate) fn func_type(function: &witx::Function) -> FuncType {
    let params = function.params.iter().map(|param| match param {
        witx::Param::I32 => ValType::I32,
        witx::Param::I64 => ValType::I64,
    });
    FuncType::new(params, function.returns.then_some(ValType::I32))
}

fn describe(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        let names: Vec<String> = types.iter().map(ToString::to_string).collect();
        format!("({})", names.join(", "))
    };
    format!("{} -> {}", list(ty.params()), list(ty.results()))
}
