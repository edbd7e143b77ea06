//! How long a reader waits for the value of another reader's lease.

use std::time::Duration;

use tokio::time::Instant;

use crate::answer::Bypass;
use crate::read::look::{Missing, Step};
use crate::trust::generations::Stamp;

/// The range of the pause between two looks at another reader's lease.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(80));

/// The state of a waiting miss.
pub(crate) struct Wait {
    begun: Instant,
    patience: Duration,
    pause: Duration,
    /// The token of the lease that was seen last.
    holder: Option<u128>,
    /// The key's generation when that lease was seen.
    seen: Option<Stamp>,
    /// The key's generation when a lease that was waited for had gone.
    gone: Option<Stamp>,
    /// Whether an ACQUIRE has returned a value that must not be served.
    refused: bool,
}

impl Wait {
    /// Creates the state of a miss that waits no longer than its patience.
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            begun: Instant::now(),
            patience,
            pause: POLL.0,
            holder: None,
            seen: None,
            gone: None,
            refused: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.patience <= self.begun.elapsed()
    }

    pub(crate) async fn pause(&mut self) {
        let jitter = 0.5 + fastrand::f64() / 2.0;
        tokio::time::sleep(self.pause.mul_f64(jitter)).await;
        self.pause = (self.pause * 2).min(POLL.1);
    }

    /// Returns what to do after an ACQUIRE that was not granted; `stamp` is the key's
    /// generation now.
    pub(crate) fn after_acquire<E>(&mut self, step: Step<E>, stamp: Stamp) -> Step<E> {
        match step {
            // The lease that was waited for brought no value, and no write ended it:
            // the next one may bring none either.
            Step::WaitForLease(_) if self.gone == Some(stamp) => Step::LoadOnly(Bypass::LeaseWait),
            // Filled in between, twice, by instances of another shape: two shapes
            // would replace each other's values for ever.
            Step::Acquire(_) if self.refused => Step::LoadOnly(Bypass::OtherShape),
            step => {
                self.seen = Some(stamp);
                self.refused |= matches!(step, Step::Acquire(_));
                step
            }
        }
    }

    /// Returns what to do after a look at a key that another reader had a lease of.
    pub(crate) fn after_look<E>(&mut self, step: Step<E>) -> Step<E> {
        match step {
            Step::WaitForLease(token) if self.holder.is_none() || self.holder == token => {
                self.holder = token;
                Step::WaitForLease(token)
            }
            // The lease has gone, or is another reader's.
            Step::WaitForLease(_) | Step::Acquire(Missing { observed: None, .. }) => {
                (self.holder, self.gone) = (None, self.seen);
                Step::Acquire(Missing::default())
            }
            step => step,
        }
    }
}
