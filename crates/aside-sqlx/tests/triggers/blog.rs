//! A blog that reads through the cache, and writes its tables without it.

use std::sync::Arc;
use std::time::Duration;

use aside::{CacheConfig, CacheService, CachedRepository, Entity, Rows, Secret, Source};
use aside_sqlx::{Changes as _, PostgresJournal, RecordError, Triggers};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

const TABLES: &str = "
    CREATE TABLE articles (id bigint PRIMARY KEY, author text NOT NULL, title text NOT NULL,
        views bigint NOT NULL DEFAULT 0);
    CREATE TABLE favorites (user_id bigint, article_id bigint, PRIMARY KEY (user_id, article_id))";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity, sqlx::FromRow)]
#[entity(kind = "article")]
pub(crate) struct Article {
    #[entity(id)]
    id: i64,
    #[entity(index)]
    author: String,
    title: String,
}

/// The number of an article's favorites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity, sqlx::FromRow)]
#[entity(kind = "favorites-of", list_all = false)]
pub(crate) struct Count {
    #[entity(id)]
    article_id: i64,
    favorites: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "favorite", list_all = false)]
pub(crate) struct Favorite {
    #[entity(id)]
    id: (i64, i64),
}

/// A table of the blog, without a cache.
#[derive(Clone)]
pub(crate) struct Table<E> {
    pool: PgPool,
    kind: std::marker::PhantomData<fn() -> E>,
}

/// The reads of a kind.
pub(crate) trait Reads: Entity {
    fn by_id(
        pool: &PgPool,
        id: &Self::Id,
    ) -> impl Future<Output = sqlx::Result<Option<Self>>> + Send;

    fn by(_: &PgPool, _: &Self::Index) -> impl Future<Output = sqlx::Result<Vec<Self>>> + Send {
        async { unreachable!("a kind without an index") }
    }
}

impl Reads for Article {
    async fn by_id(pool: &PgPool, id: &i64) -> sqlx::Result<Option<Self>> {
        let sql = "SELECT id, author, title FROM articles WHERE id = $1";
        sqlx::query_as(sql).bind(id).fetch_optional(pool).await
    }

    async fn by(pool: &PgPool, index: &ArticleIndex) -> sqlx::Result<Vec<Self>> {
        let ArticleIndex::Author(author) = index;
        let sql = "SELECT id, author, title FROM articles WHERE author = $1 ORDER BY id";
        sqlx::query_as(sql).bind(author).fetch_all(pool).await
    }
}

impl Reads for Count {
    async fn by_id(pool: &PgPool, id: &i64) -> sqlx::Result<Option<Self>> {
        let sql = "SELECT $1 AS article_id, count(*) AS favorites FROM favorites
                    WHERE article_id = $1";
        sqlx::query_as(sql).bind(id).fetch_optional(pool).await
    }
}

impl Reads for Favorite {
    async fn by_id(pool: &PgPool, id: &(i64, i64)) -> sqlx::Result<Option<Self>> {
        let sql =
            "SELECT user_id, article_id FROM favorites WHERE (user_id, article_id) = ($1, $2)";
        let found = sqlx::query_as(sql).bind(id.0).bind(id.1);
        Ok(found.fetch_optional(pool).await?.map(|id| Self { id }))
    }
}

impl<E: Reads> Source for Table<E> {
    type Entity = E;
    type Error = Arc<sqlx::Error>;

    async fn find_by_id(&self, id: &E::Id) -> Result<Option<Arc<E>>, Self::Error> {
        Ok(E::by_id(&self.pool, id).await?.map(Arc::new))
    }

    async fn find_many(&self, ids: &[E::Id]) -> Result<Vec<Option<Arc<E>>>, Self::Error> {
        let mut found = Vec::new();
        for id in ids {
            found.push(self.find_by_id(id).await?);
        }
        Ok(found)
    }

    async fn find_by(&self, index: &E::Index) -> Result<Rows<E>, Self::Error> {
        let found = E::by(&self.pool, index).await?;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    async fn list_all(&self) -> Result<Rows<E>, Self::Error> {
        unreachable!("nothing here lists all")
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Self::Error {
        Arc::new(sqlx::Error::PoolTimedOut)
    }
}

pub(crate) type Failed = RecordError;

/// One read of the blog.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    Article(i64),
    Author(&'static str),
    Count(i64),
    Favorite(i64, i64),
}

/// An instance of the blog: its reads go through the cache.
pub(crate) struct Blog {
    pub(crate) pool: PgPool,
    pub(crate) cache: CacheService,
    journal: PostgresJournal,
    articles: CachedRepository<Table<Article>>,
    counts: CachedRepository<Table<Count>>,
    favorites: CachedRepository<Table<Favorite>>,
}

impl Blog {
    pub(crate) async fn start(url: &str, redis_url: &str, poll: Duration, stale: Duration) -> Self {
        let pool = PgPool::connect(url).await.expect("a database");
        let config = CacheConfig {
            redis_url: Secret::new(redis_url),
            journal_poll: poll,
            max_staleness: stale,
            ..CacheConfig::default()
        };
        let cache = CacheService::connect(config).await;
        let journal = PostgresJournal::install(pool.clone()).await.unwrap();
        // At each start of each instance.
        for triggers in triggers() {
            journal.install_triggers(&triggers).await.unwrap();
        }
        cache.poll_journal(journal.clone()).await;
        Self {
            articles: CachedRepository::new(table(&pool), &cache),
            counts: CachedRepository::new(table(&pool), &cache),
            favorites: CachedRepository::new(table(&pool), &cache),
            pool,
            cache,
            journal,
        }
    }

    /// Moves articles to another author, through the library.
    pub(crate) async fn move_articles(&self, from: &str, to: &str) -> Result<(), Failed> {
        let mut transaction = self.cache.begin(&self.journal).await?;
        let update = "UPDATE articles SET author = $2 WHERE author = $1";
        transaction
            .change::<Article>("articles")
            .columns("articles.id, articles.author, articles.title")
            .rows("author = $1")
            .bind(from)
            .update(sqlx::query(update).bind(from).bind(to))
            .await?;
        transaction.commit().await
    }

    /// Writes an article that may exist, through the library.
    pub(crate) async fn write_article(&self, id: i64, author: &str) -> Result<(), Failed> {
        let mut transaction = self.cache.begin(&self.journal).await?;
        let upsert = "INSERT INTO articles (id, author, title) VALUES ($1, $2, $2)
             ON CONFLICT (id) DO UPDATE SET author = excluded.author, title = excluded.title";
        transaction
            .change::<Article>("articles")
            .columns("articles.id, articles.author, articles.title")
            .rows("id = $1")
            .bind(id)
            .upsert(sqlx::query(upsert).bind(id).bind(author))
            .await?;
        transaction.commit().await
    }

    /// Adds or removes a favorite, through the library.
    pub(crate) async fn toggle_favorite(&self, user: i64, id: i64) -> Result<(), Failed> {
        let mut transaction = self.cache.begin(&self.journal).await?;
        let insert = "INSERT INTO favorites VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(user).bind(id);
        if insert.execute(&mut *transaction).await?.rows_affected() == 0 {
            let delete = "DELETE FROM favorites WHERE (user_id, article_id) = ($1, $2)";
            let delete = sqlx::query(delete).bind(user).bind(id);
            delete.execute(&mut *transaction).await?;
        }
        transaction.invalidate_id::<Favorite>(&(user, id));
        transaction.invalidate_id::<Count>(&id);
        transaction.commit().await
    }

    pub(crate) async fn create(url: &str) {
        let pool = PgPool::connect(url).await.expect("a database");
        sqlx::raw_sql(TABLES).execute(&pool).await.expect("tables");
    }

    /// Returns the answer of the cache.
    pub(crate) async fn cached(&self, ask: Ask) -> String {
        read(ask, &self.articles, &self.counts, &self.favorites).await
    }

    /// Returns the answer of the database.
    pub(crate) async fn stored(&self, ask: Ask) -> String {
        read(
            ask,
            &table(&self.pool),
            &table(&self.pool),
            &table(&self.pool),
        )
        .await
    }
}

fn table<E>(pool: &PgPool) -> Table<E> {
    Table {
        pool: pool.clone(),
        kind: std::marker::PhantomData,
    }
}

fn triggers() -> [Triggers; 2] {
    [
        Triggers::of::<Article>("articles", "").only_columns(["title"]),
        Triggers::of::<Favorite>("favorites", "")
            .id(["user_id", "article_id"])
            .row_of::<Count>("article_id"),
    ]
}

async fn read(
    ask: Ask,
    articles: &impl Source<Entity = Article, Error = Arc<sqlx::Error>>,
    counts: &impl Source<Entity = Count, Error = Arc<sqlx::Error>>,
    favorites: &impl Source<Entity = Favorite, Error = Arc<sqlx::Error>>,
) -> String {
    match ask {
        Ask::Article(id) => format!("{:?}", articles.find_by_id(&id).await.unwrap()),
        Ask::Author(author) => {
            let index = ArticleIndex::Author(author.to_owned());
            format!("{:?}", articles.find_by(&index).await.unwrap())
        }
        Ask::Count(id) => format!("{:?}", counts.find_by_id(&id).await.unwrap()),
        Ask::Favorite(user, id) => {
            format!("{:?}", favorites.find_by_id(&(user, id)).await.unwrap())
        }
    }
}
