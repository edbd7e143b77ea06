//! The epochs of kinds, after Redis lost them.

use aside::{Freshness, Repository, Scope, Tier};
use aside_testkit::eventually;

use crate::entities::hero;
use crate::world::{SOON, World};

#[tokio::test]
async fn epochs_that_redis_lost_restart_above_known_epochs() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    instance.heroes.invalidate(Scope::Kind).await;
    let epoch = async || {
        let found = world.redis().command(&["HGET", "aside:epochs", "hero"]);
        found.text().and_then(|epoch| epoch.parse::<u64>().ok())
    };
    let known = epoch().await.unwrap();
    // A restored backup has an older epoch.
    let older = ["HSET", "aside:epochs", "hero", "0000000000007"];
    world.redis().command(&older);
    eventually(SOON, "a higher epoch", async || {
        epoch().await.is_some_and(|epoch| known < epoch)
    })
    .await;
    eventually(SOON, "a row from a cache", async || {
        let read = instance.heroes.find_by_id_with(&mia.id, Freshness::Any);
        read.await.unwrap().tier != Tier::Source
    })
    .await;
}

#[tokio::test]
async fn evicted_epochs_are_restored_and_values_stay() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    let epoch = || world.redis().command(&["HGET", "aside:epochs", "hero"]);
    eventually(SOON, "the row in Redis", async || {
        let read = other.heroes.find_by_id_with(&mia.id, Freshness::Shared);
        read.await.unwrap().tier == Tier::Shared
    })
    .await;
    let known = epoch();
    for _ in 0..3 {
        // Each of the instances has read it.
        let read = world.redis().calls("hget");
        eventually(SOON, "several PINGs of both", async || {
            read + 24 <= world.redis().calls("hget")
        })
        .await;
        world.redis().command(&["DEL", "aside:epochs"]);
        eventually(SOON, "the epoch", async || !epoch().is_nil()).await;
        assert_eq!(epoch(), known);
        for instance in [&one, &other] {
            let read = instance.heroes.find_by_id_with(&mia.id, Freshness::Shared);
            assert_eq!(read.await.unwrap().tier, Tier::Shared);
        }
    }
}

#[tokio::test]
async fn epochs_lost_without_a_message_restart() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let epoch = || world.redis().command(&["HGET", "aside:epochs", "hero"]);
    eventually(SOON, "the epoch", async || !epoch().is_nil()).await;
    let known = epoch();
    assert_eq!(world.redis().client_kill_pubsub(), 1);
    world.redis().command(&["DEL", "aside:epochs"]);
    eventually(SOON, "another epoch", async || {
        !epoch().is_nil() && epoch() != known
    })
    .await;
    eventually(SOON, "the row", async || {
        let read = instance.heroes.find_by_id_with(&mia.id, Freshness::Any);
        read.await.unwrap().tier != Tier::Source
    })
    .await;
}
