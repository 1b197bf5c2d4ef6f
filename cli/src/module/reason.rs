//! Why a packed module still imports what it imports.

use monaka_vfs_core::witx;
use wasmparser::Import;

/// What an import is there for.
pub(crate) fn reason(import: &Import<'_>, host_dirs: bool) -> &'static str {
    if !matches!(import.module, witx::MODULE | "wasi_unstable") {
        return "the program's own";
    }
    match import.name {
        "args_get" | "args_sizes_get" => "the arguments",
        "environ_get" | "environ_sizes_get" => "the environment",
        "clock_time_get" | "clock_res_get" => "the time, also that of changes to files",
        "random_get" => "random bytes, also those of /dev/random",
        "proc_exit" => "ending the program",
        "proc_raise" => "raising a signal",
        "sched_yield" => "giving way",
        "poll_oneoff" => "waiting, and for stdin, stdout and stderr",
        name if name.starts_with("sock_") => "sockets that the host has open",
        name if name.starts_with("path_") || name.starts_with("fd_prestat") => {
            "the host's directories (--allow-host-dirs)"
        }
        _ if host_dirs => "stdin, stdout, stderr, and the host's directories",
        _ => "stdin, stdout and stderr",
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::TypeRef;

    use super::*;

    #[test]
    fn every_call_of_wasi_has_a_reason_of_its_own_kind() {
        let reason_of = |name, host_dirs| {
            let import = Import {
                module: witx::MODULE,
                name,
                ty: TypeRef::Func(0),
            };
            reason(&import, host_dirs)
        };
        // What stays without --allow-host-dirs is about streams and nothing else.
        for name in witx::STDIO {
            let found = reason_of(name, false);
            assert!(
                found.contains("stdin, stdout and stderr"),
                "{name}: {found}"
            );
        }
        for hook in &witx::HOOKS {
            if hook.name.starts_with("path_") {
                assert!(reason_of(hook.name, true).contains("--allow-host-dirs"));
            }
        }
        assert!(reason_of("fd_readdir", true).contains("the host's directories"));
    }
}
