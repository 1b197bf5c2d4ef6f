//! Patterns of paths: `*` is any characters but slashes, `**` any at all, `?` one
//! that is no slash; all else is itself.

/// Whether all of `path` is what the pattern says.
///
/// Takes as many steps as pattern and path are long, multiplied: there are two
/// places to come back to, the last `*` and the last `**`.
pub fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (mut p, mut s) = (0, 0);
    // Where to go on, in pattern and path, when what follows a star does not match.
    let (mut star, mut stars) = (None, None);
    loop {
        match pattern.get(p) {
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                stars = Some((p, s));
                star = None;
                continue;
            }
            Some(b'*') => {
                p += 1;
                star = Some((p, s));
                continue;
            }
            None if s == path.len() => return true,
            Some(b'?') if path.get(s).is_some_and(|byte| *byte != b'/') => {
                (p, s) = (p + 1, s + 1);
                continue;
            }
            Some(byte) if path.get(s) == Some(byte) => {
                (p, s) = (p + 1, s + 1);
                continue;
            }
            _ => {}
        }
        // One character more for the star, which takes no slash.
        if let Some((after, from)) = star
            && path.get(from).is_some_and(|byte| *byte != b'/')
        {
            star = Some((after, from + 1));
            (p, s) = (after, from + 1);
        } else if let Some((after, from)) = stars
            && from < path.len()
        {
            stars = Some((after, from + 1));
            star = None;
            (p, s) = (after, from + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stop_at_slashes_and_two_do_not() {
        for (pattern, path, expected) in [
            ("/db/*", "/db/a", true),
            ("/db/*", "/db/a/b", false),
            ("/db/*", "/db", false),
            ("/db/**", "/db/a/b", true),
            ("**", "", true),
            ("*", "", true),
            ("**", "/a/b", true),
            ("**/b", "/a/b", true),
            ("**/b", "/a/b/c", false),
            ("**/*.journal", "/x/y/db.journal", true),
            ("**/*.journal", "/x/y.journal/db", false),
            ("/a/**/z/*.c", "/a/b/z/q/z/f.c", true),
            ("/a/*/c*d", "/a/b/cxcd", true),
            ("/a/*/c*d", "/a/b/c/d", false),
            ("/?", "/a", true),
            ("/?", "//", false),
            ("/a", "/a", true),
            ("/a", "/b", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), path.as_bytes()),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        let pattern = "*a".repeat(200);
        let path = "a".repeat(4000) + "b";
        assert!(!matches(pattern.as_bytes(), path.as_bytes()));
        let pattern = "**/a*".repeat(200);
        let path = "/a".repeat(2000) + "/b";
        assert!(!matches((pattern + "x").as_bytes(), path.as_bytes()));
    }
}
