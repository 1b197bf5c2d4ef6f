//! The document and the tests beside it, compared.
//!
//! A *rule* of docs/SEMANTICS.md is a paragraph or a list item below a `###`
//! heading, up to the next `##`; tables and code are none. A *claim* is a
//! paragraph of the doc comment of a `#[test]`. White space does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use monaka_vfs_core::witx::{HOOKS, HOST_ONLY};

const DOCUMENT: &str = include_str!("../../../docs/SEMANTICS.md");

/// Collects lines into paragraphs with single spaces.
#[derive(Default)]
struct Paragraphs {
    done: Vec<String>,
    open: String,
}

impl Paragraphs {
    fn add(&mut self, line: &str) {
        for word in line.split_whitespace() {
            if !self.open.is_empty() {
                self.open.push(' ');
            }
            self.open.push_str(word);
        }
    }

    fn end(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }
}

/// What follows the marker of a list item, `- ` or `1. `.
fn item(line: &str) -> Option<&str> {
    let (marker, text) = line.split_once(' ')?;
    let number = marker.strip_suffix('.').unwrap_or("");
    let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (marker == "-" || numbered).then_some(text)
}

/// The rules of `document`, each with the heading it stands below.
fn rules(document: &str) -> Vec<(String, String)> {
    let mut rules = Vec::new();
    let mut heading = None;
    let mut paragraphs = Paragraphs::default();
    let mut code = false;
    for line in document.lines().chain(["# end"]) {
        let line = line.trim();
        let is_heading = line.starts_with('#') && !code;
        if is_heading || line.is_empty() || line.starts_with('|') || line.starts_with("```") {
            paragraphs.end();
        } else if let Some(text) = item(line).filter(|_| !code) {
            paragraphs.end();
            paragraphs.add(text);
        } else if !code {
            paragraphs.add(line);
        }
        code ^= line.starts_with("```");
        if is_heading {
            let done = std::mem::take(&mut paragraphs.done);
            if let Some(heading) = heading {
                rules.extend(done.into_iter().map(|rule| (rule, heading)));
            }
            heading = line.strip_prefix("### ");
        }
    }
    rules
        .into_iter()
        .map(|(rule, heading): (String, &str)| (rule, heading.to_owned()))
        .collect()
}

/// The claims of `source`, each with the test that makes it.
fn claims(source: &str) -> Vec<(String, String)> {
    let mut claims = Vec::new();
    let mut paragraphs = Paragraphs::default();
    let mut tests = false;
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            if text.trim().is_empty() {
                paragraphs.end();
            }
            paragraphs.add(text);
        } else if line.starts_with("#[") {
            tests |= line == "#[test]";
        } else {
            paragraphs.end();
            let done = std::mem::take(&mut paragraphs.done);
            if let (true, Some(rest)) = (tests, line.strip_prefix("fn ")) {
                let name = rest.split('(').next().unwrap_or(rest);
                claims.extend(done.into_iter().map(|claim| (claim, name.to_owned())));
            }
            tests = false;
        }
    }
    claims
}

/// The names and texts of the files beside this one.
fn sources() -> BTreeMap<String, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/semantics");
    let entries = fs::read_dir(directory).expect("list tests/semantics");
    let paths = entries.map(|entry| entry.expect("list tests/semantics").path());
    paths
        .map(|path| {
            let name = path.file_stem().expect("a file has a name");
            let text = fs::read_to_string(&path).expect("read a test");
            (name.to_string_lossy().into_owned(), text)
        })
        .collect()
}

#[test]
fn the_document_and_the_tests_say_the_same() {
    let sources = sources();
    let mut faults = Vec::new();
    let mut claimed = BTreeMap::new();
    for (file, source) in &sources {
        for (claim, test) in claims(source) {
            claimed.insert(claim, format!("{file}::{test}"));
        }
    }
    let mut written = BTreeSet::new();
    for (rule, heading) in rules(DOCUMENT) {
        if !claimed.contains_key(&rule) {
            faults.push(format!("no test says ({heading}): {rule}"));
        }
        if !written.insert(rule.clone()) {
            // Or one test would do for two calls.
            faults.push(format!("the document says twice ({heading}): {rule}"));
        }
    }
    for (claim, test) in &claimed {
        if !written.contains(claim) {
            faults.push(format!("the document does not say ({test}): {claim}"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// These calls carry no descriptor. They stay imports of the packed module and are
/// the host's, as before.
#[test]
fn every_function_of_the_witx_has_its_section() {
    let headings: Vec<&str> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let hooked = HOOKS.map(|function| function.name);
    for name in hooked {
        let own = |heading: &&&str| heading.split(", ").any(|word| word == name);
        assert_eq!(headings.iter().filter(own).count(), 1, "{name}");
    }
    let passed_on = HOST_ONLY.map(|function| function.name);
    assert!(headings.contains(&&passed_on.join(", ")[..]));
    assert!(!passed_on.iter().any(|name| hooked.contains(name)));
    assert_eq!(HOOKS.len() + HOST_ONLY.len(), 46, "all of the witx");
}

#[test]
fn every_deviation_has_all_columns() {
    let (_, table) = DOCUMENT
        .split_once("\n## Known deviations\n")
        .expect("the document ends in the deviations");
    let rows: Vec<&str> = table.lines().filter(|l| l.starts_with('|')).collect();
    assert!(rows.len() > 20);
    let columns = |row: &str| row.replace("\\|", "").matches('|').count() - 1;
    let broken: Vec<&str> = rows.into_iter().filter(|row| columns(row) != 6).collect();
    assert_eq!(broken, [""; 0]);
}

#[test]
fn every_file_of_tests_is_run() {
    let sources = sources();
    let declared = |name: &str| sources["main"].lines().any(|l| l == format!("mod {name};"));
    let forgotten: Vec<_> = sources.keys().filter(|name| !declared(name)).collect();
    assert_eq!(forgotten, ["main"]);
}

#[test]
fn a_rule_is_a_paragraph_or_an_item_below_a_heading() {
    let document = "\
        # Title\n\nIntroduction.\n\n## Part\n- no rule\n\n### fd_x\n\nOne\nrule.\n\
        - Another\n  one.\n1. Third.\n\n| a | table |\n\n```\ncode\n```\n2 words.\n\
        ### fd_y\nFifth.\n## Next\nNo rule.\n";
    let rules = rules(document);
    let expected = [
        ("One rule.", "fd_x"),
        ("Another one.", "fd_x"),
        ("Third.", "fd_x"),
        ("2 words.", "fd_x"),
        ("Fifth.", "fd_y"),
    ];
    assert_eq!(
        rules,
        expected.map(|(rule, heading)| (rule.to_owned(), heading.to_owned()))
    );
}

#[test]
fn a_claim_is_a_paragraph_of_a_tests_doc_comment() {
    let source = "\
        /// A helper.\nfn helper() {}\n\n/// One\n/// rule.\n///\n///   Another.\n#[test]\n\
        #[cfg(unix)]\nfn tested() {\n    /// Not this.\n    fn inner() {}\n}\n\n#[test]\nfn bare() {}\n";
    let expected = [("One rule.", "tested"), ("Another.", "tested")];
    assert_eq!(
        claims(source),
        expected.map(|(claim, test)| (claim.to_owned(), test.to_owned()))
    );
}
