//! A program in the layout with two memories that tries to reach the second one.

use std::collections::BTreeSet;

use monaka_vfs_core::Errno;
use wasmparser::ExternalKind;
use wasmtime::{Extern, Instance, Store, Trap, Val, ValType};

use super::analyze::Module;
use super::merge::{Layout, Merged};
use super::section::{find, id, split};
use super::smith::world::{Files, World, engine, linker};
use crate::module::reach::Reach;

/// Every instruction that loads, with the type it yields.
const LOADS: [(&str, &str); 26] = [
    ("i32.load", "i32"),
    ("i32.load8_s", "i32"),
    ("i32.load8_u", "i32"),
    ("i32.load16_s", "i32"),
    ("i32.load16_u", "i32"),
    ("i64.load", "i64"),
    ("i64.load8_s", "i64"),
    ("i64.load8_u", "i64"),
    ("i64.load16_s", "i64"),
    ("i64.load16_u", "i64"),
    ("i64.load32_s", "i64"),
    ("i64.load32_u", "i64"),
    ("f32.load", "f32"),
    ("f64.load", "f64"),
    ("v128.load", "v128"),
    ("v128.load8x8_s", "v128"),
    ("v128.load16x4_u", "v128"),
    ("v128.load32x2_s", "v128"),
    ("v128.load8_splat", "v128"),
    ("v128.load16_splat", "v128"),
    ("v128.load32_splat", "v128"),
    ("v128.load64_splat", "v128"),
    ("v128.load32_zero", "v128"),
    ("v128.load64_zero", "v128"),
    ("i32.atomic.load8_u", "i32"),
    ("i64.atomic.load8_u", "i64"),
];

/// Every instruction that stores, with the type it takes.
const STORES: [(&str, &str); 12] = [
    ("i32.store", "i32"),
    ("i32.store8", "i32"),
    ("i32.store16", "i32"),
    ("i64.store", "i64"),
    ("i64.store8", "i64"),
    ("i64.store16", "i64"),
    ("i64.store32", "i64"),
    ("f32.store", "f32"),
    ("f64.store", "f64"),
    ("v128.store", "v128"),
    ("i32.atomic.store8", "i32"),
    ("i64.atomic.store8", "i64"),
];

/// The program: an export for each instruction, once with an offset that ends just
/// below 4 GiB, and what looks and grows.
fn hostile() -> String {
    let mut wat = r#"(module
        (type $read (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (type $read)))
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "env" "log" (func $log (param f64)))
        (memory (export "memory") 1 3)
        (table (export "table") 4 4 funcref)
        (elem (i32.const 0) $log $read $own)
        (global (export "global") (mut i32) (i32.const 5))
        (func $own (export "own"))
        (func (export "size") (result i32) (memory.size))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "read") (param i32 i32 i32 i32) (result i32)
            (call $read (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
        (func (export "open") (param i32 i32 i32) (result i32)
            (call $open (i32.const 3) (i32.const 0) (local.get 0) (local.get 1)
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (local.get 2)))
        (data (i32.const 16) "a") (data $passive "passive")
        (func (export "access fill") (param i32)
            (memory.fill (local.get 0) (i32.const 1) (i32.const 1)))
        (func (export "access init") (param i32)
            (memory.init $passive (local.get 0) (i32.const 0) (i32.const 1)))
        (func (export "access copy to") (param i32)
            (memory.copy (local.get 0) (i32.const 0) (i32.const 1)))
        (func (export "access copy from") (param i32)
            (memory.copy (i32.const 0) (local.get 0) (i32.const 1)))
        (func (export "access lane") (param i32)
            (drop (v128.load8_lane 3 (local.get 0) (v128.const i64x2 0 0))))
        (func (export "access store lane") (param i32)
            (v128.store8_lane 3 (local.get 0) (v128.const i64x2 0 0)))
        (func (export "access add") (param i32)
            (drop (i32.atomic.rmw8.add_u (local.get 0) (i32.const 1))))
        (func (export "access exchange") (param i32)
            (drop (i64.atomic.rmw8.cmpxchg_u (local.get 0) (i64.const 1) (i64.const 1))))
        "#
    .to_string();
    let zero = |ty: &str| match ty {
        "v128" => "(v128.const i64x2 0 0)".to_string(),
        ty => format!("({ty}.const 0)"),
    };
    for offset in ["", "offset=0xfffffff0"] {
        for (load, _) in LOADS {
            wat += &format!(
                r#"(func (export "access {load} {offset}") (param i32)
                    (drop ({load} {offset} (local.get 0))))"#
            );
        }
        for (store, ty) in STORES {
            let value = zero(ty);
            wat += &format!(
                r#"(func (export "access {store} {offset}") (param i32)
                    ({store} {offset} (local.get 0) {value}))"#
            );
        }
    }
    wat + ")"
}

struct Attack {
    store: Store<World>,
    instance: Instance,
}

impl Attack {
    fn start(wasm: &[u8]) -> Attack {
        let module = wasmtime::Module::new(engine(), wasm).unwrap();
        let mut store = Store::new(engine(), World::new(false, false, "memory"));
        let instance = linker().unwrap().instantiate(&mut store, &module).unwrap();
        Attack { store, instance }
    }

    fn call(&mut self, name: &str, args: &[u32]) -> wasmtime::Result<Option<u32>> {
        let function = self.instance.get_func(&mut self.store, name).expect(name);
        let args: Vec<Val> = args.iter().map(|n| Val::I32(n.cast_signed())).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &args, &mut results)?;
        Ok(results
            .first()
            .map(|value| value.unwrap_i32().cast_unsigned()))
    }

    fn ask(&mut self, name: &str, args: &[u32]) -> u32 {
        self.call(name, args).unwrap().unwrap()
    }

    fn bytes(&mut self) -> &mut [u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        memory.data_mut(&mut self.store)
    }
}

fn packed(layout: Layout) -> (Vec<u8>, Vec<u8>) {
    let wasm = wat::parse_str(hostile()).unwrap();
    let module = Module::parse(&wasm).unwrap();
    let merged = Merged::new(&wasm, &module, layout, Reach::usual(false), false).unwrap();
    let packed = Files::of(false).pack(&merged);
    (wasm, packed)
}

#[test]
fn every_access_past_the_programs_end_traps() {
    let (wasm, packed) = packed(Layout::Multi);
    let names: Vec<String> = Module::parse(&wasm)
        .unwrap()
        .exports
        .iter()
        .filter(|export| export.name.starts_with("access "))
        .map(|export| export.name.to_string())
        .collect();
    assert_eq!(names.len(), 8 + 2 * (LOADS.len() + STORES.len()));
    let mut attack = Attack::start(&packed);
    // Again when the program has all the memory that it can have.
    for pages in [1, 3] {
        assert_eq!(attack.ask("size", &[]), pages);
        let end = pages << 16;
        for at in [
            end,
            end + 1,
            4 << 16,
            1 << 24,
            1 << 31,
            u32::MAX - 64,
            u32::MAX,
        ] {
            for name in &names {
                let error = attack.call(name, &[at]).expect_err(name);
                let trap = error.downcast_ref::<Trap>();
                assert_eq!(trap, Some(&Trap::MemoryOutOfBounds), "{name} at {at:#x}");
            }
        }
        assert_eq!(attack.ask("grow", &[3]), u32::MAX);
        assert_eq!(attack.ask("grow", &[u32::MAX]), u32::MAX);
        assert_eq!(attack.ask("grow", &[3 - pages]), pages);
    }
}

#[test]
fn whatever_the_program_writes_files_stay() {
    let (_, packed) = packed(Layout::Multi);
    let mut attack = Attack::start(&packed);
    let read = |attack: &mut Attack| {
        attack.bytes()[16] = b'a';
        assert_eq!(attack.ask("open", &[16, 1, 24]), 0);
        let fd = u32::from(attack.bytes()[24]);
        attack.bytes()[32..40].copy_from_slice(&[64, 0, 0, 0, 100, 0, 0, 0]);
        assert_eq!(attack.ask("read", &[fd, 32, 1, 40]), 0);
        let len = attack.bytes()[40] as usize;
        attack.bytes()[64..64 + len].to_vec()
    };
    assert_eq!(read(&mut attack), b"a packed file's contents");
    for byte in [0, 0x55, 0xff] {
        attack.bytes().fill(byte);
        assert_eq!(read(&mut attack), b"a packed file's contents");
    }
}

#[test]
fn calls_reach_no_further_than_the_program_does() {
    let (_, packed) = packed(Layout::Multi);
    let mut attack = Attack::start(&packed);
    let fault = u32::from(Errno::FAULT.raw());
    for at in [65535, 65536, 1 << 20, u32::MAX - 7, u32::MAX] {
        // As a path, as where the answer goes.
        assert_eq!(attack.ask("open", &[at, 8, 24]), fault, "{at:#x}");
        assert_eq!(attack.ask("open", &[16, 1, at]), fault, "{at:#x}");
        // As the list of buffers, as a buffer, as where the count goes.
        attack.bytes()[16] = b'a';
        assert_eq!(attack.ask("open", &[16, 1, 24]), 0);
        let fd = u32::from(attack.bytes()[24]);
        assert_eq!(attack.ask("read", &[fd, at, 1, 40]), fault, "{at:#x}");
        attack.bytes()[32..36].copy_from_slice(&at.to_le_bytes());
        attack.bytes()[36..40].copy_from_slice(&9u32.to_le_bytes());
        assert_eq!(attack.ask("read", &[fd, 32, 1, 40]), fault, "{at:#x}");
        attack.bytes()[32..36].copy_from_slice(&64u32.to_le_bytes());
        assert_eq!(attack.ask("read", &[fd, 32, 1, at]), fault, "{at:#x}");
    }
}

#[test]
fn nothing_of_the_file_system_is_seen_from_outside() {
    for layout in [Layout::Single, Layout::Multi] {
        let (wasm, packed) = packed(layout);
        let (before, after) = (
            Module::parse(&wasm).unwrap(),
            Module::parse(&packed).unwrap(),
        );
        let names = |module: &Module<'_>| -> Vec<(String, ExternalKind)> {
            let exports = module.exports.iter();
            exports.map(|e| (e.name.to_string(), e.kind)).collect()
        };
        assert_eq!(names(&before), names(&after));
        let ours = match layout {
            Layout::Single => 0,
            Layout::Multi => 1,
        };
        assert_eq!(after.memories.len(), before.memories.len() + ours);
        for export in &after.exports {
            match export.kind {
                ExternalKind::Memory => assert_eq!(export.index, 0),
                ExternalKind::Global => assert!(export.index < before.global_count()),
                _ => {}
            }
        }
        // The table holds the host's function, the program's, and in place of the
        // import what answers it; nothing else can be called by an index.
        let slots: Vec<u32> = after.slots.values().map(|slot| slot.function).collect();
        let own = after.exports.iter().find(|e| e.name == "own").unwrap();
        assert_eq!(slots.len(), 3);
        assert_eq!((slots[0], slots[2]), (0, own.index));
        let ty = |module: &Module<'_>, function| module.function_type(function).cloned();
        assert_eq!(ty(&after, slots[1]), ty(&before, 0));
        let exported = after.exports.iter();
        let exported = exported
            .filter(|export| export.kind == ExternalKind::Func)
            .map(|export| export.index);
        let seen: BTreeSet<u32> = exported.chain(slots.iter().copied()).collect();
        assert_eq!(after.named, seen, "{layout:?}");
        let program = own.index..own.index + before.function_count() - before.imported_functions;
        let others: Vec<&u32> = seen.iter().filter(|f| !program.contains(f)).collect();
        assert_eq!(others, [&slots[0], &slots[1]], "{layout:?}");
        for part in [id::TABLE, id::START] {
            let (before, after) = (split(&wasm).unwrap(), split(&packed).unwrap());
            let data = |sections| find(sections, part).map(|section| section.data.to_vec());
            assert_eq!(data(&before), data(&after));
        }
    }
}

#[test]
fn a_function_in_a_table_is_the_programs_the_hosts_or_an_import() {
    let (_, packed) = packed(Layout::Multi);
    let mut attack = Attack::start(&packed);
    let table = attack.instance.get_table(&mut attack.store, "table");
    let table = table.unwrap();
    assert_eq!(table.size(&attack.store), 4);
    // What the program can call of the file system is the import, with its checks.
    let function = table.get(&mut attack.store, 1).unwrap();
    let function = *function.as_func().unwrap().unwrap();
    let params = function.ty(&attack.store).params().collect::<Vec<_>>();
    assert_eq!(params.len(), 4);
    assert!(params.iter().all(ValType::is_i32));
    let args = [Val::I32(77), Val::I32(0), Val::I32(0), Val::I32(0)];
    let mut results = [Val::I32(0)];
    function
        .call(&mut attack.store, &args, &mut results)
        .unwrap();
    assert_eq!(results[0].unwrap_i32(), i32::from(Errno::BADF.raw()));
    let exports: Vec<String> = attack
        .instance
        .exports(&mut attack.store)
        .filter(|export| matches!(export.clone().into_extern(), Extern::Memory(_)))
        .map(|export| export.name().to_string())
        .collect();
    assert_eq!(exports, ["memory"]);
}
