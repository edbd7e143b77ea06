//! Where a command asks: the admin routes of one instance, or those of this process
//! over Redis.

mod redis;
mod router;

use aside::ops::Ops;
use axum::http::{Method, StatusCode};
use serde_json::Value;

use crate::failure::{Code, Failure};

pub(crate) use redis::Redis;
pub(crate) use router::Router;

/// The hint if not even the name of a kind is known.
pub(crate) const NO_KINDS: &str = "no instance has announced a kind: is CACHE_HEARTBEAT_MS zero, \
                                   or CACHE_NAMESPACE another?";

/// A way to the admin routes.
pub(crate) trait Target {
    /// Sends a request. Returns the status and the JSON of the response.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Failure>;

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
    let (status, answer) = target.send(method, path, body).await?;
    if !answer.is_object() {
        let at = target.shown();
        let at = at["at"].as_str().unwrap_or("Redis").to_owned();
        let message = format!("{at} serves no admin routes of aside ({})", status.as_u16());
        let failure = Failure::new(Code::Unreachable, message);
        return Err(failure.with_hint("the URL is that of the service, before `/cache`"));
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
