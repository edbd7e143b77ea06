//! aside in its usual form: the caching decorator around a repository.

use std::convert::Infallible;
use std::sync::Arc;

use aside::{CacheConfig, CacheService, CachedRepository, Entity, Freshness, Repository, Source};
use aside::{Secret, Write};
use aside_testkit::history::PendingWrite;
use serde::{Deserialize, Serialize};

use super::TTL;
use super::database::Database;
use super::workload::{Node, Refused};

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "row", list_all = false)]
pub(super) struct Counted {
    #[entity(id)]
    id: u64,
    #[entity(version)]
    version: u64,
}

impl Source for Database {
    type Entity = Counted;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u64) -> Result<Option<Arc<Counted>>, Infallible> {
        let version = self.read(*id).await;
        Ok(Some(Arc::new(Counted { id: *id, version })))
    }

    async fn find_many(&self, _: &[u64]) -> Result<Vec<Option<Arc<Counted>>>, Infallible> {
        unreachable!("rows are read one by one")
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Infallible {
        unreachable!("Redis is never down")
    }
}

impl Repository for Database {
    async fn save_in(&self, _: Counted, _: &mut Write) -> Result<Arc<Counted>, Infallible> {
        unreachable!("all rows are there from the start")
    }

    async fn update_in(
        &self,
        row: Counted,
        write: &mut Write,
    ) -> Result<Option<Arc<Counted>>, Infallible> {
        let transaction = self.begin(row.id).await;
        let version = transaction.before;
        let before = Counted { version, ..row };
        let after = Counted {
            version: version + 1,
            ..before
        };
        write.updated(&before, &after);
        let _ = write.before_commit().await;
        transaction.commit().await;
        Ok(Some(Arc::new(after)))
    }

    async fn delete_in(&self, _: &u64, _: &mut Write) -> Result<bool, Infallible> {
        unreachable!("no row is deleted")
    }
}

pub(super) struct Aside {
    rows: CachedRepository<Database>,
    freshness: Freshness,
}

impl Aside {
    pub(super) async fn connect(database: &Database, url: &str, freshness: Freshness) -> Self {
        let config = CacheConfig {
            redis_url: Secret::new(url),
            default_ttl: TTL,
            ..CacheConfig::default()
        };
        let cache = CacheService::connect(config).await;
        Self {
            rows: CachedRepository::new(database.clone(), &cache),
            freshness,
        }
    }
}

impl Node for Aside {
    async fn read(&self, key: u64) -> Result<u64, Refused> {
        let Ok(answer) = self.rows.find_by_id_with(&key, self.freshness).await;
        let found = answer.value;
        found
            .map(|row| row.version)
            .ok_or_else(|| Refused("no row".to_owned()))
    }

    async fn write(&self, key: u64, write: &PendingWrite) -> Result<(), Refused> {
        let row = Counted {
            id: key,
            version: 0,
        };
        let Ok(written) = self.rows.update(row).await;
        let written = written.ok_or_else(|| Refused("no row".to_owned()))?;
        write.learned(written.version);
        Ok(())
    }
}
