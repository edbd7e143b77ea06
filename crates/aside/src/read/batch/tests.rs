use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aside_redis::Secret;
use tokio::sync::Semaphore;

use super::*;
use crate::answer::Tier;
use crate::config::CacheConfig;
use crate::entity::example::Hero;
use crate::entity::namespace::Namespace;
use crate::protocol::{Op, Reply, Traffic};
use crate::repository::Row;
use crate::service::CacheService;

/// A repository of all heroes; batches wait at a gate, and omit `left_out`.
struct Heroes {
    gate: Semaphore,
    left_out: Option<u32>,
    waiting: AtomicU32,
    loads: AtomicU32,
}

impl Source for Heroes {
    type Entity = Hero;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Row<Self>>, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Arc::new(Hero(*id))))
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Row<Self>>>, Infallible> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _open = self.gate.acquire().await;
        let ids = ids.iter().filter(|id| Some(**id) != self.left_out);
        Ok(ids.map(|id| Some(Arc::new(Hero(*id)))).collect())
    }

    async fn list_all(&self) -> Result<crate::Rows<Hero>, Infallible> {
        Ok(Arc::new([]))
    }

    fn overloaded(&self, _: crate::repository::Overloaded) -> Infallible {
        unreachable!("nothing is away")
    }
}

/// Heroes behind a cache in this process.
async fn heroes(left_out: Option<u32>, lease_ttl: Duration) -> ReadPath<Heroes> {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        lease_ttl,
        ..CacheConfig::default()
    };
    let source = Heroes {
        gate: Semaphore::new(0),
        left_out,
        waiting: AtomicU32::new(0),
        loads: AtomicU32::new(0),
    };
    let heroes = ReadPath::new(Arc::new(source), &CacheService::connect(config).await, None);
    heroes.ensure_epoch().await;
    heroes
}

/// An id that a batch leads, after a GET without a result.
fn own(heroes: &ReadPath<Heroes>, at: usize, id: u32) -> Own<Heroes> {
    let key = LookupRef::<Hero>::Id(&id).key(Namespace(""));
    let context = heroes.context(&key);
    let Entered::Lead(leader) =
        heroes
            .flights
            .enter(&LookupRef::Id(&id).keyed(&key), context, true)
    else {
        panic!("no reader is active yet");
    };
    Own {
        at,
        leader,
        key,
        context,
        observation: 0,
        operation: Operation::FindMany,
        cause: Cause::default(),
        step: Step::Acquire(Missing::default()),
    }
}

#[tokio::test]
async fn a_row_from_redis_survives_the_leases_of_its_batch() {
    let lease = Duration::from_millis(300);
    let heroes = heroes(None, lease).await;
    // Another reader fills hero 1 between the batch's GET and its ACQUIRE.
    let read = heroes.read(LookupRef::Id(&1), Operation::FindById, Freshness::Any);
    assert!(read.await.is_ok());
    let tiers = Arc::clone(heroes.tiers());
    let key = LookupRef::<Hero>::Id(&1).key(Namespace(""));
    while !matches!(
        tiers.get_many(Traffic::Rows, vec![key.clone()]).await[..],
        [Ok(Some(_))]
    ) {
        tokio::task::yield_now().await;
    }
    let both = vec![own(&heroes, 0, 1), own(&heroes, 1, 2)];
    let (caller, _waiting) = oneshot::channel();
    let batch = tokio::spawn({
        let heroes = heroes.clone();
        async move { heroes.load_own(both, caller).await }
    });
    while heroes.source.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // The leases have expired when the refused fill is counted.
    while tiers.statistics.fill_rejected.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    heroes.source.gate.add_permits(1);
    let rows = batch.await.unwrap().unwrap();

    assert!(!rows[&1].is_absence(), "the row that was loaded");
    assert!(!rows[&0].is_absence(), "the row that Redis gave");
}

#[tokio::test]
async fn a_batch_that_returns_too_few_rows_makes_none_absent() {
    let heroes = heroes(Some(2), Duration::from_secs(10)).await;
    heroes.source.gate.add_permits(8);

    let rows = heroes
        .read_many([1, 2, 3].iter().map(LookupRef::Id), Operation::FindMany)
        .await
        .unwrap();

    let found: Vec<_> = rows
        .iter()
        .map(|row| row.clone().into_row().map(|row| row.0))
        .collect();
    assert_eq!(found, [Some(1), Some(2), Some(3)]);
    let errors = heroes.tiers().statistics.errors();
    assert_eq!(errors.get("miscounted_rows"), Some(&1));
}

#[tokio::test]
async fn a_batch_uses_local_entries_added_while_it_loaded() {
    let heroes = heroes(None, Duration::from_secs(10)).await;

    // Another reader reads hero 1 when the batch begins.
    let leader = own(&heroes, 0, 1).leader;
    let batch = tokio::spawn({
        let heroes = heroes.clone();
        async move {
            heroes
                .read_many([1, 2].iter().map(LookupRef::Id), Operation::FindMany)
                .await
        }
    });
    while heroes.source.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(leader);
    // While the batch loads hero 2, hero 1 gets a local entry and is removed
    // from Redis.
    let tier = async || {
        let read = heroes.read(LookupRef::Id(&1), Operation::FindById, Freshness::Any);
        read.await.map(|result| result.provenance.tier)
    };
    while tier().await != Ok(Tier::Local) {
        tokio::task::yield_now().await;
    }
    let tiers = heroes.tiers();
    let gone = tiers
        .send_one(
            Traffic::Others,
            Op::Delete {
                key: LookupRef::<Hero>::Id(&1).key(Namespace("")),
            },
        )
        .await;
    assert_eq!(gone, Ok(Reply::Existed(true)));
    let loads = heroes.source.loads.load(Ordering::SeqCst);

    heroes.source.gate.add_permits(1);
    let rows = batch.await.unwrap().unwrap();

    assert!(rows.iter().all(|row| !row.is_absence()));
    assert_eq!(heroes.source.loads.load(Ordering::SeqCst), loads);
}
