//! moka alone, on one node: the two modes of using it.

use std::convert::Infallible;

use aside_testkit::history::PendingWrite;
use moka::future::Cache;
use moka::ops::compute::Op;

use super::TTL;
use super::database::Database;
use super::workload::{Node, Refused};

/// `get_with` and `invalidate`, as moka's documentation shows them.
pub(super) struct Moka {
    database: Database,
    cache: Cache<u64, u64>,
}

impl Moka {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            database: database.clone(),
            cache: Cache::builder().time_to_live(TTL).build(),
        }
    }
}

impl Node for Moka {
    async fn read(&self, key: u64) -> Result<u64, Refused> {
        Ok(self.cache.get_with(key, self.database.read(key)).await)
    }

    async fn write(&self, key: u64, write: &PendingWrite) -> Result<(), Refused> {
        self.database.update(key, write).await;
        self.cache.invalidate(&key).await;
        Ok(())
    }
}

/// Loads and removals by `and_compute_with`, which serializes them by key: a
/// removal waits for a load that runs, and removes the loaded entry.
pub(super) struct MokaInTurns(pub(super) Moka);

impl Node for MokaInTurns {
    async fn read(&self, key: u64) -> Result<u64, Refused> {
        if let Some(version) = self.0.cache.get(&key).await {
            return Ok(version);
        }
        let load = async |resident: Option<moka::Entry<u64, u64>>| match resident {
            Some(_) => Ok::<_, Infallible>(Op::Nop),
            None => Ok(Op::Put(self.0.database.read(key).await)),
        };
        let computed = self.0.cache.entry(key).and_try_compute_with(load).await;
        let Ok(computed) = computed;
        let entry = computed.into_entry();
        let entry = entry.ok_or_else(|| Refused("nothing was put".to_owned()))?;
        Ok(entry.into_value())
    }

    async fn write(&self, key: u64, write: &PendingWrite) -> Result<(), Refused> {
        self.0.database.update(key, write).await;
        let entry = self.0.cache.entry(key);
        entry.and_compute_with(async |_| Op::Remove).await;
        Ok(())
    }
}
