use super::*;
use crate::module::analyze::Module;
use crate::module::section::{find, split};

const MODULE: &str = r#"(module
    (type $t (func (param i32) (result i32)))
    (import "wasi" "gone" (func $gone (type $t)))
    (import "env" "stays" (func $stays (type $t)))
    (table 4 4 funcref)
    (table $init 1 1 funcref (ref.func $gone))
    (global $g funcref (ref.func $gone))
    (export "gone" (func $gone))
    (export "stays" (func $stays))
    (start $start)
    (elem (table 0) (i32.const 0) func $gone $stays $gone)
    (elem (table 0) (i32.const 3) funcref (ref.func $gone))
    (elem declare func $gone)
    (func $ours (type $t) local.get 0)
    (func $start (drop (call $gone (i32.const 1))) (drop (ref.func $gone)))
    (func $tail (type $t) (local $named i32) (return_call $gone (local.get 0)))
    (@custom "metadata.code.trace_inst" "\00")
    (@custom "other" "\01\02\03")
)"#;

fn splice_of(wat: &str, splice: &Splice) -> (Vec<u8>, Vec<String>) {
    let wasm = wat::parse_str(wat).unwrap();
    let module = Module::parse(&wasm).unwrap();
    let spliced = apply(split(&wasm).unwrap(), module.function_count(), splice).unwrap();
    let wasm = join(&spliced.sections);
    debug_assert_valid(&wasm, "spliced");
    (wasm, spliced.notes)
}

fn gone_to_ours() -> Splice {
    Splice {
        removed: [0].into(),
        redirected: [(0, 2)].into(),
        kept: BTreeSet::new(),
    }
}

#[test]
fn every_kind_of_reference_follows() {
    let (wasm, _) = splice_of(MODULE, &gone_to_ours());
    let expected = wat::parse_str(
        r#"(module
        (type $t (func (param i32) (result i32)))
        (type (func))
        (import "env" "stays" (func $stays (type $t)))
        (table 4 4 funcref)
        (table $init 1 1 funcref (ref.func $ours))
        (global $g funcref (ref.func $ours))
        (export "gone" (func $ours))
        (export "stays" (func $stays))
        (start $start)
        (elem (table 0) (i32.const 0) func $ours $stays $ours)
        (elem (table 0) (i32.const 3) funcref (ref.func $ours))
        (elem declare func $ours)
        (func $ours (type $t) local.get 0)
        (func $start (drop (call $ours (i32.const 1))) (drop (ref.func $ours)))
        (func $tail (type $t) (local $named i32) (return_call $ours (local.get 0)))
        (@custom "other" "\01\02\03")
        )"#,
    )
    .unwrap();
    let expected = split(&expected).unwrap();
    let found = split(&wasm).unwrap();
    let ids = |sections: &[Section<'_>]| sections.iter().map(|s| s.id).collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&expected));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.data, expected.data, "section {}", found.id);
    }
}

#[test]
fn kept_entries_are_not_redirected() {
    let splice = Splice {
        removed: BTreeSet::new(),
        redirected: [(0, 2)].into(),
        kept: [(0, 2), (1, 0)].into(),
    };
    let (wasm, _) = splice_of(MODULE, &splice);
    let module = Module::parse(&wasm).unwrap();
    let slots: Vec<u32> = (0..4).map(|slot| module.slots[&slot].function).collect();
    assert_eq!(slots, [2, 1, 0, 0]);
}

#[test]
fn sections_of_function_indices_are_dropped_with_a_note() {
    let (wasm, notes) = splice_of(MODULE, &gone_to_ours());
    assert!(
        !split(&wasm)
            .unwrap()
            .iter()
            .any(|s| s.is_custom("metadata.code.trace_inst"))
    );
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("metadata.code.trace_inst"), "{notes:?}");
}

#[test]
fn a_removed_import_needs_a_replacement_where_it_is_used() {
    let wasm = wat::parse_str(MODULE).unwrap();
    let splice = Splice {
        removed: [0].into(),
        ..Splice::default()
    };
    let Err(error) = apply(split(&wasm).unwrap(), 5, &splice) else {
        panic!("a dangling reference went through");
    };
    assert!(format!("{error:#}").contains("function 0"), "{error:#}");
}

#[test]
fn an_index_keeps_its_width() {
    // 200 functions push the last one's index to two bytes; after removing
    // an import, a call of function 128 becomes one of 127 in two bytes.
    let many = "(func)".repeat(127);
    let wat =
        format!(r#"(module (import "a" "b" (func)) {many} (func $last) (func (call $last)))"#);
    let wasm = wat::parse_str(&wat).unwrap();
    let splice = Splice {
        removed: [0].into(),
        ..Splice::default()
    };
    let spliced = apply(split(&wasm).unwrap(), 130, &splice).unwrap();
    let sections = split(&wasm).unwrap();
    let before = find(&sections, id::CODE).unwrap();
    let after = find(&spliced.sections, id::CODE).unwrap();
    assert_eq!(before.data.len(), after.data.len());
    assert!(
        after.data.ends_with(&[0x10, 0xff, 0x00, 0x0b]),
        "{:?}",
        &after.data[after.data.len() - 6..]
    );
    assert!(spliced.notes.is_empty());
}

#[test]
fn a_body_that_must_grow_costs_the_debug_sections() {
    let many = "(func)".repeat(200);
    let wat = format!(
        r#"(module (import "a" "b" (func $b)) (func (call $b)) {many} (func $ours)
        (func (call $b)) (@custom ".debug_info" "x") (@custom "keep" "y"))"#
    );
    let splice = Splice {
        redirected: [(0, 202)].into(),
        ..Splice::default()
    };
    let (wasm, notes) = splice_of(&wat, &splice);
    let sections = split(&wasm).unwrap();
    assert!(
        !sections
            .iter()
            .any(|section| section.is_custom(".debug_info"))
    );
    assert!(sections.iter().any(|section| section.is_custom("keep")));
    assert_eq!(
        notes,
        ["dropped .debug_info: code is no longer where it says"]
    );
}

#[test]
fn without_changes_the_bytes_stay() {
    let (wasm, notes) = splice_of(MODULE, &Splice::default());
    assert_eq!(wasm, wat::parse_str(MODULE).unwrap());
    assert!(notes.is_empty());
}
