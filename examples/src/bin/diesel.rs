//! A table of Diesel behind the cache, by diesel-async on PostgreSQL.
//!
//! ```sh
//! DATABASE_URL=postgres://localhost/blog cargo run -p examples --bin diesel
//! ```
//!
//! REDIS_URL names the server.

#![expect(
    missing_docs,
    reason = "the macro of diesel writes the table's modules"
)]

use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Source as _};
use aside_diesel::{Connections, DieselJournal};
use diesel::prelude::*;
use diesel_async::{
    AsyncConnection as _, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection as _,
};

diesel::table! {
    articles { id -> BigInt, author -> BigInt, title -> Text, }
}

#[derive(
    Clone, Debug, Queryable, Selectable, serde::Serialize, serde::Deserialize, aside::Entity,
)]
#[diesel(table_name = articles)]
#[entity(kind = "article")]
struct Article {
    #[entity(id)]
    id: i64,
    #[entity(index)]
    author: i64,
    title: String,
}

aside_diesel::source! {
    /// The table of articles.
    struct Articles: Article {
        table: articles::table,
        id: articles::id,
        lists: ArticleIndex { Author => articles::author },
    }
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS articles \
                     (id BIGINT PRIMARY KEY, author BIGINT NOT NULL, title TEXT NOT NULL); \
                     INSERT INTO articles VALUES (1, 7, 'Hello') \
                     ON CONFLICT (id) DO UPDATE SET author = 7";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("DATABASE_URL").map_err(|_| "set DATABASE_URL to a PostgreSQL")?;
    AsyncPgConnection::establish(&url)
        .await?
        .batch_execute(TABLE)
        .await?;

    // A service has a pool: `move || { let pool = pool.clone(); async move { pool.get_owned().await } }`
    let connections = Connections::new(move || {
        let url = url.clone();
        async move { AsyncPgConnection::establish(&url).await.map(Box::new) }
    });
    let cache = CacheService::connect(CacheConfig::from_env()?).await;
    cache
        .poll_journal(DieselJournal::install(&connections).await?)
        .await;
    let articles = CachedRepository::new(Articles::new(&connections), &cache);

    for _ in 0..2 {
        let read = articles.find_by_id_with(&1, Freshness::Any).await?;
        let title = read.value.as_ref().map(|article| article.title.clone());
        println!("{:?} from {:?}", title.unwrap_or_default(), read.tier);
    }

    let mut connection = connections.get().await?;
    let moved = aside_diesel::transaction(&cache, &mut connection, async |connection, write| {
        let article = articles::table.find(1);
        let before = article.select(Article::as_select()).for_update();
        let before = before.first(connection).await?;
        let change = diesel::update(article).set(articles::author.eq(8));
        let after: Article = change
            .returning(Article::as_returning())
            .get_result(connection)
            .await?;
        write.updated(&before, &after);
        diesel::QueryResult::Ok(after)
    });
    moved.await?;

    for author in [7, 8] {
        let list = articles.find_by(&ArticleIndex::Author(author)).await?;
        println!("articles of author {author}: {}", list.len());
    }
    cache.close().await;
    Ok(())
}
