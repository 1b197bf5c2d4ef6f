//! Names as people and programs get to see them.
//!
//! A name is any bytes, and may be made to look like something else: it is never
//! printed as it is but where that was asked for.

use std::fmt;

use monaka_vfs_core::image::Meta;
use serde::Serialize;

/// A name or path as `ls -b` and `tar t` print it: UTF-8 as it is, but for
/// backslashes, control characters and what is not UTF-8.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    char if char.is_control() || is_invisible(char) => {
                        let mut utf8 = [0; 4];
                        octal(f, char.encode_utf8(&mut utf8).as_bytes())?;
                    }
                    char => f.write_char(char)?,
                }
            }
            octal(f, chunk.invalid())?;
        }
        Ok(())
    }
}

fn octal(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\{byte:03o}"))
}

/// Whether a character changes how others look: directions, joiners, separators.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// A name or path in JSON: a string, which says all of it or stands beside its
/// bytes in hexadecimal.
#[derive(Serialize)]
pub(crate) struct JsonPath {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

impl JsonPath {
    pub(crate) fn new(path: &[u8]) -> JsonPath {
        JsonPath {
            path: String::from_utf8_lossy(path).into_owned(),
            path_hex: hex_unless_utf8(path),
        }
    }
}

/// Bytes in hexadecimal, if a string cannot say them.
pub(crate) fn hex_unless_utf8(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).is_err().then(|| hex(bytes))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When something was modified, in UTC.
pub(crate) struct Time(jiff::Timestamp);

impl Time {
    /// So many nanoseconds after 1970 began.
    pub(crate) fn new(nanos: u64) -> Time {
        // They end in 2554, which it can say.
        Time(jiff::Timestamp::from_nanosecond(nanos.into()).unwrap_or_default())
    }

    pub(crate) fn of(meta: Meta) -> Time {
        Time::new(meta.mtime)
    }

    /// `2026-11-21T16:16:00Z`, as SPDX wants it.
    pub(crate) fn seconds(&self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// `2026-11-21 16:16`
    pub(crate) fn short(&self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// `2026-11-21 16:16:00.123456789`
    pub(crate) fn long(&self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S.%9f").to_string()
    }

    /// `2026-11-21T16:16:00.123456789Z`
    pub(crate) fn rfc3339(&self) -> String {
        format!("{:.9}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printed_as_tar_does() {
        for (name, shown) in [
            (&b"a b"[..], "a b"),
            ("käse".as_bytes(), "käse"),
            (b"a\nb\tc\\d\r", "a\\nb\\tc\\\\d\\r"),
            (b"\x1b[31m\x7f\xff", "\\033[31m\\177\\377"),
            ("\u{202e}fdp.exe".as_bytes(), "\\342\\200\\256fdp.exe"),
            ("\u{9b}".as_bytes(), "\\302\\233"),
        ] {
            assert_eq!(Shown(name).to_string(), shown);
        }
    }

    #[test]
    fn json_says_all_bytes() {
        let json = |path| serde_json::to_string(&JsonPath::new(path)).unwrap();
        assert_eq!(json(b"/a\"\n"), r#"{"path":"/a\"\n"}"#);
        assert_eq!(
            json(b"/\xff"),
            "{\"path\":\"/\u{fffd}\",\"path_hex\":\"2fff\"}"
        );
    }

    #[test]
    fn every_time_of_an_image_can_be_said() {
        let time = Time::new;
        assert_eq!(time(0).rfc3339(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(time(1_700_000_000_123_456_789).short(), "2023-11-14 22:13");
        assert_eq!(
            time(1_700_000_000_123_456_789).seconds(),
            "2023-11-14T22:13:20Z"
        );
        assert_eq!(time(u64::MAX).long(), "2554-07-21 23:34:33.709551615");
        assert_eq!(time(u64::MAX).seconds(), "2554-07-21T23:34:33Z");
    }
}
