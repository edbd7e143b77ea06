//! What an operator of a cluster reads about each primary.

use std::collections::BTreeSet;

use aside_admin::{Access, Admin};
use aside_testkit::{ClusterOptions, RedisCluster, RedisOptions, eventually};
use prometheus_client::registry::Registry;
use serde_json::Value;

use crate::SOON;
use crate::asking::get;
use crate::heroes::{Heroes, Instance, hero};
use crate::metrics::{LABELS_OF_A_SHARD, OF_EACH_SHARD, series};

/// Three primaries without replicas. The others go on if one of them is dead.
fn three_primaries() -> RedisCluster {
    RedisCluster::start_with(ClusterOptions {
        replicas: 0,
        node: RedisOptions {
            config: vec!["cluster-require-full-coverage no".to_owned()],
            ..RedisOptions::default()
        },
        ..ClusterOptions::default()
    })
    .unwrap()
}

/// Returns an id of a row whose key a node owns.
fn id_at(cluster: &RedisCluster, node: usize) -> String {
    let ids = (1..).map(|id: u32| id.to_string());
    let owner = |id: &String| cluster.primary_of(cluster.slot_of(&format!("hero:{id}")));
    let mut ids = ids.filter(|id| owner(id) == Some(node));
    ids.next().expect("a key in some slot of the node")
}

fn scrape(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

async fn shards(admin: &Admin) -> Vec<Value> {
    let stats = get(admin, "/cache/stats").await.body;
    stats["health"]["shards"].as_array().unwrap().clone()
}

#[tokio::test]
async fn each_primary_of_a_cluster_is_reported_by_its_name() {
    let cluster = three_primaries();
    let [dead, living] = [id_at(&cluster, 0), id_at(&cluster, 1)];
    let [dead_node, living_node] = [0, 1].map(|node| cluster.node(node).address().to_string());
    let source = Heroes::with([hero(&dead, "Ada", "en"), hero(&living, "Grace", "en")]);
    let instance = Instance::start(&cluster.url(), &source).await;
    let mut registry = Registry::default();
    instance.cache.register_metrics(&mut registry);
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    for id in [&dead, &living] {
        instance.cache_row(id, &format!("hero:{id}")).await;
    }

    let all = shards(&admin).await;
    let servers: Vec<&str> = all.iter().filter_map(|it| it["server"].as_str()).collect();
    let by_slots = [0, 1, 2].map(|node| cluster.node(node).address().to_string());
    assert_eq!(servers, by_slots, "by their lowest slots");
    let slots: u64 = all.iter().filter_map(|it| it["slots"].as_u64()).sum();
    assert_eq!(slots, 16_384);
    assert!(all.iter().all(|it| it["reason"].is_null()), "{all:?}");
    assert!(
        all.iter()
            .all(|it| it["used_memory_bytes"].as_u64() > Some(0) && it["max_memory_bytes"] == 0)
    );
    let text = scrape(&registry);
    let labelled = series(&text);
    let with_labels = labelled
        .iter()
        .filter(|(_, labels)| labels.contains_key("node"));
    let names: BTreeSet<&str> = with_labels.map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(OF_EACH_SHARD));
    for name in OF_EACH_SHARD {
        let labels: Vec<&str> = labelled[name].keys().map(String::as_str).collect();
        assert_eq!(labels, LABELS_OF_A_SHARD, "{name}");
    }
    for (shard, node) in by_slots.iter().enumerate() {
        let labels = format!("{{shard=\"{shard}\",node=\"{node}\"}}");
        for line in [
            format!("aside_shard_up{labels} 1"),
            format!("aside_breaker_state{labels} 0"),
        ] {
            assert!(text.contains(&line), "{line}: {text}");
        }
    }

    cluster.node(0).kill();
    eventually(SOON, "the loss of one primary", async || {
        let reasons: Vec<bool> = shards(&admin)
            .await
            .iter()
            .map(|it| it["reason"].is_string())
            .collect();
        reasons == [true, false, false]
    })
    .await;
    let text = scrape(&registry);
    for line in [
        "aside_redis_up 0".to_owned(),
        format!("aside_shard_up{{shard=\"0\",node=\"{dead_node}\"}} 0"),
        format!("aside_shard_up{{shard=\"1\",node=\"{living_node}\"}} 1"),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
    let of_dead = get(&admin, &format!("/cache/explain?kind=hero&id={dead}"))
        .await
        .body;
    assert_eq!(of_dead["server"], dead_node);
    assert_eq!(of_dead["bypass"], "redis-unavailable");
    let reason = of_dead["reason"].as_str().unwrap();
    assert!(reason.contains(&dead_node), "{reason}");
    let of_living = get(&admin, &format!("/cache/explain?kind=hero&id={living}"))
        .await
        .body;
    assert_eq!(of_living["server"], living_node);
    assert_eq!(
        of_living["slot"],
        cluster.slot_of(&format!("hero:{living}"))
    );
    assert_eq!(of_living["verdict"], "served", "{of_living}");
    assert_eq!(of_living["reason"], Value::Null);
}
