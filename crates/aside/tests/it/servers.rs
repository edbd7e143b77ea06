//! The life of a row on every server of this machine: two instances read and write
//! it, the server dies and returns.

use std::time::Duration;

use aside::{CacheConfig, Freshness, Repository, Tier};
use aside_testkit::{eventually, servers};

use crate::entities::{Hero, hero};
use crate::world::{Instance, SOON, World};

async fn read(instance: &Instance, hero: &Hero) -> (String, Tier) {
    let read = instance.heroes.find_by_id_with(&hero.id, Freshness::Any);
    let read = read.await.unwrap();
    (
        read.value.expect("the row is there").name.clone(),
        read.tier,
    )
}

async fn reads_writes_and_an_outage_on(name: &str) {
    for server in servers::all_of(name) {
        println!("{server}");
        let world = World::with(server.options());
        let config = CacheConfig {
            max_staleness: Duration::from_secs(1),
            ..world.config()
        };
        let one = world.instance_with(config.clone()).await;
        let other = world.instance_with(config).await;

        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        assert_eq!(read(&one, &mia).await, ("Mia".into(), Tier::Source));
        world.filled(&mia.key()).await;
        assert_eq!(read(&other, &mia).await, ("Mia".into(), Tier::Shared));
        assert_eq!(read(&other, &mia).await, ("Mia".into(), Tier::Local));

        one.heroes.update(mia.renamed("Maria")).await.unwrap();
        eventually(SOON, "the other's new row", async || {
            read(&other, &mia).await.0 == "Maria"
        })
        .await;

        world.redis().kill();
        eventually(SOON, "the loss to be noticed", async || {
            !one.cache.is_synced() && !other.cache.is_synced()
        })
        .await;
        other.heroes.update(mia.renamed("Marie")).await.unwrap();
        assert_eq!(read(&one, &mia).await, ("Marie".into(), Tier::Source));

        world.redis().restart();
        eventually(SOON, "a local row again", async || {
            read(&one, &mia).await == ("Marie".into(), Tier::Local)
                && read(&other, &mia).await == ("Marie".into(), Tier::Local)
        })
        .await;
    }
}

#[tokio::test]
async fn a_row_lives_through_an_outage_of_redis_6() {
    reads_writes_and_an_outage_on("redis-6").await;
}

#[tokio::test]
async fn a_row_lives_through_an_outage_of_redis_7() {
    reads_writes_and_an_outage_on("redis-7").await;
}

#[tokio::test]
async fn a_row_lives_through_an_outage_of_redis_8() {
    reads_writes_and_an_outage_on("redis-8").await;
}

#[tokio::test]
async fn a_row_lives_through_an_outage_of_valkey_8() {
    reads_writes_and_an_outage_on("valkey-8").await;
}

#[tokio::test]
async fn a_row_lives_through_an_outage_of_valkey_9() {
    reads_writes_and_an_outage_on("valkey-9").await;
}
