//! Lists of ids of a real table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aside::{CacheConfig, CacheService, CachedRepository, Entity, Freshness};
use aside::{Repository as _, Secret, Source as _, Tier};
use aside_sqlx::{PostgresJournal, SqlTable, Tables};
use aside_testkit::{RedisServer, eventually};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Pool, Postgres};

use crate::articles::{cache, on_each_database, postgres};

const SOON: Duration = Duration::from_secs(10);

/// The articles, of which the columns in `order` rarely change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, aside_sqlx::Table)]
#[entity(kind = "listed", list_all = false, tracked)]
#[table("article", postgres, sqlite, mysql, order = "version DESC, id")]
struct Listed {
    #[entity(id)]
    id: i64,
    #[entity(unique, ids)]
    slug: String,
    #[entity(index, ids, order = (rank desc, id))]
    #[table(column = "user_id")]
    author: i64,
    #[table(column = "version")]
    rank: i64,
    shelf: Option<String>,
}

fn listed(id: i64, author: i64, rank: i64) -> Listed {
    Listed {
        id,
        slug: format!("article-{id}"),
        author,
        rank,
        shelf: None,
    }
}

fn by(author: i64) -> ListedIndex {
    ListedIndex::Author(author)
}

type Cached<D> = CachedRepository<SqlTable<Listed, D>>;

/// Returns the ids of an author's list, and the tier of the list.
async fn read<D>(articles: &Cached<D>, author: i64) -> (Tier, Vec<i64>)
where
    D: Tables,
    Listed: aside_sqlx::Table<D>,
{
    let author = by(author);
    let list = articles.find_by_with(&author, Freshness::Any).await;
    let list = list.unwrap();
    (list.tier, list.value.iter().map(|row| row.id).collect())
}

async fn is_cached<D>(articles: &Cached<D>, author: i64)
where
    D: Tables,
    Listed: aside_sqlx::Table<D>,
{
    eventually(SOON, "a list in this process", async || {
        read(articles, author).await.0 == Tier::Local
    })
    .await;
}

async fn only_moves_touch_a_list<D>(pool: &Pool<D>)
where
    D: Tables,
    Listed: aside_sqlx::Table<D>,
{
    let cache = cache().await;
    let articles = CachedRepository::new(Listed::table(pool), &cache);
    for id in 1..=3 {
        articles.save(listed(id, 7, id)).await.unwrap();
    }
    assert_eq!(read(&articles, 7).await.1, [3, 2, 1]);
    is_cached(&articles, 7).await;

    for number in 0..20 {
        let changed = Listed {
            shelf: Some(number.to_string()),
            ..listed(2, 7, 2)
        };
        articles.update(changed.clone()).await.unwrap();
        let list = articles.find_by_with(&by(7), Freshness::Any).await.unwrap();
        assert_eq!(list.tier, Tier::Local, "the list is not read again");
        assert_eq!(*list.value[1], changed);
    }
    let slug = ListedIndex::Slug("article-2".into());
    let found = articles.find_one_by(&slug).await.unwrap().unwrap();
    assert_eq!(found.shelf.as_deref(), Some("19"));

    articles.update(listed(1, 7, 9)).await.unwrap();
    assert_eq!(read(&articles, 7).await.1, [1, 3, 2], "another place");
    is_cached(&articles, 7).await;
    articles.update(listed(3, 8, 3)).await.unwrap();
    assert_eq!(read(&articles, 7).await.1, [1, 2], "another list");
    assert_eq!(read(&articles, 8).await.1, [3]);
    is_cached(&articles, 7).await;
    articles.delete(&2).await.unwrap();
    assert_eq!(read(&articles, 7).await.1, [1]);
    is_cached(&articles, 7).await;
    articles.save(listed(2, 7, 10)).await.unwrap();
    assert_eq!(read(&articles, 7).await.1, [2, 1], "the same id again");

    let lists = articles.find_by_many(&[by(8), by(9), by(7)]).await.unwrap();
    let ids = lists.iter().map(|rows| rows.iter().map(|row| row.id));
    let ids: Vec<Vec<i64>> = ids.map(Iterator::collect).collect();
    assert_eq!(ids, [vec![3], vec![], vec![2, 1]]);
}

on_each_database! {
    only_a_move_touches_a_list_of_ids: only_moves_touch_a_list,
}

async fn instance(
    pool: &PgPool,
    redis: &RedisServer,
) -> (CacheService, PostgresJournal, Cached<Postgres>) {
    let config = CacheConfig {
        redis_url: Secret::new(redis.url()),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    let journal = PostgresJournal::install(pool.clone()).await.unwrap();
    let articles = CachedRepository::new(Listed::table(pool), &cache);
    (cache, journal, articles)
}

/// Gives the rows each other's author, in one transaction.
async fn exchange(cache: &CacheService, journal: &PostgresJournal) {
    let mut transaction = cache.begin(journal).await.unwrap();
    let rows = "SELECT id, user_id FROM article ORDER BY id FOR UPDATE";
    let rows = sqlx::query_as(rows).fetch_all(&mut *transaction).await;
    let rows: Vec<(i64, i64)> = rows.unwrap();
    for (id, author) in rows {
        let other = 15 - author;
        sqlx::query("UPDATE article SET user_id = $1 WHERE id = $2")
            .bind(other)
            .bind(id)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.updated(&listed(id, author, 1), &listed(id, other, 1));
    }
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_change_places_are_never_missing_nor_there_twice() {
    let (_server, pool) = postgres().await;
    let redis = RedisServer::start().unwrap();
    let (cache, journal, articles) = instance(&pool, &redis).await;
    let (_other, _, of_other) = instance(&pool, &redis).await;
    articles.save(listed(1, 7, 1)).await.unwrap();
    articles.save(listed(2, 8, 1)).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = [&articles, &of_other]
        .map(|articles| {
            let (articles, is_over) = (articles.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut from_a_tier = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let (tier, ids) = read(&articles, 7).await;
                    assert_eq!(ids.len(), 1, "each author has one article at any time");
                    from_a_tier += u32::from(tier != Tier::Source);
                    tokio::task::yield_now().await;
                }
                from_a_tier
            })
        })
        .into();
    for turn in 1..=60 {
        exchange(&cache, &journal).await;
        let of_seven = if turn % 2 == 1 { 2 } else { 1 };
        assert_eq!(read(&articles, 7).await.1, [of_seven]);
        if turn % 5 == 0 {
            is_cached(&articles, 7).await;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        assert_ne!(reader.await.unwrap(), 0, "no list came from the cache");
    }
}
