//! `monaka inspect` names what a module uses of WebAssembly, and says of each runtime
//! whether that is in it: a tiny module per feature, which the runtimes that are here
//! are asked to run.

use std::fs;

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{finish, monaka};
use tempfile::TempDir;

/// A command that uses the features named, and no other.
struct Sample {
    features: &'static [&'static str],
    /// Fields of the module beside its memory, which follow it.
    fields: &'static str,
    /// The memory's type.
    memory: &'static str,
    /// What the command does.
    body: &'static str,
}

const NOTHING: Sample = Sample {
    features: &[],
    fields: "",
    memory: "1",
    body: "",
};

const SAMPLES: [Sample; 20] = [
    NOTHING,
    Sample {
        features: &["mutable globals"],
        fields: r#"(global (export "g") (mut i32) (i32.const 0))"#,
        ..NOTHING
    },
    Sample {
        features: &["sign extension"],
        body: "(drop (i32.extend8_s (i32.const 1)))",
        ..NOTHING
    },
    Sample {
        features: &["saturating float-to-int"],
        body: "(drop (i32.trunc_sat_f32_s (f32.const 1)))",
        ..NOTHING
    },
    Sample {
        features: &["multi-value"],
        fields: "(func $two (result i32 i32) (i32.const 1) (i32.const 2))",
        body: "(call $two) (drop) (drop)",
        ..NOTHING
    },
    Sample {
        features: &["bulk memory"],
        body: "(memory.fill (i32.const 0) (i32.const 0) (i32.const 1))",
        ..NOTHING
    },
    Sample {
        features: &["reference types"],
        body: "(drop (ref.is_null (ref.null func)))",
        ..NOTHING
    },
    Sample {
        features: &["SIMD"],
        body: "(drop (i32x4.extract_lane 0 (v128.const i32x4 1 2 3 4)))",
        ..NOTHING
    },
    Sample {
        features: &["extended const"],
        fields: "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        ..NOTHING
    },
    Sample {
        features: &["tail calls"],
        fields: "(func $f) (func $g (return_call $f))",
        body: "(call $g)",
        ..NOTHING
    },
    Sample {
        features: &["SIMD", "relaxed SIMD"],
        body: "(drop (i8x16.relaxed_swizzle
            (v128.const i32x4 1 2 3 4) (v128.const i32x4 0 0 0 0)))",
        ..NOTHING
    },
    Sample {
        features: &["multi-memory"],
        fields: "(memory 1)",
        ..NOTHING
    },
    Sample {
        features: &["memory64"],
        memory: "i64 1",
        ..NOTHING
    },
    Sample {
        features: &["threads"],
        body: "(drop (i32.atomic.load (i32.const 0)))",
        ..NOTHING
    },
    Sample {
        features: &["legacy exceptions"],
        fields: "(tag $e)",
        body: "try throw $e catch_all end",
        ..NOTHING
    },
    Sample {
        features: &["exceptions"],
        fields: "(tag $e)",
        body: "(block $caught (try_table (catch_all $caught) (throw $e)))",
        ..NOTHING
    },
    Sample {
        features: &["reference types", "function references"],
        fields: "(type $t (func)) (func $f) (elem declare func $f)",
        body: "(call_ref $t (ref.func $f))",
        ..NOTHING
    },
    Sample {
        features: &["GC"],
        fields: "(type $s (struct (field i32)))",
        body: "(drop (struct.new $s (i32.const 1)))",
        ..NOTHING
    },
    Sample {
        features: &["custom page sizes"],
        memory: "1 (pagesize 1)",
        ..NOTHING
    },
    Sample {
        features: &["wide arithmetic"],
        body: "(i64.mul_wide_u (i64.const 1) (i64.const 2)) (drop) (drop)",
        ..NOTHING
    },
];

impl Sample {
    fn module(&self) -> Vec<u8> {
        let Sample {
            fields,
            memory,
            body,
            ..
        } = self;
        let text = format!(
            r#"(module (memory (export "memory") {memory}) {fields} (func (export "_start") {body}))"#
        );
        wat::parse_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }
}

/// The value of a field of `monaka inspect --json`, which has one a line.
fn field<'j>(json: &'j str, name: &str) -> &'j str {
    let start = format!("  \"{name}\": ");
    let line = json.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {name} in {json}"))
        .trim_end_matches(',')
}

/// Since when `runtime` has what a module uses, as `inspect` says.
fn since(runs_on: &str, runtime: &str) -> Option<(u32, u32)> {
    let (_, rest) = runs_on
        .split_once(&format!("\"{runtime}\": "))
        .unwrap_or_else(|| panic!("no {runtime} in {runs_on}"));
    let said = rest.split([',', '}']).next().expect("a value");
    (said != "null").then(|| version(said.trim_matches('"')))
}

fn version(said: &str) -> (u32, u32) {
    let mut numbers = said
        .split('.')
        .map(|number| number.parse().expect("a number"));
    (
        numbers.next().expect("a number"),
        numbers.next().unwrap_or(0),
    )
}

/// What `inspect` says of each sample, and the sample's place.
fn inspected(mut see: impl FnMut(&Sample, &str, &std::path::Path)) {
    let dir = TempDir::new().expect("create a directory");
    let path = dir.path().join("sample.wasm");
    for sample in &SAMPLES {
        fs::write(&path, sample.module()).expect("write");
        let said = finish(monaka(["inspect", "--json"]).arg(&path), "").expect_success();
        see(sample, &said.stdout, &path);
    }
}

#[test]
fn features_are_named() {
    inspected(|sample, said, _| {
        let names: Vec<_> = sample
            .features
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        assert_eq!(field(said, "features"), format!("[{}]", names.join(", ")));
    });
}

/// `runtime`, called `name` in what `inspect` says, runs just the samples that it says
/// its version runs.
fn runs_what_is_said(runtime: Runtime, name: &str) {
    if !runtime.is_here() {
        return;
    }
    let it = runtime.version();
    let mut wrong = Vec::new();
    inspected(|sample, said, path| {
        let said =
            since(field(said, "runs_on"), name).is_some_and(|first| first <= version_of(&it));
        let outcome = runtime.run(path, &[""; 0], "");
        if said != (outcome.code == Some(0)) {
            wrong.push(format!(
                "{:?}: said {said}\n{}",
                sample.features, outcome.stderr
            ));
        }
    });
    assert!(wrong.is_empty(), "{name} {it}\n{}", wrong.join("\n"));
}

/// The first two numbers of a longer version.
fn version_of(said: &str) -> (u32, u32) {
    let numbers: Vec<_> = said.splitn(3, '.').take(2).collect();
    version(&numbers.join("."))
}

macro_rules! runtimes {
    ($($name:ident $runtime:ident $said:literal $(#[$attribute:meta])?;)*) => {$(
        #[test]
        $(#[$attribute])?
        fn $name() {
            runs_what_is_said(Runtime::$runtime, $said);
        }
    )*};
}

runtimes! {
    wasmtime_runs_what_is_said Wasmtime "wasmtime";
    node_runs_what_is_said Node "node";
    wasmi_runs_what_is_said Wasmi "wasmi";
    newer_node_runs_what_is_said NewerNode "node" #[ignore = "fetched by make subjects"];
    deno_runs_what_is_said Deno "Deno" #[ignore = "fetched by make subjects"];
    chromium_runs_what_is_said Chromium "Chrome" #[ignore = "a browser per sample: make subjects"];
}
