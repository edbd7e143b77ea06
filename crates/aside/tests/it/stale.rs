//! Stale values: when they are served, and when they are not.

use std::time::Duration;

use aside::{
    Answer, CacheConfig, CacheStrategy, CachedRepository, Freshness, Repository, Source, Tier,
};
use aside_testkit::eventually;

use crate::database::{DatabaseError, Fault, Place, Table};
use crate::entities::{Hero, hero, speaking};
use crate::world::{Instance, SOON, World};

type Heroes = CachedRepository<Table<Hero>>;

/// Values live for a second, and may lag by this much on errors.
#[derive(Debug)]
struct Lenient(Duration);

impl CacheStrategy<Hero> for Lenient {
    fn default_ttl(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn stale_if_error(&self) -> Option<Duration> {
        Some(self.0)
    }
}

const HOURS: Duration = Duration::from_secs(7_200);

/// Short enough for a test to wait.
const BRIEFLY: Duration = Duration::from_secs(2);

fn lenient(instance: &Instance, limit: Duration) -> Heroes {
    instance.heroes.clone().with_strategy(Lenient(limit))
}

/// Reads the row while the database fails.
async fn read_failing(
    world: &World,
    heroes: &Heroes,
    hero: &Hero,
) -> Result<Answer<Option<std::sync::Arc<Hero>>>, DatabaseError> {
    world.heroes.fail_next(Fault::ReadFails);
    heroes.find_by_id_with(&hero.id, Freshness::Any).await
}

/// Reads until the row has a local entry.
async fn held(world: &World, heroes: &Heroes, hero: &Hero) {
    heroes.find_by_id(&hero.id).await.unwrap();
    eventually(SOON, "a local entry", async || {
        let read = heroes.find_by_id_with(&hero.id, Freshness::Any).await;
        read.unwrap().tier == Tier::Local
    })
    .await;
    world.heroes.queries();
}

async fn deaf(world: &World, instance: &Instance) {
    world.redis().kill();
    eventually(SOON, "the loss to be noticed", async || {
        !instance.cache.is_synced()
    })
    .await;
}

/// An instance with a local entry of a hero that then lost Redis.
async fn deaf_and_holding(limit: Duration) -> (World, Heroes, Hero) {
    let world = World::new();
    let instance = world.instance().await;
    let heroes = lenient(&instance, limit);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    held(&world, &heroes, &mia).await;
    deaf(&world, &instance).await;
    (world, heroes, mia)
}

#[tokio::test]
async fn expired_rows_and_lists_are_served_while_the_database_fails() {
    let world = World::new();
    let instance = world.instance().await;
    let heroes = lenient(&instance, HOURS);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    held(&world, &heroes, &mia).await;
    heroes.find_by(&speaking("en")).await.unwrap();
    world.filled("hero:lang:en").await;
    heroes.find_by(&speaking("en")).await.unwrap();
    eventually(SOON, "the values to leave Redis", async || {
        world.keys().is_empty()
    })
    .await;

    world.heroes.fail_next(Fault::ReadFails);
    eventually(SOON, "the entry to expire", async || {
        let read = heroes.find_by_id_with(&mia.id, Freshness::Any).await;
        let read = read.unwrap();
        assert_eq!(read.value.as_deref(), Some(&mia));
        read.stale.is_some_and(|stale| stale < SOON * 2)
    })
    .await;
    world.heroes.fail_next(Fault::ReadFails);
    let read = heroes
        .find_by_with(&speaking("en"), Freshness::Any)
        .await
        .unwrap();
    assert!(read.stale.is_some() && read.value.len() == 1, "{read:?}");
    world.heroes.fail_next(Fault::ReadFails);
    let rows = heroes.find_many(&[mia.id]).await.unwrap();
    assert_eq!(rows[0].as_deref(), Some(&mia));
    assert_eq!(heroes.stats().await.reads.stale_hits, 3);

    let nobody = hero("Nobody", "en");
    world.heroes.fail_next(Fault::ReadFails);
    let failed = heroes.find_many(&[mia.id, nobody.id]).await;
    assert_eq!(failed.unwrap_err(), DatabaseError::Failed);
    let read = heroes
        .find_by_id_with(&mia.id, Freshness::Any)
        .await
        .unwrap();
    assert_eq!(read.stale, None);
}

#[tokio::test]
async fn without_a_strategy_the_repositorys_error_is_returned() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    held(&world, &instance.heroes, &mia).await;
    deaf(&world, &instance).await;

    let read = read_failing(&world, &instance.heroes, &mia).await;
    assert_eq!(read.unwrap_err(), DatabaseError::Failed);
    world.redis().restart();
}

#[tokio::test]
async fn an_invalidated_entry_is_never_served_stale() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let heroes = lenient(&one, HOURS);
    let [mia, noa] = [hero("Mia", "en"), hero("Noa", "en")];
    world.heroes.insert(&mia);
    world.heroes.insert(&noa);

    for (row, writer) in [(&mia, &other.heroes), (&noa, &heroes)] {
        held(&world, &heroes, row).await;
        writer.update(row.renamed("Maria")).await.unwrap();
        eventually(SOON, "the message of the write", async || {
            let read = heroes.find_by_id(&row.id).await.unwrap();
            read.is_some_and(|row| row.name == "Maria")
        })
        .await;
        // The row just read may be inserted again; the next message invalidates
        // it.
        heroes.invalidate(aside::Scope::Row(&row.id)).await;
        let read = read_failing(&world, &heroes, row).await;
        assert_eq!(read.unwrap_err(), DatabaseError::Failed);
    }
}

#[tokio::test]
async fn without_messages_stale_values_are_served_up_to_the_limit() {
    let (world, heroes, mia) = deaf_and_holding(BRIEFLY).await;
    // No message announces this change.
    world.heroes.insert(&mia.renamed("Maria"));

    let first = read_failing(&world, &heroes, &mia).await.unwrap();
    assert_eq!(first.value.as_deref(), Some(&mia));
    assert!(
        first.stale.is_some_and(|stale| stale <= BRIEFLY),
        "{first:?}"
    );
    eventually(SOON, "the limit", async || {
        match read_failing(&world, &heroes, &mia).await {
            Ok(read) => {
                assert!(read.stale.is_some_and(|stale| stale <= BRIEFLY), "{read:?}");
                false
            }
            Err(error) => error == DatabaseError::Failed,
        }
    })
    .await;
    world.redis().restart();
}

#[tokio::test]
async fn no_stale_value_is_older_than_a_later_database_read() {
    let (world, heroes, mia) = deaf_and_holding(HOURS).await;

    // The same row proves nothing new.
    heroes.find_by_id(&mia.id).await.unwrap();
    let read = read_failing(&world, &heroes, &mia).await.unwrap();
    assert!(read.stale.is_some(), "{read:?}");

    world.heroes.insert(&mia.renamed("Maria"));
    heroes.find_by_id(&mia.id).await.unwrap();
    let read = read_failing(&world, &heroes, &mia).await;
    assert_eq!(read.unwrap_err(), DatabaseError::Failed);
    world.redis().restart();
}

#[tokio::test]
async fn a_read_without_a_database_permit_is_served_stale() {
    let world = World::new();
    let instance = world
        .instance_with(CacheConfig {
            source_concurrency: 1,
            ..world.config()
        })
        .await;
    let heroes = lenient(&instance, HOURS);
    let [mia, noa] = [hero("Mia", "en"), hero("Noa", "en")];
    world.heroes.insert(&mia);
    held(&world, &heroes, &mia).await;
    deaf(&world, &instance).await;

    let mut slow = world.heroes.stop_at(Place::BeforeRead);
    let blocking = tokio::spawn({
        let heroes = heroes.clone();
        async move { heroes.find_by_id(&noa.id).await }
    });
    slow.reached().await;
    let read = heroes.find_by_id_with(&mia.id, Freshness::Any).await;
    assert!(read.unwrap().stale.is_some());
    slow.go_on();
    blocking.await.unwrap().unwrap();
    world.redis().restart();
}
