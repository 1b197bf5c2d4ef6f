//! `--trace-calls` and `--fault`: which calls are logged, and which fail.

use monaka_vfs_core::Errno;
use monaka_vfs_core::trace::{self, CLASSES, CallSet, Fault};

use crate::report::nearest;

/// What is done to the calls of a program.
#[derive(clap::Args)]
pub(super) struct Calls {
    /// Log only these calls: names of WASI's, such as fd_write, or kinds: open, read,
    /// write, create, unlink, rename, mkdir, rmdir, readdir, stat, truncate, sync, close
    #[arg(long, value_name = "CALL,...", value_delimiter = ',', value_parser = calls, requires = "trace")]
    trace_calls: Vec<CallSet>,
    /// Have calls fail: CALL is as for --trace-calls or `*`, GLOB a pattern of paths,
    /// ERRNO what they answer; may be given many times
    ///
    /// A call that matches answers ERRNO and is not made: the Nth with @N, counted from
    /// 1, the Nth and all behind it with @N+, every one with neither. In GLOB, `*` is
    /// anything within a name, `**` anything at all, and `?` a character. The path is that
    /// by which the file was opened; stdout is /dev/stdout.
    #[arg(long, value_name = "CALL:GLOB:ERRNO[@N|@N+]", value_parser = fault)]
    fault: Vec<Fault>,
}

impl Calls {
    /// Whether anything is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.fault.is_empty()
    }

    /// The calls that are to be logged.
    pub(super) fn logged(&self) -> CallSet {
        match self.trace_calls.is_empty() {
            true => CallSet::ALL,
            false => (self.trace_calls.iter().copied()).fold(CallSet::default(), CallSet::with),
        }
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        self.fault.clone()
    }
}

/// The calls of a name.
fn calls(name: &str) -> Result<CallSet, String> {
    CallSet::named(name).ok_or_else(|| {
        let classes = || CLASSES.iter().map(|(class, _)| *class);
        let names = trace::functions().map(|function| function.name);
        let meant = match nearest(name, classes().chain(names)) {
            Some(meant) => format!("did you mean {meant}? "),
            None => String::new(),
        };
        format!(
            "there is no call `{name}`; {meant}It is a name of WASI's, such as fd_write, or one \
             of {}, *",
            classes().collect::<Vec<_>>().join(", ")
        )
    })
}

/// What `--fault` takes.
fn fault(text: &str) -> Result<Fault, String> {
    const FORM: &str = "it is CALL:GLOB:ERRNO[@N|@N+], as in write:/db/*:NOSPC@3";
    let (call, rest) = text
        .split_once(':')
        .ok_or_else(|| format!("there is no pattern of paths; {FORM}"))?;
    let (pattern, answer) = rest
        .rsplit_once(':')
        .ok_or_else(|| format!("there is no errno behind `{rest}`; {FORM}"))?;
    let calls = calls(call)?;
    if call == "proc_exit" {
        return Err("proc_exit answers nothing, so it cannot fail".into());
    }
    if pattern.is_empty() {
        return Err(format!(
            "the pattern of paths is empty; `**` is any path; {FORM}"
        ));
    }
    let (name, count) = match answer.split_once('@') {
        Some((name, count)) => (name, Some(count)),
        None => (answer, None),
    };
    let (first, onwards) = match count {
        None => (1, true),
        Some(count) => {
            let number = count.strip_suffix('+');
            let first = number.unwrap_or(count).parse().ok();
            let first = first.filter(|first| *first > 0).ok_or_else(|| {
                format!("`@{count}` names no call: @3 is the third that matches, @3+ that and all behind it")
            })?;
            (first, number.is_some())
        }
    };
    Ok(Fault {
        calls,
        pattern: pattern.as_bytes().to_vec(),
        errno: errno(name)?,
        first,
        onwards,
    })
}

fn errnos() -> impl Iterator<Item = Errno> {
    (1..=u32::from(u16::MAX)).map_while(Errno::from_raw)
}

/// The errno of a name, as WASI or as C has it.
fn errno(name: &str) -> Result<Errno, String> {
    let upper = name.to_ascii_uppercase();
    let find = |name: &str| errnos().find(|errno| errno.name() == name);
    let found = find(&upper).or_else(|| find(upper.strip_prefix('E')?));
    found.ok_or_else(|| {
        let meant = match nearest(&upper, errnos().map(Errno::name)) {
            Some(meant) => format!("did you mean {meant}? "),
            None => String::new(),
        };
        let all: Vec<&str> = errnos().map(Errno::name).collect();
        format!(
            "there is no errno `{name}`; {meant}It is one of {}",
            all.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let of = |calls: &str, pattern: &str, errno, first, onwards| Fault {
            calls: CallSet::named(calls).unwrap(),
            pattern: pattern.into(),
            errno,
            first,
            onwards,
        };
        for (text, expected) in [
            (
                "write:/db/*:NOSPC@3",
                of("write", "/db/*", Errno::NOSPC, 3, false),
            ),
            ("*:**:EIO@2+", of("*", "**", Errno::IO, 2, true)),
            (
                "path_open:/a:b:eexist",
                of("path_open", "/a:b", Errno::EXIST, 1, true),
            ),
            ("sync:/x:ROFS@1", of("sync", "/x", Errno::ROFS, 1, false)),
        ] {
            assert_eq!(fault(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_fault_is_said() {
        for (text, parts) in [
            ("write", &["no pattern", "write:/db/*:NOSPC@3"][..]),
            ("write:/x", &["no errno behind `/x`"]),
            (
                "wirte:/x:IO",
                &["no call `wirte`", "did you mean write?", "one of open"],
            ),
            ("fd_raed:/x:IO", &["did you mean fd_read?"]),
            (
                "read:/x:NOSPCE",
                &["no errno `NOSPCE`", "did you mean NOSPC?", "NOTCAPABLE"],
            ),
            ("read:/x:IO@0", &["`@0`", "@3+"]),
            ("read:/x:IO@x+", &["`@x+`"]),
            ("read::IO", &["pattern of paths is empty"]),
            ("proc_exit:**:IO", &["answers nothing"]),
        ] {
            let error = fault(text).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }

    #[test]
    fn every_errno_can_be_named() {
        assert_eq!(errnos().count(), 76);
        for known in errnos() {
            assert_eq!(errno(known.name()), Ok(known));
            assert_eq!(errno(&format!("e{}", known.name())), Ok(known));
        }
    }
}
