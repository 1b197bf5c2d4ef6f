//! The whole way of a module, on a library written in text.

use monaka_vfs_core::image::{Meta, NodeId, Tree, ValidTree, Written, write};
use monaka_vfs_core::link::{ABI, ROOT};
use monaka_vfs_core::witx::{self, Hook};

use super::analyze::Module;
use super::merge::Layout;
use super::mount::MountError;
use super::packed::Packed;
use super::program::{Program, Route};
use super::reach::Reach;
use super::refusal::Refusal;
use super::section::{debug_assert_valid, find, id, split};

#[path = "../../tests/cli/fake.rs"]
mod fake;

use fake::{program, record};

fn meta() -> Meta {
    Meta {
        mtime: 1,
        executable: false,
    }
}

fn tree(files: &[(&str, &'static [u8])]) -> Tree<&'static [u8]> {
    let mut tree = Tree::new(meta());
    for (name, contents) in files {
        tree.add_file(
            NodeId::ROOT,
            name.as_bytes(),
            meta(),
            contents.len() as u64,
            *contents,
        )
        .unwrap();
    }
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    tree
}

fn pack_image(
    wasm: &[u8],
    image: &Written<'_, &[u8]>,
    allow_host_dirs: bool,
) -> anyhow::Result<Vec<u8>> {
    let module = Module::parse(wasm)?;
    let program = Program::new(
        wasm,
        &module,
        Some(Route::Linked),
        Layout::Single,
        Reach::usual(allow_host_dirs),
        false,
    )?;
    let mounted = program.mount(image)?;
    let mut out = Vec::new();
    program.write(&mut out, &mounted, image, |source, _, out| {
        Ok(out.write_all(source)?)
    })?;
    debug_assert_valid(&out, "the packed module");
    wasmparser::Validator::new().validate_all(&out)?;
    Ok(out)
}

fn pack(wat: &str, valid: &ValidTree<&'static [u8]>) -> anyhow::Result<Vec<u8>> {
    pack_image(&wat::parse_str(wat).unwrap(), &write(valid).unwrap(), false)
}

fn refusal(wat: &str) -> Refusal {
    let error = pack(wat, &tree(&[]).validate().unwrap()).expect_err("it was packed");
    error.downcast::<Refusal>().unwrap()
}

fn imports(wasm: &[u8]) -> Vec<String> {
    let module = Module::parse(wasm).unwrap();
    module
        .imports
        .iter()
        .map(|import| format!("{}.{}", import.module, import.name))
        .collect()
}

const FILES: &[(&str, &[u8])] = &[("a", b"first"), ("empty", b""), ("z", b"a longer file")];

#[test]
fn the_image_stands_where_it_was_mounted() {
    let valid = tree(FILES).validate().unwrap();
    let image = write(&valid).unwrap();
    let out = pack(&program(ABI, ""), &valid).unwrap();
    let module = Module::parse(&out).unwrap();
    let packed = Packed::open(&out, &module).unwrap().unwrap();
    assert_eq!(packed.tables(), image.tables);
    for content in &image.contents {
        let at = content.offset as usize;
        assert_eq!(
            &packed.data()[at..at + content.len as usize],
            *content.source
        );
    }
    let digest: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        packed.image,
    ))
    .into();
    assert_eq!(packed.record.digest, digest);
    assert_eq!(
        memchr::memmem::find_iter(&out, b"monakafs").count(),
        1,
        "the snapshot holds no second copy"
    );
    let memory = module.initial_memories().unwrap().remove(0);
    assert_eq!(memory[2000], 4, "mount has seen the four inodes");
    let at = packed.record.address as usize;
    assert_eq!(&memory[at..at + 8], b"monakafs");
}

#[test]
fn no_file_system_import_is_left() {
    let out = pack(&program(ABI, ""), &tree(FILES).validate().unwrap()).unwrap();
    assert_eq!(
        imports(&out),
        [
            "wasi_snapshot_preview1.fd_write",
            "wasi_snapshot_preview1.clock_time_get",
            "env.hello"
        ]
    );
    let module = Module::parse(&out).unwrap();
    assert!(
        !module.walk().unwrap().direct.contains(&0),
        "fd_write is only reached through the table"
    );
    assert_eq!(
        module.slots[&4].function, 0,
        "the library still reaches fd_write"
    );
    assert_eq!(
        module.slots[&6].function, module.slots[&5].function,
        "path_open is the library's"
    );
    let exports: Vec<&str> = module.exports.iter().map(|export| export.name).collect();
    assert_eq!(exports, ["memory", "_start"]);
}

#[test]
fn with_host_directories_the_library_keeps_its_imports() {
    let valid = tree(FILES).validate().unwrap();
    let wasm = wat::parse_str(program(ABI, "")).unwrap();
    let out = pack_image(&wasm, &write(&valid).unwrap(), true).unwrap();
    assert_eq!(imports(&out), imports(&wasm));
    let module = Module::parse(&out).unwrap();
    assert_eq!(module.slots[&6].function, 0);
    assert!(module.walk().unwrap().direct.is_empty());
    assert!(
        Packed::open(&out, &module)
            .unwrap()
            .unwrap()
            .record
            .host_dirs()
    );
}

#[test]
fn an_import_that_stands_twice_goes_to_the_library_twice() {
    let again = r#"(import "env" "hello" (func $hello (param i32)))
        (import "wasi_snapshot_preview1" "path_open" (func $open_again (type $open)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write_again (type $write)))"#;
    let more = r#"(func (export "again")
        (drop (call $write_again (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
        (drop (call $open_again (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0))))"#;
    let wat =
        program(ABI, more).replace(r#"(import "env" "hello" (func $hello (param i32)))"#, again);
    let out = pack(&wat, &tree(FILES).validate().unwrap()).unwrap();
    let imports = imports(&out);
    assert!(
        !imports.contains(&"wasi_snapshot_preview1.path_open".to_string()),
        "{imports:?}"
    );
    let module = Module::parse(&out).unwrap();
    assert!(module.walk().unwrap().direct.is_empty());
}

#[test]
fn packing_is_deterministic() {
    let valid = tree(FILES).validate().unwrap();
    assert_eq!(
        pack(&program(ABI, ""), &valid).unwrap(),
        pack(&program(ABI, ""), &valid).unwrap()
    );
}

#[test]
fn packing_twice_is_packing_once_with_both() {
    // Variants in which something must keep its place or be made anew.
    for more in [
        "",
        r#"(@custom "producers" "\01\0cprocessed-by\01\05clang\0222")"#,
        r#"(data $passive "for memory.init")
           (func (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 1)))"#,
        r#"(start $begin) (func $begin (i32.store (i32.const 0) (i32.const 1)))"#,
        r#"(memory $second 2) (data (memory $second) (i32.const 70000) "more")"#,
        r#"(@custom "name" "\00\02\01x")"#,
    ] {
        let wat = program(ABI, more);
        let both = tree(FILES).validate().unwrap();
        let once = pack(&wat, &both).unwrap();
        let first = pack(&wat, &tree(&FILES[..1]).validate().unwrap()).unwrap();
        let module = Module::parse(&first).unwrap();
        let packed = Packed::open(&first, &module).unwrap().unwrap();
        let original = packed.original(&module).unwrap();
        debug_assert_valid(&original, "the module before the pack");
        wasmparser::Validator::new()
            .validate_all(&original)
            .unwrap();
        let twice = pack_image(&original, &write(&both).unwrap(), false).unwrap();
        assert!(once == twice, "with {more}");
    }
}

#[test]
fn the_state_before_the_mount_comes_back() {
    let wasm = wat::parse_str(program(ABI, "")).unwrap();
    let first = pack(&program(ABI, ""), &tree(FILES).validate().unwrap()).unwrap();
    let module = Module::parse(&first).unwrap();
    let original = Packed::open(&first, &module)
        .unwrap()
        .unwrap()
        .original(&module)
        .unwrap();
    let (old, new) = (
        Module::parse(&wasm).unwrap(),
        Module::parse(&original).unwrap(),
    );
    let trimmed = |module: &Module<'_>| {
        let mut memory = module.initial_memories().unwrap().remove(0);
        while memory.last() == Some(&0) {
            memory.pop();
        }
        memory
    };
    assert!(trimmed(&old) == trimmed(&new));
    assert_eq!(old.memories, new.memories);
    let globals = |wasm: &[u8]| {
        find(&split(wasm).unwrap(), id::GLOBAL)
            .unwrap()
            .data
            .to_vec()
    };
    assert_eq!(globals(&wasm), globals(&original));
}

#[test]
fn an_image_too_large_says_the_sizes() {
    let mut tree = tree(&[]);
    tree.add_file(NodeId::ROOT, b"big", meta(), 20 << 20, b"" as &[u8])
        .unwrap();
    let error = pack(&program(ABI, ""), &tree.validate().unwrap()).expect_err("it was packed");
    let Some(MountError::TooLarge {
        needed,
        size,
        maximum,
    }) = error.downcast_ref()
    else {
        panic!("{error:#}");
    };
    assert!(*needed > 20 << 20);
    assert_eq!((*size, *maximum), (65536, 200 * 65536));
}

#[test]
fn a_file_of_another_length_is_an_error() {
    for contents in [b"four".as_slice(), b"sixsix"] {
        let mut tree = tree(&[]);
        tree.add_file(NodeId::ROOT, b"five", meta(), 5, contents)
            .unwrap();
        pack(&program(ABI, ""), &tree.validate().unwrap()).expect_err("it was packed");
    }
}

#[test]
fn an_allocator_that_calls_the_host_is_named() {
    let wat = program(ABI, "").replace(
        "(i32.store (i32.const 3000) (i32.const 0))",
        "(call $hello (i32.const 1))",
    );
    let error = pack(&wat, &tree(&[]).validate().unwrap()).expect_err("it was packed");
    assert!(format!("{error:#}").contains("env.hello"), "{error:#}");
}

#[test]
fn what_cannot_be_packed_is_refused_by_name() {
    use Refusal::*;
    let good = program(ABI, "");
    let add = |more: &str| program(ABI, more);
    let cases = [
        ("(module)".to_string(), NoMemory),
        ("(module (memory 1))".into(), NotLinked),
        (
            r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32))) (memory 1))"#.into(),
            NotLinked,
        ),
        (program(ABI + 1, ""), OtherAbi(ABI + 1)),
        (r#"(module (import "env" "memory" (memory 1)))"#.into(), ImportedMemory("env.memory".into())),
        (r#"(module (import "env" "memory" (memory 1 2 shared)))"#.into(), SharedMemory),
        ("(module (memory 1 2 shared))".into(), SharedMemory),
        ("(module (memory i64 1))".into(), Memory64),
        (
            r#"(module (import "env" "t" (table 1 funcref)) (memory 1))"#.into(),
            ImportedState { kind: "table", name: "env.t".into() },
        ),
        (
            r#"(module (import "env" "base" (global i32)) (memory 1) (data (global.get 0) "x"))"#.into(),
            ImportedState { kind: "global", name: "env.base".into() },
        ),
        (
            r#"(module (import "env" "t" (tag)) (memory 1))"#.into(),
            ImportedState { kind: "tag", name: "env.t".into() },
        ),
        (add("(data (i32.const 65536) \"x\")"), SegmentBounds(4)),
        (add("(global (mut externref) (ref.null extern))"), ReferenceGlobal(2)),
        (
            add("(func $grower (drop (table.grow 0 (ref.null func) (i32.const 1))))"),
            Instruction { instruction: "table.grow", function: "`grower`".into() },
        ),
        (
            add("(data $d \"x\") (func $dropper (data.drop $d))"),
            Instruction { instruction: "data.drop", function: "`dropper`".into() },
        ),
        (
            good.replace(r#""clock_time_get" (func $clock (param i32 i64 i32) (result i32))"#,
                r#""sock_open" (func $clock)"#),
            UnknownImport("wasi_snapshot_preview1.sock_open".into()),
        ),
        (
            good.replace("(func $clock (param i32 i64 i32) (result i32))", "(func $clock (param i32) (result i64))"),
            ImportType {
                name: "wasi_snapshot_preview1.clock_time_get".into(),
                found: "(i32) -> (i64)".into(),
                expected: "(i32, i64, i32) -> (i32)".into(),
            },
        ),
        (
            good.replace(&record(1152, ABI, Hook::path_open as u32, [5, 6]), ""),
            HooksNotLinked(vec!["path_open"]),
        ),
        (
            good.replace(&record(1152, ABI, Hook::path_open as u32, [5, 6]), &record(1152, ABI, 99, [5, 6])),
            Library("a record of the unknown call 99".into()),
        ),
        (
            good.replace(&record(1152, ABI, Hook::path_open as u32, [5, 6]),
                &record(1152, ABI, Hook::path_open as u32, [5, 4])),
            Library("its path_open has another type than the host's".into()),
        ),
        (add(&record(1300, ABI, ROOT, [1, 2])), Library("it is linked in twice".into())),
    ];
    for (wat, expected) in cases {
        assert_eq!(refusal(&wat), expected);
    }
}

#[test]
fn features_that_the_engine_lacks_are_named_with_their_function() {
    let wat = program(ABI, "(tag $t) (func $thrower try throw $t catch $t end)");
    match refusal(&wat) {
        Refusal::Feature { what, function } => {
            assert!(what.contains("legacy"), "{what}");
            assert_eq!(function.as_deref(), Some("`thrower`"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn modern_features_are_packed() {
    let valid = tree(FILES).validate().unwrap();
    for more in [
        "(tag $t) (func (block $b (try_table (catch_all $b) (throw $t))))",
        "(type $f (func)) (func $f (return_call $f))",
        "(func (result v128) (v128.const i32x4 0 0 0 0))",
        "(func (param i64 i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 1)))",
        "(func (result i32) (i32.atomic.load (i32.const 0)))",
        "(type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1))))",
        "(func (result f32) (f32.convert_i32_s (i32.trunc_sat_f32_s (f32.const 1))))",
    ] {
        let wasm = wat::parse_str(program(ABI, more)).unwrap();
        let module = Module::parse(&wasm).unwrap();
        let program = Program::new(
            &wasm,
            &module,
            Some(Route::Linked),
            Layout::Single,
            Reach::usual(false),
            false,
        )
        .unwrap_or_else(|error| panic!("{more}: {error:#}"));
        let image = write(&valid).unwrap();
        program
            .mount(&image)
            .unwrap_or_else(|error| panic!("{more}: {error:#}"));
    }
}

#[test]
fn records_that_stand_elsewhere_are_passed_over() {
    // The same bytes, copied to an address that is not their own.
    let copy = record(1024, ABI, ROOT, [1, 2]).replace("(i32.const 1024)", "(i32.const 1400)");
    pack(&program(ABI, &copy), &tree(FILES).validate().unwrap()).unwrap();
}

#[test]
fn every_hook_has_another_name() {
    let mut names: Vec<&str> = witx::HOOKS.iter().map(|hook| hook.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), witx::HOOK_COUNT);
}
