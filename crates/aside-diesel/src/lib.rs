//! Diesel behind the cache [`aside`], by diesel-async on PostgreSQL.
//!
//! [`source!`] reads a table, so it is the source of a
//! [`CachedRepository`](aside::CachedRepository). [`transaction`] runs a closure in a
//! transaction of a connection, as diesel does, and passes it the
//! [`Write`](aside::Write) that invalidates its changes.
//!
//! ```no_run
//! use aside::{CacheService, CachedRepository, Source as _};
//! use aside_diesel::{Connections, DieselJournal};
//! use diesel::prelude::*;
//! use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
//!
//! diesel::table! {
//!     articles { id -> BigInt, author -> BigInt, title -> Text, }
//! }
//!
//! #[derive(Clone, Debug, Queryable, Selectable)]
//! #[derive(serde::Serialize, serde::Deserialize, aside::Entity)]
//! #[diesel(table_name = articles)]
//! #[entity(kind = "article")]
//! pub struct Article {
//!     #[entity(id)]
//!     pub id: i64,
//!     #[entity(index)]
//!     pub author: i64,
//!     pub title: String,
//! }
//!
//! aside_diesel::source! {
//!     /// The table of articles.
//!     pub struct Articles: Article {
//!         table: articles::table,
//!         id: articles::id,
//!         lists: ArticleIndex { Author => articles::author },
//!     }
//! }
//!
//! # async fn start(cache: CacheService) -> Result<(), Box<dyn std::error::Error>> {
//! // With a pool: `move || { let pool = pool.clone(); async move { pool.get_owned().await } }`
//! let connections = Connections::new(|| async {
//!     AsyncPgConnection::establish("postgres://localhost/blog").await.map(Box::new)
//! });
//! cache.poll_journal(DieselJournal::install(&connections).await?).await;
//! let articles = CachedRepository::new(Articles::new(&connections), &cache);
//! let of_author = articles.find_by(&ArticleIndex::Author(7)).await?;
//!
//! // In a handler:
//! let mut connection = connections.get().await?;
//! let renamed = aside_diesel::transaction(&cache, &mut connection, async |connection, write| {
//!     let article = articles::table.find(1);
//!     let before = article.select(Article::as_select()).for_update().first(connection).await?;
//!     let change = diesel::update(article).set(articles::title.eq("New"));
//!     let after: Article = change.returning(Article::as_returning()).get_result(connection).await?;
//!     write.updated(&before, &after);
//!     diesel::QueryResult::Ok(after)
//! });
//! renamed.await?;
//! # Ok(()) }
//! ```
//!
//! [`CacheService::begin`](aside::CacheService::begin) with a [`DieselJournal`] begins a
//! transaction that owns its connection. A task commits it, so a client that disconnects
//! meanwhile leaves no key behind.
//!
//! # Limits
//!
//! - The journal does not read the position of the database. One that is put back to a
//!   backup is not noticed: invalidate every kind after that.
//! - The triggers of `aside-sqlx`, installed by any program, work with this journal.
//! - If a statement of a transaction failed, PostgreSQL replies to COMMIT with a rollback
//!   and no error. So return the error of a statement instead of committing after it.

mod error;
mod connections;
mod transaction;
mod journal;
mod source;

pub use connections::{Connection, Connections};
pub use error::{Error, certainly_rolled_back};
pub use journal::DieselJournal;
pub use transaction::{Transaction, transaction};

#[doc(hidden)]
pub mod for_macros {
    pub use aside::repository::Overloaded;
    pub use aside::{Entity, Rows, Source, in_order};
    pub use diesel::pg::Pg;
    pub use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
    pub use diesel_async::RunQueryDsl;
}
