//! `If-Match` on writes: a write proceeds only if the row is in the state that
//! its author saw.
//!
//! The comparison is made under the row's lock and by the UPDATE. This module
//! only turns the header into the accepted states.

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};

use super::problem::Problem;
use super::tags::Tags;
use crate::domain::{Expected, Revision};

/// A version that no row has, because versions start at 1.
const NEVER: Expected = Expected::Version(0);

/// Returns the state that the headers of a write require of its row.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let malformed = |name| Problem::bad(name, "must be a list of entity tags, or *");
    let none_match = Tags::read(headers, &IF_NONE_MATCH);
    match none_match.map_err(|_| malformed("If-None-Match"))? {
        None => {}
        // It requires that there is no such row, so there is no row to write.
        Some(Tags::Any) => return Ok(NEVER),
        Some(Tags::Listed(_)) => {
            let message = "is not supported on a write; use If-Match";
            return Err(Problem::bad("If-None-Match", message));
        }
    }
    match Tags::read(headers, &IF_MATCH).map_err(|_| malformed("If-Match"))? {
        None | Some(Tags::Any) => Ok(Expected::Any),
        Some(Tags::Listed(tags)) => {
            // RFC 9110: weak tags never match in `If-Match`.
            let strong = tags.iter().filter(|(_, weak)| !weak);
            let revisions = strong.filter_map(|(listed, _)| revision(listed));
            Ok(Expected::Revisions(revisions.collect()))
        }
    }
}

/// Returns the tag of a row's state; another state has another tag.
pub(super) fn tag(revision: Revision) -> String {
    format!("\"{revision}\"")
}

/// Returns the state of a tag, if this service issued it.
fn revision(listed: &[u8]) -> Option<Revision> {
    let text = std::str::from_utf8(listed).ok()?;
    Revision::parse(text.strip_prefix('"')?.strip_suffix('"')?)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn read(name: HeaderName, text: &str) -> Result<Expected, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(text).unwrap());
        expected(&headers)
    }

    #[test]
    fn only_the_strong_tags_of_rows_count() {
        let (one, other) = (Revision::new(2, b"{}"), Revision::new(5, b"[]"));
        let header = format!(
            "{}, W/{}, \"2\", \"none\", {}",
            tag(one),
            tag(Revision::new(3, b"{}")),
            tag(other),
        );
        let expected = read(IF_MATCH, &header).unwrap();
        assert_eq!(expected, Expected::Revisions(vec![one, other]));
        assert_eq!(read(IF_MATCH, "*").unwrap(), Expected::Any);
        let none = read(IF_MATCH, "\"other\"").unwrap();
        assert_eq!(none, Expected::Revisions(vec![]));
        assert_eq!(read(IF_NONE_MATCH, "*").unwrap(), NEVER);
        assert!(read(IF_MATCH, "7").is_err());
        assert!(read(IF_NONE_MATCH, "\"a\"").is_err());
    }
}
