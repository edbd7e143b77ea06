//! Tests of messages that increment generations until the counter wraps around.

use std::time::Duration;

use aside_redis::Secret;

use super::CacheService;
use crate::config::CacheConfig;
use crate::entity::example::Hero;
use crate::entity::lookup::{Found, Lookup, LookupRef};
use crate::local::Entry;
use crate::runtime::clock::Moment;

async fn service() -> CacheService {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    CacheService::connect(config).await
}

/// A generation repeats after four thousand million messages that concern any
/// key, so the test sets the counter to just before its turning points.
#[tokio::test]
async fn a_wrapped_generation_revives_nothing() {
    let service = service().await;
    let tiers = service.tiers();
    let kind = tiers.register::<Hero>(None);
    let store = kind.local.as_ref().expect("a local tier");
    let entry = Entry {
        found: Found::Row(Some(std::sync::Arc::new(Hero(1)))),
        stamp: tiers.generations.stamp(1, 0),
        epoch: 0,
        deadline: Moment::now().plus(Duration::from_secs(60)),
        loaded_at: 0,
        fill: 1,
        payload_bytes: 100,
    };
    store.insert(Lookup::Id(1), entry);
    let holds = || store.get(LookupRef::Id(&1), |_| ()).is_some();
    assert!(holds());
    for before in [(1 << 31) - 2, u32::MAX - 1] {
        tiers.skip_to(before);
        tiers.apply_message("what is this?");
        assert!(!holds());
        tiers.apply_message("what is this?");
    }
    // The generation of the entry, once more.
    assert!(!holds());
}

#[tokio::test]
async fn a_message_of_many_lines_raises_a_generation_once() {
    let service = service().await;
    let tiers = service.tiers();
    let half = || tiers.map().shards()[0].link.trust().half();
    tiers.skip_to((1 << 31) - 3);
    for text in ["\n\n\n\n\n".to_owned(), "\n".repeat(1_000_000)] {
        tiers.apply_message(&text);
    }
    assert_eq!(half(), 0);
    tiers.apply_message("x");
    assert_eq!(half(), 1);
}
