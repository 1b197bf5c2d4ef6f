//! How a module was made, as far as it tells.
//!
//! Compilers write the `producers` section, linkers the names of functions; an
//! optimiser may have dropped both. So each sign is looked for by itself, and what no
//! sign tells is not guessed.

use std::collections::BTreeSet;

use memchr::memmem;
use serde::Serialize;
use wasmparser::{KnownCustom, Name, Parser, Payload, ProducersField};

/// Who made a module, and how that is known.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Origin {
    /// The toolchain.
    pub(crate) toolchain: Option<&'static str>,
    /// What tells.
    pub(crate) sign: Option<&'static str>,
    /// The C library or runtime that makes the calls of WASI.
    pub(crate) libc: Option<&'static str>,
    /// What the `producers` section lists: compilers and tools with their versions.
    pub(crate) tools: Vec<String>,
    /// The source languages that it lists.
    pub(crate) languages: Vec<String>,
}

/// The names that tell, and what else stands out.
#[derive(Default)]
struct Signs {
    tools: Vec<(String, String)>,
    languages: BTreeSet<String>,
    go_build_id: bool,
    wasi_vfs: bool,
    emscripten: bool,
    unstable: bool,
    named: bool,
    assembly_script: bool,
    runtime_dot: bool,
    zig: bool,
    swift: bool,
    ghc: bool,
    /// The function that a program's start is in.
    rust: bool,
    /// Imports as zig's own declarations name them.
    zig_imports: bool,
    /// Imports as wasi-libc named them until 2020, and since.
    wasi_imports: bool,
    imported_imports: bool,
    wasi_libc: bool,
    readdir: bool,
    /// A function that wasi-libc's `readdir` has called only since after 2022.
    iftodt: bool,
}

impl Origin {
    /// Looks for signs in a module's bytes; what cannot be read tells nothing.
    pub(crate) fn of(wasm: &[u8]) -> Origin {
        let mut signs = Signs::default();
        let payloads = Parser::new(0).parse_all(wasm);
        payloads
            .map_while(Result::ok)
            .for_each(|payload| signs.read(payload));
        let (toolchain, sign) = signs.toolchain(wasm).unzip();
        let tools = signs.tools.iter().map(|(name, version)| {
            // Without the link and the commit behind.
            let version = version.split(" (").next().unwrap_or_default();
            format!("{name} {version}").trim_end().to_string()
        });
        Origin {
            toolchain,
            sign,
            libc: signs.libc(toolchain),
            tools: tools.collect(),
            languages: signs.languages.iter().map(|name| readable(name)).collect(),
        }
    }
}

/// `C_plus_plus_14` as people write it.
fn readable(language: &str) -> String {
    language.replace("_plus_plus", "++").replace("++_", "++")
}

impl Signs {
    fn read(&mut self, payload: Payload<'_>) {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports().flatten() {
                    self.unstable |= import.module == "wasi_unstable";
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports.into_iter().flatten() {
                    self.wasi_vfs |= export.name == "wasi_vfs_pack_fs";
                    self.emscripten |= export.name.starts_with("_emscripten_stack_")
                        || export.name.starts_with("emscripten_stack_");
                }
            }
            Payload::CustomSection(custom) => {
                self.go_build_id |= custom.name() == "go:buildid";
                match custom.as_known() {
                    KnownCustom::Producers(fields) => {
                        for field in fields.into_iter().flatten() {
                            self.field(&field);
                        }
                    }
                    KnownCustom::Name(names) => {
                        for name in names.into_iter().flatten() {
                            if let Name::Function(functions) = name {
                                let functions = functions.into_iter().flatten();
                                functions.for_each(|function| self.name(function.name));
                            }
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, field: &ProducersField<'_>) {
        for value in field.values.clone().into_iter().flatten() {
            match field.name {
                "language" => {
                    self.languages.insert(value.name.into());
                }
                _ => self.tools.push((value.name.into(), value.version.into())),
            }
        }
    }

    fn name(&mut self, name: &str) {
        let starts = |start: &str| name.starts_with(start);
        self.named = true;
        self.assembly_script |= starts("~lib/");
        self.runtime_dot |= starts("runtime.");
        self.zig |=
            starts("start.wasi_start") || starts("debug.FullPanic") || starts("debug.default");
        self.swift |= starts("swift_");
        self.ghc |= starts("hs_init");
        self.rust |= name.contains("lang_start");
        self.emscripten |= starts("emscripten_stack_") || starts("_emscripten_stack_");
        self.zig_imports |= name.ends_with("|wasi_snapshot_preview1");
        self.wasi_imports |= starts("__wasi_");
        self.imported_imports |= starts("__imported_wasi_snapshot_preview1_");
        self.wasi_libc |= starts("__wasilibc_") || starts("__imported_wasi");
        self.readdir |= name == "readdir";
        self.iftodt |= name == "__wasilibc_iftodt";
    }

    fn made_by(&self, tool: &str) -> bool {
        self.tools.iter().any(|(name, _)| name.ends_with(tool))
    }

    /// The toolchain and what tells it, those first that leave sure signs.
    fn toolchain(&self, wasm: &[u8]) -> Option<(&'static str, &'static str)> {
        const PRODUCERS: &str = "the producers section";
        const NAMES: &str = "names of functions";
        const DATA: &str = "texts in its data";
        let has = |text: &[u8]| memmem::find(wasm, text).is_some();
        let c = (self.languages.iter()).any(|name| name.starts_with('C'));
        let rust = self.languages.contains("Rust");
        Some(match () {
            () if self.made_by("Go cmd/compile") => ("Go", PRODUCERS),
            () if self.go_build_id => ("Go", "its build id"),
            () if self.made_by("TinyGo") => ("TinyGo", PRODUCERS),
            () if self.assembly_script => ("AssemblyScript", NAMES),
            () if self.emscripten => ("Emscripten", "its names"),
            () if self.swift => ("Swift", NAMES),
            () if self.ghc => ("GHC (Haskell)", NAMES),
            // Zig's own compiler calls its language C99.
            () if self.made_by("clang") && (self.zig || self.zig_imports) => {
                ("C or C++, by zig cc", NAMES)
            }
            () if self.zig || self.zig_imports => ("Zig", NAMES),
            () if self.runtime_dot => ("TinyGo", NAMES),
            // Its libc is C, so that the section may say so.
            () if self.rust => ("Rust", NAMES),
            () if rust && c => ("C or C++ and Rust", PRODUCERS),
            // wasi-vfs is Rust, and brings its section along.
            () if rust && self.wasi_vfs => ("C or C++, with wasi-vfs inside", PRODUCERS),
            () if rust => ("Rust", PRODUCERS),
            () if c || self.made_by("clang") => ("C or C++", PRODUCERS),
            () if self.wasi_libc => ("C or C++", NAMES),
            () if has(b"~\0l\0i\0b\0/\0") => ("AssemblyScript", DATA),
            () if has(b"/rustc/") => ("Rust", DATA),
            () => return None,
        })
    }

    fn libc(&self, toolchain: Option<&'static str>) -> Option<&'static str> {
        Some(match toolchain {
            Some("Go" | "TinyGo") => "none: Go's runtime calls WASI itself",
            Some("AssemblyScript") => "none: its library calls WASI itself",
            Some("Zig") if !self.wasi_libc && !self.wasi_imports => {
                "none: Zig's library calls WASI itself"
            }
            Some("Emscripten") => "Emscripten's",
            _ if self.unstable => "wasi-libc of 2019, before Preview 1",
            _ if self.zig_imports => "zig's, of which a part is wasi-libc and a part Zig",
            _ if self.iftodt => "wasi-libc, newer than 2022",
            _ if self.imported_imports && self.readdir => "wasi-libc of 2021 or 2022",
            _ if self.imported_imports => "wasi-libc, of 2021 or later",
            _ if self.wasi_imports && self.wasi_libc => "wasi-libc of 2020",
            _ if self.wasi_libc => "wasi-libc",
            _ if !self.named => return None,
            Some("Rust") => "Rust's, which is wasi-libc",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CustomSection, DataSection, ExportKind, ExportSection, Module, NameMap, NameSection,
        ProducersField, ProducersSection,
    };

    use super::*;

    /// Producers as (field, name), names of functions, an export, a text in the data.
    struct Case<'a> {
        producers: &'a [(&'a str, &'a str)],
        names: &'a [&'a str],
        export: &'a str,
        data: &'a [u8],
    }

    const NOTHING: Case<'_> = Case {
        producers: &[],
        names: &[],
        export: "",
        data: b"",
    };

    fn origin(case: &Case<'_>) -> (Option<&'static str>, Option<&'static str>) {
        let mut module = Module::new();
        let mut exports = ExportSection::new();
        exports.export(case.export, ExportKind::Func, 0);
        module.section(&exports);
        let mut data = DataSection::new();
        data.passive(case.data.iter().copied());
        module.section(&data);
        let mut names = NameSection::new();
        let mut functions = NameMap::new();
        for (index, name) in (0..).zip(case.names) {
            functions.append(index, name);
        }
        names.functions(&functions);
        module.section(&names);
        let mut producers = ProducersSection::new();
        for (field, name) in case.producers {
            let mut values = ProducersField::new();
            values.value(name, "1");
            producers.field(field, &values);
        }
        module.section(&producers);
        let origin = Origin::of(&module.finish());
        (origin.toolchain, origin.libc)
    }

    #[test]
    fn toolchains_are_told_by_what_they_leave() {
        let rust = &[("language", "Rust"), ("processed-by", "rustc")];
        let c = &[("language", "C11"), ("processed-by", "clang")];
        let both = &[("language", "C11"), ("language", "Rust")];
        let go = &[("language", "Go"), ("processed-by", "Go cmd/compile")];
        let start = "std::rt::lang_start::h0123";
        let imported = "__imported_wasi_snapshot_preview1_fd_read";
        for (case, toolchain, libc) in [
            (NOTHING, None, None),
            (
                Case {
                    producers: rust,
                    ..NOTHING
                },
                Some("Rust"),
                None,
            ),
            (
                Case {
                    producers: rust,
                    export: "wasi_vfs_pack_fs",
                    ..NOTHING
                },
                Some("C or C++, with wasi-vfs inside"),
                None,
            ),
            (
                Case {
                    producers: go,
                    names: &["runtime.main"],
                    ..NOTHING
                },
                Some("Go"),
                Some("none: Go's runtime calls WASI itself"),
            ),
            (
                Case {
                    names: &["runtime.alloc"],
                    ..NOTHING
                },
                Some("TinyGo"),
                Some("none: Go's runtime calls WASI itself"),
            ),
            (
                Case {
                    names: &["~lib/rt/tlsf/insertBlock"],
                    ..NOTHING
                },
                Some("AssemblyScript"),
                Some("none: its library calls WASI itself"),
            ),
            (
                Case {
                    data: b"~\0l\0i\0b\0/\0",
                    ..NOTHING
                },
                Some("AssemblyScript"),
                Some("none: its library calls WASI itself"),
            ),
            (
                Case {
                    producers: &[("language", "C99")],
                    names: &["start.wasi_start"],
                    ..NOTHING
                },
                Some("Zig"),
                Some("none: Zig's library calls WASI itself"),
            ),
            (
                Case {
                    export: "_emscripten_stack_alloc",
                    ..NOTHING
                },
                Some("Emscripten"),
                Some("Emscripten's"),
            ),
            (
                Case {
                    producers: both,
                    ..NOTHING
                },
                Some("C or C++ and Rust"),
                None,
            ),
            (
                Case {
                    producers: both,
                    names: &[start, imported],
                    ..NOTHING
                },
                Some("Rust"),
                Some("wasi-libc, of 2021 or later"),
            ),
            (
                Case {
                    producers: c,
                    names: &[imported],
                    ..NOTHING
                },
                Some("C or C++"),
                Some("wasi-libc, of 2021 or later"),
            ),
            (
                Case {
                    producers: c,
                    names: &[imported, "readdir"],
                    ..NOTHING
                },
                Some("C or C++"),
                Some("wasi-libc of 2021 or 2022"),
            ),
            (
                Case {
                    names: &[imported, "readdir", "__wasilibc_iftodt"],
                    ..NOTHING
                },
                Some("C or C++"),
                Some("wasi-libc, newer than 2022"),
            ),
            (
                Case {
                    producers: c,
                    names: &["fd_close|wasi_snapshot_preview1"],
                    ..NOTHING
                },
                Some("C or C++, by zig cc"),
                Some("zig's, of which a part is wasi-libc and a part Zig"),
            ),
            (
                Case {
                    data: b"/rustc/5980",
                    ..NOTHING
                },
                Some("Rust"),
                None,
            ),
        ] {
            let what = (case.producers, case.names, case.export);
            assert_eq!(origin(&case), (toolchain, libc), "{what:?}");
        }
    }

    #[test]
    fn versions_are_short_and_languages_readable() {
        let mut module = Module::new();
        let mut producers = ProducersSection::new();
        let mut values = ProducersField::new();
        values.value("clang", "22.1.0-wasi-sdk (https://example.com 4434dab)");
        producers.field("processed-by", &values);
        let mut values = ProducersField::new();
        values.value("C_plus_plus_14", "");
        producers.field("language", &values);
        module.section(&producers);
        let origin = Origin::of(&module.finish());
        assert_eq!(origin.tools, ["clang 22.1.0-wasi-sdk"]);
        assert_eq!(origin.languages, ["C++14"]);
    }

    #[test]
    fn a_damaged_section_tells_nothing() {
        let mut module = Module::new();
        module.section(&CustomSection {
            name: "producers".into(),
            data: (&[0xff; 4]).into(),
        });
        assert_eq!(Origin::of(&module.finish()), Origin::default());
    }
}
