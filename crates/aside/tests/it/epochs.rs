//! The epochs of kinds, where Redis loses them.

use aside::{Forget, Freshness, Repository, Tier};
use aside_testkit::eventually;

use crate::entities::hero;
use crate::world::{SOON, World};

#[tokio::test]
async fn epochs_that_redis_lost_begin_anew_beyond_what_was_known() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    instance.heroes.invalidate(Forget::All).await;
    let epoch = async || {
        let found = world.redis().command(&["HGET", "aside:epochs", "hero"]);
        found.text().and_then(|epoch| epoch.parse::<u64>().ok())
    };
    let known = epoch().await.unwrap();
    // Brought back older by somebody's restore.
    let older = ["HSET", "aside:epochs", "hero", "0000000000007"];
    world.redis().command(&older);
    eventually(SOON, "an epoch beyond", async || {
        epoch().await.is_some_and(|epoch| known < epoch)
    })
    .await;
    eventually(SOON, "an answer from a cache", async || {
        let read = instance.heroes.find_by_id_with(&mia.id, Freshness::Any);
        read.await.unwrap().tier != Tier::Source
    })
    .await;
}

#[tokio::test]
async fn epochs_that_are_evicted_are_put_back_and_values_stay() {
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
        // Each of them has seen it there.
        let read = world.redis().calls("hgetall");
        eventually(SOON, "several PINGs of both", async || {
            read + 8 <= world.redis().calls("hgetall")
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
async fn epochs_that_were_lost_unheard_begin_anew() {
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
