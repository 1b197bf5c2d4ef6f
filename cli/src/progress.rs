//! Bars on a terminal, for what takes long; nothing in a pipe.

use std::io::{self, IsTerminal as _, Read};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether bars are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    /// Bars on stderr if that is a terminal.
    pub(crate) fn new(quiet: bool) -> Progress {
        Progress {
            shown: !quiet && io::stderr().is_terminal(),
        }
    }

    /// Counts files.
    pub(crate) fn files(self, what: &'static str) -> Bar {
        self.bar(what, None, "{msg}: {human_pos} files")
    }

    /// Counts bytes of so many, or of an unknown number.
    pub(crate) fn bytes(self, what: &'static str, len: Option<u64>) -> Bar {
        let template = match len {
            Some(_) => "{msg}: {bar:40} {bytes}/{total_bytes} {bytes_per_sec}",
            None => "{msg}: {bytes} {bytes_per_sec}",
        };
        self.bar(what, len, template)
    }

    fn bar(self, what: &'static str, len: Option<u64>, template: &str) -> Bar {
        let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Bar {
            bar,
            waiting: self.shown.then(Instant::now),
        }
    }
}

/// A bar that appears when it has been at work for a while.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// Since when it has waited to be shown.
    waiting: Option<Instant>,
}

/// What takes less is over before anyone has read it.
const PATIENCE: Duration = Duration::from_millis(500);

impl Bar {
    /// Moves it on.
    pub(crate) fn add(&mut self, more: u64) {
        self.bar.inc(more);
        if self
            .waiting
            .is_some_and(|since| since.elapsed() >= PATIENCE)
        {
            self.waiting = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Moves a bar on by what is read.
pub(crate) struct Watched<R> {
    /// What is read.
    pub(crate) inner: R,
    /// The bar.
    pub(crate) bar: Bar,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bar.add(read as u64);
        Ok(read)
    }
}
