//! Tables of numbers that were accepted, in `tests/golden`.
//!
//! Instructions and bytes are those of one compiler: another one makes other code, which
//! is no reason to fail. So the first line of a table names the compiler; with any other
//! the numbers are not compared, which is said past the capture of the test harness, and
//! is a failure where `CI=true`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::toolbox::{finish, leave_out, root};

/// An accepted table.
pub struct Golden {
    name: &'static str,
    compiler: String,
}

impl Golden {
    /// The table of this name, whose numbers depend on what compiles these tests.
    pub fn native(name: &'static str) -> Golden {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut rustc = Command::new(rustc);
        let told = finish(rustc.arg("-vV").current_dir(root()), "").expect_success();
        let field = |name: &str| {
            let found = told.stdout.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("rustc -vV does not tell {name}\n{}", told.stdout))
        };
        let [release, llvm, host] = ["release: ", "LLVM version: ", "host: "].map(field);
        Golden {
            name,
            compiler: format!("rustc {release}, LLVM {llvm}, {host}"),
        }
    }

    /// The same of what compiles the library that gets into programs.
    pub fn of_library(name: &'static str) -> Golden {
        let mut build = Command::new(root().join("tools/build-lib"));
        let told = finish(build.arg("--with"), "").expect_success();
        Golden {
            name,
            compiler: told.stdout.trim().to_owned(),
        }
    }

    fn place(&self) -> PathBuf {
        root().join("tests/golden").join(self.name)
    }

    /// The accepted table, whoever compiled what was measured for it.
    pub fn table(&self) -> String {
        self.read().1
    }

    /// The compiler of the accepted numbers, and the numbers.
    fn read(&self) -> (String, String) {
        let text = fs::read_to_string(self.place()).unwrap_or_default();
        let (compiler, table) = text.split_once('\n').unwrap_or_default();
        (compiler.to_owned(), table.to_owned())
    }

    /// Accepts a table, if `BLESS` in the environment asks for that, which
    /// `make bless-perf` sets.
    pub fn bless(&self, table: &str) {
        if std::env::var_os("BLESS").is_some() {
            let text = format!("{}\n{table}", self.compiler);
            fs::write(self.place(), text).expect("write");
        }
    }

    /// Whether the accepted numbers are of the compiler that is here; says so if not.
    #[track_caller]
    pub fn holds(&self) -> bool {
        let Golden { name, compiler } = self;
        let (of, _) = self.read();
        assert!(
            !of.is_empty(),
            "tests/golden/{name} is missing or empty\nhint: make bless-perf"
        );
        of == *compiler
            || leave_out(
                &format!(
                    "tests/golden/{name} is of {of}, and here is {compiler}: nothing was \
                     compared with it"
                ),
                "use that compiler, or accept the numbers of this one: make bless-perf",
            )
    }

    /// Fails where `table` is not the accepted one: the same words, and numbers that are
    /// off by no more than the part `tolerance`.
    #[track_caller]
    pub fn compare(&self, table: &str, tolerance: f64) {
        self.bless(table);
        if !self.holds() {
            return;
        }
        let accepted = self.table();
        assert!(
            near(&accepted, table, tolerance),
            "tests/golden/{}: costs have changed by more than {tolerance}; if that is meant: \
             make bless-perf\naccepted:\n{accepted}\nnow:\n{table}",
            self.name
        );
    }
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
    use super::*;

    #[test]
    fn each_table_names_its_compiler() {
        for golden in [
            Golden::native("instructions.txt"),
            Golden::of_library("cost.txt"),
            Golden::of_library("size.txt"),
        ] {
            let (compiler, table) = golden.read();
            // The same facts, whatever they are.
            let facts = |compiler: &str| compiler.split(", ").count();
            assert!(compiler.starts_with("rustc "), "{compiler}");
            assert_eq!(facts(&compiler), facts(&golden.compiler), "{compiler}");
            assert!(table.lines().count() > 10, "{table}");
        }
    }

    #[test]
    fn tables_of_other_lengths_or_numbers_differ() {
        assert!(near("a 100\nb 10", "a 109\nb 9", 0.1));
        assert!(!near("a 100", "a 111", 0.1));
        assert!(!near("a 100\nb 1", "a 100", 0.1));
        assert!(!near("", "a 100", 0.1));
        assert!(!near("a 100", "b 100", 0.1));
    }
}
