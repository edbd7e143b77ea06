//! `POST /cache/invalidate`, and the events that `GET /cache/explain` remembers.

use aside::{Repository, Source};
use aside_admin::{Access, Admin};
use aside_testkit::{RedisServer, eventually};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::SOON;
use crate::asking::{get, post};
use crate::heroes::{HeroIndex, Heroes, Instance, hero};

const ROUTE: &str = "/cache/invalidate";

async fn two_heroes(url: &str) -> (Instance, Admin) {
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Bo", "ru")]);
    let instance = Instance::start(url, &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    instance.cache_row("1", "hero:1").await;
    (instance, admin)
}

async fn purged(admin: &Admin, body: &Value) -> Value {
    let answer = post(admin, ROUTE, &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn a_row_is_invalidated_with_the_lists_that_contain_it() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = two_heroes(&redis.url()).await;
    let Ok(_) = instance.heroes.list_all().await;
    let english = HeroIndex::Language("en".into());
    let Ok(_) = instance.heroes.find_by(&english).await;
    for key in ["hero:lang:en", "hero:all"] {
        instance.wait_for(key).await;
    }
    let row = json!({ "kind": "hero", "id": "1", "with_lists": true, "dry_run": true });
    let counted = purged(&admin, &row).await;
    let names = [
        "hero:1",
        "hero:exact:Ada:30",
        "hero:name:Ada",
        "hero:lang:en",
        "hero:all",
    ];
    let mut found: Vec<&str> = counted["names"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    found.sort_unstable();
    let mut wanted = names.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    assert_eq!(
        (&counted["keys"], &counted["dry_run"]),
        (&json!(3), &json!(true))
    );
    assert!(
        instance.cache.exists("hero:1").await,
        "a dry run removes nothing"
    );

    let mut row = row;
    row["dry_run"] = json!(false);
    let done = purged(&admin, &row).await;

    assert_eq!(
        (&done["keys"], &done["pending"]),
        (&json!(3), &json!(false))
    );
    assert!(!instance.cache.exists("hero:1").await);
    let again = purged(&admin, &row).await;
    assert_eq!(
        (&again["keys"], &again["unknown_lists"]),
        (&json!(0), &json!(true))
    );
}

#[tokio::test]
async fn a_list_and_a_kind_are_counted_and_invalidated() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = two_heroes(&redis.url()).await;
    let Ok(_) = instance.heroes.list_all().await;
    instance.wait_for("hero:all").await;
    let list = json!({ "kind": "hero", "index": { "language": "en" } });
    let done = purged(&admin, &list).await;
    assert_eq!(
        (&done["keys"], &done["names"]),
        (&json!(0), &json!(["hero:lang:en"]))
    );
    let counted = purged(
        &admin,
        &json!({ "kind": "hero", "all": true, "dry_run": true }),
    )
    .await;
    assert_eq!(
        (&counted["keys"], &counted["epoch"]),
        (&json!(2), &Value::Null)
    );
    let done = purged(&admin, &json!({ "kind": "hero", "all": true })).await;
    assert!(done["epoch"].is_u64(), "{done}");
    eventually(SOON, "the keys are removed", async || {
        !instance.cache.exists("hero:1").await
    })
    .await;
}

#[tokio::test]
async fn a_body_must_name_one_part_of_a_known_kind() {
    let (_instance, admin) = two_heroes("memory://").await;
    for (body, status) in [
        ("", StatusCode::BAD_REQUEST),
        ("{}", StatusCode::BAD_REQUEST),
        (r#"{"kind":"hero"}"#, StatusCode::BAD_REQUEST),
        (
            r#"{"kind":"hero","id":"1","all":true}"#,
            StatusCode::BAD_REQUEST,
        ),
        (
            r#"{"kind":"hero","all":true,"with_lists":true}"#,
            StatusCode::BAD_REQUEST,
        ),
        (
            r#"{"kind":"hero","index":{"age":"1"}}"#,
            StatusCode::BAD_REQUEST,
        ),
        (
            r#"{"kind":"hero","id":"1","force":true}"#,
            StatusCode::BAD_REQUEST,
        ),
        (r#"{"kind":"villain","all":true}"#, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(post(&admin, ROUTE, body).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn an_explanation_names_the_sender_and_the_reason_of_the_last_events() {
    let redis = RedisServer::start().unwrap();
    let (here, admin) = two_heroes(&redis.url()).await;
    let (there, _) = two_heroes(&redis.url()).await;
    let Ok(_) = there.heroes.update(hero("1", "Grace", "en")).await;
    let by = format!("{:016x}", there.cache.instance());

    let last = eventually(SOON, "the write is heard", async || {
        let said = get(&admin, "/cache/explain?key=hero:1").await.body;
        let last = said["last"].as_array().unwrap().clone();
        let heard = last.last().cloned().unwrap_or_default();
        (heard["why"] == "write").then_some(last).ok_or(said)
    })
    .await;

    assert_eq!(last[0]["event"], "filled");
    let heard = last.last().unwrap();
    assert_eq!(
        (&heard["event"], &heard["by"]),
        (&json!("invalidation heard"), &json!(by))
    );
    here.cache_row("1", "hero:1").await;
}

#[tokio::test]
async fn the_reason_of_a_miss_is_known_without_a_local_entry() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let config = aside::CacheConfig {
        max_staleness: std::time::Duration::ZERO,
        ..aside::CacheConfig::default()
    };
    let here = Instance::start_with(config, &redis.url(), &source).await;
    let there = Instance::start(&redis.url(), &source).await;
    let reasons = || here.cache.stats().kinds[0].miss_reasons.clone();
    here.cache_row("1", "hero:1").await;
    assert_eq!(reasons().get("cold"), Some(&1), "{:?}", reasons());

    redis.command(&["DEL", "hero:1"]);
    here.cache_row("1", "hero:1").await;
    assert_eq!(reasons().get("evicted"), Some(&1), "{:?}", reasons());

    there.cache.delete("hero:1").await;
    eventually(SOON, "the invalidation is heard", async || {
        here.cache.recent_invalidations().iter().any(|event| {
            matches!(
                event,
                aside::events::Invalidation::Key {
                    why: Some("request"),
                    ..
                }
            )
        })
    })
    .await;
    here.cache_row("1", "hero:1").await;
    assert_eq!(reasons().get("invalidated"), Some(&1), "{:?}", reasons());
}
