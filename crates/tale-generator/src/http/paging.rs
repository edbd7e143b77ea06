//! `limit` and `after`: the requested part of a list.
//!
//! `after` contains the position of the last row of the previous page, and a
//! checksum of it and the list, so that a value from another list is noticed.
//! It is not secret. A forged value with a valid checksum only names a
//! position, which any client may request.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::problem::Problem;
use super::query::{self, Filter, Query};
use crate::sql::Position;

/// The maximum number of rows of one response.
const MAX_ROWS: usize = 1000;

/// The number of digits of the time, the id and the checksum.
const DIGITS: (usize, usize, usize) = (16, 32, 16);

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    /// The list: its path, and its filter if it has one.
    list: String,
    limit: Option<usize>,
    after: Option<Position>,
}

impl Paging {
    /// Returns the only filter in a request for the list at `path`, out of
    /// `filters`, and the requested part of the list.
    pub(super) fn of<'a>(
        query: &'a Query,
        path: &str,
        filters: &[&str],
    ) -> Result<(Filter<'a>, Self), Problem> {
        let filter = query.filter(filters, &["limit", "after"])?;
        let paging = Self::read(path, filter, query.value("limit"), query.value("after"))?;
        Ok((filter, paging))
    }

    fn read(
        path: &str,
        filter: Filter<'_>,
        limit: Option<&str>,
        after: Option<&str>,
    ) -> Result<Self, Problem> {
        let list = match filter {
            None => path.to_owned(),
            Some((name, value)) => {
                format!(
                    "{path}?{name}={}",
                    utf8_percent_encode(value, NON_ALPHANUMERIC)
                )
            }
        };
        let limit = limit.map(|text| query::number("limit", text, 1, MAX_ROWS as i32));
        let after = after.map(|text| {
            let message = "must be taken from the Link of a response of the same list";
            position(&list, text).ok_or_else(|| Problem::bad("after", message))
        });
        Ok(Self {
            limit: limit.transpose()?.and_then(|limit| limit.try_into().ok()),
            after: after.transpose()?,
            list,
        })
    }

    /// Returns a name that identifies the list.
    pub(super) fn list(&self) -> &str {
        &self.list
    }

    /// Returns the maximum number of rows of the response.
    pub(super) fn most(&self) -> usize {
        self.limit.unwrap_or(MAX_ROWS)
    }

    /// Returns the position before the first row.
    pub(super) fn after(&self) -> Option<Position> {
        self.after
    }

    /// Returns the `Link` to the page after the row at `last`.
    pub(super) fn link(&self, last: Position) -> String {
        let list = &self.list;
        let more = if list.contains('?') { '&' } else { '?' };
        let limit = self.limit.map(|limit| format!("limit={limit}&"));
        let limit = limit.unwrap_or_default();
        format!(
            "<{list}{more}{limit}after={}>; rel=\"next\"",
            text(list, last)
        )
    }
}

fn text(list: &str, position: Position) -> String {
    let micros = position.created_at.as_microsecond();
    let place = format!("{micros:016x}{}", position.id.simple());
    let seal = seal(list, &place);
    place + &seal
}

fn position(list: &str, text: &str) -> Option<Position> {
    let (time, id, _) = DIGITS;
    let (micros, rest) = text.split_at_checked(time)?;
    let position = Position {
        created_at: Timestamp::from_microsecond(u64::from_str_radix(micros, 16).ok()? as i64)
            .ok()?,
        id: Uuid::try_parse(rest.get(..id)?).ok()?,
    };
    (self::text(list, position) == text).then_some(position)
}

fn seal(list: &str, place: &str) -> String {
    let hash = Sha256::digest(format!("{list} {place}"));
    hash[..DIGITS.2 / 2]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Position {
        Position {
            created_at: "1969-07-20T20:17:40.123456Z".parse().unwrap(),
            id: Uuid::max(),
        }
    }

    #[test]
    fn a_position_is_valid_only_unchanged_and_for_its_list() {
        let text = text("/heroes", some());
        assert_eq!(position("/heroes", &text), Some(some()));
        assert_eq!(position("/children", &text), None);
        assert_eq!(position("/heroes?language=en", &text), None);
        for at in 0..text.len() {
            let mut forged = text.clone();
            let other = if &text[at..=at] == "0" { "1" } else { "0" };
            forged.replace_range(at..=at, other);
            assert_eq!(position("/heroes", &forged), None, "{forged}");
            assert_eq!(position("/heroes", &text[..at]), None);
        }
        assert_eq!(position("/heroes", &text.to_uppercase()), None);
        assert_eq!(position("/heroes", "\u{416}".repeat(32).as_str()), None);
    }

    #[test]
    fn the_link_leads_to_the_same_list_with_the_same_limit() {
        let paging = Paging::read("/heroes", Some(("name", "a&b")), Some("7"), None).unwrap();
        let link = paging.link(some());
        assert!(
            link.starts_with("</heroes?name=a%26b&limit=7&after="),
            "{link}"
        );
        assert!(link.ends_with(">; rel=\"next\""));
    }
}
