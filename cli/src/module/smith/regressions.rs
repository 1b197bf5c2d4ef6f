//! What the generated modules have found, a module each.

use super::super::merge::Layout;
use super::Verdict::{Refused, Same};
use super::check;

fn outcome(wat: &str) -> Vec<super::Verdict> {
    let wasm = wat::parse_str(wat).unwrap();
    let verdicts = check(&wasm, false).unwrap_or_else(|what| panic!("{what}"));
    let layouts: Vec<Layout> = verdicts.iter().map(|(layout, _)| *layout).collect();
    assert_eq!(layouts, [Layout::Single, Layout::Multi]);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

/// No host has a function of such a type; and where the program refers to the
/// import as one, the blob's would not be.
#[test]
fn an_import_of_a_type_with_subtypes_is_refused() {
    for ty in [
        "(type $t (sub (func (param i32) (result i32))))",
        "(rec (type $t (func (param i32) (result i32))) (type (struct)))",
    ] {
        let wat = format!(
            r#"(module {ty}
                (import "wasi_snapshot_preview1" "fd_sync" (func $sync (type $t)))
                (memory (export "memory") 1)
                (global (export "global") (ref $t) (ref.func $sync)))"#
        );
        assert_eq!(outcome(&wat), [Refused; 2], "{ty}");
    }
    let plain = r#"(module (type $t (func (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_sync" (func $sync (type $t)))
        (memory (export "memory") 1)
        (global (export "global") (ref $t) (ref.func $sync)))"#;
    assert_eq!(outcome(plain), [Same; 2]);
}

/// In the single layout its bytes would be the file system's, and the program
/// would not trap at start as it did.
#[test]
fn a_segment_past_the_end_is_refused() {
    for (memories, segment) in [
        ("", r#"(data (i32.const 65535) "ab")"#),
        ("", r#"(data (i32.const 65537) "")"#),
        ("(memory $m 0)", r#"(data (memory $m) (i32.const 0) "a")"#),
    ] {
        let wat = format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
                (memory (export "memory") 1) {memories} {segment})"#
        );
        assert_eq!(outcome(&wat), [Refused; 2], "{segment}");
    }
}
