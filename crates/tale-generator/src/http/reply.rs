//! Answers: the row or the list, its tag, and where it came from.

use std::sync::Arc;

use aside::{Answer, Rows, Tier};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::problem::Problem;
use super::resource::{Resource, tag};
use super::tags::Tags;
use crate::domain::TaleError;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// 200 with one row, 304 where the client has it, 404 where there is none.
pub(super) fn one<E: Resource>(
    answer: Answer<Option<Arc<E>>>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let status = cache_status(&answer);
    let Some(row) = answer.value else {
        let absent = Problem::from(TaleError::NotFound { kind: E::KIND });
        return Err(absent.with_header(CACHE_STATUS, status));
    };
    let etag = tag(*row.id(), row.stamps().2);
    if is_known(&etag, headers) {
        return Ok(not_modified(&etag, status));
    }
    let body = json(&*row)?;
    Ok(found(&etag, status, body))
}

/// 200 with a list, 304 where the client has it.
pub(super) fn list<E: Resource>(
    answer: &Answer<Rows<E>>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let status = cache_status(answer);
    let rows: Vec<&E> = answer.value.iter().map(|row| &**row).collect();
    let body = json(&rows)?;
    let hash = hex(&Sha256::digest(&body)[..16]);
    let etag = format!("\"{hash}\"");
    if is_known(&etag, headers) {
        return Ok(not_modified(&etag, status));
    }
    Ok(found(&etag, status, body))
}

/// 201 with the row that was added, and its address.
pub(super) fn created<E: Resource>(row: &E) -> Result<Response, Problem> {
    let mut response = written(row)?;
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("{}/{}", E::PATH, row.id());
    response.headers_mut().insert(LOCATION, ascii(&location));
    Ok(response)
}

/// 200 with the row as it is now.
pub(super) fn written<E: Resource>(row: &E) -> Result<Response, Problem> {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ETAG, ascii(&tag(*row.id(), row.stamps().2))),
    ];
    Ok((headers, json(row)?).into_response())
}

fn found(etag: &str, cache_status: HeaderValue, body: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ETAG, ascii(etag)),
        (CACHE_STATUS, cache_status),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}

fn not_modified(etag: &str, cache_status: HeaderValue) -> Response {
    let headers = [
        (ETAG, ascii(etag)),
        (CACHE_STATUS, cache_status),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

/// Whether the client has this very answer. One that cannot say so in a form
/// we read gets the answer again.
fn is_known(etag: &str, headers: &HeaderMap) -> bool {
    match Tags::read(headers, &IF_NONE_MATCH) {
        Ok(Some(tags)) => tags.match_weakly(etag),
        _ => false,
    }
}

/// Who answered, as RFC 9211 has it.
fn cache_status<T>(answer: &Answer<T>) -> HeaderValue {
    let mut text = match (answer.tier, answer.bypass) {
        _ if answer.stale.is_some() => "aside; hit; detail=stale".to_owned(),
        (Tier::Process | Tier::Shared, _) => format!("aside; hit; detail={}", answer.tier.as_str()),
        (Tier::Source, None) => "aside; fwd=miss".to_owned(),
        (Tier::Source, Some(why)) => format!("aside; fwd=bypass; detail={}", why.as_str()),
    };
    if let Some(ttl) = answer.ttl {
        text.push_str(&format!("; ttl={}", ttl.as_secs()));
    }
    ascii(&text)
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer has no JSON form");
        let detail = "the answer could not be written";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

/// Only for texts made here, of ids, numbers and words.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
