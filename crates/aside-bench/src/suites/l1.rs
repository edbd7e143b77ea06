//! Hits in process, beside bare stores with the same keys and rows.

use std::collections::HashMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aside::{CachedRepository, Repository};
use foldhash::fast::RandomState;
use uuid::Uuid;

use crate::Wrong;
use crate::heroes::{Hero, Heroes, cached, id};
use crate::rounds::{Contender, alternate};
use crate::table::Table;

/// Small rows: a million of them must find room.
const BYTES: usize = 56;

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let (sizes, operations, rounds): (&[u64], u32, usize) = if quick {
        (&[1_000], 2_000, 3)
    } else {
        (&[10_000, 1_000_000], 200_000, 5)
    };
    let mut tables = Vec::new();
    for size in sizes {
        let stage = Stage::set(*size).await?;
        let spread: Vec<Uuid> = (0..operations)
            .map(|_| id(fastrand::u64(..*size)))
            .collect();
        let hot = vec![id(0); spread.len()];
        for (what, ids, threads) in [
            ("one thread", &spread, 1),
            ("two threads", &spread, 2),
            ("two threads, one hot key", &hot, 2),
        ] {
            let title = format!("A hit in process: {size} resident, {what}");
            let rows = alternate(rounds, stage.contenders(ids, threads));
            tables.push(Table::new(title, "quick_cache", rows));
        }
    }
    Ok(tables)
}

/// The same rows everywhere.
struct Stage {
    map: HashMap<Uuid, Arc<Hero>, RandomState>,
    quick: quick_cache::sync::Cache<Uuid, Arc<Hero>, quick_cache::UnitWeighter, RandomState>,
    moka: moka::sync::Cache<Uuid, Arc<Hero>, RandomState>,
    dash: dashmap::DashMap<Uuid, Arc<Hero>, RandomState>,
    aside: CachedRepository<Heroes>,
}

impl Stage {
    async fn set(size: u64) -> Result<Self, Wrong> {
        let heroes = Heroes::of(size, BYTES, Duration::ZERO);
        let aside = cached(&heroes, "memory://", 8 << 30).await;
        let ids: Vec<Uuid> = (0..size).map(id).collect();
        let Ok(rows) = aside.find_many(&ids).await;
        let capacity = usize::try_from(size).unwrap_or(usize::MAX);
        let stage = Self {
            map: HashMap::with_capacity_and_hasher(capacity, RandomState::default()),
            quick: quick_cache::sync::Cache::with(
                capacity * 2,
                size * 2,
                quick_cache::UnitWeighter,
                RandomState::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            moka: moka::sync::Cache::builder()
                .max_capacity(size * 2)
                .build_with_hasher(RandomState::default()),
            dash: dashmap::DashMap::with_hasher(RandomState::default()),
            aside,
        };
        let mut stage = stage;
        for row in rows.into_iter().flatten() {
            stage.map.insert(row.id, Arc::clone(&row));
            stage.quick.insert(row.id, Arc::clone(&row));
            stage.moka.insert(row.id, Arc::clone(&row));
            stage.dash.insert(row.id, row);
        }
        let before = heroes.reads();
        for id in &ids {
            let found = ready(pin!(stage.aside.find_by_id(id))).and_then(|Ok(found)| found);
            if found.is_none_or(|row| row.id != *id) {
                return Err(Wrong(format!("{id} is not held in process")));
            }
        }
        if heroes.reads() != before {
            return Err(Wrong("a hit asked the database".to_owned()));
        }
        Ok(stage)
    }

    fn contenders<'a>(&'a self, ids: &'a [Uuid], threads: usize) -> Vec<Contender<'a>> {
        vec![
            contender("HashMap", ids, threads, |id| self.map.get(id).cloned()),
            contender("quick_cache", ids, threads, |id| self.quick.get(id)),
            contender("moka", ids, threads, |id| self.moka.get(id)),
            contender("dashmap", ids, threads, |id| {
                self.dash.get(id).map(|row| Arc::clone(&row))
            }),
            contender("aside", ids, threads, |id| {
                ready(pin!(self.aside.find_by_id(id))).and_then(|Ok(found)| found)
            }),
        ]
    }
}

fn contender<'a>(
    name: &str,
    ids: &'a [Uuid],
    threads: usize,
    get: impl Fn(&Uuid) -> Option<Arc<Hero>> + Sync + 'a,
) -> Contender<'a> {
    let operations = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    Contender::new(name, operations, move || on_threads(threads, ids, &get))
}

/// How long it takes each of the threads to get every id once.
fn on_threads(
    threads: usize,
    ids: &[Uuid],
    get: &(impl Fn(&Uuid) -> Option<Arc<Hero>> + Sync),
) -> Duration {
    let all = || {
        let begun = Instant::now();
        for id in ids {
            let row = black_box(get(black_box(id)));
            assert!(row.is_some_and(|row| row.id == *id), "another row");
        }
        begun.elapsed()
    };
    if threads == 1 {
        return all();
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(all)).collect();
        let times = running.into_iter().map(|thread| thread.join());
        times.map(|time| time.expect("no row is missing")).max()
    })
    .unwrap_or_default()
}

/// The output of a future that waits for nothing, as that of a hit. Pinned by
/// the caller, as by an `await`: moving it here would cost more than the hit.
fn ready<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hit_in_process_allocates_nothing() {
        let stage = Stage::set(100).await.unwrap();
        let id = id(7);
        let counted = allocation_counter::measure(|| {
            for _ in 0..1_000 {
                let found = ready(pin!(stage.aside.find_by_id(&id))).and_then(|Ok(found)| found);
                assert!(black_box(found).is_some());
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
    }
}
