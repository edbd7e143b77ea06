//! Bodies of requests.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Returns the bytes of a body.
///
/// # Errors
/// If it is too long, or its connection ends.
pub(crate) fn read(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejected| Problem::new(rejected.status(), "The body was not read."))
}

/// Returns the value of a body.
///
/// # Errors
/// If it has another form than `example`, which the problem names.
pub(crate) fn parsed<T: DeserializeOwned>(body: &Bytes, example: &str) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|_| Problem::bad_request(format!("The body must be like {example}.")))
}
