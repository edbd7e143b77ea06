//! Rows that a write reads back before it leaves them.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;

use crate::entity::Entity;
use crate::protocol::BoxFuture;
use crate::repository::Repository;
use crate::tiers::kind::{Kind, ReadBack};

impl<R: Repository> ReadBack<R::Entity> for R {
    fn read_back<'a>(
        &'a self,
        id: &'a <R::Entity as Entity>::Id,
    ) -> BoxFuture<'a, Result<Option<Arc<R::Entity>>, ()>> {
        // A panic is of this read alone: the write has been committed.
        Box::pin(async move {
            let read = AssertUnwindSafe(self.find_by_id(id)).catch_unwind().await;
            read.map_err(drop)?.map_err(drop)
        })
    }
}

/// Has writes of the kind read their rows back from `inner`.
pub(super) fn read_by<R: Repository>(kind: &Kind<R::Entity>, inner: &Arc<R>) {
    let source: Weak<R> = Arc::downgrade(inner);
    kind.shown.read_by(source);
}
