//! How far a job has come: a bar in a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::say;

/// How often a plain line is written at most.
const EVERY: Duration = Duration::from_secs(2);

/// How far a job has come.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: Option<u64>,
    bar: Option<ProgressBar>,
    begun: Instant,
    said: Instant,
}

impl Progress {
    /// Begins; `total` is how many there are, where that is known.
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

    /// So many are done by now.
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

    /// It is over; what it came to is for the caller to say.
    pub(super) fn finish(self) -> Duration {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.begun.elapsed()
    }
}
