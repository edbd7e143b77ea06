//! Middleware of every handler: a time limit, a header and the log.

use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::problem::Problem;

/// The time limit of a request, including its body. A running write then
/// continues without the client.
const MAX_HANDLING_TIME: Duration = Duration::from_secs(15);

/// Refuses requests that exceed the time limit. Health, metrics and the admin
/// routes have none.
pub(super) async fn limit(request: Request, next: Next) -> Response {
    let answered = timeout(MAX_HANDLING_TIME, next.run(request));
    answered.await.unwrap_or_else(|_| {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "the request took too long").into_response()
    })
}

/// Adds `nosniff` to every response, and logs the request. Paths contain names,
/// so they are logged only at DEBUG. Queries may contain anything, including
/// secrets sent by mistake, so they are never logged.
pub(super) async fn outermost(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let asked = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| format!("{} {}", request.method(), request.uri().path()));
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(asked) = asked {
        let status = response.status().as_u16();
        tracing::debug!(request = asked, status, elapsed = ?begun.elapsed(), "answered");
    }
    response
}
