//! The `{id}` of a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use uuid::Uuid;

use super::problem::Problem;

/// The row that the path names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Id(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let text = path.map_err(|_| Problem::bad("id", "must be a UUID"))?;
        parse("id", &text).map(Self)
    }
}

/// Parses the usual hyphenated form, in either case. Braces, URNs and forms
/// without hyphens would be further addresses of the same row.
pub(super) fn parse(field: &str, text: &str) -> Result<Uuid, Problem> {
    const HYPHENATED: usize = 36;
    Uuid::try_parse(text)
        .ok()
        .filter(|_| text.len() == HYPHENATED)
        .ok_or_else(|| Problem::bad(field, "must be a UUID"))
}
