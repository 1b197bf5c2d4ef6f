//! How often each call was made, and with what success: what `strace -c` prints.

use crate::errno::Errno;

use super::call::{CALLS, Call, functions};
use super::line::Line;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    calls: u32,
    errors: u32,
    bytes: u64,
}

/// The counts of all calls.
#[derive(Debug)]
pub(super) struct Summary {
    counts: [Count; CALLS],
}

impl Summary {
    pub(super) fn new() -> Summary {
        Summary {
            counts: [Count::default(); CALLS],
        }
    }

    /// Counts a call.
    pub(super) fn add(&mut self, call: Call, bytes: u32, errno: Option<Errno>) {
        let count = &mut self.counts[call.index()];
        count.calls = count.calls.saturating_add(1);
        count.errors = count.errors.saturating_add(u32::from(errno.is_some()));
        count.bytes = count.bytes.saturating_add(bytes.into());
    }

    /// Has each line of it written to `line` and taken by `emit`; calls that were
    /// made more often come first.
    pub(super) fn write(mut self, line: &mut Line, mut emit: impl FnMut(&Line)) {
        line.start();
        line.text("   calls   errors         bytes  call\n");
        emit(line);
        let mut all = Count::default();
        loop {
            let mut most = 0;
            for (index, count) in self.counts.iter().enumerate() {
                if count.calls > self.counts[most].calls {
                    most = index;
                }
            }
            let count = core::mem::take(&mut self.counts[most]);
            if count.calls == 0 {
                break;
            }
            all.calls = all.calls.saturating_add(count.calls);
            all.errors = all.errors.saturating_add(count.errors);
            all.bytes = all.bytes.saturating_add(count.bytes);
            row(line, &count, functions().nth(most).map_or("", |f| f.name));
            emit(line);
        }
        row(line, &all, "in all");
        emit(line);
    }
}

fn row(line: &mut Line, count: &Count, name: &str) {
    line.start();
    line.aligned(count.calls.into(), 8);
    line.aligned(count.errors.into(), 9);
    line.aligned(count.bytes, 14);
    line.text("  ");
    line.text(name);
    line.byte(b'\n');
}
