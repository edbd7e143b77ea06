use std::convert::Infallible;
use std::time::Duration;

use aside_redis::Secret;

use super::*;
use crate::config::CacheConfig;
use crate::entity::Rows;
use crate::entity::example::Hero;
use crate::entity::namespace::Namespace;
use crate::tiers::kind::{Cached, Leaving};

/// A repository of all heroes.
struct Heroes;

impl Source for Heroes {
    type Entity = Hero;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Row<Self>>, Infallible> {
        Ok(Some(Arc::new(Hero(*id))))
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Row<Self>>>, Infallible> {
        Ok(ids.iter().map(|id| Some(Arc::new(Hero(*id)))).collect())
    }

    async fn list_all(&self) -> Result<Rows<Hero>, Infallible> {
        Ok(Arc::new([]))
    }

    fn overloaded(&self, _: crate::repository::Overloaded) -> Infallible {
        unreachable!("nothing is away")
    }
}

async fn cached() -> ReadPath<Heroes> {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    ReadPath::new(Arc::new(Heroes), &CacheService::connect(config).await, None)
}

async fn tier(heroes: &ReadPath<Heroes>, freshness: Freshness) -> Tier {
    let read = heroes.read(LookupRef::Id(&1), Operation::FindById, freshness);
    read.await.unwrap().provenance.tier
}

/// Reads until `tier` serves the row; the fill follows the reply.
async fn until(heroes: &ReadPath<Heroes>, freshness: Freshness, expected: Tier) {
    while tier(heroes, freshness).await != expected {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_read_skipping_the_local_tier_voids_older_inserts() {
    for freshness in [Freshness::Shared, Freshness::Source] {
        let heroes = cached().await;
        until(&heroes, Freshness::Shared, Tier::Shared).await;
        let key = LookupRef::<Hero>::Id(&1).key(Namespace(""));

        let on_its_way = heroes.context(&key).stamp;
        tier(&heroes, freshness).await;

        assert!(
            !heroes.tiers().generations.is_current(on_its_way),
            "{freshness:?}"
        );
    }
}

/// Found by the simulation: a suspended process continued without a proof.
#[tokio::test]
async fn a_read_bypassing_redis_voids_the_local_entry() {
    let heroes = cached().await;
    let key = LookupRef::<Hero>::Id(&1).key(Namespace(""));
    assert!(heroes.tiers().add_unreleased(&key));
    let held = heroes.context(&key).stamp;

    assert_eq!(tier(&heroes, Freshness::Any).await, Tier::Source);

    assert!(!heroes.tiers().generations.is_current(held));
}

#[tokio::test]
async fn a_read_equal_to_the_local_entry_keeps_it() {
    let heroes = cached().await;
    until(&heroes, Freshness::Any, Tier::Local).await;

    assert_eq!(tier(&heroes, Freshness::Shared).await, Tier::Shared);

    assert_eq!(tier(&heroes, Freshness::Any).await, Tier::Local);
}

/// A write's row that is about to be left.
fn leaving(heroes: &ReadPath<Heroes>) -> Option<Leaving<Hero>> {
    let asked = LookupRef::<Hero>::Id(&1);
    let key = asked.key(Namespace(""));
    let context = heroes.context(&key);
    let stored = Cached {
        found: Found::Row(Some(Arc::new(Hero(1)))),
        loaded_at: crate::runtime::clock::wall().as_millisecond(),
        ttl: Duration::from_secs(60),
        lifetime: Duration::from_secs(60),
        is_claimed: false,
        fill: 7,
        body: 7,
        payload_bytes: 100,
    };
    heroes.kind.leave(asked.keyed(&key), stored, context)
}

#[tokio::test]
async fn a_read_waits_for_a_row_that_a_write_leaves() {
    let heroes = cached().await;
    heroes.ensure_epoch().await;
    let left = leaving(&heroes).unwrap();
    let mut read = std::pin::pin!(tier(&heroes, Freshness::Any));
    assert!(futures_util::poll!(&mut read).is_pending());

    left.left();

    // The state in Redis; the database was not queried.
    assert_eq!(read.await, Tier::Shared);
    assert_eq!(tier(&heroes, Freshness::Any).await, Tier::Local);
}

#[tokio::test]
async fn a_write_leaves_no_row_during_a_read() {
    let heroes = cached().await;
    let asked = LookupRef::<Hero>::Id(&1);
    let key = asked.key(Namespace(""));
    let context = heroes.context(&key);
    let reading = heroes.flights.enter(&asked.keyed(&key), context, true);

    assert!(leaving(&heroes).is_none());

    drop(reading);
    assert!(leaving(&heroes).is_some());
}

#[tokio::test]
async fn readers_continue_if_the_row_is_not_left() {
    let heroes = cached().await;
    heroes.ensure_epoch().await;
    let left = leaving(&heroes).unwrap();
    let mut read = std::pin::pin!(tier(&heroes, Freshness::Any));
    assert!(futures_util::poll!(&mut read).is_pending());

    drop(left);

    assert_eq!(read.await, Tier::Source);
}
