//! Reading back rows before a write leaves them in the cache.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;

use crate::entity::Entity;
use crate::protocol::BoxFuture;
use crate::read::ReadPath;
use crate::repository::Source;
use crate::tiers::kind::ReadBack;

impl<R: Source> ReadBack<R::Entity> for R {
    fn read_back<'a>(
        &'a self,
        id: &'a <R::Entity as Entity>::Id,
    ) -> BoxFuture<'a, Result<Option<Arc<R::Entity>>, ()>> {
        // A panic only concerns this read, because the write has been
        // committed.
        Box::pin(async move {
            let read = AssertUnwindSafe(self.find_by_id(id)).catch_unwind().await;
            read.map_err(drop)?.map_err(drop)
        })
    }
}

impl<R: Source> ReadPath<R> {
    /// Makes writes of the kind read their rows back from this source. Called before
    /// each write, because the repository that was built last may be gone.
    pub(crate) fn read_back(&self) {
        let source: Weak<R> = Arc::downgrade(&self.source);
        self.kind.shown.read_by(source);
    }
}
