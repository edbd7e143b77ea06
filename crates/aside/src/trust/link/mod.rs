//! The link: may this instance trust Redis and its local copies?
//!
//! Trust is a proof with a date. If a PING was sent at `t` on the connection
//! that carries the invalidations, its PONG proves that every message published
//! before `t` has been applied here. The proof lasts for H, the staleness
//! bound. Trust ends with time, even if no loss is detected.
//!
//! A suspicion ends trust at once. An operation without a reply may have been a
//! quarantine, so later reads prove nothing. The suspicion ends when a PING
//! sent *after* it is answered. Suspicions are counted rather than timed, so no
//! clock is involved.
//!
//! Failover. Trust belongs to one history. A server that is restarted, restored
//! or promoted may have lost acknowledged writes, and begins another history,
//! identified by `master_replid`. Values are stamped with the history of their
//! fill, and values of another history are not served.

mod suspicion;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
#[cfg(not(test))]
use tokio::sync::watch;

use crate::runtime::clock::{Moment, whole_millis};
#[cfg(test)]
use crate::runtime::simulated::watch;
use crate::trust::shard_trust::{ShardTable, ShardTrust, TrustOfShard};

pub(crate) use self::suspicion::Suspicion;

/// The maximum number of distinct reasons, because a hostile server may send a
/// new one each time.
const MAX_REASONS: usize = 16;

/// The state of the link to one primary.
pub(crate) struct Link {
    trust: TrustOfShard,
    raised: AtomicU64,
    cleared: AtomicU64,
    /// The number of the latest suspicion caused by an error reply.
    refused: AtomicU64,
    /// How many suspicions a PONG has answered.
    proved: AtomicU64,
    /// True if ending a suspicion also requires draining a journal.
    journalled: AtomicBool,
    undrained: Notify,
    /// True if other servers confirm that this one has not been replaced.
    witnessed: AtomicBool,
    /// The server's history; zero until it is known.
    history: watch::Sender<u64>,
    /// The era of the values cached in it; see `trust/epochs.rs`.
    era: AtomicU64,
    /// The state last logged, so that each change is logged once.
    reported_up: AtomicBool,
    ever_up: AtomicBool,
    /// The server as the log names it.
    server: OnceLock<String>,
    /// The reason why Redis is bypassed, or last was.
    reason: Mutex<String>,
    /// When Redis was last used, or this began.
    down_since: AtomicU64,
    /// The time of the last proof, which outlives its connection.
    last_proof: AtomicU64,
    /// Suspicions that ended trust, by reason: an outage causes further ones.
    suspicions: [AtomicU64; Suspicion::LABELS.len()],
    /// The reasons why connecting failed since the last success.
    unreachable: Mutex<BTreeSet<String>>,
    /// The time without a valid proof, for `aside_unsynced_seconds_total`.
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

impl Link {
    /// Creates a link that starts suspect.
    pub(crate) fn new(trust: TrustOfShard) -> Self {
        Self {
            trust,
            raised: AtomicU64::new(1),
            cleared: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            proved: AtomicU64::new(0),
            journalled: AtomicBool::new(false),
            undrained: Notify::new(),
            witnessed: AtomicBool::new(false),
            history: watch::Sender::new(0),
            era: AtomicU64::new(0),
            reported_up: AtomicBool::new(false),
            ever_up: AtomicBool::new(false),
            server: OnceLock::new(),
            reason: Mutex::new("no connection yet".to_owned()),
            down_since: AtomicU64::new(Moment::now().millis()),
            last_proof: AtomicU64::new(Moment::NEVER.millis()),
            suspicions: Default::default(),
            unreachable: Mutex::default(),
            unsynced_millis: AtomicU64::new(0),
        }
    }

    /// Creates a link to a tier inside this process, which misses no message.
    pub(crate) fn always() -> Self {
        let table = ShardTable::always();
        let link = Self::new(table.take().expect("the first shard"));
        link.cleared.store(1, Ordering::Release);
        link.reported_up.store(true, Ordering::Release);
        link
    }

    /// Returns true if the link leads to a server.
    pub(crate) fn is_remote(&self) -> bool {
        self.bound() < Duration::MAX
    }

    /// Returns how long a proof lasts.
    pub(crate) fn bound(&self) -> Duration {
        self.trust.bound()
    }

    /// Returns the part of the link that every local hit checks.
    pub(crate) fn trust(&self) -> &ShardTrust {
        &self.trust
    }

    /// Returns the number of the shard, by which entries find its trust.
    pub(crate) fn number(&self) -> u16 {
        self.trust.number()
    }

    /// Returns the table of all shards of the service.
    pub(crate) fn table(&self) -> &Arc<ShardTable> {
        self.trust.table()
    }

    /// Returns true if Redis may be used.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_suspect() && self.trust.is_synced(Moment::now())
    }

    /// Returns true if a suspicion has not ended.
    pub(crate) fn is_suspect(&self) -> bool {
        self.cleared.load(Ordering::Acquire) != self.raised.load(Ordering::Acquire)
    }

    /// Returns the number of suspicions before a PING; see [`Link::pong`].
    pub(crate) fn suspicions(&self) -> u64 {
        self.raised.load(Ordering::Acquire)
    }

    /// Returns true if one of the first `suspicions` is still active and was
    /// caused by an error reply. Such a server is alive, so a PONG alone proves
    /// nothing.
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
        // After the suspicion is counted: a reader with an earlier stamp finds
        // itself suspect, and a later one finds a new generation.
        self.trust.lose_touch();
        let (reason, server) = (why.to_string(), self.server());
        if self.reported_up.swap(false, Ordering::AcqRel) {
            self.suspicions[why.number()].fetch_add(1, Ordering::Relaxed);
            self.down_since
                .store(Moment::now().millis(), Ordering::Release);
            self.is_new(&reason);
            tracing::error!(
                server,
                reason,
                "Redis bypassed until it answers again: reads go to the database"
            );
        } else if matches!(why, Suspicion::Refused(_) | Suspicion::RuntimeEnded)
            && self.is_new(&reason)
        {
            tracing::error!(
                server,
                reason,
                "Redis bypassed until the cause is fixed: reads go to the database"
            );
        } else if !self.ever_up.load(Ordering::Acquire) {
            tracing::debug!(reason, "Redis not used yet");
        }
        *self.reason.lock() = reason;
    }

    /// Records why there is no connection. Each reason is logged once per
    /// outage, because connecting is retried several times per second.
    pub(crate) fn cannot_connect(&self, reason: &str) {
        if self.is_new(reason) {
            tracing::error!(
                server = self.server(),
                error = %reason,
                "no connection to Redis; retrying"
            );
        }
        reason.clone_into(&mut self.reason.lock());
    }

    /// Returns true if the reason is new since Redis was last used.
    fn is_new(&self, reason: &str) -> bool {
        let mut known = self.unreachable.lock();
        known.len() < MAX_REASONS && known.insert(reason.to_owned())
    }

    /// Returns the reason why Redis is bypassed, or last was.
    pub(crate) fn reason(&self) -> String {
        self.reason.lock().clone()
    }

    /// Names the server for the log. The first name stays.
    pub(crate) fn set_server(&self, name: String) {
        let _ = self.server.set(name);
    }

    /// Returns the name of the server; empty if it has none.
    pub(crate) fn server(&self) -> &str {
        self.server.get().map_or("", String::as_str)
    }

    /// Returns how long Redis has not been used; `None` while it is.
    pub(crate) fn unused_for(&self) -> Option<Duration> {
        let since = Moment::from_millis(self.down_since.load(Ordering::Acquire));
        (!self.is_usable()).then(|| Moment::now().since(since))
    }

    /// Returns the date of the last proof; `None` before the first.
    pub(crate) fn last_proof(&self) -> Option<Moment> {
        let proved = Moment::from_millis(self.last_proof.load(Ordering::Acquire));
        (proved != Moment::NEVER).then_some(proved)
    }

    /// Returns the age of the last proof; `None` before the first.
    pub(crate) fn proof_age(&self) -> Option<Duration> {
        self.last_proof().map(|proved| Moment::now().since(proved))
    }

    /// Records that proofs of this server are dated by others, which would replace it.
    pub(crate) fn add_witnesses(&self) {
        self.witnessed.store(true, Ordering::Release);
    }

    /// Returns true if others date the proofs of this server.
    pub(crate) fn has_witnesses(&self) -> bool {
        self.witnessed.load(Ordering::Acquire)
    }

    /// Returns how often trust ended for each reason.
    pub(crate) fn suspicions_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.suspicions.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        Suspicion::LABELS.into_iter().zip(counts)
    }

    /// Applies a PONG to the PING sent at `sent`, when `suspicions` had been
    /// counted.
    pub(crate) fn pong(&self, sent: Moment, suspicions: u64) {
        self.trust.prove(sent);
        self.last_proof.fetch_max(sent.millis(), Ordering::AcqRel);
        self.proved.fetch_max(suspicions, Ordering::AcqRel);
        if !self.is_journalled() {
            self.cleared.fetch_max(suspicions, Ordering::AcqRel);
        } else if self.cleared.load(Ordering::Acquire) < suspicions {
            self.undrained.notify_one();
        }
        self.report();
    }

    /// Makes every suspicion, including a first one, last until the journal has
    /// been drained as well.
    pub(crate) fn require_drain(&self) {
        self.journalled.store(true, Ordering::Release);
        self.raised.fetch_add(1, Ordering::AcqRel);
        self.trust.lose_touch();
    }

    /// Returns true if a journal is drained here.
    pub(crate) fn is_journalled(&self) -> bool {
        self.journalled.load(Ordering::Acquire)
    }

    /// Returns how many suspicions a PONG has answered. Read it before the
    /// SELECT that drains the journal; see [`Link::drained`].
    pub(crate) fn proved(&self) -> u64 {
        self.proved.load(Ordering::Acquire)
    }

    /// Records that every row in the journal has been applied.
    pub(crate) fn drained(&self, proved: u64) {
        self.cleared.fetch_max(proved, Ordering::AcqRel);
        self.report();
    }

    /// Waits for a PONG whose suspicion lasts only because of the journal.
    pub(crate) async fn undrained(&self) {
        self.undrained.notified().await;
    }

    fn report(&self) {
        if self.is_usable() && !self.reported_up.swap(true, Ordering::AcqRel) {
            self.ever_up.store(true, Ordering::Release);
            self.unreachable.lock().clear();
            tracing::info!(
                server = self.server(),
                "Redis is used: this instance is connected and up to date"
            );
        }
    }

    /// Returns the server's history.
    pub(crate) fn server_history(&self) -> u64 {
        *self.history.borrow()
    }

    /// Returns the history that values must have: the server's, combined with
    /// its era.
    pub(crate) fn history(&self) -> u64 {
        self.server_history() ^ self.era.load(Ordering::Acquire)
    }

    /// Records the era, before the PONG of the same round counts. Returns true
    /// if it changed.
    pub(crate) fn learn_era(&self, era: u64) -> bool {
        let before = self.era.swap(era, Ordering::AcqRel);
        if before != era {
            // The era first: a reader of the new generation also sees the new
            // era.
            self.trust.lose_touch();
        }
        before != era
    }

    /// Subscribes to the server's history.
    pub(crate) fn histories(&self) -> watch::Receiver<u64> {
        self.history.subscribe()
    }

    /// Records the server's history, before the PONG of the same round counts.
    /// Returns true if an earlier one ended.
    pub(crate) fn learn_history(&self, history: u64) -> bool {
        let before = self.history.send_replace(history);
        let has_ended = ![0, history].contains(&before);
        if before != history {
            // The history first: a reader of the new generation also sees the
            // new history.
            self.trust.lose_touch();
        }
        if has_ended {
            tracing::warn!("Redis has a new history: values cached before are no longer served");
        }
        has_ended
    }

    /// Discards the proofs of an earlier connection, which say nothing about
    /// this one.
    pub(crate) fn unsync(&self) {
        self.trust.unsync();
    }

    /// Ends trust for good.
    pub(crate) fn close(&self) {
        // Beyond every PONG, with room for further suspicions.
        self.raised.store(u64::MAX / 2, Ordering::Release);
        self.unsync();
    }

    /// Adds to the time without a valid proof.
    pub(crate) fn count_unsynced(&self, time: Duration) {
        self.unsynced_millis
            .fetch_add(whole_millis(time), Ordering::Relaxed);
    }

    pub(crate) fn unsynced_total(&self) -> Duration {
        Duration::from_millis(self.unsynced_millis.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
