//! What a process took: its own time on processors, which other processes do not
//! lengthen as they do the time that passes, and memory.

use std::process::{Command, Stdio};
use std::time::Duration;

use wait4::Wait4 as _;

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Time on processors, of all its threads.
    pub cpu: Duration,
    /// The most memory that it had at once, in bytes.
    pub peak: u64,
}

/// Runs `command` to its end without input; it must succeed.
#[track_caller]
pub fn used(command: &mut Command) -> Usage {
    let shown = format!("{command:?}");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
    let ended = child.wait4().expect("wait for a process");
    assert!(ended.status.success(), "{shown}: {}", ended.status);
    Usage {
        cpu: ended.rusage.utime + ended.rusage.stime,
        peak: ended.rusage.maxrss,
    }
}
