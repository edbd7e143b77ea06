//! Outdated values that a query tolerates.

use std::time::Duration;

use aside::Repository;
use aside_testkit::eventually;

use super::{Names, with_mia};
use crate::database::Place;
use crate::world::{SOON, World};

const LONG: Duration = Duration::from_secs(50);

#[tokio::test]
async fn an_outdated_value_is_served_while_one_reader_loads() {
    let world = World::new();
    let (instance, mia) = with_mia(&world).await;
    let other = world.instance().await;
    let names = Names::new(&world, &instance).tolerates(LONG);
    let others = Names::new(&world, &other).tolerates(LONG);
    assert_eq!(names.of("en").await, ["Mia"]);
    world.filled("names:en").await;
    assert_eq!(others.of("en").await, ["Mia"]);
    assert_eq!((names.loads(), others.loads()), (1, 0));

    instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    let mut stopped = world.heroes.stop_at(Place::BeforeRead);
    assert_eq!(names.of("en").await, ["Mia"]);
    stopped.reached().await;
    for _ in 0..3 {
        assert_eq!(names.of("en").await, ["Mia"]);
        assert_eq!(others.of("en").await, ["Mia"]);
    }
    stopped.go_on();

    eventually(SOON, "the new name on both", async || {
        let both = [names.of("en").await, others.of("en").await];
        both == [["Maria"], ["Maria"]]
    })
    .await;
    assert_eq!((names.loads(), others.loads()), (1, 0));
    let stats = instance.cache.stats();
    let of_names = stats.kinds.iter().find(|kind| kind.kind == "names");
    assert!(4 <= of_names.unwrap().stale_hits);
}

#[tokio::test]
async fn a_value_beyond_its_tolerance_is_not_served() {
    let world = World::new();
    let (instance, mia) = with_mia(&world).await;
    let names = Names::new(&world, &instance).tolerates(Duration::from_millis(1));
    names.of("en").await;
    world.filled("names:en").await;
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;

    assert_eq!(names.of("en").await, ["Maria"]);
}

#[tokio::test]
async fn no_load_begins_while_a_dependency_is_written() {
    let world = World::new();
    let (instance, mia) = with_mia(&world).await;
    let other = world.instance().await;
    let names = Names::new(&world, &other).tolerates(LONG);
    names.of("en").await;
    world.filled("names:en").await;
    names.loads();
    let mut stopped = world.heroes.stop_at(Place::BeforeCommit);
    let heroes = instance.heroes.clone();
    let write = tokio::spawn(async move { heroes.update(mia.renamed("Maria")).await });
    stopped.reached().await;

    for _ in 0..5 {
        assert_eq!(names.of("en").await, ["Mia"]);
    }
    assert_eq!(names.loads(), 0);

    stopped.go_on();
    write.await.unwrap().unwrap();
    eventually(SOON, "the new name", async || {
        names.of("en").await == ["Maria"]
    })
    .await;
    assert_eq!(names.loads(), 1);
}

#[tokio::test]
async fn a_query_that_tolerates_nothing_serves_no_outdated_value() {
    let world = World::new();
    let (instance, mia) = with_mia(&world).await;
    let names = Names::new(&world, &instance);
    names.of("en").await;
    world.filled("names:en").await;

    instance.heroes.update(mia.renamed("Maria")).await.unwrap();

    assert_eq!(names.of("en").await, ["Maria"]);
}
