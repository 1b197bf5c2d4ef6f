//! The tracer in front of a file system, natively. `trace.rs` has programs with it.

use std::cell::RefCell;

use monaka_tests::native::{BUFFER, Guest, Native, OUT, ROOT, add_file, tree};
use monaka_vfs_core::Errno;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::image::{Meta, NodeId};
use monaka_vfs_core::trace::{CallSet, Destination, Fault, Settings, Tracer};

thread_local! {
    /// What reached the host as a report, or was written to its stderr.
    static SAID: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn take_said() -> Vec<u8> {
    SAID.take()
}

/// A host that takes reports and what is written to stderr, a byte less each time.
fn host(home: &mut Native, name: &str, args: &[u64]) -> Result<()> {
    let word = |home: &Native, at: usize| {
        u32::from_le_bytes(home.memory[at..at + 4].try_into().expect("four bytes")) as usize
    };
    match name {
        "report" => {
            let bytes = &home.memory[args[0] as usize..][..args[1] as usize];
            SAID.with_borrow_mut(|said| said.extend_from_slice(bytes));
        }
        "fd_write" => {
            assert_eq!(args[0], 2, "only to stderr");
            let (from, len) = (
                word(home, args[1] as usize),
                word(home, args[1] as usize + 4),
            );
            let taken = len.div_ceil(2);
            SAID.with_borrow_mut(|said| said.extend_from_slice(&home.memory[from..][..taken]));
            home.memory[args[3] as usize..][..4].copy_from_slice(&(taken as u32).to_le_bytes());
        }
        "clock_time_get" => {
            let time = 1_700_000_000_123_000_000u64.to_le_bytes();
            home.memory[args[2] as usize..][..8].copy_from_slice(&time);
        }
        "proc_exit" => {}
        _ => return Err(Errno::NOSYS),
    }
    Ok(())
}

/// A program with /etc/motd and a link to it, and a tracer.
fn guest(settings: Settings) -> (Guest, Tracer) {
    let mut guest = Guest::new(tree(|tree| {
        let etc = tree.make_directories(b"/etc", Meta::default()).unwrap();
        add_file(tree, etc, "motd", b"hello\n");
        add_file(tree, etc, "log", b"begun\n");
        tree.add_symlink(NodeId::ROOT, b"link", Meta::default(), b"etc/motd")
            .unwrap();
    }));
    guest.home.host = host;
    (guest, Tracer::new(settings).unwrap())
}

fn logging(to: Destination) -> Settings {
    Settings {
        to,
        log: true,
        ..Settings::NONE
    }
}

fn open(guest: &mut Guest, tracer: &mut Tracer, path: &str) -> Result<u32> {
    let (at, len) = guest.path(path);
    let Guest { vfs, home } = guest;
    tracer.path_open(vfs, home, ROOT, 1, at, len, 0, 2, 0, 0, OUT)?;
    Ok(guest.u32_at(OUT))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_goes_out_whole_however_little_the_host_takes() {
    let (mut guest, mut tracer) = guest(logging(Destination::Stderr));
    let before = guest.home.memory.clone();
    let fd = open(&mut guest, &mut tracer, "./etc//motd").unwrap();
    tracer
        .clock_time_get(&mut guest.vfs, &mut guest.home, 0, 1, OUT)
        .unwrap();
    tracer
        .sched_yield(&mut guest.vfs, &mut guest.home)
        .unwrap_err();
    tracer
        .fd_close(&mut guest.vfs, &mut guest.home, fd)
        .unwrap();
    tracer
        .fd_close(&mut guest.vfs, &mut guest.home, fd)
        .unwrap_err();
    let expected = format!(
        "path_open(3 </>, \"./etc//motd\", 0, read) = {fd}\n\
         clock_time_get(realtime) = 1700000000.123\n\
         sched_yield() = NOSYS\n\
         fd_close({fd} </etc/motd>) = 0\n\
         fd_close({fd}) = BADF\n"
    );
    assert_eq!(text(take_said()), expected);
    // What was borrowed was given back.
    assert_eq!(guest.home.memory[1024..4096], before[1024..4096]);
    tracer.proc_exit(&mut guest.vfs, &mut guest.home, 3);
    let end = text(take_said());
    assert!(end.starts_with("proc_exit(3)\n   calls   errors         bytes  call\n"));
    assert!(
        end.contains("       2        1             0  fd_close\n"),
        "{end}"
    );
    tracer.finish(&mut guest.vfs, &mut guest.home);
    assert!(take_said().is_empty(), "the end comes once");
}

#[test]
fn a_trace_in_a_file_begins_where_the_file_ended_and_takes_no_descriptor() {
    let (mut guest, _) = guest(Settings::NONE);
    let log = guest.open("etc/log", 0).unwrap();
    let number = guest.fstat(log).unwrap().ino as u32;
    guest.close(log).unwrap();
    let mut tracer = Tracer::new(logging(Destination::File(number, 6))).unwrap();
    assert_eq!(open(&mut guest, &mut tracer, "etc/motd"), Ok(log));
    assert_eq!(open(&mut guest, &mut tracer, "etc/none"), Err(Errno::NOENT));
    let log = guest.open("etc/log", 0).unwrap();
    let read = guest.read(log, 4096).unwrap();
    let expected = "begun\n\
        path_open(3 </>, \"etc/motd\", 0, read) = 4\n\
        path_open(3 </>, \"etc/none\", 0, read) = NOENT\n";
    assert_eq!(text(read), expected);
    guest.vfs.check_invariants();
}

#[test]
fn what_does_not_lie_in_the_memory_is_unknown() {
    let (mut guest, mut tracer) = guest(logging(Destination::Monaka));
    let Guest { vfs, home } = &mut guest;
    let wild = u32::MAX - 3;
    for errno in [
        tracer.path_open(vfs, home, ROOT, 1, wild, 9, 1, 0, 0, 0, OUT),
        tracer.path_rename(vfs, home, ROOT, BUFFER, 5000, ROOT, wild, 2),
        tracer.fd_read(vfs, home, ROOT, wild, 2, OUT),
        tracer.poll_oneoff(vfs, home, wild, wild, 2, wild),
        tracer.fd_renumber(vfs, home, wild, wild),
    ] {
        errno.unwrap_err();
    }
    let said = text(take_said());
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "path_open(3 </>, ?, CREAT, 0) = FAULT");
    assert_eq!(lines[1], "path_rename(3 </>, ?, 3 </>, ?) = NAMETOOLONG");
    assert_eq!(lines[2], "fd_read(3 </>, ?) = BADF");
    assert_eq!(lines.len(), 5, "{said}");
}

#[test]
fn the_nth_call_that_matches_fails_and_is_not_made() {
    let fault = |calls, pattern: &str, errno, first, onwards| Fault {
        calls: CallSet::named(calls).unwrap(),
        pattern: pattern.into(),
        errno,
        first,
        onwards,
    };
    let (mut guest, mut tracer) = guest(Settings {
        faults: vec![
            fault("open", "/etc/*", Errno::MFILE, 2, false),
            fault("path_open", "/etc/*", Errno::NFILE, 4, true),
        ],
        ..Settings::NONE
    });
    let mut answers = Vec::new();
    for path in [
        "etc/motd", "link", "etc/motd", "etc/motd", "etc/motd", "etc/x",
    ] {
        answers.push(open(&mut guest, &mut tracer, path).map(drop));
    }
    let nfile = Err(Errno::NFILE);
    assert_eq!(
        answers,
        [Ok(()), Ok(()), Err(Errno::MFILE), Ok(()), nfile, nfile]
    );
    assert!(take_said().is_empty(), "nothing is logged");
    guest.vfs.check_invariants();
}

#[test]
fn inodes_that_calls_reach_are_reported_with_their_directories() {
    let (mut guest, mut tracer) = guest(Settings {
        to: Destination::Monaka,
        profile: true,
        ..Settings::NONE
    });
    let mut numbers = Vec::new();
    for path in ["etc/motd", "etc", "."] {
        numbers.push(guest.stat(path, true).unwrap().ino as u32);
    }
    let [motd, etc, root] = numbers[..] else {
        unreachable!("there are three");
    };
    open(&mut guest, &mut tracer, "etc/none").unwrap_err();
    assert!(take_said().is_empty(), "what fails reaches nothing");
    for (path, expected) in [("etc/motd", [motd, etc]), ("link", [motd, root])] {
        open(&mut guest, &mut tracer, path).unwrap();
        let said = take_said();
        let said: Vec<u32> = (said.chunks_exact(4))
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect();
        assert_eq!(said, expected, "{path}");
    }
}
