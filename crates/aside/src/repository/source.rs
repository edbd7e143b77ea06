//! The source: the interface for reads from the database.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::entity::{Entity, Rows};

/// How many statements a default runs at the same time.
const AT_A_TIME: usize = 16;

/// The id type of a source's rows.
pub type Id<S> = <<S as Source>::Entity as Entity>::Id;
/// The index type of a source's rows.
pub type Index<S> = <<S as Source>::Entity as Entity>::Index;
/// One row of a source.
pub type Row<S> = Arc<<S as Source>::Entity>;

/// The reason why a read got no result from the database.
///
/// Callers can retry later. Over HTTP it is a 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Overloaded {
    /// Redis is unavailable, and no slot of `CACHE_SOURCE_CONCURRENCY` became
    /// free while this load waited (2 s).
    #[error("too many loads run while Redis is unavailable")]
    TooManyLoads,
    /// The load took longer than `CACHE_LOAD_TIMEOUT_MS`, or than its strategy's
    /// [`load_timeout`](crate::CacheStrategy::load_timeout).
    #[error("the load took too long")]
    TooSlow,
    /// The load took longer than this caller, or its strategy, waits: see
    /// [`Timeouts::hard`](crate::Timeouts::hard). It goes on, and fills the cache.
    #[error("no result within {0:?}; the load goes on")]
    StillLoading(Duration),
}

/// Reads rows from the database. A cache wraps a source.
///
/// Implement it with plain `async fn`. Reads run on the primary and outside any
/// caller's transaction. Rows that this service also writes have a
/// [`Repository`](crate::Repository).
///
/// # Cancellation
/// A read that takes longer than the strategy's load timeout is dropped where it
/// waits, as a caller's own timeout would drop it.
pub trait Source: Send + Sync + 'static {
    /// The type of the rows.
    type Entity: Entity;

    /// The error of reads and writes. It is cloned to share one failed load among the
    /// readers that wait for it; wrap an error that is not `Clone` in an `Arc`.
    type Error: Clone + Send + Sync + 'static;

    /// Returns the row with this id.
    fn find_by_id(
        &self,
        id: &Id<Self>,
    ) -> impl Future<Output = Result<Option<Row<Self>>, Self::Error>> + Send;

    /// Returns the rows with these ids, in their order; an id may repeat. An absent
    /// row is `None`. The length is that of `ids`.
    ///
    /// By default it calls [`find_by_id`](Self::find_by_id) for each, 16 at a time. One
    /// statement such as `WHERE id = ANY($1)` is faster.
    fn find_many(
        &self,
        ids: &[Id<Self>],
    ) -> impl Future<Output = Result<Vec<Option<Row<Self>>>, Self::Error>> + Send {
        let rows = ids.iter().map(|id| self.find_by_id(id));
        stream::iter(rows).buffered(AT_A_TIME).try_collect()
    }

    /// Returns the rows that have this index value, in the source's own order.
    ///
    /// If the entity has no index, it needs no body, because nothing can call it. If it
    /// has one, a missing body does not compile:
    ///
    /// ```compile_fail,E0080
    /// # use std::{convert::Infallible, sync::Arc};
    /// # use aside::{CacheConfig, CacheService, CachedRepository, Entity, Secret, Source};
    /// # use aside::repository::Overloaded;
    /// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize, Entity)]
    /// #[entity(kind = "book", list_all = false)]
    /// struct Book {
    ///     #[entity(id)]
    ///     id: u64,
    ///     #[entity(index)] // compiles without this line
    ///     author: String,
    /// }
    ///
    /// struct Books;
    ///
    /// impl Source for Books {
    ///     type Entity = Book;
    ///     type Error = Infallible;
    ///
    ///     async fn find_by_id(&self, id: &u64) -> Result<Option<Arc<Book>>, Infallible> {
    ///         Ok(None)
    ///     }
    /// #   fn overloaded(&self, _: Overloaded) -> Infallible { unimplemented!() }
    /// }
    /// # // It awaits the read, because the missing body is noticed only in code that runs.
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let config = CacheConfig { redis_url: Secret::new("memory://"), ..CacheConfig::default() };
    /// # let cache = CacheService::connect(config).await;
    /// # let read = CachedRepository::new(Books, &cache).find_by_id(&1).await;
    /// # }
    /// ```
    fn find_by(
        &self,
        _index: &Index<Self>,
    ) -> impl Future<Output = Result<Rows<Self::Entity>, Self::Error>> + Send {
        const {
            assert!(
                <Self::Entity as Entity>::INDEXES.is_empty(),
                "the entity has an index: write `find_by` in its `Source`"
            );
        }
        async { unreachable!("an index enum without a variant has no value") }
    }

    /// Returns the list of each of these index values, in their order; a value may
    /// repeat. The length is that of `indexes`.
    ///
    /// By default it calls [`find_by`](Self::find_by) for each, 16 at a time. One
    /// statement such as `WHERE author = ANY($1)` is faster.
    fn find_by_many(
        &self,
        indexes: &[Index<Self>],
    ) -> impl Future<Output = Result<Vec<Rows<Self::Entity>>, Self::Error>> + Send {
        let lists = indexes.iter().map(|index| self.find_by(index));
        stream::iter(lists).buffered(AT_A_TIME).try_collect()
    }

    /// Returns all rows, in the source's own order.
    ///
    /// A missing body does not compile, unless the entity has `list_all = false`. A call
    /// then panics. With a body, such a list is read from the database each time.
    fn list_all(&self) -> impl Future<Output = Result<Rows<Self::Entity>, Self::Error>> + Send {
        const {
            assert!(
                !<Self::Entity as Entity>::LIST_ALL,
                "write `list_all` in the `Source`, or `list_all = false` at its entity"
            );
        }
        async {
            panic!(
                "{} has `list_all = false`, and its source does not write `list_all`",
                <Self::Entity as Entity>::KIND
            )
        }
    }

    /// Returns the error of a load that was not made, or was abandoned, for this reason.
    fn overloaded(&self, why: Overloaded) -> Self::Error;
}
