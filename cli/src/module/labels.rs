//! What is said about a module: names and values, as a container's labels are.

use std::collections::BTreeMap;

use anyhow::Result;

use super::refusal::Refusal;
use super::section::{Section, join, skim, split};

/// The custom section's name; its payload is a JSON object of strings.
const SECTION: &str = "monaka.labels";

/// The labels of a core module.
pub(crate) fn of(wasm: &[u8]) -> Result<BTreeMap<String, String>> {
    for section in skim(wasm) {
        let section = section?;
        if let Some((SECTION, payload)) = section.as_custom() {
            let labels = serde_json::from_slice(payload).map_err(|error| {
                Refusal::DamagedPack(format!("{SECTION} is no object of strings: {error}"))
            })?;
            return Ok(labels);
        }
    }
    Ok(BTreeMap::new())
}

/// The module with those labels and no others.
pub(crate) fn set(wasm: &[u8], labels: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut sections = split(wasm)?;
    sections.retain(|section| !section.is_custom(SECTION));
    if !labels.is_empty() {
        let payload = serde_json::to_vec(labels)?;
        sections.push(Section::custom(SECTION, &payload));
    }
    Ok(join(&sections))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::section::PREAMBLE;

    #[test]
    fn labels_are_replaced_and_read_back() {
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        let first = BTreeMap::from([pair("a", "1"), pair("title", "\"ä\n\"")]);
        let second = BTreeMap::from([pair("b", "")]);
        let one = set(&PREAMBLE, &first).unwrap();
        assert_eq!(of(&one).unwrap(), first);
        let two = set(&one, &second).unwrap();
        assert_eq!(of(&two).unwrap(), second);
        assert_eq!(set(&two, &BTreeMap::new()).unwrap(), PREAMBLE);
        assert!(of(&PREAMBLE).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_section_is_told() {
        for payload in ["", "[]", "{\"a\":1}", "{\"a\":\"b\""] {
            let section = Section::custom(SECTION, payload.as_bytes());
            let error = of(&join(&[section])).unwrap_err().to_string();
            assert!(error.contains(SECTION), "{payload}: {error}");
        }
    }
}
