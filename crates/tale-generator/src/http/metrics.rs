//! `/metrics`, for Prometheus.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;

use super::App;
use super::problem::Problem;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let mut page = String::new();
    encode(&mut page, &app.registry).map_err(|error| {
        tracing::error!(%error, "the metrics could not be written");
        let detail = "the metrics could not be written";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], page).into_response())
}
