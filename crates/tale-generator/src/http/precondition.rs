//! `If-Match` on writes: a write happens only to the version its author saw.
//!
//! The comparison is the UPDATE's own. Here the header only becomes the
//! versions that would do.

use std::future::Future;

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use uuid::Uuid;

use super::problem::Problem;
use super::resource::tag;
use super::tags::Tags;
use crate::domain::TaleError;

/// No row has it: versions begin at 1.
const NEVER: u64 = 0;

/// The versions of a row that a write may go ahead on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Whichever it has.
    Any,
    /// One of these, the latest first.
    Versions(Vec<u64>),
}

impl Expected {
    /// What the headers of a write to the row `id` ask for.
    pub(super) fn read(headers: &HeaderMap, id: Uuid) -> Result<Self, Problem> {
        let malformed = |name| Problem::bad(name, "must be a list of entity tags, or *");
        let none_match = Tags::read(headers, &IF_NONE_MATCH);
        match none_match.map_err(|_| malformed("If-None-Match"))? {
            None => {}
            // Only where there is no such row, and then there is none to write.
            Some(Tags::Any) => return Ok(Self::Versions(vec![NEVER])),
            Some(Tags::Listed(_)) => {
                let message = "is not possible on a write; If-Match is";
                return Err(Problem::bad("If-None-Match", message));
            }
        }
        match Tags::read(headers, &IF_MATCH).map_err(|_| malformed("If-Match"))? {
            None | Some(Tags::Any) => Ok(Self::Any),
            Some(Tags::Listed(tags)) => {
                // Weak tags match nothing here, as RFC 9110 has it.
                let strong = tags.iter().filter(|(_, weak)| !weak);
                let mut versions: Vec<u64> = strong
                    .filter_map(|(listed, _)| version_of(listed, id))
                    .collect();
                versions.sort_unstable_by(|one, other| other.cmp(one));
                versions.dedup();
                if versions.is_empty() {
                    versions.push(NEVER);
                }
                Ok(Self::Versions(versions))
            }
        }
    }

    /// Whether a row of this version may be written.
    pub(super) fn may_be(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }

    /// Writes with the version that is expected. Where several are, the row
    /// itself says which to try next: it has only one at a time.
    pub(super) async fn write<T, F>(
        &self,
        attempt: impl Fn(Option<u64>) -> F,
    ) -> Result<T, TaleError>
    where
        F: Future<Output = Result<T, TaleError>>,
    {
        let Self::Versions(versions) = self else {
            return attempt(None).await;
        };
        let mut tried = versions[0];
        loop {
            match attempt(Some(tried)).await {
                // Versions grow, so this comes to an end.
                Err(TaleError::Conflict { current })
                    if current != tried && versions.contains(&current) =>
                {
                    tried = current;
                }
                outcome => return outcome,
            }
        }
    }
}

/// The version that a tag of this row stands for.
fn version_of(listed: &[u8], id: Uuid) -> Option<u64> {
    let text = std::str::from_utf8(listed).ok()?;
    let (_, digits) = text.trim_matches('"').rsplit_once('.')?;
    let version = digits.parse().ok()?;
    // The database counts in signed numbers.
    let possible = version <= i64::MAX as u64 && text == tag(id, version);
    possible.then_some(version)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn read(name: HeaderName, text: &str) -> Result<Expected, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(text).unwrap());
        Expected::read(&headers, Uuid::nil())
    }

    #[test]
    fn the_versions_of_this_row_count_and_no_others() {
        let id = Uuid::nil();
        let header = format!(
            "{}, W/{}, \"{id}.07\", \"{}.9\", {}, \"{id}.18446744073709551615\"",
            tag(id, 2),
            tag(id, 3),
            Uuid::max(),
            tag(id, 5),
        );
        let expected = read(IF_MATCH, &header).unwrap();
        assert_eq!(expected, Expected::Versions(vec![5, 2]));
        assert_eq!(read(IF_MATCH, "*").unwrap(), Expected::Any);
        let none = read(IF_MATCH, "\"other\"").unwrap();
        assert_eq!(none, Expected::Versions(vec![NEVER]));
        let absent = read(IF_NONE_MATCH, "*").unwrap();
        assert_eq!(absent, Expected::Versions(vec![NEVER]));
        assert!(read(IF_MATCH, "7").is_err());
        assert!(read(IF_NONE_MATCH, "\"a\"").is_err());
    }

    #[tokio::test]
    async fn the_version_that_the_row_has_is_tried_next() {
        let expected = Expected::Versions(vec![5, 2]);
        let attempt = |version: Option<u64>| async move {
            match version {
                Some(2) => Ok(()),
                _ => Err(TaleError::Conflict { current: 2 }),
            }
        };
        expected.write(attempt).await.unwrap();
        let gone = Expected::Versions(vec![5]);
        let refused = gone.write(attempt).await;
        assert!(matches!(refused, Err(TaleError::Conflict { current: 2 })));
    }
}
