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
//!   read to read, is let go. Rows are compared by what their codec writes, as
//!   JSON without regard to order, since sets and queries without `ORDER BY`
//!   have none.
//! - **Rolled back.** The database never shows what was rolled back, and a
//!   fill that does is newer than both answers: that is a finding.
//! - **Replicas.** Reads through them are outside what the cache promises. A
//!   lagging one that is asked by the audit is older than the fill: by its
//!   version, or because the second answer differs from the first, and that
//!   is let go; one that lags longer than the delay is found, and rightly.
//! - **Stale on purpose.** No strategy can ask for it yet. Such an answer would
//!   be no hit, and only hits are sampled.
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

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::Value;
use tokio::time::Instant;

use crate::answer::{Freshness, Tier};
use crate::audit::{Audit, Begun, Delay};
use crate::cached_repository::CachedRepository;
use crate::cached_repository::load::load_from;
use crate::cached_repository::read::Looked;
use crate::clock::Moment;
use crate::entity::Entity;
use crate::kind::{Kind, KindFlights};
use crate::lookup::{Asked, Found, Lookup};
use crate::process::Kept;
use crate::repository::Repository;
use crate::service::WeakService;
use crate::statistics::{Operation, Reason, raise};
use crate::strategy::CacheStrategy;

/// One comparison. It keeps no service alive.
struct Check<R: Repository> {
    inner: Arc<R>,
    cache: WeakService,
    kind: Arc<Kind<R::Entity>>,
    flights: Arc<KindFlights<R::Entity, R::Error>>,
    lookup: Lookup<R::Entity>,
    fill: u64,
    cached: Found<R::Entity>,
}

/// An answer as far as it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    /// Of a single row that has one.
    version: Option<u64>,
    content: u64,
}

/// Where the fill is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Served(Tier),
    /// In process, and its message may still be on its way.
    Unproved,
    Gone,
}

impl<R: Repository> CachedRepository<R> {
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
            inner: Arc::clone(&self.inner),
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
        if in_process && since < self.tiers().link.proved_at() {
            return Place::Served(Tier::Process);
        }
        let key = asked.key(self.tiers().namespace());
        let mark = self.mark(&key);
        if self.closed(&key, mark).is_none()
            && let Looked::Hit(stored) = self.look(asked, &key, mark, Freshness::Any).await
            && stored.fill == fill
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

impl<R: Repository> Check<R> {
    fn repository(&self) -> Option<CachedRepository<R>> {
        let cache = self.cache.upgrade()?;
        Some(CachedRepository {
            inner: Arc::clone(&self.inner),
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
        let cached = self.print(&self.cached)?;
        let first = self.ask().await?;
        let (asked, answered) = (Moment::now(), Instant::now());
        raise(&self.kind.statistics.audit_checks);
        if cached == first {
            return None;
        }
        let mut told = false;
        for delay in Delay::ALL {
            let wait = self.repository()?.audit?.wait(delay);
            tokio::time::sleep_until(answered + wait).await;
            let Some(tier) = self.served(asked).await? else {
                continue;
            };
            if !cached.is_older_than(first) {
                let second = self.ask().await?;
                if second == cached {
                    return None;
                }
                // Served all the time that the database took.
                if second != first || self.served(asked).await?.is_none() {
                    continue;
                }
            }
            self.kind.statistics.audit_mismatch(delay);
            if !told && self.repository()?.audit?.is_finding(delay) {
                told = true;
                self.report(delay, tier, cached, first).await?;
            }
        }
        Some(())
    }

    /// The tier that serves the fill; `Some(None)` where that is not proved,
    /// `None` where it has gone.
    async fn served(&self, since: Moment) -> Option<Option<Tier>> {
        let repository = self.repository()?;
        let asked = self.lookup.asked();
        match repository.whereabouts(asked, self.fill, since).await {
            Place::Served(tier) => Some(Some(tier)),
            Place::Unproved => Some(None),
            Place::Gone => None,
        }
    }

    /// What the database has now; `None` if it does not say.
    async fn ask(&self) -> Option<Print> {
        let operation = match &self.lookup {
            Lookup::Id(_) => Operation::FindById,
            Lookup::Index(_) => Operation::FindBy,
            Lookup::All => Operation::ListAll,
        };
        let patience = self.cache.upgrade()?.config().lease_ttl;
        let load = load_from(&*self.inner, &self.kind, &self.lookup, operation);
        let load = AssertUnwindSafe(load).catch_unwind();
        match tokio::time::timeout(patience, load).await {
            Ok(Ok(Ok(found))) => self.print(&found),
            _ => {
                let cache = self.cache.upgrade()?;
                cache.tiers().statistics.error("audit_unanswered");
                None
            }
        }
    }

    async fn report(&self, delay: Delay, tier: Tier, cached: Print, row: Print) -> Option<()> {
        let repository = self.repository()?;
        let key = self.lookup.asked().key(repository.tiers().namespace());
        let events = repository.audit.as_ref()?.tell(key.hash());
        tracing::error!(
            kind = R::Entity::KIND,
            tier = tier.as_str(),
            delay = delay.as_str(),
            cached_version = cached.version,
            database_version = row.version,
            events,
            "the cache serves what the database no longer has; the key is made to be forgotten, \
             and its name is logged at DEBUG"
        );
        tracing::debug!(key = key.as_str(), "the audit found this key wrong");
        repository.cache.forget_key(&key, Reason::Audit).await;
        Some(())
    }

    /// `None` for what has no form in text.
    fn print(&self, found: &Found<R::Entity>) -> Option<Print> {
        let strategy = &*self.kind.strategy;
        Some(match found {
            Found::Row(None) => Print {
                version: None,
                content: 0,
            },
            Found::Row(Some(row)) => Print {
                version: row.version(),
                content: content(strategy, row)?,
            },
            Found::List(rows) => {
                let rows = rows.iter().map(|row| content(strategy, row));
                Print {
                    version: None,
                    content: unordered(rows.collect::<Option<Vec<_>>>()?),
                }
            }
        })
    }
}

impl Print {
    /// Whether a version says so.
    fn is_older_than(self, other: Self) -> bool {
        matches!((self.version, other.version), (Some(own), Some(other)) if own < other)
    }
}

/// A number for what a row's codec writes, the same for the same row.
fn content<E: Entity>(strategy: &dyn CacheStrategy<E>, row: &E) -> Option<u64> {
    let text = strategy.codec().encode(row).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    Some(number_of(&value))
}

fn number_of(value: &Value) -> u64 {
    match value {
        Value::Array(items) => unordered(items.iter().map(number_of)),
        Value::Object(fields) => unordered(fields.iter().map(|(name, value)| {
            let mut hasher = DefaultHasher::new();
            (name, number_of(value)).hash(&mut hasher);
            hasher.finish()
        })),
        plain => hash_of(&plain.to_string()),
    }
}

/// A number for several, whatever their order.
fn unordered(numbers: impl IntoIterator<Item = u64>) -> u64 {
    let (mut sum, mut count) = (0u64, 0u64);
    for number in numbers {
        // Hashed once more, or the sums of what two rows have would say the
        // same of what they have exchanged.
        sum = sum.wrapping_add(hash_of(&number));
        count += 1;
    }
    hash_of(&(count, sum))
}

fn hash_of(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_makes_no_difference_and_content_does() {
        let number = |value: Value| number_of(&value);
        assert_eq!(
            number(json!({"a": [1, 2], "b": 3})),
            number(json!({"b": 3, "a": [2, 1]}))
        );
        for other in [
            json!({"a": [1, 2], "b": 4}),
            json!({"a": [1, 2, 2], "b": 3}),
            json!({"a": [1], "b": 3}),
            json!({"a": 3, "b": [1, 2]}),
            json!({"a": ["1", 2], "b": 3}),
            json!([["a", [1, 2]], ["b", 3]]),
        ] {
            assert_ne!(
                number(json!({"a": [1, 2], "b": 3})),
                number(other.clone()),
                "{other}"
            );
        }
        // Two rows that exchange a field are not what they were.
        assert_ne!(
            number(json!([{"a": 1, "b": 1}, {"a": 2, "b": 2}])),
            number(json!([{"a": 1, "b": 2}, {"a": 2, "b": 1}]))
        );
    }

    #[test]
    fn a_version_says_what_is_older_and_nothing_without_one() {
        let print = |version| Print {
            version,
            content: 0,
        };
        assert!(print(Some(1)).is_older_than(print(Some(2))));
        assert!(!print(Some(2)).is_older_than(print(Some(2))));
        assert!(!print(None).is_older_than(print(Some(2))));
        assert!(!print(Some(1)).is_older_than(print(None)));
    }
}
