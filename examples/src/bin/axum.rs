//! A service on axum and SQLite. It caches the rows of a table, and one query.
//!
//! ```sh
//! cargo run -p examples --bin axum
//! curl localhost:8091/books --json '{"author":"Tolstoy","title":"War and Peace"}'
//! curl -i localhost:8091/books/1         # x-tier: Source, then Local
//! curl localhost:8091/authors/Tolstoy
//! curl -X PUT localhost:8091/books/1 --json '"Anna Karenina"'
//! curl localhost:8091/count              # up to ten seconds old
//! ```
//!
//! REDIS_URL names the server. Without a server the service works too, on its database.
//! The example `worker` writes the same table from another program.

use std::sync::Arc;
use std::time::Duration;

use aside::{CacheConfig, CacheService, CachedQuery, CachedRepository, Freshness};
use aside::{Repository as _, Source as _};
use aside_sqlx::{Inserts as _, SqlTable, SqliteJournal, TableError};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use examples::{Book, BookIndex};
use serde::Deserialize;
use sqlx::{Sqlite, SqlitePool};

#[derive(Clone)]
struct Shop {
    pool: SqlitePool,
    books: CachedRepository<SqlTable<Book, Sqlite>>,
    count: CachedQuery<(), i64>,
}

#[derive(Deserialize)]
struct NewTitle {
    author: String,
    title: String,
}

async fn add(State(shop): State<Shop>, Json(new): Json<NewTitle>) -> Answer<Book> {
    let NewTitle { author, title } = new;
    let book = shop
        .books
        .insert(examples::NewBook { author, title })
        .await?;
    Ok(Json(book))
}

async fn show(State(shop): State<Shop>, Path(id): Path<i64>) -> Result<Response, Failure> {
    let read = shop.books.find_by_id_with(&id, Freshness::Any).await?;
    let tier = format!("{:?}", read.tier);
    let book = read.value.ok_or(Failure(StatusCode::NOT_FOUND))?;
    Ok(([("x-tier", tier)], Json(book)).into_response())
}

async fn of_author(State(shop): State<Shop>, Path(author): Path<String>) -> Answer<[Arc<Book>]> {
    let author = BookIndex::Author(author);
    Ok(Json(shop.books.find_by(&author).await?))
}

/// Locks the row, changes it, and invalidates it with the list of its author.
async fn rename(
    State(shop): State<Shop>,
    Path(id): Path<i64>,
    Json(title): Json<String>,
) -> Answer<Book> {
    let before = shop.books.find_by_id(&id).await?;
    let before = before.ok_or(Failure(StatusCode::NOT_FOUND))?;
    let book = Book {
        title,
        ..(*before).clone()
    };
    let after = shop.books.update(book).await?;
    after.map(Json).ok_or(Failure(StatusCode::NOT_FOUND))
}

/// The result of a statement, with a TTL and nothing else.
async fn count(State(shop): State<Shop>) -> Answer<i64> {
    let (pool, ttl) = (shop.pool.clone(), Duration::from_secs(10));
    let load = move || async move {
        let count = sqlx::query_scalar("SELECT count(*) FROM books");
        count.fetch_one(&pool).await
    };
    let count = shop.count.get_for(&(), ttl, load).await;
    count
        .map(Json)
        .map_err(|_: Arc<sqlx::Error>| Failure(StatusCode::INTERNAL_SERVER_ERROR))
}

type Answer<T> = Result<Json<Arc<T>>, Failure>;

struct Failure(StatusCode);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<TableError> for Failure {
    fn from(_: TableError) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = examples::open().await?;
    let cache = CacheService::connect(CacheConfig::from_env()?).await;
    // Keys of writes that could not reach Redis, also of other programs.
    let journal = SqliteJournal::install(pool.clone()).await?;
    cache.poll_journal(journal.clone()).await;
    let shop = Shop {
        books: CachedRepository::new(Book::table(&pool).with_journal(&journal), &cache),
        count: CachedQuery::new("book_count", &cache),
        pool,
    };
    let router = Router::new()
        .route("/books", post(add))
        .route("/books/{id}", get(show).put(rename))
        .route("/authors/{author}", get(of_author))
        .route("/count", get(count))
        .with_state(shop);
    let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8091".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
