//! How long a read waits for a load.
//!
//! A load is a task apart from its callers (`miss`), so a caller that waits no longer
//! takes nothing from it: it goes on and fills, as after a caller that was dropped.
//! The limit of the load itself is another (`source`).

use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use crate::insight::statistics::Operation;
use crate::read::ReadPath;
use crate::repository::{Overloaded, Source};

/// How long a read waits for a load, which goes on without it and fills the cache.
///
/// ```
/// use std::time::Duration;
/// use aside::{CachedRepository, Source, Timeouts};
///
/// # async fn example<R: Source>(heroes: CachedRepository<R>, id: aside::repository::Id<R>)
/// # -> Result<(), R::Error> {
/// let soon = Timeouts::new()
///     .soft(Duration::from_millis(50))
///     .hard(Duration::from_secs(1));
/// let hero = heroes.with_timeouts(soon).find_by_id(&id).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    soft: Option<Duration>,
    hard: Option<Duration>,
}

impl Timeouts {
    /// Without limits: a read waits as long as its load may take.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            soft: None,
            hard: None,
        }
    }

    /// After this time a read returns the older value that it may have, by the
    /// strategy's [`stale_if_error`]. Without one it waits on.
    ///
    /// [`stale_if_error`]: crate::CacheStrategy::stale_if_error
    #[must_use]
    pub const fn soft(self, limit: Duration) -> Self {
        Self {
            soft: Some(limit),
            ..self
        }
    }

    /// After this time a read fails with the source's error for
    /// [`Overloaded::StillLoading`].
    ///
    /// [`Overloaded::StillLoading`]: crate::repository::Overloaded::StillLoading
    #[must_use]
    pub const fn hard(self, limit: Duration) -> Self {
        Self {
            hard: Some(limit),
            ..self
        }
    }

    /// Returns these limits, and the other ones where these have none.
    fn or(self, other: Self) -> Self {
        Self {
            soft: self.soft.or(other.soft),
            hard: self.hard.or(other.hard),
        }
    }
}

/// The end of a wait.
pub(super) enum Waited<T> {
    Done(T),
    /// The soft limit is over, and there is an older value.
    Older,
    /// The hard limit is over.
    Over(Duration),
}

impl<R: Source> ReadPath<R> {
    /// Returns the limits of this caller, or else of the strategy.
    fn limits(&self, operation: Operation) -> Timeouts {
        if operation == Operation::WarmUp {
            return Timeouts::new();
        }
        let strategy = &self.kind.strategy;
        self.timeouts.or(Timeouts {
            soft: strategy.soft_timeout(),
            hard: strategy.hard_timeout(),
        })
    }

    /// Waits for a read within the limits; `has_older` returns true if an older value
    /// may be served instead.
    pub(super) async fn wait<T>(
        &self,
        operation: Operation,
        mut read: Pin<&mut impl Future<Output = T>>,
        has_older: impl Fn() -> bool,
    ) -> Waited<T> {
        let Timeouts { soft, hard } = self.limits(operation);
        let mut waited = Duration::ZERO;
        if let Some(soft) = soft.filter(|soft| hard.is_none_or(|hard| *soft < hard)) {
            if let Ok(done) = timeout(soft, read.as_mut()).await {
                return Waited::Done(done);
            }
            if has_older() {
                return Waited::Older;
            }
            waited = soft;
        }
        let Some(hard) = hard else {
            return Waited::Done(read.await);
        };
        match timeout(hard.saturating_sub(waited), read).await {
            Ok(done) => Waited::Done(done),
            Err(_) => Waited::Over(hard),
        }
    }

    /// Returns the error of a read that has waited this long.
    pub(super) fn still_loading(&self, limit: Duration) -> R::Error {
        self.tiers().statistics.error("read_timed_out");
        self.source.overloaded(Overloaded::StillLoading(limit))
    }
}
