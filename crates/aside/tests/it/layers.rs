//! A cached repository behind a cached repository, over one service.

use std::time::{Duration, Instant};

use aside::{CacheConfig, CachedRepository, Repository, Source};

use crate::database::Table;
use crate::entities::{Hero, hero, speaking};
use crate::world::World;

type Twice = CachedRepository<CachedRepository<Table<Hero>>>;

/// Shorter than a lease, and than a wait for one.
const SOON: Duration = Duration::from_millis(1_000);

async fn twice(world: &World, max_staleness: Duration) -> Twice {
    let config = CacheConfig {
        max_staleness,
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let once = CachedRepository::new(world.heroes.clone(), &instance.cache);
    CachedRepository::new(once, &instance.cache)
}

async fn is_read_soon(max_staleness: Duration) {
    let world = World::new();
    let heroes = twice(&world, max_staleness).await;
    let rows: Vec<Hero> = (0..4).map(|_| hero("Mia", "en")).collect();
    rows.iter().for_each(|row| world.heroes.insert(row));
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();

    let begun = Instant::now();
    let one = heroes.find_by_id(&ids[0]).await.unwrap();
    let many = heroes.find_many(&ids).await.unwrap();
    let list = heroes.find_by(&speaking("en")).await.unwrap();
    let all = heroes.list_all().await.unwrap();
    let took = begun.elapsed();

    assert!(one.is_some() && many.iter().all(Option::is_some));
    assert_eq!((list.len(), all.len()), (4, 4));
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn a_cache_around_a_cache_does_not_wait_for_itself() {
    is_read_soon(Duration::from_millis(500)).await;
}

#[tokio::test]
async fn two_caches_with_nothing_in_process_do_not_wait() {
    is_read_soon(Duration::ZERO).await;
}

#[tokio::test]
async fn a_cache_around_a_cache_serves_what_was_written() {
    let world = World::new();
    let heroes = twice(&world, Duration::from_millis(500)).await;
    let mia = heroes.save(hero("Mia", "en")).await.unwrap();
    heroes.find_by(&speaking("en")).await.unwrap();
    heroes.update(mia.speaking("de")).await.unwrap();
    assert!(heroes.find_by(&speaking("en")).await.unwrap().is_empty());
    let found = heroes.find_by_id(&mia.id).await.unwrap().unwrap();
    assert_eq!(found.language, "de");
}
