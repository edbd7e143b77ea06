//! Local hits of a query with three dependencies, beside those of a row.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aside::{CachedQuery, CachedRepository, Deps, Source};
use uuid::Uuid;

use super::{contender, ready};
use crate::error::Wrong;
use crate::heroes::{Hero, Heroes, cached, id};
use crate::rounds::alternate;
use crate::table::{Bound, Table};

const SIZE: u64 = 10_000;
const BYTES: usize = 56;
const QUERY: &str = "hero_query";

pub(super) async fn run(operations: u32, rounds: usize) -> Result<Table, Wrong> {
    let heroes = Heroes::of(SIZE, BYTES, Duration::ZERO);
    let rows = cached(&heroes, "memory://", 1 << 30).await;
    let query: CachedQuery<Uuid, Hero> = CachedQuery::new(QUERY, rows.cache());
    let size = u64::from(operations).min(SIZE);
    let others = [id(0), id(1)];
    let read = async |id: &Uuid| {
        let (heroes, wanted) = (heroes.clone(), *id);
        let load = move || async move {
            let Ok(found) = heroes.find_by_id(&wanted).await;
            Ok::<_, Infallible>(Hero::clone(&found.expect("a hero of this stage")))
        };
        query.get(id, three(id, &others), load).await.ok()
    };
    for number in 0..size {
        let Ok(_) = rows.find_by_id(&id(number)).await;
        read(&id(number)).await;
    }
    held(&rows, size).await?;
    let before = heroes.reads();
    for number in 0..size {
        let found: Option<Arc<Hero>> = ready(pin!(read(&id(number)))).flatten();
        if found.is_none_or(|row| row.id != id(number)) {
            return Err(Wrong(format!("query {number} has no local entry")));
        }
    }
    if heroes.reads() != before {
        return Err(Wrong("a hit of a query read the database".to_owned()));
    }
    let ids: Vec<Uuid> = (0..operations).map(|_| id(fastrand::u64(..size))).collect();
    let contenders = vec![
        contender("row", &ids, 1, |id| {
            ready(pin!(rows.find_by_id(id))).and_then(|Ok(found)| found)
        }),
        contender("query", &ids, 1, |id| ready(pin!(read(id))).flatten()),
    ];
    let rows = alternate(rounds, contenders);
    let title = format!("A hit in process of a query with three dependencies: {size} resident");
    Ok(Table::new(title, "row", rows).wanted("query", Bound::AtMost(1.5), "row"))
}

fn three<'a>(id: &'a Uuid, [one, other]: &'a [Uuid; 2]) -> Deps<'a> {
    Deps::new()
        .row::<Hero>(id)
        .row::<Hero>(one)
        .row::<Hero>(other)
}

/// Waits until all results are local entries: a caller has its result before the fill.
async fn held(rows: &CachedRepository<Heroes>, size: u64) -> Result<(), Wrong> {
    for _ in 0..10_000 {
        let stats = rows.cache().stats();
        let mut kinds = stats.kinds.iter();
        if kinds.any(|kind| kind.kind == QUERY && kind.l1_entries == size) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(Wrong("results were not kept within ten seconds".to_owned()))
}
