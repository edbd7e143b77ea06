//! `GET /cache/stats` and `GET /cache/explain`.

use aside::{Source, report::WarmUpOptions};
use aside_admin::{Access, Admin};
use aside_testkit::RedisServer;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::SOON;
use crate::asking::{get, request, send};
use crate::heroes::{Heroes, Instance, hero};

async fn warm(url: &str) -> (Instance, Admin) {
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Маша", "ru")]);
    let instance = Instance::start(url, &source).await;
    let Ok(_) = instance
        .heroes
        .warm_up(WarmUpOptions::default(), |_| ())
        .await;
    for key in ["hero:1", "hero:2", "hero:all"] {
        instance.wait_for(key).await;
    }
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    (instance, admin)
}

#[tokio::test]
async fn stats_count_the_reads_of_each_tier() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = warm(&redis.url()).await;
    let before = get(&admin, "/cache/stats").await.body["kinds"]["hero"].clone();
    for _ in 0..10 {
        instance.name_of("1").await;
    }

    let answer = get(&admin, "/cache/stats").await;

    assert_eq!(answer.status, StatusCode::OK);
    let heroes = &answer.body["kinds"]["hero"];
    let hits = |of: &Value| of["l1_hits"].as_u64().unwrap() + of["l2_hits"].as_u64().unwrap();
    assert_eq!(hits(heroes) - hits(&before), 10);
    assert_eq!(heroes["negative_hits"], 0);
    assert_eq!(heroes["misses"], 0, "a warm-up is no user");
    assert_eq!(heroes["hit_rate"], 1.0);
    assert!(heroes["l1_entries"].as_u64() > Some(0));
    assert!(heroes["l1_bytes"].as_u64() > Some(0));
    assert_eq!(heroes["l1_evictions"], 0);
    assert_eq!(heroes["ttl_seconds"], 3600.0);
    assert_eq!(
        heroes["keys"],
        Value::Null,
        "counting has a route of its own"
    );
    let left = heroes["list_all_ttl_seconds"].as_f64();
    assert!(left > Some(0.0) && left <= Some(3600.0));
    assert_eq!(answer.body["health"]["status"], "healthy");
    assert_eq!(answer.body["health"]["synced"], true);
    assert_eq!(answer.body["service"]["releases_lost"], 0);
    assert_eq!(
        answer.body["warm_up"],
        json!({"running": false, "kinds": {}, "at_start": {}})
    );
}

#[tokio::test]
async fn stats_are_available_without_redis() {
    let redis = RedisServer::start().unwrap();
    let (_instance, admin) = warm(&redis.url()).await;
    redis.kill();

    let answer = get(&admin, "/cache/stats").await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["health"]["status"], "unavailable");
    assert!(answer.body["health"]["reason"].is_string());
    assert_eq!(
        answer.body["kinds"]["hero"]["list_all_ttl_seconds"],
        Value::Null
    );
}

/// Adds keys of another program. A script of them all could occupy the server for
/// longer than the service waits for a PONG.
async fn add_strangers(instance: &Instance, redis: &RedisServer, count: u32) {
    for first in (0..count).step_by(5_000) {
        let last = (first + 4_999).min(count - 1);
        let script = format!("for i = {first}, {last} do redis.call('SET', 's:' .. i, '') end");
        redis.command(&["EVAL", &script, "0"]);
    }
    until_synced(instance).await;
}

async fn until_synced(instance: &Instance) {
    aside_testkit::eventually(SOON, "the service is in step with Redis", async || {
        instance.cache.is_synced()
    })
    .await;
}

#[tokio::test]
async fn keys_are_counted_among_foreign_ones() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = warm(&redis.url()).await;
    add_strangers(&instance, &redis, 70_000).await;

    let answer = get(&admin, "/cache/keys").await;

    assert_eq!(answer.status, StatusCode::OK);
    let heroes = &answer.body["kinds"]["hero"];
    assert_eq!(heroes["at_least"], false);
    assert!(heroes["count"].as_u64() >= Some(3));
    assert!(heroes["count"].as_u64() < Some(10));
    assert!(answer.body["age_seconds"].as_f64() < Some(30.0));
}

#[tokio::test]
async fn concurrent_key_counts_share_one_scan() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = warm(&redis.url()).await;
    add_strangers(&instance, &redis, 50_000).await;
    redis.reset_stats();

    let asked = (0..50).map(|_| get(&admin, "/cache/keys"));
    let answers = futures_util::future::join_all(asked).await;
    get(&admin, "/cache/keys").await;

    let first = &answers[0].body["kinds"];
    assert!(answers.iter().all(|answer| answer.body["kinds"] == *first));
    // One scan has slightly more than a hundred pages.
    assert!(redis.calls("scan") < 150, "{}", redis.calls("scan"));
}

#[tokio::test]
async fn repeated_stats_never_scan() {
    let redis = RedisServer::start().unwrap();
    let (_instance, admin) = warm(&redis.url()).await;
    redis.reset_stats();
    for _ in 0..20 {
        get(&admin, "/cache/stats").await;
    }
    assert_eq!(redis.calls("scan"), 0);
}

#[tokio::test]
async fn key_counts_are_unknown_without_redis() {
    let redis = RedisServer::start().unwrap();
    let (_instance, admin) = warm(&redis.url()).await;
    redis.kill();
    let answer = get(&admin, "/cache/keys").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["kinds"], Value::Null);
}

#[tokio::test]
async fn explain_says_what_a_key_holds() {
    let (instance, admin) = warm("memory://").await;
    instance.cache.set("greeting", "hello", None).await;

    let value = get(&admin, "/cache/explain?key=hero:1").await.body;
    assert_eq!(value["kind"], "hero");
    assert_eq!(value["state"], "value");
    assert_eq!(value["header"]["shape"].as_str().unwrap().len(), 16);
    assert!(value["header"]["bytes"].as_u64() > Some(0));
    assert!(value["ttl_seconds"].as_f64() <= Some(3600.0));
    assert_eq!(value["bypass"], Value::Null);
    assert!(!value.to_string().contains("Ada"));

    let absent = get(&admin, "/cache/explain?key=hero%3A9").await.body;
    assert_eq!(absent["state"], "absent");
    assert_eq!(absent["ttl_seconds"], Value::Null);
}

#[tokio::test]
async fn explain_reveals_nothing_about_foreign_keys() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = warm(&redis.url()).await;
    redis.command(&["SETRANGE", "session:42", "300000000", "x"]);
    redis.command(&["SET", "heroes:1", "another kind", "EX", "100"]);
    // To allocate the long value may have occupied the server.
    until_synced(&instance).await;
    redis.reset_stats();

    for key in ["session:42", "heroes:1", "session:none", "hero"] {
        let answer = get(&admin, &format!("/cache/explain?key={key}")).await.body;
        let expected = json!({
            "key": key, "kind": null, "state": "not_ours", "header": null,
            "verdict": null, "required": null, "ttl_seconds": null, "bypass": null,
            "prefetched": false,
            "reason": null, "unused_seconds": null, "possible": ["hero"],
            "server": null, "slot": null, "local": null,
                "next_read": null,
                "last": [],
        });
        assert_eq!(answer, expected);
    }

    assert_eq!(redis.calls("get") + redis.calls("pttl"), 0);
    assert!(instance.cache.is_synced());
}

#[tokio::test]
async fn explain_says_why_a_key_is_bypassed() {
    let redis = RedisServer::start().unwrap();
    let (_instance, admin) = warm(&redis.url()).await;
    redis.kill();
    aside_testkit::eventually(SOON, "the loss is noticed", async || {
        let answer = get(&admin, "/cache/explain?key=hero:1").await;
        answer.body["bypass"] == "redis-unavailable" && answer.body["state"] == "unknown"
    })
    .await;
}

#[tokio::test]
async fn explain_takes_one_key_and_nothing_else() {
    let (_instance, admin) = warm("memory://").await;
    for query in ["", "?key=", "?kez=1", "?key=a&key=b"] {
        let answer = get(&admin, &format!("/cache/explain{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let answer = get(&admin, "/cache/stats?kind=hero").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn other_methods_get_the_allowed_ones() {
    let (_instance, admin) = warm("memory://").await;
    for (method, uri, allowed) in [
        (Method::POST, "/cache/stats", "GET, HEAD, DELETE"),
        (Method::GET, "/cache/warm", "POST, DELETE"),
        (Method::GET, "/cache/hero", "DELETE"),
        (Method::PUT, "/cache/hero/1", "DELETE"),
    ] {
        let answer = send(&admin, request(method, uri)).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{uri}");
        assert_eq!(answer.headers["allow"], allowed, "{uri}");
    }
}

#[tokio::test]
async fn inspecting_the_cache_changes_no_read() {
    let (instance, admin) = warm("memory://").await;
    get(&admin, "/cache/stats").await;
    let Ok(all) = instance.heroes.list_all().await;
    assert_eq!(all.len(), 2);
}
