//! Progress of a job: a bar in a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::say;

/// The minimum time between two plain lines.
const EVERY: Duration = Duration::from_secs(2);

/// The progress of a job.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: Option<u64>,
    bar: Option<ProgressBar>,
    begun: Instant,
    said: Instant,
}

impl Progress {
    /// Begins; `total` is the number of items, if known.
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let (bar, template) = match total {
                Some(total) => (
                    ProgressBar::new(total),
                    "{prefix:8} {bar:32} {human_pos}/{human_len}  {per_sec}  {eta} left",
                ),
                None => (
                    ProgressBar::new_spinner(),
                    "{prefix:8} {spinner} {human_pos}  {per_sec}  {elapsed}",
                ),
            };
            let style = ProgressStyle::with_template(template);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_prefix(what)
        });
        Self {
            what,
            total,
            bar,
            begun: Instant::now(),
            said: Instant::now(),
        }
    }

    /// Reports the number of items done so far.
    pub(super) fn reached(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if EVERY <= self.said.elapsed() {
            self.said = Instant::now();
            match self.total {
                Some(total) => say::beside(&format!("{}: {done} of {total}", self.what)),
                None => say::beside(&format!("{}: {done}", self.what)),
            }
        }
    }

    /// Ends the progress and returns the elapsed time. The caller reports the
    /// result.
    pub(super) fn finish(self) -> Duration {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.begun.elapsed()
    }
}
