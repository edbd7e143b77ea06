//! The cost of a query: round trips and loads.

use aside::{CachedQuery, Deps, Repository};

use super::{Names, count, with_mia};
use crate::entities::{Book, Hero, hero, speaking};
use crate::world::World;

#[tokio::test]
async fn a_miss_looks_then_acquires_and_stamps_then_fills() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    world.heroes.insert(&hero("Mia", "en"));
    world
        .redis()
        .command(&["HSET", "aside:epochs", "names", "0000000000001"]);
    let names = Names::new(&world, &instance);
    // The first read of a query that is new to a service costs its epoch.
    names.of("fr").await;
    world.filled("names:fr").await;
    tap.forget();

    assert_eq!(names.of("en").await, ["Mia"]);
    world.filled("names:en").await;
    let look = "GET and others: [\"GET\", \"GETRANGE\"]";
    let acquire = "ACQUIRE and others: [\"ACQUIRE\", \"STAMP\"]";
    assert_eq!(tap.trips(), [look, acquire, "FILL names:en"]);

    names.of("en").await;
    assert_eq!(tap.trips(), [""; 0]);
}

#[tokio::test]
async fn a_hit_in_redis_is_one_round_trip() {
    let world = World::new();
    let (one, (tap, other)) = (world.instance().await, world.tapped().await);
    world.heroes.insert(&hero("Mia", "en"));
    let names = Names::new(&world, &one);
    let english = speaking("en");
    let deps = || Deps::new().list::<Hero>(&english).kind::<Hero>();
    names.under("en", deps()).await;
    world.filled("names:en").await;
    let others = Names::new(&world, &other);
    others.of("fr").await;
    world.filled("names:fr").await;
    others.loads();
    tap.forget();

    assert_eq!(others.under("en", deps()).await, ["Mia"]);

    let look = "GET and others: [\"GET\", \"GETRANGE\", \"GETRANGE\"]";
    assert_eq!(tap.trips(), [look]);
    assert_eq!(others.loads(), 0);
}

#[tokio::test]
async fn a_write_of_a_kind_with_ten_queries_is_two_round_trips() {
    const NAMES: [&str; 10] = ["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9"];
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let tables = (&world.heroes, &world.books);
    for name in NAMES {
        let query = CachedQuery::new(name, &instance.cache);
        let deps = Deps::new().kind::<Hero>().kind::<Book>();
        count(&query, tables, deps).await;
        world.filled(&format!("{name}:^null")).await;
    }
    tap.forget();

    instance.heroes.update(mia.renamed("Maria")).await.unwrap();

    assert_eq!(tap.trips(), ["QUARANTINE of 5 keys", "RELEASE of 5 keys"]);
}

#[tokio::test]
async fn marks_that_end_soon_are_prolonged() {
    let world = World::new();
    let (instance, _) = with_mia(&world).await;
    let other = world.instance().await;
    let names = Names::new(&world, &instance);
    names.of("en").await;
    world.filled("names:en").await;
    let ttl = |key: &str| world.redis().command(&["PTTL", key]).integer().unwrap();
    assert!(60_000 < ttl("hero:lang:en"), "longer than the value");
    // As it would be a minute later.
    let mark = world.raw("hero:lang:en").unwrap();
    let soon = format!("{:020}", jiff::Timestamp::now().as_millisecond() + 5_000);
    let mark = format!("{}{soon}{}", &mark[..62], &mark[82..]);
    world
        .redis()
        .command(&["SET", "hero:lang:en", &mark, "PX", "5000"]);

    let others = Names::new(&world, &other);
    assert_eq!(others.of("en").await, ["Mia"]);

    assert_eq!(others.loads(), 0);
    aside_testkit::eventually(crate::world::SOON, "a longer mark", async || {
        60_000 < ttl("hero:lang:en")
    })
    .await;
    // Under the stamp that it had.
    assert_eq!(world.raw("hero:lang:en").unwrap()[46..62], mark[46..62]);
}
