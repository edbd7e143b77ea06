//! `POST /cache/warm`: fills the cache ahead of reads. `GET /cache/stats` shows
//! the progress.

use std::sync::Arc;

use aside::{CacheService, report::WarmUpFrom};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::body;
use crate::problem::Problem;
use crate::query;
use crate::warm_ups::Stopped;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kinds: Option<Vec<String>>,
    from: Option<From>,
}

/// The rows to read.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum From {
    Hot,
    All,
}

pub(crate) async fn warm(
    State(admin): State<Admin>,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    let body = body::read(body)?;
    let asked = match body.is_empty() {
        true => Asked::default(),
        false => body::parsed(&body, r#"{"kinds": ["hero"], "from": "hot"}"#)?,
    };
    let warm_ups = Arc::clone(admin.warm_ups());
    let chosen = warm_ups.chosen(asked.kinds)?;
    refuse_if_unused(admin.cache()).await?;
    let Some(turn) = warm_ups.turn() else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "A warm-up is running; /cache/stats shows its progress.",
        ));
    };
    let from = match asked.from {
        Some(From::Hot) => WarmUpFrom::Hot,
        Some(From::All) | None => WarmUpFrom::All,
    };
    let task = tokio::spawn(async move { warm_ups.run(chosen, from, turn).await });
    match task.await {
        Ok(Ok(warmed)) => Ok(Json(json!({ "warmed": warmed }))),
        Ok(Err(Stopped::Unused)) => Err(unavailable(admin.cache(), STOPPED).await),
        // The reason is only logged, because it may quote internals.
        Ok(Err(Stopped::Failed)) | Err(_) => {
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, STOPPED))
        }
    }
}

const STOPPED: &str = "The warm-up stopped; what it had read until then is cached.";

/// Refuses a warm-up of which nothing would be cached.
async fn refuse_if_unused(cache: &CacheService) -> Result<(), Problem> {
    if !cache.is_enabled() {
        return Err(Problem::disabled("there is nothing to warm up."));
    }
    if cache.is_synced() {
        return Ok(());
    }
    Err(unavailable(cache, "Nothing can be cached now.").await)
}

async fn unavailable(cache: &CacheService, consequence: &str) -> Problem {
    let reason = cache.health_check().await.reason;
    let reason = reason.unwrap_or_else(|| "it was unavailable for a moment".to_owned());
    let detail = format!("{consequence} Redis is not used: {reason}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}
