//! Tables of numbers that were accepted, in `tests/golden`.

use std::fs;

use crate::toolbox::root;

/// Fails where `table` is not the accepted one of this name: the same words, and numbers
/// that are off by no more than the part `tolerance`. With `BLESS` in the environment,
/// which `make bless-perf` sets, it is accepted.
#[track_caller]
pub fn accepted(name: &str, table: &str, tolerance: f64) {
    let golden = root().join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, table).expect("write");
    }
    let accepted = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        near(&accepted, table, tolerance),
        "tests/golden/{name}: costs have changed by more than {tolerance}; if that is meant: \
         make bless-perf\naccepted:\n{accepted}\nnow:\n{table}"
    );
}

/// Whether two tables have the same words and nearly the same numbers.
fn near(accepted: &str, table: &str, tolerance: f64) -> bool {
    let (mut accepted, mut table) = (accepted.split_whitespace(), table.split_whitespace());
    accepted.by_ref().zip(table.by_ref()).all(|(one, other)| {
        match (one.parse::<f64>(), other.parse::<f64>()) {
            (Ok(one), Ok(other)) => (one - other).abs() <= one * tolerance,
            _ => one == other,
        }
    }) && accepted.next().is_none()
        && table.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn tables_of_other_lengths_or_numbers_differ() {
        assert!(near("a 100\nb 10", "a 109\nb 9", 0.1));
        assert!(!near("a 100", "a 111", 0.1));
        assert!(!near("a 100\nb 1", "a 100", 0.1));
        assert!(!near("", "a 100", 0.1));
        assert!(!near("a 100", "b 100", 0.1));
    }
}
