//! Modules that were made for another host than WASI Preview 1's, by what they
//! import.

use super::analyze::Module;
use super::graft::is_hook;
use super::refusal::Refusal;

/// Another way to reach a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// The JavaScript that Emscripten writes beside a module.
    Emscripten,
    /// WASIX, wasmer's extension of Preview 1.
    Wasix,
    /// wasi-threads: each thread is an instance of its own.
    Threads,
    /// The core of a component: Preview 2 and later.
    Preview2,
    /// Go's port to browsers.
    Go,
    /// Rust with wasm-bindgen.
    WasmBindgen,
}

impl Foreign {
    /// What messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Foreign::Emscripten => "the JavaScript that Emscripten writes beside a module",
            Foreign::Wasix => "WASIX",
            Foreign::Threads => "wasi-threads",
            Foreign::Preview2 => "WASI Preview 2, as the core of a component",
            Foreign::Go => "Go's JavaScript (GOOS=js)",
            Foreign::WasmBindgen => "the JavaScript of wasm-bindgen",
        }
    }

    /// The way out.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Foreign::Emscripten => {
                "its files are in that JavaScript: give them with Emscripten's --embed-file, or compile \
                 for wasm32-wasip1 with wasi-sdk"
            }
            Foreign::Wasix => {
                "compile for WASI Preview 1: target wasm32-wasip1 rather than WASIX's"
            }
            Foreign::Threads => {
                "compile for wasm32-wasip1 rather than wasm32-wasip1-threads (no `-pthread`)"
            }
            Foreign::Preview2 => {
                "compile for wasm32-wasip1, pack that, and make a component of the packed module"
            }
            Foreign::Go => "compile with GOOS=wasip1 GOARCH=wasm (TinyGo: -target=wasip1)",
            Foreign::WasmBindgen => {
                "compile for wasm32-wasip1 rather than wasm32-unknown-unknown, which has no files"
            }
        }
    }

    /// Whether an import is a sign of it, whatever else is imported.
    fn of_import(module: &str, name: &str) -> Option<Foreign> {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        match module {
            "wasix_32v1" | "wasix_64v1" => Some(Foreign::Wasix),
            "wasi" if name == "thread-spawn" => Some(Foreign::Threads),
            _ if module.starts_with("wasi:") || module.starts_with("cm32p2") => {
                Some(Foreign::Preview2)
            }
            // The one call that its standalone modules make of any host.
            "env" if name == "emscripten_notify_memory_growth" => None,
            "env" if starts(&["emscripten_", "_emscripten_", "__syscall_"]) => {
                Some(Foreign::Emscripten)
            }
            "env" if is_invoke(name) => Some(Foreign::Emscripten),
            _ => None,
        }
    }

    /// Whether an import is a sign of it in a module without file calls. With
    /// some, there may be a host that offers both.
    fn of_import_alone(module: &str, name: &str) -> Option<Foreign> {
        let go = ["runtime.", "syscall/js."];
        match module {
            "gojs" => Some(Foreign::Go),
            "go" if go.iter().any(|prefix| name.starts_with(prefix)) => Some(Foreign::Go),
            "wbg" | "__wbindgen_placeholder__" => Some(Foreign::WasmBindgen),
            _ if name.starts_with("__wbg_") || name.starts_with("__wbindgen_") => {
                Some(Foreign::WasmBindgen)
            }
            _ => None,
        }
    }
}

/// Emscripten's calls through JavaScript, as `invoke_viii`: the letters are types.
fn is_invoke(name: &str) -> bool {
    let types = name.strip_prefix("invoke_").unwrap_or_default();
    !types.is_empty() && types.bytes().all(|letter| b"vijfdp".contains(&letter))
}

impl Module<'_> {
    /// Refuses a module that was made for another host, naming that.
    pub(crate) fn check_host(&self) -> Result<(), Refusal> {
        let find = |of: fn(&str, &str) -> Option<Foreign>| {
            let mut imports = self.imports.iter();
            imports.find_map(|import| {
                let name = format!("{}.{}", import.module, import.name);
                Some(Refusal::Foreign(of(import.module, import.name)?, name))
            })
        };
        if let Some(refusal) = find(Foreign::of_import) {
            return Err(refusal);
        }
        if self.function_imports().any(|(_, import)| is_hook(import)) {
            return Ok(());
        }
        if let Some(refusal) = find(Foreign::of_import_alone) {
            return Err(refusal);
        }
        // Emscripten shortens all names, `a` to begin with.
        let mut imports = self.imports.iter();
        let short = imports.all(|import| import.module == "a" && import.name.len() <= 2);
        match self.imports.first() {
            Some(first) if short => {
                let name = format!("{}.{}", first.module, first.name);
                Err(Refusal::Foreign(Foreign::Emscripten, name))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::witx;

    use super::super::merge::Layout;
    use super::super::program::Program;
    use super::*;
    use crate::module::reach::Reach;

    /// What becomes of a module with these imports, each `MODULE NAME`.
    fn outcome(imports: &[&str], memory: &str) -> Result<(), Refusal> {
        let mut wat = "(module ".to_string();
        for import in imports {
            let (module, name) = import.split_once(' ').expect("two names");
            let known = witx::HOOKS.iter().chain(&witx::HOST_ONLY);
            let known = known.clone().find(|known| known.name == name);
            let params: Vec<&str> = known
                .filter(|_| module == witx::MODULE)
                .map_or(&[][..], |known| known.params)
                .iter()
                .map(|param| match param {
                    witx::Param::I32 => "i32",
                    witx::Param::I64 => "i64",
                })
                .collect();
            let result = if module == witx::MODULE {
                "(result i32)"
            } else {
                ""
            };
            let params = params.join(" ");
            wat += &format!("(import \"{module}\" \"{name}\" (func (param {params}) {result}))");
        }
        let wasm = wat::parse_str(wat + memory + ")").unwrap();
        let module = Module::parse(&wasm).unwrap();
        match Program::new(
            &wasm,
            &module,
            None,
            Layout::Single,
            Reach::usual(false),
            false,
        ) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.downcast().unwrap()),
        }
    }

    const OPEN: &str = "wasi_snapshot_preview1 path_open";

    #[test]
    fn other_hosts_are_named() {
        use Foreign::*;
        let cases: [(&[&str], Foreign, &str); 17] = [
            (
                &["env __syscall_openat", OPEN],
                Emscripten,
                "env.__syscall_openat",
            ),
            (
                &["env emscripten_resize_heap"],
                Emscripten,
                "env.emscripten_resize_heap",
            ),
            (
                &["env _emscripten_memcpy_js", OPEN],
                Emscripten,
                "env._emscripten_memcpy_js",
            ),
            (&["env invoke_viiji"], Emscripten, "env.invoke_viiji"),
            (&["a a", "a b", "a aa"], Emscripten, "a.a"),
            (&["wasix_32v1 fd_dup", OPEN], Wasix, "wasix_32v1.fd_dup"),
            (
                &["wasix_64v1 thread_spawn_v2"],
                Wasix,
                "wasix_64v1.thread_spawn_v2",
            ),
            (&["wasi thread-spawn", OPEN], Threads, "wasi.thread-spawn"),
            (
                &["wasi:filesystem/types@0.2.0 [method]descriptor.read"],
                Preview2,
                "wasi:filesystem/types@0.2.0.[method]descriptor.read",
            ),
            (
                &["cm32p2|wasi:cli/environment@0.2 get-arguments"],
                Preview2,
                "cm32p2|wasi:cli/environment@0.2.get-arguments",
            ),
            (&["gojs runtime.wasmExit"], Go, "gojs.runtime.wasmExit"),
            (&["go syscall/js.valueGet"], Go, "go.syscall/js.valueGet"),
            (&["go runtime.wasmWrite"], Go, "go.runtime.wasmWrite"),
            (&["wbg __wbg_log_1"], WasmBindgen, "wbg.__wbg_log_1"),
            (
                &["__wbindgen_placeholder__ __wbindgen_throw"],
                WasmBindgen,
                "__wbindgen_placeholder__.__wbindgen_throw",
            ),
            (
                &["./app_bg.js __wbg_new_2"],
                WasmBindgen,
                "./app_bg.js.__wbg_new_2",
            ),
            (
                &["./app_bg.js __wbindgen_throw"],
                WasmBindgen,
                "./app_bg.js.__wbindgen_throw",
            ),
        ];
        for (imports, foreign, name) in cases {
            let refusal = outcome(imports, "(memory 1)").unwrap_err();
            assert_eq!(refusal, Refusal::Foreign(foreign, name.into()));
            assert_eq!(refusal.hint(), foreign.hint());
            let said = refusal.to_string();
            assert!(
                said.contains(name) && said.contains(foreign.name()),
                "{said}"
            );
        }
        // The reason behind an imported, shared or missing memory.
        let shared = r#"(memory 1 2 shared)"#;
        for memory in ["", shared] {
            let refusal = outcome(&["wasi thread-spawn", OPEN], memory).unwrap_err();
            assert!(matches!(refusal, Refusal::Foreign(Threads, _)), "{refusal}");
        }
    }

    #[test]
    fn what_a_host_may_offer_beside_wasi_stays() {
        for import in [
            "env abort",
            "env foo",
            "env invoke_callback",
            "env emscripten_notify_memory_growth",
            "a a",
            "wbg __wbg_log_1",
            "gojs runtime.ticks",
            "go run",
            "app open",
        ] {
            assert_eq!(outcome(&[import, OPEN], "(memory 1)"), Ok(()), "{import}");
        }
    }

    #[test]
    fn without_file_calls_nothing_is_guessed() {
        for imports in [
            &["env foo"][..],
            &["env abort"],
            &["a a", "b b"],
            &["a main"],
            &[],
        ] {
            let refusal = outcome(imports, "(memory 1)").unwrap_err();
            assert_eq!(refusal, Refusal::NoFileCalls, "{imports:?}");
        }
    }

    #[test]
    fn what_wasi_does_not_have_is_refused_by_name() {
        for (import, name) in [
            (
                "wasi_snapshot_preview1 path_open2",
                "wasi_snapshot_preview1.path_open2",
            ),
            (
                "wasi_snapshot_preview2 path_open",
                "wasi_snapshot_preview2.path_open",
            ),
            ("wasi_unstable sock_connect", "wasi_unstable.sock_connect"),
            ("wasi_nn load", "wasi_nn.load"),
            ("wasi path_open", "wasi.path_open"),
        ] {
            let refusal = outcome(&[OPEN, import], "(memory 1)").unwrap_err();
            assert_eq!(refusal, Refusal::UnknownImport(name.into()));
        }
    }
}
