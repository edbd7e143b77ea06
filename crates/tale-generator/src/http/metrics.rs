//! `/metrics`, for Prometheus.
//!
//! A request that accepts OpenMetrics gets it, for example from Prometheus.
//! Other requests get the older text format, which all scrapers read. The two
//! differ in the names of counter families, and in the end of the page.

use std::collections::HashSet;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;

use super::App;
use super::problem::Problem;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let mut page = String::new();
    encode(&mut page, &app.registry).map_err(|error| {
        tracing::error!(%error, "the metrics could not be written");
        let detail = "the metrics could not be written";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    let (media_type, page) = if asks_for_openmetrics(&headers) {
        (OPENMETRICS, page)
    } else {
        (TEXT, as_text(&page))
    };
    Ok(([(CONTENT_TYPE, media_type), (VARY, "Accept")], page).into_response())
}

fn asks_for_openmetrics(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    accepted.any(|line| {
        let line = line.to_str().unwrap_or_default().to_ascii_lowercase();
        line.contains("application/openmetrics-text")
    })
}

/// Converts the page to the older format.
fn as_text(openmetrics: &str) -> String {
    let counters: HashSet<&str> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut page = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => continue,
            (Some("#"), Some(what), Some(family), Some(rest)) if counters.contains(family) => {
                page.push_str(&format!("# {what} {family}_total {rest}"));
            }
            _ => page.push_str(line),
        }
        page.push('\n');
    }
    page
}
