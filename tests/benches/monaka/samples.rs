//! Named measurements, one of each name per round.

use std::collections::BTreeMap;

use serde::Serialize;

/// What one round measured, by name.
pub(crate) type Round = BTreeMap<String, f64>;

/// What all rounds measured.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Samples(Vec<Round>);

impl Samples {
    pub(crate) fn push(&mut self, round: Round) {
        self.0.push(round);
    }

    /// Adds the rounds of others.
    pub(crate) fn append(&mut self, mut others: Samples) {
        self.0.append(&mut others.0);
    }

    /// The median of what was measured under `name`; none if nothing was.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        self.median_of(|round| round.get(name).copied())
    }

    /// The least of it: what a quiet machine takes.
    pub(crate) fn least(&self, name: &str) -> Option<f64> {
        let values = self.0.iter().filter_map(|round| round.get(name).copied());
        values.min_by(f64::total_cmp)
    }

    /// The median of the ratios within each round, of sums.
    pub(crate) fn ratio(&self, numerator: &[&str], denominator: &[&str]) -> Option<f64> {
        let sum = |round: &Round, names: &[&str]| -> Option<f64> {
            names.iter().map(|name| round.get(*name)).sum()
        };
        self.median_of(|round| Some(sum(round, numerator)? / sum(round, denominator)?))
    }

    /// The sizes of a series, ascending: all N of which there is a `PREFIX.N`.
    pub(crate) fn sizes(&self, prefix: &str) -> Vec<u64> {
        let size = |name: &String| name.strip_prefix(prefix)?.strip_prefix('.')?.parse().ok();
        let mut sizes: Vec<u64> = self
            .0
            .iter()
            .flat_map(Round::keys)
            .filter_map(size)
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// `value` of each size of a series.
    pub(crate) fn series(
        &self,
        prefix: &str,
        value: impl Fn(&Samples, &str) -> Option<f64>,
    ) -> Vec<(f64, f64)> {
        let sizes = self.sizes(prefix).into_iter();
        let point = |size| Some((size as f64, value(self, &format!("{prefix}.{size}"))?));
        sizes.filter_map(point).collect()
    }

    fn median_of(&self, value: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let values: Vec<_> = self.0.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| median(values))
    }
}

/// The middle one of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
