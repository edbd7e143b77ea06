//! Entities of SeaORM behind the cache [`aside`].
//!
//! A `Model` is a cached row if it derives [`aside::Entity`]. [`SeaOrm`] then reads
//! and writes its table, so it is the source of a
//! [`CachedRepository`](aside::CachedRepository). A handler's own transaction begins
//! with [`CacheService::begin`](aside::CacheService::begin) and a [`SeaOrmJournal`].
//!
//! ```no_run
//! mod article {
//!     use sea_orm::entity::prelude::*;
//!
//!     // The name `Entity` is taken here, so the derive is named with its crate.
//!     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
//!     #[derive(serde::Serialize, serde::Deserialize, aside::Entity)]
//!     #[sea_orm(table_name = "article")]
//!     #[entity(kind = "article")]
//!     pub struct Model {
//!         #[sea_orm(primary_key)]
//!         #[entity(id)]
//!         pub id: i64,
//!         #[entity(index)]
//!         pub author: i64,
//!         pub title: String,
//!     }
//!
//!     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//!     pub enum Relation {}
//!     impl ActiveModelBehavior for ActiveModel {}
//!
//!     // The list of an author is found by the column `Author`.
//!     aside_sea_orm::lists!(ModelIndex { Author });
//! }
//!
//! # async fn start(cache: aside::CacheService, db: sea_orm::DatabaseConnection) -> Result<(), Box<dyn std::error::Error>> {
//! use aside::{CachedRepository, Source as _};
//! use aside_sea_orm::{SeaOrm, SeaOrmJournal};
//! use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, QuerySelect as _};
//! use sea_orm::IntoActiveModel as _;
//!
//! let journal = SeaOrmJournal::install(&db).await?;
//! cache.poll_journal(journal.clone()).await;
//! let articles = CachedRepository::new(SeaOrm::<article::Entity>::with_journal(&journal), &cache);
//! let of_author = articles.find_by(&article::ModelIndex::Author(7)).await?;
//!
//! // In a handler:
//! let mut transaction = cache.begin(&journal).await?;
//! let find = article::Entity::find_by_id(1).lock_exclusive();
//! let before = find.one(&*transaction).await?.ok_or("no such article")?;
//! let mut change = before.clone().into_active_model();
//! change.title = Set("New".to_owned());
//! let after = change.update(&*transaction).await?;
//! transaction.updated(&before, &after);
//! transaction.commit().await?;
//! # Ok(()) }
//! ```
//!
//! A model that SeaORM's generator wrote may have `#[serde(skip_deserializing)]` at its
//! key. The derive refuses it, because the row would come back without its id: remove
//! the attribute, or implement `Deserialize` for the model by hand.
//!
//! # Features
//!
//! `postgres`, `sqlite` and `mysql`; none is on by default. TLS is a feature of SeaORM,
//! which the service enables at its own dependency.
//!
//! # Limits
//!
//! - SeaORM shows no connection after a failed COMMIT. So on SQLite a refused one is
//!   ambiguous, and its keys are read from the database for `CACHE_QUARANTINE_TTL_MS`.
//! - Changes of rows of which only a condition is known: lock and read them with
//!   `lock_exclusive`, and record each.
//! - `change` of `aside-sqlx` is for its own transactions. Its triggers work, also for
//!   these transactions, which they skip.

// Without a database nothing is ever begun.
#![cfg_attr(
    not(any(feature = "postgres", feature = "sqlite", feature = "mysql")),
    allow(dead_code, unreachable_code, unused_variables)
)]

mod error;
mod journal;
mod transaction;
mod lists;
mod sea_orm;

pub use crate::sea_orm::SeaOrm;
pub use error::{Error, certainly_rolled_back};
pub use journal::SeaOrmJournal;
pub use lists::Lists;
pub use transaction::Transaction;

#[doc(hidden)]
pub mod for_macros {
    pub use ::aside::Entity;
    pub use ::sea_orm::sea_query::ExprTrait;
    pub use ::sea_orm::{ColumnTrait, Condition};
}
