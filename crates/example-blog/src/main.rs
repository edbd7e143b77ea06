//! A blog on axum and SQLite, with a cache behind its handlers.
//!
//! ```sh
//! cargo run -p example-blog
//! curl localhost:8090/articles --json '{"slug":"hello","author":"ada","title":"Hello"}'
//! curl localhost:8090/articles/hello
//! curl localhost:8090/pages/0
//! curl -X PUT localhost:8090/articles/hello --json '"Hello again"'
//! ```
//!
//! `articles` has the functions with SQL. Here a read goes through the cache, and a write
//! begins its transaction there. REDIS_URL names a server; without it the cache is in
//! this process.

mod articles;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aside::transaction::CommitError;
use aside::{CacheConfig, CacheService, CachedQuery, CachedRepository, Deps, Secret, Source as _};
use aside_sqlx::SqliteJournal;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use sqlx::SqlitePool;

use articles::{Article, ArticleIndex, Articles, NewArticle};

/// The state of the handlers.
#[derive(Clone)]
struct Blog {
    pool: SqlitePool,
    cache: CacheService,
    journal: SqliteJournal,
    articles: CachedRepository<Articles>,
    pages: CachedQuery<u32, Vec<i64>>,
}

impl Blog {
    async fn new(pool: SqlitePool, config: CacheConfig) -> Result<Self, sqlx::Error> {
        articles::create_table(&pool).await?;
        let cache = CacheService::connect(config).await;
        let journal = SqliteJournal::install(pool.clone()).await?;
        cache.poll_journal(journal.clone()).await;
        Ok(Self {
            articles: CachedRepository::new(Articles(pool.clone()), &cache),
            pages: CachedQuery::new("article_page", &cache),
            pool,
            cache,
            journal,
        })
    }

    fn router(self) -> Router {
        Router::new()
            .route("/articles", post(create))
            .route("/articles/{slug}", get(show).put(rename))
            .route("/authors/{author}", get(of_author))
            .route("/pages/{page}", get(page))
            .with_state(self)
    }
}

async fn show(State(blog): State<Blog>, Path(slug): Path<String>) -> Answer<Arc<Article>> {
    let found = blog.articles.find_one_by(&ArticleIndex::Slug(slug)).await?;
    found.map(Json).ok_or(Error(StatusCode::NOT_FOUND))
}

async fn of_author(
    State(blog): State<Blog>,
    Path(author): Path<String>,
) -> Answer<Vec<Arc<Article>>> {
    let found = blog.articles.find_by(&ArticleIndex::Author(author)).await?;
    Ok(Json(found.to_vec()))
}

/// A page is the result of a statement: it names the kind that the statement reads.
async fn page(State(blog): State<Blog>, Path(page): Path<u32>) -> Answer<Vec<Arc<Article>>> {
    let pool = blog.pool.clone();
    let reads = Deps::new().kind::<Article>();
    let load = move || articles::page(pool, page);
    let ids = blog.pages.get(&page, reads, load).await?;
    let rows = blog.articles.find_many(&ids).await?;
    Ok(Json(rows.into_iter().flatten().collect()))
}

async fn create(State(blog): State<Blog>, Json(new): Json<NewArticle>) -> Answer<Article> {
    let mut transaction = blog.cache.begin(&blog.journal).await?;
    let after = articles::insert(&mut transaction, &new).await?;
    transaction.created(&after);
    transaction.commit().await?;
    Ok(Json(after))
}

async fn rename(
    State(blog): State<Blog>,
    Path(slug): Path<String>,
    Json(title): Json<String>,
) -> Answer<Article> {
    let mut transaction = blog.cache.begin(&blog.journal).await?;
    let before = articles::lock(&mut transaction, &slug).await?;
    let before = before.ok_or(Error(StatusCode::NOT_FOUND))?;
    let after = articles::rename(&mut transaction, before.id, &title).await?;
    transaction.updated(&before, &after);
    transaction.commit().await?;
    Ok(Json(after))
}

type Answer<T> = Result<Json<T>, Error>;

struct Error(StatusCode);

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        self.0.into_response()
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(error) if error.is_unique_violation() => Self(StatusCode::CONFLICT),
            _ => Self(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The error of a load, which its readers share.
impl From<Arc<sqlx::Error>> for Error {
    fn from(_: Arc<sqlx::Error>) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<CommitError<sqlx::Error>> for Error {
    fn from(_: CommitError<sqlx::Error>) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = CacheConfig::from_env()?;
    if std::env::var_os("REDIS_URL").is_none() {
        config.redis_url = Secret::new("memory://");
    }
    let pool = SqlitePool::connect("sqlite:blog.db?mode=rwc").await?;
    let blog = Blog::new(pool, config).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8090").await?;
    axum::serve(listener, blog.router()).await?;
    Ok(())
}
