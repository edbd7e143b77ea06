//! The audit of queries: a sample of the hits, compared with a load.
//!
//! It is the audit of rows (`read/audit.rs`, which has the argument), for a result
//! without a version. If the load's result differs, the same fill is looked up again
//! after a while, and if it is still served, the query is loaded once more. It is a
//! mismatch only if both loads agree: a result that no order determines differs from
//! one load to the next.
//!
//! A healthy write cannot cause one: it destroyed the stamp of the fill's dependency
//! before the database showed the new rows. A forgotten dependency does.

use std::sync::Arc;

use tokio::time::Instant;

use crate::answer::Tier;
use crate::entity::lookup::{Found, LookupRef};
use crate::insight::audit::{Begun, Delay};
use crate::insight::statistics::{Reason, increment};
use crate::query::asked::Asked;
use crate::query::path::{Cacheable, Load, QueryPath};
use crate::read::look::Step;
use crate::read::source::catch;
use crate::runtime::clock::Moment;

/// One comparison. It keeps no service alive while it waits.
struct Check<T: Send + Sync + 'static, L> {
    read: WeakPath<T>,
    asked: Arc<Asked>,
    load: L,
    fill: u64,
    cached: Arc<T>,
}

struct WeakPath<T: Send + Sync + 'static> {
    cache: crate::service::WeakService,
    kind: Arc<crate::query::kind::QueryKind<T>>,
}

impl<T: Cacheable> QueryPath<T> {
    /// Compares a hit that was drawn, in a task.
    #[cold]
    pub(super) fn compare<X: Send + Sync + 'static>(
        &self,
        asked: &Arc<Asked>,
        load: impl Load<T, X>,
        (fill, value): (u64, &Arc<T>),
    ) {
        let Some(audit) = &self.tiers().audit else {
            return;
        };
        let check = || Check {
            read: WeakPath {
                cache: self.cache.downgrade(),
                kind: Arc::clone(&self.kind),
            },
            asked: Arc::clone(asked),
            load,
            fill,
            cached: Arc::clone(value),
        };
        let begun = audit.begin(fill, || {
            let check = check();
            async move {
                // Its results are the counters.
                let _ = check.run::<X>().await;
            }
        });
        if begun == Begun::Dropped {
            self.kind.statistics.audit_dropped.count(0);
        }
    }

    /// Returns a result as a text, if it has one.
    pub(super) fn text(&self, value: &T) -> Option<String> {
        (self.kind.codec?.encode)(value).ok()
    }

    /// Runs the closure once more. Returns its result as a text, `None` if it fails.
    pub(super) async fn reload<X: Send + Sync + 'static>(
        &self,
        asked: &Asked,
        load: impl Load<T, X>,
    ) -> Option<String> {
        let patience = self.tiers().config.lease_ttl;
        let load = catch(self.load(asked, load));
        match tokio::time::timeout(patience, load).await {
            Ok(Ok(Ok(Found::Row(Some(value))))) => self.text(&value),
            _ => None,
        }
    }

    /// Returns the tier that serves the fill: `Some(None)` without a proof, `None` if
    /// no tier does.
    pub(super) async fn serves(
        &self,
        asked: &Asked,
        fill: u64,
        since: Moment,
    ) -> Option<Option<Tier>> {
        let (generations, epochs) = (&self.tiers().generations, &self.tiers().epochs);
        let local = self.kind.local.as_ref().zip(asked.params.as_ref());
        let local = local.and_then(|(local, params)| {
            local.get(LookupRef::Id(params), |entry| {
                let kept = entry.row_ref()?;
                let valid = kept.is_valid(asked.identity, generations, epochs);
                (valid && entry.fill() == fill).then_some(())
            })
        });
        let is_local = local.flatten().is_some();
        if is_local && asked.is_proved_since(self.tiers(), since) {
            return Some(Some(Tier::Local));
        }
        let context = self.context(asked);
        if self.gate(asked, &context).is_none()
            && let (Step::Serve(cached), _) = self.look(asked, context, 0).await
            && cached.fill == fill
        {
            return Some(Some(Tier::Shared));
        }
        is_local.then_some(None)
    }
}

/// Returns true if two results are the same, apart from the order within maps.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let value = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || value(one).is_some_and(|one| Some(one) == value(other))
}

impl<T: Cacheable, L> Check<T, L> {
    async fn run<X: Send + Sync + 'static>(self) -> Option<()>
    where
        L: Load<T, X>,
    {
        let first = self.ask().await?;
        let (asked, answered) = (Moment::now(), Instant::now());
        increment(&self.read.kind.statistics.audit_checks);
        let cached = self.path()?.text(&self.cached)?;
        if is_same(&cached, &first) {
            return None;
        }
        let mut told = false;
        for delay in Delay::ALL {
            let wait = self.path()?.tiers().audit.as_ref()?.wait(delay);
            tokio::time::sleep_until(answered + wait).await;
            if self
                .path()?
                .serves(&self.asked, self.fill, asked)
                .await?
                .is_none()
            {
                continue;
            }
            let second = self.ask().await?;
            if is_same(&second, &cached) {
                return None;
            }
            let served = self.path()?.serves(&self.asked, self.fill, asked).await?;
            let (Some(tier), true) = (served, is_same(&second, &first)) else {
                continue;
            };
            self.read.kind.statistics.audit_mismatch(delay);
            if !told && self.path()?.tiers().audit.as_ref()?.is_finding(delay) {
                told = true;
                self.report(delay, tier).await?;
            }
        }
        Some(())
    }

    fn path(&self) -> Option<QueryPath<T>> {
        Some(QueryPath {
            cache: self.read.cache.upgrade()?,
            kind: Arc::clone(&self.read.kind),
        })
    }

    /// Runs the closure. Returns its result as a text, `None` if it fails.
    async fn ask<X: Send + Sync + 'static>(&self) -> Option<String>
    where
        L: Load<T, X>,
    {
        let path = self.path()?;
        let text = path.reload(&self.asked, self.load.clone()).await;
        if text.is_none() {
            path.tiers().statistics.error("audit_unanswered");
        }
        text
    }

    async fn report(&self, delay: Delay, tier: Tier) -> Option<()> {
        let path = self.path()?;
        let key = &self.asked.key;
        let tiers = path.tiers();
        tracing::error!(
            query = path.kind.name,
            tier = tier.as_str(),
            delay = delay.as_str(),
            events = tiers.trail.tell(key.hash()),
            "the cache serves a result that the database no longer has; it is invalidated, and \
             its key is logged at DEBUG. A dependency may be missing"
        );
        tracing::debug!(key = key.as_str(), "the audit found this key wrong");
        path.cache.invalidate_key(key, Reason::Audit).await;
        Some(())
    }
}
