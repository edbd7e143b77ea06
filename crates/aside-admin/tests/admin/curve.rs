//! `GET /cache/curve`.

use aside_admin::{Access, Admin};
use axum::http::StatusCode;

use crate::asking::get;
use crate::heroes::{Heroes, Instance, hero};

#[tokio::test]
async fn the_curve_shows_the_counted_hits_of_each_pool() {
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start("memory://", &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    let nothing = get(&admin, "/cache/curve").await.body;
    assert_eq!(nothing["pools"], serde_json::json!({}));

    for _ in 0..4 {
        instance.name_of("1").await;
    }
    let answer = get(&admin, "/cache/curve?pool=rows").await;
    assert_eq!(answer.status, StatusCode::OK);
    let rows = &answer.body["pools"]["rows"];
    let hits = instance.cache.stats().kinds[0].l1_hits;
    assert_eq!(rows["reads"].as_u64(), Some(hits + 1), "{rows}");
    // One row is too few for an estimate.
    assert_eq!(rows["points"], serde_json::json!([]));
    let lists = get(&admin, "/cache/curve?pool=lists").await.body;
    assert_eq!(lists["pools"], serde_json::json!({}));
    for unknown in ["?pool=all", "?kind=hero"] {
        let refused = get(&admin, &format!("/cache/curve{unknown}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{unknown}");
    }
}
