//! What a program may ask of its host: every switch of `pack`, on a linked program and on one
//! that is rewritten, in both layouts.
//!
//! To run one again: `cargo test --release -p monaka-tests --test policy clock`

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use monaka_tests::runtime::Runtime;
use monaka_tests::toolbox::{
    Libc, Linked, Opt, Outcome, Program, finish, imports, mapped, monaka, pack,
};
use tempfile::TempDir;

const PROGRAM: Program = Program::Test("policy.c");

/// A program packed with flags.
struct Packed {
    dir: TempDir,
    module: PathBuf,
    name: String,
}

/// Packs the program with `flags` by each route, in each layout, and has `look` look at it.
fn each(flags: &[&str], look: impl Fn(&Packed)) {
    let libc = Libc::ALL.into_iter().find(|libc| libc.is_here());
    each_route(libc.expect("a libc"), flags, &look);
}

/// The same with each libc.
fn each_libc(flags: &[&str], look: impl Fn(&Packed)) {
    for libc in Libc::ALL.into_iter().filter(|libc| libc.is_here()) {
        each_route(libc, flags, &look);
    }
}

fn each_route(libc: Libc, flags: &[&str], look: &impl Fn(&Packed)) {
    for (linked, route) in [
        (Linked::Last, &["--route", "linked"][..]),
        (Linked::Not, &["--memory", "single"]),
        (Linked::Not, &["--memory", "multi"]),
    ] {
        let program = PROGRAM.compile(libc, Opt::O2, linked);
        let name = format!("{libc:?} {route:?} {flags:?}");
        look(&Packed::new(&program, name, &[flags, route].concat()));
    }
}

impl Packed {
    fn new(program: &Path, name: String, flags: &[&str]) -> Packed {
        let dir = TempDir::new().expect("create a directory");
        let root = dir.path().join("root");
        for (path, text) in [("work/here", "relative"), ("etc/conf", "absolute")] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("create a directory");
            fs::write(path, text).expect("write a file");
        }
        let module = dir.path().join("packed.wasm");
        let mut args = vec!["--mapdir".into(), mapped("/", &root)];
        args.extend(flags.iter().map(Into::into));
        pack(program, args, &module);
        Packed { dir, module, name }
    }

    /// The same packed again with other flags.
    fn again(&self, flags: &[&str]) -> Packed {
        let dir = TempDir::new().expect("create a directory");
        let module = dir.path().join("again.wasm");
        let flags = flags.iter().map(OsStr::new);
        let none = ["--file", "/again=1"].map(OsStr::new);
        pack(&self.module, none.into_iter().chain(flags), &module);
        let name = format!("{}, again", self.name);
        Packed { dir, module, name }
    }

    /// Runs it in a host with three variables.
    fn run(&self, args: &[&str]) -> Outcome {
        let mut command: Command = Runtime::Wasmtime.executable();
        command.arg("run");
        for variable in ["HOME=/root", "HOMEPAGE=x", "LANG=C"] {
            command.args(["--env", variable]);
        }
        finish(command.arg(&self.module).args(args), "")
    }

    fn lines(&self, args: &[&str]) -> Vec<String> {
        let outcome = self.run(args).expect_success();
        outcome.stdout.lines().map(str::to_owned).collect()
    }

    /// The lines that begin so, without that.
    fn told(&self, args: &[&str], start: &str) -> Vec<String> {
        let lines = self.lines(args);
        let told = lines.iter().filter_map(|line| line.strip_prefix(start));
        told.map(str::to_owned).collect()
    }

    /// Which of these it imports.
    fn imported<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        let all = imports(&self.module);
        let has = |name: &str| all.contains(&format!("wasi_snapshot_preview1.{name}"));
        names.iter().copied().filter(|name| has(name)).collect()
    }

    /// A row of the policy that `inspect` shows.
    fn row(&self, subsystem: &str) -> String {
        let shown = finish(monaka(["inspect"]).arg(&self.module), "").expect_success();
        let mut lines = shown.stdout.lines();
        let start = format!("  {subsystem} ");
        let row = lines.find_map(|line| line.strip_prefix(&start));
        row.unwrap_or_else(|| panic!("no row {subsystem}: {}", shown.stdout))
            .trim()
            .to_owned()
    }
}

const ENV: [&str; 2] = ["environ_get", "environ_sizes_get"];
const ARGS: [&str; 2] = ["args_get", "args_sizes_get"];
const CLOCK: [&str; 2] = ["clock_time_get", "clock_res_get"];

#[test]
fn without_a_policy_everything_is_the_hosts() {
    each_libc(&[], |packed| {
        let env = packed.told(&[], "env ");
        assert_eq!(
            env,
            ["HOME=/root", "HOMEPAGE=x", "LANG=C"],
            "{}",
            packed.name
        );
        let calls = [
            &ENV[..],
            &ARGS,
            &CLOCK,
            &["random_get", "proc_exit", "proc_raise", "sched_yield"],
        ]
        .concat();
        assert_eq!(packed.imported(&calls), calls, "{}", packed.name);
        assert_eq!(packed.row("env"), "pass");
        assert_eq!(packed.row("random"), "pass");
    });
}

#[test]
fn environment() {
    let cases: [(&[&str], &[&str], bool); 6] = [
        (&["--env-deny"], &[], false),
        (
            &["--env-deny", "--env", "A=1", "--env", "B="],
            &["A=1", "B="],
            false,
        ),
        (
            &["--env", "LANG=de", "--env", "A=1=2"],
            &["LANG=de", "A=1=2", "HOME=/root", "HOMEPAGE=x"],
            true,
        ),
        (&["--env-allow", "HOME,NONE"], &["HOME=/root"], true),
        (
            &[
                "--env-allow",
                "HOME",
                "--env-allow",
                "LANG",
                "--env",
                "LANG=de",
            ],
            &["LANG=de", "HOME=/root"],
            true,
        ),
        (
            &["--profile", "pure", "--env-allow", "*"],
            &["HOME=/root", "HOMEPAGE=x", "LANG=C"],
            true,
        ),
    ];
    for (flags, expected, asks) in cases {
        each(flags, |packed| {
            assert_eq!(packed.told(&[], "env "), expected, "{}", packed.name);
            assert_eq!(!packed.imported(&ENV).is_empty(), asks, "{}", packed.name);
        });
    }
    each(&["--env-allow", "HOME"], |packed| {
        assert_eq!(packed.row("env"), "only HOME of the host's")
    });
}

#[test]
fn the_hosts_bytes_pass_unharmed() {
    each(&["--env", "A=1", "--env-allow", "RAW"], |packed| {
        let mut command = monaka(["run"]);
        command
            .arg("--env")
            .arg("RAW")
            .arg(&packed.module)
            .env("RAW", "höst");
        let outcome = finish(&mut command, "").expect_success();
        assert!(
            outcome.stdout.contains("env RAW=höst\n"),
            "{}",
            outcome.stdout
        );
    });
}

/// Asking grows the memory for a moment, and leaves nothing in it.
#[test]
fn what_was_borrowed_for_the_environment_is_zero_again() {
    each(&["--env", "A=1"], |packed| {
        let lines = packed.lines(&["fresh"]);
        assert!(
            lines.contains(&"dirty: 0".to_owned()),
            "{}: {lines:?}",
            packed.name
        );
        let sizes = lines.iter().filter(|line| *line == "sizes: 0, 4, 33");
        assert_eq!(sizes.count(), 3, "{}: {lines:?}", packed.name);
    });
}

#[test]
fn arguments() {
    // Flags, the host's arguments, the program's, and whether it asks the host for them.
    type Case = (
        &'static [&'static str],
        &'static [&'static str],
        &'static [&'static str],
        bool,
    );
    let cases: [Case; 9] = [
        (
            &["--arg", "one", "--arg=--two"],
            &["x"],
            &["*.wasm", "one", "--two", "x"],
            true,
        ),
        (&["--arg", "one"], &[], &["*.wasm", "one"], true),
        (&["--arg0", "tool"], &["x", "y"], &["tool", "x", "y"], true),
        (&["--arg0", "", "--arg", ""], &["x"], &["", "", "x"], true),
        (&["--args-deny"], &["x"], &[""], false),
        (
            &["--args-deny", "--arg0", "tool", "--arg", "one"],
            &["x"],
            &["tool", "one"],
            false,
        ),
        (
            &[
                "--arg",
                "one",
                "--default-arg",
                "two",
                "--default-arg",
                "three",
            ],
            &[],
            &["*.wasm", "one", "two", "three"],
            true,
        ),
        (
            &["--arg", "one", "--default-arg", "two"],
            &["x"],
            &["*.wasm", "one", "x"],
            true,
        ),
        (
            &["--args-deny", "--default-arg", "two"],
            &["x"],
            &["", "two"],
            false,
        ),
    ];
    for (flags, given, expected, asks) in cases {
        each(flags, |packed| {
            let expected: Vec<String> = (0..)
                .zip(expected)
                .map(|(i, arg)| format!("argv[{i}] = '{arg}'"))
                .collect();
            let mut lines = packed.lines(given);
            lines.retain(|line| line.starts_with("argv"));
            assert_eq!(lines, expected, "{}", packed.name);
            assert_eq!(!packed.imported(&ARGS).is_empty(), asks, "{}", packed.name);
        });
    }
}

#[test]
fn clocks() {
    each(&["--clock", "deny"], |packed| {
        let lines = packed.lines(&["clock", "file"]);
        for line in [
            "realtime: errno 58, 58",
            "monotonic: errno 58, 58",
            "file: 0.000000000",
        ] {
            assert!(
                lines.iter().any(|found| found == line),
                "{}: {lines:?}",
                packed.name
            );
        }
        assert_eq!(packed.imported(&CLOCK), [""; 0], "{}", packed.name);
    });
    each(&["--clock", "fixed=1700000000.25"], |packed| {
        let lines = packed.lines(&["clock", "file"]);
        for line in [
            "realtime: 1700000000.250000000, has a resolution",
            "monotonic: 1700000000.250000000, has a resolution",
            "file: 1700000000.250000000",
        ] {
            assert!(
                lines.iter().any(|found| found == line),
                "{}: {lines:?}",
                packed.name
            );
        }
        assert_eq!(packed.imported(&CLOCK), [""; 0], "{}", packed.name);
        assert_eq!(packed.row("clock"), "fixed at 1700000000.250000000 s");
    });
    each(&["--clock", "monotonic-only"], |packed| {
        assert_eq!(
            packed.told(&["clock"], "realtime: "),
            ["errno 58, 58"],
            "{}",
            packed.name
        );
        let monotonic = packed.told(&["clock"], "monotonic: ").remove(0);
        assert!(
            monotonic.ends_with("has a resolution"),
            "{}: {monotonic}",
            packed.name
        );
        assert_eq!(
            packed.told(&["file"], "file: "),
            ["0.000000000"],
            "{}",
            packed.name
        );
        assert_eq!(packed.imported(&CLOCK), CLOCK, "{}", packed.name);
    });
}

/// SplitMix64, whose first numbers for a seed are known.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> [u8; 8] {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31).to_le_bytes()
    }
}

#[test]
fn random_bytes() {
    assert_eq!(
        SplitMix(1_234_567).next(),
        6_457_827_717_110_365_317_u64.to_le_bytes()
    );
    each(&["--random", "deny"], |packed| {
        assert_eq!(
            packed.told(&["random"], "random: "),
            ["errno 58"; 2],
            "{}",
            packed.name
        );
        assert_eq!(packed.imported(&["random_get"]), [""; 0], "{}", packed.name);
        assert!(
            !packed.told(&["file"], "urandom: ")[0].is_empty(),
            "{}",
            packed.name
        );
    });
    each(&["--random", "seed=18446744073709551615"], |packed| {
        // Each call begins with a number of its own, the first with 3 bytes of one.
        let mut numbers = SplitMix(u64::MAX);
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!(" {byte:02x}"))
                .collect::<String>()
        };
        let first = hex(&numbers.next()[..3]);
        let second = [numbers.next(), numbers.next(), numbers.next()].concat();
        let expected = [
            format!(" 00{first} 00"),
            format!(" 00{} 00", hex(&second[..19])),
        ];
        assert_eq!(
            packed.told(&["random"], "random:"),
            expected,
            "{}",
            packed.name
        );
        let twice = [(); 2].map(|()| packed.told(&["file"], "urandom: "));
        assert_eq!(twice[0], twice[1], "{}", packed.name);
        assert_eq!(packed.imported(&["random_get"]), [""; 0], "{}", packed.name);
        assert!(
            packed.row("random").starts_with("INSECURE"),
            "{}",
            packed.name
        );
    });
}

#[test]
fn ending_raising_and_giving_way() {
    each(&["--exit", "deny"], |packed| {
        let outcome = packed.run(&["exit"]);
        assert_eq!(outcome.code, Some(134), "{}", packed.name);
        assert!(outcome.stderr.contains("unreachable"), "{}", outcome.stderr);
        assert_eq!(packed.imported(&["proc_exit"]), [""; 0], "{}", packed.name);
    });
    each(&[], |packed| {
        assert_eq!(packed.run(&["exit"]).code, Some(3), "{}", packed.name)
    });
    each(&["--raise", "deny", "--yield", "deny"], |packed| {
        assert_eq!(
            packed.told(&["raise"], "raise: "),
            ["58"],
            "{}",
            packed.name
        );
        assert_eq!(
            packed.told(&["yield"], "yield: "),
            ["58"],
            "{}",
            packed.name
        );
        // A pointer to it leads to the same.
        assert_eq!(
            packed.told(&["table"], "table: "),
            ["58"],
            "{}",
            packed.name
        );
        assert_eq!(
            packed.imported(&["proc_raise", "sched_yield"]),
            [""; 0],
            "{}",
            packed.name
        );
    });
    each(&[], |packed| {
        assert_eq!(packed.told(&["yield", "table"], "table: "), ["0"])
    });
}

#[test]
fn pointers_that_lead_out_of_the_memory_are_refused() {
    let flags = [
        "--random",
        "seed=1",
        "--clock",
        "fixed=1",
        "--env-deny",
        "--args-deny",
        "--arg",
        "outside",
    ];
    each(&flags, |packed| {
        assert_eq!(
            packed.told(&[], "outside: "),
            ["21 21 21 21"],
            "{}",
            packed.name
        );
    });
}

#[test]
fn relative_and_absolute_paths_work_from_a_current_directory() {
    each_libc(&["--cwd", "work"], |packed| {
        let lines = packed.lines(&["cwd"]);
        for line in [
            "env PWD=/work",
            "here: relative",
            "./here: relative",
            "/etc/conf: absolute",
            "/work/here: relative",
        ] {
            assert!(
                lines.iter().any(|found| found == line),
                "{}: {lines:?}",
                packed.name
            );
        }
        assert_eq!(packed.row("cwd"), "/work");
    });
}

/// The imports of a module under `--profile pure` are those of stdout, stderr and ending.
#[test]
fn pure_is_output_and_ending() {
    each(&["--profile", "pure"], |packed| {
        let all = [
            &ENV[..],
            &ARGS,
            &CLOCK,
            &["random_get", "proc_raise", "sched_yield"],
        ]
        .concat();
        assert_eq!(packed.imported(&all), [""; 0], "{}", packed.name);
        assert_eq!(
            packed.imported(&["proc_exit", "fd_write"]),
            ["proc_exit", "fd_write"]
        );
        assert_eq!(packed.lines(&["x"]), ["argv[0] = ''"], "{}", packed.name);
    });
    each(
        &["--profile", "pure", "--yield", "pass", "--args-allow"],
        |packed| {
            assert_eq!(packed.told(&["yield"], "yield: "), ["0"], "{}", packed.name);
        },
    );
}

#[test]
fn packing_again_keeps_a_policy_or_takes_another() {
    each(
        &[
            "--random", "seed=7", "--clock", "deny", "--env", "A=1", "--yield", "deny",
        ],
        |packed| {
            let all = ["random", "clock", "yield", "file"];
            let before = packed.lines(&all);
            let kept = packed.again(&[]);
            assert_eq!(kept.lines(&all), before, "{}", packed.name);
            assert_eq!(
                imports(&kept.module),
                imports(&packed.module),
                "{}",
                packed.name
            );

            let other = kept.again(&[
                "--yield", "pass", "--random", "seed=8", "--clock", "fixed=2", "--env", "A=2",
            ]);
            assert_eq!(other.told(&["yield"], "yield: "), ["0"], "{}", packed.name);
            assert_eq!(
                other.told(&["file"], "file: "),
                ["2.000000000"],
                "{}",
                packed.name
            );
            assert_eq!(other.told(&[], "env A="), ["2"], "{}", packed.name);
            assert_ne!(
                other.told(&["random"], "random:"),
                packed.told(&["random"], "random:")
            );
            assert_eq!(
                other.imported(&["sched_yield", "random_get"]),
                ["sched_yield"],
                "{}",
                packed.name
            );

            let free = other.again(&["--random", "pass", "--clock", "pass"]);
            assert_eq!(
                free.imported(&["random_get", "clock_time_get"]).len(),
                2,
                "{}",
                packed.name
            );
            assert_ne!(
                free.told(&["random"], "random:"),
                free.told(&["random"], "random:")
            );
            assert_eq!(free.row("clock"), "pass");

            // Back to the seed: the generator begins anew.
            let back = free.again(&["--random", "seed=7"]);
            assert_eq!(
                back.told(&["random"], "random:"),
                packed.told(&["random"], "random:"),
                "{}",
                packed.name
            );
        },
    );
}

#[test]
fn changing_files_keeps_the_policy() {
    each(&["--clock", "fixed=3", "--cwd", "/work"], |packed| {
        let changed = packed.dir.path().join("changed.wasm");
        for command in ["add /new/file=text --file", "rm /etc/conf"] {
            let mut words = command.split(' ');
            let mut args: Vec<&OsStr> = vec![words.next().expect("a command").as_ref()];
            args.push(packed.module.as_os_str());
            let rest: Vec<&OsStr> = words.map(OsStr::new).collect();
            args.extend(rest.iter().rev());
            finish(monaka(args).arg("-o").arg(&changed), "").expect_success();
            let changed = Packed {
                dir: TempDir::new().expect("create a directory"),
                module: changed.clone(),
                name: packed.name.clone(),
            };
            let lines = changed.lines(&["cwd", "file"]);
            for line in ["here: relative", "file: 3.000000000"] {
                assert!(
                    lines.iter().any(|found| found == line),
                    "{}: {lines:?}",
                    packed.name
                );
            }
            assert_eq!(
                imports(&changed.module),
                imports(&packed.module),
                "{}",
                packed.name
            );
        }
    });
}

/// Where time stands still a file's times do not tell that it was changed.
#[test]
fn what_is_written_at_a_fixed_time_is_committed() {
    each(&["--clock", "fixed=7", "--mtime", "7"], |packed| {
        let first = packed.dir.path().join("first.wasm");
        let second = packed.dir.path().join("second.wasm");
        for (from, to, text) in [(&packed.module, &first, "one"), (&first, &second, "two")] {
            let mut command = monaka(["commit", "-q"]);
            command.arg(from).arg("-o").arg(to);
            finish(command.args(["--", "put", text]), "").expect_success();
            let shown = finish(monaka(["cat"]).arg(to).arg("/tmp/put"), "").expect_success();
            assert_eq!(shown.stdout, text, "{}", packed.name);
        }
    });
}

/// Two packs of the same are the same.
#[test]
fn a_policy_is_reproducible() {
    let flags = [
        "--random",
        "seed=7",
        "--env-allow",
        "B,A",
        "--arg",
        "x",
        "--mtime",
        "0",
    ];
    each(&flags, |packed| {
        let again = packed.dir.path().join("root");
        let module = packed.dir.path().join("second.wasm");
        let mut args = vec!["--mapdir".into(), mapped("/", &again)];
        args.extend(
            [
                "--random",
                "seed=7",
                "--env-allow",
                "A,B",
                "--arg",
                "x",
                "--mtime",
                "0",
            ]
            .map(Into::into),
        );
        let route = match packed.name.contains("multi") {
            true => "--memory=multi",
            false => "-q",
        };
        args.push(route.into());
        if packed.name.contains("linked") {
            return;
        }
        let libc = Libc::ALL
            .into_iter()
            .find(|libc| packed.name.starts_with(&format!("{libc:?}")));
        pack(
            &PROGRAM.compile(libc.expect("one of them"), Opt::O2, Linked::Not),
            args,
            &module,
        );
        assert!(
            fs::read(module).ok() == fs::read(&packed.module).ok(),
            "{}",
            packed.name
        );
    });
}

#[test]
fn commands_that_make_no_sense_are_refused() {
    for libc in Libc::ALL.into_iter().filter(|libc| libc.is_here()).take(1) {
        let program = PROGRAM.compile(libc, Opt::O2, Linked::Not);
        for (flags, message) in [
            ("--cwd /none", "no directory of what is packed"),
            ("--cwd /file", "no directory of what is packed"),
            ("--env NAME", "give it a value"),
            ("--env =x", "a variable has a name"),
            ("--env-allow A=B", "without their values"),
            (
                "--clock fixed=1.0000000001",
                "one of pass, deny, fixed=SECONDS",
            ),
            ("--clock fixed=-1", "one of pass, deny, fixed=SECONDS"),
            (
                "--clock fixed=18446744074",
                "one of pass, deny, fixed=SECONDS",
            ),
            ("--random seed=", "seed=NUMBER"),
            ("--random seed=18446744073709551616", "seed=NUMBER"),
        ] {
            let mut command = monaka(["pack".as_ref(), program.as_os_str()]);
            command.args(["--file", "/file=x", "-o", "/nowhere/x.wasm"]);
            let outcome = finish(command.args(flags.split(' ')).arg("--dry-run"), "");
            assert_ne!(outcome.code, Some(0), "{flags}");
            assert!(
                outcome.stderr.contains(message),
                "{flags}: {}",
                outcome.stderr
            );
        }
        let long = format!("A={}", "x".repeat(1 << 20));
        let place = TempDir::new().expect("create a directory");
        let file = place.path().join("pack.toml");
        let text = format!(
            "input = '{}'\noutput = 'x'\nenv = ['{long}']\nmount = [{{guest = '/a', text = 'x'}}]\n",
            program.display()
        );
        fs::write(&file, text).expect("write a file");
        let mut command = monaka(["pack", "--config"]);
        let outcome = finish(command.arg(&file), "");
        assert!(
            outcome.stderr.contains("has room for 1 MiB"),
            "{}",
            outcome.stderr
        );
    }
}
