//! The books of the examples `axum` and `worker`: two programs that share one table.

use aside::Entity;
use aside_sqlx::Table;
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

/// A row. Both programs compile it, so both know its keys.
#[derive(Clone, Debug, Serialize, Deserialize, Entity, Table)]
#[entity(kind = "book")]
#[table("books", sqlite)]
pub struct Book {
    /// Set by the database.
    #[entity(id)]
    #[table(generated)]
    pub id: i64,
    /// The books of one author are a list.
    #[entity(index)]
    pub author: String,
    /// Changed by `PUT /books/{id}`.
    pub title: String,
}

/// Opens the database in the file DATABASE, `books.db` by default.
///
/// # Errors
/// The file cannot be opened or created.
pub async fn open() -> Result<SqlitePool, sqlx::Error> {
    let file = std::env::var("DATABASE").unwrap_or_else(|_| "books.db".to_owned());
    let options = SqliteConnectOptions::new().filename(file);
    let pool = SqlitePool::connect_with(options.create_if_missing(true)).await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS books \
         (id INTEGER PRIMARY KEY, author TEXT NOT NULL, title TEXT NOT NULL)",
    )
    .execute(&pool)
    .await?;
    Ok(pool)
}
