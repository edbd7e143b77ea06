//! The strict mode of tests: every hit of a query is compared with a load, and a
//! difference is a panic.
//!
//! It is one comparison of the audit, at once and before the caller has its result. A
//! write in between is no difference: it has destroyed the fill. A result that no order
//! determines differs from one load to the next, and is none either.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use crate::query::asked::Asked;
use crate::query::audit::is_same;
use crate::query::path::{Cacheable, Load, QueryPath};
use crate::runtime::clock::Moment;

/// How long a message may take: longer than any staleness bound of a test.
const PATIENCE: Duration = Duration::from_secs(10);

impl<T: Cacheable> QueryPath<T> {
    /// Compares a hit with a load.
    ///
    /// # Panics
    /// If the hit is still served and the database has another result.
    pub(super) async fn compare_now<X: Send + Sync + 'static>(
        &self,
        asked: &Asked,
        load: impl Load<T, X>,
        (fill, value): (u64, &Arc<T>),
    ) {
        let Some(cached) = self.text(value) else {
            return;
        };
        let Some(first) = self.reload(asked, load.clone()).await else {
            return;
        };
        if is_same(&first, &cached) || !self.is_still_served(asked, fill).await {
            return;
        }
        let second = self.reload(asked, load).await;
        let is_repeated = second.is_some_and(|second| is_same(&second, &first));
        if !is_repeated || !self.is_still_served(asked, fill).await {
            return;
        }
        let names: Vec<&str> = asked.names().collect();
        panic!(
            "the query `{}` with the parameters {} is served {cached}, and a load returns {first}. \
             It names {names:?}: name every row, list and kind that its statement reads, and put \
             into its parameters everything that the statement uses",
            self.kind.name,
            asked
                .params
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        );
    }

    /// Returns true if a fill is served after every message until now was applied.
    async fn is_still_served(&self, asked: &Asked, fill: u64) -> bool {
        let (since, begun) = (Moment::now(), Instant::now());
        while begun.elapsed() < PATIENCE {
            match self.serves(asked, fill, since).await {
                Some(Some(_)) => return true,
                None => return false,
                Some(None) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        false
    }
}

impl<T: Cacheable> QueryPath<T> {
    /// Returns true if this hit is to be compared: drawn by the audit, or in a test.
    pub(super) fn watches(&self) -> bool {
        // A value of this process alone has no text to compare.
        if self.kind.codec.is_none() {
            return false;
        }
        let audit = self.tiers().audit.as_ref();
        self.tiers().is_strict.load(Relaxed) || audit.is_some_and(|audit| audit.draws())
    }

    /// Compares a hit that [`watches`](Self::watches) has drawn.
    pub(super) async fn watch<X: Send + Sync + 'static>(
        &self,
        asked: &Arc<Asked>,
        load: impl Load<T, X>,
        hit: (u64, &Arc<T>),
    ) {
        match self.tiers().is_strict.load(Relaxed) {
            true => self.compare_now(asked, load, hit).await,
            false => self.compare(asked, load, hit),
        }
    }
}
