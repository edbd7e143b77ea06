//! Warm-ups from the hot set, which an instance leaves in Redis for the next start.

use std::collections::BTreeSet;
use std::time::Duration;

use aside::report::{WarmUpFrom, WarmUpOptions};
use aside::{CacheConfig, Repository, Source};
use aside_testkit::{Reply, eventually};
use uuid::Uuid;

use crate::database::Queries;
use crate::entities::{Hero, book, hero, speaking};
use crate::world::{Instance, SOON, World};

/// The settings of an instance that keeps a hot set, and reads it at its start.
fn warm(world: &World) -> CacheConfig {
    CacheConfig {
        hot_set: true,
        warm_up: Some(WarmUpFrom::Hot),
        ..world.config()
    }
}

/// Has an instance hold thirty rows and a list, and ends it.
async fn held(world: &World) -> Vec<Uuid> {
    let heroes: Vec<Hero> = (0..30)
        .map(|number| hero(&number.to_string(), "en"))
        .collect();
    for hero in &heroes {
        world.heroes.insert(hero);
    }
    let ids: Vec<Uuid> = heroes.iter().map(|hero| hero.id).collect();
    let instance = world.instance_with(warm(world)).await;
    instance.heroes.find_many(&ids).await.unwrap();
    instance.heroes.find_by(&speaking("en")).await.unwrap();
    for hero in &heroes {
        instance.filled(&hero.key()).await;
    }
    instance.filled("hero:lang:en").await;
    eventually(SOON, "local entries", async || {
        instance
            .cache
            .stats()
            .kinds
            .iter()
            .map(|kind| kind.l1_entries)
            .sum::<u64>()
            >= 31
    })
    .await;
    instance.cache.close().await;
    ids
}

/// Waits until the warm-up of a start has read everything.
async fn warmed(instance: &Instance) {
    eventually(SOON, "a warm start", async || {
        let progress = instance.cache.warm_ups();
        progress
            .get("hero")
            .is_some_and(|hero| hero.total == 31 && hero.done == hero.total)
    })
    .await;
}

#[tokio::test]
async fn a_start_holds_what_the_last_instance_held() {
    let world = World::new();
    let ids = held(&world).await;
    world.heroes.queries();

    let next = world.instance_with(warm(&world)).await;
    warmed(&next).await;
    next.heroes.find_many(&ids).await.unwrap();
    next.heroes.find_by(&speaking("en")).await.unwrap();

    assert_eq!(world.heroes.queries(), Queries::NONE, "all came from Redis");
    let stats = next.cache.stats();
    let heroes = stats.kinds.iter().find(|kind| kind.kind == "hero").unwrap();
    assert_eq!((heroes.l1_hits, heroes.l2_hits, heroes.misses), (31, 0, 0));
    assert!(next.cache.is_warm());
}

#[tokio::test]
async fn a_list_too_short_for_all_has_the_most_read_keys() {
    let world = World::new();
    let instance = world.instance_with(warm(&world)).await;
    // Together above the 1 MiB that all lists may have.
    let ids: Vec<String> = (0..6_000).map(|number| format!("{number:0>190}")).collect();
    for id in &ids {
        world.books.insert(&book(id, "Tales", 1855));
    }
    for ids in ids.chunks(1_000) {
        instance.books.find_many(ids).await.unwrap();
    }
    let entries = || {
        instance
            .cache
            .stats()
            .kinds
            .iter()
            .map(|kind| kind.l1_entries)
            .sum::<u64>()
    };
    eventually(SOON, "local entries", async || 6_000 == entries()).await;
    let read: Vec<&String> = ids.iter().step_by(1_000).collect();
    for (at, id) in read.iter().enumerate() {
        for _ in 0..1_000 * (read.len() - at) {
            instance.books.find_by_id(id).await.unwrap();
        }
        // Takes the samples: this runtime has no time for the task.
        let _ = instance.cache.hot_keys(0);
    }
    instance.cache.close().await;

    let list = world.raw("aside:hot:book").unwrap();
    assert!(list.lines().count() < ids.len());
    let first: Vec<&str> = list.lines().take(read.len()).collect();
    assert_eq!(first, read);
    let different: BTreeSet<&str> = list.lines().collect();
    assert_eq!(different.len(), list.lines().count());
}

#[tokio::test]
async fn one_of_several_starts_loads_the_rows_that_redis_lost() {
    let world = World::new();
    let ids = held(&world).await;
    for id in &ids {
        world.redis().command(&["DEL", &format!("hero:{id}")]);
    }
    world.heroes.queries();

    let next = [
        world.instance_with(warm(&world)).await,
        world.instance_with(warm(&world)).await,
    ];
    for instance in &next {
        warmed(instance).await;
        instance.heroes.find_many(&ids).await.unwrap();
        let stats = instance.cache.stats();
        let heroes = stats.kinds.iter().find(|kind| kind.kind == "hero").unwrap();
        assert_eq!(heroes.misses, 0, "warm-ups are apart");
    }

    let one = Queries {
        many: 1,
        ..Queries::NONE
    };
    assert_eq!(world.heroes.queries(), one);
}

#[tokio::test]
async fn a_part_that_another_instance_loads_is_left_to_it() {
    let world = World::new();
    let ids = held(&world).await;
    for id in &ids {
        world.redis().command(&["DEL", &format!("hero:{id}")]);
    }
    let claim = format!("L{}", "7".repeat(32));
    let set = ["SET", "aside:warm:hero:0", &claim, "PX", "60000"];
    world.redis().command(&set);
    world.heroes.queries();

    let next = world.instance_with(warm(&world)).await;
    warmed(&next).await;

    assert_eq!(world.heroes.queries(), Queries::NONE);
}

#[tokio::test]
async fn a_row_that_was_written_meanwhile_is_not_warmed_from_before() {
    let world = World::new();
    let ids = held(&world).await;
    let writer = world.instance().await;
    let row = world.heroes.row(&ids[0]).unwrap();
    let renamed = Hero {
        name: "renamed".to_owned(),
        ..(*row).clone()
    };
    writer.heroes.update(renamed).await.unwrap();

    let next = world.instance_with(warm(&world)).await;
    warmed(&next).await;

    let found = next.heroes.find_by_id(&ids[0]).await.unwrap().unwrap();
    assert_eq!(found.name, "renamed");
}

#[tokio::test]
async fn nothing_is_kept_or_read_if_both_are_off() {
    let world = World::new();
    let off = CacheConfig {
        hot_set: false,
        warm_up: None,
        ..world.config()
    };
    let instance = world.instance_with(off.clone()).await;
    let row = hero("Ida", "en");
    world.heroes.insert(&row);
    instance.heroes.find_by_id(&row.id).await.unwrap();
    instance.filled(&row.key()).await;
    instance.cache.close().await;
    assert_eq!(world.keys(), [row.key()]);

    let next = world.instance_with(off).await;
    assert!(next.cache.warm_ups().is_empty() && next.cache.is_warm());
}

#[tokio::test]
async fn a_caller_can_warm_up_from_the_hot_set() {
    let world = World::new();
    let ids = held(&world).await;
    world.heroes.queries();
    let next = world.instance().await;
    let how = WarmUpOptions {
        from: WarmUpFrom::Hot,
        lists: false,
        ..WarmUpOptions::default()
    };

    let mut reports = 0;
    let progress = next.heroes.warm_up(how, |_| reports += 1).await.unwrap();

    assert_eq!((progress.done, progress.total), (30, 30));
    assert!(reports > 1);
    next.heroes.find_many(&ids).await.unwrap();
    assert_eq!(world.heroes.queries(), Queries::NONE);
}

#[tokio::test]
async fn rows_that_a_warm_up_loaded_together_do_not_expire_together() {
    let world = World::new();
    for number in 0..200 {
        world.heroes.insert(&hero(&number.to_string(), "en"));
    }
    let hour = CacheConfig {
        default_ttl: Duration::from_secs(3600),
        ..world.config()
    };
    let instance = world.instance_with(hour).await;
    let all = WarmUpOptions::default();
    instance.heroes.warm_up(all, |_| {}).await.unwrap();

    let mut ttls = Vec::new();
    for key in world.keys() {
        match world.redis().command(&["PTTL", &key]) {
            Reply::Integer(ttl) => ttls.push(ttl),
            other => panic!("PTTL returns milliseconds, not {other:?}"),
        }
    }
    ttls.sort_unstable();

    assert!(ttls.len() >= 200, "{ttls:?}");
    let (least, most) = (ttls[0], ttls[ttls.len() - 1]);
    let full = 3_600_000;
    assert!(
        full / 2 - 60_000 <= least && least < full * 6 / 10,
        "{least}"
    );
    assert!(full * 9 / 10 < most && most <= full, "{most}");
}
