//! Limits on the time that a read waits for a load, which goes on.

use std::time::Duration;

use aside::repository::Overloaded;
use aside::{CacheStrategy, CachedRepository, Freshness, Source, Timeouts};
use aside_testkit::eventually;

use crate::database::{DatabaseError, Place, Table};
use crate::entities::{Hero, hero};
use crate::world::{Instance, SOON, World};

type Heroes = CachedRepository<Table<Hero>>;

const SOFT: Duration = Duration::from_millis(50);
const HARD: Duration = Duration::from_millis(150);

/// Values live for a second, may be older on errors, and reads wait so long.
#[derive(Debug)]
struct Lenient(Option<Duration>);

impl CacheStrategy<Hero> for Lenient {
    fn default_ttl(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn stale_if_error(&self) -> Option<Duration> {
        Some(Duration::from_secs(7_200))
    }

    fn hard_timeout(&self) -> Option<Duration> {
        self.0
    }
}

/// An instance whose value of a hero has expired.
async fn expired(world: &World, instance: &Instance) -> (Heroes, Hero) {
    let heroes = instance.heroes.clone().with_strategy(Lenient(None));
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    heroes.find_by_id(&mia.id).await.unwrap();
    world.filled(&mia.key()).await;
    heroes.find_by_id(&mia.id).await.unwrap();
    eventually(SOON, "the end of the value", async || {
        world.state(&mia.key()) == '-'
    })
    .await;
    world.heroes.insert(&mia.clone().renamed("Maria"));
    world.heroes.queries();
    (heroes, mia)
}

#[tokio::test]
async fn an_older_value_is_served_after_the_soft_timeout() {
    let world = World::new();
    let instance = world.instance().await;
    let (heroes, mia) = expired(&world, &instance).await;
    let soon = heroes.with_timeouts(Timeouts::new().soft(SOFT));
    let mut stopped = world.heroes.stop_at(Place::BeforeRead);

    let read = soon.find_by_id_with(&mia.id, Freshness::Any).await.unwrap();
    assert_eq!(read.value.as_deref(), Some(&mia));
    assert!(read.stale.is_some());
    let rows = soon.find_many(&[mia.id]).await.unwrap();
    assert_eq!(rows[0].as_deref(), Some(&mia));

    stopped.reached().await;
    stopped.go_on();
    world.filled(&mia.key()).await;
    let row = heroes.find_by_id(&mia.id).await.unwrap().unwrap();
    assert_eq!(row.name, "Maria");
    assert_eq!(world.heroes.queries().total(), 1);
}

#[tokio::test]
async fn a_read_without_an_older_value_fails_after_the_hard_timeout() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let soon = Timeouts::new().soft(SOFT).hard(HARD);
    let soon = instance.heroes.with_timeouts(soon);
    let mut stopped = world.heroes.stop_at(Place::BeforeRead);

    let failed = soon.find_by_id(&mia.id).await.unwrap_err();
    assert_eq!(failed, DatabaseError::Overloaded);
    let failed = soon.find_many(&[mia.id]).await.unwrap_err();
    assert_eq!(failed, DatabaseError::Overloaded);
    assert_eq!(instance.errors("read_timed_out"), 2);

    stopped.reached().await;
    stopped.go_on();
    world.filled(&mia.key()).await;
    let row = soon.find_by_id(&mia.id).await.unwrap();
    assert_eq!(row.as_deref(), Some(&mia));
    assert_eq!(world.heroes.queries().total(), 1);
}

#[tokio::test]
async fn a_call_overrides_the_timeouts_of_its_strategy() {
    let world = World::new();
    let instance = world.instance().await;
    let heroes = instance.heroes.clone().with_strategy(Lenient(Some(SOFT)));
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let stopped = world.heroes.stop_at(Place::BeforeRead);
    let failed = heroes.find_by_id(&mia.id).await.unwrap_err();
    assert_eq!(failed, DatabaseError::Overloaded);

    let patient = heroes.with_timeouts(Timeouts::new().hard(SOON));
    let (read, ()) = tokio::join!(patient.find_by_id(&mia.id), async {
        tokio::time::sleep(SOFT * 2).await;
        stopped.go_on();
    });

    assert_eq!(read.unwrap().as_deref(), Some(&mia));
}

#[test]
fn the_error_names_the_limit() {
    let error = Overloaded::StillLoading(HARD).to_string();
    assert_eq!(error, "no result within 150ms; the load goes on");
}
