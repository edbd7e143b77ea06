//! Early refresh: a value near its end is loaded anew beside its readers.

use std::time::{Duration, Instant};

use aside::{CacheStrategy, CachedRepository, Freshness, Repository, Source};
use aside_testkit::eventually;

use crate::database::{Fault, Place, Table};
use crate::entities::{Hero, hero, speaking};
use crate::world::{Instance, SOON, World};

type Heroes = CachedRepository<Table<Hero>>;

/// A TTL of four seconds, of which reads refresh a value in the last 1.2.
#[derive(Debug)]
struct Early;

const TTL: Duration = Duration::from_secs(4);

/// No value is refreshed before it is as old as this.
const QUIET: Duration = Duration::from_millis(2_700);

impl CacheStrategy<Hero> for Early {
    fn default_ttl(&self) -> Option<Duration> {
        Some(TTL)
    }

    fn jitter(&self) -> f64 {
        0.0
    }

    fn early_refresh(&self) -> Option<f64> {
        Some(0.3)
    }
}

fn early(instance: &Instance) -> Heroes {
    instance.heroes.clone().with_strategy(Early)
}

async fn name(heroes: &Heroes, hero: &Hero) -> String {
    let row = heroes.find_by_id(&hero.id).await.unwrap();
    row.expect("a row").name.clone()
}

/// An instance with a value of a hero whose name then changed in the database alone.
async fn renamed(world: &World, instance: &Instance) -> (Heroes, Hero) {
    let heroes = early(instance);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    heroes.find_by_id(&mia.id).await.unwrap();
    instance.filled(&mia.key()).await;
    world.heroes.insert(&mia.clone().renamed("Maria"));
    world.heroes.queries();
    (heroes, mia)
}

#[tokio::test]
async fn a_value_near_its_end_is_served_while_it_is_loaded() {
    crate::world::on_both(async |world| {
        let instance = world.instance().await;
        let begun = Instant::now();
        let (heroes, mia) = renamed(&world, &instance).await;
        let mut stopped = world.heroes.stop_at(Place::BeforeRead);
        let reads = async {
            loop {
                assert_eq!(name(&heroes, &mia).await, "Mia");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = reads => {}
            () = stopped.reached() => {}
        }
        assert!(QUIET < begun.elapsed(), "{:?}", begun.elapsed());
        assert_eq!(name(&heroes, &mia).await, "Mia");

        stopped.go_on();

        eventually(SOON, "the new name", async || {
            name(&heroes, &mia).await == "Maria"
        })
        .await;
        assert_eq!(world.heroes.queries().by_id, 1);
        assert_eq!(heroes.stats().await.reads.misses, 1);
    })
    .await;
}

#[tokio::test]
async fn one_of_two_instances_refreshes_a_value() {
    let world = World::new();
    let [one, other] = [world.instance().await, world.instance().await];
    let (heroes, mia) = renamed(&world, &one).await;
    let others = early(&other);
    assert_eq!(name(&others, &mia).await, "Mia");

    eventually(SOON, "the new name on both", async || {
        let names = [name(&heroes, &mia).await, name(&others, &mia).await];
        names == ["Maria", "Maria"]
    })
    .await;

    assert_eq!(world.heroes.queries().by_id, 1);
    let misses = [heroes, others].map(|heroes| async move { heroes.stats().await.reads.misses });
    let [one, other] = misses;
    assert_eq!((one.await, other.await), (1, 0));
}

#[tokio::test]
async fn a_list_near_its_end_is_refreshed() {
    let world = World::new();
    let instance = world.instance().await;
    let heroes = early(&instance);
    world.heroes.insert(&hero("Mia", "en"));
    heroes.find_by(&speaking("en")).await.unwrap();
    // Until the fill is done, further readers join its miss.
    eventually(SOON, "a local hit", async || {
        heroes.find_by(&speaking("en")).await.unwrap();
        0 < heroes.stats().await.reads.l1_hits
    })
    .await;
    let misses = heroes.stats().await.reads.misses;
    world.heroes.insert(&hero("Ivan", "en"));

    eventually(SOON, "the new row", async || {
        heroes.find_by(&speaking("en")).await.unwrap().len() == 2
    })
    .await;

    assert_eq!(heroes.stats().await.reads.misses, misses);
}

#[tokio::test]
async fn a_write_voids_a_refresh_that_read_before_it() {
    let world = World::new();
    let instance = world.instance().await;
    let (heroes, mia) = renamed(&world, &instance).await;
    let mut stopped = world.heroes.stop_at(Place::AfterRead);
    let reads = async {
        loop {
            heroes.find_by_id(&mia.id).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = reads => {}
        () = stopped.reached() => {}
    }
    heroes.update(mia.clone().renamed("Mascha")).await.unwrap();

    stopped.go_on();

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        for freshness in [Freshness::Any, Freshness::Shared] {
            let read = heroes.find_by_id_with(&mia.id, freshness).await.unwrap();
            assert_eq!(read.value.unwrap().name, "Mascha");
        }
    }
}

#[tokio::test]
async fn a_failed_refresh_is_tried_once_and_leaves_the_value() {
    let world = World::new();
    let instance = world.instance().await;
    let (heroes, mia) = renamed(&world, &instance).await;
    world.heroes.fail_next(Fault::ReadFails);

    eventually(SOON, "the end of the value", async || {
        name(&heroes, &mia).await == "Maria"
    })
    .await;

    // The refresh, and the load after the end of the value.
    assert_eq!(world.heroes.queries().by_id, 2);
    assert_eq!(heroes.stats().await.reads.misses, 2);
}
