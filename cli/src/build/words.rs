//! Words, quotes and variables, as Dockerfiles have them.
//!
//! | written | means |
//! |---|---|
//! | `'…'` | what stands there |
//! | `"…"` | the same with variables; the escape character works before `"`, `$` and itself |
//! | `\x` | `x`, whatever it is |
//! | `$X`, `${X}` | the variable, or nothing where it is not set |
//! | `${X:-word}`, `${X-word}` | `word` where X is empty or not set; only where it is not set |
//! | `${X:+word}`, `${X+word}` | `word` where X is set and not empty; where it is set |
//! | `${X:?word}`, `${X?word}` | an error that says `word`, where `:-` and `-` would put it |
//!
//! A line is cut into words before variables are looked at, so the value of a
//! variable is never cut.

use anyhow::{Result, bail};

use crate::report::Hinted;

/// As deep as `${X:-${Y:-…}}` may go.
const MAX_DEPTH: usize = 32;

/// What variables stand for.
pub(super) type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// The words of a line, with quotes and escapes in them as they are.
pub(super) fn split(line: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let mut begun = None;
    let mut quote = None;
    let mut chars = line.char_indices();
    while let Some((at, char)) = chars.next() {
        if quote.is_none() && char.is_ascii_whitespace() {
            words.extend(begun.take().map(|start| &line[start..at]));
            continue;
        }
        begun.get_or_insert(at);
        match (char, quote) {
            ('\'' | '"', None) => quote = Some(char),
            (_, Some(open)) if char == open => quote = None,
            (_, Some('\'')) => {}
            _ if char == escape => {
                chars.next();
            }
            _ => {}
        }
    }
    words.extend(begun.map(|start| &line[start..]));
    words
}

/// A word without its quotes and escapes, and with variables put in.
pub(super) fn expand(word: &str, escape: char, variables: Variables<'_>) -> Result<String> {
    let mut lexer = Lexer {
        left: word.chars().peekable(),
        escape,
        variables,
        depth: 0,
    };
    lexer.until(None)
}

/// A text with variables put in, as those of here-documents are: quotes mean
/// nothing, and `\\` works before `$` and itself.
pub(super) fn text(text: &str, variables: Variables<'_>) -> Result<String> {
    let mut lexer = Lexer {
        left: text.chars().peekable(),
        escape: '\\',
        variables,
        depth: 0,
    };
    let mut out = String::new();
    while let Some(char) = lexer.left.next() {
        match char {
            '$' => lexer.variable(&mut out)?,
            '\\' => {
                let escaped = |next: &char| matches!(next, '$' | '\\');
                out.push(lexer.left.next_if(escaped).unwrap_or(char));
            }
            _ => out.push(char),
        }
    }
    Ok(out)
}

struct Lexer<'w> {
    left: std::iter::Peekable<std::str::Chars<'w>>,
    escape: char,
    variables: Variables<'w>,
    depth: usize,
}

impl Lexer<'_> {
    /// All up to `end`, which is taken too, or to the end of the word.
    fn until(&mut self, end: Option<char>) -> Result<String> {
        let mut out = String::new();
        while let Some(char) = self.left.next() {
            match char {
                _ if Some(char) == end => return Ok(out),
                '\'' => self.single(&mut out)?,
                '"' => self.double(&mut out)?,
                '$' => self.variable(&mut out)?,
                _ if char == self.escape => out.extend(self.left.next()),
                _ => out.push(char),
            }
        }
        match end {
            Some(_) => bail!("a `${{` is not closed by `}}`"),
            None => Ok(out),
        }
    }

    fn single(&mut self, out: &mut String) -> Result<()> {
        for char in self.left.by_ref() {
            match char {
                '\'' => return Ok(()),
                _ => out.push(char),
            }
        }
        bail!("a quote `'` is not closed")
    }

    fn double(&mut self, out: &mut String) -> Result<()> {
        while let Some(char) = self.left.next() {
            match char {
                '"' => return Ok(()),
                '$' => self.variable(out)?,
                _ if char == self.escape => {
                    let escaped = |next: &char| matches!(next, '"' | '$') || *next == char;
                    out.push(self.left.next_if(escaped).unwrap_or(char));
                }
                _ => out.push(char),
            }
        }
        bail!("a quote `\"` is not closed")
    }

    /// What stands behind a `$`.
    fn variable(&mut self, out: &mut String) -> Result<()> {
        if self.left.next_if_eq(&'{').is_none() {
            match self.name() {
                name if name.is_empty() => out.push('$'),
                name => out.extend((self.variables)(&name)),
            }
            return Ok(());
        }
        let name = self.name();
        if name.is_empty() {
            bail!("`${{` is not followed by the name of a variable");
        }
        let value = (self.variables)(&name);
        let colon = self.left.next_if_eq(&':').is_some();
        let set = value
            .as_ref()
            .is_some_and(|value| !colon || !value.is_empty());
        match self.left.next() {
            Some('}') if !colon => out.extend(value),
            Some('-') => {
                let word = self.word()?;
                out.push_str(value.as_ref().filter(|_| set).unwrap_or(&word));
            }
            Some('+') => {
                let word = self.word()?;
                out.push_str(if set { &word } else { "" });
            }
            Some('?') => {
                let word = self.word()?;
                if !set {
                    let reason = if word.is_empty() {
                        "it is not set"
                    } else {
                        &word
                    };
                    return Err(Hinted::new(
                        format!("${name}: {reason}"),
                        format!("give it a value: --build-arg {name}=VALUE, where an ARG has it"),
                    )
                    .into());
                }
                out.extend(value);
            }
            Some(_) => bail!(
                "`${{{name}…}}` is none of ${{X}}, ${{X:-word}}, ${{X:+word}} and ${{X:?word}}"
            ),
            None => bail!("a `${{` is not closed by `}}`"),
        }
        Ok(())
    }

    /// The word inside of `${X:-word}`.
    fn word(&mut self) -> Result<String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            bail!("variables stand in variables more than {MAX_DEPTH} deep");
        }
        let word = self.until(Some('}'));
        self.depth -= 1;
        word
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        let is_in_name = |first: bool| {
            move |char: &char| {
                *char == '_' || char.is_ascii_alphabetic() || (!first && char.is_ascii_digit())
            }
        };
        while let Some(char) = self.left.next_if(is_in_name(name.is_empty())) {
            name.push(char);
        }
        name
    }
}

/// The words of a command that is written without brackets. There is no shell, so
/// what only a shell would do is refused; `variables` is none where none are known.
pub(super) fn command(
    line: &str,
    escape: char,
    variables: Option<Variables<'_>>,
) -> Result<Vec<String>> {
    const INSTEAD: &str = "there is no shell: run one program an instruction, or write \
                           [\"program\", \"argument\", …], whose words are taken as they are";
    let words = split(line, escape);
    let mut expanded = Vec::with_capacity(words.len());
    for word in words {
        if let Some(what) = of_shell(word, escape, variables.is_some()) {
            return Err(Hinted::new(format!("`{word}` asks a shell for {what}"), INSTEAD).into());
        }
        expanded.push(expand(word, escape, variables.unwrap_or(&|_| None))?);
    }
    Ok(expanded)
}

/// What a word asks a shell for.
fn of_shell(word: &str, escape: char, variables: bool) -> Option<&'static str> {
    let mut quote = None;
    let mut chars = word.chars().enumerate().peekable();
    while let Some((at, char)) = chars.next() {
        let next = chars.peek().map(|(_, char)| *char);
        match (char, quote) {
            (_, Some(open)) if char == open => quote = None,
            (_, Some('\'')) => {}
            _ if char == escape => {
                chars.next();
            }
            ('`', _) => return Some("the output of a command"),
            ('$', _) if next == Some('(') => return Some("the output of a command"),
            ('$', _)
                if !variables
                    && next.is_some_and(|next| {
                        next == '{' || next == '_' || next.is_ascii_alphabetic()
                    }) =>
            {
                return Some("a variable");
            }
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(char),
            ('|', None) if next == Some('|') => return Some("a list of commands"),
            ('|', None) => return Some("a pipe"),
            ('&' | ';', None) => return Some("a list of commands"),
            ('<' | '>', None) => return Some("a redirection"),
            ('(' | ')', None) => return Some("a subshell"),
            ('*' | '?' | '[', None) => return Some("the files that match"),
            ('~', None) if at == 0 => return Some("a home directory"),
            ('#', None) if at == 0 => return Some("a comment"),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "X" => Some("one two".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn a_line_is_cut_where_no_quote_is_open() {
        for (line, words) in [
            ("", &[][..]),
            ("  a\tb  ", &["a", "b"]),
            ("a='b c' d", &["a='b c'", "d"]),
            (r#"a="b \" c" d"#, &[r#"a="b \" c""#, "d"]),
            (r"a\ b c\", &[r"a\ b", r"c\"]),
            (r"'a\' b", &[r"'a\'", "b"]),
            ("'open a", &["'open a"]),
            ("é ü", &["é", "ü"]),
        ] {
            assert_eq!(split(line, '\\'), words, "{line}");
        }
        assert_eq!(split(r"a`  b\ c", '`'), ["a` ", r"b\", "c"]);
    }

    #[test]
    fn variables_and_quotes_are_those_of_docker() {
        for (word, expanded) in [
            ("plain", "plain"),
            ("$X", "one two"),
            ("a${X}b", "aone twob"),
            ("$Xb", ""),
            ("'$X'", "$X"),
            (r#""$X""#, "one two"),
            (r#""\$X\"\\\n""#, r#"$X"\\n"#),
            (r"\$X\'", "$X'"),
            ("${NONE:-d}", "d"),
            ("${NONE-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${X:-d}", "one two"),
            ("${X:+d}", "d"),
            ("${EMPTY:+d}", ""),
            ("${EMPTY+d}", "d"),
            ("${NONE:+d}", ""),
            ("${X:?no}", "one two"),
            ("${NONE:-${X}}", "one two"),
            ("${NONE:-'}'$X\"}\"}", "}one two}"),
            ("$", "$"),
            ("a$b", "a"),
            ("$1 100%", "$1 100%"),
            ("$$X", "$one two"),
            ("$é", "$é"),
        ] {
            let found = expand(word, '\\', &variables).unwrap();
            assert_eq!(found, expanded, "{word}");
        }
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        for (word, reason) in [
            ("'a", "quote `'`"),
            ("\"a", "quote `\""),
            ("${X", "not closed"),
            ("${X:-a", "not closed"),
            ("${X:-'}", "quote"),
            ("${}", "name of a variable"),
            ("${X#a}", "none of"),
            ("${X:}", "none of"),
            ("${NONE:?not given}", "$NONE: not given"),
            ("${EMPTY:?}", "$EMPTY: it is not set"),
        ] {
            let error = expand(word, '\\', &variables).unwrap_err().to_string();
            assert!(error.contains(reason), "{word}: {error}");
        }
        let deep = "${NONE:-".repeat(10_000);
        let error = expand(&deep, '\\', &variables).unwrap_err();
        assert!(error.to_string().contains("deep"), "{error}");
    }

    #[test]
    fn a_command_has_words_and_no_shell() {
        let words = command(r#"tool "a b" $X '*' \; x='1'"#, '\\', Some(&variables)).unwrap();
        assert_eq!(words, ["tool", "a b", "one two", "*", ";", "x=1"]);
        for (line, what) in [
            ("a && b", "list of commands"),
            ("a || b", "list of commands"),
            ("a; b", "list of commands"),
            ("a | b", "pipe"),
            ("a > b", "redirection"),
            ("a 2>&1", "redirection"),
            ("a < b", "redirection"),
            ("(a)", "subshell"),
            ("a *.c", "files that match"),
            ("a ~/b", "home directory"),
            ("a $(b)", "output of a command"),
            ("a \"$(b)\"", "output of a command"),
            ("a `b`", "output of a command"),
            ("a # b", "comment"),
        ] {
            let error = command(line, '\\', Some(&variables)).unwrap_err();
            assert!(error.to_string().contains(what), "{line}: {error}");
        }
        let error = command("a \"$X\"", '\\', None).unwrap_err();
        assert!(error.to_string().contains("a variable"), "{error}");
        assert_eq!(command("a '$X' 5$", '\\', None).unwrap(), ["a", "$X", "5$"]);
    }
}
