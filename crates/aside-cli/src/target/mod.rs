//! Where a command asks: the admin routes of one instance, or those of this process
//! over Redis.

mod events;
mod redis;
mod router;

use std::time::Duration;

use aside::ops::Ops;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::failure::{Code, Failure};

pub(crate) use events::Events;
pub(crate) use redis::Redis;
pub(crate) use router::Router;

/// The hint if not even the name of a kind is known.
pub(crate) const NO_KINDS: &str = "no instance has announced a kind: is CACHE_HEARTBEAT_MS zero, \
                                   or CACHE_NAMESPACE another?";

/// A way to the admin routes.
pub(crate) trait Target {
    /// Sends a request, and waits for the head of the response for at most `patience`.
    /// The body arrives later.
    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Response<Body>, Failure>;

    /// Returns how long to wait for a response.
    fn patience(&self) -> Duration;

    /// Returns the access to Redis; `None` if only one instance is asked.
    fn ops(&self) -> Option<&Ops>;

    /// Returns its description for the envelope, without secrets.
    fn shown(&self) -> Value;
}

/// Sends a request, and refuses an answer that is no success.
pub(crate) async fn ask(
    target: &impl Target,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    ask_within(target, method, path, body, target.patience()).await
}

/// Sends a request whose response takes longer than others.
pub(crate) async fn ask_within(
    target: &impl Target,
    method: Method,
    path: &str,
    body: Option<&Value>,
    patience: Duration,
) -> Result<Value, Failure> {
    let response = target.open(method, path, body, patience).await?;
    accepted(target, response, patience).await
}

/// Opens a stream of events.
pub(crate) async fn events(target: &impl Target, path: &str) -> Result<Events, Failure> {
    let patience = target.patience();
    let response = target.open(Method::GET, path, None, patience).await?;
    if response.status().is_success() && is_stream(&response) {
        return Ok(Events::of(response.into_body()));
    }
    let refused = accepted(target, response, patience).await;
    Err(refused
        .err()
        .unwrap_or_else(|| foreign(target, StatusCode::OK)))
}

fn is_stream(response: &Response<Body>) -> bool {
    let content = response.headers().get(CONTENT_TYPE);
    content.is_some_and(|content| content.as_bytes().starts_with(b"text/event-stream"))
}

/// Refuses a response that is not from the routes.
fn foreign(target: &impl Target, status: StatusCode) -> Failure {
    let at = target.shown();
    let at = at["at"].as_str().unwrap_or("Redis").to_owned();
    let message = format!("{at} serves no admin routes of aside ({})", status.as_u16());
    let failure = Failure::new(Code::Unreachable, message);
    failure.with_hint("the URL is that of the service, before `/cache`")
}

/// Reads the JSON of a response, and refuses one that is no success.
async fn accepted(
    target: &impl Target,
    response: Response<Body>,
    patience: Duration,
) -> Result<Value, Failure> {
    let (parts, body) = response.into_parts();
    let status = parts.status;
    let read = tokio::time::timeout(patience, body.collect()).await;
    let Ok(Ok(body)) = read else {
        let message = "the response ended before its end";
        return Err(Failure::new(Code::Unreachable, message));
    };
    let answer: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    if !answer.is_object() {
        return Err(foreign(target, status));
    }
    if status.is_success() {
        return Ok(answer);
    }
    let detail = answer["detail"].as_str().unwrap_or("it gives no reason");
    let possible = answer["possible"].as_array().into_iter().flatten();
    let possible: Vec<&str> = possible.filter_map(Value::as_str).collect();
    let code = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Code::NotPermitted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Bad,
        _ if status.is_server_error() => Code::Unreachable,
        _ => Code::Usage,
    };
    let failure = Failure::new(code, format!("{} ({})", detail, status.as_u16()));
    Err(match (code, possible.is_empty()) {
        (Code::NotPermitted, _) => failure.with_hint("try: ADMIN_TOKEN in the environment"),
        (_, false) => failure.with_hint(format!("possible: {}", possible.join(", "))),
        (_, true) if status == StatusCode::NOT_FOUND => failure.with_hint(NO_KINDS),
        _ => failure,
    })
}

/// Sends a GET.
pub(crate) async fn get(target: &impl Target, path: &str) -> Result<Value, Failure> {
    ask(target, Method::GET, path, None).await
}

/// Returns a query string of these parameters, with its question mark.
pub(crate) fn query(parameters: &[(&str, &str)]) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = parameters.iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    format!("?{}", pairs.join("&"))
}
