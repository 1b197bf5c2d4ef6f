//! What calls cost as things grow.
//!
//! What counts is the ratio of a cost to the least at any smaller size: it may grow by
//! what caches do, for a random entry of 100,000 is in none, and not by what the size
//! does, which would be hundreds of times.

use crate::Setup;
use crate::home::Home;
use crate::report::{Chapter, Plot, Row, Series, Table, Verdict};
use crate::samples::Samples;
use crate::workload::Workload;

/// A cost that is measured at sizes from small to large.
struct Curve {
    /// The program's name for it.
    name: &'static str,
    what: &'static str,
    /// What there is more and more of.
    of: &'static str,
    /// How much it may grow; none where growing is known, see docs/DESIGN.md.
    limit: Option<f64>,
}

const fn curve(
    name: &'static str,
    what: &'static str,
    of: &'static str,
    limit: Option<f64>,
) -> Curve {
    Curve {
        name,
        what,
        of,
        limit,
    }
}

const ENTRIES: &str = "entries of a directory";
const COMPONENTS: &str = "components of a path";
const FILES: &str = "files, 100 to a directory";
const APPENDS: &str = "appends to a file";
const KIB: &str = "KiB of a file";
const WRITES: &str = "writes to a file of holes";
const OPEN: &str = "open files";

const CURVES: [Curve; 18] = [
    curve("create", "create an entry", ENTRIES, Some(10.0)),
    curve("lookup", "look any entry up", ENTRIES, Some(16.0)),
    curve("lookup_set", "look up one of 1,000 entries", ENTRIES, None),
    curve("miss", "look up what is not there", ENTRIES, Some(8.0)),
    curve("opendir", "open the directory", ENTRIES, Some(3.0)),
    curve("list", "list, per entry", ENTRIES, Some(3.0)),
    curve("drain", "remove what is listed first", ENTRIES, Some(6.0)),
    curve("depth", "look a path up", COMPONENTS, None),
    curve(
        "file_create",
        "create + write 1 byte + close",
        FILES,
        Some(10.0),
    ),
    curve("file_stat", "stat any file", FILES, Some(16.0)),
    curve(
        "file_read",
        "open any file + read 1 byte + close",
        FILES,
        Some(16.0),
    ),
    curve("file_unlink", "unlink", FILES, Some(8.0)),
    curve("append1", "append 1 byte", APPENDS, Some(4.0)),
    curve("append100", "append 100 bytes", APPENDS, Some(8.0)),
    curve("pread", "pread 100 bytes anywhere", KIB, Some(8.0)),
    curve("scatter", "write 1 byte into a hole", WRITES, None),
    curve("open", "open + close", OPEN, Some(4.0)),
    curve(
        "reopen",
        "open + close below the open files",
        OPEN,
        Some(4.0),
    ),
];

const GROUPS: [&str; 7] = [ENTRIES, COMPONENTS, FILES, APPENDS, KIB, WRITES, OPEN];

/// More rounds change little, as the least counts.
const ROUNDS: usize = 3;

const HOMES: [Home; 4] = [Home::Linked, Home::Single, Home::Multi, Home::Tmpfs];

pub(crate) fn run(setup: &Setup) -> Chapter {
    let workloads = ["directories.c", "growth.c"].map(|name| {
        // Packed with nothing: all that grows is made by the program.
        Workload::new(setup, name, &HOMES, |_| ())
    });
    let mut samples = Samples::default();
    for _ in setup.rounds().take(ROUNDS) {
        let mut round = workloads[0].round(directories);
        round.append(&mut workloads[1].round(args));
        samples.push(round);
    }
    Chapter {
        title: "How cost grows".into(),
        text: "C programs make directories, files and descriptors, and measure calls on them. \
               Nanoseconds in the tables are those of a linked program, the least of all \
               rounds; plots have the other homes. A limit on growth is for the cost at any \
               size over the least at a smaller one, in the worst home of linked, single and \
               multi.\n\n\
               Of 100,000 entries, one that is taken at random is in no cache, whatever finds \
               it; so the limit that lookups in 100,000 take twice those in 100 at most is \
               judged on 1,000 names of all, looked up again and again at random. That any \
               name of all may be asked for is the row above it."
            .into(),
        tables: GROUPS.map(|group| table(&samples, group)).into(),
        plots: CURVES.iter().map(|curve| plot(&samples, curve)).collect(),
        verdicts: verdicts(&samples),
        samples,
    }
}

fn directories(home: Home) -> Vec<String> {
    let mut args = args(home);
    args[2] = "all".into();
    args
}

fn args(home: Home) -> Vec<String> {
    let (calls, most, open) = match home {
        Home::Tmpfs => (500, 1_000, 100),
        _ => (20_000, 100_000, 100_000),
    };
    [calls, most, open]
        .map(|number: u32| number.to_string())
        .into()
}

fn points(samples: &Samples, home: Home, curve: &Curve) -> Vec<(f64, f64)> {
    samples.series(&format!("{}.{}", home.name(), curve.name), Samples::least)
}

fn table(samples: &Samples, group: &str) -> Table {
    let curves: Vec<_> = CURVES.iter().filter(|curve| curve.of == group).collect();
    let mut sizes: Vec<_> = curves
        .iter()
        .flat_map(|curve| samples.sizes(&format!("linked.{}", curve.name)))
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let row = |curve: &&Curve| {
        let cell = |size: &u64| samples.least(&format!("linked.{}.{size}", curve.name));
        Row::new(curve.what, sizes.iter().map(cell).collect::<Vec<_>>())
    };
    Table {
        title: format!("ns, linked; {group}"),
        columns: sizes.iter().map(u64::to_string).collect(),
        rows: curves.iter().map(row).collect(),
    }
}

fn plot(samples: &Samples, curve: &Curve) -> Plot {
    let series = |home: Home| Series {
        name: home.name().to_owned(),
        points: points(samples, home, curve),
    };
    Plot {
        name: format!("growth-{}", curve.name.replace('_', "-")),
        title: curve.what.into(),
        x: curve.of.into(),
        y: "ns".into(),
        series: HOMES.map(series).into(),
    }
}

fn verdicts(samples: &Samples) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for curve in &CURVES {
        let Some(limit) = curve.limit else { continue };
        let grows = Home::OURS.map(|home| growth(&points(samples, home, curve)));
        let worst = grows.into_iter().collect::<Option<Vec<_>>>();
        verdicts.push(Verdict::at_most(
            format!("{}: times the cost, however many {}", curve.what, curve.of),
            worst.map(|grows| grows.into_iter().fold(0.0, f64::max)),
            limit,
        ));
    }
    for home in Home::OURS {
        let name = home.name();
        let [few, many] = [100, 100_000].map(|n| format!("{name}.lookup_set.{n}"));
        verdicts.push(Verdict::at_most(
            format!("{name}: looking up one of 1,000 entries of 100,000, times one of 100"),
            samples.ratio(&[&many], &[&few]),
            2.0,
        ));
        verdicts.push(Verdict::at_most(
            format!("{name}: listing 100,000 entries, ns per entry"),
            samples.median(&format!("{name}.list.100000")),
            60.0,
        ));
    }
    // A path may not cost more for each component where it has more of them.
    for home in Home::OURS {
        let name = home.name();
        let each = |n: u64| Some(samples.least(&format!("{name}.depth.{n}"))? / n as f64);
        verdicts.push(Verdict::at_most(
            format!("{name}: a component of 64, times one of 4"),
            each(64).zip(each(4)).map(|(deep, flat)| deep / flat),
            1.5,
        ));
    }
    verdicts
}

/// The most that a cost exceeds one at a smaller size; none of no sizes.
fn growth(points: &[(f64, f64)]) -> Option<f64> {
    let mut least = f64::INFINITY;
    let ratios = points.iter().map(|(_, cost)| {
        least = least.min(*cost);
        cost / least
    });
    ratios.max_by(f64::total_cmp)
}
