//! Responses: the row or the list, its tag, and its origin.

use std::io;
use std::sync::Arc;

use aside::{Answer, Tier};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::listing::{Origin, Window};
use super::paging::Paging;
use super::precondition::tag;
use super::problem::Problem;
use super::tags::Tags;
use super::writing::{Content, Written};
use crate::domain::{Revision, Row, TaleError};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The `Cache-Status` of a page of a list that is too large to cache.
const TOO_LARGE: &str = "aside; fwd=bypass; detail=too-large";

/// Returns 200 with one row, 304 if the client has it, 404 if there is none.
pub(super) fn one<E: Row>(
    answer: Answer<Option<Arc<E>>>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let status = cache_status(&answer);
    let Some(row) = answer.value else {
        let absent = Problem::from(TaleError::NotFound { kind: E::KIND });
        return Err(absent.with_header(CACHE_STATUS, status));
    };
    let (written, etag) = row_and_tag(row)?;
    if is_known(&etag, headers) {
        return Ok(not_modified(&etag, status));
    }
    Ok(found(&etag, status, written.body(None)))
}

/// Returns 200 with a page of a list, 304 if the client has it.
pub(super) fn list<E: Row>(
    window: Window<E>,
    paging: &Paging,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (status, memory) = match window.origin {
        Origin::Whole(answer) => (cache_status(&answer), None),
        Origin::TooLarge(memory) => (HeaderValue::from_static(TOO_LARGE), Some(memory)),
    };
    let link = window.next.map(|last| paging.link(last));
    let mut hash = Sha256::new();
    let content = Content::List(window.rows);
    let written = content
        .measure(|bytes| hash.update(bytes))
        .map_err(|error| unwritten(&error))?;
    // The existence of a next page is part of the response.
    hash.update(link.as_deref().unwrap_or_default());
    let etag = format!("\"{}\"", hex(&hash.finalize()[..16]));
    let mut response = if is_known(&etag, headers) {
        not_modified(&etag, status)
    } else {
        found(&etag, status, written.body(memory))
    };
    if let Some(link) = link {
        response.headers_mut().insert(LINK, ascii(&link));
    }
    Ok(response)
}

/// Returns 201 with the row that was added to `collection`, and its address.
pub(super) fn created<E: Row>(row: Arc<E>, collection: &str) -> Result<Response, Problem> {
    let location = format!("{collection}/{}", row.id());
    let mut response = written(row)?;
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(LOCATION, ascii(&location));
    Ok(response)
}

/// Returns 200 with the new state of the row.
pub(super) fn written<E: Row>(row: Arc<E>) -> Result<Response, Problem> {
    let (written, etag) = row_and_tag(row)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ETAG, ascii(&etag)),
    ];
    Ok((headers, written.body(None)).into_response())
}

/// Returns the row's JSON, and the tag of its state.
fn row_and_tag<E: Row>(row: Arc<E>) -> Result<(Written<E>, String), Problem> {
    let (.., version) = row.stamps();
    let mut state = Revision::begin(version);
    let written = Content::One(row).measure(|bytes| state.see(bytes));
    Ok((
        written.map_err(|error| unwritten(&error))?,
        tag(state.end()),
    ))
}

fn found(etag: &str, cache_status: HeaderValue, body: Body) -> Response {
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

/// Returns true if the client has exactly this response. If its header cannot
/// be parsed, the client gets the response again.
fn is_known(etag: &str, headers: &HeaderMap) -> bool {
    match Tags::read(headers, &IF_NONE_MATCH) {
        Ok(Some(tags)) => tags.match_weakly(etag),
        _ => false,
    }
}

/// Returns the origin of a read, in the form of RFC 9211.
fn cache_status<T>(answer: &Answer<T>) -> HeaderValue {
    let mut text = match (answer.tier, answer.bypass) {
        _ if answer.stale.is_some() => "aside; hit; detail=stale".to_owned(),
        (Tier::Source, None) => "aside; fwd=miss".to_owned(),
        (Tier::Source, Some(why)) => format!("aside; fwd=bypass; detail={}", why.as_str()),
        (tier, _) => format!("aside; hit; detail={}", tier.as_str()),
    };
    if let Some(ttl) = answer.ttl {
        text.push_str(&format!("; ttl={}", ttl.as_secs()));
    }
    ascii(&text)
}

fn unwritten(error: &io::Error) -> Problem {
    tracing::error!(%error, "a row cannot be written as JSON");
    let detail = "the response could not be written";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

/// Only for texts made by this service from ids, numbers and words.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
