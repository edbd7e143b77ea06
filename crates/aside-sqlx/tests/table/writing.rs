//! Writes with a journal, and in transactions of the caller.

use aside::{CacheConfig, CacheService, CachedRepository, Entity, Freshness, Repository as _};
use aside::{CacheStrategy, Secret, Source as _, Tier};
use aside_sqlx::{Inserts as _, PostgresJournal};
use aside_testkit::RedisServer;
use serde::{Deserialize, Serialize};

use crate::articles::{Article, cache, new, postgres, run};

/// A table whose rows have no value of other tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, aside_sqlx::Table)]
#[entity(kind = "plain")]
#[table("public.article", postgres, new = "Draft")]
struct Plain {
    #[entity(id)]
    #[table(generated)]
    id: i64,
    slug: String,
    user_id: i64,
    version: i64,
}

/// Keeps each row that a write returns.
#[derive(Debug)]
struct OnWrite;

impl<E: Entity> CacheStrategy<E> for OnWrite {
    fn cache_on_write(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_write_keeps_no_row_with_an_expression() {
    let (_server, pool) = postgres().await;
    let cache = cache().await;
    let articles = CachedRepository::new(Article::table(&pool), &cache).with_strategy(OnWrite);
    let plain = CachedRepository::new(Plain::table(&pool), &cache).with_strategy(OnWrite);
    let computed = articles.insert(new("a", 1, None)).await.unwrap();
    let draft = Draft {
        slug: "b".into(),
        user_id: 1,
        version: 1,
    };
    let stored = plain.insert(draft).await.unwrap();
    // Reads must have shown rows like these before a write may keep one.
    for _ in 0..2 {
        articles.invalidate(aside::Scope::Kind).await;
        plain.invalidate(aside::Scope::Kind).await;
        articles.find_by_id(&computed.id).await.unwrap();
        plain.find_by_id(&stored.id).await.unwrap();
        let row = articles
            .source()
            .find_by_id(&computed.id)
            .await
            .unwrap()
            .unwrap();
        articles.update((*row).clone()).await.unwrap();
        plain.update((*stored).clone()).await.unwrap();
    }
    let any = Freshness::Any;
    let kept = plain.find_by_id_with(&stored.id, any).await.unwrap();
    assert_ne!(kept.tier, Tier::Source);
    run(
        &pool,
        &format!("INSERT INTO favorite VALUES (1, {})", computed.id),
    )
    .await;
    let read = articles.find_by_id_with(&computed.id, any).await.unwrap();
    assert_eq!(
        (read.tier, read.value.unwrap().favorites),
        (Tier::Source, 1)
    );
}

#[tokio::test]
async fn writes_without_redis_are_in_the_journal() {
    let (_server, pool) = postgres().await;
    let redis = RedisServer::start().expect("redis-server or valkey-server");
    let config = CacheConfig {
        redis_url: Secret::new(redis.url()),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    let journal = PostgresJournal::install(pool.clone()).await.unwrap();
    let articles = CachedRepository::new(Article::table(&pool).with_journal(&journal), &cache);
    let row = articles.insert(new("a", 1, None)).await.unwrap();
    redis.kill();
    articles.update((*row).clone()).await.unwrap();
    let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM cache_journal ORDER BY key")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(
        keys.iter()
            .any(|key| key.ends_with(&format!("article:{}", row.id))),
        "{keys:?}"
    );
    assert!(
        keys.iter().any(|key| key.ends_with("article:slug:a")),
        "{keys:?}"
    );
}

#[tokio::test]
async fn a_transaction_reads_its_own_changes() {
    let (_server, pool) = postgres().await;
    let journal = PostgresJournal::install(pool.clone()).await.unwrap();
    let cache = cache().await;
    let articles = CachedRepository::new(Article::table(&pool).with_journal(&journal), &cache);
    let row = articles.insert(new("a", 1, None)).await.unwrap();
    articles.find_by_id(&row.id).await.unwrap();

    let mut transaction = cache.begin(&journal).await.unwrap();
    let table = articles.source();
    let before = table.lock_in(&mut transaction, &row.id).await.unwrap();
    let before = before.expect("it is there");
    sqlx::query("UPDATE article SET user_id = 2 WHERE id = $1")
        .bind(row.id)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let after = table
        .find_by_id_in(&mut transaction, &row.id)
        .await
        .unwrap();
    let after = after.expect("it is there");
    assert_eq!(after.author, 2, "the transaction sees its own change");
    let cached = articles.find_by_id(&row.id).await.unwrap().unwrap();
    assert_eq!(cached.author, 1, "other readers see the committed row");
    transaction.updated(&before, &after);
    transaction.commit().await.unwrap();
    let cached = articles.find_by_id(&row.id).await.unwrap().unwrap();
    assert_eq!(cached.author, 2);
}
