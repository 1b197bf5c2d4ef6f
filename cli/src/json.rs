//! Just enough JSON to print: values are written as they come.

use std::fmt::Write as _;

/// A JSON string.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A JSON array of values that are JSON already.
pub(crate) fn array(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<String> = values.into_iter().collect();
    format!("[{}]", values.join(", "))
}

/// A JSON object of values that are JSON already, a field a line.
pub(crate) fn object<'n>(fields: impl IntoIterator<Item = (&'n str, String)>) -> String {
    let fields = fields.into_iter();
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("  {}: {value}", string(name)))
        .collect();
    format!("{{\n{}\n}}\n", fields.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a\"b\\c\nd\u{1}é"), r#""a\"b\\c\nd\u0001é""#);
    }

    #[test]
    fn objects_hold_fields_in_order() {
        let object = object([("b", "1".to_string()), ("a", array([string("x")]))]);
        assert_eq!(object, "{\n  \"b\": 1,\n  \"a\": [\"x\"]\n}\n");
    }
}
