//! Refusals, in the form of RFC 9457.

use axum::Json;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A refusal, and the caller's remedy.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    possible: Vec<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    possible: &'a [String],
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            possible: Vec::new(),
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Refuses a request that has no effect where nothing is cached.
    pub(crate) fn disabled(consequence: &str) -> Self {
        let detail = format!("Caching is off in this instance: {consequence}");
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// Refuses a kind that is not cached here, and lists the kinds that are.
    pub(crate) fn unknown_kind(known: impl IntoIterator<Item = String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "No such kind is cached here.").with_possible(known)
    }

    /// Adds the values that would have been accepted.
    pub(crate) fn with_possible(mut self, possible: impl IntoIterator<Item = String>) -> Self {
        self.possible = possible.into_iter().collect();
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            possible: &self.possible,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Returns the response to a method that a route does not support.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Response {
    let detail = format!("This route supports {allowed}.");
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response();
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
