//! Whether this instance may trust what Redis and its own memory hold.
//!
//! Trust is a proof with a date. A PONG to a PING that was sent at `t`, on the
//! connection that carries the invalidations, proves that every message
//! published before `t` has been applied here; it is good for H, the staleness
//! bound. Nothing has to notice a loss for the trust to end.
//!
//! Suspicion ends it at once: an operation that got no answer may have been a
//! quarantine, and what is read afterwards proves nothing. It is over when a
//! PING sent *after* it was raised has been answered; suspicions are counted
//! rather than timed, so no clock takes part.
//!
//! And trust is in one history. A server that restarts, is restored or is
//! promoted may have lost what it had acknowledged, and begins another
//! history, which it names (`master_replid`). Values are stamped with the tag
//! of the history they were filled in, and none from another is served.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
#[cfg(not(test))]
use tokio::sync::watch;

use crate::runtime::clock::{Moment, whole_millis};
#[cfg(test)]
use crate::runtime::simulated::{self, Rule, watch};
use crate::trust::generations::Stripes;
use crate::trust::refusal::advice;

/// The most reasons that are told apart: an impostor may give another one each
/// time.
const MOST_REASONS: usize = 16;

/// The state of the link to one primary.
pub(crate) struct Link {
    stripes: Arc<Stripes>,
    /// H: how long one proof lasts.
    bound: Duration,
    /// The same as it is compared with on every hit.
    bound_millis: u64,
    /// When the last answered PING was sent, in milliseconds.
    synced: AtomicU64,
    raised: AtomicU64,
    cleared: AtomicU64,
    /// The latest suspicion that an error reply raised.
    refused: AtomicU64,
    /// How many suspicions a PONG has answered.
    proved: AtomicU64,
    /// Whether a journal must be drained as well before they are over.
    journalled: AtomicBool,
    undrained: Notify,
    /// The tag of the server's history; zero until it is known.
    tag: watch::Sender<u64>,
    /// The era of what is cached in it; see `trust/epochs.rs`.
    era: AtomicU64,
    /// What the log said last, so that it speaks once per change.
    reported_up: AtomicBool,
    ever_up: AtomicBool,
    /// Why Redis is not used, or was not.
    reason: Mutex<String>,
    /// For which reasons there was no connection since there was one.
    unreachable: Mutex<BTreeSet<String>>,
    /// Since when no proof has been good, for `aside_unsynced_seconds_total`.
    unsynced_millis: AtomicU64,
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

/// Why the link is suspect.
#[derive(Clone, Debug)]
pub(crate) enum Suspicion {
    TimedOut,
    Disconnected,
    LatePong,
    Refused(String),
    NotPrimary,
    OtherHistory,
    BreakerOpen,
    TaskPanicked,
    RuntimeEnded,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => formatter.write_str("an operation was not answered in time"),
            Self::Disconnected => formatter.write_str("the connection is lost"),
            Self::LatePong => formatter.write_str("Redis answers too slowly"),
            Self::Refused(code) => {
                let advice = advice(code);
                write!(formatter, "Redis refused an operation with {code}{advice}")
            }
            Self::NotPrimary => formatter.write_str("the server is not a primary"),
            Self::OtherHistory => {
                formatter.write_str("its connections lead to servers of different histories")
            }
            Self::TaskPanicked => {
                formatter.write_str("a task that keeps this instance in step panicked")
            }
            Self::RuntimeEnded => formatter.write_str(
                "the runtime that this service was connected on has ended; it goes on with its \
                 next use on another one",
            ),
            Self::BreakerOpen => formatter.write_str("the circuit breaker is open"),
        }
    }
}

impl Link {
    /// A link that starts suspect.
    pub(crate) fn new(stripes: Arc<Stripes>, bound: Duration) -> Self {
        Self {
            stripes,
            bound,
            bound_millis: whole_millis(bound),
            synced: AtomicU64::new(Moment::NEVER.millis()),
            raised: AtomicU64::new(1),
            cleared: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            proved: AtomicU64::new(0),
            journalled: AtomicBool::new(false),
            undrained: Notify::new(),
            tag: watch::Sender::new(0),
            era: AtomicU64::new(0),
            reported_up: AtomicBool::new(false),
            ever_up: AtomicBool::new(false),
            reason: Mutex::new("there was no connection yet".to_owned()),
            unreachable: Mutex::default(),
            unsynced_millis: AtomicU64::new(0),
        }
    }

    /// A link to a tier inside this process, which no message can miss.
    pub(crate) fn always(stripes: Arc<Stripes>) -> Self {
        let link = Self::new(stripes, Duration::MAX);
        link.cleared.store(1, Ordering::Release);
        link.synced
            .store(Moment::ALWAYS.millis(), Ordering::Release);
        link.reported_up.store(true, Ordering::Release);
        link
    }

    /// Whether there is a server at its other end.
    pub(crate) fn is_remote(&self) -> bool {
        self.bound < Duration::MAX
    }

    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    /// Whether an in-process entry may be served at `now`. Suspicion needs no
    /// look here: it has raised the connection generation.
    #[inline]
    pub(crate) fn is_synced(&self, now: Moment) -> bool {
        #[cfg(test)]
        if simulated::without(Rule::ProofsAge) {
            return self.proved_at() != Moment::NEVER;
        }
        now.millis().saturating_sub(self.proved_at().millis()) <= self.bound_millis
    }

    /// Before when every message has been applied here.
    #[inline]
    pub(crate) fn proved_at(&self) -> Moment {
        Moment::from_millis(self.synced.load(Ordering::Acquire))
    }

    /// Whether Redis may be asked.
    pub(crate) fn is_usable(&self) -> bool {
        self.cleared.load(Ordering::Acquire) == self.raised.load(Ordering::Acquire)
            && self.is_synced(Moment::now())
    }

    /// The number that a PING takes along; see [`Link::pong`].
    pub(crate) fn suspicions(&self) -> u64 {
        self.raised.load(Ordering::Acquire)
    }

    /// Whether one of the first `suspicions`, not ended yet, was raised by an
    /// error reply: the server answers, so a PONG alone says nothing.
    pub(crate) fn was_refused(&self, suspicions: u64) -> bool {
        let refused = self.refused.load(Ordering::Acquire);
        self.cleared.load(Ordering::Acquire) < refused && refused <= suspicions
    }

    /// Ends trust at once.
    pub(crate) fn suspect(&self, why: &Suspicion) {
        let number = self.raised.fetch_add(1, Ordering::AcqRel) + 1;
        if matches!(why, Suspicion::Refused(_)) {
            self.refused.fetch_max(number, Ordering::AcqRel);
        }
        // After the raise: who took a stamp in between finds itself
        // suspect, who takes one later finds a new generation.
        self.stripes.lose_touch(self.proved_at());
        let reason = why.to_string();
        if self.reported_up.swap(false, Ordering::AcqRel) {
            self.is_new(&reason);
            tracing::error!(reason, "Redis is not used until it answers again");
        } else if matches!(why, Suspicion::Refused(_) | Suspicion::RuntimeEnded)
            && self.is_new(&reason)
        {
            tracing::error!(reason, "Redis is not used before it answers otherwise");
        } else if !self.ever_up.load(Ordering::Acquire) {
            tracing::debug!(reason, "Redis is not used yet");
        }
        *self.reason.lock() = reason;
    }

    /// There is no connection, and why; the log says it once for as long as
    /// there is none, since it is tried several times a second.
    pub(crate) fn cannot_connect(&self, reason: &str) {
        if self.is_new(reason) {
            tracing::error!(
                error = %reason,
                "no connection to Redis; it is tried again"
            );
        }
        reason.clone_into(&mut self.reason.lock());
    }

    /// Whether a reason was not given since Redis was last used.
    fn is_new(&self, reason: &str) -> bool {
        let mut known = self.unreachable.lock();
        known.len() < MOST_REASONS && known.insert(reason.to_owned())
    }

    /// Why Redis is not used, or was not when it was last not used.
    pub(crate) fn reason(&self) -> String {
        self.reason.lock().clone()
    }

    /// Takes a PONG to the PING sent at `sent`, before which `suspicions`
    /// had been raised.
    pub(crate) fn pong(&self, sent: Moment, suspicions: u64) {
        self.synced.fetch_max(sent.millis(), Ordering::AcqRel);
        self.proved.fetch_max(suspicions, Ordering::AcqRel);
        if !self.is_journalled() {
            self.cleared.fetch_max(suspicions, Ordering::AcqRel);
        } else if self.cleared.load(Ordering::Acquire) < suspicions {
            self.undrained.notify_one();
        }
        self.report();
    }

    /// From now on a suspicion is over only when the journal has been drained
    /// as well, which nobody has done yet.
    pub(crate) fn require_drain(&self) {
        self.journalled.store(true, Ordering::Release);
        self.raised.fetch_add(1, Ordering::AcqRel);
        self.stripes.lose_touch(self.proved_at());
    }

    /// Whether a journal is drained here.
    pub(crate) fn is_journalled(&self) -> bool {
        self.journalled.load(Ordering::Acquire)
    }

    /// How many suspicions a PONG has answered: to be asked before the SELECT
    /// that drains the journal begins; see [`Link::drained`].
    pub(crate) fn proved(&self) -> u64 {
        self.proved.load(Ordering::Acquire)
    }

    /// Every row that the journal held has been worked off.
    pub(crate) fn drained(&self, proved: u64) {
        self.cleared.fetch_max(proved, Ordering::AcqRel);
        self.report();
    }

    /// Waits for a PONG that only the journal keeps from ending a suspicion.
    pub(crate) async fn undrained(&self) {
        self.undrained.notified().await;
    }

    fn report(&self) {
        if self.is_usable() && !self.reported_up.swap(true, Ordering::AcqRel) {
            self.ever_up.store(true, Ordering::Release);
            self.unreachable.lock().clear();
            tracing::info!("Redis is used: this instance is in step with it");
        }
    }

    /// The tag of the history that the server is in.
    pub(crate) fn tag(&self) -> u64 {
        *self.tag.borrow()
    }

    /// The tag of the history that values must come from: the server's, in the era
    /// that it is.
    pub(crate) fn history(&self) -> u64 {
        self.tag() ^ self.era.load(Ordering::Acquire)
    }

    /// Learns which era it is, to be told before a PONG of the same round counts.
    /// Whether it is another one.
    pub(crate) fn learn_era(&self, era: u64) -> bool {
        let before = self.era.swap(era, Ordering::AcqRel);
        if before != era {
            // The era first: whoever has the new generation has the new era.
            self.stripes.lose_touch(self.proved_at());
        }
        before != era
    }

    /// The era that was learnt last; zero for the first.
    pub(crate) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Follows the tag as it changes.
    pub(crate) fn tags(&self) -> watch::Receiver<u64> {
        self.tag.subscribe()
    }

    /// Learns which history the server is in, to be told before a PONG of the
    /// same round counts.
    pub(crate) fn learn_tag(&self, tag: u64) {
        let before = self.tag.send_replace(tag);
        if before != tag {
            // The tag first: whoever has the new generation has the new tag.
            self.stripes.lose_touch(self.proved_at());
            if before != 0 {
                tracing::warn!(
                    "Redis began another history: what it cached before is not served any more"
                );
            }
        }
    }

    /// The proofs of an earlier connection say nothing about this one.
    pub(crate) fn unsync(&self) {
        let proved = self.synced.swap(Moment::NEVER.millis(), Ordering::AcqRel);
        self.stripes.lose_touch(Moment::from_millis(proved));
    }

    /// Ends trust for good.
    pub(crate) fn close(&self) {
        // Out of reach of every PONG, with room for operations that fail yet.
        self.raised.store(u64::MAX / 2, Ordering::Release);
        self.unsync();
    }

    /// Adds to the time without a good proof.
    pub(crate) fn count_unsynced(&self, time: Duration) {
        self.unsynced_millis
            .fetch_add(whole_millis(time), Ordering::Relaxed);
    }

    pub(crate) fn unsynced_total(&self) -> Duration {
        Duration::from_millis(self.unsynced_millis.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> (Arc<Stripes>, Link) {
        let stripes = Arc::new(Stripes::new());
        (
            Arc::clone(&stripes),
            Link::new(stripes, Duration::from_secs(3600)),
        )
    }

    #[test]
    fn a_pong_to_a_ping_sent_before_the_suspicion_does_not_end_it() {
        let (_, link) = link();
        let before = link.suspicions();
        link.suspect(&Suspicion::TimedOut);
        link.pong(Moment::now(), before);
        assert!(!link.is_usable());
        link.pong(Moment::now(), link.suspicions());
        assert!(link.is_usable());
    }

    #[test]
    fn a_suspicion_forgets_what_this_process_holds() {
        let (stripes, link) = link();
        link.pong(Moment::now(), link.suspicions());
        let stamp = stripes.stamp(1);
        link.suspect(&Suspicion::LatePong);
        assert!(!stripes.is_current(stamp));
    }

    #[test]
    fn where_there_is_a_journal_a_suspicion_ends_when_it_has_been_drained_since() {
        let (_, link) = link();
        link.pong(Moment::now(), link.suspicions());
        link.require_drain();
        assert!(!link.is_usable());
        let early = link.proved();
        link.pong(Moment::now(), link.suspicions());
        // A SELECT that began before the PONG says nothing.
        link.drained(early);
        assert!(!link.is_usable());
        link.drained(link.proved());
        assert!(link.is_usable());
    }

    #[test]
    fn a_proof_is_good_for_the_bound_and_no_longer() {
        let link = Link::new(Arc::new(Stripes::new()), Duration::from_millis(500));
        let sent = Moment::from_millis(10_000);
        link.pong(sent, link.suspicions());
        assert!(link.is_synced(sent.plus(Duration::from_millis(500))));
        assert!(!link.is_synced(sent.plus(Duration::from_millis(501))));
    }
}
