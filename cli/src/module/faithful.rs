//! What of a program stays as it was when the file system is merged into it.

use wasmparser::{CodeSectionReader, KnownCustom, Name, Parser, Payload, ProducersSectionReader};

use super::analyze::Module;
use super::detach;
use super::merge::{Layout, Merged};
use super::section::{find, id, join, split};
use crate::module::reach::Reach;

const LAYOUTS: [Layout; 2] = [Layout::Single, Layout::Multi];

const PROGRAM: &str = r#"(module $program
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param $fd i32) (result i32)))
    (import "env" "hello" (func $hello))
    (memory 1)
    (func $first (param $a i32) (result i32) (call $close (local.get $a)))
    (func $second (export "second") (result i32) (local $l i32)
        (block $b (br $b)) (call $hello) (memory.grow (call $first (local.get $l)))))"#;

fn merged(wasm: &[u8], layout: Layout) -> (Vec<u8>, Vec<String>) {
    let module = Module::parse(wasm).unwrap();
    let merged = Merged::new(wasm, &module, layout, Reach::usual(false), false).unwrap();
    (join(&merged.sections), merged.notes)
}

/// Without a name section and with custom sections in between.
fn stripped(wat: &str) -> Vec<u8> {
    let wasm = wat::parse_str(wat).unwrap();
    let mut sections = split(&wasm).unwrap();
    sections.retain(|section| !section.is_custom("name"));
    join(&sections)
}

/// The names of functions, by their index.
fn names(wasm: &[u8]) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CustomSection(custom) = payload.unwrap()
            && let KnownCustom::Name(names) = custom.as_known()
        {
            for name in names {
                if let Name::Function(map) = name.unwrap() {
                    for naming in map {
                        let naming = naming.unwrap();
                        all.push((naming.index, naming.name.to_string()));
                    }
                }
            }
        }
    }
    all
}

#[test]
fn functions_keep_their_names_and_ours_get_some() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    for layout in LAYOUTS {
        let (out, notes) = merged(&wasm, layout);
        assert!(notes.is_empty(), "{notes:?}");
        let module = Module::parse(&out).unwrap();
        let found = names(&out);
        assert!(found.is_sorted_by(|a, b| a.0 < b.0), "{found:?}");
        let at = |name: &str| {
            let mut named = found.iter().filter(|(_, found)| found == name);
            let index = named.next().map(|(index, _)| *index);
            assert_eq!(named.next(), None, "{name} twice");
            index
        };
        assert_eq!(at("hello"), Some(0));
        assert_eq!(at("close"), None, "the import is gone");
        let second = module.exports.iter().find(|e| e.name == "second").unwrap();
        assert_eq!(at("second"), Some(second.index));
        assert_eq!(at("first"), Some(second.index - 1));
        assert!(at("monaka::fd_close").unwrap() > second.index);
        assert_eq!(
            at("monaka::memory.grow").is_some(),
            layout == Layout::Single
        );
        // All but the host's functions that were imported anew.
        let named: Vec<u32> = found.iter().map(|(index, _)| *index).collect();
        let defined: Vec<u32> = (module.imported_functions..module.function_count()).collect();
        assert_eq!(named[1..], defined);
        let ours = found
            .iter()
            .filter(|(_, name)| name.starts_with("monaka::"));
        let bytes: usize = ours.map(|(_, name)| name.len() + 3).sum();
        assert!(bytes < 4096, "{bytes} bytes of names");
    }
}

#[test]
fn names_of_locals_labels_and_the_module_stay() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    for layout in LAYOUTS {
        let (out, _) = merged(&wasm, layout);
        let second = |wasm: &[u8]| {
            let module = Module::parse(wasm).unwrap();
            let second = module.exports.iter().find(|e| e.name == "second");
            second.unwrap().index
        };
        let inner = |wasm: &[u8]| -> Vec<String> {
            let from = i64::from(second(wasm));
            let mut all = Vec::new();
            for payload in Parser::new(0).parse_all(wasm) {
                let Payload::CustomSection(custom) = payload.unwrap() else {
                    continue;
                };
                let KnownCustom::Name(names) = custom.as_known() else {
                    continue;
                };
                for name in names {
                    let (kind, map) = match name.unwrap() {
                        Name::Module { name, .. } => {
                            all.push(format!("module {name}"));
                            continue;
                        }
                        Name::Local(map) => ("locals", map),
                        Name::Label(map) => ("labels", map),
                        _ => continue,
                    };
                    for function in map {
                        let function = function.unwrap();
                        let names = function.names.into_iter().map(|naming| {
                            let naming = naming.unwrap();
                            format!("{} {}", naming.index, naming.name)
                        });
                        let names: Vec<String> = names.collect();
                        // Relative to a function that stays; the import's go with it.
                        let at = i64::from(function.index) - from;
                        if at >= -1 {
                            all.push(format!("{kind} of {at}: {names:?}"));
                        }
                    }
                }
            }
            all
        };
        assert_eq!(inner(&wasm), inner(&out), "{layout:?}");
        assert_eq!(inner(&out).len(), 4);
    }
}

#[test]
fn a_program_without_names_gets_none() {
    for layout in LAYOUTS {
        let (out, _) = merged(&stripped(PROGRAM), layout);
        let sections = split(&out).unwrap();
        assert!(!sections.iter().any(|section| section.is_custom("name")));
    }
}

#[test]
fn custom_sections_stay_in_place_and_order() {
    let wat = PROGRAM.replace(
        "(memory 1)",
        r#"(memory 1)
        (@custom "a" (before first) "1") (@custom "b" (after import) "2")
        (@custom "c" (before code) "3") (@custom "c" (before code) "4")
        (@custom "target_features" (after last) "\00") (@custom "d" (after last) "")"#,
    );
    let producers = r#"(@custom "producers" (before code) "\00"))"#;
    let with_producers = format!("{}{producers}", wat.strip_suffix(')').unwrap());
    for wat in [wat, with_producers] {
        let wasm = stripped(&wat);
        let sections = split(&wasm).unwrap();
        let ids: Vec<u8> = sections.iter().map(|section| section.id).collect();
        let shape = |wasm: &[u8]| -> Vec<String> {
            let sections = split(wasm).unwrap();
            let sections = sections.iter().filter(|section| ids.contains(&section.id));
            // Ours is new each time.
            let sections = sections.filter(|section| !section.is_custom(detach::SECTION));
            sections
                .map(|section| match section.as_custom() {
                    Some(("producers", _)) => "producers".into(),
                    Some((name, payload)) => format!("{name} {payload:?}"),
                    None => section.id.to_string(),
                })
                .collect()
        };
        let mut expected = shape(&wasm);
        assert_eq!(expected.iter().filter(|name| name.contains('[')).count(), 6);
        if !expected.contains(&"producers".to_string()) {
            expected.push("producers".into());
        }
        for layout in LAYOUTS {
            let (out, notes) = merged(&wasm, layout);
            assert!(notes.is_empty(), "{notes:?}");
            assert_eq!(shape(&out), expected, "{layout:?}");
        }
    }
}

#[test]
fn producers_gain_monaka_and_keep_the_others() {
    let field = r#"(@custom "producers" "\01\0cprocessed-by\01\05clang\0222"))"#;
    let wat = format!("{}{field}", PROGRAM.strip_suffix(')').unwrap());
    for layout in LAYOUTS {
        let (out, _) = merged(&wat::parse_str(&wat).unwrap(), layout);
        let sections = split(&out).unwrap();
        let mut all = sections.iter().filter_map(|section| section.as_custom());
        let (_, payload) = all.find(|(name, _)| *name == "producers").unwrap();
        let reader = wasmparser::BinaryReader::new(payload, 0);
        let mut found = Vec::new();
        for field in ProducersSectionReader::new(reader).unwrap() {
            let field = field.unwrap();
            for value in field.values {
                let value = value.unwrap();
                found.push((field.name, value.name, value.version));
            }
        }
        let version = env!("CARGO_PKG_VERSION");
        let expected = [
            ("processed-by", "clang", "22"),
            ("processed-by", "monaka", version),
        ];
        assert_eq!(found, expected);
    }
}

/// Where the bodies stand in the code section.
fn bodies(wasm: &[u8]) -> Vec<std::ops::Range<usize>> {
    let sections = split(wasm).unwrap();
    let code = find(&sections, id::CODE).unwrap();
    let bodies = CodeSectionReader::new(code.reader()).unwrap().into_iter();
    bodies.map(|body| body.unwrap().range()).collect()
}

#[test]
fn debug_sections_stay_only_where_code_does() {
    let debug = r#"(@custom ".debug_info" "x") (@custom "external_debug_info" "y")
        (@custom "sourceMappingURL" "z"))"#;
    let wat = format!("{}{debug}", PROGRAM.strip_suffix(')').unwrap());
    // More functions than a byte counts.
    let many = wat.replace(
        "(func $second",
        &format!("{} (func $second", "(func)".repeat(200)),
    );
    for (wat, wide) in [(&wat, false), (&many, false), (&many, true)] {
        let wasm = wat::parse_str(wat).unwrap();
        // As wasm-ld writes them, calls have room for every index.
        let wasm = if wide { padded(&wasm) } else { wasm };
        for layout in LAYOUTS {
            let (out, notes) = merged(&wasm, layout);
            let (before, after) = (bodies(&wasm), bodies(&out));
            let stayed = before.iter().all(|body| after.contains(body));
            let room = wide || before.len() < 100;
            assert_eq!(stayed, room && layout == Layout::Multi);
            let sections = split(&out).unwrap();
            for name in [".debug_info", "external_debug_info"] {
                let kept = sections.iter().any(|section| section.is_custom(name));
                assert_eq!(kept, stayed, "{name} in {layout:?}");
                assert_eq!(!kept, notes[0].contains(name), "{notes:?}");
            }
            assert!(notes[0].contains("sourceMappingURL"), "{notes:?}");
        }
    }
}

/// With all indices of calls in five bytes.
fn padded(wasm: &[u8]) -> Vec<u8> {
    let mut sections = split(wasm).unwrap();
    for section in &mut sections {
        if section.id != id::CODE {
            continue;
        }
        let mut code = wasm_encoder::CodeSection::new();
        for body in CodeSectionReader::new(section.reader()).unwrap() {
            let body = body.unwrap();
            let mut raw = Vec::new();
            let mut copied = body.range().start;
            let mut ops = body.get_operators_reader().unwrap();
            while !ops.eof() {
                let (op, at) = ops.read_with_offset().unwrap();
                if let wasmparser::Operator::Call { function_index } = op {
                    raw.extend(&section.data[copied..=at]);
                    for shift in [0, 7, 14, 21] {
                        raw.push((function_index >> shift) as u8 & 0x7f | 0x80);
                    }
                    raw.push(0);
                    copied = ops.original_position();
                }
            }
            raw.extend(&section.data[copied..body.range().end]);
            code.raw(&raw);
        }
        *section = super::section::encoded(id::CODE, &code);
    }
    join(&sections)
}

#[test]
fn branch_hints_follow_their_functions() {
    let hinted = PROGRAM.replace(
        "(block $b (br $b))",
        r#"(@metadata.code.branch_hint "\01") (if (i32.const 1) (then))"#,
    );
    let wasm = wat::parse_str(&hinted).unwrap();
    for layout in LAYOUTS {
        let hints = |wasm: &[u8]| -> Vec<(u32, Vec<(u32, bool)>)> {
            let mut all = Vec::new();
            for payload in Parser::new(0).parse_all(wasm) {
                if let Payload::CustomSection(custom) = payload.unwrap()
                    && let KnownCustom::BranchHints(functions) = custom.as_known()
                {
                    for function in functions {
                        let function = function.unwrap();
                        let hints = function.hints.into_iter().map(|hint| {
                            let hint = hint.unwrap();
                            (hint.func_offset, hint.taken)
                        });
                        all.push((function.func, hints.collect()));
                    }
                }
            }
            all
        };
        let (out, notes) = merged(&wasm, layout);
        assert!(notes.is_empty(), "{notes:?}");
        let (before, after) = (hints(&wasm), hints(&out));
        assert_eq!((before.len(), after.len()), (1, 1));
        assert_eq!(before[0].1, after[0].1);
        let module = Module::parse(&out).unwrap();
        let second = module.exports.iter().find(|e| e.name == "second").unwrap();
        assert_eq!(after[0].0, second.index);
    }
}
