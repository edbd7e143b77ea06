//! The audit: a sample of the hits, compared with the database.
//!
//! ```text
//! hit of fill f ── database: row ──── 100 ms ────── 1 s ────── 10 s
//!                  f has another      f still served?  the same    the same
//!                  row: suspicious    count            count, log, invalidate
//! ```
//!
//! A sampled hit is compared with one read of the database that begins after
//! it. If the two agree, the comparison ends. If not, the fill is looked up
//! again after 100 ms, 1 s and 10 s, locally and in Redis. It is a mismatch if
//! *that very fill* is still served. Beyond the bound for faults (H plus the
//! journal's poll, 1 s) it is logged once with the key's latest events, and the
//! key is invalidated.
//!
//! # Why it reports no false positives
//!
//! The fill was loaded before the hit, and so before the database was queried.
//! A different row there was committed after the fill's, so reads may no longer
//! return the fill.
//!
//! - **Writes in progress.** A write becomes visible in the database only after
//!   its commit, and its quarantine removed the fill before that. A removed
//!   fill never returns: a new one has another id, and is not looked up. So
//!   healthy writes cause no mismatch, regardless of their number and timing. A
//!   key under quarantine, or an unreleased one, is not served at all.
//! - **Local entries.** A local entry may live as long as a message is in
//!   transit. It counts only if a PING sent after the database's reply was
//!   answered: then every message of the write has been applied, and an entry
//!   that is still valid is wrong. Without that proof the look is inconclusive.
//! - **Rows without a version**, lists, and rows changed without a new version
//!   have no order. For these the database is read again at the end of the
//!   delay. Both replies must agree and the fill must differ from them. A row
//!   that was changed back, or differs between reads, is ignored. Rows are
//!   compared as callers see them ([`Entity::difference`]), because their text
//!   may hide a difference, and without regard to order, because sets and
//!   queries without `ORDER BY` have none.
//! - **Rolled back.** The database never returns rolled back rows, and a fill
//!   with one is newer than both replies: that is a finding.
//! - **Replica reads.** The cache does not guarantee them. If the audit reads
//!   from a lagging replica, its row is older than the fill by its version, or
//!   its second reply differs from the first; both are ignored. A replica that
//!   lags longer than the delay is found, rightly.
//! - **Stale-if-error.** A value served stale
//!   ([`CacheStrategy::stale_if_error`]) has no fill, and only hits of a fill
//!   are sampled.
//! - **Failover and journal.** A failover, or a write that only the journal
//!   contains, explains an old value for H, or P + H. Such a value counts at
//!   100 ms, the purpose of that series, but is excused before the log. Without
//!   a journal nothing bounds the second case. The first is unbounded if a
//!   writer's quarantine was lost and it hangs between commit and release. Both
//!   are found.
//!
//! # Cost
//!
//! If the audit is disabled, one check. A comparison runs beside the read and
//! is bounded in number and rate (`insight/audit.rs`). It does not wait for a
//! database that takes longer than a lease.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::answer::{Freshness, Tier};
use crate::entity::namespace::Namespace;
use crate::insight::audit::{Audit, Begun, Delay};
use crate::read::ReadPath;
use crate::read::timeouts::Timeouts;

use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::likeness::number_of_text;
use crate::entity::lookup::{Found, Lookup, LookupRef};
use crate::entity::strategy::CacheStrategy;
use crate::insight::statistics::{Operation, Reason, increment};
use crate::local::PackedEntry;
use crate::read::look::Step;
use crate::read::source::load_from;
use crate::repository::Source;
use crate::runtime::clock::Moment;
use crate::service::WeakService;
use crate::tiers::kind::{Kind, KindFlights};

/// One comparison. It keeps no service alive.
struct Check<R: Source> {
    source: Arc<R>,
    cache: WeakService,
    kind: Arc<Kind<R::Entity>>,
    flights: Arc<KindFlights<R::Entity, R::Error>>,
    lookup: Lookup<R::Entity>,
    fill: u64,
    cached: Found<R::Entity>,
}

/// The current location of the fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Served(Tier),
    /// Local, and its message may still be in transit.
    Unproved,
    Gone,
}

impl<R: Source> ReadPath<R> {
    /// Passes a hit to the audit, if there is one.
    #[inline]
    pub(super) fn sample(
        &self,
        asked: LookupRef<'_, R::Entity>,
        fill: Option<u64>,
        found: &Found<R::Entity>,
    ) {
        if let (Some(audit), Some(fill)) = (&self.audit, fill) {
            self.draw(audit, asked, fill, found);
        }
    }

    #[cold]
    fn draw(
        &self,
        audit: &Arc<Audit>,
        asked: LookupRef<'_, R::Entity>,
        fill: u64,
        found: &Found<R::Entity>,
    ) {
        if !audit.draws() {
            return;
        }
        let check = || Check {
            source: Arc::clone(&self.source),
            cache: self.cache.downgrade(),
            kind: Arc::clone(&self.kind),
            flights: Arc::clone(&self.flights),
            lookup: asked.to_lookup(),
            fill,
            cached: found.clone(),
        };
        if audit.begin(fill, || check().run()) == Begun::Dropped {
            self.kind.statistics.audit_dropped.count(0);
        }
    }

    /// Returns the current location of a fill.
    async fn whereabouts(
        &self,
        asked: LookupRef<'_, R::Entity>,
        fill: u64,
        since: Moment,
    ) -> Place {
        let local = self.hit(asked, PackedEntry::fill) == Some(fill);
        let key = asked.key(self.tiers().namespace());
        if local && since < self.tiers().shard_of(&key).link.trust().proved_at() {
            return Place::Served(Tier::Local);
        }
        let context = self.context(&key);
        if self.gate(&key, context).is_none()
            && let Step::Serve(cached) = self.look(asked, &key, context, Freshness::Any).await
            && cached.fill == fill
        {
            return Place::Served(Tier::Shared);
        }
        if local { Place::Unproved } else { Place::Gone }
    }
}

impl<R: Source> Check<R> {
    fn read_path(&self) -> Option<ReadPath<R>> {
        let cache = self.cache.upgrade()?;
        Some(ReadPath {
            source: Arc::clone(&self.source),
            audit: cache.tiers().audit.clone(),
            cache,
            kind: Arc::clone(&self.kind),
            flights: Arc::clone(&self.flights),
            timeouts: Timeouts::new(),
            ear: None,
        })
    }

    async fn run(self) {
        // Its results are the counters.
        let _ = self.compare().await;
    }

    /// Compares; returns `None` if it ended early because there was nothing to
    /// compare.
    async fn compare(&self) -> Option<()> {
        let cached = &self.cached;
        let first = self.ask().await?;
        let (asked, answered) = (Moment::now(), Instant::now());
        increment(&self.kind.statistics.audit_checks);
        if self.is_same(cached, &first) {
            return None;
        }
        let mut told = false;
        for delay in Delay::ALL {
            let wait = self.read_path()?.audit?.wait(delay);
            tokio::time::sleep_until(answered + wait).await;
            let Some(tier) = self.served(asked).await? else {
                continue;
            };
            if !is_older(version(cached), version(&first)) {
                let second = self.ask().await?;
                if self.is_same(&second, cached) {
                    return None;
                }
                // Served during the whole second read of the database.
                if !self.is_same(&second, &first) || self.served(asked).await?.is_none() {
                    continue;
                }
            }
            self.kind.statistics.audit_mismatch(delay);
            if !told && self.read_path()?.audit?.is_finding(delay) {
                told = true;
                self.report(delay, tier, &first).await?;
            }
        }
        Some(())
    }

    /// Returns the tier that serves the fill: `Some(None)` without a proof,
    /// `None` if the fill is gone.
    async fn served(&self, since: Moment) -> Option<Option<Tier>> {
        let read = self.read_path()?;
        let asked = self.lookup.asked();
        match read.whereabouts(asked, self.fill, since).await {
            Place::Served(tier) => Some(Some(tier)),
            Place::Unproved => Some(None),
            Place::Gone => None,
        }
    }

    /// Reads the database; `None` on failure.
    async fn ask(&self) -> Option<Found<R::Entity>> {
        let operation = match &self.lookup {
            Lookup::Id(_) => Operation::FindById,
            Lookup::Index(_) => Operation::FindBy,
            Lookup::All => Operation::ListAll,
        };
        let lease = self.cache.upgrade()?.config().lease_ttl;
        let patience = lease.min(self.kind.load_timeout);
        let load = load_from(&*self.source, &self.kind, &self.lookup, operation);
        let load = AssertUnwindSafe(load).catch_unwind();
        match tokio::time::timeout(patience, load).await {
            Ok(Ok(Ok(found))) => Some(found),
            _ => {
                let cache = self.cache.upgrade()?;
                cache.tiers().statistics.error("audit_unanswered");
                None
            }
        }
    }

    async fn report(&self, delay: Delay, tier: Tier, row: &Found<R::Entity>) -> Option<()> {
        let read = self.read_path()?;
        let key = self.lookup.asked().key(read.tiers().namespace());
        let events = read.tiers().trail.tell(key.hash());
        tracing::error!(
            kind = R::Entity::KIND,
            tier = tier.as_str(),
            delay = delay.as_str(),
            cached_version = version(&self.cached),
            database_version = version(row),
            events,
            "the cache serves a value that the database no longer has; the key is invalidated, \
             and its name is logged at DEBUG"
        );
        tracing::debug!(key = key.as_str(), "the audit found this key wrong");
        read.cache.invalidate_key(&key, Reason::Audit).await;
        Some(())
    }

    fn is_same(&self, one: &Found<R::Entity>, other: &Found<R::Entity>) -> bool {
        is_same(&*self.kind.strategy, one, other)
    }
}

/// Returns the version of a single row that has one.
fn version<E: Entity>(found: &Found<E>) -> Option<u64> {
    match found {
        Found::Row(row) => row.as_ref()?.version(),
        Found::List(_) => None,
    }
}

/// Returns true if both have versions and the first is older.
fn is_older(one: Option<u64>, other: Option<u64>) -> bool {
    matches!((one, other), (Some(own), Some(other)) if own < other)
}

/// Returns true if both are equal for a caller, regardless of the order of a
/// list.
fn is_same<E: Entity>(strategy: &dyn CacheStrategy<E>, one: &Found<E>, other: &Found<E>) -> bool {
    let same = |one: &E, other: &E| {
        one.difference(other).is_none() || is_in_another_order(strategy, one, other)
    };
    match (one, other) {
        (Found::Row(None), Found::Row(None)) => true,
        (Found::Row(Some(one)), Found::Row(Some(other))) => same(one, other),
        (Found::List(one), Found::List(other)) => {
            let (one, other) = (by_key(one), by_key(other));
            let mut pairs = one.iter().zip(&other);
            one.len() == other.len() && pairs.all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        _ => false,
    }
}

/// Sorts the rows of a list by their keys.
fn by_key<E: Entity>(rows: &[Arc<E>]) -> Vec<(Key, &E)> {
    let mut rows: Vec<(Key, &E)> = rows
        .iter()
        .map(|row| (LookupRef::<E>::Id(row.id()).key(Namespace("")), &**row))
        .collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows
}

/// Returns true if the texts of two differing rows have the same parts in
/// another order. If they have the same order, the texts hide the difference.
fn is_in_another_order<E: Entity>(strategy: &dyn CacheStrategy<E>, one: &E, other: &E) -> bool {
    let text = |row| strategy.codec().encode(row).ok();
    let (Some(one), Some(other)) = (text(one), text(other)) else {
        return false;
    };
    let number = number_of_text(&one);
    one != other && number.is_some() && number == number_of_text(&other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_decide_which_row_is_older() {
        assert!(is_older(Some(1), Some(2)));
        assert!(!is_older(Some(2), Some(2)));
        assert!(!is_older(None, Some(2)));
        assert!(!is_older(Some(1), None));
    }
}
