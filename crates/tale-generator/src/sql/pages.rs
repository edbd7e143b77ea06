//! Lists that are too large to be read as a whole, read in pages (keyset
//! pagination).
//!
//! A page begins after the position of the last row of the previous page. An
//! offset would read all earlier rows, and would skip or repeat rows that are
//! added or deleted meanwhile. A page is bounded in bytes as well as in rows,
//! because a thousand rows may be a gigabyte.

use std::future::Future;

use aside::{Entity, Repository, Rows, Source};
use jiff::Timestamp;
use uuid::Uuid;

use super::gather::{Most, Page};
use crate::domain::{Row, TaleError};

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

    /// Returns the position of a row.
    pub(crate) fn of<E: Row>(row: &E) -> Self {
        let (created_at, ..) = row.stamps();
        let id = *row.id();
        Self { created_at, id }
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
