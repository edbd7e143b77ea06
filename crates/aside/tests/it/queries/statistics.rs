//! What operators see of a query.

use aside::Repository;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::{Names, with_mia};
use crate::world::World;

#[tokio::test]
async fn a_query_is_counted_as_a_kind() {
    let world = World::new();
    let (one, mia) = with_mia(&world).await;
    let other = world.instance().await;
    let (names, others) = (Names::new(&world, &one), Names::new(&world, &other));
    names.of("en").await;
    let stats = |instance: &crate::world::Instance| {
        let stats = instance.cache.stats();
        let found = stats.kinds.into_iter().find(|kind| kind.kind == "names");
        found.expect("a kind")
    };
    aside_testkit::eventually(crate::world::SOON, "a local entry", async || {
        stats(&one).l1_entries == 1
    })
    .await;
    names.of("en").await;
    one.heroes.update(mia.renamed("Maria")).await.unwrap();

    // It has nothing in this process, and an outdated value in Redis.
    assert_eq!(others.of("en").await, ["Maria"]);

    let (own, of_other) = (stats(&one), stats(&other));
    assert_eq!((own.misses, own.l1_hits, own.l2_hits), (1, 1, 0));
    assert_eq!(of_other.miss_reasons["invalidated"], 1);
    assert_eq!(of_other.spoilt["hero:lang"], 1);

    let (mut registry, mut page) = (Registry::default(), String::new());
    other.cache.register_metrics(&mut registry);
    encode(&mut page, &registry).unwrap();
    for line in [
        "aside_query_spoilt_total{query=\"names\",dependency=\"hero:lang\"} 1",
        "aside_reads_total{entity=\"names\",operation=\"query\",outcome=\"miss\"} 1",
    ] {
        assert!(page.contains(line), "{line} in\n{page}");
    }
    assert!(!page.contains("entity=\"names\",operation=\"find_by_id\""));
}

#[tokio::test]
async fn a_key_of_a_query_is_explained_and_invalidated_by_name() {
    let world = World::new();
    let (instance, _) = with_mia(&world).await;
    let names = Names::new(&world, &instance);
    names.of("en").await;
    instance.filled("names:en").await;

    let explained = instance.cache.explain("names:en").await;
    assert_eq!(explained.kind, Some("names"));
    assert_eq!(explained.verdict, Some("served"));
    let payload = instance.cache.get("names:en").await.unwrap();
    assert!(payload.starts_with(b"{\"result\":[\"Mia\"],\"cached_at\":"));

    names.loads();
    let invalidated = instance.cache.invalidate_id("names", "en").await.unwrap();
    assert_eq!(invalidated.keys, 1);
    names.of("en").await;
    assert_eq!(names.loads(), 1);
}

#[tokio::test]
async fn the_audit_finds_a_forgotten_dependency() {
    let world = World::new();
    let config = aside::CacheConfig {
        audit_share: 1.0,
        max_staleness: std::time::Duration::from_millis(200),
        journal_poll: std::time::Duration::from_millis(100),
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let mia = instance
        .heroes
        .save(crate::entities::hero("Mia", "en"))
        .await
        .unwrap();
    let names = Names::new(&world, &instance);
    let read = async || names.under("en", aside::Deps::new()).await;
    read().await;
    instance.filled("names:en").await;
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();

    assert_eq!(read().await, ["Mia"], "nothing outdates it");

    // Found, it is invalidated.
    aside_testkit::eventually(crate::world::SOON, "the finding", async || {
        read().await == ["Maria"]
    })
    .await;
    let stats = instance.cache.stats();
    let found = stats.kinds.into_iter().find(|kind| kind.kind == "names");
    assert!(0 < found.expect("a kind").audit_mismatches[1]);
}
