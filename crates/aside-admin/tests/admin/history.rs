//! `GET /cache/history`, and the last minute in `GET /cache/stats`.

use aside_admin::{Access, Admin, router};
use aside_testkit::{RedisServer, eventually};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::SOON;
use crate::asking::{delete, get};
use crate::heroes::{Heroes, Instance, hero};

/// Returns the sum of a column.
fn total(column: &Value) -> u64 {
    let counts = column.as_array().expect("a column").iter();
    counts.map(|count| count.as_u64().unwrap()).sum()
}

/// Waits until the history has this many of a counter of heroes.
async fn counted(admin: &Admin, range: &str, counter: &str, wanted: u64) -> Value {
    let uri = format!("/cache/history?range={range}");
    eventually(SOON, &format!("{wanted} {counter}"), async || {
        let history = get(admin, &uri).await.body;
        let column = &history["kinds"]["hero"][counter];
        (column.is_array() && total(column) == wanted).then_some(history)
    })
    .await
}

#[tokio::test]
async fn the_history_shows_what_happened_since_the_router_began() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    instance.cache_row("1", "hero:1").await;
    // Begins to sample, so the miss before is not in it.
    let _router = router(admin.clone());
    eventually(SOON, "a first sample", async || {
        let history = get(&admin, "/cache/history").await.body;
        history["at"].as_array().is_some_and(|at| !at.is_empty())
    })
    .await;
    delete(&admin, "/cache/hero/1").await;
    // One read alone: until its fill is done, further readers join its miss.
    instance.name_of("1").await;
    eventually(SOON, "the fill", async || {
        let explained = get(&admin, "/cache/explain?key=hero:1").await.body;
        let events = explained["last"].as_array();
        events.is_some_and(|events| events.last().is_some_and(|last| last["event"] == "filled"))
    })
    .await;
    for _ in 0..50 {
        instance.name_of("1").await;
    }

    let misses = counted(&admin, "5m", "misses", 1).await;
    let fine = counted(&admin, "5m", "invalidations", 1).await;
    let coarse = counted(&admin, "1h", "misses", 1).await;

    let hero = &fine["kinds"]["hero"];
    assert!(total(&hero["l1_hits"]) >= 50, "{hero}");
    assert_eq!(
        (&fine["range"], &fine["step_seconds"]),
        (&json!("5m"), &json!(1))
    );
    assert_eq!(coarse["step_seconds"], 15);
    assert_eq!(coarse["at"].as_array().unwrap().len(), 1);
    let length = misses["at"].as_array().unwrap().len();
    for column in ["seconds", "proof_age_ms"] {
        assert_eq!(misses[column].as_array().unwrap().len(), length, "{column}");
    }
    let times = |history: &Value, outcome: &str| -> Vec<f64> {
        let column = history["times_ms"][outcome]["p99"].as_array().unwrap();
        column.iter().filter_map(Value::as_f64).collect()
    };
    let miss = times(&misses, "miss");
    assert!(
        miss.len() == 1 && 0.0 < miss[0] && miss[0] < 13_200.0,
        "{miss:?}"
    );
    assert!(times(&misses, "bypass").is_empty());
    let proofs = misses["proof_age_ms"].as_array().unwrap();
    assert!(
        proofs.iter().all(|age| age.as_u64() < Some(1_000)),
        "{proofs:?}"
    );
}

#[tokio::test]
async fn stats_have_the_last_minute_of_each_kind() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    let first = get(&admin, "/cache/stats").await.body;
    assert_eq!(
        first["kinds"]["hero"]["last_minute"],
        Value::Null,
        "no sample yet"
    );
    assert_eq!(first["access"], "all");
    eventually(SOON, "a sample", async || {
        let stats = get(&admin, "/cache/stats").await.body;
        stats["kinds"]["hero"]["last_minute"].is_object()
    })
    .await;
    instance.cache_row("1", "hero:1").await;
    for _ in 0..20 {
        instance.name_of("1").await;
    }

    let minute = eventually(SOON, "a miss in the last minute", async || {
        let stats = get(&admin, "/cache/stats").await.body;
        let minute = stats["kinds"]["hero"]["last_minute"].clone();
        (minute["misses"] == 1).then_some(minute)
    })
    .await;

    assert_eq!(minute["miss_reasons"], json!({ "cold": 1 }));
    assert!(minute["l1_hits"].as_u64() >= Some(20), "{minute}");
    assert!(minute["reads_per_second"].as_f64() > Some(1.0), "{minute}");
    assert!(minute["saved_seconds"].as_f64() > Some(0.0), "{minute}");
}

#[tokio::test]
async fn an_unknown_range_is_refused_with_those_there_are() {
    let instance = Instance::start("memory://", &Heroes::default()).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    for uri in ["/cache/history?range=1d", "/cache/history?range=5m&x=1"] {
        let answer = get(&admin, uri).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
        assert_eq!(answer.body["possible"], json!(["range=5m", "range=1h"]));
    }
    let answer = get(&admin, "/cache/history").await;
    assert_eq!(answer.body["range"], "5m");
}
