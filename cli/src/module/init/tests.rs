//! Programs in text that stop at a checkpoint in all kinds of places. Each must leave
//! the same memory and global whether it runs in one go or is packed at the checkpoint
//! and goes on from there.

use monaka_vfs_core::image::{Meta, NodeId, Tree, write};
use wasmtime::{Engine, Extern, Instance, Linker, Store, Val};

use super::*;
use crate::module::merge::Layout;
use crate::module::program::{Program, Route};
use crate::module::reach::Reach;
use crate::module::section::find;

/// A module with a log in memory, `$log`, that keeps what it is given.
fn program(code: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read"
            (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get"
            (func $random_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (import "monaka" "checkpoint" (func $checkpoint))
        (memory (export "memory") 1)
        (global $at (mut i32) (i32.const 1024))
        (export "at" (global $at))
        (func $log (param i64)
            (i64.store (global.get $at) (local.get 0))
            (global.set $at (i32.add (global.get $at) (i32.const 8))))
        (func $log32 (param i32) (call $log (i64.extend_i32_s (local.get 0))))
        {code})"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn packed_as(wasm: &[u8], layout: Layout) -> Vec<u8> {
    let meta = Meta {
        mtime: 1,
        executable: false,
    };
    let mut tree = Tree::new(meta);
    let text: &[u8] = b"text";
    tree.add_file(NodeId::ROOT, b"file", meta, 4, text).unwrap();
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    let valid = tree.validate().unwrap();
    let image = write(&valid).unwrap();
    let module = Module::parse(wasm).unwrap();
    let route = Some(Route::Rewrite);
    let program = Program::new(wasm, &module, route, layout, Reach::usual(false), false).unwrap();
    let mounted = program.mount(&image).unwrap();
    let mut out = Vec::new();
    let copy = |text: &&[u8], _, out: &mut dyn std::io::Write| Ok(out.write_all(text)?);
    program.write(&mut out, &mounted, &image, copy).unwrap();
    out
}

fn plan(how: How<'_>) -> Plan<'_> {
    Plan {
        how,
        program: "test",
        args: &[],
        env: &[],
        random: false,
        timeout: None,
    }
}

/// What a run of `_start` leaves: its log, and how far that goes.
fn left(wasm: &[u8]) -> (Vec<i64>, i32) {
    let engine = Engine::default();
    let module = wasmtime::Module::new(&engine, wasm).unwrap();
    let mut store = Store::new(&engine, ());
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&module).unwrap();
    linker.allow_shadowing(true);
    linker
        .func_wrap(
            "wasi_snapshot_preview1",
            "fd_write",
            |_: i32, _: i32, _: i32, _: i32| 0,
        )
        .unwrap();
    let instance: Instance = linker.instantiate(&mut store, &module).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start");
    start.unwrap().call(&mut store, ()).unwrap();
    let Some(Extern::Global(at)) = instance.get_export(&mut store, "at") else {
        panic!("the log is gone");
    };
    let Val::I32(at) = at.get(&mut store) else {
        panic!("the log is no i32");
    };
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let log = memory.data(&store)[1024..at as usize].chunks_exact(8);
    let log = log.map(|value| i64::from_le_bytes(value.try_into().unwrap()));
    (log.collect(), at)
}

/// Runs a program in one go and from its checkpoint, in both layouts; answers its log.
#[track_caller]
fn same(code: &str) -> Vec<i64> {
    let wasm = program(code);
    let (expected, at) = left(&checkpoint::fill(wasm.clone()).unwrap().0);
    for layout in [Layout::Single, Layout::Multi] {
        let packed = packed_as(&wasm, layout);
        let ready = initialise(&packed, &plan(How::Run)).unwrap().wasm;
        let module = Module::parse(&ready).unwrap();
        assert!(
            module
                .imports
                .iter()
                .all(|import| import.module != "monaka"),
            "the checkpoint is still imported"
        );
        let packed = Packed::open(&ready, &module).unwrap().unwrap();
        assert_eq!(packed.init, Some(InitRecord::Run));
        assert!(packed.tables().starts_with(b"monakafs"));
        assert_eq!(left(&ready), (expected.clone(), at), "{layout:?}");
    }
    expected
}

#[track_caller]
fn refused(code: &str) -> String {
    refused_as(code, &plan(How::Run))
}

#[track_caller]
fn refused_as(code: &str, plan: &Plan<'_>) -> String {
    let packed = packed_as(&program(code), Layout::Single);
    match initialise(&packed, plan) {
        Ok(_) => panic!("it was initialised"),
        Err(error) => {
            assert!(
                crate::report::hint_of(&error).is_some(),
                "no hint: {error:#}"
            );
            format!("{error:#}")
        }
    }
}

#[test]
fn a_checkpoint_in_start_itself() {
    let log = same(
        r#"(func (export "_start")
            (call $log (i64.const 1)) (call $checkpoint) (call $log (i64.const 2)))"#,
    );
    assert_eq!(log, [1, 2]);
}

#[test]
fn locals_and_operands_of_every_type() {
    let log = same(
        r#"(func $all (param i32 i64 f32 f64 v128 funcref) (result i64)
            (local $l i64)
            (local.set $l (i64.const -5))
            (i64.const -7) (f32.const nan:0x200001) (f64.const -0) (i32.const -1)
            (v128.const i64x2 -3 4) (ref.null extern)
            (call $checkpoint)
            (call $log32 (ref.is_null))
            (call $log (i64x2.extract_lane 0))
            (call $log32)
            (call $log (i64.reinterpret_f64))
            (call $log32 (i32.reinterpret_f32))
            (call $log)
            (call $log32 (local.get 0))
            (call $log (local.get 1))
            (call $log32 (i32.reinterpret_f32 (local.get 2)))
            (call $log (i64.reinterpret_f64 (local.get 3)))
            (call $log (i64x2.extract_lane 1 (local.get 4)))
            (call $log32 (ref.is_null (local.get 5)))
            (local.get $l))
        (func (export "_start")
            (call $log (call $all (i32.const -2) (i64.const 1) (f32.const 1.5) (f64.const nan)
                (v128.const i32x4 1 2 3 4) (ref.null func))))"#,
    );
    assert_eq!(log.len(), 13);
    assert_eq!(log[12], -5);
}

#[test]
fn nested_blocks_with_operands_below_them() {
    same(
        r#"(func $f (result i32)
            (i32.const 10)
            (block (result i32)
                (i32.const 20)
                (loop (result i32)
                    (i64.const 30)
                    (block
                        (call $log32 (i32.const 1))
                        (call $checkpoint)
                        (call $log32 (i32.const 2)))
                    (i32.wrap_i64))
                (i32.add))
            (i32.sub))
        (func (export "_start") (call $log32 (call $f)))"#,
    );
}

#[test]
fn operands_below_loops_and_conditions_are_those_of_the_last_round() {
    let log = same(
        r#"(func $id (param i32) (result i32) (local.get 0))
        (func (export "_start") (local $n i32)
            (loop $again
                (call $id (i32.mul (local.get $n) (i32.const 10)))
                (i64.const 7)
                (i32.const 5)
                (call $id (i32.const 1))
                (if (param i32) (result i32)
                    (then
                        (if (i32.eq (local.get $n) (i32.const 2)) (then (call $checkpoint)))
                        (i32.const 3) (i32.add))
                    (else (unreachable)))
                (call $log32)
                (call $log)
                (call $log32)
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $again (i32.lt_s (local.get $n) (i32.const 4)))))"#,
    );
    assert_eq!(log, [8, 7, 0, 8, 7, 10, 8, 7, 20, 8, 7, 30]);
}

#[test]
fn a_loop_goes_round_as_before() {
    let log = same(
        r#"(func (export "_start") (local $i i32)
            (loop $again
                (call $log32 (local.get $i))
                (if (i32.eq (local.get $i) (i32.const 3)) (then (call $checkpoint)))
                (call $log32 (i32.mul (local.get $i) (i32.const 100)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_s (local.get $i) (i32.const 10)))))"#,
    );
    assert_eq!(log.len(), 20);
}

#[test]
fn both_arms_of_an_if() {
    for (condition, expected) in [(1, 3), (0, 4)] {
        let log = same(&format!(
            r#"(func (export "_start") (local $n i32)
                (loop $again
                    (i32.const 5)
                    (if (param i32) (result i32) (i32.const {condition})
                        (then
                            (call $checkpoint)
                            (call $log32 (i32.const 3)))
                        (else
                            (call $log32 (i32.const 4))
                            (call $checkpoint)
                            (i32.const 1) (i32.add)))
                    (call $log32)
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (br_if $again (i32.lt_s (local.get $n) (i32.const 3)))))"#
        ));
        assert_eq!(log[0], expected);
        assert_eq!(log.len(), 6);
    }
}

#[test]
fn branches_out_of_code_that_is_passed_over() {
    let log = same(
        r#"(func $f (param $n i32) (result i32)
            (block $out (result i32)
                (block $three (block $two (block $one
                    (block $in
                        (br_table $in $one $two $three (i32.const 0)))
                    (drop (br_if $out (i32.const 77) (i32.const 0)))
                    (br_table $one $two $three $one (local.get $n)))
                    (call $log32 (i32.const 1))
                    (loop $more
                        (local.set $n (i32.add (local.get $n) (i32.const 1)))
                        (br_if $three (i32.gt_s (local.get $n) (i32.const 8)))
                        (drop (br_if $out (i32.const 99) (i32.gt_s (local.get $n) (i32.const 6))))
                        (if (i32.eq (local.get $n) (i32.const 2)) (then (call $checkpoint)))
                        (call $log32 (local.get $n))
                        (br_table $more $more $two $more (i32.const 0))))
                    (call $log32 (i32.const 2)))
                (i32.const 3)))
        (func (export "_start") (call $log32 (call $f (i32.const 0))))"#,
    );
    assert_eq!(log, [1, 1, 2, 3, 4, 5, 6, 99]);
}

#[test]
fn recursion_has_a_frame_of_its_own_for_each_call() {
    let log = same(
        r#"(func $f (param $n i32) (result i32)
            (if (i32.eqz (local.get $n))
                (then (call $checkpoint) (return (i32.const 1))))
            (call $log32 (local.get $n))
            (i32.mul (local.get $n)
                (i32.add (call $f (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))
            (call $log32 (i32.sub (i32.const 0) (local.get $n))))
        (func (export "_start") (call $log32 (call $f (i32.const 20))))"#,
    );
    assert_eq!(log.len(), 41);
}

#[test]
fn calls_through_a_table_and_with_many_results() {
    same(
        r#"(type $many (func (param i32) (result i32 i64 f64)))
        (table funcref (elem $other $g))
        (func $other (type $many) (unreachable))
        (func $g (type $many)
            (call $checkpoint)
            (local.get 0) (i64.const 8) (f64.const 2.5))
        (func (export "_start") (local $f f64)
            (i32.const 100)
            (call_indirect (type $many) (i32.const 7) (i32.const 1))
            (local.set $f)
            (call $log)
            (i32.add)
            (call $log32)
            (call $log (i64.trunc_f64_s (local.get $f))))"#,
    );
}

#[test]
fn blocks_with_parameters() {
    same(
        r#"(func (export "_start") (local $n i32)
            (i32.const 4) (i64.const 9)
            (loop $again (param i32 i64) (result i64)
                (call $log)
                (local.set $n)
                (if (i32.eq (local.get $n) (i32.const 2)) (then (call $checkpoint)))
                (call $log32 (local.get $n))
                (i32.sub (local.get $n) (i32.const 1))
                (i64.extend_i32_s (local.get $n))
                (br_if $again (local.get $n))
                (drop)
                (i64.extend_i32_s))
            (call $log))"#,
    );
}

#[test]
fn a_handler_on_the_way_still_catches() {
    let log = same(
        r#"(tag $e (param i32))
        (func $f (call $checkpoint) (throw $e (i32.const 42)))
        (func (export "_start")
            (block $caught (result i32)
                (try_table (catch $e $caught)
                    (call $log32 (i32.const 1))
                    (call $f)
                    (call $log32 (i32.const 2)))
                (i32.const 3))
            (call $log32))"#,
    );
    assert_eq!(log, [1, 42]);
}

#[test]
fn tail_calls_leave_no_frame() {
    same(
        r#"(func $g (param i32) (result i32) (call $checkpoint) (local.get 0))
        (func $f (param i32) (result i32) (return_call $g (i32.add (local.get 0) (i32.const 1))))
        (func (export "_start") (call $log32 (call $f (i32.const 5))))"#,
    );
}

#[test]
fn memory_that_has_grown_stays_grown() {
    let log = same(
        r#"(func (export "_start")
            (call $log32 (memory.grow (i32.const 40)))
            (i32.store (i32.const 2600000) (i32.const 123))
            (call $checkpoint)
            (call $log32 (memory.grow (i32.const 3)))
            (call $log32 (i32.load (i32.const 2600000)))
            (call $log32 (memory.size)))"#,
    );
    assert_eq!(log, [1, 41, 123, 44]);
}

#[test]
fn tables_and_segments_that_have_changed() {
    let log = same(
        r#"(type $t (func (result i32)))
        (table $t 3 10 funcref)
        (table $u 1 externref)
        (global $g (mut funcref) (ref.null func))
        (global $h (mut externref) (ref.null extern))
        (elem $e func $one $two)
        (elem (i32.const 0) func $two $one)
        (elem declare func $three)
        (data $kept "kept") (data $gone "gone") (data (i32.const 8) "active")
        (func $one (result i32) (i32.const 1))
        (func $two (result i32) (i32.const 2))
        (func $three (result i32) (i32.const 3))
        (func (export "_start")
            (call $log32 (table.grow $t (ref.func $three) (i32.const 2)))
            (table.init $t $e (i32.const 2) (i32.const 0) (i32.const 1))
            (elem.drop $e)
            (table.set $t (i32.const 0) (ref.null func))
            (global.set $g (ref.func $two))
            (memory.init $gone (i32.const 100) (i32.const 0) (i32.const 4))
            (data.drop $gone)
            (call $checkpoint)
            (call $log32 (table.size $t))
            (call $log32 (ref.is_null (table.get $t (i32.const 0))))
            (call $log32 (call_indirect $t (type $t) (i32.const 1)))
            (call $log32 (call_indirect $t (type $t) (i32.const 2)))
            (call $log32 (call_indirect $t (type $t) (i32.const 4)))
            (table.set $t (i32.const 0) (global.get $g))
            (call $log32 (call_indirect $t (type $t) (i32.const 0)))
            (memory.init $kept (i32.const 104) (i32.const 0) (i32.const 4))
            (memory.init $gone (i32.const 200) (i32.const 0) (i32.const 0))
            (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 0))
            (call $log (i64.load (i32.const 100))))"#,
    );
    assert_eq!(log[..7], [3, 5, 1, 1, 1, 3, 2]);
    assert_eq!(log[7].to_le_bytes(), *b"gonekept");
}

#[test]
fn the_start_function_runs_once() {
    let log = same(
        r#"(func $begin (call $log (i64.const 1)))
        (start $begin)
        (func (export "_start") (call $checkpoint) (call $log (i64.const 2)))"#,
    );
    assert_eq!(log, [1, 2]);
}

#[test]
fn the_marker_on_stderr_is_a_checkpoint() {
    for marker in ["monaka:checkpoint", "monaka:checkpoint\\n"] {
        let len = marker.replace("\\n", "\n").len();
        let code = format!(
            r#"(data (i32.const 16) "\40\00\00\00\06\00\00\00\46\00\00\00")
            (data (i32.const 64) "{marker}")
            (func (export "_start")
                (i32.store (i32.const 28) (i32.const {rest}))
                (call $log (i64.const 1))
                (call $log32
                    (call $fd_write (i32.const 2) (i32.const 16) (i32.const 2) (i32.const 8)))
                (call $log32 (i32.load (i32.const 8))))"#,
            rest = len - 6
        );
        let packed = packed_as(&program(&code), Layout::Single);
        let ready = initialise(&packed, &plan(How::Run)).unwrap().wasm;
        assert_eq!(left(&ready).0, [1, 0, len as i64]);
    }
}

#[test]
fn an_export_is_called_behind_initialize() {
    let code = r#"(func (export "_initialize") (call $log (i64.const 1)))
        (func (export "prepare") (result i32)
            (call $checkpoint) (call $log (i64.const 2)) (i32.const 5))
        (func (export "_start") (call $log (i64.const 3)))"#;
    let packed = packed_as(&program(code), Layout::Single);
    let ready = initialise(&packed, &plan(How::Function("prepare"))).unwrap();
    assert_eq!(left(&ready.wasm).0, [1, 2, 3]);
    let module = Module::parse(&ready.wasm).unwrap();
    let names: Vec<&str> = module.exports.iter().map(|export| export.name).collect();
    assert_eq!(names, ["memory", "at", "prepare", "_start"]);
    let packed = Packed::open(&ready.wasm, &module).unwrap().unwrap();
    assert_eq!(packed.init, Some(InitRecord::Function("prepare".into())));
}

#[test]
fn names_are_given_to_what_goes_on() {
    let code = r#"(func $deep (call $checkpoint))
        (func $main (export "_start") (call $deep))"#;
    let packed = packed_as(&program(code), Layout::Single);
    let ready = initialise(&packed, &plan(How::Run)).unwrap().wasm;
    let module = Module::parse(&ready).unwrap();
    let start = module.exports.iter().find(|export| export.name == "_start");
    let start = start.unwrap().index;
    assert_eq!(module.function_name(start), "`monaka::resume main`");
    assert_eq!(module.function_name(start + 1), "`monaka::resume deep`");
}

#[test]
fn a_module_without_a_checkpoint_call_keeps_its_bytes() {
    let wasm = wat::parse_str("(module (memory 1))").unwrap();
    assert_eq!(checkpoint::fill(wasm.clone()).unwrap().0, wasm);
}

#[test]
fn what_cannot_be_kept_is_refused_by_name() {
    let holds = r#"(elem declare func $f)
        (func $f (param funcref) (call $checkpoint))
        (func (export "_start") (call $f (ref.func $f)))"#;
    assert!(refused(holds).contains("holds a reference in function `f`"));
    let on_the_stack = r#"(elem declare func $f)
        (func $f (call $checkpoint))
        (func $g (ref.func $f) (call $f) (drop))
        (func (export "_start") (call $g))"#;
    assert!(refused(on_the_stack).contains("holds a reference in function `g`"));
    let heap = r#"(type $s (struct (field i32)))
        (global $g (mut anyref) (ref.null any))
        (func (export "_start")
            (global.set $g (struct.new $s (i32.const 1)))
            (call $checkpoint))"#;
    assert!(
        refused(heap).contains("heap in global 1"),
        "{}",
        refused(heap)
    );
    let table = r#"(table $t 1 anyref)
        (func $put (table.set $t (i32.const 0) (ref.i31 (i32.const 1))))
        (func (export "_start") (call $put) (call $checkpoint))"#;
    assert!(refused(table).contains("table 0 (by table.set, as in function `put`)"));
    let start = r#"(start $checkpoint) (func (export "_start"))"#;
    assert!(
        refused(start).contains("start function"),
        "{}",
        refused(start)
    );
}

#[test]
fn a_program_that_asks_for_what_is_not_there_is_refused() {
    let case = |code: &str| refused(&format!("(func (export \"_start\") {code})"));
    let end = "(call $checkpoint)";
    let stdin = "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)))";
    assert!(case(&format!("{stdin}{end}")).contains("reads stdin"));
    let random = format!("(drop (call $random_get (i32.const 0) (i32.const 8))) {end}");
    assert!(case(&random).contains("random bytes"));
    assert!(case("(call $proc_exit (i32.const 3))").contains("ended with status 3 before"));
    assert!(case("").contains("has ended and not come to its checkpoint"));
    assert!(case("(unreachable)").contains("failed before its checkpoint"));
    let endless = program("(func (export \"_start\") (loop $again (br $again)))");
    let mut briefly = plan(How::Run);
    briefly.timeout = Some(Duration::from_millis(50));
    let error = initialise(&packed_as(&endless, Layout::Single), &briefly);
    let error = error.err().expect("it has not ended").to_string();
    assert!(error.contains("ran for 0.05 s"), "{error}");
    let allowed = Plan {
        random: true,
        ..plan(How::Run)
    };
    let random = program(&format!("(func (export \"_start\") {random})"));
    initialise(&packed_as(&random, Layout::Single), &allowed).unwrap();
}

#[test]
fn a_program_that_does_not_repeat_itself_is_refused() {
    // The calls on the way to the checkpoint are random bits.
    let code = r#"(func $deep (param $bits i64) (param $n i32)
            (if (i32.eqz (local.get $n)) (then (call $checkpoint) (return)))
            (if (i32.wrap_i64 (i64.and (local.get $bits) (i64.const 1)))
                (then
                    (call $deep (i64.shr_u (local.get $bits) (i64.const 1))
                        (i32.sub (local.get $n) (i32.const 1))))
                (else
                    (call $deep (i64.shr_u (local.get $bits) (i64.const 1))
                        (i32.sub (local.get $n) (i32.const 1))))))
        (func (export "_start")
            (drop (call $random_get (i32.const 0) (i32.const 8)))
            (call $deep (i64.load (i32.const 0)) (i32.const 64)))"#;
    let allowed = Plan {
        random: true,
        ..plan(How::Run)
    };
    let error = refused_as(code, &allowed);
    assert!(error.contains("in another way"), "{error}");
}

#[test]
fn exports_that_cannot_be_called_are_refused() {
    let code = r#"(func (export "needs") (param i32)) (func (export "other"))"#;
    let error = refused_as(code, &plan(How::Function("needs")));
    assert!(error.contains("without arguments"), "{error}");
    let error = refused_as(code, &plan(How::Function("missing")));
    assert!(error.contains("does not export missing"), "{error}");
    let packed = packed_as(&program(code), Layout::Single);
    let module = Module::parse(&packed).unwrap();
    let hint = entry(&module, How::Function("missing")).unwrap_err();
    let hint = crate::report::hint_of(&hint).unwrap();
    assert!(hint.ends_with("--init-func: other"), "{hint}");
}

#[test]
fn the_record_round_trips() {
    for record in [InitRecord::Run, InitRecord::Function("prepare".into())] {
        assert_eq!(InitRecord::decode(&record.encode()), Some(record));
    }
    assert_eq!(InitRecord::decode(&[]), None);
    assert_eq!(InitRecord::decode(&[2]), None);
}

#[test]
fn the_image_stays_the_last_data_segment() {
    // By more than is kept free behind it.
    let code = r#"(func (export "_start")
            (drop (memory.grow (i32.const 400))) (call $checkpoint))"#;
    for layout in [Layout::Single, Layout::Multi] {
        let packed = packed_as(&program(code), layout);
        let ready = initialise(&packed, &plan(How::Run)).unwrap().wasm;
        let found = packed::find(&ready).unwrap().unwrap();
        let before = packed::find(&packed).unwrap().unwrap();
        assert_eq!(found.image, before.image);
        assert_eq!(found.record.digest, before.record.digest);
        let moved = found.record.address - before.record.address;
        assert_eq!(moved > 0, layout == Layout::Single, "{moved}");
        let sections = split(&ready).unwrap();
        assert!(find(&sections, id::START).is_none());
    }
}
