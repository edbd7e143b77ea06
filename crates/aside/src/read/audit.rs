//! The audit: what the cache serves, held to the database while it runs.
//!
//! ```text
//! hit of fill f ── database: row ──── 100 ms ────── 1 s ────── 10 s
//!                  f has another      f still served?  the same    the same
//!                  row: suspicious    count            count, log, forget
//! ```
//!
//! A sampled hit is compared with one read of the database that begins after
//! it. Where the two agree, that is all. Where they do not, the fill is looked
//! for again after 100 ms, 1 s and 10 s, in process and in Redis, and is a
//! mismatch if *that very fill* is still served. Beyond what is promised under
//! faults (H and the journal's poll, 1 s) it is logged once, with what
//! happened to the key lately, and its key is made to be forgotten.
//!
//! # Why it does not cry wolf
//!
//! The fill was loaded before the hit, and so before the database was asked:
//! another row there was committed after the fill's, and is what a read may no
//! longer be behind.
//!
//! - **Writes under way.** A write is seen in the database only after its
//!   commit, and its quarantine destroyed the fill before that. A fill that
//!   was destroyed never comes back: a new one has another id, and is not
//!   looked for. So no number of healthy writes makes a mismatch, however they
//!   meet the comparison. A key under quarantine, or held, is served by nobody.
//! - **In process** a fill may live for as long as a message is on its way. It
//!   counts only where a PING sent after the database's answer was answered:
//!   then every message of the write has been applied, and what is still valid
//!   is wrong. Without that proof the look says nothing.
//! - **Rows without a version**, lists, and rows that were changed without a
//!   new version have no order. There the database is asked once more at the
//!   end of the delay, and the fill must differ from both answers, and the two
//!   agree: a row that went back to what it was, or whose form differs from
//!   read to read, is let go. Rows are compared as callers see them
//!   ([`Entity::difference`]), since a text may hide what differs, and without regard
//!   to order, since sets and queries without `ORDER BY` have none.
//! - **Rolled back.** The database never shows what was rolled back, and a
//!   fill that does is newer than both answers: that is a finding.
//! - **Replicas.** Reads through them are outside what the cache promises. A
//!   lagging one that is asked by the audit is older than the fill: by its
//!   version, or because the second answer differs from the first, and that
//!   is let go; one that lags longer than the delay is found, and rightly.
//! - **Stale-if-error.** A value that a strategy allows to be stale
//!   (`CacheStrategy::stale_if_error`) has no fill, and only hits of a fill are
//!   sampled.
//! - **Faults.** A failover, or a write that only the journal knows, excuses
//!   an old value for H, or P + H. It is counted at 100 ms, which is what that
//!   series is for, and forgiven before it is logged. Without a journal nothing
//!   bounds the second, and a writer that hangs between its commit and its
//!   release after its quarantine was lost bounds the other: both are found.
//!
//! # What it costs
//!
//! Nothing where it is off but a look whether it is. A comparison runs beside
//! the read and is bounded in number and rate (`audit.rs`); a database that
//! answers slower than a lease lasts is not waited for.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::answer::{Freshness, Tier};
use crate::insight::audit::{Audit, Begun, Delay};
use crate::read::ReadPath;

use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::likeness::number_of_text;
use crate::entity::lookup::{Asked, Found, Lookup};
use crate::entity::strategy::CacheStrategy;
use crate::insight::statistics::{Operation, Reason, raise};
use crate::local::Kept;
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

/// Where the fill is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Served(Tier),
    /// In process, and its message may still be on its way.
    Unproved,
    Gone,
}

impl<R: Source> ReadPath<R> {
    /// Hands a hit to the audit, where there is one.
    #[inline]
    pub(super) fn sample(
        &self,
        asked: Asked<'_, R::Entity>,
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
        asked: Asked<'_, R::Entity>,
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

    /// Where a value is that one fill brought.
    async fn whereabouts(&self, asked: Asked<'_, R::Entity>, fill: u64, since: Moment) -> Place {
        let in_process = self.hit(asked, Kept::fill) == Some(fill);
        let key = asked.key(self.tiers().namespace());
        if in_process && since < self.tiers().shard_of(&key).link.proved_at() {
            return Place::Served(Tier::Process);
        }
        let mark = self.mark(&key);
        if self.gate(&key, mark).is_none()
            && let Step::Serve(cached) = self.look(asked, &key, mark, Freshness::Any).await
            && cached.fill == fill
        {
            return Place::Served(Tier::Shared);
        }
        if in_process {
            Place::Unproved
        } else {
            Place::Gone
        }
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
        })
    }

    async fn run(self) {
        // Its end is what it counted.
        let _ = self.compare().await;
    }

    /// `None` where it ended early, because there was nothing to compare.
    async fn compare(&self) -> Option<()> {
        let cached = &self.cached;
        let first = self.ask().await?;
        let (asked, answered) = (Moment::now(), Instant::now());
        raise(&self.kind.statistics.audit_checks);
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
                // Served all the time that the database took.
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

    /// The tier that serves the fill; `Some(None)` where that is not proved,
    /// `None` where it has gone.
    async fn served(&self, since: Moment) -> Option<Option<Tier>> {
        let read = self.read_path()?;
        let asked = self.lookup.asked();
        match read.whereabouts(asked, self.fill, since).await {
            Place::Served(tier) => Some(Some(tier)),
            Place::Unproved => Some(None),
            Place::Gone => None,
        }
    }

    /// What the database has now; `None` if it does not say.
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
        let events = read.audit.as_ref()?.tell(key.hash());
        tracing::error!(
            kind = R::Entity::KIND,
            tier = tier.as_str(),
            delay = delay.as_str(),
            cached_version = version(&self.cached),
            database_version = version(row),
            events,
            "the cache serves what the database no longer has; the key is made to be forgotten, \
             and its name is logged at DEBUG"
        );
        tracing::debug!(key = key.as_str(), "the audit found this key wrong");
        read.cache.forget_key(&key, Reason::Audit).await;
        Some(())
    }

    fn is_same(&self, one: &Found<R::Entity>, other: &Found<R::Entity>) -> bool {
        is_same(&*self.kind.strategy, one, other)
    }
}

/// Of a single row that has one.
fn version<E: Entity>(found: &Found<E>) -> Option<u64> {
    match found {
        Found::Row(row) => row.as_ref()?.version(),
        Found::List(_) => None,
    }
}

/// Whether a version says so.
fn is_older(one: Option<u64>, other: Option<u64>) -> bool {
    matches!((one, other), (Some(own), Some(other)) if own < other)
}

/// Whether a caller sees the same in both, whatever the order of a list.
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

/// The rows of a list in the order of their keys.
fn by_key<E: Entity>(rows: &[Arc<E>]) -> Vec<(Key, &E)> {
    let mut rows: Vec<(Key, &E)> = rows
        .iter()
        .map(|row| (Asked::<E>::Id(row.id()).key(""), &**row))
        .collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows
}

/// Whether two rows that differ are written with the same parts in another
/// order. Where they are written in the same one, the difference is what their
/// text does not say.
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
    fn a_version_says_what_is_older_and_nothing_without_one() {
        assert!(is_older(Some(1), Some(2)));
        assert!(!is_older(Some(2), Some(2)));
        assert!(!is_older(None, Some(2)));
        assert!(!is_older(Some(1), None));
    }
}
