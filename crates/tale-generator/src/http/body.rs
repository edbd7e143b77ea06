//! Request bodies: JSON, bounded in size and time.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::App;
use super::problem::Problem;
use super::room::{Memory, Place};

/// The maximum size of a body.
const LARGEST_BYTES: usize = 2 * 1024 * 1024;

/// How many bytes of a larger body are read and dropped before it is refused.
/// Refusing must not cost more than reading. Closing earlier resets the
/// connection while the client still sends, so the client may not see the
/// reason.
const DISCARDED_BYTES: usize = 2 * LARGEST_BYTES;

/// The time limit for a client to send its body.
const SENT_WITHIN: Duration = Duration::from_secs(10);

/// The body of a request with a JSON content type. It also holds the memory of
/// the body, and the place that the request took once the body was complete.
#[derive(Debug)]
pub(super) struct Json(pub(super) String, pub(super) (Place, Memory));

impl FromRequest<App> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        must_be_json(&parts.headers)?;
        let announced = parts.headers.get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        // A client with `Expect` waits for a reply before it sends the body.
        if LARGEST_BYTES < announced.unwrap_or(0) && parts.headers.contains_key(EXPECT) {
            return Err(too_large());
        }
        let mut memory = app.room.memory();
        let read = timeout(SENT_WITHIN, read(body, &mut memory)).await;
        let bytes = read.map_err(|_| {
            let detail = "the body took too long to arrive";
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
        })??;
        let place = app.room.place().await?;
        let text = String::from_utf8(bytes).map_err(|_| {
            let detail = "the body is not JSON: it is not UTF-8";
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })?;
        Ok(Self(text, (place, memory)))
    }
}

async fn read(body: Body, memory: &mut Memory) -> Result<Vec<u8>, Problem> {
    let mut frames = pin!(body.into_data_stream());
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(frame) = frames.next().await {
        let frame =
            frame.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is incomplete"))?;
        length += frame.len();
        if LARGEST_BYTES < length {
            bytes = Vec::new();
        } else {
            memory.grow_to(length)?;
            bytes.extend_from_slice(&frame);
        }
        if DISCARDED_BYTES < length {
            break;
        }
    }
    if LARGEST_BYTES < length {
        return Err(too_large());
    }
    Ok(bytes)
}

fn too_large() -> Problem {
    let detail = format!("the body must have at most {LARGEST_BYTES} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .unwrap_or_default();
    let suffixed = media_type.starts_with("application/") && media_type.ends_with("+json");
    if media_type != "application/json" && !suffixed {
        return refused("the body must be application/json");
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            refused("the body must not be compressed")
        }
        _ => Ok(()),
    }
}
