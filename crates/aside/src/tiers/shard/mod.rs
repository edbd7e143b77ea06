//! A shard: one Redis, and its state in this service.
//!
//! Trust belongs to one server, which has one history and proves only its own
//! messages. So a shard has its own link, breaker and connections, and an
//! unavailable one closes only its own keys. A single primary is one shard.

pub(crate) mod batch_gets;
mod confirming;
mod fullness;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::batch_gets::BatchedGets;
use self::confirming::Confirming;
pub(super) use self::confirming::Unconfirmed;
use self::fullness::Fullness;
use crate::config::CacheConfig;
use crate::entity::key::Key;
use crate::insight::statistics::ServiceStatistics;
use crate::protocol::{
    Acquired, Op, OpGroup, Refused, Released, Replies, Reply, SharedTier, Traffic, Unanswered,
};
use crate::runtime::clock::Moment;
use crate::tiers::pending::{Backlog, Pending};
use crate::trust::breaker::{Attempt, Breaker, Ended};
use crate::trust::link::{Link, Suspicion};

/// One Redis that owns keys.
pub(crate) struct Shard {
    /// `None` if the cache is disabled.
    pub(crate) tier: Option<Arc<dyn SharedTier>>,
    pub(crate) link: Arc<Link>,
    pub(crate) breaker: Breaker,
    /// `None` while there is no connection.
    pub(crate) info: Mutex<Option<ServerInfo>>,
    /// The half of a round in which its generation was last seen.
    half: AtomicU32,
    batched: Arc<BatchedGets>,
    pub(crate) pending: Backlog,
    confirming: Confirming,
    fullness: Fullness,
    /// The time from the last PING to its PONG, in microseconds.
    barrier_micros: AtomicU64,
    /// The node of a cluster that it is; `None` otherwise.
    pub(crate) node: Option<ClusterNode>,
    /// The service's.
    pub(super) statistics: Arc<ServiceStatistics>,
}

/// A node of a cluster, as the others name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterNode {
    pub(crate) id: Arc<str>,
    pub(crate) host: String,
    pub(crate) hostname: Option<String>,
    pub(crate) port: u16,
}

impl ClusterNode {
    /// Returns true if a redirection to this place means this node.
    pub(crate) fn is_at(&self, host: &str, port: u16) -> bool {
        let is_named = self.host == host || self.hostname.as_deref() == Some(host);
        is_named && self.port == port
    }
}

/// The last reported state of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerInfo {
    pub(crate) version: String,
    /// Where it was found.
    pub(crate) address: String,
    pub(crate) used_memory_bytes: u64,
    /// Zero without a limit.
    pub(crate) max_memory_bytes: u64,
    pub(crate) evicted_keys: u64,
    pub(crate) policy: String,
}

impl Shard {
    /// Also returns the receiving end of the backlog, for the task that sends
    /// it.
    pub(crate) fn new(
        tier: Option<Arc<dyn SharedTier>>,
        link: Arc<Link>,
        config: &CacheConfig,
        statistics: &Arc<ServiceStatistics>,
    ) -> (Self, mpsc::UnboundedReceiver<Pending>) {
        let (pending, arrivals) = Backlog::new();
        let shard = Self {
            tier,
            link,
            breaker: Breaker::new(config.operation_timeout / 2),
            info: Mutex::default(),
            half: AtomicU32::new(0),
            batched: Arc::default(),
            pending,
            confirming: Confirming::default(),
            fullness: Fullness::default(),
            barrier_micros: AtomicU64::new(0),
            node: None,
            statistics: Arc::clone(statistics),
        };
        (shard, arrivals)
    }

    /// The same as a node of a cluster.
    pub(crate) fn of_node(self, node: ClusterNode) -> Self {
        Self {
            node: Some(node),
            ..self
        }
    }

    /// Returns true if one call may have several keys.
    fn takes_many_keys(&self) -> bool {
        let tier = self.tier.as_ref();
        tier.is_none_or(|tier| tier.takes_many_keys())
    }

    /// Has the shard proved soon, because of a doubt.
    pub(crate) fn doubt(&self) {
        if let Some(tier) = &self.tier {
            tier.doubt();
        }
    }

    /// Returns true if Redis may be used: the link is trusted, and a connection
    /// is open.
    pub(crate) fn is_usable(&self) -> bool {
        self.tier.as_ref().is_some_and(|tier| tier.is_reachable()) && self.link.is_usable()
    }

    /// Returns true once in each half of a round of its generations.
    pub(super) fn ends_half_a_round(&self) -> bool {
        let half = self.link.trust().half();
        self.half.load(Ordering::Acquire) != half && {
            self.half.store(half, Ordering::Release);
            true
        }
    }

    /// Sends `ops` as one pipeline. Reports the replies, or their absence, to
    /// the breaker and the link.
    pub(crate) async fn send(&self, traffic: Traffic, ops: Vec<Op>) -> Result<Replies, Unanswered> {
        let of_protocol = ops.iter().all(Op::is_of_protocol);
        let attempt = self.breaker.attempt();
        let replies = self.send_uncounted(traffic, ops).await;
        self.record_outcome(&attempt, &replies, of_protocol);
        replies
    }

    /// Sends one operation after the redirection `ASK`.
    pub(super) async fn send_asking(&self, op: Op) -> Result<Replies, Unanswered> {
        match &self.tier {
            Some(tier) => tier.send_asking(op).await,
            None => Err(Unanswered::NotSent),
        }
    }

    /// The same, without counting for the breaker.
    pub(super) async fn send_uncounted(
        &self,
        traffic: Traffic,
        ops: Vec<Op>,
    ) -> Result<Replies, Unanswered> {
        let Some(tier) = &self.tier else {
            return Err(Unanswered::NotSent);
        };
        let of_protocol = ops.iter().all(Op::is_of_protocol);
        let (group, begun) = (OpGroup::of(&ops), Instant::now());
        let replies = tier.send(traffic, ops).await;
        // `memory://` is no server, and nothing was waited for without a connection.
        if self.link.is_remote() && !matches!(replies, Err(Unanswered::NotSent)) {
            self.statistics.redis_took(group, begun.elapsed());
        }
        match &replies {
            Ok(replies) => {
                for refused in replies.iter().filter_map(|reply| reply.as_ref().err()) {
                    self.judge_refusal(refused, of_protocol);
                }
                if self.fullness.is_full() && replies.iter().any(has_stored) {
                    self.fullness.stored();
                }
            }
            Err(Unanswered::TimedOut) => {
                self.statistics.error("redis_timeout");
                self.link.suspect(&Suspicion::TimedOut);
            }
            // In time, but slow to arrive completely.
            Err(Unanswered::Late | Unanswered::Travelling) => self.statistics.error("redis_late"),
            // The task of the connection has suspected the link.
            Err(Unanswered::Disconnected | Unanswered::NotSent) => {
                self.statistics.error("redis_disconnected");
            }
        }
        replies
    }

    /// Sends one operation. Its callers treat a refusal like a missing reply,
    /// because nothing was done.
    pub(super) async fn send_one(&self, traffic: Traffic, op: Op) -> Result<Reply, Unanswered> {
        let replies = self.send(traffic, vec![op]).await?;
        replies
            .into_iter()
            .next()
            .and_then(Result::ok)
            .ok_or(Unanswered::Disconnected)
    }

    /// Returns true if the server's memory is full.
    pub(crate) fn is_full(&self) -> bool {
        self.fullness.is_full()
    }

    /// Remembers a key whose release was acknowledged until a later proof. It
    /// was sent under `history`. Returns false if the server has another one by
    /// now: then the release may have been lost.
    pub(super) fn remember_release(
        &self,
        key: &Key,
        history: u64,
        kind: impl FnOnce() -> Option<&'static str>,
    ) -> bool {
        // A tier inside this process has one history and no successor.
        let is_same = || self.link.server_history() == history;
        !self.link.is_remote() || self.confirming.add(key, kind, is_same)
    }

    /// Takes the releases of keys that are `moved` to another shard, and that no
    /// proof followed.
    pub(super) fn take_moved(&self, moved: impl Fn(&Key) -> bool) -> Unconfirmed {
        self.confirming.take_moved(moved)
    }

    /// Takes the releases that no proof followed, after a change of the
    /// server's history.
    pub(super) fn take_unconfirmed(&self) -> Unconfirmed {
        self.confirming.take()
    }

    /// Records the time from a PING to its PONG.
    pub(crate) fn barrier_took(&self, time: Duration) {
        self.statistics.barrier_seconds.observe(time);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.barrier_micros.store(micros, Ordering::Relaxed);
    }

    /// Returns the last of these times; zero before the first.
    pub(crate) fn last_barrier(&self) -> Duration {
        Duration::from_micros(self.barrier_micros.load(Ordering::Relaxed))
    }

    /// Applies a PONG; see [`Link::pong`].
    pub(crate) fn pong(&self, sent: Moment, suspicions: u64) {
        self.link.pong(sent, suspicions);
        self.confirming.confirm(sent);
    }

    fn judge_refusal(&self, refused: &Refused, of_protocol: bool) {
        if refused.redirect.is_some() {
            self.statistics.error("redis_redirected");
            self.doubt();
        } else if refused.is_out_of_memory() {
            self.statistics.error("redis_out_of_memory");
            // A store inside this process refuses only values larger than all of it.
            if self.link.is_remote() {
                self.fullness.refused();
            }
        } else if refused.is_wrong_type() {
            self.statistics.error("redis_wrong_type");
        } else {
            // READONLY and NOREPLICAS come from servers that still reply.
            self.statistics.error("redis_refused");
            if of_protocol {
                self.link
                    .suspect(&Suspicion::Refused(refused.refusal.clone()));
            }
        }
    }

    /// Counts the result of a pipeline.
    fn record_outcome(
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
            // Not sent, or slowed by the network: neither says anything about
            // Redis.
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

    /// Reports to the breaker whether Redis is usable, and ends the state of a
    /// full memory if it is over.
    pub(crate) fn update_breaker(&self) {
        self.fullness.settle();
        if self.breaker.saw(self.is_usable()) {
            self.link.suspect(&Suspicion::BreakerOpen);
        }
    }
}

/// Returns true if the server had memory for a value.
fn has_stored(reply: &Result<Reply, Refused>) -> bool {
    matches!(
        reply,
        Ok(Reply::Filled(true)
            | Reply::Acquired(Acquired::Granted)
            | Reply::Released(Released::Stored))
    )
}

impl fmt::Debug for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shard")
            .field("tier", &self.tier)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
