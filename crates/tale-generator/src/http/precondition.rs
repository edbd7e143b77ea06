//! `If-Match` on writes: a write happens only to the state its author saw.
//!
//! The comparison is made under the row's lock and by the UPDATE. Here the
//! header only becomes the states that would do.

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};

use super::problem::Problem;
use super::tags::Tags;
use crate::domain::{Expected, Revision};

/// No row has it: versions begin at 1.
const NEVER: Expected = Expected::Version(0);

/// What the headers of a write ask its row to be.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let malformed = |name| Problem::bad(name, "must be a list of entity tags, or *");
    let none_match = Tags::read(headers, &IF_NONE_MATCH);
    match none_match.map_err(|_| malformed("If-None-Match"))? {
        None => {}
        // Only where there is no such row, and then there is none to write.
        Some(Tags::Any) => return Ok(NEVER),
        Some(Tags::Listed(_)) => {
            let message = "is not possible on a write; If-Match is";
            return Err(Problem::bad("If-None-Match", message));
        }
    }
    match Tags::read(headers, &IF_MATCH).map_err(|_| malformed("If-Match"))? {
        None | Some(Tags::Any) => Ok(Expected::Any),
        Some(Tags::Listed(tags)) => {
            // Weak tags match nothing here, as RFC 9110 has it.
            let strong = tags.iter().filter(|(_, weak)| !weak);
            let revisions = strong.filter_map(|(listed, _)| revision(listed));
            Ok(Expected::Revisions(revisions.collect()))
        }
    }
}

/// The tag of one row: another state, another tag.
pub(super) fn tag(revision: Revision) -> String {
    format!("\"{revision}\"")
}

/// The state that a tag stands for, if it is one of ours.
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
    fn the_strong_tags_of_rows_count_and_no_others() {
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
