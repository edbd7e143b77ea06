//! Hot sets beside the journal, for a start after Redis was emptied.

use std::time::Duration;

use aside::Repository as _;
use aside_testkit::{RedisServer, eventually};

use super::notes::{Database, Instance, Note};
use super::{EVENTUALLY, at, on_all, on_both, redis};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// The number of rows that are held.
const NOTES: i64 = 20;

/// Has an instance hold all notes, ends it, and empties Redis.
async fn held_and_emptied(redis: &RedisServer, database: &Database) {
    let instance = Instance::start(at(&redis.url()), database).await;
    for id in 1..=NOTES {
        instance.notes.save(Note::new(id, "held")).await.unwrap();
    }
    for id in 1..=NOTES {
        instance.text(id).await;
    }
    eventually(EVENTUALLY, "local entries", async || {
        instance.cache.stats().kinds[0].l1_entries == NOTES as u64
    })
    .await;
    instance.cache.close().await;
    redis.command(&["FLUSHALL"]);
}

/// Waits until the warm-up of a start has read all notes.
async fn warmed(instance: &Instance) {
    eventually(EVENTUALLY, "a warm start", async || {
        let progress = instance.cache.warm_ups();
        let notes = progress.get("note").copied().unwrap_or_default();
        (notes.done, notes.total) == (NOTES as usize, NOTES as usize)
    })
    .await;
}

#[tokio::test]
async fn a_start_after_redis_was_emptied_holds_what_was_held() {
    on_all(async |database| {
        let redis = redis();
        held_and_emptied(&redis, &database).await;

        let next = Instance::start(at(&redis.url()), &database).await;
        warmed(&next).await;
        for id in 1..=NOTES {
            assert_eq!(next.text(id).await, "held");
        }
        let notes = &next.cache.stats().kinds[0];
        assert_eq!((notes.l1_hits, notes.misses), (NOTES as u64, 0));
    })
    .await;
}

#[tokio::test]
async fn a_repository_made_before_the_journal_is_polled_is_warmed() {
    on_both(async |database| {
        let redis = redis();
        held_and_emptied(&redis, &database).await;

        let next = Instance::start_unpolled(at(&redis.url()), &database).await;
        eventually(EVENTUALLY, "a start without keys", async || {
            next.cache.is_warm()
        })
        .await;
        assert!(next.cache.warm_ups().is_empty());
        database.poll_in(&next.cache).await;
        warmed(&next).await;
    })
    .await;
}

#[tokio::test]
async fn the_parts_of_a_list_are_replaced_together_and_age() {
    on_all(async |database| {
        let parts = |count: usize| -> Vec<String> {
            let part = |number| format!("{number}:ä\n").repeat(6_000);
            (0..count).map(part).collect()
        };
        for count in [3, 1, 2] {
            database.replace_hot_set(&parts(count)).await;
            assert_eq!(database.hot_set(WEEK).await, parts(count));
        }
        assert!(database.hot_set(Duration::ZERO).await.is_empty());
        database.replace_hot_set(&[]).await;
        assert!(database.hot_set(WEEK).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_database_without_the_table_starts_cold_and_says_so() {
    on_both(async |database| {
        let redis = redis();
        database.lose_the_hot_sets().await;
        held_and_emptied(&redis, &database).await;

        let next = Instance::start(at(&redis.url()), &database).await;
        eventually(EVENTUALLY, "an error", async || {
            let errors = next.cache.stats().errors;
            errors.contains_key("hot_set_table_unusable")
        })
        .await;
        assert_eq!(next.text(1).await, "held");
    })
    .await;
}
