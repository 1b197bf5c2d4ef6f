use wasmparser::{Operator, Parser, Payload};

use super::*;
use crate::module::merge::{Layout, Merged};
use crate::module::packed::{ImageRecord, Packed};
use crate::module::reach::Reach;
use crate::module::section::{debug_assert_valid, join};

/// Refers to WASI calls in every way there is.
const PROGRAM: &str = r#"(module
    (type $t1 (func (param i32) (result i32)))
    (type $read (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (type $t1)))
    (import "env" "hello" (func $hello))
    (import "wasi_snapshot_preview1" "fd_close" (func $again (type $t1)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (type $read)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2 9)
    (table 4 funcref)
    (global $g funcref (ref.func $close))
    (global $n (mut i32) (i32.const 7))
    (export "close" (func $close))
    (export "hello" (func $hello))
    (start $start)
    (elem (i32.const 0) func $close $hello $again)
    (elem (i32.const 3) funcref (ref.func $read))
    (elem declare func $read)
    (func $start (drop (call $close (i32.const 3))) (call $hello) (drop (ref.func $read)))
    (func $tail (type $t1) (return_call $again (local.get 0)))
    (func $size (export "size") (result i32) (memory.size))
    (func $grow (export "grow") (type $t1) (memory.grow (local.get 0)))
    (data (i32.const 8) "data"))"#;

fn merged(wat: &str, layout: Layout, host_dirs: bool) -> Vec<u8> {
    let wasm = wat::parse_str(wat).unwrap();
    let module = Module::parse(&wasm).unwrap();
    let merged = Merged::new(&wasm, &module, layout, Reach::usual(host_dirs), false).unwrap();
    let out = join(&merged.sections);
    debug_assert_valid(&out, "merged");
    out
}

fn imports(wasm: &[u8]) -> Vec<String> {
    let module = Module::parse(wasm).unwrap();
    let names = module.imports.iter();
    names.map(|i| format!("{}.{}", i.module, i.name)).collect()
}

#[test]
fn no_reference_to_a_file_call_is_left() {
    for layout in [Layout::Single, Layout::Multi] {
        let wasm = merged(PROGRAM, layout, false);
        let names = imports(&wasm);
        assert_eq!(
            names[..2],
            ["env.hello", "wasi_snapshot_preview1.proc_exit"]
        );
        let module = Module::parse(&wasm).unwrap();
        let close = module.exports.iter().find(|e| e.name == "close").unwrap();
        assert!(close.index >= module.imported_functions, "{layout:?}");
        assert_eq!(close.kind, ExternalKind::Func);
        let slots: Vec<u32> = (0..4).map(|slot| module.slots[&slot].function).collect();
        assert_eq!([slots[0], slots[2]], [close.index; 2]);
        assert_eq!(slots[1], 0, "env.hello");
        assert!(slots[3] >= module.imported_functions);
    }
}

#[test]
fn the_host_is_asked_for_what_is_reached_and_no_more() {
    let closes = r#"(module
        (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
        (memory 1))"#;
    // fd_fdstat_get finds out which of its descriptors the host has open.
    let expected = ["fd_close", "clock_time_get", "fd_fdstat_get"];
    let found = imports(&merged(closes, Layout::Multi, false));
    assert!(!found.is_empty());
    for name in found {
        let name = name.strip_prefix("wasi_snapshot_preview1.").unwrap();
        assert!(expected.contains(&name), "{name}");
    }
    let all = imports(&merged(PROGRAM, Layout::Multi, true));
    let isolated = imports(&merged(PROGRAM, Layout::Multi, false));
    assert!(all.contains(&"wasi_snapshot_preview1.fd_fdstat_get".into()));
    assert!(all.len() >= isolated.len());
}

#[test]
fn an_import_that_stays_is_shared() {
    let wat = r#"(module
        (import "wasi_unstable" "clock_time_get" (func (param i32 i64 i32) (result i32)))
        (import "wasi_unstable" "fd_close" (func (param i32) (result i32)))
        (import "wasi_unstable" "fd_filestat_get" (func (param i32 i32) (result i32)))
        (memory 1))"#;
    for layout in [Layout::Single, Layout::Multi] {
        let names = imports(&merged(wat, layout, false));
        assert_eq!(names[0], "wasi_snapshot_preview1.clock_time_get");
        let clocks = names.iter().filter(|name| name.ends_with("clock_time_get"));
        assert_eq!(clocks.count(), 1, "{names:?}");
        assert!(names.iter().all(|name| !name.starts_with("wasi_unstable")));
    }
}

#[test]
fn the_program_sees_its_own_pages_in_the_single_layout_alone() {
    let sizes = |layout| {
        let wasm = merged(PROGRAM, layout, false);
        let module = Module::parse(&wasm).unwrap();
        let function = |name: &str| module.exports.iter().find(|e| e.name == name).unwrap();
        let first = |name: &str| {
            let body = module.body(function(name).index).unwrap();
            let ops = body.get_operators_reader().unwrap().into_iter();
            let ops: Vec<Operator<'_>> = ops.map(Result::unwrap).collect();
            ops
        };
        let size = matches!(first("size")[0], Operator::MemorySize { .. });
        let grow = matches!(first("grow")[1], Operator::MemoryGrow { .. });
        (size, grow)
    };
    assert_eq!(sizes(Layout::Single), (false, false));
    assert_eq!(sizes(Layout::Multi), (true, true));
}

#[test]
fn sections_that_are_missing_are_made() {
    // No type of its own but the import's, no function, global, code or data.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
        (memory 1) (export "sync" (func 0)))"#;
    for layout in [Layout::Single, Layout::Multi] {
        let wasm = merged(wat, layout, false);
        let ids: Vec<u8> = Parser::new(0)
            .parse_all(&wasm)
            .filter_map(|payload| match payload.unwrap() {
                Payload::CustomSection(_) => None,
                payload => payload.as_section().map(|(id, _)| id),
            })
            .collect();
        let ranks: Vec<usize> = ids.iter().map(|id| id::rank(*id)).collect();
        assert!(ranks.is_sorted(), "{ids:?}");
    }
}

#[test]
fn a_memory_that_must_not_grow_does_not() {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
        (memory 0 0))"#;
    let wasm = wat::parse_str(wat).unwrap();
    let module = Module::parse(&wasm).unwrap();
    let merged = Merged::new(&wasm, &module, Layout::Single, Reach::usual(false), false).unwrap();
    assert_eq!(merged.record.maximum, Some(0));
    let again = MergeRecord::decode(&merged.record.encode());
    assert_eq!(again, Some(merged.record));
}

#[test]
fn pages_of_another_size_are_refused() {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
        (memory 1 (pagesize 1)))"#;
    let wasm = wat::parse_str(wat).unwrap();
    let module = Module::parse(&wasm).unwrap();
    assert_eq!(module.check_mergeable(), Err(Refusal::PageSize(1)));
}

#[test]
fn another_blobs_state_is_not_replaced() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    let module = Module::parse(&wasm).unwrap();
    let merged = Merged::new(&wasm, &module, Layout::Single, Reach::usual(false), false).unwrap();
    let mut record = merged.record;
    record.blob ^= 1;
    let packed = Packed {
        wasm: &wasm,
        record: ImageRecord::decode(&[0; 64]).unwrap(),
        merged: Some(record),
        init: None,
        image: &[],
    };
    let error = Merged::reopen(&packed, record, false).err().unwrap();
    assert_eq!(error.downcast::<Refusal>().unwrap(), Refusal::OtherBlob);
    let mut record = merged.record;
    record.minimum = u64::MAX;
    let error = Merged::reopen(&packed, record, false).err().unwrap();
    assert!(matches!(
        error.downcast::<Refusal>().unwrap(),
        Refusal::DamagedPack(_)
    ));
}
