//! The hot keys: those that are read most often, by a sample of the reads.

use std::convert::Infallible;
use std::time::Duration;

use aside::report::HotKey;
use aside::{CacheConfig, CachedQuery, Deps, Freshness, Source, Tier};
use aside_testkit::eventually;
use prometheus_client::registry::Registry;

use crate::entities::{Hero, hero, speaking};
use crate::world::{Instance, SOON, World, on_both};

/// Inserts ten rows, and waits until the process holds them and the list of them.
async fn held(world: &World, instance: &Instance) -> Vec<Hero> {
    let heroes: Vec<Hero> = (0..10)
        .map(|number| hero(&number.to_string(), "en"))
        .collect();
    for hero in &heroes {
        world.heroes.insert(hero);
        eventually(SOON, "a row in process", async || {
            let read = instance.heroes.find_by_id_with(&hero.id, Freshness::Any);
            read.await.unwrap().tier == Tier::Local
        })
        .await;
    }
    eventually(SOON, "a list in process", async || {
        let english = speaking("en");
        let read = instance.heroes.find_by_with(&english, Freshness::Any);
        read.await.unwrap().tier == Tier::Local
    })
    .await;
    heroes
}

/// Reads the rows and their list as often as `times` says, the list last.
async fn read(instance: &Instance, heroes: &[Hero], times: &[usize]) {
    let (list, rows) = times.split_last().unwrap();
    for (hero, times) in heroes.iter().zip(rows) {
        for turn in 0..*times {
            instance.heroes.find_by_id(&hero.id).await.unwrap();
            give_way(turn).await;
        }
    }
    for turn in 0..*list {
        instance.heroes.find_by(&speaking("en")).await.unwrap();
        give_way(turn).await;
    }
}

/// Lets the task take the samples, whose buffer has room for those of 16,384 reads.
async fn give_way(turn: usize) {
    if turn % 8_000 == 7_999 {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn keys(hot: &[HotKey]) -> Vec<&str> {
    hot.iter().map(|hot| hot.key.as_str()).collect()
}

#[tokio::test]
async fn the_most_read_keys_are_hot_in_their_order() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = held(&world, &instance).await;
        let times = [16_000, 8_000, 100, 100, 100, 100, 100, 100, 100, 100, 4_000];
        read(&instance, &heroes, &times).await;

        let hot = instance.cache.hot_keys(3);

        let expected = [heroes[0].key(), heroes[1].key(), "hero:lang:en".to_owned()];
        assert_eq!(keys(&hot), expected);
        let all: usize = times.iter().sum();
        for (hot, times) in hot.iter().zip([16_000.0, 8_000.0, 4_000.0]) {
            let share = times / all as f64;
            let (least, most) = (0.8 * share, 1.2 * share);
            assert!((least..most).contains(&hot.share), "{hot:?}");
            assert_eq!(hot.kind, "hero");
            assert!(hot.age < SOON && hot.reads_per_second > 1.0, "{hot:?}");
        }
        assert_eq!(keys(&instance.heroes.hot_keys(3)), expected);
        assert!(instance.books.hot_keys(3).is_empty());
    })
    .await;
}

#[tokio::test]
async fn reads_of_redis_without_a_local_tier_are_sampled() {
    let world = World::new();
    let config = CacheConfig {
        max_staleness: Duration::ZERO,
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let hero = hero("Ada", "en");
    world.heroes.insert(&hero);
    for _ in 0..1_000 {
        instance.heroes.find_by_id(&hero.id).await.unwrap();
    }

    assert_eq!(keys(&instance.cache.hot_keys(9)), [hero.key()]);
}

#[tokio::test]
async fn nothing_is_sampled_without_analytics() {
    let world = World::in_memory();
    let config = CacheConfig {
        analytics: false,
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let heroes = held(&world, &instance).await;
    read(&instance, &heroes, &[1_000, 0]).await;

    assert!(instance.cache.hot_keys(9).is_empty());
}

#[tokio::test]
async fn a_query_is_hot_under_its_key_in_redis() {
    let world = World::new();
    let instance = world.instance().await;
    let count = CachedQuery::<(u32, &str), usize>::new("count", &instance.cache);
    let load = || async { Ok::<_, Infallible>(1) };
    for _ in 0..1_000 {
        count.get(&(7, "a:b"), Deps::new(), load).await.unwrap();
    }
    let hot = instance.cache.hot_keys(9);
    assert_eq!((hot.len(), hot[0].kind), (1, "count"));
    world.filled(&hot[0].key).await;
    let explained = instance.cache.explain(&hot[0].key).await;
    assert_eq!(explained.local.map(|local| local.verdict), Some("served"));
}

#[tokio::test]
async fn the_task_takes_samples_although_nothing_asks() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let heroes = held(&world, &instance).await;
    read(&instance, &heroes, &[1_000, 0]).await;
    let mut registry = Registry::default();
    instance.cache.register_metrics(&mut registry);
    let is_counted = |line: &str| {
        let name = "aside_age_at_serve_seconds_count{entity=\"hero\",tier=\"l1\"}";
        line.starts_with(name) && !line.ends_with(" 0")
    };
    eventually(SOON, "ages of values", async || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.lines().any(is_counted)
    })
    .await;
}
