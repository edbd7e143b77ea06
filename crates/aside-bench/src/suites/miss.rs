//! Stampedes: a crowd for one cold key makes one database read.

use std::time::{Duration, Instant};

use aside::{Forget, Repository};
use aside_testkit::RedisServer;

use crate::Wrong;
use crate::heroes::{Heroes, cached, id};
use crate::rounds::{Contender, alternate};
use crate::table::Table;

/// What a database read takes.
const READ: Duration = Duration::from_millis(20);

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let rounds = if quick { 2 } else { 7 };
    let redis = RedisServer::start().map_err(|error| Wrong(error.to_string()))?;
    let heroes = Heroes::of(1, 600, READ);
    let cached = cached(&heroes, &redis.url(), 64 << 20).await;
    let runtime = tokio::runtime::Handle::current();
    let crowd = |size: usize| {
        let (heroes, cached, runtime) = (heroes.clone(), cached.clone(), runtime.clone());
        move || {
            let stampede = async {
                cached.invalidate(Forget::Id(&id(0))).await;
                let before = heroes.reads();
                let begun = Instant::now();
                let readers: Vec<_> = (0..size)
                    .map(|_| {
                        let cached = cached.clone();
                        tokio::spawn(async move { cached.find_by_id(&id(0)).await })
                    })
                    .collect();
                for reader in readers {
                    let Ok(found) = reader.await.expect("no reader panics");
                    assert!(found.is_some(), "a reader found nothing");
                }
                let took = begun.elapsed();
                let reads = heroes.reads() - before;
                assert_eq!(reads, 1, "{size} readers of one key made {reads} reads");
                took
            };
            tokio::task::block_in_place(|| runtime.block_on(stampede))
        }
    };
    let alone = {
        let (heroes, runtime) = (heroes.clone(), runtime.clone());
        move || {
            tokio::task::block_in_place(|| {
                runtime.block_on(async {
                    let begun = Instant::now();
                    let Ok(found) = heroes.find_by_id(&id(0)).await;
                    assert!(found.is_some(), "the database has the row");
                    begun.elapsed()
                })
            })
        }
    };
    let contenders = vec![
        Contender::new("the database alone", 1, alone),
        Contender::new("1 reader", 1, crowd(1)),
        Contender::new("64 readers", 1, crowd(64)),
        Contender::new("1,000 readers", 1, crowd(1_000)),
    ];
    let rows = alternate(rounds, contenders);
    let title = format!("A crowd for one cold key, database reads of {READ:?}: one read each time");
    Ok(vec![Table::new(title, "the database alone", rows)])
}
