//! Reads of a query beside writes of its dependency.

use std::sync::Arc;
use std::time::Duration;

use aside::{CacheConfig, Deps, Repository};

use super::Names;
use crate::database::Place;
use crate::entities::{Hero, hero, speaking};
use crate::world::{Instance, World, on_both};

async fn without_local_tier(world: &World) -> Instance {
    let config = CacheConfig {
        max_staleness: Duration::ZERO,
        ..world.config()
    };
    world.instance_with(config).await
}

/// Reads, lets a write return after the load has seen the rows, and reads again.
async fn overtaken(world: &World, instance: &Instance) {
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let names = Arc::new(Names::new(world, instance));
    let mut load = world.heroes.stop_at(Place::AfterRead);
    let slow = {
        let names = Arc::clone(&names);
        tokio::spawn(async move { names.of("en").await })
    };
    load.reached().await;
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    let next = {
        let names = Arc::clone(&names);
        tokio::spawn(async move { names.of("en").await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    load.go_on();

    assert_eq!(slow.await.unwrap(), ["Mia"]);
    // It began after the write had returned.
    assert_eq!(next.await.unwrap(), ["Maria"]);
    assert_eq!(names.of("en").await, ["Maria"]);
}

#[tokio::test]
async fn a_slow_load_does_not_bring_back_a_row_saved_meanwhile() {
    on_both(async |world| {
        let instance = world.instance().await;
        overtaken(&world, &instance).await;
    })
    .await;
}

#[tokio::test]
async fn without_local_tier_a_reader_joins_only_before_the_load_began() {
    on_both(async |world| {
        let instance = without_local_tier(&world).await;
        overtaken(&world, &instance).await;
    })
    .await;
}

#[tokio::test]
async fn during_a_write_of_a_dependency_a_query_is_loaded_and_not_filled() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        let names = Names::new(&world, &instance);
        let mut write = instance.cache.write();
        write.updated(&mia, &mia.renamed("Maria"));
        let _ = write.before_commit().await;

        assert_eq!(names.of("en").await, ["Mia"]);
        assert_eq!(names.of("en").await, ["Mia"]);
        assert_eq!(names.loads(), 2);
        let state = instance.cache.explain("names:en").await.state.unwrap();
        assert_eq!(state.as_str(), "absent");

        world.heroes.insert(&mia.renamed("Maria"));
        write.committed().await;
        assert_eq!(names.of("en").await, ["Maria"]);
        instance.filled("names:en").await;
        names.of("en").await;
        assert_eq!(names.loads(), 1);
    })
    .await;
}

#[tokio::test]
async fn another_instance_sees_the_write_once_it_was_told() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    let names = Names::new(&world, &other);
    assert_eq!(names.of("en").await, ["Mia"]);
    other.filled("names:en").await;
    assert_eq!(names.of("en").await, ["Mia"]);

    one.heroes.update(mia.renamed("Maria")).await.unwrap();

    aside_testkit::eventually(crate::world::SOON, "the message", async || {
        names.of("en").await == ["Maria"]
    })
    .await;
}

/// Random writes and reads; each read shows the writes that had returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_readers_see_every_returned_write() {
    for local in [true, false] {
        let world = World::new();
        let instance = match local {
            true => world.instance().await,
            false => without_local_tier(&world).await,
        };
        let mia = instance.heroes.save(hero("0", "en")).await.unwrap();
        let names = Arc::new(Names::new(&world, &instance));
        let written = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let reader = || {
            let (names, written) = (Arc::clone(&names), Arc::clone(&written));
            tokio::spawn(async move {
                while written.load(std::sync::atomic::Ordering::SeqCst) < 150 {
                    let floor = written.load(std::sync::atomic::Ordering::SeqCst);
                    let english = speaking("en");
                    let deps = Deps::new().list::<Hero>(&english).kind::<Hero>();
                    let found = names.under("en", deps).await;
                    let seen: u32 = found[0].parse().unwrap();
                    assert!(floor <= seen, "{seen} after {floor} had returned");
                    // A local hit never waits.
                    tokio::task::yield_now().await;
                }
            })
        };
        let readers: Vec<_> = (0..4).map(|_| reader()).collect();
        for number in 1..=150 {
            let next = mia.renamed(&number.to_string());
            instance.heroes.update(next).await.unwrap();
            written.store(number, std::sync::atomic::Ordering::SeqCst);
            if number % 3 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        for reader in readers {
            reader.await.unwrap();
        }
    }
}
