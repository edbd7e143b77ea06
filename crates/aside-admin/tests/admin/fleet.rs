//! The fleet: every instance announces itself, and replies to probes.

use std::time::Duration;

use aside::CacheConfig;
use aside::events::Invalidation;
use aside_admin::{Access, Admin};
use aside_testkit::{RedisCluster, RedisServer, eventually};
use serde_json::{Value, json};

use crate::SOON;
use crate::asking::get;
use crate::heroes::{Heroes, Instance, hero};

/// How long a probe waits for a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

async fn named(name: &str, url: &str) -> Instance {
    let config = CacheConfig {
        heartbeat: Duration::from_millis(100),
        instance_name: Some(name.to_owned()),
        ..CacheConfig::default()
    };
    let source = Heroes::with([hero("1", "Ada", "en")]);
    Instance::start_with(config, url, &source).await
}

async fn fleet(instance: &Instance) -> Value {
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    get(&admin, "/cache/fleet").await.body
}

/// Waits until the instances have these names and states.
async fn lists(instance: &Instance, wanted: &[(&str, &str)]) -> Value {
    eventually(SOON, &format!("a fleet of {wanted:?}"), async || {
        let fleet = fleet(instance).await;
        let members = fleet["instances"].as_array().into_iter().flatten();
        let named = |it: &Value| {
            let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
            (text("name"), text("state"))
        };
        let found: Vec<_> = members.map(named).collect();
        let found: Vec<_> = found.iter().map(|(a, b)| (&**a, &**b)).collect();
        match found == wanted && fleet["kinds"]["hero"].is_object() {
            true => Ok(fleet),
            false => Err(fleet),
        }
    })
    .await
}

#[tokio::test]
async fn every_instance_is_listed_until_it_leaves_or_is_silent() {
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    let one = named("api-1", &url).await;
    let two = named("api-2", &url).await;
    let three = named("api-3", &url).await;
    let all = ["api-1", "api-2", "api-3"].map(|name| (name, "in-step"));
    let listed = lists(&one, &all).await;
    assert_eq!(listed["counts"]["in-step"], 3);
    assert_eq!(listed["command_lines"], json!({}));
    let member = &listed["instances"][0];
    assert_eq!(
        (&member["own"], &member["bound_ms"]),
        (&json!(true), &json!(500))
    );
    assert_eq!(member["id"], format!("{:016x}", one.cache.instance()));
    assert_eq!(member["settings"], listed["instances"][1]["settings"]);
    assert!(member["shards"][0]["proof_ms"].as_u64() < Some(5_000));
    assert!(member["clock_ahead_ms"].as_i64().unwrap().abs() < 5_000);
    let kind = &listed["kinds"]["hero"];
    assert_eq!(kind["ttl_seconds"], 3600.0);
    assert_eq!(kind["shapes"].as_array().unwrap().len(), 1);
    assert_eq!(kind["indexes"][1]["segment"], "lang");

    two.cache.close().await;
    drop(three);

    let listed = lists(&one, &[("api-1", "in-step"), ("api-3", "silent")]).await;
    assert!(listed["instances"][1]["age_ms"].as_u64() > Some(2_000));
}

#[tokio::test]
async fn the_report_has_the_counts_of_the_last_minute() {
    let redis = RedisServer::start().unwrap();
    let one = named("api-1", &redis.url()).await;
    let two = named("api-2", &redis.url()).await;
    one.cache_row("1", "hero:1").await;
    for _ in 0..10 {
        one.name_of("1").await;
    }
    eventually(SOON, "the reads of another instance", async || {
        let fleet = fleet(&two).await;
        let heroes = &fleet["instances"][0]["kinds"]["hero"];
        let is_told = heroes["reads"]["l1_hit"].as_u64() >= Some(9)
            && heroes["misses"]["cold"].as_u64() >= Some(1)
            && heroes["entries"].as_u64() >= Some(1);
        is_told.then_some(()).ok_or(fleet)
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_does_not_trust_redis_says_why() {
    let redis = RedisServer::start().unwrap();
    let one = named("api-1", &redis.url()).await;
    lists(&one, &[("api-1", "in-step")]).await;
    redis.set_config("min-replicas-to-write", "1");
    eventually(SOON, "a refused write", async || {
        one.cache.delete("hero:2").await;
        !one.cache.is_synced()
    })
    .await;
    // A server that refuses writes also refuses reports, and the last one stays.
    let stale = fleet(&one).await;
    assert_eq!(stale["instances"][0]["name"], "api-1");
    let health = one.cache.stats();
    assert_eq!(health.suspicions.len(), 1, "{health:?}");

    redis.set_config("min-replicas-to-write", "0");
    lists(&one, &[("api-1", "in-step")]).await;
}

#[tokio::test]
async fn a_probe_finds_instances_that_do_not_hear() {
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    let (one, two) = (named("api-1", &url).await, named("api-2", &url).await);
    let gone = named("api-3", &url).await;
    let all = ["api-1", "api-2", "api-3"].map(|name| (name, "in-step"));
    lists(&one, &all).await;
    let ids = [&one, &two, &gone].map(|it| it.cache.instance());
    drop(gone);

    let probed = one.cache.probe_fleet(Duration::from_secs(1)).await.unwrap();

    let heard = ids.map(|id| probed.heard[&id].is_some());
    assert_eq!(heard, [true, true, false]);
    let recent = one.cache.recent_invalidations();
    let of_key = |event: &Invalidation| matches!(event, Invalidation::Key { .. });
    assert!(
        !recent.iter().any(of_key),
        "a probe is no event: {recent:?}"
    );
}

#[tokio::test]
async fn the_fleet_of_a_cluster_is_listed_and_probed() {
    let cluster = RedisCluster::start().unwrap();
    let url = cluster.url();
    let (one, two) = (named("api-1", &url).await, named("api-2", &url).await);
    let all = ["api-1", "api-2"].map(|name| (name, "in-step"));
    let listed = lists(&one, &all).await;
    let shards = listed["instances"][0]["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 3, "{listed}");

    let probed = two.cache.probe_fleet(PATIENCE).await.unwrap();

    assert!(probed.heard.values().all(Option::is_some), "{probed:?}");
}

#[tokio::test]
async fn without_redis_the_fleet_is_unknown() {
    let one = named("api-1", "redis://127.0.0.1:1").await;
    let unknown = json!({ "at": null, "instances": null, "command_lines": null, "kinds": null });
    assert_eq!(fleet(&one).await, unknown);
}

#[tokio::test]
async fn a_heartbeat_of_zero_announces_nothing() {
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    let one = named("api-1", &url).await;
    let quiet = CacheConfig {
        heartbeat: Duration::ZERO,
        ..CacheConfig::default()
    };
    let two = Instance::start_with(quiet, &url, &Heroes::default()).await;
    lists(&two, &[("api-1", "in-step")]).await;
    assert_eq!(
        one.cache.probe_fleet(PATIENCE).await.unwrap().heard.len(),
        1
    );
}
