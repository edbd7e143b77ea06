//! `POST /cache/warm`.

use std::sync::Arc;

use aside::{
    Entity, Source,
    report::{WarmUpOptions, WarmUpProgress},
};
use aside_admin::{Access, Admin, WarmUpFailed};
use aside_testkit::{RedisServer, eventually};
use axum::http::StatusCode;
use serde_json::json;
use tokio::sync::Notify;

use crate::SOON;
use crate::asking::{get, post};
use crate::heroes::{Hero, Heroes, Instance, hero};

async fn cold() -> (Instance, Admin) {
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Маша", "ru")]);
    let instance = Instance::start("memory://", &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only())
        .with_repository(instance.heroes.clone());
    (instance, admin)
}

fn done(count: usize) -> WarmUpProgress {
    let mut state = WarmUpProgress::default();
    (state.done, state.total) = (count, count);
    state
}

#[tokio::test]
async fn a_repository_is_read_through_the_cache() {
    for body in ["", "{}", r#"{"kinds":["hero"]}"#] {
        let (instance, admin) = cold().await;

        let answer = post(&admin, "/cache/warm", body).await;

        assert_eq!(answer.status, StatusCode::OK, "{body}");
        // Two rows, the list of all, and two lists for each of three indexes.
        let all = json!({"done": 9, "filled": 9, "total": 9});
        assert_eq!(answer.body, json!({"warmed": {Hero::KIND: all}}), "{body}");
        instance.wait_for("hero:1").await;
        instance.wait_for("hero:lang:ru").await;
        let stats = get(&admin, "/cache/stats").await.body;
        assert_eq!(
            stats["warm_up"],
            json!({"running": false, "kinds": {"hero": all}, "at_start": {}})
        );
    }
}

#[tokio::test]
async fn a_kind_without_a_warm_up_is_refused() {
    let (instance, admin) = cold().await;
    let unknown = post(&admin, "/cache/warm", r#"{"kinds":["hero","villain"]}"#).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.body["possible"], json!(["hero"]));
    for body in [
        "[",
        "[]",
        r#"{"kind":"hero"}"#,
        r#"{"kinds":"hero"}"#,
        r#"{"from":"disk"}"#,
    ] {
        let answer = post(&admin, "/cache/warm", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let answer = post(&admin, "/cache/warm?kind=hero", "").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!instance.cache.exists("hero:1").await);
}

#[tokio::test]
async fn a_concurrent_second_warm_up_is_refused() {
    let (_instance, admin) = cold().await;
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let admin = admin.with_warm_up("slow", move |progress| {
        let gate = Arc::clone(&gate);
        async move {
            progress.report(done(1));
            gate.notified().await;
            Ok(done(2))
        }
    });
    let asked = admin.clone();
    let first =
        tokio::spawn(async move { post(&asked, "/cache/warm", r#"{"kinds":["slow"]}"#).await });
    eventually(SOON, "the warm-up runs", async || {
        let stats = get(&admin, "/cache/stats").await.body;
        stats["warm_up"]
            == json!({
                "running": true,
                "kinds": {"slow": {"done": 1, "filled": 0, "total": 1}},
                "at_start": {},
            })
    })
    .await;

    let second = post(&admin, "/cache/warm", "").await;
    assert_eq!(second.status, StatusCode::CONFLICT);

    go_on.notify_one();
    assert_eq!(first.await.unwrap().status, StatusCode::OK);
    assert_eq!(
        post(&admin, "/cache/warm", r#"{"kinds":["hero"]}"#)
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_warm_up_continues_after_its_client_disconnects() {
    let (_instance, admin) = cold().await;
    let go_on = Arc::new(Notify::new());
    let (gate, ended) = (Arc::clone(&go_on), Arc::new(Notify::new()));
    let tell = Arc::clone(&ended);
    let admin = admin.with_warm_up("slow", move |_| {
        let (gate, tell) = (Arc::clone(&gate), Arc::clone(&tell));
        async move {
            gate.notified().await;
            tell.notify_one();
            Ok(done(1))
        }
    });
    let asked = admin.clone();
    let client =
        tokio::spawn(async move { post(&asked, "/cache/warm", r#"{"kinds":["slow"]}"#).await });
    eventually(SOON, "the warm-up runs", async || {
        get(&admin, "/cache/stats").await.body["warm_up"]["running"] == true
    })
    .await;
    client.abort();
    go_on.notify_one();
    ended.notified().await;
}

#[tokio::test]
async fn the_reason_of_a_failed_warm_up_is_hidden() {
    let (_instance, admin) = cold().await;
    let admin = admin.with_warm_up("broken", async |_| {
        Err(WarmUpFailed::new(
            "password authentication failed for user secret",
        ))
    });
    let answer = post(&admin, "/cache/warm", r#"{"kinds":["broken"]}"#).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.body.to_string().contains("secret"));
}

#[tokio::test]
async fn a_repeated_warm_up_fills_nothing() {
    let (_instance, admin) = cold().await;
    post(&admin, "/cache/warm", "").await;
    let again = post(&admin, "/cache/warm", "").await;
    let all = json!({"done": 9, "filled": 0, "total": 9});
    assert_eq!(again.body, json!({"warmed": {Hero::KIND: all}}));
}

#[tokio::test]
async fn a_warm_up_without_redis_is_refused_with_the_reason() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only())
        .with_repository(instance.heroes.clone());
    redis.kill();
    eventually(SOON, "the loss is noticed", async || {
        !instance.cache.is_synced()
    })
    .await;

    let answer = post(&admin, "/cache/warm", "").await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("Redis is not used: "), "{detail}");
    let reason = get(&admin, "/cache/stats").await.body["health"]["reason"].clone();
    assert!(reason.as_str().is_some_and(|reason| !reason.is_empty()));
}

#[tokio::test]
async fn a_warm_up_that_loses_redis_says_how_far_it_came() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Bo", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let heroes = instance.heroes.clone();
    let lost = Arc::new(redis);
    let kill = Arc::clone(&lost);
    let admin = Admin::new(instance.cache.clone(), Access::local_only()).with_warm_up(
        Hero::KIND,
        move |progress| {
            let (heroes, kill) = (heroes.clone(), Arc::clone(&kill));
            async move {
                let how = WarmUpOptions {
                    batch: 1,
                    ..WarmUpOptions::default()
                };
                let warmed = heroes.warm_up(how, |state| {
                    progress.report(state);
                    kill.kill();
                });
                warmed.await.map_err(WarmUpFailed::new)
            }
        },
    );

    let answer = post(&admin, "/cache/warm", "").await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    let shown = get(&admin, "/cache/stats").await.body["warm_up"]["kinds"]["hero"].clone();
    assert!(shown["done"].as_u64() < shown["total"].as_u64(), "{shown}");
    assert!(
        shown["filled"].as_u64() <= shown["done"].as_u64(),
        "{shown}"
    );
}

#[tokio::test]
async fn a_warm_up_from_the_hot_set_reads_what_instances_held() {
    let redis = RedisServer::start().expect("redis-server is installed");
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Маша", "ru")]);
    let before = Instance::start(&redis.url(), &source).await;
    before.heroes.find_by_id(&"1".to_owned()).await.unwrap();
    before.wait_for("hero:1").await;
    let held = async || before.cache.stats().kinds[0].l1_entries == 1;
    eventually(SOON, "a local entry", held).await;
    before.cache.close().await;

    let instance = Instance::start(&redis.url(), &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only())
        .with_repository(instance.heroes.clone());
    let answer = post(&admin, "/cache/warm", r#"{"from":"hot"}"#).await;

    let one = json!({"done": 1, "filled": 0, "total": 1});
    assert_eq!(answer.body, json!({"warmed": {Hero::KIND: one}}));
    let at_start = async || get(&admin, "/cache/stats").await.body["warm_up"]["at_start"].clone();
    eventually(SOON, "a warm start", async || {
        at_start().await == json!({"hero": one})
    })
    .await;
}
