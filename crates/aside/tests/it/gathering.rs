//! Request batching: concurrent reads of several rows share one command.

use std::sync::Arc;
use std::time::Duration;

use aside::{CacheConfig, Repository, Source};
use futures_util::future::join_all;
use futures_util::poll;
use tokio::task::JoinSet;

use crate::database::Queries;
use crate::entities::{Hero, hero};
use crate::world::World;

/// Saves that many heroes in the database and in Redis.
async fn saved(world: &World, count: usize) -> Vec<Hero> {
    let writer = world.instance().await;
    let mut heroes = Vec::new();
    for number in 0..count {
        let saved = writer.heroes.save(hero(&format!("Hero {number}"), "en"));
        heroes.push((*saved.await.unwrap()).clone());
    }
    heroes
}

#[tokio::test]
async fn concurrent_reads_share_an_mget_without_delaying_the_first() {
    let world = World::new();
    let heroes = saved(&world, 30).await;
    let (tap, reader) = world.tapped().await;
    world.heroes.queries();

    let reads = heroes.iter().map(|hero| reader.heroes.find_by_id(&hero.id));
    let found = join_all(reads).await;

    for (found, hero) in found.into_iter().zip(&heroes) {
        assert_eq!(found.unwrap().as_deref(), Some(hero));
    }
    // One after the other on one connection. Or the second is in the first
    // one's trip, if the first had no reply yet.
    let trips = tap.trips();
    let (first, second) = (heroes[0].key(), heroes[1].key());
    let apart = [format!("GET {first}"), format!("MGET {second}")];
    let together = ["GET and others: [\"GET\", \"MGET\"]"];
    assert!(trips == apart || trips == together, "{trips:?}");
    assert_eq!(world.heroes.queries(), Queries::NONE);
}

#[tokio::test]
async fn tasks_that_got_one_reply_share_the_next_command() {
    const ROUNDS: usize = 20;
    let world = World::new();
    // More tasks than tokio polls before it polls the tasks that yielded.
    let rows: Arc<[Hero]> = saved(&world, 64).await.into();
    let config = CacheConfig {
        max_staleness: Duration::ZERO,
        ..world.config()
    };
    let reader = world.instance_with(config).await;
    world.redis().reset_stats();

    let tasks: JoinSet<()> = (0..rows.len())
        .map(|task| {
            let (rows, heroes) = (Arc::clone(&rows), reader.heroes.clone());
            async move {
                for round in 0..ROUNDS {
                    let row = &rows[(task + round) % rows.len()];
                    let found = heroes.find_by_id(&row.id).await.unwrap();
                    assert_eq!(found.as_deref(), Some(row));
                }
            }
        })
        .collect();
    tasks.join_all().await;

    let (gets, mgets) = (world.redis().calls("get"), world.redis().calls("mget"));
    // The first one is sent alone, and returns while the others are in flight.
    assert!(gets <= 3, "{gets} lone reads, {mgets} of several");
    assert!(mgets <= ROUNDS as u64 + 3, "{mgets} trips of several");
}

#[tokio::test]
async fn sequential_reads_are_one_get_each() {
    let world = World::new();
    let heroes = saved(&world, 3).await;
    let (tap, reader) = world.tapped().await;

    for hero in &heroes {
        reader.heroes.find_by_id(&hero.id).await.unwrap();
    }

    let gets: Vec<String> = heroes
        .iter()
        .map(|hero| format!("GET {}", hero.key()))
        .collect();
    assert_eq!(tap.trips(), gets);
}

#[tokio::test]
async fn a_reader_dropped_while_others_join_strands_no_reader() {
    let world = World::new();
    let heroes = saved(&world, 3).await;
    let reader = world.instance().await;
    world.heroes.queries();

    let mut alone = Box::pin(reader.heroes.find_by_id(&heroes[0].id));
    let mut first = Box::pin(reader.heroes.find_by_id(&heroes[1].id));
    let mut joined = Box::pin(reader.heroes.find_by_id(&heroes[2].id));
    assert!(poll!(&mut alone).is_pending());
    assert!(poll!(&mut first).is_pending());
    assert!(poll!(&mut joined).is_pending());
    drop(first);
    drop(alone);

    assert_eq!(joined.await.unwrap().as_deref(), Some(&heroes[2]));
    assert_eq!(world.heroes.queries(), Queries::NONE);
}
