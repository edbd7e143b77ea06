//! Dependencies on kinds: their epochs, and the key that stands for a tracked one.

use std::time::Duration;

use aside::{CacheService, CachedQuery, Deps, Entity};
use aside_testkit::eventually;
use serde::{Deserialize, Serialize};

use crate::world::{SOON, World, on_both};

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "like", list_all = false, tracked)]
struct Like {
    #[entity(id)]
    id: u64,
    #[entity(index)]
    viewer: u64,
}

/// A shelf's row changes with each row that names it.
#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "note", list_all = false, dependents = "likes_of")]
struct Note {
    #[entity(id)]
    id: u64,
    like: u64,
}

fn likes_of(note: &Note, dependents: &mut aside::entity::Dependents<'_>) {
    dependents.row::<Like>(&note.like);
}

/// Reads a query that depends on all likes. A load returns `now`.
async fn read(likes: &CachedQuery<(), u64>, now: u64) -> u64 {
    let load = move || async move { Ok::<_, std::io::Error>(now) };
    let deps = Deps::new().kind::<Like>();
    *likes.get(&(), deps, load).await.unwrap()
}

async fn cached(cache: &CacheService) -> CachedQuery<(), u64> {
    let likes = CachedQuery::new("likes", cache);
    eventually(SOON, "a cached result", async || {
        read(&likes, 1).await;
        cache.exists("likes:^null").await
    })
    .await;
    likes
}

#[tokio::test]
async fn an_instance_learns_the_epochs_of_kinds_that_it_only_depends_on() {
    let world = World::new();
    let instance = world.instance().await;
    let likes = cached(&instance.cache).await;
    assert_eq!(read(&likes, 2).await, 1);

    // Another instance invalidates the kind, and this one misses the message.
    let later = world.redis().command(&["TIME"]);
    let seconds = match later {
        aside_testkit::Reply::Array(parts) => parts[0].text().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    let epoch = format!("{seconds}999");
    world
        .redis()
        .command(&["HSET", "aside:epochs", "like", &epoch]);

    eventually(Duration::from_secs(5), "the result of now", async || {
        read(&likes, 2).await == 2
    })
    .await;
}

#[tokio::test]
async fn each_way_to_name_a_tracked_row_outdates_queries_of_its_kind() {
    type Change = fn(&mut aside::Write);
    let ways: [(&str, Change); 4] = [
        ("its id", |write| write.invalidate_id::<Like>(&7)),
        ("its list", |write| {
            write.invalidate_list::<Like>(&LikeIndex::Viewer(7));
        }),
        ("a row that it depends on", |write| {
            write.created(&Note { id: 1, like: 7 });
        }),
        ("more rows than are named one by one", |write| {
            (0..1_001).for_each(|id| write.created(&Note { id, like: id }));
        }),
    ];
    on_both(async |world| {
        let instance = world.instance().await;
        for (way, change) in ways {
            let likes = cached(&instance.cache).await;
            let before = read(&likes, 2).await;
            let mut write = instance.cache.write();
            change(&mut write);
            let _ = write.before_commit().await;
            write.committed().await;
            assert_eq!(read(&likes, before + 5).await, before + 5, "{way}");
            instance.cache.invalidate_kind("likes").await;
        }
    })
    .await;
}
