//! Errors in the form of RFC 9457. This is the only place that maps failures to
//! statuses.
//!
//! A client gets the facts that it can act on. Internal causes are only logged.

use std::any::Any;

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::domain::{Invalid, TaleError};
use crate::sql;

/// The maximum number of fields that one response names.
const MAX_NAMED: usize = 50;

/// A response that describes an error.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<Invalid>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[Invalid]>::is_empty")]
    errors: &'a [Invalid],
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Returns 400 about a part of the request.
    pub(super) fn bad(field: &str, message: impl Into<String>) -> Self {
        Self::about(StatusCode::BAD_REQUEST, field, message)
    }

    /// Returns any status about a part of the request.
    fn about(status: StatusCode, field: &str, message: impl Into<String>) -> Self {
        let error = Invalid {
            field: field.to_owned(),
            message: message.into(),
        };
        Self::fields(status, vec![error])
    }

    /// Returns one status about several fields.
    pub(super) fn fields(status: StatusCode, mut errors: Vec<Invalid>) -> Self {
        errors.truncate(MAX_NAMED);
        let named: Vec<String> = errors
            .iter()
            .map(|error| match error.field.as_str() {
                "" => error.message.clone(),
                field => format!("{field}: {}", error.message),
            })
            .collect();
        Self {
            errors,
            ..Self::new(status, named.join("; "))
        }
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Returns 503: the same request may soon succeed.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    }
}

impl From<TaleError> for Problem {
    fn from(error: TaleError) -> Self {
        let detail = error.to_string();
        match error {
            TaleError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, detail),
            TaleError::Conflict { .. } => Self::new(StatusCode::PRECONDITION_FAILED, detail),
            TaleError::Exists { .. } => Self::new(StatusCode::CONFLICT, detail),
            TaleError::UnknownChild(_) => {
                Self::about(StatusCode::UNPROCESSABLE_ENTITY, "child_id", detail)
            }
            TaleError::UnknownHero(_) => {
                Self::about(StatusCode::UNPROCESSABLE_ENTITY, "hero_id", detail)
            }
            TaleError::Invalid(problems) => {
                Self::fields(StatusCode::BAD_REQUEST, problems.to_vec())
            }
            TaleError::Busy => Self::busy(detail),
            TaleError::TooSlow => Self::new(StatusCode::GATEWAY_TIMEOUT, detail),
            TaleError::Database(_) => {
                // Either was logged once already, where it was noticed.
                if sql::is_away(&error) {
                    return Self::busy("the database does not answer");
                }
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        // Texts and numbers always have a JSON form.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        response.headers_mut().extend(self.headers);
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, problem);
        response
    }
}

/// Returns 404 for a path without a route.
pub(super) async fn no_such_route(uri: Uri) -> Problem {
    let mut shown: String = uri.path().chars().take(200).collect();
    if shown.len() < uri.path().len() {
        shown.push_str("...");
    }
    Problem::new(StatusCode::NOT_FOUND, format!("there is no {shown} here"))
}

/// Returns 405; the router adds the permitted methods.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("the {ALLOW} header lists the permitted methods"),
    )
}

/// Returns 500 for a bug. The panic message is in the log already.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    let detail = "an internal error occurred; it has been logged";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_problem_without_internals() {
        let broken = get(async || -> Problem { panic!("secret") });
        let router = Router::new()
            .route("/", broken)
            .layer(CatchPanicLayer::custom(panicked));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 1024).await;
        assert!(!String::from_utf8_lossy(&body.unwrap()).contains("secret"));
    }
}
