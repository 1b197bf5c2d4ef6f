//! Why a packed module still imports what it imports.

use monaka_vfs_core::access::{Access, STREAMS, Stream};
use monaka_vfs_core::witx;
use wasmparser::Import;

/// What an import is there for, in a module that reaches so much of its host, and
/// directories or not.
pub(crate) fn reason<F>(import: &Import<'_>, access: &Access<F>, directories: bool) -> String {
    if !matches!(import.module, witx::MODULE | "wasi_unstable") {
        return "the program's own".into();
    }
    match import.name {
        "args_get" | "args_sizes_get" => "the arguments",
        "environ_get" | "environ_sizes_get" => "the environment",
        "clock_time_get" | "clock_res_get" => "the time, also that of changes to files",
        "random_get" => "random bytes, also those of /dev/random",
        "proc_exit" => "ending the program",
        "proc_raise" => "raising a signal",
        "sched_yield" => "giving way",
        name if name.starts_with("sock_") => "sockets that the host has open",
        name if name.starts_with("path_") || name.starts_with("fd_prestat") => {
            "the host's directories"
        }
        "poll_oneoff" => {
            let waited = match access.clock.is_hosts() {
                true => "waiting",
                false => "waiting, but for no time",
            };
            let streams = streams(access, |fd| fd == 0 || access.clock.is_hosts());
            return match streams.is_empty() {
                true => waited.into(),
                false => format!("{waited}, and for {streams}"),
            };
        }
        name => {
            let used = |fd: usize| match name {
                "fd_read" => fd == 0,
                "fd_write" => fd > 0,
                _ => true,
            };
            let streams = streams(access, used);
            let sockets = access.sockets.then_some("sockets");
            let directories = directories.then_some("the host's directories");
            let all = [Some(&streams[..]), sockets, directories];
            let all = all.into_iter().flatten().filter(|what| !what.is_empty());
            return all.collect::<Vec<_>>().join(", and ");
        }
    }
    .into()
}

/// The streams that are the host's, of those that are meant.
fn streams<F>(access: &Access<F>, meant: impl Fn(usize) -> bool) -> String {
    let streams = access.streams.iter().enumerate();
    let hosts = streams.filter(|(fd, stream)| meant(*fd) && matches!(stream, Stream::Host));
    let names: Vec<&str> = hosts.map(|(fd, _)| STREAMS[fd]).collect();
    match names.split_last() {
        Some((last, [])) => (*last).into(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use monaka_vfs_core::access::Clock;
    use wasmparser::TypeRef;

    use super::*;

    fn reason_of(name: &str, access: &Access<()>, directories: bool) -> String {
        let import = Import {
            module: witx::MODULE,
            name,
            ty: TypeRef::Func(0),
        };
        reason(&import, access, directories)
    }

    #[test]
    fn every_call_of_wasi_has_a_reason_of_its_own_kind() {
        let usual = Access::default();
        for name in usual.calls(false).names() {
            let found = reason_of(name, &usual, false);
            assert!(found.contains("std"), "{name}: {found}");
        }
        for hook in &witx::HOOKS {
            if hook.name.starts_with("path_") {
                assert_eq!(reason_of(hook.name, &usual, true), "the host's directories");
            }
        }
        assert!(reason_of("fd_readdir", &usual, true).contains("the host's directories"));
    }

    /// Every call that is left has a reason, which names only what is left.
    #[test]
    fn a_reason_names_what_is_the_hosts() {
        let hosts = [Stream::Host, Stream::Closed];
        for (stdin, stdout, stderr, clock, sockets, directories) in hosts
            .iter()
            .flat_map(|i| hosts.iter().map(move |o| (i, o)))
            .flat_map(|(i, o)| hosts.iter().map(move |e| (i, o, e)))
            .flat_map(|(i, o, e)| [Clock::Host, Clock::Fixed].map(|c| (i, o, e, c)))
            .flat_map(|(i, o, e, c)| [true, false].map(|s| (i, o, e, c, s)))
            .flat_map(|(i, o, e, c, s)| [true, false].map(|d| (i, o, e, c, s, d)))
        {
            let access = Access::<()> {
                streams: [*stdin, *stdout, *stderr],
                clock,
                sockets,
            };
            for name in access.calls(directories).names() {
                let found = reason_of(name, &access, directories);
                assert!(!found.is_empty(), "{name} {access:?}");
                for (fd, stream) in access.streams.iter().enumerate() {
                    let named = found.contains(STREAMS[fd]);
                    assert!(!named || *stream == Stream::Host, "{name}: {found}");
                }
            }
        }
    }
}
