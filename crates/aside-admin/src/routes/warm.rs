//! `POST /cache/warm`: fills the cache ahead of reads. `GET /cache/stats` shows
//! the progress.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kinds: Option<Vec<String>>,
}

pub(crate) async fn warm(
    State(admin): State<Admin>,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    let body =
        body.map_err(|rejected| Problem::new(rejected.status(), "The body was not read."))?;
    let asked = match body.is_empty() {
        true => Asked::default(),
        false => serde_json::from_slice(&body)
            .map_err(|_| Problem::bad_request(r#"The body must be like {"kinds": ["hero"]}."#))?,
    };
    let warm_ups = Arc::clone(admin.warm_ups());
    let chosen = warm_ups.chosen(asked.kinds)?;
    let Some(turn) = warm_ups.turn() else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "A warm-up is running; /cache/stats shows its progress.",
        ));
    };
    let task = tokio::spawn(async move { warm_ups.run(chosen, turn).await });
    match task.await {
        Ok(Ok(warmed)) => Ok(Json(json!({ "warmed": warmed }))),
        // The reason is only logged, because it may quote internals.
        Ok(Err(_)) | Err(_) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The warm-up stopped; what it had read until then is cached.",
        )),
    }
}
