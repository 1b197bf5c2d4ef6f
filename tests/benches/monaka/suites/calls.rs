//! Small calls, of which nearly all is what a file system adds to the work itself.

use std::fs;
use std::path::Path;

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Verdict};
use crate::samples::Samples;
use crate::workload::{Workload, prose};

/// How often a call is made in a pass, where calls take nanoseconds.
const REPEAT: f64 = 10_000.0;

const CALLS: [(&str, &str); 11] = [
    ("read", "read 1 byte"),
    ("pread", "pread 1 byte"),
    ("write", "write 1 byte over another"),
    ("append", "append 100 bytes"),
    ("open", "open + close, three levels deep"),
    ("stat", "stat, three levels deep"),
    ("create", "create + write 5 bytes + close"),
    ("rename", "rename"),
    ("unlink", "unlink"),
    ("mkdir", "mkdir"),
    ("rmdir", "rmdir"),
];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let workload = Workload::new(setup, "calls.c", &Home::ALL, fill);
    let mut samples = Samples::default();
    for _ in setup.rounds() {
        samples.push(workload.round(|home| home.args(REPEAT)));
    }
    Chapter {
        title: "Calls".into(),
        text: "A C program calls in loops. Files for storms are 10,000 in one directory, \
               fewer where calls are slow. Against tmpfs, limits are for `pread`, open + close \
               and `stat`: calls that move next to no bytes. What goes through the pool takes \
               about 20 µs here, and 500 times as fast would be 40 ns: time for a byte that is \
               read, not for a walk of three directories."
            .into(),
        tables: vec![workload.table("nanoseconds per call", &CALLS, &samples)],
        verdicts: verdicts(&samples),
        samples,
        ..Chapter::default()
    }
}

fn fill(files: &Path) {
    fs::create_dir_all(files.join("one/two/three")).expect("create directories");
    fs::write(files.join("one/two/three/file"), "found\n").expect("write");
    fs::write(files.join("big"), prose(1 << 20)).expect("write");
}

fn verdicts(samples: &Samples) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for home in Home::OURS {
        let name = home.name();
        let byte = if home == Home::Linked { 30.0 } else { 40.0 };
        for (call, what, limit) in [
            ("read", "read of 1 byte", byte),
            ("pread", "pread of 1 byte", byte),
            ("write", "write of 1 byte", byte),
            ("stat", "stat", 200.0),
            ("open", "open + close", 200.0),
            ("create", "create + write 5 bytes + close", 600.0),
            ("unlink", "unlink", 300.0),
        ] {
            let value = samples.median(&format!("{name}.{call}"));
            verdicts.push(Verdict::at_most(
                format!("{name}: {what}, ns"),
                value,
                limit,
            ));
        }
        for (host, what, limit) in [
            (Home::Tmpfs, "tmpfs in place", 30.0),
            (Home::Pool, "tmpfs through the pool", 500.0),
        ] {
            for (call, doing) in [
                ("pread", "pread"),
                ("open", "open + close"),
                ("stat", "stat"),
            ] {
                let [theirs, ours] = [host.name(), name].map(|home| format!("{home}.{call}"));
                verdicts.push(Verdict::at_least(
                    format!("{name}: {doing}, times as fast as {what}"),
                    samples.ratio(&[&theirs], &[&ours]),
                    limit,
                ));
            }
        }
    }
    verdicts
}
