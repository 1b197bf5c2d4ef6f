//! The suites, in the order in which they run and stand in docs/BENCHMARKS.md.

mod calls;
mod checkpoints;
mod compression;
mod copies;
mod growth;
mod listings;
mod memory;
mod packing;
mod rust;
mod scale;
mod sizes;
mod sqlite;
mod startup;
mod trees;

use crate::Setup;
use crate::report::Chapter;

/// Something that is measured by itself.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Setup) -> Chapter,
}

pub(crate) const ALL: &[Suite] = &[
    Suite {
        name: "calls",
        about: "small calls: 1 byte, open, stat, create, rename, unlink",
        run: calls::run,
    },
    Suite {
        name: "copies",
        about: "reading and writing 1 byte to 1 MiB a call, beside memcpy",
        run: copies::run,
    },
    Suite {
        name: "listings",
        about: "finding and listing the entries of packed directories",
        run: listings::run,
    },
    Suite {
        name: "rust",
        about: "calls of Rust's std",
        run: rust::run,
    },
    Suite {
        name: "trees",
        about: "copying a tree of files",
        run: trees::run,
    },
    Suite {
        name: "sqlite",
        about: "SQLite's speedtest, beside its own `:memory:`",
        run: sqlite::run,
    },
    Suite {
        name: "growth",
        about: "what calls cost against the number of entries, files, open files, and sizes",
        run: growth::run,
    },
    Suite {
        name: "memory",
        about: "what written files take of the memory",
        run: memory::run,
    },
    Suite {
        name: "packing",
        about: "what packing takes, and adds to a program",
        run: packing::run,
    },
    Suite {
        name: "sizes",
        about: "packing, modules and memory, by how much is packed",
        run: sizes::run,
    },
    Suite {
        name: "scale",
        about: "100,000 files beside 10",
        run: scale::run,
    },
    Suite {
        name: "compression",
        about: "what compressing saves and costs",
        run: compression::run,
    },
    Suite {
        name: "startup",
        about: "how soon programs begin, by what is packed into them",
        run: startup::run,
    },
    Suite {
        name: "checkpoints",
        about: "how soon programs begin that were initialised when they were packed",
        run: checkpoints::run,
    },
];
