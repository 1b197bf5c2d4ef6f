//! What is read, what is refused, and that nothing makes the parser panic.

use super::*;

fn error(text: &str) -> String {
    format!("{:#}", File::parse(text).unwrap_err())
}

fn acts(lines: &str) -> String {
    let file = File::parse(&format!("FROM scratch\n{lines}\n")).unwrap();
    format!(
        "{:?}",
        file.stages[0]
            .steps
            .iter()
            .map(|step| &step.act)
            .collect::<Vec<_>>()
    )
}

#[test]
fn instructions_are_read_as_docker_does() {
    for (lines, act) in [
        (
            "ENV a=1 b=\"x y\"",
            r#"Env([("a", "1"), ("b", "\"x y\"")])"#,
        ),
        ("env a b  c ", r#"Env([("a", "b  c")])"#),
        (
            "ENV a=1 \\\n# why\n\n  b=2",
            r#"Env([("a", "1"), ("b", "2")])"#,
        ),
        ("ARG A=1 B", r#"Arg([("A", Some("1")), ("B", None)])"#),
        ("WORKDIR /a b", r#"Workdir("/a b")"#),
        ("VOLUME /a /b", r#"Volume(["/a", "/b"])"#),
        ("VOLUME [\"/a b\"]", r#"Volume(["/a b"])"#),
        ("RUN [\"a\", \"$b c\"]", r#"Run(Exec(["a", "$b c"]))"#),
        ("RUN a \\\n  b", r#"Run(Line("a   b"))"#),
        ("RUN [\"a\", b]", r#"Run(Line("[\"a\", b]"))"#),
        ("CMD []", "Cmd(Exec([]))"),
        ("ENTRYPOINT a 'b c'", r#"Entrypoint(Line("a 'b c'"))"#),
        (
            "COPY --from=x --chmod=0755 a b /c/",
            r#"Copy(Copy { add: false, from: Some("x"), executable: Some(true), sources: [Path("a"), Path("b")], to: "/c/" })"#,
        ),
        (
            "ADD --chmod=-x [\"a b\", \"c\"]",
            r#"Copy(Copy { add: true, from: None, executable: Some(false), sources: [Path("a b")], to: "c" })"#,
        ),
        (
            "COPY <<E /a\n1\n2\nE",
            r#"Copy(Copy { add: false, from: None, executable: None, sources: [Text { text: "1\n2\n", expand: true }], to: "/a" })"#,
        ),
    ] {
        assert_eq!(acts(lines), format!("[{act}]"), "{lines}");
    }
}

#[test]
fn a_step_knows_its_line_and_its_text() {
    let text = "\u{feff}# escape=`\r\n\r\nARG A=1\r\nFROM scratch AS one\r\nENV a=1 `\r\n  b=2\r\nRUN x\r\n";
    let file = File::parse(text).unwrap();
    assert_eq!(file.escape, '`');
    let places: Vec<String> = (file.globals.iter())
        .chain(&file.stages[0].steps)
        .map(|step| step.place.to_string())
        .collect();
    assert_eq!(
        places,
        ["line 3: ARG A=1", "line 5: ENV a=1 b=2", "line 7: RUN x"]
    );
    assert_eq!(
        file.stages[0].from.to_string(),
        "line 4: FROM scratch AS one"
    );
}

#[test]
fn what_is_not_known_is_refused_with_its_line() {
    for (line, reason) in [
        (
            "USER nobody",
            "line 3: USER nobody: WASI Preview 1 has no users",
        ),
        ("SHELL [\"sh\"]", "no shell to be chosen"),
        ("ONBUILD RUN x", "keeps no instructions"),
        ("RUN --mount=type=cache,target=/x y", "--mount of RUN"),
        ("RUN <<E\nx\nE", "script for a shell"),
        ("COPY --parents a /b", "--parents of COPY is not known here"),
        ("COPY --chown=1:1 a /b", "no owners"),
        ("COPY --chmod=rwx a /b", "no mode"),
        ("COPY --from a /b", "--from has no value"),
        ("ADD --checksum=sha256:0 a /b", "--checksum of ADD"),
        ("COPY a", "at least two arguments"),
        ("FROM scratch AS 1", "no name of a stage"),
        ("FROM scratch AS scratch", "no name of a stage"),
        ("FROM --pull=x scratch", "--pull of FROM"),
        ("ENV 1a=b", "no name of a variable"),
        ("ENV a", "a has no value"),
        ("ENV a=b c", "not of the form"),
        ("LABEL =b", "no name"),
        ("ARG a-b", "no name of a variable"),
        ("COMMAND x", "unknown instruction"),
        ("RUN x\ry", "control character"),
    ] {
        let error = error(&format!("FROM scratch\n\n{line}\n"));
        assert!(
            error.starts_with("line 3: ") && error.contains(reason),
            "{line}: {error}"
        );
    }
    assert!(error("").contains("at least one FROM"));
    assert!(error("RUN x\nFROM scratch").starts_with("line 1: "));
    assert!(error("FROM scratch AS a\nFROM scratch AS a").contains("duplicate stage"));
}

#[test]
fn only_stages_that_are_needed_are_built() {
    let text = "ARG B=a\nFROM scratch AS a\nFROM scratch AS b\nFROM a AS c\nFROM scratch\n\
                COPY --from=c / /\nFROM scratch\nCOPY --from=0 / /\nFROM $B\nFROM scratch AS z\n";
    let file = File::parse(text).unwrap();
    let needed = |target| {
        let needed = file.needed(target).into_iter().enumerate();
        needed
            .filter_map(|(at, needed)| needed.then_some(at))
            .collect::<Vec<_>>()
    };
    assert_eq!(needed(3), [0, 2, 3]);
    assert_eq!(needed(4), [0, 4]);
    assert_eq!(needed(5), [0, 1, 2, 3, 4, 5]);
    assert_eq!(needed(6), [6]);
    assert_eq!(file.stage("Z", 7), Some(6));
    assert_eq!(file.stage("z", 6), None);
}

#[test]
fn an_instruction_that_was_meant_is_named() {
    for (line, hint) in [
        ("COPYY a b", Some("did you mean COPY?")),
        ("form x", Some("did you mean FROM?")),
        (
            "COMMAND x",
            Some(
                "the instructions are FROM, ARG, COPY, ADD, ENV, LABEL, WORKDIR, VOLUME, RUN, \
                 ENTRYPOINT, CMD",
            ),
        ),
        // What is wrong with it is not its name.
        ("COPY", None),
    ] {
        let error = File::parse(&format!("FROM scratch\n\n{line}\n")).unwrap_err();
        assert_eq!(crate::report::hint_of(&error).as_deref(), hint, "{line}");
    }
}

/// Whatever is written, it is read or refused.
#[test]
fn no_text_makes_the_parser_panic() {
    const TEXT: &str = "# escape=`\nARG A=1\nFROM --platform=x scratch AS one\nCOPY --from=0 \
        <<E <<-'F' /x/\n\t$A\nE\nb\n\tF\nADD [\"a\\u0041\", \"b\"]\nENV a=${A:-'x'} `\n # c\n b=\"é\"\n\
        RUN [\"x\", \"\\n\"]\nRUN <<E a\nE\nHEALTHCHECK --interval=1 CMD [\"a\"]\nHEALTHCHECK NONE\n\
        ONBUILD EXPOSE 80\nVOLUME [\"/a\"]\nLABEL a=b\nCMD a\\\nENTRYPOINT [ ]\nSTOPSIGNAL 1\nUSER a\n";
    let bits = [
        "\\", "`", "\n", "\r\n", "\"", "'", "[", "]", "<<", "<<-", "$", "${", "}", "#", "=", " ",
        "\t", "--", ",", "é", "FROM ", "ONBUILD ", "AS ", "E\n", "\u{feff}", "\\u12", "\0", "\r",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut read = 0;
    for _ in 0..30_000 {
        let mut text: Vec<char> = TEXT.chars().collect();
        for _ in 0..1 + random(6) {
            let at = random(text.len());
            let end = (at + random(12)).min(text.len());
            match random(3) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, bits[random(bits.len())].chars())),
                _ => {
                    let copy = text[at..end].to_vec();
                    let to = random(text.len());
                    text.splice(to..to, copy);
                }
            }
        }
        if random(4) == 0 {
            text.truncate(random(text.len() + 1));
        }
        let text: String = text.into_iter().collect();
        read += usize::from(File::parse(&text).is_ok());
        for line in text.lines() {
            let _ = words::command(line, '\\', Some(&|_| Some("x".into())));
            let _ = words::text(line, &|_| None);
        }
    }
    // USER and the like are refused before anything else is; few lose them.
    assert!(read < 30_000);
}
