//! Queries without a tier, and during an outage.

use std::time::Duration;

use aside::{CacheConfig, Repository};
use aside_testkit::eventually;

use super::{Names, with_mia};
use crate::entities::hero;
use crate::world::{SOON, World};

#[tokio::test]
async fn without_a_cache_every_read_is_a_load() {
    let world = World::in_memory();
    let config = CacheConfig {
        redis_enabled: false,
        ..world.config()
    };
    let cache = aside::CacheService::connect(config).await;
    let instance = crate::world::Instance {
        heroes: aside::CachedRepository::new(world.heroes.clone(), &cache),
        books: aside::CachedRepository::new(world.books.clone(), &cache),
        cache,
    };
    world.heroes.insert(&hero("Mia", "en"));
    let names = Names::new(&world, &instance);
    for _ in 0..3 {
        assert_eq!(names.of("en").await, ["Mia"]);
    }
    assert_eq!(names.loads(), 3);
}

#[tokio::test]
async fn without_a_local_tier_redis_serves_every_read() {
    let world = World::new();
    let config = CacheConfig {
        max_staleness: Duration::ZERO,
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let names = Names::new(&world, &instance);
    names.of("en").await;
    world.filled("names:en").await;
    for _ in 0..3 {
        assert_eq!(names.of("en").await, ["Mia"]);
    }
    assert_eq!(names.loads(), 1);
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    assert_eq!(names.of("en").await, ["Maria"]);
}

#[tokio::test]
async fn without_redis_a_query_comes_from_the_database_and_shows_each_write() {
    let world = World::new();
    let config = CacheConfig {
        operation_timeout: Duration::from_millis(500),
        max_staleness: Duration::from_millis(500),
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let names = Names::new(&world, &instance);
    names.of("en").await;
    instance.filled("names:en").await;

    world.redis().stop();
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    assert_eq!(names.of("en").await, ["Maria"]);
    world.redis().cont();

    eventually(SOON, "Redis", async || instance.cache.is_synced()).await;
    assert_eq!(names.of("en").await, ["Maria"]);
}

/// A restart loses the stamps, so it outdates what depends on them.
#[tokio::test]
async fn a_query_survives_no_other_history() {
    let world = World::new();
    let (instance, mia) = with_mia(&world).await;
    let names = Names::new(&world, &instance);
    names.of("en").await;
    world.filled("names:en").await;
    world.heroes.insert(&mia.renamed("Maria"));
    let value = world.raw("names:en").unwrap();
    let mark = world.raw("hero:lang:en").unwrap();

    // The same bytes under the history of another server.
    for (key, text) in [("names:en", value), ("hero:lang:en", mark)] {
        let other = format!("V{}{}", "1".repeat(16), &text[17..]);
        world.redis().command(&["SET", key, &other, "PX", "60000"]);
    }
    let other = world.instance().await;
    assert_eq!(Names::new(&world, &other).of("en").await, ["Maria"]);
}
