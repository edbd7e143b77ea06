//! Redis down, full, or disabled: reads and writes continue.

use std::time::Duration;

use aside::{Bypass, CacheConfig, CacheService, CachedRepository, Freshness, report::HealthStatus};
use aside::{Repository, Secret, Source, report::Ttl};
use aside_testkit::{Direction, Mode, Proxy, RedisOptions, eventually};

use crate::entities::{Hero, hero, named};
use crate::world::{Instance, SOON, World};

/// A short timeout, so that an outage is soon detected.
fn impatient(world: &World) -> CacheConfig {
    CacheConfig {
        operation_timeout: Duration::from_millis(200),
        max_staleness: Duration::from_millis(500),
        ..world.config()
    }
}

async fn name_of(instance: &Instance, hero: &Hero) -> String {
    let found = instance.heroes.find_by_id(&hero.id).await.unwrap();
    found.expect("the row is there").name.clone()
}

#[tokio::test]
async fn reads_and_writes_continue_without_redis_and_return_to_it() {
    let world = World::new();
    let instance = world.instance_with(impatient(&world)).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    assert_eq!(name_of(&instance, &mia).await, "Mia");

    world.redis().kill();
    eventually(SOON, "the loss to be noticed", async || {
        !instance.cache.is_synced()
    })
    .await;
    let maria = instance
        .heroes
        .update(mia.renamed("Maria"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(name_of(&instance, &mia).await, "Maria");
    assert_eq!(
        instance
            .heroes
            .find_by(&named("Maria"))
            .await
            .unwrap()
            .len(),
        1
    );
    let many = instance.heroes.find_many(&[mia.id]).await.unwrap();
    assert_eq!(many, [Some(maria)]);
    let health = instance.cache.health_check().await;
    assert_eq!(health.status, HealthStatus::Unavailable);
    assert!(health.unreleased_keys > 0);
    let read = instance
        .heroes
        .find_by_id_with(&mia.id, Freshness::Any)
        .await
        .unwrap();
    assert_eq!(read.bypass, Some(Bypass::RedisUnavailable));

    world.redis().restart();
    eventually(SOON, "nothing pending", async || {
        instance.cache.health_check().await.unreleased_keys == 0
    })
    .await;
    assert_eq!(name_of(&instance, &mia).await, "Maria");
    eventually(SOON, "the cache to be used", async || {
        name_of(&instance, &mia).await;
        world.state(&mia.key()) == 'V'
    })
    .await;
    assert_eq!(
        instance.cache.health_check().await.status,
        HealthStatus::Healthy
    );
}

#[tokio::test]
async fn a_row_written_during_an_outage_is_not_read_from_old_data() {
    let world = World::with(RedisOptions {
        appendonly: true,
        ..RedisOptions::default()
    });
    let (one, other) = (
        world.instance_with(impatient(&world)).await,
        world.instance_with(impatient(&world)).await,
    );
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    one.heroes.find_by(&named("Mia")).await.unwrap();
    world.filled("hero:name:Mia").await;

    world.redis().kill();
    one.heroes.update(mia.renamed("Maria")).await.unwrap();
    world.redis().restart();
    let kept = [world.state(&mia.key()), world.state("hero:name:Mia")];

    // The writer never sees the old row, and invalidates it for the others.
    assert_eq!(name_of(&one, &mia).await, "Maria");
    assert_eq!(one.heroes.find_by(&named("Mia")).await.unwrap().len(), 0);
    eventually(SOON, "the message to the others", async || {
        assert_eq!(name_of(&one, &mia).await, "Maria");
        name_of(&other, &mia).await == "Maria"
            && other
                .heroes
                .find_by(&named("Mia"))
                .await
                .unwrap()
                .is_empty()
    })
    .await;
    assert!(
        kept.iter().all(|state| matches!(state, 'V' | '-')),
        "{kept:?}"
    );
}

#[tokio::test]
async fn a_lost_release_is_repeated_when_redis_returns() {
    let world = World::new();
    let proxy = Proxy::start(world.redis().address()).await.unwrap();
    let config = CacheConfig {
        redis_url: Secret::new(format!("redis://{}", proxy.address())),
        ..impatient(&world)
    };
    let instance = world.instance_with(config).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let mut stopped = world.heroes.stop_at(crate::database::Place::AfterCommit);
    let (heroes, maria) = (instance.heroes.clone(), mia.renamed("Maria"));
    let writing = tokio::spawn(async move { heroes.update(maria).await });
    stopped.reached().await;
    proxy.set(Direction::ToServer, Mode::Blackhole);
    stopped.go_on();
    writing.await.unwrap().unwrap();

    assert_eq!(world.state(&mia.key()), 'Q');
    assert_eq!(name_of(&instance, &mia).await, "Maria");
    // If the quarantine were lost now, an older row could be filled instead.
    assert!(instance.cache.health_check().await.unreleased_keys > 0);
    proxy.reset();
    proxy.heal().await;
    eventually(SOON, "the release", async || world.state(&mia.key()) != 'Q').await;
    assert_eq!(name_of(&instance, &mia).await, "Maria");
}

#[tokio::test]
async fn a_write_with_an_unacknowledged_quarantine_is_seen() {
    let world = World::new();
    let proxy = Proxy::start(world.redis().address()).await.unwrap();
    let config = CacheConfig {
        redis_url: Secret::new(format!("redis://{}", proxy.address())),
        ..impatient(&world)
    };
    let instance = world.instance_with(config).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    name_of(&instance, &mia).await;

    proxy.set(Direction::ToClient, Mode::Blackhole);
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    assert_eq!(name_of(&instance, &mia).await, "Maria");
    proxy.reset();
    proxy.heal().await;

    eventually(SOON, "the key to be free again", async || {
        assert_eq!(name_of(&instance, &mia).await, "Maria");
        world.state(&mia.key()) == 'V'
    })
    .await;
}

#[tokio::test]
async fn a_full_redis_accepts_quarantines_and_no_value() {
    let world = World::with(RedisOptions {
        maxmemory_policy: Some("noeviction".into()),
        ..RedisOptions::default()
    });
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    for instance in [&one, &other] {
        name_of(instance, &mia).await;
    }

    world.redis().set_config("maxmemory", "1");
    one.heroes.update(mia.renamed("Maria")).await.unwrap();

    assert_eq!(name_of(&one, &mia).await, "Maria");
    let shared = other
        .heroes
        .find_by_id_with(&mia.id, Freshness::Shared)
        .await
        .unwrap();
    assert_eq!(shared.value.unwrap().name, "Maria");
    eventually(SOON, "no lease of a fill that was refused", async || {
        world.state(&mia.key()) == '-'
    })
    .await;
    assert!(one.cache.is_synced() && other.cache.is_synced());
    world.redis().set_config("maxmemory", "0");
    eventually(SOON, "the cache to be used", async || {
        name_of(&one, &mia).await;
        world.state(&mia.key()) == 'V'
    })
    .await;
}

#[tokio::test]
async fn values_that_redis_evicts_are_loaded_again() {
    let world = World::with(RedisOptions {
        maxmemory_policy: Some("allkeys-lru".into()),
        ..RedisOptions::default()
    });
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    world.redis().set_config("maxmemory", "1");
    world.redis().command(&["SET", "other", "x"]);
    let read = async || {
        instance
            .heroes
            .find_by_id_with(&mia.id, Freshness::Shared)
            .await
    };
    assert_eq!(read().await.unwrap().value.as_ref(), Some(&mia));
    let maria = instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    assert_eq!(read().await.unwrap().value, maria);
}

#[tokio::test]
async fn a_disabled_service_sends_and_stores_nothing() {
    let world = World::new();
    let config = CacheConfig {
        redis_enabled: false,
        ..world.config()
    };
    let cache = CacheService::connect(config).await;
    let heroes = CachedRepository::new(world.heroes.clone(), &cache);

    let mia = heroes.save(hero("Mia", "en")).await.unwrap();
    for _ in 0..3 {
        let read = heroes
            .find_by_id_with(&mia.id, Freshness::Any)
            .await
            .unwrap();
        assert_eq!(read.bypass, Some(Bypass::Disabled));
        assert_eq!(
            heroes.find_many(&[mia.id]).await.unwrap(),
            [Some(mia.clone())]
        );
    }
    assert_eq!(world.heroes.queries().total(), 6);
    assert!(!cache.set("session:1", "kept", None).await);
    assert_eq!(
        (cache.get("session:1").await, cache.ttl("session:1").await),
        (None, Ttl::Absent)
    );
    assert!(!cache.exists("session:1").await && !cache.delete("session:1").await);
    assert_eq!(
        (cache.flush().await, cache.delete_pattern("*").await),
        (0, 0)
    );
    assert_eq!(cache.health_check().await.status, HealthStatus::Disabled);
    assert_eq!(world.keys(), [""; 0]);
}

#[tokio::test]
async fn raw_keys_are_set_found_counted_down_and_removed() {
    crate::world::on_both(async |world| {
        let cache = world.instance().await.cache;
        assert!(
            cache
                .set("session:1", "Мия", Some(Duration::from_secs(60)))
                .await
        );
        assert_eq!(
            cache.get("session:1").await.as_deref(),
            Some("Мия".as_bytes())
        );
        assert!(cache.exists("session:1").await);
        assert!(cache.ttl("session:1").await.left().unwrap() <= Duration::from_secs(60));
        assert_eq!(cache.ttl("session:2").await, Ttl::Absent);
        assert!(cache.delete("session:1").await && !cache.delete("session:1").await);
        for number in 0..1200 {
            cache.set(&format!("session:{number}"), "x", None).await;
        }
        assert_eq!(cache.delete_pattern("session:*").await, 1200);
        assert_eq!(world.heroes.queries().total(), 0);
    })
    .await;
}
