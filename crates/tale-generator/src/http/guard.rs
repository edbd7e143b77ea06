//! What stands before every handler: limits in number and time, and what is
//! said of every answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::problem::Problem;

/// How many requests for tales may run at once. Each may hold a body of 2 MiB.
const MOST_AT_ONCE: usize = 256;

/// The longest a request may take, its body included. A write that is under
/// way then goes on without the client.
const LONGEST: Duration = Duration::from_secs(15);

/// The places for requests.
#[derive(Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST_AT_ONCE)))
    }
}

/// Turns away what would wait without end. Health, metrics and the admin
/// routes are not behind it: they are asked when it is full.
pub(super) async fn limit(State(places): State<Places>, request: Request, next: Next) -> Response {
    let answered = timeout(LONGEST, async {
        // The semaphore is never closed.
        let _place = places.0.acquire().await;
        next.run(request).await
    });
    answered.await.unwrap_or_else(|_| {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "it took too long").into_response()
    })
}

/// Says of every answer that its type is what it says, and logs it. Paths
/// and queries hold names, so they are for DEBUG only.
pub(super) async fn outermost(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let asked = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| format!("{} {}", request.method(), request.uri()));
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
