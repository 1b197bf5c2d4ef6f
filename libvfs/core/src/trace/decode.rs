//! Calls as text: `path_open(3 </>, "etc/motd", CREAT|TRUNC, read|write) = 5`.

use alloc::vec::Vec;

use crate::abi::poll;
use crate::errno::Result;
use crate::memory::GuestMemory;
use crate::resolve::PATH_MAX;
use crate::rights::{Rights, SYMLINK_FOLLOW, fdflags, fstflags, oflags};
use crate::witx::{Hook as H, Plain as P};

use super::call::{Call, functions};
use super::line::Line;
use super::paths::Paths;

/// A call with what it was passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made<'a> {
    pub(super) call: Call,
    pub(super) args: &'a [u64],
    /// Whether the layouts are those of `wasi_unstable`.
    pub(super) unstable: bool,
}

/// A path that a call names.
#[derive(Debug, Default)]
pub(super) struct Operand {
    /// The directory that it begins at.
    pub(super) fd: u32,
    /// `lookupflags`.
    pub(super) flags: u32,
    /// Where in the program's memory it stands.
    pub(super) at: u32,
    pub(super) len: u32,
    /// Its bytes.
    pub(super) text: Option<Vec<u8>>,
    /// From the root on.
    pub(super) full: Option<Vec<u8>>,
}

/// The bytes of a text of the program's; `None` if they are not all its own, or
/// longer than a path may be, or memory is out.
pub(super) fn text(memory: &impl GuestMemory, at: u32, len: u32) -> Option<Vec<u8>> {
    if len as usize > PATH_MAX {
        return None;
    }
    let from = memory.region(at, len).ok()?;
    let mut text = Vec::new();
    text.try_reserve_exact(len as usize).ok()?;
    memory.append(from, &mut text);
    Some(text)
}

impl Made<'_> {
    /// An argument; those that are `u32` fit.
    pub(super) fn arg(&self, index: usize) -> u32 {
        self.args.get(index).copied().unwrap_or(0) as u32
    }

    fn wide(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// The descriptor that it is about, if it names no path.
    pub(super) fn fd(&self) -> Option<u32> {
        let Call::Hook(hook) = self.call else {
            return None;
        };
        let named = functions().nth(hook as usize)?.name;
        (named.starts_with("fd_") || named.starts_with("sock_")).then(|| self.arg(0))
    }

    /// Whether it may create a file.
    pub(super) fn creates(&self) -> bool {
        self.call == Call::Hook(H::path_open) && self.arg(4) & oflags::CREAT != 0
    }

    /// The paths that it names.
    pub(super) fn operands(&self, memory: &impl GuestMemory) -> [Option<Operand>; 2] {
        let operand = |fd: usize, flags: Option<usize>, at: usize| {
            let (address, len) = (self.arg(at), self.arg(at + 1));
            Some(Operand {
                fd: self.arg(fd),
                flags: flags.map_or(0, |flags| self.arg(flags)),
                at: address,
                len,
                text: text(memory, address, len),
                full: None,
            })
        };
        let Call::Hook(hook) = self.call else {
            return [None, None];
        };
        match hook {
            H::path_create_directory
            | H::path_readlink
            | H::path_remove_directory
            | H::path_unlink_file => [operand(0, None, 1), None],
            H::path_filestat_get | H::path_filestat_set_times | H::path_open => {
                [operand(0, Some(1), 2), None]
            }
            H::path_link => [operand(0, Some(1), 2), operand(4, None, 5)],
            H::path_rename => [operand(0, None, 1), operand(3, None, 4)],
            H::path_symlink => [operand(2, None, 3), None],
            _ => [None, None],
        }
    }

    /// Writes the call without what it answers.
    pub(super) fn write(
        &self,
        line: &mut Line,
        paths: &Paths,
        operands: &[Option<Operand>; 2],
        memory: &impl GuestMemory,
    ) {
        let name = functions().nth(self.call.index()).map_or("", |f| f.name);
        line.text(name);
        line.byte(b'(');
        let mut list = List {
            line,
            paths,
            memory,
            first: true,
        };
        match self.call {
            Call::Hook(hook) => self.hook(&mut list, hook, operands),
            Call::Plain(plain) => self.plain(&mut list, plain),
        }
        line.byte(b')');
    }

    fn plain<M: GuestMemory>(&self, list: &mut List<'_, M>, plain: P) {
        match plain {
            P::args_get
            | P::args_sizes_get
            | P::environ_get
            | P::environ_sizes_get
            | P::sched_yield => {}
            P::clock_res_get | P::clock_time_get => list.clock(self.arg(0)),
            P::proc_exit => list.signed(i64::from(self.arg(0).cast_signed())),
            P::proc_raise => list.number(self.wide(0)),
            P::random_get => list.number(self.wide(1)),
        }
    }

    fn hook<M: GuestMemory>(
        &self,
        list: &mut List<'_, M>,
        hook: H,
        operands: &[Option<Operand>; 2],
    ) {
        if self.fd().is_some() {
            list.fd(self.arg(0));
        }
        let [path, path2] = operands;
        if hook == H::path_symlink {
            let target = text(list.memory, self.arg(0), self.arg(1));
            list.quoted(target.as_deref());
        }
        for path in [path, path2].into_iter().flatten() {
            list.fd(path.fd);
            list.quoted(path.text.as_deref());
        }
        match hook {
            H::fd_close
            | H::fd_datasync
            | H::fd_fdstat_get
            | H::fd_filestat_get
            | H::fd_prestat_get
            | H::fd_sync
            | H::fd_tell
            | H::path_create_directory
            | H::path_remove_directory
            | H::path_rename
            | H::path_symlink
            | H::path_unlink_file => {}
            H::fd_advise => {
                list.number(self.wide(1));
                list.number(self.wide(2));
                list.named(self.arg(3), &ADVICE);
            }
            H::fd_allocate => {
                list.number(self.wide(1));
                list.number(self.wide(2));
            }
            H::fd_fdstat_set_flags => list.bits(self.wide(1), &FDFLAGS),
            H::fd_fdstat_set_rights => {
                list.bits(self.wide(1), &RIGHTS);
                list.bits(self.wide(2), &RIGHTS);
            }
            H::fd_filestat_set_size => list.number(self.wide(1)),
            H::fd_filestat_set_times => self.times(list, 1),
            H::path_filestat_set_times => {
                list.follow(self.arg(1));
                self.times(list, 4);
            }
            H::fd_pread | H::fd_pwrite => {
                list.buffers(self.arg(1), self.arg(2));
                list.number(self.wide(3));
            }
            H::fd_read | H::fd_write | H::sock_recv | H::sock_send => {
                list.buffers(self.arg(1), self.arg(2));
            }
            H::fd_prestat_dir_name => list.number(self.wide(2)),
            H::fd_readdir => {
                list.number(self.wide(2));
                list.number(self.wide(3));
            }
            H::fd_renumber => list.fd(self.arg(1)),
            H::fd_seek => {
                list.signed(self.wide(1).cast_signed());
                let whence = match (self.unstable, self.arg(2)) {
                    (true, whence @ 0..=2) => (whence + 1) % 3,
                    (_, whence) => whence,
                };
                list.named(whence, &WHENCE);
            }
            H::path_filestat_get | H::path_link => list.follow(self.arg(1)),
            H::path_open => {
                let mut flags = self.wide(4);
                if self.arg(1) & SYMLINK_FOLLOW == 0 {
                    flags |= NOFOLLOW;
                }
                list.bits(flags, &OFLAGS);
                let asked = Rights::from_raw(self.wide(5));
                let reads = asked.contains(Rights::FD_READ);
                let writes = asked.contains(Rights::FD_WRITE);
                list.word(match (reads, writes) {
                    (true, true) => "read|write",
                    (false, true) => "write",
                    (true, false) => "read",
                    (false, false) => "0",
                });
                if self.arg(7) != 0 {
                    list.bits(self.wide(7), &FDFLAGS);
                }
            }
            H::path_readlink => list.number(self.wide(4)),
            H::poll_oneoff => self.subscriptions(list),
            H::sock_accept => list.bits(self.wide(1), &FDFLAGS),
            H::sock_shutdown => list.bits(self.wide(1), &[(1, "read"), (2, "write")]),
        }
    }

    fn times<M: GuestMemory>(&self, list: &mut List<'_, M>, at: usize) {
        let flags = self.arg(at + 2);
        for (index, given, now) in [
            (at, fstflags::ATIM, fstflags::ATIM_NOW),
            (at + 1, fstflags::MTIM, fstflags::MTIM_NOW),
        ] {
            list.next();
            match (flags & given != 0, flags & now != 0) {
                (true, _) => list.line.seconds(self.wide(index)),
                (false, true) => list.line.text("now"),
                (false, false) => list.line.text("same"),
            }
        }
    }

    /// What is waited for: the first few, and how many there are.
    fn subscriptions<M: GuestMemory>(&self, list: &mut List<'_, M>) {
        const SHOWN: u32 = 4;
        let (at, count) = (self.arg(0), self.arg(2));
        // The old layout has a clock's number further behind.
        let (size, clock) = match self.unstable {
            true => (poll::SUBSCRIPTION + 8, 24),
            false => (poll::SUBSCRIPTION, 16),
        };
        for index in 0..count.min(SHOWN) {
            let start = at.wrapping_add(index * size);
            let memory = list.memory;
            let word = |offset: u32| memory.load_u32(start.wrapping_add(offset));
            let (Ok(kind), Ok(clock_id), Ok(fd)) = (word(8), word(clock), word(16)) else {
                return list.word("?");
            };
            let timeout = long(memory, start.wrapping_add(clock + 8)).unwrap_or(0);
            list.next();
            match kind as u8 {
                poll::CLOCK => {
                    list.line.text(clock_name(clock_id));
                    list.line.byte(b' ');
                    list.line.seconds(timeout);
                }
                poll::FD_READ | poll::FD_WRITE => {
                    let reads = kind as u8 == poll::FD_READ;
                    list.line.text(if reads { "read " } else { "write " });
                    list.first = true;
                    list.fd(fd);
                }
                _ => list.line.byte(b'?'),
            }
        }
        if count > SHOWN {
            list.word("...");
        }
        list.number(count.into());
    }

    /// The answer's bytes, for calls that count them.
    pub(super) fn bytes(&self, memory: &impl GuestMemory) -> Option<u32> {
        let at = match self.call {
            Call::Hook(H::fd_read | H::fd_write) => 3,
            Call::Hook(H::fd_pread | H::fd_pwrite | H::sock_recv | H::sock_send) => 4,
            Call::Hook(H::fd_readdir | H::path_readlink) => self.args.len() - 1,
            Call::Plain(P::random_get) => return Some(self.arg(1)),
            _ => return None,
        };
        // The flags of what was received stand behind the number.
        memory.load_u32(self.arg(at)).ok()
    }

    /// Writes what a call answered that succeeded.
    pub(super) fn answer(&self, line: &mut Line, memory: &impl GuestMemory) {
        let shown = match self.call {
            Call::Hook(hook) => self.hook_answer(line, memory, hook),
            Call::Plain(plain) => self.plain_answer(line, memory, plain),
        };
        if shown.is_err() {
            line.byte(b'?');
        }
    }

    fn plain_answer(&self, line: &mut Line, memory: &impl GuestMemory, plain: P) -> Result<()> {
        match plain {
            P::args_sizes_get | P::environ_sizes_get => {
                line.number(memory.load_u32(self.arg(0))?.into());
                line.text(", ");
                line.number(memory.load_u32(self.arg(1))?.into());
                line.text(" bytes");
            }
            P::clock_res_get => line.seconds(long(memory, self.arg(1))?),
            P::clock_time_get => line.seconds(long(memory, self.arg(2))?),
            _ => line.byte(b'0'),
        }
        Ok(())
    }

    fn hook_answer(&self, line: &mut Line, memory: &impl GuestMemory, hook: H) -> Result<()> {
        match hook {
            H::fd_read
            | H::fd_write
            | H::fd_pread
            | H::fd_pwrite
            | H::sock_recv
            | H::sock_send
            | H::fd_readdir
            | H::path_readlink => match self.bytes(memory) {
                Some(bytes) => line.number(bytes.into()),
                None => line.byte(b'?'),
            },
            H::path_open => line.number(memory.load_u32(self.arg(8))?.into()),
            H::sock_accept => line.number(memory.load_u32(self.arg(2))?.into()),
            H::poll_oneoff => line.number(memory.load_u32(self.arg(3))?.into()),
            H::fd_seek => line.number(long(memory, self.arg(3))?),
            H::fd_tell => line.number(long(memory, self.arg(1))?),
            H::fd_prestat_get => {
                line.text("directory, name of ");
                line.number(memory.load_u32(self.arg(1).wrapping_add(4))?.into());
            }
            H::fd_prestat_dir_name => {
                let name = text(memory, self.arg(1), self.arg(2));
                quoted(line, name.as_deref());
            }
            H::fd_fdstat_get => {
                let word = memory.load_u32(self.arg(1))?;
                line.text(filetype(word));
                if word >> 16 != 0 {
                    line.text(", ");
                    line.bits((word >> 16).into(), &FDFLAGS);
                }
            }
            H::fd_filestat_get => self.filestat(line, memory, self.arg(1))?,
            H::path_filestat_get => self.filestat(line, memory, self.arg(4))?,
            _ => line.byte(b'0'),
        }
        Ok(())
    }

    fn filestat(&self, line: &mut Line, memory: &impl GuestMemory, at: u32) -> Result<()> {
        let size = if self.unstable { 24 } else { 32 };
        line.text(filetype(memory.load_u32(at.wrapping_add(16))?));
        line.text(", ");
        line.number(long(memory, at.wrapping_add(size))?);
        line.text(" bytes");
        Ok(())
    }
}

fn long(memory: &impl GuestMemory, at: u32) -> Result<u64> {
    let low = memory.load_u32(at)?;
    let high = memory.load_u32(at.wrapping_add(4))?;
    Ok(u64::from(high) << 32 | u64::from(low))
}

/// Arguments with commas between them.
struct List<'l, M> {
    line: &'l mut Line,
    paths: &'l Paths,
    memory: &'l M,
    first: bool,
}

impl<M: GuestMemory> List<'_, M> {
    fn next(&mut self) {
        if !core::mem::replace(&mut self.first, false) {
            self.line.text(", ");
        }
    }

    fn word(&mut self, word: &str) {
        self.next();
        self.line.text(word);
    }

    fn number(&mut self, number: u64) {
        self.next();
        self.line.number(number);
    }

    fn signed(&mut self, number: i64) {
        self.next();
        self.line.signed(number);
    }

    fn bits(&mut self, bits: u64, names: &[(u64, &str)]) {
        self.next();
        self.line.bits(bits, names);
    }

    fn named(&mut self, value: u32, names: &[&str]) {
        match names.get(value as usize) {
            Some(name) => self.word(name),
            None => self.number(value.into()),
        }
    }

    fn clock(&mut self, clock: u32) {
        match clock_name(clock) {
            "?" => self.number(clock.into()),
            name => self.word(name),
        }
    }

    /// Whether a symbolic link at the end is followed, where it is not.
    fn follow(&mut self, flags: u32) {
        if flags & SYMLINK_FOLLOW == 0 {
            self.word("NOFOLLOW");
        }
    }

    fn fd(&mut self, fd: u32) {
        self.next();
        self.line.number(fd.into());
        if let Some(path) = self.paths.get(fd) {
            self.line.text(" <");
            self.line.escaped(path, b'>');
            self.line.byte(b'>');
        }
    }

    fn quoted(&mut self, text: Option<&[u8]>) {
        self.next();
        quoted(self.line, text);
    }

    /// How many bytes the buffers take together.
    fn buffers(&mut self, iovs: u32, count: u32) {
        let mut total = 0;
        // As many as a call takes.
        for index in 0..count.min(crate::abi::IOV_MAX) {
            let at = iovs.checked_add(index * 8 + 4);
            let Some(Ok(len)) = at.map(|at| self.memory.load_u32(at)) else {
                return self.word("?");
            };
            total += u64::from(len);
        }
        self.number(total);
    }
}

fn quoted(line: &mut Line, text: Option<&[u8]>) {
    let Some(text) = text else {
        return line.byte(b'?');
    };
    line.byte(b'"');
    line.escaped(text, b'"');
    line.byte(b'"');
}

const ADVICE: [&str; 6] = [
    "normal",
    "sequential",
    "random",
    "willneed",
    "dontneed",
    "noreuse",
];

const WHENCE: [&str; 3] = ["set", "cur", "end"];

const FDFLAGS: [(u64, &str); 5] = [
    (fdflags::APPEND as u64, "APPEND"),
    (fdflags::DSYNC as u64, "DSYNC"),
    (fdflags::NONBLOCK as u64, "NONBLOCK"),
    (fdflags::RSYNC as u64, "RSYNC"),
    (fdflags::SYNC as u64, "SYNC"),
];

/// Of no flag of a call's, but said among them.
const NOFOLLOW: u64 = 1 << 32;

const OFLAGS: [(u64, &str); 5] = [
    (oflags::CREAT as u64, "CREAT"),
    (oflags::DIRECTORY as u64, "DIRECTORY"),
    (oflags::EXCL as u64, "EXCL"),
    (oflags::TRUNC as u64, "TRUNC"),
    (NOFOLLOW, "NOFOLLOW"),
];

/// Those that are asked about most; the rest is a number.
const RIGHTS: [(u64, &str); 2] = [(1 << 1, "read"), (1 << 6, "write")];

fn clock_name(clock: u32) -> &'static str {
    match clock {
        0 => "realtime",
        1 => "monotonic",
        2 => "process",
        3 => "thread",
        _ => "?",
    }
}

/// What a structure that begins with a `filetype` is of.
fn filetype(word: u32) -> &'static str {
    match word as u8 {
        1 => "block device",
        2 => "character device",
        3 => "directory",
        4 => "file",
        5 | 6 => "socket",
        7 => "symbolic link",
        _ => "unknown",
    }
}
