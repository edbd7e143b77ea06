//! The cost of a call: round trips to Redis, and queries of the database.

use std::time::{Duration, Instant};

use aside::{CacheConfig, Freshness, Repository, Source};
use aside_testkit::eventually;

use crate::database::Queries;
use crate::entities::{hero, named, speaking};
use crate::world::{SOON, World};

#[tokio::test]
async fn a_cold_miss_reads_and_acquires_then_loads_then_fills() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);

    let found = instance.heroes.find_by_id(&mia.id).await.unwrap();

    assert_eq!(found.as_deref(), Some(&mia));
    world.filled(&mia.key()).await;
    let key = mia.key();
    let trips = [
        format!("GET {key}"),
        format!("ACQUIRE {key}"),
        format!("FILL {key}"),
    ];
    assert_eq!(tap.trips(), trips);
    assert_eq!(
        world.heroes.queries(),
        Queries {
            by_id: 1,
            ..Queries::NONE
        }
    );
}

#[tokio::test]
async fn reads_that_mostly_miss_acquire_at_once() {
    let world = World::new();
    let (other, (tap, instance)) = (world.instance().await, world.tapped().await);
    let heroes: Vec<_> = (0..50).map(|at| hero(&format!("{at}"), "en")).collect();
    heroes.iter().for_each(|hero| world.heroes.insert(hero));
    let (cold, warm) = heroes.split_at(42);
    for hero in warm {
        other.heroes.find_by_id(&hero.id).await.unwrap();
        world.filled(&hero.key()).await;
    }
    let (last, cold) = cold.split_last().unwrap();
    for hero in cold {
        instance.heroes.find_by_id(&hero.id).await.unwrap();
        world.filled(&hero.key()).await;
    }
    tap.forget();
    world.heroes.queries();

    instance.heroes.find_by_id(&last.id).await.unwrap();
    world.filled(&last.key()).await;
    let key = last.key();
    let trips = [format!("ACQUIRE {key}"), format!("FILL {key}")];
    assert_eq!(tap.trips(), trips);

    // It returns a value that is there, and after some of those a GET is sent first.
    for (at, hero) in warm.iter().enumerate() {
        tap.forget();
        let found = instance.heroes.find_by_id(&hero.id).await.unwrap();
        assert_eq!(found.as_deref(), Some(hero));
        let trips = tap.trips();
        assert_eq!(trips.len(), 1, "{trips:?}");
        assert!(0 < at || trips[0].starts_with("ACQUIRE"), "{trips:?}");
        assert!(at < 7 || trips[0].starts_with("GET"), "{trips:?}");
    }
    assert_eq!(world.heroes.queries().total(), 1);
}

#[tokio::test]
async fn a_local_hit_sends_no_command_and_no_query() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let read_all = async || {
        instance.heroes.find_by_id(&mia.id).await.unwrap();
        instance.heroes.find_by(&named("Mia")).await.unwrap();
        instance.heroes.find_by(&speaking("en")).await.unwrap();
        instance.heroes.list_all().await.unwrap();
        instance.heroes.find_many(&[mia.id, mia.id]).await.unwrap();
    };
    read_all().await;
    for key in [
        mia.key(),
        "hero:name:Mia".into(),
        "hero:lang:en".into(),
        "hero:all".into(),
    ] {
        world.filled(&key).await;
    }
    eventually(SOON, "local entries", async || {
        instance.cache.stats().kinds[1].l1_entries == 4
    })
    .await;
    tap.forget();
    world.heroes.queries();

    for _ in 0..10 {
        read_all().await;
    }

    assert_eq!(tap.trips(), [""; 0]);
    assert_eq!(world.heroes.queries(), Queries::NONE);
}

#[tokio::test]
async fn a_hit_in_redis_is_one_get() {
    let world = World::new();
    let (one, (tap, other)) = (world.instance().await, world.tapped().await);
    let mia = hero("Mia", "en");
    one.heroes.save(mia.clone()).await.unwrap();
    one.heroes.find_by(&speaking("en")).await.unwrap();
    world.filled("hero:lang:en").await;
    world.heroes.queries();

    other.heroes.find_by_id(&mia.id).await.unwrap();
    assert_eq!(tap.trips(), [format!("GET {}", mia.key())]);
    other.heroes.find_by(&speaking("en")).await.unwrap();
    assert_eq!(tap.trips(), ["GET hero:lang:en"]);
    assert_eq!(world.heroes.queries(), Queries::NONE);
}

#[tokio::test]
async fn an_absence_is_cached_like_a_row() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    let nobody = hero("Nobody", "en");

    assert_eq!(instance.heroes.find_by_id(&nobody.id).await.unwrap(), None);
    world.filled(&nobody.key()).await;
    tap.forget();
    eventually(SOON, "the local entry", async || {
        instance.cache.stats().kinds[1].l1_entries == 1
    })
    .await;
    assert_eq!(instance.heroes.find_by_id(&nobody.id).await.unwrap(), None);

    assert_eq!(tap.trips(), [""; 0]);
    assert_eq!(
        world.heroes.queries(),
        Queries {
            by_id: 1,
            ..Queries::NONE
        }
    );
}

#[tokio::test]
async fn a_write_is_one_trip_before_the_commit_and_one_after() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;

    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    // The id, the list of all, the name, the language.
    assert_eq!(tap.trips(), ["QUARANTINE of 4 keys", "RELEASE of 4 keys"]);

    instance
        .heroes
        .update(mia.renamed("Maria").speaking("ru"))
        .await
        .unwrap();
    assert_eq!(tap.trips(), ["QUARANTINE of 6 keys", "RELEASE of 6 keys"]);

    instance.heroes.delete(&mia.id).await.unwrap();
    assert_eq!(tap.trips(), ["QUARANTINE of 4 keys", "RELEASE of 4 keys"]);
    // The first two writes have read their rows back.
    assert_eq!(world.heroes.queries().total(), 2);
}

#[tokio::test]
async fn a_write_is_sent_on_the_subscribed_connection() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;

    instance.heroes.save(hero("Mia", "en")).await.unwrap();

    let trips = ["QUARANTINE of 4 keys", "RELEASE of 4 keys"];
    assert_eq!(tap.trips_of_the_listener(), trips);
}

#[tokio::test]
async fn a_large_row_of_a_write_avoids_the_watchers_connection() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    let large = hero(&"M".repeat(70_000), "en");

    instance.heroes.save(large.clone()).await.unwrap();

    assert_eq!(world.state(&large.key()), 'V');
    assert_eq!(tap.trips_of_the_listener(), ["QUARANTINE of 4 keys"]);
}

#[tokio::test]
async fn a_write_is_released_if_the_watchers_connection_is_lost() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    let mut write = instance.cache.write();
    write.created(&mia);
    assert!(write.before_commit().await.is_empty());
    assert_eq!(world.state(&mia.key()), 'Q');

    eventually(SOON, "the loss to be noticed", async || {
        // Again, if it was replaced before the loss was noticed.
        world.redis().client_kill_pubsub();
        instance.cache.health_check().await.status != aside::report::HealthStatus::Healthy
    })
    .await;
    write.committed().await;

    assert_eq!(world.state(&mia.key()), '-');
}

#[tokio::test]
async fn a_write_takes_one_deadline_if_only_the_watcher_hangs() {
    let world = World::new();
    let second = Duration::from_secs(1);
    let config = CacheConfig {
        operation_timeout: second,
        redis_socket_timeout: second,
        ..world.config()
    };
    let (tap, instance) = world.tapped_with(config).await;
    let other = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let zoe = hero("Zoe", "fr");
    let mut early = instance.cache.write();
    early.created(&zoe);
    assert!(early.before_commit().await.is_empty());

    tap.cut_off_the_listener();
    let begun = Instant::now();
    let maria = instance.heroes.update(mia.renamed("Maria")).await;
    let took = begun.elapsed();

    assert_eq!(maria.unwrap().unwrap().name, "Maria");
    assert!(second <= took && took < second * 2, "{took:?}");
    // Later writes use another connection, or bypass Redis.
    let begun = Instant::now();
    early.committed().await;
    assert_eq!(world.state(&zoe.key()), '-');
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    assert!(begun.elapsed() < second, "{:?}", begun.elapsed());
    for heroes in [&instance.heroes, &other.heroes] {
        let read = heroes.find_by_id_with(&mia.id, Freshness::Shared).await;
        assert_eq!(read.unwrap().value.unwrap().name, "Maria");
    }
    eventually(SOON, "the end of the quarantine", async || {
        world.state(&mia.key()) != 'Q'
    })
    .await;
}

#[tokio::test]
async fn the_quarantine_precedes_the_commit_and_the_release_follows() {
    use crate::database::Place;
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    let mut before = world.heroes.stop_at(Place::BeforeCommit);
    let mut after = world.heroes.stop_at(Place::AfterCommit);
    let mia = hero("Mia", "en");

    let saving = tokio::spawn({
        let (heroes, mia) = (instance.heroes.clone(), mia.clone());
        async move { heroes.save(mia).await }
    });
    before.reached().await;
    assert_eq!(tap.trips(), ["QUARANTINE of 4 keys"]);
    assert_eq!(world.state(&mia.key()), 'Q');
    before.go_on();
    after.reached().await;
    assert_eq!(tap.trips(), [""; 0]);
    after.go_on();
    saving.await.unwrap().unwrap();

    assert_eq!(tap.trips(), ["RELEASE of 4 keys"]);
    assert_eq!(world.state(&mia.key()), 'V');
    assert_eq!(world.state("hero:all"), '-');
}

#[tokio::test]
async fn a_batch_is_one_mget_then_one_trip_to_acquire_and_one_to_fill() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    let heroes: Vec<_> = (0..5)
        .map(|number| hero(&number.to_string(), "en"))
        .collect();
    for hero in &heroes {
        world.heroes.insert(hero);
    }
    let ids: Vec<_> = heroes.iter().map(|hero| hero.id).collect();

    instance.heroes.find_many(&ids).await.unwrap();
    let key = heroes[0].key();
    assert_eq!(
        tap.trips(),
        [format!("MGET {key}"), "ACQUIRE x5".into(), "FILL x5".into()]
    );
    assert_eq!(
        world.heroes.queries(),
        Queries {
            many: 1,
            ..Queries::NONE
        }
    );

    let other = world.tapped().await;
    other.1.heroes.find_many(&ids).await.unwrap();
    assert_eq!(other.0.trips(), [format!("MGET {key}")]);
    assert_eq!(world.heroes.queries(), Queries::NONE);
}

#[tokio::test]
async fn a_write_that_finds_no_row_sends_nothing_to_redis() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;

    assert_eq!(
        instance.heroes.update(hero("Nobody", "en")).await.unwrap(),
        None
    );
    assert!(
        !instance
            .heroes
            .delete(&hero("Nobody", "en").id)
            .await
            .unwrap()
    );

    assert_eq!(tap.trips(), [""; 0]);
}

#[tokio::test]
async fn an_unknown_script_is_loaded_again_without_an_error() {
    let world = World::new();
    let (_tap, instance) = world.tapped().await;
    world.redis().command(&["SCRIPT", "FLUSH"]);

    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();

    assert_eq!(world.state(&mia.key()), 'V');
    assert!(instance.cache.is_synced());
    assert_eq!(instance.cache.stats().errors.len(), 0);
}
