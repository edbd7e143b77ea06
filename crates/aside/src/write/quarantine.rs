//! Quarantine, before the commit: no copy exists, and none can be made.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Round, Unacknowledged, Write};
use crate::entity::key::Key;
use crate::insight::statistics::WritePhase;
use crate::insight::trail::Event;
use crate::protocol::message::Why;
use crate::protocol::{Bump, Failure, Op, Reply, Token, Traffic, Unanswered};
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::tiers::Tiers;

/// A write of more keys than this invalidates whole kinds instead.
const MAX_KEYS_PER_QUARANTINE: usize = 1_000;

impl Write {
    /// Quarantines every key recorded so far: call it last before the commit.
    ///
    /// It returns within the timeout of one cache operation
    /// (`CACHE_OPERATION_TIMEOUT_MS`), and at once while Redis is known to be
    /// unavailable. It cannot fail; the keys it returns belong in the journal,
    /// in the same transaction. The transaction must end within
    /// `CACHE_QUARANTINE_TTL_MS`.
    ///
    /// A statement without an explicit transaction commits by itself. Acquire
    /// its connection, record the row that it will change, call this, and run
    /// the statement. Then record the row it returned, or
    /// [`deleted`](Self::deleted) if it found none, or call
    /// [`rolled_back`](Self::rolled_back) if the server refused it. This
    /// requires a row whose lists are known beforehand, such as a row in no
    /// list, and cannot use the journal.
    #[must_use = "these keys belong in the journal, in the same transaction"]
    pub async fn before_commit(&mut self) -> Unacknowledged<'_> {
        self.attempted = true;
        // After a rollback another transaction follows, which may take as long.
        // So the keys of the first one are quarantined again.
        let again = std::mem::take(&mut self.rolled_back);
        if let Some(tiers) = self.tiers.clone() {
            let begun = Instant::now();
            self.widen();
            for kind in self.whole_kinds.clone() {
                let raised = tiers.raise_epoch_or_retry(kind, Why::Write).await;
                self.lacks_epoch |= raised.is_none() && tiers.is_enabled();
            }
            let recorded = self.recorded.drain(..).map(|recorded| recorded.key);
            let mut keys: Vec<Key> = recorded.collect();
            if again {
                let known = self.rounds.iter().flat_map(|round| &round.acknowledged);
                keys.extend(known.cloned());
            }
            if !keys.is_empty() {
                self.quarantine(&tiers, keys).await;
            }
            let took = begun.elapsed();
            tiers.statistics.write_took(WritePhase::Quarantine, took);
            self.quarantined_at = Some(Instant::now());
        }
        Unacknowledged {
            keys: &self.unquarantined,
            kinds: &self.whole_kinds,
            lacks_epoch: self.lacks_epoch,
            journalled: &self.journalled,
            own: self.tiers.as_ref().and_then(|tiers| {
                // If no journal is drained, nothing would delete the rows.
                let drained = tiers.is_journalled();
                drained.then_some(&*tiers.journalled)
            }),
        }
    }

    /// Turns too many keys into whole kinds.
    pub(super) fn widen(&mut self) {
        if self.recorded.len() > MAX_KEYS_PER_QUARANTINE {
            for recorded in std::mem::take(&mut self.recorded) {
                if !self.whole_kinds.contains(&recorded.kind) {
                    self.whole_kinds.push(recorded.kind);
                }
            }
            self.values.clear();
        }
    }

    async fn quarantine(&mut self, tiers: &Arc<Tiers>, keys: Vec<Key>) {
        let writer = Token::random();
        self.rounds.push(Round {
            writer,
            begun: Instant::now(),
            acknowledged: Vec::new(),
            unreleased: Vec::new(),
            sent: keys.clone(),
        });
        self.ensure_epochs(tiers).await;
        for key in &keys {
            if let Some(value) = self.values.get_mut(key) {
                value.take_fill_context(tiers, key);
            }
        }
        let results = send(tiers, writer, &keys).await;
        self.acknowledge(tiers, keys, results);
    }

    /// Has Redis keep an epoch for each kind written, while it is usable.
    async fn ensure_epochs(&self, tiers: &Tiers) {
        if !tiers.is_usable() {
            return;
        }
        // Every kind written here needs an epoch, even before it is read.
        for kind in self.counts.keys() {
            if tiers.epochs.known(kind) == Some(0) {
                let _ = tiers.bump(kind, Bump::IfOlder, Why::Unknown).await;
            }
        }
    }

    /// Takes the results of the last round; keys beyond them have none.
    fn acknowledge(&mut self, tiers: &Tiers, keys: Vec<Key>, results: Vec<Result<Reply, Failure>>) {
        let mut replies = results.into_iter();
        let Some(round) = self.rounds.last_mut() else {
            return;
        };
        let mut widened = Vec::new();
        for key in keys {
            let acknowledged = replies.next().is_some_and(|reply| reply.is_ok());
            if acknowledged {
                // After the acknowledgement: a GET of this instance sent before
                // it could read the old value under the new generation.
                tiers.generations.invalidate(key.hash());
                tiers.record_event(&key, Event::Quarantined);
                round.acknowledged.push(key);
            } else {
                tiers.record_event(&key, Event::Unquarantined);
                self.unquarantined.push(key.as_str().to_owned());
                if tiers.add_unreleased(&key) {
                    round.unreleased.push(key);
                } else {
                    widened.extend(tiers.kind_of(key.as_str()));
                }
            }
        }
        round.sent.clear();
        // The kind stays unreleased only until Redis has invalidated it, which
        // may be before the commit, so it must be invalidated after it again.
        for kind in widened {
            if !self.whole_kinds.contains(&kind) {
                self.whole_kinds.push(kind);
            }
        }
    }
}

/// Sends the QUARANTINEs of keys whose shard is usable. Only those can be
/// acknowledged: another shard's server may have been replaced.
async fn send(tiers: &Tiers, writer: Token, keys: &[Key]) -> Vec<Result<Reply, Failure>> {
    let ttl = tiers.config.quarantine_ttl;
    let quarantine = |key: &Key| Op::Quarantine {
        key: key.clone(),
        writer,
        ttl,
        message: tiers.message(key, Why::Write),
    };
    let is_usable = |key: &Key| tiers.is_usable_for(key);
    #[cfg(test)]
    let is_usable = |key: &Key| is_usable(key) || without(Rule::TrustToQuarantine);
    let usable: Vec<bool> = keys.iter().map(is_usable).collect();
    let asked = keys.iter().zip(&usable).filter(|(_, usable)| **usable);
    let ops: Vec<Op> = asked.map(|(key, _)| quarantine(key)).collect();
    if ops.is_empty() {
        return Vec::new();
    }
    let mut replies = tiers.send(Traffic::Writes, ops).await.into_iter();
    let reply_of = |usable: bool| match usable {
        true => replies.next().unwrap_or(Err(Unanswered::NotSent.into())),
        false => Err(Unanswered::NotSent.into()),
    };
    usable.into_iter().map(reply_of).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use parking_lot::Mutex;

    use super::*;
    use crate::config::CacheConfig;
    use crate::entity::example::Hero;
    use crate::entity::lookup::LookupRef;
    use crate::entity::namespace::Namespace;
    use crate::insight::statistics::ServiceStatistics;
    use crate::protocol::{BoxFuture, Replies, SharedTier};
    use crate::tiers::shard::Shard;
    use crate::tiers::shard_map::ShardMap;
    use crate::trust::generations::Generations;
    use crate::trust::link::Link;

    /// A tier that acknowledges everything, sends no messages, and calls a
    /// function first.
    struct Silent<F>(F);

    impl<F: Fn() + Send + Sync> SharedTier for Silent<F> {
        fn send(&self, _: Traffic, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>> {
            (self.0)();
            let replies = ops.iter().map(|_| Ok(Reply::Done)).collect();
            Box::pin(async { Ok(replies) })
        }
    }

    impl<F> fmt::Debug for Silent<F> {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("Silent")
        }
    }

    #[tokio::test]
    async fn reads_before_the_acknowledgement_are_not_served_later() {
        let link = Arc::new(Link::always());
        let generations = Arc::new(Generations::new(link.table()));
        let read = Arc::new(Mutex::new(None));
        let shared = Silent({
            let (generations, read) = (Arc::clone(&generations), Arc::clone(&read));
            let key = LookupRef::<Hero>::Id(&1).key(Namespace(""));
            move || *read.lock() = Some(generations.stamp(key.hash(), 0))
        });
        let config = CacheConfig::default();
        let statistics = Arc::new(ServiceStatistics::new());
        let shard = Shard::new(Some(Arc::new(shared)), link, &config, &statistics).0;
        let tiers = Arc::new(Tiers::new(
            config,
            1,
            ShardMap::single(shard),
            Arc::clone(&generations),
            statistics,
        ));
        let mut write = Write::of_caller(tiers);
        write.created(&Hero(1));

        assert!(write.before_commit().await.is_empty());

        let read = read.lock().expect("a quarantine was sent");
        assert!(!generations.is_current(read));
    }
}
