//! `GET /cache/advice`.

use std::time::Duration;

use aside_admin::{Access, Admin};
use axum::http::StatusCode;

use crate::asking::get;
use crate::heroes::{Heroes, Instance, hero};

#[tokio::test(start_paused = true)]
async fn advice_begins_after_an_hour_with_its_evidence() {
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start("memory://", &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    for _ in 0..1_100 {
        instance.name_of("1").await;
        // An id with other spellings, whose absence is not cached.
        instance.name_of("Nobody").await;
    }
    let young = get(&admin, "/cache/advice").await;
    assert_eq!(young.status, StatusCode::OK);
    assert_eq!(young.body["advice"], serde_json::json!([]));

    tokio::time::advance(Duration::from_secs(3600)).await;
    let advice = get(&admin, "/cache/advice").await.body["advice"].clone();
    let absences = advice.as_array().unwrap().iter();
    let absences = absences.filter(|advice| advice["rule"] == "absences");
    let absences: Vec<_> = absences.collect();
    assert_eq!(absences.len(), 1, "{advice}");
    assert_eq!(absences[0]["kind"], "hero");
    assert_eq!(absences[0]["confidence"], "fair");
    let refused = get(&admin, "/cache/advice?kind=hero").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}
