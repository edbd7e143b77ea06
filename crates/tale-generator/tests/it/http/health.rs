//! Health, metrics and the admin routes.

use std::time::Duration;

use aside_testkit::{PostgresServer, eventually};
use axum::body::Body;
use axum::http::Request;
use tale_generator::sql::DatabaseOptions;

use super::api::{Api, hero};
use crate::databases::cache_in_memory;

#[tokio::test]
async fn a_service_with_redis_and_database_is_healthy() {
    let api = Api::in_memory().await;
    let health = api.get("/health").await;
    assert_eq!(health.status, 200);
    let report = health.json();
    assert_eq!(report["status"], "ok");
    assert_eq!(report["cache"]["status"], "healthy");
    assert_eq!(report["database"]["status"], "healthy");
    assert!(report["database"]["latency_ms"].is_number());
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn without_its_database_a_service_is_only_alive() {
    let api = Api::in_memory().await;
    api.tales.database.close().await;
    let health = api.get("/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(health.json()["database"]["status"], "unavailable");
    assert_eq!(health.json()["cache"]["status"], "healthy");
    assert_eq!(api.get("/health/ready").await.status, 503);
    assert_eq!(api.get("/health/live").await.status, 200);
    let refused = api.get("/heroes").await;
    refused.is_problem(503, &[]);
    assert_eq!(refused.header("retry-after"), "1");
    let told = refused.text.to_lowercase();
    assert!(!told.contains("pool") && !told.contains("sql"), "{told}");
    api.post("/heroes", &hero("Ada")).await.is_problem(503, &[]);
}

#[tokio::test]
async fn a_postgresql_outage_causes_no_500() {
    let Ok(server) = PostgresServer::start() else {
        return;
    };
    let cache = cache_in_memory().await;
    let api = Api::over(&server.url(), DatabaseOptions::default(), cache).await;
    assert_eq!(api.get("/heroes?language=en").await.status, 200);
    server.kill();
    // The first read meets the lost connection; the second finds none to open.
    for _ in 0..2 {
        let refused = api.get("/heroes").await;
        refused.is_problem(503, &[]);
        assert_eq!(
            refused.json()["detail"],
            "the database does not answer",
            "{}",
            refused.text
        );
    }
    api.post("/heroes", &hero("Ada")).await.is_problem(503, &[]);
    assert_eq!(api.get("/health").await.status, 503);
    assert_eq!(api.get("/health/ready").await.status, 503);
    server.restart();
    eventually(Duration::from_secs(20), "a healthy service", async || {
        api.get("/health").await.status == 200
    })
    .await;
    assert_eq!(api.post("/heroes", &hero("Ada")).await.status, 201);
    assert_eq!(api.get("/heroes").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_metrics_count_reads() {
    let api = Api::in_memory().await;
    api.get("/heroes").await;
    let asked = Request::get("/metrics").header("accept", "application/openmetrics-text;q=0.9");
    let metrics = api.send(asked.body(Body::empty()).unwrap()).await;
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(metrics.header("content-type"), openmetrics);
    let miss = r#"aside_reads_total{entity="hero",operation="list_all",outcome="miss"} 1"#;
    assert!(
        metrics.text.lines().any(|line| line == miss),
        "{}",
        metrics.text
    );
    assert!(metrics.text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_request_without_openmetrics_gets_the_text_format() {
    let api = Api::in_memory().await;
    api.get("/heroes").await;
    let metrics = api.get("/metrics").await;
    let text = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(metrics.header("content-type"), text);
    assert!(!metrics.text.contains("# EOF") && !metrics.text.contains("# UNIT"));
    let mut family = "";
    for line in metrics.text.lines() {
        if let Some(told) = line.strip_prefix("# TYPE ") {
            family = told.split(' ').next().unwrap();
        } else if !line.starts_with('#') {
            // A sample belongs to the family announced before it.
            assert!(line.starts_with(family), "{line} after {family}");
        }
    }
    assert!(metrics.text.contains("# TYPE aside_reads_total counter\n"));
    assert!(metrics.text.contains("# HELP aside_reads_total "));
}

#[tokio::test]
async fn the_admin_routes_are_mounted_behind_their_guard() {
    let api = Api::in_memory().await;
    // Without connect info, no request counts as local.
    let refused = api.get("/cache/stats").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("content-type"), "application/problem+json");
}
