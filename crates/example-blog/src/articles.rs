//! Functions with SQL, as the service had them before the cache.

use std::sync::Arc;

use aside::repository::Overloaded;
use aside::{Entity, Rows, Source};
use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, SqlitePool, query, query_as, query_scalar};

const PER_PAGE: u32 = 20;

/// The derive is new: it names the key and the lists of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, sqlx::FromRow)]
#[entity(kind = "article", list_all = false, tracked)]
pub(crate) struct Article {
    #[entity(id)]
    pub(crate) id: i64,
    #[entity(unique)]
    pub(crate) slug: String,
    #[entity(index)]
    pub(crate) author: String,
    pub(crate) title: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NewArticle {
    slug: String,
    author: String,
    title: String,
}

pub(crate) async fn create_table(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let table = "CREATE TABLE IF NOT EXISTS articles (id INTEGER PRIMARY KEY,
         slug TEXT NOT NULL UNIQUE, author TEXT NOT NULL, title TEXT NOT NULL)";
    query(table).execute(pool).await.map(drop)
}

pub(crate) async fn page(pool: SqlitePool, page: u32) -> Result<Vec<i64>, sqlx::Error> {
    query_scalar("SELECT id FROM articles ORDER BY id DESC LIMIT ? OFFSET ?")
        .bind(PER_PAGE)
        .bind(page * PER_PAGE)
        .fetch_all(&pool)
        .await
}

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewArticle,
) -> Result<Article, sqlx::Error> {
    query_as("INSERT INTO articles (slug, author, title) VALUES (?, ?, ?) RETURNING *")
        .bind(&new.slug)
        .bind(&new.author)
        .bind(&new.title)
        .fetch_one(connection)
        .await
}

/// Reads a row that is going to change. On another database it ends with FOR UPDATE.
pub(crate) async fn lock(
    connection: &mut SqliteConnection,
    slug: &str,
) -> Result<Option<Article>, sqlx::Error> {
    let article = query_as("SELECT * FROM articles WHERE slug = ?").bind(slug);
    article.fetch_optional(connection).await
}

pub(crate) async fn rename(
    connection: &mut SqliteConnection,
    id: i64,
    title: &str,
) -> Result<Article, sqlx::Error> {
    query_as("UPDATE articles SET title = ? WHERE id = ? RETURNING *")
        .bind(title)
        .bind(id)
        .fetch_one(connection)
        .await
}

/// The reads of rows, where the cache finds them.
pub(crate) struct Articles(pub(crate) SqlitePool);

impl Source for Articles {
    type Entity = Article;
    type Error = Arc<sqlx::Error>;

    async fn find_by_id(&self, id: &i64) -> Result<Option<Arc<Article>>, Self::Error> {
        let article = query_as("SELECT * FROM articles WHERE id = ?").bind(id);
        Ok(article.fetch_optional(&self.0).await?.map(Arc::new))
    }

    async fn find_by(&self, index: &ArticleIndex) -> Result<Rows<Article>, Self::Error> {
        let found = match index {
            ArticleIndex::Slug(slug) => {
                query_as("SELECT * FROM articles WHERE slug = ?").bind(slug)
            }
            ArticleIndex::Author(author) => {
                query_as("SELECT * FROM articles WHERE author = ? ORDER BY id").bind(author)
            }
        };
        let found: Vec<Article> = found.fetch_all(&self.0).await?;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    async fn list_all(&self) -> Result<Rows<Article>, Self::Error> {
        Ok([].into()) // `list_all = false`: nothing reads it
    }

    fn overloaded(&self, _: Overloaded) -> Self::Error {
        Arc::new(sqlx::Error::PoolTimedOut)
    }
}
