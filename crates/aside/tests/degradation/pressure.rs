//! The load on the database without Redis, and the size of the local tier.

use std::sync::Arc;

use aside::{Entity, Write, repository::Overloaded};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::library::Refusal;
use super::*;

/// An instance without Redis.
async fn without_redis(library: &Library, source_concurrency: usize) -> Instance {
    let redis = redis();
    let config = CacheConfig {
        source_concurrency,
        ..at(&redis.url())
    };
    redis.kill();
    Instance::start(config, library).await
}

#[tokio::test]
async fn without_redis_64_readers_of_one_key_make_at_most_two_loads() {
    let library = Library::of(1);
    let instance = without_redis(&library, 64).await;
    library.shut();
    let mut readers = JoinSet::new();
    for _ in 0..64 {
        let books = instance.books.clone();
        readers.spawn(async move { books.find_by_id(&1).await });
    }
    eventually(EVENTUALLY, "a load", async || library.loading() > 0).await;
    library.open();
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap().unwrap().unwrap().id, 1);
    }
    assert!(library.loads() <= 2, "{} loads", library.loads());
}

#[tokio::test]
async fn without_redis_no_more_loads_run_than_permitted() {
    let library = Library::of(200);
    let instance = without_redis(&library, 4).await;
    library.shut();
    let mut readers = JoinSet::new();
    for id in 1..=200 {
        let books = instance.books.clone();
        readers.spawn(async move { books.find_by_id(&id).await });
    }
    eventually(EVENTUALLY, "four loads", async || library.loading() == 4).await;
    library.open();
    while let Some(read) = readers.join_next().await {
        assert!(read.unwrap().unwrap().is_some());
    }
    assert_eq!(library.loads(), 200);
    assert_eq!(library.most_loading(), 4);
}

#[tokio::test]
async fn a_load_without_a_permit_returns_the_repositorys_error() {
    let library = Library::of(3);
    let instance = without_redis(&library, 1).await;
    library.shut();
    let books = instance.books.clone();
    let stuck = tokio::spawn(async move { books.find_by_id(&1).await });
    eventually(EVENTUALLY, "a load", async || library.loading() == 1).await;
    let (one, many) = tokio::join!(
        instance.books.find_by_id(&2),
        instance.books.find_many(&[2, 3])
    );
    assert_eq!(one, Err(Refusal::Overloaded(Overloaded::TooManyLoads)));
    assert_eq!(many, Err(Refusal::Overloaded(Overloaded::TooManyLoads)));
    assert!(instance.errors("source_overloaded") >= 2);
    library.open();
    assert!(stuck.await.unwrap().unwrap().is_some());
    // The permit was returned.
    assert_eq!(instance.tier(2).await, Tier::Source);
}

#[tokio::test]
async fn local_entries_of_all_kinds_together_stay_within_the_limit() {
    let redis = redis();
    let library = Library::of(300);
    let capacity = 32 * 1024;
    let config = CacheConfig {
        l1_capacity_bytes: capacity,
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &library).await;
    let weight = || {
        let kinds = instance.cache.stats().kinds;
        kinds.iter().map(|kind| kind.l1_bytes).sum::<u64>()
    };
    let ids: Vec<u32> = (1..=300).collect();
    for _ in 0..2 {
        for id in &ids {
            instance.books.find_by_id(id).await.unwrap();
            assert!(weight() <= capacity as u64, "{}", weight());
        }
        instance.books.find_many(&ids).await.unwrap();
        instance.books.list_all().await.unwrap();
    }
    assert!(weight() > capacity as u64 / 2, "hardly used: {}", weight());

    // A second kind uses the same memory.
    let leaflets = CachedRepository::new(Leaflets, &instance.cache);
    for id in &ids {
        leaflets.find_by_id(id).await.unwrap();
        instance.books.find_by_id(id).await.unwrap();
        assert!(weight() <= capacity as u64, "{}", weight());
    }
    let kinds = instance.cache.stats().kinds;
    let leaflets = kinds.iter().find(|kind| kind.kind == "leaflet").unwrap();
    assert!(leaflets.l1_bytes > capacity as u64 / 8, "{leaflets:?}");
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "leaflet", list_all = false)]
struct Leaflet {
    #[entity(id)]
    id: u32,
}

/// A repository with every possible leaflet; read only.
struct Leaflets;

impl Source for Leaflets {
    type Entity = Leaflet;
    type Error = Refusal;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Arc<Leaflet>>, Refusal> {
        Ok(Some(Arc::new(Leaflet { id: *id })))
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Arc<Leaflet>>>, Refusal> {
        let leaflet = |id: &u32| Some(Arc::new(Leaflet { id: *id }));
        Ok(ids.iter().map(leaflet).collect())
    }

    fn overloaded(&self, why: aside::repository::Overloaded) -> Refusal {
        Refusal::Overloaded(why)
    }
}

impl Repository for Leaflets {
    async fn save_in(&self, row: Leaflet, _: &mut Write) -> Result<Arc<Leaflet>, Refusal> {
        Ok(Arc::new(row))
    }

    async fn update_in(&self, _: Leaflet, _: &mut Write) -> Result<Option<Arc<Leaflet>>, Refusal> {
        Ok(None)
    }

    async fn delete_in(&self, _: &u32, _: &mut Write) -> Result<bool, Refusal> {
        Ok(false)
    }
}

/// Twenty writes of a whole kind, beside another program's keys.
#[tokio::test]
async fn a_kind_invalidated_often_is_swept_once_at_a_time() {
    let redis = redis();
    let strangers = "for i = 1, 100000 do redis.call('SET', 's:' .. i, '') end";
    redis.command(&["EVAL", strangers, "0"]);
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    redis.reset_stats();
    for _ in 0..20 {
        let mut write = instance.cache.write();
        write.whole_kind::<Book>();
        let _ = write.before_commit().await;
        write.committed().await;
    }
    // A requested sweep is over when no further page is scanned.
    let mut calls = (0, redis.calls("scan"));
    eventually(EVENTUALLY, "the end of the sweeps", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        calls = (calls.1, redis.calls("scan"));
        calls.0 == calls.1
    })
    .await;
    // 200 pages each.
    assert!(calls.1 < 5 * 250, "{} pages", calls.1);
    assert_eq!(redis.command(&["EXISTS", "book:1"]).integer(), Some(0));
}

#[tokio::test]
async fn keys_invalidated_during_a_sweep_are_swept_by_the_next() {
    let redis = redis();
    let strangers = "for i = 1, 50000 do redis.call('SET', 's:' .. i, '') end";
    redis.command(&["EVAL", strangers, "0"]);
    let library = Library::of(30);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    for _ in 0..3 {
        for id in 1..=30 {
            instance.caches(id).await;
        }
        assert!(instance.cache.invalidate_kind("book").await.is_some());
    }
    eventually(EVENTUALLY, "no key of the kind", async || {
        let keys = redis.command(&["EVAL", "return #redis.call('KEYS', 'book:*')", "0"]);
        keys.integer() == Some(0)
    })
    .await;
}
