//! Reading and writing, beside memcpy of the same bytes in the same program.

use std::fs;
use std::path::Path;

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Plot, Row, Series, Table, Verdict};
use crate::samples::Samples;
use crate::workload::{Workload, prose};

const MIB: usize = 1 << 20;

/// Something that is measured beside a memcpy.
struct Call {
    what: &'static str,
    /// The program's name for it.
    name: &'static str,
    /// And for its reference.
    copy: &'static str,
    /// And for that with other calls between the copies.
    apart: Option<&'static str>,
    /// The share of memcpy's speed that it must have, at a size.
    wanted: Option<(f64, u64)>,
}

const CALLS: [Call; 6] = [
    Call {
        what: "read in a row",
        name: "read",
        copy: "copy_out",
        apart: None,
        wanted: Some((0.95, MIB as u64)),
    },
    Call {
        what: "read at random",
        name: "random_read",
        copy: "random_copy_out",
        apart: Some("random_copy_out_apart"),
        wanted: Some((0.85, 4096)),
    },
    Call {
        what: "read what was written at random",
        name: "random_read_back",
        copy: "random_copy_back",
        apart: Some("random_copy_back_apart"),
        wanted: Some((0.85, 4096)),
    },
    Call {
        what: "write a new file",
        name: "write",
        copy: "copy_in",
        apart: None,
        wanted: Some((0.8, MIB as u64)),
    },
    Call {
        what: "write over a file",
        name: "overwrite",
        copy: "copy_in",
        apart: None,
        wanted: None,
    },
    Call {
        what: "write at random",
        name: "random_write",
        copy: "random_copy_in",
        apart: None,
        wanted: Some((0.8, 4096)),
    },
];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let workload = Workload::new(setup, "copies.c", &Home::ALL, fill);
    let mut samples = Samples::default();
    for _ in setup.rounds() {
        samples.push(workload.round(args));
    }
    let homes = workload.homes();
    Chapter {
        title: "Reading and writing".into(),
        text: "A C program reads and writes 100 MiB (8 MiB where files are compressed) in \
               pieces, or at most 30,000 pieces of it, fewer where calls are slow. memcpy is \
               that of the program itself, of as many bytes between two places of its memory \
               at the same offsets. A file that is read was packed, but one is read back that was \
               written at random. Random writes go to a file that has all its bytes. Copies at \
               random have a loop to themselves, so the processor fetches for the next ones \
               while one waits for memory. It looks no further ahead than some hundred \
               instructions: so beside them are copies apart, with three `lseek` between two of \
               them, which move nothing and take about as long as reading a byte."
            .into(),
        tables: CALLS
            .iter()
            .map(|call| table(&samples, &homes, call))
            .collect(),
        plots: CALLS
            .iter()
            .map(|call| plot(&samples, &homes, call))
            .collect(),
        verdicts: verdicts(&samples),
        samples,
    }
}

fn fill(files: &Path) {
    fs::write(files.join("big"), prose(100 * MIB)).expect("write");
}

fn args(home: Home) -> Vec<String> {
    let (calls, mib) = match home {
        Home::Linked | Home::Single | Home::Multi => (30_000, 100),
        Home::WasiVfs | Home::Tmpfs | Home::Node => (5_000, 100),
        Home::Compressed => (200, 8),
        Home::Pool => (300, 100),
    };
    let writes = if home == Home::WasiVfs {
        "reads"
    } else {
        "all"
    };
    vec![calls.to_string(), mib.to_string(), writes.into()]
}

fn table(samples: &Samples, homes: &[Home], call: &Call) -> Table {
    let mut columns = vec!["memcpy".to_owned()];
    columns.extend(call.apart.map(|_| "memcpy, apart".to_owned()));
    columns.extend(homes.iter().map(|home| home.name().to_owned()));
    let row = |size: u64| {
        // Of the references that ran beside each home, the one beside the first.
        let copies = [Some(call.copy), call.apart].into_iter().flatten();
        let copies = copies.map(|copy| samples.median(&format!("linked.{copy}.{size}")));
        let mut cells: Vec<_> = copies.collect();
        let cell = |home: &Home| samples.median(&format!("{}.{}.{size}", home.name(), call.name));
        cells.extend(homes.iter().map(cell));
        Row::new(bytes(size), cells)
    };
    Table {
        title: format!("{}, ns", call.what),
        columns,
        rows: samples
            .sizes(&format!("linked.{}", call.name))
            .into_iter()
            .map(row)
            .collect(),
    }
}

/// The share of memcpy's speed at each size.
fn plot(samples: &Samples, homes: &[Home], call: &Call) -> Plot {
    let series = |home: &Home| Series {
        name: home.name().to_owned(),
        points: samples
            .sizes(&format!("{}.{}", home.name(), call.name))
            .into_iter()
            .filter_map(|size| Some((size as f64, share(samples, *home, call, call.copy, size)?)))
            .collect(),
    };
    Plot {
        name: call.name.replace('_', "-"),
        title: format!("{}: speed, of memcpy's", call.what),
        x: "bytes per call".into(),
        y: "share of memcpy's speed".into(),
        series: homes
            .iter()
            .map(series)
            .filter(Series::has_points)
            .collect(),
    }
}

/// Of `copy`'s speed.
fn share(samples: &Samples, home: Home, call: &Call, copy: &str, size: u64) -> Option<f64> {
    let [call, copy] = [call.name, copy].map(|name| format!("{}.{name}.{size}", home.name()));
    samples.ratio(&[&copy], &[&call])
}

fn verdicts(samples: &Samples) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for home in Home::OURS {
        for call in &CALLS {
            let Some((limit, size)) = call.wanted else {
                continue;
            };
            let copies = [(Some(call.copy), ""), (call.apart, " apart")];
            for (copy, how) in copies {
                let Some(copy) = copy else { continue };
                let (home_name, size_name) = (home.name(), bytes(size));
                verdicts.push(Verdict::at_least(
                    format!(
                        "{home_name}: {}, {size_name}, of memcpy's speed{how}",
                        call.what
                    ),
                    share(samples, home, call, copy, size),
                    limit,
                ));
            }
        }
    }
    verdicts
}

fn bytes(size: u64) -> String {
    match size {
        1.. if size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        1.. if size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}
