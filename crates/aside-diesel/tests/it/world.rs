//! Two instances on one PostgreSQL and one Redis.

use std::time::Duration;

use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Secret, Source as _, Tier};
use aside_diesel::{Connections, DieselJournal};
use aside_testkit::{PostgresServer, RedisServer, eventually};
use diesel::prelude::*;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};

/// The maximum time for anything that the tests wait for.
pub(crate) const EVENTUALLY: Duration = Duration::from_secs(10);

/// A Redis that does not exist.
pub(crate) const NOWHERE: &str = "redis://127.0.0.1:1/0";

diesel::table! {
    articles { id -> BigInt, author -> BigInt, title -> Text, }
}

#[derive(
    Clone,
    Debug,
    PartialEq,
    Queryable,
    Selectable,
    Insertable,
    serde::Serialize,
    serde::Deserialize,
    aside::Entity,
)]
#[diesel(table_name = articles)]
#[entity(kind = "article")]
pub(crate) struct Article {
    #[entity(id)]
    pub(crate) id: i64,
    #[entity(index)]
    pub(crate) author: i64,
    #[entity(index)]
    pub(crate) title: String,
}

aside_diesel::source! {
    /// The table of articles.
    pub(crate) struct Articles: Article {
        table: articles::table,
        id: articles::id,
        lists: ArticleIndex { Author => articles::author, Title => articles::title },
    }
}

pub(crate) fn article(id: i64, author: i64, title: &str) -> Article {
    let title = title.to_owned();
    Article { id, author, title }
}

/// An instance of a service.
pub(crate) struct Instance {
    pub(crate) cache: CacheService,
    pub(crate) articles: CachedRepository<Articles>,
}

impl Instance {
    /// Returns the ids of an author's articles.
    pub(crate) async fn of_author(&self, author: i64) -> Vec<i64> {
        let found = self.articles.find_by(&ArticleIndex::Author(author)).await;
        found.expect("an answer").iter().map(|row| row.id).collect()
    }

    /// Waits until it reads these articles.
    pub(crate) async fn reads(&self, author: i64, ids: &[i64]) {
        eventually(EVENTUALLY, "the list on the other instance", async || {
            self.of_author(author).await == ids
        })
        .await;
    }
}

pub(crate) struct World {
    _redis: RedisServer,
    pub(crate) server: PostgresServer,
    pub(crate) connections: Connections,
    pub(crate) one: Instance,
    pub(crate) two: Instance,
}

async fn start(redis_url: &str, connections: &Connections) -> Instance {
    let config = CacheConfig {
        redis_url: Secret::new(redis_url),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    cache.poll_journal(DieselJournal::new(connections)).await;
    Instance {
        articles: CachedRepository::new(Articles::new(connections), &cache),
        cache,
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let server = PostgresServer::start().expect("postgres and initdb");
        let url = server.url();
        let connections = Connections::new(move || {
            let url = url.clone();
            async move { AsyncPgConnection::establish(&url).await.map(Box::new) }
        });
        DieselJournal::install(&connections)
            .await
            .expect("a journal");
        let table = "CREATE TABLE articles
             (id BIGINT PRIMARY KEY, author BIGINT NOT NULL, title TEXT NOT NULL)";
        server.query("postgres", table);
        let redis = RedisServer::start().expect("redis-server or valkey-server");
        Self {
            one: start(&redis.url(), &connections).await,
            two: start(&redis.url(), &connections).await,
            _redis: redis,
            server,
            connections,
        }
    }

    pub(crate) async fn instance(&self, redis_url: &str) -> Instance {
        start(redis_url, &self.connections).await
    }

    /// Inserts rows as another program does, before any instance has read them.
    pub(crate) async fn insert(&self, rows: &[Article]) {
        let mut connection = self.connections.get().await.expect("a connection");
        let insert = diesel::insert_into(articles::table).values(rows.to_vec());
        insert.execute(&mut *connection).await.expect("an insert");
    }

    /// Waits until both instances have the lists of some authors in a cache.
    pub(crate) async fn cache_authors(&self, authors: &[i64]) {
        for instance in [&self.one, &self.two] {
            for author in authors {
                let index = ArticleIndex::Author(*author);
                eventually(EVENTUALLY, "a list from a cache", async || {
                    let read = instance.articles.find_by_with(&index, Freshness::Any).await;
                    read.expect("an answer").tier != Tier::Source
                })
                .await;
            }
        }
    }
}
