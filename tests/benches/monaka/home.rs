//! Where a program's files are.

/// A home of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In a program that is linked with the library.
    Linked,
    /// Merged into the finished program, in its own memory.
    Single,
    /// The same, in a second memory.
    Multi,
    /// The same, and compressed.
    Compressed,
    /// In a program that is linked with wasi-vfs, which cannot write.
    WasiVfs,
    /// In a directory of the host in memory, where wasmtime's calls block in place.
    Tmpfs,
    /// The same, where wasmtime hands each call to a pool of threads.
    Pool,
    /// The same under node:wasi.
    Node,
}

impl Home {
    /// All, in the order in which they run.
    pub(crate) const ALL: [Home; 8] = [
        Home::Linked,
        Home::Single,
        Home::Multi,
        Home::Compressed,
        Home::WasiVfs,
        Home::Tmpfs,
        Home::Pool,
        Home::Node,
    ];

    /// Those of monaka that limits are for.
    pub(crate) const OURS: [Home; 3] = [Home::Linked, Home::Single, Home::Multi];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Home::Linked => "linked",
            Home::Single => "single",
            Home::Multi => "multi",
            Home::Compressed => "compressed",
            Home::WasiVfs => "wasi-vfs",
            Home::Tmpfs => "tmpfs",
            Home::Pool => "tmpfs, pool",
            Home::Node => "tmpfs, node",
        }
    }

    /// A line about it.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Home::Linked => "packed, the program is linked with `libmonaka_vfs.a`",
            Home::Single => {
                "packed into the finished program, `--memory single`: in the program's memory"
            }
            Home::Multi => "the same with `--memory multi`: in a second memory",
            Home::Compressed => "the same as multi with `--compress`",
            Home::WasiVfs => "linked with wasi-vfs 0.3.0, which is read-only",
            Home::Tmpfs => {
                "a directory in memory as wasmtime's preopen, whose calls block in place"
            }
            Home::Pool => {
                "the same as an embedder gets it by default: calls go to a pool of threads"
            }
            Home::Node => "the same under `node:wasi`",
        }
    }

    /// Whether files are the host's.
    pub(crate) fn is_host(self) -> bool {
        matches!(self, Home::Tmpfs | Home::Pool | Home::Node)
    }

    /// Whether it is the work of others, and no limit is for it.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Home::WasiVfs | Home::Node)
    }

    /// The arguments of a program that makes calls in loops and writes, too: how many,
    /// where they take nanoseconds, and fewer where they are slow; and what it may do.
    pub(crate) fn args(self, calls: f64) -> Vec<String> {
        let writes = if self == Home::WasiVfs {
            "reads"
        } else {
            "all"
        };
        vec![format!("{:.0}", calls * self.effort()), writes.to_owned()]
    }

    fn effort(self) -> f64 {
        match self {
            Home::Linked | Home::Single | Home::Multi | Home::Compressed => 1.0,
            Home::WasiVfs => 0.2,
            Home::Tmpfs | Home::Node => 0.05,
            Home::Pool => 0.005,
        }
    }
}
