//! Local hits, beside bare stores with the same keys and rows.

use std::collections::HashMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aside::{CachedRepository, Source};
use foldhash::fast::RandomState;
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

use crate::error::Wrong;
use crate::heroes::{Hero, Heroes, cached, id};
use crate::rounds::{Contender, alternate};
use crate::table::{Bound, Table};

#[cfg(feature = "peers")]
mod peers;
mod queries;
mod samples;

/// The subject that the others are compared with.
const BARE: &str = "quick_cache";

/// Small rows, because a million of them must fit into memory.
const BYTES: usize = 56;

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let (sizes, operations, rounds): (&[u64], u32, usize) = if quick {
        (&[1_000], 2_000, 3)
    } else {
        (&[10_000, 1_000_000], 200_000, 11)
    };
    let mut tables = Vec::new();
    for size in sizes {
        let stage = Stage::set(*size).await?;
        let spread: Vec<Uuid> = (0..operations)
            .map(|_| id(fastrand::u64(..*size)))
            .collect();
        let hot = vec![id(0); spread.len()];
        let twice = Some(Bound::AtMost(2.0));
        for (what, ids, threads, bound) in [
            ("one thread", &spread, 1, twice),
            ("two threads", &spread, 2, None),
            ("one thread, one hot key", &hot, 1, twice),
            (
                "two threads, one hot key",
                &hot,
                2,
                Some(Bound::AtMost(1.0)),
            ),
        ] {
            let title = format!("A hit in process: {size} resident, {what}");
            let rows = alternate(rounds, stage.contenders(ids, threads));
            let table = Table::new(title, BARE, rows);
            tables.push(match bound {
                Some(bound) => table.wanted("aside", bound, BARE),
                None => table,
            });
        }
    }
    tables.push(queries::run(operations, rounds).await?);
    tables.push(samples::run(operations, rounds).await?);
    Ok(tables)
}

/// The same rows for all contenders.
struct Stage {
    map: HashMap<Uuid, Arc<Hero>, RandomState>,
    quick: quick_cache::sync::Cache<Uuid, Arc<Hero>, quick_cache::UnitWeighter, RandomState>,
    moka: moka::sync::Cache<Uuid, Arc<Hero>, RandomState>,
    moka_async: moka::future::Cache<Uuid, Arc<Hero>, RandomState>,
    dash: dashmap::DashMap<Uuid, Arc<Hero>, RandomState>,
    aside: CachedRepository<Heroes>,
    /// Only for few rows, because each peer stores all of them once more.
    #[cfg(feature = "peers")]
    peers: Option<peers::Peers>,
}

impl Stage {
    async fn set(size: u64) -> Result<Self, Wrong> {
        let heroes = Heroes::of(size, BYTES, Duration::ZERO);
        let aside = cached(&heroes, "memory://", 8 << 30).await;
        let ids: Vec<Uuid> = (0..size).map(id).collect();
        let Ok(rows) = aside.find_many(&ids).await;
        let rows: Vec<Arc<Hero>> = rows.into_iter().flatten().collect();
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
            moka_async: moka::future::Cache::builder()
                .max_capacity(size * 2)
                .build_with_hasher(RandomState::default()),
            dash: dashmap::DashMap::with_hasher(RandomState::default()),
            aside,
            #[cfg(feature = "peers")]
            peers: match size {
                ..=10_000 => Some(peers::Peers::holding(&rows).await?),
                _ => None,
            },
        };
        let mut stage = stage;
        for row in rows {
            stage.map.insert(row.id, Arc::clone(&row));
            stage.quick.insert(row.id, Arc::clone(&row));
            stage.moka.insert(row.id, Arc::clone(&row));
            stage.moka_async.insert(row.id, Arc::clone(&row)).await;
            stage.dash.insert(row.id, row);
        }
        let before = heroes.reads();
        for id in &ids {
            let found = ready(pin!(stage.aside.find_by_id(id))).and_then(|Ok(found)| found);
            if found.is_none_or(|row| row.id != *id) {
                return Err(Wrong(format!("{id} has no local entry")));
            }
        }
        if heroes.reads() != before {
            return Err(Wrong("a hit read the database".to_owned()));
        }
        Ok(stage)
    }

    fn contenders<'a>(&'a self, ids: &'a [Uuid], threads: usize) -> Vec<Contender<'a>> {
        let contenders = vec![
            contender("HashMap", ids, threads, |id| self.map.get(id).cloned()),
            contender(BARE, ids, threads, |id| self.quick.get(id)),
            contender("moka", ids, threads, |id| self.moka.get(id)),
            contender("moka get_with", ids, threads, |id| {
                let missing = async { unreachable!("every row has a local entry") };
                Some(finished(pin!(self.moka_async.get_with_by_ref(id, missing))))
            }),
            contender("dashmap", ids, threads, |id| {
                self.dash.get(id).map(|row| Arc::clone(&row))
            }),
            contender("aside", ids, threads, |id| {
                ready(pin!(self.aside.find_by_id(id))).and_then(|Ok(found)| found)
            }),
        ];
        #[cfg(feature = "peers")]
        let contenders = {
            let peers = self.peers.iter();
            let peers = peers.flat_map(|peers| peers.contenders(ids, threads));
            contenders.into_iter().chain(peers).collect()
        };
        contenders
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

/// Returns how long each of the threads takes to get every id once, in
/// processor time. On a shared machine, wall-clock time would include the time
/// slices of other processes.
fn on_threads(
    threads: usize,
    ids: &[Uuid],
    get: &(impl Fn(&Uuid) -> Option<Arc<Hero>> + Sync),
) -> Duration {
    let all = || {
        // Replaces the previous contender's data in the processor's caches.
        for id in ids {
            black_box(get(black_box(id)));
        }
        let begun = clock_gettime(ClockId::ThreadCPUTime);
        for id in ids {
            let row = black_box(get(black_box(id)));
            assert!(row.is_some_and(|row| row.id == *id), "another row");
        }
        let taken = clock_gettime(ClockId::ThreadCPUTime) - begun;
        Duration::try_from(taken).expect("the clock is monotonic")
    };
    // Even one reader gets a separate thread, because some futures yield now
    // and then if they are polled within a runtime.
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(all)).collect();
        let times = running.into_iter().map(|thread| thread.join());
        times.map(|time| time.expect("no row is missing")).max()
    })
    .unwrap_or_default()
}

/// Returns the output of a future that does not wait, such as a hit. Pinned by
/// the caller, as by an `await`, because moving it would cost more than the
/// hit.
fn ready<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Returns the output of a future that may find a lock taken, as in caches that
/// do maintenance during a hit.
fn finished<T>(mut future: Pin<&mut impl Future<Output = T>>) -> T {
    loop {
        match ready(future.as_mut()) {
            Some(output) => return output,
            None => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_local_hit_makes_no_allocation() {
        let stage = Stage::set(100).await.unwrap();
        let id = id(7);
        let counted = allocation_counter::measure(|| {
            // More samples than their buffer has room for.
            for _ in 0..40_000 {
                let found = ready(pin!(stage.aside.find_by_id(&id))).and_then(|Ok(found)| found);
                assert!(black_box(found).is_some());
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
    }
}
