//! The row that is measured, and a database in memory that counts its reads.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aside::{
    CacheConfig, CacheService, CachedRepository, Entity, Repository, Rows, Secret, Source, Write,
};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A hero of about 600 bytes in JSON, like the Tale Generator's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
pub(crate) struct Hero {
    #[entity(id)]
    pub(crate) id: Uuid,
    #[entity(index)]
    pub(crate) name: String,
    pub(crate) appearance: String,
}

impl Hero {
    pub(crate) fn new(number: u64, bytes: usize) -> Self {
        Self {
            id: id(number),
            name: format!("Hero {number:08}"),
            appearance: "a green cloak ".repeat(bytes / 14),
        }
    }
}

/// Returns ids that are spread like random ones, and the same in every run.
pub(crate) fn id(number: u64) -> Uuid {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Uuid::from_u64_pair(mixed, mixed.rotate_left(31) ^ number)
}

/// A database in memory. Clones share it.
pub(crate) struct InMemory<E>(Arc<Kept<E>>);

/// The heroes that most suites read.
pub(crate) type Heroes = InMemory<Hero>;

struct Kept<E> {
    rows: RwLock<HashMap<Uuid, Arc<E>>>,
    /// The duration of a query.
    delay: Duration,
    reads: AtomicU64,
}

impl Heroes {
    pub(crate) fn of(count: u64, bytes: usize, delay: Duration) -> Self {
        Self::holding((0..count).map(|number| Hero::new(number, bytes)), delay)
    }
}

impl<E: Entity<Id = Uuid>> InMemory<E> {
    pub(crate) fn holding(rows: impl IntoIterator<Item = E>, delay: Duration) -> Self {
        let rows = rows.into_iter().map(|row| (*row.id(), Arc::new(row)));
        Self(Arc::new(Kept {
            rows: RwLock::new(rows.collect()),
            delay,
            reads: AtomicU64::new(0),
        }))
    }

    /// Returns how many queries were served.
    pub(crate) fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }

    async fn read(&self) {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        if !self.0.delay.is_zero() {
            tokio::time::sleep(self.0.delay).await;
        }
    }
}

impl<E> Clone for InMemory<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Entity<Id = Uuid>> Source for InMemory<E> {
    type Entity = E;
    type Error = Infallible;

    async fn find_by_id(&self, id: &Uuid) -> Result<Option<Arc<E>>, Infallible> {
        self.read().await;
        Ok(self.0.rows.read().get(id).cloned())
    }

    async fn find_many(&self, ids: &[Uuid]) -> Result<Vec<Option<Arc<E>>>, Infallible> {
        self.read().await;
        let rows = self.0.rows.read();
        Ok(ids.iter().map(|id| rows.get(id).cloned()).collect())
    }

    async fn find_by(&self, index: &E::Index) -> Result<Rows<E>, Infallible> {
        self.read().await;
        let stands_there = |row: &&Arc<E>| {
            let mut stands = false;
            row.indexes(&mut |other| stands |= other == *index);
            stands
        };
        let rows = self.0.rows.read();
        Ok(rows.values().filter(stands_there).cloned().collect())
    }

    async fn list_all(&self) -> Result<Rows<E>, Infallible> {
        self.read().await;
        Ok(self.0.rows.read().values().cloned().collect())
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Infallible {
        unreachable!("the database of a measurement is never away")
    }
}

impl<E: Entity<Id = Uuid>> Repository for InMemory<E> {
    async fn save_in(&self, row: E, write: &mut Write) -> Result<Arc<E>, Infallible> {
        write.created(&row);
        let _ = write.before_commit().await;
        let row = Arc::new(row);
        self.0.rows.write().insert(*row.id(), Arc::clone(&row));
        Ok(row)
    }

    async fn update_in(&self, row: E, write: &mut Write) -> Result<Option<Arc<E>>, Infallible> {
        let before = self.0.rows.read().get(row.id()).cloned();
        let Some(before) = before else {
            return Ok(None);
        };
        write.updated(&*before, &row);
        let _ = write.before_commit().await;
        let row = Arc::new(row);
        self.0.rows.write().insert(*row.id(), Arc::clone(&row));
        Ok(Some(row))
    }

    async fn delete_in(&self, id: &Uuid, write: &mut Write) -> Result<bool, Infallible> {
        let before = self.0.rows.read().get(id).cloned();
        let Some(before) = before else {
            return Ok(false);
        };
        write.deleted(&*before);
        let _ = write.before_commit().await;
        Ok(self.0.rows.write().remove(id).is_some())
    }
}

/// Returns a cache in front of the heroes, which starts empty.
pub(crate) async fn cached(
    heroes: &Heroes,
    url: &str,
    l1_capacity_bytes: usize,
) -> CachedRepository<Heroes> {
    let config = CacheConfig {
        redis_url: Secret::new(url),
        l1_capacity_bytes,
        ..CacheConfig::default()
    };
    cached_as(heroes, config).await
}

/// The same with these settings.
pub(crate) async fn cached_as(heroes: &Heroes, config: CacheConfig) -> CachedRepository<Heroes> {
    let cache = CacheService::connect(config).await;
    CachedRepository::new(heroes.clone(), &cache)
}
