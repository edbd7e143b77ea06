//! Reads outside of transactions.

use std::sync::Arc;

use aside::Rows;
use aside_sqlx::Select;
use uuid::Uuid;

use super::gather::{Most, Page, gather};
use super::kind::{Kind, storable};
use super::pages::Position;
use super::store::{Dialect, Store};
use crate::columns::{Id, Time};
use crate::domain::TaleError;

/// The number of rows in the first statement of a page. Each further one
/// doubles it. So if rows are large, few are read and dropped.
const FIRST_ROWS: usize = 32;

/// Runs an expression on a connection of the pool, as one read of rows of this
/// kind. It is a macro for the same reason as `once_more`.
macro_rules! read {
    ($store:expr, $kind:expr, |$connection:ident| $asked:expr) => {{
        $store.limits.begin_read().await;
        once_more!({
            let rows = async {
                let mut connection = $store.pool.acquire().await?;
                let _held = $store.limits.availability.hold();
                let $connection = &mut *connection;
                $asked
            };
            $store.limits.read($kind, rows).await
        })
    }};
}

impl<D: Dialect> Store<D> {
    pub(super) async fn ping(&self) -> Result<(), TaleError> {
        let asked = async {
            let mut connection = self.pool.acquire().await?;
            let _held = self.limits.availability.hold();
            D::ping(&mut connection).await
        };
        self.limits.read("row", asked).await
    }

    /// Returns true if the table has no rows.
    pub(super) async fn is_empty<E: Kind<D>>(&self) -> Result<bool, TaleError> {
        let rows = read!(self, E::KIND, |connection| {
            E::table(self).select().limit(1).fetch_in(connection).await
        });
        Ok(rows?.is_empty())
    }

    pub(super) async fn find_by_id<E: Kind<D>>(
        &self,
        id: &Uuid,
    ) -> Result<Option<Arc<E>>, TaleError> {
        let row = read!(self, E::KIND, |connection| {
            E::table(self).find_by_id_in(connection, id).await
        });
        Ok(row?.map(Arc::new))
    }

    pub(super) async fn find_many<E: Kind<D>>(
        &self,
        ids: &[Uuid],
    ) -> Result<Vec<Option<Arc<E>>>, TaleError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        read!(self, E::KIND, |connection| {
            E::table(self).find_many_in(connection, ids).await
        })
    }

    /// Returns one list, or all rows.
    pub(super) async fn list<E: Kind<D>>(
        &self,
        index: Option<&E::Index>,
    ) -> Result<Rows<E>, TaleError> {
        if is_without_rows::<D, E>(index) {
            return Ok(Arc::new([]));
        }
        let rows = read!(self, E::KIND, |connection| {
            self.of::<E>(index).fetch_in(connection).await
        });
        Ok(rows?.into_iter().map(Arc::new).collect())
    }

    /// Returns the rows of one list, or of all, after a position.
    pub(super) async fn page<E: Kind<D>>(
        &self,
        index: Option<&E::Index>,
        mut after: Position,
        most: Most,
    ) -> Result<Page<E>, TaleError> {
        let mut page = Page::default();
        if is_without_rows::<D, E>(index) {
            return Ok(page);
        }
        let _place = self.limits.places.of_page().await?;
        let mut asked = FIRST_ROWS;
        while !page.more {
            let rows = asked.min(most.rows + 1 - page.rows.len());
            let left = Most {
                rows,
                bytes: most.bytes.saturating_sub(page.bytes),
            };
            let first = page.rows.is_empty();
            let slice = self.slice::<E>(index, after, left, first).await?;
            page.bytes += slice.bytes;
            let all = !slice.more && slice.rows.len() < rows;
            page.rows.extend(slice.rows);
            page.more = slice.more || most.rows < page.rows.len();
            page.rows.truncate(most.rows);
            if all {
                break;
            }
            if let Some(last) = page.rows.last() {
                after = Position::of(&**last);
            }
            asked *= 2;
        }
        Ok(page)
    }

    /// Returns the whole list as of one moment, or `None` if it has more than
    /// `bytes`.
    pub(super) async fn whole<E: Kind<D>>(
        &self,
        index: Option<&E::Index>,
        bytes: usize,
    ) -> Result<Option<Rows<E>>, TaleError> {
        // No row is smaller, so more rows than this would exceed the limit.
        const MIN_BYTES: usize = 64;
        if is_without_rows::<D, E>(index) {
            return Ok(Some(Arc::new([])));
        }
        let most = Most {
            rows: bytes / MIN_BYTES + 1,
            bytes,
        };
        let page = self.slice::<E>(index, Position::first(), most, false);
        let page = page.await?;
        Ok((!page.more).then(|| page.rows.into()))
    }

    /// Reads rows one by one, up to `most`. If the first row is `wanted`, it is
    /// read at any size.
    async fn slice<E: Kind<D>>(
        &self,
        index: Option<&E::Index>,
        after: Position,
        most: Most,
        wanted: bool,
    ) -> Result<Page<E>, TaleError> {
        let rows = u32::try_from(most.rows).unwrap_or(u32::MAX);
        read!(self, E::KIND, |connection| {
            let select = self.of::<E>(index).rows("($1, $2) < (created_at, id)");
            let select = select
                .bind(D::Time::from(Time(after.created_at)))
                .bind(D::Id::from(Id(after.id)))
                .limit(rows);
            gather(select.stream_in(connection)?, most, wanted).await
        })
    }

    fn of<'s, E: Kind<D>>(&'s self, index: Option<&'s E::Index>) -> Select<'s, E, D> {
        let select = E::table(self).select();
        match index {
            Some(index) => select.list(index),
            None => select,
        }
    }
}

/// Returns true for a list that can contain no row.
fn is_without_rows<D: Dialect, E: Kind<D>>(index: Option<&E::Index>) -> bool {
    let text = index.and_then(E::text);
    text.is_some_and(|text| !storable(text))
}
