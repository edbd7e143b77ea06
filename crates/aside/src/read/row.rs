//! A read of one row: the hit's code becomes part of the caller's.
//!
//! The future is written by hand, and `#[inline(always)]` marks all that a hit runs.
//! Left to the compiler, an `async fn` and two calls below it depended on how often
//! each was used elsewhere, and cost up to 8 % of a hit.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::answer::Freshness;
use crate::entity::lookup::LookupRef;
use crate::insight::statistics::Operation;
use crate::protocol::BoxFuture;
use crate::read::ReadPath;
use crate::read::result::ReadResult;
use crate::repository::{Id, Row, Source};

/// A read of the tiers below the local one.
type Below<'a, R> = BoxFuture<'a, Result<ReadResult<<R as Source>::Entity>, <R as Source>::Error>>;

/// A read of one row.
pub(crate) struct RowRead<'a, 'id, R: Source> {
    read: &'a ReadPath<R>,
    id: &'id Id<R>,
    below: Option<Below<'a, R>>,
}

impl<R: Source> ReadPath<R> {
    /// Reads a row.
    #[inline]
    pub(crate) fn row<'a, 'id>(&'a self, id: &'id Id<R>) -> RowRead<'a, 'id, R> {
        RowRead {
            read: self,
            id,
            below: None,
        }
    }

    /// Reads a row that this process does not have.
    #[cold]
    #[inline(never)]
    fn row_below(&self, id: Id<R>) -> Below<'_, R> {
        Box::pin(async move {
            let asked = LookupRef::Id(&id);
            self.read_below(asked, Operation::FindById, Freshness::Any)
                .await
        })
    }

    /// Polls the read below the local tier, and begins it if necessary.
    #[cold]
    #[inline(never)]
    fn poll_below<'a>(
        &'a self,
        id: &Id<R>,
        below: &mut Option<Below<'a, R>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Row<R>>, R::Error>> {
        let below = below.get_or_insert_with(|| self.row_below(id.clone()));
        let result = ready!(below.as_mut().poll(context));
        Poll::Ready(result.map(|result| result.found.into_row()))
    }
}

impl<R: Source> Future for RowRead<'_, '_, R> {
    type Output = Result<Option<Row<R>>, R::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { read, id, below } = &mut *self;
        if below.is_none()
            && let Some(row) = read.local_row(id, Operation::FindById)
        {
            return Poll::Ready(Ok(row));
        }
        read.poll_below(id, below, context)
    }
}
