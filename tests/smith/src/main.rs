//! Random modules that import WASI, for `cli/src/module/smith/`, which runs each
//! before and after monaka has rewritten it.
//!
//! `monaka-smith SEED COUNT` writes COUNT modules to stdout, made from SEED, SEED + 1
//! and so on, each as its seed and its length (64 bits, little endian) and its bytes.
//! A seed always gives the same module.

use std::io::{self, Write as _};

use arbitrary::{Result, Unstructured};
use monaka_vfs_core::witx::{Function, HOOKS, HOST_ONLY, MODULE, Param};
use wasm_encoder::{
    CompositeInnerType, CompositeType, EntityType, FuncType, GlobalType, ImportSection, RefType,
    SubType, TableType, TypeSection, ValType,
};
use wasm_smith::{Config, MemoryOffsetChoices, Module};

/// How many loops and calls a module has before it traps.
const FUEL: u32 = 2000;

fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
    let (Some(Ok(seed)), Some(Ok(count))) = (numbers.next(), numbers.next()) else {
        eprintln!("usage: monaka-smith SEED COUNT");
        std::process::exit(2);
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for seed in seed..seed.saturating_add(count) {
        let wasm = module(seed);
        out.write_all(&seed.to_le_bytes())?;
        out.write_all(&(wasm.len() as u64).to_le_bytes())?;
        out.write_all(&wasm)?;
    }
    out.flush()
}

fn module(seed: u64) -> Vec<u8> {
    let bytes = random(seed);
    let mut u = Unstructured::new(&bytes);
    let made = config(&mut u).and_then(|config| Module::new(config, &mut u));
    let mut module = made.expect("what is missing at the end is taken for zeros");
    module
        .ensure_termination(FUEL)
        .expect("no body is made of raw bytes");
    module.to_bytes()
}

/// Random bytes (splitmix64), more of them for some modules than for others.
fn random(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    let words = 512 << (next() % 5);
    (0..words).flat_map(|_| next().to_le_bytes()).collect()
}

/// What a module may have: each proposal that the engine knows, or not.
fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let gc = u.arbitrary()?;
    // Mostly one of those that are refused, to see that they are.
    let odd = u.ratio(1, 20)?;
    Ok(Config {
        available_imports: Some(imports(u, gc)?),
        export_everything: true,
        generate_custom_sections: u.arbitrary()?,
        allow_start_export: u.ratio(1, 3)?,
        canonicalize_nans: false,
        disallow_traps: u.ratio(2, 3)?,
        memory_offset_choices: MemoryOffsetChoices(90, 9, 1),
        min_uleb_size: if u.arbitrary()? { 5 } else { 1 },

        min_memories: 1,
        max_memories: if u.ratio(1, 3)? { 3 } else { 1 },
        max_memory32_bytes: 16 << 16,
        max_memory64_bytes: 16 << 16,
        memory_max_size_required: true,
        max_table_elements: 100,
        max_tables: 3,
        max_types: 30,
        max_funcs: 40,
        min_funcs: 1,
        max_globals: 20,
        max_tags: 4,
        max_exports: 100,
        max_data_segments: 8,
        max_element_segments: 8,
        max_instructions: u.int_in_range(10..=200)?,

        gc_enabled: gc,
        reference_types_enabled: gc || u.arbitrary()?,
        bulk_memory_enabled: gc || u.arbitrary()?,
        exceptions_enabled: u.arbitrary()?,
        extended_const_enabled: u.arbitrary()?,
        limit_arrays_in_const_exprs: true,
        multi_value_enabled: u.arbitrary()?,
        relaxed_simd_enabled: false,
        saturating_float_to_int_enabled: u.arbitrary()?,
        sign_extension_ops_enabled: u.arbitrary()?,
        simd_enabled: u.arbitrary()?,
        tail_call_enabled: u.arbitrary()?,
        wide_arithmetic_enabled: u.arbitrary()?,
        memory64_enabled: odd,
        threads_enabled: odd,
        custom_page_sizes_enabled: odd,
        ..Config::default()
    })
}

/// A module that imports what the generated one may import: some of WASI's calls, some
/// of those twice or under an older name, and functions and state of another host.
fn imports(u: &mut Unstructured<'_>, gc: bool) -> Result<Vec<u8>> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let wasi: Vec<&Function> = HOOKS.iter().chain(&HOST_ONLY).collect();
    // The generator leaves out every second.
    for _ in 0..u.int_in_range(2..=12)? {
        let function = *u.choose(&wasi)?;
        let params: Vec<ValType> = function.params.iter().map(number).collect();
        let results = function.returns.then_some(ValType::I32);
        let ty = FuncType::new(params, results);
        match gc && u.ratio(1, 8)? {
            true => types.ty().subtype(&SubType {
                is_final: false,
                supertype_idx: None,
                composite_type: CompositeType {
                    inner: CompositeInnerType::Func(ty),
                    shared: false,
                    describes: None,
                    descriptor: None,
                },
            }),
            false => types.ty().func_type(&ty),
        }
        let module = match function.name {
            // The others have other layouts.
            "fd_close" | "fd_read" | "fd_write" | "clock_time_get" if u.arbitrary()? => {
                "wasi_unstable"
            }
            _ => MODULE,
        };
        let ty = EntityType::Function(types.len() - 1);
        imports.import(module, function.name, ty);
    }
    types
        .ty()
        .function([ValType::I32, ValType::I64], [ValType::I32]);
    imports.import("env", "ask", EntityType::Function(types.len() - 1));
    types.ty().function([ValType::F64], []);
    imports.import("env", "log", EntityType::Function(types.len() - 1));
    for (name, val_type, mutable) in [
        ("constant", ValType::I32, false),
        ("variable", ValType::I64, true),
    ] {
        imports.import(
            "env",
            name,
            GlobalType {
                val_type,
                mutable,
                shared: false,
            },
        );
    }
    let table = TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 8,
        maximum: Some(20),
        shared: false,
    };
    imports.import("env", "table", table);
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports);
    Ok(module.finish())
}

fn number(param: &Param) -> ValType {
    match param {
        Param::I32 => ValType::I32,
        Param::I64 => ValType::I64,
    }
}
