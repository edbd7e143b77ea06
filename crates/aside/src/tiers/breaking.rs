//! What the tiers tell the circuit breaker, and do as it says.

use tokio::time::Instant;

use super::Tiers;
use crate::protocol::{Replies, Unanswered};
use crate::trust::breaker::{Attempt, Ended, Probing};
use crate::trust::link::Suspicion;

impl Tiers {
    /// Whether a read that may be answered by Redis should ask it, or leave it
    /// to come to itself. To be asked once per read, and only where nothing
    /// else closes the key.
    pub(crate) fn admits_read(&self) -> bool {
        self.breaker.admits()
    }

    /// Counts what became of a pipeline.
    pub(super) fn tell_breaker(
        &self,
        attempt: &Attempt,
        replies: &Result<Replies, Unanswered>,
        of_protocol: bool,
    ) {
        // A tier inside this process neither fails nor is slow, and has no
        // watcher that would probe it.
        if !self.link.is_remote() {
            return;
        }
        let ended = match replies {
            // Redis saw nothing of it, or the network is at work.
            Err(Unanswered::NotSent | Unanswered::Travelling) => return,
            Err(Unanswered::TimedOut | Unanswered::Disconnected) => Ended::Failed,
            Err(Unanswered::Late) => Ended::Late,
            Ok(replies) => {
                let refused = replies.iter().filter_map(|reply| reply.as_ref().err());
                if of_protocol && refused.into_iter().any(|refused| !refused.is_harmless()) {
                    Ended::Failed
                } else {
                    Ended::Answered
                }
            }
        };
        if self.breaker.ended(attempt, ended) {
            self.link.suspect(&Suspicion::BreakerOpen);
        }
    }

    /// Lets the breaker see whether Redis could be asked.
    pub(crate) fn show_breaker(&self) {
        if self.breaker.saw(self.is_usable()) {
            self.link.suspect(&Suspicion::BreakerOpen);
        }
    }

    /// Whether a PONG, which has just come, may end suspicions: a server that
    /// refused something, or for which the breaker is open, has to take a write
    /// and a read before. `refused` says of the suspicions whether one was
    /// raised by a refusal.
    pub(crate) async fn believes_pong(&self, refused: bool) -> bool {
        match self.breaker.probing() {
            Probing::NotNeeded => !refused || self.is_writable().await,
            Probing::NotYet => false,
            Probing::Due => {
                let begun = Instant::now();
                let succeeded = self.is_writable().await;
                // Before the PONG counts: the first reads find the ramp.
                self.breaker.probed(succeeded, begun.elapsed());
                self.breaker.probing() == Probing::NotNeeded
            }
        }
    }
}
