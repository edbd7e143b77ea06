//! A crowd in one process.

use std::time::Instant;

use aside::{Scope, Source};
use aside_testkit::RedisServer;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::{ALONE, READ, bypasses};
use crate::error::Wrong;
use crate::heroes::{Heroes, cached, id};
use crate::rounds::{Contender, alternate, undisturbed};
use crate::table::Table;

pub(super) async fn run(redis: &RedisServer, quick: bool) -> Result<Table, Wrong> {
    let rounds = if quick { 2 } else { 9 };
    let heroes = Heroes::of(1, 600, READ);
    let cached = cached(&heroes, &redis.url(), 64 << 20).await;
    let crowd = |size: usize| {
        let (heroes, cached) = (heroes.clone(), cached.clone());
        let stampede = async move || {
            cached.invalidate(Scope::Row(&id(0))).await;
            let (before, bypassed) = (heroes.reads(), bypasses(&cached));
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
            if bypasses(&cached) > bypassed {
                return None;
            }
            assert_eq!(reads, 1, "{size} readers of one key made {reads} reads");
            Some(took)
        };
        move || block_in_place(|| Handle::current().block_on(undisturbed(&stampede)))
    };
    let alone = || {
        let read = async {
            let begun = Instant::now();
            let Ok(found) = heroes.find_by_id(&id(0)).await;
            assert!(found.is_some(), "the database has the row");
            begun.elapsed()
        };
        block_in_place(|| Handle::current().block_on(read))
    };
    let contenders = vec![
        Contender::new(ALONE, 1, alone),
        Contender::new("1 reader", 1, crowd(1)),
        Contender::new("64 readers", 1, crowd(64)),
        Contender::new("1,000 readers", 1, crowd(1_000)),
    ];
    let rows = alternate(rounds, contenders);
    let title = format!("A crowd for one cold key, database reads of {READ:?}: one read each time");
    Ok(Table::new(title, ALONE, rows))
}
