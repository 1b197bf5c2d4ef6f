//! The programs of `tests/programs` in every language, packed in both layouts, on
//! every runtime: each must print what it prints on wasmtime with real directories.
//! A runtime that cannot have a second memory must say so.

use monaka_tests::runtime::Runtime;
use tempfile::TempDir;

use crate::built::built;
use crate::case::Case;

/// What the runtime says where it cannot run modules of this layout.
fn refusal(runtime: Runtime, layout: &str) -> Option<&'static str> {
    match (runtime, layout) {
        (Runtime::Node, "multi") => Some("memory count of 2 exceeds internal limit of 1"),
        (Runtime::Pooling, "multi") => {
            Some("defined memories count of 2 exceeds the per-instance limit of 1")
        }
        _ => None,
    }
}

fn check(runtime: Runtime, language: &'static str, args: &[&str]) {
    let case = Case::new(built(language), args);
    let expected = case.unpacked(0);
    for layout in ["single", "multi"] {
        let dir = TempDir::new().expect("create a directory");
        let module = case.pack_into(layout, dir.path());
        let outcome = runtime.run(&module, args, "");
        match refusal(runtime, layout) {
            None => outcome.expect_same(&expected),
            Some(message) => {
                assert_ne!(outcome.code, Some(0), "it runs: {}", outcome.stdout);
                assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
            }
        }
    }
}

macro_rules! languages {
    ($runtime:ident $megabytes:literal $attributes:tt: $($name:ident $language:literal)*) => {
        $(language! { $runtime $megabytes $attributes $name $language })*
    };
}

macro_rules! language {
    ($runtime:ident $megabytes:literal [$($attributes:tt)*] $name:ident $language:literal) => {
        #[test]
        $($attributes)*
        fn $name() {
            if Runtime::$runtime.is_here() {
                check(Runtime::$runtime, $language, &["files"]);
                check(Runtime::$runtime, $language, &["grow", $megabytes]);
            }
        }
    };
}

/// A module for each runtime with a test for each language; heap and files grow to
/// that many megabytes. Attributes go to each test.
macro_rules! runtimes {
    ($($module:ident $runtime:ident $megabytes:literal $attributes:tt;)*) => {$(
        mod $module {
            use super::*;

            languages! { $runtime $megabytes $attributes:
                c_old "c-old"
                c_yowasp "c-yowasp"
                rust "rust"
                go "go"
                zig "zig"
                assemblyscript "assemblyscript"
            }
        }
    )*};
}

runtimes! {
    wasmtime Wasmtime "40" [];
    pooling Pooling "40" [];
    pooling_two PoolingTwo "40" [];
    // More, and node 20 crashes now and then, on what is not packed as well.
    node Node "4" [];
    chromium Chromium "40" [];
    wasmi Wasmi "4" [];
    newer_node NewerNode "40" [#[ignore = "fetched by make subjects"]];
    deno Deno "40" [#[ignore = "fetched by make subjects"]];
}

/// Memory that the host does not give is a full disk, and nothing else breaks. In a
/// memory that it shares, the heap would be full as well.
#[test]
fn a_small_pool_is_a_full_disk() {
    let runtime = Runtime::PoolingSmall;
    if !runtime.is_here() {
        return;
    }
    for language in ["c-old", "c-yowasp", "rust", "go", "zig", "assemblyscript"] {
        let args = ["limit", "8"];
        let dir = TempDir::new().expect("create a directory");
        let module = Case::new(built(language), &args).pack_into("multi", dir.path());
        let printed = runtime.run(&module, &args, "").expect_success().stdout;
        let full = "full, and more than 100 files: true\n";
        let expected = format!("round 1: {full}round 2: {full}--- tree\n");
        assert_eq!(printed, expected, "{language}");
    }
}
