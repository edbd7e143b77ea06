//! The tiers and the connection, shared by every cached repository.

use std::sync::Arc;

use crate::config::CacheConfig;
use crate::write::Write;

/// The tiers and the connection. Cloning shares them.
#[derive(Clone, Debug)]
pub struct CacheService(Arc<CacheConfig>);

impl CacheService {
    /// Connects; a Redis that is away gives a service all the same.
    pub async fn connect(config: CacheConfig) -> Self {
        Self(Arc::new(config))
    }

    /// A write in a transaction of the caller's own.
    #[must_use]
    pub fn write(&self) -> Write {
        Write::uncached()
    }
}
