//! What a packed program reaches of its host, by each route and in each layout: what
//! each flag of `pack` does to a program that tries it, and to the module's imports.
//!
//! To run one again: `cargo test --release -p monaka-tests --test reached streams`

use std::fs;
use std::path::Path;

use monaka_tests::toolbox::{Libc, Linked, Opt, Program, finish, imports, mapped, monaka, pack};
use monaka_vfs_core::witx;
use tempfile::TempDir;

const PROGRAM: Program = Program::Test("reached.c");

/// The flags of a pack, and what follows.
struct Case {
    flags: &'static str,
    /// What the program tries, see `programs/reached.c`.
    tries: &'static str,
    /// What comes to the host's stdout and stderr.
    printed: [&'static str; 2],
    /// Calls with descriptors that the module imports, and that it does not.
    kept: &'static str,
    gone: &'static str,
}

/// Calls that the host's streams share.
const PIPES: &str = "fd_close fd_fdstat_get";
/// Calls that only the host's directories and sockets need.
const FILES: &str = "path_open fd_prestat_get fd_prestat_dir_name fd_readdir sock_recv";

/// Packs a directory into the program as each of them says, runs it on a host directory
/// `/host` with "typed" as stdin, and looks at imports and at what it prints.
fn check(cases: &[Case]) {
    for (libc, linked, more) in [
        (Libc::Old, Linked::Last, "--route linked"),
        (Libc::Old, Linked::Not, "--memory single"),
        (Libc::Old, Linked::Not, "--memory multi"),
        (Libc::Yowasp, Linked::Last, "--route linked"),
        (Libc::Yowasp, Linked::Not, "--memory single"),
        (Libc::Zig, Linked::Last, "--route linked"),
        (Libc::Zig, Linked::Not, "--memory single"),
    ] {
        if !libc.is_here() {
            continue;
        }
        let module = PROGRAM.compile(libc, Opt::O2, linked);
        for case in cases {
            let dir = TempDir::new().expect("create a directory");
            println!("{} {more}: {}", libc.name(), case.flags);
            run(case, &module, more, dir.path());
        }
    }
}

fn run(case: &Case, module: &Path, more: &str, dir: &Path) {
    for name in ["root/etc", "host"] {
        fs::create_dir_all(dir.join(name)).expect("create a directory");
    }
    fs::write(dir.join("root/etc/in"), "packed").expect("write a file");
    fs::write(dir.join("host/f"), "theirs").expect("write a file");
    let packed = dir.join("packed.wasm");
    let flags = case.flags.split_whitespace().chain(more.split_whitespace());
    let mut args = vec!["--mapdir".into(), mapped("/", &dir.join("root"))];
    args.extend(flags.map(Into::into));
    pack(module, &args, &packed);

    let imported: Vec<String> = imports(&packed);
    let has = |name: &str| {
        let full = format!("{}.{name}", witx::MODULE);
        imported.contains(&full)
    };
    for name in case.kept.split_whitespace() {
        assert!(
            has(name),
            "{} {more}: {name} is gone: {imported:?}",
            case.flags
        );
    }
    for name in case.gone.split_whitespace() {
        assert!(!has(name), "{} {more}: {name} is left", case.flags);
    }

    let host = mapped("", &dir.join("host"));
    let mut host = host.into_string().expect("a path").split_off(2);
    host.push_str("::/host");
    let mut command = monaka(["run", "--dir", &host]);
    command.arg(&packed).arg("--");
    command.args(case.tries.split_whitespace());
    let outcome = finish(&mut command, "typed");
    let tried: Vec<&str> = case.tries.split_whitespace().collect();
    let failed = outcome.code.and_then(|status| match status {
        0 => None,
        status => tried.get(status as usize - 1),
    });
    assert_eq!(
        (failed, &outcome.stdout[..], &outcome.stderr[..]),
        (None, case.printed[0], case.printed[1]),
        "{} {more}",
        case.flags
    );
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn streams() {
    check(&[
        Case {
            flags: "",
            tries: "in=typed out=o err=e sleep tty! write:/etc/new=x read:/etc/new=x",
            printed: ["o", "e"],
            kept: "fd_read fd_write poll_oneoff fd_close fd_fdstat_get",
            gone: FILES,
        },
        Case {
            flags: "--stdin deny",
            tries: "in!8 out=o err=e sleep read:/etc/in=packed",
            printed: ["o", "e"],
            kept: "fd_write poll_oneoff fd_close",
            gone: "fd_read path_open",
        },
        Case {
            flags: "--stdin ignore --stdout pass",
            tries: "in= in= out=o err=e tty! sleep",
            printed: ["o", "e"],
            kept: "fd_write poll_oneoff",
            gone: "fd_read path_open",
        },
        Case {
            flags: "--stdin file=/etc/in",
            tries: "in=packed out=o in= tty! read:/etc/in=packed",
            printed: ["o", ""],
            kept: "fd_write",
            gone: "fd_read path_open",
        },
        Case {
            flags: "--stdout deny",
            tries: "in=typed out!8 err=e out!8 write:/etc/in=! read:/etc/in=packed!",
            printed: ["", "e"],
            kept: "fd_read fd_write",
            gone: FILES,
        },
        Case {
            flags: "--stdout ignore --stderr ignore",
            tries: "in=typed out=o err=e tty! ready=3",
            printed: ["", ""],
            kept: "fd_read poll_oneoff",
            gone: "fd_write",
        },
        Case {
            flags: "--stdout file=/log/out --stderr file=/log/out --stdin deny",
            tries: "out=a err=b out=c read:/log/out=abc write:/log/out=d read:/log/out=abcd in!8",
            printed: ["", ""],
            kept: "poll_oneoff",
            gone: "fd_read fd_write fd_close fd_fdstat_get fd_seek fd_filestat_get",
        },
    ]);
}

#[test]
fn waiting() {
    check(&[
        Case {
            flags: "--stdin deny --stdout deny --stderr deny --clock deny",
            tries: "in!8 out!8 err!8 sleep!58 read:/etc/in=packed",
            printed: ["", ""],
            kept: "",
            gone: "fd_read fd_write fd_close fd_fdstat_get fd_seek fd_filestat_get poll_oneoff \
                   clock_time_get",
        },
        Case {
            flags: "--stdin ignore --stdout ignore --stderr ignore",
            tries: "sleep ready=3",
            printed: ["", ""],
            kept: "poll_oneoff",
            gone: "fd_read fd_write fd_close fd_fdstat_get fd_seek fd_filestat_get",
        },
        Case {
            flags: "--stdin file=/etc/in --stdout ignore --stderr ignore --clock fixed=5",
            tries: "sleep ready=3",
            printed: ["", ""],
            kept: "",
            gone: "fd_read fd_write fd_close fd_fdstat_get fd_seek fd_filestat_get poll_oneoff",
        },
        Case {
            flags: "--clock deny",
            tries: "sleep!58 in=typed",
            printed: ["", ""],
            kept: "poll_oneoff fd_read fd_write",
            gone: "clock_time_get",
        },
        Case {
            flags: "--clock monotonic-only --stdin deny",
            tries: "sleep in!8",
            printed: ["", ""],
            kept: "poll_oneoff fd_write",
            gone: "fd_read",
        },
        Case {
            flags: "--profile pure --args-allow",
            tries: "in!8 out=o err=e sleep!58 write:/tmp/x=y read:/tmp/x=y",
            printed: ["o", "e"],
            kept: "fd_write proc_exit",
            gone: "fd_read poll_oneoff path_open clock_time_get random_get environ_get",
        },
        Case {
            flags: "--deny-all --args-allow --exit pass --stderr pass",
            tries: "in!8 out!8 err=e sleep!58",
            printed: ["", "e"],
            kept: "fd_write proc_exit",
            gone: "fd_read poll_oneoff",
        },
    ]);
}

#[test]
fn directories() {
    check(&[
        Case {
            flags: "--preopen /h=/host",
            tries: "read:/h/f=theirs write:/h/new=x read:/h/new=x read:/host/f!44 read:/etc/in=packed",
            printed: ["", ""],
            kept: "path_open fd_prestat_get fd_read",
            gone: "sock_recv",
        },
        Case {
            flags: "--preopen /h=/host:ro --stdout deny",
            tries: "read:/h/f=theirs write:/h/f!69 write:/h/new!69 read:/h/new!44 out!8",
            printed: ["", ""],
            kept: "path_open fd_prestat_get fd_write",
            gone: "sock_recv",
        },
        Case {
            flags: "--preopen /h=/other",
            tries: "read:/h/f!44 read:/host/f!44 read:/etc/in=packed",
            printed: ["", ""],
            kept: "path_open",
            gone: "",
        },
        Case {
            flags: "--preopen /h=/host:ro --allow-host-dirs",
            tries: "read:/h/f=theirs write:/h/f!69 read:/host/f!44",
            printed: ["", ""],
            kept: "path_open",
            gone: "",
        },
        Case {
            flags: "--sockets pass --stdin deny",
            tries: "in!8 read:/host/f!44 out=o",
            printed: ["o", ""],
            kept: PIPES,
            gone: "path_open fd_prestat_get",
        },
    ]);
}
