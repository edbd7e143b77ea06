//! Two instances of a service, and the messages between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aside::{CacheConfig, Freshness, Repository, Secret, Source, Tier};
use aside_testkit::{Direction, Mode, Proxy, eventually};

use crate::entities::{hero, speaking};
use crate::world::{SOON, World, on_both};

#[tokio::test]
async fn an_instance_drops_a_row_that_another_has_written() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        other.heroes.find_by_id(&mia.id).await.unwrap();
        other.heroes.find_by(&speaking("en")).await.unwrap();
        eventually(SOON, "a local entry", async || {
            let read = other
                .heroes
                .find_by_with(&speaking("en"), Freshness::Any)
                .await
                .unwrap();
            read.tier == Tier::Local
        })
        .await;

        one.heroes.update(mia.speaking("ru")).await.unwrap();

        eventually(SOON, "the message", async || {
            other
                .heroes
                .find_by(&speaking("en"))
                .await
                .unwrap()
                .is_empty()
        })
        .await;
        assert_eq!(
            other
                .heroes
                .find_by_id(&mia.id)
                .await
                .unwrap()
                .unwrap()
                .language,
            "ru"
        );
    })
    .await;
}

#[tokio::test]
async fn a_row_just_written_is_read_from_the_writers_local_tier() {
    on_both(async |world| {
        let (writer, other) = (world.instance().await, world.instance().await);
        let mia = writer.heroes.save(hero("Mia", "en")).await.unwrap();
        let mut writes = 1;
        for name in ["Maria", "Marie"] {
            // The kind has not been read yet, or the fill is still in progress.
            eventually(SOON, "the local row", async || {
                writer.heroes.update(mia.renamed(name)).await.unwrap();
                writes += 1;
                let read = writer.heroes.find_by_id_with(&mia.id, Freshness::Any).await;
                let read = read.unwrap();
                assert_eq!(read.value.unwrap().name, name);
                read.tier == Tier::Local
            })
            .await;
            let elsewhere = other.heroes.find_by_id_with(&mia.id, Freshness::Shared);
            assert_eq!(elsewhere.await.unwrap().value.unwrap().name, name);
        }
        // The first writes read their rows back; no reader loads.
        assert!(world.heroes.queries().total() <= writes);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_reads_its_own_writes_among_other_writers() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..6)
            .map(|number| {
                let heroes = [&one, &other][number % 2].heroes.clone();
                let (id, over) = (mia.id, Arc::clone(&over));
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        match number % 3 {
                            0 => drop(heroes.find_by_id(&id).await.unwrap()),
                            1 => drop(heroes.find_many(&[id]).await.unwrap()),
                            _ => drop(heroes.find_by(&speaking("en")).await.unwrap()),
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();

        for _ in 0..200 {
            let written = one.heroes.update((*mia).clone()).await.unwrap().unwrap();
            let read = one.heroes.find_by_id(&mia.id).await.unwrap().unwrap();
            assert_eq!(read.version, written.version);
            let list = one.heroes.find_by(&speaking("en")).await.unwrap();
            assert_eq!(list[0].version, written.version);
            let many = one.heroes.find_many(&[mia.id]).await.unwrap();
            assert_eq!(many[0].as_ref().unwrap().version, written.version);
            let shared = other
                .heroes
                .find_by_id_with(&mia.id, Freshness::Shared)
                .await
                .unwrap();
            assert_eq!(shared.value.unwrap().version, written.version);
        }
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_disconnected_instance_notices_and_drops_its_entries() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    other.heroes.find_by_id(&mia.id).await.unwrap();

    assert_eq!(world.redis().client_kill_pubsub(), 2);
    one.heroes.update(mia.renamed("Maria")).await.unwrap();

    eventually(SOON, "the new name", async || {
        other
            .heroes
            .find_by_id(&mia.id)
            .await
            .unwrap()
            .unwrap()
            .name
            == "Maria"
    })
    .await;
    eventually(SOON, "both to be in step", async || {
        one.cache.is_synced() && other.cache.is_synced()
    })
    .await;
}

#[tokio::test]
async fn an_instance_without_messages_serves_nothing_beyond_the_bound() {
    let world = World::new();
    let proxy = Proxy::start(world.redis().address()).await.unwrap();
    let bound = Duration::from_millis(500);
    let config = CacheConfig {
        redis_url: Secret::new(format!("redis://{}", proxy.address())),
        max_staleness: bound,
        ..world.config()
    };
    let (one, deaf) = (world.instance().await, world.instance_with(config).await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    let read = async || {
        let read = deaf.heroes.find_by_id_with(&mia.id, Freshness::Any).await;
        let read = read.unwrap();
        (read.tier, read.value.unwrap().name.clone())
    };
    eventually(SOON, "a local entry", async || {
        read().await.0 == Tier::Local
    })
    .await;

    proxy.set(Direction::ToClient, Mode::Stall);
    one.heroes.update(mia.renamed("Maria")).await.unwrap();
    let returned = Instant::now();
    let mut last_old = Duration::ZERO;
    eventually(SOON, "the new name", async || {
        let begun = returned.elapsed();
        let (_, name) = read().await;
        if name == "Mia" {
            last_old = begun;
        }
        name == "Maria"
    })
    .await;

    // The tick of the clock is added to the bound.
    assert!(
        last_old <= bound + Duration::from_millis(20),
        "{last_old:?}"
    );
    assert_eq!(read().await, (Tier::Source, "Maria".to_owned()));
    proxy.heal().await;
    eventually(SOON, "the cache to be used", async || {
        let (tier, name) = read().await;
        assert_eq!(name, "Maria");
        tier == Tier::Local
    })
    .await;
}

#[tokio::test]
async fn an_instance_without_a_local_tier_sees_every_write_at_once() {
    let world = World::new();
    let config = CacheConfig {
        max_staleness: Duration::ZERO,
        operation_timeout: Duration::from_secs(5),
        ..world.config()
    };
    let (one, other) = (
        world.instance_with(config.clone()).await,
        world.instance_with(config).await,
    );
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    for number in 0..20 {
        let name = number.to_string();
        one.heroes.update(mia.renamed(&name)).await.unwrap();
        for instance in [&one, &other] {
            let read = instance
                .heroes
                .find_by_id_with(&mia.id, Freshness::Any)
                .await
                .unwrap();
            assert_eq!(
                (read.tier, read.value.unwrap().name.as_str()),
                (Tier::Shared, name.as_str())
            );
        }
    }
}

#[tokio::test]
async fn a_read_reports_its_tier_and_age() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let any = Freshness::Any;

    let first = one.heroes.find_by_id_with(&mia.id, any).await.unwrap();
    assert_eq!((first.tier, first.bypass), (Tier::Source, None));
    world.filled(&mia.key()).await;
    let shared = other.heroes.find_by_id_with(&mia.id, any).await.unwrap();
    assert_eq!(shared.tier, Tier::Shared);
    let process = other.heroes.find_by_id_with(&mia.id, any).await.unwrap();
    assert_eq!(process.tier, Tier::Local);
    assert!(
        process.age.unwrap() < SOON && process.ttl.unwrap() <= other.cache.config().default_ttl
    );
    let source = other
        .heroes
        .find_by_id_with(&mia.id, Freshness::Source)
        .await
        .unwrap();
    assert_eq!(
        (source.tier, source.bypass),
        (Tier::Source, Some(aside::Bypass::Requested))
    );
}

#[tokio::test]
async fn a_read_with_a_maximum_age_replaces_older_values() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        instance.heroes.find_by_id(&mia.id).await.unwrap();
        instance.filled(&mia.key()).await;
        world.heroes.insert(&mia.renamed("Maria"));
        // Old enough to be distinguished from new, by the clock that measures
        // ages.
        let age = Duration::from_millis(5);
        eventually(SOON, "the value to age", async || {
            let read = instance
                .heroes
                .find_by_id_with(&mia.id, Freshness::Any)
                .await
                .unwrap();
            age * 2 < read.age.unwrap()
        })
        .await;

        let read = instance
            .heroes
            .find_by_id_with(&mia.id, Freshness::AtMost(age))
            .await
            .unwrap();
        assert_eq!(read.value.unwrap().name, "Maria");
        eventually(SOON, "the new value for all", async || {
            instance
                .heroes
                .find_by_id(&mia.id)
                .await
                .unwrap()
                .unwrap()
                .name
                == "Maria"
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn no_later_read_is_older_than_a_shared_read() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    eventually(SOON, "a local entry", async || {
        let read = instance
            .heroes
            .find_by_id_with(&mia.id, Freshness::Any)
            .await;
        read.unwrap().tier == Tier::Local
    })
    .await;
    // Another instance's write, whose message is late.
    let deadline = jiff::Timestamp::now().as_millisecond() + 60_000;
    let quarantine = format!("Qd{:032x}{deadline:013}", 0);
    world
        .redis()
        .command(&["SET", &mia.key(), &quarantine, "PX", "60000"]);
    world.heroes.insert(&mia.renamed("Maria"));

    for freshness in [Freshness::Shared, Freshness::Any] {
        let read = instance.heroes.find_by_id_with(&mia.id, freshness).await;
        assert_eq!(read.unwrap().value.unwrap().name, "Maria", "{freshness:?}");
    }
}

#[tokio::test]
async fn a_closed_service_reads_the_database_and_has_no_connection() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();

    instance.cache.close().await;

    assert_eq!(
        instance.heroes.find_by_id(&mia.id).await.unwrap(),
        Some(mia)
    );
    // One of the writes read its row back.
    assert_eq!(world.heroes.queries().total(), 2);
    drop(instance);
    eventually(SOON, "no connection but ours", async || {
        world.redis().info("clients")["connected_clients"] == "1"
    })
    .await;
}
