//! `Cache-Status`: every read reports its true origin.

use std::time::Duration;

use aside_testkit::{RedisServer, eventually};

use super::api::{Api, child, hero, story};

const SOON: Duration = Duration::from_secs(10);

async fn eventually_from(api: &Api, path: &str, source: &str) {
    eventually(SOON, source, async || {
        let reply = api.get(path).await;
        let found = reply.source().to_owned();
        if found == source { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test]
async fn a_read_is_a_miss_and_then_a_hit_with_its_remaining_ttl() {
    let api = Api::in_memory().await;
    let ada = api.added("/heroes", &hero("Ada")).await;
    let max = api.added("/children", &child("Max")).await;
    let told = api.added("/stories", &story("A story")).await;
    let id = |row: &serde_json::Value| row["id"].as_str().unwrap().to_owned();
    for (path, ttl) in [
        ("/heroes".into(), 3600),
        ("/heroes?language=en".into(), 3600),
        ("/heroes?name=Ada".into(), 3600),
        ("/children?name=Max".into(), 1800),
        ("/children/match?name=Max&age=7&gender=male".into(), 1800),
        ("/stories?language=ru".into(), 600),
        // No row has this name, and an absence is cached for a minute.
        ("/stories?child_name=Max".into(), 60),
    ] {
        let path: String = path;
        assert_eq!(api.get(&path).await.source(), "aside; fwd=miss", "{path}");
        eventually_from(&api, &path, "aside; hit; detail=l1").await;
        let reply = api.get(&path).await;
        let (_, left) = reply.header("cache-status").split_once("; ttl=").unwrap();
        let left: i64 = left.parse().unwrap();
        assert!(ttl / 2 < left && left <= ttl, "{path}: {left} of {ttl}");
    }
    for path in [
        format!("/heroes/{}", id(&ada)),
        format!("/children/{}", id(&max)),
        format!("/stories/{}", id(&told)),
    ] {
        eventually_from(&api, &path, "aside; hit; detail=l1").await;
    }
}

#[tokio::test]
async fn an_absence_is_a_miss_and_then_a_hit_too() {
    let api = Api::in_memory().await;
    let path = "/heroes/67e55044-10b1-426f-9247-bb680e5fe0c8";
    let reply = api.get(path).await;
    reply.is_problem(404, &[]);
    assert_eq!(reply.source(), "aside; fwd=miss");
    eventually_from(&api, path, "aside; hit; detail=l1").await;
    api.get(path).await.is_problem(404, &[]);
}

#[tokio::test]
async fn an_instance_finds_the_reads_of_another_in_redis() {
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    let one = Api::with(&[("REDIS_URL", &url)]).await;
    let ada = one.added("/heroes", &hero("Ada")).await;
    let path = format!("/heroes/{}", ada["id"].as_str().unwrap());
    eventually_from(&one, &path, "aside; hit; detail=l1").await;

    let database = one.tales.database.clone();
    let cache = aside::CacheService::connect(one.tales.cache().config().clone()).await;
    let two = tale_generator::Tales::new(database, &cache);
    let two = Api::around(&two);
    eventually_from(&two, &path, "aside; hit; detail=l2").await;
    eventually_from(&two, &path, "aside; hit; detail=l1").await;

    let mut renamed = hero("Ada");
    renamed["name"] = "Grace".into();
    assert_eq!(two.put(&path, &renamed).await.status, 200);
    eventually(SOON, "the new name on the other instance", async || {
        one.get(&path).await.json()["name"] == "Grace"
    })
    .await;
}

#[tokio::test]
async fn reads_and_writes_survive_a_redis_outage() {
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    let api = Api::with(&[("REDIS_URL", &url)]).await;
    let ada = api.added("/heroes", &hero("Ada")).await;
    let path = format!("/heroes/{}", ada["id"].as_str().unwrap());
    eventually_from(&api, &path, "aside; hit; detail=l1").await;

    redis.kill();
    let away = "aside; fwd=bypass; detail=redis-unavailable";
    eventually_from(&api, &path, away).await;
    for read in ["/heroes", "/heroes?language=en", &path] {
        let reply = api.get(read).await;
        assert_eq!(
            (reply.status.as_u16(), reply.source()),
            (200, away),
            "{read}"
        );
    }
    let replaced = api.put(&path, &hero("Grace")).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    assert_eq!(api.get(&path).await.json()["name"], "Grace");
    let health = api.get("/health").await;
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["status"], "degraded");
    assert_eq!(health.json()["cache"]["status"], "unavailable");
    assert_eq!(api.get("/health/ready").await.status, 200);

    redis.restart();
    eventually_from(&api, &path, "aside; hit; detail=l1").await;
    assert_eq!(api.get(&path).await.json()["name"], "Grace");
}

#[tokio::test]
async fn with_caching_disabled_every_read_reports_it() {
    let api = Api::with(&[("REDIS_ENABLED", "false")]).await;
    let ada = api.added("/heroes", &hero("Ada")).await;
    let path = format!("/heroes/{}", ada["id"].as_str().unwrap());
    for _ in 0..3 {
        for read in ["/heroes", &path] {
            let reply = api.get(read).await;
            assert_eq!(
                reply.header("cache-status"),
                "aside; fwd=bypass; detail=disabled"
            );
        }
    }
    let health = api.get("/health").await.json();
    assert_eq!(
        (&health["status"], &health["cache"]["status"]),
        (&"ok".into(), &"disabled".into())
    );
}
