use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;

use super::*;
use crate::answer::Tier;
use crate::config::CacheConfig;
use crate::entity::example::Hero;
use crate::secret::Secret;
use crate::service::CacheService;
use crate::write::Write;

/// Every hero there could be; batches wait at a gate.
struct Heroes {
    gate: Semaphore,
    waiting: AtomicU32,
    loads: AtomicU32,
}

impl Repository for Heroes {
    type Entity = Hero;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Row<Self>>, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Arc::new(Hero(*id))))
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Row<Self>>>, Infallible> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _open = self.gate.acquire().await;
        Ok(ids.iter().map(|id| Some(Arc::new(Hero(*id)))).collect())
    }

    async fn find_by(&self, index: &Infallible) -> Result<crate::Rows<Hero>, Infallible> {
        match *index {}
    }

    async fn list_all(&self) -> Result<crate::Rows<Hero>, Infallible> {
        Ok(Arc::new([]))
    }

    async fn save_in(&self, row: Hero, _: &mut Write) -> Result<Row<Self>, Infallible> {
        Ok(Arc::new(row))
    }

    async fn update_in(&self, row: Hero, _: &mut Write) -> Result<Option<Row<Self>>, Infallible> {
        Ok(Some(Arc::new(row)))
    }

    async fn delete_in(&self, _: &u32, _: &mut Write) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn overloaded(&self, _: crate::repository::Overloaded) -> Infallible {
        unreachable!("nothing is away")
    }
}

#[tokio::test]
async fn a_batch_does_not_pass_by_what_came_to_be_held_here_while_it_loaded() {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    let source = Heroes {
        gate: Semaphore::new(0),
        waiting: AtomicU32::new(0),
        loads: AtomicU32::new(0),
    };
    let heroes = CachedRepository::new(source, &CacheService::connect(config).await);
    heroes.know_epoch().await;

    // Hero 1 is being read by somebody else when the batch comes.
    let key = Asked::<Hero>::Id(&1).key("");
    let Entered::Lead(leader) =
        heroes
            .flights
            .enter(&Asked::Id(&1).keyed(&key), heroes.mark(&key), true)
    else {
        panic!("nobody reads yet");
    };
    let batch = tokio::spawn({
        let heroes = heroes.clone();
        async move { heroes.find_many(&[1, 2]).await }
    });
    while heroes.source().waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(leader);
    // While the batch loads hero 2, hero 1 comes to be held here, and leaves
    // Redis.
    let tier = async || {
        let answer = heroes.find_by_id_with(&1, Freshness::Any).await;
        answer.unwrap().tier
    };
    while tier().await != Tier::Process {
        tokio::task::yield_now().await;
    }
    let tiers = heroes.tiers();
    let gone = tiers.ask_one(tiers.lane(), Op::Delete { key }).await;
    assert_eq!(gone, Ok(Reply::Existed(true)));
    let loads = heroes.source().loads.load(Ordering::SeqCst);

    heroes.source().gate.add_permits(1);
    let rows = batch.await.unwrap().unwrap();

    assert!(rows.iter().all(Option::is_some));
    assert_eq!(heroes.source().loads.load(Ordering::SeqCst), loads);
}
