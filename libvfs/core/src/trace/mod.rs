//! A log of the calls that a program makes, as strace writes it, and calls that
//! fail on purpose.
//!
//! A [`Tracer`] stands in front of the file system and the host: it has a function
//! for each call of Preview 1, which decodes the call, makes it and decodes the
//! answer. What it does is said by [`Settings`]. It is for a blob of its own; no
//! other code knows of it.
//!
//! 1. Nothing here may trap or fail a call because memory is out: a path that there
//!    is no memory for is unknown, a line that cannot be written is counted.
//! 2. No formatting of `core` is used: it calls through tables, and the blob has none.
//! 3. Arguments are decoded before the call, which may change what they point to.

mod call;
mod decode;
pub mod glob;
mod line;
mod paths;
mod settings;
mod summary;

use crate::errno::{Errno, Result};
use crate::host::Home;
use crate::rights::SYMLINK_FOLLOW;
use crate::vfs::Vfs;
use crate::witx::{Hook, Plain};
use crate::{for_each_hook, for_each_plain};

pub use call::{CALLS, CLASSES, Call, CallSet, functions};
use decode::{Made, Operand};
pub use line::LINE_MAX;
use line::Line;
use paths::Paths;
pub use settings::{Destination, Fault, Settings};
use summary::Summary;

macro_rules! witness {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// What a tracer needs beside what a file system does: the host's calls that
        /// carry no descriptor, with the program's addresses passed through.
        pub trait Witness: Home {
            /// Hands bytes of the program's memory to the host that `monaka run` is.
            fn report(&mut self, at: u32, len: u32) -> Result<()>;

            /// Ends the program.
            fn proc_exit(&mut self, status: u32);

            $(
                #[allow(missing_docs)]
                fn $name(&mut self, $($arg: $ty),*) -> Result<()>;
            )*
        }
    };
}
for_each_plain!(witness);

/// Logs calls, and has them fail.
#[derive(Debug)]
pub struct Tracer {
    settings: Settings,
    /// For each fault how many calls it was for.
    seen: alloc::vec::Vec<u32>,
    paths: Paths,
    line: Line,
    /// `None` once it is written.
    summary: Option<Summary>,
    /// Lines that could not be written.
    lost: u32,
    // What is known of the call that is being made.
    operands: [Option<Operand>; 2],
    /// The inodes of the operands and of the directories that they are in.
    inodes: [u32; 4],
    fault: Option<Errno>,
}

/// Where a line, and what a host needs to write it, is put into borrowed bytes.
const SLIP: usize = LINE_MAX + 16;

/// The most of the name of a directory that was open from the start.
const NAME_MAX: usize = 512;

impl Tracer {
    /// One that does what `settings` say. `NOMEM` when memory is out.
    pub fn new(settings: Settings) -> Result<Tracer> {
        let mut seen = alloc::vec::Vec::new();
        seen.try_reserve_exact(settings.faults.len())
            .map_err(|_| Errno::NOMEM)?;
        seen.resize(settings.faults.len(), 0);
        Ok(Tracer {
            settings,
            seen,
            paths: Paths::new()?,
            line: Line::new()?,
            summary: Some(Summary::new()),
            lost: 0,
            operands: [None, None],
            inodes: [0; 4],
            fault: None,
        })
    }

    /// Writes the summary, once. For the end of the program.
    pub fn finish(&mut self, vfs: &mut Vfs<'_>, home: &mut impl Witness) {
        let Some(summary) = self.summary.take() else {
            return;
        };
        if !self.settings.log {
            return;
        }
        let (settings, lost) = (&mut self.settings, &mut self.lost);
        let line = &mut self.line;
        summary.write(line, |line| emit(settings, lost, line, vfs, home));
        if *lost != 0 {
            line.start();
            line.number((*lost).into());
            line.text(" lines could not be written\n");
            emit(settings, lost, line, vfs, home);
        }
    }

    /// Logs the end of the program and has the host end it.
    pub fn proc_exit(&mut self, vfs: &mut Vfs<'_>, home: &mut impl Witness, status: u32) {
        let args = [u64::from(status)];
        let made = Made {
            call: Call::Plain(Plain::proc_exit),
            args: &args,
            unstable: false,
        };
        self.before(vfs, home, made);
        if let Some(summary) = &mut self.summary {
            summary.add(made.call, 0, None);
        }
        if self.is_logged(made) {
            self.line.byte(b'\n');
            emit(&mut self.settings, &mut self.lost, &self.line, vfs, home);
        }
        self.finish(vfs, home);
        home.proc_exit(status);
    }

    fn is_logged(&self, made: Made<'_>) -> bool {
        self.settings.log && self.settings.calls.contains(made.call, made.creates())
    }

    /// Makes a call, unless it is to fail.
    #[inline(always)]
    fn around<'i, W: Witness>(
        &mut self,
        vfs: &mut Vfs<'i>,
        home: &mut W,
        made: Made<'_>,
        make: impl FnOnce(&mut Vfs<'i>, &mut W) -> Result<()>,
    ) -> Result<()> {
        self.before(vfs, home, made);
        let outcome = match self.fault {
            Some(errno) => Err(errno),
            None => make(vfs, home),
        };
        self.after(vfs, home, made, outcome);
        outcome
    }

    /// Decodes a call.
    #[inline(never)]
    fn before(&mut self, vfs: &mut Vfs<'_>, home: &mut impl Witness, made: Made<'_>) {
        self.operands = made.operands(home);
        let operands = self.operands.iter().flatten().map(|operand| operand.fd);
        let fds = made.fd().into_iter().chain(operands);
        let mut asked = [None; 3];
        for (slot, fd) in asked.iter_mut().zip(fds) {
            *slot = Some(fd);
        }
        for fd in asked.into_iter().flatten() {
            self.ask(vfs, home, fd);
        }
        for operand in self.operands.iter_mut().flatten() {
            let directory = self.paths.get(operand.fd);
            operand.full = directory
                .zip(operand.text.as_deref())
                .and_then(|(directory, text)| paths::join(directory, text));
        }
        self.fault = self.fault_of(made);
        self.inodes = [0; 4];
        if self.settings.profile {
            self.look(vfs, home);
        }
        if self.is_logged(made) {
            self.line.start();
            made.write(&mut self.line, &self.paths, &self.operands, home);
        }
    }

    /// Decodes its answer.
    #[inline(never)]
    fn after(
        &mut self,
        vfs: &mut Vfs<'_>,
        home: &mut impl Witness,
        made: Made<'_>,
        outcome: Result<()>,
    ) {
        let bytes = match outcome {
            Ok(()) => made.bytes(home),
            Err(_) => None,
        };
        if let Some(summary) = &mut self.summary {
            summary.add(made.call, bytes.unwrap_or(0), outcome.err());
        }
        if self.is_logged(made) {
            self.line.end();
            self.line.text(" = ");
            match outcome {
                Ok(()) => made.answer(&mut self.line, home),
                Err(errno) => self.line.text(errno.name()),
            }
            if self.fault.is_some() {
                self.line.text(" (fault)");
            }
            self.line.byte(b'\n');
            emit(&mut self.settings, &mut self.lost, &self.line, vfs, home);
        }
        if outcome.is_err() {
            return;
        }
        for inode in self.inodes {
            if inode != 0 {
                self.tell(home, inode);
            }
        }
        self.follow(home, made);
    }

    /// Takes note of what descriptors are called after a call.
    fn follow(&mut self, home: &impl Witness, made: Made<'_>) {
        let Call::Hook(hook) = made.call else {
            return;
        };
        match hook {
            Hook::path_open => {
                if let Ok(fd) = home.load_u32(made.arg(8)) {
                    let path = self.operands[0].take();
                    self.paths.set(fd, path.and_then(|path| path.full));
                }
            }
            Hook::sock_accept => {
                if let Ok(fd) = home.load_u32(made.arg(2)) {
                    self.paths.set(fd, paths::copy(b"socket"));
                }
            }
            Hook::fd_close => self.paths.close(made.arg(0)),
            Hook::fd_renumber => self.paths.renumber(made.arg(0), made.arg(1)),
            _ => {}
        }
    }

    /// Asks for the name of a descriptor that may have been open from the start.
    fn ask(&mut self, vfs: &mut Vfs<'_>, home: &mut impl Witness, fd: u32) {
        if !self.paths.is_unasked(fd) {
            return;
        }
        let pass = self.settings.pass;
        let prestat = home.lend::<8>(|home, at| match pass {
            true => home.fd_prestat_get(fd, at),
            false => vfs.fd_prestat_get(home, fd, at),
        });
        let len = match prestat {
            Ok([0, _, _, _, a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
            _ => NAME_MAX + 1,
        };
        let name = match len {
            0..=NAME_MAX => home.lend::<NAME_MAX>(|home, at| match pass {
                true => home.fd_prestat_dir_name(fd, at, len as u32),
                false => vfs.fd_prestat_dir_name(home, fd, at, len as u32),
            }),
            _ => Err(Errno::NAMETOOLONG),
        };
        let name = name.ok().and_then(|name| paths::copy(&name[..len]));
        self.paths.set(fd, name);
    }

    /// What a call is to answer without being made.
    fn fault_of(&mut self, made: Made<'_>) -> Option<Errno> {
        let fd = made.fd().and_then(|fd| self.paths.get(fd));
        let full = |operand: &'_ Option<Operand>, pattern: &[u8]| match operand {
            Some(operand) => glob::matches(pattern, operand.full.as_deref().unwrap_or(b"?")),
            None => false,
        };
        let mut answer = None;
        for (fault, seen) in self.settings.faults.iter().zip(&mut self.seen) {
            if !fault.calls.contains(made.call, made.creates()) {
                continue;
            }
            let pattern = &fault.pattern[..];
            let [one, other] = &self.operands;
            let matches = match (one, fd) {
                (Some(_), _) => full(one, pattern) || full(other, pattern),
                (None, Some(path)) => glob::matches(pattern, path),
                // Of no path, or of one that is not known.
                (None, None) => glob::matches(pattern, b""),
            };
            if !matches {
                continue;
            }
            *seen = seen.saturating_add(1);
            if *seen == fault.first || fault.onwards && *seen > fault.first {
                answer = answer.or(Some(fault.errno));
            }
        }
        answer
    }

    /// Finds out which inodes the paths of a call lead to.
    fn look(&mut self, vfs: &mut Vfs<'_>, home: &mut impl Witness) {
        for (index, operand) in self.operands.iter().enumerate() {
            let Some(Operand {
                fd,
                flags,
                at,
                len,
                text: Some(text),
                ..
            }) = operand
            else {
                continue;
            };
            let inode = |stat: Result<[u8; 64]>| match stat {
                Ok([_, _, _, _, _, _, _, _, a, b, c, d, ..]) => u32::from_le_bytes([a, b, c, d]),
                Err(_) => 0,
            };
            let own = home.lend(|home, to| vfs.path_filestat_get(home, *fd, *flags, *at, *len, to));
            self.inodes[2 * index] = inode(own);
            let name = text.iter().rposition(|byte| *byte != b'/').unwrap_or(0);
            let parent = text[..name].iter().rposition(|byte| *byte == b'/');
            let parent = home.lend(|home, to| match parent {
                Some(len) if len != 0 => {
                    vfs.path_filestat_get(home, *fd, SYMLINK_FOLLOW, *at, len as u32, to)
                }
                _ => vfs.fd_filestat_get(home, *fd, to),
            });
            self.inodes[2 * index + 1] = inode(parent);
        }
    }

    /// Reports an inode.
    fn tell(&mut self, home: &mut impl Witness, inode: u32) {
        let told = home.lend::<4>(|home, at| {
            home.store_u32(at, inode)?;
            home.report(at, 4)
        });
        if told.is_err() {
            self.lost = self.lost.saturating_add(1);
        }
    }
}

/// Writes a line to where lines go.
fn emit(
    settings: &mut Settings,
    lost: &mut u32,
    line: &Line,
    vfs: &mut Vfs<'_>,
    home: &mut impl Witness,
) {
    const STDERR: u32 = 2;
    let len = line.bytes().len() as u32;
    let to = &mut settings.to;
    let written = home.lend::<SLIP>(|home, at| {
        let text = at + 16;
        home.store(text, line.bytes())?;
        let mut done = 0;
        while done < len {
            home.store_u32(at, text + done)?;
            home.store_u32(at + 4, len - done)?;
            home.store_u32(at + 8, 0)?;
            let more = match to {
                Destination::Stderr => {
                    home.fd_write(STDERR, at, 1, at + 8)?;
                    home.load_u32(at + 8)?
                }
                Destination::File(number, offset) => {
                    let more = vfs.write_to(home, *number, at, 1, *offset)?;
                    *offset += u64::from(more);
                    more
                }
                Destination::Monaka => {
                    home.report(text + done, len - done)?;
                    len
                }
            };
            // A host that takes nothing would be asked for ever.
            if more == 0 {
                return Err(Errno::IO);
            }
            done = done.saturating_add(more);
        }
        Ok(())
    });
    if written.is_err() {
        *lost = lost.saturating_add(1);
    }
}

macro_rules! hooks {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        impl Tracer {
            $(
                #[allow(missing_docs, clippy::too_many_arguments)]
                pub fn $name(
                    &mut self,
                    vfs: &mut Vfs<'_>,
                    home: &mut impl Witness,
                    $($arg: $ty),*
                ) -> Result<()> {
                    let pass = self.settings.pass;
                    let args = [$(u64::from($arg)),*];
                    let made = Made {
                        call: Call::Hook(Hook::$name),
                        args: &args,
                        unstable: false,
                    };
                    self.around(vfs, home, made, |vfs, home| match pass {
                        true => home.$name($($arg),*),
                        false => vfs.$name(home, $($arg),*),
                    })
                }
            )*
        }
    };
}
for_each_hook!(hooks);

macro_rules! plain {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        impl Tracer {
            $(
                #[allow(missing_docs)]
                pub fn $name(
                    &mut self,
                    vfs: &mut Vfs<'_>,
                    home: &mut impl Witness,
                    $($arg: $ty),*
                ) -> Result<()> {
                    let args: &[u64] = &[$(u64::from($arg)),*];
                    let made = Made {
                        call: Call::Plain(Plain::$name),
                        args,
                        unstable: false,
                    };
                    self.around(vfs, home, made, |_, home| home.$name($($arg),*))
                }
            )*
        }
    };
}
for_each_plain!(plain);

macro_rules! unstable {
    ($($name:ident = $now:ident($($arg:ident: $ty:ident),*);)*) => {
        impl Tracer {
            $(
                #[allow(missing_docs, clippy::too_many_arguments)]
                pub fn $name(
                    &mut self,
                    vfs: &mut Vfs<'_>,
                    home: &mut impl Witness,
                    $($arg: $ty),*
                ) -> Result<()> {
                    let args = [$(u64::from($arg)),*];
                    let made = Made {
                        call: Call::Hook(Hook::$now),
                        args: &args,
                        unstable: true,
                    };
                    self.around(vfs, home, made, |vfs, home| vfs.$name(home, $($arg),*))
                }
            )*
        }
    };
}
unstable! {
    unstable_fd_seek = fd_seek(fd: u32, offset: u64, whence: u32, newoffset: u32);
    unstable_fd_filestat_get = fd_filestat_get(fd: u32, stat: u32);
    unstable_path_filestat_get = path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, stat: u32);
    unstable_poll_oneoff = poll_oneoff(subscriptions: u32, events: u32, count: u32, nevents: u32);
}
