//! Shims in place of imports, however they are referred to, and records that lie.

use wasmtime::{Engine, Instance, Store, Val};

use super::record::Record;
use super::*;
use crate::module::analyze::Module;
use crate::module::refusal::Refusal;
use crate::module::section::{Section, join, split};

/// Refers to what it imports in every way there is.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $again (result i32)))
    (memory (export "memory") 1)
    (table (export "table") 2 funcref)
    (elem (i32.const 0) $yield)
    (elem declare func $again)
    (global $kept funcref (ref.func $yield))
    (type $answers (func (result i32)))
    (func (export "call") (result i32) (call $yield))
    (func (export "tail") (result i32) (return_call $again))
    (func (export "indirect") (result i32) (call_indirect (type $answers) (i32.const 0)))
    (func (export "refer") (result i32)
        (table.set (i32.const 1) (ref.func $again))
        (call_indirect (type $answers) (i32.const 1)))
    (func (export "global") (result i32)
        (table.set (i32.const 1) (global.get $kept))
        (call_indirect (type $answers) (i32.const 1)))
    (export "itself" (func $yield))
    (func (export "random") (param i32 i32) (result i32)
        (call $random (local.get 0) (local.get 1))))"#;

fn policed(wasm: &[u8], policy: &Policy) -> Vec<u8> {
    let (policed, notes) = police(wasm, policy).unwrap();
    assert_eq!(notes, [""; 0]);
    wasmparser::Validator::new().validate_all(&policed).unwrap();
    policed.into_owned()
}

fn imports(wasm: &[u8]) -> Vec<String> {
    let module = Module::parse(wasm).unwrap();
    let imports = module.imports.iter();
    imports.map(|import| import.name.to_string()).collect()
}

fn denied() -> Policy {
    Policy {
        yielding: Switch::Deny,
        random: Random::Seed(7),
        ..Policy::default()
    }
}

#[test]
fn every_way_to_an_import_leads_to_its_shim() {
    let wasm = policed(&wat::parse_str(PROGRAM).unwrap(), &denied());
    assert_eq!(imports(&wasm), [""; 0]);
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let module = wasmtime::Module::new(&engine, &wasm).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let mut ask = |name: &str, args: &[i32]| {
        let function = instance.get_func(&mut store, name).unwrap();
        let args: Vec<Val> = args.iter().map(|arg| Val::I32(*arg)).collect();
        let mut results = [Val::I32(0)];
        function.call(&mut store, &args, &mut results).unwrap();
        results[0].unwrap_i32()
    };
    for name in ["call", "tail", "indirect", "refer", "global", "itself"] {
        assert_eq!(ask(name, &[]), 58, "{name}");
    }
    assert_eq!(ask("random", &[65535, 1]), 0);
    for (at, len) in [(65535, 2), (65536, 1), (0, 65537), (-1, 1), (1, -1)] {
        assert_eq!(ask("random", &[at, len]), 21, "{at} {len}");
    }
}

#[test]
fn taking_a_policy_back_gives_the_imports_back() {
    let program = wat::parse_str(PROGRAM).unwrap();
    let once = policed(&program, &denied());
    let other = Policy {
        clock: Clock::Deny,
        yielding: Switch::Deny,
        ..Policy::default()
    };
    let again = policed(&once, &other);
    assert_eq!(imports(&again), ["random_get"]);
    let free = policed(&again, &Policy::default());
    // Both imports of a call come back as one; nobody asks for the time.
    assert_eq!(imports(&free), ["random_get", "sched_yield"]);
    let functions = |wasm: &[u8]| {
        let module = Module::parse(wasm).unwrap();
        module.function_count() - module.imported_functions
    };
    assert_eq!(functions(&free), functions(&program));
    // The same policy changes nothing.
    let (same, _) = police(&once, &denied()).unwrap();
    assert!(matches!(same, std::borrow::Cow::Borrowed(_)));
    assert!(policed(&free, &denied()).len() >= once.len());
}

fn said() -> Record {
    let mut policy = denied();
    policy.env.bake(b"A=1".to_vec());
    policy.env.bake(b"\xff=\xfe".to_vec());
    policy.env.host = HostEnv::Only(BTreeSet::from([b"B".to_vec(), b"\xfd".to_vec()]));
    policy.args = Args {
        name: Some(b"name".to_vec()),
        fixed: vec![b"".to_vec(), b"two".to_vec()],
        default: vec![b"three".to_vec()],
        host: Switch::Deny,
    };
    policy.cwd = Some(b"/work".to_vec());
    policy.clock = Clock::Fixed(u64::MAX);
    let wasm = wat::parse_str(PROGRAM).unwrap();
    Record::of_module(&policed(&wasm, &policy))
        .unwrap()
        .unwrap()
}

#[test]
fn records_are_read_as_they_were_written() {
    let record = said();
    let section = record.section();
    let (name, payload) = section.as_custom().unwrap();
    let read = |payload: &[u8]| Record::of(&[Section::custom(name, payload)]);
    assert_eq!(read(payload).unwrap().unwrap(), record);
    assert!(record.global.is_some() && record.shims.len() == 3);
    for len in 0..payload.len() {
        let error = read(&payload[..len]).expect_err("it was read");
        assert!(matches!(error, Refusal::DamagedPack(_)), "{len}: {error}");
    }
    assert!(read(&[payload, &[0]].concat()).is_err());
    let newer = [&[2], &payload[1..]].concat();
    assert_eq!(read(&newer), Err(Refusal::OtherPolicy(2)));
}

/// Whatever a record's bytes say, a module comes out that is valid, or an error.
#[test]
fn records_that_lie_do_no_harm() {
    let wasm = wat::parse_str(PROGRAM).unwrap();
    let honest = policed(&wasm, &denied());
    let sections = split(&honest).unwrap();
    let at = sections
        .iter()
        .position(|section| section.is_custom(record::SECTION));
    let at = at.unwrap();
    let payload = sections[at].as_custom().unwrap().1.to_vec();
    let (mut refused, mut taken) = (0, 0);
    for position in 0..payload.len() {
        for byte in [0, 1, 2, 3, 0x7f, 0x80, 0xff] {
            let mut lie = payload.clone();
            lie[position] = byte;
            let mut sections = sections.clone();
            sections[at] = Section::custom(record::SECTION, &lie);
            let module = join(&sections);
            match police(&module, &Policy::default()) {
                Ok((free, _)) => {
                    wasmparser::Validator::new().validate_all(&free).unwrap();
                    taken += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100 && taken > 0, "{refused} {taken}");
}

#[test]
fn a_later_policy_bakes_over_an_earlier_one() {
    let mut env = Env::default();
    for variable in ["A=1", "B=2", "A=3"] {
        env.bake(variable.into());
    }
    assert_eq!(env.baked(), [b"A=3".to_vec(), b"B=2".to_vec()]);
    let mut policy = Policy {
        cwd: Some(b"/w".to_vec()),
        ..Policy::default()
    };
    assert_eq!(policy.environment().baked(), [b"PWD=/w".to_vec()]);
    policy.env.bake(b"PWD=/elsewhere".to_vec());
    assert_eq!(policy.environment().baked(), [b"PWD=/elsewhere".to_vec()]);
}
