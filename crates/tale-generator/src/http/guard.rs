//! What stands before every handler: a limit in time, and what is said of
//! every answer.

use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::problem::Problem;

/// The longest a request may take, its body included. A write that is under
/// way then goes on without the client.
const LONGEST: Duration = Duration::from_secs(15);

/// Turns away what would wait without end. Health, metrics and the admin
/// routes are not behind it.
pub(super) async fn limit(request: Request, next: Next) -> Response {
    let answered = timeout(LONGEST, next.run(request));
    answered.await.unwrap_or_else(|_| {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "it took too long").into_response()
    })
}

/// Says of every answer that its type is what it says, and logs it. Paths
/// hold names, so they are for DEBUG only; queries hold whatever a client put
/// there by mistake, secrets included, and are never logged.
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
