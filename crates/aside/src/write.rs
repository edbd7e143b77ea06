//! One write: what it changed, and the forgetting around its commit.
//!
//! ```text
//! lock, write     record      quarantine        COMMIT       release
//! ───────────────────┬───────────┬─────────────────┬────────────┬─────
//! copies may exist   │           │ none exist, none can be made │
//! ```
//!
//! Between quarantine and release no copy of a changed key exists in Redis and
//! none can be made, so whoever reads in between reads the database, before or
//! after the commit, and nobody can keep what they read. A writer that dies in
//! between leaves its quarantine behind, which expires.
//!
//! A write has one of three verdicts. Committed and rolled back are certain,
//! and release at once. Everything else is ambiguous (the connection broke in
//! the COMMIT, the future was dropped): the transaction may still commit, so
//! the quarantine is left to run its time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::entity::{self, Entity};
use crate::key::Key;
use crate::kind::Encoded;
use crate::lookup::Found;
use crate::pending::Pending;
use crate::shared::{Lane, Op, Released, Reply, Token};
use crate::statistics::{Reason, raise};
use crate::strategy::Dependents;
use crate::tiers::Tiers;

/// A write of more keys than this forgets whole kinds instead.
const MOST_KEYS: usize = 1_000;

/// One write: what it changed, and the forgetting around its commit.
///
/// A repository is handed one by the cache in front of it; a transaction of
/// your own gets one from [`CacheService::write`](crate::CacheService::write).
/// Record what the transaction changed, call [`before_commit`](Self::before_commit)
/// last before the commit, and say how it ended.
///
/// # Cancellation
/// A `Write` dropped after `before_commit` and without a verdict counts as
/// ambiguous: its keys are read from the database for
/// `CACHE_QUARANTINE_TTL_MS`, and then forgotten once more.
pub struct Write {
    tiers: Option<Arc<Tiers>>,
    /// Whether new rows may be left in Redis: only where the library itself
    /// sees the commit.
    leaves_values: bool,
    recorded: Vec<Recorded>,
    known: HashSet<Key>,
    /// How many keys of each kind.
    counts: BTreeMap<&'static str, u64>,
    everything: Vec<&'static str>,
    values: HashMap<Key, MakeValue>,
    rounds: Vec<Round>,
    unquarantined: Vec<String>,
    attempted: bool,
    rolled_back: bool,
}

struct Recorded {
    key: Key,
    kind: &'static str,
}

/// One QUARANTINE pipeline.
struct Round {
    writer: Token,
    lane: Lane,
    begun: Instant,
    acknowledged: Vec<Key>,
    /// Held on this instance since the reply failed to come.
    held: Vec<Key>,
    /// Sent, and no reply yet.
    sent: Vec<Key>,
}

type MakeValue = Box<dyn FnOnce() -> Option<Encoded> + Send + Sync>;

/// Keys whose quarantine Redis did not acknowledge.
///
/// They belong in the journal, in the same transaction: until it exists, other
/// instances learn of them only when this one reaches Redis again.
#[derive(Debug)]
pub struct Unquarantined<'w>(&'w [String]);

impl Unquarantined<'_> {
    /// The keys, as they stand in Redis.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        self.0
    }

    /// Whether every key was acknowledged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Committed,
    RolledBack,
}

impl Write {
    /// A write that no cache hears of.
    #[must_use]
    pub fn uncached() -> Self {
        Self::new(None, false)
    }

    /// A write whose transaction is the caller's own.
    pub(crate) fn of_caller(tiers: Arc<Tiers>) -> Self {
        Self::new(Some(tiers), false)
    }

    /// A write whose end the decorator sees.
    pub(crate) fn of_repository(tiers: Arc<Tiers>) -> Self {
        Self::new(Some(tiers), true)
    }

    fn new(tiers: Option<Arc<Tiers>>, leaves_values: bool) -> Self {
        Self {
            tiers,
            leaves_values,
            recorded: Vec::new(),
            known: HashSet::new(),
            counts: BTreeMap::new(),
            everything: Vec::new(),
            values: HashMap::new(),
            rounds: Vec::new(),
            unquarantined: Vec::new(),
            attempted: false,
            rolled_back: false,
        }
    }

    /// Records a row that this transaction added, as the database returned it.
    pub fn created<E: Entity>(&mut self, after: &E) {
        self.record(None, Some(after));
    }

    /// Records a row that this transaction changed: `before` as it was under
    /// its lock, `after` as the database returned it.
    pub fn updated<E: Entity>(&mut self, before: &E, after: &E) {
        self.record(Some(before), Some(after));
    }

    /// Records a row that this transaction removed, as it was under its lock.
    pub fn deleted<E: Entity>(&mut self, before: &E) {
        self.record(Some(before), None);
    }

    /// Records that any row of the kind may have changed, as after a
    /// statement whose rows are not known, or are more than a thousand.
    pub fn everything<E: Entity>(&mut self) {
        if !self.everything.contains(&E::KIND) {
            self.everything.push(E::KIND);
        }
    }

    fn record<E: Entity>(&mut self, before: Option<&E>, after: Option<&E>) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        let namespace = tiers.namespace();
        let kind = tiers.kind::<E>();
        for row in before.into_iter().chain(after) {
            let id = entity::id_key::<E>(namespace, row.id());
            // The last row recorded under an id is the one that stands.
            self.values.remove(&id);
            self.add(id, E::KIND);
            row.indexes(&mut |index| {
                self.add(entity::index_key::<E>(namespace, &index), E::KIND);
            });
            if let Some(kind) = &kind {
                let mut add = |key: crate::key::KeyWriter| self.add(key.finish(), E::KIND);
                kind.strategy
                    .dependents(row, &mut Dependents::new(namespace, &mut add));
            }
        }
        if E::LIST_ALL {
            self.add(entity::all_key(namespace, E::KIND), E::KIND);
        }
        if let (true, Some(kind), Some(row)) = (self.leaves_values, kind, after)
            && kind.strategy.cache_on_write()
        {
            let id = entity::id_key::<E>(namespace, row.id());
            // Known before QUARANTINE, as the stamp of a value must be.
            let circumstance = kind.circumstance();
            let row = Arc::new(row.clone());
            let make = move || kind.encode(&Found::Row(Some(row)), circumstance);
            self.values.insert(id, Box::new(make));
        }
    }

    fn add(&mut self, key: Key, kind: &'static str) {
        if self.known.insert(key.clone()) {
            *self.counts.entry(kind).or_default() += 1;
            self.recorded.push(Recorded { key, kind });
        }
    }

    /// Quarantines every key recorded so far: call it last before the commit.
    ///
    /// It answers within the deadline of one cache operation
    /// (`CACHE_OPERATION_TIMEOUT_MS`), and at once while Redis is known to be
    /// away. It cannot fail; the keys it answers belong in the journal, in
    /// this same transaction. The transaction must end within
    /// `CACHE_QUARANTINE_TTL_MS`.
    pub async fn before_commit(&mut self) -> Unquarantined<'_> {
        self.attempted = true;
        if let Some(tiers) = self.tiers.clone() {
            self.widen();
            for kind in self.everything.clone() {
                tiers.forget_kind(kind).await;
            }
            let keys: Vec<Key> = self
                .recorded
                .drain(..)
                .map(|recorded| recorded.key)
                .collect();
            if !keys.is_empty() {
                self.quarantine(&tiers, keys).await;
            }
        }
        Unquarantined(&self.unquarantined)
    }

    /// Turns too many keys into whole kinds.
    fn widen(&mut self) {
        if self.recorded.len() > MOST_KEYS {
            for recorded in std::mem::take(&mut self.recorded) {
                if !self.everything.contains(&recorded.kind) {
                    self.everything.push(recorded.kind);
                }
            }
            self.values.clear();
        }
    }

    async fn quarantine(&mut self, tiers: &Arc<Tiers>, keys: Vec<Key>) {
        let (writer, lane) = (Token::random(), tiers.lane());
        self.rounds.push(Round {
            writer,
            lane,
            begun: Instant::now(),
            acknowledged: Vec::new(),
            held: Vec::new(),
            sent: keys.clone(),
        });
        let reachable = tiers.is_usable();
        let replies = if reachable {
            let ttl = tiers.config.quarantine_ttl;
            let quarantine = |key: &Key| Op::Quarantine {
                key: key.clone(),
                writer,
                ttl,
                message: tiers.message(key),
            };
            tiers
                .ask(lane, keys.iter().map(quarantine).collect())
                .await
                .ok()
        } else {
            None
        };
        let mut replies = replies.into_iter().flatten();
        let Some(round) = self.rounds.last_mut() else {
            return;
        };
        let mut widened = Vec::new();
        for key in keys {
            let acknowledged = replies.next().is_some_and(|reply| reply.is_ok());
            if acknowledged {
                // Not before the acknowledgement: a GET of our own sent in
                // between could still see the old value, under the new
                // generation.
                tiers.stripes.forget(key.hash());
                round.acknowledged.push(key);
            } else {
                self.unquarantined.push(key.as_str().to_owned());
                if tiers.hold(&key) {
                    round.held.push(key);
                } else {
                    widened.extend(tiers.kind_of(key.as_str()));
                }
            }
        }
        round.sent.clear();
        // Held as a whole only until Redis has forgotten it, which may be
        // before the commit: it must be forgotten after it as well.
        for kind in widened {
            if !self.everything.contains(&kind) {
                self.everything.push(kind);
            }
        }
    }

    /// Says that the transaction certainly did not commit.
    ///
    /// Certain is: `ROLLBACK` succeeded on its connection, or the server
    /// refused the commit with an error that is not about the connection.
    /// When in doubt, say nothing.
    pub fn rolled_back(&mut self) {
        self.rolled_back = true;
    }

    /// Says that the caller's own transaction certainly committed.
    ///
    /// # Cancellation
    /// Dropped half-way, it counts as ambiguous, which is safe and slower.
    pub async fn committed(mut self) {
        self.end(Verdict::Committed).await;
    }

    /// Ends the write as its repository's result says.
    pub(crate) async fn ended(mut self, succeeded: bool) {
        // What the repository said itself comes first: it may answer a
        // transaction that it rolled back as a row that was not there.
        if self.rolled_back {
            self.end(Verdict::RolledBack).await;
        } else if succeeded {
            self.end(Verdict::Committed).await;
        } else if !self.attempted {
            self.end(Verdict::RolledBack).await;
        }
        // Otherwise it is ambiguous, and dropped.
    }

    async fn end(&mut self, verdict: Verdict) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        if verdict == Verdict::Committed {
            self.forget_unquarantined(&tiers).await;
            self.count(&tiers);
        }
        for kind in std::mem::take(&mut self.everything) {
            if verdict == Verdict::Committed || self.attempted {
                tiers.forget_kind(kind).await;
            }
        }
        // A round leaves the list when its releases are sent or queued, so a
        // write dropped in between forgets none.
        while let Some(round) = self.rounds.last_mut() {
            // Left over where the future of `before_commit` was dropped.
            for key in std::mem::take(&mut round.sent) {
                tiers.hold(&key);
                round.held.push(key);
            }
            for key in std::mem::take(&mut round.held) {
                let writer = round.writer;
                tiers.later(Pending::Release {
                    key,
                    writer,
                    held: true,
                    due: None,
                });
            }
            let keys = round.acknowledged.clone();
            if keys.is_empty() {
                self.rounds.pop();
                continue;
            }
            let (writer, lane) = (round.writer, round.lane);
            let ops = keys
                .iter()
                .map(|key| self.release(&tiers, key, writer, verdict))
                .collect();
            let replies = tiers.ask(lane, ops).await.ok();
            let mut replies = replies.into_iter().flatten();
            for key in keys {
                match replies.next() {
                    Some(Ok(Reply::Released(Released::Lost))) => {
                        raise(&tiers.statistics.release_lost);
                        tiers.stripes.forget(key.hash());
                    }
                    Some(Ok(_)) => {}
                    _ => tiers.later(Pending::Release {
                        key,
                        writer,
                        held: false,
                        due: None,
                    }),
                }
            }
            self.rounds.pop();
        }
        self.attempted = false;
    }

    fn release(&mut self, tiers: &Tiers, key: &Key, writer: Token, verdict: Verdict) -> Op {
        let make = self
            .values
            .remove(key)
            .filter(|_| verdict == Verdict::Committed);
        let value = make
            .and_then(|make| make())
            .map(|encoded| (encoded.value, encoded.ttl));
        Op::Release {
            key: key.clone(),
            writer,
            message: tiers.message(key),
            value,
        }
    }

    /// Forgets what a repository changed without asking for the quarantine.
    async fn forget_unquarantined(&mut self, tiers: &Arc<Tiers>) {
        if self.recorded.is_empty() || tiers.shared.is_none() {
            return;
        }
        tiers.statistics.error("no_before_commit");
        tracing::error!(
            keys = self.recorded.len(),
            "a write committed without `before_commit`: it was forgotten afterwards, \
             which a crash in between would have prevented"
        );
        let keys: Vec<Key> = self
            .recorded
            .iter()
            .map(|recorded| recorded.key.clone())
            .collect();
        for key in tiers.invalidate(&keys).await {
            tiers.hold_until_released(&key);
        }
    }

    fn count(&self, tiers: &Tiers) {
        let kinds = tiers.kinds();
        for (kind, keys) in &self.counts {
            if let Some(kind) = kinds.get(kind) {
                kind.statistics().invalidated(Reason::Write, *keys);
            }
            tracing::info!(kind, operation = "write", count = keys, "invalidated");
        }
        tracing::debug!(keys = ?self.known, "forgot what a write changed");
    }
}

impl Drop for Write {
    /// Without a verdict the transaction may still commit: its quarantine
    /// runs its time, and only then are the keys released.
    fn drop(&mut self) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        if self.attempted && !self.rolled_back && tiers.shared.is_some() {
            let due = Some(Instant::now() + tiers.config.quarantine_ttl);
            for kind in self.everything.drain(..) {
                tiers.later(Pending::Everything {
                    prefix: tiers.prefix(kind),
                    due,
                });
            }
        }
        for round in self.rounds.drain(..) {
            let due = (!self.rolled_back).then(|| round.begun + tiers.config.quarantine_ttl);
            for key in &round.sent {
                tiers.hold(key);
            }
            let held = round
                .held
                .into_iter()
                .chain(round.sent)
                .map(|key| (key, true));
            let all = held.chain(round.acknowledged.into_iter().map(|key| (key, false)));
            for (key, held) in all {
                tiers.later(Pending::Release {
                    key,
                    writer: round.writer,
                    held,
                    due,
                });
            }
        }
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Write")
            .field("keys", &self.known.len())
            .field("attempted", &self.attempted)
            .finish_non_exhaustive()
    }
}
