//! What a program may reach of its host beside the directories: its streams, the
//! time it may wait for, sockets. Said when it is packed, kept in the image.
//!
//! [`Calls`] follows from it: the host's calls that there are at all. `pack` leaves
//! no other import in a module, and the file system makes no other call.

use crate::witx::{HOOKS, Hook};

/// What the program's descriptor 0, 1 or 2 is; `F` says which file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stream<F> {
    /// The host's descriptor of that number.
    #[default]
    Host,
    /// Not open, and nothing else gets its number.
    Closed,
    /// Nothing to read; swallows what is written.
    Null,
    /// A packed file: the first one is for reading, the others for appending.
    File(F),
}

impl<F> Stream<F> {
    /// The same with another way to say which file.
    pub fn map<G>(self, of: impl FnOnce(F) -> G) -> Stream<G> {
        match self {
            Stream::Host => Stream::Host,
            Stream::Closed => Stream::Closed,
            Stream::Null => Stream::Null,
            Stream::File(file) => Stream::File(of(file)),
        }
    }
}

/// The streams' names, by their descriptors.
pub const STREAMS: [&str; 3] = ["stdin", "stdout", "stderr"];

/// What time a program may wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The host's clocks.
    #[default]
    Host,
    /// None: waiting for one is `NOTSUP`.
    Denied,
    /// Time stands still, so whatever is waited for has come.
    Fixed,
    /// The host's clocks but the time of day, which is `NOTSUP`.
    Monotonic,
}

impl Clock {
    /// All of them, by their numbers in an image.
    pub(crate) const ALL: [Clock; 4] = [Clock::Host, Clock::Denied, Clock::Fixed, Clock::Monotonic];

    /// Whether some of the host's clocks are the program's.
    pub fn is_hosts(self) -> bool {
        matches!(self, Clock::Host | Clock::Monotonic)
    }
}

/// What a program may reach of its host; by default its streams and clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access<F> {
    /// stdin, stdout and stderr.
    pub streams: [Stream<F>; 3],
    /// What time it may wait for.
    pub clock: Clock,
    /// The host's open sockets.
    pub sockets: bool,
}

impl<F> Access<F> {
    /// The host's calls that there are, where the host's directories are reached
    /// or not.
    pub fn calls(&self, directories: bool) -> Calls {
        let host = |stream: &Stream<F>| matches!(stream, Stream::Host);
        let [stdin, stdout, stderr] = &self.streams;
        let reads = host(stdin) || self.sockets || directories;
        let writes = host(stdout) || host(stderr) || self.sockets || directories;
        let mut calls = Calls::NONE;
        if reads || writes {
            calls = calls.with(Calls::DESCRIPTOR);
        }
        if reads {
            calls = calls.with(Calls::of(Hook::fd_read));
        }
        if writes {
            calls = calls.with(Calls::of(Hook::fd_write));
        }
        // What only takes output is always ready for it.
        if reads || self.clock.is_hosts() {
            calls = calls.with(Calls::of(Hook::poll_oneoff));
        }
        if directories {
            calls = calls.with(Calls::FILES);
        }
        if self.sockets {
            calls = calls.with(Calls::SOCKETS);
        }
        calls
    }
}

/// A set of [`HOOKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls(u64);

const _: () = assert!(HOOKS.len() <= 64);

impl Calls {
    /// None.
    pub const NONE: Calls = Calls(0);

    /// Those of every descriptor of the host's.
    const DESCRIPTOR: Calls = Calls::of(Hook::fd_close)
        .with(Calls::of(Hook::fd_fdstat_get))
        .with(Calls::of(Hook::fd_fdstat_set_flags))
        .with(Calls::of(Hook::fd_filestat_get))
        .with(Calls::of(Hook::fd_seek));

    /// Those of sockets alone.
    const SOCKETS: Calls = Calls::of(Hook::sock_accept)
        .with(Calls::of(Hook::sock_recv))
        .with(Calls::of(Hook::sock_send))
        .with(Calls::of(Hook::sock_shutdown));

    /// All but those of sockets.
    const FILES: Calls = Calls(((1 << HOOKS.len()) - 1) & !Calls::SOCKETS.0);

    /// Those that change what a descriptor of a directory or a file leads to.
    /// Opening may, too.
    pub(crate) const CHANGING: Calls = Calls::of(Hook::fd_allocate)
        .with(Calls::of(Hook::fd_filestat_set_size))
        .with(Calls::of(Hook::fd_filestat_set_times))
        .with(Calls::of(Hook::fd_pwrite))
        .with(Calls::of(Hook::fd_write))
        .with(Calls::of(Hook::path_create_directory))
        .with(Calls::of(Hook::path_filestat_set_times))
        .with(Calls::of(Hook::path_link))
        .with(Calls::of(Hook::path_remove_directory))
        .with(Calls::of(Hook::path_rename))
        .with(Calls::of(Hook::path_symlink))
        .with(Calls::of(Hook::path_unlink_file));

    /// One.
    pub const fn of(hook: Hook) -> Calls {
        Calls(1 << hook as u64)
    }

    /// Both together.
    pub const fn with(self, other: Calls) -> Calls {
        Calls(self.0 | other.0)
    }

    /// What of it is not in the other.
    pub fn without(self, other: Calls) -> Calls {
        Calls(self.0 & !other.0)
    }

    /// Whether `hook` is in it.
    #[inline]
    pub fn has(self, hook: Hook) -> bool {
        self.0 & Calls::of(hook).0 != 0
    }

    /// Whether the call of that name is in it.
    pub fn has_name(self, name: &str) -> bool {
        let id = HOOKS.iter().position(|hook| hook.name == name);
        id.is_some_and(|id| self.0 >> id & 1 != 0)
    }

    /// Whether it has all of `other`.
    pub fn contains(self, other: Calls) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names, in the order of [`HOOKS`].
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let names = HOOKS.iter().map(|hook| hook.name);
        names.filter(move |name| self.has_name(name))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const PIPES: [&str; 5] = [
        "fd_close",
        "fd_fdstat_get",
        "fd_fdstat_set_flags",
        "fd_filestat_get",
        "fd_seek",
    ];

    fn calls(streams: [Stream<()>; 3], clock: Clock, sockets: bool, directories: bool) -> Calls {
        let access = Access {
            streams,
            clock,
            sockets,
        };
        access.calls(directories)
    }

    #[test]
    fn the_calls_are_those_that_something_of_the_hosts_needs() {
        use Stream::{Closed, File, Host, Null};
        let set = |more: &[&str]| -> Vec<&str> {
            let named = |name: &&str| PIPES.contains(name) || more.contains(name);
            let names = HOOKS.iter().map(|hook| hook.name);
            names.filter(named).collect()
        };
        let names = |calls: Calls| -> Vec<&str> { calls.names().collect() };
        let none = calls([Closed, Null, File(())], Clock::Denied, false, false);
        assert_eq!(names(none), [""; 0]);
        let sleeps = calls([Closed; 3], Clock::Monotonic, false, false);
        assert_eq!(names(sleeps), ["poll_oneoff"]);
        let reads = calls([Host, Null, Null], Clock::Fixed, false, false);
        assert_eq!(names(reads), set(&["fd_read", "poll_oneoff"]));
        let writes = calls([Closed, Null, Host], Clock::Denied, false, false);
        assert_eq!(names(writes), set(&["fd_write"]));
        let stdio = calls([Host; 3], Clock::Host, false, false);
        assert_eq!(names(stdio), set(&["fd_read", "fd_write", "poll_oneoff"]));
        let sockets = calls([Closed; 3], Clock::Denied, true, false);
        assert!(sockets.contains(stdio.with(Calls::SOCKETS)));
        assert!(!sockets.has_name("path_open"));
        let files = calls([Closed; 3], Clock::Denied, false, true);
        assert!(files.has(Hook::path_open) && files.has(Hook::fd_advise));
        assert!(!files.has(Hook::sock_recv) && !files.contains(sockets));
        let all = calls([Host; 3], Clock::Host, true, true);
        assert_eq!(all.names().count(), HOOKS.len());
        assert!(!all.has_name("args_get"));
    }
}
