//! The strategy of lists of ids: that of their rows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::entity::Entity;
use crate::entity::listed_id::ListedId;
use crate::entity::strategy::CacheStrategy;

/// The strategy of the rows, for their ids.
pub(super) struct OfIds<E: Entity>(pub(super) Arc<dyn CacheStrategy<E>>);

impl<E: Entity> CacheStrategy<ListedId<E>> for OfIds<E> {
    fn default_ttl(&self) -> Option<Duration> {
        self.0.default_ttl()
    }

    fn negative_ttl(&self) -> Duration {
        self.0.negative_ttl()
    }

    fn ids_are_exact(&self) -> bool {
        self.0.ids_are_exact()
    }

    fn local_ttl(&self) -> Option<Duration> {
        self.0.local_ttl()
    }

    fn jitter(&self) -> f64 {
        self.0.jitter()
    }

    fn early_refresh(&self) -> Option<f64> {
        self.0.early_refresh()
    }

    fn cache_on_read(&self) -> bool {
        self.0.cache_on_read()
    }

    fn local_share(&self) -> u32 {
        self.0.local_share()
    }

    fn stale_if_error(&self) -> Option<Duration> {
        self.0.stale_if_error()
    }

    fn load_timeout(&self) -> Option<Duration> {
        self.0.load_timeout()
    }

    fn soft_timeout(&self) -> Option<Duration> {
        self.0.soft_timeout()
    }

    fn hard_timeout(&self) -> Option<Duration> {
        self.0.hard_timeout()
    }

    fn list_cap_bytes(&self) -> usize {
        self.0.list_cap_bytes()
    }
}

impl<E: Entity> fmt::Debug for OfIds<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("OfIds").field(&self.0).finish()
    }
}
