//! `memory://`: a shared tier inside one process.
//!
//! It stores the same bytes under a key as Redis and applies the rules of the
//! scripts. The conformance suite and a lock-step test compare the two. All
//! services of the process that use `memory://NAME` share one tier for as long
//! as one of them lives; `memory://` is private. Its clock is tokio's, so a
//! test that pauses time can expire keys.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::entity::key::Key;
use crate::protocol::commands::milliseconds;
use crate::protocol::value::HEADER_BYTES;
use crate::protocol::{
    BoxFuture, Lives, OnMessage, Op, Refused, Released, Replies, Reply, SharedTier, Traffic,
    Unanswered,
};
use crate::runtime::clock;

use self::epochs::History;
use self::protocol::Moment;
use self::reports::Reports;
use self::store::Store;
use self::wire::Wire;

mod epochs;
mod glob;
mod reports;
mod store;
mod wire;
mod protocol;
#[cfg(test)]
pub(crate) mod snapshot;

static NAMED: LazyLock<Mutex<HashMap<String, Weak<MemoryTier>>>> = LazyLock::new(Mutex::default);

/// A shared tier inside one process.
pub(crate) struct MemoryTier {
    clock: Clock,
    wire: Wire,
    /// One lock for everything: an operation is atomic across keys and
    /// messages, and nothing waits while holding it.
    inner: Mutex<Inner>,
}

struct Inner {
    store: Store,
    /// Epochs by hash key and kind. They are never evicted.
    epochs: HashMap<(Key, String), u64>,
    histories: HashMap<Key, History>,
    reports: Reports,
    subscribers: Vec<(u64, OnMessage)>,
    subscriptions: u64,
}

/// Milliseconds like a server's, advanced by tokio's clock.
struct Clock {
    opened: Instant,
    opened_ms: u64,
}

impl Clock {
    fn now(&self) -> u64 {
        self.opened_ms + milliseconds_of(self.opened.elapsed())
    }
}

fn milliseconds_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl MemoryTier {
    /// Creates a private tier of about `limit_bytes`.
    pub(crate) fn private(limit_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            clock: Clock {
                opened: Instant::now(),
                opened_ms: u64::try_from(clock::wall().as_millisecond()).unwrap_or(0),
            },
            wire: Wire::default(),
            inner: Mutex::new(Inner {
                store: Store::new(limit_bytes),
                epochs: HashMap::new(),
                histories: HashMap::new(),
                reports: Reports::default(),
                subscribers: Vec::new(),
                subscriptions: 0,
            }),
        })
    }

    /// Returns the process's tier of this name, creating it if no service holds
    /// one. The first caller sets the limit.
    pub(crate) fn named(name: &str, limit_bytes: usize) -> Arc<Self> {
        let mut named = NAMED.lock();
        if let Some(tier) = named.get(name).and_then(Weak::upgrade) {
            return tier;
        }
        named.retain(|_, tier| tier.strong_count() > 0);
        let tier = Self::private(limit_bytes);
        named.insert(name.to_owned(), Arc::downgrade(&tier));
        tier
    }

    /// Calls `on_message` with every message from now on, until the returned
    /// subscription is dropped.
    ///
    /// The operation that caused the message makes the call while holding the
    /// lock. So messages arrive in the order in which operations took effect,
    /// and before any later operation returns; a queue would not guarantee
    /// that. `on_message` must be quick. It must neither call this tier nor
    /// drop a subscription to it, because it would deadlock.
    pub(crate) fn subscribe(self: &Arc<Self>, on_message: OnMessage) -> Subscription {
        let mut inner = self.inner.lock();
        inner.subscriptions += 1;
        let number = inner.subscriptions;
        inner.subscribers.push((number, on_message));
        Subscription {
            tier: Arc::clone(self),
            number,
        }
    }

    /// Returns about how many bytes are stored.
    #[cfg(test)]
    pub(crate) fn used_bytes(&self) -> usize {
        self.inner.lock().store.used_bytes()
    }

    pub(crate) fn run(&self, op: &Op) -> Result<Reply, Refused> {
        let mut inner = self.inner.lock();
        // Read under the lock, so that operations see the time in their own
        // order.
        let now = self.clock.now();
        inner.run(op, now)
    }
}

impl Inner {
    fn run(&mut self, op: &Op, now: u64) -> Result<Reply, Refused> {
        self.store.sweep(now);
        let store = &mut self.store;
        let mut moment = Moment { store, now };
        Ok(match op {
            Op::Get { key } => Reply::Value(moment.bytes(key).map(Into::into)),
            Op::GetMany { keys } => {
                let value = |key| moment.bytes(key).map(Into::into);
                Reply::Values(keys.iter().map(value).collect())
            }
            Op::Acquire {
                key,
                token,
                lease,
                observed,
            } => {
                let observed = observed.as_deref().unwrap_or_default();
                Reply::Acquired(moment.acquire(key, *token, milliseconds(*lease), observed))
            }
            Op::GetHeader { key } => {
                let header = |mut bytes: Vec<u8>| {
                    bytes.truncate(HEADER_BYTES);
                    (!bytes.is_empty()).then_some(bytes)
                };
                Reply::Value(moment.bytes(key).and_then(header).map(Into::into))
            }
            Op::Stamp {
                key,
                context,
                stamp,
                ttl,
            } => Reply::Stamped(moment.stamp(key, *context, *stamp, milliseconds(*ttl))?),
            Op::Refresh { key, fill, token } => Reply::Claimed(moment.refresh(key, *fill, *token)?),
            Op::Fill {
                key,
                token,
                value,
                ttl,
            } => Reply::Filled(moment.fill(key, *token, value, milliseconds(*ttl))?),
            Op::Abandon { key, token } => {
                moment.abandon(key, *token);
                Reply::Done
            }
            Op::Quarantine {
                key,
                writer,
                ttl,
                message,
            } => {
                moment.quarantine(key, *writer, milliseconds(*ttl));
                self.publish(message);
                Reply::Done
            }
            Op::Release {
                key,
                writer,
                message,
                value,
            } => {
                let value = value.as_ref();
                let value = value.map(|(value, ttl)| (value.as_slice(), milliseconds(*ttl)));
                let released = moment.release(key, *writer, value);
                if released == Released::Lost {
                    self.publish(message);
                }
                Reply::Released(released)
            }
            Op::Invalidate { key, message } => {
                moment.invalidate(key);
                self.publish(message);
                Reply::Done
            }
            Op::Bump {
                key,
                kind,
                known,
                how,
                message,
                era,
            } => {
                let (epoch, changed) = self.bump((key, kind), (*known, now), *how, *era);
                if changed {
                    self.publish(&format!("{message} {epoch:013} {kind}"));
                }
                Reply::Epoch(epoch)
            }
            Op::History { key, era, known } => self.history(key, *era, known.as_ref()),
            Op::Set { key, value, ttl } => {
                let expires = ttl.map(|ttl| now + milliseconds(ttl));
                self.store.put(key, value.clone(), expires)?;
                Reply::Done
            }
            Op::Delete { key } => Reply::Existed(self.store.remove(key, now)),
            Op::Exists { key } => Reply::Existed(self.store.get(key, now).is_some()),
            Op::Ttl { key } => Reply::Lives(moment.lives_for(key)),
            Op::Type { key } => {
                let is_there = self.store.get(key, now).is_some();
                Reply::Type(if is_there { "string" } else { "none" }.to_owned())
            }
            Op::Announce {
                key,
                field,
                report,
                prunes,
            } => {
                self.reports.announce(key, (field, report), now, *prunes);
                Reply::Done
            }
            Op::Announced { key } => Reply::Announced {
                now,
                reports: self.reports.of(key),
            },
            Op::Withdraw { key, field } => Reply::Existed(self.reports.withdraw(key, field)),
            Op::Publish { message } => {
                self.publish(message);
                Reply::Done
            }
            Op::Scan {
                cursor,
                pattern,
                count,
            } => {
                let (cursor, keys) = self.store.scan(*cursor, pattern, *count, now);
                Reply::Page { cursor, keys }
            }
        })
    }

    fn publish(&self, message: &str) {
        for (_, on_message) in &self.subscribers {
            on_message(message);
        }
    }
}

impl SharedTier for MemoryTier {
    fn send(&self, _: Traffic, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>> {
        // Each under its own lock, because a pipeline is not a transaction.
        Box::pin(async move {
            self.wire.there(&ops).await;
            let replies = ops.iter().map(|op| self.run(op)).collect();
            self.wire.back().await;
            Ok(replies)
        })
    }
}

impl fmt::Debug for MemoryTier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("MemoryTier");
        // A subscriber may print the tier while the tier calls it.
        if let Some(inner) = self.inner.try_lock() {
            shown
                .field("keys", &inner.store.len())
                .field("used_bytes", &inner.store.used_bytes())
                .field("subscribers", &inner.subscribers.len());
        }
        shown.finish_non_exhaustive()
    }
}

/// Ends a [`MemoryTier::subscribe`] when dropped.
#[derive(Debug)]
#[must_use = "messages stop when it is dropped"]
pub(crate) struct Subscription {
    tier: Arc<MemoryTier>,
    number: u64,
}

impl Subscription {
    /// Makes each round trip take this long from now on.
    pub(crate) fn slow_down(&self, round_trip: Duration) {
        self.tier.wire.slow_down(round_trip);
    }

    /// Evicts the values that do not fit into so many bytes, from now on.
    pub(crate) fn limit(&self, bytes: usize) {
        self.tier.inner.lock().store.limit(bytes);
    }

    /// Returns how many pipelines were sent to the tier, and keys that they read.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        self.tier.wire.traffic()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut inner = self.tier.inner.lock();
        inner
            .subscribers
            .retain(|(number, _)| *number != self.number);
    }
}

impl Moment<'_> {
    fn bytes(&mut self, key: &Key) -> Option<Vec<u8>> {
        let slot = self.store.get(key, self.now);
        slot.map(|slot| slot.bytes.clone())
    }

    fn lives_for(&mut self, key: &Key) -> Lives {
        match self.store.get(key, self.now).map(|slot| slot.expires) {
            None => Lives::Absent,
            Some(None) => Lives::Forever,
            Some(Some(expires)) => Lives::For(Duration::from_millis(expires - self.now)),
        }
    }
}
