//! Every call of Preview 1 by one number, and the kinds of calls that a rule can name.

use crate::witx::{Function, HOOK_COUNT, HOOKS, HOST_ONLY, Hook, Plain};

/// One function of the witx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// One that carries a descriptor.
    Hook(Hook),
    /// One that carries none.
    Plain(Plain),
}

/// How many calls there are.
pub const CALLS: usize = HOOK_COUNT + HOST_ONLY.len();

impl Call {
    /// Its number, below [`CALLS`].
    pub fn index(self) -> usize {
        match self {
            Call::Hook(hook) => hook as usize,
            Call::Plain(plain) => HOOK_COUNT + plain as usize,
        }
    }
}

/// All calls, by their numbers.
pub fn functions() -> impl Iterator<Item = &'static Function> {
    HOOKS.iter().chain(&HOST_ONLY)
}

/// A set of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallSet(u64);

/// In a [`CallSet`]: of `path_open` only those that may create.
const CREATING: u64 = 1 << 63;

const _: () = assert!(CALLS < 63);

/// The kinds of calls that have a name of their own, and what they stand for.
pub const CLASSES: [(&str, &[&str]); 13] = [
    ("open", &["path_open"]),
    ("read", &["fd_read", "fd_pread"]),
    ("write", &["fd_write", "fd_pwrite"]),
    ("create", &["path_open", "path_symlink", "path_link"]),
    ("unlink", &["path_unlink_file"]),
    ("rename", &["path_rename"]),
    ("mkdir", &["path_create_directory"]),
    ("rmdir", &["path_remove_directory"]),
    ("readdir", &["fd_readdir"]),
    ("stat", &["path_filestat_get", "fd_filestat_get"]),
    ("truncate", &["fd_filestat_set_size"]),
    ("sync", &["fd_sync", "fd_datasync"]),
    ("close", &["fd_close"]),
];

impl CallSet {
    /// All of them.
    pub const ALL: CallSet = CallSet((1 << CALLS) - 1);

    /// Those of a name: a call's, a class's, or `*` for all.
    pub fn named(name: &str) -> Option<CallSet> {
        if name == "*" {
            return Some(CallSet::ALL);
        }
        let one = |name: &str| {
            let at = functions().position(|function| function.name == name)?;
            Some(CallSet(1 << at))
        };
        let Some((_, names)) = CLASSES.iter().find(|(class, _)| *class == name) else {
            return one(name);
        };
        let creating = if name == "create" { CREATING } else { 0 };
        let all = names.iter().filter_map(|name| one(name));
        Some(all.fold(CallSet(creating), CallSet::with))
    }

    /// What is in either.
    pub fn with(self, other: CallSet) -> CallSet {
        CallSet(self.0 | other.0)
    }

    /// Whether all of another is in it.
    pub fn includes(self, other: CallSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a call is in it; `creates` says of `path_open` whether it may create.
    pub fn contains(self, call: Call, creates: bool) -> bool {
        self.0 & 1 << call.index() != 0
            && (self.0 & CREATING == 0 || creates || call != Call::Hook(Hook::path_open))
    }

    /// As it is stored.
    pub(super) fn to_raw(self) -> u64 {
        self.0
    }

    pub(super) fn from_raw(raw: u64) -> CallSet {
        CallSet(raw & (CallSet::ALL.0 | CREATING))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_names_calls_that_there_are() {
        for (class, names) in CLASSES {
            let set = CallSet::named(class).unwrap();
            let count = (set.0 & !CREATING).count_ones() as usize;
            assert_eq!(count, names.len(), "{class}");
        }
        assert_eq!(CallSet::named("fd_wirte"), None);
        assert_eq!(CallSet::named("*"), Some(CallSet::ALL));
    }

    #[test]
    fn creating_is_opening_with_that_flag() {
        let open = Call::Hook(Hook::path_open);
        let create = CallSet::named("create").unwrap();
        assert!(create.contains(open, true) && !create.contains(open, false));
        assert!(create.contains(Call::Hook(Hook::path_symlink), false));
        assert!(CallSet::named("open").unwrap().contains(open, false));
    }

    #[test]
    fn numbers_are_those_of_the_functions() {
        let named = |call: Call| functions().nth(call.index()).unwrap().name;
        assert_eq!(named(Call::Hook(Hook::sock_shutdown)), "sock_shutdown");
        assert_eq!(named(Call::Plain(Plain::args_get)), "args_get");
        assert_eq!(named(Call::Plain(Plain::proc_exit)), "proc_exit");
    }
}
