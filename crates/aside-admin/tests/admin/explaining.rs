//! What `GET /cache/explain` says about dead values, foreign types, names, and a
//! Redis that is not trusted.

use std::time::Duration;

use aside::{CacheConfig, Repository as _, Source as _};
use aside_admin::{Access, Admin};
use aside_testkit::{RedisServer, eventually};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::SOON;
use crate::asking::{delete, get};
use crate::heroes::{Heroes, Instance, hero};

async fn one_hero(url: &str) -> (Instance, Admin) {
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(url, &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    (instance, admin)
}

async fn explained(admin: &Admin, query: &str) -> Value {
    let answer = get(admin, &format!("/cache/explain?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

/// Replaces digits of the value's header: `V`, then a history of 16 digits, an
/// epoch of 13 and a shape of 16.
fn with_header(value: &str, from: usize, digits: &str) -> String {
    let (before, rest) = value.split_at(from);
    format!("{before}{digits}{}", &rest[digits.len()..])
}

#[tokio::test]
async fn explain_says_which_values_are_never_served() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = one_hero(&redis.url()).await;
    instance.cache_row("1", "hero:1").await;
    let live = redis.command(&["GET", "hero:1"]).text().unwrap().to_owned();
    let good = explained(&admin, "key=hero:1").await;
    assert_eq!(good["verdict"], "served");
    assert_eq!(good["header"]["history"], good["required"]["history"]);
    assert_eq!(good["header"]["epoch"], good["required"]["epoch"]);
    assert_eq!(good["header"]["shape"], good["required"]["shape"]);

    for (from, digits, verdict) in [
        (1, "0123456789abcdef", "other_history"),
        (17, "0000000000001", "forgotten"),
        (30, "0123456789ab", "other_shape"),
    ] {
        let dead = with_header(&live, from, digits);
        redis.command(&["SET", "hero:1", &dead, "EX", "100"]);
        let said = explained(&admin, "key=hero:1").await;
        assert_eq!(said["state"], "value", "{verdict}");
        assert_eq!(said["verdict"], verdict);
        assert_eq!(said["bypass"], Value::Null, "{verdict}");
        assert_ne!(said["header"], good["header"], "{verdict}");
    }
}

#[tokio::test]
async fn explain_names_a_foreign_type() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = one_hero(&redis.url()).await;
    instance.cache_row("1", "hero:1").await;
    redis.command(&["LPUSH", "hero:list", "x"]);
    redis.command(&["SET", "hero:text", "hello"]);
    for (key, of_type) in [
        ("hero:list", "list"),
        ("hero:text", "string"),
        ("aside:epochs", "hash"),
    ] {
        let said = explained(&admin, &format!("key={key}")).await;
        assert_eq!(said["state"], "foreign", "{key}");
        assert_eq!(said["header"]["type"], of_type, "{key}");
    }
    let stats = instance.cache.stats();
    assert!(stats.errors.is_empty(), "a look is no error: {stats:?}");
}

#[tokio::test]
async fn explain_finds_a_key_by_kind_and_id_or_fields() {
    let (_instance, admin) = one_hero("memory://").await;
    for (query, key) in [
        ("kind=hero&id=1", "hero:1"),
        ("kind=hero&id=a%3Ab", "hero:a%3Ab"),
        ("kind=hero&id=all", "hero:%61ll"),
        ("kind=hero&language=en", "hero:lang:en"),
        ("age=30&kind=hero&name=Ada+B", "hero:exact:Ada B:30"),
    ] {
        assert_eq!(explained(&admin, query).await["key"], key, "{query}");
    }
    let unknown = get(&admin, "/cache/explain?kind=villain&id=1").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.body["possible"], json!(["hero"]));
    for query in ["kind=hero", "kind=hero&id=1&name=Ada", "kind=hero&key=x"] {
        let answer = get(&admin, &format!("/cache/explain?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.body["possible"].is_array(), "{query}");
    }
}

#[tokio::test]
async fn a_query_that_is_not_utf8_is_refused() {
    let (_instance, admin) = one_hero("memory://").await;
    for answer in [
        get(&admin, "/cache/explain?key=hero:%FF").await,
        get(&admin, "/cache/explain?kind=hero&id=%C3%28").await,
        delete(&admin, "/cache/hero?name=%FF").await,
    ] {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("not UTF-8"), "{detail}");
    }
    let said = explained(&admin, "key=hero:%D0%9C%25").await;
    assert_eq!(said["key"], "hero:М%");
}

#[tokio::test]
async fn an_outage_has_a_reason_a_duration_and_a_server() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = one_hero(&redis.url()).await;
    instance.cache_row("1", "hero:1").await;
    let health = get(&admin, "/cache/stats").await.body["health"].clone();
    let address = redis.address().to_string();
    let server = json!({"address": address, "database": 0, "tls": false});
    assert_eq!(health["server"], server);
    assert_eq!(health["unused_seconds"], Value::Null);
    assert!(health["proof_age_seconds"].as_f64() < Some(0.5));

    redis.kill();
    eventually(SOON, "the loss is noticed", async || {
        !instance.cache.is_synced()
    })
    .await;
    let health = get(&admin, "/cache/stats").await.body["health"].clone();
    let said = explained(&admin, "key=hero:1").await;
    assert_eq!(health["server"], server);
    assert!(health["proof_age_seconds"].as_f64() > Some(0.0));
    assert_eq!(said["bypass"], "redis-unavailable");
    for outage in [&health, &said] {
        assert!(outage["reason"].is_string(), "{outage}");
        assert!(outage["unused_seconds"].is_number(), "{outage}");
    }
}

#[tokio::test]
async fn a_redis_that_is_not_trusted_is_still_explained() {
    let redis = RedisServer::start().unwrap();
    let (instance, admin) = one_hero(&redis.url()).await;
    instance.cache_row("1", "hero:1").await;
    redis.set_config("min-replicas-to-write", "1");
    eventually(SOON, "a refused write", async || {
        delete(&admin, "/cache/hero/2").await;
        !instance.cache.is_synced()
    })
    .await;

    let said = explained(&admin, "key=hero:1").await;

    assert_eq!(said["state"], "value");
    assert_eq!(said["verdict"], "bypassed");
    let reason = said["reason"].as_str().unwrap();
    assert!(reason.contains("NOREPLICAS"), "{reason}");
}

/// Explains a key until its copy in the process has this state.
async fn held(admin: &Admin, query: &str, verdict: &str) -> Value {
    eventually(
        SOON,
        &format!("a copy of {query} that is {verdict}"),
        async || {
            let said = explained(admin, query).await;
            (said["local"]["verdict"] == verdict)
                .then_some(())
                .ok_or(said)
        },
    )
    .await;
    explained(admin, query).await
}

#[tokio::test]
async fn the_copy_in_the_process_decides_the_next_read() {
    let redis = RedisServer::start().unwrap();
    let (one, admin) = one_hero(&redis.url()).await;
    let (other, _) = one_hero(&redis.url()).await;
    // Until it is in step, it reads from the database alone.
    eventually(SOON, "a read that would fill", async || {
        let cold = explained(&admin, "key=hero:1").await;
        let would_fill = cold["local"].is_null() && cold["next_read"] == "load";
        would_fill.then_some(()).ok_or(cold)
    })
    .await;

    one.cache_row("1", "hero:1").await;
    let Ok(_) = one.heroes.list_all().await;
    for query in ["kind=hero&id=1", "key=hero:all"] {
        let said = held(&admin, query, "served").await;
        assert_eq!(said["next_read"], "local", "{query}");
        let local = &said["local"];
        assert!(local["age_seconds"].as_f64() < Some(20.0), "{local}");
        assert!(local["ttl_seconds"].as_f64() > Some(3_000.0), "{local}");
        assert!(local["proof_age_seconds"].as_f64() < Some(0.5), "{local}");
        assert_eq!(
            (&local["absence"], &local["fill"]),
            (&json!(false), &said["header"]["fill"])
        );
    }

    // A write of another instance, and then the whole kind.
    let Ok(_) = other.heroes.update(hero("1", "Eva", "en")).await;
    let said = held(&admin, "key=hero:1", "invalidated").await;
    assert_eq!(said["local"]["proof_age_seconds"], Value::Null);
    assert_ne!(said["next_read"], "local");
    one.cache_row("1", "hero:1").await;
    held(&admin, "key=hero:1", "served").await;
    other.cache.invalidate_kind("hero").await;
    held(&admin, "key=hero:1", "forgotten").await;

    // Without Redis nothing proves that it is current.
    one.cache_row("1", "hero:1").await;
    held(&admin, "key=hero:1", "served").await;
    redis.kill();
    let said = held(&admin, "key=hero:1", "unproved").await;
    assert_eq!(
        (&said["state"], &said["next_read"]),
        (&json!("unknown"), &json!("source"))
    );
}

#[tokio::test]
async fn an_absence_and_an_end_of_life_are_in_the_copy() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let config = CacheConfig {
        default_ttl: Duration::from_secs(1),
        ..CacheConfig::default()
    };
    let instance = Instance::start_with(config, &redis.url(), &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    instance.name_of("404").await;
    instance.cache_row("1", "hero:1").await;
    let absent = explained(&admin, "key=hero:404").await;
    assert_eq!(absent["local"]["absence"], true, "{absent}");
    let expired = held(&admin, "key=hero:1", "expired").await;
    assert_eq!(expired["local"]["ttl_seconds"], 0.0);
}
