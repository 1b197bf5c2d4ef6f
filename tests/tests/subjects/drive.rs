//! How a module is made to do something: a command is started, a reactor's exports
//! are called. Those that a language's own glue calls are called here as it does.

use wasmtime::{Instance, Linker, Result, Store, TypedFunc, WasmParams, WasmResults};
use wasmtime_wasi::p1::WasiP1Ctx;

/// Runs an instance with these arguments; answers what it gave back, as text.
pub(crate) type Drive = fn(&mut Store<WasiP1Ctx>, &Instance, &[String]) -> Result<String>;

/// Calls `_start`.
pub(crate) fn command(
    store: &mut Store<WasiP1Ctx>,
    instance: &Instance,
    _: &[String],
) -> Result<String> {
    call::<_, ()>(store, instance, "_start", ())?;
    Ok(String::new())
}

/// Ruby as a library: evaluates its argument.
pub(crate) fn ruby(
    store: &mut Store<WasiP1Ctx>,
    instance: &Instance,
    args: &[String],
) -> Result<String> {
    call::<_, ()>(store, instance, "_initialize", ())?;
    let mut list = Vec::new();
    for arg in ["ruby.wasm\0", "-EUTF-8\0", "-e_=0\0"] {
        let (at, length) = lower(store, instance, arg)?;
        list.extend([at.to_le_bytes(), length.to_le_bytes()].concat());
    }
    let arguments = allocate(store, instance, &list)?;
    let init = "ruby-init: func(args: list<string>) -> ()";
    call::<_, ()>(store, instance, init, (arguments, 3))?;
    let code = lower(store, instance, &args[0])?;
    let eval = "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>";
    let answer: u32 = call(store, instance, eval, code)?;
    let mut state = [0; 4];
    memory(store, instance).read(&mut *store, answer as usize + 4, &mut state)?;
    Ok(format!("state {}\n", i32::from_le_bytes(state)))
}

/// Ruby's parser: answers the syntax tree of its argument in its binary form.
pub(crate) fn prism(
    store: &mut Store<WasiP1Ctx>,
    instance: &Instance,
    args: &[String],
) -> Result<String> {
    call::<_, ()>(store, instance, "_initialize", ())?;
    let source = &args[0];
    let at: u32 = call(store, instance, "calloc", (source.len() as u32 + 1, 1))?;
    memory(store, instance).write(&mut *store, at as usize, source.as_bytes())?;
    let size: u32 = call(store, instance, "pm_buffer_sizeof", ())?;
    let buffer: u32 = call(store, instance, "calloc", (size, 1))?;
    let parsed = (buffer, at, source.len() as u32, 0);
    call::<_, ()>(store, instance, "pm_serialize_parse", parsed)?;
    let value: u32 = call(store, instance, "pm_buffer_value", buffer)?;
    let length: u32 = call(store, instance, "pm_buffer_length", buffer)?;
    let mut bytes = vec![0; length as usize];
    memory(store, instance).read(&mut *store, value as usize, &mut bytes)?;
    Ok(format!("{}\n", bytes.escape_ascii()))
}

/// Perl as a library: runs the script that its argument names.
pub(crate) fn perl(
    store: &mut Store<WasiP1Ctx>,
    instance: &Instance,
    args: &[String],
) -> Result<String> {
    call::<_, ()>(store, instance, "_initialize", ())?;
    call::<_, i32>(store, instance, "zeroperl_init", ())?;
    let at: u32 = call(store, instance, "malloc", args[0].len() as u32 + 1)?;
    let path = [args[0].as_bytes(), b"\0"].concat();
    memory(store, instance).write(&mut *store, at as usize, &path)?;
    let status: i32 = call(store, instance, "zeroperl_run_file", (at, 0, 0))?;
    call::<_, i32>(store, instance, "zeroperl_flush", ())?;
    Ok(format!("status {status}\n"))
}

/// QuickJS as a library: answers its argument's value as text.
pub(crate) fn quickjs(
    store: &mut Store<WasiP1Ctx>,
    instance: &Instance,
    args: &[String],
) -> Result<String> {
    call::<_, ()>(store, instance, "_initialize", ())?;
    call::<_, i32>(store, instance, "qjs_init", ())?;
    let mut text = |text: &str| -> Result<u32> {
        let at: u32 = call(store, instance, "wasm_malloc", text.len() as u32 + 1)?;
        let bytes = [text.as_bytes(), b"\0"].concat();
        memory(store, instance).write(&mut *store, at as usize, &bytes)?;
        Ok(at)
    };
    let (code, name, length) = (text(&args[0])?, text("<eval>")?, text("    ")?);
    let eval = (code, args[0].len() as u32, name, 0);
    let value: u32 = call(store, instance, "qjs_eval", eval)?;
    let at: u32 = call(store, instance, "qjs_get_string_len", (value, length))?;
    let mut bytes = [0; 4];
    memory(store, instance).read(&mut *store, length as usize, &mut bytes)?;
    let mut bytes = vec![0; u32::from_le_bytes(bytes) as usize];
    memory(store, instance).read(&mut *store, at as usize, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned() + "\n")
}

/// What modules ask of a host beside WASI. Ruby's values need no table on our side,
/// QuickJS is never interrupted, and nothing in
/// Perl calls back.
pub(crate) fn define_glue(linker: &mut Linker<WasiP1Ctx>) -> Result<()> {
    for name in ["resource_new_rb-abi-value", "resource_get_rb-abi-value"] {
        linker.func_wrap("canonical_abi", name, |value: i32| value)?;
    }
    linker.func_wrap("env", "host_interrupt", || 0)?;
    Ok(())
}

fn call<P: WasmParams, R: WasmResults>(
    store: &mut Store<WasiP1Ctx>,
    instance: &Instance,
    name: &str,
    params: P,
) -> Result<R> {
    let function: TypedFunc<P, R> = instance.get_typed_func(&mut *store, name)?;
    function.call(store, params)
}

/// Text in the instance's memory: where it is and how long.
fn lower(store: &mut Store<WasiP1Ctx>, instance: &Instance, text: &str) -> Result<(u32, u32)> {
    let at = allocate(store, instance, text.as_bytes())?;
    Ok((at, text.len() as u32))
}

fn allocate(store: &mut Store<WasiP1Ctx>, instance: &Instance, bytes: &[u8]) -> Result<u32> {
    let none = (0, 0, 4, bytes.len() as u32);
    let at: u32 = call(store, instance, "cabi_realloc", none)?;
    memory(store, instance).write(store, at as usize, bytes)?;
    Ok(at)
}

fn memory(store: &mut Store<WasiP1Ctx>, instance: &Instance) -> wasmtime::Memory {
    let memory = instance.get_memory(store, "memory");
    memory.expect("an export `memory`")
}
