//! Lists that are too large to be read as a whole, read in pages (keyset
//! pagination).
//!
//! A page begins after the position of the last row of the previous page. An
//! offset would read all earlier rows, and would skip or repeat rows that are
//! added or deleted meanwhile. A page is bounded in bytes as well as in rows,
//! because a thousand rows may be a gigabyte.

use std::future::Future;
use std::sync::Arc;

use aside::{Entity, Repository, Rows, Source};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::database::Database;
use super::gather::{Most, Page};
use super::statement::{Statement, Value};
use super::table::Table;
use crate::domain::TaleError;

/// The number of rows in the first statement of a page. Each further one
/// doubles it. So if rows are large, few are read and dropped.
const FIRST_ROWS: usize = 32;

/// The position of a row in a list; lists are ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) created_at: Timestamp,
    pub(crate) id: Uuid,
}

impl Position {
    /// Returns the position before every row.
    pub(crate) fn first() -> Self {
        Self {
            created_at: "0001-01-01T00:00:00Z".parse().unwrap_or(Timestamp::MIN),
            id: Uuid::nil(),
        }
    }
}

/// The id type of a repository's rows.
pub(super) type IdOf<R> = <<R as Source>::Entity as Entity>::Id;

/// The index type of a repository's rows.
pub(crate) type IndexOf<R> = <<R as Source>::Entity as Entity>::Index;

/// A repository whose lists can be read in pages.
pub(crate) trait Pages: Repository<Error = TaleError> {
    /// Returns the rows of one list, or of all, after a position.
    fn page(
        &self,
        index: Option<&IndexOf<Self>>,
        after: Position,
        most: Most,
    ) -> impl Future<Output = Result<Page<Self::Entity>, TaleError>> + Send;

    /// Returns the whole list as of one moment, or `None` if it has more than
    /// `bytes`.
    fn whole(
        &self,
        index: Option<&IndexOf<Self>>,
        bytes: usize,
    ) -> impl Future<Output = Result<Option<Rows<Self::Entity>>, TaleError>> + Send;
}

/// A statement for at most `$3` rows after the position `$1`, `$2`, with its
/// further values. `None` for a list that can contain no row.
pub(super) type Paging = Option<(Statement, Vec<Value>)>;

pub(super) async fn page<T: Table + Serialize>(
    database: &Database,
    paging: Paging,
    mut after: Position,
    most: Most,
) -> Result<Page<T>, TaleError> {
    let mut page = Page {
        rows: Vec::new(),
        more: false,
        bytes: 0,
    };
    let Some((statement, values)) = paging else {
        return Ok(page);
    };
    let _place = database.place_of_page().await?;
    let mut asked = FIRST_ROWS;
    while !page.more {
        let rows = asked.min(most.rows + 1 - page.rows.len());
        let left = Most {
            rows,
            bytes: most.bytes.saturating_sub(page.bytes),
        };
        let whole = page.rows.is_empty();
        let values = at(after, rows, &values);
        let read = database.fetch_most(statement, values, T::KIND, left, whole);
        let slice: Page<T> = read.await?;
        page.bytes += slice.bytes;
        let all = !slice.more && slice.rows.len() < rows;
        page.rows.extend(slice.rows);
        page.more = slice.more || most.rows < page.rows.len();
        page.rows.truncate(most.rows);
        if all {
            break;
        }
        if let Some(last) = page.rows.last() {
            let (created_at, ..) = last.stamps();
            after = Position {
                created_at,
                id: *last.id(),
            };
        }
        asked *= 2;
    }
    Ok(page)
}

pub(super) async fn whole<T: Table + Serialize>(
    database: &Database,
    paging: Paging,
    bytes: usize,
) -> Result<Option<Rows<T>>, TaleError> {
    let Some((statement, values)) = paging else {
        return Ok(Some(Arc::new([])));
    };
    // No row is smaller, so more rows than this would exceed the limit.
    const MIN_BYTES: usize = 64;
    let most = Most {
        rows: bytes / MIN_BYTES + 1,
        bytes,
    };
    let values = at(Position::first(), most.rows, &values);
    let read = database.fetch_most(statement, values, T::KIND, most, false);
    let page: Page<T> = read.await?;
    Ok((!page.more).then(|| page.rows.into()))
}

fn at(after: Position, rows: usize, values: &[Value]) -> Vec<Value> {
    let mut all = vec![
        Value::Time(after.created_at),
        Value::id(after.id),
        Value::Version(Some(rows as u64)),
    ];
    all.extend_from_slice(values);
    all
}
