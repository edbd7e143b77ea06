//! Leases: across instances one reader loads a key, and the others wait for it.

use std::time::Duration;

use aside::{Freshness, Source};
use aside_testkit::eventually;

use crate::database::Place;
use crate::entities::hero;
use crate::flights::{Read, read};
use crate::world::{SOON, World};

#[tokio::test]
async fn readers_continue_when_a_lease_holder_has_died() {
    let world = World::new();
    let lease_ttl = Duration::from_millis(500);
    let instance = world
        .instance_with(aside::CacheConfig {
            lease_ttl,
            ..world.config()
        })
        .await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    // The lease of a process that dies between ACQUIRE and FILL.
    let lease = format!("L{}", "0".repeat(32));
    world
        .redis()
        .command(&["SET", &mia.key(), &lease, "PX", "500"]);

    let begun = std::time::Instant::now();
    let reads: Vec<Read> = (0..8).map(|_| read(&instance, &mia)).collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap().as_deref(), Some(&mia));
    }

    let took = begun.elapsed();
    assert!(took < lease_ttl * 4, "{took:?}");
    assert_eq!(world.heroes.queries().total(), 1);
    eventually(SOON, "the key to be filled again", async || {
        instance.heroes.find_by_id(&mia.id).await.unwrap();
        world.state(&mia.key()) == 'V'
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_expires_in_mid_load_costs_only_the_fill() {
    let world = World::new();
    let config = aside::CacheConfig {
        lease_ttl: Duration::from_millis(100),
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let mut stopped = world.heroes.stop_at(Place::AfterRead);
    let slow = read(&instance, &mia);
    stopped.reached().await;
    eventually(SOON, "the end of the lease", async || {
        world.state(&mia.key()) == '-'
    })
    .await;
    stopped.go_on();

    assert_eq!(slow.await.unwrap().unwrap().as_deref(), Some(&mia));
    eventually(SOON, "the fill to be refused", async || {
        instance.cache.stats().fills_rejected == 1
    })
    .await;
    assert_eq!(world.state(&mia.key()), '-');
}

#[tokio::test]
async fn a_waiter_takes_the_fill_of_the_lease_holder() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let mut stopped = world.heroes.stop_at(Place::AfterRead);
    let holder = read(&one, &mia);
    stopped.reached().await;
    let waiter = read(&other, &mia);
    // However often it looks, the lease is the same one.
    eventually(SOON, "several checks of the lease", async || {
        other.cache.stats().lease_waits > 3
    })
    .await;
    stopped.go_on();

    holder.await.unwrap().unwrap();
    assert_eq!(waiter.await.unwrap().unwrap().as_deref(), Some(&mia));
    assert_eq!(world.heroes.queries().total(), 1);
}

#[tokio::test]
async fn an_invalidation_lets_a_waiter_load_for_itself() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let mut stopped = world.heroes.stop_at(Place::AfterRead);
    let holder = read(&one, &mia);
    stopped.reached().await;
    let waiter = read(&other, &mia);
    eventually(SOON, "a check of the lease", async || {
        other.cache.stats().lease_waits > 0
    })
    .await;

    world.heroes.insert(&mia.renamed("Maria"));
    other.heroes.invalidate(aside::Scope::Row(&mia.id)).await;

    assert_eq!(waiter.await.unwrap().unwrap().unwrap().name, "Maria");
    world.filled(&mia.key()).await;
    stopped.go_on();
    assert_eq!(holder.await.unwrap().unwrap().unwrap().name, "Mia");
    assert_eq!(
        other
            .heroes
            .find_by_id(&mia.id)
            .await
            .unwrap()
            .unwrap()
            .name,
        "Maria"
    );
    let shared = one
        .heroes
        .find_by_id_with(&mia.id, Freshness::Shared)
        .await
        .unwrap();
    assert_eq!(shared.value.unwrap().name, "Maria");
}

/// The lease of another process that is about to fill, or has died.
fn forge_lease(world: &World, key: &str, digit: &str) {
    let lease = format!("L{}", digit.repeat(32));
    world.redis().command(&["SET", key, &lease, "PX", "60000"]);
}

#[tokio::test]
async fn a_waiter_waits_for_the_lease_that_follows_a_write() {
    let world = World::new();
    // Half of it is the longest wait.
    let config = aside::CacheConfig {
        lease_ttl: Duration::from_secs(60),
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    forge_lease(&world, &mia.key(), "1");
    let (heroes, id) = (instance.heroes.clone(), mia.id);
    let waiter = tokio::spawn(async move { heroes.find_by_id_with(&id, Freshness::Any).await });
    let checks = async |count| {
        let before = instance.cache.stats().lease_waits;
        eventually(SOON, "checks of the lease", async || {
            waiter.is_finished() || before + count <= instance.cache.stats().lease_waits
        })
        .await;
        assert!(!waiter.is_finished(), "it waits for the lease that it sees");
    };
    checks(3).await;

    // A write ends the lease, and another reader gets the next one.
    let mut heard = instance.cache.subscribe();
    let kind = "A 0000000000000000 hero:";
    world
        .redis()
        .command(&["PUBLISH", "aside:invalidate", kind]);
    heard.next().await;
    forge_lease(&world, &mia.key(), "2");

    checks(4).await;
    assert_eq!(world.heroes.queries().total(), 0);
    world.redis().command(&["DEL", &mia.key()]);
    let answer = waiter.await.unwrap().unwrap();
    assert_eq!(answer.value.as_deref(), Some(&mia));
    assert_eq!(answer.bypass, None);
}
