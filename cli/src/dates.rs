//! Modification times that do not depend on when and where something is packed.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use monaka_vfs_core::image::{Meta, NodeId, Tree};

use crate::report::Hinted;

/// What is done with modification times.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Dates {
    /// Give everything this modification time: seconds since 1970, or a date as
    /// 2026-01-31, 2026-01-31T12:00:00Z
    ///
    /// Without it, files keep theirs, but none is later than the environment
    /// variable SOURCE_DATE_EPOCH (seconds since 1970) if that is set.
    #[arg(long, value_name = "TIME", value_parser = parse)]
    mtime: Option<u64>,
}

const NANOS: u64 = 1_000_000_000;

impl Dates {
    /// Changes the times of all that is in a tree, but for the nodes in `without`.
    pub(crate) fn apply<S>(&self, tree: &mut Tree<S>, without: &[NodeId]) -> Result<()> {
        let (fixed, latest) = (self.mtime, epoch()?.unwrap_or(u64::MAX));
        if fixed.is_none() && latest == u64::MAX {
            return Ok(());
        }
        let mut open = vec![NodeId::ROOT];
        while let Some(node) = open.pop() {
            if !without.contains(&node) {
                let meta = tree.meta(node);
                let mtime = fixed.unwrap_or(meta.mtime.min(latest));
                tree.set_meta(node, Meta { mtime, ..meta });
            }
            open.extend(tree.children(node).map(|(_, child)| child));
        }
        Ok(())
    }

    /// When this was made: as is said, or else now. In nanoseconds.
    pub(crate) fn made(&self) -> Result<u64> {
        let now = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(0, |now| now.as_nanos() as u64)
        };
        Ok(self.mtime.or(epoch()?).unwrap_or_else(now))
    }
}

/// What SOURCE_DATE_EPOCH says, if it is set.
fn epoch() -> Result<Option<u64>> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let Some(text) = env::var_os(NAME) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse::<u64>().ok());
    match seconds.and_then(|seconds| seconds.checked_mul(NANOS)) {
        Some(nanos) => Ok(Some(nanos)),
        None => Err(Hinted::new(
            format!("{NAME} is `{}`", text.display()),
            "set it to the seconds since 1970, as `git log -1 --format=%ct` prints them, or unset it",
        )
        .into()),
    }
}

fn parse(text: &str) -> Result<u64, &'static str> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(NANOS).ok_or(TOO_LATE);
    }
    let civil = |date: DateTime| date.to_zoned(TimeZone::UTC).ok();
    let time = (text.parse::<Timestamp>().ok())
        .or_else(|| civil(text.parse().ok()?).map(|zoned: Zoned| zoned.timestamp()))
        .or_else(|| {
            let date: Date = text.parse().ok()?;
            civil(date.to_datetime(jiff::civil::Time::midnight())).map(|zoned| zoned.timestamp())
        })
        .ok_or("neither seconds since 1970 nor a date like 2026-01-31 or 2026-01-31T12:00:00Z")?;
    let nanos = time.as_nanosecond();
    if nanos < 0 {
        return Err("files of WASI have no time before 1970");
    }
    u64::try_from(nanos).map_err(|_| TOO_LATE)
}

const TOO_LATE: &str = "files of WASI have no time after the year 2554";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_dates() {
        for (text, seconds) in [
            ("0", 0),
            ("1700000000", 1_700_000_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14T22:13:20", 1_700_000_000),
            ("2023-11-15T00:13:20+02:00", 1_700_000_000),
            ("2023-11-14 22:13:20", 1_700_000_000),
            ("2023-11-14", 1_699_920_000),
        ] {
            assert_eq!(parse(text), Ok(seconds * NANOS), "{text}");
        }
        assert_eq!(
            parse("2023-11-14T22:13:20.5Z"),
            Ok(1_700_000_000 * NANOS + NANOS / 2)
        );
        for text in [
            "",
            "now",
            "-1",
            "1969-12-31",
            "9999-01-01",
            "99999999999",
            "2023-02-30",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn all_else_gets_the_time_that_is_given() {
        let meta = |mtime| Meta {
            mtime,
            executable: true,
        };
        let mut tree = Tree::new(meta(5));
        let d = tree.add_directory(NodeId::ROOT, b"d", meta(6)).unwrap();
        let f = tree.add_file(d, b"f", meta(7), 0, ()).unwrap();
        let g = tree.add_file(d, b"g", meta(8), 0, ()).unwrap();
        Dates { mtime: Some(9) }.apply(&mut tree, &[f]).unwrap();
        for (node, mtime) in [(NodeId::ROOT, 9), (d, 9), (f, 7), (g, 9)] {
            assert_eq!(tree.meta(node), meta(mtime));
        }
    }
}
