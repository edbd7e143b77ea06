//! `GET` and `PUT /cache/prefetch`.

use aside::settings::PrefetchMode;
use aside::{CacheConfig, Source};
use aside_admin::{Access, Admin};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::asking::{Answer, get, post, request, send};
use crate::heroes::{Heroes, Instance, hero};

/// More rows than the local tier has room for, so that most reads pass it.
const HEROES: usize = 60;
const ROOM_BYTES: usize = 4_096;

async fn instance(prefetch: PrefetchMode) -> (Instance, Admin) {
    let heroes = (0..HEROES).map(|id| hero(&id.to_string(), "Ada", "en"));
    let config = CacheConfig {
        prefetch,
        l1_capacity_bytes: ROOM_BYTES,
        ..CacheConfig::default()
    };
    let instance = Instance::start_with(config, "memory://", &Heroes::with(heroes)).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    (instance, admin)
}

/// Reads all rows in turn in one task, several times.
async fn read_in_turn(instance: &Instance) {
    let heroes = instance.heroes.clone();
    let reading = tokio::spawn(async move {
        for id in (0..5).flat_map(|_| 0..HEROES) {
            let Ok(row) = heroes.find_by_id(&id.to_string()).await;
            assert!(row.is_some());
        }
    });
    reading.await.unwrap();
}

async fn put(admin: &Admin, body: &str) -> Answer {
    let mut request = request(Method::PUT, "/cache/prefetch");
    *request.body_mut() = Body::from(body.to_owned());
    send(admin, request).await
}

#[tokio::test]
async fn the_fates_of_rows_fetched_ahead_are_shown_by_kind() {
    let (instance, admin) = instance(PrefetchMode::Auto).await;
    let before = get(&admin, "/cache/prefetch").await.body;
    assert_eq!(before["state"], "auto");
    assert_eq!(before["share_required"], 0.5);
    assert_eq!(before["associations"], json!([]));
    let nothing = json!({ "rows": {}, "precision": null });
    assert_eq!(before["kinds"], json!({ "hero": nothing }));
    read_in_turn(&instance).await;

    let after = get(&admin, "/cache/prefetch").await;

    assert_eq!(after.status, StatusCode::OK);
    assert_eq!(
        (&after.body["keys"], &after.body["spent"]),
        (&json!(HEROES), &json!(false))
    );
    assert!(after.body["batches"].as_u64() > Some(0), "{after:?}");
    let heroes = &after.body["kinds"]["hero"];
    let count = |fate: &str| heroes["rows"][fate].as_u64().unwrap_or(0);
    assert!(count("used") + count("late") > 0, "{after:?}");
    assert!(heroes["precision"].as_f64() > Some(0.5), "{after:?}");
}

#[tokio::test]
async fn the_prefetch_is_switched_while_the_service_runs() {
    let (instance, admin) = instance(PrefetchMode::Off).await;
    for state in ["names", "auto", "off"] {
        let answer = put(&admin, &json!({ "state": state }).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body["state"], state);
        assert_eq!(instance.cache.prefetch_state().mode.as_str(), state);
    }
}

#[tokio::test]
async fn an_unknown_state_is_refused_and_changes_nothing() {
    let (instance, admin) = instance(PrefetchMode::Names).await;
    for body in [
        "",
        "auto",
        "{}",
        r#"{"state":"on"}"#,
        r#"{"state":"off","for":1}"#,
    ] {
        let answer = put(&admin, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(put_with_query(&admin).await, StatusCode::BAD_REQUEST);
    let posted = post(&admin, "/cache/prefetch", "{}").await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    let mode = instance.cache.prefetch_state().mode;
    assert_eq!(mode, PrefetchMode::Names);
}

async fn put_with_query(admin: &Admin) -> StatusCode {
    let mut request = request(Method::PUT, "/cache/prefetch?state=off");
    *request.body_mut() = Body::from(r#"{"state":"off"}"#);
    send(admin, request).await.status
}

#[tokio::test]
async fn an_explained_key_says_that_it_was_fetched_ahead() {
    let (instance, admin) = instance(PrefetchMode::Auto).await;
    read_in_turn(&instance).await;
    // The last batch goes beyond the last row that was read.
    let mut ahead = Vec::new();
    for id in 0..HEROES {
        let explained = get(&admin, &format!("/cache/explain?kind=hero&id={id}")).await;
        ahead.push(explained.body["prefetched"].clone());
    }
    let rows = instance.cache.prefetch_state().rows;
    let prefetched = ahead.iter().filter(|it| **it == Value::Bool(true)).count();
    assert_eq!(prefetched, rows, "{ahead:?}");
}
