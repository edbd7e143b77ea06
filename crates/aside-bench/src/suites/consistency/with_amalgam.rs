//! amalgam-cache in its strictest setting.

use std::convert::Infallible;
use std::sync::Arc;

use amalgam::provider::{
    JsonSerializer, RedisBackplane, RedisDistributedCache, RedisDistributedLocker,
};
use amalgam::{Cache, EntryOptions};
use aside_testkit::history::PendingWrite;

use super::TTL;
use super::database::Database;
use super::workload::{Node, Refused};
use crate::error::Wrong;
use crate::peers::wrong;

pub(super) struct Amalgam {
    database: Database,
    cache: Cache<u64>,
}

impl Amalgam {
    /// `strict()` chooses fenced leases, continuity of the backplane and a
    /// confirmed subscription. Writes to Redis and the backplane run in the
    /// foreground, and their errors are not hidden.
    pub(super) async fn connect(
        database: &Database,
        url: &str,
        node: usize,
    ) -> Result<Self, Wrong> {
        let shared = RedisDistributedCache::connect(url).await.map_err(wrong)?;
        let backplane = RedisBackplane::connect(url).await.map_err(wrong)?;
        let locker = RedisDistributedLocker::connect(url).await.map_err(wrong)?;
        let options = EntryOptions::new(TTL)
            .with_allow_background_distributed_operations(false)
            .with_allow_background_backplane_operations(false)
            .with_rethrow_distributed_exceptions(true)
            .with_rethrow_distributed_locker_exceptions(true)
            .with_rethrow_backplane_exceptions(true);
        let cache = Cache::builder()
            .strict()
            .default_options(options)
            .distributed(Arc::new(shared))
            .serializer(Arc::new(JsonSerializer))
            .backplane(Arc::new(backplane))
            .distributed_locker(Arc::new(locker))
            .instance_id(format!("node-{node}"))
            .try_build_ready()
            .await;
        Ok(Self {
            database: database.clone(),
            cache: cache.map_err(wrong)?,
        })
    }
}

impl Node for Amalgam {
    async fn read(&self, key: u64) -> Result<u64, Refused> {
        let database = self.database.clone();
        let load = move |_| async move { Ok::<_, Infallible>(database.read(key).await) };
        let found = self.cache.get_or_set(format!("row:{key}"), load).await;
        found.map_err(|error| Refused(error.to_string()))
    }

    async fn write(&self, key: u64, write: &PendingWrite) -> Result<(), Refused> {
        self.database.update(key, write).await;
        let removal = self.cache.remove(format!("row:{key}")).with_receipt().await;
        let receipt = removal.map_err(|error| Refused(error.to_string()))?;
        let report = receipt.wait().await;
        report.map(drop).map_err(|error| Refused(error.to_string()))
    }
}
