//! `GET /cache/hot`.

use aside::{CacheConfig, Secret};
use aside_admin::{Access, Admin};
use axum::http::StatusCode;
use serde_json::json;

use crate::asking::get;
use crate::heroes::{Heroes, Instance, hero};

#[tokio::test]
async fn the_hot_keys_have_names_and_rates() {
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Eva", "ru")]);
    let instance = Instance::start("memory://", &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    for number in 0..8_000 {
        instance
            .name_of(if number % 4 == 0 { "2" } else { "1" })
            .await;
    }

    let answer = get(&admin, "/cache/hot?kind=hero&limit=1").await;
    assert_eq!(answer.status, StatusCode::OK);
    let hot = &answer.body["keys"];
    assert_eq!(hot.as_array().map(Vec::len), Some(1), "{answer:?}");
    assert_eq!(
        (&hot[0]["key"], &hot[0]["kind"]),
        (&json!("hero:1"), &json!("hero"))
    );
    let share = hot[0]["share"].as_f64().unwrap();
    assert!((0.6..0.9).contains(&share), "{answer:?}");
    assert!(
        hot[0]["reads_per_second"].as_f64().unwrap() > 1.0,
        "{answer:?}"
    );
    assert!(hot[0]["age_seconds"].as_f64().unwrap() < 60.0, "{answer:?}");
    assert!(
        answer.body["sampled"].as_u64().unwrap() >= 100,
        "{answer:?}"
    );
    let all = get(&admin, "/cache/hot").await.body;
    assert_eq!(all["keys"][1]["key"], "hero:2", "{all}");
}

#[tokio::test]
async fn a_wrong_limit_and_an_unknown_kind_are_refused() {
    let instance = Instance::start("memory://", &Heroes::default()).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    for wrong in ["limit=0", "limit=129", "limit=x", "limit=", "pool=rows"] {
        let refused = get(&admin, &format!("/cache/hot?{wrong}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
        let possible = refused.body["possible"].to_string();
        assert!(possible.contains("limit=1 to 128"), "{wrong}: {possible}");
    }
    let unknown = get(&admin, "/cache/hot?kind=dragon").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.body["possible"], json!(["hero"]));
}

#[tokio::test]
async fn without_analytics_the_answer_says_so() {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        analytics: false,
        ..CacheConfig::default()
    };
    let cache = aside::CacheService::connect(config).await;
    let admin = Admin::new(cache, Access::local_only());
    let answer = get(&admin, "/cache/hot").await.body;
    let expected = json!({ "enabled": false, "sampled": 0, "dropped": 0, "keys": [] });
    assert_eq!(answer, expected);
}
