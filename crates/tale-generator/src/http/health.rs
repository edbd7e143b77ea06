//! `/health`: the readiness of the service, and the state of its database and
//! cache.
//!
//! The service works as long as the database replies, so Redis alone never
//! makes it unhealthy. Otherwise an orchestrator would restart it, and turn an
//! outage of the cache into one of the service.

use std::time::{Duration, Instant};

use aside::report::HealthStatus;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::time::timeout;

use super::App;
use crate::sql::Database;

/// The time limit for the database's reply.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Report {
    status: &'static str,
    database: DatabaseReport,
    cache: CacheReport,
}

#[derive(Serialize)]
struct DatabaseReport {
    status: &'static str,
    kind: &'static str,
    latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct CacheReport {
    status: &'static str,
    synced: bool,
    latency_ms: Option<f64>,
    breaker: &'static str,
    connections: usize,
    held_keys: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How long Redis has not been used.
    #[serde(skip_serializing_if = "Option::is_none")]
    unused_seconds: Option<f64>,
    proof_age_seconds: Option<f64>,
    server: Option<ServerReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shards: Vec<ShardReport>,
}

/// A primary of a cluster.
#[derive(Serialize)]
struct ShardReport {
    server: String,
    /// The number of slots that it owns.
    slots: usize,
    /// Why its keys are read from the database, if they are.
    reason: Option<String>,
    unused_seconds: Option<f64>,
    proof_age_seconds: Option<f64>,
    breaker: &'static str,
}

/// The Redis that the cache uses; neither a user nor a password.
#[derive(Serialize)]
struct ServerReport {
    address: String,
    database: u32,
    tls: bool,
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
}

async fn health(State(app): State<App>) -> Response {
    let cache = app.tales.cache();
    let (latency, known) = tokio::join!(ping(&app.tales.database), cache.health_check());
    let (code, status) = match (latency, known.status) {
        (None, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (Some(_), HealthStatus::Unavailable | HealthStatus::Full) => (StatusCode::OK, "degraded"),
        (Some(_), HealthStatus::Healthy | HealthStatus::Disabled) => (StatusCode::OK, "ok"),
    };
    let report = Report {
        status,
        database: DatabaseReport {
            status: if latency.is_some() {
                "healthy"
            } else {
                "unavailable"
            },
            kind: app.tales.database.name(),
            latency_ms: latency.map(millis),
        },
        cache: CacheReport {
            status: known.status.as_str(),
            synced: cache.is_synced(),
            latency_ms: known.latency.map(millis),
            breaker: known.breaker.as_str(),
            connections: known.connections,
            held_keys: known.unreleased_keys,
            reason: known.reason,
            unused_seconds: known.unused_for.map(|time| time.as_secs_f64()),
            proof_age_seconds: known.proof_age.map(|age| age.as_secs_f64()),
            server: known.server.map(|server| ServerReport {
                address: server.address,
                database: server.database,
                tls: server.tls,
            }),
            shards: known
                .shards
                .into_iter()
                .map(|shard| ShardReport {
                    server: shard.server,
                    slots: shard.slots,
                    reason: shard.reason,
                    unused_seconds: shard.unused_for.map(|time| time.as_secs_f64()),
                    proof_age_seconds: shard.proof_age.map(|age| age.as_secs_f64()),
                    breaker: shard.breaker.as_str(),
                })
                .collect(),
        },
    };
    answer(code, Json(report))
}

/// Returns 200 while the process runs.
async fn live() -> Response {
    answer(StatusCode::OK, Json(serde_json::json!({ "status": "ok" })))
}

/// Returns 200 if the database replies. Redis is already in step, or known to
/// be unavailable or disabled, because the service connects before it serves.
async fn ready(State(app): State<App>) -> Response {
    match ping(&app.tales.database).await {
        Some(_) if !app.tales.cache().is_warm() => {
            let report = serde_json::json!({ "status": "warming up" });
            answer(StatusCode::SERVICE_UNAVAILABLE, Json(report))
        }
        Some(_) => answer(
            StatusCode::OK,
            Json(serde_json::json!({ "status": "ready" })),
        ),
        None => {
            let report = serde_json::json!({ "status": "unavailable" });
            answer(StatusCode::SERVICE_UNAVAILABLE, Json(report))
        }
    }
}

/// Returns the time of the database's reply, or `None` without a reply.
async fn ping(database: &Database) -> Option<Duration> {
    let begun = Instant::now();
    match timeout(ANSWERS_WITHIN, database.ping()).await {
        Ok(Ok(())) => Some(begun.elapsed()),
        _ => None,
    }
}

fn answer<T: Serialize>(status: StatusCode, report: Json<T>) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], report).into_response()
}

/// Returns milliseconds, rounded to the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
